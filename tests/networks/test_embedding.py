"""Holds what networks make of classes: one, or the sum of several."""

import pytest
import torch
from torch import nn

from multigan.engine.shell import as_output, represented
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.image import Image, ImageConfig
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.heads import ProjectionHead


def test_several_classes_are_the_sum_of_their_embeddings():
    embedding = ClassEmbedding(3, 2)
    embedding.weight.data = torch.tensor([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    condition = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype=torch.int8)
    assert embedding(condition).tolist() == [[101.0, 202.0], [0.0, 0.0], [10.0, 20.0]]


def test_one_class_is_the_same_either_way_gradient_included():
    numbers = torch.tensor([2, 0, 2, 1])
    embedding, plain = ClassEmbedding(3, 5), nn.Embedding(3, 5)
    plain.load_state_dict(embedding.state_dict())
    outcomes = []
    for network, condition in (
        (plain, numbers),
        (embedding, numbers),
        (embedding, nn.functional.one_hot(numbers, 3).to(torch.int8)),
    ):
        network.zero_grad()
        found = network(condition)
        (found * torch.arange(20.0).view(4, 5)).sum().backward()
        outcomes.append((found, network.weight.grad.clone()))
    for found, gradient in outcomes[1:]:
        assert torch.equal(found, outcomes[0][0]) and torch.equal(gradient, outcomes[0][1])


def test_head_adds_the_projections_of_all_classes():
    head = ProjectionHead(2, 3)
    head.last.weight.data, head.last.bias.data = torch.tensor([[1.0, 1.0]]), torch.tensor([0.5])
    head.projection.weight.data = torch.tensor([[1.0, 0.0], [0.0, 10.0], [7.0, 7.0]])
    logits = head(torch.tensor([[2.0, 3.0]]), torch.tensor([[1, 1, 0]], dtype=torch.int8))
    assert logits.tolist() == [2 + 3 + 0.5 + 2 * 1 + 3 * 10]


SOUNDS = {"conditional": True, "classes": ("a", "b", "c"), "length": 4096, "sampling_rate": 8000, "channels": 1}
KINDS = [
    Image(ImageConfig(conditional=True, classes=("a", "b", "c"), resolution=16, generator_width=4, channels=1)),
    Image(ImageConfig(conditional=True, classes=("a", "b", "c"), architecture="mlp", resolution=16, channels=1)),
    Image(
        ImageConfig(
            conditional=True,
            classes=("a", "b", "c"),
            architecture="styled",
            resolution=16,
            generator_width=4,
            channels=1,
        )
    ),
    Audio(AudioConfig(architecture="wavegan", **SOUNDS)),
    Audio(AudioConfig(architecture="istft", **SOUNDS)),
]


@pytest.mark.parametrize("modality", KINDS, ids=["dcgan", "mlp", "styled", "wavegan", "istft"])
def test_networks_take_one_class_either_way(modality):
    generator, discriminator = modality.generator().eval(), modality.discriminator().eval()
    latent, numbers = torch.randn(3, modality.config.latent_dim), torch.tensor([2, 0, 1])
    hot = nn.functional.one_hot(numbers, 3).to(torch.int8)
    with torch.no_grad():
        samples = generator(latent, numbers)
        assert torch.equal(samples, generator(latent, hot))
        assert not torch.equal(samples, generator(latent, torch.ones_like(hot)))
        judged = represented(discriminator, samples)
        by_number, by_hot = (as_output(discriminator(judged, told)).logits for told in (numbers, hot))
        assert torch.allclose(by_number, by_hot)
