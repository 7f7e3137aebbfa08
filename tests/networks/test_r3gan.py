"""R3GAN: as many weights as published, weights that start as published, and what a class does."""

import math

import pytest
import torch
from torch import nn

from multigan.networks.r3gan import (
    GAIN,
    R3GANDiscriminator,
    R3GANGenerator,
    ResidualBlock,
    channels_by_side,
    groups,
)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


# The presets of train.py in brownvc/R3GAN: side, width, channels by side, classes. The totals are what its
# R3GAN/Networks.py has for them, counted by building its networks.
PUBLISHED = {
    "CIFAR-10, classes": (32, 768, [768] * 4, 10, 20_781_952, 21_280_512),
    "CIFAR-10": (32, 768, [768] * 4, 0, 20_732_160, 20_683_776),
    "FFHQ-64": (64, 384, [768] * 4 + [384], 0, 22_429_824, 22_381_440),
    "FFHQ-256": (256, 96, [768] * 4 + [384, 192, 96], 0, 23_057_952, 23_009_568),
    "ImageNet-32": (32, 1536, [1536] * 4, 1000, 82_914_304, 86_548_992),
    "ImageNet-64": (64, 1536, [1536] * 5, 1000, 103_570_432, 107_205_120),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_as_many_weights_as_published(preset):
    side, width, channels, classes, of_generator, of_discriminator = PUBLISHED[preset]
    assert channels_by_side((side, side), width) == channels
    with torch.device("meta"):
        assert count(R3GANGenerator(64, 3, (side, side), width, classes)) == of_generator
        assert count(R3GANDiscriminator(3, (side, side), width, classes)) == of_discriminator


def test_the_weights_of_cifar_10_by_hand():
    # A block of 768: 1 x 1 to 1536, 3 x 3 in 96 groups of 16, 1 x 1 back, and two biases.
    block = 768 * 1536 + 1536 * 16 * 9 + 1536 * 768 + 2 * 1536
    generator = 768 * 4 * 4 + 64 * 768 + 8 * block + 768 * 3
    discriminator = 3 * 768 + 8 * block + 768 * 4 * 4 + 768
    assert (generator, discriminator) == PUBLISHED["CIFAR-10"][4:]
    # With ten classes: an embedding of 64 beside the latent; one of 768 that 768 features are projected on.
    assert generator + 10 * 64 + 64 * 768 == PUBLISHED["CIFAR-10, classes"][4]
    assert discriminator + 768 * 768 - 768 + 10 * 768 == PUBLISHED["CIFAR-10, classes"][5]


@pytest.mark.parametrize(("channels", "expected"), [(768, 96), (384, 48), (192, 24), (96, 12), (1536, 96)])
def test_groups_are_the_published_cardinalities(channels, expected):
    assert groups(channels) == expected


def test_a_width_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="width is 12: expected a multiple of 8, and above 768 of 96"):
        R3GANGenerator(4, 1, (16, 16), 12, 0)


def test_deviations_of_initial_weights_by_hand():
    block = ResidualBlock(256, blocks=16)
    # sqrt(2 / (1 + 0.2^2)) = 1.3868, times 16^(-1/4) = 1/2; the fan-in is 256, and 9 places of 16 channels a group.
    assert pytest.approx(1.3868, abs=1e-4) == GAIN
    assert block.expand.weight.std().item() == pytest.approx(1.3868 / 2 / 16, rel=0.02)
    assert block.grouped.weight.std().item() == pytest.approx(1.3868 / 2 / 12, rel=0.02)
    assert not block.contract.weight.any() and not block.expand.bias.any() and block.contract.bias is None
    generator = R3GANGenerator(64, 3, (16, 16), 256, 100)
    assert generator.layers[0].scales.weight.std().item() == pytest.approx(1 / math.sqrt(128), rel=0.02)
    assert generator.layers[0].basis.std().item() == pytest.approx(1, rel=0.05)
    assert generator.embedding.weight.std().item() == pytest.approx(1 / 10, rel=0.05)
    discriminator = R3GANDiscriminator(3, (16, 16), 256, 100)
    assert discriminator.embedding.weight.std().item() == pytest.approx(1 / 10 / math.sqrt(768), rel=0.02)
    assert discriminator.layers[-1].basis.weight.std().item() == pytest.approx(1 / 4, rel=0.05)


def test_a_block_starts_as_the_identity_and_nothing_is_normalised():
    samples = torch.randn(2, 16, 5, 5)
    assert torch.equal(ResidualBlock(16, 4)(samples), samples)
    modules = [*R3GANGenerator(4, 1, (16, 16), 8, 0).modules(), *R3GANDiscriminator(1, (16, 16), 8, 0).modules()]
    assert not [module for module in modules if "Norm" in type(module).__name__]


def test_a_block_by_hand():
    # One group of 8 in, 16 hidden: all weights of a layer alike, the middle one an identity in place.
    block = ResidualBlock(8, 4)
    with torch.no_grad():
        block.expand.weight.fill_(1 / 8)
        block.expand.bias.fill_(-1)
        block.grouped.weight.zero_()
        block.grouped.weight[:, :, 1, 1] = 1 / 16
        block.contract.weight.fill_(1 / 16)
    samples = torch.tensor([3.0, 0.0]).view(2, 1, 1, 1).expand(2, 8, 3, 3)
    # 3 - 1 = 2 stays 2; 0 - 1 = -1 leaks to -0.2, and again to -0.04.
    expected = torch.tensor([3 + 2.0, -0.04]).view(2, 1, 1, 1).expand(2, 8, 3, 3)
    torch.testing.assert_close(block(samples), expected)


@pytest.mark.parametrize("sides", [(8, 8), (16, 24), (48, 80), (128, 128)])
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (4, 3)])
def test_shapes(sides, channels, classes):
    condition = torch.arange(3) if classes else None
    samples = R3GANGenerator(5, channels, sides, 8, classes)(torch.randn(3, 5), condition)
    assert samples.shape == (3, channels, *sides)
    assert R3GANDiscriminator(channels, sides, 8, classes)(samples, condition).shape == (3,)


def test_the_signal_keeps_its_scale():
    generator, discriminator = R3GANGenerator(64, 3, (64, 64), 64, 0), R3GANDiscriminator(3, (64, 64), 64, 0)
    for network in (generator, discriminator):
        for block in network.modules():  # at the start all of them are the identity
            if isinstance(block, ResidualBlock):
                nn.init.normal_(block.contract.weight, std=GAIN / 10**0.25 / math.sqrt(128) / 10)
    with torch.no_grad():
        samples = generator(torch.randn(32, 64), None)
        logits = discriminator(torch.randn(32, 3, 64, 64), None)
    assert 0.2 < samples.std().item() < 3 and 1e-3 < logits.std().item() < 3


def test_the_class_decides_what_is_generated_and_the_logit():
    generator, discriminator = R3GANGenerator(5, 1, (16, 16), 8, 3), R3GANDiscriminator(1, (16, 16), 8, 3)
    samples = generator(torch.randn(1, 5).expand(3, 5), torch.tensor([0, 1, 1]))
    assert (samples[0] - samples[1]).abs().max() > 1e-3
    torch.testing.assert_close(samples[1], samples[2])
    features = discriminator.layers(discriminator.from_picture(samples))
    expected = features[0] @ discriminator.embedding.weight[2]
    torch.testing.assert_close(discriminator(samples, torch.tensor([2, 1, 1]))[0], expected)


def test_the_discriminator_judges_each_sample_by_itself():
    discriminator, samples = R3GANDiscriminator(3, (16, 16), 8, 0), torch.randn(4, 3, 16, 16)
    alone = torch.cat([discriminator(sample[None], None) for sample in samples])
    torch.testing.assert_close(discriminator(samples, None), alone, rtol=1e-4, atol=1e-5)
