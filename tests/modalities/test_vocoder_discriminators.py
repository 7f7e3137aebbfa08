"""Holds the vocoder's discriminators to the sounds of every rate, and to values worked by hand."""

import math

import pytest
import torch

from multigan.modalities.vocoder import Vocoder, VocoderConfig
from multigan.modalities.vocoder.discriminators import PERIODS, decibels, folded


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("window", [None, 64, 256])
def test_default_piece_of_every_rate_is_judged_and_measured(rate, window):
    config = VocoderConfig(sampling_rate=rate, window=window, bins=16, discriminator_width=1)
    modality = Vocoder(config)
    waves = torch.randn(2, 1, config.piece)
    logits, features = modality.discriminator()(waves, None)[:2]
    assert len(logits) == len(PERIODS) + 3 and all(head.shape[0] == 2 and head.numel() for head in logits)
    assert len(features) == 4 * len(logits)
    assert modality.classifier()(waves).shape == (2, 128)


def test_shorter_piece_than_the_least_cannot_be_judged():
    """So eight windows are what the configuration has to ask for."""
    config = VocoderConfig(sampling_rate=16_000, discriminator_width=1)
    discriminator = Vocoder(config).discriminator()
    with pytest.raises(RuntimeError, match="Kernel size"):
        discriminator(torch.randn(1, 1, 7 * config.size), None)


def test_wave_is_folded_in_rows_of_a_period_and_mirrored_at_the_end():
    found = folded(torch.arange(7.0)[None], 3)
    assert found.tolist() == [[[[0, 1, 2], [3, 4, 5], [6, 5, 4]]]]


def test_full_scale_is_one_and_silence_minus_one():
    size = 256
    sine = torch.sin(torch.arange(2048, dtype=torch.float64) * 2 * math.pi * 16 / size)
    found = decibels(torch.stack([sine, 0 * sine]), size)
    inner = found[0, 0, :, 4:-4]  # frames that the mirrored ends do not reach
    assert inner.argmax(0).unique().tolist() == [16]
    assert inner.max() == pytest.approx(1, abs=1e-6)
    assert found[1].unique().tolist() == [pytest.approx(-1)]
