"""Runs of a modality with inputs: what their previews show, and what batch statistics are taken over."""

import datasets
import numpy
import pytest
import torch
from multigan_sharpen import Generator, Sharpen
from PIL import Image
from torch import nn

from multigan import configure, load
from multigan.networks.normalization import GhostBatchNorm2d
from multigan.training import run

SHOWN = []


class Normalized(Generator):
    def __init__(self, latent_dim, width):
        super().__init__(latent_dim, width)
        self.layers = nn.Sequential(self.layers, GhostBatchNorm2d(1))


class Watched(Sharpen):
    """Keeps what previews show."""

    def generator(self):
        return Normalized(self.config.latent_dim, self.config.width)

    def preview_pairs(self, condition, generated, real, path):
        SHOWN.append((condition, generated, real))
        return super().preview_pairs(condition, generated, real, path)


class ByName(Watched):
    """The same, told by name."""

    def to_pair(self, encoded, beside, numbers):
        real, condition = super().to_pair(encoded, beside, numbers)
        return real, {"blurred": condition}

    def generator(self):
        network = super().generator()
        network.register_forward_pre_hook(lambda network, told: (told[0], told[1]["blurred"]))
        return network

    def discriminator(self):
        network = super().discriminator()
        network.register_forward_pre_hook(lambda network, told: (told[0], told[1]["blurred"]))
        return network

    def preview_pairs(self, condition, generated, real, path):
        return super().preview_pairs(condition["blurred"], generated, real, path)


class Unpaired(Watched):
    """One row of each of two domains: the condition is the other domain's picture."""

    unpaired = True

    def encode(self, row):
        return super().encode(row) | {"domain": numpy.int64(row["domain"]), "key": numpy.int64(row["key"])}

    def to_pair(self, encoded, beside, numbers):
        return self.to_sample(encoded[:, 0]), self.to_sample(encoded[:, 1])


@pytest.fixture(autouse=True)
def forget():
    SHOWN.clear()


def train(folder, modality="Watched", **fields):
    settings = {"steps": 4, "batch_size": 32, "sample_every": 2, "log_every": 4, "tracker": "none"}
    name = f"{__name__}:{modality}"
    return run.train(configure(name, model={"width": 4}, output=str(folder), **settings | fields)), name


@pytest.mark.parametrize("modality", ["Watched", "ByName"])
def test_previews_show_the_same_inputs_and_truths_at_every_step(tmp_path, modality):
    folder, _ = train(tmp_path / "run", modality)
    first, second = SHOWN
    assert len(first[1]) == 16 and first[0].shape == first[1].shape == first[2].shape
    assert torch.equal(first[0], second[0]) and torch.equal(first[2], second[2])
    assert not torch.equal(first[1], second[1])
    assert (first[0] - first[2]).abs().max() > 0.1, "the input is blurred, and the truth is not"
    with Image.open(folder / "samples" / "step-000004.png") as picture:
        assert picture.size == (3 * 50 + 2, 16 * 50 + 2)


def test_rows_of_a_split_that_is_not_trained_on_are_shown(tmp_path):
    for split, value in (("train", 0), ("test", 200)):
        (tmp_path / "data" / split).mkdir(parents=True)
        for number in range(32):
            picture = numpy.full((16, 16), value + number, "uint8")
            Image.fromarray(picture).save(tmp_path / "data" / split / f"{number}.png")
    train(tmp_path / "run", dataset=str(tmp_path / "data"))
    assert SHOWN[0][2].min() > 200 / 127.5 - 1 - 1e-6
    SHOWN.clear()
    for file in (tmp_path / "data" / "test").iterdir():
        file.write_bytes(b"broken")
    train(tmp_path / "other", dataset=str(tmp_path / "data"))
    assert SHOWN[0][2].max() < 0, "a test split that cannot be read is no reason not to train"


def test_streams_are_trained_on_and_shown(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(40):
        Image.fromarray(numpy.full((16, 16), number, "uint8")).save(tmp_path / "data" / f"{number}.png")
    train(tmp_path / "run", dataset=str(tmp_path / "data"), streaming=True)
    assert len(SHOWN) == 2 and torch.equal(SHOWN[0][0], SHOWN[1][0]) and torch.equal(SHOWN[0][2], SHOWN[1][2])


@pytest.mark.parametrize("true_pairs", [True, False])
def test_without_true_pairs_no_truth_is_shown(tmp_path, monkeypatch, true_pairs):
    pictures = numpy.random.default_rng(0).integers(0, 256, (80, 8, 8), "uint8")
    columns = {"image": pictures, "domain": numpy.arange(80) % 2}
    columns["key"] = numpy.arange(80) // 2 if true_pairs else numpy.arange(80)
    features = datasets.Features(
        {"image": datasets.Array2D((8, 8), "uint8"), "domain": datasets.Value("int64"), "key": datasets.Value("int64")}
    )
    made = datasets.Dataset.from_dict(columns, features=features)
    monkeypatch.setattr(Unpaired, "builtin_datasets", {"both": lambda: made})
    train(tmp_path / "run", "Unpaired", dataset="both")
    assert (SHOWN[0][2] is not None) is true_pairs and torch.equal(SHOWN[0][0], SHOWN[1][0])


def test_statistics_of_the_averaged_generator_are_those_of_real_conditions(tmp_path):
    folder, name = train(tmp_path / "run")
    network = load(folder, name).network
    norm = network.layers[1]
    seen = []
    hook = network.layers[0].register_forward_hook(lambda layer, told, made: seen.append(made))
    modality = Watched()
    rows = torch.from_numpy(
        numpy.stack([modality.encode(row)["real"] for row in modality.builtin_datasets["digits"]()])
    )
    with torch.no_grad():
        network(torch.zeros(len(rows), 0), modality.to_pair(rows, {}, torch.full((len(rows), 1), 0.5))[1])
    hook.remove()
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)), rtol=0.1, atol=0.02)
