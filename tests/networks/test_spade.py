"""SPADE: its published sizes, equation 1 by hand, and maps of any size."""

import pytest
import torch
from checks import (
    check_each_sample_alone,
    check_every_weight_learns,
    class_maps,
    count,
    saturated,
    share_of_the_latent,
)

from multigan.networks.layout import channels_last
from multigan.networks.spade import SPADE, SPADEGenerator, of_classes


@pytest.mark.parametrize(
    ("classes", "sides", "millions"),
    [(36, (256, 512), 93.0), (151, (256, 256), 96.5), (184, (256, 256), 97.5)],
)
def test_the_published_sizes(classes, sides, millions):
    # Cityscapes, ADE20K and COCO-Stuff, with the edges of instances as a class. The authors' convolutions also have
    # biases: the first, two in each block, and those that make scales and shifts.
    blocks = [1024, 1024, 1024, 512, 256, 128, 64]
    inputs = [1024, *blocks]
    biases = 1024 + 2 * sum(blocks) + 2 * sum(inputs[:-1]) + 2 * sum(blocks) + 2 * sum(inputs[3:-1])
    with torch.device("meta"):
        assert round((count(SPADEGenerator(0, classes, 3, sides, 64)) + biases) / 1e6, 1) == millions


def test_weights_counted_by_hand():
    # 8 x 8: blocks at 4 and at 8, of 4 and 2 channels, and 4 hidden ones. Each SPADE has two convolutions.
    def spade(channels):
        return (3 * 4 * 9 + 4) + 4 * 2 * channels * 9

    first = spade(4) + 4 * 4 * 9 + spade(4) + 4 * 4 * 9
    second = spade(4) + 4 * 2 * 9 + spade(2) + 2 * 2 * 9 + spade(4) + 4 * 2
    last = 2 * 1 * 9 + 1
    assert count(SPADEGenerator(0, 3, 1, (8, 8), 2)) == 3 * 4 * 9 + first + second + last
    assert count(SPADEGenerator(5, 3, 1, (8, 8), 2)) == 6 * 4 * 16 + first + second + last


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (16, 16), (33, 20)])
@pytest.mark.parametrize("latent_dim", [0, 3])
@pytest.mark.parametrize("sides", [(8, 8), (16, 24), (20, 12)])
def test_any_size(sides, latent_dim, height, width):
    network = SPADEGenerator(latent_dim, 4, 3, sides, 4)
    samples = network(torch.randn(1, latent_dim), class_maps(1, 4, height, width))
    assert samples.shape == (1, 3, height, width)
    assert samples.isfinite().all() and samples.abs().max() <= 1


@pytest.mark.parametrize("latent_dim", [0, 3])
def test_every_weight_learns(latent_dim):
    network = SPADEGenerator(latent_dim, 4, 3, (16, 16), 8)
    check_every_weight_learns(network, torch.randn(3, latent_dim), class_maps(3, 4, 16, 16))


def test_each_sample_is_made_alone():
    check_each_sample_alone(SPADEGenerator(3, 4, 3, (16, 16), 4), torch.randn(3, 3), class_maps(3, 4, 19, 16))


@pytest.mark.parametrize("side", [16, 32, 48])
def test_the_latent_reaches_the_sample(side):
    assert share_of_the_latent(SPADEGenerator(8, 4, 3, (32, 32), 8), 8, class_maps(4, 4, side, side)) > 0.3


@pytest.mark.parametrize("latent_dim", [0, 8])
def test_samples_start_unsaturated(latent_dim):
    network = SPADEGenerator(latent_dim, 4, 3, (32, 32), 16)
    assert saturated(network, torch.randn(4, latent_dim), class_maps(4, 4, 32, 32)) < 0.2


def test_equation_1_by_hand():
    # One hidden channel that is 2 where class 0 is and 3 where class 1 is; scale 0.5 of it, shift -1 of it.
    network = SPADE(1, 2, 1).double()
    with torch.no_grad():
        for layer in (network.from_classes, network.scale_and_shift):
            layer.weight.zero_()
        network.from_classes.weight[0, :, 1, 1] = torch.tensor([1.0, 2.0])
        network.from_classes.bias.fill_(1)
        network.scale_and_shift.weight[:, 0, 1, 1] = torch.tensor([0.5, -1.0])
    numbers = torch.tensor([[0, 0], [1, 1]])
    classes = torch.nn.functional.one_hot(numbers, 2).permute(2, 0, 1)[None].double()
    # Mean 4, deviation 2: normalised (-1, 1, -1, 1). Times 1 + 1 less 2 above, times 1 + 1.5 less 3 below.
    hidden = torch.tensor([[[[2.0, 6.0], [2.0, 6.0]]]], dtype=torch.float64)
    expected = torch.tensor([[[[-4.0, 0.0], [-5.5, -0.5]]]], dtype=torch.float64)
    torch.testing.assert_close(network(hidden, classes), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 100])
def test_the_scale_does_not_depend_on_the_number_of_classes(classes):
    hidden = of_classes(classes, 256, bias=True)(class_maps(4, classes, 32, 32)).relu()
    # 1 where nine taps hear nine classes, up to 2 * 9 / 2 / 9 where they hear one, a little less at the edges.
    assert 0.6 < hidden.square().mean() < 1.4


def test_the_class_of_a_place_decides_what_is_there():
    network, latent = SPADEGenerator(3, 4, 3, (32, 32), 8), torch.randn(1, 3)
    condition = class_maps(1, 4, 32, 32)
    changed = condition.clone()
    changed[..., 24:, 24:] = changed[..., 24:, 24:].roll(1, 1)
    difference = (network(latent, changed) - network(latent, condition)).abs().mean(1)[0]
    assert difference[24:, 24:].mean() > 2 * difference[:16, :16].mean()


def test_layout_makes_no_difference():
    network, latent = SPADEGenerator(3, 4, 3, (16, 16), 8), torch.randn(2, 3)
    condition = class_maps(2, 4, 16, 16)
    expected = network(latent, condition)
    channels_last(network)
    torch.testing.assert_close(network(latent, condition), expected, rtol=1e-4, atol=1e-5)
