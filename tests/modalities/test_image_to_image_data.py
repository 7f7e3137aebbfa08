"""Holds what image-to-image reads against what it says of it: datasets, inputs, settings, and all that is refused."""

import re
import shutil
from dataclasses import replace

import datasets
import numpy
import pytest
import torch
from PIL import Image

from multigan import TrainingConfig, configure, load
from multigan.cli.flags import parse
from multigan.config import read as read_run
from multigan.data.batches import from_cache
from multigan.data.cache import Cached, cached
from multigan.data.load import load as load_dataset
from multigan.errors import UserError
from multigan.generation.tiles import tiled
from multigan.modalities.image_to_image import ImageToImage, ImageToImageOptions, data
from multigan.modalities.image_to_image.config import TASKS_OF_SETTING, ImageToImageConfig
from multigan.modalities.image_to_image.tasks import TASKS
from multigan.modality import Tiling
from multigan.networks.patch import least_side
from multigan.training import run

SMALL = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "patch_layers": 1}
TRAINING = {"steps": 1, "batch_size": 4, "log_every": 1, "tracker": "none"}
FLAGS = [
    *(part for name, value in SMALL.items() for part in (f"--model.{name}", value)),
    *(part for name, value in TRAINING.items() for part in (f"--{name}", value)),
]


def noise(size=(24, 24), mode="RGB", seed=0):
    """A picture of noise."""
    shape = (*size[::-1], len(mode)) if len(mode) > 1 else size[::-1]
    return Image.fromarray(numpy.random.default_rng(seed).integers(0, 256, shape, "uint8"), mode)


def save(room, make=noise, count=6):
    """A folder of pictures, named by numbers."""
    room.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        make(seed=number).save(room / f"{number}.png")
    return room


def numbered(size=(24, 24), seed=0, classes=(0, 1, 7)):
    numbers = numpy.random.default_rng(seed).choice(numpy.array(classes, "uint8"), size[::-1])
    return Image.fromarray(numbers)


def coloured(size=(24, 24), seed=0):
    return Image.fromarray(numpy.array([[255, 0, 0], [0, 0, 255]], "uint8")[numpy.asarray(numbered(size, seed)) % 2])


def fitted(room, **settings):
    """The modality, fitted to a folder, and the encoded dataset."""
    modality = ImageToImage(ImageToImageConfig(**{**SMALL, **settings}))
    dataset = load_dataset(modality, str(room), None, "train", False, say=lambda note: None)
    found = cached(dataset, modality, skip_corrupt=False)
    return modality, found


def options(**given):
    return ImageToImageOptions(**given)


# --- datasets ---


@pytest.mark.parametrize(
    ("mode", "task", "channels"), [("RGB", "enlarge", 3), ("L", "enlarge", 1), ("L", "colorize", 3)]
)
def test_channels_are_those_of_the_pictures(tmp_path, mode, task, channels):
    modality, found = fitted(save(tmp_path / "photos", lambda seed: noise((20, 30), mode, seed)), task=task)
    assert modality.config.channels == channels and found.real.shape == (6, channels, 16, 16)
    assert ("colour" if channels == 3 else "grey") in found.notes[0] and "6 pictures" in found.notes[0]


def test_pairs_have_channels_of_their_own(tmp_path):
    save(tmp_path / "A", lambda seed: noise(mode="L", seed=seed))
    save(tmp_path / "B")
    modality, found = fitted(tmp_path, task="paired", load_size=20)
    assert (modality.config.input_channels, modality.config.channels) == (1, 3)
    assert found.real.shape == (6, 3, 20, 20) and found.beside["input"].shape == (6, 1, 20, 20)
    numbers = torch.zeros(6, modality.pair_numbers)
    samples, told = modality.to_pair(torch.tensor(found.real), {"input": torch.tensor(found.beside["input"])}, numbers)
    assert samples.shape == (6, 3, 16, 16) and told.shape == (6, 1, 16, 16)
    back, other = fitted(tmp_path, task="paired", load_size=20, direction="BA")
    assert (back.config.input_channels, back.config.channels) == (3, 1)
    assert numpy.array_equal(other.real, found.beside["input"]) and numpy.array_equal(other.beside["input"], found.real)


def palette(seed):
    """A map whose palette is not in the order of its numbers."""
    picture = numbered(seed=seed)
    picture = Image.fromarray(numpy.asarray(picture), "P")
    picture.putpalette([9, 9, 9, 200, 0, 0] + [0, 0, 200] * 6)
    return picture


@pytest.mark.parametrize(
    ("make", "classes"),
    [(numbered, ("0", "1", "7")), (palette, ("0", "1", "7")), (coloured, ("#0000ff", "#ff0000"))],
)
def test_classes_of_maps_are_found(tmp_path, make, classes):
    save(tmp_path / "maps", lambda seed: make(seed=seed))
    save(tmp_path / "photos")
    modality, found = fitted(tmp_path, task="labels", resolution=24)
    assert modality.config.classes == classes
    expected = numpy.asarray(numbered(seed=2))
    expected = expected % 2 == 0 if make is coloured else numpy.searchsorted([0, 1, 7], expected)
    assert numpy.array_equal(found.beside["input"][2], expected)
    again = modality.read_input({"file": str(tmp_path / "maps" / "2.png")}, options())
    assert numpy.array_equal(again["classes"], found.beside["input"][2])


def test_two_folders_are_two_domains(tmp_path):
    save(tmp_path / "A", lambda seed: Image.new("L", (16, 16), 10 + seed), 3)
    save(tmp_path / "B", lambda seed: Image.new("L", (16, 16), 200 + seed), 5)
    modality, found = fitted(tmp_path, task="unpaired")
    assert "3 of A and 5 of B" in found.notes[0] and modality.config.channels == 1
    greys = found.real[:, 0, 0, 0]
    assert sorted(greys[found.beside["domain"] == 0]) == [10, 11, 12]
    assert sorted(greys[found.beside["domain"] == 1]) == [200, 201, 202, 203, 204]
    assert not set(found.beside["key"][found.beside["domain"] == 0]) & set(
        found.beside["key"][found.beside["domain"] == 1]
    )
    batches = from_cache(found, 8, 0, False, torch.device("cpu"), unpaired=True)
    real, _ = batches(3, slice(0, 8))
    assert (real[:, 0] < 100).all() and (real[:, 1] > 100).all()


def test_a_domain_without_a_usable_picture_is_refused():
    found = Cached(numpy.zeros((3, 1, 4, 4), "uint8"), beside={"domain": numpy.ones(3, "int64")})
    with pytest.raises(UserError, match="no usable example of one of the two domains"):
        from_cache(found, 2, 0, False, torch.device("cpu"), unpaired=True)


@pytest.mark.parametrize("domains", [("night", "day"), (1, 2), (0, 1)])
def test_a_column_of_domains_may_have_any_two_values(tmp_path, domains):
    rows = [{"image": noise(seed=seed), "domain": domains[seed % 2], "pair": f"p{seed}"} for seed in range(6)]
    features = datasets.Features(
        image=datasets.Image(),
        domain=datasets.Value("string" if isinstance(domains[0], str) else "int64"),
        pair=datasets.Value("string"),
    )
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "t.parquet")
    _, found = fitted(tmp_path / "t.parquet", task="unpaired")
    assert sorted(found.beside["domain"]) == [0, 0, 0, 1, 1, 1]
    assert len(set(found.beside["key"])) == 2  # names are no numbers of true pairs


def test_one_column_of_one_domain_is_refused(tmp_path):
    datasets.Dataset.from_dict(
        {"image": [noise()] * 2, "domain": [0, 0]},
        datasets.Features(image=datasets.Image(), domain=datasets.Value("int64")),
    ).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="two classes in column 'domain', and there are 1"):
        fitted(tmp_path / "t.parquet", task="unpaired")


def test_encoding_keeps_what_is_read_apart():
    """What the pixels depend on is in the key of the cache, and what does not change them is not."""
    base = ImageToImageConfig(task="paired", channels=3, input_channels=3, **SMALL)
    key = ImageToImage(base).encode_key()
    for name, value in {"fit": "pad", "channels": 1, "input_channels": 1, "load_size": 20}.items():
        assert ImageToImage(replace(base, **{name: value})).encode_key() != key, name
    paired, labels = (replace(base, task=task, input_channels=None) for task in ("paired", "labels"))
    assert ImageToImage(paired).encode_key() != ImageToImage(labels).encode_key()
    for name, value in {"l1": 1.0, "flip": True, "generator_width": 8, "latent_dim": 2}.items():
        assert ImageToImage(replace(base, **{name: value})).encode_key() == key, name


# --- inputs ---


def read(config, value, **given):
    return ImageToImage(config).read_input({"input": value}, options(**given))


ENLARGE = ImageToImageConfig(task="enlarge", channels=3, **SMALL)
INPAINT = ImageToImageConfig(task="inpaint", channels=3, **SMALL)


def test_an_input_keeps_its_size_and_pixels():
    picture = noise((37, 53))
    found = read(ENLARGE, picture)["picture"]
    assert found.shape == (3, 53, 37) and numpy.array_equal(found, numpy.asarray(picture).transpose(2, 0, 1))


def test_an_input_is_turned_as_its_camera_was(tmp_path):
    picture = noise((20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture.save(tmp_path / "turned.png", exif=exif)
    found = data.read_input(ENLARGE, str(tmp_path / "turned.png"), None)["picture"]
    assert numpy.array_equal(found, numpy.rot90(numpy.asarray(picture), -1).transpose(2, 0, 1))
    mask = Image.new("L", (30, 20))  # of the picture as it is seen
    mask.paste(255, (3, 4, 9, 9))
    mask.save(tmp_path / "mask.png")
    hole = data.read_input(INPAINT, str(tmp_path / "turned.png"), str(tmp_path / "mask.png"))["hole"]
    assert hole.shape == (1, 20, 30) and numpy.argwhere(hole[0]).min(0).tolist() == [4, 3]


@pytest.mark.parametrize("task", ["colorize", "enlarge", "paired", "unpaired", "style"])
def test_transparency_is_white_for_all_tasks_that_fill_nothing(task):
    picture = noise((16, 16), "RGBA")
    picture.putalpha(Image.new("L", (16, 16), 0))
    config = ImageToImageConfig(task=task, channels=3, **SMALL)
    assert (read(config, picture)["picture"] == 255).all()


def test_palettes_and_sixteen_bits(tmp_path):
    picture = noise((16, 16)).quantize(16)
    expected = numpy.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    assert numpy.array_equal(read(ENLARGE, picture)["picture"], expected)
    deep = numpy.random.default_rng(0).integers(0, 65536, (16, 16), "uint16")
    Image.fromarray(deep).save(tmp_path / "deep.png")
    (tmp_path / "deep.pgm").write_bytes(b"P5 16 16 65535\n" + deep.astype(">u2").tobytes())  # Pillow has 32 bits of it
    expected = (deep / 257).round().astype("uint8")
    for file in map(str, (tmp_path / "deep.png", tmp_path / "deep.pgm")):
        grey = ImageToImageConfig(task="enlarge", channels=1, **SMALL)
        assert numpy.array_equal(data.read_input(grey, file, None)["picture"][0], expected)
        paired = ImageToImageConfig(task="paired", channels=1, input_channels=1, **SMALL)
        pair = data.encode(paired, {"input": file, "target": file})
        assert numpy.array_equal(pair["real"][0], expected) and numpy.array_equal(pair["input"][0], expected)


def test_grey_in_colour_is_grey_and_colour_is_refused():
    grey = ImageToImageConfig(task="enlarge", channels=1, **SMALL)
    picture = noise((16, 16), "L")
    assert numpy.array_equal(read(grey, picture.convert("RGB"))["picture"], numpy.asarray(picture)[None])
    with pytest.raises(ValueError, match="has colours, and the model takes grey"):
        read(grey, noise((16, 16)))
    assert read(ENLARGE, picture)["picture"].shape == (3, 16, 16)  # grey is a colour too


def test_holes_are_transparent_or_white_in_the_mask(tmp_path):
    picture = noise((20, 16))
    alpha = Image.new("L", (20, 16), 255)
    alpha.paste(127, (2, 3, 5, 9))
    alpha.paste(128, (10, 3, 15, 9))  # more there than not
    mask = Image.new("L", (20, 16))
    mask.paste(255, (2, 3, 5, 9))
    mask.save(tmp_path / "mask.png")
    other = Image.new("L", (20, 16))
    other.paste(255, (0, 0, 2, 1))
    other.save(tmp_path / "other.png")
    transparent = picture.copy()
    transparent.putalpha(alpha)
    by_alpha, by_mask = read(INPAINT, transparent), read(INPAINT, picture, mask=str(tmp_path / "mask.png"))
    for found in (by_alpha, by_mask):
        assert found["hole"].shape == (1, 16, 20) and found["hole"].sum() == 3 * 6 == found["hole"][0, 3:9, 2:5].sum()
        known = found["hole"][0] == 0
        assert numpy.array_equal(found["picture"][:, known], numpy.asarray(picture).transpose(2, 0, 1)[:, known])
    both = read(INPAINT, transparent, mask=str(tmp_path / "other.png"))["hole"][0]
    assert both.sum() == 3 * 6 + 2 and both[3:9, 2:5].all() and both[0, :2].all(), "what nobody knows is filled too"


# --- models, and what they refuse ---


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Run folders of tiny models by task, and pictures to give them."""
    room = tmp_path_factory.mktemp("models")
    photos = save(room / "photos")
    save(room / "two" / "A")
    save(room / "two" / "B")
    save(room / "labels" / "maps", lambda seed: numbered(seed=seed))
    save(room / "labels" / "photos")
    found = {}
    for task, dataset in {
        "colorize": photos,
        "inpaint": photos,
        "unpaired": room / "two",
        "labels": room / "labels",
    }.items():
        model = {**SMALL, "task": task}
        found[task] = run.train(
            configure("image-to-image", model=model, dataset=str(dataset), output=str(room / f"run-{task}"), **TRAINING)
        )
    files = room / "files"
    save(files / "folder", count=2)
    noise((37, 53)).save(files / "odd.png")
    noise((7, 30)).save(files / "small.png")
    (files / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (files / "cut.png").write_bytes((files / "odd.png").read_bytes()[:2000])
    noise((200, 200)).save(files / "damaged.png")  # of several parts, of which the second has no name any more
    content = (files / "damaged.png").read_bytes()
    second = content.index(b"IDAT", content.index(b"IDAT") + 4)
    (files / "damaged.png").write_bytes(content[:second] + b"\0\1\2\3" + content[second + 4 :])
    (files / "nothing").mkdir()
    for name, size, grey in (("empty", (37, 53), 0), ("all", (37, 53), 255), ("other", (36, 53), 255)):
        Image.new("L", size, grey).save(files / f"{name}.png")
    numbered((20, 20), classes=(0, 3)).save(files / "unknown.png")
    return found | {"files": files}


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("colorize", ["--input", "small.png"], "small.png: 30 x 7 pixels: expected at least 8 a side"),
        ("colorize", ["--input", "broken.png"], "broken.png: "),
        ("colorize", ["--input", "cut.png"], "cut.png: image file is truncated"),
        ("colorize", ["--input", "damaged.png"], "damaged.png: the picture is broken: broken PNG file"),
        ("colorize", ["--input", "missing.png"], "no such input: "),
        ("colorize", ["--input", "nothing"], "nothing to read in "),
        ("colorize", ["--input", "odd.png", "-n", 2], "one output for each input"),
        ("colorize", ["--input", "odd.png", "--label", "3"], "takes no label"),
        ("colorize", ["--input", "odd.png", "--mask", "all.png"], "a model of task 'colorize' takes no mask"),
        ("inpaint", ["--mask", "all.png"], "--mask: expected with --input"),
        ("colorize", ["--input", "odd.png", "--direction", "BA"], "has one alone"),
        ("unpaired", ["--input", "odd.png", "--direction", "XY"], "direction is 'XY': expected one of AB, BA"),
        ("inpaint", ["--input", "odd.png"], "odd.png: nothing to fill: expected transparent pixels, or --mask FILE"),
        ("inpaint", ["--input", "odd.png", "--mask", "empty.png"], "odd.png: nothing to fill: the hole is empty"),
        ("inpaint", ["--input", "odd.png", "--mask", "all.png"], "odd.png: nothing to go by"),
        ("inpaint", ["--input", "odd.png", "--mask", "other.png"], "has 53 x 36 pixels, and the picture 53 x 37"),
        ("inpaint", ["--input", "odd.png", "--mask", "gone.png"], "the mask gone.png: No such file"),
        ("inpaint", ["--input", "odd.png", "--mask", "broken.png"], "the mask broken.png: "),
        ("labels", ["--input", "unknown.png"], "the label map has number 3 at row"),
        ("labels", ["--input", "odd.png"], "the label map has colours (RGB): expected numbers, such as 0"),
    ],
)
def test_bad_inputs_are_refused_in_one_line(command, models, tmp_path, monkeypatch, task, arguments, message):
    monkeypatch.chdir(models["files"])
    found = command("generate", "--model", models[task], "--out", tmp_path / "out", *arguments)
    assert message in found.error
    assert not (tmp_path / "out").exists()


def test_a_model_without_inputs_takes_none(command, models, tmp_path):
    found = command(
        "generate", "--model", "starter/image", "--input", models["files"] / "odd.png", "--out", tmp_path / "o"
    )
    assert "makes samples from noise alone: leave out the inputs" in found.error


def test_without_input_or_the_dataset_a_model_has_nothing_to_go_by(command, models, tmp_path):
    model = load(models["colorize"])
    model.training["dataset"] = str(tmp_path / "gone")
    saved = model.save(tmp_path / "copy")
    assert "give --input" in command("generate", "--model", saved, "--out", tmp_path / "out").error


@pytest.mark.parametrize("task", ["colorize", "inpaint", "unpaired", "labels"])
def test_a_folder_of_any_sizes_is_translated(command, models, tmp_path, task):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, size in enumerate([(37, 53), (8, 8), (64, 9)]):
        picture = noise(size, seed=number)
        if task == "inpaint":
            picture.putalpha(Image.new("L", size, 255))
            picture.putpixel((1, 2), (0, 0, 0, 0))
        (numbered(size) if task == "labels" else picture).save(folder / f"{number}.png")
    found = command("generate", "--model", models[task], "--input", folder, "--out", tmp_path / "out")
    assert found.code == 0, found.err
    for number, size in enumerate([(37, 53), (8, 8), (64, 9)]):
        with Image.open(tmp_path / "out" / f"{number}.png") as made, Image.open(folder / f"{number}.png") as given:
            assert made.size == size
            if task == "inpaint":
                same = numpy.asarray(made) == numpy.asarray(given)[..., :3]
                assert same.sum() >= 3 * size[0] * size[1] - 3, "only the hole is filled"


def test_both_directions_are_different_networks(models):
    model = load(models["unpaired"])
    picture = noise((20, 24))
    there, back, again = (model.generate(inputs=[picture], direction=way)[0] for way in ("AB", "BA", "AB"))
    assert numpy.array_equal(there, again) and not numpy.array_equal(there, back)


def test_large_pictures_in_tiles_are_as_whole_ones_where_the_network_is_local():
    """Enlarging normalises nothing: away from the borders of tiles it is the same to rounding."""
    modality = ImageToImage(ImageToImageConfig(task="enlarge", channels=1, factor=2, blocks=1, **SMALL))
    torch.manual_seed(0)
    network = modality.generator().eval().requires_grad_(False)
    told = modality.to_condition({"picture": torch.tensor(numpy.asarray(noise((100, 70), "L")))[None, None]})
    latent = torch.zeros(1, 0)
    whole = network(latent, told)
    tiles = tiled(lambda part: network(latent, part), told, Tiling(64, 32, modality.tiling.scale))
    assert tiles.shape == whole.shape == (1, 1, 140, 200)
    # Along an axis of 100, tiles begin at 0, 32 and 36; along 70, at 0 and 6.
    middle = (slice(None), slice(None), slice(2 * 40, 2 * 58), slice(0, 2 * 28))
    torch.testing.assert_close(tiles[middle], whole[middle], rtol=0, atol=1e-5)
    default = ImageToImage(ImageToImageConfig(task="enlarge")).tiling
    assert modality.tiling.scale == 2 and (default.side, default.overlap) == (256, 32)


def test_tiles_of_a_deep_network_overlap_by_as_much_as_it_sees():
    """Where one tile alone shows it is the whole picture's to rounding, and where two fade nearly so."""
    modality = ImageToImage(
        ImageToImageConfig(task="enlarge", channels=1, factor=2, blocks=30, **{**SMALL, "generator_width": 2})
    )
    side, overlap, scale = modality.tiling
    assert (side, overlap) == (224 + 128, 128)  # 30 blocks of two convolutions see 64 pixels to either side
    torch.manual_seed(0)
    network = modality.generator().eval().requires_grad_(False).double()
    for weight in network.parameters():
        weight.mul_(1.5)  # so that what is far away matters
    told = modality.to_condition({"picture": torch.tensor(numpy.asarray(noise((480, 8), "L")))[None, None]}).double()
    latent = torch.zeros(1, 0, dtype=torch.float64)
    whole = network(latent, told)
    tiles = tiled(lambda part: network(latent, part), told, modality.tiling)
    start = 480 - side  # of the second of two tiles
    far = (tiles - whole).abs().amax((0, 1, 2))
    fading = slice(scale * start, scale * (start + overlap))
    assert max(far[: fading.start].max(), far[fading.stop :].max()) < 1e-9
    assert far[fading].max() > 1e-3, "the tile begins there, and has the smaller weight"


@pytest.mark.parametrize("task", ["colorize", "inpaint", "paired", "unpaired", "style"])
def test_a_photograph_is_not_cut_where_the_network_normalises_over_the_whole(task):
    """Tiles would have colours of their own: what is normalised depends on what else is in the tile."""
    tiling = ImageToImage(ImageToImageConfig(task=task, **SMALL)).tiling
    assert (tiling.side, tiling.overlap, tiling.scale) == (2048, 256, 1)


def test_label_maps_are_not_tiled():
    assert ImageToImage(ImageToImageConfig(task="labels", classes=("0", "1"), **SMALL)).tiling is None


# --- training ---


def refused(command, output, *flags):
    """The message with which `multigan train` refuses, before the run folder is made."""
    message = command("train", "image-to-image", *FLAGS, "--output", output, *flags).error
    assert not output.exists()
    return message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 8}, "resolution is 8: expected sides of 16 to 512 pixels"),
        ({"resolution": 520}, "resolution is 520: expected sides of 16 to 512 pixels"),
        ({"resolution": "large"}, "resolution is large: expected pixels, such as 64, or 64x96"),
        ({"load_size": "16x"}, "load_size is 16x: expected pixels, such as 64, or 64x96"),
        ({"load_size": 5000}, "load_size is 5000: expected sides of 16 to 4096 pixels"),
        ({"resolution": 32, "load_size": "64x20"}, "load_size is 64x20: expected at least the resolution, 32"),
        (
            {"task": "enlarge", "resolution": "16x20", "factor": 8},
            "resolution is 16x20: expected multiples of the factor, 8",
        ),
        ({"patch_layers": 3}, "patch_layers is 3: expected fewer layers or scales, for a resolution of 16"),
        ({"patch_layers": 2, "scales": 3}, "sides of 48 are the least"),
        ({"patch_layers": 0}, "patch_layers is 0: expected at least 1"),
        ({"scales": 0}, "scales is 0: expected at least 1"),
        ({"blocks": 0}, "blocks is 0: expected at least 1"),
        ({"depth": 1}, "depth is 1: expected 2 to 4, for a resolution of 16"),
        ({"resolution": "40x64", "depth": 6}, "depth is 6: expected 2 to 5, for a resolution of 40x64"),
        ({"generator_width": 0}, "generator_width is 0: expected at least 1"),
        ({"discriminator_width": -1}, "discriminator_width is -1: expected at least 1"),
        ({"latent_dim": -1}, "latent_dim is -1: expected at least 0"),
        *(({name: -0.1}, f"{name} is -0.1: expected at least 0") for name in ("l1", "features", "cycle", "identity")),
        ({"style_weight": float("nan")}, "style_weight is nan: expected at least 0"),
        ({"channels": 4}, "channels is 4: expected 1 (grey), 3 (colour) or null"),
        ({"input_channels": 2}, "input_channels is 2: expected 1 (grey), 3 (colour) or null"),
        ({"channels": 1}, "channels is 1: expected 3 for colorize, or null"),
        ({"hole": 0.0}, "hole is 0.0: expected between 0 and 1"),
        ({"hole": 1.0}, "hole is 1.0: expected between 0 and 1"),
        ({"classes": ("1", "#ff800")}, "classes is #ff800: expected numbers, such as 7, or colours"),
        ({"classes": ("99999999999999999999",)}, "classes is 99999999999999999999: expected numbers, such as 7"),
        ({"classes": ("1", "#ff8000")}, "classes has numbers and colours"),
        ({"classes": tuple(map(str, range(257)))}, "classes has 257 names: expected 256 at most"),
        ({"classes": ("1", "7", "01")}, "classes has 01 twice: expected each class once"),
        ({"classes": ("#ff8000", "#FF8000")}, "classes has #FF8000 twice: expected each class once"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError) as problem:
        ImageToImageConfig(**{**SMALL, **settings})
    assert message in str(problem.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style_weight": 3.0}, "style_weight is 3.0: expected with task style, and this is task colorize"),
        ({"task": "paired", "factor": 2}, "factor is 2: expected with task enlarge, and this is task paired"),
        ({"task": "labels", "blocks": 2}, "blocks is 2: expected with task enlarge or unpaired or style, and this is"),
        ({"task": "style", "depth": 3}, "depth is 3: expected with task colorize or inpaint or paired, and this is"),
        ({"task": "unpaired", "l1": 0.0}, "l1 is 0.0: expected with task colorize or"),
        ({"task": "unpaired", "classes": ("1", "2")}, "classes is ('1', '2'): expected with task labels"),
    ],
)
def test_settings_of_other_tasks_are_refused(settings, message):
    with pytest.raises(UserError) as problem:
        configure("image-to-image", model={**SMALL, **settings})
    assert message in str(problem.value)


@pytest.mark.parametrize(("name", "value"), [("blocks", 7), ("depth", 3), ("scales", 2), ("factor", 2)])
def test_a_setting_is_for_the_tasks_whose_networks_it_changes(name, value):
    def sizes(config):
        modality = ImageToImage(config)
        networks = [modality.generator(), *([modality.discriminator()] if modality.adversarial else [])]
        return [sum(weight.numel() for weight in network.parameters()) for network in networks]

    for task in TASKS:
        config = ImageToImageConfig(task=task, generator_width=2, discriminator_width=2)
        config = replace(config, classes=("0", "1")) if task == "labels" else config
        other = replace(config, **{name: value})
        assert (sizes(config) != sizes(other)) == (task in TASKS_OF_SETTING[name]), task


def test_settings_of_a_recipe_are_left_with_another_task():
    recipe = configure("image-to-image", model={"task": "unpaired", "blocks": 3})
    assert parse(["--model.task", "colorize"], recipe, "multigan train", "").model.task == "colorize"
    with pytest.raises(UserError, match="blocks is 2: expected with task enlarge"):
        parse(["--model.task", "colorize", "--model.blocks", "2"], recipe, "multigan train", "")


def test_saved_settings_of_other_tasks_are_left(models, tmp_path):
    """Files have all settings, and a default may have been another when they were written."""
    folder = shutil.copytree(models["colorize"], tmp_path / "run")
    for file in (folder / "config.yaml", folder / "model" / "config.json"):
        text = file.read_text()
        assert text.count("style_weight") == 1
        file.write_text(re.sub(r"(style_weight\W+)[0-9.]+", r"\g<1>0.125", text))
    assert load(folder).modality.config.style_weight == read_run(folder).model.style_weight == 0.125
    resumed = parse(["--resume", str(folder), "--steps", "100"], configure("image-to-image"), "multigan train", "")
    assert resumed.model.style_weight == 0.125


def test_least_patches_are_those_of_the_networks():
    """What the configuration allows can be built and used at the least resolution."""
    for layers, scales in ((1, 1), (2, 1), (1, 3), (3, 2)):
        side = least_side(layers, scales)
        if side >= 16:
            config = ImageToImageConfig(resolution=side, patch_layers=layers, scales=scales, discriminator_width=2)
            heads = (
                ImageToImage(config).discriminator()(torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)).heads
            )
            assert len(heads) == scales
            with pytest.raises(UserError, match="fewer layers or scales"):
                ImageToImageConfig(resolution=max(side - 1, 16), patch_layers=layers + (side == 16), scales=scales)


def test_unreadable_datasets_are_refused_in_one_line(command, tmp_path):
    (tmp_path / "empty").mkdir()
    output = tmp_path / "run"
    assert "nothing usable in the folder" in refused(command, output, "--dataset", tmp_path / "empty")
    photos = save(tmp_path / "photos", count=3)
    paired = ("--dataset", tmp_path / "two", "--model.task", "paired")
    save(tmp_path / "two" / "A")
    save(tmp_path / "two" / "B")
    noise((24, 20)).save(tmp_path / "two" / "A" / "3.png")
    message = refused(command, output, *paired)
    assert "A/3.png" in message and "input and target differ in size: 20 x 24 and 24 x 24 pixels" in message
    (tmp_path / "two" / "A" / "3.png").unlink()
    (tmp_path / "two" / "B" / "5.png").unlink()
    assert "2 files have no partner" in refused(command, output, *paired)
    assert all(name in refused(command, output, *paired) for name in ("A/5.png", "B/3.png"))
    unpaired = ("--dataset", photos, "--model.task", "unpaired")
    assert "need two folders, such as A and B" in refused(command, output, *unpaired)
    (tmp_path / "two" / "A" / "5.png").unlink()
    (tmp_path / "two" / "B" / "3.png").unlink()
    labels = refused(command, output, "--dataset", tmp_path / "two", "--model.task", "labels")
    assert "one colour per class, and there are more than 256 colours" in labels


def test_maps_with_classes_that_are_not_named_are_refused(command, tmp_path):
    save(tmp_path / "labels" / "maps", lambda seed: numbered(seed=seed))
    save(tmp_path / "labels" / "photos")
    labels = ("--dataset", tmp_path / "labels", "--model.task", "labels", "--model.classes")
    message = refused(command, tmp_path / "run", *labels, '["0", "1"]')
    assert "the label map has number 7 at row" in message and "expected one of 0, 1" in message
    message = refused(command, tmp_path / "run", *labels, '["sky", "road"]')
    assert "classes is sky: expected numbers, such as 7, or colours, such as #ff8000" in message


def test_what_a_task_cannot_do_is_refused(command, tmp_path):
    photos, output = ("--dataset", save(tmp_path / "photos")), tmp_path / "run"
    assert "unknown setting model.conditional" in refused(command, output, *photos, "--model.conditional", "true")
    assert "ada_target is 0.6" in refused(command, output, *photos, "--ada_target", 0.6)
    assert "this discriminator is told what each sample" in refused(command, output, *photos, "--replay", 8)
    assert "no styles" in refused(command, output, *photos, "--path_length", 1)
    style = (*photos, "--model.task", "style", "--steps", 0, "--pretraining_steps", 2, "--model.style_picture")
    assert "style_picture gone.png: No such file or directory" in refused(command, output, *style, "gone.png")
    noise((30, 5)).save(tmp_path / "thin.png")
    assert "5 x 30 pixels" in refused(command, output, *style, tmp_path / "thin.png")
    save(tmp_path / "two" / "A", count=2)
    save(tmp_path / "two" / "B", count=2)
    unpaired = ("--dataset", tmp_path / "two", "--model.task", "unpaired")
    assert "no pretraining" in refused(command, output, *unpaired, "--pretraining_steps", 2)


def test_a_stream_of_two_domains_is_refused(command, tmp_path):
    rows = [{"a": noise(seed=seed), "b": noise(seed=seed)} for seed in range(4)]
    features = datasets.Features(a=datasets.Image(), b=datasets.Image())
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "t.parquet")
    flags = ("--dataset", tmp_path / "t.parquet", "--streaming", "true", "--model.task", "unpaired")
    assert "which a stream does not allow" in refused(command, tmp_path / "run", *flags)


def test_the_task_stays_on_resume(command, models):
    found = command("train", "image-to-image", "--resume", models["colorize"], "--model.task", "inpaint", "--steps", 2)
    assert "another model.task: colorize -> inpaint" in found.error


def test_that_the_task_stays_is_said_before_what_is_wrong_with_the_other(command, models):
    """Neither the data nor the settings of this run suit it."""
    flags = "train", "image-to-image", "--resume"
    for task, other in (("colorize", "unpaired"), ("labels", "colorize")):
        found = command(*flags, models[task], "--model.task", other)
        assert f"another model.task: {task} -> {other}" in found.error
    found = command(*flags, models["unpaired"], "--model.task", "paired", "--model.blocks", 3)
    assert "another model.task: unpaired -> paired" in found.error and "model.blocks: 6 -> 3" in found.error


@pytest.mark.parametrize("task", ["colorize", "unpaired"])
def test_one_picture_is_a_dataset(command, tmp_path, task):
    """Nothing can be held out of it, so previews show what is trained on."""
    for name in "AB":
        save(tmp_path / "one" / name, count=1)
    dataset = tmp_path / "one" if task == "unpaired" else tmp_path / "one" / "A"
    flags = ("--dataset", dataset, "--model.task", task, "--output", tmp_path / "run")
    found = command("train", "image-to-image", *FLAGS, *flags)
    assert found.code == 0, found.err
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    found = command("generate", "--model", tmp_path / "run", "--out", tmp_path / "out")
    assert "give --input, as nothing is held out" in found.error


def test_domains_without_true_pairs_are_compared_as_a_whole(command, tmp_path):
    save(tmp_path / "two" / "A", count=13)
    save(tmp_path / "two" / "B", lambda seed: noise(seed=seed + 50), count=13)
    flags = ("--dataset", tmp_path / "two", "--model.task", "unpaired", "--evaluate_every", 1)
    found = command("train", "image-to-image", *FLAGS, *flags, "--output", tmp_path / "run")
    assert found.code == 0 and "frechet distance" in found.out, found
    found = command("evaluate", tmp_path / "run")
    assert found.code == 0, found.err
    assert "there are no true pairs" in found.out and "PSNR" not in found.out


def test_configuration_is_of_this_modality():
    config = configure("image-to-image", model={"task": "labels"})
    assert isinstance(config, TrainingConfig) and config.dataset == "facades"


def test_colour_is_found_behind_many_grey_pairs(tmp_path):
    for side in "AB":
        (tmp_path / side).mkdir()
        for number in range(80):
            mode, color = ("RGB", (200, 10, 10)) if side == "B" and number == 79 else ("L", number)
            Image.new(mode, (16, 16), color).save(tmp_path / side / f"{number:02d}.png")
    modality = ImageToImage(ImageToImageConfig(task="paired", **SMALL))
    modality.fit(load_dataset(modality, str(tmp_path), None, "train", False, lambda note: None))
    assert (modality.config.input_channels, modality.config.channels) == (1, 3)
