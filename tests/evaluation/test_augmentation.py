"""Holds the question whether generated samples help a classifier to data of which the answer is known."""

import math
import re
from dataclasses import dataclass
from itertools import islice

import datasets
import numpy
import pytest
import torch
from torch import nn

from multigan.errors import UserError
from multigan.evaluation import augmentation
from multigan.evaluation.augmentation import BOTH, GENERATED, REAL, Source, batches, line, table, verdict
from multigan.evaluation.evaluator import Evaluator
from multigan.generation.generator import TrainedGenerator
from multigan.modality import ClassConditionalConfig, Modality

CLASSES, DIMENSIONS, COUNT = 4, 24, 400
# Three deviations from each other: the best possible classifier is right for nearly nine in ten.
MEANS = numpy.eye(DIMENSIONS)[:CLASSES] * 2.1


@dataclass(frozen=True)
class CloudsConfig(ClassConditionalConfig):
    """Points of some classes."""

    conditional: bool = True
    latent_dim: int = DIMENSIONS


def clouds(few=None):
    """As many points of each class around its mean, of the last class only ``few``."""
    labels = numpy.arange(COUNT) % CLASSES
    if few is not None:
        labels = numpy.concatenate([labels[labels < CLASSES - 1], [CLASSES - 1] * few])
    points = MEANS[labels] + numpy.random.default_rng(0).standard_normal((len(labels), DIMENSIONS))
    test = MEANS[labels] + numpy.random.default_rng(1).standard_normal((len(labels), DIMENSIONS))
    return datasets.DatasetDict(
        train=datasets.Dataset.from_dict({"point": points.tolist(), "label": labels.tolist()}),
        test=datasets.Dataset.from_dict({"point": test.tolist(), "label": labels.tolist()}),
    )


class Clouds(Modality):
    """A sample is a point."""

    Config = CloudsConfig
    builtin_datasets = {
        "clouds": clouds,
        "rare": lambda: clouds(12),
        "halved": lambda: clouds()["train"],
        "unlabelled": lambda: clouds().remove_columns("label"),
    }

    def fit(self, dataset):
        return ()

    def encode(self, row):
        label = {"label": row["label"]} if "label" in row else {}
        return {"real": numpy.array(row["point"], "float32"), **label}

    def generator(self):
        raise NotImplementedError

    discriminator = save = preview = generator

    def classifier(self):
        return nn.Sequential(nn.Linear(DIMENSIONS, 64), nn.ReLU())


class Bare(Clouds):
    """Points without a network for features."""

    def classifier(self):
        return None


class Around(nn.Module):
    """Samples of the true distribution, or of the class ``wrong`` places on in the place of the one asked for."""

    def __init__(self, wrong=0, broken=None):
        super().__init__()
        self.means = nn.Parameter(torch.tensor(MEANS, dtype=torch.float32))
        self.wrong, self.broken = wrong, broken

    def forward(self, latent, condition):
        made = latent + self.means[(condition + self.wrong) % CLASSES]
        return made if self.broken is None else torch.where(condition[:, None] == self.broken, math.nan, made)


def model(kind=Clouds, network=None, **fields):
    names = tuple(f"class {number}" for number in range(CLASSES))
    return TrainedGenerator("clouds", kind(kind.Config(**{"classes": names, **fields})), network or Around())


def evaluator(dataset="clouds", seed=0, kind=Clouds):
    return Evaluator.open(model(kind).modality, dataset, features="samples", count=COUNT, seed=seed, quiet=True)


@pytest.fixture(scope="module")
def judge():
    return evaluator()


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 150)
    monkeypatch.setattr(augmentation, "SIZES", ("5", "all"))


def measured(judge, network=None):
    return augmentation.measure(judge, model(network=network), lambda line: None)


def gains(found, size):
    """What generated samples add to the accuracy, by seed."""
    arms = found["accuracy"][size]
    return [both - real for real, both in zip(arms[REAL], arms[BOTH], strict=True)]


def test_samples_of_the_true_distribution_help_where_real_ones_are_few(judge):
    found = measured(judge)
    assert min(gains(found, "5")) > 0.06 and min(found["accuracy"]["5"][GENERATED]) > 0.68
    assert abs(sum(gains(found, "all"))) / 3 < 0.04, "a hundred of each are as good as that many generated ones"
    assert verdict(found)[0].startswith("generated samples help a classifier with so many real ones per class: 5 (+0.")
    assert found["accuracy"]["5"][GENERATED] == found["accuracy"]["all"][GENERATED]


def test_samples_of_the_wrong_classes_hurt_however_many_real_ones_there_are(judge):
    found = measured(judge, Around(wrong=1))
    assert max(gains(found, "5")) < -0.1 and max(gains(found, "all")) < -0.1
    assert max(found["accuracy"]["5"][GENERATED]) < 0.15
    (said,) = verdict(found)
    assert said.startswith("generated samples hurt") and "5 (-0." in said and "all 400 (-0." in said


def test_the_same_seed_gives_the_same_figures_and_leaves_the_global_random_state_alone(judge, monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 5)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = measured(judge)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert measured(judge) == first
    other = measured(evaluator(seed=1))
    # Seeds 0, 1 and 2, and 1, 2 and 3.
    assert other["accuracy"] != first["accuracy"] and other["protocol"]["seeds"] == [1, 2, 3]
    assert len(set(first["accuracy"]["5"][REAL])) > 1


def test_every_classifier_has_as_many_steps_of_as_many_samples(judge, monkeypatch):
    seen = []
    fit = augmentation.fit

    def counting(network, given, steps):
        kept = list(given)
        seen.append((steps, len(kept), {len(samples) for samples, _ in kept}, {len(labels) for _, labels in kept}))
        return fit(network, kept, steps)

    monkeypatch.setattr(augmentation, "fit", counting)
    monkeypatch.setattr(augmentation, "STEPS", 3)
    monkeypatch.setattr(augmentation, "seconds_of_step", lambda judge: 0.0)
    measured(judge)
    assert seen == [(3, 3, {64}, {64})] * 15  # of three seeds, generated alone, and two arms for two sizes


def numbers(start, total):
    """A source whose samples are numbers from ``start`` on."""

    def read(chosen):
        values = torch.from_numpy(chosen) + start
        return values, values

    return Source(total, read)


def test_batches_are_half_of_each_source_and_follow_from_the_seed_and_the_step():
    found = [samples for samples, _ in batches([numbers(0, 3), numbers(100, 1000)], 4, 6)]
    for samples in found:
        assert (samples < 100).sum() == 32 and len(samples) == 64
    assert torch.cat(found)[torch.cat(found) < 100].unique().tolist() == [0, 1, 2]
    again = [samples for samples, _ in islice(batches([numbers(0, 3), numbers(100, 1000)], 4, 100), 6)]
    assert all(map(torch.equal, found, again)) and not torch.equal(found[0], found[1])
    other = next(batches([numbers(0, 3), numbers(100, 1000)], 5, 1))[0]
    assert not torch.equal(found[0], other)


def test_real_samples_are_as_many_of_each_class_and_training_ones(judge):
    labels = augmentation.real_labels(judge)

    def rows(size, seed):
        source = augmentation.real_source(judge, labels, size, seed)
        return source.read(numpy.arange(source.total))

    samples, of_them = rows("5", 0)
    assert of_them.bincount().tolist() == [5] * CLASSES
    known = {tuple(row): label for row, label in zip(*(one.tolist() for one in rows("all", 0)), strict=True)}
    assert len(known) == COUNT
    assert all(known[tuple(row)] == label for row, label in zip(samples.tolist(), of_them.tolist(), strict=True))
    assert {tuple(row) for row in samples.tolist()} <= {tuple(row) for row in rows("20", 0)[0].tolist()}
    assert not torch.equal(samples, rows("5", 1)[0])
    held_out = judge.pair.held_out.samples(judge.modality, 0, COUNT, torch.device("cpu"))
    assert not known.keys() & {tuple(row) for row in held_out.tolist()}


def test_sizes_that_a_class_has_too_few_samples_for_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(augmentation, "SIZES", ("5", "20", "100", "all"))
    monkeypatch.setattr(augmentation, "STEPS", 2)
    found = measured(evaluator("rare"))
    assert list(found["accuracy"]) == ["5", "all"]
    assert "left out: 20, 100 real samples of each class, as class 'class 3' has 12" in found["notes"]


def test_what_the_figures_mean_is_said(judge, monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 2)
    lines = []
    found = augmentation.measure(judge, model(), lines.append)
    assert re.fullmatch(r"augmentation: 15 classifiers, about \d\d:\d\d", *lines)
    assert found["notes"] == [augmentation.SHARED], "the test split was not trained on"
    assert measured(evaluator("halved"))["notes"] == [augmentation.SHARED, augmentation.SEEN]
    assert found["protocol"] | {"seeds": []} == {
        "real": COUNT,
        "generated": COUNT,
        "held_out": COUNT,
        "steps": 2,
        "batch_size": 64,
        "seeds": [],
    }


def test_samples_that_are_not_finite_are_left_out_with_their_classes(judge):
    found = measured(judge, Around(broken=2))
    # Of four classes three are known, and their samples keep their labels; real ones add something of the fourth.
    arms = found["accuracy"]["all"]
    assert all(0.55 < alone < both - 0.02 for alone, both in zip(arms[GENERATED], arms[BOTH], strict=True))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: model(conditional=False), "needs samples of known classes, and this model has none"),
        (lambda: model(combinations=("class 0+class 1",)), "can have several"),
        (lambda: model(Bare), "needs a classifier, and modality 'clouds' has none"),
    ],
)
def test_what_cannot_be_asked_is_one_line(made, words):
    with pytest.raises(UserError, match=words) as caught:
        augmentation.check(made())
    assert len(str(caught.value).splitlines()) == 1


def test_models_that_take_inputs_and_data_without_labels_are_refused(monkeypatch):
    monkeypatch.setattr(Clouds, "takes_inputs", True)
    with pytest.raises(UserError, match="makes something of inputs"):
        augmentation.check(model())
    monkeypatch.undo()
    with pytest.raises(UserError, match="this dataset has no labels"):
        augmentation.real_labels(evaluator("unlabelled"))


# --- what people read ---

FIGURES = {
    "accuracy": {
        "5": {REAL: [0.5, 0.6, 0.7], BOTH: [0.7, 0.8, 0.9], GENERATED: [0.9, 0.9, 0.9]},
        "20": {REAL: [0.9, 0.8, 0.85], BOTH: [0.8, 0.9, 0.86], GENERATED: [0.9, 0.9, 0.9]},
        "all": {REAL: [0.97, 0.98, 0.97], BOTH: [0.95, 0.96, 0.95], GENERATED: [0.9, 0.9, 0.9]},
    },
    "protocol": {"real": 1200, "seeds": [0, 1, 2], "held_out": 100},
    "notes": [],
}


def test_table_has_means_and_deviations():
    lines = [re.split(" {2,}", row.strip()) for row in table(FIGURES).splitlines()]
    assert lines[0] == ["real per class", REAL, BOTH, GENERATED]
    assert lines[1] == ["5", "0.600 ± 0.100", "0.800 ± 0.100", "0.900 ± 0.000"]
    assert lines[3][0] == "all 1,200"
    assert "5 per class 0.600 ± 0.100, with generated 0.800 ± 0.100; 20 " in line(FIGURES)
    assert line(FIGURES).endswith("generated alone 0.900 ± 0.000")


def test_verdict_says_for_which_sizes_samples_help_hurt_or_neither():
    end = "a classifier with so many real ones per class"
    assert verdict(FIGURES) == [
        f"generated samples help {end}: 5 (+0.200)",
        f"generated samples hurt {end}: all 1,200 (-0.020)",
        f"generated samples make no clear difference to {end}: 20 (+0.003)",
    ]


def test_no_difference_at_all_is_not_a_clear_one():
    same = {"5": {REAL: [1.0] * 3, BOTH: [1.0] * 3, GENERATED: [1.0] * 3}}
    (said,) = verdict({**FIGURES, "accuracy": same})
    assert "make no clear difference" in said
