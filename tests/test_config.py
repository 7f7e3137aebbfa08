"""Holds the configuration: which layer goes over which, what is written is read again, and errors of one line."""

import dataclasses
import json

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from multigan import config, configure
from multigan.cli import flags
from multigan.config import TrainingConfig, plain
from multigan.errors import UserError
from multigan.modalities.image import Image, ImageConfig


def parse(*arguments, recipe=None):
    return flags.parse([str(argument) for argument in arguments], recipe or configure("image"), "multigan train", "")


def message(*arguments):
    """The error's message, which must be one line."""
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.fixture
def written(tmp_path):
    """Writes a YAML file; returns its path."""

    def write(text):
        file = tmp_path / "settings.yaml"
        file.write_text(text)
        return file

    return write


# --- layers ---


def test_flags_go_over_a_file_over_a_recipe_over_the_defaults(written):
    recipe = configure("image", steps=1, batch_size=2, seed=3, model={"resolution": 64, "latent_dim": 5, "shift": 0.5})
    file = written("batch_size: 20\nseed: 30\nmodel:\n  latent_dim: 50\n  shift: 0.25\n")
    found = parse("--config", file, "--seed", 300, "--model.shift", 0.125, recipe=recipe)
    assert (found.steps, found.batch_size, found.seed) == (1, 20, 300)
    assert (found.model.resolution, found.model.latent_dim, found.model.shift) == (64, 50, 0.125)
    assert (
        found.log_every == TrainingConfig().log_every and found.model.generator_width == ImageConfig().generator_width
    )


def test_flags_go_over_the_file_wherever_it_stands(written):
    file = written("seed: 30\n")
    assert parse("--config", file, "--seed", 1).seed == 1
    assert parse("--seed", 1, "--config", file).seed == 1


def test_last_of_two_flags_counts():
    assert parse("--seed", 1, "--seed", 2).seed == 2


def test_defaults_of_the_modality_go_over_the_general_ones_and_under_what_is_given(monkeypatch):
    monkeypatch.setattr(Image, "training_defaults", {"steps": 7, "r1": 0.5})
    assert (configure("image").steps, configure("image").r1) == (7, 0.5)
    assert (configure("image", steps=8).steps, parse("--r1", 0.25).r1) == (8, 0.25)


def test_first_builtin_dataset_is_the_default():
    assert configure("image").dataset == "digits"
    assert configure("image", dataset="folder").dataset == "folder"


def shown(value):
    """A value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value)


def test_every_field_has_a_flag_with_its_type():
    training = plain(configure("image"))
    values = {name: training[name] for name in training if name not in ("model", "modality", "resume")}
    values |= {f"model.{name}": value for name, value in plain(ImageConfig()).items()}
    found = parse(*(f"--{name}={shown(value)}" for name, value in values.items()))
    assert found == configure("image")
    assert plain(found) == training  # a value of another type may be equal: 1 and 1.0, or True


def test_values_get_their_types():
    found = parse("--betas", "[0,0.9]", "--max_gradient_norm", "1", "--model.classes", "[a, b]", "--streaming", "true")
    assert found.betas == (0.0, 0.9) and isinstance(found.betas, tuple)
    assert isinstance(found.max_gradient_norm, float) and found.streaming is True
    assert found.model.classes == ("a", "b")
    assert parse("--max_gradient_norm", "null").max_gradient_norm is None


@pytest.mark.parametrize("given", ["[1, 2]", "[yes, no]"])
def test_classes_that_yaml_takes_for_other_values_need_quotes(given):
    with pytest.raises(
        UserError, match=r"model\.classes is .*expected a list of words \(numbers, true and no in quotes"
    ):
        parse("--model.classes", given)
    assert parse("--model.classes", '["1", "no"]').model.classes == ("1", "no")


# --- written and read ---

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8) | st.sampled_from(
    ["no", "null", "1e3", "~", "0x10", "- a", "a: b", "#", "", "é", "数"]
)
MODELS = st.builds(
    ImageConfig,
    resolution=st.sampled_from([16, 32, 64, 256, "32", "48x80"]),
    architecture=st.sampled_from(["mlp", "dcgan", "styled"]),
    conditional=st.booleans(),
    latent_dim=st.integers(1, 1000),
    rotation=st.floats(0, 180),
    image_column=st.none() | WORDS,
    channels=st.sampled_from([None, 1, 3]),
    classes=st.lists(WORDS, max_size=4).map(tuple),
)
TRAININGS = st.builds(
    lambda **fields: configure("image", **fields),
    dataset=WORDS,
    subset=st.none() | WORDS,
    streaming=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    steps=st.integers(1, 10**9),
    objective=st.sampled_from(["hinge", "relativistic"]),
    r1=st.floats(0, 1e6),
    betas=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    generator_learning_rate=st.floats(1e-12, 1e3),
    max_gradient_norm=st.none() | st.floats(1e-3, 1e3),
    model=MODELS,
)


@settings(deadline=None, max_examples=50, phases=[Phase.explicit, Phase.generate])  # shrinking takes long
@given(TRAININGS)
def test_what_is_written_is_read_again(tmp_path_factory, training):
    folder = tmp_path_factory.mktemp("run")
    config.write(training, folder)
    assert config.read(folder) == training


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"seed": 2**63 - 1, "r1": 1e-7, "betas": (0.0, 0.123456789), "max_gradient_norm": 1e3, "streaming": True},
        {"dataset": "./füße/数 1", "subset": "2024-01-01", "model": {"image_column": "a: b", "channels": 3}},
        {"model": {"classes": ("no", "null", "~", "1e3", "0x10", "- a", "a: b", "#", "é", "数"), "rotation": 1e-9}},
    ],
    ids=["defaults", "numbers", "names", "classes"],
)
def test_what_is_written_is_taken_as_a_file(tmp_path, fields):
    training = configure("image", **fields)
    config.write(training, tmp_path)
    assert parse("--config", tmp_path / "config.yaml") == training


def test_where_a_run_is_kept_is_not_written(tmp_path):
    config.write(configure("image", output="here", resume="there"), tmp_path)
    values = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert set(values) == {field.name for field in dataclasses.fields(TrainingConfig)} - {"output", "resume"}
    assert set(values["model"]) == {field.name for field in dataclasses.fields(ImageConfig)}


def test_printed_configuration_is_taken_as_a_file(written, capsys):
    flags = ["--seed", 5, "--betas", "[0.1,0.2]", "--model.classes", '["no", "1"]', "--model.resolution", 16]
    with pytest.raises(SystemExit) as caught:
        parse(*flags, "--print_config")
    assert not caught.value.code
    assert parse("--config", written(capsys.readouterr().out)) == parse(*flags)


@pytest.mark.parametrize("text", ["steps: [\n", "", "- 1\n", "just words\n", "unknown: 1\n", "model:\n  unknown: 1\n"])
def test_damaged_configuration_of_a_run_is_one_line_with_its_name(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        config.read(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_missing_configuration_of_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        config.read(tmp_path)


# --- resume ---


def test_resume_takes_the_configuration_of_the_run_and_flags_go_over_it(tmp_path):
    config.write(configure("image", steps=11, seed=12, model={"resolution": 64}), tmp_path)
    for resume in (["--resume", tmp_path], [f"--resume={tmp_path}"]):
        found = parse(*resume, "--steps", 20)
        assert (found.steps, found.seed, found.model.resolution) == (20, 12, 64)
        assert found.resume == str(tmp_path) and found.output is None


def test_resume_of_what_is_no_run_is_refused(tmp_path):
    assert str(tmp_path) in message("--resume", tmp_path)
    assert "nowhere" in message("--resume", "nowhere")


def test_configuration_of_another_modality_is_refused(written):
    found = message("--config", written("modality: audio\n"))
    assert "'audio'" in found and "'image'" in found


# --- what cannot be used ---

NEAREST = [
    ("stepz", "1", "steps"),
    ("batch-size", "1", "batch_size"),
    ("model.resolutoin", "16", "model.resolution"),
    ("resolution", "16", "model.resolution"),
    ("generator_learnin_rate", "1", "generator_learning_rate"),
    ("model.conditionl", "true", "model.conditional"),
]


@pytest.mark.parametrize(("name", "value", "near"), NEAREST)
def test_unknown_flag_names_the_nearest(name, value, near):
    found = message(f"--{name}", value)
    assert name in found and f"did you mean {near}?" in found


@pytest.mark.parametrize(("name", "value", "near"), NEAREST)
def test_unknown_key_of_a_file_names_the_nearest(written, name, value, near):
    head, _, last = name.rpartition(".")
    found = message("--config", written(f"{head}:\n  {last}: {value}\n" if head else f"{name}: {value}\n"))
    assert name in found and f"did you mean {near}?" in found


@pytest.mark.parametrize(("name", "value", "near"), NEAREST)
def test_unknown_field_in_python_names_the_nearest(name, value, near):
    head, _, last = name.rpartition(".")
    with pytest.raises(UserError) as caught:
        configure("image", **({"model": {last: value}} if head else {name: value}))
    if head or not near.startswith("model."):
        assert f"did you mean {near}?" in str(caught.value)
    assert name in str(caught.value)


def test_flags_are_not_abbreviated():
    assert "step" in message("--step", 3) and "dataset" in message("--datas", "x")


WRONG = [
    # name, value, words that the message must have beside the name's last part
    ("steps", "many", "a whole number"),
    ("steps", "1.5", "a whole number"),
    ("steps", "0", "at least 1"),
    ("batch_size", "-1", "at least 1"),
    ("micro_batches", "0", "at least 1"),
    ("log_every", "0", "at least 1"),
    ("discriminator_steps", "0", "at least 1"),
    ("seed", "-1", "0 or more"),
    ("seed", str(2**63), "2^63"),
    ("pretraining_steps", "-1", "0 or more"),
    ("r1", "strong", "a number"),
    ("r1", "-0.1", "0 or more"),
    ("r2", ".nan", "0 or more"),
    ("wgan_gp", "-1", "0 or more"),
    ("generator_learning_rate", "0", "more than 0"),
    ("discriminator_learning_rate", "-1", "more than 0"),
    ("ema_decay", "1", "under 1"),
    ("betas", "[0.5, 1]", "under 1"),
    ("betas", "0.5", "a list of 2 numbers"),
    ("betas", "[0.5]", "2"),
    ("max_gradient_norm", "0", "more than 0"),
    ("max_gradient_norm", "large", "a number"),
    ("objective", "hinges", "hinge"),
    ("streaming", "perhaps", "true or false"),
    ("model.resolution", "17", "16, 32, 64"),
    ("model.resolution", "large", "height x width"),
    ("model.channels", "2", "1 (grey), 3 (colour)"),
    ("model.architecture", "dc-gan", "dcgan"),
    ("model.latent_dim", "0", "at least 1"),
    ("model.rotation", "181", "180"),
    ("model.shift", "-0.1", "0 to 1"),
    ("model.conditional", "perhaps", "true or false"),
    ("steps", "null", "a whole number"),
    ("seed", "null", "a whole number"),
    ("model.latent_dim", "null", "a whole number"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_wrong_flag_is_named_with_what_was_expected(name, value, words):
    found = message(f"--{name}={value}")
    assert name.rpartition(".")[2] in found and words in found


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_wrong_key_of_a_file_is_named_with_what_was_expected(written, name, value, words):
    head, _, last = name.rpartition(".")
    found = message("--config", written(f"{head}:\n  {last}: {value}\n" if head else f"{name}: {value}\n"))
    assert last in found and words in found


@pytest.mark.parametrize("text", ["steps: [\n", "- 1\n", "words\n", "model: 3\n", "model: words\n", "\x00\n"])
def test_file_that_is_no_configuration_is_one_line(written, text):
    assert message("--config", written(text))


def test_file_that_is_not_there_is_named():
    assert "nowhere.yaml" in message("--config", "nowhere.yaml")


def test_file_without_settings_changes_nothing(written):
    assert parse("--config", written("# nothing yet\n")) == configure("image")


# --- from Python ---


def test_model_is_a_dictionary_or_the_configuration_itself():
    assert configure("image", model={"resolution": 16}) == configure("image", model=ImageConfig(resolution=16))
    assert configure("image", model=None) == configure("image")


@pytest.mark.parametrize("model", [3, TrainingConfig(), "words"])
def test_model_of_another_kind_is_refused(model):
    with pytest.raises(UserError, match="ImageConfig"):
        configure("image", model=model)


def test_values_out_of_range_are_refused_in_python():
    with pytest.raises(UserError, match="steps is 0: expected at least 1"):
        configure("image", steps=0)
    with pytest.raises(UserError, match="resolution is 17"):
        configure("image", model={"resolution": 17})
    with pytest.raises(UserError, match="ema_decay"):
        dataclasses.replace(configure("image"), ema_decay=1.0)


def test_configuration_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        configure("image").steps = 3


def test_plain_values_are_what_yaml_and_json_hold():
    values = config.plain(configure("image", model={"classes": ("a", "b")}))
    assert values["betas"] == [0.0, 0.99] and values["model"]["classes"] == ["a", "b"]
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert config.flatten({"a": {"b": {"c": 1}, "d": 2}, "e": 3}) == {"a.b.c": 1, "a.d": 2, "e": 3}


@pytest.mark.parametrize("flag", [["--warmup_steps", "3"], ["--warmup_steps=3"]])
def test_flag_of_0_1_is_taken_with_a_note(flag, capsys):
    recipe = configure("text", seed=4)
    assert parse(*flag, recipe=recipe) == parse("--pretraining_steps", 3, recipe=recipe)
    assert capsys.readouterr().err == "note: --warmup_steps is --pretraining_steps now\n"
