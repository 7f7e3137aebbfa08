"""Starts launchers as users do, reads along, and ends all that they started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CPU_CONFIG = ROOT / "configs" / "accelerate" / "cpu.yaml"
PATIENCE = 120  # seconds, for what has no limit of its own

TINY = [
    *("--model.resolution", "16", "--model.generator_width", "4", "--model.discriminator_width", "4"),
    *("--model.latent_dim", "4", "--batch_size", "32", "--tracker", "none"),
]
TRAIN = ["-m", "multigan", "train", "image", *TINY]
# A launcher around the tests must not be taken for the one that they start.
LAUNCHERS = ("ACCELERATE_", "FSDP_", "TORCHELASTIC_")
RENDEZVOUS = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def accelerate(*arguments):
    return [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *map(str, arguments)]


def accelerate_on_cpu(*arguments):
    """Two processes, as configs/accelerate/cpu.yaml says."""
    return accelerate("--config_file", CPU_CONFIG, "--main_process_port", free_port(), *arguments)


def torchrun(*arguments, processes=2):
    rendezvous = ("--master_port", free_port(), "--nproc_per_node", processes)
    return [sys.executable, "-m", "torch.distributed.run", *map(str, (*rendezvous, *arguments))]


class Launch:
    """A launcher and the processes that it starts, in a folder of its own.

    Use it in a ``with``: nothing outlives that.
    """

    def __init__(self, command, folder, on_cpu=True, **environment):
        self.log = Path(folder) / f"{time.monotonic_ns()}.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS) and k not in RENDEZVOUS}
        chosen = {"ACCELERATE_USE_CPU": "true"} if on_cpu else {}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                list(map(str, command)),
                cwd=folder,
                env={**kept, **chosen, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self):
        return self.log.read_text(errors="replace")

    @property
    def errors(self):
        """The lines that multigan says of errors."""
        return [line for line in self.said.splitlines() if "multigan: error: " in line]

    def workers(self):
        """Process ids by rank."""
        found = {}
        for child in children(self.process.pid):
            with contextlib.suppress(OSError):
                environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
                found |= {int(entry[5:]): child for entry in environment if entry.startswith(b"RANK=")}
        return found

    def wait_for(self, text, count=1):
        """Wait until the text has been said so often."""
        end = time.monotonic() + PATIENCE
        while self.said.count(text) < count:
            assert self.process.poll() is None, f"ended without {text!r}: {self.said}"
            assert time.monotonic() < end, f"no {text!r} in {PATIENCE} s: {self.said}"
            time.sleep(0.02)

    def end(self, seconds=PATIENCE):
        """Wait for the end of the launcher; returns its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {self.said}") from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        started = [self.process.pid, *descendants(self.process.pid)]
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait(PATIENCE)


def children(process):
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def descendants(process):
    return [found for child in children(process) for found in (child, *descendants(child))]


def is_running(process):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def seconds_until(condition, at_most):
    """How long it took until something was so; fails after so many seconds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + at_most, f"not within {at_most} s"
        time.sleep(0.02)
    return time.monotonic() - start


def ended(command, folder, **options):
    """Run a launcher to its end: its exit code, the errors that multigan said, and all that was said."""
    with Launch(command, folder, **options) as launch:
        code = launch.end()
        # What a launcher says of a failed process is its own; ours never ends with a traceback.
        assert f'File "{ROOT / "multigan"}' not in launch.said, launch.said
        return code, launch.errors, launch.said
