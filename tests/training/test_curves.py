"""Holds the curves of a run: they open, and show what there is, however little that is."""

import numpy
from PIL import Image

from multigan.training.curves import curves


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


def test_curves_show_what_the_lines_have(tmp_path):
    curves([line(step) for step in (1, 2, 3)], tmp_path / "all.png")
    curves([{"step": step, "diversity": 0.5} for step in (1, 2, 3)], tmp_path / "one.png")
    assert ink(tmp_path / "all.png") > 0.01 and ink(tmp_path / "one.png") > 0.01
    assert pixels(tmp_path / "all.png").shape[1] > pixels(tmp_path / "one.png").shape[1], "a panel for what there is"


def test_curves_of_evaluations_have_panels(tmp_path):
    few = [line(1), line(2)]
    measured = {"step": 2, "evaluation": {"frechet_distance": 4.0, "recall": 0.5}, "evaluation_seconds": 0.1}
    curves(few, tmp_path / "without.png")
    curves([*few, measured], tmp_path / "one.png")
    curves([*few, measured, {**measured, "step": 4}], tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()
    assert ink(tmp_path / "one.png") > ink(tmp_path / "without.png") + 0.005, "two panels more"


def test_what_was_warned_of_is_marked_in_red(tmp_path):
    curves([line(1), line(2), line(3)], tmp_path / "well.png")
    curves([line(1), line(2, health=["collapse"]), line(3)], tmp_path / "ill.png")
    # In each of four panels a line of some 200 pixels' height.
    assert reddish(tmp_path / "ill.png") > reddish(tmp_path / "well.png") + 4 * 100


def test_notes_and_values_that_are_missing_are_passed_over(tmp_path):
    lines = [line(1), {"step": 1, "note": "a fault"}, line(2, d_real=None, generator_loss=None), line(3)]
    curves(lines, tmp_path / "curves.png")
    assert ink(tmp_path / "curves.png") > 0.01


def test_one_line_is_a_point(tmp_path):
    curves([line(1)], tmp_path / "curves.png")
    assert ink(tmp_path / "curves.png") > 0.01


def test_nothing_but_dropped_steps_is_drawn_without_a_warning(tmp_path):
    nothing = dict.fromkeys(("generator_loss", "discriminator_loss"))
    curves([{"step": step, **nothing, "diversity": 0.5} for step in (1, 2)], tmp_path / "curves.png")


def test_nothing_but_notes_is_no_error(tmp_path):
    curves([{"step": 1, "note": "a fault"}, {"step": 1, "note": "another"}], tmp_path / "curves.png")
