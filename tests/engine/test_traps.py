"""Each silent trap of two networks, precisions and processes: what the engine makes of it, and what it would be else.

A test takes the engine's protection out, and holds that the figure is then far over what it is with it. What needs two
processes is in `two`, which is started once.
"""

import copy
import dataclasses
import json
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from test_step import Discriminator, batches, build, distance, sgd, weights, with_loss_scale
from torch import nn

from multigan.engine import distributed, launch, penalties, step
from multigan.engine.checkpoint import optimizer_tensors, restore_optimizer
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.step import Game, StepConfig
from multigan.errors import UserError

EXACT = 1e-12  # in float64, of sums taken in another order


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """What `two` measured."""
    file = tmp_path_factory.mktemp("two") / "figures.json"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    done = subprocess.run(
        [sys.executable, "-m", *command, str(Path(__file__).with_name("two.py")), str(file)],
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(file.read_text())


def turned(game, kind):
    """The same game with other methods."""
    return kind(**{field.name: getattr(game, field.name) for field in dataclasses.fields(game)})


def gradients(network):
    return torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])


def relative(other, value):
    return ((other - value).norm() / value.norm()).item()


# --- two processes ---


def test_two_backwards_in_a_phase_let_the_processes_drift_apart(figures):
    within, without = (figures[f"backwards, error {name}"] for name in ("with", "without"))
    assert within < EXACT, f"one backward a phase is {within} off one process"
    assert figures["backwards, drift with"] == 0
    assert without > 1e-3, f"two backwards are only {without} off, and this shows nothing"
    assert figures["backwards, drift without"] > 1e-3, f"they drift by {figures['backwards, drift without']} only"


def test_a_drift_is_found_and_its_module_named(figures):
    assert figures["backwards, found with"] == ""
    assert "no longer have the same weights" in figures["backwards, found without"]
    assert "differs is discriminator.classes, in process 1" in figures["backwards, found without"]


def test_a_penalty_with_a_backward_of_its_own_is_not_exchanged(figures):
    within, without = (figures[f"penalty, error {name}"] for name in ("with", "on its own"))
    assert within < EXACT, f"a penalty in the one scalar is {within} off one process"
    assert figures["penalty, drift with"] == 0
    assert without > 1e-3, f"with a backward of its own it is only {without} off, and this shows nothing"
    assert figures["penalty, drift on its own"] > 1e-4


def test_a_static_graph_loses_a_penalty_that_shares_the_forward_pass(figures):
    """Sharing is exact without a static graph, and the engine uses none."""
    for name in ("with", "apart", "static and apart"):
        assert figures[f"penalty, error {name}"] < EXACT, f"{name}: {figures[f'penalty, error {name}']} off one process"
    without = figures["penalty, error static"]
    assert without > 0.1, f"with a static graph it is only {without} off, and this shows nothing"
    assert figures["penalty, drift static"] > 1e-2
    assert figures["penalty, static graph of a run"] is False


def test_batch_normalisation_over_a_process_makes_two_processes_another_run(figures):
    within, without = (figures[f"normalisation, error {name}"] for name in ("with", "without"))
    assert within < EXACT, f"in groups, two processes are {within} off one"
    assert without > 1e-3, f"over the share of a process they are only {without} off, and this shows nothing"


def test_latents_of_a_process_make_two_processes_another_run(figures):
    within, without = (figures[f"latents, error {name}"] for name in ("with", "without"))
    assert within < EXACT, f"drawn by position, two processes are {within} off one"
    assert without > 1e-2, f"drawn by each process they are only {without} off, and this shows nothing"


def test_a_loss_that_is_not_finite_in_one_process_drops_the_update_of_all(figures):
    assert figures["lost, dropped with"] == [1, 1]
    assert figures["lost, moved with"] == [0, 0]
    assert figures["lost, drift with"] == 0


def test_a_loss_taken_back_as_it_is_would_not_be_noticed(figures):
    assert figures["lost, dropped without"] == [0, 0]
    assert min(figures["lost, moved without"]) > 0.01, "an infinite loss of finite slope moves the weights of both"


def test_processes_that_drop_updates_each_for_itself_drift_apart(figures):
    first, second = figures["lost, moved each for itself"]
    assert first > 0.01 and second == 0
    drift = figures["lost, drift each for itself"]
    assert drift > 1e-2, f"they drift by {drift} only"


# --- precision ---


class PenaltyThroughTheWrapper(Game):
    """The penalty is computed with the wrapped discriminator, which has an autocast of its own."""

    def penalty(self, real, fake, batch):
        with torch.autocast("cpu", enabled=False):
            real = real.detach().requires_grad_()
            return penalties.r1(self.wrapped_discriminator(real, batch.condition), real)


def test_an_outer_autocast_does_not_reach_a_penalty_through_the_wrapper(accelerate):
    found = {}
    for name, precision, kind in (
        ("exact", "no", Game),
        ("with", "bf16", Game),
        ("without", "bf16", PenaltyThroughTheWrapper),
    ):
        game = turned(build(accelerate(precision), r1=1.0), kind)
        (batch,) = game.make_micro_batches(0, graph=False)
        game.penalty(batch.real, batch.real, batch).backward()
        found[name] = gradients(game.discriminator)
    within, without = (relative(found[name], found["exact"]) for name in ("with", "without"))
    assert within < 1e-6, f"on the network itself it is {within} off"
    assert without > 1e-3, f"through the wrapper it is only {without} off, and this shows nothing"


class ClippedByAccelerate(Game):
    """Gradients are clipped as accelerate's own loops do it."""

    def update(self, player, network, optimizer):
        self.accelerator.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(("kind", "expected"), [(Game, 1.0), (ClippedByAccelerate, 2.0**-10)])
def test_an_update_takes_the_loss_scale_off_one_player_alone(accelerate, kind, expected):
    game = turned(with_loss_scale(accelerate(), 2.0**10), kind)
    (batch,) = game.make_micro_batches(0, graph=True)
    game.backward(game.discriminate(batch.fake, batch).logits.mean(), 1)  # leaves gradients in both
    before = gradients(game.generator).clone()
    game.update("discriminator", game.discriminator, game.discriminator_optimizer)
    found = (gradients(game.generator).norm() / before.norm()).item()
    assert found == expected, f"the generator's scaled gradients were multiplied by {found}"


def overflowing(player):
    """Rules by which the scaled gradients of one player are too large for float32; its loss is not."""
    plain = OBJECTIVES["non_saturating"]
    return StepConfig(plain._replace(**{player: lambda real, fake: 1e36 * getattr(plain, player)(real, fake)}))


class DroppedByAccelerate(Game):
    """Whether an update was dropped is asked of accelerate."""

    def update(self, player, network, optimizer):
        optimizer.step()
        optimizer.zero_grad()
        return {f"{player}_dropped": torch.tensor(float(self.accelerator.optimizer_step_was_skipped))}


def adam(network):
    return distributed.adam(network, 0.01, (0.5, 0.9))


def plain_adam(network):
    return torch.optim.Adam(network.parameters(), 0.01, (0.5, 0.9))


@pytest.mark.parametrize(
    ("kind", "optimizer", "dropped"),
    [
        (Game, adam, (1, 0)),
        # Of a fused optimizer accelerate never knows; of another, it says of both what was true of either.
        (DroppedByAccelerate, adam, (0, 0)),
        (DroppedByAccelerate, plain_adam, (1, 1)),
    ],
)
def test_an_overflow_of_the_discriminator_is_counted_for_it_alone(accelerate, kind, optimizer, dropped):
    game = turned(with_loss_scale(accelerate(), 2.0**10), kind)
    prepared = [game.accelerator.prepare(optimizer(network)) for network in (game.generator, game.discriminator)]
    game = dataclasses.replace(
        game,
        generator_optimizer=prepared[0],
        discriminator_optimizer=prepared[1],
        config=overflowing("discriminator"),
    )
    before = weights(game.generator), weights(game.discriminator)
    metrics = game.step(0)
    assert distance(game.generator, before[0]) > 1e-3 and distance(game.discriminator, before[1]) == 0
    assert (metrics["discriminator_dropped"].item(), metrics["generator_dropped"].item()) == dropped


# --- what a phase leaves ---


@pytest.mark.parametrize("protected", [True, False])
def test_a_discriminator_that_is_not_frozen_takes_the_generators_gradients(accelerate, monkeypatch, protected):
    whole, cut = (build(accelerate()) for _ in range(2))
    if not protected:
        monkeypatch.setattr(step, "frozen", lambda network: nullcontext())
    before = weights(whole.discriminator)
    for game in (whole, cut):
        game.step(0)
        if game is cut:
            game.discriminator.zero_grad()
        game.step(1)
    error = distance(cut.discriminator, weights(whole.discriminator)) / distance(whole.discriminator, before)
    if protected:
        assert error == 0, f"gradients left in the discriminator make its next update {error} wrong"
    else:
        assert error > 0.1, f"they make its next update only {error} wrong, and this shows nothing"


def restored_as_it_is(optimizer, tensors):
    """Moments as they come from a file, in the plain layout."""
    state = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@pytest.mark.parametrize("protected", [True, False])
def test_adam_restored_in_another_layout_takes_one_moment_for_another(protected):
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    samples = torch.randn(3, 2, 3, 5, 5)

    def learn(network, optimizer, number):
        network(samples[number]).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    optimizer = adam(network)
    learn(network, optimizer, 0)
    learn(network, optimizer, 1)
    again, start = copy.deepcopy(network), weights(network)
    restored = adam(again)
    (restore_optimizer if protected else restored_as_it_is)(restored, optimizer_tensors(optimizer))
    learn(network, optimizer, 2)
    learn(again, restored, 2)
    error = distance(again, weights(network)) / distance(network, start)
    if protected:
        assert error == 0, f"the update after a resume is {error} wrong"
    else:
        assert error > 0.1, f"the update after a resume is only {error} wrong, and this shows nothing"


def test_accumulation_of_accelerate_is_refused(accelerate, monkeypatch, tmp_path):
    def length(accelerator):
        network = Discriminator()
        with torch.no_grad():
            for weight in network.parameters():
                weight.fill_(0.1)
        accelerator.prepare(network, sgd(network))
        accelerator.backward(network(*batches(0, slice(0, 8))).mean())
        return gradients(network).norm().item()

    whole = length(accelerate())
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    part = length(accelerate())
    assert part == pytest.approx(whole / 4), "accelerate divides by it, and our own mean would be a quarter"
    with pytest.raises(UserError, match="--micro_batches"):
        launch.start("none", tmp_path)
