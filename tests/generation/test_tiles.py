"""Tiles: as if there were none, however an input is cut; and the memory of one row of them."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multigan.generation.tiles import spans, tiled
from multigan.modality import Tiling


@given(st.integers(1, 300), st.integers(2, 64), st.data())
def test_tiles_cover_an_axis_with_equal_sides_and_overlap_enough(length, side, data):
    overlap = data.draw(st.integers(0, side - 1))
    found = spans(length, Tiling(side, overlap))
    assert found[0][0] == 0 and found[-1][1] == length
    assert {stop - start for start, stop in found} == {min(side, length)}
    for (start, stop), (after, _) in pairwise(found):
        assert start < after <= stop - overlap
    for (start, _), (second, _) in pairwise(found[:-1]):
        assert second - start == side - overlap, "there are no more tiles than it takes"


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("sides", [(16, 16), (17, 40), (50, 33), (100, 9), (8, 200)])
def test_a_local_function_gives_the_same_with_tiles(sides, scale):
    condition = {"picture": torch.randn(2, 3, *sides), "map": torch.rand(2, *sides), "style": torch.randn(2, 3)}
    calls = []

    def generate(told):
        calls.append(told["picture"].shape[-2:])
        assert told["map"].shape[-2:] == told["picture"].shape[-2:] and told["style"].shape == (2, 3)
        values = (told["picture"] * told["map"][:, None]).sin() + told["style"][:, :, None, None]
        return values.repeat_interleave(scale, -1).repeat_interleave(scale, -2)

    whole = generate(condition)
    calls.clear()
    assert torch.equal(tiled(generate, condition, Tiling(16, 6, scale)), whole)
    assert all(max(shape) <= 16 for shape in calls) and (len(calls) > 1) == (max(sides) > 16)


def test_seams_fade_linearly():
    made = iter((0.0, 1.0, 2.0))  # three tiles of one row, each of one colour
    found = tiled(lambda told: torch.full_like(told, next(made)), torch.zeros(1, 1, 8, 20), Tiling(8, 2))[0, 0]
    fade = [0.25, 0.75]
    assert found[0].tolist() == [0] * 6 + fade + [1] * 4 + [1 + share for share in fade] + [2] * 6
    assert torch.equal(found, found[:1].expand(8, -1))
    made = iter((0.0, 1.0))
    found = tiled(lambda told: torch.full_like(told, next(made)), torch.zeros(1, 1, 14, 8), Tiling(8, 2))[0, 0]
    assert found[:, 0].tolist() == [0] * 6 + fade + [1] * 6


def test_a_convolution_differs_little_and_where_tiles_meet_alone():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(1, 1, 3, padding=1).requires_grad_(False)
    picture = torch.rand(1, 1, 40, 40)
    whole, parts = layer(picture), tiled(layer, picture, Tiling(24, 8))
    assert torch.equal(parts[..., :16, :16], whole[..., :16, :16]) and (parts - whole).abs().max() < 0.1


@pytest.mark.parametrize("condition", [None, torch.zeros(1, 500), torch.zeros(1, 1, 12, 16)])
def test_what_is_not_laid_out_or_small_is_made_at_once(condition):
    assert tiled(lambda told: told, condition, Tiling(16, 2)) is condition


def test_no_tiling_is_at_once():
    picture = torch.zeros(1, 1, 500, 500)
    assert tiled(lambda told: told, picture, None) is picture
