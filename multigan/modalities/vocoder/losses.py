"""What the generator is trained on beside the objective, and distances for the metrics; of waves ``(B, T)``."""

from __future__ import annotations

import torch
from torch import Tensor

from multigan.interface import GeneratorOutput, full_precision
from multigan.modalities.vocoder.config import LONGER, VocoderConfig
from multigan.modalities.vocoder.mel import log_mel, magnitudes, mirrored


def sizes(config: VocoderConfig) -> tuple[int, int, int]:
    """Samples of the windows at which sounds are compared and judged: half the spectrogram's, its own, and twice."""
    return config.size // 2, config.size, LONGER * config.size


def mel_loss(config: VocoderConfig, generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of log-mel spectrograms, a scalar: the mean over three resolutions.

    With several resolutions, harmonics and onsets count too, which the mel filters blur at one: Kumar et al. 2023,
    arXiv:2306.06546, section 3.3. Bins go with the windows.
    """
    generated, real = full_precision(generated), full_precision(real)
    losses = []
    for size in sizes(config):
        bins = config.bins * size // config.size
        one, other = (log_mel(waves, bins, size, config.rate) for waves in (generated, real))
        losses.append((one - other).abs().mean())
    return torch.stack(losses).mean()


def generator_losses(config: VocoderConfig, output: GeneratorOutput) -> dict[str, Tensor]:
    """``mel``, see `mel_loss`, and feature matching: Kong et al. 2020 (HiFi-GAN), arXiv:2010.05646, section 2.4.

    The latter is the mean over all layers of the mean absolute difference of what the discriminators make of both,
    where there it is the sum; and the objective is the mean over heads. So HiFi-GAN's weights, 45 for mel and 2 for
    features, with a sum over 8 heads and 54 layers, are 5.6 and 13.5 here.
    """
    losses = {}
    if config.mel:
        losses["mel"] = config.mel * mel_loss(config, output.fake[:, 0], output.real[:, 0])
    if config.features:
        pairs = zip(output.judged.features, output.judge_real().features, strict=True)
        losses["features"] = config.features * torch.stack([(fake - real).abs().mean() for fake, real in pairs]).mean()
    return losses


def mel_distance(config: VocoderConfig, generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of log-mel spectrograms, ``(B,)``: in nepers, 0.115 is a decibel."""
    one, other = (log_mel(waves, config.bins, config.size, config.rate) for waves in (generated, real))
    return (one - other).abs().mean((1, 2))


def stft_distance(config: VocoderConfig, generated: Tensor, real: Tensor) -> Tensor:
    """Multi-resolution STFT distance, ``(B,)``: Yamamoto et al. 2020 (Parallel WaveGAN), arXiv:1910.11480, section 2.2.

    The spectral convergence plus the mean absolute difference of the logarithms of magnitudes, the mean over three
    resolutions. Magnitudes under 1e-4 count as that, so that it is finite where the truth is silent.
    """
    total = real.new_zeros(len(real))
    for size in sizes(config):
        made, true = (magnitudes(mirrored(waves, size), size).clamp_min(1e-4) for waves in (generated, real))
        convergence = (made - true).square().sum((1, 2)).sqrt() / true.square().sum((1, 2)).sqrt()
        levels = (made.log() - true.log()).abs().mean((1, 2))
        total = total + convergence + levels
    return total / 3
