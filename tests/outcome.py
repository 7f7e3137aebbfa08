"""What a command left, and what a run has come to without what the clock says: equal runs have equal outcomes."""

import hashlib
import json
from typing import NamedTuple


class Result(NamedTuple):
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """The message of an error that a user can mend: the only line of stderr, with exit code 2."""
        assert self.code == 2, self
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("multigan: error: "), self
        return line.removeprefix("multigan: error: ")


def outcome(folder):
    """By name: the hash of every file of weights, the state, and each line of metrics."""
    found = {}
    for checkpoint in (folder / "checkpoints").iterdir():
        found[checkpoint.name] = {file.name: digest(file) for file in checkpoint.glob("*.safetensors")}
        state = json.loads((checkpoint / "state.json").read_text())
        assert state.pop("seconds") > 0
        found[checkpoint.name]["state.json"] = state
    assert found, "a run without a checkpoint is equal to any other"
    return {**found, "model": digest(folder / "model" / "model.safetensors"), "metrics": timeless(folder)}


def last(folder):
    """The outcome with the last checkpoint alone: a run that was stopped has others before it."""
    found = outcome(folder)
    names = sorted((name for name in found if name.startswith("step-")), key=lambda name: int(name[5:]))
    return {name: value for name, value in found.items() if name not in names[:-1]}


def timeless(folder):
    """The lines of metrics, without notes."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "samples_per_second", "evaluation_seconds")
    return [{key: line[key] for key in line if key not in clock} for line in lines if "note" not in line]


def everything(folder):
    """All that is in a folder: names, with contents and times of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()
