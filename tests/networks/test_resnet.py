"""The residual generator: its published size, pictures of any size, the latent, and both ways of a CycleGAN."""

import pytest
import torch
from checks import (
    check_each_sample_alone,
    check_every_weight_learns,
    count,
    pictures,
    saturated,
    share_of_the_latent,
)
from torch import nn

from multigan.networks.layout import channels_last
from multigan.networks.normalization import InstanceNorm2d
from multigan.networks.resnet import ResidualBlock, ResNetGenerator, TwoWayGenerator


def test_the_published_size():
    # CycleGAN's generator for 256 x 256 has 11,378,179 weights, of which the biases before its normalisations, 5,248,
    # have no effect. Ours has a weight a channel in each of them, and a bias but in the 9 of the second kind.
    idle = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64
    assert idle == 5248
    with torch.device("meta"):
        assert count(ResNetGenerator(0, 3, 3, 64, 9)) == 11_378_179 - idle + (2 * idle - 9 * 256)


def test_weights_counted_by_hand():
    encoder = (1 * 2 * 49 + 4) + (2 * 4 * 9 + 8)
    block = (4 * 4 * 9 + 8) + (4 * 4 * 9 + 4) + 5 * 2 * 4
    decoder = (4 * 2 * 9 + 4) + (2 * 3 * 49 + 3)
    assert count(ResNetGenerator(5, 1, 3, 2, 1, halvings=1)) == encoder + block + decoder


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (16, 16), (33, 20)])
@pytest.mark.parametrize("latent_dim", [0, 3])
@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_any_size(halvings, latent_dim, height, width):
    network = ResNetGenerator(latent_dim, 2, 3, 4, 2, halvings)
    samples = network(torch.randn(1, latent_dim), pictures(1, height, width, channels=2))
    assert samples.shape == (1, 3, height, width)
    assert samples.isfinite().all() and samples.abs().max() <= 1


@pytest.mark.parametrize("latent_dim", [0, 3])
def test_every_weight_learns(latent_dim):
    check_every_weight_learns(ResNetGenerator(latent_dim, 3, 3, 8, 3), torch.randn(3, latent_dim), pictures(3, 16, 16))


def test_each_sample_is_made_alone():
    check_each_sample_alone(ResNetGenerator(3, 3, 3, 8, 2), torch.randn(3, 3), pictures(3, 19, 16))


def test_the_latent_reaches_the_sample():
    assert share_of_the_latent(ResNetGenerator(8, 3, 3, 16, 3), 8, pictures(4, 32, 32)) > 0.3


def test_samples_start_unsaturated():
    assert saturated(ResNetGenerator(8, 3, 3, 16, 6), torch.randn(4, 8), pictures(4, 32, 32)) < 0.12


def test_a_block_by_hand():
    # One channel, 3 x 3 kernels that pass the middle pixel on; the latent 0.5 scales by 1 + 2 * 0.5 and shifts by
    # -1 * 0.5. Numbers of mean 0 and variance 1, so the first normalisation leaves them.
    block = ResidualBlock(1, 1).double()
    with torch.no_grad():
        for layer in (block.first, block.second):
            layer.weight.zero_()
            layer.weight[0, 0, 1, 1] = 1
        block.scale_and_shift.weight.copy_(torch.tensor([[2.0], [-1.0]]))
        block.second_norm.weight.fill_(3)
    hidden = torch.tensor([[[[-1.0, 1.0], [1.0, -1.0]]]], dtype=torch.float64)
    # (-1, 1, 1, -1) -> times 2 less 0.5: (-2.5, 1.5, 1.5, -2.5) -> ReLU (0, 1.5, 1.5, 0) -> (-1, 1, 1, -1) -> times 3.
    found = block(hidden, torch.tensor([[0.5]], dtype=torch.float64))
    torch.testing.assert_close(found, hidden + 3 * hidden, rtol=1e-4, atol=0)


def test_a_constant_is_enlarged_without_checkerboards():
    # What is the same everywhere stays the same everywhere, also at the edges: nothing is padded with zeros.
    network = ResNetGenerator(0, 3, 3, 8, 2)
    for module in network.modules():
        if isinstance(module, InstanceNorm2d) and module.bias is not None:
            nn.init.normal_(module.bias)  # with biases of 0, all after the first normalisation would be 0
    samples = network(torch.zeros(1, 0), torch.full((1, 3, 16, 16), 0.3))
    assert samples.abs().min() > 1e-3
    assert (samples - samples[..., :1, :1]).abs().max() < 1e-5


def test_two_ways():
    to_a, to_b = ResNetGenerator(2, 3, 3, 4, 1), ResNetGenerator(2, 3, 3, 4, 1)
    network, latent = TwoWayGenerator(to_a, to_b, 3), torch.randn(2, 2)
    a, b = pictures(2, 8, 8), pictures(2, 8, 8)
    samples = network(latent, torch.cat([a, b], 1))
    torch.testing.assert_close(samples, torch.cat([to_a(latent, b), to_b(latent, a)], 1))
    again = network(latent, samples)
    torch.testing.assert_close(again[:, :3], to_a(latent, to_b(latent, a)))  # back where it began
    assert torch.equal(network(latent, a), to_b(latent, a))  # a single picture, in the direction that is set
    network.direction = "BA"
    assert torch.equal(network(latent, b), to_a(latent, b))
    check_every_weight_learns(network, latent, torch.cat([a, b], 1))


def test_two_ways_close_the_cycle():
    class Add(nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, latent, condition):
            return condition + self.number

    network, condition = TwoWayGenerator(Add(-0.5), Add(0.5), 1), pictures(2, 4, 4, channels=2)
    a, b = condition.chunk(2, 1)
    torch.testing.assert_close(network(None, condition), torch.cat([b - 0.5, a + 0.5], 1))
    torch.testing.assert_close(network(None, network(None, condition)), condition)


def test_layout_makes_no_difference():
    network, latent, condition = ResNetGenerator(3, 3, 3, 8, 2), torch.randn(2, 3), pictures(2, 16, 16)
    expected = network(latent, condition)
    channels_last(network)
    torch.testing.assert_close(network(latent, condition), expected, rtol=1e-4, atol=1e-5)
