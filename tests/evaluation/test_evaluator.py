"""Holds the evaluation: bad generators are told from good ones, and who asks again gets the same answer."""

import dataclasses
import json
import math
from dataclasses import dataclass

import datasets
import numpy
import pytest
import torch
import transformers
from PIL import Image as Picture
from torch import nn
from torch.nn.functional import one_hot

from multigan import config, configure
from multigan.errors import UserError
from multigan.evaluation import features as feature_spaces
from multigan.evaluation import report
from multigan.evaluation.evaluator import Evaluator
from multigan.generation import generator as generators
from multigan.generation import latents as latent_numbers
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.image import Image, ImageConfig
from multigan.modalities.text import Text, TextConfig, quality
from multigan.modalities.text.features import SentenceFeatures
from multigan.modality import ClassConditionalConfig, Modality
from multigan.training import run

COUNT, CLASSES, DIMENSIONS = 240, 4, 6


@dataclass(frozen=True)
class PointsConfig(ClassConditionalConfig):
    """Points of some classes."""

    conditional: bool = True
    latent_dim: int = 4


def clusters(labelled=True):
    """Four Gaussians in six dimensions, five deviations from zero on an axis each; the classes in turn."""
    labels = numpy.arange(2 * COUNT) % CLASSES
    points = 5 * numpy.eye(DIMENSIONS)[labels] + numpy.random.default_rng(0).standard_normal((2 * COUNT, DIMENSIONS))
    columns = {"point": points.tolist(), "label": labels.tolist()}
    return datasets.Dataset.from_dict(columns if labelled else {"point": columns["point"]})


class Points(Modality):
    """A sample is a point."""

    Config = PointsConfig
    builtin_datasets = {"clusters": clusters, "unlabelled": lambda: clusters(False)}

    def fit(self, dataset):
        labels = dataset["label"] if "label" in dataset.column_names else ()
        self.config = dataclasses.replace(self.config, classes=tuple(f"class {n}" for n in sorted(set(labels))))
        return ()

    def encode(self, row):
        label = {"label": row["label"]} if self.config.classes else {}
        return {"real": numpy.array(row["point"], "float32"), **label}

    def generator(self):
        raise NotImplementedError

    discriminator = save = preview = generator

    def classifier(self):
        return nn.Sequential(nn.Linear(DIMENSIONS, 256), nn.ReLU(), nn.Linear(256, 16), nn.ReLU())


class Bare(Points):
    """Points without a network for features."""

    def classifier(self):
        return None


class Replay(nn.Module):
    """Gives sample i for the latent of sample i of seed 0, if need be by the class that is asked for."""

    def __init__(self, samples, by_class=False):
        super().__init__()
        self.samples = nn.Parameter(samples)
        latents = [latent_numbers.latent(0, number, 4, None) for number in range(COUNT + generators.BATCH)]
        self.register_buffer("latents", torch.from_numpy(numpy.stack(latents)))
        self.by_class = by_class

    def forward(self, latent, condition):
        if self.by_class:
            return self.samples[condition]
        return self.samples[torch.cdist(latent, self.latents).argmin(1) % len(self.samples)]


def modality(kind=Points, dataset="clusters", **fields):
    made = kind(kind.Config(**fields))
    made.fit(kind.builtin_datasets[dataset]())
    return made


def evaluator(kind=Points, dataset="clusters", features="auto", count=COUNT, **options):
    return Evaluator.open(modality(kind, dataset), dataset, features=features, count=count, quiet=True, **options)


@pytest.fixture(scope="module")
def judge():
    return evaluator()


def asked(judge):
    """The classes that a generator is asked for."""
    model = TrainedGenerator("points", modality(), nn.Identity())
    return judge.asked_classes(model)


def judged(judge, samples, quick=True, conditional=True, by_class=False):
    model = TrainedGenerator("points", modality(conditional=conditional), Replay(samples, by_class).eval())
    return judge.evaluate(model, judge.generated(model), quick)


def train(judge):
    return judge.pair.train.encoded(0, COUNT)


def held_out(judge):
    return judge.pair.held_out.encoded(0, COUNT)


def fresh(judge):
    """As many new samples of the true distribution, of the classes that are asked for."""
    noise = torch.randn(COUNT, DIMENSIONS, generator=torch.Generator().manual_seed(7))
    return 5 * one_hot(asked(judge), DIMENSIONS) + noise


# --- good and bad generators ---


def test_new_samples_of_the_true_distribution_are_as_good_as_the_floor(judge):
    found = judged(judge, fresh(judge))
    assert found.verdict == []
    for name in ("precision", "recall", "coverage", "class_accuracy"):
        assert found.generated[name] == pytest.approx(found.baseline[name], abs=0.12)
    assert found.generated["memorization"] < 0.1
    assert abs(found.generated["kernel_distance"]) < 3 * found.generated["kernel_distance_std"]


def test_held_out_set_itself_is_the_floor(judge):
    found = judged(judge, held_out(judge), conditional=False)
    for name, value in found.generated.items():
        assert found.baseline[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
    assert found.verdict == []


def test_generator_and_floor_have_as_many_of_each_class(judge):
    labels = judge.pair.held_out.labels
    assert asked(judge).bincount().tolist() == labels.bincount().tolist() != judge.pair.train.labels.bincount().tolist()


def test_one_perfect_sample_a_class_has_the_classes_and_no_variety(judge):
    labels = judge.pair.held_out.labels
    first = torch.stack([held_out(judge)[labels == number][0] for number in range(CLASSES)])
    found = judged(judge, first, by_class=True)
    assert found.generated["class_accuracy"] == 1 and found.generated["precision"] > 0.9
    assert found.generated["recall"] < 0.1 and found.generated["coverage"] < 0.25
    assert found.generated["frechet_distance"] > 5 * found.baseline["frechet_distance"]
    assert [line.split(":")[0] for line in found.verdict] == [
        "much of the real variety is missing",
        "most real samples have nothing generated near them",
    ]
    assert "recall 0.0" in found.verdict[0]
    assert all(values["recall"] < 0.1 and values["class_accuracy"] == 1 for values in found.classes.values())


def test_training_samples_copied_are_found_out(judge):
    found = judged(judge, train(judge), conditional=False)
    assert found.generated["memorization"] == 1
    assert found.generated["precision"] == found.generated["recall"] == 1
    (line,) = found.verdict
    assert line.startswith("probably copied: 100% ")


def test_a_third_copied_is_found_out(judge):
    found = judged(judge, torch.cat([train(judge)[: COUNT // 3], fresh(judge)[COUNT // 3 :]]))
    assert found.generated["memorization"] == pytest.approx(1 / 3, abs=0.05)
    assert any("copied" in line for line in found.verdict)


def test_noise_is_unlike_real_samples(judge):
    found = judged(judge, 40 * torch.randn(COUNT, DIMENSIONS, generator=torch.Generator().manual_seed(1)))
    assert found.generated["precision"] < 0.05 and found.generated["density"] < 0.05
    assert found.generated["class_accuracy"] < 0.5 and found.generated["kernel_distance"] > 1
    assert found.verdict[0].startswith("most samples are unlike real ones: precision 0.0")
    assert found.verdict[-2].startswith("the classes are not those asked for: class accuracy ")
    assert found.verdict[-1].startswith("far from real samples as a whole: Frechet distance ")


def test_wrong_classes_are_told_from_a_wrong_distribution(judge):
    found = judged(judge, torch.cat([fresh(judge)[1:], fresh(judge)[:1]]))
    assert found.generated["class_accuracy"] == pytest.approx(1 / CLASSES, abs=0.1)
    assert found.generated["precision"] == pytest.approx(found.baseline["precision"], abs=0.12)
    (line,) = found.verdict
    assert line.startswith("the classes are not those asked for")


def test_one_class_left_out_is_seen_in_its_own_figures(judge):
    samples = fresh(judge)
    samples[asked(judge) == 2] = samples[asked(judge) == 0][0]
    found = judged(judge, samples)
    assert list(found.classes) == [f"class {number}" for number in range(CLASSES)]
    assert found.classes["class 2"]["recall"] == found.classes["class 2"]["class_accuracy"] == 0
    assert all(found.classes[f"class {number}"]["class_accuracy"] > 0.9 for number in (0, 1, 3))


def test_classifier_of_generated_samples_is_as_good_as_they_are(judge):
    name = "classification_accuracy_score"
    known = judge.pair.known.encoded(0, len(judge.pair.known))  # it asks for the classes of these
    good = judged(judge, known, quick=False)
    assert good.generated[name] > 0.9 and good.baseline[name] == good.baseline["class_accuracy"]
    swapped = judged(judge, torch.cat([known[1:], known[:1]]), quick=False)
    assert swapped.generated[name] < 0.5
    assert name not in judged(judge, fresh(judge), quick=False, conditional=False).generated


# --- what is not finite ---


def test_samples_that_are_not_finite_are_counted_and_left_out(judge):
    samples = fresh(judge)
    whole = judged(judge, samples)
    samples[3, 0], samples[40, 2], samples[41] = math.nan, math.inf, -math.inf
    found = judged(judge, samples)
    assert found.generated["non_finite_samples"] == 3 and found.baseline["non_finite_samples"] == 0
    assert found.verdict == ["broken: 3 samples are not finite numbers and are left out of the other metrics"]
    for name in ("precision", "recall", "class_accuracy"):
        assert found.generated[name] == pytest.approx(whole.generated[name], abs=0.05)
    assert all(math.isfinite(value) for value in found.generated.values())


def test_labels_and_places_stay_with_the_samples_that_are_left(judge):
    samples = fresh(judge)
    samples[:40] = math.nan  # a whole batch and a part
    samples[100] = train(judge)[11]
    model = TrainedGenerator("points", modality(), Replay(samples).eval())
    found = judge.generated(model)
    assert found.broken == 40 and found.numbers.tolist() == list(range(40, COUNT))
    assert torch.equal(found.labels, asked(judge)[40:])
    assert judge.evaluate(model, found, quick=False).generated["class_accuracy"] > 0.9
    pairs = judge.nearest_training(model, found, 3)
    assert pairs.shape == (6, DIMENSIONS)
    assert torch.equal(pairs[0], train(judge)[11]) and torch.equal(pairs[1], train(judge)[11])
    for made, real in zip(pairs[::2], pairs[1::2], strict=True):
        assert any(torch.equal(made, sample) for sample in samples[40:])
        assert any(torch.equal(real, sample) for sample in train(judge))


def test_nothing_finite_is_one_line(judge):
    with pytest.raises(UserError, match=f"^{COUNT} of {COUNT} samples are not finite numbers"):
        judged(judge, torch.full((COUNT, DIMENSIONS), math.nan))


def test_closest_are_the_copies_and_what_they_are_copies_of(judge):
    samples = fresh(judge)
    samples[100], samples[7] = train(judge)[11], train(judge)[200]
    model = TrainedGenerator("points", modality(), Replay(samples).eval())
    pairs = judge.nearest_training(model, judge.generated(model), 2)
    assert torch.equal(pairs[0], pairs[1]) and torch.equal(pairs[2], pairs[3])
    assert {tuple(pair.tolist()) for pair in pairs} == {tuple(train(judge)[row].tolist()) for row in (11, 200)}


# --- the same answer to who asks again ---


def test_evaluating_leaves_the_generator_and_the_global_random_state_alone(judge):
    model = TrainedGenerator("points", modality(), Replay(fresh(judge)).eval())
    weights = {name: value.clone() for name, value in model.network.state_dict().items()}
    torch.manual_seed(3)
    before = torch.get_rng_state(), numpy.random.get_state()[1].tolist()
    judge.evaluate(model, judge.generated(model))
    assert torch.equal(torch.get_rng_state(), before[0]) and numpy.random.get_state()[1].tolist() == before[1]
    assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    assert not model.network.training


@pytest.mark.parametrize("features", ["samples", "random", "classifier"])
def test_setting_up_leaves_the_global_random_state_alone(features):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for _ in range(2):  # the second time from the cache
        evaluator(features=features, seed=1)
        assert torch.equal(torch.get_rng_state(), before)


def test_classifier_comes_from_the_cache_the_second_time(monkeypatch):
    first = evaluator(seed=5)
    with monkeypatch.context() as patch:
        patch.setattr(feature_spaces, "train", None)  # it cannot be trained again
        torch.manual_seed(9)
        again = evaluator(seed=5)
    assert again.protocol == first.protocol and again.baseline == first.baseline
    assert evaluator(seed=6).protocol["weights"] != first.protocol["weights"]


def test_damaged_classifier_in_the_cache_is_trained_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path))
    first = evaluator(seed=5)
    (file,) = tmp_path.glob("classifier-*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert evaluator(seed=5).protocol["weights"] == first.protocol["weights"]
    assert file.read_bytes() == whole


def test_random_features_are_the_same_every_time_and_know_no_labels():
    torch.manual_seed(1)
    first = evaluator(features="random")
    torch.manual_seed(2)
    again = evaluator(features="random")
    assert first.protocol == again.protocol and first.baseline == again.baseline
    assert "class_accuracy" not in first.baseline and first.protocol["features"] == "random"
    assert evaluator(features="random", dataset="unlabelled").protocol["weights"] == first.protocol["weights"]


def test_seed_decides_the_real_samples():
    first, again, other = (evaluator(features="samples", count=50, seed=seed) for seed in (0, 0, 1))
    assert (
        torch.equal(first.pair.train.encoded(0, 50), again.pair.train.encoded(0, 50))
        and first.baseline == again.baseline
    )
    assert (
        not torch.equal(first.pair.train.encoded(0, 50), other.pair.train.encoded(0, 50))
        and first.baseline != other.baseline
    )


def test_training_and_held_out_rows_are_disjoint(judge):
    assert not set(judge.pair.train.numbers.tolist()) & set(judge.pair.held_out.numbers.tolist())
    assert judge.protocol["held_out"] == "half of train" and judge.count == COUNT
    assert any(
        "half of the training data is taken as held out" in line for line in judged(judge, fresh(judge)).warnings
    )


def test_closeness_counts_one_in_a_hundred_of_held_out_samples(judge):
    # The 0.01 quantile of 240 distances, taken upwards, is the fourth: 0.01 * 239 = 2.39.
    assert judge.baseline["memorization"] == pytest.approx(4 / COUNT)


# --- what is looked at ---


@pytest.mark.parametrize(
    ("kind", "dataset", "name"),
    [(Points, "clusters", "classifier"), (Points, "unlabelled", "random"), (Bare, "clusters", "samples")],
)
def test_features_are_chosen_by_what_there_is(kind, dataset, name):
    assert evaluator(kind, dataset).protocol["features"] == name


def test_features_of_samples_are_the_samples():
    found = evaluator(features="samples")
    assert torch.equal(found.reference.real.features, train(found))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": "classifier", "dataset": "unlabelled"}, "no labels"),
        ({"features": "classifier", "kind": Bare}, "features samples"),
        ({"features": "random", "kind": Bare}, "features samples"),
        ({"held_out": "dev"}, "'dev'"),
        ({"split": "dev"}, "'dev'"),
        ({"count": 1}, "n is 1"),
        ({"count": 5}, "n is 5: expected at least 6"),
        ({"features": "nobody/nothing"}, "nobody/nothing"),
        ({"features": "./nowhere"}, "./nowhere"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_one_line(options, words):
    with pytest.raises(UserError) as caught:
        evaluator(**options)
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_six_samples_are_enough():
    found = evaluator(count=6, features="samples")
    assert set(judged(found, train(found)).generated) == set(found.baseline)


def test_too_few_samples_for_a_covariance_are_warned_of():
    found = evaluator(count=20)  # of 16 features
    assert any("20 samples are few for 16 features" in line for line in judged(found, train(found)).warnings)
    assert not any("few" in line for line in judged(evaluator(count=32), train(found)).warnings)


def test_model_of_other_data_is_warned_of(judge):
    model = TrainedGenerator("points", modality(), Replay(fresh(judge)).eval(), {"digest": "0"})
    assert any("other data" in line for line in judge.evaluate(model, judge.generated(model), True).warnings)
    model.training["digest"] = judge.protocol["digest"]
    assert not any("other data" in line for line in judge.evaluate(model, judge.generated(model), True).warnings)


def test_copies_are_sought_among_all_that_was_trained_on():
    every = evaluator(count=60)
    copies = every.pair.every.encoded(120, 120 + COUNT)  # none of them is of the 60 that it is compared with
    found = judged(every, copies, conditional=False)
    assert every.protocol["searched"] == 2 * COUNT - 60
    assert found.generated["memorization"] == 1 and any("copied" in line for line in found.verdict)
    few = evaluator(count=60, search_all=False)
    found = judged(few, copies, conditional=False)
    assert few.protocol["searched"] == 60 and found.generated["memorization"] < 0.2
    assert "copies were looked for among 60 of 420 training samples" in found.warnings


def test_samples_whose_features_are_not_finite_are_counted(judge):
    samples = fresh(judge)
    samples[7] = 3e38
    found = judged(judge, samples, conditional=False)
    assert found.generated["non_finite_samples"] == 1 and found.verdict[0].startswith("broken: 1 samples")


def test_each_class_has_its_floor(judge):
    found = judged(judge, fresh(judge))
    assert set(found.baseline_of_classes) == set(found.classes) == {f"class {number}" for number in range(CLASSES)}
    for name, baseline in found.baseline_of_classes.items():
        assert set(baseline) == set(found.classes[name])
    mean = numpy.mean([baseline["class_accuracy"] for baseline in found.baseline_of_classes.values()])
    assert mean == pytest.approx(found.baseline["class_accuracy"], abs=0.02)


def test_auto_takes_random_features_where_a_classifier_would_have_one_class():
    unlabelled = modality()
    unlabelled.config = dataclasses.replace(unlabelled.config, classes=())
    for features in ("auto", "random"):
        assert Evaluator.open(unlabelled, "clusters", features=features, count=50, quiet=True).space.name == "random"


def test_a_classifier_that_knows_little_is_named(judge, monkeypatch):
    assert not any("the classifier is right" in line for line in judged(judge, fresh(judge)).warnings)
    monkeypatch.setitem(judge.baseline, "class_accuracy", 0.63)
    assert any("the classifier is right for only 63% of real" in line for line in judged(judge, fresh(judge)).warnings)


def test_inception_is_for_pictures():
    with pytest.raises(UserError, match="inception is for pictures, not for modality Points"):
        evaluator(features="inception")


# --- within a run ---

TINY = {"resolution": 16, "architecture": "mlp", "generator_width": 4, "discriminator_width": 4, "latent_dim": 4}


def tiny(folder, **fields):
    """A run of six steps, measured after every other."""
    small = {"steps": 6, "batch_size": 16, "log_every": 1, "checkpoint_every": 2, "tracker": "none"}
    measured = {"evaluate_every": 2, "evaluate_samples": 40, "evaluate_features": "random"}
    return configure("image", output=str(folder), model=TINY, **{**small, **measured, **fields})


def lines(folder):
    """The lines of metrics without what the clock says."""
    clock = ("seconds", "samples_per_second", "evaluation_seconds")
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in clock} for line in found if "note" not in line]


def measurements(folder):
    return {line["step"]: line["evaluation"] for line in lines(folder) if "evaluation" in line}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run.train(tiny(tmp_path_factory.mktemp("runs") / "whole"))


def best_step(folder):
    found = {step: figures["frechet_distance"] for step, figures in measurements(folder).items()}
    return min(found, key=found.get)


def test_run_is_measured_at_its_steps_and_after_the_last(whole, tmp_path):
    assert list(measurements(whole)) == [2, 4, 6]
    assert report.read(whole).generated == measurements(whole)[6]
    assert (whole / "curves.png").is_file()
    assert list(measurements(run.train(tiny(tmp_path / "run", steps=3)))) == [2, 3]


def test_best_is_the_model_of_the_best_step(whole):
    best, step = generators.load(whole / "best"), best_step(whole)
    assert best.training["steps"] == step
    again = Evaluator.open(best.modality, "digits", count=40, features="random", search_all=False, quiet=True)
    assert again.evaluate(best, again.generated(best), quick=True).generated == measurements(whole)[step]


@pytest.mark.parametrize(("metric", "better"), [("kernel_distance", min), ("inception_score", max)])
def test_best_is_by_the_metric_that_is_named(tmp_path, metric, better):
    folder = run.train(tiny(tmp_path / "run", best_metric=metric, evaluate_features="auto"))
    values = {step: figures[metric] for step, figures in measurements(folder).items()}
    assert len(set(values.values())) > 1
    assert values[generators.load(folder / "best").training["steps"]] == better(values.values())


def test_the_split_to_hold_it_against_can_be_named(tmp_path):
    for number, split in enumerate(("train", "test", "validation")):
        for label in ("bright", "dark"):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for grey in range(20):
                Picture.new("L", (16, 16), 10 * grey + number).save(folder / f"{grey}.png")
    options = {"dataset": str(tmp_path / "pictures"), "steps": 2}
    for name, taken in ((None, "test"), ("validation", "validation"), ("train", "half of train")):
        folder = run.train(tiny(tmp_path / taken, evaluate_held_out=name, **options))
        assert report.read(folder).protocol["held_out"] == taken
        assert generators.load(folder).training.get("held_out") == name
    with pytest.raises(UserError, match="no split 'extra'"):
        run.train(tiny(tmp_path / "none", evaluate_held_out="extra", **options))


def test_resumed_run_is_the_uninterrupted_one(whole, tmp_path):
    part = run.train(tiny(tmp_path / "run", steps=4, learning_rate_steps=6))
    run.train(dataclasses.replace(config.read(part), resume=str(part), output=None, steps=6))
    assert lines(part) == lines(whole)
    assert report.read(part) == report.read(whole)
    assert (part / "best" / "model.safetensors").read_bytes() == (whole / "best" / "model.safetensors").read_bytes()
    states = [json.loads((folder / "checkpoints" / "step-6" / "state.json").read_text()) for folder in (part, whole)]
    assert states[0]["best"] == states[1]["best"] == [best_step(whole), states[1]["best"][1]]


def test_resumed_run_remembers_the_best_from_before(tmp_path, monkeypatch):
    part = run.train(tiny(tmp_path / "run", steps=4))
    before = best_step(part)
    monkeypatch.setattr("multigan.evaluation.reference.frechet_distance", lambda real, fake: 1e9)
    run.train(dataclasses.replace(config.read(part), resume=str(part), output=None, steps=6))
    assert generators.load(part / "best").training["steps"] == before


def test_training_is_the_same_with_evaluations_and_without(whole, tmp_path):
    without = run.train(tiny(tmp_path / "run", evaluate_every=0))
    assert not (without / "best").exists() and not measurements(without)
    for file in sorted((without / "checkpoints" / "step-6").glob("*.safetensors")):
        assert file.read_bytes() == (whole / "checkpoints" / "step-6" / file.name).read_bytes(), file.name
    assert lines(without) == [line for line in lines(whole) if "evaluation" not in line]


def test_as_good_is_no_better(tmp_path):
    folder = run.train(tiny(tmp_path / "run", steps=4, best_metric="density"))
    assert [figures["density"] for figures in measurements(folder).values()] == [0, 0]
    assert generators.load(folder / "best").training["steps"] == 2


def test_metric_that_there_is_not_is_one_line(tmp_path):
    with pytest.raises(UserError, match="best_metric is 'beauty': expected one of frechet_distance, ") as caught:
        run.train(tiny(tmp_path / "run", best_metric="beauty"))
    assert len(str(caught.value).splitlines()) == 1


def test_run_that_fails_once_goes_back_and_is_measured_again(tmp_path, monkeypatch):
    seen = []

    def on_step(self, generator, step):
        if step == 3 and len(seen) < 2:  # of both generators, once
            seen.append(step)
            with torch.no_grad():
                next(generator.parameters()).fill_(math.nan)

    monkeypatch.setattr(Image, "on_step", on_step)
    folder = run.train(tiny(tmp_path / "run"))
    assert len(seen) == 2 and list(measurements(folder)) == [2, 4, 6]


@pytest.mark.parametrize("fields", [{"best_metric": "beauty"}, {"evaluate_features": "./nowhere"}], ids=str)
def test_what_cannot_be_measured_is_said_before_the_first_step(tmp_path, fields):
    with pytest.raises(UserError):
        run.train(tiny(tmp_path / "run", **fields))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"evaluate_every": -1}, "evaluate_every is -1"),
        ({"evaluate_samples": 1}, "evaluate_samples is 1"),
        ({"streaming": True}, "evaluate_every is 2: expected 0 with streaming"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_one_line(tmp_path, fields, words):
    with pytest.raises(UserError, match=words):
        tiny(tmp_path / "run", **fields)


# --- of each modality ---


def test_spectrograms_are_evaluated_as_the_waves_that_they_make():
    made = Audio(AudioConfig(architecture="specgan"))
    made.fit(made.builtin_datasets["drums"]())
    waves = (0.5 * torch.randn(2, 1, made.config.length, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    encoded = (waves.transpose(1, 2) * 32767).to(torch.int16)
    assert made.to_sample(encoded).dim() == 4 and made.to_finished(encoded).shape == waves.shape
    torch.testing.assert_close(made.to_finished(encoded), waves, atol=1e-4, rtol=0)
    assert made.finish(made.to_sample(encoded)).shape == waves.shape
    with torch.no_grad():
        assert made.classifier().eval()(waves).shape == (2, 128)


def test_waves_and_pictures_are_evaluated_as_they_are():
    wavegan = Audio(AudioConfig(architecture="wavegan", length=16384, sampling_rate=16000, channels=1))
    pictures = Image(ImageConfig(resolution=16, channels=1))
    for modality in (wavegan, pictures):
        assert modality.finish is None
    with torch.no_grad():
        assert pictures.classifier()(torch.zeros(2, 1, 16, 16)).shape == (2, 128)


def test_nothing_after_the_end_of_a_sentence_is_read():
    torch.manual_seed(0)
    features = SentenceFeatures(vocabulary=5, end=0).eval()
    tokens = torch.tensor([[3, 1, 0, 2, 4], [3, 1, 0, 0, 1], [3, 2, 0, 0, 0]])
    with torch.no_grad():
        found = features(one_hot(tokens, 5).float())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_sentences_have_figures_of_their_own_beside_the_floor():
    made = Text(TextConfig(length=12, generator_width=4, layers=1))
    made.fit(made.builtin_datasets["grammar"]())
    model = TrainedGenerator("text", made, made.generator().eval())
    found = Evaluator.open(made, "grammar", count=60, features="random", quiet=True)
    figures = found.evaluate(model, found.generated(model))
    assert {"BLEU-2", "self-BLEU-2", "distinct-1", "copied"} <= set(figures.generated)
    assert figures.generated["BLEU-2"] < figures.baseline["BLEU-2"] and figures.generated["copied"] == 0
    assert not set(found.evaluate(model, found.generated(model), quick=True).generated) & {"BLEU-2", "copied"}


def test_figures_of_sentences_by_hand():
    found = quality.metrics(["a b", "a b", "c"], ["a b", "d"], ["e"])
    # Words: a, b, a, b, c. Pairs: a b, twice.
    assert found["distinct-1"] == pytest.approx(3 / 5) and found["distinct-2"] == pytest.approx(1 / 2)
    assert found["copied"] == pytest.approx(2 / 3)


def test_model_of_sentences_has_its_tokenizer_beside_it(tmp_path):
    made = Text(TextConfig(length=12, generator_width=4, layers=1))
    made.fit(made.builtin_datasets["grammar"]())
    TrainedGenerator("text", made, made.generator().eval()).save(tmp_path / "model")
    (sentence,) = made.builtin_datasets["grammar"]()[:1][made.config.text_column]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = made.encode({made.config.text_column: sentence, made.config.label_column: 0})["real"].tolist()
    assert tokenizer(sentence)["input_ids"] == ids[: len(tokenizer(sentence)["input_ids"])]
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == sentence.split()


def test_labels_space_has_a_second_space_beside_it(judge):
    model = TrainedGenerator("points", modality(), Replay(fresh(judge)).eval())
    second = judge.measure_second(model)
    assert second["protocol"]["features"] == "pca" and judge.space.name == "classifier"
    assert set(second["generated"]) == {"frechet_distance", "precision", "recall", "density", "coverage"}
    assert second["generated"]["recall"] > 0.8 < second["baseline"]["recall"]
    collapsed = TrainedGenerator("points", modality(), Replay(fresh(judge)[:1]).eval())
    assert judge.measure_second(collapsed)["generated"]["recall"] < 0.1
    assert evaluator(features="random").measure_second(model) == {}
