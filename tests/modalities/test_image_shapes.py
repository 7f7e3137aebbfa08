"""Holds pictures that are not square, transparent ones, and 16 bits: from the file to the file that is written."""

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multigan.data.cache import cached
from multigan.data.load import load
from multigan.errors import UserError
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig, augmentation
from multigan.pictures import decoding, output


def there_and_back(tmp_path, picture, **settings):
    """The pixels of a picture after cache and writer, and what is said of the data."""
    picture.save(tmp_path / "1.png")
    modality, said = ImageModality(ImageConfig(**settings)), []
    rows = cached(load(modality, str(tmp_path), None, "train", False), modality, False, said.append)
    folder = tmp_path / "written"
    folder.mkdir()
    samples = modality.to_sample(torch.from_numpy(rows.real[:].copy()))
    assert samples.min() >= -1 and samples.max() <= 1
    (file,) = modality.save([samples], folder)
    return numpy.asarray(Image.open(file)), said


@pytest.mark.parametrize("sides", [(48, 80), (16, 16), (64, 24)])
def test_16_bits_come_through_to_the_bit(tmp_path, sides):
    values = numpy.random.default_rng(0).integers(0, 65536, sides).astype(numpy.uint16)
    values[0, :2] = 0, 65535
    written, said = there_and_back(tmp_path, Image.fromarray(values), resolution="x".join(map(str, sides)), bits=16)
    assert written.dtype == numpy.uint16 and (written == values).all()
    assert "grey of 16 bits" in said[0]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 65535))
def test_every_16_bit_value_is_itself_again(value):
    sample = ImageModality(ImageConfig(bits=16)).to_sample(torch.tensor([[[[value]]]], dtype=torch.int32))
    assert numpy.asarray(output.pictures(sample, 16)[0])[0, 0] == value


def test_8_bit_pictures_fill_the_range_of_16(tmp_path):
    written, _ = there_and_back(tmp_path, Image.new("L", (16, 16), 200), resolution=16, bits=16)
    assert (written == 200 * 257).all()


def test_transparency_is_kept_and_what_it_hides_is_not(tmp_path):
    values = numpy.random.default_rng(0).integers(0, 256, (48, 80, 4)).astype(numpy.uint8)
    values[:10, :, 3] = 0
    written, said = there_and_back(tmp_path, Image.fromarray(values), resolution="48x80", channels=4)
    seen = values[..., 3] > 0
    assert (written[..., 3] == values[..., 3]).all() and (written[seen] == values[seen]).all()
    assert (written[~seen, :3] == 255).all() and "composited" not in said[0]


def test_without_a_channel_for_it_transparency_is_white_and_said(tmp_path):
    written, said = there_and_back(tmp_path, Image.new("RGBA", (16, 16), (9, 9, 9, 0)), resolution=16)
    assert (written == 255).all() and "transparency composited on white in 1" in said[0]


@pytest.mark.parametrize(
    ("fit", "corner", "middle", "said"),
    [("crop", 0, 0, "center cropped"), ("pad", 255, 0, "padded"), ("stretch", 0, 0, "stretched")],
)
def test_another_shape_is_cropped_padded_or_stretched(tmp_path, fit, corner, middle, said):
    written, notes = there_and_back(tmp_path, Image.new("L", (40, 40), 0), resolution="16x32", fit=fit)
    assert written.shape == (16, 32)
    assert (written[0, 0], written[8, 16]) == (corner, middle) and said in notes[0]


def test_padding_is_transparent_where_there_is_transparency():
    padded = decoding.pixels(Image.new("RGBA", (16, 16), (9, 9, 9, 255)), (16, 32), 4, "pad")
    assert padded[:, 0, 0].tolist() == [255, 255, 255, 0] and padded[:, 0, 16].tolist() == [9, 9, 9, 255]


def test_stretching_keeps_the_whole_picture_and_cropping_its_middle():
    halves = numpy.zeros((16, 64), numpy.uint8)
    halves[:, 32:] = 255
    halves[:, :16] = 128  # outside of the middle
    assert decoding.pixels(Image.fromarray(halves), (16, 16), 1, "stretch")[0, 0, 1] == 128
    assert decoding.pixels(Image.fromarray(halves), (16, 32), 1, "crop")[0, 0, 2] == 0


@pytest.mark.parametrize(
    ("resolution", "sides"),
    [(32, (32, 32)), ("32", (32, 32)), ("48x80", (48, 80)), ("40x64", (40, 64)), (48, (48, 48))],
)
def test_resolutions_that_can_be_halved_are_taken(resolution, sides):
    modality = ImageModality(ImageConfig(resolution=resolution, channels=1))
    assert modality.config.sides == sides
    samples = modality.generator()(torch.zeros(16, modality.config.latent_dim), None)
    assert samples.shape == (16, 1, *sides) and modality.discriminator()(samples, None).shape == (16,)
    assert modality.classifier()(samples).shape == (16, 128)


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        ("36x64", "nearest, 32x64"),
        (17, "16, 32, 64"),
        ("8x64", "sides of 16 to 512"),
        ("64X96", "height x width"),
        ("big", "height x width"),
        ("", "height x width"),
    ],
)
def test_other_resolutions_are_refused_with_one_that_works(resolution, said):
    with pytest.raises(UserError, match=said):
        ImageConfig(resolution=resolution)


def test_any_sides_will_do_for_fully_connected_networks():
    assert ImageConfig(resolution="17x33", architecture="mlp").sides == (17, 33)


@pytest.mark.parametrize("fields", [{"bits": 16, "channels": 3}, {"channels": 2}])
def test_channels_that_cannot_be_are_refused(fields):
    with pytest.raises(UserError, match="channels"):
        ImageConfig(**fields)


def test_a_rectangle_is_turned_without_being_sheared():
    # A square mark in the middle of a wide picture, turned by 90 degrees, is the same square.
    picture = torch.full((1, 1, 32, 64), -1.0)
    picture[:, :, 12:20, 28:36] = 1
    numbers = torch.tensor([[0.75, 0.5, 0.5, 0.5]])  # half of the largest angle
    turned = augmentation.affine(picture, numbers, 180, 0, 0)
    torch.testing.assert_close(turned, picture, atol=1e-4, rtol=0)


def test_colour_is_changed_and_transparency_is_not():
    picture = torch.rand(2, 4, 8, 8)
    changed = augmentation.color(picture, torch.tensor([[0.9, 0.1, 0.7]] * 2), 0.5)
    assert (changed[:, 3] == picture[:, 3]).all() and (changed[:, :3] - picture[:, :3]).abs().min() > 0
