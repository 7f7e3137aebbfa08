"""Metrics that compare each generated sound with its truth: sounds ``(B, 1, T)``, a value each."""

from __future__ import annotations

from torch import Tensor

from multigan.interface import Condition
from multigan.modalities.vocoder.config import VocoderConfig
from multigan.modalities.vocoder.losses import mel_distance, stft_distance
from multigan.modality import PairMetrics

NOTE = (
    "PESQ and STOI are left out: they are for whole sentences, and many pieces hold no utterance; "
    "benchmarks/vocoder.py measures them on whole recordings"
)


def sound_metrics(config: VocoderConfig) -> PairMetrics:
    """How near a sound comes to its truth: mel distance, and multi-resolution STFT distance."""

    def compute(generated: Tensor, real: Tensor, condition: Condition) -> dict[str, Tensor]:
        made, true = generated[:, 0].float(), real[:, 0].float()
        return {
            "mel_distance": mel_distance(config, made, true),
            "stft_distance": stft_distance(config, made, true),
        }

    return PairMetrics(compute, (NOTE,))
