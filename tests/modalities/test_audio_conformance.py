"""The conformance suite on sounds: what each architecture and condition must pass like anybody's modality."""

import pytest

from multigan.testing import ModalityConformance

SMALL = {"sampling_rate": 8000, "length": 4096, "latent_dim": 8, "generator_width": 2, "discriminator_width": 2}


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
    model = {**SMALL, "conditional": True}
