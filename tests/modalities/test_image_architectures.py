"""StyleGAN2 and R3GAN as the image modality has them: sides, channels, 16 bits, truncation, and what is refused."""

import numpy
import pytest
import torch

from multigan import configure
from multigan.errors import UserError
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.image import Image, ImageConfig
from multigan.networks.r3gan import R3GANGenerator
from multigan.networks.stylegan2 import StyleGAN2Generator
from multigan.training import run

SMALL = {"resolution": 16, "generator_width": 8, "discriminator_width": 8, "latent_dim": 8, "channels": 1}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def trained(architecture, **settings):
    modality = Image(ImageConfig(**{**SMALL, "architecture": architecture, **settings}))
    return TrainedGenerator("image", modality, modality.generator().eval().requires_grad_(False))


def refused(tmp_path, **fields):
    """The message of the error, which must be one line and leave nothing."""
    model = {**SMALL, **fields.pop("model")}
    with pytest.raises(UserError) as caught:
        run.train(configure("image", output=str(tmp_path / "run"), tracker="none", model=model, **fields))
    assert len(str(caught.value).splitlines()) == 1 and not (tmp_path / "run").exists()
    return str(caught.value)


@pytest.mark.parametrize(("architecture", "network"), [("stylegan2", StyleGAN2Generator), ("r3gan", R3GANGenerator)])
@pytest.mark.parametrize("settings", [{"resolution": "48x80", "channels": 4}, {"bits": 16}])
def test_rectangles_transparency_and_16_bits(architecture, network, settings):
    generator = trained(architecture, **settings)
    assert isinstance(generator.network, network)
    (picture,) = generator.generate(1)
    assert numpy.asarray(picture).shape == ((48, 80, 4) if "channels" in settings else (16, 16))
    assert numpy.asarray(picture).dtype == (numpy.uint16 if "bits" in settings else numpy.uint8)
    samples = torch.cat(list(generator.batches(4)))
    assert generator.modality.discriminator()(samples, None).shape == (4,)


def test_stylegan2_truncates_towards_its_mean_style():
    generator = trained("stylegan2")
    generator.network.mean_style.running_mean.fill_(0.3)
    free, near, nearest = (torch.cat(list(generator.batches(20, truncation=t))) for t in (None, 0.5, 0.0))
    assert free.std(0).mean() > near.std(0).mean() > nearest.std(0).mean()
    assert nearest.std(0).max() < 1e-4, "noise has no strength at first, so all are the mean picture"
    mean = torch.full((1, generator.network.style_count, 8), 0.3)
    torch.testing.assert_close(nearest[:1], generator.network.synthesize(mean, torch.zeros(1, 8)), atol=1e-4, rtol=0)
    assert generator.network.truncation is None, "and the next call is free again"
    assert torch.equal(torch.cat(list(generator.batches(20))), free)
    assert torch.equal(torch.cat(list(generator.batches(20, truncation=1.0))), free)


def test_interpolation_goes_from_the_first_sample_to_the_second():
    generator = trained("stylegan2")
    walk, ends = torch.cat(list(generator.batches(5, interpolate=True))), torch.cat(list(generator.batches(2)))
    torch.testing.assert_close(walk[[0, -1]], ends, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resolution": 36, "architecture": "stylegan2"}, "resolution is 36: expected sides that can be halved"),
        ({"resolution": 36, "architecture": "r3gan"}, "resolution is 36: expected sides that can be halved"),
        ({"generator_width": 12, "architecture": "r3gan"}, "generator_width is 12: expected a multiple of 8"),
        ({"discriminator_width": 4, "architecture": "r3gan"}, "discriminator_width is 4: expected a multiple of 8"),
        (
            {"generator_width": 800, "architecture": "r3gan"},
            "generator_width is 800: expected a multiple of 8, and above",
        ),
    ],
)
def test_sizes_that_cannot_be_are_refused(fields, said):
    with pytest.raises(UserError, match=said):
        ImageConfig(**fields)


def test_a_batch_that_is_no_multiple_of_four_is_refused(tmp_path):
    assert "expected a multiple of 4" in refused(tmp_path, model={"architecture": "stylegan2"}, batch_size=6)


def test_spectral_normalisation_of_weights_that_are_scaled_is_refused(tmp_path):
    found = refused(tmp_path, model={"architecture": "stylegan2"}, spectral_norm=True)
    assert "spectral_norm is true: expected false" in found


@pytest.mark.parametrize("architecture", ["mlp", "dcgan", "r3gan"])
def test_path_lengths_of_a_generator_without_styles_are_refused(tmp_path, architecture):
    assert "path_length is 2: expected 0" in refused(tmp_path, model={"architecture": architecture}, path_length=2.0)


@pytest.mark.parametrize("fields", [{"path_length": -1.0}, {"path_length_every": 0}])
def test_bad_values_are_one_line(fields):
    (name,) = fields
    with pytest.raises(UserError, match=f"{name} is"):
        configure("image", **fields)
