"""What the playground offers: models and runs by name.

Whatever a page asks for is looked up here, and never opened as a path. Nothing here imports torch, so that the first
page does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multigan.config import CONFIG_FILE
from multigan.errors import UserError
from multigan.generation.model_folder import CONFIG, RUNS, STARTERS, find, read_config

BEST = "best"  # where a run keeps its best generator


class Library:
    """The models and runs of a session.

    Args:
        named: What the command names; empty for the starters and everything under ``runs/``.
        modality: The modality of those whose modality is not installed by name.
        root: Where new runs are made, and looked for if nothing is named.

    Raises:
        UserError: Something that is named is neither a model nor a run.
    """

    def __init__(self, named: Sequence[str], modality: str | None = None, root: Path = RUNS) -> None:
        self.modality, self.root = modality, root
        self.everything = not named
        self.named = [name for name in named if not is_run(Path(name).expanduser())]
        self.folders = {name: find(name) for name in self.named}
        self.named_runs = {name: Path(name).expanduser() for name in named if name not in self.folders}

    def runs(self) -> dict[str, Path]:
        """The folders of all runs by name, the newest first."""
        found = dict(self.named_runs)
        if self.everything and self.root.is_dir():
            found |= {str(self.root / path.name): path for path in self.root.iterdir() if is_run(path)}

        def started(item: tuple[str, Path]) -> float:
            file = item[1] / CONFIG_FILE
            return file.stat().st_mtime if file.is_file() else math.inf  # it is about to be written

        return dict(sorted(found.items(), key=started, reverse=True))

    def add_run(self, folder: Path) -> str:
        """A run that was started here, under its name."""
        self.named_runs[str(folder)] = folder
        return str(folder)

    def models(self) -> dict[str, Path]:
        """The folders of all models by name: those of runs, and starters or what is named."""
        found: dict[str, Path] = {}
        for name, folder in self.runs().items():
            for model, place in ((name, folder / "model"), (f"{name}/{BEST}", folder / BEST)):
                if (place / CONFIG).is_file():
                    found[model] = place
        starters = {f"starter/{file.parent.name}": file.parent for file in STARTERS.glob(f"*/{CONFIG}")}
        return found | (starters if self.everything else self.folders)

    def described(self) -> list[dict[str, Any]]:
        """What is known of each model from its settings alone."""
        rows = []
        for name, folder in self.models().items():
            try:
                values = read_config(folder)
            except UserError as error:
                rows.append({"id": name, "error": str(error)})
                continue
            known = {key: values["training"].get(key) for key in ("name", "dataset", "steps", "generated")}
            rows.append({"id": name, "modality": values["modality"], **known})
        return rows

    def modality_for(self, folder: Path) -> str | None:
        """The modality to load a model with, None for its own: a file must not choose what is imported."""
        return self.modality if ":" in read_config(folder)["modality"] else None


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return (folder / CONFIG_FILE).is_file()


def known(names: dict[str, Path], name: Any) -> Path:
    """The folder of that name.

    Raises:
        LookupError: There is none.
    """
    if not isinstance(name, str) or name not in names:
        raise LookupError(f"there is no {name!r} here")
    return names[name]
