"""Folders that multigan 0.1 wrote still load, resume and are evaluated: `tests/fixtures/v0.1` has some of each kind."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from multigan import TrainingConfig, config, legacy, load
from multigan.evaluation import report
from multigan.training import run
from multigan.training.run_folder import read_metrics

FIXTURES = Path(__file__).parent / "fixtures" / "v0.1"
FOLDERS = sorted(folder.name for folder in FIXTURES.iterdir())
EVALUATED = ["audio", "image", "text"]
QUICK = ["image", "text"]


@pytest.fixture
def old(tmp_path):
    """Copies one of the folders."""
    return lambda name: shutil.copytree(FIXTURES / name, tmp_path / name)


def test_there_are_folders_of_each_modality():
    assert {name.partition("_")[0] for name in FOLDERS} == {"audio", "image", "text"}


@pytest.mark.parametrize("name", FOLDERS)
def test_model_generates_what_it_did(name, monkeypatch):
    expected, model = load_file(FIXTURES / name / "expected.safetensors")["samples"], load(FIXTURES / name)
    monkeypatch.setattr(type(model.modality), "finish", None)  # what the network makes
    found = torch.cat(list(model.batches(3, seed=3)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FOLDERS]
)
def test_run_is_resumed_under_the_new_names(name, old):
    folder = old(name)
    before = config.read(folder)
    total = before.pretraining_steps + before.steps
    run.train(TrainingConfig(**{**vars(before), "resume": str(folder), "steps": before.steps + 1}))
    lines = [line for line in read_metrics(folder) if "note" not in line]
    assert [line["step"] for line in lines] == list(range(1, total + 2))
    assert all(("pretraining_loss" in line) == (line["step"] <= before.pretraining_steps) for line in lines)
    text = (folder / "config.yaml").read_text() + (folder / "metrics.jsonl").read_text()
    assert not any(old_name in text for old_name in ("warmup_steps", "warmup_loss", "longer:", "architecture: gan"))
    assert load(folder).training["steps"] == total + 1


@pytest.mark.parametrize("name", EVALUATED)
def test_evaluation_is_read_under_the_new_names(name):
    found = report.read(FIXTURES / name)
    assert {"memorization", "kernel_distance_std", "recall"} <= found.generated.keys() & found.baseline.keys()
    assert not set(legacy.METRICS) & (found.generated.keys() | found.baseline.keys())
    assert "baseline" not in found.table()  # "real" is what the column is called


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EVALUATED]
)
def test_old_run_is_evaluated(name, old, command):
    folder = old(name)
    (folder / "evaluation.json").unlink()
    found = command("evaluate", folder, "-n", 40)
    assert found.code == 0, found.err
    assert "recall" in report.read(folder).generated


def test_settings_of_0_1_are_renamed_and_others_left_alone():
    old = {"modality": "text", "warmup_steps": 3, "steps": 1, "model": {"longer": "cut", "length": 9}}
    new = {"modality": "text", "pretraining_steps": 3, "steps": 1, "model": {"overlong": "truncate", "length": 9}}
    assert legacy.settings(old) == legacy.settings(new) == new


def test_state_of_0_1_is_renamed():
    old = {"returns": 1, "meter": [{"d_fake warmup_loss": [[1.0, 2.0], [1.0, 1.0]]}]}
    assert legacy.state(old) == {"rollbacks": 1, "meter": [{"d_fake pretraining_loss": [[1.0, 2.0], [1.0, 1.0]]}]}
