"""Runs every command in the `bash` and `python` blocks of the README and the docs, each page in a fresh clone.

Trainings are cut to two steps, and two more for a resume; nothing else is changed. What needs a GPU, several hosts or
the Hub stands in `sh` blocks, and is not run.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks as (language, content)."""
    return re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", text, flags=re.M | re.S)


def short(command: str) -> str:
    """A training of two steps, and of two of pretraining; any other command as it is."""
    if re.search(r"recipes/\w+\.py|multigan train \w+|-m multigan train", command) and "--help" not in command:
        command = re.sub(r" --(pretraining_)?steps \d+", "", command)
        command += " --steps 4" if "--resume" in command else " --steps 2"
        command += " --pretraining_steps 2" if re.search(r"recipes/text_|train text", command) else ""
    return re.sub(r"^pip install uv && ", "", command)


def commands(text: str) -> list[list[str]]:
    """What a page asks its reader to run."""
    found = []
    for language, content in blocks(text):
        if language == "python":
            found.append(["uv", "run", "python", "-c", content])
        elif language == "bash":
            lines = content.replace("\\\n", " ").splitlines()
            found += [["bash", "-c", short(line)] for line in lines if line.strip() and not line.startswith("#")]
    return found


def main() -> None:
    ran = 0
    with tempfile.TemporaryDirectory() as room:
        # One environment for all clones: each command installs its own clone into it.
        environment = os.environ | {"UV_PROJECT_ENVIRONMENT": f"{room}/environment"}
        for number, page in enumerate(PAGES):
            clone = Path(room) / str(number) / "multigan"
            subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
            for command in commands((ROOT / page).read_text()):
                print(f"{page} $ {command[-1]}", flush=True)
                if subprocess.run(command, cwd=clone, env=environment).returncode:
                    sys.exit(f"this command of {page} fails: {command[-1]}")
                ran += 1
    print(f"{ran} commands of {len(PAGES)} pages ran")


if __name__ == "__main__":
    main()
