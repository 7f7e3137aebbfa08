"""Holds decoding: the same rows, in order, from threads and from other processes, and what goes wrong in one."""

import os
import signal

import pytest

from multigan.data import decoding
from multigan.data.cache import cached
from multigan.data.decoding import decoded
from multigan.data.load import load
from multigan.errors import UserError
from multigan.modalities.image import Image, ImageConfig

COUNT = 3 * decoding.ROWS + 5  # that many rows do not come out even


@pytest.fixture
def by_processes(monkeypatch):
    """Two processes decode all rows."""
    monkeypatch.setattr(decoding, "PATIENCE", 0.0)
    monkeypatch.setattr(decoding, "available_cores", lambda: 2)
    monkeypatch.setattr(decoding, "can_fork", lambda: True)


class Watched(Image):
    """Pictures; notes the process that encodes each."""

    def encode(self, row):
        return {**super().encode(row), "process": os.getpid()}


class Killed(Image):
    """Pictures; the process that comes to the 150th is killed."""

    def encode(self, row):
        found = super().encode(row)
        if found["real"][0, 0, 0] == 150:
            os.kill(os.getpid(), signal.SIGKILL)
        return found


class Refusing(Image):
    """Pictures; none is wanted."""

    def encode(self, row):
        raise UserError("nothing of this is wanted")


def opened(folder, modality=Image):
    """The dataset of a folder and a modality fitted to it."""
    made = modality(ImageConfig(resolution=16))
    dataset = load(made, str(folder), None, "train", False)
    made.fit(dataset)
    return dataset, made


def test_threads_and_processes_give_the_same_rows_and_digest(pictures, monkeypatch, by_processes):
    folder = pictures(*(f"{number:04d}.png" for number in range(COUNT)))
    dataset, modality = opened(folder)
    apart = cached(dataset, modality, False)
    assert apart.real[:, 0, 0, 0].tolist() == list(range(COUNT))
    monkeypatch.setattr(decoding, "PATIENCE", 1000.0)
    monkeypatch.setenv("MULTIGAN_CACHE", str(folder / "cache"))
    assert cached(dataset, modality, False).digest == apart.digest


def test_all_processes_take_their_share(pictures, by_processes):
    dataset, modality = opened(pictures(*(f"{number:04d}.png" for number in range(COUNT))), Watched)
    processes = {int(outcome["process"]) for outcome in decoded(dataset, modality)}
    assert os.getpid() not in processes and len(processes) == 2


def test_broken_row_in_another_process_is_named(pictures, by_processes):
    folder = pictures(*(f"{number:04d}.png" for number in range(COUNT)))
    (folder / "0190.png").write_bytes((folder / "0190.png").read_bytes()[:40])
    dataset, modality = opened(folder)
    with pytest.raises(UserError, match=r"row 191 \(.*0190.png\): .*--skip_corrupt"):
        cached(dataset, modality, False)
    found = cached(dataset, modality, True)
    assert found.skipped == 1 and len(found) == COUNT - 1


def test_killed_process_is_one_line(pictures, by_processes):
    dataset, modality = opened(pictures(*(f"{number:04d}.png" for number in range(COUNT))), Killed)
    with pytest.raises(UserError, match="decoding stopped"):
        cached(dataset, modality, False)


def test_error_for_the_user_in_another_process_is_its_own_line(pictures, by_processes):
    dataset, modality = opened(pictures(*(f"{number:04d}.png" for number in range(COUNT))), Refusing)
    with pytest.raises(UserError, match=r"^nothing of this is wanted$"):
        cached(dataset, modality, False)
