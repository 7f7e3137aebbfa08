"""Holds DICOM files, written by pydicom, against what a viewer shows of them."""

import io

import numpy
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from multigan.data.cache import cached
from multigan.data.load import load
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.pictures import decoding


def written(file, values, bits=12, **fields):
    """A DICOM file of stored values ``(H, W)`` or ``(H, W, 3)``."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.Rows, found.Columns = values.shape[-3:-1] if values.ndim == 3 else values.shape
    colour = values.ndim == 3
    found.SamplesPerPixel, found.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    found.PixelRepresentation = int(values.dtype.kind == "i")
    found.BitsAllocated = values.dtype.itemsize * 8
    found.BitsStored, found.HighBit = bits, bits - 1
    if colour:
        found.PlanarConfiguration = 0
    found.PixelData = values.tobytes()
    for name, value in fields.items():
        setattr(found, name, value)
    found.save_as(file, enforce_file_format=True)
    return file


STORED = (numpy.arange(256, dtype=numpy.uint16) * 16).reshape(16, 16)  # 0 to 4,080 of 4,095


def shown(value, bits=16):
    return decoding.pixels(value, (16, 16), 1, bits=bits)[0].astype(float) / (2**bits - 1)


def test_without_a_window_the_stored_range_is_shown(tmp_path):
    file = written(tmp_path / "a.dcm", STORED)
    assert shown(file) == pytest.approx(STORED / 4095, abs=1e-4)
    assert shown(file, 8) == pytest.approx(STORED / 4095, abs=1 / 255)
    assert (shown(file.read_bytes()) == shown(file)).all()


def test_signed_values_begin_below_zero(tmp_path):
    file = written(tmp_path / "a.dcm", (STORED.astype(numpy.int16) - 2048))
    assert shown(file) == pytest.approx(STORED / 4095, abs=1e-4)


def test_slope_and_intercept_come_before_the_window(tmp_path):
    # Stored 1,000 is 2 * 1,000 - 1,024 = 976; a window of 401 about it reaches from 775.5 to 1,175.5.
    values = numpy.full((16, 16), 1000, numpy.uint16)
    values[0, :4] = 850, 900, 1099, 1150
    file = written(
        tmp_path / "a.dcm",
        values,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        WindowCenter=[976, 40],
        WindowWidth=[401, 80],
    )
    assert shown(file)[0, :5] == pytest.approx([0, 0.5 / 400, 398.5 / 400, 1, 200.5 / 400], abs=1e-4)


def test_monochrome1_is_inverted(tmp_path):
    file = written(tmp_path / "a.dcm", STORED, PhotometricInterpretation="MONOCHROME1")
    assert shown(file) == pytest.approx(1 - STORED / 4095, abs=1e-4)


def test_colour_is_colour(tmp_path):
    values = numpy.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(numpy.uint8)
    file = written(tmp_path / "a.dcm", values, bits=8)
    assert (decoding.pixels(file, (16, 16), 3) == values.transpose(2, 0, 1)).all()


def test_folder_of_dicom_trains_in_grey(tmp_path):
    for number in range(3):
        written(tmp_path / f"{number}.DCM", STORED)
    modality = ImageModality(ImageConfig(resolution=16, bits=16))
    rows = cached(load(modality, str(tmp_path), None, "train", False), modality, False)
    assert rows.real.shape == (3, 1, 16, 16) and rows.real.dtype == numpy.uint16


def test_several_frames_and_damaged_files_are_refused(tmp_path):
    frames = written(tmp_path / "a.dcm", STORED, NumberOfFrames=2, PixelData=STORED.tobytes() * 2)
    with pytest.raises(ValueError, match="2 frames: expected one"):
        decoding.pixels(frames, (16, 16), 1)
    (tmp_path / "b.dcm").write_bytes(frames.read_bytes()[:200])
    with pytest.raises(ValueError, match="not a DICOM picture that can be read"):
        decoding.pixels(tmp_path / "b.dcm", (16, 16), 1)
    file = io.BytesIO()
    pydicom.dcmread(frames).save_as(file)
    with pytest.raises(ValueError, match="2 frames"):
        decoding.pixels(file.getvalue(), (16, 16), 1)
