"""Holds the networks that write and judge sentences: against all sentences of a tiny language, and finite differences.

Of three tokens and three places there are 15 sentences: the end at once, after one of two other tokens, after two or
three of them, or cut off after three.
"""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from multigan.engine.penalties import r1
from multigan.modalities.text import Text, TextConfig
from multigan.modalities.text.discriminators import ConvolutionalTextDiscriminator, TransformerTextDiscriminator
from multigan.modalities.text.generators import (
    RecurrentGenerator,
    RelationalGenerator,
    TransformerGenerator,
    small_decoder,
)

GENERATORS = ["lstm", "relational", "transformer"]
DISCRIMINATORS = ["convolutional", "transformer"]
generators = pytest.mark.parametrize("kind", GENERATORS)
discriminators = pytest.mark.parametrize("kind", DISCRIMINATORS)


def random(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


def latents(count, seed=0):
    return random(count, TextConfig.latent_dim, seed=seed)


def generator(kind, vocabulary=3, length=3, classes=0, end=0, estimator="straight_through", seed=0, scale=1.0):
    """One whose weights are random, and so large that its words are not all as likely."""
    torch.manual_seed(seed)
    options = {"length": length, "begin": (end + 1) % vocabulary, "end": end, "estimator": estimator}
    if kind == "transformer":
        made = TransformerGenerator(small_decoder(vocabulary, length, 4, layers=2), classes, **options)
    else:
        made = (RecurrentGenerator if kind == "lstm" else RelationalGenerator)(vocabulary, 4, classes, **options)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() > 1:
                weight.copy_(scale * torch.randn_like(weight) / weight.shape[1] ** 0.5)
    return made


def every_sentence(vocabulary=3, length=3, end=0):
    rows = itertools.product(range(vocabulary), repeat=length)
    return torch.tensor(
        [row for row in rows if all(b == end for a, b in itertools.pairwise(row) if a == end)], dtype=torch.long
    )


@torch.no_grad()
def stepped(network, row, condition=None):
    """The log-probabilities of each next token along a sentence, by `step` alone: ``(T, V)``."""
    memory, before, found = network.begin(1), torch.tensor([network.begin_token]), []
    for token in row:
        inputs = network.with_class(network.embedding(before), condition)
        hidden, memory = network.step(inputs, memory)
        found.append(network.projection(hidden)[0].log_softmax(0))
        before = token[None]
    return torch.stack(found)


def by_hand(network, row, condition=None):
    """The log-probability of a sentence up to its end."""
    total = 0.0
    for token, logs in zip(row.tolist(), stepped(network, row, condition), strict=True):
        total += float(logs[token])
        if token == network.end:
            break
    return total


def is_sentence(row, end):
    ends = [place for place, token in enumerate(row) if token == end]
    return not ends or ends == list(range(ends[0], len(row)))


# --- what is written ---


@generators
@pytest.mark.parametrize("end", [0, 2])
@pytest.mark.parametrize("training", [False, True])
def test_after_an_end_there_are_only_ends(kind, end, training):
    network = generator(kind, 5, 8, end=end).train(training)
    samples = network(latents(100)).detach()
    tokens = samples.argmax(2).tolist()
    assert samples.shape == (100, 8, 5)
    assert all(is_sentence(row, end) for row in tokens)
    assert sum(end in row for row in tokens) > 10 and sum(len(set(row)) > 1 for row in tokens) > 10


@generators
@pytest.mark.parametrize(
    ("training", "estimator"), [(False, "straight_through"), (False, "soft"), (True, "straight_through")]
)
def test_sample_is_one_hot(kind, training, estimator):
    samples = generator(kind, 4, 5, estimator=estimator).train(training)(latents(20))
    assert ((samples == 0) | (samples == 1)).all() and (samples.sum(2) == 1).all()


@generators
def test_soft_sample_is_on_the_simplex_and_inside_it(kind):
    network = generator(kind, 4, 5, estimator="soft")
    network.temperature = 2.0
    samples = network(latents(20))
    assert (samples >= 0).all()
    torch.testing.assert_close(samples.sum(2), torch.ones(20, 5))
    assert (samples[:, 0].amax(1) < 0.999).any()


@generators
@settings(deadline=None, max_examples=8)
@given(count=st.integers(1, 9), seed=st.integers(0, 99))
def test_same_latent_writes_the_same_sentence_in_any_batch(kind, count, seed):
    network = generator(kind, 6, 6, classes=2).eval()
    latent, condition = latents(10, seed), torch.arange(10) % 2
    with torch.no_grad():
        whole = network(latent, condition)
        assert torch.equal(network(latent[:count], condition[:count]), whole[:count])
        assert torch.equal(network(latent.flip(0), condition.flip(0)), whole.flip(0))


@generators
def test_global_random_state_is_left_alone(kind):
    network = generator(kind)
    before = torch.get_rng_state()
    first = network(latents(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(network(latents(5)), first)


@generators
@pytest.mark.parametrize("estimator", ["straight_through", "soft"])
def test_gradient_reaches_every_weight_and_past_the_last_token(kind, estimator):
    network = generator(kind, 5, 4, classes=2, estimator=estimator)
    samples = network(latents(64), torch.arange(64) % 2)
    (samples[:, -1] * random(64, 5)).sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
    assert network.embedding.weight.grad.abs().sum() > 0 and network.class_embedding.weight.grad.abs().sum() > 0


@generators
@pytest.mark.parametrize("training", [False, True])
def test_half_precision_gives_whole_samples_and_finite_gradients(kind, training):
    network = generator(kind, 5, 4, estimator="soft").train(training)
    with torch.autocast("cpu", torch.bfloat16):
        samples = network(latents(8))
        likelihood = network.log_likelihood(samples.argmax(2))
    assert samples.dtype == torch.float32 and samples.isfinite().all()
    assert likelihood.dtype == torch.float32 and likelihood.isfinite().all()
    torch.testing.assert_close(samples.sum(2), torch.ones(8, 4))
    (-likelihood.mean() + (samples * random(8, 4, 5)).sum()).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)


# --- how likely it is ---


@generators
def test_likelihood_is_the_sum_of_the_steps_up_to_the_end(kind):
    network = generator(kind, 4, 5, classes=2, end=1).double().eval()
    with torch.no_grad():
        rows = network(latents(12), torch.arange(12) % 2).argmax(2)
        found = network.log_likelihood(rows, torch.arange(12) % 2)
        expected = [by_hand(network, row, torch.tensor([i % 2])) for i, row in enumerate(rows)]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert len({round(one, 3) for one in expected}) > 3


@generators
def test_likelihoods_of_all_sentences_sum_to_one(kind):
    rows = every_sentence()
    assert len(rows) == 1 + 2 + 4 + 8
    network = generator(kind).double().eval()
    with torch.no_grad():
        assert network.log_likelihood(rows).exp().sum().item() == pytest.approx(1, abs=1e-6)


@generators
@pytest.mark.parametrize(("sampling_temperature", "condition"), [(1.0, None), (0.5, None), (1.0, 1)])
def test_sentences_are_written_as_often_as_they_are_likely(kind, sampling_temperature, condition):
    network = generator(kind, classes=2 if condition is not None else 0).eval()
    network.sampling_temperature = sampling_temperature
    rows, count = every_sentence(), 6000
    told = None if condition is None else torch.tensor([condition])
    with torch.no_grad():
        # Each step's own softmax, of logits over the sampling_temperature; what follows an end is sure.
        expected = []
        for row in rows:
            logs = (stepped(network, row, told) / sampling_temperature).log_softmax(1)
            until = row.tolist().index(0) + 1 if 0 in row else 3
            expected.append(count * logs[torch.arange(until), row[:until]].sum().exp())
        if sampling_temperature == 1:
            likely = network.log_likelihood(rows, None if told is None else told.expand(len(rows))).exp()
            torch.testing.assert_close(likely, torch.stack(expected) / count)
        tokens = network(latents(count), None if told is None else told.expand(count)).argmax(2)
    counts = torch.stack([(tokens == row).all(1).sum() for row in rows])
    assert counts.sum() == count
    expected = torch.stack(expected)
    common = expected >= 5
    squares = ((counts - expected).square() / expected)[common].sum()
    rest = (counts[~common].sum() - expected[~common].sum()).square() / expected[~common].sum().clamp(min=1)
    assert squares + rest < chi2.ppf(0.9999, int(common.sum()))


@generators
def test_what_follows_the_end_does_not_change_the_likelihood(kind):
    network = generator(kind, 4, 5).eval()
    with torch.no_grad():
        found = network.log_likelihood(torch.tensor([[2, 0, 0, 0, 0], [2, 0, 3, 1, 2]]))
    assert found[0] == found[1]


@generators
def test_warmup_loss_is_the_mean_surprise_of_the_sentences(kind):
    network = generator(kind, 4, 5, classes=3)
    rows, condition = torch.tensor([[2, 3, 0, 0, 0], [1, 1, 2, 3, 1]]), torch.tensor([2, 0])
    loss = Text(TextConfig()).pretraining_loss()(network, rows.int(), condition)
    expected = -sum(by_hand(network, row, label[None]) for row, label in zip(rows, condition, strict=True)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)


# --- steering ---


@generators
def test_sharpest_sentence_takes_the_likeliest_token_each_time(kind):
    network = generator(kind, 6, 5).eval()
    network.sampling_temperature = 1e-4
    with torch.no_grad():
        (row,) = {tuple(row) for row in network(latents(20)).argmax(2).tolist()}
        logs = stepped(network, torch.tensor(row))
    until = row.index(0) + 1 if 0 in row else 5
    assert logs.argmax(1).tolist()[:until] == list(row[:until])


@generators
def test_dull_generator_writes_all_tokens_alike(kind):
    network = generator(kind, 4, 2, scale=3.0).eval()
    network.sampling_temperature = 1e4
    with torch.no_grad():
        counts = network(latents(2000)).argmax(2)[:, 0].bincount(minlength=4)
    assert ((counts - 500).square() / 500).sum() < chi2.ppf(0.9999, 3)


@generators
def test_every_sentence_begins_with_the_prefix_and_goes_on_from_it(kind):
    network = generator(kind, 4, 4).eval()
    network.prefix = [3, 1]
    with torch.no_grad():
        rows = network(latents(3000)).argmax(2)
        expected = stepped(network, torch.tensor([3, 1, 0, 0]))[2].exp() * 3000
    assert rows[:, :2].tolist() == [[3, 1]] * 3000
    counts = rows[:, 2].bincount(minlength=4)
    assert ((counts - expected).square() / expected).sum() < chi2.ppf(0.9999, 3)


@generators
def test_steering_does_not_reach_training(kind):
    network = generator(kind, 4, 4)
    free = network(latents(20))
    network.prefix, network.sampling_temperature = [3, 1], 1e-3
    assert torch.equal(network(latents(20)), free)


@generators
def test_temperature_of_training_does_not_reach_what_is_written(kind):
    network = generator(kind, 4, 4).eval()
    with torch.no_grad():
        cold = network(latents(20))
        network.temperature = 9.0
        assert torch.equal(network(latents(20)), cold)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("linear", [2.0, 1.25, 0.5, 0.5]), ("exponential", [2.0, 1.0, 0.5, 0.5])]
)
def test_temperature_goes_from_the_first_to_the_last_and_stays(schedule, expected):
    config = TextConfig(temperature=2.0, last_temperature=0.5, temperature_steps=100, schedule=schedule)
    network, found = generator("lstm"), []
    for step in (0, 50, 100, 5000):
        Text(config).on_step(network, step)
        found.append(network.temperature)
    assert found == pytest.approx(expected)


# --- judges ---


def discriminator(kind, vocabulary=5, length=6, classes=0, end=0, seed=0):
    torch.manual_seed(seed)
    if kind == "convolutional":
        return ConvolutionalTextDiscriminator(vocabulary, 8, 4, classes, end)
    return TransformerTextDiscriminator(vocabulary, length, 8, classes, end)


def corners(rows, vocabulary=5):
    return torch.nn.functional.one_hot(torch.tensor(rows), vocabulary).float()


@discriminators
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_what_follows_the_end_does_not_change_the_logit(kind, data):
    end = data.draw(st.integers(0, 4))
    others = st.integers(0, 4).filter(lambda token: token != end)
    words = data.draw(st.lists(others, max_size=4))
    room = 5 - len(words)
    one, other = (data.draw(st.lists(st.integers(0, 4), min_size=room, max_size=room)) for _ in range(2))
    network = discriminator(kind, end=end)
    rows = corners([[*words, end, *one], [*words, end, *other], [*words, end, *[end] * room]])
    mixed = rows[0].clone()
    mixed[len(words) + 1 :] = random(room, 5).softmax(1)
    with torch.no_grad():
        logits = network(torch.stack([*rows, mixed]))
    torch.testing.assert_close(logits, logits[:1].expand(4), rtol=0, atol=1e-6)


@discriminators
def test_gradient_does_not_reach_what_follows_the_end(kind):
    samples = corners([[3, 1, 0, 2, 4, 1]]).requires_grad_()
    discriminator(kind)(samples).sum().backward()
    assert (samples.grad[0, 3:] == 0).all() and (samples.grad[0, :3].abs().sum(1) > 0).all()


def test_transformer_does_not_look_at_places_after_the_end():
    network, samples = discriminator("transformer"), corners([[3, 1, 0, 2, 4, 1]])
    with torch.no_grad():
        before = network(samples)
        network.positions[3:] = 9.0
        torch.testing.assert_close(network(samples), before)
        network.positions[2] = 9.0
        assert not torch.allclose(network(samples), before)


@discriminators
def test_where_the_end_is_changes_the_logit(kind):
    network = discriminator(kind)
    with torch.no_grad():
        logits = network(corners([[0] * 6, [3, 0, 0, 0, 0, 0], [3, 3, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]]))
    assert logits.isfinite().all() and len({round(logit, 5) for logit in logits.tolist()}) == 4


@discriminators
def test_order_of_the_words_changes_the_logit(kind):
    rows = [[*order, 0, 0] for order in itertools.permutations([1, 2, 3, 4])]
    with torch.no_grad():
        logits = discriminator(kind)(corners(rows)).tolist()
    assert len({round(logit, 5) for logit in logits}) == math.factorial(4)


@discriminators
def test_judgement_of_one_does_not_depend_on_the_others(kind):
    network, samples = discriminator(kind), random(7, 6, 5).softmax(2)
    with torch.no_grad():
        alone = torch.cat([network(one[None]) for one in samples])
        torch.testing.assert_close(network(samples), alone)
        torch.testing.assert_close(network.eval()(samples), alone)


@discriminators
def test_class_counts_once_it_is_learned(kind):
    network, samples = discriminator(kind, classes=2), corners([[1, 2, 3, 0, 0, 0]])
    with torch.no_grad():
        first, second = (network(samples, torch.tensor([label])) for label in range(2))
        assert torch.equal(first, second)
        network.head.projection.weight[1] = 1.0
        assert torch.equal(network(samples, torch.tensor([0])), first)
        assert not torch.equal(network(samples, torch.tensor([1])), second)


@discriminators
def test_gradient_penalty_has_the_gradient_of_finite_differences(kind):
    network = discriminator(kind).double()
    samples = torch.cat([corners([[3, 1, 2, 4, 1, 2], [4, 2, 0, 0, 0, 0], [0] * 6]), random(2, 6, 5).softmax(2)])
    samples = samples.double().requires_grad_()
    loss = r1(network(samples, None), samples)
    loss.backward()
    checked = 0
    for name, weight in network.named_parameters():
        if weight.grad is None or not weight.grad.any():
            continue
        flat, step = weight.data.view(-1), 1e-6
        place = int(weight.grad.abs().argmax())
        before, sides = flat[place].item(), []
        for side in (step, -step):
            flat[place] = before + side
            sides.append(r1(network(samples, None), samples).item())
        flat[place] = before
        assert weight.grad.view(-1)[place].item() == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-4), name
        checked += 1
    assert checked >= 5


@discriminators
def test_half_precision_judges_nearly_alike(kind):
    network, samples = discriminator(kind), random(7, 6, 5).softmax(2)
    with torch.no_grad():
        whole = network(samples)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(samples)
    assert (half.float() - whole).abs().max() < 0.1


# --- the same with and without a graph ---


@generators
@pytest.mark.parametrize("estimator", ["soft", "straight_through"])
def test_sentences_are_the_same_without_a_graph(kind, estimator):
    network = generator(kind, 6, 5)
    network.estimator, network.temperature = estimator, 0.7
    with_graph = network(latents(8))
    with torch.no_grad():
        torch.testing.assert_close(network(latents(8)), with_graph)


def test_average_moves_tied_weights_once():
    from multigan.engine.ema import update_average

    average, network = generator("transformer", 6, 5), generator("transformer", 6, 5)
    for one, value in ((average, 0.0), (network, 1.0)):
        for weight in one.parameters():
            weight.data.fill_(value)
    update_average(average, network, 0.9)
    assert all(torch.allclose(weight, torch.tensor(0.1)) for weight in average.parameters())
