"""Pictures of several classes each: trained on, generated, evaluated, and read again."""

import json

import numpy
import pytest
from PIL import Image

COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


@pytest.fixture
def shapes(tmp_path):
    """A folder of 60 pictures, red or blue, some of them with a hole; none is blue with a hole."""
    folder = tmp_path / "shapes"
    folder.mkdir()
    lines = []
    for number in range(60):
        labels = [["red"], ["blue"], ["red", "hole"], ["hole"], []][number % 5]
        pixels = numpy.full((16, 16, 3), COLOURS[labels[0]] if labels[:1] in (["red"], ["blue"]) else 255, numpy.uint8)
        if "hole" in labels:
            pixels[6:10, 6:10] = 0
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        lines.append(json.dumps({"file_name": f"{number:03d}.png", "label": labels}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_trains_generates_an_unseen_combination_evaluates_and_is_a_dataset_again(command, train, shapes, tmp_path):
    found = train("--dataset", shapes, "--model.conditional", "true", "--output", tmp_path / "run")
    assert found.code == 0, found.err
    assert "3 classes, several of an example" in found.out
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "takes one of blue, hole, red, or several, as blue;" in card

    made = command(
        *("generate", "--model", tmp_path / "run", "--label", "blue+hole", "--label", "red", "-n", 3),
        *("--out", tmp_path / "made"),
    )
    assert made.code == 0, made.err
    rows = [json.loads(line) for line in (tmp_path / "made" / "metadata.jsonl").read_text().splitlines()]
    assert rows == [
        {"file_name": "000000.png", "label": ["blue", "hole"]},
        {"file_name": "000001.png", "label": ["red"]},
        {"file_name": "000002.png", "label": ["blue", "hole"]},
    ]

    evaluated = command("evaluate", tmp_path / "run", "-n", 20)
    assert evaluated.code == 0, evaluated.err
    figures = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert "inception_score" not in figures["generated"]
    assert figures["baseline"]["class_accuracy"] == 1.0
    assert {"class_accuracy", "classification_accuracy_score"} <= set(figures["generated"])

    again = train("--dataset", tmp_path / "made", "--model.conditional", "true", "--output", tmp_path / "again")
    assert again.code == 0, again.err
    config = json.loads((tmp_path / "again" / "model" / "config.json").read_text())["config"]
    assert config["classes"] == ["blue", "hole", "red"] and config["combinations"] == ["blue+hole", "red"]


def test_latent_goes_from_one_combination_to_another(command, train, shapes, tmp_path):
    run, file = tmp_path / "run", tmp_path / "latents.npz"
    assert train("--dataset", shapes, "--model.conditional", "true", "--output", run).code == 0
    width = json.loads((run / "model" / "config.json").read_text())["config"]["latent_dim"]
    numpy.savez(file, latents=numpy.zeros((2, width)))

    found = command(
        *("generate", "--model", run, "--latent", file, "--label", "red", "--toward", "blue+hole", "-n", 3),
        *("--out", tmp_path / "walk"),
    )
    assert found.code == 0, found.err
    files = sorted((tmp_path / "walk").glob("0*.png"))
    assert len(files) == 6
    made = command(
        *("generate", "--model", run, "--latent", file, "--label", "red", "--out", tmp_path / "start"),
    )
    assert made.code == 0, made.err
    starts = sorted((tmp_path / "start").glob("0*.png"))
    for place, start in enumerate(starts):
        assert numpy.array_equal(numpy.asarray(Image.open(start)), numpy.asarray(Image.open(files[3 * place])))


def test_unknown_name_in_a_combination_is_one_line(command, train, shapes, tmp_path):
    train("--dataset", shapes, "--model.conditional", "true", "--output", tmp_path / "run")
    error = command("generate", "--model", tmp_path / "run", "--label", "red+gren").error
    assert "no class 'gren'" in error


def test_held_out_rows_of_unknown_classes_are_counted(command, train, tmp_path):
    for number in range(24):
        split, label = ("train", "ab"[number % 2]) if number < 12 else ("test", "bc"[number % 2])
        file = tmp_path / "set" / split / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), number).save(file)
    assert train("--dataset", tmp_path / "set", "--model.conditional", "true", "--output", tmp_path / "run").code == 0
    found = command("evaluate", tmp_path / "run", "-n", 6)
    assert found.code == 0, found.err
    assert "held out, left out 6 rows: of other classes" in found.out
