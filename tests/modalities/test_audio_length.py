"""Holds sounds that are longer than those of training, and loops, to what they promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.errors import UserError
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.audio import istft as networks

RATE, LENGTH = 8000, 4096


def generator(crop="random", length=LENGTH, **settings):
    torch.manual_seed(0)
    config = AudioConfig(
        sampling_rate=RATE, length=length, channels=1, crop=crop, latent_dim=8, generator_width=2, **settings
    )
    modality = Audio(config)
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


def test_start_of_a_long_sound_is_that_of_a_longer_one(monkeypatch):
    monkeypatch.setattr(networks, "limited", lambda waves: waves)  # by the peak, which may come later
    model = generator()
    two, three = (waves(model, seconds=seconds) for seconds in (2.0, 3.0))
    torch.testing.assert_close(three[..., :RATE], two[..., :RATE], atol=1e-5, rtol=0)


def test_windows_differ_and_are_not_the_first_one_again():
    (sound,) = waves(generator("start"), seconds=2.0)
    first, second = sound[0, :LENGTH], sound[0, LENGTH : 2 * LENGTH]
    assert (first - second).square().mean() > 0.1 * first.square().mean()


@pytest.mark.parametrize("loop", [False, True])
def test_sounds_that_begin_with_their_attack_are_sounds_in_a_row(loop):
    model = generator("start", conditional=True, classes=("a", "b"))
    (sound,) = waves(model, seconds=1.2, label="b", loop=loop)
    network = model.network
    first = model._latents(range(1), 1, 0, None, False)
    network.extent = None
    alone = network(network.further(first, 3), torch.tensor([1, 1, 1]))
    expected = alone.flatten(0, 1).flatten()[: sound.shape[1]]
    torch.testing.assert_close(sound[0], expected.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [None, 1.3])
def test_loop_goes_on_where_it_began(monkeypatch, seconds):
    whole = []
    transform = networks.inverse_stft

    def seen(*arguments):
        whole.append(transform(*arguments))
        return whole[-1]

    monkeypatch.setattr(networks, "inverse_stft", seen)
    (loop,) = waves(generator(), seconds=seconds, loop=True)
    (made,) = whole[0]
    before = (made.shape[1] - loop.shape[1]) // 2  # what is cut off on either side
    assert before == LENGTH
    kept = made[:, before:-before]
    torch.testing.assert_close(kept / kept.abs().max().clamp_min(1), loop, atol=0, rtol=0)
    near = LENGTH // 4
    torch.testing.assert_close(made[:, before - near : before], made[:, -before - near : -before], atol=1e-5, rtol=0)
    torch.testing.assert_close(made[:, before : before + near], made[:, -before : near - before], atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [0.5, 60.01, float("nan"), -1.0, float("inf")])
def test_lengths_that_are_not_made_are_refused_with_the_range(seconds):
    with pytest.raises(UserError, match=r"expected 0\.512, the length of this model's sounds in training, to 60"):
        generator().generate(1, seconds=seconds)


@pytest.mark.parametrize("options", [{"seconds": 2.0}, {"loop": True}])
@pytest.mark.parametrize("architecture", ["specgan", "wavegan"])
def test_other_architectures_have_one_length(architecture, options):
    with pytest.raises(UserError, match=f"architecture {architecture}.*for istft"):
        generator(architecture=architecture).generate(1, **options)
