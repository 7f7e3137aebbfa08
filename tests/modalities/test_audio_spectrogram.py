"""Holds SpecGAN's pictures: known levels of sines, silence, and that a sound comes back from its picture."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.audio.spectrogram import to_log_magnitude, to_waves
from multigan.sounds.drums import strike

BINS, HOP, LENGTH = 128, 64, 4096
INNER = slice(4, -4)  # frames that see nothing of the ends, where the sound is mirrored


def sine(number, amplitude=1.0, length=LENGTH):
    """A sine at the frequency of a bin, ``(1, 1, length)``."""
    phases = 2 * math.pi * number * torch.arange(length, dtype=torch.float64) / (2 * BINS)
    return amplitude * phases.sin().float().view(1, 1, -1)


@pytest.mark.parametrize("number", [3, 40, 64, 120])
def test_full_scale_sine_is_1_at_its_bin_and_6_decibels_less_beside_it(number):
    found = to_log_magnitude(sine(number), BINS, HOP)[0, 0, :, INNER]
    assert (found.argmax(0) == number).all()
    assert found[number] == pytest.approx(1, abs=1e-3)
    # Hann's window spreads a half to each neighbour, -6.02 dB, of the 80 dB that are 2: 1 - 0.1505. And no further.
    for beside in (number - 1, number + 1):
        assert found[beside] == pytest.approx(0.8495, abs=1e-3)
    for far in (number - 3, number + 3):
        assert (found[far] == -1).all()


@pytest.mark.parametrize(("amplitude", "level"), [(0.1, 0.5), (0.01, 0.0), (0.001, -0.5), (1e-5, -1.0)])
def test_level_is_decibels_over_40(amplitude, level):
    # -20 dB is a quarter of the way from 1 down to -1; what is under -80 dB stays at -1.
    assert to_log_magnitude(sine(40, amplitude), BINS, HOP)[0, 0, 40, INNER] == pytest.approx(level, abs=2e-3)


def test_louder_than_full_scale_is_1():
    assert to_log_magnitude(sine(40, 5.0), BINS, HOP).max() == 1


def test_silence_is_minus_1_everywhere_and_comes_back():
    silent = to_log_magnitude(torch.zeros(2, 1, LENGTH), BINS, HOP)
    assert (silent == -1).all()
    assert (to_waves(silent, HOP) == 0).all()


@settings(deadline=None, max_examples=15)
@given(
    channels=st.sampled_from([1, 2]),
    bins=st.sampled_from([8, 32, 128]),
    part=st.sampled_from([1, 2, 4]),
    frames=st.integers(64, 80),
)
def test_shapes(channels, bins, part, frames):
    hop = bins // part
    sounds = torch.randn(2, channels, frames * hop, generator=torch.Generator().manual_seed(0)) * 0.1
    found = to_log_magnitude(sounds, bins, hop)
    assert found.shape == (2, channels, bins, frames) and found.abs().max() <= 1
    back = to_waves(found, hop)
    assert back.shape == sounds.shape and back.abs().max() <= 1 and torch.isfinite(back).all()


def test_channels_and_sounds_are_pictured_each_for_itself():
    one, other = sine(10), sine(90, 0.1)
    both = to_log_magnitude(torch.cat([torch.cat([one, other], 1), torch.cat([other, one], 1)]), BINS, HOP)
    for found, alone in ((both[0, 0], one), (both[0, 1], other), (both[1, 0], other), (both[1, 1], one)):
        torch.testing.assert_close(found, to_log_magnitude(alone, BINS, HOP)[0, 0])
    assert to_waves(both, HOP).shape == (2, 2, LENGTH)


def drums():
    names = ("kick", "snare", "open hat", "tom", "cowbell")
    return torch.stack([torch.from_numpy(strike(name, 0, 0)).float() for name in names])[:, None]


@pytest.mark.parametrize(
    "sounds", [sine(40, 0.5), sine(10, 0.3) + sine(100, 0.05), drums()], ids=["sine", "two", "drums"]
)
def test_sound_of_a_picture_has_that_picture(sounds):
    # The phases are made up, so the waves differ. Griffin and Lim's algorithm is taken to have found some where what
    # is left is 15 dB below the spectrum: 18 % of the amplitude, 1.6 dB, or 0.04 of the picture's scale.
    before = to_log_magnitude(sounds, BINS, HOP)
    after = to_log_magnitude(to_waves(before, HOP), BINS, HOP)
    assert (after - before).abs().mean() < 0.04
    assert (before > -1).any()


@pytest.mark.parametrize("number", [40, 40.3, 63.5])
@pytest.mark.parametrize("hop", [32, 64, 128])
def test_sine_comes_back_as_loud_and_as_high_as_it_was(number, hop):
    back = to_waves(to_log_magnitude(sine(number, 0.5), BINS, hop), hop)[0, 0, 512:-512]
    assert back.square().mean().sqrt() == pytest.approx(0.5 / math.sqrt(2), rel=0.1)
    power = torch.fft.rfft(back * torch.hann_window(len(back))).abs().square()
    at = power.argmax().item()
    assert at / len(back) * 2 * BINS == pytest.approx(number, abs=0.15)
    assert power[at - 4 : at + 5].sum() > 0.9 * power.sum(), "one tone, and nothing beside it"


def test_same_picture_gives_the_same_sound():
    pictures = to_log_magnitude(drums(), BINS, HOP)
    torch.manual_seed(0)
    first = to_waves(pictures, HOP)
    torch.manual_seed(1)
    assert torch.equal(to_waves(pictures, HOP), first)


def test_modality_goes_to_pictures_and_back():
    modality = Audio(AudioConfig(length=LENGTH, sampling_rate=8000, channels=1, architecture="specgan"))
    encoded = (sine(40, 0.5) * 32767).round().to(torch.int16).transpose(1, 2)
    samples = modality.to_sample(encoded)
    # Half of full scale is 6.02 dB below it: 1 - 2 * 6.02 / 80.
    assert samples.shape == (1, 1, 128, 64) and samples[0, 0, 40, INNER] == pytest.approx(0.8495, abs=1e-3)
    assert modality.finish(samples).shape == (1, 1, LENGTH)
    wavegan = Audio(AudioConfig(length=LENGTH, sampling_rate=8000, channels=1, architecture="wavegan"))
    assert torch.equal(wavegan.to_sample(encoded) * 32768, encoded.transpose(1, 2).float())
