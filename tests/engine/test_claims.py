"""Holds what `benchmarks/claims.py` measures: in part, and in full."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from multigan.engine.objectives import OBJECTIVES

FOLDER = Path(__file__).parents[2] / "benchmarks"

CLAIMS = {
    "two processes are one",
    "micro-batches are one batch",
    "each phase is one update, with 4 micro-batches",
    "penalties are exact under bf16",
    "a loss scale changes nothing",
    "an overflow of the generator drops its update alone",
    "an overflow of the discriminator drops its update alone",
    "ring: stopped and resumed is uninterrupted, processes: 1",
    "ring: stopped and resumed is uninterrupted, processes: 2",
    "ring: resumed on other processes is uninterrupted",
    "unpaired: stopped and resumed is uninterrupted, processes: 1",
    "unpaired: stopped and resumed is uninterrupted, processes: 2",
    "unpaired: resumed on other processes is uninterrupted",
}
RECIPES = {path.stem for path in (FOLDER.parent / "recipes").glob("*.py")} - {"audio_istft", "audio_vocoder"}


def measured(*arguments):
    """The rows of the table, after the whole of it was found to hold."""
    command = [sys.executable, str(FOLDER / "claims.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    for claim, setting, figure, limit, _ in rows:
        assert float(figure) <= float(limit), f"{claim}, {setting}: {figure} is over {limit}"
    return rows


def assert_all_recipes_and_objectives(rows):
    games = (
        " ".join(setting for claim, setting, *_ in rows if claim == "two processes are one").replace(",", "").split()
    )
    missing = {*RECIPES, *OBJECTIVES, "r1", "r2", "wgan_gp", "float32", "float64"} - set(games)
    assert not missing


@pytest.mark.slow
def test_what_is_claimed_holds():
    rows = measured("--quick")
    assert {row[0] for row in rows} == CLAIMS
    assert_all_recipes_and_objectives(rows)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_is_claimed_holds_for_every_setting():
    rows = measured()
    assert {row[0] for row in rows} == CLAIMS | {claim.replace("ring", "image") for claim in CLAIMS if "ring" in claim}
    assert_all_recipes_and_objectives(rows)
    assert len([row for row in rows if "8 games" in row[1]]) == len(OBJECTIVES) * 4 * 2


@pytest.fixture
def claims(monkeypatch):
    """The script as a module; what it changes of this process is put back."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "false")
    monkeypatch.setenv("MULTIGAN_CACHE", "")
    import claims

    return claims


@pytest.mark.parametrize(("figure", "code"), [(1e-6, 0), (1.1e-6, 1), (math.inf, 1), (math.nan, 1)])
def test_a_difference_over_its_limit_is_said_and_ends_with_1(claims, monkeypatch, capsys, figure, code):
    monkeypatch.setattr(sys, "argv", ["claims.py"])
    monkeypatch.setattr(claims, "measure", lambda *_: [claims.Row("a claim", "here", figure, 1e-6)])
    assert claims.main() == code
    assert ("OVER" in capsys.readouterr().out) == bool(code)


def test_the_quick_settings_have_each_value_of_each(claims):
    for quick, whole in zip(
        zip(*claims.settings(True), strict=True), zip(*claims.settings(False), strict=True), strict=True
    ):
        assert set(quick) == set(whole)
    assert {(setting.objective, setting.dtype) for setting in claims.settings(True)} == {
        (objective, dtype) for objective in OBJECTIVES for dtype in claims.LIMITS
    }


def test_a_difference_is_relative_and_of_the_worst_tensor(claims):
    import torch

    one = {"weights": torch.tensor([3.0, 4.0]), "moment": torch.tensor([1e-9])}
    assert claims.difference(
        one, {"weights": torch.tensor([3.0, 4.5]), "moment": torch.tensor([2e-9])}
    ) == pytest.approx(1)
    assert claims.difference(one, one) == 0
    assert claims.difference(one, {"weights": one["weights"]}) == math.inf
    lost = {"weights": torch.tensor([3.0, math.nan]), "moment": one["moment"]}
    assert math.isnan(claims.difference(one, lost)) and math.isnan(claims.worst([1.0, math.nan, 2.0]))
