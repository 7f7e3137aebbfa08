"""Holds pictures from arrays that numpy saved."""

import nibabel
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
            r"labels in .* are int64 \(3,\): expected 2, one for each picture",
        ),
        ({"images": numpy.array([None, {}])}, "cannot read"),
    ],
    ids=["fractions", "negative", "none", "labels", "objects"],
)
def test_what_is_no_picture_is_refused(tmp_path, arrays, said):
    numpy.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=said):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["cat", "dog", "cat"], ("cat", "dog")),
        ([b"cat", b"dog", b"cat"], ("cat", "dog")),
        ([3.0, 7.0, 3.0], ("3", "7")),
    ],
    ids=["text", "bytes", "floats"],
)
def test_labels_are_texts_or_whole_numbers_of_any_type(tmp_path, labels, names):
    numpy.savez(tmp_path / "a.npz", images=values(3, 16, 16), labels=numpy.array(labels))
    modality, data = read(tmp_path / "a.npz", conditional=True)
    assert modality.config.classes == names and data.label.tolist() == [0, 1, 0]


def test_labels_that_are_no_classes_do_not_matter_where_none_are_needed(tmp_path):
    numpy.savez(tmp_path / "a.npz", images=values(3, 16, 16), labels=numpy.array([0.5, 1.5, 2.5]))
    assert read(tmp_path / "a.npz")[1].label is None
    with pytest.raises(UserError, match="column 'label' holds"):
        read(tmp_path / "a.npz", conditional=True)


def test_two_files_of_arrays_are_refused_with_their_names(tmp_path):
    for name in ("a.npz", "b.npz"):
        numpy.savez(tmp_path / name, images=values(3, 16, 16))
    with pytest.raises(UserError, match=r"has 2 files of arrays, such as a\.npz and b\.npz: name one with --dataset"):
        read(tmp_path)


def test_damaged_files_and_missing_splits_are_one_line(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not what it says")
    with pytest.raises(UserError, match=r"cannot read .*a\.npz"):
        read(tmp_path / "a.npz")
    numpy.savez(tmp_path / "b.npz", train_images=values(2, 16, 16), test_images=values(2, 16, 16))
    with pytest.raises(NoSplitError, match="no split 'validation': it has test, train"):
        read(tmp_path / "b.npz", "validation")


# --- NIfTI ---


def volume(file, values, affine=None, **header):
    """A NIfTI file of values ``(right, front, up)``, or along the axes of an affine."""
    image = nibabel.Nifti1Image(values, numpy.eye(4) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, file)


def test_slices_of_a_volume_are_pictures_with_the_front_up(tmp_path):
    values = numpy.zeros((16, 16, 3), numpy.int16)
    values[2, 13, 1], values[2, 13, 2] = (
        1000,
        500,
    )  # to the right of the least, near the front; the lowest slice is empty
    volume(tmp_path / "a.nii.gz", values)
    _, data = read(tmp_path / "a.nii.gz", bits=16)
    assert data.real.shape == (2, 1, 16, 16)
    assert (data.real[0, 0, 2, 2], data.real[1, 0, 2, 2]) == (65535, round(65535 / 2))
    assert data.real.astype(int).sum() == 65535 + round(65535 / 2)


def test_a_volume_along_other_axes_is_turned(tmp_path):
    values = numpy.random.default_rng(0).integers(0, 1000, (16, 16, 4)).astype(numpy.int16)
    volume(tmp_path / "a.nii", values)
    turned = numpy.diag([-1.0, -1.0, -1.0, 1.0])  # left, back and down are positive
    volume(tmp_path / "b.nii", values[::-1, ::-1, ::-1], turned)
    assert (read(tmp_path / "a.nii", bits=16)[1].real == read(tmp_path / "b.nii", bits=16)[1].real).all()


def test_the_range_that_a_volume_declares_is_shown(tmp_path):
    values = numpy.full((16, 16, 1), 100, numpy.float32)
    values[0, 0], values[1, 0], values[2, 0] = 0, 50, 400
    volume(tmp_path / "a.nii", values, cal_min=0, cal_max=200)
    row = read(tmp_path / "a.nii", bits=16)[1].real[0, 0, 15, :4] / 65535
    assert row == pytest.approx([0, 0.25, 1, 0.5], abs=1e-4)


def test_a_folder_of_volumes_has_classes_and_splits(tmp_path):
    values = numpy.random.default_rng(0).integers(0, 1000, (16, 16, 2)).astype(numpy.int16)
    for name in ("train/ill/1.nii.gz", "train/well/2.NII", "test/ill/3.nii"):
        volume(tmp_path / name, values)
    modality, data = read(tmp_path, conditional=True)
    assert modality.config.classes == ("ill", "well") and data.label.tolist() == [0, 0, 1, 1]
    assert len(read(tmp_path, "test")[1]) == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (numpy.zeros((16, 16, 2, 2), numpy.int16), r"is \(16, 16, 2, 2\): expected three dimensions"),
        (numpy.full((16, 16, 2), numpy.nan, numpy.float32), "finite"),
        (numpy.ones((16, 16, 2), numpy.int16), "all slices of .* are of one value"),
    ],
    ids=["four dimensions", "not finite", "empty"],
)
def test_volumes_that_are_no_pictures_are_refused(tmp_path, values, said):
    volume(tmp_path / "a.nii", values)
    with pytest.raises(UserError, match=said):
        read(tmp_path / "a.nii")


def test_a_damaged_volume_is_one_line(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(UserError, match=r"cannot read .*a\.nii\.gz: "):
        read(tmp_path / "a.nii.gz")


def test_booleans_are_black_and_white(tmp_path):
    numpy.savez(tmp_path / "a.npz", numpy.array([[[True, False], [False, True]]]))
    _, found = read(tmp_path / "a.npz", fit="stretch")
    assert found.real[0, 0, ::15, ::15].tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize(
    ("shape", "kind"), [((2, 8, 8, 2), "uint8"), ((2, 8, 8, 5), "uint8"), ((2, 8, 8, 3), "uint16")]
)
def test_channels_that_no_picture_has_are_one_line(tmp_path, shape, kind):
    numpy.save(tmp_path / "a.npy", numpy.full(shape, 255 if kind == "uint8" else 999, kind))
    with pytest.raises(UserError, match="expected 1, 3 or 4 channels; of 16 bits, 1"):
        read(tmp_path / "a.npy")
