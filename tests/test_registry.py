"""Holds how modalities are found: by name, by module:Class, and that one which fails stops no other."""

import subprocess
import sys

import pytest

from multigan import registry
from multigan.errors import UserError
from multigan.modalities.image import Image

PLUGIN = '''
from dataclasses import dataclass

from multigan import Modality

@dataclass(frozen=True)
class Settings:
    latent_dim: int = 4

class Abstract(Modality):
    """Lacks most of what it must have."""
    def encode(self, row): ...

class Whole(Modality):
    Config = Settings
    def encode(self, row): ...
    def generator(self): ...
    def discriminator(self): ...
    def save(self, batches, folder): ...
    def preview(self, samples, path, labels=()): ...

class Other:
    """No modality."""

instance = Whole
number = 3
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a module and a distribution that names modalities in it on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(module, text, entries=None, distribution="stranger"):
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.delitem(sys.modules, module, raising=False)
        if entries:
            information = tmp_path / f"{distribution}-1.5.dist-info"
            information.mkdir()
            (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
            lines = [f"{name} = {target}" for name, target in entries.items()]
            (information / "entry_points.txt").write_text("\n".join(["[multigan.modalities]", *lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)  # forgets what the finders remember of the folder
        return tmp_path

    yield write
    for module in ("strangers_module", "strangers_other"):
        sys.modules.pop(module, None)


def refused(name):
    with pytest.raises(UserError) as caught:
        registry.load(name)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_builtin_is_found_by_name_and_by_class():
    assert registry.load("image") is registry.load("multigan.modalities.image:Image") is Image
    assert "image" in registry.names()


def test_unknown_one_lists_those_installed(install):
    install("strangers_module", PLUGIN, {"stranger": "strangers_module:Whole"})
    found = refused("pictures")
    assert "'pictures'" in found and "image, stranger" in found and "package.module:Class" in found


def test_strangers_is_found_by_name_and_by_class(install):
    install("strangers_module", PLUGIN, {"stranger": "strangers_module:Whole"})
    assert registry.load("stranger") is registry.load("strangers_module:Whole")
    assert registry.load("stranger").__name__ == "Whole"


def test_listing_says_where_each_comes_from(install):
    install("strangers_module", PLUGIN, {"stranger": "strangers_module:Whole"})
    listed = {entry.name: entry for entry in registry.installed()}
    assert listed["stranger"] == ("stranger", "stranger 1.5", "strangers_module:Whole", None)
    assert listed["image"].package.startswith("multigan ") and listed["image"].error is None
    assert list(listed) == sorted(listed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ImportError('no libsomething.so')", "no libsomething.so"),
        ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('first line\\nsecond line')", "first line"),
        ("import sys; sys.exit('not today')", "not today"),
    ],
    ids=["ImportError", "missing", "ZeroDivisionError", "SyntaxError", "two lines", "exit"],
)
def test_one_that_fails_to_import_is_listed_with_its_error_and_stops_no_other(install, text, reason):
    install("strangers_module", text, {"broken": "strangers_module:Anything"})
    listed = {entry.name: entry for entry in registry.installed()}
    assert reason in listed["broken"].error and len(listed["broken"].error.splitlines()) == 1
    assert listed["image"].error is None
    assert reason in refused("broken") and registry.load("image") is Image


def test_only_what_is_asked_for_is_imported(install):
    install("strangers_module", "raise ImportError('imported')", {"broken": "strangers_module:Anything"})
    registry.load("image")
    assert registry.names() == sorted({*registry.names(), "broken", "image"})
    assert "strangers_module" not in sys.modules


@pytest.mark.parametrize("attribute", ["Other", "number"])
def test_what_is_no_modality_is_refused(install, attribute):
    install("strangers_module", PLUGIN)
    assert "not a subclass of multigan.Modality" in refused(f"strangers_module:{attribute}")


def test_unfinished_one_is_refused_with_what_it_lacks(install):
    install("strangers_module", PLUGIN)
    assert "lacks discriminator, generator, preview, save" in refused("strangers_module:Abstract")


@pytest.mark.parametrize(
    "name", ["strangers_module:Nothing", "not_there:Class", ":Class", "strangers_module:", ":", ""]
)
def test_class_that_is_not_there_is_refused(install, name):
    install("strangers_module", PLUGIN)
    assert repr(name) in refused(name)


def test_two_packages_of_one_name_are_refused_and_the_same_twice_is_not(install):
    install("strangers_module", PLUGIN, {"stranger": "strangers_module:Whole"}, "first")
    install("strangers_other", PLUGIN, {"stranger": "strangers_other:Whole"}, "second")
    found = refused("stranger")
    assert "strangers_module:Whole" in found and "strangers_other:Whole" in found


def test_finding_modalities_imports_no_torch():
    code = "import sys; from multigan import registry; registry.installed(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
