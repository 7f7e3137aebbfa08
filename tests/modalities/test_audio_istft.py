"""Holds the networks of architecture istft: lengths, rates, what the discriminator looks at, bounds of the sounds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan import configure
from multigan.errors import UserError
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.audio.istft import ISTFTGenerator, Layer, SpectrogramDiscriminator, sides
from multigan.modalities.audio.spectrogram import log_power


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- sizes ---


@pytest.mark.parametrize(
    ("rate", "length", "expected"),
    [
        (8000, 4096, (128, 64)),  # windows of 256
        (8000, 131_072, (128, 64)),
        (16_000, 16_384, (256, 128)),
        (22_050, 16_384, (256, 128)),
        (48_000, 131_072, (1024, 512)),
        (48_000, 4096, (256, 128)),  # 32 frames, of shorter windows
    ],
)
def test_windows_go_by_the_rate_and_short_sounds_have_32_frames(rate, length, expected):
    assert AudioConfig(sampling_rate=rate, length=length).spectrogram() == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (4096, (128, 64)),  # four layers, from 8 x 4
        (5000, (128, 80)),  # 79 frames, to a multiple of 16
        (4097, (128, 80)),
        (131_072, (128, 2048)),
    ],
)
def test_frames_hold_the_sound_and_can_be_halved(length, expected):
    assert sides(length, 128, 64) == expected


@settings(deadline=None, max_examples=15)
@given(
    rate=st.sampled_from([8000, 11_025, 22_050, 44_100, 48_000]),
    length=st.one_of(st.integers(4096, 12_000), st.sampled_from([131_071, 131_072])),
    channels=st.sampled_from([1, 2]),
    conditional=st.booleans(),
)
def test_networks_agree_on_every_length(rate, length, channels, conditional):
    small = {"generator_width": 1, "discriminator_width": 1, "latent_dim": 3}
    classes = ("a", "b", "c") if conditional else ()
    modality = Audio(
        AudioConfig(
            sampling_rate=rate, length=length, channels=channels, conditional=conditional, classes=classes, **small
        )
    )
    condition = torch.tensor([0, 2]) if conditional else None
    discriminator = modality.discriminator()
    with torch.no_grad():
        samples = modality.generator()(random(2, 3), condition)
        heads = discriminator(discriminator.represent(samples), condition).heads
    assert samples.shape == (2, channels, length) and samples.abs().max() <= 1
    assert [head.shape for head in heads] == [(2,), (2,)] and torch.stack(heads).isfinite().all()


@pytest.mark.parametrize(
    ("bins", "hop", "most"), [(2048, None, 128), (8, None, 4), (1024, 256, 128), (16, 9, 8), (128, 65, 64)]
)
def test_windows_that_do_not_fit_are_refused_with_those_that_do(bins, hop, most):
    with pytest.raises(
        UserError, match=rf"for sounds of 4096 samples expected 16 to 1024 bins, and a hop of at most {most}$"
    ):
        AudioConfig(sampling_rate=8000, length=4096, spectrogram_bins=bins, spectrogram_hop=hop)


@pytest.mark.parametrize(("bins", "hop"), [(1024, 128), (16, 1), (16, 8), (1024, 1)])
def test_windows_at_the_ends_of_that_range_are_judged(bins, hop):
    settings = {"spectrogram_bins": bins, "spectrogram_hop": hop, "generator_width": 1, "discriminator_width": 1}
    modality = Audio(AudioConfig(sampling_rate=8000, length=4096, channels=1, latent_dim=3, **settings))
    discriminator = modality.discriminator()
    with torch.no_grad():
        samples = modality.generator()(random(1, 3), None)
        assert discriminator(discriminator.represent(samples), None).logits.isfinite().all()


def test_each_architecture_starts_from_settings_of_its_own():
    istft, specgan = (configure("audio", model={"architecture": name}) for name in ("istft", "specgan"))
    assert configure("audio").model.architecture == "istft"
    assert (istft.r1, istft.penalty_every, istft.learning_rate_schedule) == (4.0, 4, "late_linear")
    assert (specgan.r1, specgan.penalty_every, specgan.learning_rate_schedule) == (3.0, 1, "constant")


# --- what the discriminator looks at ---


def test_spectrogram_of_silence_is_minus_1_and_of_a_full_sine_1():
    time = torch.arange(4096, dtype=torch.float64)
    sine = (2 * math.pi * 40 / 256 * time).sin().view(1, 1, -1)
    found = log_power(torch.cat([sine, 0.1 * sine, 0 * sine]), 128, 64)[:, 0, 40, 4:-4]
    # 20 dB less are 2 * 20 / 85 less.
    for level, expected in zip(found, (1, 1 - 40 / 85, -1), strict=True):
        torch.testing.assert_close(level, torch.full_like(level, expected), rtol=0, atol=1e-3)


def test_gradients_of_the_spectrogram_are_right_and_finite_at_silence():
    sound = random(1, 1, 16).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda sound: log_power(sound, 4, 4), sound)
    assert torch.autograd.gradgradcheck(lambda sound: log_power(sound, 4, 4), sound)
    silent = torch.zeros(1, 1, 64, requires_grad=True)
    log_power(silent, 8, 4).sum().backward()
    assert silent.grad.isfinite().all()


def test_sounds_that_end_within_a_frame_are_followed_by_silence():
    discriminator = SpectrogramDiscriminator(2, 4100, 128, 64, 1, 0)
    sound = random(3, 2, 4100)
    # 17 frames of 256 samples, to a multiple of 4; and 65 frames of 64, to one of 16.
    long, short = (torch.cat([sound, torch.zeros(3, 2, size - 4100)], 2) for size in (20 * 256, 80 * 64))
    found = discriminator.represent(sound).split([2 * 256 * 20, 2 * 64 * 80], 1)
    assert torch.equal(found[0].view(3, 2, 256, 20), log_power(long, 256, 256))
    assert torch.equal(found[1].view(3, 2, 64, 80), log_power(short, 64, 64))


# --- what the generator makes ---


def generator(**options):
    torch.manual_seed(0)
    chosen = {"latent_dim": 16, "channels": 1, "length": 4096, "bins": 128, "hop": 64, "width": 4, "classes": 2}
    return ISTFTGenerator(**{**chosen, **options})


def test_levels_without_bounds_make_no_sound_beyond_full_scale():
    network = generator(channels=2)
    with torch.no_grad():
        network.last.bias[:2] = 100.0  # of the logarithms, which exp(2.3 * 100) would not hold
        samples = network(random(4, 16), torch.tensor([0, 1, 0, 1]))
    assert samples.isfinite().all() and samples.abs().max() <= 1
    assert samples.abs().amax((1, 2)).min() > 0.999  # limited, and so at full scale


def test_starts_heard_and_not_saturated():
    with torch.no_grad():
        samples = generator(width=16)(random(16, 16), torch.arange(16) % 2)
    assert 0.02 < samples.std() < 0.5
    assert (samples.abs() > 0.99).float().mean() < 0.01


def test_class_is_heard_and_sounds_of_one_class_differ():
    network, latent = generator(), random(2, 16)
    with torch.no_grad():
        zero, one = (network(latent, torch.tensor([label, label])) for label in (0, 1))
    assert not torch.allclose(zero, one) and not torch.allclose(zero[0], zero[1])


def test_style_decides_how_much_noise_goes_in():
    layer, hidden, w = Layer(2, 3, 4), random(1, 2, 5, 5), random(1, 1, 4)
    one, other = random(1, 10, 10, seed=1), random(1, 10, 10, seed=2)
    with torch.no_grad():
        layer.modulation.weight.zero_()
        layer.modulation.bias.zero_()
        assert not torch.equal(layer(hidden, w, one), layer(hidden, w, other))
        layer.modulation.bias[6:] = -1.0  # of no noise
        assert torch.equal(layer(hidden, w, one), layer(hidden, w, other))


def test_a_constant_of_the_long_windows_is_a_steady_tone():
    network = generator()
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.fill_(-100.0)  # silent
        network.tones.weight.zero_()
        network.tones.bias.view(3, 8)[0] = torch.tensor([1.0, *[-100.0] * 7])  # the first of each eight of 512 bins
        network.tones.bias.view(3, 8)[1] = 1.0
        network.tones.bias.view(3, 8)[2] = 0.0
        (sound,) = network(random(1, 16), torch.tensor([0]))
    spectrum = torch.fft.rfft(sound[0, 1024:3072].double()).abs()
    tones = torch.zeros(1025, dtype=torch.bool)
    tones[0:1024:16] = True  # 8 of 512 bins are 62.5 Hz, 16 of 1024
    assert spectrum[tones].min() > 1000 * spectrum[~tones].max()


def test_sounds_begin_with_silence_and_not_with_a_click():
    network = generator()
    with torch.no_grad():
        network.last.bias[:2] = 1.0  # loud, and all in phase in the middle of each window
        network.last.weight.zero_()
        network.tones.bias.fill_(-100.0)  # silent
        network.tones.weight.zero_()
        samples = network(random(2, 16), torch.tensor([0, 1]))
    assert (samples[..., 0] == 0).all()
    assert samples[..., 256].abs().min() > 0.99, "there is one a window later"
