"""What `multigan generate` does with models that make something of inputs: finds, names and shows these."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigan.cli.writing import PREVIEWED
from multigan.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from multigan.data.listing import Say
    from multigan.generation.generator import TrainedGenerator
    from multigan.interface import Condition
    from multigan.modality import Modality, Preview

PREVIEWED_NUMBERS = 2**24  # in the outputs that are shown together, unless one has more
PREVIEWS = 8  # pictures of inputs and outputs: one for each size that they have
DRAWN = 10_000  # held-out rows, of which the first are taken: row i does not depend on how many are asked for


def find_inputs(paths: Sequence[Path], endings: Sequence[str], say: Say = print) -> list[Path]:
    """The files that are named, and those with these endings in folders that are named and in folders below.

    Left out of folders are the previews that `multigan generate` wrote into them, which is said.

    Raises:
        UserError: There is no such file, or nothing to read in a folder.
    """
    from multigan.data.listing import by_ending, walk

    found: list[Path] = []
    for path in map(Path.expanduser, paths):
        if path.is_dir():
            listing = walk(path)
            if endings:
                by_ending(listing, endings)
            previews = [file for file in listing.files if re.fullmatch(r"preview(-\d+)?", file.stem)]
            listing.keep([file for file in listing.files if file not in previews], "previews of what was generated")
            for note in listing.notes():
                say(note)
            if not listing.files:
                raise UserError(f"nothing to read in {path}: expected files with {', '.join(endings) or 'any ending'}")
            found += listing.files
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"no such input: {path}")
    return found


def output_names(inputs: Sequence[Path], n: int) -> list[str]:
    """Names without an ending for ``n`` outputs of each input: that of the input, and a number where there are several.

    Another input of the same name has its folder's name before it; if that is taken too, a number.
    """
    from multigan.data.listing import ending_of

    taken, names = {"preview", *(f"preview-{number}" for number in range(2, PREVIEWS + 1))}, []
    for file in inputs:
        stem = file.name[: len(file.name) - len(ending_of(file))]
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        folder = file.resolve().parent.name
        name = next(name for name in itertools.chain((stem, f"{folder}-{stem}"), numbered) if name.lower() not in taken)
        taken.add(name.lower())
        names.append(name)
    return [f"{name}-{number}" if n > 1 else name for name in names for number in range(n)]


def save_outputs(
    modality: Modality,
    outputs: Iterable[tuple[Condition, Tensor]],
    names: Sequence[str],
    folder: Path,
    shown: Shown,
    mark: Callable[[Path, int], object],
) -> None:
    """Write outputs under these names, as the modality saves samples, and keep the first for the preview.

    Args:
        modality: Of the model.
        outputs: What the model was told, and what it made of that.
        names: Of the files, without an ending.
        folder: Where to.
        shown: What is kept.
        mark: Called with each file and the number of its output.
    """
    from multigan.data.listing import ending_of
    from multigan.files import ASIDE

    for number, (name, (condition, output)) in enumerate(zip(names, outputs, strict=True)):
        with tempfile.TemporaryDirectory(prefix=ASIDE, dir=folder) as aside:
            files = modality.save(iter([output]), Path(aside))
            for file in files:
                more = f"-{file.stem}" if len(files) > 1 else ""
                mark(file, number)
                file.replace(folder / f"{name}{more}{ending_of(file)}")
        shown.add(condition, output)


class Shown:
    """The first inputs and their outputs, for a preview: those of one size together, as there is one preview a size."""

    def __init__(self) -> None:
        self.groups: dict[Any, list[tuple[Condition, Tensor]]] = {}

    def add(self, condition: Condition, output: Tensor) -> None:
        """Keep one more, ``(1, *S)``, if there is room for it."""
        from multigan.interface import tensors_of

        shapes = tuple(values.shape for values in (output, *tensors_of(condition)))
        group = self.groups.get(shapes)
        kept = [one.numel() for group in self.groups.values() for _, one in group]
        if kept and (len(kept) >= PREVIEWED or sum(kept) + output.numel() > PREVIEWED_NUMBERS):
            return
        if group is not None or len(self.groups) < PREVIEWS:
            self.groups.setdefault(shapes, []).append((condition, output))

    def write(self, modality: Modality, path: Path) -> Preview:
        """Show them in files named ``path``, with numbers from the second size on."""
        import torch

        from multigan.interface import joined
        from multigan.modality import Preview

        files: list[Path] = []
        artifacts: list[str] = []
        for number, group in enumerate(self.groups.values(), 1):
            conditions, outputs = zip(*group, strict=True)
            place = path if number == 1 else path.with_name(f"{path.name}-{number}")
            written, noticed = modality.preview_pairs(joined(conditions), torch.cat(outputs), None, place)
            files += written
            artifacts += noticed
        return Preview(files, artifacts)


class HeldOut:
    """Held-out rows of the dataset that a model was trained on, as its inputs.

    Args:
        generator: The model.
        count: Rows, at most.
        seed: Decides which.

    Raises:
        UserError: The dataset cannot be had, or nothing of it is held out.
    """

    def __init__(self, generator: TrainedGenerator, count: int, seed: int) -> None:
        from multigan.evaluation.held_out import Rows, open_pair

        known, modality = generator.training, generator.modality
        problem = "this model makes something of inputs: give --input"
        if "dataset" not in known:
            raise UserError(f"{problem}, as it does not say what it was trained on")
        try:
            pair = open_pair(
                modality,
                known["dataset"],
                known.get("subset"),
                known.get("split", "train"),
                bool(known.get("rows_left_out")),
                known.get("held_out"),
                max(count, DRAWN),
                seed,
            )
        except UserError as error:
            raise UserError(f"{problem}, as what it was trained on cannot be had ({error})") from error
        if not len(pair.held_out):
            raise UserError(f"{problem}, as nothing is held out of what it was trained on")
        self.generator = generator
        self.rows = Rows(pair.held_out.data, pair.held_out.numbers[:count])
        self.name = f"{pair.name} of {known['dataset']}"
        self.shown: list[tuple[Condition, Tensor]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def conditions_of(self, numbers: range) -> Condition:
        """What the generator is told of these rows; what is shown of the first of them is kept."""
        from multigan.interface import each_tensor

        device = next(self.generator.network.parameters()).device
        real, condition = self.rows.pair(self.generator.modality, numbers.start, numbers.stop, device)
        if sum(len(one) for _, one in self.shown) < PREVIEWED:
            self.shown.append((each_tensor(condition, lambda values: values.cpu()), real.cpu()))
        return condition

    def preview(self, generated: Tensor, path: Path) -> Preview:
        """Show inputs, the outputs ``(N, *S)`` that were made of the first of them, and the truth if it is known."""
        import torch

        from multigan.evaluation.held_out import has_truth
        from multigan.interface import each_tensor, joined

        modality, count = self.generator.modality, len(generated)
        condition = each_tensor(joined([told for told, _ in self.shown]), lambda values: values[:count])
        real = torch.cat([one for _, one in self.shown])[:count]
        known = not modality.unpaired or has_truth(self.rows)
        return modality.preview_pairs(condition, generated, real if known else None, path)


def begun(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, with the first of them made at once."""
    return itertools.chain([next(items)], items)
