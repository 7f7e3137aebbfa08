"""The order of the data: every pass a permutation, every part findable by itself, decided by the seed alone."""

import itertools

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.data.sampler import Sampler

sizes = st.integers(1, 60)
seeds = st.integers(0, 2**63 - 1)


@settings(deadline=None)
@given(size=sizes, seed=seeds, number=st.integers(0, 10**6))
def test_every_pass_is_a_permutation(size, seed, number):
    rows = Sampler(size, seed).rows(number * size, (number + 1) * size)[0]
    assert rows.dtype == numpy.int64
    assert sorted(rows.tolist()) == list(range(size))


@settings(deadline=None)
@given(size=sizes, seed=seeds, start=st.integers(0, 500), length=st.integers(0, 150), data=st.data())
def test_parts_are_the_whole_on_any_instance(size, seed, start, length, data):
    cuts = data.draw(st.lists(st.integers(start, start + length), max_size=4))
    whole = Sampler(size, seed).rows(start, start + length)[0]
    assert whole.shape == (length,)
    edges = [start, *sorted(cuts), start + length]
    # Asked for last part first, so that an order kept from one call cannot be what the next one uses.
    parts = list(itertools.pairwise(edges))
    for samplers in ([Sampler(size, seed)] * len(parts), [Sampler(size, seed) for _ in parts]):
        found = [sampler.rows(*part)[0] for sampler, part in zip(samplers, reversed(parts), strict=True)]
        assert numpy.concatenate(found[::-1]).tolist() == whole.tolist()


def test_orders_differ_by_seed_and_by_pass():
    # Two of 50! orders are not equal by chance.
    orders = [Sampler(50, seed).rows(start, start + 50)[0].tolist() for seed in (0, 1, 2**62) for start in (0, 50, 100)]
    assert len({tuple(order) for order in orders}) == len(orders)


def test_the_global_random_state_is_left_alone():
    numpy.random.seed(0)
    before = numpy.random.get_state()[1].tolist()
    first = Sampler(20, 3).rows(0, 20)[0].tolist()
    assert numpy.random.get_state()[1].tolist() == before
    numpy.random.seed(1)
    assert Sampler(20, 3).rows(0, 20)[0].tolist() == first
