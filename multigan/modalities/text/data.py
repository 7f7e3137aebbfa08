"""Rows of a dataset as sentences: their words counted, a tokenizer trained on them, and each as a row of numbers."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import datasets
import numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from tqdm import tqdm

from multigan.columns import AnyDataset, columns, named
from multigan.errors import UserError

Kind: TypeAlias = Literal["word", "bpe", "character"]

TEXT_NAMES = ("text", "sentence", "caption", "content", "line", "lyrics", "poem", "review", "title", "document")
STREAM_LOOKED_AT = 10_000  # sentences of a stream that are read to see what they are like
ROWS = 1000  # read between two moves of the progress bar
# The first has spaces in it, so that no tokenizer makes such a token of a text; the second in a text is what it says.
END, UNKNOWN = "<end of sentence>", "<unk>"
TEXT_TYPES = ("string", "large_string", "string_view")
LONGEST = 64  # tokens proposed, at most
HELD = 99  # of a hundred sentences, by the length proposed


def find_text_column(dataset: AnyDataset, name: str | None) -> str:
    """The column of sentences: the one named, else one of a usual name, else the only one of text.

    Raises:
        UserError: There is none, or there are several.
    """
    if name is not None:
        return named(dataset, name, "text_column")
    features, known = dataset.features or {}, columns(dataset)
    found = [column for column in TEXT_NAMES if column in known][:1]
    found = found or [column for column, kind in features.items() if getattr(kind, "dtype", None) in TEXT_TYPES]
    if len(found) != 1:
        problem = f"several columns of text ({', '.join(found)})" if found else "no column of text"
        raise UserError(f"{problem} among: {', '.join(known)}; name it with --model.text_column")
    return found[0]


def sentences(dataset: AnyDataset, column: str) -> Iterator[str]:
    """The sentences that are not blank: of all rows, or of the first few thousand of a stream.

    Raises:
        UserError: The column holds something else.
    """
    cells = dataset.select_columns(column)
    streamed = isinstance(dataset, datasets.IterableDataset)
    total = STREAM_LOOKED_AT if streamed else len(dataset)
    quiet = None if total > ROWS else True
    rows = islice(cells, STREAM_LOOKED_AT) if streamed else (row for part in cells.iter(ROWS) for row in unrolled(part))
    for number, row in enumerate(tqdm(rows, "reading", total, unit=" sentences", disable=quiet)):
        text = row[column]
        if not isinstance(text, str | None):
            raise UserError(f"row {number} of column {column!r} holds {text!r}: expected text")
        if text and text.strip():
            yield text


def unrolled(part: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Rows that came together."""
    for values in zip(*part.values(), strict=True):
        yield dict(zip(part, values, strict=True))


# --- tokenizers ---


def train(texts: Iterator[str], kind: Kind, vocabulary_size: int, minimum_count: int) -> str:
    """A tokenizer for these sentences, as JSON.

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
    except Exception as error:  # the library has no type of its own for it
        raise UserError(f"the vocabulary is no tokenizer of the tokenizers library: {error}") from error
    found.encode_special_tokens = True  # a text that names them does not mean them
    found.no_padding()
    found.no_truncation()
    return found


def unknown_token(vocabulary: str) -> int | None:
    """The number of the token for what is in no other, if there is one."""
    name = json.loads(vocabulary)["model"].get("unk_token")
    return tokenizer(vocabulary).token_to_id(name) if name else None


def size(vocabulary: str) -> int:
    """How many tokens there are."""
    return int(tokenizer(vocabulary).get_vocab_size()) if vocabulary else 1


def pretrained(name: str) -> tuple[str, str, int, int | None]:
    """Of a causal language model, by name or folder: tokenizer and configuration as JSON, end token, longest text.

    Raises:
        UserError: It cannot be had, or is of another kind.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoTokenizer

    with to_be_had(name):
        settings = AutoConfig.from_pretrained(name, trust_remote_code=False)
        found = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if type(settings) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ValueError(f"it is a {settings.model_type}, which continues no text")
        if found.eos_token_id is None:
            raise ValueError("its tokenizer has no token for the end of a text")
        coder = found.backend_tokenizer
        if coder.get_vocab_size() > settings.vocab_size:
            raise ValueError(f"its tokenizer has {coder.get_vocab_size()} tokens, the model {settings.vocab_size}")
        longest = getattr(settings, "max_position_embeddings", None)
        return coder.to_str(), json.dumps(settings.to_dict()), found.eos_token_id, longest


def load_pretrained(generator: Any, name: str) -> None:
    """Give a `TransformerGenerator` the weights of a causal language model, by name or folder.

    Raises:
        UserError: It cannot be had.
    """
    from transformers import AutoModelForCausalLM

    decoder = generator.decoder
    with to_be_had(name):
        load: Any = AutoModelForCausalLM.from_pretrained
        found, loading = load(name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True)
        if missing := sorted({*loading["missing_keys"], *loading["mismatched_keys"]}):
            raise ValueError(f"weights are missing: {', '.join(map(str, missing[:3]))}")
        decoder.load_state_dict(found.state_dict())
        # Some scale what they read or what they say between the layers that are used here, some look ahead.
        tokens = (
            torch.arange(2, 8, device=generator.embedding.weight.device)[None] % generator.embedding.weight.shape[0]
        )
        with torch.no_grad():
            theirs, inputs, memory, steps = (
                decoder(input_ids=tokens).logits,
                generator.embedding.weight[tokens],
                None,
                [],
            )
            for place in inputs.unbind(1):
                hidden, memory = generator.step(place, memory)
                steps.append(generator.projection(hidden))
            for ours in (torch.stack(steps, 1), generator.projection(generator.read(inputs))):
                if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
                    raise ValueError(
                        f"it is a {decoder.config.model_type}, which multigan cannot take word by word yet"
                    )


@contextmanager
def to_be_had(name: str) -> Iterator[None]:
    """What goes wrong in loading a pretrained model, in one line."""
    try:
        yield
    except (OSError, ValueError, AttributeError, RuntimeError, ImportError, LookupError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"no causal language model {name!r} to be had: {reason}") from error


# --- sentences as numbers ---


@dataclass(frozen=True)
class Decision:
    """How the sentences of a dataset are made alike, and what the user should know of it."""

    length: int
    notes: tuple[str, ...]


def decide(
    texts: Iterator[str], rows: int | None, vocabulary: str, length: int | None, drop: bool, longest: int | None = None
) -> Decision:
    """A length that holds nearly all sentences and their ends, where none is set, and what becomes of the others.

    Args:
        texts: The sentences.
        rows: How many rows they are from, blank ones among them; None where that is not known.
        vocabulary: The tokenizer, as JSON.
        length: As the user set it.
        drop: Whether longer ones are left out.
        longest: What a pretrained model has room for.

    Raises:
        UserError: There are no sentences, or there is no room.
    """
    if longest is not None and length is not None and length > longest:
        raise UserError(f"length is {length}: the pretrained model has room for {longest}")
    coder = tokenizer(vocabulary)
    unknown = unknown_token(vocabulary)
    counts, strange = [], 0
    while part := list(islice(texts, ROWS)):
        for encoded in coder.encode_batch(part, add_special_tokens=False):
            counts.append(len(encoded.ids))
            strange += encoded.ids.count(unknown) if unknown is not None else 0
    if not counts:
        raise UserError("the dataset has no sentences: all rows are blank" if rows else "the dataset is empty")
    lengths = numpy.array(counts)
    if length is None:
        usual = numpy.percentile(lengths, HELD, method="inverted_cdf")
        length = int(min(usual + 1, LONGEST, longest or LONGEST))
    made = [f"each as {length} tokens with its end", f"a vocabulary of {coder.get_vocab_size():,}"]
    if longer := int((lengths >= length).sum()):
        made.append(f"{longer:,} too long for that {'is' if longer == 1 else 'are'} {'left out' if drop else 'cut'}")
    if rows is not None and rows > len(counts):
        blank = rows - len(counts)
        made.append(f"{blank:,} blank {'one is' if blank == 1 else 'ones are'} left out")
    if strange:
        made.append(f"{strange:,} words, {strange / lengths.sum():.1%}, are unknown to it")
    least, half, most = (int(numpy.percentile(lengths, share)) for share in (0, 50, 100))
    plural = "s" * (len(counts) != 1)
    note = f"{len(counts):,} sentence{plural} of {least} to {most} tokens (half have {half} or less), {'; '.join(made)}"
    return Decision(length, (note,))


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
