"""Holds the leaky ReLU to PyTorch's own: values, gradients, and those of a gradient penalty, bit for bit."""

import pytest
import torch
from torch import nn

from multigan.networks.activations import LEAK, leaky_relu


def pytorchs(samples):
    return nn.functional.leaky_relu(samples, LEAK)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_below_zero_a_fifth_is_left():
    assert leaky_relu(torch.tensor([-5.0, -1.0, 0.0, 2.0])).tolist() == pytest.approx([-1.0, -0.2, 0.0, 2.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_pytorch(dtype):
    samples = random(1000, dtype=dtype)
    found = leaky_relu(samples)
    assert found.dtype == dtype and torch.equal(found, pytorchs(samples))


def test_values_are_the_same_where_no_gradient_is_wanted():
    samples = random(1000)
    with torch.no_grad():
        assert torch.equal(leaky_relu(samples), pytorchs(samples))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_and_is_close(dtype):
    samples = random(1000).to(dtype)
    found = leaky_relu(samples)
    assert found.dtype == dtype
    # A fifth is rounded to 8 bits or 11, and the product once more.
    torch.testing.assert_close(found, pytorchs(samples), rtol=2 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_pytorch(dtype):
    samples, outward = random(1000, dtype=dtype).requires_grad_(), random(1000, seed=1, dtype=dtype)
    found, expected = (
        torch.autograd.grad(function(samples), samples, outward)[0] for function in (leaky_relu, pytorchs)
    )
    assert torch.equal(found, expected)


def penalty_gradients(activation, dtype):
    """The gradients, by every weight, of the squared norm of the gradient of a small network by its input."""
    torch.manual_seed(0)
    layers = [nn.Conv1d(1, 3, 5, 2, 2), nn.Conv1d(3, 4, 5, 2, 2)]
    last = nn.Linear(4 * 8, 1)
    weights = [weight for layer in (*layers, last) for weight in layer.to(dtype).parameters()]
    samples = random(6, 1, 32, dtype=dtype).requires_grad_()
    hidden = samples
    for layer in layers:
        hidden = activation(layer(hidden))
    (gradient,) = torch.autograd.grad(last(hidden.flatten(1)).sum(), samples, create_graph=True)
    return torch.autograd.grad(gradient.square().sum(), weights, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_a_gradient_penalty_are_those_of_pytorch(dtype):
    found, expected = penalty_gradients(leaky_relu, dtype), penalty_gradients(pytorchs, dtype)
    assert any(gradient.abs().max() > 0.01 for gradient in found)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_no_second_derivative_is_sent_back_through_it():
    # That is what it is for: the gradient depends on the samples by nothing that autograd would follow.
    samples, outward = random(10).requires_grad_(), torch.ones(10)
    (gradient,) = torch.autograd.grad(leaky_relu(samples), samples, outward, create_graph=True)
    assert not gradient.requires_grad
