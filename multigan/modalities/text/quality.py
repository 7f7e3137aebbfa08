"""Metrics of quality and diversity that need only sentences.

BLEU is sacrebleu's corpus BLEU (Papineni et al. 2002) with exponential smoothing, on words split at spaces; every
reference sentence is a reference of every sentence measured.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sacrebleu.metrics.bleu import BLEU

Words: TypeAlias = Sequence[str]
Gram: TypeAlias = tuple[str, ...]

ORDERS = (2, 3, 4, 5)  # the longest n-grams that BLEU counts


def metrics(generated: list[str], train: list[str], held_out: list[str]) -> dict[str, float]:
    """All metrics, of words split at spaces: see `multigan.Modality.extra_metrics`."""
    judged, known, references = ([text.split() for text in texts] for texts in (generated, train, held_out))
    values = {f"BLEU-{order}": bleu(judged, references, order) for order in ORDERS}
    values |= {f"self-BLEU-{order}": self_bleu(judged, order) for order in ORDERS}
    values |= {f"distinct-{order}": distinct(judged, order) for order in (1, 2, 3)}
    return values | {"copied": copied(judged, known)}


def character_metrics(generated: list[str], train: list[str], held_out: list[str]) -> dict[str, float]:
    """All metrics, of characters: for names, and for scripts without spaces between words."""

    def spaced(texts: list[str]) -> list[str]:
        return [" ".join("_" if sign.isspace() else sign for sign in text) for text in texts]

    values = metrics(spaced(generated), spaced(train), spaced(held_out))
    return {name if name == "copied" else f"{name} (characters)": value for name, value in values.items()}


def bleu(sentences: Sequence[Words], references: Sequence[Words], order: int) -> float:
    """BLEU of sentences against all references, from 0 to 100.

    Args:
        sentences: Each as its words.
        references: The same.
        order: The longest runs of words that are counted.
    """
    most: Counter[Gram] = Counter()
    for words in references:
        for gram, count in grams(words, order).items():
            most[gram] = max(most[gram], count)  # not `|=`, which visits all entries each time
    lengths = {len(words) for words in references}
    return score(
        [(words, grams(words, order)) for words in sentences],
        [(most, nearest(len(words), lengths)) for words in sentences],
        order,
    )


def self_bleu(sentences: Sequence[Words], order: int) -> float:
    """BLEU of each sentence against all others, from 0 to 100: similarity. Zhu et al. 2018, Texygen."""
    counted = [grams(words, order) for words in sentences]
    best: Counter[Gram] = Counter()
    second: Counter[Gram] = Counter()
    for own in counted:
        for gram, count in own.items():
            best[gram], second[gram] = sorted((best[gram], second[gram], count))[:0:-1]
    lengths = Counter(map(len, sentences))
    others = []
    for words, own in zip(sentences, counted, strict=True):
        # The maximal count of each n-gram in one of the other sentences.
        most = Counter({gram: second[gram] if count == best[gram] else best[gram] for gram, count in own.items()})
        rest = lengths.keys() if lengths[len(words)] > 1 else lengths.keys() - {len(words)}
        others.append((most, nearest(len(words), rest)))
    return score(list(zip(sentences, counted, strict=True)), others, order)


def score(judged: list[tuple[Words, Counter[Gram]]], references: list[tuple[Counter[Gram], int]], order: int) -> float:
    """BLEU of sentences with their n-grams, each against maximal reference counts and the closest reference length."""
    correct, total = [0] * order, [0] * order
    for (_, own), (most, _) in zip(judged, references, strict=True):
        for gram, count in own.items():
            total[len(gram) - 1] += count
            correct[len(gram) - 1] += min(count, most[gram])
    found = BLEU.compute_bleu(
        correct,
        total,
        sys_len=sum(len(words) for words, _ in judged),
        ref_len=sum(length for _, length in references),
        smooth_method="exp",
        max_ngram_order=order,
    )
    return float(found.score)


def grams(words: Words, order: int) -> Counter[Gram]:
    """Counts of the n-grams of one to ``order`` words."""
    return Counter(
        tuple(words[start : start + size]) for size in range(1, order + 1) for start in range(len(words) - size + 1)
    )


def nearest(length: int, lengths: Iterable[int]) -> int:
    """The closest of the lengths; the shorter of two equally close ones."""
    return min(lengths, key=lambda other: (abs(other - length), other), default=0)


def distinct(sentences: Sequence[Words], order: int) -> float:
    """The share of distinct n-grams among all n-grams of ``order`` words. Li et al. 2016, arXiv:1510.03055."""
    found = Counter(
        tuple(words[start : start + order]) for words in sentences for start in range(len(words) - order + 1)
    )
    return len(found) / max(found.total(), 1)


def copied(sentences: Sequence[Words], known: Iterable[Words]) -> float:
    """The share of sentences that occur among the known ones."""
    there = set(map(tuple, known))
    return sum(tuple(words) in there for words in sentences) / len(sentences)
