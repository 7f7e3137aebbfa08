"""Padding to a multiple of the stride."""

import pytest
import torch

from multigan.networks.padding import pad_to_multiple


def test_the_last_row_and_column_are_repeated():
    picture = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[None, None]
    expected = [[1.0, 2.0, 3.0, 3.0], [4.0, 5.0, 6.0, 6.0], [4.0, 5.0, 6.0, 6.0], [4.0, 5.0, 6.0, 6.0]]
    torch.testing.assert_close(pad_to_multiple(picture, 4)[0, 0], torch.tensor(expected))


@pytest.mark.parametrize(
    ("sides", "multiple", "least", "expected"),
    [((8, 16), 8, 1, (8, 16)), ((9, 1), 8, 1, (16, 8)), ((9, 1), 8, 2, (16, 16)), ((3, 17), 8, 2, (16, 24))],
)
def test_sides(sides, multiple, least, expected):
    assert pad_to_multiple(torch.zeros(1, 2, *sides), multiple, least).shape == (1, 2, *expected)


def test_a_picture_that_fits_is_passed_on():
    picture = torch.zeros(1, 1, 16, 8)
    assert pad_to_multiple(picture, 8) is picture
