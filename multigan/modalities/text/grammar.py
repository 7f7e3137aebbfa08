"""A corpus with a known distribution: English-like sentences from a probabilistic grammar.

Subjects and verbs agree over a distance, and every sentence is a statement, a question or a command. No symbol comes
from itself, so that the longest sentence is known, and no sentence has two derivations. Hence the probability of any
sentence is known exactly, and how much of the variety a generator has kept.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import datasets
import pyarrow

SENTENCES = 20_000
KINDS = ("statement", "question", "command")

# The rules: expansions of each symbol (in capitals) with weights.
RULES = """
STATEMENT  6 ONE DOES .| 4 MANY DO .
STATEMENT  1 AFTER ONE DOES , ONE DOES .| 1 AFTER MANY DO , ONE DOES .| 1 AFTER ONE DOES , MANY DO .
QUESTION   3 does ONE ACT ?| 2 do MANY ACT ?| 1 where does ONE ACT ?| 1 why do MANY ACT ?
QUESTION   1 who DOES ?| 1 which NOUNS DO ?
COMMAND    3 ACT .| 2 please ACT .| 1 do not ACT .| 1 NAME , ACT .| 1 be QUALITY .
AFTER      2 when| 1 because| 1 while| 1 before| 1 whenever
ONE        5 A NOUN| 3 A QUALITY NOUN| 3 NAME| 2 A NOUN PLACE| 1 A NOUN that SLEEPS| 1 A NOUN that SEES OBJECT
MANY       4 SOME NOUNS| 3 SOME QUALITY NOUNS| 1 NAME and NAME| 2 SOME NOUNS PLACE| 1 SOME NOUNS that SLEEP
DOES       4 SLEEPS| 3 SLEEPS MANNER| 6 SEES OBJECT| 2 SEES OBJECT PLACE| 2 is QUALITY| 1 wants to ACT
DO         4 SLEEP| 3 SLEEP MANNER| 6 SEE OBJECT| 2 SEE OBJECT PLACE| 2 are QUALITY| 1 want to ACT
ACT        3 SLEEP| 3 SLEEP MANNER| 5 SEE OBJECT| 2 SEE OBJECT PLACE
OBJECT     4 A NOUN| 2 A QUALITY NOUN| 3 SOME NOUNS| 1 SOME QUALITY NOUNS| 1 NAME
PLACE      1 BEHIND A LOCATION
A          6 the| 4 a| 1 every| 1 this| 1 another| 1 no
SOME       6 the| 2 some| 1 all| 1 these| 1 many| 1 few| 1 both| 1 most
"""

# The words of each category, most frequent first; two forms separated by a slash are of one word.
WORDS = """
MANNER slowly quietly often happily loudly again rarely alone together well badly gently proudly today everywhere
BEHIND in near behind under beside outside
LOCATION garden house forest kitchen river street school field market tower village station library bridge cellar
QUALITY old small happy red young clever quiet tired hungry strange green lazy brave kind wild tall angry blue shy proud
QUALITY gentle heavy famous busy honest lonely rich curious calm careful
NAME anna ben clara david emma felix grace henry ida jonas karl lena mara noah olga paul
SLEEP/SLEEPS sleep/sleeps run/runs wait/waits laugh/laughs sing/sings swim/swims work/works dance/dances smile/smiles
SLEEP/SLEEPS rest/rests fall/falls listen/listens cry/cries travel/travels jump/jumps
SEE/SEES see/sees like/likes follow/follows know/knows watch/watches love/loves find/finds hear/hears help/helps
SEE/SEES remember/remembers carry/carries call/calls draw/draws chase/chases fear/fears paint/paints trust/trusts
SEE/SEES visit/visits feed/feeds hide/hides
NOUN/NOUNS dog/dogs cat/cats child/children bird/birds teacher/teachers king/kings farmer/farmers horse/horses
NOUN/NOUNS doctor/doctors girl/girls boy/boys sailor/sailors wolf/wolves queen/queens baker/bakers fox/foxes
NOUN/NOUNS painter/painters mouse/mice soldier/soldiers neighbour/neighbours poet/poets bear/bears guest/guests
NOUN/NOUNS thief/thieves cow/cows dancer/dancers goat/goats nurse/nurses owl/owls singer/singers duck/ducks
NOUN/NOUNS judge/judges frog/frogs giant/giants rabbit/rabbits monk/monks
"""

Rule: TypeAlias = tuple[str, ...]
Choice: TypeAlias = tuple[str, int]  # a symbol, and the number of one of its rules


def read_rules() -> dict[str, list[tuple[float, Rule]]]:
    """The rules of each symbol with their probabilities."""
    weights: dict[str, list[tuple[float, Rule]]] = {"SENTENCE": [(1.0, (kind.upper(),)) for kind in KINDS]}
    for line in RULES.strip().splitlines():
        symbol, _, options = line.partition(" ")
        rules = [(float(weight), tuple(parts)) for weight, *parts in map(str.split, options.split("|"))]
        weights[symbol] = weights.get(symbol, []) + rules
    for line in WORDS.strip().splitlines():
        symbols, *words = line.split()
        for form, symbol in enumerate(symbols.split("/")):
            known = weights.setdefault(symbol, [])
            # Frequencies fall as 1/2, 1/3, 1/4 ... (Zipf).
            known += [(1 / (2 + rank), (word.split("/")[form],)) for rank, word in enumerate(words, len(known))]
    totals = {symbol: sum(weight for weight, _ in rules) for symbol, rules in weights.items()}
    return {symbol: [(weight / totals[symbol], parts) for weight, parts in rules] for symbol, rules in weights.items()}


def cumulative(grammar: dict[str, list[tuple[float, Rule]]]) -> dict[str, list[float]]:
    """For each rule of a symbol, the probability of it or of one before it."""
    return {symbol: list(accumulate(probability for probability, _ in rules)) for symbol, rules in grammar.items()}


GRAMMAR = read_rules()
CUMULATIVE = cumulative(GRAMMAR)  # what sentences are drawn with


def sentence(source: random.Random, symbol: str = "SENTENCE") -> list[str]:
    """Draw the words of one sentence from the grammar."""
    if symbol not in GRAMMAR:
        return [symbol]
    ((_, parts),) = source.choices(GRAMMAR[symbol], cum_weights=CUMULATIVE[symbol])
    return [word for part in parts for word in sentence(source, part)]


def derivation(words: Sequence[str], symbol: str = "SENTENCE") -> list[Choice] | None:
    """Parse a sentence: the rule of each symbol in it, or None if it is not grammatical.

    Args:
        words: Of the sentence, with its full stop or question mark.
        symbol: SENTENCE, or STATEMENT, QUESTION or COMMAND for one of that kind.
    """

    @functools.cache
    def ends(symbol: str, start: int) -> dict[int, tuple[Choice, ...]]:
        """Where expansions of a symbol that start here can end, each with its rules."""
        if symbol not in GRAMMAR:
            return {start + 1: ()} if start < len(words) and words[start] == symbol else {}
        found: dict[int, tuple[Choice, ...]] = {}
        for number, (_, parts) in enumerate(GRAMMAR[symbol]):
            reached: dict[int, tuple[Choice, ...]] = {start: ((symbol, number),)}
            for part in parts:
                reached = {
                    end: before + choices
                    for place, before in reached.items()
                    for end, choices in ends(part, place).items()
                }
            found |= reached
        return found

    choices = ends(symbol, 0).get(len(words))
    return None if choices is None else list(choices)


def log_probability(words: Sequence[str]) -> float:
    """The log-probability of a sentence in nats; minus infinity if it is not grammatical."""
    choices = derivation(words)
    if choices is None:
        return -math.inf
    return sum(math.log(GRAMMAR[symbol][number][0]) for symbol, number in choices)


def entropy(derivations: Sequence[Sequence[Choice]]) -> float:
    """The entropy in nats per sentence of the grammar with rule probabilities estimated from these derivations.

    With the grammar's own probabilities it is its own entropy. Of sentences that are less free than the grammar (a few
    that come again and again, say) it is an upper bound: look at how many are different, too.
    """
    counts = Counter(choice for choices in derivations for choice in choices)
    totals: Counter[str] = Counter()
    for (symbol, _), count in counts.items():
        totals[symbol] += count
    nats = sum(count * math.log(totals[symbol] / count) for (symbol, _), count in counts.items())
    return nats / len(derivations)


def corpus(sentences: int = SENTENCES, seed: int = 0) -> datasets.Dataset:
    """Sentences as a dataset: ``text`` and ``label`` (the kind of sentence); the same for the same seed.

    Args:
        sentences: How many; the first ones of a larger corpus are those of a smaller one.
        seed: Another seed draws other sentences from the same grammar.
    """
    source = random.Random(seed)
    labels, texts = [], []
    for _ in range(sentences):
        labels.append(source.randrange(len(KINDS)))
        texts.append(" ".join(sentence(source, KINDS[labels[-1]].upper())))
    schema = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=list(KINDS)))
    table = datasets.table.InMemoryTable(pyarrow.table({"text": texts, "label": labels}, schema=schema.arrow_schema))
    # The fingerprint depends on this file and the arguments, so that the same corpus is not encoded twice.
    model = hashlib.sha256(Path(__file__).read_bytes() + f"{sentences} {seed}".encode()).hexdigest()[:16]
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=schema), fingerprint=model)
