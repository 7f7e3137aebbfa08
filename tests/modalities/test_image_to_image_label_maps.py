"""Holds label maps of numbers, palettes and colours against the class numbers that they stand for."""

import io

import datasets
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small import table

from multigan.errors import UserError
from multigan.modalities.image_to_image import label_maps

PICTURE = datasets.Image(decode=False)


def file(picture, kind="PNG"):
    written = io.BytesIO()
    picture.save(written, kind)
    return {"bytes": written.getvalue(), "path": None}


def maps(*pictures):
    return table(map=([one if isinstance(one, dict) else file(one) for one in pictures], PICTURE))


def palette(values, *colours):
    picture = Image.fromarray(numpy.asarray(values, numpy.uint8), "P")
    picture.putpalette([value for colour in colours for value in colour])
    return picture


RED, BLUE = (255, 0, 0), (0, 0, 255)
NUMBERS = numpy.array([[0, 7], [255, 7]], numpy.uint8)


def test_greys_are_numbers_and_their_places_the_classes():
    found = label_maps.find(maps(Image.fromarray(NUMBERS), Image.new("L", (2, 2), 9)), "map")
    assert found.names == ("0", "7", "9", "255") and found.note == "4 classes by number: 0, 7, 9, 255"
    encoded = label_maps.encode(file(Image.fromarray(NUMBERS)), found.names, (2, 2))
    assert encoded.dtype == numpy.uint8 and encoded.tolist() == [[0, 1], [3, 1]]


def test_a_palette_is_its_numbers_and_not_its_colours():
    picture = palette([[1, 0], [2, 1]], RED, RED, BLUE)
    assert label_maps.find(maps(picture), "map").names == ("0", "1", "2")
    assert label_maps.encode(file(picture), ("0", "1", "2"), (2, 2)).tolist() == [[1, 0], [2, 1]]


def test_numbers_of_16_bits_and_of_one_are_numbers():
    deep = Image.fromarray(numpy.array([[0, 1000], [40000, 0]], numpy.uint16))
    assert label_maps.find(maps(deep), "map").names == ("0", "1000", "40000")
    assert label_maps.encode(file(deep), ("0", "1000", "40000"), (2, 2)).tolist() == [[0, 1], [2, 0]]
    assert label_maps.find(maps(Image.fromarray(NUMBERS > 0)), "map").names == ("0", "1")


def test_one_map_with_colours_makes_all_of_them_colours():
    picture = Image.new("RGB", (2, 2), RED)
    picture.putpixel((1, 0), BLUE)
    found = label_maps.find(
        maps(palette([[0, 0], [0, 1]], RED, (0, 255, 0)), picture, Image.new("L", (2, 2), 16)), "map"
    )
    assert found.names == ("#0000ff", "#00ff00", "#101010", "#ff0000") and "by colour" in found.note
    assert label_maps.encode(file(picture), found.names, (2, 2)).tolist() == [[3, 0], [3, 3]]
    assert label_maps.encode(file(palette([[0, 1]], RED, BLUE)), found.names, (1, 2)).tolist() == [[3, 0]]


@pytest.mark.parametrize("alpha", [0, 255])
def test_transparency_does_not_count(alpha):
    assert label_maps.find(maps(Image.new("RGBA", (2, 2), (*RED, alpha))), "map").names == ("#ff0000",)


def test_the_order_of_the_rows_does_not_matter():
    rows = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE, (9, 9, 9))]
    assert label_maps.find(maps(*rows), "map").names == label_maps.find(maps(*rows[::-1]), "map").names


def test_an_unknown_colour_or_number_is_named_with_its_place():
    picture = Image.new("RGB", (4, 3), RED)
    picture.putpixel((2, 1), BLUE)
    with pytest.raises(ValueError, match="colour #0000ff at row 1, column 2: expected one of #00ff00, #ff0000"):
        label_maps.encode(file(picture), ("#00ff00", "#ff0000"), (3, 4))
    with pytest.raises(ValueError, match="number 7 at row 0, column 1"):
        label_maps.encode(file(Image.fromarray(NUMBERS)), ("0", "255"), (2, 2))
    with pytest.raises(ValueError, match="has colours"):
        label_maps.encode(file(picture), ("0", "1"), (3, 4))


def test_more_than_256_classes_are_refused_and_jpeg_explained():
    noise = numpy.random.default_rng(0).integers(0, 256, (32, 32, 3), numpy.uint8)
    with pytest.raises(UserError, match=r"more than 256 colours$"):
        label_maps.find(maps(Image.fromarray(noise)), "map")
    with pytest.raises(UserError, match="JPEG changes colours: save them as PNG"):
        label_maps.find(maps(file(Image.fromarray(noise), "JPEG")), "map")


def test_broken_maps_are_left_to_the_encoder_and_none_at_all_are_refused():
    broken = {"bytes": b"broken", "path": None}
    assert label_maps.find(maps(broken, Image.new("L", (2, 2), 3)), "map").names == ("3",)
    with pytest.raises(UserError, match="no label map in column map can be read"):
        label_maps.find(maps(broken), "map")


def test_a_stream_is_looked_at_from_its_beginning():
    dataset = maps(Image.new("L", (2, 2), 3)).to_iterable_dataset()
    found = label_maps.find(dataset, "map")
    assert found.names == ("3",) and "1 label maps that were looked at" in found.note


def test_maps_of_pairs_are_the_inputs():
    both = numpy.zeros((2, 4), numpy.uint8)
    both[:, 2:] = 5
    dataset = table(**{"target|input": ([file(Image.fromarray(both))], PICTURE)})
    assert label_maps.find(dataset, ["target|input"]).names == ("5",)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12),
    st.sampled_from(["crop", "stretch", "pad"]), st.integers(0, 2**32 - 1), st.booleans(),
)  # fmt: skip
def test_resizing_never_mixes_classes(height, width, high, wide, fit, seed, coloured):
    random = numpy.random.default_rng(seed)
    codes = numpy.array([0x000000, 0x808080, 0xFFFFFF]) if coloured else numpy.array([0, 100, 200])
    places = random.integers(0, 3, (height, width))
    if coloured:
        found = codes[places]
        picture = Image.fromarray(numpy.stack([found >> 16, found >> 8 & 255, found & 255], -1).astype(numpy.uint8))
        names = tuple(f"#{code:06x}" for code in codes)
    else:
        picture, names = Image.fromarray(codes[places].astype(numpy.uint8)), tuple(map(str, codes))
    scale = min(high / height, wide / width)
    if fit == "pad" and min(height, width) * scale < 0.51:
        return  # too thin: below
    encoded = label_maps.encode(picture, names, (high, wide), fit)
    assert encoded.shape == (high, wide) and encoded.dtype == numpy.uint8
    assert set(encoded.flatten().tolist()) <= {*places.flatten().tolist(), *([3] if fit == "pad" else [])}
    if (high, wide) == (height, width):
        assert (encoded == places).all()


def test_padding_is_a_class_more_and_cropping_takes_the_middle():
    values = numpy.array([[1, 0, 0, 1]] * 2, numpy.uint8)
    picture = Image.fromarray(values)
    assert label_maps.encode(picture, ("0", "1"), (2, 2), "crop").tolist() == [[0, 0]] * 2
    assert label_maps.encode(picture, ("0", "1"), (4, 4), "pad").tolist() == [[2] * 4, *values.tolist(), [2] * 4]
    with pytest.raises(ValueError, match="255 classes"):
        label_maps.encode(Image.new("L", (1, 2)), tuple(map(str, range(256))), (4, 4), "pad")


def test_a_map_of_which_padding_leaves_nothing_is_refused_in_words():
    with pytest.raises(ValueError, match=r"1 x 300 pixels .* too long and thin to be padded to 32 x 32"):
        label_maps.encode(Image.new("L", (300, 1)), ("0",), (32, 32), "pad")
