"""What a run says of its progress: the step, the total, the rate, the time left, and how long it will take."""

import pytest

from multigan.training import progress
from multigan.training.progress import Progress, duration, speed_advice


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def steps(shown, clock, count, seconds):
    """So many steps, each of so many seconds."""
    for done in range(1, count + 1):
        clock.now += seconds
        shown.step(done)


def test_a_log_file_gets_a_line_at_least_every_half_minute(clock, capsys):
    steps(Progress({"training": 1000}, 0, "", show=True), clock, 12, 10.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split(",")[0] for line in lines] == [f"step {step} of 1000" for step in (3, 6, 9, 12)]
    assert lines[0] == "step 3 of 1000, 0.1 steps/s, 2.8 h left"


def test_duration_is_stated_once_a_phase_with_advice_where_it_is_long(clock, capsys):
    shown = Progress({"pretraining": 20, "adversarial training": 7200}, 0, "buy a GPU", show=True)
    steps(shown, clock, 40, 1.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if "about" in line]
    assert len(lines) == 2
    assert lines[0] == "pretraining: about 14 s for 14 more steps, at 1 steps/s"
    assert lines[1].startswith("adversarial training: about 2.0 h for 7,194 more steps, at 1 steps/s; buy a GPU")


def test_short_runs_come_without_advice(clock, capsys):
    steps(Progress({"training": 100}, 0, "buy a GPU", show=True), clock, 10, 0.5)
    out = capsys.readouterr().out
    assert "about 47 s for 94 more steps, at 2 steps/s" in out and "GPU" not in out


def test_metrics_are_a_line_with_the_time_left(clock, capsys):
    shown = Progress({"training": 100}, 50, "", show=True)
    clock.now = 10.0
    shown.metrics(75, {"d_real": "0.5"})
    assert capsys.readouterr().out == "step 75 of 100, 2.5 steps/s, 10 s left, d_real 0.5\n"


def test_other_processes_say_nothing(clock, capsys):
    shown = Progress({"training": 100}, 0, "advice", show=False)
    steps(shown, clock, 10, 60.0)
    shown.metrics(10, {})
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "1.5 min"),
        (3000, "50 min"),
        (5400, "1.5 h"),
        (86400, "24 h"),
        (200_000, "2.3 days"),
    ],
)
def test_durations_are_in_the_unit_that_people_use(seconds, words):
    assert duration(seconds) == words


def test_advice_names_flags():
    assert speed_advice(("length",)) == "faster with a GPU, or with smaller --model.length, --batch_size or --steps"
