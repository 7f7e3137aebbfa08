"""Runs with the stabilizers on: resumed exactly, switched at a resume, and what is refused in one line."""

import copy
import dataclasses
import json

import pytest
import torch

from multigan import config, configure, testing
from multigan.engine.ema import update_average
from multigan.engine.step import Game
from multigan.errors import UserError
from multigan.testing import SAVED, checkpoint_of
from multigan.training import build, run

MODEL = {
    "resolution": 16,
    "architecture": "mlp",
    "generator_width": 4,
    "discriminator_width": 4,
    "latent_dim": 4,
    "rotation": 20.0,
    "shift": 0.1,
}
ALL = {
    "objective": "non_saturating",
    "r1": 0.3,
    "r2": 0.3,
    "penalty_every": 3,
    "label_smoothing": 0.1,
    "label_smoothing_fake": 0.05,
    "lecam": 0.1,
    "historical_averaging": 1e-3,
    "spectral_norm": True,
    "instance_noise": 0.3,
    "instance_noise_steps": 9,
    "ada_target": 0.0,
    "ada_samples": 200,
    "learning_rate_schedule": "cosine",
    "learning_rate_steps": 14,
    "learning_rate_warmup": 3,
    "max_gradient_norm": 5.0,
}
MEMORY = {"lecam", "adaptive", "generator", "discriminator"}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")


def tiny(output=None, **fields):
    """A run of ten steps."""
    model = {**MODEL, **fields.pop("model", {})}
    small = {
        "steps": 10,
        "batch_size": 16,
        "log_every": 1,
        "checkpoint_every": 5,
        "tracker": "none",
        "evaluate_every": 0,
    }
    return configure("image", output=output and str(output), model=model, **{**small, **fields})


def train(training):
    return run.train(training)


def resumed(folder, **fields):
    return train(dataclasses.replace(config.read(folder), resume=str(folder), **fields))


def refused(make):
    """The message of the error, which must be one line."""
    with pytest.raises(UserError) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def memory(folder):
    return checkpoint_of(folder, "memory")


def metrics(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "note" not in line]


# --- all of them ---


def test_a_burn_in_resumes_exactly_and_changes_rates_betas_penalties_and_the_average(tmp_path):
    training = tiny(learning_rate_schedule="constant", betas=(0.0, 0.99), penalty_every=1, steps=4, burn_in_steps=4)
    whole = train(dataclasses.replace(training, output=str(tmp_path / "whole")))
    part = train(dataclasses.replace(training, output=str(tmp_path / "part"), steps=2))
    resumed(part, steps=4)
    testing.assert_same_run(whole, part)
    started = run.Run(dataclasses.replace(config.read(whole), resume=str(whole), steps=8))
    try:
        # Half of the way after half of the steps; the same batch has a penalty by its factor.
        before = copy.deepcopy(started.state.average)
        assert rates(started, 2) == pytest.approx([1e-3 * 0.625] * 2)
        assert started.game.stabilizers.penalty_scale == pytest.approx(0.55)
        # The half-life is half of that of the final decay: its square.
        expected = copy.deepcopy(before)
        update_average(expected, started.game.generator, training.ema_decay**2)
        for one, other in zip(expected.parameters(), started.state.average.parameters(), strict=True):
            torch.testing.assert_close(one, other)
        assert started.game.discriminator_optimizer.param_groups[0]["betas"] == pytest.approx((0.0, 0.945))
        batch = started.game.make_micro_batches(0, graph=False)[0]
        found = []
        for factor in (1.0, 0.55):
            started.game.stabilizers.penalty_scale = factor
            found.append(started.game.penalty(batch.real, batch.fake, batch).item())
        assert found[0] > 0 and found[1] == pytest.approx(0.55 * found[0])
        rates(started, 0)
        for one, other in zip(started.game.generator.parameters(), started.state.average.parameters(), strict=True):
            assert torch.equal(one, other)
    finally:
        started.release()


def test_pretraining_comes_before_a_burn_in(tmp_path):
    fields = {"pretraining_steps": 3, "burn_in_steps": 4, "batch_size": 16, "tracker": "none"}
    started = run.Run(configure("text", output=str(tmp_path / "run"), **fields))
    try:
        for number in range(2):
            started.play(number)
        assert started.game.generator_optimizer.param_groups[0]["betas"] == started.training.betas
        pairs = zip(started.game.generator.parameters(), started.state.average.parameters(), strict=True)
        assert not all(torch.equal(one, other) for one, other in pairs), "it is averaged"
        started.play(3)
        assert started.game.generator_optimizer.param_groups[0]["betas"][1] == 0.9
    finally:
        started.release()


@pytest.mark.parametrize("micro_batches", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_with_all_on_a_resumed_run_is_the_uninterrupted_one(tmp_path, micro_batches):
    training = tiny(**ALL, micro_batches=micro_batches, discriminator_steps=2)
    whole = train(dataclasses.replace(training, output=str(tmp_path / "whole")))
    part = train(dataclasses.replace(training, output=str(tmp_path / "part"), steps=5))
    resumed(part, steps=10)
    testing.assert_same_run(whole, part)
    assert {name.partition(".")[0] for name in memory(whole)} == MEMORY
    for name, value in memory(whole).items():
        assert torch.equal(memory(part)[name], value), name
    last = metrics(whole)[-1]
    assert last["generator_steps_dropped"] == last["discriminator_steps_dropped"] == 0
    assert 0 < max(line["augmentation_probability"] for line in metrics(whole)) <= 1


@pytest.mark.slow
def test_with_all_on_two_processes_are_one_and_resume_as_one(tmp_path):
    training = tiny(**ALL, discriminator_steps=3, micro_batches=2, sample_every=100)
    with testing.double_precision():
        one = train(dataclasses.replace(training, output=str(tmp_path / "one"), micro_batches=1))
    testing.train_in_two_processes(training, tmp_path)
    two, part = tmp_path / "whole", tmp_path / "part"
    for name in (*SAVED, "memory"):
        difference = testing.relative_difference(checkpoint_of(one, name), checkpoint_of(two, name))
        assert difference <= 1e-12, f"{name} of two processes is {difference:.1e} off that of one"
    testing.assert_same_run(two, part)
    assert all(torch.equal(value, memory(two)[name]) for name, value in memory(part).items())


def test_a_run_with_spectral_norm_does_not_depend_on_other_random_numbers(tmp_path):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        folder = run.train(tiny(tmp_path / str(seed), spectral_norm=True, steps=1))
        found.append(checkpoint_of(folder, "discriminator"))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_by_default_nothing_is_remembered(tmp_path):
    folder = train(tiny(tmp_path / "run", steps=1))
    (last,) = (folder / "checkpoints").iterdir()
    assert not (last / "memory.safetensors").exists()
    assert not any("parametrizations" in name for name in checkpoint_of(folder, "discriminator"))
    assert "augmentation_probability" not in metrics(folder)[0]


# --- schedules ---


def rates(started, number):
    started.play(number)
    game: Game = started.game
    return [optimizer.param_groups[0]["lr"] for optimizer in (game.generator_optimizer, game.discriminator_optimizer)]


def test_rates_of_a_run_by_hand(tmp_path):
    falling = {"learning_rate_schedule": "linear", "learning_rate_steps": 10, "learning_rate_warmup": 4}
    own = {"generator_learning_rate": 0.01, "discriminator_learning_rate": 0.02}
    started = run.Run(tiny(tmp_path / "run", **falling, **own))
    expected = {0: 0.25, 1: 0.5 * 0.9, 3: 0.7, 5: 0.5, 10: 0.0, 30: 0.0}
    try:
        for number, share in expected.items():
            assert rates(started, number) == pytest.approx([0.01 * share, 0.02 * share], abs=1e-12), number
    finally:
        started.release()


def test_a_schedule_begins_with_the_game_and_not_with_the_warm_up(tmp_path):
    falling = {"learning_rate_schedule": "linear", "learning_rate_steps": 4, "pretraining_steps": 3, "tracker": "none"}
    training = configure("text", batch_size=16, output=str(tmp_path / "run"), **falling)
    started = run.Run(training)
    try:
        rate = training.generator_learning_rate
        assert [rates(started, number)[0] for number in (0, 2)] == [training.pretraining_learning_rate] * 2
        assert [rates(started, number)[0] for number in (3, 4, 5)] == pytest.approx([rate, 0.75 * rate, 0.5 * rate])
    finally:
        started.release()


def test_rates_fall_over_the_steps_of_the_run_and_an_extended_run_keeps_to_them(tmp_path, capsys):
    falling = {"learning_rate_schedule": "late_linear", "discriminator_learning_rate": 1e-3}
    folder = run.train(tiny(tmp_path / "run", steps=4, **falling))
    training = config.read(folder)
    assert training.learning_rate_steps == 4
    capsys.readouterr()
    started = run.Run(dataclasses.replace(training, resume=str(folder), steps=8))
    assert "the learning rates have fallen by step 4" in capsys.readouterr().out
    try:
        # Constant for 2 steps, then 1 - 0.98 / 2 and 0.02, which stays.
        expected = {0: 1e-3, 2: 1e-3, 3: 0.51e-3, 4: 0.02e-3, 7: 0.02e-3}
        assert {number: rates(started, number)[1] for number in expected} == pytest.approx(expected)
    finally:
        started.release()


LOUD = {"instance_noise": 1e5, "instance_noise_steps": 4}


def first_loss(training, number, rollbacks=0):
    """The discriminator's loss in a step: hundreds with loud noise, and a few with none."""
    started = run.Run(training)
    try:
        started.state.rollbacks = rollbacks
        return float(started.play(number)["discriminator_loss"])
    finally:
        started.release()


def test_noise_is_loud_at_first_and_then_gone(tmp_path):
    assert first_loss(tiny(tmp_path / "first", objective="non_saturating", **LOUD), 0) > 50
    assert first_loss(tiny(tmp_path / "last", objective="non_saturating", **LOUD), 4) < 3


def test_noise_goes_on_after_a_return_to_a_checkpoint(tmp_path):
    assert first_loss(tiny(tmp_path / "run", objective="non_saturating", **LOUD), 0, rollbacks=1) > 50


def test_noise_begins_with_the_game_and_not_with_the_warm_up(tmp_path):
    fields = {"objective": "non_saturating", "pretraining_steps": 4, "batch_size": 16, "tracker": "none", **LOUD}
    assert first_loss(configure("text", output=str(tmp_path / "run"), **fields), 4) > 50


# --- switched at a resume ---


def test_stabilizers_are_turned_on_at_a_resume(tmp_path):
    folder = train(tiny(tmp_path / "run", steps=3, objective="non_saturating"))
    on = {name: ALL[name] for name in ("lecam", "historical_averaging", "ada_target", "ada_samples", "label_smoothing")}
    resumed(folder, steps=5, **on)
    assert {name.partition(".")[0] for name in memory(folder)} == MEMORY
    assert memory(folder)["lecam.count"] == 2


def test_historical_averaging_turned_on_at_a_resume_begins_with_the_weights_as_they_are(tmp_path):
    folder = train(tiny(tmp_path / "run", steps=3, discriminator_learning_rate=0.05))
    resumed(folder, steps=4, historical_averaging=1e-4)
    started = run.Run(tiny(tmp_path / "other"))
    started.release()
    first, second = (
        testing.load_file(folder / "checkpoints" / f"step-{n}" / "discriminator.safetensors") for n in (3, 4)
    )
    for place, (name, _) in enumerate(started.game.discriminator.named_parameters()):
        torch.testing.assert_close(memory(folder)[f"discriminator.{place}"], (first[name] + second[name]) / 2)


def test_stabilizers_are_turned_off_and_begin_anew(tmp_path):
    folder = train(tiny(tmp_path / "run", steps=3, objective="non_saturating", lecam=0.1, ada_target=0.5))
    assert memory(folder)["lecam.count"] == 3
    resumed(folder, steps=4, lecam=0.0)
    assert {name.partition(".")[0] for name in memory(folder)} == {"adaptive"}
    resumed(folder, steps=6, lecam=0.1, ada_target=None)
    assert memory(folder)["lecam.count"] == 2 and set(memory(folder)) == {"lecam.averages", "lecam.count"}


@pytest.mark.parametrize("before", [True, False])
def test_spectral_norm_switched_at_a_resume_is_refused_in_one_line(tmp_path, before):
    folder = train(tiny(tmp_path / "run", steps=2, spectral_norm=before))
    found = refused(lambda: resumed(folder, steps=4, spectral_norm=not before))
    assert f"spectral_norm: {before} -> {not before}" in found
    resumed(folder, steps=4)  # the folder is as it was


# --- refused ---


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"label_smoothing": 0.5}, "label_smoothing is 0.5: expected from 0 to under 0.5"),
        ({"label_smoothing_fake": -0.1}, "label_smoothing_fake is -0.1: expected from 0 to under 0.5"),
        ({"penalty_every": 0}, "penalty_every is 0: expected at least 1"),
        ({"lecam": -1.0}, "lecam is -1.0: expected 0 or more"),
        ({"historical_averaging": -1.0}, "historical_averaging is -1.0: expected 0 or more"),
        ({"instance_noise": float("inf")}, "instance_noise is inf: expected a finite number"),
        ({"instance_noise_steps": 0}, "instance_noise_steps is 0: expected at least 1"),
        ({"ada_target": 2.0}, "ada_target is 2.0: expected between -1 and 1, or null"),
        ({"ada_samples": 0}, "ada_samples is 0: expected at least 1"),
        (
            {"learning_rate_schedule": "cosine", "learning_rate_steps": 0},
            "learning_rate_steps is 0: expected at least 1",
        ),
        (
            {"learning_rate_schedule": "constant", "learning_rate_steps": 5},
            "learning_rate_steps is 5: expected null, with the constant schedule",
        ),
        ({"learning_rate_warmup": -1}, "learning_rate_warmup is -1: expected 0 or more"),
        (
            {"learning_rate_schedule": "cosine", "burn_in_steps": 5},
            "learning_rate_schedule is cosine: expected constant with burn_in_steps",
        ),
        (
            {"learning_rate_schedule": "steep"},
            "learning_rate_schedule is 'steep': expected one of constant, linear, cosine, late_linear",
        ),
        ({"spectral_norm": 1}, "spectral_norm is 1: expected true or false"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_bad_values_are_one_line(fields, expected):
    assert expected in refused(lambda: configure("image", **fields))


@pytest.mark.parametrize("objective", ["hinge", "wasserstein", "relativistic"])
@pytest.mark.parametrize("which", ["label_smoothing", "label_smoothing_fake"])
def test_smoothing_without_targets_is_one_line_and_leaves_nothing(tmp_path, objective, which):
    found = refused(lambda: train(tiny(tmp_path / "run", objective=objective, **{which: 0.1})))
    assert f"objective is {objective}: expected one with targets to smooth" in found
    assert not (tmp_path / "run").exists()


def test_adaptive_augmentation_of_a_modality_without_augmentation_is_one_line():
    assert "modality 'text' has none" in refused(lambda: configure("text", ada_target=0.6))


def test_adaptive_augmentation_with_none_turned_on_is_one_line(tmp_path):
    found = refused(lambda: train(tiny(tmp_path / "run", ada_target=0.6, model={"rotation": 0.0, "shift": 0.0})))
    assert "ada_target is 0.6: expected some augmentation with it" in found
    assert not (tmp_path / "run").exists()


def test_an_objective_is_smoothed_as_configured():
    loss = build.build_objective(tiny(objective="least_squares", label_smoothing=0.1, label_smoothing_fake=0.3))
    assert loss.discriminator(torch.tensor([0.9]), torch.tensor([0.3])).item() == pytest.approx(0, abs=1e-12)
