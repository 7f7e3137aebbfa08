"""How far a run is, for the person who waits for it: a bar on a terminal, lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tqdm import tqdm

LINE_EVERY = 30.0  # seconds between two lines in a log file, at most
ESTIMATED_AFTER = 5, 2.0  # steps of a phase, and seconds, before its duration is estimated
LONG = 3600.0  # seconds; a phase that takes longer on a CPU comes with advice


class Progress:
    """Shows the step, the total, steps per second and the time left.

    Args:
        phases: How many steps each phase has, by name, in their order: they differ in speed.
        done: Steps done already, in a resumed run.
        advice: What makes a run faster, said where a phase would take over an hour; empty for nothing.
        show: Whether this process shows anything.
    """

    def __init__(self, phases: Mapping[str, int], done: int, advice: str, show: bool) -> None:
        self.phases = {name: steps for name, steps in phases.items() if steps}
        self.total, self.advice, self.show = sum(phases.values()), advice, show
        # A bar belongs on a terminal; a log file gets lines.
        self.bar = tqdm(total=self.total, initial=done, desc="training", unit=" steps", disable=None if show else True)
        self.restart(done)

    def restart(self, done: int) -> None:
        """Continue from another step, after a rollback."""
        self.bar.n = done
        self.line = done, time.perf_counter()
        self.timed: tuple[str, int, float] | None = None  # a phase, and where in it its clock was started
        self.estimated: str | None = None

    def step(self, done: int) -> None:
        """Called after each step, with the number of steps done."""
        self.bar.update()
        if not self.show:
            return
        phase, end = self.phase(done)
        now = time.perf_counter()
        if phase != self.estimated:
            if self.timed is None or self.timed[0] != phase:
                self.timed = phase, done, now  # after the first step, which takes longer than the others
            steps, seconds = done - self.timed[1], now - self.timed[2]
            if steps >= ESTIMATED_AFTER[0] and seconds >= ESTIMATED_AFTER[1]:
                self.estimated = phase
                self.estimate(phase, end - done, steps / seconds)
        if self.bar.disable and now - self.line[1] >= LINE_EVERY:
            self.metrics(done, {})

    def phase(self, done: int) -> tuple[str, int]:
        """The phase of the step that brought a run to ``done`` steps, and the step that this phase ends with."""
        end, phase = 0, ""
        for phase, steps in self.phases.items():  # noqa: B007 # the last one, if need be
            end += steps
            if done <= end:
                break
        return phase, end

    def estimate(self, phase: str, left: int, rate: float) -> None:
        """Say how long the rest of a phase will take."""
        seconds = left / rate
        name = f"{phase}: " if len(self.phases) > 1 else ""
        advice = f"; {self.advice}" if self.advice and seconds > LONG else ""
        tqdm.write(f"{name}about {duration(seconds)} for {left:,} more steps, at {rate:.3g} steps/s{advice}")

    def metrics(self, done: int, shown: Mapping[str, str]) -> None:
        """Show the newest metrics: beside the bar, or in a line of the log."""
        if not self.show:
            return
        self.bar.set_postfix(shown)
        if not self.bar.disable:
            return
        before, then = self.line
        self.line = done, time.perf_counter()
        rate = (done - before) / max(self.line[1] - then, 1e-9)
        speed = [f"{rate:.3g} steps/s", f"{duration((self.total - done) / rate)} left"] if rate else []
        parts = [f"step {done} of {self.total}", *speed, *(f"{name} {value}" for name, value in shown.items())]
        print(", ".join(parts), flush=True)

    def close(self) -> None:
        self.bar.close()


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def speed_advice(settings: Sequence[str]) -> str:
    """Advice for a run that takes hours on a CPU.

    Args:
        settings: Fields of the modality's configuration that make a step cheaper when they are smaller.
    """
    flags = [*(f"--model.{name}" for name in settings), "--batch_size", "--steps"]
    return f"faster with a GPU, or with smaller {', '.join(flags[:-1])} or {flags[-1]}"
