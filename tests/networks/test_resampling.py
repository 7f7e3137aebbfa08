"""The filter [1, 3, 3, 1], worked by hand on an impulse, at the edges, and as an average."""

import pytest
import torch

from multigan.networks.resampling import Blur, Downsample, Upsample


def impulse(side, row, column):
    picture = torch.zeros(1, 1, side, side)
    picture[0, 0, row, column] = 64.0
    return picture


def outer(*taps):
    taps = torch.tensor(taps)
    return torch.outer(taps, taps)


def test_upsampling_an_impulse_by_hand():
    # Pixel 2 lands at 4 with the taps 1, 3, 3, 1 at 3, 4, 5, 6; their outer product sums to 64, times 4 over 64.
    found = Upsample()(impulse(5, 2, 2))[0, 0]
    assert torch.equal(found[3:7, 3:7], 4 * outer(1.0, 3.0, 3.0, 1.0))
    assert found.shape == (10, 10) and found.sum() == 4 * 64


def test_bilinear_interpolation_is_the_same_filter():
    # Between pixel centres 0 and 1, a quarter of the way from one of them: 3/4 of it and 1/4 of the other.
    row = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(1, 1, 4, 2)
    assert Upsample()(row.contiguous())[0, 0, 3].tolist() == [0.0, 0.25, 0.75, 0.75]
    nearest_then_smoothed = torch.nn.functional.conv1d(torch.tensor([[[0.0, 1, 2, 1, 0]]]), torch.ones(1, 1, 2))
    assert nearest_then_smoothed.flatten().tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize(("place", "taps"), [(2, (3.0, 1.0)), (3, (1.0, 3.0))])
def test_downsampling_an_impulse_by_hand(place, taps):
    # Output i reads pixels 2i - 1 to 2i + 2: pixel 2 is tap 1 of output 1 (3) and tap 3 of output 0 (1).
    found = Downsample()(impulse(8, place, place))[0, 0]
    first = 0 if place == 2 else 1
    expected = torch.zeros(4, 4)
    expected[first : first + 2, first : first + 2] = outer(*reversed(taps)) if place == 2 else outer(3.0, 1.0)
    assert torch.equal(found, expected)


def test_blurring_an_impulse_by_hand():
    found = Blur(padding=2, gain=2.0)(impulse(5, 2, 2))[0, 0]
    assert found.shape == (6, 6) and torch.equal(found[1:5, 1:5], 2 * outer(1.0, 3.0, 3.0, 1.0))
    assert Blur(padding=1)(torch.zeros(1, 1, 7, 9)).shape == (1, 1, 6, 8)


@pytest.mark.parametrize("layer", [Upsample(), Downsample()])
def test_an_even_picture_stays_as_bright_away_from_the_edges(layer):
    found = layer(torch.full((2, 3, 8, 12), 0.7))
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], torch.full_like(found[:, :, 1:-1, 1:-1], 0.7))


def test_channels_and_samples_do_not_mix():
    pictures = torch.randn(3, 2, 6, 10, generator=torch.Generator().manual_seed(0))
    together = Downsample()(pictures)
    torch.testing.assert_close(together[1:2, 1:], Downsample()(pictures[1:2, 1:]))


def test_the_filter_is_no_weight_and_is_not_saved():
    assert not Upsample().state_dict() and not list(Upsample().parameters())
