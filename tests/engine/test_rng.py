"""Random numbers are functions of (seed, purpose, step, position), and of nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.engine.rng import BatchRandom, derive_seed

CPU = torch.device("cpu")
KINDS = ["normal", "uniform"]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(data=st.data(), size=st.integers(1, 40), step=st.integers(0, 10**9), seed=st.integers(0, 2**63 - 1))
def test_rows_of_parts_are_rows_of_the_whole(kind, data, size, step, seed):
    cut = data.draw(st.integers(0, size))
    draw = getattr(BatchRandom(seed, size, CPU), kind)
    whole = draw("latent", step, slice(0, size), 3)
    assert whole.shape == (size, 3)
    # A second instance, as another process has: nothing is handed on from one call to the next.
    other = getattr(BatchRandom(seed, size, CPU), kind)
    parts = torch.cat([other("latent", step, slice(cut, size), 3), other("latent", step, slice(0, cut), 3)])
    assert torch.equal(parts.roll(cut, 0), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_differ_by_seed_purpose_step_and_row(kind):
    rows = slice(0, 8)
    drawn = [
        getattr(BatchRandom(seed, 8, CPU), kind)(purpose, step, rows, 4)
        for seed, purpose, step in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    ]
    every = torch.cat(drawn)
    assert len(every.unique()) == every.numel()


def test_numbers_are_distributed_as_they_say():
    random = BatchRandom(0, 4096, CPU)
    normal, uniform = random.normal("x", 0, slice(0, 4096), 4), random.uniform("x", 0, slice(0, 4096), 4)
    # 16384 numbers: a mean is known to about 1/128 of a deviation.
    assert normal.mean().item() == pytest.approx(0, abs=0.04)
    assert normal.std().item() == pytest.approx(1, abs=0.04)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.02)
    assert uniform.var().item() == pytest.approx(1 / 12, abs=0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_random_state_is_neither_read_nor_changed(kind):
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        drawn.append(getattr(BatchRandom(0, 8, CPU), kind)("x", 0, slice(0, 8), 4))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*drawn)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab", max_size=2)), min_size=2, max_size=8, unique=True))
def test_derived_seeds_fit_a_generator_and_differ(parts):
    seeds = [derive_seed(*part) for part in parts]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    # Where one part ends and the next begins counts.
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
