"""Holds log-mel spectrograms and the distances of sounds against numbers worked out by hand."""

import math

import numpy
import pytest
import torch

from multigan.interface import DiscriminatorOutput, GeneratorOutput
from multigan.modalities.vocoder import VocoderConfig, losses, mel
from multigan.sounds.drums import strike

RATE, SIZE, BINS = 16_000, 1024, 80
CONFIG = VocoderConfig(sampling_rate=RATE)


def sine(cycles, length=8192, amplitude=1.0):
    """A sine with so many cycles a window, float64 ``(1, length)``."""
    return amplitude * torch.sin(2 * math.pi * cycles * torch.arange(length, dtype=torch.float64) / SIZE)[None]


def drum(seed=0):
    """Half a second of a snare, ``(1, 8192)``."""
    return torch.from_numpy(strike("snare", 0, seed))[None]


@pytest.mark.parametrize("number", [20, 100, 300])
def test_sine_of_full_scale_is_a_quarter_window_at_its_bin_and_half_of_that_beside_it(number):
    found = mel.log_mel(sine(number), BINS, SIZE, RATE)[0, :, 5:-5].exp()
    bank = mel.filters(BINS, SIZE, RATE)
    expected = SIZE / 4 * (bank[:, number] + bank[:, number - 1] / 2 + bank[:, number + 1] / 2)
    heard = expected > 0.01
    torch.testing.assert_close(found[heard], expected[heard, None].expand_as(found[heard]), rtol=1e-3, atol=0)


def test_filters_have_equal_areas():
    bank = mel.filters(BINS, SIZE, RATE)[5:]  # the lowest are narrower than a bin or two
    torch.testing.assert_close(bank.sum(1) * RATE / SIZE, torch.ones(75, dtype=torch.float64), rtol=0.1, atol=0)


def test_ten_times_louder_is_log_10_more_and_silence_is_the_floor():
    loud, quiet = (mel.log_mel(amplitude * drum(), BINS, SIZE, RATE) for amplitude in (0.5, 0.05))
    above = quiet > math.log(mel.FLOOR) + 5
    assert above.any()
    torch.testing.assert_close((loud - quiet)[above], torch.full_like(loud, math.log(10))[above], rtol=1e-3, atol=0)
    assert mel.log_mel(torch.zeros(1, 4096), BINS, SIZE, RATE).unique().tolist() == [pytest.approx(math.log(1e-5))]


@pytest.mark.parametrize(("length", "frames"), [(8192, 32), (8193, 33), (8191, 32), (1024, 4)])
def test_frames_are_hops_rounded_up(length, frames):
    assert mel.log_mel(torch.zeros(2, length), BINS, SIZE, RATE).shape == (2, BINS, frames)


def test_blocks_are_the_whole(monkeypatch):
    whole = mel.log_mel(drum(), BINS, SIZE, RATE)
    monkeypatch.setattr(mel, "BLOCK", 5)
    torch.testing.assert_close(mel.log_mel(drum(), BINS, SIZE, RATE), whole)


def test_autocast_changes_nothing():
    waves = drum().float()
    expected = mel.log_mel(waves, BINS, SIZE, RATE)
    with torch.autocast("cpu", torch.bfloat16):
        found = mel.log_mel(waves, BINS, SIZE, RATE)
    assert found.dtype == torch.float32 and found.equal(expected)


def test_filters_are_made_once_for_each_type():
    cpu = torch.device("cpu")
    one, other = (mel.filters_on(cpu, dtype, BINS, SIZE, RATE) for dtype in (torch.float32, torch.float64))
    assert (one.dtype, other.dtype) == (torch.float32, torch.float64)
    assert mel.filters_on(cpu, torch.float32, BINS, SIZE, RATE) is one


def test_griffin_lim_brings_back_what_is_told():
    told = mel.log_mel(drum(), BINS, SIZE, RATE)
    waves = mel.griffin_lim(told, SIZE, RATE)
    assert waves.shape == (1, 8192)
    near = losses.mel_distance(CONFIG, waves, drum())
    far = losses.mel_distance(CONFIG, waves, drum(1))
    assert near < 0.5 * far


def test_distances_of_a_sound_from_itself_and_from_one_ten_times_as_loud():
    one, other = drum(), 10 * drum()
    assert losses.mel_distance(CONFIG, one, one) == losses.stft_distance(CONFIG, one, one) == 0
    # |10 x - x| / |10 x| is 0.9, and logarithms differ by log 10, where no floor is reached.
    noise = torch.from_numpy(numpy.random.default_rng(0).uniform(-0.05, 0.05, (1, 8192)))
    assert losses.mel_distance(CONFIG, noise, 10 * noise).item() == pytest.approx(math.log(10), rel=1e-3)
    assert losses.stft_distance(CONFIG, noise, 10 * noise).item() == pytest.approx(0.9 + math.log(10), rel=1e-3)
    assert losses.mel_loss(CONFIG, noise, 10 * noise).item() == pytest.approx(math.log(10), rel=1e-3)
    assert losses.stft_distance(CONFIG, one, other) > 0.9


def test_distance_from_digital_silence_counts_magnitudes_from_1e_4():
    """A click of 0.1 is, in each bin, as loud as the window is where it falls: a half, 1 and a half in three frames."""
    silence, click = torch.zeros(2, 1, 8192, dtype=torch.float64)
    click[:, 4096] = 0.1
    assert losses.stft_distance(CONFIG, silence, silence).item() == 0
    convergence, levels = math.sqrt(499**2 + 999**2 + 499**2), 2 * math.log(500) + math.log(1000)
    frames = [8192 // hop + 1 for hop in (128, 256, 512)]
    expected = sum(convergence / math.sqrt(count) + levels / count for count in frames) / 3
    assert losses.stft_distance(CONFIG, click, silence).item() == pytest.approx(expected, rel=1e-5)


def test_losses_are_weighted_means():
    noise = torch.from_numpy(numpy.random.default_rng(0).uniform(-0.05, 0.05, (1, 1, 8192)))
    made, true = [(torch.zeros(1, 3), torch.ones(1, 2, 2)), (torch.full((1, 3), 2.0), torch.full((1, 2, 2), -3.0))]
    output = GeneratorOutput(
        generate=lambda latent, condition: noise,
        latent=torch.zeros(1, 0),
        condition=None,
        real=10 * noise,
        fake=noise,
        judged=DiscriminatorOutput((torch.zeros(1),), made),
        judge_real=lambda: DiscriminatorOutput((torch.zeros(1),), true),
    )
    found = losses.generator_losses(VocoderConfig(sampling_rate=RATE, mel=5.0, features=2.0), output)
    assert found["mel"].item() == pytest.approx(5 * math.log(10), rel=1e-3)
    assert found["features"].item() == 2 * (2 + 4) / 2
    assert losses.generator_losses(VocoderConfig(sampling_rate=RATE, mel=0.0, features=0.0), output) == {}
