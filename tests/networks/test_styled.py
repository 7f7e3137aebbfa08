"""The styled generator: a layer by hand, samples that do not depend on each other, and a signal of full scale."""

import math

import pytest
import torch

from multigan.networks.normalization import divided_by_rms
from multigan.networks.styled import Style, StyledGenerator


def test_a_sample_is_divided_by_its_own_root_mean_square():
    values = torch.tensor([[[3.0, 4.0]], [[0.0, 2.0]]])
    # The mean squares are (9 + 16) / 2 = 12.5 and (0 + 4) / 2 = 2.
    expected = [[[3 / math.sqrt(12.5), 4 / math.sqrt(12.5)]], [[0, math.sqrt(2)]]]
    torch.testing.assert_close(divided_by_rms(values), torch.tensor(expected))
    assert divided_by_rms(torch.zeros(1, 2)).tolist() == [[0, 0]]


def test_a_layer_is_scaled_and_shifted_by_w():
    layer = Style(1, 2)
    with torch.no_grad():
        layer.scale_and_shift.weight.copy_(torch.tensor([[1.0], [0.0], [0.0], [-10.0]]))
    hidden = torch.tensor([1.0, 7.0]).view(1, 2, 1, 1)  # of the mean square 25
    # Channel 0: 1/5 * (1 + 2) + 0. Channel 1: 7/5 * (1 + 0) - 20, which the leaky ReLU multiplies by 0.2.
    expected = [0.6, 0.2 * (1.4 - 20)]
    assert layer(hidden, torch.tensor([[2.0]])).flatten().tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sides", [(8, 8), (16, 16), (64, 64), (48, 80)], ids=str)
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (3, 4)])
def test_shapes(sides, channels, classes):
    generator = StyledGenerator(5, channels, sides, 2, classes)
    condition = torch.arange(6) % classes if classes else None
    samples = generator(torch.randn(6, 5), condition)
    assert samples.shape == (6, channels, *sides)
    assert samples.abs().max() <= 1


def test_samples_do_not_depend_on_their_batch_or_on_the_mode():
    generator = StyledGenerator(8, 1, (16, 16), 4, 3).double()
    latents, condition = torch.randn(7, 8, dtype=torch.float64), torch.arange(7) % 3
    together = generator(latents, condition)
    alone = [generator.eval()(latents[row : row + 1], condition[row : row + 1]) for row in range(7)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not list(generator.buffers()), "there are no statistics"


def test_only_the_direction_of_the_latent_counts():
    generator, latent = StyledGenerator(8, 1, (16, 16), 4, 0).double(), torch.randn(2, 8, dtype=torch.float64)
    torch.testing.assert_close(generator(latent, None), generator(3 * latent, None))


@pytest.mark.parametrize("side", [8, 32, 256])
def test_the_signal_starts_at_full_scale(side):
    generator = StyledGenerator(16, 3, (side, side), 4, 0).double()
    with torch.no_grad():
        before_tanh = generator(torch.randn(16, 16, dtype=torch.float64), None).atanh()
    assert 0.3 < before_tanh.std().item() < 3


def test_truncation_moves_w_to_the_mean_of_its_class():
    generator = StyledGenerator(8, 1, (16, 16), 4, 2).double()
    latents, condition = torch.randn(6, 8, dtype=torch.float64), torch.tensor([0, 1] * 3)
    many = torch.randn(20_000, 8, dtype=torch.float64)
    means = torch.stack([generator.map(many, torch.full((20_000,), number)).mean(0) for number in (0, 1)])
    free = generator.map(latents, condition)
    with torch.no_grad():
        # A mean over 256 latents has a sixteenth of the deviation of one; six of these are allowed.
        moved = generator.truncated(free, condition, 0.25)
        expected = means[condition] + 0.25 * (free - means[condition])
        assert (moved - expected).abs().max() < 0.75 * 6 / 16 * free.std()
        one_hot = torch.nn.functional.one_hot(condition, 2)
        torch.testing.assert_close(generator(latents, condition), generator(latents, one_hot))
        generator.truncation = 1e-9
        samples = generator(latents, condition)
    torch.testing.assert_close(samples[:2].repeat(3, 1, 1, 1), samples)
    assert (samples[0] - samples[1]).abs().max() > 1e-3
