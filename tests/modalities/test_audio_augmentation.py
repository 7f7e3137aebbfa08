"""Holds the augmentation of sounds to values worked by hand."""

import pytest
import torch

from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.audio.augmentation import gain, time_shift


def test_gain_is_in_decibels_of_waves_and_in_units_of_spectrograms():
    ends = torch.tensor([[0.0], [0.5], [1.0]])
    waves = gain(torch.ones(3, 1, 2), ends, 20.0, None)
    torch.testing.assert_close(waves, torch.tensor([0.1, 1.0, 10.0])[:, None, None].expand(3, 1, 2))
    spectrograms = gain(torch.zeros(3, 1, 4, 2), ends, 20.0, 40.0)
    torch.testing.assert_close(spectrograms[:, 0, 0, 0], torch.tensor([-0.5, 0.0, 0.5]))


def test_shift_fills_the_gap_with_silence():
    samples = torch.arange(1.0, 5.0).expand(3, 1, 4)
    found = time_shift(samples, torch.tensor([[0.0], [0.5], [1.0]]), 0.5, -1.0)
    assert found[:, 0].tolist() == [[3, 4, -1, -1], [1, 2, 3, 4], [-1, -1, 1, 2]]


@pytest.mark.parametrize("architecture", ["istft", "specgan"])
def test_spectrograms_are_augmented_as_their_sounds_are(architecture):
    """A quieter sound is quieter by as many decibels, and what moves in lies at silence."""
    config = AudioConfig(
        architecture=architecture, sampling_rate=8000, length=4096, channels=1, gain=6.0, shift=0.25, latent_dim=8
    )
    modality = Audio(config)
    waves = 0.5 * torch.sin(torch.arange(4096) * 0.5).expand(1, 1, 4096)
    augment = modality.augmentation().apply
    moved = augment(modality.to_sample((waves[0].T * 32768).to(torch.int16)[None]), torch.tensor([[0.0, 1.0]]))
    expected = torch.cat([torch.zeros(1, 1, 1024), waves[..., :-1024]], 2) * 10 ** (-6 / 20)
    expected = modality.to_sample((expected[0].T * 32768).to(torch.int16)[None])
    inner = slice(5 * expected.shape[-1] // 16, -expected.shape[-1] // 16)  # where no window has an edge in it
    moved, expected = moved[..., inner], expected[..., inner]
    loud = expected > 0
    assert loud.any()
    torch.testing.assert_close(moved[loud], expected[loud], atol=0.02, rtol=0)
