"""SRResNet without normalisation: published sizes, a start at the bicubic enlargement, no checkerboards."""

import pytest
import torch
from checks import check_each_sample_alone, check_every_weight_learns, count, pictures, share_of_the_latent
from torch.nn.functional import interpolate

from multigan.networks.layout import channels_last
from multigan.networks.superresolution import Double, SuperResolutionGenerator, clamp, reach


@pytest.mark.parametrize(("factor", "published"), [(2, 1_369_859), (4, 1_517_571)])
def test_the_published_sizes(factor, published):
    # The baselines of EDSR: 64 channels, 16 blocks, 1.37 and 1.52 million weights.
    convolution, enlarge = 64 * 64 * 9 + 64, 64 * 256 * 9 + 256
    ends = (3 * 64 * 9 + 64) + (64 * 3 * 9 + 3)
    assert ends + 33 * convolution + factor // 2 * enlarge == published
    with torch.device("meta"):
        assert count(SuperResolutionGenerator(0, 3, 64, 16, factor)) == published


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8)])
@pytest.mark.parametrize("latent_dim", [0, 3])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_any_size(factor, latent_dim, height, width):
    network = SuperResolutionGenerator(latent_dim, 1, 4, 2, factor)
    samples = network(torch.randn(2, latent_dim), pictures(2, height, width, channels=1))
    assert samples.shape == (2, 1, factor * height, factor * width)
    assert samples.isfinite().all() and samples.abs().max() <= 1


def test_another_factor_is_refused():
    with pytest.raises(ValueError, match="factor is 3: expected 2, 4 or 8"):
        SuperResolutionGenerator(0, 3, 4, 1, 3)


@pytest.mark.parametrize("latent_dim", [0, 3])
def test_every_weight_learns(latent_dim):
    network = SuperResolutionGenerator(latent_dim, 3, 8, 3, 4)
    check_every_weight_learns(network, torch.randn(3, latent_dim), pictures(3, 8, 8))


def test_each_sample_is_made_alone():
    check_each_sample_alone(SuperResolutionGenerator(3, 3, 8, 2, 2), torch.randn(3, 3), pictures(3, 7, 8))


def test_the_latent_reaches_the_sample():
    assert share_of_the_latent(SuperResolutionGenerator(8, 3, 16, 4, 4), 8, pictures(4, 8, 8)) > 0.05


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("blocks", [1, 16])
def test_it_starts_near_the_bicubic_enlargement(blocks, factor):
    network, condition = SuperResolutionGenerator(0, 3, 16, blocks, factor), pictures(4, 8, 8)
    with torch.no_grad():
        samples = network(torch.zeros(4, 0), condition)
    enlarged = interpolate(condition, scale_factor=factor, mode="bicubic").clamp(-1, 1)
    # Near enough to be one, and far enough that gradients reach the blocks.
    assert 0.01 < (samples - enlarged).square().mean().sqrt() < 0.3


def test_doubling_starts_as_copies_of_each_pixel():
    network = Double(4)
    hidden = network(torch.randn(2, 4, 5, 3))
    torch.testing.assert_close(hidden, interpolate(hidden[..., ::2, ::2], scale_factor=2))
    assert (hidden[:, 0] - hidden[:, 1]).abs().max() > 0.1  # but channels differ


def test_out_of_range_is_clamped_and_can_come_back():
    samples = torch.tensor([-1.7, -0.3, 1.3], requires_grad=True)
    found = clamp(samples)
    assert found.tolist() == torch.tensor([-1.0, -0.3, 1.0]).tolist()
    (gradient,) = torch.autograd.grad((found * torch.tensor([1.0, 2.0, 3.0])).sum(), samples)
    assert gradient.tolist() == [1, 2, 3]


def test_layout_makes_no_difference():
    network, latent, condition = SuperResolutionGenerator(3, 3, 8, 2, 4), torch.randn(2, 3), pictures(2, 8, 8)
    expected = network(latent, condition)
    channels_last(network)
    torch.testing.assert_close(network(latent, condition), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("blocks", [1, 3])
def test_reach_is_what_a_pixel_depends_on(factor, blocks):
    """A change of one pixel is seen that many pixels away, and no further."""
    torch.manual_seed(0)
    network = SuperResolutionGenerator(0, 1, 4, blocks, factor).double().requires_grad_(False)
    side = 2 * reach(blocks) + 9
    pictures = torch.rand(2, 1, side, side, dtype=torch.float64) - 0.5
    middle = side // 2
    pictures[1] = pictures[0]
    pictures[1, 0, middle, middle] += 0.4
    before, after = network(torch.zeros(2, 0, dtype=torch.float64), pictures)[:, 0]
    changed = ((after - before).abs() > 0).nonzero() // factor - middle
    assert changed.abs().max() == reach(blocks)
