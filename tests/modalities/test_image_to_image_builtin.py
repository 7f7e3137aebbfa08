"""Holds the built-in datasets against what is said of them: splits, columns, sizes, and that nothing leaks."""

import io

import datasets
import numpy
import pytest
from PIL import Image

from multigan.modalities.image_to_image import builtin, facade


@pytest.fixture(autouse=True, scope="module")
def caches(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


def opened(cell):
    return Image.open(io.BytesIO(cell["bytes"]))


def pixels(cell):
    return numpy.asarray(opened(cell))


@pytest.mark.parametrize(
    ("made", "train", "test", "columns"),
    [
        (builtin.photographs, 2170, 558, ["image"]),
        (builtin.edges_to_photographs, 1450, 193, ["input", "target"]),
        (builtin.facades, 1000, 200, ["input", "target"]),
        (builtin.digits, 1437, 360, ["image", "label"]),
        (builtin.styled_digits, 1437, 720, ["image", "domain", "label", "pair"]),
    ],
)
def test_splits_columns_and_fingerprints(made, train, test, columns):
    first, again = made(), made()
    assert {split: len(rows) for split, rows in first.items()} == {"train": train, "test": test}
    assert first["train"].column_names == first["test"].column_names == columns
    assert [rows._fingerprint for rows in first.values()] == [rows._fingerprint for rows in again.values()]


def test_no_pixel_of_a_photograph_is_in_both_splits():
    whole = {split: [part.size for part in builtin.parts(split)] for split in ("train", "test")}
    assert whole == {"train": [(480, 427)] * 2, "test": [(160, 427)] * 2}  # of 640
    first = next(builtin.photograph_rows("train"))["image"]
    part = numpy.asarray(next(builtin.parts("train")))
    assert (pixels(first) == part[:64, :64]).all() and pixels(first).shape == (64, 64, 3)


def test_edges_are_dark_lines_where_a_picture_changes_and_white_elsewhere():
    values = numpy.full((40, 60, 3), 200, numpy.uint8)
    values[:, 30:] = 20
    drawn = numpy.asarray(builtin.edges(Image.fromarray(values)))
    assert drawn.shape == (40, 60) and drawn[:, :27].min() == drawn[:, 33:].min() == 255
    dark = drawn[20] < 128
    assert 1 <= dark.sum() <= 2 and dark[29:31].any()  # a thin line at the border
    transposed = numpy.asarray(builtin.edges(Image.fromarray(values.transpose(1, 0, 2))))
    assert (transposed[:, 20] < 128).sum() == dark.sum()


def test_a_steeper_edge_is_a_darker_line_and_a_change_of_colour_alone_is_one():
    def darkest(*colours):
        picture = Image.new("RGB", (20, 20), colours[0])
        picture.paste(colours[1], (10, 0, 20, 20))
        return int(numpy.asarray(builtin.edges(picture)).min())

    black, grey, white = (0, 0, 0), (60, 60, 60), (255, 255, 255)
    assert darkest(black, white) < darkest(black, grey) < 255 == darkest(grey, grey)
    assert darkest((200, 0, 0), (0, 102, 0)) < 100  # nearly the same grey


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK"])
def test_any_picture_has_edges(mode):
    drawn = builtin.edges(Image.new(mode, (7, 1)))
    assert drawn.size == (7, 1) and drawn.mode == "L"


def test_drawings_belong_to_their_crops():
    row = next(builtin.edge_rows("test"))
    inner = numpy.s_[8:-8, 8:-8]
    redrawn = numpy.asarray(builtin.edges(opened(row["target"])))
    assert (redrawn[inner] == pixels(row["input"])[inner]).all()
    assert pixels(row["input"]).mean() <= 255 * (1 - builtin.LEAST)


def test_a_facade_has_all_that_makes_a_house_and_materials_by_its_map():
    seen = set()
    for number in range(40):
        classes, picture = facade.facade(number)
        assert classes.shape == (64, 64) and picture.shape == (64, 64, 3) and picture.dtype == numpy.uint8
        found = set(numpy.unique(classes).tolist())
        assert {facade.SKY, facade.ROOF, facade.WALL, facade.WINDOW, facade.DOOR, facade.PAVEMENT} <= found
        seen |= found
        # The map explains most of the picture: less varies within its classes than in all.
        within = sum(picture[classes == one].var(0).sum() * (classes == one).mean() for one in found)
        assert within < 0.75 * picture.reshape(-1, 3).var(0).sum()
    assert seen == set(range(len(facade.CLASSES)))


def test_facades_differ_and_are_the_same_again():
    first, second = facade.facade(0), facade.facade(1)
    assert (first[0] != second[0]).any() and (first[1] == facade.facade(0)[1]).all()
    assert (first[1] != facade.facade(0, seed=1)[1]).any()


def test_the_label_map_is_a_palette_picture_of_class_numbers():
    row = next(builtin.facade_rows(1000, 1))
    label_map = opened(row["input"])
    assert label_map.mode == "P" and (numpy.asarray(label_map) == facade.facade(1000)[0]).all()
    assert label_map.convert("RGB").getpixel((0, 0)) == facade.CLASSES["sky"]


def test_styled_digits_have_no_pairs_to_train_on_and_all_to_test_with():
    splits = builtin.styled_digits()
    train, test = splits["train"], splits["test"]
    assert len(set(train["pair"][:])) == len(train) and not set(train["pair"][:]) & set(test["pair"][:])
    assert sum(train["domain"][:]) == 718
    for number in (0, 100, 359):
        plain, other = test[number], test[360 + number]
        assert (plain["domain"], other["domain"]) == (0, 1)
        assert plain["pair"] == other["pair"] and plain["label"] == other["label"]
        assert (numpy.asarray(builtin.styled(opened(plain["image"]))) == pixels(other["image"])).all()


def test_a_styled_digit_is_thicker_and_inverted():
    picture = Image.new("L", (32, 32))
    picture.paste(255, (14, 4, 18, 28))
    styled = numpy.asarray(builtin.styled(picture))
    assert (
        styled.shape == (32, 32, 3)
        and tuple(styled[0, 0]) == (250, 240, 214)
        and tuple(styled[16, 16]) == (64, 16, 110)
    )
    dark = styled[16].sum(-1) < 300
    assert dark.sum() > 4  # the stroke was four pixels wide
