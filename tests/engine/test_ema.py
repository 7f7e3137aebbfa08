"""The moving average against the recursion worked by hand."""

import copy

import pytest
import torch
from torch import nn

from multigan.engine.ema import calibrate, decay_at, update_average


class Network(nn.Module):
    """A weight, a running statistic and a counter."""

    def __init__(self, value, counter=0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("statistic", torch.tensor([10 * value]))
        self.register_buffer("counter", torch.tensor(counter))


def test_three_updates_by_hand():
    average, expected = Network(1.0), 1.0
    # The ramp (1 + n) / (10 + n) is 1/10, 2/11, 3/12 for n = 0, 1, 2: all under 0.999.
    for updates, (value, decay) in enumerate(zip((2.0, 3.0, 5.0), (1 / 10, 2 / 11, 3 / 12), strict=True)):
        update_average(average, Network(value), decay_at(updates, 0.999))
        expected = decay * expected + (1 - decay) * value
        assert average.weight.item() == pytest.approx(expected, rel=1e-6)
        assert average.statistic.item() == pytest.approx(10 * expected, rel=1e-6)


def test_the_decay_bounds_the_ramp():
    average, expected = Network(1.0), 1.0
    # With a decay of 0.15 the ramp reaches it at once: 1/10, then 0.15 (2/11 is more), then 0.15.
    for updates, (value, decay) in enumerate(zip((2.0, 3.0, 5.0), (0.1, 0.15, 0.15), strict=True)):
        update_average(average, Network(value), decay_at(updates, 0.15))
        expected = decay * expected + (1 - decay) * value
    assert average.weight.item() == pytest.approx(expected, rel=1e-6)
    late = Network(1.0)
    update_average(late, Network(3.0), decay_at(10**6, 0.999))
    assert late.weight.item() == pytest.approx(0.999 * 1 + 0.001 * 3, rel=1e-6)


def test_counters_are_copied():
    average = Network(1.0, counter=1)
    update_average(average, Network(2.0, counter=7), 0.9)
    assert average.counter.item() == 7


def test_the_network_itself_stays_and_no_graph_is_kept():
    average, network = Network(1.0), Network(2.0)
    before = copy.deepcopy(network.state_dict())
    update_average(average, network, 0.9)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert average.weight.is_leaf
    assert average.weight.grad_fn is None


def test_layouts_in_memory_may_differ():
    average = nn.Conv2d(3, 4, 3)
    network = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    expected = 0.1 * average.weight.detach() + 0.9 * network.weight.detach()
    update_average(average, network, 0.1)
    torch.testing.assert_close(average.weight.detach(), expected)


class Doubling(nn.Module):
    """Twice the latent, normalised."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, latent, condition):
        return self.norm(2 * latent)


def test_calibrated_statistics_are_plain_means_over_the_batches():
    network = Doubling()
    network(torch.full((4, 1), 100.0) + torch.arange(4).view(-1, 1), None)  # statistics that must leave no trace
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [9.0]])]
    calibrate(network, [(batch, None) for batch in batches])
    # Means of twice the values 4 and 14, unbiased variances of them 8 and 32.
    assert network.norm.running_mean.item() == pytest.approx((4 + 14) / 2)
    assert network.norm.running_var.item() == pytest.approx((8 + 32) / 2)
    assert not network.training
    assert network.norm.momentum == nn.BatchNorm1d(1).momentum


def test_a_network_without_normalisation_is_not_run():
    def never():
        raise AssertionError("the inputs were asked for")
        yield

    network = nn.Linear(1, 1)
    calibrate(network, never())
    assert not network.training
