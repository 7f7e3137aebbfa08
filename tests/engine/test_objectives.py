"""The six pairs of losses: their values by hand, the way their gradients point, and where those vanish."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multigan.engine.objectives import OBJECTIVES, smoothed

REAL = [1.5, -0.5, 0.25]
FAKE = [-1.0, 2.0, 0.5]


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def cross_entropy(real, fake):
    return mean(-math.log(sigmoid(r)) for r in real) + mean(-math.log(1 - sigmoid(f)) for f in fake)


# What the papers write, a logit at a time: (discriminator's loss, generator's loss).
BY_HAND = {
    "non_saturating": (cross_entropy, lambda real, fake: mean(-math.log(sigmoid(f)) for f in fake)),
    "minimax": (cross_entropy, lambda real, fake: mean(math.log(1 - sigmoid(f)) for f in fake)),
    "least_squares": (
        lambda real, fake: 0.5 * mean((r - 1) ** 2 for r in real) + 0.5 * mean(f**2 for f in fake),
        lambda real, fake: 0.5 * mean((f - 1) ** 2 for f in fake),
    ),
    "hinge": (
        lambda real, fake: mean(max(0, 1 - r) for r in real) + mean(max(0, 1 + f) for f in fake),
        lambda real, fake: -mean(fake),
    ),
    "wasserstein": (lambda real, fake: mean(fake) - mean(real), lambda real, fake: -mean(fake)),
    "relativistic": (
        lambda real, fake: mean(-math.log(sigmoid(r - f)) for r, f in zip(real, fake, strict=True)),
        lambda real, fake: mean(-math.log(sigmoid(f - r)) for r, f in zip(real, fake, strict=True)),
    ),
}


def gradients(loss, real, fake):
    """The loss's gradients by each real and each fake logit, as lists."""
    logits = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in (real, fake)]
    found = torch.autograd.grad(loss(*logits), logits, allow_unused=True, materialize_grads=True)
    return [gradient.tolist() for gradient in found]


def test_every_objective_is_worked_by_hand_here():
    assert set(BY_HAND) == set(OBJECTIVES)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("side", [0, 1], ids=["discriminator", "generator"])
def test_loss_by_hand(name, side):
    real, fake = (torch.tensor(values, dtype=torch.float64) for values in (REAL, FAKE))
    loss = OBJECTIVES[name][side](real, fake)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(BY_HAND[name][side](REAL, FAKE), abs=1e-12)


@pytest.mark.parametrize("name", BY_HAND)
def test_players_pull_the_logits_apart_and_together(name):
    # Logits inside the margins, where no hinge is flat and no square has passed its target.
    real, fake = [0.3, 0.6, 0.9], [0.2, 0.5, 0.8]
    by_real, by_fake = gradients(OBJECTIVES[name].discriminator, real, fake)
    assert all(slope < 0 for slope in by_real), "the discriminator's loss falls as real logits rise"
    assert all(slope > 0 for slope in by_fake), "the discriminator's loss rises with fake logits"
    _, by_fake = gradients(OBJECTIVES[name].generator, real, fake)
    assert all(slope < 0 for slope in by_fake), "the generator's loss falls as fake logits rise"


@pytest.mark.parametrize("name", BY_HAND)
def test_only_the_objectives_that_say_so_read_the_real_logits(name):
    by_real, _ = gradients(OBJECTIVES[name].generator, REAL, FAKE)
    assert any(by_real) == OBJECTIVES[name].generator_sees_real


def test_minimax_gradient_vanishes_where_non_saturating_does_not():
    # d log(1 - s(f)) / df = -s(f), and d -log s(f) / df = s(f) - 1.
    (_, (minimax,)), (_, (non_saturating,)) = (
        gradients(OBJECTIVES[name].generator, [0.0], [-20.0]) for name in ("minimax", "non_saturating")
    )
    assert minimax == pytest.approx(-sigmoid(-20.0), rel=1e-9)
    assert abs(minimax) < 1e-8
    assert non_saturating == pytest.approx(-(1 - sigmoid(-20.0)), rel=1e-9)
    assert abs(non_saturating) > 0.99


def test_hinge_leaves_logits_beyond_the_margin_alone():
    by_real, by_fake = gradients(OBJECTIVES["hinge"].discriminator, [1.5, 0.5], [-1.5, -0.5])
    assert by_real == [0, -0.5]
    assert by_fake == [0, 0.5]


def test_relativistic_sees_differences_of_pairs_alone():
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    for side in OBJECTIVES["relativistic"][:2]:
        torch.testing.assert_close(side(real + 3, fake + 3), side(real, fake))
        assert abs(side(real, fake.flip(0)) - side(real, fake)) > 0.01, "real and fake are judged in pairs"


@pytest.mark.parametrize("name", BY_HAND)
def test_finite_at_extreme_logits(name):
    for value in (-1e4, 1e4):
        for side in OBJECTIVES[name][:2]:
            logits = torch.full((2,), value, requires_grad=True)
            loss = side(-logits, logits)
            (gradient,) = torch.autograd.grad(loss, logits)
            assert torch.isfinite(loss)
            assert torch.isfinite(gradient).all()


# --- smoothed targets ---

TARGETS = ["non_saturating", "minimax", "least_squares"]
NO_TARGETS = sorted(set(OBJECTIVES) - set(TARGETS))
shares = st.floats(0, 0.49)
logits = st.lists(st.floats(-30, 30), min_size=1, max_size=5)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
@pytest.mark.parametrize(("off_real", "on_fake"), [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_smoothed_cross_entropy_by_hand(name, off_real, on_fake):
    loss = smoothed(OBJECTIVES[name], off_real, on_fake).discriminator(double(REAL), double(FAKE))

    def entropy(target, logit):
        return -target * math.log(sigmoid(logit)) - (1 - target) * math.log(1 - sigmoid(logit))

    expected = mean(entropy(1 - off_real, r) for r in REAL) + mean(entropy(on_fake, f) for f in FAKE)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


@given(real=logits, fake=logits, off_real=shares, on_fake=shares)
def test_smoothed_cross_entropy_is_that_of_torch_with_soft_targets(real, fake, off_real, on_fake):
    real, fake = double(real), double(fake)
    loss = smoothed(OBJECTIVES["non_saturating"], off_real, on_fake).discriminator(real, fake)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.full_like(real, 1 - off_real)) + entropy(fake, torch.full_like(fake, on_fake))
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("off_real", "on_fake"), [(0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
def test_smoothed_least_squares_by_hand(off_real, on_fake):
    loss = smoothed(OBJECTIVES["least_squares"], off_real, on_fake).discriminator(double(REAL), double(FAKE))
    expected = mean((r - (1 - off_real)) ** 2 for r in REAL) / 2 + mean((f - on_fake) ** 2 for f in FAKE) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", TARGETS)
@given(real=logits, fake=logits)
def test_smoothing_of_zero_is_the_plain_objective(name, real, fake):
    none = smoothed(OBJECTIVES[name], 0.0, 0.0).discriminator
    plain = OBJECTIVES[name].discriminator
    assert none(double(real), double(fake)).item() == pytest.approx(plain(double(real), double(fake)).item(), rel=1e-12)
    for found, expected in zip(gradients(none, real, fake), gradients(plain, real, fake), strict=True):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["non_saturating", "minimax"])
def test_a_smoothed_loss_is_least_at_its_targets(name):
    # s(log 9) = 0.9 and s(-log 4) = 0.2: with these targets no slope is left there.
    by_real, by_fake = gradients(smoothed(OBJECTIVES[name], 0.1, 0.2).discriminator, [math.log(9)], [-math.log(4)])
    assert by_real == pytest.approx([0], abs=1e-12) and by_fake == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize("name", TARGETS)
def test_smoothing_leaves_the_generator_alone(name):
    changed = smoothed(OBJECTIVES[name], 0.1, 0.1)
    assert changed.generator is OBJECTIVES[name].generator
    assert changed.generator_sees_real == OBJECTIVES[name].generator_sees_real


@pytest.mark.parametrize("name", NO_TARGETS)
def test_an_objective_without_targets_is_not_smoothed(name):
    with pytest.raises(ValueError, match="no targets to smooth"):
        smoothed(OBJECTIVES[name], 0.1, 0.0)
