"""Convolutional networks: shapes at every side, what a class does, and a signal that keeps its scale."""

import pytest
import torch

from multigan.networks.convolutional import (
    ConvolutionalDiscriminator,
    ConvolutionalFeatures,
    ConvolutionalGenerator,
    channels_by_side,
)

SIDES = [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize(
    ("side", "width", "expected"),
    [(8, 64, [64]), (16, 64, [128, 64]), (64, 64, [512, 256, 128, 64]), (256, 64, [512, 512, 512, 256, 128, 64])],
)
def test_channels_double_as_the_side_halves_up_to_512(side, width, expected):
    assert channels_by_side((side, side), width) == expected


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (3, 4)])
def test_shapes(side, channels, classes):
    generator = ConvolutionalGenerator(5, channels, (side, side), 2, classes)
    discriminator = ConvolutionalDiscriminator(channels, (side, side), 2, classes)
    condition = torch.arange(16) % classes if classes else None
    samples = generator(torch.randn(16, 5), condition)
    assert samples.shape == (16, channels, side, side)
    assert samples.abs().max() <= 1
    assert discriminator(samples, condition).shape == (16,)
    body = ConvolutionalFeatures(channels, (side, side), 2)
    assert body(samples).shape == (16, body.features)


@pytest.mark.parametrize("side", SIDES)
def test_the_generator_starts_at_full_scale(side):
    # In double precision, where the inverse of tanh is good to values far beyond 3.
    generator = ConvolutionalGenerator(16, 3, (side, side), 4, 0).double()
    with torch.no_grad():
        before_tanh = generator(torch.randn(16, 16, dtype=torch.float64), None).atanh()
    assert 0.3 < before_tanh.std().item() < 3
    assert abs(before_tanh.mean().item()) < 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_last_layers_scale_does_not_depend_on_what_it_leads_to(channels):
    # A normalised signal through ReLU has the mean square 1/2, and 4 of the 16 taps of each input channel meet in a
    # pixel: with weights of variance 2 / (4 inputs) the variance is 4 inputs * 1/2 * 2 / (4 inputs) = 1.
    generator = ConvolutionalGenerator(16, channels, (32, 32), 16, 0).double()
    with torch.no_grad():
        before_tanh = generator(torch.randn(16, 16, dtype=torch.float64), None).atanh()
    assert before_tanh.std().item() == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("side", SIDES)
def test_the_discriminators_features_keep_the_scale_of_its_input(side):
    body = ConvolutionalFeatures(3, (side, side), 16)
    with torch.no_grad():
        features = body(torch.randn(8, 3, side, side))
    # A leaky ReLU of a standard normal has the mean square (1 + 0.2^2) / 2 = 0.52.
    assert 0.1 < features.square().mean().item() < 2


def test_the_class_decides_what_is_generated():
    generator = ConvolutionalGenerator(5, 1, (16, 16), 4, 3).eval()
    latent = torch.randn(1, 5).expand(3, 5)
    samples = generator(latent, torch.tensor([0, 1, 1]))
    assert (samples[0] - samples[1]).abs().max() > 1e-3
    torch.testing.assert_close(samples[1], samples[2])


def test_the_class_reaches_the_logit_as_a_projection_of_the_features():
    discriminator = ConvolutionalDiscriminator(1, (16, 16), 4, 3)
    samples, condition = torch.randn(3, 1, 16, 16), torch.tensor([2, 0, 2])
    plain = discriminator.head.last(discriminator.body(samples))[:, 0]
    # It starts at zero: the class says nothing yet, and learns to.
    torch.testing.assert_close(discriminator(samples, condition), plain)
    direction = torch.linspace(-1, 1, discriminator.body.features)
    with torch.no_grad():
        discriminator.head.projection.weight[2] = direction
    expected = plain + torch.tensor([1, 0, 1]) * (discriminator.body(samples) @ direction)
    torch.testing.assert_close(discriminator(samples, condition), expected, rtol=1e-4, atol=1e-4)


def test_the_discriminator_judges_each_sample_by_itself():
    discriminator, samples = ConvolutionalDiscriminator(3, (16, 16), 4, 0), torch.randn(4, 3, 16, 16)
    together = discriminator(samples, None)
    alone = torch.cat([discriminator(sample[None], None) for sample in samples])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
