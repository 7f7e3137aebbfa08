"""Holds the augmentation: by how much pixels move, that each sample decides for itself, and that gradients pass."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.modalities.image.augmentation import affine

MIDDLE, LEAST, MOST = 0.5, 0.0, 1.0  # of a uniform number: nothing, and the largest amounts either way
ANGLE, SIZE, RIGHT, DOWN = range(4)


def numbers(**at):
    """Numbers that decide nothing, but for the columns given."""
    row = torch.full((1, 4), MIDDLE)
    for name, value in at.items():
        row[0, {"angle": ANGLE, "size": SIZE, "right": RIGHT, "down": DOWN}[name]] = value
    return row


def picture(side=8, channels=2):
    return torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))


def moved(samples, pixels, dimension):
    """Samples with their content moved by so many pixels, the edge repeated behind it."""
    side = samples.shape[dimension]
    return samples.index_select(dimension, (torch.arange(side) - pixels).clamp(0, side - 1))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), side=st.integers(2, 20), count=st.integers(1, 4))
def test_zero_amounts_change_nothing(seed, side, count):
    generator = torch.Generator().manual_seed(seed)
    samples, decisions = (
        torch.rand(count, 3, side, side, generator=generator),
        torch.rand(count, 4, generator=generator),
    )
    torch.testing.assert_close(affine(samples, decisions, 0, 0, 0), samples, atol=1e-5, rtol=0)


def test_middle_numbers_change_nothing():
    torch.testing.assert_close(affine(picture(), numbers(), 90, 0.5, 0.5), picture(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "dimension"), [("right", 3), ("down", 2)])
def test_shift_moves_whole_pixels_exactly(name, dimension):
    # A quarter of a side of 8 is 2 pixels; the number 0.75 is half of the way from the middle to the end, 1 pixel.
    samples = picture()
    far = {end: affine(samples, numbers(**{name: end}), 0, 0, 0.25) for end in (LEAST, 0.75, MOST)}
    # Which way is positive does not matter, as long as the ends go opposite ways.
    way = 1 if torch.allclose(far[MOST], moved(samples, 2, dimension), atol=1e-5) else -1
    torch.testing.assert_close(far[MOST], moved(samples, 2 * way, dimension), atol=1e-5, rtol=0)
    torch.testing.assert_close(far[LEAST], moved(samples, -2 * way, dimension), atol=1e-5, rtol=0)
    torch.testing.assert_close(far[0.75], moved(samples, way, dimension), atol=1e-5, rtol=0)


def test_rotation_by_a_right_angle_is_rot90():
    samples = picture()
    one, other = (affine(samples, numbers(angle=end), 90, 0, 0) for end in (LEAST, MOST))
    turns = [torch.rot90(samples, k, (2, 3)) for k in (1, -1)]
    way = 0 if torch.allclose(one, turns[0], atol=1e-5) else 1
    torch.testing.assert_close(one, turns[way], atol=1e-5, rtol=0)
    torch.testing.assert_close(other, turns[1 - way], atol=1e-5, rtol=0)


def test_scaling_doubles_and_halves():
    # A block of 4 x 4 in the middle of 8 x 8. Scaling 1 is from half to twice.
    block = torch.zeros(1, 1, 8, 8)
    block[..., 2:6, 2:6] = 1
    twice, half = (affine(block, numbers(size=end), 0, 1.0, 0)[0, 0] for end in (MOST, LEAST))
    torch.testing.assert_close(twice[1:7, 1:7], torch.ones(6, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(half[3:5, 3:5], torch.ones(2, 2), atol=1e-5, rtol=0)
    half[3:5, 3:5] = 0
    torch.testing.assert_close(half, torch.zeros(8, 8), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(5)))
def test_each_sample_is_decided_by_its_own_row(seed, order):
    generator = torch.Generator().manual_seed(seed)
    samples, decisions = torch.rand(5, 1, 8, 8, generator=generator), torch.rand(5, 4, generator=generator)
    together = affine(samples, decisions, 30, 0.2, 0.2)
    torch.testing.assert_close(affine(samples[order], decisions[order], 30, 0.2, 0.2), together[order])
    assert not torch.allclose(affine(samples, decisions[order], 30, 0.2, 0.2), together) or list(order) == [
        0,
        1,
        2,
        3,
        4,
    ]


def test_real_and_generated_of_one_row_are_moved_alike():
    samples, decisions = picture(), torch.tensor([[0.2, 0.9, 0.7, 0.1]])
    both = affine(torch.cat([samples, samples]), decisions.repeat(2, 1), 30, 0.2, 0.2)
    torch.testing.assert_close(both[0], both[1])


def test_gradient_is_that_of_what_was_computed():
    samples = picture(side=4, channels=1).double().requires_grad_()
    decisions = torch.tensor([[0.2, 0.9, 0.7, 0.1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda samples: affine(samples, decisions, 30, 0.2, 0.2), (samples,))
