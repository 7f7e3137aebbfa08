"""The U-Net of pix2pix: its published size, pictures of any size, and where the latent goes."""

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

from multigan.networks.layout import channels_last
from multigan.networks.unet import UNetGenerator


def test_the_published_size():
    # The authors' unet_256 has 54,413,955 weights. Its first and its innermost convolution have no bias, though no
    # normalisation follows them; ours have one of 64 and one of 512.
    with torch.device("meta"):
        assert count(UNetGenerator(0, 3, 3, 64, 8)) == 54_413_955 + 64 + 512


def test_weights_counted_by_hand():
    # Down: 1 -> 2 (4 x 4, bias), 2 -> 4 (and norm), 4 -> 8 (bias). Up: 8 -> 4 (norm), 8 -> 2 (norm), 4 -> 3 (bias).
    # The latent's 5 numbers reach the 8 channels of the bottleneck.
    down = (1 * 2 * 16 + 2) + (2 * 4 * 16 + 2 * 4) + (4 * 8 * 16 + 8)
    up = (8 * 4 * 16 + 2 * 4) + (8 * 2 * 16 + 2 * 2) + (4 * 3 * 16 + 3)
    assert count(UNetGenerator(5, 1, 3, 2, 3)) == down + up + 5 * 8


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (16, 16), (33, 20)])
@pytest.mark.parametrize("latent_dim", [0, 3])
@pytest.mark.parametrize("depth", [2, 4])
def test_any_size(depth, latent_dim, height, width):
    network = UNetGenerator(latent_dim, 2, 3, 4, depth)
    samples = network(torch.randn(2, latent_dim), pictures(2, height, width, channels=2))
    assert samples.shape == (2, 3, height, width)
    assert samples.isfinite().all() and samples.abs().max() <= 1


@pytest.mark.parametrize("latent_dim", [0, 3])
def test_every_weight_learns(latent_dim):
    check_every_weight_learns(UNetGenerator(latent_dim, 3, 3, 8, 4), torch.randn(3, latent_dim), pictures(3, 16, 16))


def test_each_sample_is_made_alone():
    check_each_sample_alone(UNetGenerator(3, 3, 3, 8, 3), torch.randn(3, 3), pictures(3, 19, 16))


@pytest.mark.parametrize("side", [32, 64])
def test_the_latent_reaches_the_sample(side):
    # At 32 the bottleneck is one pixel, at 64 it has places, and a latent is the same in all of them.
    assert share_of_the_latent(UNetGenerator(8, 3, 3, 16, 5), 8, pictures(4, side, side)) > 0.15


@pytest.mark.parametrize("depth", [3, 5])
def test_samples_start_unsaturated(depth):
    assert saturated(UNetGenerator(0, 3, 3, 16, depth), torch.zeros(4, 0), pictures(4, 32, 32)) < 0.12


def test_skips_carry_what_the_bottleneck_does_not():
    # The last layer hears the decoder's channels and then the first layer's: without the decoder's, a sample is made
    # of the pixels around each place alone.
    network = UNetGenerator(0, 1, 1, 4, 4)
    with torch.no_grad():
        network.last.weight[:4] = 0
    condition = pictures(1, 32, 32, channels=1)
    changed = condition.clone()
    changed[..., 16, 16] += 1
    difference = (network(torch.zeros(1, 0), changed) - network(torch.zeros(1, 0), condition)).abs()[0, 0]
    assert difference[13:20, 13:20].max() > 1e-3
    difference[13:20, 13:20] = 0
    assert difference.max() < 1e-6


def test_layout_makes_no_difference():
    network, latent, condition = UNetGenerator(3, 3, 3, 8, 3), torch.randn(2, 3), pictures(2, 16, 16)
    expected = network(latent, condition)
    channels_last(network)
    torch.testing.assert_close(network(latent, condition), expected, rtol=1e-4, atol=1e-5)
