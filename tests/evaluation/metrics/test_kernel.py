"""Holds the kernel distance to numbers worked by hand, to torch-fidelity's, and to its expectation."""

import itertools

import numpy
import pytest
import torch

from multigan.evaluation.metrics.kernel import kernel_distance, squared_discrepancy


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def cloud(count, seed, shift=0.0):
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)) + shift


def test_two_points_each_on_a_line_by_hand():
    # (xy + 1)^3: 1 of 0 and 1, 343 of 2 and 3; across 1, 1, 27 and 64. 1 + 343 - 2 * 93 / 4.
    assert squared_discrepancy(column([0, 1]), column([2, 3])).item() == pytest.approx(297.5)


def test_two_points_each_in_the_plane_by_hand():
    # (x.y / 2 + 1)^3: 1 within both; across 1.5^3 three times and 0.5^3. 1 + 1 - 2 * 10.25 / 4.
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert squared_discrepancy(x, y).item() == pytest.approx(-3.125)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((0, 1), 0),
        # E k: (3 * 1 + 8) / 4 within {0, 1}, (3 * 1 + 125) / 4 within {0, 2}, (3 * 1 + 27) / 4 across.
        ((0, 2), 2.75 + 32 - 2 * 7.5),
    ],
)
def test_no_bias_over_all_samples_of_two_coins(second, expected):
    found = [
        squared_discrepancy(column(sample[:2]), column(sample[2:])).item()
        for sample in itertools.product((0, 1), (0, 1), second, second)
    ]
    assert sum(found) / len(found) == pytest.approx(expected, abs=1e-12)


def test_sets_of_one_value_have_no_deviation():
    # (0 + 1)^3 within zeros and across, (1 + 1)^3 within ones: 1 + 8 - 2.
    found = kernel_distance(torch.zeros(10, 3), torch.ones(12, 3))
    assert found.mean == pytest.approx(7) and found.std == 0


def test_equals_torch_fidelity_on_the_same_sets():
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    for seed in range(3):
        x, y = cloud(40, seed).double(), cloud(40, 9, 0.3).double()
        expected = kid.kernel_mmd(x.numpy(), y.numpy(), **options, kid_kernel_poly_coef0=1)
        assert squared_discrepancy(x, y).item() == pytest.approx(expected, rel=1e-10)


def test_close_to_torch_fidelity_over_its_own_subsets():
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    real, fake = cloud(300, 0), cloud(300, 1, 0.5)
    options = {"kid_subsets": 100, "kid_subset_size": 150, "kid_kernel": "poly", "kid_kernel_poly_degree": 3}
    options |= {"kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1, "rng_seed": 0, "verbose": False}
    expected = kid.kid_features_to_metric(real.double(), fake.double(), **options)
    found = kernel_distance(real, fake)
    room = 4 * expected["kernel_inception_distance_std"] / 10  # of a mean over 100 subsets
    assert found.mean == pytest.approx(expected["kernel_inception_distance_mean"], abs=room)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], rel=0.3)


def test_around_zero_for_one_distribution_and_clearly_above_for_a_shifted_one():
    same = [kernel_distance(cloud(200, seed), cloud(200, 100 + seed)).mean for seed in range(12)]
    assert min(same) < 0 < max(same)
    assert abs(numpy.mean(same)) < numpy.std(same)
    shifted = kernel_distance(cloud(200, 0), cloud(200, 100, 0.5))
    assert shifted.mean > 5 * max(same) and shifted.mean > 2 * shifted.std


def test_seed_decides_the_subsets_and_the_global_random_state_does_not():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = kernel_distance(cloud(50, 0), cloud(50, 1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert kernel_distance(cloud(50, 0), cloud(50, 1)) == found
    assert kernel_distance(cloud(50, 0), cloud(50, 1), seed=1) != found


@pytest.mark.parametrize(("real", "fake"), [(3, 10), (10, 3), (0, 10)])
def test_too_few_points_are_refused(real, fake):
    with pytest.raises(ValueError, match=f"{min(real, fake)} samples are too few"):
        kernel_distance(torch.zeros(real, 2), torch.zeros(fake, 2))


def test_four_points_are_enough():
    assert kernel_distance(torch.zeros(4, 2), torch.zeros(4, 2)).mean == 0
