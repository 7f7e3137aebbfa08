"""Runs on pages: how far they are, and starting, stopping and resuming them."""

import os
import time

import pytest

from multigan.files import lock
from multigan.playground.library import Library
from multigan.playground.runs import Runs, points, warnings
from multigan.training.run_folder import add_line, add_note, read_metrics

TINY = {"model.resolution": 16, "model.generator_width": 4, "model.discriminator_width": 4, "model.latent_dim": 4}


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
    return found


def test_a_complete_run_has_curves_previews_and_settings(client):
    found = client.get("/api/run", params={"id": "runs/first"}).json()
    assert (found["state"], found["step"], found["total"], found["modality"]) == ("complete", 2, 2, "image")
    titles = {panel["title"]: panel for panel in found["curves"]}
    assert {"losses", "D's outputs"} <= {*titles}
    assert [step for step, _ in titles["losses"]["lines"][0]["points"]] == [1, 2]
    assert [entry["step"] for entry in found["previews"]] == [1, 2]
    assert found["settings"]["model.resolution"] == "16" and found["models"] == ["runs/first"]


def test_curves_have_few_points_and_the_last_one():
    lines = [{"step": step, "generator_loss": float(step)} for step in range(1, 10_001)]
    found = points(lines, "generator_loss")["points"]
    assert len(found) <= 600 and found[-1] == (10_000, 10_000.0)
    assert points([{"step": 1, "generator_loss": None}], "generator_loss") is None


def test_an_alarm_is_named_when_it_goes_off_and_again_only_after_it_was_off():
    lines = [{"step": step, "seconds": 1.0, "health": on} for step, on in ((1, ["collapse"]), (2, ["collapse"]))]
    lines += [{"step": 2, "note": "silence"}, {"step": 3, "seconds": 1.0}]
    lines += [{"step": 4, "seconds": 1.0, "health": ["collapse"]}]
    assert [(one["step"], one["text"]) for one in warnings(lines)] == [(1, "collapse"), (2, "silence"), (4, "collapse")]


def test_a_run_that_another_process_trains_is_seen_and_left_alone(client, inside):
    folder = inside / "runs" / "first"
    held = lock(folder)
    try:
        assert client.get("/api/run", params={"id": "runs/first"}).json()["state"] == "training elsewhere"
        for action, words in (("stop", "was not started here"), ("resume", "is training")):
            answer = client.post(f"/api/runs/{action}", json={"id": "runs/first"})
            assert answer.status_code == 422 and words in answer.json()["error"]
    finally:
        os.close(held)


def test_the_time_left_is_that_of_the_last_lines(tmp_path):
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    (folder / "config.yaml").write_text("modality: image\nsteps: 1000\nbatch_size: 50\n")
    add_line(folder, {"step": 100, "seconds": 500.0, "samples_per_second": 1000.0, "generator_loss": 1.0})
    add_note(folder, 100, "a warning")
    held = lock(folder)
    found = Runs(Library((str(folder),))).detail(str(folder))
    os.close(held)
    assert found["left"] == "45 s" and found["warnings"] == [{"step": 100, "text": "a warning", "alarm": False}]


def test_the_form_asks_for_every_setting_of_training_and_of_the_model(client):
    found = client.get("/api/form", params={"modality": "text"}).json()
    rows = {row["name"]: row for row in found["training"] + found["model"]}
    assert {"image", "text", "audio"} <= {*found["modalities"]} and found["datasets"] == ["grammar"]
    assert rows["dataset"]["default"] == "grammar" and rows["steps"]["kind"] == "integer"
    assert rows["objective"]["choices"][0] == "non_saturating" and rows["spectral_norm"]["kind"] == "boolean"
    assert rows["model.length"]["optional"] and rows["model.length"]["help"]
    assert not {"output", "resume", "modality"} & {*rows}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"modality": "imge"}, "no modality 'imge'"),
        ({"modality": "os:system"}, "no modality 'os:system'"),
        ({"name": "../elsewhere"}, "expected letters"),
        ({"name": "/tmp/elsewhere"}, "expected letters"),
        ({"name": ".hidden"}, "expected letters"),
        ({"name": "first"}, "is not empty"),
        ({"settings": {"output": "/tmp/elsewhere"}}, "output is not for"),
        ({"settings": {"config": "/etc/passwd"}}, "config is not for"),
        ({"settings": {"steps 3 --output": "x"}}, "no such name"),
    ],
)
def test_a_run_that_cannot_be_started_is_refused(client, values, words):
    answer = client.post("/api/runs/start", json={"modality": "image", "name": "new", "settings": {}, **values})
    assert answer.status_code == 422 and words in answer.json()["error"]


@pytest.mark.slow
def test_a_run_is_started_stopped_resumed_and_ends_with_the_playground(inside):
    runs = Runs(Library(()))
    often = {"log_every": 1, "checkpoint_every": 1000, "batch_size": 16}
    name = runs.start("image", "live", {key: str(value) for key, value in {**TINY, **often, "steps": 100_000}.items()})
    folder = inside / name
    until(lambda: read_metrics(folder))
    assert runs.detail(name)["state"] == "training"
    runs.stop(name)
    until(lambda: runs.detail(name)["state"] == "stopped")
    saved = runs.detail(name)["step"]
    assert "stopped and saved" in runs.log(name)
    assert (folder / "checkpoints" / f"step-{saved}").is_dir()
    runs.resume(name, 200_000)
    until(lambda: runs.detail(name)["step"] > saved)
    assert runs.detail(name)["total"] == 200_000
    (last_words,) = runs.close()
    assert last_words.startswith(f"{name}: stopped and saved after step ")


def test_a_training_that_fails_says_why(inside):
    runs = Runs(Library(()))
    name = runs.start("image", "failing", {"dataset": "no-such-folder"})
    until(lambda: runs.state(name, inside / name) == "failed")
    assert "multigan: error: " in runs.log(name) and "no-such-folder" in runs.log(name)
    assert runs.close() == []


def test_points_in_the_plane_with_the_field_and_the_mesh_of_each_checkpoint(client):
    found = client.get("/api/plane", params={"id": "runs/ring"}).json()
    assert found["steps"] == [1, 2] and len(found["real"]) == 500
    shown = client.get("/api/plane", params={"id": "runs/ring", "step": 2}).json()
    assert len(shown["fake"]) == 500 and len(shown["mesh"]) == 34
    assert max(abs(value) for row in shown["field"] for value in row) == 1
    assert client.get("/api/plane", params={"id": "runs/ring", "step": 7}).status_code == 404
    assert client.get("/api/plane", params={"id": "runs/first"}).json() == {}
