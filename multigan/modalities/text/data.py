"""Rows of a dataset as sentences, and the choice of tokenizer and length."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import datasets
import numpy
from tqdm import tqdm

from multigan.columns import AnyDataset, columns, named, usual
from multigan.errors import UserError
from multigan.modalities.text.tokenization import tokenizer, unknown_token

TEXT_NAMES = ("text", "sentence", "caption", "content", "line", "lyrics", "poem", "review", "title", "document")
STREAM_LOOKED_AT = 10_000  # sentences of a stream that are inspected
ROWS = 1000  # read between two updates of the progress bar
TEXT_TYPES = ("string", "large_string", "string_view")
LONGEST = 64  # tokens, the longest default length
HELD = 99  # percent of the sentences that the default length holds


def find_text_column(dataset: AnyDataset, name: str | None) -> str:
    """The column of sentences: the one named, else one of a usual name, else the only one of text.

    Raises:
        UserError: There is none, or there are several.
    """
    if name is not None:
        return named(dataset, name, "text_column")
    features, known = dataset.features or {}, columns(dataset)
    found = usual(dataset, TEXT_NAMES)[:1]
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
    for number, row in enumerate(tqdm(rows, "reading", total, unit=" sentences", disable=quiet), 1):
        text = row[column]
        if not isinstance(text, str | None):
            raise UserError(f"row {number} of column {column!r} holds {text!r}: expected text")
        if text and text.strip():
            yield text


def unrolled(part: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """The texts of a batch of rows."""
    for values in zip(*part.values(), strict=True):
        yield dict(zip(part, values, strict=True))


@dataclass(frozen=True)
class Decision:
    """The conversion of a dataset's sentences, and what the user should know of it."""

    length: int
    notes: tuple[str, ...]


def decide(
    texts: Iterator[str], rows: int | None, vocabulary: str, length: int | None, drop: bool, longest: int | None = None
) -> Decision:
    """Choose a length that holds nearly all sentences, if none is set, and report what happens to the others.

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
        made.append(f"{'left out' if drop else 'truncated'} as too long: {longer:,}")
    if rows is not None and rows > len(counts):
        made.append(f"left out as blank: {rows - len(counts):,}")
    if strange:
        made.append(f"{strange:,} words, {strange / lengths.sum():.1%}, are unknown to it")
    least, half, most = (int(numpy.percentile(lengths, share)) for share in (0, 50, 100))
    plural = "s" * (len(counts) != 1)
    span = f"{least} tokens" if least == most else f"{least} to {most} tokens (half have {half} or less)"
    note = f"{len(counts):,} sentence{plural} of {span}, {'; '.join(made)}"
    return Decision(length, (note,))
