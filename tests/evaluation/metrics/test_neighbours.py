"""Precision, recall, density and coverage: by hand, against brute force, and on the failures they are for."""

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.evaluation.metrics import neighbours as module
from multigan.evaluation.metrics.neighbours import nearest, neighbours, radii


def column(values):
    """Points on a line, (N, 1)."""
    return torch.tensor(values, dtype=torch.float32)[:, None]


def shares(found):
    return found.precision, found.recall, found.coverage


REAL = column([0, 1, 3, 7])  # to the nearest other: 1, 1, 2, 4


def test_radii_by_hand():
    assert radii(REAL, 1).tolist() == [1, 1, 2, 4]
    assert radii(REAL, 2).tolist() == [3, 2, 3, 6]


def test_points_on_a_line_by_hand():
    fake = column([0.25, 1.25, 20, 21])  # radii 1, 1, 1, 1
    found = neighbours(REAL, fake, k=1)
    # 0.25 and 1.25 lie within 1 of the real 0 and 1; 20 and 21 are 13 and 14 from 7, which reaches 4.
    assert found.precision == 2 / 4
    # 0 and 1 lie within 1 of 0.25 or 1.25; 3 is 1.75 from 1.25, and 7 is further.
    assert found.recall == 2 / 4
    # The nearest fakes are 0.25, 0.25, 1.75 and 5.75 away, and the real radii 1, 1, 2 and 4.
    assert found.coverage == 3 / 4


@pytest.mark.parametrize(("k", "held"), [(1, 2 + 2), (2, 3 + 4)])
def test_density_by_hand(k, held):
    # With k = 1, 0.25 is in the balls of 0 and 1, 1.25 in those of 1 and 3, and 20 and 21 are in none; with k = 2
    # the radii are 3, 2, 3 and 6, and 0.25 is in all but that of 7, 1.25 in all.
    assert neighbours(REAL, column([0.25, 1.25, 20, 21]), k).density == held / (k * 4)


def test_density_is_over_1_where_the_data_is_densest_and_coverage_is_not():
    # All of the generated points are in the balls of 0 and 1, k of them each.
    found = neighbours(REAL, column([0.5, 0.5, 0.5]), k=1)
    assert (found.precision, found.density, found.coverage) == (1, 2, 2 / 4)


def test_nearest_by_hand():
    distances, places = nearest(column([2.5, -4, 8, 3]), REAL)
    assert distances.tolist() == [0.5, 4, 1, 0] and places.tolist() == [2, 0, 3, 2]


@pytest.mark.parametrize("size", [1, 41, 100, 10**6])
def test_size_of_the_blocks_does_not_matter(size, monkeypatch):
    real, fake = cloud(40, 0), 0.8 * cloud(50, 1)
    whole, (distances, places) = neighbours(real, fake), nearest(fake, real)
    assert 0 < min(whole) < 1
    monkeypatch.setattr(module, "BLOCK", size)
    assert neighbours(real, fake) == whole
    again, same_places = nearest(fake, real)
    torch.testing.assert_close(again, distances)
    assert torch.equal(same_places, places)
    # Of doubles with k = 1 the radii are 0: a distance that is only nearly so would lose the copies.
    doubles = (10 * real).repeat(2, 1)
    assert shares(neighbours(doubles, doubles[:50], k=1)) == (1, 1, 1)


def test_one_outlier_buys_recall_but_not_coverage():
    fake = column([0.25, 1.25, 20])  # radii 1, 1, 18.75: the outlier's ball reaches from 1.25 on
    found = neighbours(REAL, fake, k=1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == 1
    assert found.coverage == 3 / 4


def test_the_edge_of_a_ball_belongs_to_it():
    # 9 and 11 lie at 2 and 4 from 7, whose radius is 4.
    assert neighbours(REAL, column([9, 11]), k=1).precision == 1
    assert neighbours(REAL, column([9, 11.5]), k=1).precision == 1 / 2


def cloud(count, seed, dimensions=8):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def test_identical_and_disjoint_sets():
    points = cloud(60, 0)
    assert shares(neighbours(points, points)) == (1, 1, 1)
    assert shares(neighbours(points, points.flip(0))) == (1, 1, 1)
    assert neighbours(points, points + 100) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_points_that_occur_twice_are_inside(seed):
    # With k = 1 every radius is 0, so a distance that should be 0 and is only nearly so would lose the point.
    real = cloud(30, seed, 33).repeat(2, 1) * 10
    fake = real[torch.randperm(60, generator=torch.Generator().manual_seed(seed))]
    assert shares(neighbours(real, fake, k=1)) == (1, 1, 1)


def test_features_far_from_zero_are_measured_as_finely():
    # Multiples of 1/64, which a float32 still holds exactly beside 1024.
    real, fake = ((cloud(60, seed) * 64).round() / 64 for seed in (0, 1))
    near = neighbours(real, fake, k=2)
    assert 0 < min(near) < 1
    assert neighbours(real + 1024, fake + 1024, k=2) == near


def test_one_sample_a_mode_is_precise_and_lacks_variety():
    modes = torch.arange(4.0).repeat_interleave(50)[:, None] * 100
    real = modes + cloud(200, 0)
    # The first real sample of every mode, again and again, with a trace of noise.
    collapsed = real[torch.arange(4).repeat_interleave(50) * 50] + 1e-3 * cloud(200, 1)
    found = neighbours(real, collapsed)
    assert found.precision == 1
    assert found.recall < 0.05
    assert found.coverage < 0.3
    varied = neighbours(real, modes + cloud(200, 2))
    assert min(varied) > 0.6


@pytest.mark.parametrize(("real", "fake"), [(5, 20), (20, 5), (0, 20)])
def test_too_few_samples_are_refused(real, fake):
    with pytest.raises(ValueError, match=f"{min(real, fake)} samples are too few for 5 neighbours"):
        neighbours(cloud(real, 0), cloud(fake, 1), k=5)


def test_one_more_than_k_is_enough():
    assert shares(neighbours(cloud(6, 0), cloud(6, 0), k=5)) == (1, 1, 1)


def brute_force(real, fake, k):
    """The definitions, in squared distances of whole numbers, so that ties are exact."""

    def squared(a, b):
        return int(((a - b) ** 2).sum())

    def reach(points):
        return [
            sorted(squared(point, other) for j, other in enumerate(points) if j != i)[k - 1]
            for i, point in enumerate(points)
        ]

    real_reach, fake_reach = reach(real), reach(fake)
    inside = [any(squared(f, r) <= reach for r, reach in zip(real, real_reach, strict=True)) for f in fake]
    found = [any(squared(f, r) <= reach for f, reach in zip(fake, fake_reach, strict=True)) for r in real]
    covered = [min(squared(f, r) for f in fake) <= reach for r, reach in zip(real, real_reach, strict=True)]
    held = [sum(squared(f, r) <= reach for r, reach in zip(real, real_reach, strict=True)) / k for f in fake]
    return tuple(float(numpy.mean(share)) for share in (inside, found, held, covered))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    real=st.integers(6, 40),  # from 26 on distances are computed in another way
    fake=st.integers(6, 40),
    dimensions=st.integers(1, 3),
    spread=st.integers(1, 30),
    k=st.integers(1, 5),
)
def test_equals_brute_force(seed, real, fake, dimensions, spread, k):
    random = numpy.random.default_rng(seed)
    a, b = random.integers(0, spread, (real, dimensions)), random.integers(0, spread, (fake, dimensions)) + spread // 4
    found = neighbours(torch.from_numpy(a), torch.from_numpy(b), k)
    assert tuple(found) == pytest.approx(brute_force(a, b, k), abs=1e-12)
    distances, places = nearest(torch.from_numpy(b), torch.from_numpy(a))
    every = numpy.linalg.norm(b[:, None] - a[None], axis=2)
    assert distances.numpy() == pytest.approx(every.min(1), abs=1e-6)
    assert every[numpy.arange(fake), places.numpy()] == pytest.approx(every.min(1), abs=1e-6)


def test_an_offset_of_a_million_changes_nothing():
    # As of coordinates or prices, where samples are compared as they are.
    real, fake = cloud(200, 0), cloud(200, 1) + 8
    assert neighbours(real.double() + 1e6, fake.double() + 1e6) == neighbours(real, fake)
    before = real.double() + 1e6
    kept = before.clone()
    nearest(fake, before)
    assert torch.equal(before, kept)


def test_ties_of_copies_are_ties():
    # Of copies in another order each ball holds its own five neighbours and the point itself: 6 / 5.
    points = cloud(200, 3)
    assert neighbours(points, points.flip(0)).density == pytest.approx(6 / 5)
