"""Discriminators with several heads, logits of places and features, and further losses of the generator."""

import dataclasses

import pytest
import torch
from test_step import BATCH, build, sgd, weights
from torch import nn

from multigan.engine import distributed
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.shell import as_output
from multigan.engine.step import mean_over_heads
from multigan.interface import DiscriminatorOutput


def test_logits_of_places_and_heads_are_one_a_sample():
    first = torch.tensor([[1.0, 3.0], [0.0, 4.0]])  # two places: means 2 and 2
    second = torch.tensor([4.0, -2.0])
    assert DiscriminatorOutput((first, second)).logits.tolist() == [3.0, 0.0]
    assert as_output(second).logits is second, "runs with one logit a sample stay as they were, to the bit"


def test_loss_is_the_mean_over_the_heads_and_not_their_sum():
    def difference(real, fake):
        return (fake - real).mean()

    real = DiscriminatorOutput((torch.tensor([1.0]), torch.tensor([[2.0, 4.0]])))
    fake = DiscriminatorOutput((torch.tensor([2.0]), torch.tensor([[8.0, 10.0]])))
    assert mean_over_heads(difference, real, fake).item() == (1 + 6) / 2


class Heads(nn.Module):
    """A discriminator as several: ``head`` is called with what it says."""

    def __init__(self, network, head):
        super().__init__()
        self.network, self.head = network, head

    def forward(self, samples, *args):
        return self.head(self.network(samples, *args))


def with_heads(game, head):
    network = Heads(game.discriminator, head)
    wrapped, optimizer = distributed.prepare(game.accelerator, network, sgd(network))
    return dataclasses.replace(
        game, discriminator=network, wrapped_discriminator=wrapped, discriminator_optimizer=optimizer
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "head",
    [
        lambda logits: logits[:, None, None].expand(-1, 3, 2),
        lambda logits: DiscriminatorOutput((logits, logits[:, None]), (logits,)),
    ],
    ids=["places", "heads"],
)
def test_equal_places_and_heads_are_one(accelerate, objective, head):
    """The whole step with R1, R2 and micro-batches: the same logit three times is the same game."""
    rules = {"r1": 0.5, "r2": 0.3, "discriminator_steps": 2, "micro_batches": 2}
    plain = build(accelerate(), objective, **rules)
    several = with_heads(build(plain.accelerator, objective, **rules), head)
    for number in range(2):
        expected, found = plain.step(number), several.step(number)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    for name, value in weights(plain.generator).items():
        torch.testing.assert_close(weights(several.generator)[name], value, rtol=1e-4, atol=1e-5)


def test_further_losses_are_added_logged_and_reach_the_generator_alone(accelerate):
    seen = []

    def further(output):
        seen.append(output)
        return {"nearness": 3 * (output.fake - output.real).square().mean()}

    plain = build(accelerate(), micro_batches=2)
    game = dataclasses.replace(build(plain.accelerator, micro_batches=2), generator_loss=further)
    before, discriminator = weights(plain.generator), weights(game.discriminator)
    parts = plain.make_micro_batches(0, graph=False)
    nearness = sum(3 * (part.fake - part.real).square().mean() for part in parts) / 2
    found = game.generator_phase(game.make_micro_batches(0, graph=False))
    assert found["nearness"].item() == pytest.approx(nearness.item(), rel=1e-5)
    plain.generator_phase(parts)
    steps = [weights(game.generator)[name] - before[name] for name in before]
    without = [weights(plain.generator)[name] - before[name] for name in before]
    assert not all(torch.allclose(one, other) for one, other in zip(steps, without, strict=True))
    assert all(torch.equal(value, discriminator[name]) for name, value in weights(game.discriminator).items())
    assert found["generator_loss"].item() == pytest.approx(
        plain.config.objective.generator(None, seen[0].judged.logits).item() / 2
        + plain.config.objective.generator(None, seen[1].judged.logits).item() / 2,
        rel=1e-5,
    )


def test_real_samples_are_judged_when_they_are_asked_for_and_once(accelerate):
    calls = []

    def further(output):
        judged = output.judge_real(), output.judge_real()
        calls.append(judged)
        assert judged[0] is judged[1] and not judged[0].logits.requires_grad
        assert len(judged[0].logits) == BATCH
        return {}

    dataclasses.replace(build(accelerate()), generator_loss=further).step(0)
    assert len(calls) == 1


def test_the_generator_can_be_applied_again(accelerate):
    def further(output):
        again = output.generate(output.latent, output.condition)
        torch.testing.assert_close(again, output.fake)
        assert again.requires_grad
        return {"again": again.square().mean()}

    found = dataclasses.replace(build(accelerate()), generator_loss=further).step(0)
    assert found["again"] > 0 and found["generator_gradient_norm"].isfinite()
