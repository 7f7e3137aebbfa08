"""Holds WaveGAN's networks: the lengths they make, the scale they start at, and phase shuffle against a plain loop."""

import re

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.errors import UserError
from multigan.modalities.audio import Audio, AudioConfig, networks
from multigan.modalities.audio.config import levels
from multigan.modalities.audio.networks import WaveDiscriminator, WaveGenerator, phase_shuffle

SHORTEST, LONGEST = 4096, 131_072
# Layers that make a sound four times as long, after a first one of 16 to 63 samples.
LENGTHS = sorted(
    first * 4**count for first in range(16, 64) for count in range(10) if SHORTEST <= first * 4**count <= LONGEST
)


def wavegan(**settings):
    return AudioConfig(architecture="wavegan", **settings)


def random(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


# --- lengths ---


@pytest.mark.parametrize(
    ("length", "count"),
    [
        (16, 0),
        (63, 0),
        (64, 1),
        (4096, 4),  # 16 x 256
        (5120, 4),  # 20 x 256
        (16_128, 4),  # 63 x 256
        (16_384, 5),  # 16 x 1024
        (64_512, 5),  # 63 x 1024
        (65_536, 6),  # 16 x 4096
        (131_072, 6),  # 32 x 4096
    ],
)
def test_levels_lead_down_to_16_to_63(length, count):
    assert levels(length) == count


@settings(deadline=None, max_examples=200)
@given(length=st.integers(SHORTEST, LONGEST))
def test_length_is_made_or_the_nearest_on_either_side_are_named(length):
    if length in LENGTHS:
        assert length == 4 ** levels(length) * (length // 4 ** levels(length))
        assert 16 <= length // 4 ** levels(length) < 64
        assert wavegan(length=length).length == length
        return
    nearest = [max(made for made in LENGTHS if made < length), min(made for made in LENGTHS if made > length)]
    with pytest.raises(UserError) as caught:
        wavegan(length=length)
    assert [int(number) for number in re.findall(r"\d+", str(caught.value).split("nearest")[1])] == nearest


@pytest.mark.parametrize("length", [4095, 131_073, 0, -4096])
def test_length_that_is_too_short_or_too_long_names_the_ends(length):
    with pytest.raises(UserError, match=r"4096 to 131072"):
        AudioConfig(length=length)


def accepted(length, **settings):
    try:
        AudioConfig(sampling_rate=8000, length=length, architecture="specgan", **settings)
    except UserError as error:
        return [int(number) for number in re.findall(r"\d+", str(error).split("nearest")[-1])]
    return True


@pytest.mark.parametrize(
    ("length", "settings"),
    [
        (5000, {}),
        (8191, {}),
        (100_000, {}),
        (5000, {"spectrogram_bins": 16, "spectrogram_hop": 16}),
        (20_001, {"spectrogram_hop": 100}),
    ],
    ids=str,
)
def test_nearest_lengths_that_specgan_names_are_made_and_none_between(length, settings):
    lower, upper = accepted(length, **settings)
    assert lower < length < upper
    between = [number for number in range(lower + 1, upper) if accepted(number, **settings) is True]
    assert accepted(lower, **settings) is True and accepted(upper, **settings) is True and not between


@pytest.mark.parametrize("length", [4096, 131_072])
def test_length_out_of_range_is_not_named(length):
    # With a hop of 100, the one on the other side is under 4,096 or over 131,072.
    (named,) = accepted(length, spectrogram_hop=100)
    assert accepted(named, spectrogram_hop=100) is True


@settings(deadline=None, max_examples=15)
@given(
    length=st.sampled_from([length for length in LENGTHS if length <= 32_768] + LENGTHS[-1:]),
    channels=st.sampled_from([1, 2]),
    width=st.sampled_from([1, 2]),
    classes=st.sampled_from([0, 3]),
)
def test_networks_agree_on_every_length(length, channels, width, classes):
    generator = WaveGenerator(3, channels, length, width, classes, 0)
    discriminator = WaveDiscriminator(channels, length, width, classes, 2)
    condition = torch.tensor([0, 2]) if classes else None
    with torch.no_grad():
        samples = generator(random(2, 3), condition)
        logits = discriminator(samples, condition, torch.rand(2, levels(length) - 1))
    assert samples.shape == (2, channels, length) and samples.abs().max() <= 1
    assert logits.shape == (2,) and torch.isfinite(logits).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"spectrogram_hop": 256},  # windows of 256 samples: between them, nothing is heard
        {"spectrogram_hop": 512},
        {"spectrogram_hop": 1024},
        {"spectrogram_hop": 2048},
        {"spectrogram_bins": 4096},  # windows of twice the sound
    ],
    ids=str,
)
def test_spectrogram_that_cannot_be_made_is_refused_at_once(settings):
    with pytest.raises(UserError):
        AudioConfig(sampling_rate=8000, length=4096, architecture="specgan", **settings)


@pytest.mark.parametrize(
    ("rate", "expected"), [(8000, (128, 64)), (16_000, (256, 128)), (22_050, (256, 128)), (44_100, (512, 256))]
)
def test_windows_are_as_long_at_every_rate(rate, expected):
    # 2 bins / rate seconds: 32, 32, 23 and 23 ms, the powers of two nearest to 32 ms on the scale of octaves.
    assert AudioConfig(sampling_rate=rate).spectrogram() == expected
    assert AudioConfig(sampling_rate=rate, spectrogram_bins=64, spectrogram_hop=16).spectrogram() == (64, 16)


@pytest.mark.parametrize("taps", [1, 2, 31, 32])
def test_post_filter_leaves_the_length(taps):
    with torch.no_grad():
        assert WaveGenerator(3, 2, 4096, 1, 0, taps)(random(2, 3), None).shape == (2, 2, 4096)


# --- how they start ---


@pytest.mark.parametrize("length", [4096, 16_384, 65_536])
@pytest.mark.parametrize("channels", [1, 2])
def test_generator_starts_neither_silent_nor_saturated(length, channels):
    torch.manual_seed(0)
    with torch.no_grad():
        samples = WaveGenerator(100, channels, length, 4, 0, 0)(random(16, 100), None)
    assert 0.3 < samples.std() < 0.9
    assert (samples.abs() > 0.99).float().mean() < 0.1


def test_class_is_heard_in_the_generator_and_not_at_first_in_the_discriminator():
    torch.manual_seed(0)
    generator, discriminator = WaveGenerator(3, 1, 4096, 2, 2, 0), WaveDiscriminator(1, 4096, 2, 2, 0)
    latent, zero, one = random(2, 3), torch.tensor([0, 0]), torch.tensor([1, 1])
    with torch.no_grad():
        samples = generator(latent, zero)
        assert not torch.equal(generator(latent, one), samples)
        assert torch.equal(discriminator(samples, zero), discriminator(samples, one))
        discriminator.head.projection.weight[1] = 1.0  # adds the sum of the features
        added = discriminator(samples, one) - discriminator(samples, zero)
        torch.testing.assert_close(added, discriminator.body(samples, None).sum(1))


# --- phase shuffle ---


def shuffled_plainly(samples, shifts):
    """One sample after another, with numpy's reflection."""
    moved = []
    for sample, shift in zip(samples.numpy(), shifts.tolist(), strict=True):
        ends = (max(shift, 0), max(-shift, 0))
        padded = numpy.pad(sample, ((0, 0), ends), mode="reflect")
        moved.append(padded[:, ends[1] : ends[1] + sample.shape[1]])
    return torch.from_numpy(numpy.stack(moved))


def test_every_shift_is_that_of_a_plain_loop():
    samples, shifts = random(5, 3, 11), torch.tensor([-2, -1, 0, 1, 2])
    assert torch.equal(phase_shuffle(samples, shifts), shuffled_plainly(samples, shifts))


@settings(deadline=None, max_examples=40)
@given(length=st.integers(2, 20), data=st.data())
def test_any_shift_that_is_shorter_than_the_sound(length, data):
    shifts = torch.tensor(data.draw(st.lists(st.integers(1 - length, length - 1), min_size=1, max_size=4)))
    samples = random(len(shifts), 2, length)
    assert torch.equal(phase_shuffle(samples, shifts), shuffled_plainly(samples, shifts))


def test_positive_shift_is_later_and_ends_are_mirrored():
    ramp = torch.arange(5.0).view(1, 1, 5).expand(2, 1, 5)
    later, earlier = phase_shuffle(ramp, torch.tensor([2, -2]))
    assert later.tolist() == [[2, 1, 0, 1, 2]] and earlier.tolist() == [[2, 3, 4, 3, 2]]


def test_second_gradients_are_right():
    samples = random(3, 2, 6, dtype=torch.float64).requires_grad_()
    shifts = torch.tensor([-2, 0, 1])
    assert torch.autograd.gradcheck(lambda samples: phase_shuffle(samples, shifts) ** 3, samples)
    assert torch.autograd.gradgradcheck(lambda samples: phase_shuffle(samples, shifts) ** 3, samples)


def test_half_precision_is_moved_and_not_rounded():
    samples, shifts = random(3, 2, 50).bfloat16(), torch.tensor([-2, 0, 1])
    found = phase_shuffle(samples, shifts)
    assert found.dtype == torch.bfloat16 and torch.equal(found.float(), shuffled_plainly(samples.float(), shifts))


def discriminator(phase_shuffle):
    torch.manual_seed(0)
    return WaveDiscriminator(1, 4096, 2, 0, phase_shuffle)


def test_same_numbers_give_the_same_logits_and_others_do_not():
    network, samples = discriminator(2), random(4, 1, 4096)
    numbers = torch.tensor([0.1, 0.9, 0.5]).expand(4, 3)
    with torch.no_grad():
        logits = network(samples, None, numbers)
        assert torch.equal(network(samples, None, numbers), logits)
        assert (network(samples, None, 1 - numbers) != logits).all()
        # The middle of the numbers is no shift.
        assert torch.equal(network(samples, None, torch.full((4, 3), 0.5)), network(samples, None))


@settings(deadline=None, max_examples=20)
@given(most=st.integers(1, 5), data=st.data())
def test_numbers_from_end_to_end_are_shifts_from_end_to_end(most, data):
    seen = []
    number = data.draw(st.floats(0, 1, exclude_max=True, width=32))
    numbers = torch.tensor([0.0, 0.9999, 1 - 2**-24, number])[:, None].expand(4, 3)  # torch draws no larger one
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(networks, "phase_shuffle", lambda samples, shifts: seen.append(shifts.tolist()) or samples)
        discriminator(most)(random(4, 1, 4096), None, numbers)
    assert len(seen) == 3  # of four layers, all but the last
    for shifts in seen:
        assert shifts[:3] == [-most, most, most] and -most <= shifts[3] <= most


def test_each_layer_has_a_number_of_its_own():
    seen = []
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(networks, "phase_shuffle", lambda samples, shifts: seen.append(shifts.tolist()) or samples)
        discriminator(1)(random(2, 1, 4096), None, torch.tensor([[0.1, 0.5, 0.9], [0.9, 0.9, 0.1]]))
    assert seen == [[-1, 1], [0, 1], [1, -1]]


@pytest.mark.parametrize(("settings", "numbers"), [({}, 3), ({"length": 16_384}, 4), ({"phase_shuffle": 0}, 0)])
def test_modality_asks_for_as_many_numbers_as_layers_are_moved(settings, numbers):
    assert Audio(wavegan(**{"length": 4096, **settings})).discriminator().random_numbers == numbers
    assert not hasattr(Audio(AudioConfig(length=4096, architecture="specgan")).discriminator(), "random_numbers")


def test_shift_that_is_longer_than_a_layer_is_refused_at_once():
    # Of 4096 samples, 64 are left where phase shuffle is last applied.
    with pytest.raises(UserError, match="phase_shuffle"):
        wavegan(length=4096, phase_shuffle=64)
