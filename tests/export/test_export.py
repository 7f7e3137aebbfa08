"""Exported models against torch, and what cannot be exported."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy
import onnxruntime
import pytest
import torch
import yaml
from torch import nn

import multigan
from multigan import load
from multigan.errors import UserError
from multigan.export import check, folder, site
from multigan.export.folder import export
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.image import Image
from multigan.networks import keyed_noise

SMALL = {"resolution": 16, "generator_width": 8, "latent_dim": 8, "channels": 1}


def small(modality=Image, name="image", **settings):
    torch.manual_seed(0)
    instance = modality(modality.Config(**{**SMALL, **settings}))
    network = instance.generator().eval().requires_grad_(False)
    return TrainedGenerator(name, instance, network, {"name": "small", "license": "mit"})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small conditional generator, and the folder of its ONNX file."""
    generator = small(architecture="dcgan", conditional=True, classes=("cat", "dog"))
    out = tmp_path_factory.mktemp("exported") / "model"
    return generator, out, export(generator, "runs/small", out)


def test_a_file_makes_what_generate_makes(exported):
    generator, out, written = exported
    about = json.loads((out / "model.json").read_text())
    session = onnxruntime.InferenceSession(out / "model.onnx")
    assert [one.name for one in session.get_inputs()] == [one["name"] for one in about["inputs"]] == ["latent", "label"]
    assert session.get_inputs()[0].shape == ["batch", 8] and session.get_outputs()[0].shape == ["batch", 1, 16, 16]
    latents, labels = generator._latents(range(3), 3, 0, None, False), torch.tensor([0, 1, 0])
    (made,) = session.run(None, {"latent": latents.numpy(), "label": labels.numpy()})
    (expected,) = generator.batches(3, 0)
    numpy.testing.assert_allclose(made, expected.numpy(), atol=1e-5)
    assert about["classes"] == ["cat", "dog"] and about["latent_dim"] == 8 and about["weights"] == generator.digest
    assert about["inputs"][1] | {"meaning": ""} == {
        "name": "label",
        "type": "int64",
        "shape": ["batch"],
        "values": "whole",
        "range": [0, 1],
        "meaning": "",
    }
    assert about["outputs"][0]["range"] == [-1, 1] and about["kind"] == "picture"
    assert written.checked.same and written.checked.difference < 1e-5 and written.size > 1000


def test_files_have_no_paths_of_this_machine(exported, tmp_path):
    generator, out, _ = exported
    export(generator, "small", tmp_path / "out", "torch")
    source = str(Path(multigan.__file__).parent).encode()
    with zipfile.ZipFile(tmp_path / "out" / "model.pt2") as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    for content in ((out / "model.onnx").read_bytes(), (out / "model.json").read_bytes(), *parts):
        assert source not in content and b".py" not in content


def test_a_model_that_differs_is_not_left_there(exported, tmp_path, monkeypatch):
    generator = exported[0]
    run = folder.onnx_file.runner
    monkeypatch.setattr(folder.onnx_file, "runner", lambda file: lambda *inputs: run(file)(*inputs) + 1e-3)
    with pytest.raises(UserError, match=r"does not make what torch makes: largest difference 1\.0e-03"):
        export(generator, "small", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_fixed_batch_is_refused(tmp_path):
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 256)

        def forward(self, latent, condition):
            return self.layer(latent).view(len(latent), 1, 16, 16)

    generator = replace(small(), network=Fixed().eval())
    with pytest.raises(UserError, match=r"fixes the size of the batch: len\(tensor\) does"):
        export(generator, "fixed", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_half_the_size(exported, tmp_path):
    generator, out, _ = exported
    written = export(generator, "small", tmp_path / "half", half=True)
    weights = sum(one.numel() for one in generator.network.parameters())
    assert (out / "model.onnx").stat().st_size - written.size > 1.5 * weights
    assert 1e-5 < written.checked.difference < 0.02
    assert json.loads((tmp_path / "half" / "model.json").read_text())["weights_type"] == "float16"


def test_a_program_of_torch(exported, tmp_path):
    generator = exported[0]
    written = export(generator, "small", tmp_path / "out", "torch")
    assert {file.name for file in written.files} == {"model.json", "model.pt2"}
    module = torch.export.load(tmp_path / "out" / "model.pt2").module()
    (expected,) = generator.batches(3, 0)
    made = module(generator._latents(range(3), 3, 0, None, False), torch.tensor([0, 1, 0]))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_noise_of_a_latent_is_the_same_number_for_number(tmp_path):
    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, latent, condition):
            key = keyed_noise.keys(latent)
            return torch.stack([keyed_noise.uniform(key, 1, 999), keyed_noise.normal(key, 2, 999)], 1) * self.weight

    generator = replace(small(), network=Noise().eval().requires_grad_(False))
    export(generator, "noise", tmp_path / "out")
    latents = torch.randn(4, 8)
    latents[0, 0], latents[1, 0], latents[2, 0], latents[3, 0] = 0, 1e-30, -1e30, 1.5
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (made,) = session.run(None, {"latent": latents.numpy()})
    expected = generator.network(latents, None).clamp(-1, 1).numpy()
    assert (made[:, 0] == expected[:, 0]).all(), "uniform numbers are integer arithmetic"
    numpy.testing.assert_allclose(made[:, 1], expected[:, 1], atol=2e-6)


def test_a_page_and_a_space(exported, tmp_path):
    generator = exported[0]
    runtime = tmp_path / "dist"
    runtime.mkdir()
    for name in (site.SCRIPT, site.PROGRAM):
        (runtime / name).write_bytes(b"runtime")
    written = export(generator, "runs/small", tmp_path / "space", "space", runtime=runtime)
    names = {"index.html", "page.js", "style.css", "model.onnx", "model.json", "README.md", site.SCRIPT, site.PROGRAM}
    assert {file.name for file in written.files} == names
    about = json.loads((tmp_path / "space" / "model.json").read_text())
    assert about["runtime"] == f"./{site.SCRIPT}"
    directions = numpy.array(about["directions"])
    assert directions.shape == (8, generator.modality.config.latent_dim)
    _, front, text = (tmp_path / "space" / "README.md").read_text().split("---\n")
    settings = yaml.safe_load(front)
    assert settings["sdk"] == "static" and settings["app_file"] == "index.html" and settings["license"] == "mit"
    assert generator.digest in text


def test_directions_are_those_that_matter():
    class Two(nn.Module):
        def forward(self, latent, condition):
            return torch.stack([latent[:, 3] * 5, latent[:, 1], latent[:, 1]], 1) * 0.01

    generator = replace(small(), network=Two())
    first, second, *_ = site.directions(generator.modality.exportable(generator.network))
    assert abs(first[3]) > 0.99 and abs(second[1]) > 0.99


def test_text_takes_its_chance_as_an_input(tmp_path):
    from multigan.modalities.text import gumbel

    generator = load("starter/text")
    written = export(generator, "starter/text", tmp_path / "out")
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert written.checked.same and about["joined"] == "words"
    assert (tmp_path / "out" / "tokenizer.json").is_file()
    latents = generator._latents(range(32), 32, 0, None, False)
    numbers = gumbel.uniform(latents, tuple(about["inputs"][0]["shape"][1:]))
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (tokens,) = session.run(None, {"numbers": numbers.numpy(), "temperature": numpy.ones(32, "float32")})
    made = [" ".join(about["tokens"][one] for one in row[: list(row).index(about["end"])]) for row in tokens]
    assert made == generator.generate(32, 0), "the sentences of multigan generate, word for word"


def test_rounding_is_allowed_for_and_nothing_else():
    result = check.Checked(4e-5, 3e-5, 0.0, 8, 1.0, 1.0)
    assert result.same and not result._replace(difference=2e-4).same
    assert not result._replace(difference=2e-5, rounding=1e-9).same
    assert not result._replace(different=0.01).same
    assert not check.Checked(float("inf"), 0.0, 0.0, 8, 1.0, 1.0).same


def test_bad_input_is_one_line(command, exported, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for arguments, said in (
        (("starter/image", "--out", tmp_path / "full"), "is not empty: choose a new folder"),
        (("starter/images", "--out", tmp_path / "a"), "no starter model"),
        (
            ("starter/image", "--out", tmp_path / "a", "--format", "web", "--runtime", tmp_path / "full"),
            "expected the dist",
        ),
        (("starter/image", "--out", tmp_path / "a", "--runtime", tmp_path), "--runtime is for --format web and space"),
        (("starter/image", "--out", tmp_path / "a", "--seconds", "3"), "export takes no --seconds"),
        (("starter/audio", "--out", tmp_path / "a", "--seconds", "3"), "cannot be exported: seconds and loop"),
        (("starter/image", "--out", tmp_path / "a", "--format", "torch", "--dtype", "float16"), "float16 is for onnx"),
    ):
        assert said in command("export", *arguments).error
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = 'onnxscript is not installed: pip install "multigan[export]"'
    assert missing in command("export", "starter/image", "--out", tmp_path / "a").error
    assert not (tmp_path / "a").exists()
