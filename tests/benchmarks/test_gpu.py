"""`benchmarks/gpu.py` at tiny sizes on a CPU, and what it is built of."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """The folder, so that its scripts can be imported."""
    monkeypatch.syspath_prepend(str(FOLDER))


def good(options):
    yield {"": "one", "figure": options}
    yield {"": "two", "figure": 2.0}


def raising(options):
    yield {"": "before"}
    raise ValueError("not this time")


def dying(options):
    yield {"": "before"}
    os._exit(3)


def hanging(options):
    yield {"": "before"}
    time.sleep(600)


@pytest.mark.slow
def test_a_section_that_fails_dies_or_hangs_keeps_its_rows_and_loses_no_other(benchmarks, tmp_path, capsys):
    from sections import Section, run

    kinds = {function.__name__: Section(function, 60, f"Title of {function.__name__}") for function in (raising, dying)}
    kinds |= {"hanging": Section(hanging, 10, "Title of hanging", True), "good": Section(good, 60, "Title of good")}
    assert sorted(run(kinds, 1.0, {"machine": "this one"}, tmp_path)) == ["dying", "hanging", "raising"]
    results = json.loads((tmp_path / "results.json").read_text())
    found = results["sections"]
    assert results["machine"] == "this one"
    assert found["good"]["rows"] == [{"": "one", "figure": 1.0}, {"": "two", "figure": 2.0}]
    assert not found["good"]["problem"]
    assert all(found[name]["rows"] == [{"": "before"}] and found[name]["problem"] for name in found if name != "good")
    assert "ValueError: not this time" in (tmp_path / "log.txt").read_text()
    assert "Title of good\n\n|  | figure |\n| --- | --- |\n| one | 1 |\n| two | 2 |\n" in capsys.readouterr().out


def test_an_error_takes_one_row(benchmarks):
    from sections import attempts, table

    rows = list(attempts({"bad": lambda: {"figure": 1 / 0}, "good": lambda: {"figure": 12345.6}}))
    assert table(rows).splitlines()[2:] == ["| bad | ZeroDivisionError: division by zero |  |", "| good |  | 12,346 |"]


def test_modes_are_counted_by_the_digits_of_the_channels(benchmarks):
    import torch
    from stacked_modes import counted, modes

    def classifier(digits):  # which says how bright a digit is
        return torch.eye(10)[digits[:, 0, 0, 0].long()]

    pictures = torch.tensor([[1, 2, 3], [0, 0, 7], [1, 2, 3], [9, 9, 9]])[..., None, None].expand(-1, -1, 32, 32)
    found = modes(classifier, pictures.float())
    assert found.tolist() == [123, 7, 123, 999]
    assert counted(found)["modes"] == 3
    assert counted(torch.arange(1000))["modes"] == 1000
    assert counted(torch.arange(1000))["KL"] == pytest.approx(0, abs=1e-9)
    assert counted(torch.zeros(50, dtype=torch.long))["KL"] == pytest.approx(numpy.log(1000))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_of_it_runs_on_a_cpu(tmp_path):
    from PIL import Image
    from small import table

    numbers = numpy.random.default_rng(0)
    for split in ("train", "test"):
        pictures = [Image.fromarray(numbers.integers(0, 256, (32, 32, 3), numpy.uint8)) for _ in range(80)]
        table(image=pictures, label=[number % 10 for number in range(80)]).to_parquet(tmp_path / f"{split}.parquet")
    few = ["--steps", "5", "--seconds", "3", "--width", "16", "--samples", "60"]
    command = [sys.executable, FOLDER / "gpu.py", "--cpu", *few, "--cifar", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert done.returncode == 0, done.stdout + done.stderr[-2000:] + log[-5000:]
    found = json.loads((tmp_path / "out" / "results.json").read_text())["sections"]
    errors = {row[""] for section in found.values() for row in section["rows"] if "error" in row}
    assert all("fp16" in name or "CUDA graph" in name or "compiled" in name for name in errors)  # no compiler, perhaps
    figures = [row["modes"] for row in found["modes"]["rows"]]
    assert len(figures) == 3 and all(1 <= figure <= 60 for figure in figures)
    losses = [row["discriminator loss"] for row in found["precision"]["rows"] if "error" not in row]
    assert len(losses) == 18 and numpy.isfinite(losses).all()
    metrics = {row.get("metric") for row in found["cifar"]["rows"]}
    assert {"precision", "recall", "coverage", "frechet_distance", "frechet_distance, pixels"} <= metrics
    repeated = "stopped and resumed"
    same = [row[repeated] for row in found["agreement"]["rows"] if repeated in row]
    assert len(same) == 6 and not any(same)
