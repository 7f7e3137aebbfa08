"""Holds what is said of a dataset of pictures against the pictures."""

import io

import datasets
import pytest
from PIL import Image
from small import table

from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.pictures.digits import digits


def encoded(picture):
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def fitted_note(modality, dataset):
    (note,) = modality.fit(dataset)
    return note


def test_a_run_says_how_many_pictures_of_what_sizes_and_classes():
    note = fitted_note(ImageModality(ImageConfig(resolution=16)), digits())
    assert note.startswith("1,797 pictures of 8 x 8 pixels; each as 16 x 16, grey; 10 classes, not used")


def test_augmentation_is_not_advised_where_it_is_on():
    assert "so few" not in fitted_note(ImageModality(ImageConfig(resolution=16, rotation=10.0)), digits())


def test_transparency_and_mixed_sizes_are_reported():
    cells = [Image.new("RGBA", (20, 30)), Image.new("L", (10, 40)), Image.new("RGB", (64, 8))]
    features = datasets.Features(image=datasets.Image())
    note = fitted_note(ImageModality(), datasets.Dataset.from_dict({"image": cells}, features))
    assert note.startswith(
        "3 pictures of 40 x 10 to 30 x 20 pixels; each as 32 x 32, colour, center cropped; transparency "
    )
    assert "composited on white in 1;" in note


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([(20, 1), (1, 300)], "of 1 x 20 to 300 x 1 pixels"),  # PIL writes width x height
        ([(20, 40), (40, 20)], "of 20 x 40 to 40 x 20 pixels; each as 16 x 16, grey, center cropped"),
        ([(8, 8), (32, 32)], "of 8 x 8 to 32 x 32 pixels; each as 16 x 16, grey;"),
    ],
)
def test_the_sizes_that_are_reported_occur(sizes, said):
    cells = [Image.new("L", size) for size in sizes]
    dataset = datasets.Dataset.from_dict({"image": cells}, datasets.Features(image=datasets.Image()))
    assert said in fitted_note(ImageModality(ImageConfig(resolution=16)), dataset)


def test_pictures_that_cannot_be_read_have_no_size():
    dataset = table(image=([{"bytes": b"x", "path": None}], datasets.Image(decode=False)))
    assert fitted_note(ImageModality(), dataset).startswith("1 picture, none of which can be read; each as")


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG"])
def test_later_frames_are_reported(kind):
    file = io.BytesIO()
    frames = [Image.new("L", (16, 16), grey) for grey in (0, 100, 200)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    cells = [{"bytes": content, "path": None} for content in (file.getvalue(), encoded(frames[0]))]
    dataset = table(image=(cells, datasets.Image(decode=False)))
    note = fitted_note(ImageModality(ImageConfig(resolution=16)), dataset)
    assert "the first frame or page alone of 1 that have several" in note
