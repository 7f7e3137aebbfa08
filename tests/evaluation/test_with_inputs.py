"""Holds the evaluation of models that take inputs: each output beside its truth, and what all of them stand beside."""

import math
from copy import copy

import pytest
import torch
from sharpen import Both, Gain, Sharpen, SharpenConfig, Untrivial

from multigan.errors import UserError
from multigan.evaluation import report
from multigan.evaluation.evaluator import Evaluator
from multigan.evaluation.held_out import Rows
from multigan.generation.generator import TrainedGenerator

COUNT = 70  # two blocks of 32 and a part
FRECHET = "frechet_distance"


def opened(kind=Sharpen, dataset="digits", count=COUNT, **fields):
    return Evaluator.open(kind(SharpenConfig(**fields)), dataset, count=count, features="samples", quiet=True)


def model(gain, kind=Sharpen, training=(), **fields):
    network = gain if isinstance(gain, torch.nn.Module) else Gain(gain)
    return TrainedGenerator("sharpen", kind(SharpenConfig(**fields)), network.eval(), dict(training))


def evaluated(evaluator, gain, kind=Sharpen, quick=True):
    made = model(gain, kind)
    return evaluator.evaluate(made, evaluator.generated(made), quick)


@pytest.fixture(scope="module")
def evaluator():
    return opened()


def truth(evaluator, start=0, stop=COUNT):
    return evaluator.pair.held_out.pair(evaluator.modality, start, stop, torch.device("cpu"))[0]


# --- outputs and their truth ---


def test_model_that_finds_the_truth_of_each_input_is_real_data(evaluator):
    found = evaluated(evaluator, 1.0)
    assert found.generated["l1"] == pytest.approx(0, abs=1e-6), "each is told of its own row"
    assert set(found.generated) == set(found.baseline) >= {"l1", "most", FRECHET, "recall"}
    for name, value in found.generated.items():
        assert value == pytest.approx(found.baseline[name], abs=1e-4), name
    assert found.verdict == []


def test_metrics_of_pairs_are_means_over_all_held_out_rows(evaluator):
    real = truth(evaluator)
    small = real.reshape(COUNT, 4, 2, 4, 2).mean((2, 4)).repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None]
    far = (small - real).abs().flatten(1)
    found = evaluated(evaluator, 0.75).generated
    assert found["l1"] == pytest.approx(far.mean().item() / 8, rel=1e-4)
    assert found["most"] == pytest.approx(far.amax(1).mean().item() / 4, rel=1e-4)


def test_real_samples_are_the_truth_of_the_inputs_with_their_random_numbers(evaluator):
    features = evaluator.reference.measure(evaluator.extractor.real(evaluator.space, evaluator.pair.held_out, ""))
    assert features == {name: evaluator.baseline[name] for name in features}
    brightness = truth(evaluator).amin((1, 2, 3))
    assert brightness.min() < -0.9 and brightness.max() > -0.6  # paper is -1, but for the brightness
    pairs = evaluator.nearest_training(model(1.0), evaluator.generated(model(1.0)), 3)
    assert pairs.shape == (6, 1, 8, 8)
    shown = evaluator.pair.every.samples(evaluator.modality, 0, len(evaluator.pair.every), torch.device("cpu"))
    for made, near in zip(pairs[::2], pairs[1::2], strict=True):
        assert torch.isclose(made, truth(evaluator), atol=1e-5).flatten(1).all(1).any()
        assert (near == shown).flatten(1).all(1).any()
        assert (made - near).norm() == pytest.approx((shown - made).flatten(1).norm(dim=1).min().item(), rel=1e-4)


def test_outputs_that_are_not_finite_are_left_out_of_the_pairs_too(evaluator):
    class Broken(Gain):
        def forward(self, latent, condition):
            made = super().forward(latent, condition)
            made[3] = math.nan
            made[4:8] += 1.0
            return made

    found = evaluated(evaluator, Broken(1.0))
    assert found.generated["non_finite_samples"] == 3 and found.baseline["non_finite_samples"] == 0
    # Of 32, 32 and 6 samples, 4, 4 and 2 are off by 1, which is 0.5 of the range, and one of each is not finite.
    assert found.generated["l1"] == pytest.approx(0.5 * 10 / 67, rel=1e-4)


def test_what_metrics_are_trained_on_is_not_held_out(evaluator):
    seen = evaluator.modality.seen
    assert len(seen) == COUNT
    known = evaluator.pair.train.pair(evaluator.modality, 0, COUNT, torch.device("cpu"))[0]
    assert torch.equal(seen, known)
    assert not (truth(evaluator)[:, None] == seen).flatten(2).all(2).any()


def test_own_metrics_see_outputs_of_other_inputs_than_the_real_samples(evaluator):
    made, beside = evaluator.beyond_features(model(1.0))
    assert made == beside == {"truths": 0}


def test_notes_of_the_metrics_are_in_the_report(evaluator):
    warnings = evaluated(evaluator, 1.0).warnings
    assert "measured by hand" in warnings
    assert any(line.endswith("and on the pairs that its outputs are compared with") for line in warnings)


def test_labels_are_no_advice_for_models_that_take_inputs(evaluator):
    (line,) = evaluated(evaluator, 1.0).limits
    assert "look at them" in line and "label" not in line and "--features" in line


def test_other_data_was_not_trained_on_and_is_not_said_to_be(evaluator):
    known = evaluator.warnings(model(1.0, training={"digest": evaluator.protocol["digest"]}))
    other = evaluator.warnings(model(1.0, training={"digest": "another"}))
    assert any("was trained on the baseline's samples too" in line for line in known)
    assert "the model was trained on other data than what it is compared with" in other
    assert not any("was trained on the baseline's samples" in line for line in other)


def test_where_there_are_no_more_samples_is_said(evaluator):
    few = copy(evaluator)
    few.asked, all_trained_on = 1000, evaluator.pair._replace(every=evaluator.pair.train)
    for few.pair, held_out, why in (
        (all_trained_on, "half of train", "half of the 140 real ones are held out"),
        (all_trained_on, "test", "the training data has no more"),
        (evaluator.pair, "test", "the test data has no more"),
    ):
        few.protocol = {**evaluator.protocol, "held_out": held_out}
        assert f"70 samples of each instead of 1,000: {why}" in few.warnings(model(1.0))


def test_the_truth_is_read_once(evaluator, monkeypatch):
    read, pair = [], Rows.pair
    monkeypatch.setattr(
        Rows, "pair", lambda rows, modality, *place: (read.append(place), pair(rows, modality, *place))[1]
    )
    assert evaluator.truth(evaluator.inputs) == {"l1": 0, "most": 0}
    assert [place[:2] for place in read] == [(0, 32), (32, 64), (64, 70)]


def test_best_metric_may_be_one_of_pairs(evaluator):
    assert evaluator.baseline["l1"] == 0 and "l1" in report.LOWER_IS_BETTER and "lpips" in report.LOWER_IS_BETTER
    assert not {"psnr", "ssim", "segmenter_accuracy"} & set(report.LOWER_IS_BETTER)


# --- references ---


def test_trivial_output_is_measured_as_a_model_of_it_would_be(evaluator):
    found = evaluated(evaluator, 0.0)
    assert list(found.references) == ["trivial"]
    assert set(found.references["trivial"]) == set(found.generated)
    for name, value in found.references["trivial"].items():
        assert value == pytest.approx(found.generated[name], rel=1e-4, abs=1e-6), name
    assert found.references["trivial"]["l1"] > 0.02


def test_worse_than_trivial_is_said(evaluator):
    assert not any("trivial" in line for line in evaluated(evaluator, 0.3).verdict)
    (line,) = (line for line in evaluated(evaluator, -0.5).verdict if "trivial" in line)
    assert line.startswith("worse than no network at all: Frechet distance ")


def test_without_a_trivial_output_or_metrics_of_pairs_there_are_none():
    evaluator = opened(Untrivial)
    found = evaluated(evaluator, 0.5, Untrivial)
    assert found.references == {} and "l1" not in found.generated and found.generated[FRECHET] > 0


def test_reference_model_has_all_metrics():
    evaluator = opened()
    evaluator.add_reference_model(model(0.5, training={"digest": "a"}), model(0.9, training={"digest": "a"}))
    found = evaluated(evaluator, 0.9)
    assert list(found.columns) == ["generated", "trivial", "reference model", "real"]
    alone = evaluated(evaluator, 0.5, quick=False).generated
    assert found.references["reference model"] == pytest.approx(alone)
    l1 = [found.columns[name]["l1"] for name in ("generated", "reference model", "trivial")]
    assert l1 == pytest.approx([l1[2] * 0.1, l1[2] * 0.5, l1[2]], rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "fields", "digest", "words"),
    [
        (Untrivial, {}, "a", "is of modality 'sharpen': expected"),
        (Sharpen, {"inverted": True}, "a", r"reads the data differently \(its settings inverted are others\)"),
        (Sharpen, {"factor": 4}, "a", "does not make the same inputs and samples"),
        (Sharpen, {}, "b", "was trained on other data"),
    ],
)
def test_reference_that_is_none_is_one_line(evaluator, kind, fields, digest, words):
    other = model(0.5, kind, {"digest": digest}, **fields)
    with pytest.raises(UserError, match=words) as error:
        evaluator.add_reference_model(other, model(0.5, training={"digest": "a"}))
    assert "\n" not in str(error.value) and list(evaluator.references) == ["trivial"]


# --- two domains without pairs ---


def test_true_pairs_are_compared_where_there_are_any():
    evaluator = opened(Both, "paired")
    found = evaluated(evaluator, 0.5, Both)
    assert found.generated["l1"] == pytest.approx(0.5 * found.references["trivial"]["l1"], rel=1e-4)
    assert not any("true pairs" in line for line in found.warnings)


def test_without_true_pairs_nothing_is_compared_with_a_truth():
    evaluator = opened(Both, "apart", count=30)
    found = evaluated(evaluator, 0.5, Both)
    assert "l1" not in {**found.generated, **found.baseline, **found.references["trivial"]}
    assert found.generated[FRECHET] < found.references["trivial"][FRECHET]
    assert sum("there are no true pairs" in line for line in found.warnings) == 1
