"""Each alarm goes off on what it is for, after its patience and once, and not on what only looks like it."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.engine.health import PATIENCE, STREAK, DivergedError, Health, diversity, pairwise_distances


def points(*rows):
    return torch.tensor(rows, dtype=torch.float32)


REAL = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
FAKE = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def dropped(**counts):
    """Metrics of a step with so many dropped updates."""
    return {f"{player}_dropped": torch.tensor(float(count)) for player, count in counts.items()}


# --- diversity ---


def test_spread_of_points_worked_by_hand():
    # A triangle of sides 3, 4 and 5: all pairs (3 + 4 + 5) / 3; nearest neighbours 3, 3 and 4.
    mean, nearest = pairwise_distances(points([0, 0], [3, 0], [0, 4]))
    assert mean == pytest.approx(4) and nearest == pytest.approx((3 + 3 + 4) / 3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.01, 10), st.integers(3, 40))
def test_diversity_is_the_scale_of_samples_of_the_same_shape(seed, scale, count):
    real = torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(seed))
    assert diversity(pairwise_distances(scale * real + 5), pairwise_distances(real)) == pytest.approx(scale, rel=1e-4)


def test_diversity_of_as_good_samples_is_about_one():
    assert diversity(pairwise_distances(FAKE), pairwise_distances(REAL)) == pytest.approx(1, abs=0.2)


def test_one_sample_again_and_again_has_none():
    assert diversity(pairwise_distances(FAKE[:1].expand(32, 1, 4, 4)), pairwise_distances(REAL)) < 0.01


def test_ten_samples_again_and_again_have_none():
    # The distances over all pairs are as in the data: accuracy, or a look at one sample a class, proves nothing.
    few = FAKE[torch.arange(32) % 10]
    assert pairwise_distances(few)[0] > 0.8 * pairwise_distances(REAL)[0]
    assert diversity(pairwise_distances(few), pairwise_distances(REAL)) < 0.01


def test_one_of_eight_modes_is_a_small_part_of_the_diversity():
    angles = torch.arange(64) % 8 * math.pi / 4
    noise = 0.02 * torch.randn(2, 64, 2, generator=torch.Generator().manual_seed(0))
    ring = torch.stack([angles.cos(), angles.sin()], 1) + noise[0]
    assert diversity(pairwise_distances(points([1.0, 0.0]) + noise[1]), pairwise_distances(ring)) < 0.1


def test_data_that_repeat_themselves_are_no_standard_for_neighbours():
    real = REAL[torch.arange(32) % 4]
    assert diversity(pairwise_distances(FAKE), pairwise_distances(real)) == pytest.approx(
        pairwise_distances(FAKE)[0] / pairwise_distances(real)[0]
    )


# --- dropped steps ---


def test_dropped_updates_are_counted_and_leave_the_metrics():
    health = Health(pairwise_distances(REAL), 1.0)
    metrics = health.count({"loss": torch.tensor(2.0), **dropped(generator=0, discriminator=3)})
    assert metrics == {"loss": torch.tensor(2.0)}
    health.count(dropped(generator=1, discriminator=1))
    line, warnings = health.check_metrics({}, FAKE)
    assert line["generator_steps_dropped"] == 1 and line["discriminator_steps_dropped"] == 4
    assert line["health"] == ["dropped steps"] and len(warnings) == 1 and "not finite" in warnings[0]
    line, warnings = health.check_metrics({}, FAKE)
    assert "health" not in line and not warnings, "nothing more was dropped since"


def test_drops_that_find_the_loss_scale_are_counted_without_an_alarm():
    health = Health(pairwise_distances(REAL), 1.0, drops_expected=True)
    health.count(dropped(generator=1))
    line, warnings = health.check_metrics({}, FAKE)
    assert line["generator_steps_dropped"] == 1 and "health" not in line and not warnings


@settings(deadline=None, max_examples=50)
@given(st.lists(st.booleans(), max_size=3 * STREAK))
def test_only_drops_in_a_row_up_to_now_end_the_run(steps):
    health = Health(pairwise_distances(REAL), 1.0)
    for drop in steps:
        health.count(dropped(generator=drop, discriminator=0))
    in_a_row = len(steps) - max((i + 1 for i, drop in enumerate(steps) if not drop), default=0)
    if in_a_row >= STREAK:
        with pytest.raises(DivergedError, match=str(in_a_row)):
            health.check()
    else:
        health.check()


# --- the alarms ---


def alarms(health, line, fake, times):
    """The names in the lines and the number of warnings, line by line."""
    return [
        (found.get("health", []), len(warnings))
        for found, warnings in (health.check_metrics(dict(line), fake) for _ in range(times))
    ]


GOOD = {"discriminator_loss": 1.2, "d_real": 0.4, "d_fake": -0.4, "generator_gradient_norm": 1.0}


@pytest.mark.parametrize(
    ("name", "line", "fake"),
    [
        ("collapse", GOOD, FAKE[:1].expand(32, 1, 4, 4)),
        ("discriminator has won", GOOD | {"discriminator_loss": 0.001}, FAKE),
        ("divergence", GOOD | {"generator_gradient_norm": 1e4}, FAKE),
        ("divergence", GOOD | {"d_real": 900.0, "d_fake": -900.0, "discriminator_loss": -1800.0}, FAKE),
    ],
    ids=["collapse", "won", "gradients", "logits"],
)
def test_an_alarm_goes_off_once_after_its_patience_and_again_after_better_times(name, line, fake):
    health = Health(pairwise_distances(REAL), 1.386)
    health.count(dropped(generator=0, discriminator=0))
    assert alarms(health, GOOD, FAKE, 6) == [([], 0)] * 6
    patience = PATIENCE[name]
    expected = [([], 0)] * (patience - 1) + [([name], 1)] + [([name], 0)] * 2
    assert alarms(health, line, fake, patience + 2) == expected
    assert alarms(health, GOOD, FAKE, 1) == [([], 0)]
    assert alarms(health, line, fake, patience) == expected[:patience]


def test_a_wasserstein_loss_near_zero_is_no_victory():
    # Its logits mean nothing in themselves: the loss at chance is 0.
    health = Health(pairwise_distances(REAL), 0.0)
    assert alarms(health, GOOD | {"discriminator_loss": 0.0}, FAKE, 5) == [([], 0)] * 5


def test_lines_without_a_value_are_no_alarm():
    # A warm-up has no discriminator; in a line of nothing but dropped steps no loss is finite.
    health = Health(pairwise_distances(REAL), 1.0)
    health.count(dropped(generator=0))
    empty = {"discriminator_loss": None, "d_real": None, "d_fake": None, "generator_gradient_norm": None}
    assert alarms(health, empty, FAKE, 5) == [([], 0)] * 5
    assert alarms(health, {"pretraining_loss": 3.0}, FAKE, 5) == [([], 0)] * 5


def test_put_back_in_the_middle_it_says_what_it_would_have_said():
    whole, stopped = Health(pairwise_distances(REAL), 1.386), Health(pairwise_distances(REAL), 1.386)
    lines = [GOOD | {"generator_gradient_norm": norm} for norm in (1.0, 2.0, 1 / 3, 1.5, 0.5, 2e3, 2e3, 2e3, 2e3)]
    for number in range(7):
        for health in (whole, stopped):
            health.count(dropped(generator=number == 3, discriminator=number % 2))
            health.check_metrics(lines[number], FAKE)
    resumed = Health(pairwise_distances(REAL), 1.386)
    resumed.restore(json.loads(json.dumps(stopped.state())))
    for line in lines[7:]:
        for health in (whole, resumed):
            health.count(dropped(generator=1, discriminator=0))
        assert resumed.check_metrics(line, FAKE) == whole.check_metrics(line, FAKE)
    assert resumed.state() == whole.state() and whole.state()["suspected"]["divergence"] == 4
