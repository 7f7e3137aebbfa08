"""What it costs to start: commands, and training up to its first step, in multiples of the time to import torch.

    OMP_NUM_THREADS=1 uv run benchmarks/start_up.py [--rounds 5] [--checkout .]

Each is a process of its own, of the multigan in the given checkout. Python must be allowed to write compiled files
(PYTHONDONTWRITEBYTECODE unset), or it compiles torch again in each. The round that warms up fills the caches of the
built-in datasets, too. Training is timed until its first line of metrics is written, and then killed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interleaved import table, timed

MODALITIES = "image", "audio", "text"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parents[1])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        out = Path(room) / "out"

        def finished(*arguments: str) -> None:
            command = [sys.executable, *arguments]
            subprocess.run(command, cwd=options.checkout, stdout=subprocess.DEVNULL, check=True)

        def first_step(*launcher: str) -> None:
            flags = ["--steps", "1", "--log_every", "1", "--tracker", "none", "--output", str(out)]
            command = [sys.executable, "-m", *launcher, *flags]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(
                command, cwd=options.checkout, stdout=quiet, stderr=quiet, start_new_session=True
            )
            metrics = out / "metrics.jsonl"
            while not (metrics.is_file() and metrics.stat().st_size):
                if process.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} fails")
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)  # what a launcher has started, too
            process.wait()

        ways = {
            "import torch": lambda: finished("-c", "import torch"),
            "import multigan": lambda: finished("-c", "import multigan"),
            "multigan --help": lambda: finished("-m", "multigan", "--help"),
            "multigan info": lambda: finished("-m", "multigan", "info", "starter/image"),
        }
        for name in MODALITIES:
            arguments = "-m", "multigan", "generate", "--model", f"starter/{name}", "-n", "16", "--out", str(out)
            ways[f"generate -n 16, {name}"] = lambda arguments=arguments: finished(*arguments)
        for name in MODALITIES:
            ways[f"train {name}, to the first step"] = lambda name=name: first_step("multigan", "train", name)
        ways["accelerate launch recipes/image_dcgan.py, to the first step"] = lambda: first_step(
            "accelerate.commands.launch", "recipes/image_dcgan.py"
        )
        times = timed(ways, options.rounds, before=lambda: shutil.rmtree(out, ignore_errors=True))
    table("from the command to its end, or to the first step", times, "import torch")


if __name__ == "__main__":
    main()
