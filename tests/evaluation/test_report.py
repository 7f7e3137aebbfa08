"""Holds what is said of figures: the verdict, the tables, and the file."""

import dataclasses
import json

import pytest

from multigan.cli.evaluate import show
from multigan.errors import UserError
from multigan.evaluation.report import Evaluation, limits, number, read, verdict

FLOOR = {
    "frechet_distance": 1.0,
    "precision": 0.9,
    "recall": 0.8,
    "coverage": 0.9,
    "class_accuracy": 1.0,
    "memorization": 0.01,
}
VARIANCE = 12.0  # of the real features


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, []),
        ({"precision": 0.46, "recall": 0.41, "coverage": 0.46, "class_accuracy": 0.51}, []),
        ({"precision": 0.44}, ["most samples are unlike real ones: precision 0.440, where real samples have 0.900"]),
        ({"recall": 0.0}, ["much of the real variety is missing: recall 0.000, where real samples have 0.800"]),
        (
            {"coverage": 0.1},
            ["most real samples have nothing generated near them: coverage 0.100, where real samples have 0.900"],
        ),
        (
            {"class_accuracy": 0.1},
            ["the classes are not those asked for: class accuracy 0.100, where real samples have 1.000"],
        ),
        ({"frechet_distance": 11.9}, []),
        (
            {"frechet_distance": 12.1},
            [
                "far from real samples as a whole: Frechet distance 12.1, where repeating a single average sample "
                "would have 12.0"
            ],
        ),
        ({"memorization": 0.2}, []),
        (
            {"memorization": 0.25},
            ["probably copied: 25% are as close to a training sample as 1.0% of held-out samples are"],
        ),
        ({"non_finite_samples": 3}, ["broken: 3 samples are not finite numbers and are left out of the other metrics"]),
        ({"non_finite_samples": 0}, []),
    ],
    ids=str,
)
def test_verdict_by_the_figures(figures, said):
    assert verdict({**FLOOR, **figures}, FLOOR, VARIANCE) == said


def test_verdict_does_not_need_classes():
    baseline = {name: value for name, value in FLOOR.items() if name != "class_accuracy"}
    assert verdict(dict(baseline), baseline, VARIANCE) == []


def test_features_say_what_they_cannot_judge():
    assert limits("classifier", own_classes=True, pretrained=False) == []
    (line,) = limits("random", own_classes=False, pretrained=False)
    assert "recognisable" in line and "labels" in line and "pretrained encoder" in line
    (line,) = limits("inception", own_classes=False, pretrained=True)
    assert "classes" in line and "recognisable" not in line
    (line,) = limits("random", own_classes=False, pretrained=False, inputs=True)
    assert "recognisable" in line and "pretrained encoder" in line and "labels" not in line
    assert limits("inception", own_classes=False, pretrained=True, inputs=True) == []


def test_no_warnings_is_not_approval():
    baseline = dict.fromkeys(FLOOR, 1.0)
    said = show(
        Evaluation(
            {"count": 10, "features": "random", "held_out": "test", "dataset": "digits"},
            baseline,
            baseline,
            limits=limits("random", own_classes=False, pretrained=False),
        )
    )
    assert (
        "no warnings: precision, recall and coverage are at least half of the baseline" in said
        and "does not prove" in said
    )
    assert "not judged: the features random" in said and "no alarm" not in said


def test_data_that_repeats_itself_is_not_taken_for_copies():
    # Where a fifth of held-out samples are in the training data, a fifth of generated ones may be.
    baseline = {**FLOOR, "memorization": 0.2}
    assert verdict({**baseline, "memorization": 0.3}, baseline, VARIANCE) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (-0.5, "-0.500"),
        (9.9994, "9.999"),
        (12.345, "12.3"),
        (1234.56, "1,234.6"),
        (3, "3.000"),
        (-1e-6, "0.000"),
        (0.00042, "0.00042"),
        (-0.00512, "-0.0051"),
    ],
)
def test_numbers_have_three_places_or_one(value, shown):
    assert number(value) == shown


def example():
    return Evaluation(
        {"count": 10},
        {"frechet_distance": 1234.5, "recall": 0.25, "precision": 1.0, "copied": 0.5},
        {"frechet_distance": 2.0, "recall": 0.75, "precision": 0.5, "class_accuracy": 0.25},
        {"cat": {"recall": 0.5}, "elephant": {"recall": 1.0}},
        ["note"],
        ["said"],
        baseline_of_classes={"cat": {"recall": 0.75}},
    )


def test_tables_are_aligned():
    assert example().table().splitlines() == [
        "                   generated        real",
        "frechet distance     1,234.5       2.000",
        "recall                 0.250       0.750",
        "precision              1.000       0.500",
        "copied                 0.500            ",
    ]
    assert example().class_table().splitlines() == [
        "                  recall",
        "cat        0.500 / 0.750",
        "elephant           1.000",
    ]
    assert Evaluation({}, {}, {}).class_table() == ""


def with_references():
    generated = {"frechet_distance": 3.0, "precision": 0.5, "recall": 0.5, "l1": 0.05, "psnr": 26.34}
    trivial = {**generated, "frechet_distance": 9.0, "psnr": 22.0}
    return Evaluation(
        {"count": 10, "features": "random", "held_out": "test", "dataset": "photographs"},
        generated,
        {"frechet_distance": 1.0, "precision": 1.0, "recall": 1.0, "l1": 0.0},
        references={"trivial": trivial, "reference model": {"frechet_distance": 4.0, "l1": 0.04}},
        reference_model="runs/l1",
    )


def test_references_have_columns_between_generated_and_real():
    assert with_references().table().splitlines() == [
        "                   generated     trivial  reference model        real",
        "frechet distance       3.000       9.000            4.000       1.000",
        "precision              0.500       0.500                        1.000",
        "recall                 0.500       0.500                        1.000",
        "L1                     0.050       0.050            0.040       0.000",
        "PSNR (dB)               26.3        22.0                             ",
    ]
    said = show(with_references())
    assert "trivial: what one could show" in said and "reference model: runs/l1" in said
    assert "trivial" not in show(dataclasses.replace(with_references(), references={}, reference_model=None))


def test_worse_than_the_trivial_output_is_said():
    trivial = {**FLOOR, "frechet_distance": 2.0}
    assert verdict({**FLOOR, "frechet_distance": 2.0}, FLOOR, VARIANCE, trivial) == []
    assert verdict({**FLOOR, "frechet_distance": 2.5}, FLOOR, VARIANCE, trivial) == [
        "worse than no network at all: Frechet distance 2.500, where the trivial output has 2.000"
    ]
    # Blur brings a network nearer to the truth in L1 and PSNR: there it may be worse.
    heard = {**FLOOR, "mel_distance": 0.4, "l1": 0.1}
    assert verdict({**heard, "l1": 0.2}, heard, VARIANCE, heard) == []
    assert verdict({**heard, "mel_distance": 0.5}, heard, VARIANCE, heard) == [
        "worse than no network at all: mel distance 0.500, where the trivial output has 0.400"
    ]


@pytest.mark.parametrize("made", [example, with_references])
def test_what_is_written_is_read_again(tmp_path, made):
    assert made().write(tmp_path) == tmp_path / "evaluation.json"
    assert read(tmp_path) == made()


def test_evaluation_from_before_there_were_references_is_read(tmp_path):
    example().write(tmp_path)
    values = json.loads((tmp_path / "evaluation.json").read_text())
    del values["references"], values["reference_model"]
    (tmp_path / "evaluation.json").write_text(json.dumps(values))
    assert read(tmp_path) == example()


@pytest.mark.parametrize("references", [1, [1], {"trivial": 1}, {"trivial": {"l1": None}}])
def test_damaged_references_are_one_line(tmp_path, references):
    dataclasses.replace(example(), references=references).write(tmp_path)
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path)


def test_folder_without_an_evaluation_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match=f"multigan evaluate {tmp_path} makes one"):
        read(tmp_path)


FIGURES = {"precision": 1.0, "recall": 0.5, "frechet_distance": 2.0}
WRONG = [
    json.dumps({"protocol": protocol, "generated": generated, "baseline": baseline}).encode()
    for protocol, generated, baseline in (
        ({}, {}, {}),
        (1, FIGURES, FIGURES),
        ({}, {**FIGURES, "recall": None}, FIGURES),
        ({}, FIGURES, {"recall": 1.0}),
        ({}, FIGURES, [1]),
    )
]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"a": 1}', b"\xff", *WRONG])
def test_damaged_evaluation_is_one_line(tmp_path, content):
    (tmp_path / "evaluation.json").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path)
