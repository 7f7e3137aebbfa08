"""Runs `multigan` as a process of its own, as users do, and reads along."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

PATIENCE = 240  # seconds for anything at all

TINY = [
    *("--model.resolution", "16", "--model.generator_width", "4", "--model.discriminator_width", "4"),
    *("--model.latent_dim", "4", "--batch_size", "32", "--log_every", "1", "--tracker", "none"),
    *("--learning_rate_schedule", "constant"),  # the same for any number of steps
]


class Process:
    """A process, the lines that it has written so far, and its end.

    Attributes:
        out: Lines of stdout.
        err: Lines of stderr.
    """

    def __init__(self, *arguments, **environment):
        self.out, self.err = [], []
        self.popen = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            start_new_session=True,  # so that all of it can be ended, and nothing of ours with it
        )
        pairs = ((self.popen.stdout, self.out), (self.popen.stderr, self.err))
        self.readers = [threading.Thread(target=self.read, args=pair, daemon=True) for pair in pairs]
        for reader in self.readers:
            reader.start()

    def read(self, pipe, lines):
        with pipe:
            for line in pipe:
                lines.append(line.rstrip("\n"))

    def wait_for(self, text):
        """Wait for a line that has the text, in either output."""
        end = time.monotonic() + PATIENCE
        while not any(text in line for line in [*self.out, *self.err]):
            # What it wrote last may still be on its way.
            running = self.popen.poll() is None or any(reader.is_alive() for reader in self.readers)
            assert running, f"ended without {text!r}: {self.said}"
            assert time.monotonic() < end, f"no {text!r} in {PATIENCE} s: {self.said}"
            time.sleep(0.005)

    def send(self, number):
        """A signal to this process alone."""
        self.popen.send_signal(number)

    def end(self):
        """Wait for the end; returns the exit code."""
        code = self.popen.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        return code

    @property
    def said(self):
        return "\n".join([*self.out, *self.err])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.end()


def train(*flags, **environment):
    """`multigan train image` with a tiny model."""
    return Process("-m", "multigan", "train", "image", *TINY, *flags, **environment)


def resume(folder, *flags, **environment):
    return Process("-m", "multigan", "train", "image", "--resume", folder, *flags, **environment)
