"""Holds the direction of imports: cli over run over everything else; the engine knows no modality, and none another."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "multigan"

# What the files of each part may import of ours, beside themselves. `modalities/*` is each modality for itself.
MAY_IMPORT = {
    "run": {
        "wiring",
        "config",
        "registry",
        "engine",
        "metrics",
        "results",
        "run_folder",
        "errors",
        "files",
        "modality",
    },
    "results": {
        "config",
        "engine",
        "pretrained",
        "run_folder",
        "modality",
        "evaluation",
        "report",
        "plots",
        "errors",
    },
    "evaluation": {
        "__init__",
        "data",
        "engine",
        "errors",
        "feature_space",
        "metrics",
        "modality",
        "pretrained",
        "report",
    },
    "feature_space": {"__init__", "data", "errors", "files", "metrics", "modality"},
    "report": {"errors", "files"},
    "plots": {"metrics", "report"},
    "wiring": {"config", "data", "engine", "pretrained", "errors", "modality"},
    "run_folder": {"config", "model_folder", "errors", "files"},
    "modalities/*": {"modality", "columns", "files", "networks", "errors"},
    "columns": {"errors"},
    "engine": {"errors", "files"},
    "networks": set(),
    "metrics": {"errors"},
    "modality": set(),
    "errors": set(),
    "files": {"errors"},
    "registry": {"modality", "errors"},
    "config": {"registry", "modality", "errors", "files", "typed"},
    "typed": {"errors"},
    "pretrained": {"config", "registry", "modality", "model_folder", "errors", "files", "typed"},
    "model_folder": {"errors"},
    "data": {"modality", "columns", "errors", "files"},
}
# These may import anything of ours: the command line, what is for users' tests, and the public names.
FREE = {"cli", "testing", "__init__", "__main__"}


def part_of(module):
    """The part of the package that a module is of: ``multigan.engine.loop`` -> engine, ``multigan`` -> __init__."""
    names = module.split(".")[1:]
    if not names:
        return "__init__"
    return "/".join(names[:2]) if names[0] == "modalities" else names[0]


def imported(tree):
    """The modules of ours that a file imports, wherever in it, with the lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "a relative import", node.lineno
            elif node.module == "multigan":
                # `from multigan import registry` is of the module; `from multigan import __version__` of the package.
                yield from ((f"multigan.{alias.name}", node.lineno) for alias in node.names)
            elif node.module == "multigan.modalities":
                yield from ((f"multigan.modalities.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def offences(package):
    """One line for each import that the rule forbids, with its file."""
    found = []
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package)
        module = ".".join(["multigan", *place.with_suffix("").parts]).removesuffix(".__init__")
        own = part_of(module)
        allowed = MAY_IMPORT.get("modalities/*" if own.startswith("modalities/") else own, set())
        for name, line in imported(ast.parse(file.read_text())):
            if name == "a relative import":
                found.append(f"{place}:{line} has a relative import")
            elif name.split(".")[0] == "multigan" and name != "multigan.__version__":
                part = part_of(name)
                if own not in FREE and part != own and part not in allowed:
                    found.append(f"{place}:{line} imports {name}")
    return found


def test_imports_point_one_way():
    assert offences(PACKAGE) == []


def test_every_part_has_a_rule():
    parts = {
        part_of(".".join(["multigan", *file.relative_to(PACKAGE).with_suffix("").parts]))
        for file in PACKAGE.rglob("*.py")
    }
    known = {*MAY_IMPORT, *FREE, "modalities/__init__"}
    assert {part for part in parts if not part.startswith("modalities/")} <= known


@pytest.mark.parametrize(
    ("file", "text", "offence"),
    [
        ("engine/step.py", "from multigan.modality import Modality", "engine/step.py:1 imports multigan.modality"),
        ("engine/loop.py", "import multigan.data.cache", "engine/loop.py:1 imports multigan.data.cache"),
        ("engine/loop.py", "from multigan import config", "engine/loop.py:1 imports multigan.config"),
        (
            "modality.py",
            "def late():\n    from multigan.errors import UserError",
            "modality.py:2 imports multigan.errors",
        ),
        ("networks/blocks.py", "from multigan import errors", "networks/blocks.py:1 imports multigan.errors"),
        ("data/load.py", "from multigan import registry", "data/load.py:1 imports multigan.registry"),
        ("run.py", "from multigan.modalities.image import Image", "run.py:1 imports multigan.modalities.image"),
        ("run.py", "from multigan.cli import main", "run.py:1 imports multigan.cli"),
        ("pretrained.py", "from multigan import run", "pretrained.py:1 imports multigan.training.run"),
        (
            "modalities/audio/data.py",
            "from multigan.modalities import image",
            "modalities/audio/data.py:1 imports multigan.modalities.image",
        ),
        (
            "modalities/audio/__init__.py",
            "from multigan.modalities.image.data import pixels",
            "modalities/audio/__init__.py:1 imports multigan.modalities.image.data",
        ),
        (
            "modalities/audio/__init__.py",
            "from multigan.data.load import load",
            "modalities/audio/__init__.py:1 imports multigan.data.load",
        ),
        ("cli/train.py", "from . import generate", "cli/train.py:1 has a relative import"),
        ("metrics/fid.py", "from multigan import TrainingConfig", "metrics/fid.py:1 imports multigan.TrainingConfig"),
    ],
)
def test_planted_import_is_caught(tmp_path, file, text, offence):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert offences(tmp_path) == [offence]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "engine/step.py",
            "import torch\nfrom multigan.engine import penalties\nfrom multigan.errors import UserError",
        ),
        ("wiring.py", "from multigan import __version__, config\nfrom multigan.data.cache import cached"),
        ("cli/train.py", "from multigan.training.run import train"),
        (
            "modalities/audio/__init__.py",
            "from multigan.modality import Modality\nfrom multigan.networks.convolutional import up\n"
            "from multigan.modalities.audio import data",
        ),
    ],
)
def test_allowed_imports_are_not_caught(tmp_path, file, text):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert offences(tmp_path) == []
