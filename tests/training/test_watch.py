"""Each alarm goes off in a run that is made to go wrong, and none in a run of a recipe that goes well."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import pytest

from multigan import configure
from multigan.training import run

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {"resolution": 16, "generator_width": 8, "discriminator_width": 16}
FULLY_CONNECTED = {"architecture": "mlp", "resolution": 16, "generator_width": 64, "discriminator_width": 64}
UNPENALISED = {"r1": 0.0, "r2": 0.0}


def health(folder):
    """The alarms in each line of metrics."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line.get("health", []) for line in lines if "note" not in line]


def trained(tmp_path, **fields):
    often = {"log_every": 10, "sample_every": 1000, "checkpoint_every": 1000, "tracker": "none"}
    return run.train(configure("image", output=str(tmp_path / "run"), **{**often, **fields}))


@pytest.mark.parametrize(
    ("alarm", "fields"),
    [
        # The generator runs after the discriminator's last mistake, all of it to the same place.
        (
            "collapse",
            {
                "objective": "non_saturating",
                "generator_learning_rate": 0.02,
                "discriminator_learning_rate": 2e-4,
                "betas": (0.5, 0.99),
                "model": FULLY_CONNECTED,
                **UNPENALISED,
            },
        ),
        # The generator does not move.
        ("discriminator has won", {"generator_learning_rate": 1e-8, "discriminator_learning_rate": 1e-3}),
        # Nothing holds the critic's slope, which the Wasserstein distance needs.
        ("divergence", {"objective": "wasserstein", "discriminator_learning_rate": 0.01, "model": SMALL}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_run_that_goes_wrong_is_noticed_and_said_once(tmp_path, capfd, alarm, fields):
    folder = trained(tmp_path, **{"steps": 120, "model": SMALL, **UNPENALISED, **fields})
    assert [alarm] in health(folder)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len([line for line in said if alarm in line]) == 1 and "try " in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["image_gan", "image_dcgan", "image_cgan"])
def test_a_recipe_that_goes_well_is_left_in_peace(tmp_path, recipe, capfd):
    specification = importlib.util.spec_from_file_location(recipe, RECIPES / f"{recipe}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    few = {"steps": 300, "log_every": 10, "sample_every": 300, "tracker": "none", "output": str(tmp_path / "run")}
    folder = run.train(dataclasses.replace(module.CONFIG, **few))
    assert health(folder) == [[]] * 30
    assert "warning" not in capfd.readouterr().err
