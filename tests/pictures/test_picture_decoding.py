"""Holds how rows become pixels: every kind of picture by exact values, what is refused, and which columns are taken."""

import io
import struct
import zlib

import datasets
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small import table

from multigan import columns
from multigan.errors import UserError
from multigan.pictures import decoding
from multigan.pictures.digits import digits

BROKEN = (OSError, ValueError, SyntaxError)  # what data.cache.attempt takes for an unusable row


def encoded(picture, kind="PNG", **options):
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height, width, *channels):
    return numpy.random.default_rng(0).integers(0, 256, (height, width, *channels), numpy.uint8)


# --- exact values: the picture already has the resolution asked for, so nothing is resampled ---


def test_grey_is_kept():
    grey = noise(16, 16)
    assert numpy.array_equal(decoding.pixels(encoded(Image.fromarray(grey)), (16, 16), 1), grey[None])


def test_rgb_has_its_channels_first():
    colour = noise(16, 16, 3)
    assert numpy.array_equal(decoding.pixels(encoded(Image.fromarray(colour)), (16, 16), 3), colour.transpose(2, 0, 1))


def test_grey_becomes_colour_by_repetition():
    grey = noise(16, 16)
    assert numpy.array_equal(decoding.pixels(encoded(Image.fromarray(grey)), (16, 16), 3), numpy.stack([grey] * 3))


def test_colour_becomes_grey_by_its_luminance():
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B
    for colour, luminance in (((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((255, 255, 255), 255)):
        found = decoding.pixels(encoded(Image.new("RGB", (16, 16), colour)), (16, 16), 1)
        assert set(found.flatten().tolist()) == {luminance}


def palette_picture():
    """Columns of palette entries 0, 1, 2, 3: red, green, blue, black."""
    picture = Image.fromarray(numpy.tile(numpy.arange(4, dtype=numpy.uint8).repeat(4), (16, 1)), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0])
    return picture


def colours(array):
    """The colours of the four quarters of a ``(3, 16, 16)`` array, left to right."""
    return [tuple(array[:, 8, 4 * part + 1].tolist()) for part in range(4)]


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_palette_entries_become_their_colours():
    found = decoding.pixels(encoded(palette_picture()), (16, 16), 3)
    assert colours(found) == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_transparent_palette_entry_becomes_white():
    found = decoding.pixels(encoded(palette_picture(), transparency=3), (16, 16), 3)
    assert colours(found) == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def test_transparent_colour_of_rgb_becomes_white():
    picture = Image.new("RGB", (16, 16), (9, 8, 7))
    assert set(decoding.pixels(encoded(picture, transparency=(9, 8, 7)), (16, 16), 3).flatten().tolist()) == {255}


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0, [255, 255, 255]),
        (255, [0, 51, 102]),
        # 51 / 255 is a fifth: a fifth of the colour and four fifths of white, 204
        (51, [204, 214, 224]),
    ],
)
def test_rgba_lies_on_white(alpha, expected):
    found = decoding.pixels(encoded(Image.new("RGBA", (16, 16), (0, 51, 102, alpha))), (16, 16), 3)
    assert numpy.abs(found.astype(int) - numpy.array(expected)[:, None, None]).max() <= 1
    if alpha in (0, 255):
        assert numpy.array_equal(found[:, 0, 0], expected)


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 100), (128, 177)])
def test_grey_with_alpha_lies_on_white(alpha, expected):
    found = decoding.pixels(encoded(Image.new("LA", (16, 16), (100, alpha))), (16, 16), 1)
    assert found.shape == (1, 16, 16)
    assert set(found.flatten().tolist()) == {expected}


def test_one_bit_is_black_and_white():
    bits = noise(16, 16) > 127
    assert numpy.array_equal(decoding.pixels(encoded(Image.fromarray(bits)), (16, 16), 1)[0], bits * 255)


def test_sixteen_bits_are_scaled_and_not_cut_off():
    deep = (numpy.arange(256, dtype=numpy.uint16) * 257).reshape(16, 16)
    found = decoding.pixels(encoded(Image.fromarray(deep)), (16, 16), 1)
    assert deep.max() == 65535 and numpy.array_equal(found[0].flatten(), numpy.arange(256))


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_ink_becomes_light(ink, expected):
    found = decoding.pixels(encoded(Image.new("CMYK", (16, 16), ink), "TIFF"), (16, 16), 3)
    assert tuple(found[:, 5, 5].tolist()) == expected


@pytest.mark.parametrize(
    ("orientation", "black"),
    # Where the left half of the stored picture is when it is looked at: EXIF 2.3, tag 274.
    [(1, numpy.s_[:, :8]), (3, numpy.s_[:, 8:]), (6, numpy.s_[:8]), (8, numpy.s_[8:])],
)
def test_photograph_comes_upright(orientation, black):
    stored = numpy.full((16, 16), 255, numpy.uint8)
    stored[:, :8] = 0
    exif = Image.Exif()
    exif[274] = orientation
    found = decoding.pixels(encoded(Image.fromarray(stored), "JPEG", exif=exif, quality=100), (16, 16), 1)[0].astype(
        int
    )
    expected = numpy.full((16, 16), 255)
    expected[black] = 0
    assert numpy.abs(found - expected).max() < 10  # JPEG


@pytest.mark.parametrize("upright", [False, True])
def test_middle_is_taken(upright):
    thirds = numpy.zeros((16, 48, 3), numpy.uint8)
    for part in range(3):
        thirds[:, 16 * part : 16 * (part + 1), part] = 255
    picture = Image.fromarray(thirds.transpose(1, 0, 2).copy() if upright else thirds)
    found = decoding.pixels(encoded(picture), (16, 16), 3)
    assert (found[1] == 255).all() and (found[[0, 2]] == 0).all()


MODES = {"1": 1, "L": 200, "LA": (200, 255), "P": 0, "RGB": (10, 200, 30), "RGBA": (10, 200, 30, 255), "I;16": 51400}


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(sorted(MODES)),
    resolution=st.sampled_from([16, 32]),
    channels=st.sampled_from([1, 3]),
)
def test_any_size_becomes_the_resolution_and_one_colour_stays_one_colour(width, height, mode, resolution, channels):
    picture = Image.new(mode, (width, height), MODES[mode])
    found = decoding.pixels(encoded(picture), (resolution, resolution), channels)
    assert found.shape == (channels, resolution, resolution) and found.dtype == numpy.uint8
    assert (found == found[:, :1, :1]).all()
    assert found.flags.c_contiguous


# --- what a cell may hold ---


def test_arrays_lists_pictures_bytes_and_paths_are_the_same_picture(tmp_path):
    colour = noise(16, 16, 3)
    file = tmp_path / "picture.png"
    file.write_bytes(encoded(Image.fromarray(colour)))
    cells = {
        "array": colour,
        "list": colour.tolist(),
        "PIL": Image.fromarray(colour),
        "bytes": file.read_bytes(),
        "path": file,
        "string": str(file),
        "bytes of a row": {"bytes": file.read_bytes(), "path": None},
        "path of a row": {"bytes": None, "path": str(file)},
    }
    for kind, cell in cells.items():
        assert numpy.array_equal(decoding.pixels(cell, (16, 16), 3), colour.transpose(2, 0, 1)), kind


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1)])
def test_grey_arrays_with_and_without_a_channel(shape):
    grey = noise(16, 16)
    assert numpy.array_equal(decoding.pixels(grey.reshape(shape), (16, 16), 1), grey[None])


def test_array_with_alpha_lies_on_white():
    assert set(decoding.pixels(numpy.zeros((16, 16, 4), numpy.uint8), (16, 16), 3).flatten().tolist()) == {255}


@pytest.mark.parametrize(
    "array",
    [
        numpy.zeros(16),
        numpy.zeros((2, 3, 16, 16)),
        numpy.full((16, 16), 256),
        numpy.full((16, 16), -1),
        numpy.zeros((3, 16, 16), numpy.uint8),
        numpy.zeros((0, 16)),
    ],
    ids=["line", "four dimensions", "above 255", "below 0", "channels first", "empty"],
)
def test_arrays_that_are_no_picture_are_refused(array):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        decoding.pixels(array, (16, 16), 3)
    assert str(caught.value)


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": None}])
def test_empty_cell_is_refused(cell):
    with pytest.raises(ValueError, match="empty"):
        decoding.pixels(cell, (16, 16), 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@settings(deadline=None, max_examples=30)
@given(share=st.floats(0, 0.9))
def test_cut_off_picture_is_refused(kind, share):
    whole = encoded(Image.fromarray(noise(32, 32)), kind)
    with pytest.raises(BROKEN):
        decoding.pixels(whole[: int(len(whole) * share)], (32, 32), 1)


def test_text_that_calls_itself_png_is_refused(tmp_path):
    file = tmp_path / "words.png"
    file.write_text("not a picture")
    with pytest.raises(BROKEN):
        decoding.pixels(file, (16, 16), 3)


def test_png_of_a_size_that_fills_the_memory_is_refused_as_a_row_that_cannot_be_used():
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(BROKEN):
        decoding.pixels(bomb + encoded(Image.new("L", (1, 1)))[33:], (16, 16), 1)


# --- columns ---


PICTURE = ([{"bytes": b"x", "path": None}], datasets.Image(decode=False))


def test_column_of_pictures_is_found_by_its_type_before_its_name():
    assert decoding.find_image_column(table(image=["words"], scan=PICTURE), None) == "scan"


@pytest.mark.parametrize("name", decoding.IMAGE_NAMES)
def test_column_of_pictures_is_found_by_its_name(name):
    assert decoding.find_image_column(table(**{"other": [1], name: [[[1]]]}), None) == name


def test_column_of_pictures_that_is_named_is_taken():
    dataset = table(first=PICTURE, second=PICTURE)
    assert decoding.find_image_column(dataset, "second") == "second"


def test_several_columns_of_pictures_are_all_named_in_the_error():
    with pytest.raises(UserError, match=r"several .*first.*second.*image_column"):
        decoding.find_image_column(table(first=PICTURE, second=PICTURE), None)


def test_no_column_of_pictures_names_the_columns_there_are():
    with pytest.raises(UserError, match=r"no column of pictures among: words, number"):
        decoding.find_image_column(table(words=["a"], number=[1]), None)


def test_named_column_that_is_not_there_is_refused():
    dataset = table(image=PICTURE, label=[1])
    with pytest.raises(UserError, match=r"image_column is 'picture'.*image, label"):
        decoding.find_image_column(dataset, "picture")
    with pytest.raises(UserError, match=r"label_column is 'class'.*image, label"):
        columns.find_label_columns(dataset, "class")


def test_columns_are_found_in_any_case_and_with_spaces_around_them():
    assert columns.find_label_columns(table(**{" Label ": ["a"]}), None) == [" Label "]
    assert columns.named(table(Caption=["a"]), "caption", "text_column") == "Caption"


# --- grey or colour ---


def pictures_dataset(colour_at, size=12, colour="RGB"):
    cells = [
        {"bytes": encoded(Image.new(colour if row == colour_at else "L", (2, 2))), "path": None} for row in range(size)
    ]
    return table(image=(cells, datasets.Image(decode=False)))


@pytest.mark.parametrize("streaming", [False, True])
@settings(deadline=None, max_examples=12)
@given(colour_at=st.integers(0, 11), mode=st.sampled_from(["RGB", "RGBA", "P"]))
def test_one_colour_picture_anywhere_makes_the_dataset_colour(streaming, colour_at, mode):
    dataset = pictures_dataset(colour_at, colour=mode)
    assert decoding.scan(dataset.to_iterable_dataset() if streaming else dataset, "image").colour


def test_grey_dataset_has_one_channel_and_broken_pictures_do_not_count():
    grey = [encoded(Image.new(mode, (2, 2))) for mode in ("L", "LA", "1", "I;16")]
    cells = [{"bytes": content, "path": None} for content in [b"broken", *grey]]
    assert not decoding.scan(table(image=(cells, datasets.Image(decode=False))), "image").colour


def test_digits_are_the_1797_of_scikit_learn():
    dataset = digits()
    assert len(dataset) == 1797 and dataset.features["label"].names == [str(digit) for digit in range(10)]
    first = decoding.pixels(dataset[0]["image"], (8, 8), 1)[0]
    # The first digit's first row in scikit-learn: 0 0 5 13 9 1 0 0 of 16.
    assert first[0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0] and dataset[0]["label"] == 0
