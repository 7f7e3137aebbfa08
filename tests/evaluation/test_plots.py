"""Holds the pictures of figures: they open, and show what there is, however little that is."""

import numpy
import pytest
import torch
from PIL import Image

from multigan.evaluation import plots
from multigan.evaluation.augmentation import ARMS
from multigan.evaluation.report import Evaluation

FIGURES = {"frechet_distance": 3.0, "precision": 0.5, "recall": 0.25, "density": 1.5, "coverage": 0.75}


def evaluation(**figures):
    return Evaluation({"features": "random"}, {**FIGURES, **figures}, {**FIGURES, **figures})


def cloud(count, dimensions=5, seed=0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def pixels(file):
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        return numpy.asarray(picture.convert("RGB")).astype(int)


def ink(file):
    """The share of pixels that are not white."""
    return (pixels(file) != 255).any(2).mean()


# --- an evaluation ---


def test_evaluation_shows_bars_and_both_clouds(tmp_path):
    plots.evaluation(evaluation(), cloud(300), cloud(300, seed=1), tmp_path / "one.png")
    assert ink(tmp_path / "one.png") > 0.03
    plots.evaluation(evaluation(), cloud(300), 3 * cloud(300, seed=1), tmp_path / "other.png")
    assert (pixels(tmp_path / "one.png") != pixels(tmp_path / "other.png")).any()


def test_references_have_bars_of_their_own(tmp_path):
    found = evaluation()
    plots.evaluation(found, cloud(100), cloud(100, seed=1), tmp_path / "none.png")
    found.references = {"trivial": {**FIGURES}, "reference model": {"frechet_distance": 1.0, "recall": 0.9}}
    plots.evaluation(found, cloud(100), cloud(100, seed=1), tmp_path / "two.png")
    grey = [(abs(pixels(tmp_path / name) - 0.7 * 255) < 1).all(2).sum() for name in ("none.png", "two.png")]
    assert grey[1] > grey[0] + 1000


def test_augmentation_shows_a_line_and_deviations_for_each_arm(tmp_path):
    def accuracy(size, spread):
        return {arm: [0.5 + 0.1 * size + spread * at for at in (-1, 0, 1)] for arm in ARMS}

    for spread in (0.0, 0.1):
        found = {"accuracy": {name: accuracy(size, spread) for size, name in enumerate(("5", "20", "all"))}}
        plots.augmentation(found, tmp_path / f"{spread}.png")
    assert 0.01 < ink(tmp_path / "0.0.png") < ink(tmp_path / "0.1.png")


@pytest.mark.parametrize("dimensions", [2, 40])
def test_evaluation_of_few_samples(tmp_path, dimensions):
    plots.evaluation(evaluation(), cloud(6, dimensions), cloud(3, dimensions), tmp_path / "few.png")
    assert ink(tmp_path / "few.png") > 0.01


def test_evaluation_of_one_feature(tmp_path):
    plots.evaluation(evaluation(), cloud(20, 1), cloud(20, 1), tmp_path / "one.png")
    assert ink(tmp_path / "one.png") > 0.01


def test_evaluation_is_the_same_picture_every_time_and_takes_no_random_numbers(tmp_path):
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        plots.evaluation(evaluation(), cloud(100, 40), cloud(100, 40, 1), tmp_path / f"{seed}.png")
        assert torch.equal(torch.get_rng_state(), before)
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


# --- a comparison ---


def test_comparison_has_a_bar_and_a_point_for_each_run(tmp_path):
    plots.comparison({"one": evaluation()}, tmp_path / "one.png")
    plots.comparison({"one": evaluation(), "other": evaluation(recall=0.9)}, tmp_path / "two.png")
    assert min(ink(tmp_path / "one.png"), ink(tmp_path / "two.png")) > 0.01
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
