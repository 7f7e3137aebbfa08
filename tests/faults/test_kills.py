"""A run that is killed at random moments is resumed from the newest complete checkpoint, and ends as if it had not."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from multigan import configure, files
from multigan.engine import checkpoint
from multigan.generation.generator import TrainedGenerator
from multigan.training import run

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kills.py"


def kills(count, seed=0):
    """The table of the benchmark, by the words of its rows."""
    found = subprocess.run(
        [sys.executable, BENCHMARK, "--kills", str(count), "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"
    rows = [line.strip("| ").split(" | ") for line in found.stdout.splitlines() if line.startswith("| ")]
    return {name: int(value) for name, value, *_ in rows if value.isdecimal()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kills():
    found = kills(100)
    assert found["kills"] == 100 and found["of them inside a save"] >= 30 and found["times resumed"] >= 50


class Killed(BaseException):
    """The end of a process in the middle of something."""


def test_a_kill_within_the_last_save_leaves_a_run_that_can_be_completed(tmp_path, monkeypatch):
    few = {"tracker": "none", "batch_size": 8, "model": {"architecture": "mlp", "resolution": 16}}
    training = configure("image", output=str(tmp_path / "killed"), steps=2, checkpoint_every=1, **few)
    whole = run.train(dataclasses.replace(training, output=str(tmp_path / "whole")))
    run.train(dataclasses.replace(training, steps=1))
    resumed = dataclasses.replace(training, output=None, resume=training.output)
    saved = []

    def killed_after_the_first(save):
        def changed(*arguments):
            if saved:
                raise Killed
            saved.append(save(*arguments))

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed_after_the_first(checkpoint.save))
        patch.setattr(TrainedGenerator, "save", killed_after_the_first(TrainedGenerator.save))
        patch.setattr(checkpoint.Writer, "submit", lambda self, work: work())
        with pytest.raises(Killed):
            run.train(resumed)
    assert saved
    ended = run.train(resumed)
    model = "model/model.safetensors"
    assert (ended / model).read_bytes() == (whole / model).read_bytes()


@pytest.mark.parametrize("first", ["manifest.json", "network.safetensors"])
def test_a_kill_while_an_old_checkpoint_is_removed_leaves_nothing_behind(tmp_path, monkeypatch, first):
    tensors = {"network": {"weight": torch.zeros(2)}}
    for step in range(1, checkpoint.KEPT + 1):
        checkpoint.save(tmp_path, step, tensors, {})

    def killed(folder, *arguments, **options):
        if Path(folder).exists():
            (Path(folder) / first).unlink()
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            checkpoint.save(tmp_path, checkpoint.KEPT + 1, tensors, {})
    files.clean(tmp_path)  # as a resumed run does
    kept = {f"step-{step}" for step in range(2, checkpoint.KEPT + 2)}
    assert {path.name for path in tmp_path.iterdir()} == kept
