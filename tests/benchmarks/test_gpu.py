"""What `benchmarks/gpu.py` is built of."""

import json
import os
import time
from pathlib import Path

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
