"""Holds sounds that are longer than those of training, and loops, to what they promise."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.errors import UserError
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.audio import istft as networks
from multigan.networks.inverse_stft import inverse_stft, limited

RATE, LENGTH = 8000, 4096


def generator(crop="random", length=LENGTH, **settings):
    torch.manual_seed(0)
    small = {"sampling_rate": RATE, "channels": 1, "latent_dim": 8, "generator_width": 2}
    modality = Audio(AudioConfig(**{**small, **settings}, length=length, crop=crop))
    return TrainedGenerator("audio", modality, modality.generator().eval())


def waves(model, n=1, **options):
    return torch.cat(list(model.batches(n, **options)))


@settings(deadline=None, max_examples=15)
@given(
    crop=st.sampled_from(["start", "random"]),
    length=st.sampled_from([4096, 5000, 9001]),
    more=st.integers(0, 20_000),
    loop=st.booleans(),
)
def test_sound_has_the_length_that_is_asked_for(crop, length, more, loop):
    model = generator(crop, length)
    made = waves(model, 2, seconds=(length + more) / RATE, loop=loop)
    # As many columns of the smallest layer as can be halved, 64, 80 and 144 frames to 4, 5 and 9; half of them.
    unit = length if crop == "start" else {4096: 2048, 5000: 2048, 9001: 4096}[length]
    expected = length + more if not loop else -(-(length + more) // unit) * unit
    assert made.shape == (2, 1, expected)
    assert made.isfinite().all()
    assert made.abs().amax() <= 1


def test_one_window_is_the_sound_of_training():
    model = generator()
    torch.testing.assert_close(waves(model, 2, seconds=LENGTH / RATE), waves(model, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [{"seconds": 2.0}, {"loop": True}])
def test_sample_depends_on_the_seed_and_its_number_alone(options):
    model = generator(conditional=True, classes=("a", "b"))
    three = waves(model, 3, **options)
    for number in range(3):
        torch.testing.assert_close(waves(model, number + 1, **options)[number], three[number], atol=0, rtol=0)
    assert (three[0] - three[2]).abs().max() > 0.01  # of one class


@pytest.mark.parametrize("crop", ["start", "random"])
@pytest.mark.parametrize("seconds", [0.6, 2048 * 3 / RATE, 2.0])  # of which the second is whole windows
def test_start_of_a_long_sound_is_the_shorter_one_to_its_end(crop, seconds, monkeypatch):
    monkeypatch.setattr(networks, "limited", lambda waves: waves)  # by the peak, which may come later
    model = generator(crop)
    shorter, longer = waves(model, seconds=seconds), waves(model, seconds=3.0)
    torch.testing.assert_close(longer[..., : shorter.shape[2]], shorter, atol=1e-4, rtol=0)


@pytest.mark.parametrize("hop", [4, 64])
def test_sounds_rise_from_silence(hop):
    assert not waves(generator(spectrogram_bins=16 if hop == 4 else 128, spectrogram_hop=hop))[..., 0].any()


def test_windows_differ_and_are_not_the_first_one_again():
    (sound,) = waves(generator("start"), seconds=2.0)
    first, second = sound[0, :LENGTH], sound[0, LENGTH : 2 * LENGTH]
    assert (first - second).square().mean() > 0.1 * first.square().mean()


@pytest.mark.parametrize("loop", [False, True])
def test_sounds_that_begin_with_their_attack_are_joined_end_to_end(loop):
    model = generator("start", conditional=True, classes=("a", "b"), channels=2)
    (sound,) = waves(model, seconds=1.2, label="b", loop=loop)
    network = model.network
    first = model._latents(range(1), 1, 0, None, False)
    network.extent = None
    alone = network(network.window_latents(first, 3), torch.tensor([1, 1, 1])).detach()
    alone[..., -64:] *= torch.linspace(1, 0, 64)
    expected = torch.cat(list(alone), 1)[:, : sound.shape[1]]
    torch.testing.assert_close(sound, expected, atol=1e-5, rtol=0)


def test_walk_moves_all_of_a_long_sound_little_by_little():
    """Not only its first window: the latents of the others follow from the same numbers."""
    network = generator().network
    first, second = torch.randn(2, 1, 8)
    near = first.lerp(second, 0.01)
    moved = network.window_latents(near, 5) - network.window_latents(first, 5)
    torch.testing.assert_close(moved.norm(dim=1), (near - first).norm().expand(5))


def test_latents_of_windows_keep_the_numbers_of_the_first():
    latent = torch.arange(1.0, 9.0)[None]
    found = generator().network.window_latents(latent, 50)
    assert torch.equal(found[:1], latent)
    assert torch.equal(found.abs().sort(1).values, latent.expand(50, 8))
    assert len({tuple(row) for row in found.tolist()}) == 50
    assert -0.2 < (found[1:] > 0).float().mean() - 0.5 < 0.2


def test_calls_with_and_without_options_do_not_disturb_each_other():
    model = generator()
    plain, long = model.batches(2), model.batches(2, seconds=1.0)
    found = [next(plain), next(long), next(long)]
    torch.testing.assert_close(found[0], waves(model, 2), atol=0, rtol=0)
    torch.testing.assert_close(torch.cat(found[1:]), waves(model, 2, seconds=1.0), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("seconds", "length", "rate"),
    [(None, LENGTH, RATE), (1.3, LENGTH, RATE), (1.1, 24_576, 48_000)],  # six columns, of which two are a long window
)
def test_loop_goes_on_where_it_began(monkeypatch, seconds, length, rate):
    whole = []

    def seen(*arguments):
        whole.append(inverse_stft(*arguments))
        return whole[-1]

    monkeypatch.setattr(networks, "inverse_stft", seen)
    (loop,) = waves(generator(length=length, sampling_rate=rate), seconds=seconds, loop=True)
    (made,) = whole[0] + whole[1]  # of both kinds of windows
    before = (made.shape[1] - loop.shape[1]) // 2  # what is cut off on either side
    assert before == length
    torch.testing.assert_close(limited(made[None, :, before:-before])[0], loop, atol=0, rtol=0)
    near = length // 4
    torch.testing.assert_close(made[:, before - near : before], made[:, -before - near : -before], atol=1e-5, rtol=0)
    torch.testing.assert_close(made[:, before : before + near], made[:, -before : near - before], atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [0.5, 60.01, float("nan"), -1.0, float("inf")])
def test_lengths_that_are_not_made_are_refused_with_the_range(seconds):
    with pytest.raises(UserError, match=r"expected 0\.512, the length of this model's sounds in training, to 60"):
        generator().generate(1, seconds=seconds)


@pytest.mark.parametrize("length", [16_384, 65_536])
@pytest.mark.parametrize("rate", [11_025, 22_050, 44_100])
def test_length_that_a_refusal_names_is_made(rate, length):
    model = generator(length=length, sampling_rate=rate, generator_width=1)
    with pytest.raises(UserError) as refused:
        model.generate(1, seconds=0.1)
    (named,) = re.findall(r"expected ([0-9.]+),", str(refused.value))
    assert length <= waves(model, seconds=float(named)).shape[2] <= length + rate / 500


def test_loop_is_never_longer_than_a_minute():
    assert waves(generator(length=65_536), seconds=60.0, loop=True).shape[2] == 14 * 32_768


@pytest.mark.parametrize("options", [{"seconds": 2.0}, {"loop": True}])
def test_windows_whose_carriers_do_not_go_on_are_refused(options):
    """Hops of 40 samples make no whole number of windows of 256: in a loop, that was a jump of full scale."""
    with pytest.raises(UserError, match=r"spectrogram_hop of 40.*a power of two"):
        generator(spectrogram_hop=40).generate(1, **options)
    with pytest.raises(UserError, match=r"512 spectrogram_bins.*at most 256 bins"):
        generator(spectrogram_bins=512, spectrogram_hop=128).generate(1, **options)
    generator("start", spectrogram_hop=40).generate(1, **options)


@pytest.mark.parametrize("options", [{"seconds": 2.0}, {"loop": True}])
@pytest.mark.parametrize("architecture", ["specgan", "wavegan"])
def test_other_architectures_have_one_length(architecture, options):
    with pytest.raises(UserError, match=f"architecture {architecture}.*for istft"):
        generator(architecture=architecture).generate(1, **options)
