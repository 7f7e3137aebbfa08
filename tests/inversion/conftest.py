"""A tiny generator to invert, and an encoder that is quick to train."""

import pytest
import torch

from multigan import TrainedGenerator
from multigan.inversion import encoder, inverter


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(encoder, "STEPS", 60)
    monkeypatch.setattr(inverter, "STEPS", 60)


@pytest.fixture
def tiny():
    """Makes an untrained generator of pictures; the same settings make the same weights."""

    def make(**fields):
        from multigan.modalities.image import Image, ImageConfig

        small = {"resolution": 16, "channels": 1, "generator_width": 4, "discriminator_width": 4, "latent_dim": 6}
        modality = Image(ImageConfig(**{**small, **fields}))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = modality.generator()
        return TrainedGenerator("image", modality, network.eval().requires_grad_(False))

    return make
