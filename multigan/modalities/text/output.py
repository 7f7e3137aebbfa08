"""Samples as sentences: files, and a preview."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch import Tensor

PREVIEWED = 20  # sentences in a preview


def save(
    batches: Iterable[Tensor], folder: Path, to_outputs: Callable[[Tensor], list[str]], labels: Sequence[str]
) -> list[Path]:
    """Write all sentences into samples.txt, a line each, or with their classes into samples.jsonl."""
    file = folder / ("samples.jsonl" if labels else "samples.txt")
    number = 0
    with file.open("w", encoding="utf-8") as opened:
        for batch in batches:
            for text in to_outputs(batch):
                row = {"text": text, "label": labels[number]} if labels else None
                opened.write((json.dumps(row, ensure_ascii=False) if row else one_line(text)) + "\n")
                number += 1
    return [file]


def preview(texts: list[str], path: Path, labels: Sequence[str]) -> list[Path]:
    """Write the first sentences into a text file, after their classes if any."""
    file = path.with_name(f"{path.name}.txt")
    width = max(map(len, labels), default=0)
    lines = [f"{label:{width}}  {one_line(text)}" for label, text in zip(labels, texts, strict=False)]
    lines = lines or [one_line(text) for text in texts]
    file.write_text("\n".join(lines[:PREVIEWED]) + "\n", encoding="utf-8")
    return [file]


def one_line(text: str) -> str:
    """Text with escaped line breaks, without one at its end."""
    return "\\n".join(text.splitlines())
