"""Holds the Frechet distance and the inception score to numbers worked by hand."""

import math

import numpy
import pytest
import scipy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.evaluation.classifier import inception_score
from multigan.evaluation.metrics import frechet
from multigan.evaluation.metrics.frechet import frechet_distance, moments


def points(mean, deviations):
    """As many points either side of a mean, on each axis, as have exactly these deviations and no covariance."""
    count = 2 * len(deviations)
    # 2 of the points are s away along an axis: their variance along it is 2 s^2 / (count - 1).
    ends = torch.diag(torch.tensor(deviations, dtype=torch.float64)) * math.sqrt((count - 1) / 2)
    return torch.cat([ends, -ends]) + torch.tensor(mean, dtype=torch.float64)


# --- the distance ---


@settings(deadline=None, max_examples=30)
@given(
    means=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    deviations=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)),
)
def test_of_two_gaussians_on_a_line(means, deviations):
    # (m1 - m2)^2 + s1^2 + s2^2 - 2 s1 s2
    expected = (means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2
    found = frechet_distance(points([means[0]], [deviations[0]]), points([means[1]], [deviations[1]]))
    assert found == pytest.approx(expected, abs=1e-8)


def test_known_numbers_on_a_line():
    # 0 and 2: mean 1, variance 2. 3, 5 and 7: mean 5, variance 4. 16 + 2 + 4 - 2 sqrt(8).
    found = frechet_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0], [7.0]]))
    assert found == pytest.approx(22 - 2 * math.sqrt(8))


def test_axes_add_up():
    real, fake = points([0, 1, 2], [1, 2, 3]), points([1, 1, 0], [2, 2, 0.5])
    # Means 1 + 0 + 4; deviations 1 + 0 + 6.25.
    assert frechet_distance(real, fake) == pytest.approx(12.25)
    assert frechet_distance(fake, real) == pytest.approx(12.25)


def test_covariance_between_axes_counts():
    # A quarter turn's half of diag(1, 9) is [[5, 4], [4, 5]]. Against diag(1, 9) itself the product has the trace
    # 5 + 45 = 50 and the determinant 81; the sum of the roots of its eigenvalues is sqrt(50 + 2 * 9).
    straight = points([0, 0], [1, 3])
    turned = straight @ torch.tensor([[1, 1], [-1, 1]], dtype=torch.float64) / math.sqrt(2)
    assert frechet_distance(straight, turned) == pytest.approx(20 - 2 * math.sqrt(68))


def test_turning_both_changes_nothing():
    real, fake = points([0, 1], [1, 3]), points([2, 0], [2, 1])
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
    assert frechet_distance(real @ turn, fake @ turn) == pytest.approx(frechet_distance(real, fake))


@pytest.mark.parametrize(("count", "features"), [(50, 3), (5, 20)])
def test_same_set_is_at_no_distance(count, features):
    # With fewer points than features too, where the covariance is of less than full rank.
    cloud = torch.randn(count, features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(cloud, cloud[torch.randperm(count)]) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(cloud, cloud + 1) == pytest.approx(features, abs=1e-5)


def test_features_that_never_change_do_no_harm():
    assert frechet_distance(torch.zeros(5, 3), torch.ones(4, 3)) == 3


@pytest.mark.parametrize(("real", "fake"), [(1, 5), (5, 1), (0, 5)])
def test_too_few_points_are_refused(real, fake):
    with pytest.raises(ValueError, match="too few"):
        frechet_distance(torch.zeros(real, 3), torch.zeros(fake, 3))


def clouds(count=300, dimensions=12):
    """Two clouds of features with covariances that do not commute, of different sizes."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.randn(2, dimensions, dimensions, generator=generator)
    real, fake = (torch.randn(n, dimensions, generator=generator) for n in (count, count + 50))
    return real @ shapes[0] + 3, fake @ shapes[1]


def test_equals_torch_fidelity():
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    statistics = [fid.fid_features_to_statistics(points.double()) for points in clouds()]
    expected = fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert expected > 10
    assert frechet_distance(*clouds()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [300, 8])
def test_equals_the_root_of_the_product(count):
    # With 8 points of 12 features too, where the covariances have no inverse.
    real, fake = (points.double().numpy() for points in clouds(count))
    covariances = [numpy.cov(points, rowvar=False) for points in (real, fake)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    means = numpy.square(real.mean(0) - fake.mean(0)).sum()
    expected = means + numpy.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(*clouds(count)) == pytest.approx(expected, rel=1e-5)


def test_moments_by_hand():
    # Around the mean (2, 3): (-2, 1), (0, -2), (2, 1). Squares 8 and 6 and products 0, over 2.
    mean, covariance = moments(torch.tensor([[0.0, 4.0], [2.0, 1.0], [4.0, 4.0]]))
    assert mean.tolist() == [2, 3] and covariance.tolist() == [[4, 0], [0, 3]]
    assert mean.dtype == covariance.dtype == torch.float64


@pytest.mark.parametrize("size", [1, 7, 299, 300, 301])
def test_size_of_the_blocks_does_not_matter(size, monkeypatch):
    whole = frechet_distance(*clouds())
    monkeypatch.setattr(frechet, "BLOCK", size)
    assert frechet_distance(*clouds()) == pytest.approx(whole, rel=1e-10)


def test_features_far_from_zero_are_measured_as_finely():
    # Multiples of 1/64, which a float32 still holds exactly beside 4096.
    real, fake = ((points * 64).round() / 64 for points in clouds())
    assert frechet_distance(real + 4096, fake + 4096) == pytest.approx(frechet_distance(real, fake), rel=1e-6)


# --- the score ---


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_sure_of_every_class_in_turn_is_the_number_of_classes(classes):
    assert inception_score(1000 * torch.eye(classes).repeat(3, 1)) == pytest.approx(classes)


@pytest.mark.parametrize("classes", [2, 10])
def test_sure_of_nothing_is_1(classes):
    assert inception_score(torch.full((7, classes), 3.0)) == pytest.approx(1)


def test_all_of_one_class_is_1():
    assert inception_score(1000 * torch.eye(10)[[4] * 7]) == pytest.approx(1)


def test_two_samples_half_sure():
    # Three to one for either: (3/4 ln(3/4 / 1/2) + 1/4 ln(1/4 / 1/2)) = 3/4 ln 3 - ln 2.
    logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    assert inception_score(logits) == pytest.approx(3**0.75 / 2)


def test_uneven_classes_count_by_their_shares():
    # Three of one class and one of another: the entropy of 3/4 and 1/4.
    entropy = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    assert inception_score(1000 * torch.eye(5)[[0, 0, 0, 3]]) == pytest.approx(math.exp(entropy))
