"""Nothing that is loaded runs code: hostile files under every name that is read, and under names that others read."""

import ast
import contextlib
import dataclasses
import io
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from outcome import everything, outcome

import multigan
from multigan import config, configure, files
from multigan.data import cache
from multigan.engine import checkpoint
from multigan.errors import UserError
from multigan.generation import generator as generators
from multigan.modalities.image import Image, ImageConfig
from multigan.training import run

PACKAGE = Path(multigan.__file__).parent
# What other libraries keep beside weights, and unpickle.
EXTRAS = ["pytorch_model.bin", "custom_checkpoint_0.pkl", "random_states_0.pkl", "optimizer.bin", "training_args.bin"]
OUTSIDE = "../../../../../../etc/passwd"
CHECKPOINT = [
    *("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer"),
    *("state.json", "manifest.json"),
]
CHECKPOINT = [name if "." in name else f"{name}.safetensors" for name in CHECKPOINT]


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def payload(kind, marker):
    """A file that runs code in whoever unpickles it."""
    buffer = io.BytesIO()
    if kind == "pickle":
        pickle.dump(Hostile(marker), buffer)
    elif kind == "torch":
        torch.save({"weight": Hostile(marker)}, buffer)
    else:
        numpy.save(buffer, numpy.array([Hostile(marker)], object), allow_pickle=True)
    return buffer.getvalue()


KINDS = {
    "pickle": pickle.load,
    "torch": lambda file: torch.load(file, weights_only=False),
    "numpy": lambda file: numpy.load(file, allow_pickle=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def marker(tmp_path):
    """The file that is there as soon as hostile code has run: after the test it is not."""
    file = tmp_path / "code-has-run"
    yield file
    assert not file.exists(), "code from a file has run"


@every_kind
def test_the_hostile_files_are_hostile(tmp_path, kind):
    KINDS[kind](io.BytesIO(payload(kind, tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def settings_of(**fields):
    """A run of four steps with checkpoints after 2 and 4."""
    model = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4, "conditional": True}
    fixed = {"batch_size": 16, "log_every": 1, "checkpoint_every": 2, "tracker": "none"}
    return configure("image", model=model, **{**fixed, "steps": 4, **fields})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run.train(settings_of(output=str(tmp_path_factory.mktemp("trained") / "run")))


@pytest.fixture
def folder(trained, tmp_path):
    """A run of one's own."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def resume(command):
    """Goes on for two steps more."""
    return lambda folder: command("train", "image", "--resume", folder, "--steps", 6)


def sign(path):
    """Make the manifest of a checkpoint one that its files agree with, as an attacker would."""
    manifest = json.loads((path / "manifest.json").read_text())
    (hashes,) = [value for value in manifest.values() if isinstance(value, dict)]
    for name in hashes:
        hashes[name] = checkpoint.digest(path / name)
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert checkpoint.damage(path) in (None, "state.json is missing or damaged")


# --- checkpoints ---


def test_every_file_of_a_checkpoint_is_tried(trained):
    assert {file.name for file in (trained / "checkpoints" / "step-4").iterdir()} == set(CHECKPOINT)


@pytest.mark.parametrize("name", CHECKPOINT)
def test_hostile_file_in_a_checkpoint_is_damage(folder, marker, name):
    path = folder / "checkpoints" / "step-4"
    for kind in KINDS:
        (path / name).write_bytes(payload(kind, marker))
        assert name in checkpoint.damage(path)


def test_run_with_a_hostile_checkpoint_goes_on_from_the_one_before(folder, marker, resume):
    (folder / "checkpoints" / "step-4" / "generator.safetensors").write_bytes(payload("pickle", marker))
    found = resume(folder)
    assert found.code == 0 and "after step 2" in found.out and "missing or damaged" in found.err


@pytest.mark.parametrize("name", ["generator.safetensors", "generator_optimizer.safetensors", "state.json"])
@every_kind
def test_hostile_file_that_the_manifest_agrees_with_is_refused(folder, marker, resume, name, kind):
    path = folder / "checkpoints" / "step-4"
    (path / name).write_bytes(payload(kind, marker))
    sign(path)
    found = resume(folder)
    assert str(path) in found.err and "Traceback" not in found.err
    if name == "state.json":  # no state at all: the checkpoint before has one
        assert found.code == 0 and "after step 2" in found.out


def test_files_that_other_libraries_would_unpickle_are_ignored(folder, trained, marker, resume, command, tmp_path):
    for number, name in enumerate(EXTRAS):
        for place in (folder, folder / "checkpoints", folder / "checkpoints" / "step-4", folder / "model"):
            (place / name).write_bytes(payload(list(KINDS)[number % len(KINDS)], marker))
    found = resume(folder)
    assert found.code == 0 and "after step 4" in found.out
    assert command("info", folder).code == 0
    assert command("generate", "--model", folder, "-n", 2, "--out", tmp_path / "out").code == 0
    twin = Path(shutil.copytree(trained, tmp_path / "twin"))
    resume(twin)
    assert outcome_of_step_6(folder) == outcome_of_step_6(twin)


def outcome_of_step_6(folder):
    for name in EXTRAS:
        (folder / "checkpoints" / name).unlink(missing_ok=True)
    return outcome(folder)["step-6"]


def write_manifest(path, hashes):
    manifest = json.loads((path / "manifest.json").read_text())
    (key,) = [name for name, value in manifest.items() if isinstance(value, dict)]
    (path / "manifest.json").write_text(json.dumps(manifest | {key: hashes}))


@pytest.mark.parametrize("name", ["../secret", "../../secret", "{root}/secret", "x/../../secret", "./../secret"])
def test_manifest_cannot_point_out_of_its_folder(folder, tmp_path, name):
    path = folder / "checkpoints" / "step-4"
    for place in (tmp_path, folder, folder / "checkpoints"):
        (place / "secret").write_text("a secret")
    # Were the file looked at where the name points, it would be found to be as the manifest says.
    write_manifest(path, {name.format(root=tmp_path): checkpoint.digest(tmp_path / "secret")})
    assert checkpoint.damage(path) == "secret is missing or damaged"


@settings(max_examples=30, deadline=None)
@given(name=st.text(max_size=30), value=st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.none())))
@example(name="\0", value="")
@example(name="..", value="")
@example(name="", value="")
@example(name="\ud800", value="")
def test_any_name_in_a_manifest_is_a_missing_file(trained, tmp_path_factory, name, value):
    path = Path(shutil.copytree(trained / "checkpoints" / "step-4", tmp_path_factory.mktemp("any") / "step-4"))
    write_manifest(path, {name: value})
    assert "is missing or damaged" in checkpoint.damage(path)


def test_name_that_is_too_long_for_a_file_is_a_missing_file(folder):
    path = folder / "checkpoints" / "step-4"
    write_manifest(path, {"x" * 5000: ""})
    assert "is missing or damaged" in checkpoint.damage(path)


def test_litter_that_is_a_link_takes_nothing_with_it(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("three years")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".writing-model").symlink_to(tmp_path / "mine", target_is_directory=True)
    with contextlib.suppress(OSError):  # which is one line where a run is resumed
        files.clean(tmp_path / "run")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "three years"


# --- models ---


@every_kind
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_hostile_file_in_a_model_is_one_line(folder, marker, command, tmp_path, name, kind):
    (folder / "model" / name).write_bytes(payload(kind, marker))
    assert name in command("generate", "--model", folder, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()
    if name == "config.json":
        assert name in command("info", folder).error
    else:
        assert command("info", folder).code == 0
    with pytest.raises(UserError):
        generators.load(folder / "model")


@pytest.fixture
def hostile_module(marker, tmp_path, monkeypatch):
    """A module that is there to be imported, and does harm when it is."""
    (tmp_path / "hostile_module.py").write_text(
        f"from pathlib import Path\nPath({str(marker)!r}).touch()\n"
        "from multigan.modalities.image import Image\nclass Thing(Image):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "hostile_module:Thing"
    sys.modules.pop("hostile_module", None)


MODALITIES = [
    "hostile_module:Thing",
    "hostile_module",
    "os:system",
    "builtins:eval",
    "../hostile_module",
    "image:x",
    "",
]


def change_model(folder, **values):
    file = folder / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.usefixtures("hostile_module")
@pytest.mark.parametrize("modality", MODALITIES)
def test_model_does_not_choose_what_is_imported(folder, command, tmp_path, modality):
    change_model(folder, modality=modality)
    assert command("generate", "--model", folder, "--out", tmp_path / "out").error
    assert command("generate", "--modality", "image", "--model", folder, "--out", tmp_path / "out").error
    assert command("info", folder).code == 0
    assert "hostile_module" not in sys.modules and not (tmp_path / "out").exists()


TEXTS = ("architecture", "image_column", "label_column")


@pytest.mark.parametrize("field", [*TEXTS, "classes", "name", "dataset", "command"])
def test_paths_in_a_model_lead_nowhere(folder, command, tmp_path, field):
    values = json.loads((folder / "model" / "config.json").read_text())
    if field in TEXTS:
        values["config"][field] = OUTSIDE
    elif field == "classes":
        values["config"][field] = [f"{OUTSIDE}{number}" for number in range(10)]
    else:
        values["training"][field] = OUTSIDE
    change_model(folder, **values)
    before = everything(tmp_path)
    found = command("generate", "--model", folder, "-n", 3, "--out", tmp_path / "out")
    made = everything(tmp_path).keys() - before.keys()
    expected = {
        "out",
        *(f"out/{name}" for name in ("000000.png", "000001.png", "000002.png", "preview.png", "metadata.csv")),
    }
    assert made == (expected if found.code == 0 else set()), found
    assert found.code == 0 or found.error
    assert command("info", folder).code == 0


FIELDS = [field.name for field in dataclasses.fields(ImageConfig)]


@pytest.mark.parametrize("field", FIELDS)
def test_path_for_a_number_in_a_model_is_refused(folder, field):
    values = json.loads((folder / "model" / "config.json").read_text())
    before = values["config"][field]
    values["config"][field] = OUTSIDE
    change_model(folder, **values)
    if isinstance(before, int | float) and not isinstance(before, bool):
        with pytest.raises(UserError):
            generators.load(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("latent_dim", 1.5), ("generator_width", 1.5), ("channels", True), ("classes", 5), ("classes", None)],
)
def test_value_of_another_type_in_a_model_is_refused(folder, field, value):
    values = json.loads((folder / "model" / "config.json").read_text())
    values["config"][field] = value
    change_model(folder, **values)
    with pytest.raises(UserError):
        generators.load(folder)


# --- settings ---

TAGS = [
    '!!python/object/apply:os.system ["touch {}"]',
    '!!python/object/new:os.system ["touch {}"]',
    "!!python/object/apply:os.mkdir ['{}']",
    "!!python/name:os.system",
    "!!python/module:antigravity",
]


@every_kind
def test_hostile_file_for_the_settings_is_one_line(folder, marker, command, resume, kind):
    file = folder / "config.yaml"
    file.write_bytes(payload(kind, marker))
    before = everything(folder)
    assert "config.yaml" in resume(folder).error
    assert "config.yaml" in command("train", "image", "--config", file, "--output", folder / "new").error
    with pytest.raises(UserError):
        config.read(folder)
    assert everything(folder) == before


@pytest.mark.parametrize("tag", TAGS[:3])
def test_the_tags_are_hostile(tmp_path, tag):
    yaml.unsafe_load(tag.format(tmp_path / "marker"))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["file", "setting", "model setting", "key"])
def test_tags_of_python_in_the_settings_are_one_line(folder, marker, command, resume, tag, place):
    tag = tag.format(marker)
    file, text = folder / "config.yaml", (folder / "config.yaml").read_text()
    file.write_text(
        {
            "file": tag,
            "setting": f"{text}\ndataset: {tag}\n",
            "model setting": f"{text}\n  architecture: {tag}\n",
            "key": f"{text}\n? {tag}\n: 1\n",
        }[place]
    )
    assert "config.yaml" in resume(folder).error
    assert "config.yaml" in command("train", "image", "--config", file, "--output", folder / "new").error


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("flag", ["--dataset", "--model.architecture", "--model.classes", "--steps", "--betas"])
def test_tags_of_python_in_a_flag_are_words(marker, command, tmp_path, monkeypatch, flag, tag):
    monkeypatch.chdir(tmp_path)
    tag = tag.format(marker)
    found = command("train", "image", "--output", tmp_path / "new", "--model.resolution", 16, flag, tag)
    assert found.error and not (tmp_path / "new").exists()


@pytest.mark.usefixtures("hostile_module")
@pytest.mark.parametrize("modality", MODALITIES)
def test_settings_of_a_run_do_not_choose_what_is_imported(folder, resume, modality):
    file = folder / "config.yaml"
    file.write_text(file.read_text().replace("modality: image", f"modality: '{modality}'"))
    before = everything(folder)
    assert "modality" in resume(folder).error
    assert "hostile_module" not in sys.modules and everything(folder) == before


def test_nor_do_they_from_python(folder, hostile_module):
    file = folder / "config.yaml"
    file.write_text(file.read_text().replace("modality: image", f"modality: {hostile_module}"))
    try:
        with pytest.raises(UserError):
            run.train(settings_of(resume=str(folder), steps=6))
        assert "hostile_module" not in sys.modules
    finally:
        (folder.parent / "code-has-run").unlink(missing_ok=True)  # what is expected to fail, fails above


# --- caches ---


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """The folder of a cache, and what reads it."""
    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path / "cache"))

    def read():
        modality = Image(ImageConfig(resolution=16))
        return cache.cached(modality.builtin_datasets["digits"](), modality, False)

    read()
    (place,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    return place, read


@pytest.mark.parametrize("name", ["cache.json", "real.bin", "label.bin"])
def test_hostile_file_in_a_cache_is_refused_or_made_again(cached, marker, name):
    place, read = cached
    content = (place / name).read_bytes()
    (place / name).write_bytes(payload("pickle", marker))
    with contextlib.suppress(UserError):
        read()
        assert (place / name).read_bytes() == content


def test_hostile_file_of_what_was_learned_is_refused(cached, marker):
    place, read = cached
    (file,) = place.parent.glob("*.json")
    for content in (payload("pickle", marker), b'{"learned": {"command": "true"}, "notes": []}', b"[]"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            read()


@pytest.mark.parametrize("name", ["real.bin", "label.bin"])
@every_kind
def test_hostile_file_of_the_right_size_is_numbers(cached, marker, name, kind):
    place, read = cached
    size = (place / name).stat().st_size
    (place / name).write_bytes((payload(kind, marker) * size)[:size])
    found = read()
    assert found.real[:].dtype == numpy.uint8 and found.label[:].dtype == numpy.int64


@pytest.mark.parametrize("kind", ["O", "|O8", "V8,O"])
def test_cache_of_objects_is_refused(cached, kind):
    # Touching an element of what is read would end the process, or worse.
    place, read = cached
    index = json.loads((place / "cache.json").read_text())
    index["columns"]["label"]["dtype"] = kind
    (place / "cache.json").write_text(json.dumps(index))
    (place / "label.bin").write_bytes(bytes(2 * (place / "label.bin").stat().st_size))
    with pytest.raises(UserError):
        read()


# --- by reading the source ---

FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "code",
    "runpy",
}
FORBIDDEN_CALLS = {"torch.load", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "os.system"}
FORBIDDEN_CALLS |= {"eval", "exec", "compile", "__import__", "torch.jit.load", "torch.package.PackageImporter"}
FORBIDDEN_CALLS |= {"os.popen", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "torch.hub.load"}
# What accelerate loads of its own accord, by pickle.
FORBIDDEN_METHODS = {"load_state", "read_pickle", "from_pickle", "trust_remote_code"}


def name_of(node):
    """``torch.load`` for the expression of that name."""
    if isinstance(node, ast.Attribute):
        before = name_of(node.value)
        return f"{before}.{node.attr}" if before else f"?.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(file):
    """What in a source file could run code from a file, each with its line."""
    for node in ast.walk(ast.parse(file.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            if module.split(".")[0] in FORBIDDEN_MODULES or module in FORBIDDEN_CALLS:
                yield f"line {node.lineno} imports {module}"
        if isinstance(node, ast.Attribute | ast.Name):
            name = name_of(node)
            if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno} uses {name}"
            method = name.rpartition(".")[2]
            if method in FORBIDDEN_METHODS and name.startswith(("self.accelerator", "accelerator", "accelerate")):
                yield f"line {node.lineno} uses {name}"
        asks = isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code", "weights_only")
        refuses = asks and node.arg == "trust_remote_code" and getattr(node.value, "value", None) is False
        if asks and not refuses:  # transformers would ask at a terminal
            yield f"line {node.value.lineno} passes {node.arg}"


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_in_the_package_unpickles_or_evaluates(file):
    assert list(offences(file)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def late():\n    from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy\nnumpy.load('x', allow_pickle=True)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "eval('1')",
        "exec(text)",
        "read = eval",
        "import os\nos.system('ls')",
        "class Run:\n    def resume(self):\n        self.accelerator.load_state('x')",
        "import datasets\ndatasets.load_dataset('x', trust_remote_code=True)",
        "import joblib",
    ],
)
def test_planted_offence_is_found(tmp_path, text):
    (tmp_path / "planted.py").write_text(text)
    assert list(offences(tmp_path / "planted.py"))


@pytest.mark.parametrize(
    "text", ["network.eval()", "import re\nre.compile('x')", "from safetensors.torch import load_file"]
)
def test_what_is_harmless_is_not(tmp_path, text):
    (tmp_path / "harmless.py").write_text(text)
    assert not list(offences(tmp_path / "harmless.py"))
