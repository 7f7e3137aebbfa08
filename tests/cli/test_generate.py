"""Holds `multigan generate`: what it writes, that a seed is kept to, how classes are chosen, and what it refuses."""

import shutil

import numpy
import pytest
from PIL import Image

from multigan import TrainedGenerator
from multigan.modalities import image as images


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def generate(command, trained, tmp_path):
    """Runs `multigan generate` from the trained run into a new folder; returns what it wrote."""

    def run(*arguments, out="out"):
        found = command("generate", "--model", trained, "--out", tmp_path / out, *arguments)
        assert found.code == 0, found.err
        return files(tmp_path / out)

    return run


@pytest.fixture
def refused(command, trained, tmp_path):
    """The message with which `multigan generate` refuses, having made nothing."""

    def run(*arguments):
        message = command("generate", "--model", trained, "--out", tmp_path / "refused", *arguments).error
        assert not (tmp_path / "refused").exists()
        return message

    return run


def test_writes_a_numbered_file_a_sample_and_a_grid(generate, tmp_path):
    found = generate("-n", 12)
    assert set(found) == {*(f"{number:06d}.png" for number in range(12)), "preview.png", "metadata.csv"}
    with Image.open(tmp_path / "out" / "000007.png") as picture:
        assert picture.size == (16, 16) and picture.mode == "L"
    with Image.open(tmp_path / "out" / "preview.png") as grid:
        assert grid.size == (10 * 50 + 2, 2 * 50 + 2)  # one class a column: a whole row, and two more


def test_says_what_it_took_and_what_it_wrote(command, trained, tmp_path):
    found = command("generate", "--model", trained, "-n", 3, "--out", tmp_path / "out")
    assert str(trained) in found.out and str(tmp_path / "out") in found.out and "3 samples" in found.out


def test_run_and_model_folder_are_the_same_model(generate, command, trained, tmp_path):
    one = generate("-n", 3)
    assert command("generate", "--model", trained / "model", "-n", 3, "--out", tmp_path / "other").code == 0
    assert files(tmp_path / "other") == one


def test_sample_depends_on_the_seed_and_its_number_alone(generate):
    few, many, other = (
        generate("-n", 5, "--seed", 3, out="few"),
        generate("-n", 40, "--seed", 3, out="many"),
        generate("-n", 5, "--seed", 4, out="other"),
    )
    for number in range(5):
        name = f"{number:06d}.png"
        assert few[name] == many[name] and few[name] != other[name]
    assert len({many[f"{number:06d}.png"] for number in range(40)}) == 40


def test_label_by_name_and_by_number_and_none_for_all_in_turn(generate):
    threes = generate("-n", 12, "--label", 3, out="threes")
    assert generate("-n", 12, "--label", "3", out="again") == threes
    turns = generate("-n", 24, out="turns")
    assert turns["000003.png"] == threes["000003.png"]  # class 3 is the fourth of all in turn
    assert turns["000004.png"] != threes["000004.png"]
    pair = generate("-n", 4, "--label", 3, "--label", 7, out="pair")
    sevens = generate("-n", 4, "--label", 7, out="sevens")
    for number, alone in enumerate([threes, sevens, threes, sevens]):
        assert pair[f"{number:06d}.png"] == alone[f"{number:06d}.png"]


def test_folder_says_of_what_class_each_sample_is(generate):
    turns = generate("-n", 12, out="turns")["metadata.csv"].decode().split()
    assert turns == ["file_name,label", *(f"{number:06d}.png,{number % 10}" for number in range(12))]
    pair = generate("-n", 3, "--label", 3, "--label", 7, out="pair")["metadata.csv"].decode().split()
    assert pair == ["file_name,label", "000000.png,3", "000001.png,7", "000002.png,3"]


def test_what_was_generated_is_a_dataset(generate, tmp_path):
    from multigan.data.load import load
    from multigan.modalities.image import Image as ImageModality

    generate("-n", 12)
    rows = list(load(ImageModality(), str(tmp_path / "out"), None, "train", False))
    assert [row["label"] for row in rows] == [str(number % 10) for number in range(12)]
    assert [row["file"] for row in rows] == [str(tmp_path / "out" / f"{number:06d}.png") for number in range(12)]


def test_walk_goes_from_sample_0_to_sample_1_of_one_class(generate):
    ends = generate("--no-provenance", "-n", 2, "--label", 5, "--seed", 2, out="ends")
    walk = generate("--no-provenance", "-n", 7, "--label", 5, "--seed", 2, "--interpolate", out="walk")
    assert walk["000000.png"] == ends["000000.png"] and walk["000006.png"] == ends["000001.png"]
    assert len({walk[f"{number:06d}.png"] for number in range(7)}) > 2


def test_walk_needs_no_classes(command, tmp_path):
    modality = images.Image(images.ImageConfig(resolution=16, channels=1, generator_width=2))
    TrainedGenerator("image", modality, modality.generator().eval()).save(tmp_path / "model")
    found = command("generate", "--model", tmp_path / "model", "-n", 3, "--interpolate", "--out", tmp_path / "out")
    assert found.code == 0
    assert (tmp_path / "out" / "metadata.csv").read_text().split() == [
        "file_name",
        *(f"00000{i}.png" for i in range(3)),
    ]


def test_truncation_brings_samples_together(generate, tmp_path):
    def pixels(name):
        found = []
        for number in range(6):
            with Image.open(tmp_path / name / f"{number:06d}.png") as picture:
                found.append(numpy.asarray(picture).astype(float))
        return numpy.stack(found)

    spreads = []
    for truncation in (None, 0.5, 1e-6):
        generate("-n", 6, "--label", 5, *(["--truncation", truncation] if truncation else []), out=str(truncation))
        spreads.append(pixels(str(truncation)).std(0).mean())
    assert spreads[0] > spreads[1] > spreads[2] == 0  # in the end all are from the middle


def test_modality_takes_the_newest_run(command, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "runs" / "mine")
    found = command("generate", "--modality", "image", "-n", 2)
    assert found.code == 0 and "runs/mine" in found.out
    assert set(files(tmp_path / "generated" / "image-001")) == {
        "000000.png",
        "000001.png",
        "preview.png",
        "metadata.csv",
    }
    assert command("generate", "--modality", "image", "-n", 2).code == 0
    assert files(tmp_path / "generated" / "image-002") == files(tmp_path / "generated" / "image-001")


def test_folder_that_holds_something_is_refused_and_untouched(command, trained, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert str(tmp_path) in command("generate", "--model", trained, "--out", tmp_path).error
    assert files(tmp_path) == {"notes.txt": b"mine"}
    assert command("generate", "--model", trained, "--out", tmp_path / "notes.txt").error
    assert files(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", 0], "n is 0"),
        (["-n", -3], "n is -3"),
        (["--seed", -1], "seed is -1"),
        (["--seed", 2**64], "seed"),
        (["--label", 10], "10"),
        (["--label", "eleven"], "eleven"),
        (["--label", 3, "--label", -1], "-1"),
        (["--truncation", 0], "truncation is 0"),
        (["--truncation", "nan"], "truncation is nan"),
        (["--interpolate", "--label", 1, "--label", 2], "one label"),
        (["--modality", "audio"], "'image'"),
        (["--device", "abacus"], "abacus"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_cannot_be_generated_is_one_line_and_makes_nothing(refused, arguments, words):
    assert words in refused(*arguments)


@pytest.mark.parametrize("model", ["nowhere", "no/such/folder", "nobody/nothing", "./nowhere"])
def test_unknown_model_is_named(command, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repr(model) in command("generate", "--model", model).error
    assert not list(tmp_path.iterdir())


def test_folder_without_a_model_is_named(command, tmp_path):
    assert str(tmp_path) in command("generate", "--model", tmp_path).error


def test_neither_model_nor_modality_is_refused(command):
    found = command("generate").error
    assert "--modality" in found and "--model" in found


def test_modality_that_there_is_not_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "'pictures'" in command("generate", "--modality", "pictures").error


# --- what files say of themselves ---


def test_any_file_can_be_made_again_from_what_it_says(command, trained, tmp_path):
    from multigan import load
    from multigan.generation.provenance import read

    flags = ["-n", 5, "--seed", 3, "--label", 7, "--label", 2, "--truncation", 0.5]
    assert command("generate", "--model", trained, *flags, "--out", tmp_path / "out").code == 0
    generator = load(trained)
    for number in range(5):
        file = tmp_path / "out" / f"{number:06d}.png"
        record = read(file)
        assert record["weights"] == generator.digest
        assert (record["sample"], record["seed"], record["label"]) == (number, 3, "27"[number % 2 == 0])
        again = generator.generate(number + 1, record["seed"], record["label"], record["truncation"])[number]
        with Image.open(file) as picture:
            assert numpy.array_equal(numpy.asarray(picture), numpy.asarray(again))
    assert "sample" not in read(tmp_path / "out" / "preview.png")


def test_walks_options_and_private_paths(command, trained, tmp_path):
    from multigan.generation.provenance import read

    flags = ["-n", 3, "--interpolate", "--label", 4, "--out", tmp_path / "out"]
    assert command("generate", "--model", trained, *flags).code == 0
    record = read(tmp_path / "out" / "000001.png")
    assert (record["interpolate"], record["of"], record["sample"], record["seed"]) == (True, 3, 1, 0)
    assert record["model"] == trained.name and str(trained.parent) not in str(record)


def test_info_tells_what_made_a_file_and_that_another_says_nothing(command, trained, tmp_path):
    assert command("generate", "--model", trained, "-n", 1, "--label", 4, "--out", tmp_path / "out").code == 0
    file = tmp_path / "out" / "000000.png"
    said, model = command("info", file), command("info", trained)
    (digest,) = (line.split()[1] for line in said.out.splitlines() if line.startswith("weights"))
    assert f"weights          {digest}" in model.out
    assert "sample           0" in said.out and "label            4" in said.out
    assert command("generate", "--model", trained, "-n", 1, "--no-provenance", "--out", tmp_path / "bare").code == 0
    assert "does not say how it was made" in command("info", tmp_path / "bare" / "000000.png").error


# --- datasets ---


def test_dataset_is_written_and_goes_on(command, trained, tmp_path):
    flags = ["--model", trained, "-n", 40, "--label", 3, "--format", "parquet", "--out", tmp_path / "out"]
    found = command("generate", *flags)
    assert found.code == 0 and "40 samples in 1 shard" in found.out, found.err
    (file,) = (tmp_path / "out").glob("*.parquet")
    before = file.stat()
    assert command("generate", *flags).code == 0
    assert file.stat() == before, "what is there is not made again"
    assert "samples          40" in command("info", file).out
    flags[3] = 41
    assert "in another way" in command("generate", *flags).error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--format", "xml"], "'xml' is not one of 'parquet', 'webdataset', 'imagefolder'"),
        (["--format", "parquet"], "needs --out"),
        (["--format", "parquet", "--out", "out", "--interpolate"], "leave out --interpolate"),
        (["--format", "parquet", "--out", "out", "--input", "photo.png"], "leave out --input"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_dataset_that_cannot_be_is_one_line(command, trained, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    assert words in command("generate", "--model", trained, *flags).error
    assert not list(tmp_path.iterdir())


def test_several_processes_without_a_format_are_refused(command, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "give --format" in command("generate", "--model", trained, "--out", tmp_path / "out").error
