"""Holds datasets of generated samples to the samples themselves, whoever writes which shard, and after a stop."""

import csv
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import datasets
import numpy
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from multigan import load
from multigan.errors import UserError
from multigan.files import ASIDE
from multigan.generation import provenance, shards
from multigan.generation.generator import TrainedGenerator
from multigan.generation.shards import Request, place, prepare, write
from multigan.modalities.image import Image as Images
from multigan.modalities.image import ImageConfig

RECORD = {"model": "tiny", "weights": "0"}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shards of 32 samples."""
    monkeypatch.setattr(shards, "MOST", 32)


@pytest.fixture(scope="module")
def pictures():
    torch.manual_seed(0)
    config = ImageConfig(resolution=16, channels=1, generator_width=2, conditional=True, classes=("a", "b", "c"))
    modality = Images(config)
    return TrainedGenerator("image", modality, modality.generator().eval())


def made(request, folder, form):
    """Write what is missing; the numbers of these shards."""
    parts = prepare(request, folder, form)
    missing = [shard for shard in range(len(parts)) if not place(folder, form, shard, parts).exists()]
    for shard in missing:
        write(request, folder, form, shard, parts)
    return missing


def contents(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("count", [1, 32, 33, 70])
def test_table_has_the_samples_and_their_classes(pictures, tmp_path, count):
    request = Request(pictures, count, ["c", "a"], {"seed": 5}, RECORD)
    assert made(request, tmp_path / "out", "parquet") == list(range(-(-count // 32)))
    table = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert table.features["label"].names == ["a", "b", "c"] and len(table) == count
    for number, (row, expected) in enumerate(zip(table, pictures.generate(count, 5, ["c", "a"]), strict=True)):
        assert numpy.array_equal(numpy.asarray(row["image"]), numpy.asarray(expected))
        assert row["label"] == (2, 0)[number % 2]
    last = max((tmp_path / "out").glob("*.parquet"))
    start = (count - 1) // 32 * 32
    assert provenance.read(last) == {**RECORD, "seed": 5, "sample": start, "samples": count - start}


def test_tar_has_a_picture_and_a_class_for_each_number(pictures, tmp_path):
    made(Request(pictures, 40, None, {"seed": 0}, RECORD), tmp_path, "webdataset")
    with tarfile.open(tmp_path / "train-00001-of-00002.tar") as tar:
        names = tar.getnames()
        assert names == [f"{number:09d}{end}" for number in range(32, 40) for end in (".png", ".label.json")]
        picture = tar.extractfile(names[0]).read()
        assert tar.extractfile(names[1]).read() == b'"c"'
    expected = pictures.generate(33)[32]
    assert numpy.array_equal(numpy.asarray(Image.open(io.BytesIO(picture))), numpy.asarray(expected))


def test_folder_has_files_that_say_what_made_them(pictures, tmp_path):
    made(Request(pictures, 40, ["b"], {"seed": 2, "truncation": None}, RECORD), tmp_path, "imagefolder")
    folder = tmp_path / "train" / "00001"
    with (folder / "metadata.csv").open() as opened:
        assert [row["label"] for row in csv.DictReader(opened)] == ["b"] * 8
    assert provenance.read(folder / "000003.png") == {**RECORD, "seed": 2, "sample": 35, "label": "b"}
    made(
        Request(pictures, 40, ["b"], {"seed": 2, "truncation": None}, RECORD, False), tmp_path / "silent", "imagefolder"
    )
    with pytest.raises(UserError, match="does not say"):
        provenance.read(tmp_path / "silent" / "train" / "00001" / "000003.png")


@pytest.mark.parametrize("form", shards.FORMS)
def test_goes_on_where_it_was_stopped_with_the_same_bytes(pictures, tmp_path, form):
    request = Request(pictures, 100, None, {"seed": 0}, RECORD)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    made(request, whole, form)
    parts = prepare(request, broken, form)
    write(request, broken, form, 2, parts)
    (broken / f"{ASIDE}stopped").mkdir()  # as a process that was killed leaves it
    assert made(request, broken, form) == [0, 1, 3]
    assert contents(broken) == contents(whole)
    assert not list(broken.glob(".*")), "nothing is left over"


def test_another_request_in_the_folder_is_refused(pictures, tmp_path):
    prepare(Request(pictures, 40, None, {"seed": 0}, RECORD), tmp_path / "out", "parquet")
    for other in (
        Request(pictures, 41, None, {"seed": 0}, RECORD),
        Request(pictures, 40, None, {"seed": 1}, RECORD),
        Request(pictures, 40, ["a"], {"seed": 0}, RECORD),
        Request(pictures, 40, None, {"seed": 0}, {**RECORD, "weights": "1"}),
        Request(pictures, 40, None, {"seed": 0}, RECORD, marked=False),
    ):
        with pytest.raises(UserError, match="in another way"):
            prepare(other, tmp_path / "out", "parquet")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        prepare(Request(pictures, 40, None, {"seed": 0}, RECORD), tmp_path / "full", "parquet")


def test_large_samples_make_small_shards(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST", 4096)
    monkeypatch.setattr(shards, "VALUES", 16 * 16 * 100)  # of 16 x 16 pixels: 100 samples, so 96
    parts = prepare(Request(pictures, 200, None, {"seed": 0}, RECORD), tmp_path, "parquet")
    assert [len(part) for part in parts] == [96, 96, 8]


def test_sentences_are_rows_of_text(tmp_path):
    generator = load("starter/text")
    made(Request(generator, 33, None, {"seed": 3}, RECORD), tmp_path / "table", "parquet")  # one in the last shard
    files = sorted((tmp_path / "table").glob("*.parquet"))
    found = [text for file in files for text in pyarrow.parquet.read_table(file)["text"].to_pylist()]
    assert found == generator.generate(33, 3)
    with pytest.raises(UserError, match="for pictures and sounds"):
        made(Request(generator, 33, None, {"seed": 3}, RECORD), tmp_path / "folder", "imagefolder")
    assert not (tmp_path / "folder").exists(), "so that the right format can go there"


def test_sentences_keep_their_line_breaks(tmp_path, monkeypatch):
    generator = load("starter/text")
    monkeypatch.setattr(generator.modality, "to_outputs", lambda batch: ["one\n\u2028two"] * len(batch))
    made(Request(generator, 2, None, {"seed": 3}, RECORD), tmp_path, "parquet")
    (file,) = tmp_path.glob("*.parquet")
    assert pyarrow.parquet.read_table(file)["text"].to_pylist() == ["one\n\u2028two"] * 2


def test_sounds_are_read_again(tmp_path):
    import soundfile

    generator = load("starter/audio")
    made(Request(generator, 3, ["kick"], {"seed": 0}, RECORD), tmp_path, "parquet")
    (file,) = tmp_path.glob("*.parquet")
    cell = pyarrow.parquet.read_table(file)["audio"].to_pylist()[2]
    samples, rate = soundfile.read(io.BytesIO(cell["bytes"]))
    (expected,) = generator.generate(3, 0, "kick")[2:]
    assert rate == 8000 and numpy.abs(samples - expected["array"]).max() < 1e-4


@pytest.mark.slow
def test_two_processes_write_the_files_of_one(tmp_path):
    root = Path(__file__).parents[2]
    flags = ["--model", "starter/image", "-n", "4128", "--format", "parquet", "--out"]
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    two = [*launch, "--config_file", str(root / "configs/accelerate/cpu.yaml"), "-m", "multigan", "generate", *flags]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    subprocess.run([*two, tmp_path / "two"], check=True, capture_output=True, env=environment)
    subprocess.run(
        [sys.executable, "-m", "multigan", "generate", *flags, tmp_path / "one"], check=True, capture_output=True
    )
    assert len(contents(tmp_path / "one")) == 3
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    failed = subprocess.run([*two, tmp_path], check=False, capture_output=True, text=True, env=environment)
    assert failed.returncode and "is not empty" in failed.stderr and "multigan: error" in failed.stderr
