"""What a step of each recipe costs before a change and after it, with the recipe's settings of the time.

    git worktree add /tmp/before COMMIT
    OMP_NUM_THREADS=1 uv run benchmarks/step_cost.py --before /tmp/before [--rounds 5] [--recipes image_cgan ...]
    OMP_NUM_THREADS=1 uv run benchmarks/step_cost.py --mixed_precision bf16

The second compares bf16 with float32 in the same code.

Each version of a recipe runs in a process of its own, with the code that it belongs to and the same libraries, and the
two take turns: a round is four steps of each (of the adversarial training, where there is any). Printed are the times
of a step before over after, and as batches may differ, the samples per second after over before.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from interleaved import Times, ratio

ROOT = Path(__file__).parents[1]
STEPS = 4


def work(recipe: str) -> None:
    """Be a process that runs a recipe: say its batch size, and for each line of input, take steps and say the time."""
    training = runpy.run_path(recipe)["CONFIG"]
    try:
        from multigan.training.run import Run
    except ModuleNotFoundError:
        from multigan.run import Run
    pretraining = getattr(training, "pretraining_steps", None) or getattr(training, "warmup_steps", 0)
    numbers = itertools.count(pretraining if training.steps else 0)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run = Run(dataclasses.replace(training, output=f"{folder}/run", tracker="none"))
        print(json.dumps(training.batch_size), file=sys.__stdout__, flush=True)
        for _ in sys.stdin:
            begun = time.process_time()
            for number in itertools.islice(numbers, STEPS):
                run.state.meter.add(run.play(number))
            print(json.dumps(time.process_time() - begun), file=sys.__stdout__, flush=True)


class Worker:
    """A process that runs a recipe of a checkout in some precision."""

    def __init__(self, checkout: Path, precision: str, recipe: str, folder: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "MULTIGAN_CACHE": folder}
        environment["ACCELERATE_MIXED_PRECISION"] = precision
        command = [sys.executable, __file__, "--work", str(checkout / "recipes" / f"{recipe}.py")]
        self.log = Path(f"{folder}.log")
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log.open("w"), "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.batch = self.answer()

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[-1]} failed: {self.log.read_text().strip().splitlines()[-1]}")
        return json.loads(line)

    def seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compared(recipe: str, versions: dict[str, tuple[Path, str]], rounds: int, folder: str) -> str:
    """A row of the table."""
    workers = {name: Worker(*version, recipe, f"{folder}/{name}") for name, version in versions.items()}
    try:
        times: Times = {name: [] for name in workers}
        for number in range(rounds + 1):
            for name, worker in workers.items():
                seconds = worker.seconds()
                if number:
                    times[name].append(seconds)
    finally:
        for worker in workers.values():
            worker.end()
    batches = [worker.batch for worker in workers.values()]
    each: Times = {name: [second / worker.batch for second in times[name]] for name, worker in workers.items()}
    ratios = ratio(times, "before", "after"), ratio(each, "before", "after")
    return f"| {recipe} | {batches[0]}, {batches[1]} | {' | '.join(ratios)} |"


def main() -> None:
    names = sorted(file.stem for file in (ROOT / "recipes").glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, default=ROOT, help="a checkout of the repository as it was")
    parser.add_argument("--mixed_precision", choices=("no", "bf16"), default="no", help="afterwards")
    parser.add_argument("--recipes", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    versions = {"before": (options.before.resolve(), "no"), "after": (ROOT, options.mixed_precision)}
    if not (options.before / "recipes").is_dir():
        print(
            f"{parser.prog}: error: {options.before} has no recipes: expected a checkout of multigan", file=sys.stderr
        )
        sys.exit(2)
    print("| recipe | batch before, after | a step, time before over after | samples per second, after over before |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for recipe in options.recipes:
            print(compared(recipe, versions, options.rounds, folder), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    else:
        main()
