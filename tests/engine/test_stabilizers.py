"""Each stabilizer against numbers worked by hand, alone and in a game, and a game with all of them at once."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_step import BATCH, RATE, batches, build, networks, numbers_of, sgd, weights
from torch import nn

from multigan.engine import distributed, stabilizers
from multigan.engine.objectives import OBJECTIVES, smoothed
from multigan.engine.rng import BatchRandom
from multigan.engine.stabilizers import (
    AdaptiveAugmentation,
    HistoricalAverage,
    LeCam,
    StabilizerState,
    noise_at,
    rate_at,
)
from multigan.engine.step import add
from multigan.testing import double_precision

CPU = torch.device("cpu")
EXACT = 1e-12  # in float64, of sums taken in another order


def alone(values):
    """The mean over one process."""
    return values


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vector(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def remembering(game, **parts):
    return dataclasses.replace(game, stabilizers=StabilizerState(**parts))


def adaptive(probability, target=0.0, samples=64):
    found = AdaptiveAugmentation.new(target, samples, CPU)
    found.probability.fill_(probability)
    return found


# --- LeCam ---


def test_lecam_by_hand():
    lecam = LeCam.new(2.0, CPU)
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.0])
    assert lecam.loss(real, fake).item() == 2 * ((1 + 4) / 2 + (1 + 0) / 2)  # from averages of 0
    lecam.averages.copy_(torch.tensor([3.0, -1.0]))
    # Real logits from the average of the fake ones, and the other way round.
    assert lecam.loss(real, fake).item() == 2 * ((2**2 + 3**2) / 2 + (4**2 + 3**2) / 2)


def test_lecam_averages_are_plain_means_at_first():
    lecam = LeCam.new(1.0, CPU)
    found = []
    for real, fake in ((1.0, -1.0), (3.0, -2.0), (5.0, 0.0)):
        lecam.remember(torch.tensor(real), torch.tensor(fake), alone)
        found.append(lecam.averages.tolist())
    assert found == [pytest.approx(pair) for pair in ([1, -1], [2, -1.5], [3, -1])]


def test_lecam_averages_move_by_a_hundredth_once_they_are_old():
    lecam = LeCam(1.0, torch.tensor([3.0, -1.0]), torch.tensor(1000.0))
    lecam.remember(torch.tensor(13.0), torch.tensor(-11.0), alone)
    assert lecam.averages.tolist() == pytest.approx([3.1, -1.1])


def test_lecam_takes_the_mean_over_the_processes():
    lecam = LeCam.new(1.0, CPU)
    lecam.remember(torch.tensor(1.0), torch.tensor(2.0), lambda here: (here + torch.tensor([5.0, 4.0])) / 2)
    assert lecam.averages.tolist() == [3, 3]


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_lecam_is_in_the_discriminators_loss_with_the_averages_of_before(accelerate, micro_batches):
    plain = build(accelerate(), micro_batches=micro_batches)
    lecam = LeCam.new(0.5, CPU)
    lecam.averages.copy_(torch.tensor([1.0, -2.0]))
    game = remembering(build(plain.accelerator, micro_batches=micro_batches), lecam=lecam)
    parts = game.make_micro_batches(0, graph=False)
    real, fake = (
        torch.cat([game.discriminate(getattr(part, side), part).logits for part in parts]) for side in ("real", "fake")
    )
    expected = 0.5 * (sum((r + 2) ** 2 for r in real.tolist()) + sum((f - 1) ** 2 for f in fake.tolist())) / BATCH
    without = plain.discriminator_phase(plain.make_micro_batches(0, graph=False))
    found = game.discriminator_phase(parts)
    assert found["penalty"].item() == pytest.approx(expected, rel=1e-5) and without["penalty"].item() == 0
    assert found["discriminator_gradient_norm"] != without["discriminator_gradient_norm"]
    assert lecam.averages.tolist() == pytest.approx([real.mean().item(), fake.mean().item()], rel=1e-5)
    assert lecam.count.item() == 1, "one phase, however many micro-batches"


# --- historical averaging ---


def test_the_pull_of_history_is_the_gradient_of_the_squared_distance():
    network = nn.Linear(3, 2).double()
    history = HistoricalAverage.of(network, 0.7)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(numbers(*weight.shape))
    loss = network(numbers(4, 3, seed=1)).square().sum()
    distance = sum((w - mean).square().sum() for w, mean in zip(network.parameters(), history.means, strict=True))
    expected = torch.autograd.grad(loss + 0.7 * distance, list(network.parameters()))
    network(numbers(4, 3, seed=1)).square().sum().backward()
    history.pull(network)
    for weight, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20))
def test_history_is_the_plain_mean_of_all_weights_so_far(values):
    network = nn.Linear(1, 1, bias=False).double()
    network.weight.data.fill_(values[0])
    history = HistoricalAverage.of(network, 1.0)
    for value in values[1:]:
        network.weight.data.fill_(value)
        history.remember(network)
    assert history.means[0].item() == pytest.approx(sum(values) / len(values), rel=1e-6, abs=1e-4)
    assert history.count.item() == len(values)


def test_history_pulls_from_the_second_update_on(accelerate):
    plain = build(accelerate())
    game = build(plain.accelerator)
    game = remembering(game, histories={"discriminator": HistoricalAverage.of(game.discriminator, 0.05)})
    first = vector(game.discriminator)
    for number in range(2):
        before = vector(game.discriminator)
        for either in (plain, game):
            either.discriminator_phase(either.make_micro_batches(number, graph=False))
    # The mean then is half-way from the first weights to the second, so 2 w (theta - mean) is w (second - first).
    difference = vector(game.discriminator) - vector(plain.discriminator)
    torch.testing.assert_close(difference, -RATE * 0.05 * (before - first), rtol=1e-3, atol=1e-6)
    assert difference.norm() > 1e-4
    means = torch.cat([mean.flatten() for mean in game.stabilizers.histories["discriminator"].means])
    torch.testing.assert_close(means, (first + before + vector(game.discriminator)) / 3)


# --- adaptive augmentation ---


def test_the_probability_moves_every_fourth_phase():
    found = AdaptiveAugmentation.new(0.5, 160, CPU)
    steps = []
    # Mean signs of 0.75, then of 0.25: a step is 4 phases x 8 samples of 160, a fifth.
    for phase, sign in enumerate([1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0]):
        found.remember(torch.tensor(sign), phase, 8, alone)
        steps.append(found.probability.item())
    assert steps == pytest.approx([0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2])


@given(start=st.floats(0, 1), sure=st.lists(st.integers(0, 32), min_size=4, max_size=4), samples=st.integers(1, 10**4))
def test_a_sure_discriminator_gets_more_augmentation_within_bounds(start, sure, samples):
    found = adaptive(start, target=0.25, samples=samples)
    for phase, count in enumerate(sure):  # of 32 real samples
        found.remember(torch.tensor((2 * count - 32) / 32), phase, 32, alone)
    above = (2 * sum(sure) - 128) / 128 - 0.25
    expected = start + 128 / samples * ((above > 0) - (above < 0))
    assert found.probability.item() == pytest.approx(min(1, max(0, expected)), abs=1e-6)


def test_the_mean_of_the_signs_is_over_the_processes():
    found = adaptive(0.5, target=0.5, samples=64)
    for phase in range(4):  # here all are sure, and in another process none
        found.remember(torch.tensor(1.0), phase, 8, lambda here: here * torch.tensor([0.5, 1.0]) - torch.tensor([1, 0]))
    assert found.probability.item() == 0


def test_processes_remember_the_same_signs_between_two_moves():
    found = []
    for sign in (1.0, -1.0):  # of two processes, whose mean is 0
        state = adaptive(0.5)
        state.remember(torch.tensor(sign), 0, 8, lambda here: here * torch.tensor([0.0, 1.0]))
        found.append(state.signs)
    assert torch.equal(*found)


def seen(game, number=0):
    """What the discriminator sees of a batch of ones."""
    parts = game.make_micro_batches(number, graph=False)
    return torch.cat([game.discriminator_input(torch.ones_like(part.real), part) for part in parts])


def test_none_all_or_a_share_is_augmented(accelerate):
    plain = build(accelerate())
    whole = seen(plain)
    assert (whole != 1).all(), "augmentation changes every sample, or this shows nothing"
    assert torch.equal(seen(remembering(plain, adaptive=adaptive(0.0))), torch.ones_like(whole))
    assert torch.equal(seen(remembering(plain, adaptive=adaptive(1.0))), whole)
    some = remembering(plain, adaptive=adaptive(0.3))
    count = 0
    for number in range(200):
        augmented, expected = seen(some, number), seen(plain, number)
        chosen = (augmented != 1).flatten(1).all(1)
        assert torch.equal(augmented[chosen], expected[chosen]), "a sample is augmented as ever"
        assert torch.equal(augmented[~chosen], torch.ones_like(augmented[~chosen])), "or left as it is"
        count += chosen.sum().item()
    assert count / (200 * BATCH) == pytest.approx(0.3, abs=0.05)  # four standard deviations


def test_which_samples_are_augmented_is_decided_by_seed_and_position(accelerate):
    whole = remembering(build(accelerate()), adaptive=adaptive(0.5))
    split = remembering(build(whole.accelerator, micro_batches=4), adaptive=adaptive(0.5))
    other = dataclasses.replace(whole, random=BatchRandom(8, BATCH, CPU))
    gates = []
    for game in (whole, whole, split, other):
        parts = [part for number in range(3) for part in game.make_micro_batches(number, graph=False)]
        gates.append(torch.cat([part.augment_mask for part in parts]))
    assert torch.equal(gates[0], gates[1]) and torch.equal(gates[0], gates[2])
    assert not torch.equal(gates[0], gates[3])
    assert not torch.equal(gates[0][:BATCH], gates[0][BATCH : 2 * BATCH])


@pytest.mark.parametrize("sure", [True, False])
def test_the_probability_follows_the_discriminator_of_a_game(accelerate, sure):
    game = remembering(build(accelerate()), adaptive=adaptive(0.5, samples=64))
    with torch.no_grad():
        game.discriminator.last.bias.fill_(50.0 if sure else -50.0)
    moved = [game.step(number)["augmentation_probability"].item() for number in range(4)]
    assert moved == [0.5, 0.5, 0.5, 1.0 if sure else 0.0]  # 4 x 8 of 64 samples


def test_a_mean_sign_at_the_target_moves_alike_in_any_number_of_parts():
    signs = torch.cat([torch.ones(14), -torch.ones(6)])  # r = 8 / 20
    found = set()
    for parts in (1, 2, 4):
        state = adaptive(0.5, target=0.4, samples=160)
        for phase in range(4):
            metrics = {}
            for part in signs.chunk(parts):
                add(metrics, parts, d_real=part.mean(), d_fake=part.mean(), d_sign=part.sign().mean())
            StabilizerState(adaptive=state).after_phase(metrics, phase, 20, alone)
        found.add(state.probability.item())
    assert len(found) == 1


# --- instance noise ---


@pytest.mark.parametrize(("step", "expected"), [(0, 0.8), (1, 0.72), (5, 0.4), (9, 0.08), (10, 0), (11, 0), (10**9, 0)])
def test_noise_falls_in_a_line(step, expected):
    assert noise_at(step, 0.8, 10) == pytest.approx(expected)


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_noise_is_added_to_what_the_discriminator_sees(accelerate, micro_batches):
    rules = {"micro_batches": micro_batches, "discriminator_steps": 2}
    plain = build(accelerate(), **rules)
    game = remembering(build(plain.accelerator, **rules))
    for phase, deviation in ((0, 0.8), (1, 0.8), (10, 0.4)):
        game.stabilizers.noise = deviation
        expected = deviation * game.random.normal("noise", phase, slice(0, BATCH), 6).view(BATCH, 2, 3)
        torch.testing.assert_close(seen(game, phase) - seen(plain, phase), expected)
    game.stabilizers.noise = 0.0
    assert torch.equal(seen(game, 20), seen(plain, 20))


# --- learning rates ---


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, {0: 1, 7: 1, 1000: 1}),
        ("constant", 4, {0: 0.25, 1: 0.5, 3: 1, 4: 1}),
        ("linear", 0, {0: 1, 1: 0.9, 5: 0.5, 9: 0.1, 10: 0, 11: 0}),
        ("linear", 2, {0: 0.5, 1: 0.9, 5: 0.5, 10: 0}),
        ("cosine", 0, {0: 1, 5: 0.5, 10: 0, 20: 0}),
        # (1 + cos 60 degrees) / 2 is 3/4 in a third of the steps; of twelve, that is the fourth.
        ("cosine", 5, {0: 0.2}),
        ("late_linear", 0, {0: 1, 4: 1, 5: 1, 6: 1 - 0.98 / 5, 9: 1 - 0.98 * 4 / 5, 10: 0.02, 30: 0.02}),
    ],
)
def test_learning_rates_by_hand(schedule, warmup, expected):
    found = {step: rate_at(step, schedule, 10, warmup) for step in expected}
    assert found == pytest.approx(expected, abs=1e-7)


def test_a_cosine_by_hand():
    # 0, 60, 90, 120 and 180 degrees.
    found = [rate_at(step, "cosine", 12, 0) for step in (0, 4, 6, 8, 12)]
    assert found == pytest.approx([1, 0.75, 0.5, 0.25, 0], abs=1e-7)


# --- spectral normalization ---


def mixed_network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def test_the_largest_singular_value_of_each_weight_is_one():
    network = mixed_network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(7)
    stabilizers.apply_spectral_norm(network)
    for _ in range(300):
        stabilizers.power_iteration_step(network)
    for layer in (network[0], network[2], network[4]):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-6)


def test_passes_leave_the_estimate_alone_and_refining_moves_it():
    network = mixed_network()
    stabilizers.apply_spectral_norm(network)
    with torch.no_grad():
        network[2].parametrizations.weight.original.add_(numbers(8, 36, seed=1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    samples = numbers(3, 2, 5, 5).requires_grad_()
    outputs = [network(samples) for _ in range(3)]
    outputs[0].sum().backward()
    with torch.no_grad():
        network(samples)
    assert torch.equal(outputs[0], outputs[2])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    stabilizers.power_iteration_step(network)
    moved = {name.rpartition(".")[2] for name, value in network.state_dict().items() if not value.equal(before[name])}
    assert moved == {"_u", "_v"}
    assert not torch.equal(network(samples), outputs[0])


def test_the_singular_value_is_worked_out_in_the_precision_of_the_weight(monkeypatch):
    network = nn.Sequential(nn.Linear(5, 4))
    stabilizers.apply_spectral_norm(network)
    product, asked = torch.mv, []
    # Of a processor's autocast, products with vectors are no part; of CUDA's they are.
    monkeypatch.setattr(torch, "mv", lambda *both: (asked.append(torch.is_autocast_enabled("cpu")), product(*both))[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.ones(2, 5)).dtype == torch.bfloat16
        stabilizers.power_iteration_step(network)
    assert asked and not any(asked)


# --- lazy penalties ---


@pytest.mark.parametrize("every", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", ["r1", "r2", "wgan_gp"])
def test_lazy_penalties_add_up_to_those_of_every_phase(accelerate, every, penalty):
    found, counts = [], []
    for rules in ({}, {"penalty_every": every}):
        game = build(accelerate(), **{penalty: 0.7}, **rules)
        (batch,) = game.make_micro_batches(0, graph=False)
        values = [
            game.penalty(batch.real, batch.fake, dataclasses.replace(batch, number=number))
            for number in range(4 * every, 6 * every)
        ]
        counts.append(sum(value.item() > 0 for value in values))
        sum(values).backward()
        found.append(torch.cat([w.grad.flatten() for w in game.discriminator.parameters() if w.grad is not None]))
    assert counts == [2 * every, 2]
    torch.testing.assert_close(found[1], found[0])


# --- what is remembered ---


def all_memory(game, lecam=0.1, historical=0.01):
    players = {"generator": game.generator, "discriminator": game.discriminator}
    return StabilizerState(
        {name: HistoricalAverage.of(network, historical) for name, network in players.items()} if historical else {},
        LeCam.new(lecam, CPU) if lecam else None,
        AdaptiveAugmentation.new(0.0, 100, CPU),
    )


def test_memory_is_put_back_as_it_was(accelerate):
    game = build(accelerate())
    game = dataclasses.replace(game, stabilizers=all_memory(game))
    for number in range(5):
        game.step(number)
    kept = {name: value.clone() for name, value in game.stabilizers.tensors().items()}
    assert {name.partition(".")[0] for name in kept} == {"generator", "discriminator", "lecam", "adaptive"}
    again = all_memory(build(game.accelerator))
    again.restore(kept)
    for name, value in again.tensors().items():
        assert torch.equal(value, kept[name]), name


def test_memory_of_one_that_was_off_begins_anew():
    memory = StabilizerState(lecam=LeCam.new(1.0, CPU), adaptive=adaptive(0.0))
    memory.restore({"adaptive.probability": torch.tensor(0.7), "adaptive.signs": torch.tensor([1.0, 2.0])})
    assert memory.adaptive.probability.item() == pytest.approx(0.7)
    assert memory.lecam.averages.tolist() == [0, 0] and memory.lecam.count.item() == 0


def test_memory_that_a_checkpoint_does_not_have_is_forgotten():
    memory = StabilizerState(lecam=LeCam.new(1.0, CPU))
    memory.lecam.remember(torch.tensor(math.nan), torch.tensor(1.0), alone)
    memory.restore({})
    assert memory.lecam.averages.tolist() == [0, 0] and memory.lecam.count.item() == 0


def test_weights_of_zero_leave_a_game_as_it_is(accelerate):
    plain, game = (build(accelerate(), r1=0.5) for _ in range(2))
    game = dataclasses.replace(game, stabilizers=all_memory(game, lecam=0.0, historical=0.0))
    game.stabilizers.lecam, game.stabilizers.adaptive = (
        LeCam.new(0.0, CPU),
        adaptive(1.0, target=-1.0),
    )  # r is above it: p stays
    for name in ("generator", "discriminator"):
        game.stabilizers.histories[name] = HistoricalAverage.of(getattr(game, name), 0.0)
    for number in range(5):
        expected, found = numbers_of(plain.step(number)), numbers_of(game.step(number))
        assert found.pop("augmentation_probability") == 1
        assert found == expected
    for name in ("generator", "discriminator"):
        assert torch.equal(vector(getattr(game, name)), vector(getattr(plain, name)))


@pytest.mark.parametrize("kind", ["lecam", "adaptive", "histories"])
@pytest.mark.parametrize("wrong", [math.inf, math.nan])
@pytest.mark.parametrize("number", [0, 1])
def test_a_dropped_step_is_not_remembered_for_ever(accelerate, kind, wrong, number):
    def broken(batch, rows):
        real, condition = batches(batch, rows)
        return real + wrong * (batch == number) if batch == number else real, condition

    game = build(accelerate())
    memory = StabilizerState(**{kind: getattr(all_memory(game), kind)})
    game = dataclasses.replace(game, batches=broken, stabilizers=memory)
    dropped = [game.step(step)["discriminator_dropped"].item() for step in range(8)]
    assert dropped == [step == number for step in range(8)]
    assert all(value.isfinite().all() for value in memory.tensors().values())


# --- all of them ---

RULES = {
    "r1": 0.5,
    "r2": 0.3,
    "penalty_every": 2,
    "discriminator_steps": 2,
    "max_gradient_norm": 2.0,
}


def all_on(accelerator, off="", **rules):
    """A game with all stabilizers but one."""
    objective = (
        OBJECTIVES["non_saturating"] if off == "smoothing" else smoothed(OBJECTIVES["non_saturating"], 0.1, 0.05)
    )
    rules = {**RULES, **rules}
    if off == "penalty_every":
        del rules[off]
    game = build(accelerator, objective, **rules)
    discriminator = networks()[1]
    if off != "spectral":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            stabilizers.apply_spectral_norm(discriminator)
    wrapped, optimizer = distributed.prepare(accelerator, discriminator, sgd(discriminator))
    game = dataclasses.replace(
        game, discriminator=discriminator, wrapped_discriminator=wrapped, discriminator_optimizer=optimizer
    )
    memory = all_memory(game, lecam=0.0 if off == "lecam" else 0.1, historical=0.0 if off == "histories" else 0.01)
    if off == "adaptive":
        memory.adaptive = None
    if off != "instance_noise":
        memory.noise = 0.5
    return dataclasses.replace(game, stabilizers=memory)


def played(game, steps=6):
    """The way that the weights go, as one vector."""
    networks = (game.generator, game.discriminator)
    start = torch.cat([vector(network) for network in networks])
    for number in range(steps):
        game.step(number)
    return torch.cat([vector(network) for network in networks]) - start


def relative(other, value):
    return ((other - value).norm() / value.norm()).item()


def memory_of(game):
    return torch.cat([value.flatten() for value in game.stabilizers.tensors().values()])


@pytest.mark.parametrize("micro_batches", [2, 8])
def test_with_all_on_many_micro_batches_are_one(accelerate, micro_batches):
    with double_precision():
        one, many = (all_on(accelerate(), micro_batches=parts) for parts in (1, micro_batches))
        way = played(one)
        assert relative(played(many), way) < EXACT
        assert relative(memory_of(many), memory_of(one)) < EXACT
        estimates = [dict(game.discriminator.named_buffers()) for game in (one, many)]
        for name, value in estimates[0].items():
            torch.testing.assert_close(estimates[1][name], value, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "off", ["smoothing", "penalty_every", "instance_noise", "lecam", "histories", "adaptive", "spectral"]
)
def test_each_of_them_makes_a_difference(accelerate, off):
    with double_precision():
        difference = relative(played(all_on(accelerate(), off)), played(all_on(accelerate())))
    assert difference > 1e-3, f"without {off} it is only {difference} off, and the other tests show nothing of it"


def test_with_all_on_a_few_steps_in_half_precision_are_finite(accelerate):
    game = all_on(accelerate("bf16"))
    before = weights(game.discriminator)
    for number in range(6):
        metrics = numbers_of(game.step(number))
        assert all(math.isfinite(value) for value in metrics.values())
        assert metrics["generator_dropped"] == metrics["discriminator_dropped"] == 0
    assert all(value.isfinite().all() for value in game.stabilizers.tensors().values())
    assert any(not torch.equal(value, before[name]) for name, value in weights(game.discriminator).items())
