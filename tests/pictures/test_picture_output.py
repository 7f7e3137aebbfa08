"""Holds what comes out as pictures: values, numbered files written as they come, and the size of the grid."""

from concurrent.futures import ThreadPoolExecutor as Threads

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multigan.pictures import output


def opened(file):
    """The picture in a file, read whole, so that the file is closed."""
    with Image.open(file) as picture:
        picture.load()
        return picture


def test_ends_and_middle_of_the_range():
    samples = torch.tensor([-1.0, 0.0, 1.0, 1.5, -3.0, 0.5]).view(1, 1, 2, 3)
    (picture,) = output.pictures(samples)
    found = numpy.asarray(picture).flatten().tolist()
    assert picture.mode == "L" and found[0] == 0 and found[1] in (127, 128) and found[2:5] == [255, 255, 0]
    assert found[5] == 191  # 0.75 x 255 = 191.25


def test_colour_keeps_the_order_of_its_channels():
    samples = torch.stack([torch.full((4, 4), value) for value in (-1.0, 1.0, 0.2)])[None]
    (picture,) = output.pictures(samples)
    assert picture.mode == "RGB" and picture.getpixel((1, 2)) == (0, 255, 153)


@settings(deadline=None, max_examples=20)
@given(channels=st.sampled_from([1, 3]), height=st.integers(1, 9), width=st.integers(1, 9), count=st.integers(1, 5))
def test_pixels_come_back_as_they_were(channels, height, width, count):
    pixels = torch.randint(0, 256, (count, channels, height, width), generator=torch.Generator().manual_seed(height))
    found = output.pictures(pixels / 127.5 - 1)
    for picture, expected in zip(found, pixels, strict=True):
        array = numpy.asarray(picture).reshape(height, width, channels)
        assert numpy.array_equal(array, expected.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("processes", ["1", "1000"])
def test_files_are_numbered_across_batches_and_written_as_the_batches_come(tmp_path, monkeypatch, processes):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)  # that share the cores
    pools = []
    monkeypatch.setattr("multigan.files.ThreadPoolExecutor", lambda threads: pools.append(threads) or Threads(threads))
    levels = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 1, 4, 4)

    def batches():
        # More batches than fit in memory may come: one may still be being written while the next is made, no more.
        for before_last, start, stop in ((0, 0, 2), (0, 2, 3), (2, 3, 5)):
            written = {file.name for file in tmp_path.iterdir()}
            assert {f"{number:06d}.png" for number in range(before_last)} <= written, "a batch was taken too early"
            yield levels[start:stop]

    files = output.save(batches(), tmp_path)
    assert files == [tmp_path / f"{number:06d}.png" for number in range(5)]
    assert [opened(file).getpixel((0, 0)) for file in files] == [0, 64, 128, 191, 255]
    assert pools == ([3] if processes == "1" else []), "threads, where there are cores for them"


@pytest.mark.parametrize(
    ("count", "side", "columns", "size"),
    [
        # Sides of 16 are shown three times as large, 48; 2 pixels lie between and around: 3 x 50 + 2, 2 x 50 + 2.
        (5, 16, None, (152, 102)),
        (9, 16, None, (152, 152)),
        (20, 16, 10, (502, 102)),
        (4, 64, None, (134, 134)),
        # 20 needs three times as well: 60.
        (4, 20, None, (126, 126)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_grid_is_as_large_as_its_rows_and_columns(count, side, columns, size, channels, tmp_path):
    files = output.grid(torch.zeros(count, channels, side, side), tmp_path / "step-000001", columns)
    assert files == [tmp_path / "step-000001.png"]
    assert opened(files[0]).size == size


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_of_one_shows_it_enlarged(channels, tmp_path):
    (file,) = output.grid(torch.full((1, channels, 16, 16), -1.0), tmp_path / "one")
    picture = opened(file)
    assert min(picture.size) >= 48 and picture.convert("L").getpixel((24, 24)) == 0


def test_grid_shows_sample_after_sample_in_rows(tmp_path):
    levels = torch.tensor([-1.0, -0.5, 0.0, 0.5]).view(4, 1, 1, 1).expand(4, 1, 48, 48)
    (file,) = output.grid(levels, tmp_path / "order")
    picture = opened(file).convert("L")
    middles = [picture.getpixel(place) for place in ((26, 26), (76, 26), (26, 76), (76, 76))]
    assert middles == [0, 64, 128, 191]
    assert picture.getpixel((0, 0)) == 255  # white lies between


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(2, 9),
    columns=st.integers(1, 12),
    height=st.sampled_from([48, 50]),
    channels=st.sampled_from([1, 3]),
)
def test_grid_is_that_of_torchvision(tmp_path_factory, count, columns, height, channels):
    from torchvision.utils import make_grid

    samples = torch.rand(count, channels, height, 49, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (file,) = output.grid(samples, tmp_path_factory.mktemp("grid") / "grid", columns)
    (expected,) = output.pictures(make_grid(samples, nrow=columns, padding=2, pad_value=1.0)[None])
    assert numpy.array_equal(numpy.asarray(opened(file).convert("RGB")), numpy.asarray(expected.convert("RGB")))
