"""What the pages of models ask for: samples, what lies around them, and outputs of inputs."""

import base64
import io

import numpy
import pytest
import torch
from PIL import Image

import multigan
from multigan.generation.generator import load
from multigan.generation.model_folder import find
from multigan.playground.explorer import Explorer, requested

STARTERS = "starter/image", "starter/audio", "starter/text"


def drawn(client, id, **request):
    answer = client.post("/api/draw", json={"id": id, "request": request})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client, path="/api/draw", **values):
    answer = client.post(path, json=values)
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]


def png(sides=(32, 32), mode="RGB", color=None):
    written = io.BytesIO()
    Image.new(mode, sides[::-1], color).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


@pytest.fixture
def explorer(inside):
    return Explorer("runs/first", inside / "runs" / "first" / "model")


@pytest.mark.parametrize("model", ["starter/image", "starter/audio"])
def test_a_sample_is_the_file_that_generate_writes_byte_for_byte(client, command, inside, tmp_path, model):
    out = tmp_path / "out"
    assert command("generate", "--model", model, "-n", 36, "--seed", 7, "--truncation", 0.8, "--out", out).code == 0
    shown = drawn(client, model, seed=7, index=33, count=3, truncation=0.8)
    assert [one["index"] for one in shown] == [33, 34, 35]
    for one in shown:
        (file,) = out.glob(f"{one['index']:06d}.*")
        assert base64.b64decode(one["data"]) == file.read_bytes()


def test_a_longer_sound_is_the_file_that_generate_writes(client, command, tmp_path):
    """Which is made by itself, not in a batch."""
    out = tmp_path / "out"
    assert command("generate", "--model", "starter/audio", "-n", 3, "--seconds", 1.5, "--out", out).code == 0
    (shown,) = drawn(client, "starter/audio", index=2, options={"seconds": 1.5})
    assert base64.b64decode(shown["data"]) == (out / "000002.wav").read_bytes()


def test_sentences_are_those_of_generate(client):
    expected = multigan.load("starter/text").generate(3, seed=5, temperature=0.7, prefix="the old")
    shown = drawn(client, "starter/text", seed=5, count=3, options={"temperature": 0.7, "prefix": "the old"})
    assert [one["data"] for one in shown] == expected
    assert {one["type"] for one in shown} == {"text/plain"}


def test_a_class_is_chosen_by_name_and_otherwise_all_take_turns(client):
    assert [one["label"] for one in drawn(client, "starter/audio", index=6, count=3)] == ["cowbell", "rim", "kick"]
    assert [one["label"] for one in drawn(client, "starter/audio", index=6, count=2, label="clap")] == ["clap", "clap"]


def test_options_of_a_sound_reach_the_network(client):
    short, long = (drawn(client, "starter/audio", options={"seconds": seconds})[0]["data"] for seconds in (1, 2))
    assert len(base64.b64decode(long)) - len(base64.b64decode(short)) == 2 * 8000  # 16 bits


def test_what_a_page_is_told_of_a_model(client):
    image, audio, text = (client.get("/api/model", params={"id": id}).json() for id in STARTERS)
    assert (image["directions"], audio["directions"], text["directions"]) == (8, 8, 0)
    assert image["blends"] and audio["blends"] and not text["blends"]
    assert (image["layers"], audio["layers"], text["layers"]) == (3, 0, 0)
    assert [row["name"] for row in audio["options"]] == ["seconds", "loop"]
    temperature, prefix = text["options"]
    assert (temperature["kind"], temperature["default"], prefix["kind"]) == ("number", 1.0, "text")
    assert "below 1" in temperature["help"]


def test_sliders_move_along_directions_that_change_samples(explorer):
    directions = explorer.directions("3")
    torch.testing.assert_close(directions.vectors.norm(dim=1), torch.ones(4))
    assert directions.shares == sorted(directions.shares, reverse=True) and sum(directions.shares) <= 1 + 1e-5
    request = requested({"label": "3", "seed": 4, "sliders": [0.0, 2.5]})
    latents = explorer._latents(4, 0, 1, None) + 2.5 * directions.vectors[1]
    expected = explorer.generator.from_latents(latents, torch.tensor([3]))
    torch.testing.assert_close(explorer.samples(request), expected)


def test_samples_of_two_numbers_have_two_directions(client):
    assert client.get("/api/model", params={"id": "runs/ring"}).json()["directions"] == 2
    assert drawn(client, "runs/ring", sliders=[1.0, 2.0])
    assert "this model has 2" in refused(client, id="runs/ring", request={"sliders": [1.0] * 8})


def test_the_first_direction_is_the_one_that_matters_where_one_alone_does(explorer, monkeypatch):
    def network(latents, condition, truncation=None, **options):
        return latents[:, 2, None, None, None].expand(-1, 1, 16, 16)

    monkeypatch.setattr(explorer.generator, "from_latents", network)
    monkeypatch.setattr(explorer.modality, "classifier", lambda: None)
    found = explorer.directions("0")
    assert found.shares[0] > 0.95
    assert abs(found.vectors[0, 2]) > 0.95


def test_halfway_to_another_sample_and_at_its_end(explorer):
    end = requested({"seed": 1, "label": "2", "other_seed": 9, "other_index": 5, "share": 1.0})
    other = explorer.generator.from_latents(explorer._latents(9, 5, 1, None), torch.tensor([2]))
    torch.testing.assert_close(explorer.samples(end), other, atol=1e-5, rtol=0)
    half = explorer.samples(requested({"seed": 1, "label": "2", "other_seed": 9, "other_index": 5, "share": 0.5}))
    assert not torch.allclose(half, other, atol=1e-3)


def test_a_blend_ends_at_the_other_class(explorer):
    blended = explorer.samples(requested({"label": "2", "blend": "7", "blend_share": 1.0}))
    pure = explorer.generator.from_latents(explorer._latents(0, 0, 1, None), torch.tensor([7]))
    torch.testing.assert_close(blended, pure, atol=1e-5, rtol=0)
    half = explorer.samples(requested({"label": "2", "blend": "7", "blend_share": 0.5}))
    assert not torch.allclose(half, pure, atol=1e-4)


def test_blends_are_not_offered_where_the_network_takes_numbers_alone(explorer, monkeypatch):
    def network(latents, condition, truncation=None, **options):
        return condition[:, None, None].long().float()

    monkeypatch.setattr(explorer.generator, "from_latents", network)
    assert not explorer.blends


def test_style_mixing_begins_at_a_layer(explorer):
    same = {"label": "2", "other_seed": 9, "other_index": 5}
    assert explorer.layers == 6
    none, some, every = (explorer.samples(requested({**same, "mix": layer})) for layer in (6, 3, 0))
    plain = explorer.samples(requested({"label": "2"}))
    torch.testing.assert_close(none, plain, atol=1e-5, rtol=0)
    assert not torch.allclose(some, plain, atol=1e-4) and not torch.allclose(some, every, atol=1e-4)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"index": -1}, "expected 0 or more"),
        ({"count": 1000}, "expected 1 to 64"),
        ({"seed": "one"}, "seed is 'one': expected a whole number"),
        ({"label": "eleven"}, "no class 'eleven'"),
        ({"sliders": [1e9]}, "out of range"),
        ({"colour": 1}, "unknown setting colour"),
        ({"options": {"temperature": 2}}, "unknown setting temperature"),
        ({"options": 1}, "an object of settings"),
        ({"truncation": -1}, "truncation is -1"),
    ],
)
def test_what_cannot_be_is_one_line(client, request_, words):
    assert words in refused(client, id="starter/image", request=request_)


def test_sentences_have_no_sliders(client):
    assert "nearby latents" in refused(client, id="starter/text", request={"sliders": [1.0]})


def test_a_third_party_s_samples_are_shown_as_it_previews_them(client):
    (shown,) = drawn(client, "runs/ring", count=8)
    assert (shown["type"], shown["of"]) == ("image/png", 8)


# --- inputs ---


def test_a_hole_is_filled_where_the_brush_was(client, inside):
    model = load("runs/inpaint")
    mask = Image.new("L", (32, 32))
    mask.paste(255, (8, 8, 20, 20))
    mask.save(inside / "mask.png")
    picture = Image.new("L", (32, 32), 90)
    expected = model.generate(inputs=[picture], mask=str(inside / "mask.png"))[0]
    values = {"id": "runs/inpaint", "name": "a.png", "file": png(mode="L", color=90)}
    values["mask"] = base64.b64encode((inside / "mask.png").read_bytes()).decode()
    answer = client.post("/api/translate", json={**values, "request": {}})
    (shown,) = answer.json()
    found = Image.open(io.BytesIO(base64.b64decode(shown["data"])))
    assert numpy.array_equal(found, expected)


def test_a_painted_label_map_is_one_of_the_model_s_classes(client):
    facts = client.get("/api/model", params={"id": "runs/labels"}).json()
    assert facts["palette"] and facts["sides"] == [32, 32] and facts["several"]
    rows = [[(x > 15) * 1 for x in range(32)] for _ in range(32)]
    asked = {"id": "runs/labels", "painted": rows, "request": {"count": 2}}
    first, second = client.post("/api/translate", json=asked).json()
    assert first["data"] != second["data"]
    classes = load("runs/labels").modality.config.classes
    pixels = numpy.array([tuple(bytes.fromhex(name[1:])) if name[0] == "#" else (int(name),) for name in classes])
    given = pixels.astype(numpy.uint8)[numpy.array(rows)].squeeze()
    expected = load("runs/labels").generate(2, inputs=[given])
    found = Image.open(io.BytesIO(base64.b64decode(second["data"])))
    assert numpy.array_equal(found, expected[1])


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n broken", base64.b64decode(png((4, 4), "L"))],
    ids=["damaged", "another shape"],
)
def test_an_input_that_cannot_be_used_is_the_line_of_the_command_line(client, command, inside, monkeypatch, content):
    (inside / "photo.png").write_bytes(content)
    expected = command("generate", "--model", "runs/inpaint", "--input", "photo.png").error
    encoded = base64.b64encode(content).decode()
    found = refused(client, "/api/translate", id="runs/inpaint", name="../photo.png", file=encoded, request={})
    assert found == expected and expected.startswith("photo.png: ")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"file": ""}, "choose a file"),
        ({"file": "%%%"}, "cannot be read"),
        ({"file": 7}, "cannot be read"),
        ({"painted": [[0, 99]]}, "no label map"),
        ({"painted": 3}, "no label map"),
    ],
)
def test_an_input_that_is_none_is_refused(client, values, words):
    assert words in refused(client, "/api/translate", id="runs/labels", request={}, **values)


def test_a_mask_is_painted_and_never_a_path_of_the_server(client, inside):
    (inside / "secret.png").write_bytes(base64.b64decode(png(mode="L", color=255)))
    asked = {
        "id": "runs/inpaint",
        "name": "a.png",
        "file": png(mode="L"),
        "request": {"options": {"mask": "secret.png"}},
    }
    assert "takes no mask" in refused(client, "/api/translate", **asked)


def test_the_number_of_a_sample_may_be_large():
    explorer = Explorer("starter/image", find("starter/image"))
    request = requested({"index": 10**12 + 3, "count": 2})
    assert explorer._labels(request) == ["3", "4"]
