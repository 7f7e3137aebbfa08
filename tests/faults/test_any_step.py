"""A run that is stopped after any step, and gone on with, ends bit for bit as one that was not."""

import dataclasses
import signal
import sys
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from outcome import last
from PIL import Image as Picture

from multigan import config, configure
from multigan.training import run

RING = Path(__file__).parents[2] / "examples" / "ring"
STEPS = 12
# Two passes over 40 pictures are five batches of 16: passes end within a batch.
PICTURES, BATCH = 40, 16


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of forty pictures in three classes."""
    root, dice = tmp_path_factory.mktemp("pictures"), numpy.random.default_rng(0)
    for number in range(PICTURES):
        file = root / "abc"[number % 3] / f"{number:02d}.png"
        file.parent.mkdir(exist_ok=True)
        Picture.fromarray(dice.integers(0, 256, (16, 16), numpy.uint8)).save(file)
    return root


@pytest.fixture
def ring(monkeypatch):
    """The example of a stranger's modality."""
    monkeypatch.syspath_prepend(RING)
    yield "multigan_ring:Ring"
    sys.modules.pop("multigan_ring", None)


def play(training, stops):
    """Train, in as many parts as there are steps to stop after, each part told to by SIGTERM in its last step."""
    pending, original = list(stops), run.Run.play

    def stopping(self, number):
        if pending and number + 1 == pending[0]:
            pending.pop(0)
            signal.raise_signal(signal.SIGTERM)
        return original(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.Run, "play", stopping)
        folder = Path(training.output)
        for stop in stops:
            with pytest.raises(SystemExit, match="143"):
                run.train(training)
            assert (folder / "checkpoints" / f"step-{stop}").is_dir()
            training = dataclasses.replace(config.read(folder, training.modality), resume=str(folder))
        run.train(training)
    assert not pending
    return folder


def check_any_stops(training, root, stops, fields):
    """Show that a run stopped after some steps is one that was not."""
    number = len(list(root.iterdir()))
    training = dataclasses.replace(training, **fields)
    whole, parts = (str(root / f"{number}-{name}") for name in ("whole", "parts"))
    expected = last(play(dataclasses.replace(training, output=whole), []))
    assert last(play(dataclasses.replace(training, output=parts), stops)) == expected
    assert [line["step"] for line in expected["metrics"]][-1] == STEPS


stops_of_a_run = st.sets(st.integers(1, STEPS - 1), min_size=1, max_size=2).map(sorted)
intervals = st.fixed_dictionaries({"log_every": st.integers(1, STEPS), "checkpoint_every": st.integers(1, 2 * STEPS)})
few = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@few
@given(stops=stops_of_a_run, fields=intervals)
@example(stops=[5], fields={"log_every": 7, "checkpoint_every": 100})  # a pass ends, a line of metrics is half full
@example(stops=[1, 2], fields={"log_every": 1, "checkpoint_every": 1})  # saved twice over
def test_pictures(tmp_path_factory, pictures, stops, fields):
    training = configure(
        "image",
        dataset=str(pictures),
        steps=STEPS,
        batch_size=BATCH,
        sample_every=5,
        tracker="none",
        discriminator_steps=2,
        ema_decay=0.9,
        model={
            "architecture": "dcgan",
            "resolution": 16,
            "generator_width": 4,
            "discriminator_width": 4,
            "latent_dim": 4,
            "conditional": True,
            "rotation": 15.0,
            "scaling": 0.1,
            "shift": 0.1,
        },
    )
    check_any_stops(training, tmp_path_factory.getbasetemp(), stops, fields)


@few
@given(stops=stops_of_a_run, fields=intervals)
@example(stops=[11], fields={"log_every": 5, "checkpoint_every": 3})
def test_ring(tmp_path_factory, ring, stops, fields):
    training = configure(ring, steps=STEPS, batch_size=64, tracker="none", micro_batches=2, model={"width": 16})
    check_any_stops(training, tmp_path_factory.getbasetemp(), stops, fields)


def test_another_seed_would_be_seen(tmp_path, pictures):
    # What is compared above tells two runs apart.
    training = configure("image", dataset=str(pictures), steps=2, batch_size=BATCH, tracker="none", log_every=1)
    training = dataclasses.replace(training, model=dataclasses.replace(training.model, resolution=16))
    one, other = (
        last(play(dataclasses.replace(training, seed=seed, output=str(tmp_path / str(seed))), [])) for seed in (0, 1)
    )
    for part in ("model", "metrics"):
        assert one[part] != other[part]
    assert all(one["step-2"][name] != other["step-2"][name] for name in one["step-2"])
