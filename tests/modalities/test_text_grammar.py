"""Holds the grammar against a parser and an enumeration of our own: one derivation, exact probabilities, one corpus."""

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.modalities.text import grammar
from multigan.modalities.text.grammar import GRAMMAR, KINDS, corpus, derivation, entropy, log_probability

# All of it by hand: X is a or b b, Y is c or X d.
TINY = {
    "SENTENCE": [(0.5, ("X", "Y")), (0.25, ("Y", ".")), (0.25, ("b", "X", "."))],
    "X": [(0.75, ("a",)), (0.25, ("b", "b"))],
    "Y": [(0.4, ("c",)), (0.6, ("X", "d"))],
}
PROBABILITIES = {
    "a c": 0.5 * 0.75 * 0.4,
    "b b c": 0.5 * 0.25 * 0.4,
    "a a d": 0.5 * 0.75 * 0.6 * 0.75,
    "a b b d": 0.5 * 0.75 * 0.6 * 0.25,
    "b b a d": 0.5 * 0.25 * 0.6 * 0.75,
    "b b b b d": 0.5 * 0.25 * 0.6 * 0.25,
    "c .": 0.25 * 0.4,
    "a d .": 0.25 * 0.6 * 0.75,
    "b b d .": 0.25 * 0.6 * 0.25,
    "b a .": 0.25 * 0.75,
    "b b b .": 0.25 * 0.25,
}

seeds = st.integers(0, 2**32)


def count_and_probability(words, symbols=("SENTENCE",)):
    """How many ways some symbols become these words, and the sum of their probabilities: from left to right."""
    if not symbols or len(words) < len(symbols):
        return (1, 1.0) if not symbols and not words else (0, 0.0)
    first, rest = symbols[0], symbols[1:]
    if first not in grammar.GRAMMAR:
        return count_and_probability(words[1:], rest) if words[0] == first else (0, 0.0)
    found = [(p, count_and_probability(words, (*parts, *rest))) for p, parts in grammar.GRAMMAR[first]]
    return sum(count for _, (count, _) in found), sum(p * total for p, (_, total) in found)


def drawn(seed, symbol="SENTENCE"):
    return grammar.sentence(random.Random(seed), symbol)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(grammar, "GRAMMAR", TINY)
    monkeypatch.setattr(grammar, "CUMULATIVE", grammar.cumulative(TINY))


# --- derivations and probabilities ---


@settings(deadline=None, max_examples=60)
@given(seed=seeds)
def test_sentence_has_one_derivation_and_its_probability(seed):
    words = drawn(seed)
    count, probability = count_and_probability(tuple(words))
    assert count == 1
    assert log_probability(words) == pytest.approx(math.log(probability), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=seeds)
def test_rules_of_the_derivation_make_the_sentence_from_left_to_right(seed):
    words = drawn(seed)
    choices = iter(derivation(words))
    stack, made = ["SENTENCE"], []
    while stack:
        symbol = stack.pop(0)
        if symbol in GRAMMAR:
            named, number = next(choices)
            assert named == symbol
            stack = [*GRAMMAR[symbol][number][1], *stack]
        else:
            made.append(symbol)
    assert made == words and next(choices, None) is None


def test_probability_by_hand():
    # A statement is one of three kinds; its weights are 6, 4, 1, 1 and 1; those of ONE 5, 3, 3, 2, 1 and 1.
    # Names weigh 1/2, 1/3 ... 1/17; verbs of SLEEPS 1/2 ... 1/16; the weights of DOES are 4, 3, 6, 2, 2 and 1.
    names, verbs = sum(1 / n for n in range(2, 18)), sum(1 / n for n in range(2, 17))
    expected = 1 / 3 * 6 / 13 * 3 / 15 * (1 / 3 / names) * 4 / 18 * (1 / 4 / verbs)
    assert log_probability(["ben", "waits", "."]) == pytest.approx(math.log(expected))


def test_tiny_grammar_gives_each_sentence_its_probability(tiny):
    assert sum(PROBABILITIES.values()) == pytest.approx(1)
    for text, probability in PROBABILITIES.items():
        assert math.exp(log_probability(text.split())) == pytest.approx(probability), text
    others = [
        words
        for length in range(6)
        for words in itertools.product("abcd.", repeat=length)
        if " ".join(words) not in PROBABILITIES
    ]
    assert all(log_probability(words) == -math.inf for words in others)


def test_tiny_grammar_draws_sentences_as_often_as_it_says(tiny):
    source, draws = random.Random(0), 20_000
    counts = Counter(" ".join(grammar.sentence(source)) for _ in range(draws))
    assert counts.keys() <= PROBABILITIES.keys()
    for text, probability in PROBABILITIES.items():
        deviation = math.sqrt(draws * probability * (1 - probability))
        assert abs(counts[text] - draws * probability) < 4 * deviation, text


def test_entropy_of_exact_probabilities_is_that_of_the_sentences(tiny):
    # All probabilities are whole in 1 / 1600.
    copies = {text: round(1600 * probability) for text, probability in PROBABILITIES.items()}
    assert sum(copies.values()) == 1600
    derivations = [derivation(text.split()) for text, count in copies.items() for _ in range(count)]
    assert entropy(derivations) == pytest.approx(-sum(p * math.log(p) for p in PROBABILITIES.values()))


def test_entropy_of_one_sentence_again_and_again_is_zero():
    assert entropy([derivation(["ben", "waits", "."])] * 5) == 0


def test_entropy_of_a_sample_is_near_the_mean_surprise():
    words = [drawn(seed) for seed in range(600)]
    surprise = [-log_probability(one) for one in words]
    mean = sum(surprise) / len(surprise)
    error = math.sqrt(sum((one - mean) ** 2 for one in surprise)) / len(surprise)
    # Both estimate the entropy; that from the rules is a little low, for rules that are not in the sample.
    assert abs(entropy([derivation(one) for one in words]) - mean) < 5 * error


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "ben waits",
        "ben waits . .",
        "ben wait .",
        "dogs waits .",
        "the dogs waits .",
        "the dog wait .",
        "a dogs wait .",
        "some dog waits .",
        "the dog that wait runs .",
        "does the dog waits ?",
        "does the dogs wait ?",
        "do the dog wait ?",
        "who wait ?",
        "SENTENCE",
        "ONE DOES .",
        "ben waits ?",
        "Ben waits .",
        "ben zyx .",
        "waits ben .",
        "when ben waits , the dog run .",
    ],
)
def test_nonsense_has_no_probability(text):
    assert derivation(text.split()) is None
    assert log_probability(text.split()) == -math.inf


@settings(deadline=None, max_examples=40)
@given(seed=seeds, data=st.data())
def test_shuffled_words_are_judged_as_our_parser_judges_them(seed, data):
    words = data.draw(st.permutations(drawn(seed)[:7]))
    count, probability = count_and_probability(tuple(words))
    assert math.exp(log_probability(words)) == pytest.approx(probability)
    assert (derivation(words) is not None) == (count == 1) and count <= 1


# --- words ---


def test_probabilities_of_the_rules_of_each_symbol_sum_to_one():
    for symbol, rules in GRAMMAR.items():
        assert sum(probability for probability, _ in rules) == pytest.approx(1), symbol
        assert min(probability for probability, _ in rules) > 0
        assert len({parts for _, parts in rules}) == len(rules), symbol


def test_all_in_capitals_are_symbols_and_all_symbols_are_reached():
    used = {part for rules in GRAMMAR.values() for _, parts in rules for part in parts}
    assert {part for part in used if part.isupper()} | {"SENTENCE"} == GRAMMAR.keys()


def test_word_belongs_to_one_category():
    owners = {}
    for line in grammar.WORDS.strip().splitlines():
        symbols, *words = line.split()
        for word in words:
            forms = word.split("/")
            assert len(forms) == len(symbols.split("/"))
            for symbol, form in zip(symbols.split("/"), forms, strict=True):
                assert owners.setdefault(form, symbol) == symbol, form
    fixed = {part for line in grammar.RULES.split() for part in line.split("|") if part.islower()}
    assert not fixed & owners.keys()


def test_forms_of_a_word_are_as_likely_as_one_another():
    for one, other in (("NOUN", "NOUNS"), ("SLEEP", "SLEEPS"), ("SEE", "SEES")):
        assert [p for p, _ in GRAMMAR[one]] == [p for p, _ in GRAMMAR[other]]


def longest(symbol):
    return max(sum(longest(part) for part in parts) for _, parts in GRAMMAR[symbol]) if symbol in GRAMMAR else 1


def test_longest_sentence_has_35_words():
    part = "the dog that sees the old cat wants to follow the old cat in the garden"
    words = f"when {part} , {part} .".split()
    assert len(words) == 35 == longest("SENTENCE")
    assert log_probability(words) > -math.inf
    assert max(len(drawn(seed)) for seed in range(2000)) <= 35


# --- the corpus ---


def test_corpus_is_the_same_for_the_same_seed_and_not_for_another():
    first, again, other = corpus(200), corpus(200), corpus(200, seed=1)
    assert first[:] == again[:] and first._fingerprint == again._fingerprint
    assert first["text"][:] != other["text"][:]
    assert len({first._fingerprint, other._fingerprint, corpus(201)._fingerprint}) == 3


@pytest.mark.parametrize(("seed", "few", "more"), [(0, 1, 1), (0, 20, 100), (7, 50, 3)])
def test_larger_corpus_begins_with_a_smaller_one(seed, few, more):
    assert corpus(few + more, seed)[:few] == corpus(few, seed)[:]


def test_label_is_the_kind_of_the_sentence():
    rows = corpus(300)
    names = rows.features["label"].names
    assert tuple(names) == KINDS
    for text, label in zip(rows["text"], rows["label"], strict=True):
        fits = [kind for kind in KINDS if derivation(text.split(), kind.upper()) is not None]
        assert fits == [names[label]], text
    # Each kind is as likely: 100 of 300, with a deviation of 8.2.
    assert all(abs(count - 100) < 35 for count in Counter(rows["label"]).values())
