"""Holds the feature spaces: encoders of transformers as they come, and what cannot be had in one line."""

import importlib
import urllib.error

import numpy
import pytest
import torch
from PIL import Image
from torch import nn

from multigan.errors import UserError
from multigan.evaluation import spaces
from multigan.evaluation.classifier import inception_score
from multigan.evaluation.evaluator import Evaluator
from multigan.evaluation.metrics.frechet import frechet_distance
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.sounds.output import to_outputs

CPU = torch.device("cpu")


def pictures(samples):
    return [Image.fromarray((sample[0] * 255).numpy().astype(numpy.uint8)) for sample in samples]


def grey(count=3):
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def vit(tmp_path):
    """A folder of a tiny encoder for pictures, 8 x 8."""
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
        hidden_dropout_prob=0.5,
    )
    ViTModel(config).save_pretrained(tmp_path / "vit")
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(tmp_path / "vit")
    return str(tmp_path / "vit")


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "ran"]


def bert(folder, kind):
    """A folder of a tiny encoder for sentences."""
    from transformers import BertConfig, BertTokenizerFast

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    kind(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


SENTENCES = ["the cat sat", "the dog", "the dog ran the cat", "the cat sat"]


def read(samples):
    return [SENTENCES[int(number)] for number in samples[:, 0]]


NUMBERS = torch.arange(4.0)[:, None]


def test_numbers_of_a_sample_themselves():
    space = spaces.plain()
    assert space.extract(torch.arange(12.0).reshape(2, 3, 2)).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_random_weights_are_the_same_every_time():
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        space = spaces.untrained(lambda: nn.Linear(4, 3), CPU)
        assert torch.initial_seed() == seed
        found.append((space.stamp, space.extract(torch.ones(1, 4))))
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])
    assert not found[0][1].requires_grad


def test_hash_of_weights_tells_any_change():
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval()
    before = spaces.weights_hash(network)
    assert spaces.weights_hash(network) == before
    network[1].num_batches_tracked += 1
    assert spaces.weights_hash(network) != before


def test_encoder_of_pictures(vit):
    space = spaces.encoder(vit, pictures(grey())[0], pictures, CPU)
    with torch.no_grad():
        features = space.extract(grey())
        assert torch.equal(space.extract(grey()), features), "nothing is dropped out"
        torch.testing.assert_close(space.extract(grey()[1:2]), features[1:2])
    assert features.shape == (3, 8) and features.std(0).min() > 0
    assert space.stamp["features"] == vit and "8" in space.stamp["size"]
    assert spaces.encoder(vit, pictures(grey())[0], pictures, CPU).stamp == space.stamp


def test_encoder_measures_a_dataset(vit):
    modality = ImageModality(ImageConfig(resolution=16))
    modality.fit(modality.builtin_datasets["digits"]())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = Evaluator.open(modality, "digits", count=30, features=vit, quiet=True)
    assert found.reference.real.features.shape == (30, 8) and found.protocol["features"] == vit
    assert "inception_score" not in found.baseline and found.baseline["precision"] > 0.5
    assert torch.equal(torch.get_rng_state(), before)


def test_encoder_of_sentences(tmp_path):
    from transformers import BertModel

    folder = bert(tmp_path, BertModel)
    space = spaces.encoder(folder, SENTENCES[0], read, CPU)
    with torch.no_grad():
        features = space.extract(NUMBERS)
        alone = space.extract(NUMBERS[1:2])
    assert features.shape == (4, 8) and torch.equal(features[0], features[3])
    assert not torch.allclose(features[0], features[1])
    torch.testing.assert_close(alone, features[1:2]), "what follows a shorter sentence does not count"


@pytest.mark.filterwarnings("ignore")
def test_encoder_that_was_saved_without_a_pooler_is_the_same_every_time(tmp_path):
    from transformers import BertForMaskedLM

    folder = bert(tmp_path, BertForMaskedLM)
    first, again = (spaces.encoder(folder, SENTENCES[0], read, CPU) for _ in range(2))
    with torch.no_grad():
        torch.testing.assert_close(first.extract(NUMBERS), again.extract(NUMBERS))
    assert first.stamp == again.stamp


@pytest.mark.parametrize("rate", [8000, 16000])
def test_sounds_come_at_the_rate_of_the_encoder_with_their_channels_mixed(rate):
    from transformers import Wav2Vec2FeatureExtractor

    prepare = Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=False)
    both = to_outputs(torch.tensor([0.2, 0.6])[None, :, None].expand(1, 2, 16000), 16000)
    values = spaces.sounds(prepare, both)["input_values"]
    assert values.shape == (1, rate)
    assert values[0, 200:-200].numpy() == pytest.approx(0.4, abs=0.01)


def test_means_are_over_what_is_not_padding():
    class Output:
        pooler_output = None
        last_hidden_state = torch.tensor([[[1.0], [3.0], [98.0]], [[4.0], [5.0], [6.0]]])

    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert spaces.pooled(Output, mask, True).tolist() == [[2], [5]]
    assert spaces.pooled(Output, None, True).tolist() == [[34], [5]]


@pytest.mark.parametrize("example", ["words", {"array": [], "sampling_rate": 1}, Image.new("L", (8, 8))])
@pytest.mark.parametrize("name", ["nobody/nothing", "./nowhere"])
def test_encoder_that_cannot_be_had_is_one_line(name, example):
    with pytest.raises(UserError, match=f"cannot load an encoder '{name}'") as caught:
        spaces.encoder(name, example, pictures, CPU)
    assert len(str(caught.value).splitlines()) == 1


def test_encoder_of_something_else_is_one_line(vit):
    with pytest.raises(UserError) as caught:
        spaces.encoder(vit, "words", pictures, CPU)
    assert vit in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "problem",
    [
        urllib.error.URLError("no network\nat all"),
        RuntimeError("invalid hash value"),
        pytest.param(TimeoutError()),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_inception_without_a_network_is_one_line(problem, monkeypatch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    def fail(*arguments, **options):
        raise problem

    monkeypatch.setattr(module, "load_state_dict_from_url", fail)
    with pytest.raises(UserError, match="cannot download the weights of Inception") as caught:
        spaces.inception(pictures, CPU)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_inception_is_that_of_torch_fidelity(tmp_path, monkeypatch):
    # The weights are random, for there is no network: what is held are the pictures' range, their resizing, the layer
    # and the distance, from samples to the figure, by torch-fidelity's own run over the same pictures.
    torch_fidelity = pytest.importorskip("torch_fidelity")
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    own = module.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *arguments, **options: {})
        patch.setattr(own, "load_state_dict", lambda self, weights: None)
        torch.manual_seed(0)
        network = own("inception-v3-compat", ["2048"])
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):  # as they are drawn at first, next to nothing comes out of 94 in a row
            nn.init.kaiming_normal_(layer.weight)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr(module, "load_state_dict_from_url", lambda *arguments, **options: network.state_dict())
    space = spaces.inception(pictures, CPU)

    def color(count, seed):
        return torch.rand(count, 1, 24, 32, generator=torch.Generator().manual_seed(seed)) ** (1 + seed)

    real, fake = color(40, 0), color(40, 1)
    with torch.no_grad():
        features = space.extract(fake)
        ours = frechet_distance(space.extract(real), features)
        score = inception_score(space.last(features))

    def theirs_of(samples):
        return [torch.from_numpy(numpy.array(picture.convert("RGB"))).permute(2, 0, 1) for picture in pictures(samples)]

    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(theirs_of(fake)),
        input2=Pictures(theirs_of(real)),
        fid=True,
        isc=True,
        isc_splits=1,
        cuda=False,
        cache=False,
        save_cpu_ram=True,  # no workers
        verbose=False,
        feature_extractor_weights_path=str(tmp_path / "weights.pth"),
    )
    assert ours == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5) and ours > 1e-3
    # All but 1, of random weights: what is above it is compared.
    assert score - 1 == pytest.approx(theirs["inception_score_mean"] - 1, rel=1e-3) and score > 1 + 1e-6


class Pictures(torch.utils.data.Dataset):
    """As torch-fidelity takes them: ``(3, H, W)`` bytes."""

    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, number):
        return self.pictures[number]


def test_inception_without_torch_fidelity_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match="need torch-fidelity"):
        spaces.inception(pictures, CPU)


def test_pca_of_pictures_is_fitted_on_8_by_8_boxes_and_sees_what_varies():
    samples = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    space = spaces.pca([samples])
    features = space.extract(samples)
    assert features.shape == (64, 20) and features.mean(0).abs().max() < 1e-6
    assert (features.var(0).diff() <= 1e-9).all(), "the largest variance comes first"
    boxes = samples.unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5))
    assert torch.allclose(space.extract(boxes), features, atol=1e-5)
    assert space.stamp == spaces.pca([samples]).stamp != spaces.pca([samples.flip(3)]).stamp
    assert not space.own_classes and "labels" not in space.stamp


def test_pca_of_other_samples_flattens_them():
    space = spaces.pca([torch.eye(3).repeat(10, 1)])
    assert space.extract(torch.eye(3)).shape == (3, 3) and "resize" not in space.stamp


def test_pca_of_too_many_values_is_refused_at_the_first_block():
    def blocks():
        yield torch.zeros(2, 5, 1000)
        raise AssertionError("a second block was loaded")

    with pytest.raises(UserError, match="5,000 values: expected at most 4,096"):
        spaces.pca(blocks())
