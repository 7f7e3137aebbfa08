"""Gradient penalties against their closed forms, for samples of any rank, and their own gradients by the weights."""

import math

import pytest
import torch

from multigan.engine import penalties

SHAPES = [(5,), (1, 6), (2, 3, 4)]


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(penalty, discriminate, samples):
    """The penalty of a discriminator at some samples."""
    samples = samples.detach().requires_grad_()
    return penalty(discriminate(samples), samples)


def linear(weight, bias):
    """D(x) = w.x + b, whose gradient is w everywhere."""
    return lambda samples: (samples * weight).flatten(1).sum(1) + bias


def quadratic(factor):
    """D(x) = a/2 |x|^2, whose gradient is a x."""
    return lambda samples: factor / 2 * samples.square().flatten(1).sum(1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_r1_and_r2_of_a_linear_discriminator(penalty, shape):
    weight, bias = numbers(*shape).requires_grad_(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    value = of(penalty, linear(weight, bias), numbers(4, *shape, seed=1))
    assert value.shape == ()
    # 1/2 |w|^2, whatever the samples are.
    assert value.item() == pytest.approx(sum(w * w for w in weight.flatten().tolist()) / 2, rel=1e-12)
    # The second derivative reaches the weights: d (1/2 |w|^2) / dw = w.
    (gradient,) = torch.autograd.grad(value, weight)
    torch.testing.assert_close(gradient, weight.detach())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_r1_and_r2_of_a_quadratic_discriminator(penalty, shape):
    factor = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    samples = numbers(4, *shape)
    value = of(penalty, quadratic(factor), samples)
    lengths = [sum(x * x for x in sample.flatten().tolist()) for sample in samples]  # |x|^2
    # 1/2 mean |a x|^2 = a^2/2 mean |x|^2, and its derivative by a is a mean |x|^2.
    assert value.item() == pytest.approx(1.5**2 / 2 * sum(lengths) / 4, rel=1e-12)
    (gradient,) = torch.autograd.grad(value, factor)
    assert gradient.item() == pytest.approx(1.5 * sum(lengths) / 4, rel=1e-12)


def test_each_sample_is_squared_alone():
    # Gradients 3 and 4: their squares are 9 and 16; the square of the whole batch's gradient would be 25 twice.
    samples = torch.tensor([[3.0], [4.0]])
    assert of(penalties.squared_gradient_norm, quadratic(1.0), samples).tolist() == [9, 16]
    assert of(penalties.r1, quadratic(1.0), samples).item() == (9 + 16) / 2 / 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_wgan_gp_of_a_linear_discriminator(shape):
    weight = numbers(*shape).requires_grad_()
    real, fake, mix = numbers(4, *shape, seed=1), numbers(4, *shape, seed=2), torch.rand(4, dtype=torch.float64)
    value = penalties.wgan_gp(linear(weight, 0.3), real, fake, mix)
    length = math.sqrt(sum(w * w for w in weight.flatten().tolist()))
    assert value.item() == pytest.approx((length - 1) ** 2, rel=1e-9)
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    (gradient,) = torch.autograd.grad(value, weight)
    torch.testing.assert_close(gradient, 2 * (length - 1) / length * weight.detach())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mixed_samples_lie_where_mix_says(shape):
    real, fake = numbers(3, *shape, seed=1), numbers(3, *shape, seed=2)
    mix = [1.0, 0.0, 0.25]  # at the real sample, at the fake one, and a quarter of the way from fake to real
    # With D = |x|^2 / 2 the gradient is the mixed sample itself.
    pairs = [zip(x.flatten().tolist(), y.flatten().tolist(), strict=True) for x, y in zip(real, fake, strict=True)]
    lengths = [math.sqrt(sum((m * r + (1 - m) * f) ** 2 for r, f in pair)) for m, pair in zip(mix, pairs, strict=True)]
    value = penalties.wgan_gp(quadratic(1.0), real, fake, torch.tensor(mix, dtype=torch.float64))
    assert value.item() == pytest.approx(sum((length - 1) ** 2 for length in lengths) / 3, rel=1e-9)


def test_wgan_gp_is_finite_for_a_dead_discriminator():
    weight = torch.zeros(6, requires_grad=True)
    value = penalties.wgan_gp(linear(weight, 0.0), torch.randn(4, 6), torch.randn(4, 6), torch.rand(4))
    assert value.item() == pytest.approx(1, abs=1e-5)  # (0 - 1)^2
    (gradient,) = torch.autograd.grad(value, weight)
    assert torch.isfinite(gradient).all()


def test_nothing_is_left_behind_on_samples_and_weights():
    weight, real, fake = torch.ones(3, requires_grad=True), torch.randn(2, 3), torch.randn(2, 3)
    penalties.wgan_gp(linear(weight, 0.0), real, fake, torch.rand(2))
    assert weight.grad is None
    assert not real.requires_grad
    assert not fake.requires_grad
