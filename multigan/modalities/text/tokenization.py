"""Tokenizers, kept as JSON, and sentences as rows of token ids."""

import functools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from multigan.errors import UserError

Kind: TypeAlias = Literal["word", "bpe", "character"]

SPACELESS = 0.5  # share of lines without spaces above which words are not useful tokens: names, Chinese
RARE = 0.02  # share of unknown words above which subwords are better tokens
BYTES = 257  # the smallest vocabulary of bpe: all bytes and the end of a sentence
# The first has spaces in it, so that no tokenizer makes such a token of a text; the second in a text is what it says.
END, UNKNOWN = "<end of sentence>", "<unk>"


def choose(texts: Iterator[str], vocabulary_size: int) -> tuple[Kind, str]:
    """The tokenizer that suits sentences, and why.

    Args:
        texts: The sentences, none of them blank.
        vocabulary_size: Tokens at most.
    """
    words: Counter[str] = Counter()
    rows = spaceless = 0
    for text in texts:
        split = text.split()
        words.update(split)
        rows, spaceless = rows + 1, spaceless + (len(split) == 1)
    share = spaceless / max(rows, 1)
    if share > SPACELESS:
        return "character", f"{share:.0%} of the lines have no spaces in them"
    rare = 1 - sum(count for _, count in words.most_common(vocabulary_size - 2)) / max(words.total(), 1)
    if rare > RARE and vocabulary_size >= BYTES:
        return "bpe", f"{rare:.0%} of the words are not among the {vocabulary_size:,} commonest"
    return "word", f"{1 - rare:.0%} of the words are among the {vocabulary_size:,} commonest"


def train(texts: Iterator[str], kind: Kind, vocabulary_size: int, minimum_count: int) -> str:
    """Train a tokenizer on sentences; returns its JSON.

    Args:
        texts: The sentences.
        kind: word takes what stands between spaces; bpe joins bytes that often stand together, and knows all text;
            character takes every sign.
        vocabulary_size: Tokens at most, the end of a sentence and the unknown word among them.
        minimum_count: A rarer word, pair or sign is none of them.
    """
    options: dict[str, Any] = {"vocab_size": vocabulary_size, "min_frequency": minimum_count, "show_progress": False}
    trainer: Any
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(special_tokens=[END], initial_alphabet=alphabet, **options)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        trainer = trainers.WordLevelTrainer(special_tokens=[END, UNKNOWN], **options)
        if kind == "word":
            tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            texts = (" ".join(word for word in text.split() if word != UNKNOWN) for text in texts)
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
            tokenizer.decoder = decoders.Fuse()
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


@functools.lru_cache(maxsize=8)
def tokenizer(vocabulary: str) -> Tokenizer:
    """The tokenizer of a JSON that `train` or `transformers` has written.

    Raises:
        UserError: It is something else.
    """
    try:
        found = Tokenizer.from_str(vocabulary)
    except Exception as error:  # the library raises bare exceptions
        raise UserError(f"the vocabulary is no tokenizer of the tokenizers library: {error}") from error
    found.encode_special_tokens = True  # special tokens in a text are ordinary text
    found.no_padding()
    found.no_truncation()
    return found


def unknown_token(vocabulary: str) -> int | None:
    """The id of the unknown token, if there is one."""
    name = json.loads(vocabulary)["model"].get("unk_token")
    return tokenizer(vocabulary).token_to_id(name) if name else None


def wrapped(vocabulary: str, begin: int, end: int) -> Any:
    """The same as a ``PreTrainedTokenizerFast`` of `transformers`, for use outside of multigan."""
    from transformers import PreTrainedTokenizerFast

    coder = tokenizer(vocabulary)
    before, after, unknown = (
        None if one is None else coder.id_to_token(one) for one in (begin, end, unknown_token(vocabulary))
    )
    options = {"bos_token": before, "eos_token": after, "pad_token": after, "unk_token": unknown}
    given = {name: token for name, token in options.items() if token is not None}
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=coder, clean_up_tokenization_spaces=False, **given)


def size(vocabulary: str) -> int:
    """How many tokens there are."""
    return int(tokenizer(vocabulary).get_vocab_size()) if vocabulary else 1


def described(vocabulary: str) -> dict[str, Any]:
    """What turns token numbers into a sentence, without the library: for models that are exported.

    Returns:
        ``tokens``, by number; and ``joined``: words by spaces, characters and bytes by nothing. Bytes are as GPT-2
        writes them, a letter for each. None where the tokenizer joins them in some other way: use its tokenizer.json.
    """
    coder = tokenizer(vocabulary)
    known = json.loads(vocabulary)
    kind = (known.get("decoder") or {}).get("type")
    joined = {None: "words", "Fuse": "characters", "ByteLevel": "bytes"}.get(kind)
    return {"tokens": [coder.id_to_token(number) or "" for number in range(size(vocabulary))], "joined": joined}


def encode(text: Any, vocabulary: str, end: int, length: int, drop: bool) -> NDArray[numpy.int32] | None:
    """A sentence as token numbers ``(length,)``, filled up with its end; None for one that is left out.

    Raises:
        ValueError: It is no text.
    """
    if not isinstance(text, str | None):
        raise ValueError(f"a cell of {type(text).__name__} is no sentence: expected text")
    ids = tokenizer(vocabulary).encode(text, add_special_tokens=False).ids if text and text.strip() else []
    if not ids or (drop and len(ids) >= length):
        return None
    encoded = numpy.full(length, end, numpy.int32)
    encoded[: len(ids)] = ids[:length]
    return encoded


def decode(tokens: NDArray[numpy.int64], vocabulary: str, end: int) -> list[str]:
    """Token numbers ``(N, T)`` as sentences, each up to its end."""
    coder = tokenizer(vocabulary)
    ends = [numpy.flatnonzero(row == end)[:1] for row in tokens]
    cut = [row[: place[0]] if len(place) else row for row, place in zip(tokens, ends, strict=True)]
    return list(coder.decode_batch([row.tolist() for row in cut], skip_special_tokens=False))


def prefix(text: str, vocabulary: str, length: int) -> list[int]:
    """The beginning of a sentence as token numbers.

    Raises:
        UserError: It has words that are not in the vocabulary, or leaves no room for another.
    """
    coder = tokenizer(vocabulary)
    encoded = coder.encode(text, add_special_tokens=False)
    unknown = unknown_token(vocabulary)
    strange = [
        text[start:stop]
        for number, (start, stop) in zip(encoded.ids, encoded.offsets, strict=True)
        if number == unknown
    ]
    if strange:
        raise UserError(f"prefix is {text!r}: the model does not know {', '.join(map(repr, strange))}")
    if len(encoded.ids) >= length:
        raise UserError(f"prefix is {len(encoded.ids)} tokens: expected less than the {length} that the model makes")
    return list(encoded.ids)
