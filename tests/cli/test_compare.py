"""Holds `multigan compare`: a table of figures, what differs in how they were come by, and a picture."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from multigan.evaluation.report import Evaluation, read

GENERATED = {"frechet_distance": 12.34567, "precision": 0.5, "recall": 0.25}
FLOOR = {"frechet_distance": 1.5, "precision": 0.9, "recall": 0.875}
PROTOCOL = {"dataset": "digits", "features": "classifier", "count": 100}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Writes an evaluated run; the current folder is where they are."""
    monkeypatch.chdir(tmp_path)

    def write(name, settings=None, protocol=(), **generated):
        (tmp_path / name).mkdir()
        values = {**GENERATED, **generated}
        Evaluation({**PROTOCOL, **dict(protocol)}, values, FLOOR).write(tmp_path / name)
        if settings is not None:
            (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(settings))
        return name

    return write


def table_of(text):
    """The cells of the lines that have several, by the first of them."""
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 1}


def test_figures_stand_in_columns_beside_what_real_data_has(command, runs, tmp_path):
    found = command("compare", runs("one"), runs("other", recall=0.75, class_accuracy=0.125))
    assert found.code == 0 and found.err == ""
    table = table_of(found.out)
    assert table["frechet distance"] == ["12.3", "12.3", "1.500"]
    assert table["recall"] == ["0.250", "0.750", "0.875"]
    assert table["class accuracy"] == ["0.125"], "nothing where there is no figure"
    (line,) = (line for line in found.out.splitlines() if line.split() == ["one", "other", "real"])
    assert line.index("other") > line.index("one")
    assert "wrote: generated/comparison.png" in found.out
    with Image.open(tmp_path / "generated" / "comparison.png") as picture:
        low, high = picture.convert("L").getextrema()
        assert low < high


def test_results_that_were_put_elsewhere_are_named_by_their_folder_or_file(command, runs):
    """As `multigan evaluate --out` writes them."""
    table = table_of(command("compare", runs("one"), Path(runs("out")) / "evaluation.json").out)
    assert table["recall"] == ["0.250", "0.250", "0.875"]
    (line,) = (line for line in command("compare", "one", "out").out.splitlines() if line.split()[-1:] == ["real"])
    assert line.split() == ["one", "out", "real"]


def test_references_stand_between_the_runs_and_real_data(command, runs, tmp_path):
    for name, reference in (("one", 4.0), ("other", 5.0), ("bare", None)):
        folder = tmp_path / runs(name)
        evaluation = read(folder)
        if reference:
            evaluation.references = {"trivial": {"recall": 0.125}, "reference model": {"frechet_distance": reference}}
        evaluation.write(folder)
    out = command("compare", "one", "other").out
    assert "measured in different ways" not in out
    table = table_of(out)
    assert table["recall"] == ["0.250", "0.250", "0.125", "0.875"], "one column where it is the same for all"
    assert table["frechet distance"] == ["12.3", "12.3", "4.000", "5.000", "1.500"]
    assert "reference model, one  reference model, other  " in out
    table = table_of(command("compare", "one", "bare").out)
    assert table["frechet distance"] == ["12.3", "12.3", "4.000", "1.500"]


def test_what_was_measured_alike_is_not_warned_of(command, runs):
    out = command("compare", runs("one"), runs("other")).out
    assert "different" not in out and "differs" not in out


def test_other_ways_of_measuring_are_warned_of(command, runs):
    other = runs("other", protocol={"features": "random", "weights": "abc"})
    found = command("compare", runs("one"), other).out
    assert "measured in different ways" in found
    table = table_of(found)
    assert table["features"] == ["classifier", "random"] and table["weights"] == ["abc"]
    assert "count" not in table


def test_different_settings_are_listed(command, runs):
    one = runs("one", {"seed": 0, "r1": 0.1, "model": {"width": 4}})
    other = runs("other", {"seed": 0, "r1": 0.3, "model": {"width": 8}})
    found = command("compare", one, other).out
    assert "what differs in their settings" in found and "measured in different ways" not in found
    table = table_of(found)
    assert table["r1"] == ["0.1", "0.3"] and table["model.width"] == ["4", "8"]
    assert "seed" not in table


def test_only_settings_that_all_runs_have_are_compared(command, runs):
    one = runs("one", {"modality": "image", "seed": 0, "model": {"image_size": 8, "width": 4}})
    other = runs("other", {"modality": "audio", "seed": 0, "model": {"rate": 8000, "width": 8}})
    table = table_of(command("compare", one, other).out)
    assert table["modality"] == ["image", "audio"] and table["model.width"] == ["4", "8"]
    assert "model.image_size" not in table and "model.rate" not in table


def test_runs_that_are_not_evaluated_are_named_and_left_out(command, runs, tmp_path):
    (tmp_path / "bare").mkdir()
    found = command("compare", runs("one"), "bare")
    assert found.code == 0
    (line,) = found.err.splitlines()
    assert line == "not evaluated: bare (multigan evaluate bare, or name the folder of its --out)"
    assert "bare" not in found.out


def test_a_folder_that_is_not_there_is_one_line(command, runs):
    assert "nowhere: no such folder" in command("compare", runs("one"), "nowhere").error


@pytest.mark.parametrize("named", [[], ["bare"]])
def test_nothing_evaluated_is_one_line(command, tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    message = command("compare", *named).error
    assert "multigan evaluate RUN" in message and "--out" in message
    assert not (tmp_path / "generated" / "comparison.png").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"figures": 1}', json.dumps({"protocol": {}})])
def test_damaged_figures_are_named(command, runs, tmp_path, content):
    (tmp_path / runs("one") / "evaluation.json").write_text(content)
    assert "one/evaluation.json is damaged" in command("compare", "one").error


def test_damaged_settings_are_one_line(command, runs, tmp_path):
    (tmp_path / runs("one") / "config.yaml").write_text("a: [")
    assert "config.yaml" in command("compare", "one").error


@pytest.mark.parametrize("out", ["file/picture.png", "picture.abc"])
def test_picture_that_cannot_be_written_is_one_line(command, runs, out):
    one = runs("one")
    Path("file").touch()
    assert out in command("compare", one, "--out", out).error


def test_picture_goes_where_it_is_told(command, runs, tmp_path):
    assert command("compare", runs("one"), "--out", tmp_path / "picture.png").code == 0
    assert (tmp_path / "picture.png").is_file() and not (tmp_path / "generated" / "comparison.png").exists()
