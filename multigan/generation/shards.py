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

from multigan.errors import UserError
from multigan.files import ASIDE, write_text
from multigan.generation import provenance
from multigan.generation.generator import BATCH, TrainedGenerator, label_names
from multigan.modality import JOINED

MOST, VALUES = 4096, 2**27  # samples of a shard, and values in its samples, at most
MANIFEST = "generated.json"
KINDS = {".png": "image", ".jpg": "image", ".wav": "audio", ".flac": "audio"}  # what datasets calls files


@dataclass(frozen=True)
class Request:
    """What is to be generated.

    Attributes:
        generator: The model.
        count: Samples in all.
        label: As in `TrainedGenerator.generate`.
        options: Further arguments of `TrainedGenerator.batches`.
        record: What files say of what made them; None where they say nothing.
    """

    generator: TrainedGenerator
    count: int
    label: Sequence[str] | None
    options: Mapping[str, Any]
    record: Mapping[str, Any] | None = None

    def batches(self, blocks: Iterator[int] | range | None = None) -> Iterator[Any]:
        return self.generator.batches(self.count, label=self.label, blocks=blocks, **self.options)


def prepare(request: Request, folder: Path, form: str) -> list[range]:
    """Make the folder, or find that it has shards of the same request; the numbers of the samples of each shard.

    Raises:
        UserError: The folder has something else, or the model makes what this format does not hold.
    """
    first = next(request.batches(range(1)))
    size = max(BATCH, min(MOST, VALUES // first[0].numel() // BATCH * BATCH))
    shards = [range(start, min(start + size, request.count)) for start in range(0, request.count, size)]
    known = {**(request.record or {}), "form": form, "samples": request.count, "labels": request.label, "shard": size}
    manifest = json.dumps({**known, "options": dict(request.options)}, indent=2, default=str) + "\n"
    file = folder / MANIFEST
    if file.is_file():
        if file.read_text(encoding="utf-8") != manifest:
            raise UserError(f"{folder} has samples that were asked for in another way: choose a new folder with --out")
        return shards
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: choose a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, manifest)
    return shards


def write(request: Request, folder: Path, form: str, shard: int, shards: Sequence[range]) -> bool:
    """Write one shard, unless it is there.

    Args:
        request: What is generated.
        folder: Where to.
        form: A name in `FORMS`.
        shard: Which.
        shards: As `prepare` returned them.

    Returns:
        Whether it was made.

    Raises:
        UserError: The model makes what this format does not hold.
    """
    form_of, name = FORMS[form]
    target = folder / name.format(shard, len(shards))
    if target.exists():
        return False
    numbers, generator = shards[shard], request.generator
    conditions = generator.conditions(request.label)
    names = [] if conditions is None else label_names(conditions, generator.classes)
    labels = [names[number % len(names)] for number in numbers] if names else []
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=ASIDE, dir=folder) as room:
        samples = Path(room) / "samples"
        samples.mkdir()
        blocks = range(numbers.start // BATCH, -(-numbers.stop // BATCH))
        files = generator.modality.save(request.batches(blocks), samples, labels)
        said = None
        if request.record is not None:
            said = {**request.record, **{key: value for key, value in request.options.items() if value is not None}}
        if said is not None and form != "parquet" and len(files) == len(numbers):
            for place, (number, file) in enumerate(zip(numbers, files, strict=True)):
                label = {"label": labels[place]} if labels else {}
                provenance.mark(file, {**said, "sample": number, **label})
        made = form_of(files, labels, numbers, generator, Path(room))
        if said is not None and form == "parquet":  # once, instead of in each cell
            provenance.mark(made, {**said, "sample": numbers.start, "samples": len(numbers)})
        made.replace(target)
    return True


def rows(files: Sequence[Path], labels: Sequence[str], numbers: range) -> tuple[str, list[Any]]:
    """The column of the samples, and its cells: the bytes of a file each, or the lines of one file.

    Raises:
        UserError: There is neither a file nor a line for each sample.
    """
    if len(files) == len(numbers):
        kind = KINDS.get(files[0].suffix, "file")
        return kind, [{"bytes": file.read_bytes(), "path": None} for file in files]
    lines = files[0].read_text(encoding="utf-8").split("\n")[:-1] if len(files) == 1 else []
    if len(lines) != len(numbers):
        raise UserError("this modality saves samples neither as a file nor as a line each: leave out --format")
    return "text", [json.loads(line)["text"] if labels else line for line in lines]


def parquet(
    files: Sequence[Path], labels: Sequence[str], numbers: range, generator: TrainedGenerator, room: Path
) -> Path:
    """A table of the samples, and of their classes if there are any."""
    import datasets
    import pyarrow.parquet as pq

    kind, cells = rows(files, labels, numbers)
    bytes_and_path = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    types: dict[str, Any] = {"image": datasets.Image(), "text": datasets.Value("string")}
    features: dict[str, Any] = {kind: types.get(kind, bytes_and_path)}
    columns: dict[str, list[Any]] = {kind: cells}
    if labels and generator.combinations:
        columns["label"] = [[name for name in label.split(JOINED) if name] for label in labels]
        features["label"] = datasets.List(datasets.Value("string"))
    elif labels:
        columns["label"] = list(labels)
        features["label"] = datasets.ClassLabel(names=list(generator.classes))
    file = room / "shard.parquet"
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features)).with_format("arrow")[:]
    pq.write_table(table.cast(datasets.Features(features).arrow_schema), file)
    return file


def webdataset(
    files: Sequence[Path], labels: Sequence[str], numbers: range, generator: TrainedGenerator, room: Path
) -> Path:
    """A tar of the files, each beside one with its class."""
    kind, cells = rows(files, labels, numbers)
    ending = ".txt" if kind == "text" else files[0].suffix
    shard = room / "shard.tar"
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as tar:
        for place, (number, cell) in enumerate(zip(numbers, cells, strict=True)):
            contents = {ending: cell.encode() if isinstance(cell, str) else cell["bytes"]}
            if labels:
                contents[".json"] = json.dumps({"label": labels[place]}, ensure_ascii=False).encode()
            for end, content in contents.items():
                entry = tarfile.TarInfo(f"{number:09d}{end}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return shard


def folder_of_files(
    files: Sequence[Path], labels: Sequence[str], numbers: range, generator: TrainedGenerator, room: Path
) -> Path:
    """A folder of the files and a metadata.csv, or metadata.jsonl where samples have several classes."""
    if len(files) != len(numbers) or files[0].suffix not in KINDS:
        raise UserError("this modality saves neither pictures nor sounds: expected format parquet or webdataset")
    write_metadata(list(files), list(labels), bool(generator.combinations), files[0].parent)
    return files[0].parent


def write_metadata(files: list[Path], labels: list[str], several: bool, folder: Path) -> None:
    """Write the class of each file, or its ``several`` classes, which makes the folder a dataset to train on."""
    if several:
        lines = [
            {"file_name": file.name, "label": [name for name in label.split(JOINED) if name]}
            for file, label in zip(files, labels, strict=True)
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
        return
    with (folder / "metadata.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["file_name", "label"] if labels else ["file_name"])
        for number, file in enumerate(files):
            writer.writerow([file.name, *labels[number : number + 1]])


Form = Callable[[Sequence[Path], Sequence[str], range, TrainedGenerator, Path], Path]
# Name -> what packs the files of a shard, and what a shard is called, by its number and that of all.
FORMS: dict[str, tuple[Form, str]] = {
    "parquet": (parquet, "train-{:05d}-of-{:05d}.parquet"),
    "webdataset": (webdataset, "train-{:05d}-of-{:05d}.tar"),
    "imagefolder": (folder_of_files, "train/{:05d}"),
}
