"""Holds pictures from arrays that numpy saved."""

import numpy
import pytest

from multigan.data.cache import cached
from multigan.data.load import load
from multigan.errors import NoSplitError, UserError
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig


def read(file, split="train", **settings):
    modality = ImageModality(ImageConfig(**{"resolution": 16, **settings}))
    return modality, cached(load(modality, str(file), None, split, False, lambda note: None), modality, False)


def values(*shape, most=256):
    return numpy.random.default_rng(0).integers(0, most, shape)


@pytest.mark.parametrize("names", ["{}_images {}_labels", "x_{} y_{}"], ids=["MedMNIST", "Keras"])
def test_splits_and_labels_are_known_by_the_names(tmp_path, names):
    file, arrays = tmp_path / "a.npz", {}
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        pictures, labels = names.format(split, split).split()
        arrays |= {pictures: values(count, 16, 16).astype("uint8"), labels: numpy.arange(count)[:, None] % 2}
    numpy.savez(file, **arrays)
    for split, count in (("train", 6), ("validation", 2), ("test", 3)):
        modality, data = read(file, split, conditional=True)
        assert (data.real[:, 0] == values(count, 16, 16)).all() and modality.config.classes == ("0", "1")
        assert data.label.tolist() == [number % 2 for number in range(count)]
    assert len(read(tmp_path, "test")[1]) == 3  # the folder that it is in


@pytest.mark.parametrize("shape", [(3, 16, 16, 3), (3, 3, 16, 16), (3, 16, 16, 1), (3, 1, 16, 16)], ids=str)
def test_channels_are_last_or_first(tmp_path, shape):
    pictures = values(*shape).astype("uint8")
    numpy.save(tmp_path / "a.npy", pictures)
    expected = pictures if shape[1] in (1, 3) else pictures.transpose(0, 3, 1, 2)
    assert (read(tmp_path / "a.npy")[1].real == expected).all()


@pytest.mark.parametrize("kind", ["uint16", "int32", "int64"])
def test_16_bits_are_kept(tmp_path, kind):
    pictures = values(3, 16, 16, most=65536)
    pictures[0] %= 256  # a dark picture is one of 16 bits as well
    numpy.save(tmp_path / "a.npy", pictures.astype(kind))
    assert (read(tmp_path / "a.npy", bits=16)[1].real[:, 0] == pictures).all()
    assert (read(tmp_path / "a.npy")[1].real[0] <= 1).all()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": values(2, 16, 16) / 255.0}, "are float64: expected whole numbers from 0 to 255"),
        ({"images": -values(2, 16, 16)}, "are int64: expected whole numbers"),
        ({"weights": values(2, 3)}, r"no array of pictures .*: weights \(2, 3\)"),
        (
            {"images": values(2, 16, 16), "labels": values(3)},
            r"labels in .* are int64 \(3,\): expected 2 whole numbers",
        ),
        ({"images": numpy.array([None, {}])}, "cannot read"),
    ],
    ids=["fractions", "negative", "none", "labels", "objects"],
)
def test_what_is_no_picture_is_refused(tmp_path, arrays, said):
    numpy.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=said):
        read(tmp_path / "a.npz")


def test_damaged_files_and_missing_splits_are_one_line(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not what it says")
    with pytest.raises(UserError, match=r"cannot read .*a\.npz"):
        read(tmp_path / "a.npz")
    numpy.savez(tmp_path / "b.npz", train_images=values(2, 16, 16), test_images=values(2, 16, 16))
    with pytest.raises(NoSplitError, match="no split 'validation': its splits are test, train"):
        read(tmp_path / "b.npz", "validation")
