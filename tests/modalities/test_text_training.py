"""Trains text as users do: in half precision, and stopped in the middle of a warm-up."""

import dataclasses
import json
import math

import pytest
from accelerate.state import AcceleratorState, GradientState

from multigan import configure
from multigan.testing import assert_same_run
from multigan.training import run

NETWORKS = [
    {"architecture": "lstm"},
    {"architecture": "transformer", "layers": 1, "discriminator": "transformer"},
    {"architecture": "relational", "estimator": "soft"},
]


def tiny(folder, model, **settings):
    small = {"generator_width": 8, "discriminator_width": 8, "length": 8}
    few = {
        "pretraining_steps": 3,
        "steps": 2,
        "batch_size": 16,
        "log_every": 1,
        "checkpoint_every": 2,
        "sample_every": 100,
    }
    return configure("text", model=small | model, output=str(folder), tracker="none", **few | settings)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def half_precision(monkeypatch):
    def forget():
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    yield lambda: (forget(), monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no"))
    forget()


@pytest.mark.parametrize(
    "model",
    [NETWORKS[0], *(pytest.param(network, marks=pytest.mark.slow) for network in NETWORKS[1:])],
    ids=["lstm", "transformer", "relational"],
)
def test_half_precision_trains_nearly_as_full(tmp_path, half_precision, model):
    rough = lines(run.train(tiny(tmp_path / "rough", model, r1=0.1)))
    half_precision()
    exact = lines(run.train(tiny(tmp_path / "exact", model, r1=0.1)))
    for one, other in zip(rough, exact, strict=True):
        losses = [name for name in other if name.endswith("loss")]
        assert losses and all(math.isfinite(one[name]) for name in losses)
        assert [one[name] for name in losses] == pytest.approx([other[name] for name in losses], rel=0.05)
        assert one["generator_steps_dropped"] == 0
    assert rough[0]["pretraining_loss"] != exact[0]["pretraining_loss"], "bf16 is on, or this shows nothing"


class LostPowerError(Exception):
    pass


@pytest.mark.parametrize(
    "model", [NETWORKS[0], pytest.param(NETWORKS[1], marks=pytest.mark.slow)], ids=["lstm", "transformer"]
)
def test_a_run_that_ends_in_its_warmup_goes_on_as_if_it_had_not(tmp_path, monkeypatch, model):
    whole = run.train(tiny(tmp_path / "whole", model))
    play = run.Run.play

    def lose_power(self, number):
        if number == 2:
            raise LostPowerError
        return play(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "play", lose_power)
        with pytest.raises(LostPowerError):
            run.train(tiny(tmp_path / "part", model))
    part = run.train(dataclasses.replace(tiny(None, model), output=None, resume=str(tmp_path / "part")))
    assert_same_run(whole, part)
