"""Folders of small pictures, each of a grey of its own, and a cache folder for each test."""

import datasets
import numpy
import pytest
from PIL import Image

from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.modalities.text import Text, TextConfig


@pytest.fixture(autouse=True)
def caches(tmp_path_factory, monkeypatch):
    """Neither multigan nor `datasets` finds what another test, or the user, has left."""
    folder = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("MULTIGAN_CACHE", str(folder / "multigan"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
    return folder / "multigan"


@pytest.fixture
def image():
    """The modality, for pictures of 16 x 16."""
    return ImageModality(ImageConfig(resolution=16))


@pytest.fixture
def text():
    """The modality of sentences."""
    return Text(TextConfig())


@pytest.fixture
def pictures(tmp_path):
    """Writes PNG files under a folder, the n-th all of grey n; returns the folder."""

    def write(*names, folder="pictures"):
        root = tmp_path / folder
        for grey, name in enumerate(names):
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(numpy.full((16, 16), grey, numpy.uint8)).save(file, "PNG")
        return root

    return write


@pytest.fixture
def parquet(tmp_path):
    """Writes a parquet file of n pictures, the i-th all of grey i and label i % 2; returns the file."""

    def write(count, name="data.parquet"):
        cells = [Image.fromarray(numpy.full((16, 16), grey, numpy.uint8)) for grey in range(count)]
        features = datasets.Features(picture=datasets.Image(), kind=datasets.ClassLabel(names=["even", "odd"]))
        dataset = datasets.Dataset.from_dict(
            {"picture": cells, "kind": [grey % 2 for grey in range(count)]}, features=features
        )
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        dataset.to_parquet(file)
        return file

    return write
