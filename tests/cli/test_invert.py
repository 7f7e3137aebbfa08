"""Holds `multigan invert` and `multigan generate --latent`: what they write, that both agree, and what they refuse."""

import json
import shutil

import numpy
import pytest
from PIL import Image

from multigan import load
from multigan.generation.latents import LatentFile
from multigan.inversion import encoder, inverter


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(encoder, "STEPS", 30)
    monkeypatch.setattr(inverter, "STEPS", 20)


@pytest.fixture
def pictures(tmp_path):
    """A folder of two pictures, one of them in colour and of another shape."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    numbers = numpy.random.default_rng(0).integers(0, 256, (48, 40, 3), "uint8")
    Image.fromarray(numbers).save(folder / "wide.png")
    Image.fromarray(numbers[:16, :16, 0]).save(folder / "grey.png")
    return folder


@pytest.fixture
def invert(command, trained, tmp_path):
    """Runs `multigan invert` into a new folder; returns what it said and the folder."""

    def run(*arguments, out="inverted"):
        found = command("invert", trained, "--out", tmp_path / out, *arguments)
        assert found.code == 0, found.err
        return found, tmp_path / out

    return run


@pytest.fixture
def refused(command, trained, tmp_path):
    """The message with which a command refuses, having made nothing."""

    def run(name, *arguments, model=trained):
        given = ("--model", model) if name == "generate" else (model,)
        message = command(name, *given, "--out", tmp_path / "refused", *arguments).error
        assert not (tmp_path / "refused").exists()
        return message

    return run


def pixels(file):
    with Image.open(file) as picture:
        return numpy.asarray(picture)


def test_writes_latents_reconstructions_a_preview_and_figures(invert, pictures, trained):
    said, folder = invert("--input", pictures, "--reference", 6)
    written = {file.name for file in folder.iterdir()}
    assert written == {"latents.npz", "inversion.json", "preview.png", "grey.png", "wide.png"}
    assert pixels(folder / "wide.png").shape == (16, 16), "as training would take it"
    assert "1 x 16 x 16" in said.out and "training an encoder" in said.out and str(trained) in said.out
    values = json.loads((folder / "inversion.json").read_text())
    assert [row["file"] for row in values["inputs"]] == ["grey.png", "wide.png"]
    for row in values["inputs"]:
        assert row["distance"] == pytest.approx((row["values"] + row["features"]) / 2)
        assert row["label"] in map(str, range(10)) and 0 <= row["held_out_below"] <= 1
        assert f"{row['file']}: distance {row['distance']:.3f}" in said.out
    assert values["held_out"]["name"] == "half of train"
    for kind in ("training", "held_out"):
        assert values[kind]["count"] == 6
        assert values[kind]["5%"] <= values[kind]["median"] <= values[kind]["95%"]
    latents = LatentFile.read(folder / "latents.npz", 4)
    assert latents.latents.shape == (2, 4) and latents.weights == load(trained).digest
    assert list(latents.labels) == [row["label"] for row in values["inputs"]]


def test_generate_makes_the_reconstructions_from_the_latents(invert, command, pictures, trained, tmp_path):
    _, folder = invert("--input", pictures, "--reference", 0)
    found = command("generate", "--model", trained, "--latent", folder / "latents.npz", "--out", tmp_path / "again")
    assert found.code == 0 and "note" not in found.err
    for number, name in enumerate(("grey", "wide")):
        again = pixels(tmp_path / "again" / f"{number:06d}.png")
        assert numpy.array_equal(again, pixels(folder / f"{name}.png"))
    labels = [row["label"] for row in json.loads((folder / "inversion.json").read_text())["inputs"]]
    rows = (tmp_path / "again" / "metadata.csv").read_text().split()
    assert rows == ["file_name,label", *(f"{number:06d}.png,{label}" for number, label in enumerate(labels))]


def test_class_that_is_given_is_kept_to(invert, pictures):
    _, folder = invert("--input", pictures / "grey.png", "--label", "7", "--reference", 0)
    assert list(LatentFile.read(folder / "latents.npz", 4).labels) == ["7"]
    assert "held_out" not in json.loads((folder / "inversion.json").read_text())


def test_toward_goes_from_one_class_to_another_at_the_same_latent(invert, command, pictures, trained, tmp_path):
    _, folder = invert("--input", pictures, "--label", "7", "--reference", 0)
    file = folder / "latents.npz"

    def made(out, *arguments):
        found = command("generate", "--model", trained, "--latent", file, "--out", tmp_path / out, *arguments)
        assert found.code == 0, found.err
        return [pixels(one) for one in sorted((tmp_path / out).glob("0*.png"))]

    at_once, walk = made("one", "--toward", "2"), made("walk", "--toward", "2", "-n", 3)
    assert len(at_once) == 2 and len(walk) == 6
    as_given = made("label", "--label", "2")
    for place, name in enumerate(("grey", "wide")):
        assert numpy.array_equal(walk[3 * place], pixels(folder / f"{name}.png"))
        assert numpy.array_equal(walk[3 * place + 2], at_once[place])
        assert numpy.array_equal(as_given[place], at_once[place])
    assert (tmp_path / "one" / "metadata.csv").read_text().split()[1] == "000000.png,2"


def test_latents_of_a_user_need_only_an_array(command, trained, tmp_path, refused):
    file = tmp_path / "mine.npz"
    numpy.savez(file, latents=numpy.zeros((3, 4)))
    assert "give --label" in refused("generate", "--latent", file)
    found = command("generate", "--model", trained, "--latent", file, "--label", "1", "--out", tmp_path / "out")
    assert found.code == 0 and len(list((tmp_path / "out").glob("0*.png"))) == 3


def test_latents_of_other_weights_are_said(command, trained, tmp_path):
    file = tmp_path / "other.npz"
    numpy.savez(file, latents=numpy.zeros((1, 4)), labels=["3"], weights="0123456789abcdef")
    found = command("generate", "--model", trained, "--latent", file, "--out", tmp_path / "out")
    assert found.code == 0 and "other weights" in found.err


def test_dataset_that_has_gone_is_said(command, trained, pictures, tmp_path):
    shutil.copytree(trained / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["training"]["dataset"] = str(tmp_path / "gone")
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    found = command("invert", tmp_path / "model", "--input", pictures, "--out", tmp_path / "out")
    assert found.code == 0 and "no distances of real data to compare with" in found.err
    assert (tmp_path / "out" / "latents.npz").exists()


def test_bad_inputs_are_one_line(refused, pictures, tmp_path):
    (pictures / "damaged.png").write_bytes((pictures / "wide.png").read_bytes()[:200])
    assert "damaged.png: image file is truncated" in refused("invert", "--input", pictures)
    (tmp_path / "words.png").write_text("no picture")
    assert "words.png: " in refused("invert", "--input", tmp_path / "words.png")
    (tmp_path / "words.xyz").write_text("no picture")
    assert "words.xyz is of an unknown kind" in refused("invert", "--input", tmp_path / "words.xyz")
    (tmp_path / "empty").mkdir()
    assert "nothing to read in" in refused("invert", "--input", tmp_path / "empty")
    assert "no such input" in refused("invert", "--input", tmp_path / "gone.png")
    assert "no class 'dog'" in refused("invert", "--input", pictures / "grey.png", "--label", "dog")
    assert "nearby latents" in refused("invert", "--input", pictures / "grey.png", model="starter/text")
    assert "no device 'warp'" in refused("invert", "--input", pictures / "grey.png", "--device", "warp")


def test_bad_latents_are_one_line(refused, tmp_path):
    file = tmp_path / "latents.npz"
    assert "cannot read latents from" in refused("generate", "--latent", file)
    file.write_text("no array")
    assert "cannot read latents from" in refused("generate", "--latent", file)
    numpy.save(tmp_path / "plain.npy", numpy.zeros((1, 4)))
    assert "an array named latents" in refused("generate", "--latent", tmp_path / "plain.npy")
    numpy.savez(file, latents=numpy.array([{"a": 1}], object))
    assert "cannot read latents from" in refused("generate", "--latent", file), "which could run code"
    numpy.savez(file, latents=numpy.zeros((1, 5)))
    assert "shape (1, 5): expected (N, 4)" in refused("generate", "--latent", file)
    numpy.savez(file, latents=numpy.zeros((2, 4)), labels=["1"])
    assert "2 latents and 1 labels" in refused("generate", "--latent", file)
    numpy.savez(file, latents=numpy.zeros((1, 4)), labels=["dog"])
    assert "no class 'dog'" in refused("generate", "--latent", file)
    numpy.savez(file, latents=numpy.zeros((1, 4)), labels=["1"])
    assert "no class 'dog'" in refused("generate", "--latent", file, "--toward", "dog")
    for flags in (["--interpolate"], ["--seed", 3], ["--input", file]):
        assert f"leave out {flags[0]}" in refused("generate", "--latent", file, *flags)
    assert "give --toward" in refused("generate", "--latent", file, "-n", 3)
    assert "give --latent" in refused("generate", "--toward", "3")
    assert "--latent" in refused("generate", "--latent", file, "--format", "parquet")
    for flags in (["-n", "0"], ["-n", "-2"]):
        assert "at least 1" in refused("generate", "--latent", file, "--toward", "3", *flags)


def test_toward_needs_classes(refused, tmp_path):
    from multigan import TrainedGenerator
    from multigan.modalities.image import Image as Pictures
    from multigan.modalities.image import ImageConfig

    modality = Pictures(ImageConfig(resolution=16, channels=1, generator_width=2, latent_dim=4))
    TrainedGenerator("image", modality, modality.generator().eval()).save(tmp_path / "model")
    numpy.savez(tmp_path / "latents.npz", latents=numpy.zeros((1, 4)))
    flags = ("generate", "--latent", tmp_path / "latents.npz")
    assert "this model has none" in refused(*flags, "--toward", "3", model=tmp_path / "model")
    assert "takes no label" in refused(*flags, "--label", "3", model=tmp_path / "model")
