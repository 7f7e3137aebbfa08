"""Runs on a page: how far they are, their curves and previews; and starting, stopping and resuming them."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from multigan import registry
from multigan.config import CONFIG_FILE, PLACES, TrainingConfig, configure, flatten, load_file
from multigan.errors import UserError
from multigan.evaluation.report import number, read, words
from multigan.files import lock
from multigan.playground.forms import form
from multigan.playground.library import Library, known
from multigan.playground.outputs import MEDIA
from multigan.training.progress import duration
from multigan.training.run_folder import read_metrics

POINTS = 600  # of a curve, at most
LOG_TAIL = 4000  # characters of what a training prints
STOPPED = 60.0  # seconds in which a run is expected to save itself


class Runs:
    """The runs of a library, and the trainings that were started here.

    What is started here is a child process, `multigan train`, which this session ends when it ends itself: as Ctrl-C
    does, so that it is saved and can be resumed.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.children: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
        self._launching = threading.RLock()  # of a double click only the first starts something

    # --- watching ---

    def summaries(self) -> list[dict[str, Any]]:
        """What the list of runs says of each."""
        return [self.summary(name, folder) for name, folder in self.library.runs().items()]

    def summary(self, name: str, folder: Path) -> dict[str, Any]:
        """How far a run is."""
        found: dict[str, Any] = {"id": name, "modality": "", "step": 0, "total": 0, "state": self.state(name, folder)}
        with contextlib.suppress(UserError):  # damaged, or not written yet
            settings = load_file(folder / CONFIG_FILE)
            total = settings.get("pretraining_steps", 0) + settings.get("steps", 0)
            found |= {"modality": settings.get("modality", ""), "dataset": settings.get("dataset"), "total": total}
        lines = [line for line in read_metrics(folder) if "seconds" in line]
        if lines:
            found["step"] = lines[-1]["step"]
        if found["state"] == "stopped" and found["step"] >= found["total"] > 0:
            found["state"] = "complete"
        return found

    def state(self, name: str, folder: Path) -> str:
        """One of training (started here), training elsewhere, failed, stopped."""
        if name in self.children:
            code = self.children[name][0].poll()
            if code is None:
                return "training"
            if code in (1, 2):
                return "failed"
        try:
            os.close(lock(folder))
        except UserError:
            return "training elsewhere"
        except OSError:  # there is no folder yet
            pass
        return "stopped"

    def detail(self, name: str) -> dict[str, Any]:
        """All that the page of a run shows.

        Raises:
            LookupError: There is no such run.
        """
        from multigan.training.curves import CURVES  # here, because it imports matplotlib

        folder = known(self.library.runs(), name)
        lines = read_metrics(folder)
        measured = [line for line in lines if "seconds" in line]
        found = self.summary(name, folder)
        settings = flatten(load_file(folder / CONFIG_FILE)) if (folder / CONFIG_FILE).is_file() else {}
        if measured and found["state"].startswith("training") and found["step"] < found["total"]:
            rate = measured[-1].get("samples_per_second") or 0
            left = (found["total"] - found["step"]) * settings.get("batch_size", 1) / rate if rate else None
            found |= {"left": left and duration(left), "rate": rate}
        panels = [(title, list(names)) for title, names in CURVES]
        panels += [(words(name), [name]) for name in ("frechet_distance", "recall")]
        curves = [
            {"title": title, "log": title == "gradient norms", "lines": drawn}
            for title, names in panels
            if (drawn := [curve for name in names if (curve := points(lines, name))])
        ]
        models = self.library.models()
        return found | {
            "curves": curves,
            "previews": previews(folder),
            "warnings": warnings(lines),
            "evaluation": evaluation(folder),
            "settings": {name: str(value) for name, value in settings.items() if value not in (None, [], "", {})},
            "log": self.log(name),
            "models": [model for model in (name, f"{name}/best") if model in models],
            "mine": name in self.children,
        }

    def preview(self, name: str, file: str) -> Path:
        """A file of a preview: one that is in the folder of previews, and nothing that a link leads to elsewhere.

        Raises:
            LookupError: There is no such file.
        """
        folder = (known(self.library.runs(), name) / "samples").resolve()
        found = {path.name: path.resolve() for path in folder.glob("step-*") if path.suffix in MEDIA}
        path = known(found, file)
        if path.parent != folder:
            raise LookupError(f"{file} is a link to another place")
        return path

    def log(self, name: str) -> str:
        """The end of what a training that was started here has printed."""
        with self._launching:
            if name not in self.children or self.children[name][1].closed:
                return ""
            text = Path(self.children[name][1].name).read_bytes().decode(errors="replace")
        lines = text.replace("\r\n", "\n").split("\n")
        return "\n".join(line.rpartition("\r")[2] for line in lines)[-LOG_TAIL:].rstrip("\n")

    # --- training ---

    def form(self, modality: str) -> dict[str, Any]:
        """What the form of a new run asks for: the settings of training and of the modality, with their defaults.

        Raises:
            UserError: As `check_installed`.
        """
        self.check_installed(modality)
        config = configure(modality)
        plugin = registry.load(modality)
        without = (*PLACES, "modality", "model", "tracker", "timeout")
        return {
            "modalities": registry.names(),
            "datasets": list(plugin(config.model).builtin_datasets),
            "training": form(TrainingConfig, config, without=without),
            "model": form(plugin.Config, config.model, "model."),
        }

    def check_installed(self, modality: str) -> None:
        """Refuse other modalities than those installed, and the one given: a page must not choose what is imported."""
        if modality != self.library.modality and modality not in registry.names():
            raise UserError(f"no modality {modality!r} is installed")

    def start(self, modality: str, name: str, settings: Mapping[str, str]) -> str:
        """Start a run under this name; returns what it is called here.

        Raises:
            UserError: There is such a folder, or no such modality. What else is wrong the training says itself.
        """
        self.check_installed(modality)
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise UserError(f"name is {name!r}: expected letters, digits, points, dashes and underscores")
        folder = self.library.root / name
        if folder.exists():
            raise UserError(f"{folder} is not empty: choose another name")
        arguments = [f"--{key}={value}" for key, value in settings.items()]
        if any(not re.fullmatch(r"--[a-z_0-9.]+", argument.partition("=")[0]) for argument in arguments):
            raise UserError("a setting has no such name")
        for key in (*PLACES, "config", "print_config", "help", "model", "tracker", "timeout"):
            if key in settings:
                raise UserError(f"{key} is not for the playground")
        run = self.library.add_run(folder)
        self._launch(run, [modality, f"--output={folder}", *arguments])
        return run

    def resume(self, name: str, steps: int | None) -> None:
        """Continue a run, to a new total of steps if one is given."""
        folder = known(self.library.runs(), name)
        if self.state(name, folder).startswith("training"):
            raise UserError(f"{name} is training")
        modality = str(load_file(folder / CONFIG_FILE).get("modality"))
        if ":" in modality and modality != self.library.modality:
            raise UserError(f"the run is of modality {modality!r}, which is not installed: start with --modality")
        self._launch(name, [modality, f"--resume={folder}", *([f"--steps={steps}"] if steps is not None else [])])

    def _launch(self, name: str, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "multigan", "train", *arguments]
        with self._launching:
            before = self.children.get(name)
            if before is not None and before[0].poll() is None:
                raise UserError(f"{name} is training")
            log = tempfile.NamedTemporaryFile(prefix="multigan-", suffix=".log")  # noqa: SIM115 # read while written
            # A session of its own: the terminal's Ctrl-C ends the playground, which then ends its runs one by one.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            self.children[name] = child, log
            if before is not None:
                before[1].close()

    def stop(self, name: str) -> None:
        """Stop a run that was started here, as Ctrl-C does: it finishes its step and saves."""
        if name not in self.children:
            raise UserError(f"{name} was not started here: press Ctrl-C where it runs")
        child = self.children[name][0]
        if child.poll() is None:
            child.send_signal(signal.SIGINT)

    def close(self) -> list[str]:
        """Stop all that was started here, and wait until it is saved; returns the last words of what was training."""
        running = [name for name, (child, _) in self.children.items() if child.poll() is None]
        for name in running:
            self.stop(name)
        last_words = []
        for name in running:
            child = self.children[name][0]
            try:
                child.wait(STOPPED)
                last_words.append(f"{name}: {(self.log(name).splitlines() or ['stopped'])[-1]}")
            except subprocess.TimeoutExpired:
                last_words.append(f"{name}: still saving, as process {child.pid}")
        for _, log in self.children.values():
            log.close()
        return last_words


def points(lines: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    """A metric by step, as few points as a curve needs; None where there is none."""
    found = [
        (line["step"], value)
        for line in lines
        if isinstance(value := line.get(name, line.get("evaluation", {}).get(name)), int | float)
        and math.isfinite(value)
    ]
    every = -(-len(found) // POINTS) or 1
    kept = found[::-every][::-1]  # the last one is always there
    return {"name": words(name), "points": kept} if kept else None


def previews(folder: Path) -> list[dict[str, Any]]:
    """The files of each preview by step."""
    found: dict[int, list[str]] = {}
    for file in sorted((folder / "samples").glob("step-*")):
        step = re.match(r"step-(\d+)", file.name)
        if step and file.suffix in MEDIA:
            found.setdefault(int(step[1]), []).append(file.name)
    return [{"step": step, "files": files} for step, files in sorted(found.items())]


def warnings(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notes, and alarms where they go off."""
    found: list[dict[str, Any]] = []
    before: list[str] = []
    for line in lines:
        alarms = line.get("health", [] if "seconds" in line else before)
        found += [{"step": line["step"], "text": alarm, "alarm": True} for alarm in alarms if alarm not in before]
        found += [{"step": line["step"], "text": line["note"], "alarm": False}] if "note" in line else []
        before = alarms
    return found


def evaluation(folder: Path) -> list[list[str]]:
    """The table of the last evaluation, its head first; empty where there is none."""
    try:
        columns = read(folder).columns
    except UserError:
        return []
    names = list(columns["generated"])
    rows = [[number(of[name]) if name in of else "" for of in columns.values()] for name in names]
    return [["", *columns], *([words(name), *row] for name, row in zip(names, rows, strict=True))]
