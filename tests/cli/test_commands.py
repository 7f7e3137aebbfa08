"""Holds the commands that only tell: info, modalities, help; and that those are quick, for they load no torch."""

import json
import shutil
import subprocess
import sys

import pytest

import multigan


def test_info_of_a_run_says_what_it_is_and_how_it_went(command, trained):
    found = command("info", trained)
    assert found.code == 0
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    for text in ("image", "digits", "1797", "latent_dim 4", "conditional True", f"{last['d_real']:.4g}", "step 2"):
        assert text in found.out, text


def test_info_of_a_model_folder_has_no_metrics(command, trained):
    found = command("info", trained / "model")
    assert found.code == 0 and "digits" in found.out and "last metrics" not in found.out


def test_info_of_a_run_whose_last_line_was_cut_off(command, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "d_f')
    assert command("info", tmp_path / "run").code == 0


def test_info_of_what_is_no_model_is_one_line(command, tmp_path):
    assert str(tmp_path) in command("info", tmp_path).error
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert "not a multigan model" in command("info", tmp_path).error
    assert "'nowhere'" in command("info", "nowhere").error


def test_modalities_are_listed_with_their_packages(command):
    found = command("modalities")
    assert found.code == 0
    (line,) = [line for line in found.out.splitlines() if line.startswith("image ")]
    assert f"multigan {multigan.__version__}" in line and "multigan.modalities.image:Image" in line


def test_modality_that_fails_is_listed_and_does_not_stop_the_command(command, tmp_path, monkeypatch):
    information = tmp_path / "stranger-2.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 2.0\n")
    (information / "entry_points.txt").write_text("[multigan.modalities]\nbroken = strangers_broken_module:Thing\n")
    (tmp_path / "strangers_broken_module.py").write_text("raise ImportError('no libsomething.so')")
    monkeypatch.syspath_prepend(tmp_path)
    found = command("modalities")
    assert found.code == 0
    lines = {line.split()[0]: line for line in found.out.splitlines()}
    assert "stranger 2.0" in lines["broken"] and "no libsomething.so" in lines["broken"]
    assert "cannot be used" not in lines["image"]


def test_what_a_command_does_not_take_is_one_line(command):
    assert command("info").error == "Missing argument 'MODEL'"
    assert "'--often'" in command("evaluate", "starter/image", "--often").error
    assert "'many' is not a valid integer" in command("evaluate", "starter/image", "-n", "many").error


def test_help_names_every_command(command):
    found = command("--help")
    assert found.code == 0
    assert all(name in found.out for name in ("generate", "info", "modalities", "train"))


def test_version(command):
    assert multigan.__version__ in command("--version").out


def test_unknown_command_is_refused(command):
    found = command("invent")
    assert found.code == 2 and "invent" in found.err


def loaded_of(modules, arguments):
    """Which of the modules a command loads, and what it says on stderr; it must succeed."""
    code = """
import atexit, sys
from multigan.cli import main
atexit.register(lambda: print("loaded:", *sys.modules))
main()
"""
    found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return modules & set(found.stdout.rpartition("loaded: ")[2].split()), found.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["modalities"], ["generate", "--help"], ["train"], ["info", "starter/image"]],
)
def test_what_only_tells_loads_no_torch(arguments):
    assert loaded_of({"torch", "datasets", "accelerate", "numpy", "PIL"}, arguments) == (set(), "")


# Each takes from a tenth to three quarters of the time of torch to import.
SLOW = {
    *("torch._dynamo", "torch.distributed.tensor", "sympy", "sklearn", "scipy.signal", "scipy.stats"),
    *("torchvision", "transformers", "sacrebleu", "tensorboard"),
}
FOR_SOUNDS = {"torchaudio", "matplotlib"}  # to picture them
FOR_TRAINING = {"datasets", "pandas", "accelerate", "jsonargparse"}


@pytest.mark.parametrize("modality", ["image", "audio", "text"])
def test_generating_loads_nothing_slow_but_torch(modality, tmp_path):
    arguments = ["generate", "--model", f"starter/{modality}", "-n", "2", "--out", str(tmp_path / "out")]
    unused = FOR_TRAINING if modality == "audio" else FOR_TRAINING | FOR_SOUNDS
    assert not loaded_of(SLOW | unused, arguments)[0]


def test_training_on_pictures_loads_nothing_slow_but_what_it_needs(tmp_path):
    arguments = ["train", "image", "--steps", "1", "--tracker", "none", "--output", str(tmp_path / "run")]
    assert not loaded_of(SLOW | FOR_SOUNDS, arguments)[0]


def test_importing_multigan_loads_no_torch_and_public_names_are_there():
    code = "import sys, multigan; assert 'torch' not in sys.modules; multigan.configure('image'); multigan.UserError"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in multigan.__all__:
        assert getattr(multigan, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        multigan.nothing  # noqa: B018


@pytest.mark.parametrize(("typed", "meant"), [("genrate", "generate"), ("evalute", "evaluate")])
def test_misspelt_command_suggests_the_nearest(command, typed, meant):
    assert command(typed).error == f"no command {typed!r}; did you mean {meant}?"


def test_info_of_a_run_in_progress_shows_settings_and_progress(command, tmp_path):
    (tmp_path / "config.yaml").write_text("modality: image\nsteps: 1000\nseed: 7\nmodel: {resolution: 64}\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 250, "seconds": 50.0, "d_real": 0.5}\n')
    out = command("info", tmp_path).out
    assert "step 250 of 1,000, about 2.5 min left" in out and "seed 7" in out and "resolution 64" in out
    assert "d_real 0.5" in out and "batch_size" not in out


def test_generator_is_shown_in_one_line():
    assert repr(multigan.load("starter/image")).startswith("TrainedGenerator(image, 10 classes, ")
