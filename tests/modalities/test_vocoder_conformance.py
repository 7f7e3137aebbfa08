"""The vocoder passes what a stranger's modality must."""

import numpy
import pytest
import torch

from multigan.testing import ModalityConformance

SMALL = {"length": 2048, "window": 256, "bins": 16, "generator_width": 8, "blocks": 1, "discriminator_width": 1}
RATE = 16_000  # of the drums


class TestVocoder(ModalityConformance):
    modality = "vocoder"
    model = SMALL
    training = {"pretraining_steps": 0, "batch_size": 16}
    # Phases of spectra that are nearly 0 make a rounding some tens of times as large in each step: a start perturbed by
    # 1e-15, in one process, is off by 3e-13 after two steps and by 4e-8 after ten.
    steps_in_two_processes = 2

    def inputs(self, modality, condition):
        """What the networks are told, as spectrograms of another program."""
        return list(condition.numpy())

    def other_sizes(self, modality):
        noise = numpy.random.default_rng(0).uniform(-0.5, 0.5, 3001)
        return [
            {"array": noise, "sampling_rate": RATE},
            {"array": numpy.stack([noise, -0.5 * noise]), "sampling_rate": 8000},
            numpy.zeros((16, 9), "float32"),
        ]

    @pytest.mark.slow
    def test_resumed_equals_uninterrupted(self, prepared, tmp_path):
        super().test_resumed_equals_uninterrupted(prepared, tmp_path)


@pytest.mark.slow
class TestPretrainedInMicroBatches(TestVocoder):
    """Mel spectrograms alone for the first steps, and each batch in parts."""

    # Adam's first steps take the sign of a gradient, and its rounding with it: 1e-12 after six steps at 1e-3.
    training = {"pretraining_steps": 2, "steps": 2, "micro_batches": 2, "pretraining_learning_rate": 1e-4}
    steps_in_two_processes = 4


def test_pieces_are_made_quieter_by_their_numbers():
    from multigan.modalities.vocoder import Vocoder, VocoderConfig

    modality = Vocoder(VocoderConfig(sampling_rate=RATE, gain=20.0, **SMALL))
    encoded = torch.full((3, 2048, 1), 16384, dtype=torch.int16)
    waves, _ = modality.to_pair(encoded, {}, torch.tensor([[0.0], [0.5], [1.0]]))
    torch.testing.assert_close(waves.amax((1, 2)), torch.tensor([0.5, 0.5 / 10**0.5, 0.05]))  # 0, 10 and 20 dB
