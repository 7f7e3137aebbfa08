"""Runs every command in the `bash` and `python` blocks of the README and the docs, each page in a fresh clone.

Trainings are cut to two steps, and two more for a resume; nothing else is changed. What needs a GPU, several hosts or
the Hub stands in `sh` blocks, and is not run.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
WORKERS = 2  # pages at a time
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks as (language, content)."""
    return re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", text, flags=re.M | re.S)


def short(command: str) -> str:
    """A training of two steps, and of two of pretraining; any other command as it is."""
    if re.search(r"recipes/\w+\.py|multigan train \w+|-m multigan train", command) and "--help" not in command:
        command = re.sub(r" --(pretraining_)?steps \d+", "", command)
        style = "image_style" in command or "task style" in command  # which takes steps of pretraining alone
        command += " --steps 0" if style else " --steps 4" if "--resume" in command else " --steps 2"
        pretrained = style or re.search(r"recipes/text_|train text|image_srgan|task enlarge|vocoder", command)
        command += " --pretraining_steps 2" if pretrained else ""
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


def run(page: str, room: Path, environments: Queue[Path]) -> tuple[str, int, str]:
    """Run the commands of a page in a clone and an environment of its own.

    Returns:
        What was printed, how many commands ran, and the command that failed or "".
    """
    environment = environments.get()  # one per worker, used again: each clone installs itself into it
    clone, printed, ran = room / page.replace("/", "-") / "multigan", "", 0
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    for command in commands((ROOT / page).read_text()):
        start = time.perf_counter()
        result = subprocess.run(
            command,
            cwd=clone,
            env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(environment)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed += f"{page} $ {command[-1]}\n{result.stdout}({time.perf_counter() - start:.0f} s)\n"
        if result.returncode:
            environments.put(environment)
            return printed, ran, command[-1]
        ran += 1
    environments.put(environment)
    return printed, ran, ""


def main() -> None:
    total = 0
    with tempfile.TemporaryDirectory() as room, ThreadPoolExecutor(WORKERS) as pool:
        environments: Queue[Path] = Queue()
        for number in range(WORKERS):
            environments.put(Path(room) / f"environment-{number}")
        for page, (printed, ran, failed) in zip(
            PAGES, pool.map(lambda page: run(page, Path(room), environments), PAGES), strict=True
        ):
            print(printed, flush=True)
            if failed:
                pool.shutdown(cancel_futures=True)
                sys.exit(f"this command of {page} fails: {failed}")
            total += ran
    print(f"{total} commands of {len(PAGES)} pages ran")


if __name__ == "__main__":
    main()
