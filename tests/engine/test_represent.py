"""A discriminator that says how it represents samples: what it is given, and where the penalties are."""

import dataclasses

import pytest
import torch
from test_step import build, sgd, weights
from torch import nn

from multigan.engine import distributed
from multigan.engine.shell import represented


class Doubled(nn.Module):
    """D(r) = w . r of r = 2 x; by r, its gradient is w, and by x it would be 2 w."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.5, 1.0, -1.0], [0.0, 2.0, 0.5]]))

    def represent(self, samples):
        return 2 * samples

    def forward(self, samples, condition):
        return (samples * self.weight).sum((1, 2))


class Stretched(nn.Module):
    """A discriminator, of samples that are stretched outside of it instead of inside."""

    def __init__(self, network, factor, outside):
        super().__init__()
        self.network, self.factor = network, factor
        if outside:
            self.represent = lambda samples: factor * samples
        self.inside = 1 if outside else factor

    def forward(self, samples, condition):
        return self.network(self.inside * samples, condition)


def with_discriminator(game, network):
    wrapped, optimizer = distributed.prepare(game.accelerator, network, sgd(network))
    return dataclasses.replace(
        game, discriminator=network, wrapped_discriminator=wrapped, discriminator_optimizer=optimizer
    )


def test_samples_are_as_they_are_where_nothing_is_said():
    samples = torch.ones(2, 3)
    assert represented(nn.Identity(), samples) is samples
    assert torch.equal(represented(Doubled(), samples), 2 * samples)


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"r1": 1.0}, 3.25),  # |w|^2 / 2 = (0.25 + 1 + 1 + 4 + 0.25) / 2
        ({"r2": 1.0}, 3.25),
        ({"r1": 0.5, "r2": 1.0, "penalty_every": 2}, 2 * 1.5 * 3.25),
        ({"wgan_gp": 1.0}, (6.5**0.5 - 1) ** 2),
        ({"r1": 1.0, "micro_batches": 2}, 3.25),
    ],
    ids=str,
)
def test_penalties_are_by_the_representation(accelerate, precision, rules, expected):
    game = with_discriminator(build(accelerate(precision), **rules), Doubled())
    metrics = game.discriminator_phase(game.make_micro_batches(0, graph=False))
    assert metrics["penalty"].item() == pytest.approx(expected, rel=1e-5)


def test_without_penalties_it_makes_no_difference_where_samples_are_changed(accelerate):
    """Both phases, in two micro-batches: logits, and the gradient that goes on to the generator."""
    accelerator, rules = accelerate(), {"micro_batches": 2, "discriminator_steps": 2}
    games = [
        with_discriminator(build(accelerator, "relativistic", **rules), Stretched(game.discriminator, 3.0, outside))
        for outside in (False, True)
        for game in [build(accelerator)]
    ]
    for number in range(2):
        inside, outside = (game.step(number) for game in games)
        for name, value in inside.items():
            torch.testing.assert_close(outside[name], value)
    assert inside["generator_gradient_norm"] > 0
    for name, value in weights(games[0].generator).items():
        torch.testing.assert_close(weights(games[1].generator)[name], value)


def test_samples_are_represented_augmented_with_noise_and_in_full_precision(accelerate):
    seen = []

    class Recorded(Doubled):
        def represent(self, samples):
            seen.append(samples.detach())
            return super().represent(samples)

    game = with_discriminator(build(accelerate("bf16")), Recorded())
    game.stabilizers.noise = 0.1
    (batch,) = game.make_micro_batches(0, graph=False)
    game.discriminator_phase([batch])
    assert all(samples.dtype == torch.float32 for samples in seen)
    expected = game.augment(batch.real, batch.augmentation) + batch.noise
    torch.testing.assert_close(seen[0], expected)
