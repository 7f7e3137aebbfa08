"""The clocks and counters of the benchmarks, and what they say of a checkout that is none."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def interleaved(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import interleaved

    return interleaved


def run(name, *arguments):
    command = [sys.executable, str(FOLDER / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_ratio_is_the_median_of_rounds_with_their_quartiles(interleaved):
    times = {"one": [2.0, 4.0, 6.0, 8.0, 30.0], "other": [1.0, 1.0, 2.0, 2.0, 3.0]}
    assert interleaved.ratio(times, "one", "other") == "4.00 (3.00 to 4.00)"
    assert interleaved.ratio(times, "one", "one") == "1.00"


def test_ways_are_timed_in_turns_after_a_round_to_warm_up(interleaved):
    calls = []
    times = interleaved.timed({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 2, "b": 2}


def test_operations_are_counted_through_a_gradient_penalty(interleaved):
    samples, weight = torch.rand(3, 5, requires_grad=True), torch.rand(5, 7, requires_grad=True)

    def penalty():
        (slope,) = torch.autograd.grad((samples @ weight).sum(), samples, create_graph=True)
        slope.square().sum().backward()

    product = 2 * 3 * 5 * 7
    assert interleaved.flops(lambda: samples @ weight) == product
    assert interleaved.flops(penalty) == 3 * product  # forward, to the samples, and from there to the weight


@pytest.mark.parametrize("arguments", [("peers.py", "--checkout"), ("step_cost.py", "--before")])
def test_a_folder_that_is_no_checkout_is_said_in_one_line(tmp_path, arguments):
    done = run(*arguments, tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert str(tmp_path) in done.stderr and "expected" in done.stderr and not done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "arguments",
    [
        "engine_cost.py --width 4 --rounds 2",
        "generation.py --count 64 --rounds 1",
        "cache_speed.py --rounds 1",
        "step_cost.py --rounds 2 --recipes image_gan --before",
    ],
)
def test_a_benchmark_prints_a_table(arguments):
    arguments = arguments.split()
    done = run(*arguments, *([FOLDER.parent] if arguments[-1] == "--before" else []))
    assert done.returncode == 0 and "|---|" in done.stdout, done.stderr[-3000:]
