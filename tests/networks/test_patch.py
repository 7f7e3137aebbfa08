"""Discriminators of patches: published sizes, what a logit sees, what they are told, features and scales."""

import pytest
import torch
from checks import count, gradients, pictures
from torch.nn.functional import avg_pool2d, interpolate

from multigan.interface import DiscriminatorOutput
from multigan.networks.layout import channels_last
from multigan.networks.patch import MultiScaleDiscriminator, PatchDiscriminator, TwoWayDiscriminator, least_side


def test_the_published_sizes():
    # CycleGAN's discriminator, whose convolutions all have biases and whose normalisation has no weights.
    convolutions = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    by_hand = sum(inputs * outputs * 16 + outputs for inputs, outputs in convolutions)
    assert by_hand == 2_764_737
    with torch.device("meta"):
        assert count(PatchDiscriminator(3, 0, 64, 3)) == by_hand
        # With a condition of 3 channels as pix2pix's: 3 x 64 kernels more.
        assert count(PatchDiscriminator(3, 3, 64, 3)) == by_hand + 3 * 64 * 16
        assert count(TwoWayDiscriminator(3, 64, 3)) == 2 * by_hand
        assert count(MultiScaleDiscriminator(3, 36, 64, 3, 2)) == 2 * (by_hand + 36 * 64 * 16)


def test_the_published_number_of_logits():
    with torch.device("meta"):
        assert PatchDiscriminator(3, 3, 64, 3)(torch.ones(1, 3, 256, 256), torch.ones(1, 3, 256, 256)).shape == (
            1,
            30,
            30,
        )


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_what_a_logit_sees(layers, patch):
    network, samples = PatchDiscriminator(1, 0, 4, layers).double(), torch.randn(1, 1, 160, 160, dtype=torch.float64)
    samples.requires_grad_()
    logits = network(samples, None)
    (gradient,) = torch.autograd.grad(logits[0, logits.shape[1] // 2, logits.shape[2] // 2], samples)
    rows = gradient[0, 0].abs().amax(1).nonzero()[:, 0]
    assert rows.max() - rows.min() + 1 == patch


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("scales", [1, 2, 3])
def test_the_least_side_leaves_one_logit(layers, scales):
    side = least_side(layers, scales)
    output = MultiScaleDiscriminator(1, 0, 2, layers, scales)(torch.randn(2, 1, side, side + 1), None)
    assert output.heads[-1].shape == (2, 1, 1)
    with pytest.raises(RuntimeError):
        PatchDiscriminator(1, 0, 2, layers)(torch.randn(2, 1, least_side(layers) - 1, 100), None)


@pytest.mark.parametrize(("height", "width"), [(24, 24), (33, 47)])
def test_shapes(height, width):
    samples, condition = pictures(2, height, width), pictures(2, height, width, channels=1)
    expected = 2, height // 4 - 2, width // 4 - 2
    assert PatchDiscriminator(3, 1, 4, 2)(samples, condition).shape == expected
    output = PatchDiscriminator(3, 1, 4, 2, features=True)(samples, condition)
    assert isinstance(output, DiscriminatorOutput)
    assert output.heads[0].shape == expected
    sides = [(height // 2, width // 2), (height // 4, width // 4), (height // 4 - 1, width // 4 - 1)]
    assert [each.shape for each in output.features] == [
        (2, channels, *pair) for channels, pair in zip((4, 8, 16), sides, strict=True)
    ]


def test_features_do_not_change_the_logits():
    network, samples = PatchDiscriminator(3, 0, 4, 2), pictures(2, 24, 24)
    plain = network(samples, None)
    network.features = True
    torch.testing.assert_close(network(samples, None).heads[0], plain, rtol=0, atol=0)


def test_a_smaller_condition_is_enlarged():
    network, samples, small = PatchDiscriminator(3, 2, 4, 1), pictures(2, 16, 24), torch.randn(2, 2, 4, 6)
    enlarged = interpolate(small, (16, 24), mode="bilinear")
    torch.testing.assert_close(network(samples, small), network(samples, enlarged))
    assert (network(samples, small) - network(samples, small.flip(0))).abs().max() > 1e-3


def test_each_scale_sees_half_of_the_one_before():
    network, samples, condition = MultiScaleDiscriminator(3, 1, 4, 1, 3), pictures(2, 32, 32), torch.randn(2, 1, 32, 32)
    output = network(samples, condition)
    assert len(output.heads) == 3 and len(output.features) == 3 * 2
    told = torch.cat([samples, condition], 1)
    half = avg_pool2d(told, 3, 2, 1, count_include_pad=False)
    quarter = avg_pool2d(half, 3, 2, 1, count_include_pad=False)
    for place, seen in enumerate((told, half, quarter)):
        expected = network.scales[place](seen, None)
        torch.testing.assert_close(output.heads[place], expected.heads[0])
        for found, known in zip(output.features[2 * place : 2 * place + 2], expected.features, strict=True):
            torch.testing.assert_close(found, known)


def test_the_edges_of_a_reduced_picture_are_as_bright():
    seen = []
    network = MultiScaleDiscriminator(1, 0, 2, 1, 2)
    network.scales[1].register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    network(torch.ones(1, 1, 17, 16), None)
    torch.testing.assert_close(seen[0], torch.ones(1, 1, 9, 8))


def test_two_ways():
    network, a, b = TwoWayDiscriminator(3, 4, 2), pictures(2, 24, 24), pictures(2, 24, 24)
    output = network(torch.cat([a, b], 1), torch.randn(2, 6, 24, 24))
    torch.testing.assert_close(output.heads[0], network.of_a(a, None))
    torch.testing.assert_close(output.heads[1], network.of_b(b, None))
    assert len(output.heads) == 2 and output.features == ()


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (PatchDiscriminator, (3, 3, 8, 2)),
        (MultiScaleDiscriminator, (3, 3, 8, 2, 2)),
        (TwoWayDiscriminator, (3, 8, 2)),
    ],
)
def test_every_weight_learns_also_from_a_penalty(kind, arguments):
    network = kind(*arguments)
    channels = 6 if kind is TwoWayDiscriminator else 3
    samples = torch.randn(3, channels, 32, 32, dtype=torch.float64, requires_grad=True)
    output = network.double()(samples, torch.randn(3, 3, 32, 32, dtype=torch.float64))
    output = output if isinstance(output, DiscriminatorOutput) else DiscriminatorOutput((output,))
    assert output.logits.shape == (3,)
    (gradient,) = torch.autograd.grad(output.logits.sum(), samples, create_graph=True)
    shares = gradients(network, gradient.square().sum() + output.logits.square().sum())
    assert min(shares.values()) > 1e-5


@pytest.mark.parametrize("side", [32, 128])
def test_logits_start_at_the_scale_of_the_samples(side):
    with torch.no_grad():
        logits = PatchDiscriminator(3, 3, 16, 3)(torch.randn(4, 3, side, side), torch.randn(4, 3, side, side))
    assert 0.2 < logits.std() < 2


def test_each_sample_is_judged_alone():
    network, samples = MultiScaleDiscriminator(3, 0, 4, 2, 2), pictures(3, 32, 32)
    together = network(samples, None).logits
    torch.testing.assert_close(together, torch.cat([network(each, None).logits for each in samples.split(1)]))


def test_layout_makes_no_difference():
    network, samples = PatchDiscriminator(3, 0, 8, 2), pictures(2, 32, 32)
    expected = network(samples, None)
    channels_last(network)
    torch.testing.assert_close(network(samples, None), expected, rtol=1e-4, atol=1e-5)
