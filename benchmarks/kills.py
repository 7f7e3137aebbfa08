"""Kills one run with SIGKILL at a hundred random moments, resumes it each time, and compares it with one left alone.

    OMP_NUM_THREADS=1 uv run benchmarks/kills.py [--kills 100] [--seed 0]

Half of the kills are aimed: a few milliseconds after a folder that is being written shows. The others come at any
moment, also while the run starts. After each kill the disk is looked at, by rules of this file and not of multigan:
a checkpoint counts as complete if it has all of its files and each has the hash that its manifest says. The run must
then say that it goes on after the newest of those; and in the end everything must be as in the run left alone.

Exits with 1 if anything is not so.
"""

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash
from safetensors.torch import load_file

from multigan import TrainingConfig, config, configure
from multigan.training import run

POLL = 0.0002  # seconds between looks at the folder
STARTING = 1.0  # a kill while the run starts comes within so many seconds
SAVING = 0.010  # an aimed kill comes within so many seconds after a save is seen to have begun
PLAYING = 0.1  # and one at any moment within so many seconds after the step that is waited for
LITTER = (".writing-*", ".before-*")
KEPT = 3  # checkpoints that a run leaves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as room:
        os.environ["MULTIGAN_CACHE"] = f"{room}/cache"
        training = configure(
            "image",
            steps=3 * options.kills + 20,
            batch_size=16,
            log_every=1,
            checkpoint_every=1,
            sample_every=1000,
            tracker="none",
            seed=options.seed,
            model={
                "architecture": "dcgan",  # with statistics of batches, which a checkpoint must have too
                "resolution": 16,
                "generator_width": 4,
                "discriminator_width": 4,
                "latent_dim": 4,
                "conditional": True,
                "rotation": 10.0,
            },
        )
        alone, killed = Path(room) / "alone", Path(room) / "killed"
        let_alone(training, alone)
        counts = kill(training, killed, options.kills, random.Random(options.seed), file_names(alone))
        left_over = leftovers(killed)
        different = differences(alone, killed)
    rows = [
        ("kills", counts["kills"], options.kills),
        ("of them inside a save", counts["in a save"], None),
        ("of them before there was a checkpoint: started again", counts["anew"], None),
        ("times resumed", counts["resumed"], None),
        ("of them from the newest complete checkpoint", counts["newest"], counts["resumed"]),
        ("half-written checkpoints loaded", counts["half-written"], 0),
        ("attempts that ended with an error", counts["errors"], 0),
        ("files and folders left over at the end", len(left_over), 0),
        ("differences from the run left alone", len(different), 0),
    ]
    print(f"{training.steps} steps with a checkpoint after each, in {time.perf_counter() - began:.0f} s\n")
    print("| | found | expected |\n|---|---|---|")
    for name, found, expected in rows:
        print(f"| {name} | {found} | {'' if expected is None else expected} |")
    wrong = [name for name, found, expected in rows if expected not in (None, found)]
    if not counts["in a save"] or not counts["resumed"]:
        wrong.append("no kill inside a save, or no resume")
    for line in [*wrong, *left_over, *different]:
        print(f"not as it should be: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


# --- processes ---


def start(work: Callable[[], Any], log: Path) -> int:
    """Do something in a fork of this process, what it says going to a file; returns the number of the process."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        # Line by line, or a kill would take along what was said.
        sys.stdout = sys.stderr = log.open("w", buffering=1)
        work()
        code = 0
    except BaseException as error:  # whatever it is, the fork must not go on as its parent
        print(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def let_alone(training: TrainingConfig, folder: Path) -> None:
    """The run that nothing happens to; what it imports on its way is then imported here, once for all attempts."""
    modules, log = folder.with_suffix(".modules"), folder.with_suffix(".log")

    def work() -> None:
        run.train(dataclasses.replace(training, output=str(folder)))
        modules.write_text("\n".join(sys.modules))

    _, status = os.waitpid(start(work, log), 0)
    if status:
        sys.exit(f"the run left alone failed: {log.read_text()}")
    for name in modules.read_text().splitlines():
        with contextlib.suppress(Exception):  # not everything that is in sys.modules can be imported by its name
            importlib.import_module(name)


def kill(training: TrainingConfig, folder: Path, kills: int, dice: random.Random, expected: set[str]) -> Counter[str]:
    """Run until complete, with so many kills spread over the steps; counts what happened."""
    counts: Counter[str] = Counter()
    log = folder.with_suffix(".log")
    completed = False
    while not completed and not counts["errors"]:
        complete, before = complete_steps(folder, expected), litter(folder)
        if complete:
            attempt = dataclasses.replace(config.read(folder), resume=str(folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
            attempt = dataclasses.replace(training, output=str(folder))
            counts["anew"] += counts["kills"] > 0
        process = start(lambda attempt=attempt: run.train(attempt), log)
        # Up to four fifths of the run, so that the last attempt is left to end by itself.
        goal = 0.8 * training.steps * counts["kills"] / kills
        if counts["kills"] == kills:
            os.waitpid(process, 0)
            ended = True
        elif counts["kills"] % 2:
            ended = wait_for_save(process, folder, goal, before, dice)
        else:
            ended = wait_for_any_moment(process, folder, goal, dice)
        if not ended:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            counts["kills"] += 1
            counts["in a save"] += bool(litter(folder) - before)
        said = log.read_text()
        resumed = re.search(r"resuming .* after step (\d+)", said)
        if resumed:
            counts["resumed"] += 1
            counts["newest"] += int(resumed[1]) == max(complete, default=None)
            counts["half-written"] += int(resumed[1]) not in complete
        completed = ended and "run folder:" in said
        if ended and not completed:
            counts["errors"] += 1
            print(said, file=sys.stderr)
    return counts


def wait_for_save(process: int, folder: Path, goal: float, before: set[Any], dice: random.Random) -> bool:
    """Wait until a save has begun and is under way; whether the process has ended by itself instead."""
    if wait(process, until=lambda: newest_name(folder) >= goal):
        return True
    while True:  # until one is still under way at the moment of the kill
        if wait(process, until=lambda: bool(litter(folder) - before)) or wait(process, after(dice.random() * SAVING)):
            return True
        if litter(folder) - before:
            return False


def wait_for_any_moment(process: int, folder: Path, goal: float, dice: random.Random) -> bool:
    """Wait until a moment of the run, or of its start where it is far enough already; whether it has ended instead."""
    if not goal:  # the first kill: there is a folder, and no checkpoint in it yet
        return wait(process, until=folder.is_dir)
    newest = newest_name(folder)
    if newest >= goal:  # far enough: no step more, or the run would be complete before the last kill
        started = after(dice.random() * STARTING)
        return wait(process, until=lambda: started() or newest_name(folder) > newest)
    return wait(process, until=lambda: newest_name(folder) >= goal) or wait(
        process, until=after(dice.random() * PLAYING)
    )


def wait(process: int, until: Callable[[], bool]) -> bool:
    """Wait for something, or for the end of the process; whether it was its end."""
    while not until():
        if os.waitpid(process, os.WNOHANG)[0]:
            return True
        time.sleep(POLL)
    return False


def after(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


# --- the disk ---


def litter(folder: Path) -> set[tuple[str, int, int]]:
    """What stands there half-written, or moved away to be replaced; written again, it is another."""
    found = set()
    for path in (path for place in (folder, folder / "checkpoints") for name in LITTER for path in place.glob(name)):
        with contextlib.suppress(FileNotFoundError):  # it has its right name by now
            status = path.stat()
            found.add((str(path), status.st_ino, status.st_mtime_ns))
    return found


def newest_name(folder: Path) -> int:
    """The largest number of a checkpoint, whatever is in it."""
    return max((int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*")), default=0)


def file_names(folder: Path) -> set[str]:
    """The names of the files of the newest checkpoint."""
    return {file.name for file in (folder / "checkpoints" / f"step-{newest_name(folder)}").iterdir()}


def complete_steps(folder: Path, expected: set[str]) -> list[int]:
    """The steps of the checkpoints that have all files, each as the manifest says."""
    steps = []
    for path in (folder / "checkpoints").glob("step-*"):
        if {file.name for file in path.iterdir()} == expected:
            hashes = json.loads((path / "manifest.json").read_text())["xxh3_128"]
            if all(xxhash.xxh3_128_hexdigest((path / name).read_bytes()) == found for name, found in hashes.items()):
                steps.append(int(path.name[5:]))
    return sorted(steps)


def leftovers(folder: Path) -> list[str]:
    """What a complete run should not have in its folder."""
    known = {"config.yaml", "metrics.jsonl", "curves.png", "samples", "checkpoints", "model"}
    found = [path.name for path in folder.iterdir() if path.name not in known]
    checkpoints = {path.name for path in (folder / "checkpoints").iterdir()}
    wanted = {f"step-{newest_name(folder) - number}" for number in range(KEPT)}
    return sorted([*found, *(f"checkpoints/{name}" for name in checkpoints ^ wanted)])


def differences(one: Path, other: Path) -> list[str]:
    """In what two runs differ at their end, apart from what the clock says."""
    found = []
    last = f"checkpoints/step-{newest_name(one)}"
    for file in (*(one / last).glob("*.safetensors"), one / "model" / "model.safetensors"):
        name = file.relative_to(one)
        first, second = load_file(file), load_file(other / name)
        if first.keys() != second.keys():
            found.append(f"{name}: other tensors")
        found += [f"{name}: {key}" for key in first.keys() & second.keys() if not same_bits(first[key], second[key])]
    states = [json.loads((folder / last / "state.json").read_text()) | {"seconds": 0} for folder in (one, other)]
    if states[0] != states[1]:
        found.append(f"{last}/state.json")
    first_lines, second_lines = metrics(one), metrics(other)
    if len(first_lines) != len(second_lines):
        found.append(f"metrics.jsonl: {len(second_lines)} lines for {len(first_lines)}")
    found += [
        f"metrics.jsonl: the line of step {line['step']}"
        for line, twin in zip(first_lines, second_lines, strict=False)
        if line != twin
    ]
    return found


def same_bits(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics without times, and without notes."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "samples_per_second")
    return [{key: line[key] for key in line if key not in clock} for line in lines if "note" not in line]


if __name__ == "__main__":
    main()
