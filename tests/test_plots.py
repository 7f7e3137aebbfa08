"""Holds the pictures of figures: they open, and show what there is, however little that is."""

import numpy
import pytest
import torch
from PIL import Image

from multigan import plots
from multigan.report import Evaluation

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


def reddish(file):
    red, green, blue = numpy.moveaxis(pixels(file), 2, 0)
    return ((red > green + 30) & (red > blue + 30)).sum()


def line(step, **more):
    values = {"generator_loss": 1.0 / step, "discriminator_loss": 0.5, "d_real": 0.6, "d_fake": 0.4}
    norms = {"generator_gradient_norm": 1.0, "discriminator_gradient_norm": 2.0}
    return {"step": step, **values, **norms, "diversity": 0.9, **more}


# --- an evaluation ---


def test_evaluation_shows_bars_and_both_clouds(tmp_path):
    plots.evaluation(evaluation(), cloud(300), cloud(300, seed=1), tmp_path / "one.png")
    assert ink(tmp_path / "one.png") > 0.03
    plots.evaluation(evaluation(), cloud(300), 3 * cloud(300, seed=1), tmp_path / "other.png")
    assert (pixels(tmp_path / "one.png") != pixels(tmp_path / "other.png")).any()


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


# --- curves ---


def test_curves_show_what_the_lines_have(tmp_path):
    plots.curves([line(step) for step in (1, 2, 3)], tmp_path / "all.png")
    plots.curves([{"step": step, "diversity": 0.5} for step in (1, 2, 3)], tmp_path / "one.png")
    assert ink(tmp_path / "all.png") > 0.01 and ink(tmp_path / "one.png") > 0.01
    assert pixels(tmp_path / "all.png").shape[1] > pixels(tmp_path / "one.png").shape[1], "a panel for what there is"


def test_curves_of_evaluations_have_panels(tmp_path):
    few = [line(1), line(2)]
    measured = {"step": 2, "evaluation": {"frechet_distance": 4.0, "recall": 0.5}, "evaluation_seconds": 0.1}
    plots.curves(few, tmp_path / "without.png")
    plots.curves([*few, measured], tmp_path / "one.png")
    plots.curves([*few, measured, {**measured, "step": 4}], tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
    assert ink(tmp_path / "one.png") > ink(tmp_path / "without.png") + 0.005, "two panels more"


def test_what_was_warned_of_is_marked_in_red(tmp_path):
    plots.curves([line(1), line(2), line(3)], tmp_path / "well.png")
    plots.curves([line(1), line(2, health=["collapse"]), line(3)], tmp_path / "ill.png")
    # In each of four panels a line of some 200 pixels' height.
    assert reddish(tmp_path / "ill.png") > reddish(tmp_path / "well.png") + 4 * 100


def test_notes_and_values_that_are_missing_are_passed_over(tmp_path):
    lines = [line(1), {"step": 1, "note": "a fault"}, line(2, d_real=None, generator_loss=None), line(3)]
    plots.curves(lines, tmp_path / "curves.png")
    assert ink(tmp_path / "curves.png") > 0.01


def test_one_line_is_a_point(tmp_path):
    plots.curves([line(1)], tmp_path / "curves.png")
    assert ink(tmp_path / "curves.png") > 0.01


def test_nothing_but_dropped_steps_is_drawn_without_a_warning(tmp_path):
    nothing = dict.fromkeys(("generator_loss", "discriminator_loss"))
    plots.curves([{"step": step, **nothing, "diversity": 0.5} for step in (1, 2)], tmp_path / "curves.png")


def test_nothing_but_notes_is_no_error(tmp_path):
    plots.curves([{"step": 1, "note": "a fault"}, {"step": 1, "note": "another"}], tmp_path / "curves.png")


# --- a comparison ---


def test_comparison_has_a_bar_and_a_point_for_each_run(tmp_path):
    plots.comparison({"one": evaluation()}, tmp_path / "one.png")
    plots.comparison({"one": evaluation(), "other": evaluation(recall=0.9)}, tmp_path / "two.png")
    assert min(ink(tmp_path / "one.png"), ink(tmp_path / "two.png")) > 0.01
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
