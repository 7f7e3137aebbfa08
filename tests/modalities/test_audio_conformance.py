"""The conformance suite on sounds: what each architecture and condition must pass like anybody's modality."""

import pytest

from multigan.testing import ModalityConformance

SMALL = {"sampling_rate": 8000, "length": 4096, "latent_dim": 8, "generator_width": 2, "discriminator_width": 2}


class TestISTFT(ModalityConformance):
    """Stereo, of a length that is no multiple of anything; penalties at the spectrogram in every second step."""

    modality = "audio"
    model = {**SMALL, "length": 4321, "channels": 2, "conditional": True, "gain": 6.0, "shift": 0.1}
    training = {"penalty_every": 2}
    steps_in_two_processes = 2  # logarithms make a rounding much larger in each step


@pytest.mark.slow
class TestUnconditionalISTFT(ModalityConformance):
    modality = "audio"
    model = SMALL
    training = {"wgan_gp": 10.0, "objective": "wasserstein", "micro_batches": 2, "penalty_every": 1}
    steps_in_two_processes = 2


class TestWaveGAN(ModalityConformance):
    """As the paper has it: the Wasserstein loss, its penalty, several steps of the critic, phase shuffle."""

    modality = "audio"
    model = {**SMALL, "architecture": "wavegan"}
    training = {"objective": "wasserstein", "wgan_gp": 10.0, "r1": 0.0, "r2": 0.0, "discriminator_steps": 2}


@pytest.mark.slow
class TestConditionalWaveGAN(ModalityConformance):
    modality = "audio"
    model = {**SMALL, "architecture": "wavegan", "conditional": True, "post_filter": 32}


@pytest.mark.slow
class TestConditionalSpecGAN(ModalityConformance):
    modality = "audio"
    model = {**SMALL, "architecture": "specgan", "conditional": True}
