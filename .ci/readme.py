"""Runs every command in the README's `bash` blocks and every `python` block, in order, in a clone of its own.

Trainings are cut to two steps, and two more for a resume; nothing else is changed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks as (language, content)."""
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.M | re.S)


def short(command: str) -> str:
    """A training of two steps, and of two of a warm-up; any other command as it is."""
    if re.search(r"recipes/\w+\.py|multigan train \w+|-m multigan train", command) and "--help" not in command:
        command = re.sub(r" --steps \d+", "", command)
        command += " --steps 4" if "--resume" in command else " --steps 2"
        command += " --warmup_steps 2" if re.search(r"recipes/text_|train text", command) else ""
    return re.sub(r"^pip install uv && ", "", command)


def main() -> None:
    ran = 0
    with tempfile.TemporaryDirectory() as room:
        clone = Path(room) / "multigan"
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        (Path(room) / "shared").symlink_to(ROOT.parent / "shared")
        for language, content in blocks((ROOT / "README.md").read_text()):
            if language == "python":
                commands = [["uv", "run", "python", "-c", content]]
            elif language == "bash":
                lines = content.replace("\\\n", " ").splitlines()
                commands = [["bash", "-c", short(line)] for line in lines if line.strip() and not line.startswith("#")]
            else:
                continue
            for command in commands:
                shown = command[-1]
                if "../shared/" in shown and not (ROOT.parent / "shared").is_dir():
                    print(f"skipped, the data is not here: {shown}")
                    continue
                print(f"$ {shown}", flush=True)
                if subprocess.run(command, cwd=clone).returncode:
                    sys.exit(f"this command of the README fails: {shown}")
                ran += 1
    print(f"{ran} commands of the README ran")


if __name__ == "__main__":
    main()
