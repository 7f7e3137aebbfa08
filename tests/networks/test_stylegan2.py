"""StyleGAN2: as many weights as published, layers by hand, styles that mix, and a minibatch in groups of four."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from multigan.engine.ema import calibrate
from multigan.networks.stylegan2 import (
    EqualConv,
    EqualLinear,
    Mapping,
    MinibatchDeviation,
    ModulatedConv,
    ResidualBlock,
    StyledLayer,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    activate,
    channels_by_side,
)


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def small(classes=0, sides=(16, 16), channels=1):
    return StyleGAN2Generator(6, channels, sides, 4, classes)


# --- as published ---

# Totals that stylegan2-ada-pytorch prints at 1024 x 1024 with its configuration auto: 28,794,124, with 2 mapping
# layers, and 29,012,513. Configuration F has 8 mapping layers: 6 more of 512 x 512 + 512.
OF_GENERATOR, OF_DISCRIMINATOR = 28_794_124 + 6 * (512 * 512 + 512), 29_012_513


def test_as_many_weights_as_published():
    with torch.device("meta"):
        assert count(StyleGAN2Generator(512, 3, (1024, 1024), 32, 0)) == OF_GENERATOR == 30_370_060
        assert count(StyleGAN2Discriminator(3, (1024, 1024), 32, 0)) == OF_DISCRIMINATOR


@pytest.mark.parametrize(("inputs", "outputs", "expected"), [(512, 512, 2_622_465), (512, 256, 1_442_561)])
def test_weights_of_a_layer_as_the_published_code_prints_them(inputs, outputs, expected):
    # An affine map of 512 to the inputs, 3 x 3 weights, biases and the strength of the noise.
    assert expected == 512 * inputs + inputs + 9 * inputs * outputs + outputs + 1
    with torch.device("meta"):
        assert count(StyledLayer(512, inputs, outputs)) == expected


def test_channels_are_32768_over_the_side_and_at_most_512():
    sides = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert channels_by_side((1024, 1024), 32) == [min(32768 // side, 512) for side in sides]


# --- layers by hand ---


def test_equalised_learning_rate_by_hand():
    layer = EqualLinear(16, 64, bias=1.0)
    assert layer.weight.std().item() == pytest.approx(1, rel=0.1)
    features = torch.randn(3, 16)
    torch.testing.assert_close(layer(features), features @ layer.weight.T / 4 + 1)
    slow = EqualLinear(16, 64, rate=0.01)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.1)
    slow.bias.data.fill_(5)
    torch.testing.assert_close(slow(features), features @ slow.weight.T * 0.01 / 4 + 0.05)
    # One step of Adam's size moves the function by a hundredth of what it moves the other's.
    convolution = EqualConv(4, 64, 3)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.1)
    samples = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(convolution(samples), conv2d(samples, convolution.weight / 6, padding=1))


def test_the_activation_keeps_the_scale_by_hand():
    torch.testing.assert_close(activate(torch.tensor([1.0, -1.0])), torch.tensor([math.sqrt(2), -0.2 * math.sqrt(2)]))


def test_demodulated_weights_have_unit_norm():
    layer, style = ModulatedConv(5, 7, 3), torch.randn(4, 5) + 1
    weight = layer.weight * layer.scale
    modulated = weight * style[:, None, :, None, None]
    demodulated = modulated * layer.demodulation(weight, style)[:, :, None, None, None]
    torch.testing.assert_close(demodulated.square().sum((2, 3, 4)), torch.ones(4, 7), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_a_convolution_with_weights_of_each_samples_own(up, demodulate):
    layer = ModulatedConv(5, 7, 3, demodulate=demodulate, up=up)
    samples, style = torch.randn(4, 5, 6, 8), torch.randn(4, 5)
    found = layer(samples, style)
    for sample, scales, result in zip(samples, style, found, strict=True):
        weight = layer.weight / math.sqrt(5 * 9) * scales[:, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            expected = layer.blur(conv_transpose2d(sample[None], weight.transpose(0, 1), stride=2))
        else:
            expected = conv2d(sample[None], weight, padding=1)
        torch.testing.assert_close(result, expected[0], rtol=1e-4, atol=1e-5)
    assert found.shape == ((4, 7, 12, 16) if up else (4, 7, 6, 8))


def test_the_scale_of_a_style_is_lost_in_demodulation():
    layer, samples, style = ModulatedConv(5, 7, 3), torch.randn(4, 5, 6, 6), torch.randn(4, 5)
    torch.testing.assert_close(layer(samples, style), layer(samples, 3 * style), rtol=1e-4, atol=1e-4)


def test_an_upsampling_convolution_keeps_the_scale_of_a_smooth_picture():
    samples = torch.randn(64, 32, 1, 1).expand(-1, -1, 8, 8)
    layer = ModulatedConv(32, 32, 3, up=True)
    # Of the 9 taps each pixel has 2.25 on average, and the filter's gain of 4 makes their sum that of all 9.
    found = layer(samples, torch.ones(64, 32))[:, :, 4:-4, 4:-4]
    assert found.std().item() == pytest.approx(1, rel=0.1)


def test_noise_is_off_at_first_and_then_added_alike_to_all_channels():
    layer = StyledLayer(6, 3, 5)
    samples, style, noise = torch.randn(2, 3, 8, 8), torch.randn(2, 6), torch.randn(2, 1, 8, 8)
    before = layer(samples, style, noise)
    torch.testing.assert_close(before, layer(samples, style, 2 * noise))
    layer.noise_strength.data.fill_(0.5)
    expected = layer.convolution(samples, layer.style(style)) + 0.5 * noise
    torch.testing.assert_close(layer(samples, style, noise), activate(expected))


def test_a_residual_block_is_the_mean_of_both_ways_in_variance():
    block, samples = ResidualBlock(3, 5), torch.randn(2, 3, 8, 12)
    both = activate(block.second(activate(block.first(samples)))) + block.skip(block.downsample(samples))
    torch.testing.assert_close(block(samples), both / math.sqrt(2))
    assert block(samples).shape == (2, 5, 4, 6)


def test_the_mapping_network_sees_the_direction_of_a_latent_alone():
    mapping, latent = Mapping(6, 0, 9), torch.randn(3, 6)
    assert mapping(latent, None).shape == (3, 9) and len(mapping.layers) == 8
    torch.testing.assert_close(mapping(latent, None), mapping(5 * latent, None), rtol=1e-4, atol=1e-5)


# --- the minibatch standard deviation ---


def test_the_minibatch_standard_deviation_by_hand():
    # In the first group, feature 0 is -1, 1, -1, 1 (deviation 1) and feature 1 is 5 (0): the mean is 1/2.
    samples = torch.zeros(8, 2, 3, 3)
    samples[:4, 0] = torch.tensor([-1.0, 1.0, -1.0, 1.0]).view(-1, 1, 1)
    samples[:4, 1] = 5
    found = MinibatchDeviation()(samples)
    assert torch.equal(found[:, :2], samples)
    torch.testing.assert_close(found[:4, 2], torch.full((4, 3, 3), 0.5), rtol=0, atol=1e-4)
    torch.testing.assert_close(found[4:, 2], torch.zeros(4, 3, 3), rtol=0, atol=2e-4)


@pytest.mark.parametrize("classes", [0, 3])
def test_a_batch_shared_out_is_judged_as_a_whole_one(classes):
    discriminator, samples = StyleGAN2Discriminator(1, (16, 16), 4, classes), torch.randn(12, 1, 16, 16)
    condition = torch.arange(12) % 3 if classes else None
    whole = discriminator(samples, condition)
    parts = [discriminator(samples[i : i + 4], None if condition is None else condition[i : i + 4]) for i in (0, 4, 8)]
    torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-4, atol=1e-5)


def test_a_batch_that_is_no_multiple_of_four_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"has 6 samples in a micro-batch: expected a multiple of 4.*--batch_size"):
        StyleGAN2Discriminator(1, (16, 16), 4, 0)(torch.zeros(6, 1, 16, 16), None)


# --- the whole networks ---


@pytest.mark.parametrize("sides", [(8, 8), (16, 24), (48, 80), (64, 64)])
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (4, 3)])
def test_shapes(sides, channels, classes):
    condition = torch.arange(4) % classes if classes else None
    samples = small(classes, sides, channels)(torch.randn(4, 6), condition)
    assert samples.shape == (4, channels, *sides)
    assert StyleGAN2Discriminator(channels, sides, 4, classes)(samples, condition).shape == (4,)


@pytest.mark.parametrize("side", [16, 64, 256])
def test_both_start_at_full_scale(side):
    sides = side, side
    generator, discriminator = StyleGAN2Generator(64, 3, sides, 8, 0), StyleGAN2Discriminator(3, sides, 8, 0)
    with torch.no_grad():
        samples = generator(torch.randn(4, 64), None)
        logits = discriminator(torch.randn(4, 3, side, side), None)
    assert 0.3 < samples.std().item() < 3
    assert logits.abs().max().item() < 10


def test_the_class_decides_the_style_and_the_logit():
    generator, discriminator = small(3).eval(), StyleGAN2Discriminator(1, (16, 16), 4, 3)
    samples = generator(torch.randn(1, 6).expand(4, 6), torch.tensor([0, 1, 1, 2]))
    assert (samples[0] - samples[1]).abs().max() > 1e-3
    torch.testing.assert_close(samples[1], samples[2])
    logits = [discriminator(samples, torch.full((4,), number)) for number in range(3)]
    assert (logits[0] - logits[1]).abs().max() > 1e-4


def test_noise_depends_on_the_latent_alone_and_not_on_the_style():
    generator = small().eval()
    for layer in generator.layers:
        nn.init.ones_(layer.noise_strength)
    latent, other = torch.randn(4, 6), torch.randn(4, 6)
    styles = generator.layer_styles(latent, None)
    first, second = generator.synthesize(styles, latent), generator.synthesize(styles, other)
    assert (first - second).abs().mean() > 0.1
    torch.testing.assert_close(first[1:3], generator.synthesize(styles[1:3], latent[1:3]), rtol=1e-4, atol=1e-4)


# --- style mixing ---


def test_nine_in_ten_styles_are_mixed_while_training_from_a_random_layer_on():
    generator, latent = small(), torch.randn(4000, 6)
    first, styles = generator.mapping(latent, None), generator.layer_styles(latent, None)
    kept = (styles - first[:, None]).abs().amax(2) < 1e-6
    assert styles.shape == (4000, 6, 6)  # three sides: five layers, and the last part of the picture
    crossover = kept.sum(1)
    assert (kept == (torch.arange(6) < crossover[:, None])).all() and crossover.min() == 1
    shares = torch.bincount(crossover, minlength=7) / 4000
    assert shares[6].item() == pytest.approx(0.1, abs=0.02)
    assert shares[1:6].tolist() == pytest.approx([0.9 / 5] * 5, abs=0.03)
    # What comes after is one style of another latent, of the same distribution.
    mixed = styles[crossover < 5]
    assert torch.equal(mixed[:, 4], mixed[:, 5])
    assert styles[:, 5].std().item() == pytest.approx(first.std().item(), rel=0.1)


def test_styles_are_not_mixed_in_evaluation():
    generator, latent = small().eval(), torch.randn(50, 6)
    assert torch.equal(generator.layer_styles(latent, None), generator.mapping(latent, None)[:, None].expand(-1, 6, -1))


def test_a_sample_is_the_same_beside_any_others_while_training():
    generator, latent = small(3).train(), torch.randn(8, 6)
    condition = torch.arange(8) % 3
    together = generator(latent, condition)
    torch.testing.assert_close(together[2:5], generator(latent[2:5], condition[2:5]), rtol=1e-4, atol=1e-5)


# --- truncation ---


def test_the_mean_style_is_the_mean_over_the_latents_of_the_calibration():
    generator = small(3)
    batches = [(torch.randn(5, 6), torch.arange(5) % 3), (torch.randn(5, 6), torch.arange(5) % 3)]
    calibrate(generator, batches)
    styles = torch.cat([generator.mapping(latent, condition) for latent, condition in batches])
    torch.testing.assert_close(generator.mean_style.running_mean, styles.mean(0), rtol=1e-4, atol=1e-6)
    assert not generator.training
    before = generator.mean_style.running_mean.clone()
    generator.train()(*batches[0])
    assert torch.equal(generator.mean_style.running_mean, before), "training leaves it alone"
    assert torch.equal(generator.state_dict()["mean_style.running_mean"], before), "it is saved"


def test_truncation_by_hand():
    generator, latent = small().eval(), torch.randn(3, 6)
    generator.mean_style.running_mean.copy_(torch.arange(6.0))
    style = generator.mapping(latent, None)
    generator.truncation = 0.75
    expected = 0.25 * torch.arange(6.0) + 0.75 * style
    torch.testing.assert_close(generator.layer_styles(latent, None)[:, 3], expected)
