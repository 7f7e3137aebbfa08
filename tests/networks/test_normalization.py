"""GhostBatchNorm2d is torch's batch normalisation, group by group; instance normalisation is torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from multigan.networks.normalization import GROUP, GhostBatchNorm2d, InstanceNorm2d, instance_norm

CHANNELS = 3


def pictures(count, seed=0):
    """Samples of which every channel and every group has a mean and a scale of its own."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, CHANNELS, 2, 4, generator=generator)
    return values * torch.tensor([1.0, 2.0, 0.5]).view(1, -1, 1, 1) + torch.arange(count).view(-1, 1, 1, 1) / 8


def pair():
    """Ours and torch's, with the same weights and running statistics, none of them the initial ones."""
    ours, theirs = GhostBatchNorm2d(CHANNELS), nn.BatchNorm2d(CHANNELS)
    with torch.no_grad():
        for network in (ours, theirs):
            network.weight.copy_(torch.tensor([0.5, 1.5, -1.0]))
            network.bias.copy_(torch.tensor([0.1, 0.0, -0.3]))
            network.running_mean.copy_(torch.tensor([0.2, -0.4, 1.0]))
            network.running_var.copy_(torch.tensor([1.3, 0.7, 2.0]))
    return ours, theirs


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count", [GROUP, 3 * GROUP])
def test_training_equals_torch_on_each_group(count, memory_format):
    ours, _ = pair()
    samples = pictures(count).to(memory_format=memory_format)
    found = ours(samples)
    expected = torch.cat([pair()[1](group) for group in samples.split(GROUP)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_training_leaves_the_statistics_for_evaluation_alone():
    # They would depend on how a batch is shared out over processes and micro-batches.
    ours, _ = pair()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    ours(pictures(2 * GROUP))
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


def test_calibrated_statistics_by_hand():
    network = GhostBatchNorm2d(1)
    # Two groups of 16 with values -1, 1 around 2, and -1, 1 around 6: means 2 and 6, unbiased variances 16/15.
    values = torch.tensor([-1.0, 1.0]).repeat(GROUP)
    values[:GROUP] += 2
    values[GROUP:] += 6
    network.momentum = None
    network(values.view(-1, 1, 1, 1))
    assert network.running_mean.item() == pytest.approx((2 + 6) / 2, rel=1e-6)
    assert network.running_var.item() == pytest.approx(16 / 15, rel=1e-6)
    # A second batch, around 10, counts as much as the first.
    network((torch.tensor([-1.0, 1.0]).repeat(GROUP) + 10).view(-1, 1, 1, 1))
    assert network.running_mean.item() == pytest.approx((4 + 10) / 2, rel=1e-6)
    assert network.running_var.item() == pytest.approx(16 / 15, rel=1e-6)


def test_gradients_equal_torch_on_each_group():
    ours, theirs = pair()
    samples = pictures(2 * GROUP)
    direction = torch.randn(samples.shape, generator=torch.Generator().manual_seed(1))
    found = [samples.clone().requires_grad_() for _ in range(2)]
    (ours(found[0]) * direction).sum().backward()
    (torch.cat([theirs(group) for group in found[1].split(GROUP)]) * direction).sum().backward()
    torch.testing.assert_close(found[0].grad, found[1].grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-4, atol=1e-4)


def test_evaluation_uses_and_keeps_the_running_statistics():
    ours, theirs = (network.eval() for network in pair())
    samples = pictures(5)  # in evaluation any number of samples will do
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    torch.testing.assert_close(ours(samples), theirs(samples))
    torch.testing.assert_close(ours(samples[:1]), theirs(samples)[:1])
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


@settings(deadline=None, max_examples=20)
@given(groups=st.integers(2, 5), data=st.data())
def test_groups_split_over_calls_equal_one_call(groups, data):
    cut = data.draw(st.integers(1, groups - 1)) * GROUP
    samples = pictures(groups * GROUP)
    whole = pair()[0](samples)
    parts = [pair()[0](part) for part in (samples[:cut], samples[cut:])]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-5)


def test_a_sample_sees_its_group_alone():
    samples = pictures(2 * GROUP)
    changed = samples.clone()
    changed[-1] += 100
    first, second = (pair()[0](values) for values in (samples, changed))
    torch.testing.assert_close(first[:GROUP], second[:GROUP])
    assert (first[GROUP:-1] - second[GROUP:-1]).abs().max() > 0.1


@pytest.mark.parametrize("count", [2, GROUP + 1, 40])
def test_sizes_that_do_not_divide_are_refused(count):
    with pytest.raises(
        ValueError, match=f"each process has {count} samples in a micro-batch: expected a multiple of {GROUP}"
    ):
        GhostBatchNorm2d(CHANNELS)(pictures(count))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
def test_instance_normalisation_equals_torch(bias, memory_format):
    samples = pictures(5).double().to(memory_format=memory_format).requires_grad_()
    ours, theirs = InstanceNorm2d(CHANNELS, bias).double(), nn.InstanceNorm2d(CHANNELS, affine=True).double()
    with torch.no_grad():
        for network in (ours, theirs):
            network.weight.copy_(torch.tensor([0.5, 1.5, -1.0]))
        if bias:
            ours.bias.copy_(torch.tensor([0.1, 0.0, -0.3]))
            theirs.bias.copy_(torch.tensor([0.1, 0.0, -0.3]))
    found, expected = ours(samples), theirs(samples)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=memory_format)
    weights = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)
    (gradient,) = torch.autograd.grad((found * weights).sum(), samples)
    (known,) = torch.autograd.grad((expected * weights).sum(), samples)
    torch.testing.assert_close(gradient, known)


def test_instance_normalisation_of_numbers_worked_by_hand():
    # Mean 2 and variance (1 + 1 + 1 + 9) / 4 = 3 less nothing but the 1e-5 that keeps it from 0.
    samples = torch.tensor([[[[1.0, 1.0], [1.0, 5.0]]]])
    expected = torch.tensor([[[[-1.0, -1.0], [-1.0, 3.0]]]]) / 3**0.5
    torch.testing.assert_close(instance_norm(samples), expected, rtol=1e-4, atol=0)
