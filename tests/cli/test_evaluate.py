"""Holds `multigan evaluate`: what it writes and where, that it measures the same again, and its errors of one line."""

import json
import os
import shutil
import subprocess
import sys

import datasets
import numpy
import pytest
import yaml
from PIL import Image
from sharpen import Gain, Sharpen, SharpenConfig

from multigan import load
from multigan.evaluation import augmentation
from multigan.evaluation.evaluator import Evaluator
from multigan.generation.generator import TrainedGenerator

FILES = {"evaluation.json", "evaluation.png", "closest.png"}


@pytest.fixture
def mine(trained, tmp_path):
    """A copy of the trained run."""
    return shutil.copytree(trained, tmp_path / "mine")


@pytest.fixture
def evaluate(command):
    def run(*arguments, n=40):
        found = command("evaluate", *arguments, "-n", n)
        assert found.code == 0, found.err
        return found.out

    return run


def figures(folder):
    return json.loads((folder / "evaluation.json").read_text())


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_run_gets_the_figures_two_pictures_and_a_verdict(evaluate, mine, trained):
    out = evaluate(mine)
    assert names(mine) - names(trained) == FILES
    found = figures(mine)
    assert found["protocol"]["count"] == 40 and found["protocol"]["dataset"] == "digits"
    assert found["protocol"]["features"] == "classifier" and found["protocol"]["held_out"] == "half of train"
    assert set(found["generated"]) == set(found["baseline"]) >= {"frechet_distance", "recall", "class_accuracy"}
    assert found["generated"]["precision"] < 0.3 < found["baseline"]["precision"], "two steps make no digits"
    assert any(line.startswith("most samples are unlike real ones") for line in found["verdict"])
    for line in (*found["verdict"], *found["warnings"]):
        assert line in out
    assert "frechet distance" in out and f"into {mine}" in out
    for name in ("evaluation.png", "closest.png"):
        with Image.open(mine / name) as picture:
            low, high = picture.convert("L").getextrema()
            assert low < high


FACTS = {"generated", "real", "measured"}
SECOND = {"generated, features pca", "real, features pca"}


def test_card_has_the_figures_and_a_second_evaluation_replaces_them(evaluate, mine):
    weights, before = (mine / "model" / "model.safetensors").read_bytes(), load(mine).training
    evaluate(mine)
    first, found = load(mine).training, figures(mine)
    assert first.items() >= before.items() and set(first) - set(before) == FACTS | SECOND
    assert f"frechet distance {found['generated']['frechet_distance']:,.1f}"[:24] in first["generated"]
    assert "seed 0" in first["measured"] and "count 40" in first["measured"]
    assert first["generated"] in (mine / "model" / "README.md").read_text()
    evaluate(mine, "--seed", 1, "--features", "random", n=30)
    second = load(mine).training
    assert set(second) == set(first) - SECOND  # the features random know no labels, and need no second space
    assert second["generated"] != first["generated"]
    assert "count 30" in second["measured"] and figures(mine)["protocol"]["seed"] == 1
    card = (mine / "model" / "README.md").read_text()
    assert second["generated"] in card and first["generated"] not in card
    assert (mine / "model" / "model.safetensors").read_bytes() == weights


def test_same_again_and_another_seed_is_another_measurement(evaluate, mine):
    evaluate(mine)
    first = figures(mine)
    evaluate(mine)
    assert figures(mine) == first
    evaluate(mine, "--seed", 1)
    assert figures(mine)["generated"] != first["generated"]


def test_augmentation_has_a_table_a_picture_and_a_line_on_the_card(command, evaluate, mine, monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 2)
    found = command("evaluate", mine, "-n", 40, "--augmentation")
    assert found.code == 0, found.err
    assert "augmentation: 27 classifiers, about 0" in found.err
    added = figures(mine)["augmentation"]
    assert list(added["accuracy"]) == ["5", "20", "100", "all"] and added["protocol"]["seeds"] == [0, 1, 2]
    assert augmentation.table(added) in found.out and augmentation.SHARED in found.out
    assert all(f"verdict: {words}" in found.out for words in augmentation.verdict(added))
    assert f"note: {augmentation.SEEN}" in found.out, "half of the training data is held out"
    with Image.open(mine / "augmentation.png") as picture:
        assert picture.convert("L").getextrema()[0] < 255
    assert load(mine).training["augmentation"] == augmentation.line(added)
    evaluate(mine)
    assert "augmentation" not in load(mine).training and figures(mine)["augmentation"] == {}


def test_augmentation_that_cannot_be_is_one_line_before_the_work(command, monkeypatch, tmp_path):
    monkeypatch.setattr(Evaluator, "open", None)
    arguments = ("starter/text", "--augmentation", "--out", tmp_path / "out")
    assert "needs samples of known classes" in command("evaluate", *arguments).error
    assert not (tmp_path / "out").exists()


def test_out_takes_the_results(evaluate, mine, trained, tmp_path):
    evaluate(mine, "--out", tmp_path / "a" / "b", "--features", "random")
    assert names(tmp_path / "a" / "b") == FILES and names(mine) == names(trained)


def test_model_folder_is_measured_as_its_run_is(evaluate, mine, tmp_path):
    evaluate(mine, "--features", "random")
    shutil.copytree(mine / "model", tmp_path / "model")
    evaluate(tmp_path / "model", "--features", "random")
    assert figures(tmp_path / "model") == figures(mine)
    assert names(tmp_path / "model") >= {*FILES, "config.json", "model.safetensors", "README.md"}
    assert load(tmp_path / "model").training["generated"]


def test_starter_model_is_measured_and_left_alone(command, tmp_path, monkeypatch):
    from multigan.generation.model_folder import find

    monkeypatch.chdir(tmp_path)
    folder = find("starter/image")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = command("evaluate", "starter/image", "-n", 20, "--features", "random")
    assert found.code == 0 and "--out" in found.out
    assert not list(tmp_path.iterdir()) and {path: path.read_bytes() for path in folder.iterdir()} == before


def pictures(count):
    """As many noisy pictures, of all ten classes in turn."""
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list("0123456789")))
    noise = numpy.random.default_rng(0).integers(0, 255, (count, 16, 16), numpy.uint8)
    columns = {"image": [Image.fromarray(one) for one in noise], "label": [number % 10 for number in range(count)]}
    return datasets.Dataset.from_dict(columns, features)


def test_another_dataset_is_warned_of(evaluate, mine, tmp_path):
    pictures(60).to_parquet(tmp_path / "other.parquet")
    evaluate(mine, "--dataset", tmp_path / "other.parquet", "--features", "random", n=20)
    assert figures(mine)["protocol"]["dataset"] == str(tmp_path / "other.parquet")
    assert any("other data" in line for line in figures(mine)["warnings"])
    evaluate(mine, "--features", "random", n=20)
    assert not any("other data" in line for line in figures(mine)["warnings"])


def test_subset_is_that_of_the_training(command, train, tmp_path):
    for name, count in (("all", 64), ("few", 32)):
        (tmp_path / "data" / name).mkdir(parents=True)
        pictures(count).to_parquet(tmp_path / "data" / name / "train.parquet")
    configs = [{"config_name": name, "data_dir": name} for name in ("all", "few")]
    (tmp_path / "data" / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    assert train("--dataset", tmp_path / "data", "--subset", "few", "--output", tmp_path / "run").code == 0
    found = command("evaluate", tmp_path / "run", "--features", "random", "-n", 10)
    assert found.code == 0, found.err
    assert not any("other data" in line for line in figures(tmp_path / "run")["warnings"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", 0], "n is 0"),
        (["-n", 5], "n is 5: expected at least 6"),
        (["--seed", -1], "seed is -1"),
        pytest.param(["--seed", 2**64], "seed"),
        (["--split", "dev"], "'dev'"),
        (["--held_out", "test"], "'test'"),
        (["--held_out", "test"], "--held_out at train"),
        (["--out", "/proc/nowhere"], "cannot write into /proc/nowhere"),
        (["--dataset", "nobody/nothing"], "nobody/nothing"),
        (["--features", "nobody/nothing"], "nobody/nothing"),
        (["--modality", "audio"], "'image'"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_cannot_be_measured_is_one_line_and_writes_nothing(command, mine, trained, arguments, words):
    assert words in command("evaluate", mine, "-n", 20, *arguments).error
    assert names(mine) == names(trained)


def test_unknown_model_is_named(command, tmp_path):
    assert "'no/such/folder'" in command("evaluate", "no/such/folder").error
    assert str(tmp_path) in command("evaluate", tmp_path).error


def test_folder_that_cannot_be_written_is_one_line(command, mine, tmp_path):
    (tmp_path / "file").write_text("mine")
    message = command("evaluate", mine, "-n", 20, "--features", "random", "--out", tmp_path / "file").error
    assert str(tmp_path / "file") in message and (tmp_path / "file").read_text() == "mine"


# --- models that take inputs ---

SHARPEN = ("--modality", "sharpen:Sharpen", "--features", "samples")


@pytest.fixture
def sharpen(tmp_path):
    """Saves a model that goes a part of the way from what could be shown without a network to the truth."""

    def save(name, gain, digest="a", **fields):
        training = {"name": name, "dataset": "digits", "digest": digest}
        return TrainedGenerator("sharpen:Sharpen", Sharpen(SharpenConfig(**fields)), Gain(gain), training).save(
            tmp_path / name
        )

    return save


def cells(text):
    """The cells of a table's lines, by their first."""
    lines = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 1}


def test_outputs_stand_beside_the_trivial_one_a_reference_model_and_real_samples(evaluate, sharpen):
    mine, plain = sharpen("mine", 0.75), sharpen("plain", 0.5)
    out = evaluate(mine, *SHARPEN, "--reference", plain)
    assert any(line.split() == ["generated", "trivial", "reference", "model", "real"] for line in out.splitlines())
    found = figures(mine)
    assert list(found["references"]) == ["trivial", "reference model"] and found["reference_model"] == str(plain)
    l1 = [found["generated"]["l1"], *(values["l1"] for values in found["references"].values())]
    assert l1 == pytest.approx([l1[1] / 4, l1[1], l1[1] / 2], rel=1e-3) and found["baseline"]["l1"] == 0
    assert len(cells(out)["L1"]) == len(cells(out)["frechet distance"]) == 4
    assert f"reference model: {plain}" in out and "trivial: what one could show of the same inputs" in out
    assert "note: measured by hand" in out
    facts = load(mine, "sharpen:Sharpen").training
    assert "L1 " in facts["trivial"] and "frechet distance" in facts["reference model"]
    assert facts["trivial"] in (mine / "README.md").read_text()
    with Image.open(mine / "closest.png") as picture:
        assert picture.convert("L").getextrema() != (0, 0)
    evaluate(mine, *SHARPEN)
    facts = load(mine, "sharpen:Sharpen").training
    assert "trivial" in facts and "reference model" not in facts
    assert figures(mine)["reference_model"] is None


def test_reference_of_another_kind_is_one_line_and_writes_nothing(command, sharpen, trained):
    mine, other = sharpen("mine", 0.75), sharpen("other", 0.5, inverted=True)
    before = names(mine)
    arguments = ("evaluate", mine, "-n", 20, *SHARPEN, "--reference")
    assert "its settings inverted are others" in command(*arguments, other).error
    assert "was trained on other data" in command(*arguments, sharpen("elsewhere", 0.5, "b")).error
    assert "does not make the same inputs" in command(*arguments, sharpen("coarser", 0.5, factor=4)).error
    assert "image" in command(*arguments, trained).error
    assert "'no/model'" in command(*arguments, "no/model").error
    assert names(mine) == before


def test_models_without_inputs_can_have_a_reference_too(evaluate, mine, trained):
    evaluate(mine, "--features", "random", "--reference", trained)
    found = figures(mine)
    assert list(found["references"]) == ["reference model"]
    assert found["references"]["reference model"] == found["generated"]


def launched(folder, *arguments, program=("-m", "multigan")):
    """Evaluates in two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *program]
    path = os.pathsep.join(sys.path)
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [*launch, "evaluate", folder, *arguments]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_two_processes_measure_outputs_of_inputs_as_one_does(evaluate, sharpen):
    one, two, plain = sharpen("one", 0.75), sharpen("two", 0.75), sharpen("plain", 0.5)
    evaluate(one, *SHARPEN, "--reference", plain, n=100)
    launched(two, *SHARPEN, "--reference", plain, "-n", "100")
    found, both = figures(one), figures(two)
    for part in ("generated", "baseline"):
        assert both[part] == pytest.approx(found[part], abs=1e-6)
    for name, values in found["references"].items():
        assert both["references"][name] == pytest.approx(values, abs=1e-6)


@pytest.mark.slow
def test_two_processes_measure_augmentation_as_one_does(evaluate, mine, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 3)
    two = shutil.copytree(trained, tmp_path / "two")
    evaluate(mine, "--augmentation", n=64)
    few_steps = tmp_path / "few_steps.py"
    few_steps.write_text(
        "from multigan import cli\nfrom multigan.evaluation import augmentation\naugmentation.STEPS = 3\ncli.main()\n"
    )
    launched(two, "-n", "64", "--augmentation", program=(few_steps,))
    assert figures(two)["augmentation"] == figures(mine)["augmentation"]


@pytest.mark.slow
def test_two_processes_measure_as_one_does(evaluate, mine, trained, tmp_path):
    out = evaluate(mine, n=100)  # four batches of 32
    two = shutil.copytree(trained, tmp_path / "two")
    out_of_two = launched(two, "-n", "100")
    one, both = figures(mine), figures(two)
    assert both["protocol"] == one["protocol"]
    for part in ("generated", "baseline"):
        assert both[part] == pytest.approx(one[part], abs=1e-6)
    for name, values in one["classes"].items():
        assert both["classes"][name] == pytest.approx(values, abs=1e-6)
    assert one["classes"] and both["verdict"] == one["verdict"]
    assert both["second"]["protocol"] == one["second"]["protocol"]
    for part in ("generated", "baseline"):
        assert both["second"][part] == pytest.approx(one["second"][part], abs=1e-6)
    assert out_of_two.count("100 samples of each") == out.count("100 samples of each") == 1
    assert names(two) == names(mine) and (two / "closest.png").read_bytes() == (mine / "closest.png").read_bytes()
