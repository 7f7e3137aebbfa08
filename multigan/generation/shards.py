"""Many samples as a dataset: in shards that any number of processes write between them, and that can be continued.

What is in a shard follows from the model, the seed and the numbers of its samples, so the files are the same for any
number of processes. A shard appears when it is whole; those that are there already are not made again.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from multigan.errors import UserError
from multigan.files import ASIDE, clean, sync, write_text
from multigan.generation import provenance
from multigan.generation.generator import BATCH, TrainedGenerator, label_names
from multigan.modality import JOINED

MOST, VALUES = 4096, 2**27  # samples of a shard, and values in its samples, at most
MANIFEST = "generated.json"
KINDS = {".png": "image", ".jpg": "image", ".jpeg": "image", ".wav": "audio", ".flac": "audio"}  # names of columns


@dataclass(frozen=True)
class Request:
    """What is to be generated.

    Attributes:
        generator: The model.
        count: Samples in all.
        label: As in `TrainedGenerator.generate`.
        options: Further arguments of `TrainedGenerator.batches`.
        record: What made them: the model and its weights.
        marked: Whether files say so.
    """

    generator: TrainedGenerator
    count: int
    label: Sequence[str] | None
    options: Mapping[str, Any]
    record: Mapping[str, Any]
    marked: bool = True

    def batches(self, blocks: range) -> Iterator[Tensor]:
        """The samples in these batches of 32."""
        return self.generator.batches(self.count, label=self.label, blocks=blocks, **self.options)

    def labels(self, numbers: range) -> list[str]:
        """The class of each sample; nothing for an unconditional model."""
        conditions = self.generator.conditions(self.label)
        names = [] if conditions is None else label_names(conditions, self.generator.classes)
        return [names[number % len(names)] for number in numbers] if names else []

    def said(self) -> dict[str, Any]:
        """What all files have in common."""
        return {**self.record, **{key: value for key, value in self.options.items() if value is not None}}


@dataclass(frozen=True)
class Content:
    """The samples of a shard: files, or texts.

    Attributes:
        numbers: Which samples.
        labels: The class of each, if there are any.
        files: One a sample.
        texts: One a sample, where there are no files.
    """

    numbers: range
    labels: Sequence[str]
    files: Sequence[Path] = ()
    texts: Sequence[str] = ()


def prepare(request: Request, folder: Path, form: str) -> list[range]:
    """Make the folder, or find that it has shards of the same request; the numbers of the samples of each shard.

    Raises:
        UserError: The folder has something else, or the model makes what this format does not hold.
    """
    first = next(request.batches(range(1)))
    size = max(BATCH, min(MOST, VALUES // first[0].numel() // BATCH * BATCH))
    shards = [range(start, min(start + size, request.count)) for start in range(0, request.count, size)]
    known = {**request.record, "form": form, "samples": request.count, "labels": request.label, "shard": size}
    known |= {"provenance": request.marked, "options": dict(request.options)}
    manifest = json.dumps(known, indent=2, default=str) + "\n"
    file = folder / MANIFEST
    if file.is_file():
        if file.read_text(encoding="utf-8") != manifest:
            raise UserError(f"{folder} has samples that were asked for in another way: choose a new folder with --out")
        clean(folder)
        return shards
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: choose a new folder with --out")
    with tempfile.TemporaryDirectory() as scratch:  # what does not fit is said before there is a folder
        FORMS[form][0](contents(request, iter([first]), range(len(first)), Path(scratch)), request, Path(scratch))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, manifest)
    return shards


def place(folder: Path, form: str, shard: int, shards: Sequence[range]) -> Path:
    """Where a shard is, or will be."""
    return folder / FORMS[form][1].format(shard, len(shards))


def write(request: Request, folder: Path, form: str, shard: int, shards: Sequence[range]) -> None:
    """Write one shard.

    Args:
        request: What is generated.
        folder: As `prepare` made it.
        form: A name in `FORMS`.
        shard: Which.
        shards: As `prepare` returned them.
    """
    target, numbers = place(folder, form, shard, shards), shards[shard]
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=ASIDE, dir=folder) as scratch:
        blocks = range(numbers.start // BATCH, -(-numbers.stop // BATCH))
        content = contents(request, request.batches(blocks), numbers, Path(scratch))
        if request.marked and form != "parquet":  # which says it once, instead of in each cell
            for at, (number, file) in enumerate(zip(numbers, content.files, strict=False)):
                label = {"label": content.labels[at]} if content.labels else {}
                provenance.mark(file, {**request.said(), "sample": number, **label})
        made = FORMS[form][0](content, request, Path(scratch))
        for file in (*(made.iterdir() if made.is_dir() else ()), made):
            sync(file)
        made.replace(target)
        sync(target.parent)


def contents(request: Request, batches: Iterator[Tensor], numbers: range, scratch: Path) -> Content:
    """The samples as files in a folder, or as texts.

    Raises:
        UserError: The modality does neither save a file for each sample nor make texts.
    """
    modality, labels = request.generator.modality, request.labels(numbers)
    first = next(batches)

    def every() -> Iterator[Tensor]:
        yield first
        yield from batches

    if isinstance(modality.to_outputs(first[:1])[0], str):
        return Content(numbers, labels, texts=[text for batch in every() for text in modality.to_outputs(batch)])
    samples = scratch / "samples"
    samples.mkdir()
    files = modality.save(every(), samples, labels)
    if len(files) != len(numbers):
        raise UserError("this modality does not save a file for each sample: leave out --format")
    return Content(numbers, labels, files)


def parquet(content: Content, request: Request, scratch: Path) -> Path:
    """A table of the samples, and of their classes if there are any."""
    import datasets
    import pyarrow.parquet as pq

    generator, labels = request.generator, content.labels
    bytes_and_path = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    kind = "text" if content.texts else KINDS.get(content.files[0].suffix, "file")
    types: dict[str, Any] = {"image": datasets.Image(), "text": datasets.Value("string")}
    features: dict[str, Any] = {kind: types.get(kind, bytes_and_path)}
    cells: list[Any] = [{"bytes": file.read_bytes(), "path": None} for file in content.files]
    columns: dict[str, list[Any]] = {kind: cells or list(content.texts)}
    if labels and generator.combinations:
        columns["label"] = [several(label) for label in labels]
        features["label"] = datasets.List(datasets.Value("string"))
    elif labels:
        columns["label"] = list(labels)
        features["label"] = datasets.ClassLabel(names=list(generator.classes))
    file = scratch / "shard.parquet"
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features)).with_format("arrow")[:]
    schema, numbers = datasets.Features(features).arrow_schema, content.numbers
    if request.marked:
        record = {**request.said(), "sample": numbers.start, "samples": len(numbers)}
        schema = schema.with_metadata({**(schema.metadata or {}), **provenance.of_table(record)})
    pq.write_table(table.cast(schema), file)
    return file


def webdataset(content: Content, request: Request, scratch: Path) -> Path:
    """A tar of the files or texts, each beside one with its class."""
    shard = scratch / "shard.tar"
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as tar:
        for at, number in enumerate(content.numbers):
            if content.texts:
                parts = {".txt": content.texts[at].encode()}
            else:
                parts = {content.files[at].suffix: content.files[at].read_bytes()}
            if content.labels:
                label = content.labels[at]
                value = several(label) if request.generator.combinations else label
                parts[".label.json"] = json.dumps(value, ensure_ascii=False).encode()
            for ending, part in parts.items():
                entry = tarfile.TarInfo(f"{number:09d}{ending}")
                entry.size = len(part)
                tar.addfile(entry, io.BytesIO(part))
    return shard


def folder_of_files(content: Content, request: Request, scratch: Path) -> Path:
    """A folder of the files and a metadata.csv, or metadata.jsonl where samples have several classes."""
    if not content.files or content.files[0].suffix not in KINDS:
        raise UserError("format imagefolder is for pictures and sounds: expected parquet or webdataset for this model")
    folder = content.files[0].parent
    write_metadata(content.files, content.labels, bool(request.generator.combinations), folder)
    return folder


def several(label: str) -> list[str]:
    """NAME+NAME as a list."""
    return [name for name in label.split(JOINED) if name]


def write_metadata(files: Sequence[Path], labels: Sequence[str], combined: bool, folder: Path) -> None:
    """Write the class of each file, or its ``combined`` classes, which makes the folder a dataset to train on."""
    if combined:
        lines = [{"file_name": file.name, "label": several(label)} for file, label in zip(files, labels, strict=True)]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
        return
    with (folder / "metadata.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["file_name", "label"] if labels else ["file_name"])
        for number, file in enumerate(files):
            writer.writerow([file.name, *labels[number : number + 1]])


Form = Callable[[Content, Request, Path], Path]
# Name -> what packs the samples of a shard, and what a shard is called, by its number and that of all.
FORMS: dict[str, tuple[Form, str]] = {
    "parquet": (parquet, "train-{:05d}-of-{:05d}.parquet"),
    "webdataset": (webdataset, "train-{:05d}-of-{:05d}.tar"),
    "imagefolder": (folder_of_files, "train/{:05d}"),
}
