"""One step of the game against a textbook step written here, and what each phase may and may not touch."""

import dataclasses
import math

import pytest
import torch
from accelerate.utils import AutocastKwargs
from torch import nn

from multigan.engine import distributed
from multigan.engine.objectives import OBJECTIVES, Objective
from multigan.engine.rng import BatchRandom
from multigan.engine.shell import frozen
from multigan.engine.step import Game, StepConfig

BATCH, LATENT, CLASSES = 8, 3, 2
RATE = 0.3
CPU = torch.device("cpu")


class Generator(nn.Module):
    """(B, 3), (B,) -> (B, 2, 3). Smooth, so that a textbook step and the game's round alike."""

    def __init__(self):
        super().__init__()
        self.classes = nn.Embedding(CLASSES, LATENT)
        self.layers = nn.Sequential(nn.Linear(LATENT, 8), nn.Tanh(), nn.Linear(8, 6))

    def forward(self, latent, condition):
        return self.layers(latent + self.classes(condition)).view(-1, 2, 3)


class Discriminator(nn.Module):
    """(B, 2, 3), (B,) -> (B,)."""

    def __init__(self):
        super().__init__()
        self.classes = nn.Embedding(CLASSES, 8)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Softplus())
        self.last = nn.Linear(8, 1)

    def forward(self, samples, condition):
        # A linear layer last, so that under bf16 the network itself returns bf16.
        return self.last(self.body(samples) + self.classes(condition)).squeeze(1)


def batches(number, rows):
    """Real samples and their classes: functions of the batch's number and the row."""
    real = torch.randn(BATCH, 2, 3, generator=torch.Generator().manual_seed(number)) + 1
    return real[rows], (torch.arange(BATCH) % CLASSES)[rows]


def augment(samples, numbers):
    """Each sample made larger by a share of its own: real and fake must be given the same numbers."""
    return samples * (1 + numbers[:, :, None])


def networks():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(), Discriminator()


def sgd(network):
    return torch.optim.SGD(network.parameters(), lr=RATE, fused=True)


def build(accelerator, objective="non_saturating", optimizer=sgd, **rules):
    """A game of the two networks, wired as `multigan.training.run` wires it."""
    generator, discriminator = networks()
    wrapped_generator, generator_optimizer = distributed.prepare(accelerator, generator, optimizer(generator))
    wrapped_discriminator, discriminator_optimizer = distributed.prepare(
        accelerator, discriminator, optimizer(discriminator)
    )
    if isinstance(objective, str):
        objective = OBJECTIVES[objective]
    config = StepConfig(objective, **rules)
    return Game(
        accelerator=accelerator,
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        wrapped_generator=wrapped_generator,
        wrapped_discriminator=wrapped_discriminator,
        config=config,
        random=BatchRandom(7, BATCH, CPU),
        latent_dim=LATENT,
        batches=batches,
        augment=augment,
        augment_numbers=1,
        batch_slice=distributed.share(BATCH, config.micro_batches, accelerator),
    )


def numbers_of(metrics):
    return {name: value.item() for name, value in metrics.items()}


def weights(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def distance(network, before):
    """The length of the way that the weights have gone."""
    return torch.cat([(w.detach() - before[name]).flatten() for name, w in network.named_parameters()]).norm().item()


# --- the textbook ---


def log_sigmoid(logits):
    return -torch.log1p(torch.exp(-logits))


TEXTBOOK = {
    "non_saturating": (
        lambda real, fake: -log_sigmoid(real).mean() - log_sigmoid(-fake).mean(),
        lambda real, fake: -log_sigmoid(fake).mean(),
    ),
    "relativistic": (
        lambda real, fake: -log_sigmoid(real - fake).mean(),
        lambda real, fake: -log_sigmoid(fake - real).mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean()),
}


def slopes(discriminator, samples, condition):
    """|grad D| at each sample, one sample at a time, in a way that can be differentiated."""
    lengths = []
    for sample, number in zip(samples.detach(), condition, strict=True):
        sample.requires_grad_()
        logit = discriminator(sample[None], number[None])[0]
        (gradient,) = torch.autograd.grad(logit, sample, create_graph=True)
        lengths.append(gradient.pow(2).sum().sqrt())
    return torch.stack(lengths)


def descend(network, loss):
    """One plain gradient step; returns the gradient's length."""
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(network.parameters(), gradients, strict=True):
            weight.sub_(RATE * gradient)
    return torch.cat([gradient.flatten() for gradient in gradients]).norm()


def textbook_step(number, objective, r1=0.0, r2=0.0, wgan_gp=0.0, discriminator_steps=1):
    """The networks after one step, and its metrics: float64, one network after the other, no machinery."""
    generator, discriminator = (network.double() for network in networks())
    discriminator_loss, generator_loss = TEXTBOOK[objective]
    random = BatchRandom(7, BATCH, CPU)
    rows = slice(0, BATCH)
    penalties = 0.0
    for phase in range(discriminator_steps):
        batch = number * discriminator_steps + phase
        real, condition = batches(batch, rows)
        latent = random.normal("latent", batch, rows, LATENT).double()
        numbers = random.uniform("augment", batch, rows, 1).double()
        mix = random.uniform("mix", batch, rows, 1).double()[:, :, None]
        real_seen = augment(real.double(), numbers)
        fake_seen = augment(generator(latent, condition), numbers).detach()
        d_real, d_fake = discriminator(real_seen, condition), discriminator(fake_seen, condition)
        loss = discriminator_loss(d_real, d_fake)
        mixed = mix * real_seen + (1 - mix) * fake_seen
        penalty = (
            r1 / 2 * slopes(discriminator, real_seen, condition).pow(2).mean()
            + r2 / 2 * slopes(discriminator, fake_seen, condition).pow(2).mean()
            + wgan_gp * (slopes(discriminator, mixed, condition) - 1).pow(2).mean()
        )
        norm = descend(discriminator, loss + penalty)
        penalties = penalties + penalty / discriminator_steps
    metrics = {
        "discriminator_dropped": torch.zeros(()),
        "generator_dropped": torch.zeros(()),
        "discriminator_loss": loss,
        "penalty": penalties,
        "d_real": d_real.mean(),
        "d_fake": d_fake.mean(),
        "discriminator_gradient_norm": norm,
    }
    real_logits = discriminator(real_seen, condition).detach()
    loss = generator_loss(real_logits, discriminator(augment(generator(latent, condition), numbers), condition))
    metrics |= {"generator_loss": loss, "generator_gradient_norm": descend(generator, loss)}
    return generator, discriminator, numbers_of(metrics)


def assert_same_weights(network, expected, tolerance=1e-6):
    for (name, weight), value in zip(network.named_parameters(), expected.parameters(), strict=True):
        error = (weight.detach().double() - value.detach().double()).abs().max().item()
        assert error <= tolerance, f"{name} is {error} off"


GAMES = [
    ("non_saturating", {"r1": 0.5}),
    ("relativistic", {"r1": 0.3, "r2": 0.7}),
    ("wasserstein", {"wgan_gp": 10.0}),
    ("non_saturating", {"r1": 0.5, "discriminator_steps": 3}),
    ("relativistic", {"discriminator_steps": 2, "wgan_gp": 1.0}),
]
GAME_NAMES = [f"{objective}-{'-'.join(rules)}" for objective, rules in GAMES]


@pytest.mark.parametrize(("objective", "rules"), GAMES, ids=GAME_NAMES)
@pytest.mark.parametrize("micro_batches", [1, 4])
def test_a_step_is_the_textbook_one(accelerate, objective, rules, micro_batches):
    game = build(accelerate(), objective, micro_batches=micro_batches, **rules)
    generator_before, discriminator_before = weights(game.generator), weights(game.discriminator)
    metrics = game.step(2)
    generator, discriminator, expected = textbook_step(2, objective, **rules)
    assert_same_weights(game.generator, generator)
    assert_same_weights(game.discriminator, discriminator)
    assert distance(game.generator, generator_before) > 0.01, "a comparison of weights that did not move shows nothing"
    assert distance(game.discriminator, discriminator_before) > 0.01
    assert numbers_of(metrics) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_adam_updates_are_counted_as_the_rules_say(accelerate):
    game = build(
        accelerate(), optimizer=lambda network: distributed.adam(network, 0.01, (0.5, 0.9)), discriminator_steps=3
    )
    for number in range(2):
        game.step(number)
    for optimizer, updates in ((game.discriminator_optimizer, 2 * 3), (game.generator_optimizer, 2)):
        assert {state["step"].item() for state in optimizer.state_dict()["state"].values()} == {updates}


# --- what a phase touches ---


@pytest.mark.parametrize("graph", [True, False])
def test_the_discriminator_phase_leaves_the_generator_alone(accelerate, graph):
    game = build(accelerate(), r1=1.0, r2=1.0, wgan_gp=1.0)
    generator, discriminator = weights(game.generator), weights(game.discriminator)
    game.discriminator_phase(game.make_micro_batches(0, graph=graph))
    assert distance(game.generator, generator) == 0
    assert all(weight.grad is None for weight in game.generator.parameters())
    assert distance(game.discriminator, discriminator) > 0.01


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_generator_phase_leaves_the_discriminator_alone(accelerate, objective):
    game = build(accelerate(), objective)
    generator, discriminator = weights(game.generator), weights(game.discriminator)
    game.generator_phase(game.make_micro_batches(0, graph=True))
    assert distance(game.discriminator, discriminator) == 0
    assert all(weight.grad is None for weight in game.discriminator.parameters())
    assert all(weight.requires_grad for weight in game.discriminator.parameters()), "it learns again after"
    assert distance(game.generator, generator) > 0.001


def test_the_discriminator_learns_again_after_a_phase_that_failed(accelerate):
    def fail(real, fake):
        raise RuntimeError("interrupted")

    game = build(accelerate(), Objective(OBJECTIVES["hinge"].discriminator, fail))
    with pytest.raises(RuntimeError, match="interrupted"):
        game.step(0)
    assert all(weight.requires_grad for weight in game.discriminator.parameters())
    assert all(weight.grad is None for weight in game.discriminator.parameters())


def test_frozen_lets_gradients_pass():
    discriminator, samples = Discriminator(), torch.randn(2, 2, 3, requires_grad=True)
    with frozen(discriminator):
        discriminator(samples, torch.tensor([0, 1])).sum().backward()
    assert samples.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in discriminator.parameters())


def test_gradients_do_not_pile_up_from_step_to_step(accelerate):
    game = build(accelerate(), r1=1.0)
    first = game.step(0)
    with torch.no_grad():  # back to the start: the same step must then be the same
        for network, start in zip((game.generator, game.discriminator), networks(), strict=True):
            network.load_state_dict(start.state_dict())
    again = game.step(0)
    assert numbers_of(again) == numbers_of(first)


def test_metrics_keep_no_graph(accelerate):
    metrics = build(accelerate(), r1=1.0).step(0)
    assert all(not value.requires_grad and value.shape == () for value in metrics.values())


# --- rules ---


def test_long_gradients_are_clipped_and_reported_as_they_were(accelerate):
    accelerator = accelerate()
    free = build(accelerator, r1=1.0).step(0)
    game = build(accelerator, r1=1.0, max_gradient_norm=0.01)
    generator, discriminator = weights(game.generator), weights(game.discriminator)
    batch = game.make_micro_batches(0, graph=True)
    norm = game.discriminator_phase(batch)["discriminator_gradient_norm"]
    assert norm.item() == free["discriminator_gradient_norm"].item() > 0.1
    # Plain gradient descent goes as far as the rate times the gradient's length, which is now the limit.
    assert distance(game.discriminator, discriminator) == pytest.approx(RATE * 0.01, rel=1e-3)
    norm = game.generator_phase(batch)["generator_gradient_norm"]
    assert norm.item() > 0.02
    assert distance(game.generator, generator) == pytest.approx(RATE * 0.01, rel=1e-3)


def test_short_gradients_are_left_as_they_are(accelerate):
    accelerator = accelerate()
    free, limited = build(accelerator), build(accelerator, max_gradient_norm=1000.0)
    free.step(0)
    limited.step(0)
    assert_same_weights(limited.generator, free.generator, tolerance=0)
    assert_same_weights(limited.discriminator, free.discriminator, tolerance=0)


@pytest.mark.parametrize(
    ("fields", "precision", "passes"),
    [
        ({}, "no", 3),  # real and fake for the discriminator, fake for the generator
        ({"r1": 1.0, "r2": 1.0}, "no", 3),
        ({"r1": 1.0, "wgan_gp": 1.0}, "no", 4),
        ({"r1": 1.0}, "bf16", 4),
        ({"r1": 1.0, "r2": 1.0}, "bf16", 5),
        ({"r1": 1.0, "r2": 1.0, "penalty_every": 2}, "bf16", 3),  # in step 1
    ],
    ids=str,
)
def test_penalties_share_the_forward_pass_of_the_logits_in_full_precision(accelerate, fields, precision, passes):
    game = build(accelerate(precision), **fields)
    seen = []
    with game.discriminator.register_forward_hook(lambda *call: seen.append(call)):
        game.step(1)
    assert len(seen) == passes


def test_a_discriminator_with_frozen_weights_trains_the_others(accelerate):
    game = build(accelerate(), r1=1.0)
    frozen, *others = game.discriminator.parameters()
    frozen.requires_grad_(False)
    before = [weight.detach().clone() for weight in (frozen, *others)]
    game.step(0)
    assert torch.equal(frozen, before[0])
    assert any(not torch.equal(*pair) for pair in zip(others, before[1:], strict=True))


def test_a_penalty_of_weight_zero_is_not_computed(accelerate):
    assert build(accelerate()).step(0)["penalty"].item() == 0


def test_the_share_of_each_process_adds_up_to_the_step_of_one(accelerate):
    """Two processes' gradients, averaged as data parallelism averages them, are one process's."""
    game = build(accelerate(), "relativistic", r1=1.0)
    halves = [dataclasses.replace(game, batch_slice=rows) for rows in (slice(0, 4), slice(4, 8))]
    parts = [half.make_micro_batches(5, graph=False)[0] for half in halves]
    (whole,) = game.make_micro_batches(5, graph=False)
    for name in ("real", "condition", "latent", "augmentation", "mix"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name
    # The fakes go through a matrix product, whose last bit may depend on the number of rows.
    torch.testing.assert_close(torch.cat([part.fake for part in parts]), whole.fake)


def test_warmup_is_a_textbook_step_of_the_generator_alone(accelerate):
    def loss(generator, real, condition):
        return (generator(real[:, 0], condition) - real).square().mean()

    for micro_batches in (1, 4):
        game = build(accelerate(), micro_batches=micro_batches)
        discriminator = weights(game.discriminator)
        metrics = game.pretrain(3, loss)
        expected = networks()[0]
        value = loss(expected, *batches(3, slice(0, BATCH)))
        norm = descend(expected, value)
        assert_same_weights(game.generator, expected)
        assert distance(game.discriminator, discriminator) == 0
        assert metrics["pretraining_loss"].item() == pytest.approx(value.item(), rel=1e-5)
        assert metrics["generator_gradient_norm"].item() == pytest.approx(norm.item(), rel=1e-5)


# --- precision ---


def test_penalties_are_exact_under_mixed_precision(accelerate):
    exact_game = build(accelerate(), r1=1.0)
    exact = exact_game.step(0)
    rough_game = build(accelerate("bf16"), r1=1.0)
    rough = rough_game.step(0)
    assert abs(rough["discriminator_loss"] - exact["discriminator_loss"]) > 1e-6, "bf16 is on, or this shows nothing"
    assert rough["discriminator_loss"].item() == pytest.approx(exact["discriminator_loss"].item(), abs=0.05)
    assert rough["penalty"].item() == pytest.approx(exact["penalty"].item(), rel=1e-6)


@pytest.mark.parametrize("penalty", ["r1", "r2", "wgan_gp"])
def test_each_penalty_and_its_gradient_are_exact_under_autocast(accelerate, penalty):
    found = []
    for precision in ("no", "bf16"):
        game = build(accelerate(precision), **{penalty: 1.0})
        real, fake = torch.randn(2, BATCH, 2, 3, generator=torch.Generator().manual_seed(1))
        (batch,) = game.make_micro_batches(0, graph=False)
        with game.accelerator.autocast():  # as when a caller has left one on
            value = game.penalty(real, fake, batch)
        value.backward()
        gradients = [w.grad for w in game.discriminator.parameters() if w.grad is not None]
        found.append(torch.cat([value.detach()[None], *(gradient.flatten() for gradient in gradients)]))
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-6)


def test_losses_are_computed_in_full_precision_under_bf16(accelerate):
    metrics = build(accelerate("bf16"), "relativistic", micro_batches=2).step(0)
    assert {value.dtype for value in metrics.values()} == {torch.float32}


def with_loss_scale(accelerator, scale):
    """An accelerator that behaves as under fp16, which the CPU has no scaler for, in full precision."""
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    game = build(accelerator)
    # Told only now, so that the networks were wrapped without half precision.
    accelerator.native_amp, accelerator.state._mixed_precision = True, "fp16"
    accelerator.autocast_handler = AutocastKwargs(enabled=False)
    return game


def test_an_overflow_skips_the_step_and_is_counted(accelerate):
    game = with_loss_scale(accelerate(), math.inf)  # every scaled gradient overflows
    before = weights(game.generator), weights(game.discriminator)
    metrics = numbers_of(game.step(0))
    players = zip(("generator", "discriminator"), (game.generator, game.discriminator), before, strict=True)
    for player, network, old in players:
        assert metrics[f"{player}_dropped"] == 1
        assert distance(network, old) == 0


def test_a_loss_scale_that_fits_changes_nothing(accelerate):
    plain = build(accelerate())
    expected = numbers_of(plain.step(0))
    scaled = with_loss_scale(accelerate(), 2.0**10)
    metrics = numbers_of(scaled.step(0))
    for player in ("generator", "discriminator"):
        assert metrics[f"{player}_dropped"] == 0
        assert metrics[f"{player}_gradient_norm"] == pytest.approx(expected[f"{player}_gradient_norm"], rel=1e-5)
    assert distance(scaled.generator, weights(plain.generator)) < 1e-6
    assert distance(scaled.discriminator, weights(plain.discriminator)) < 1e-6
