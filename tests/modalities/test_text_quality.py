"""Holds the measures of sentences to sacrebleu itself, and to small cases worked by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from multigan.modalities.text import quality

words = st.lists(st.sampled_from("abcd"), min_size=1, max_size=8)
several = st.lists(words, min_size=2, max_size=6)


def theirs(sentences, references, order):
    """BLEU as sacrebleu has it, given for each sentence the references of its own."""
    judge = BLEU(max_ngram_order=order, tokenize="none", smooth_method="exp", force=True)
    streams = [[" ".join(own[number]) for own in references] for number in range(len(references[0]))]
    return judge.corpus_score([" ".join(sentence) for sentence in sentences], streams).score


@settings(deadline=None, max_examples=60)
@given(sentences=several, references=several, order=st.integers(2, 5))
def test_bleu_is_that_of_sacrebleu(sentences, references, order):
    expected = theirs(sentences, [references] * len(sentences), order)
    assert quality.bleu(sentences, references, order) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(sentences=several, order=st.integers(2, 5))
def test_self_bleu_is_bleu_against_all_others(sentences, order):
    others = [sentences[:number] + sentences[number + 1 :] for number in range(len(sentences))]
    assert quality.self_bleu(sentences, order) == pytest.approx(theirs(sentences, others, order), abs=1e-9)


def test_a_sentence_is_not_held_to_itself():
    assert quality.self_bleu([["a", "b", "c"], ["d", "e", "f"]], 2) < 50
    assert quality.self_bleu([["a", "b", "c"], ["a", "b", "c"]], 2) == pytest.approx(100)


def test_distinct_is_the_share_of_different_runs():
    sentences = [["a", "b", "a", "b"], ["a", "b"]]
    assert quality.distinct(sentences, 1) == 2 / 6  # a and b, of six words
    assert quality.distinct(sentences, 2) == 2 / 4  # ab and ba, of ab ba ab, ab
    assert quality.distinct(sentences, 5) == 0


def test_copied_is_the_share_that_is_known():
    assert quality.copied([["a"], ["b", "a"], ["a"]], [["a"], ["c"]]) == 2 / 3


def test_metrics_of_characters_are_named_so():
    found = quality.character_metrics(["ab", "ab"], ["ab"], ["ab", "ba"])
    assert found["BLEU-2 (characters)"] == pytest.approx(100) and found["copied"] == 1
    assert found["distinct-1 (characters)"] == pytest.approx(2 / 4)
