"""Holds `multigan train`: flags and files as the shell gives them, and errors of one line with exit code 2."""

import json
import re
import subprocess
import sys

import pytest
import yaml


def test_trains_and_says_where_and_how_to_go_on(train, tmp_path):
    found = train("--output", tmp_path / "my run")
    assert found.code == 0 and (tmp_path / "my run" / "model" / "model.safetensors").is_file()
    assert f"multigan generate --model '{tmp_path / 'my run'}'" in found.out  # to be pasted into a shell


def test_output_that_is_no_terminal_has_lines_and_no_bar(train, tmp_path):
    found = train("--output", tmp_path / "run", "--log_every", 1)
    assert found.err == ""
    steps = [line.split()[1] for line in found.out.splitlines() if line.startswith("step ")]
    assert steps == ["1", "2"] and "d_real" in found.out


def test_file_and_flags_decide(train, tmp_path):
    (tmp_path / "settings.yaml").write_text("seed: 5\nlog_every: 1\nmodel:\n  latent_dim: 9\n")
    # The tiny model's flags stand before the file, the seed after it; both go over it, as --help says.
    found = train("--config", tmp_path / "settings.yaml", "--seed", 6, "--output", tmp_path / "run")
    assert found.code == 0
    values = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (values["seed"], values["log_every"], values["steps"], values["model"]["latent_dim"]) == (6, 1, 2, 4)


def test_resume_from_the_command_line(train, command, tmp_path):
    assert train("--output", tmp_path / "run", "--log_every", 1).code == 0
    assert "complete at step 2" in command("train", "image", "--resume", tmp_path / "run").error
    assert (
        "another seed: 0 -> 3"
        in command("train", "image", "--resume", tmp_path / "run", "--seed", 3, "--steps", 4).error
    )
    assert command("train", "image", "--resume", tmp_path / "run", "--steps", 4).code == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2, 3, 4]
    assert lines[2]["note"] == "resumed after step 2 with steps 2 -> 4"


@pytest.mark.parametrize(
    ("interrupted", "says"),
    [
        ("multigan.training.build.open_data", ""),
        (
            "multigan.training.run.Run.play",
            "; start again, with {} deleted or another --output: it has no checkpoint yet",
        ),
        ("multigan.training.results.Results.preview", "; --resume {} continues after step [12]"),
    ],
    ids=["no folder", "no checkpoint", "a checkpoint"],
)
def test_an_interrupt_says_how_to_go_on_where_there_is_something(train, tmp_path, monkeypatch, interrupted, says):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupted, interrupt)
    found = train("--output", tmp_path / "run", "--steps", 3, "--checkpoint_every", 1)
    assert found.code == 130
    assert re.fullmatch("multigan: interrupted" + says.format(tmp_path / "run"), found.err.splitlines()[-1])


def test_a_folder_that_is_taken_is_to_be_resumed_where_it_can_be(train, command, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("modality: image\n")
    found = command("train", "image", "--resume", tmp_path / "run").error
    assert "cannot resume" in found and "delete it" in found
    found = train("--output", tmp_path / "run").error
    assert "delete it" in found and "--resume" not in found
    assert train("--output", tmp_path / "trained").code == 0
    assert f"--resume {tmp_path / 'trained'} continues" in train("--output", tmp_path / "trained").error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--stepz", 3], "did you mean steps?"),
        (["--steps", "x"], "steps"),
        (["--steps"], "steps"),
        (["--model.resolution", 17], "resolution is 17"),
        (["--batch_size", 40, "--model.architecture", "dcgan"], "multiple of 16"),
        (["--tracker", "papyrus"], "papyrus"),
        (["--dataset", "nobody/nothing"], "nobody/nothing"),
        (["--resume", "nowhere"], "--resume takes a run folder, and there is no folder nowhere"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--modality", "audio"], "audio"),
        (["--model", "3"], "model"),
        (["surplus"], "surplus"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_cannot_be_used_is_one_line_and_makes_nothing(train, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    assert words in train("--output", tmp_path / "run", *flags).error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz: 3\n", "did you mean steps?"),
        ("model:\n  resolutoin: 3\n", "did you mean model.resolution?"),
        ("model: resolution\n", "model"),
        ("streaming: 3\n", "streaming"),
        ("tracker: [a]\n", "tracker"),
        ("a: [\n", "line"),
    ],
)
def test_file_that_cannot_be_used_is_one_line(train, tmp_path, text, words):
    (tmp_path / "settings.yaml").write_text(text)
    assert words in train("--config", tmp_path / "settings.yaml", "--output", tmp_path / "run").error
    assert not (tmp_path / "run").exists()


def test_divergence_is_one_line(train, tmp_path):
    rates = ["--generator_learning_rate", 1e30, "--discriminator_learning_rate", 1e30]
    assert "finite" in train("--output", tmp_path / "run", "--steps", 40, "--log_every", 20, *rates).error


def test_only_the_first_process_says_what_is_wrong(train, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    found = train("--output", tmp_path / "run", "--stepz", 3)
    assert (found.code, found.err) == (2, "")


def test_help_lists_every_flag_with_its_meaning(command):
    found = command("train", "image", "--help")
    assert found.code == 0
    for text in ("--steps", "--model.resolution", "Adversarial steps", "Dimensions of the noise", "--print_config"):
        assert text in found.out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_modality_says_which_there_are(command, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = command("train", *arguments)
    assert "image" in found.out + found.err and "MODALITY" in found.out + found.err
    assert not list(tmp_path.iterdir())


def test_flags_before_the_modality_are_explained(command):
    assert "multigan train MODALITY --steps" in command("train", "--steps", 3).error


def test_unknown_modality_lists_those_installed(command):
    found = command("train", "pictures").error
    assert "'pictures'" in found and "image" in found


@pytest.mark.slow
def test_as_a_process_of_its_own(tmp_path):
    # What users run: no stack of Python, no noise of libraries, the exit code for their scripts.
    arguments = ["-m", "multigan", "train", "image", "--output", "run", "--batch_size", "40"]
    arguments += ["--model.architecture", "dcgan"]
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith("multigan: error: each process has 40 samples")
    assert "Traceback" not in found.stderr and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--model.task", "style"], {"steps": 0, "pretraining_steps": 2000, "dataset": "photographs"}),
        (["--model.task=paired", "--steps", "7"], {"steps": 7, "pretraining_steps": 0, "dataset": "edges"}),
        (["--config", "task.yaml"], {"replay": 50, "dataset": "styled-digits"}),
        (["--config", "task.yaml", "--replay", "0"], {"replay": 0, "dataset": "styled-digits"}),
        ([], {"dataset": "photographs"}),
    ],
)
def test_defaults_are_those_of_the_task(command, tmp_path, monkeypatch, flags, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.yaml").write_text("model:\n  task: unpaired\n")
    values = yaml.safe_load(command("train", "image-to-image", *flags, "--print_config").out)
    assert {name: values[name] for name in expected} == expected


def test_a_task_without_a_discriminator_takes_no_steps(command):
    assert "--pretraining_steps" in command("train", "image-to-image", "--model.task", "style", "--steps", 5).error


def test_a_setting_of_another_modality_says_whose_it_is(command):
    message = command("train", "image", "--model.task", "colorize").error
    assert message == "unknown setting model.task; multigan train image-to-image has it"
    assert "did you mean model.flip?" in command("train", "image", "--model.flop", "true").error
