"""Runs commands that train, with tiny networks, and a small trained run to use."""

import pytest

TINY = [
    *("--model.resolution", "16", "--model.generator_width", "4", "--model.discriminator_width", "4"),
    *("--model.latent_dim", "4", "--steps", "2", "--batch_size", "16", "--tracker", "none"),
]


@pytest.fixture
def train(command):
    """Runs `multigan train image` with a tiny model."""
    return lambda *flags: command("train", "image", *TINY, *flags)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run folder of a tiny class-conditional model."""
    from multigan import configure
    from multigan.training import run

    folder = tmp_path_factory.mktemp("trained") / "run"
    model = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4, "conditional": True}
    model |= {"architecture": "dcgan"}
    return run.train(
        configure("image", model=model, steps=2, batch_size=16, log_every=1, tracker="none", output=str(folder))
    )
