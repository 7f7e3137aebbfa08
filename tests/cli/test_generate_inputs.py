"""Holds `multigan generate` with models that take inputs: what is read, what files are called, what is refused."""

import shutil

import numpy
import pytest
from PIL import Image

from multigan import load
from multigan.cli.inputs import output_names

NAME = "multigan_sharpen:Sharpen"


@pytest.fixture(scope="module")
def sharpened(tmp_path_factory):
    """Run folders of a tiny model without noise, and of one with."""
    from multigan import configure
    from multigan.training import run

    room = tmp_path_factory.mktemp("sharpened")
    digits = room / "digits"
    for split in ("train", "test"):
        (digits / split).mkdir(parents=True)
        for number in range(40):
            pixels = numpy.random.default_rng([number, split == "test"]).integers(0, 256, (16, 16), "uint8")
            Image.fromarray(pixels).save(digits / split / f"{number}.png")
    return [
        run.train(
            configure(
                NAME,
                model={"width": 4, "latent_dim": latent_dim},
                **{"steps": 1, "batch_size": 16, "log_every": 1, "tracker": "none", "dataset": str(digits)},
                output=str(room / f"run-{latent_dim}"),
            )
        )
        for latent_dim in (0, 2)
    ]


@pytest.fixture
def photos(tmp_path):
    """Three pictures of two sizes, one in a sub-folder, beside other files."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for place, (name, size) in enumerate({"b.png": (20, 30), "a.JPG": (16, 16), "more/b.png": (20, 30)}.items()):
        pixels = numpy.random.default_rng(place).integers(0, 256, (size[1], size[0]), "uint8")
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def generate(command, sharpened, tmp_path):
    """Runs `multigan generate` with the model without noise, or with it, into a new folder; returns what it wrote."""

    def run(*arguments, noise=False, out="out"):
        flags = "--model", sharpened[noise], "--modality", NAME, "--out", tmp_path / out
        found = command("generate", *flags, *arguments)
        assert found.code == 0, found.err
        return {file.name: file.read_bytes() for file in (tmp_path / out).iterdir()}

    return run


@pytest.fixture
def refused(command, sharpened, tmp_path):
    """The message with which `multigan generate` refuses, having made nothing."""

    def run(*arguments, noise=False):
        flags = "--model", sharpened[noise], "--modality", NAME, "--out", tmp_path / "refused"
        message = command("generate", *flags, *arguments).error
        assert not (tmp_path / "refused").exists()
        return message

    return run


def test_outputs_are_named_after_their_inputs(generate, photos, sharpened, tmp_path):
    found = generate("--input", photos / "b.png", "--input", photos / "a.JPG")
    assert set(found) == {"b.png", "a.png", "preview.png", "preview-2.png"}
    model = load(sharpened[0], NAME)
    for name, file in (("b.png", "b.png"), ("a.png", "a.JPG")):
        (expected,) = model.generate(inputs=[photos / file])
        with Image.open(tmp_path / "out" / name) as picture, Image.open(photos / file) as given:
            assert picture.size == given.size
            assert numpy.array_equal(numpy.asarray(picture), numpy.asarray(expected))


def test_preview_shows_input_and_output_side_by_side(generate, photos, tmp_path):
    generate("--input", photos / "a.JPG")
    with (
        Image.open(tmp_path / "out" / "preview.png") as preview,
        Image.open(tmp_path / "out" / "a.png") as output,
        Image.open(photos / "a.JPG") as given,
    ):
        assert preview.size == (2 * 50 + 2, 50 + 2)
        shown = numpy.asarray(preview)[2:50, 2:]
        for place, picture in enumerate((given, output)):
            pixels = shown[::3, 50 * place : 50 * place + 48 : 3].astype(int)
            assert abs(pixels - numpy.asarray(picture)).max() <= 1


def test_folder_is_all_its_files_and_one_name_is_not_two(generate, photos):
    found = generate("--input", photos)
    assert set(found) == {"a.png", "b.png", "more-b.png", "preview.png", "preview-2.png"}
    assert found["b.png"] != found["more-b.png"]
    assert generate("--input", photos / "more" / "b.png", out="alone")["b.png"] == found["more-b.png"]
    shutil.copy(photos / "b.png", photos / "preview.png")
    found = generate("--input", photos / "b.png", "--input", photos, out="twice")
    assert {"a.png", "b.png", "photos-b.png", "more-b.png", "preview.png"} <= set(found)
    assert found["photos-b.png"] == found["b.png"]
    assert "photos-preview.png" not in found, "what was generated before may lie beside its preview"


def test_names_are_kept_but_for_the_ending_and_no_two_are_the_same(tmp_path):
    files = [tmp_path / name for name in ("a.v2.png", "scan.nii.gz", "preview.png", "x/A.v2.jpg", "x/A.v2.gif")]
    named = output_names(files, 1)
    assert named == ["a.v2", "scan", f"{tmp_path.name}-preview", "x-A.v2", "A.v2_2"]
    assert output_names(files[:2], 2) == ["a.v2-0", "a.v2-1", "scan-0", "scan-1"]
    same = output_names([tmp_path / "b.png"] * 4, 1)
    assert same == ["b", f"{tmp_path.name}-b", "b_2", "b_3"]


def test_several_answers_are_numbered(generate, photos):
    found = generate(
        "--input", photos / "a.JPG", "--input", photos / "b.png", "-n", 3, "--seed", 4, "--no-provenance", noise=True
    )
    names = {f"{name}-{number}.png" for name in "ab" for number in range(3)}
    assert set(found) == names | {"preview.png", "preview-2.png"} and len({found[name] for name in names}) == 6
    alone = generate("--input", photos / "b.png", "--seed", 4, "--no-provenance", noise=True, out="alone")
    assert alone["b.png"] == found["b-0.png"]
    assert generate("--input", photos / "b.png", "--no-provenance", noise=True, out="other")["b.png"] != alone["b.png"]
    walk = generate(
        "--input", photos / "b.png", "-n", 5, "--seed", 4, "--interpolate", "--no-provenance", noise=True, out="walk"
    )
    assert walk["b-0.png"] == found["b-0.png"] and walk["b-4.png"] == found["b-1.png"] != walk["b-2.png"]


def test_held_out_rows_are_the_inputs_where_none_are_given(generate, sharpened, tmp_path):
    found = generate()
    assert set(found) == {*(f"{number:06d}.png" for number in range(16)), "preview.png", "metadata.csv"}
    with Image.open(tmp_path / "out" / "preview.png") as preview:
        assert preview.size == (3 * 50 + 2, 16 * 50 + 2)
        truth = numpy.asarray(preview)[2:50:3, 102:150:3]
    test = sharpened[0].parent / "digits" / "test"
    assert any(numpy.array_equal(truth, numpy.asarray(Image.open(file))) for file in test.iterdir())
    few = generate("-n", 3, out="few")
    assert len(few) == 5 and all(few[f"00000{number}.png"] == found[f"00000{number}.png"] for number in range(3))
    assert len(generate("-n", 100, out="all")) == 42, "there are 40"


def test_fewer_held_out_rows_than_asked_for_is_said(command, sharpened, tmp_path):
    flags = "--model", sharpened[0], "--modality", NAME
    few, all_of_them, one = (command("generate", *flags, "-n", n, "--out", tmp_path / f"{n}").out for n in (41, 40, 1))
    assert ", which has 40 examples in all\n" in few and "in all" not in all_of_them
    assert "wrote:  40 samples and" in few and "wrote:  1 sample and" in one


def test_dataset_that_is_gone_is_no_reason_for_a_trace(command, sharpened, photos, tmp_path):
    model = load(sharpened[0], NAME)
    flags = "--modality", NAME, "--out", tmp_path / "out"
    for training in ({}, {"dataset": str(tmp_path / "gone")}):
        model.training = training
        model.save(tmp_path / "model")
        message = command("generate", "--model", tmp_path / "model", *flags).error
        assert "give --input" in message and not (tmp_path / "out").exists()
    assert command("generate", "--model", tmp_path / "model", *flags, "--input", photos).code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input", "nowhere.png"], "no such input: nowhere.png"),
        (["--input", "empty"], "nothing to read in empty: expected files with .png, .jpg, .jpeg"),
        (["--input", "broken.png"], "broken.png: cannot identify"),
        (["--input", "photos", "-n", 2], "one output for each input: leave out -n"),
        (["--input", "photos", "-n", 0], "n is 0"),
        (["--input", "photos", "--label", 3], "no label"),
        (["--label", 3], "no label"),
        (["--input", "photos", "--truncation", 0.5], "no noise"),
        (["--truncation", 0.5], "no noise"),
        (["--interpolate"], "give --input"),
        (["--input", "photos", "--temperature", 1], "--temperature"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_one_line_and_makes_nothing(refused, photos, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("mine")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert words in refused(*arguments)


def test_model_without_inputs_refuses_them(command, trained, photos, tmp_path):
    found = command("generate", "--model", trained, "--input", photos, "--out", tmp_path / "out")
    assert "leave out the inputs" in found.error and not (tmp_path / "out").exists()


@pytest.fixture
def translate(command, sharpened, tmp_path):
    """What `multigan generate` with the model without noise ends with, and the names of what it wrote into `out`."""

    def run(*inputs, out="out", noise=False, more=()):
        flags = "--model", sharpened[noise], "--modality", NAME, "--out", tmp_path / out, *more
        found = command("generate", *flags, *(part for one in inputs for part in ("--input", one)))
        names = {file.name for file in (tmp_path / out).iterdir()} if (tmp_path / out).exists() else None
        return found, names

    return run


def test_inputs_that_cannot_be_used_are_named_and_counted_and_the_others_are_not_lost(translate, photos, tmp_path):
    broken = [photos / name for name in ("0.png", "aa.png", "c.png", "more/d.png")]
    for file in broken:
        file.write_bytes(b"no picture")
    found, names = translate(photos)
    assert names == {"a.png", "b.png", "more-b.png", "preview.png", "preview-2.png"} and found.code == 2
    assert "wrote:  3 samples of 3 inputs and preview.png, preview-2.png into " in found.out
    *each, last = (line for line in found.err.splitlines() if "generating" not in line)
    assert [line.partition(": cannot identify")[0] for line in each] == [f"left out: {file}" for file in broken]
    assert last.startswith("multigan: error: left out 4 inputs that cannot be used: ") and last.endswith(", ...")
    assert all(str(file) in last for file in broken[:3]) and "d.png" not in last
    alone, _ = translate(photos / "b.png", out="alone")
    assert alone.code == 0 and "1 sample of 1 input and" in alone.out
    assert (tmp_path / "alone" / "b.png").read_bytes() == (tmp_path / "out" / "b.png").read_bytes()


def test_answers_to_the_others_keep_their_names(translate, photos):
    (photos / "aa.png").write_bytes(b"no picture")
    broken, good = photos / "aa.png", photos / "a.JPG"
    found, names = translate(broken, broken, good, broken, photos / "b.png", noise=True, more=("-n", 2))
    assert found.err.splitlines()[-1].startswith("multigan: error: left out 3 inputs")
    assert names >= {"a-0.png", "a-1.png", "b-0.png", "b-1.png"} and not any(name.startswith("aa") for name in names)


def test_nothing_is_made_where_no_input_can_be_used(translate, tmp_path):
    (tmp_path / "broken").mkdir()
    for name in "ab":
        (tmp_path / "broken" / f"{name}.png").write_bytes(b"no picture")
    found, names = translate(tmp_path / "broken")
    assert names is None
    assert found.error.startswith(f"none of the 2 inputs can be used: {tmp_path / 'broken' / 'a.png'}: cannot identify")


@pytest.mark.parametrize("place", ["photos/out", "photos/more/deep/out", "link/out", "photos/../photos/out"])
def test_outputs_are_not_inputs_the_next_time(translate, photos, tmp_path, place):
    (tmp_path / "link").symlink_to(photos)
    found, names = translate(photos, out=place)
    assert "is inside the input" in found.error and "--out" in found.error and names is None
    beside, names = translate(photos / "b.png", photos / "more", out=place)
    inside = place.startswith("photos/more")
    assert beside.code == (2 if inside else 0) and (names is None) == inside


def test_default_folder_is_no_input_either(command, sharpened, photos, monkeypatch):
    monkeypatch.chdir(photos)
    found = command("generate", "--model", sharpened[0], "--modality", NAME, "--input", ".")
    assert "is inside the input" in found.error and not (photos / "generated").exists()
