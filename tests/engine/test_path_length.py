"""The path length penalty by hand, in a step, in parts, and across a checkpoint."""

import pytest
import torch
from torch import nn

from multigan.engine.path_length import DECAY, PathLength, path_lengths
from multigan.engine.stabilizers import StabilizerState


class Linear(nn.Module):
    """``g(w) = sum over layers of A w``, whose Jacobian is known; a style is the latent, twice."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def layer_styles(self, latent, condition):
        return latent[:, None].expand(-1, 2, -1)

    def synthesize(self, styles, latent):
        return (styles.sum(1) @ self.matrix.T).view(len(styles), 1, 2, 2)


MATRIX = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
DIRECTIONS = torch.tensor([[3.0, 2.0, 9.0, 9.0], [0.0, 0.0, 9.0, 9.0]]).view(2, 1, 2, 2)


def test_lengths_by_hand():
    generator = Linear(MATRIX)
    styles = generator.layer_styles(torch.ones(2, 2, requires_grad=True), None)
    # A^T y = (3, 4) and (0, 0), over the root of four pixels: 5 / 2 in each of the two layers, and their root mean
    # square is that again.
    found = path_lengths(lambda w: generator.synthesize(w, None), styles, DIRECTIONS)
    assert found.tolist() == pytest.approx([2.5, 1e-6])
    found.sum().backward()
    assert generator.matrix.grad.isfinite().all()


def test_the_penalty_and_its_gradient_by_hand():
    generator = Linear(MATRIX.clone())
    regulariser = PathLength(weight=2.0, every=4, mean=torch.tensor(0.5))
    latent = torch.ones(1, 2, requires_grad=True)
    penalty, length = regulariser.penalty(generator, latent, None, DIRECTIONS[:1])
    assert length.item() == pytest.approx(2.5)
    assert penalty.item() == pytest.approx(4 * 2 * (2.5 - 0.5) ** 2)
    penalty.backward()
    # d/dA of |A^T y| / 2 is y (A^T y)^T / |A^T y| / 2, times 4 * 2 * 2 * (2.5 - 0.5).
    y, direction = DIRECTIONS[0].flatten(), torch.tensor([3.0, 4.0]) / 5
    torch.testing.assert_close(generator.matrix.grad, 32 * torch.outer(y, direction) / 2)


def test_the_mean_starts_at_zero_and_moves_by_a_hundredth():
    regulariser = PathLength.new(2.0, 4, torch.device("cpu"))
    regulariser.remember(torch.tensor(3.0))
    assert regulariser.mean.item() == pytest.approx(0.03)
    regulariser.remember(torch.tensor(1.0))
    assert regulariser.mean.item() == pytest.approx(0.03 * DECAY + 0.01)
    for lost in (float("nan"), float("inf")):
        regulariser.remember(torch.tensor(lost))
    assert regulariser.mean.item() == pytest.approx(0.03 * DECAY + 0.01)


def test_a_checkpoint_has_the_mean():
    state = StabilizerState(path_length=PathLength(2.0, 4, torch.tensor(1.5)))
    saved = {name: value.clone() for name, value in state.tensors().items()}
    other = StabilizerState(path_length=PathLength.new(2.0, 4, torch.device("cpu")))
    other.restore(saved)
    assert other.path_length.mean.item() == 1.5
    other.restore({})
    assert other.path_length.mean.item() == 0
