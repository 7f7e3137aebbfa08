"""Holds the inverse transform to sines worked by hand, to the forward one, and its bounds to their definitions."""

import math

import pytest
import torch

from multigan.networks.inverse_stft import capped, faded_in, inverse_stft, limited


def sine(bin, amplitude, angle, bins=128, length=4096):
    time = torch.arange(length, dtype=torch.float64)
    return amplitude * (2 * math.pi * bin / (2 * bins) * time + angle).cos()


@pytest.mark.parametrize(("bins", "hop"), [(128, 64), (128, 32), (32, 32), (8, 2)])
def test_three_bins_are_a_steady_sine(bins, hop):
    # A Hann window spreads a sine over three bins, the outer ones half as large.
    frames, at, angle = 4096 // hop, 5, 0.7
    magnitude = torch.zeros(1, bins, frames, dtype=torch.float64)
    magnitude[:, at - 1 : at + 2] = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)[:, None]
    # Beside its own bin, a sine falls behind that bin's frequency, or runs ahead of it.
    ahead = (at - torch.arange(bins))[:, None] * 2 * math.pi * hop * torch.arange(frames, dtype=torch.float64)
    turned = (angle + ahead / (2 * bins)).expand_as(magnitude)
    length = 1000.0  # of the phases: any
    (wave,) = inverse_stft(magnitude, length * turned.cos(), length * turned.sin(), hop)
    assert wave.shape == (4096,)
    inside = slice(0, -2 * bins)  # the last frame stands in for the one after it
    torch.testing.assert_close(wave[inside], sine(at, 0.5, angle, bins)[inside], rtol=0, atol=1e-5)


def test_end_of_a_sound_is_no_louder_than_its_middle():
    cosine, sine = torch.randn(2, 100, 8, 64, generator=torch.Generator().manual_seed(0))
    loudness = inverse_stft(torch.ones(100, 8, 64), cosine, sine, 8).square().mean(0)
    assert loudness[-16:].max() < 2 * loudness[16:-16].max()


def test_turns_back_what_the_forward_transform_made():
    wave = torch.randn(2, 3, 1024, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wave = torch.fft.irfft(torch.fft.rfft(wave)[..., :500], 1024)  # nothing near half the rate
    window = torch.hann_window(64, dtype=torch.float64)
    spectrum = torch.stft(wave.flatten(0, 1), 64, 16, window=window, return_complex=True)[:, :-1, :-1].view(
        2, 3, 32, 64
    )
    bins, frames = torch.arange(32)[:, None], torch.arange(64)
    angle = spectrum.angle() - 2 * math.pi * bins * (frames * 16 + 32) / 64
    found = inverse_stft(spectrum.abs() / 16, 100 * angle.cos(), 100 * angle.sin(), 16)
    assert found.shape == (2, 3, 1024)
    torch.testing.assert_close(found[..., 64:-64], wave[..., 64:-64], rtol=0, atol=0.1)


def test_gradient_is_finite_where_a_phase_has_no_angle():
    parts = [torch.zeros(1, 8, 4, requires_grad=True) for _ in range(3)]
    inverse_stft(parts[0] + 1, parts[1], parts[2], 4).square().sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in parts)


def test_half_precision_under_autocast_is_computed_in_full():
    parts = torch.randn(3, 1, 8, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = inverse_stft(parts[0].exp(), parts[1], parts[2], 4)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, inverse_stft(parts[0].exp().float(), parts[1].float(), parts[2].float(), 4))


def test_cap_is_smooth_and_leaves_small_values():
    values = torch.tensor([-20.0, 1.5, 100.0])
    # Far below it nothing changes; at it, softplus(0) = log 2 is taken off; far above, it is reached.
    torch.testing.assert_close(capped(values, 1.5), torch.tensor([-20.0, 1.5 - math.log(2), 1.5]))


def test_only_sounds_beyond_full_scale_are_divided_and_both_channels_alike():
    waves = torch.tensor([[[0.5, -0.25], [0.1, 0.0]], [[1.0, -4.0], [2.0, 0.0]]])
    expected = torch.tensor([[[0.5, -0.25], [0.1, 0.0]], [[0.25, -1.0], [0.5, 0.0]]])
    assert torch.equal(limited(waves), expected)


def test_sounds_rise_from_silence_along_a_squared_sine():
    # sin^2 of 0, 30 and 60 degrees: 0, 1/4 and 3/4.
    found = faded_in(torch.full((2, 1, 5), 2.0), 3)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5, 1.5, 2.0, 2.0]).expand(2, 1, 5))
    assert torch.equal(faded_in(found, 0), found)
