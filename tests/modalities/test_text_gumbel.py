"""Holds the Gumbel-softmax against enumeration and quadrature: what it draws, and what its gradients come to."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi2

from multigan.modalities.text import gumbel
from multigan.modalities.text.gumbel import temperature_at, uniform

ESTIMATORS = ["straight_through", "soft"]
DRAWS = 200_000


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sample(logits, numbers, temperature, estimator, ended=None):
    ended = torch.zeros(len(logits), dtype=torch.bool) if ended is None else ended
    return gumbel.sample(logits, numbers, ended, 0, temperature, estimator)


def plain(logits, numbers, temperature):
    return ((logits - torch.log(-torch.log(numbers))) / temperature).softmax(1)


# --- noise ---


def test_row_of_noise_depends_on_its_latent_alone():
    latent = random(5, 4)
    whole = uniform(latent, (3, 7))
    assert whole.shape == (5, 3, 7) and whole.min() >= 0 and whole.max() < 1
    for i in range(5):
        assert torch.equal(uniform(latent[i : i + 1], (3, 7))[0], whole[i])
    assert torch.equal(uniform(latent.flip(0), (3, 7)), whole.flip(0))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.floats(-5, 5, width=32), min_size=4, max_size=4), min_size=2, max_size=5, unique_by=tuple))
def test_different_latents_have_different_noise(latents):
    rows = uniform(torch.tensor(latents), (2, 8)).flatten(1).tolist()
    assert len(set(map(tuple, rows))) == len({tuple(math.copysign(1, x) * abs(x) for x in row) for row in latents})


def test_noise_of_different_latents_is_uniform_and_unrelated():
    rows = uniform(random(400, 4), (5, 20)).flatten(1)
    counts = torch.histc(rows, 20, 0, 1)
    expected = rows.numel() / 20
    assert ((counts - expected).square() / expected).sum() < chi2.ppf(0.9999, 19)
    # Of 400 rows of 100 numbers, no two correlate by more than 6 deviations of 1 / 10.
    correlation = torch.corrcoef(rows) - torch.eye(400)
    assert correlation.abs().max() < 0.6


def test_noise_leaves_the_global_random_state():
    before = torch.get_rng_state()
    uniform(random(3, 4), (4, 5))
    assert torch.equal(torch.get_rng_state(), before)


# --- what is drawn ---


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_tokens_are_drawn_as_often_as_the_softmax_says(estimator, temperature):
    logits = torch.tensor([1.0, -1.0, 0.0, 2.0, -3.0], dtype=torch.float64)
    tokens, choice = sample(logits.expand(20_000, -1), noise(20_000, 5), temperature, estimator)
    counts, expected = choice.bincount(minlength=5), 20_000 * logits.softmax(0)
    assert ((counts - expected).square() / expected).sum() < chi2.ppf(0.9999, 4)
    assert torch.equal(tokens.argmax(1), choice)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.1, 5), vocabulary=st.integers(2, 9))
def test_straight_through_is_one_hot_and_soft_is_the_softmax_of_noisy_logits(seed, temperature, vocabulary):
    logits, numbers = random(6, vocabulary, seed=seed).requires_grad_(), noise(6, vocabulary, seed=seed + 1)
    hard, choice = sample(logits, numbers, temperature, "straight_through")
    soft, same = sample(logits, numbers, temperature, "soft")
    assert torch.equal(choice, same)
    assert torch.equal(hard, torch.nn.functional.one_hot(choice, vocabulary).to(hard))
    torch.testing.assert_close(soft, plain(logits, numbers, temperature))
    assert hard.requires_grad and soft.requires_grad


def test_without_gradients_the_same_tokens_come():
    logits, numbers = random(50, 4), noise(50, 4)
    free, _ = sample(logits, numbers, 0.7, "straight_through")
    tied, _ = sample(logits.clone().requires_grad_(), numbers, 0.7, "straight_through")
    assert torch.equal(free, tied) and not free.requires_grad


def test_noise_of_zero_never_wins_and_nothing_is_nan():
    numbers = torch.tensor([[0.0, 0.5, 1 - 2**-24], [0.0, 0.5, 0.0]])
    for estimator in ESTIMATORS:
        logits = torch.tensor([[30.0, 0.0, 0.0]]).expand(2, -1).clone().requires_grad_()
        tokens, choice = sample(logits, numbers, 0.1, estimator)
        (tokens * random(2, 3, dtype=torch.float32)).sum().backward()
        assert choice.tolist() == [2, 1]
        assert tokens.isfinite().all() and logits.grad.isfinite().all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("end", [0, 2])
def test_ended_sentence_gives_its_end_and_no_gradient(estimator, end):
    logits = random(4, 3).requires_grad_()
    ended = torch.tensor([True, False, True, False])
    tokens, choice = gumbel.sample(logits, noise(4, 3), ended, end, 0.5, estimator)
    assert choice[ended].tolist() == [end, end]
    assert tokens[ended].tolist() == [[float(i == end) for i in range(3)]] * 2
    (tokens * random(4, 3, seed=1)).sum().backward()
    assert (logits.grad[ended] == 0).all() and (logits.grad[~ended] != 0).all()


def test_arguments_are_left_as_they_were():
    logits, numbers, ended = random(4, 3).requires_grad_(), noise(4, 3), torch.tensor([True, False, True, False])
    before = logits.detach().clone(), numbers.clone(), ended.clone()
    for estimator in ESTIMATORS:
        sample(logits, numbers, 0.5, estimator, ended)[0].sum().backward()
    assert all(torch.equal(*pair) for pair in zip((logits.detach(), numbers, ended), before, strict=True))


# --- gradients ---


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.2, 5), vocabulary=st.integers(2, 7))
def test_gradient_of_both_is_that_of_the_softmax_of_noisy_logits(seed, temperature, vocabulary):
    logits, numbers = random(5, vocabulary, seed=seed).requires_grad_(), noise(5, vocabulary, seed=seed + 1)
    pull = random(5, vocabulary, seed=seed + 2)
    (expected,) = torch.autograd.grad((plain(logits, numbers, temperature) * pull).sum(), logits)
    for estimator in ESTIMATORS:
        tokens, _ = sample(logits, numbers, temperature, estimator)
        torch.testing.assert_close(torch.autograd.grad((tokens * pull).sum(), logits)[0], expected)


def test_soft_gradient_is_that_of_finite_differences():
    logits, numbers = random(4, 5).requires_grad_(), noise(4, 5)
    ended = torch.tensor([False, True, False, False])
    assert torch.autograd.gradcheck(lambda logits: sample(logits, numbers, 0.7, "soft", ended)[0], logits)


# --- what the gradients come to on the average ---


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 2.0])
def test_one_choice_of_two_has_the_mean_gradient_of_the_integral(estimator, temperature):
    # The difference of two Gumbel numbers is logistic, so with logits a, 0 and rewards 1, 0 the mean gradient by a is
    # the mean of s (1 - s) / T with s = sigmoid((a + logistic) / T). It is p (1 - p) only as T goes to 0.
    a = 0.8

    def integrand(x):
        s = 1 / (1 + math.exp(-(a + x) / temperature))
        density = math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2
        return s * (1 - s) / temperature * density

    expected = quad(integrand, -30, 30, points=[-a], limit=200)[0]
    logits = torch.tensor([a, 0.0], dtype=torch.float64).expand(DRAWS, -1).clone().requires_grad_()
    tokens, _ = sample(logits, noise(DRAWS, 2), temperature, estimator)
    (gradient,) = torch.autograd.grad(tokens[:, 0].sum(), logits)
    error = gradient[:, 0].std() / DRAWS**0.5
    assert abs(gradient[:, 0].mean() - expected) < 4 * error


class Problem:
    """Two places, three tokens, and a reward of each of the nine sentences.

    The logits of the second place are linear in the first token, as those of a generator that embeds it.
    """

    def __init__(self, numbers):
        self.first, self.second, self.reward = numbers[0], numbers[1:4], numbers[4:7]

    def exact(self):
        """The gradient of the mean reward, by all nine sentences: ``(12,)``."""
        first, second = self.first.clone().requires_grad_(), self.second.clone().requires_grad_()
        mean = sum(
            first.softmax(0)[i] * second[i].softmax(0)[j] * self.reward[i, j] for i in range(3) for j in range(3)
        )
        return torch.cat([part.flatten() for part in torch.autograd.grad(mean, [first, second])])

    def value(self, token):
        """The mean reward of what follows a first token, a corner of the simplex or a point inside."""
        return token @ self.reward @ (token @ self.second).softmax(0)

    def corners(self):
        """The gradient by the first logits if rewards between two corners are guessed from the slopes at both.

        A token changes to another along an edge of the simplex. The difference of their values is the integral of the
        slope over the edge; a straight-through estimate only ever sees the slopes at its ends.
        """
        share = self.first.softmax(0)
        slopes = [torch.autograd.functional.jacobian(self.value, corner) for corner in torch.eye(3).double()]
        found = torch.zeros(3, dtype=torch.float64)
        for i in range(3):
            for k in range(3):
                mean = (slopes[i] + slopes[k]) / 2
                found[k] += share[i] * share[k] * (mean[k] - mean[i])
        return found

    def estimate(self, estimator, temperature):
        """The mean gradient over many draws, ``(12,)``, and its standard error."""
        first = self.first.expand(DRAWS, -1).clone().requires_grad_()
        second = self.second.expand(DRAWS, -1, -1).clone().requires_grad_()
        numbers = noise(2, DRAWS, 3)
        token, _ = sample(first, numbers[0], temperature, estimator)
        after, _ = sample((token[:, None] @ second)[:, 0], numbers[1], temperature, estimator)
        rewards = ((token @ self.reward) * after).sum()
        gradient = torch.cat([part.flatten(1) for part in torch.autograd.grad(rewards, [first, second])], 1)
        return gradient.mean(0), gradient.std(0) / DRAWS**0.5


def cosine(one, other):
    return float(torch.nn.functional.cosine_similarity(one, other, 0))


def off(found, exact):
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("seed", range(3))
def test_soft_gradient_comes_to_the_exact_one_as_the_temperature_falls(seed):
    problem = Problem(random(7, 3, seed=seed))
    exact = problem.exact()
    bias = {}
    for temperature in (2.0, 0.5, 0.1):
        mean, error = problem.estimate("soft", temperature)
        bias[temperature] = off(mean, exact)
        if temperature == 2.0:
            assert ((mean - exact).abs() > 10 * error).any()
        if temperature == 0.1:
            assert ((mean - exact).abs() < 4 * error + 0.1 * exact.norm()).all()
            assert cosine(mean, exact) > 0.99
    assert bias[2.0] > 2 * bias[0.5] > 4 * bias[0.1]


@pytest.mark.parametrize("seed", range(3))
def test_straight_through_gradient_points_where_the_exact_one_does(seed):
    problem = Problem(random(7, 3, seed=seed))
    mean, _ = problem.estimate("straight_through", 0.5)
    assert cosine(mean, problem.exact()) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_straight_through_gradient_comes_to_that_of_the_slopes_at_the_corners(seed):
    problem = Problem(random(7, 3, seed=seed))
    mean, error = problem.estimate("straight_through", 0.1)
    corners, exact = problem.corners(), problem.exact()
    assert ((mean[:3] - corners).abs() < 4 * error[:3] + 0.05 * corners.norm()).all()
    # After the last choice the reward is linear, and there the limit is the exact one.
    assert ((mean[3:] - exact[3:]).abs() < 4 * error[3:] + 0.05 * exact.norm()).all()


def test_straight_through_keeps_a_bias_where_the_second_choice_turns_with_the_first():
    # Of a steep second place the slopes at two corners say little of what is between, at any temperature.
    first = [[0.5, -0.3, 0.1]]
    second = [[1.0, -1.0, 0.0], [-0.5, 0.5, 1.0], [0.0, 1.5, -1.0]]
    reward = [[1.0, -2.0, 0.5], [0.0, 1.0, -1.0], [2.0, 0.3, -0.7]]
    problem = Problem(torch.tensor(first + second + reward, dtype=torch.float64))
    exact, corners = problem.exact()[:3], problem.corners()
    hard, error = (part[:3] for part in problem.estimate("straight_through", 0.1))
    assert ((hard - corners).abs() < 4 * error + 0.03 * corners.norm()).all()
    assert off(hard, exact) > 0.5
    soft, error = (part[:3] for part in problem.estimate("soft", 0.1))
    assert ((soft - exact).abs() < 4 * error + 0.03 * exact.norm()).all()


# --- temperatures ---


def test_temperatures_by_hand():
    assert [temperature_at(share, 4.0, 1.0, "linear") for share in (0, 0.5, 1)] == [4, 2.5, 1]
    assert [temperature_at(share, 4.0, 1.0, "exponential") for share in (0, 0.5, 1)] == pytest.approx([4, 2, 1])
    assert [temperature_at(share, 4.0, 1.0, "constant") for share in (0, 0.5, 1)] == [4, 4, 4]
