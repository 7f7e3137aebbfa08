"""Holds inversion to latents that are known, to its seed, and to what is worked out by hand."""

import dataclasses
import json
import math

import numpy
import pytest
import torch
from torch.testing import assert_close

import multigan
from multigan import UserError
from multigan.inversion.distance import Distance, norm_prior
from multigan.inversion.encoder import trained_encoder
from multigan.inversion.inverter import Inverter
from multigan.modalities.text import Text

CLASSES = ("a", "b", "c")


def made(generator, n=6, seed=5, **options):
    return torch.cat(list(generator.batches(n, seed, **options)))


def test_latents_that_the_generator_had_are_recovered(tiny):
    generator = tiny()
    samples = made(generator)
    found = Inverter(generator).invert(samples)
    encoder = trained_encoder(generator, 0, True, print)
    unrelated = Distance(generator, encoder.features, 0)
    with torch.no_grad():
        apart = unrelated.between(unrelated.forms(samples), unrelated.forms(samples.roll(1, 0))).mean(0)
    assert found.distances.max() < 0.05 * apart.mean()
    assert 0.3 < apart.mean() < 3, "the unit is the distance of two samples at random"
    assert_close(found.distances, (found.values + found.features) / 2)


def test_same_seed_gives_the_same_bits_whatever_the_global_seed_is(tiny, monkeypatch, tmp_path):
    found = []
    for number in range(2):
        monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path / str(number)))  # the encoder is trained anew
        torch.manual_seed(number)
        before = torch.get_rng_state()
        found.append(Inverter(tiny()).invert(made(tiny())))
        assert torch.equal(torch.get_rng_state(), before)
    for name in ("latents", "reconstructions", "values", "features"):
        assert torch.equal(getattr(found[0], name), getattr(found[1], name))


def test_encoder_comes_from_the_cache_for_the_same_weights_and_no_others(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path))
    said = []
    first = trained_encoder(tiny(), 0, True, said.append)
    second = trained_encoder(tiny(), 0, True, said.append)
    assert len(said) == 1 and "once" in said[0] and "min" in said[0]
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
    trained_encoder(tiny(), 1, True, said.append)
    other = tiny()
    with torch.no_grad():
        next(other.network.parameters()).mul_(1.01)
    trained_encoder(other, 0, True, said.append)
    assert len(said) == 3
    (tmp_path / next(file.name for file in tmp_path.glob("encoder-*.safetensors"))).write_bytes(b"damaged")
    for seed in (0, 1):
        trained_encoder(tiny(), seed, True, said.append)
    trained_encoder(other, 0, True, said.append)
    assert len(said) == 4, "one that is damaged is trained again"


def test_prior_is_zero_at_the_likeliest_length_and_its_gradient_is_that_of_the_density():
    # -log of the density of a length r in d dimensions: r^2 / 2 - (d - 1) log r; its gradient: z (1 - (d - 1) / r^2).
    latents = torch.tensor([[3.0, 0, 4, 0, 0], [1.2, 0, 0, 1.6, 0]], dtype=torch.float64, requires_grad=True)
    values = norm_prior(latents)
    for value, length in zip(values.tolist(), (5, 2), strict=True):
        by_hand = (length**2 / 2 - 4 * math.log(length)) - (2 - 4 * math.log(2))
        assert value == pytest.approx(by_hand / 5)
    (gradient,) = torch.autograd.grad(values.sum(), latents)
    by_hand = torch.stack([latents[0] * (1 - 4 / 25), latents[1] * 0]) / 5
    assert_close(gradient, by_hand.detach())
    assert values[1].item() == pytest.approx(0, abs=1e-12)


def test_prior_keeps_latents_to_a_likely_length(tiny):
    generator = tiny(architecture="dcgan", latent_dim=16)
    found = Inverter(generator).invert(made(generator))
    assert (found.latents.norm(dim=1) / 4).sub(1).abs().max() < 0.35


def test_distances_are_ordered_by_how_much_was_changed(tiny):
    generator = tiny()
    samples = made(generator)
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0))
    inverter = Inverter(generator)
    none, some, much = (inverter.invert(samples + share * noise) for share in (0, 0.1, 1))
    for name in ("distances", "values"):
        assert (getattr(none, name) < getattr(some, name)).all() and (getattr(some, name) < getattr(much, name)).all()


def test_class_is_found_or_given(tiny):
    generator = tiny(conditional=True, classes=CLASSES)
    with torch.no_grad():
        generator.network.embedding.weight.mul_(3)  # the classes of a network without training are nearly alike
    inverter, samples = Inverter(generator), made(generator)
    found = inverter.invert(samples)
    assert found.labels == [*CLASSES, *CLASSES]
    given = inverter.invert(samples, "b")
    assert given.labels == ["b"] * 6
    wrong = torch.tensor([label != "b" for label in found.labels])
    assert (given.distances[wrong] > found.distances[wrong]).all()
    assert inverter.invert(samples, ["a", "b"]).labels == ["a", "b"] * 3
    with pytest.raises(UserError, match="no class 'd'"):
        inverter.invert(samples, "d")


def test_classes_that_come_together_are_found_as_combinations(tiny):
    generator = tiny(conditional=True, classes=CLASSES, combinations=("a", "a+b", "b+c"))
    with torch.no_grad():
        generator.network.embedding.weight.mul_(3)
    found = Inverter(generator).invert(made(generator))
    assert found.labels == ["a", "a+b", "b+c"] * 2 and found.conditions.shape == (6, 3)


def test_reconstruction_is_what_the_latent_generates(tiny):
    generator = tiny(conditional=True, classes=CLASSES)
    found = multigan.invert(generator, made(generator), quiet=True)
    again = torch.cat(list(generator.batches(6, label=found.conditions, latents=found.latents)))
    assert torch.equal(again, found.reconstructions)
    pictures = generator.generate(latents=found.latents.numpy(), label=found.labels)
    expected = generator.modality.to_outputs(found.reconstructions)
    assert [one.tobytes() for one in pictures] == [one.tobytes() for one in expected]


@pytest.mark.parametrize("architecture", ["dcgan", "mlp", "stylegan2", "r3gan"])
def test_every_network_of_pictures_can_be_inverted(tiny, monkeypatch, architecture):
    from multigan.inversion import encoder, inverter

    monkeypatch.setattr(encoder, "STEPS", 5)
    monkeypatch.setattr(inverter, "STEPS", 20)
    generator = tiny(architecture=architecture, generator_width=8, discriminator_width=8)
    inverter_of, samples = Inverter(generator), made(generator, 2)
    found = inverter_of.invert(samples)
    with torch.no_grad():
        guess = inverter_of.encoder(samples)[1]
    assert found.distances.mean() < inverter_of.result(samples, guess, None).distances.mean()


@pytest.mark.parametrize("architecture", ["istft", "wavegan"])
def test_sounds_can_be_inverted(monkeypatch, architecture):
    from multigan import TrainedGenerator
    from multigan.inversion import encoder, inverter
    from multigan.modalities.audio import Audio, AudioConfig

    monkeypatch.setattr(encoder, "STEPS", 3)
    monkeypatch.setattr(inverter, "STEPS", 10)
    widths = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 4}
    modality = Audio(AudioConfig(8000, 4096, "start", 1, architecture=architecture, **widths))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = modality.generator().eval().requires_grad_(False)
    generator = TrainedGenerator("audio", modality, network)
    samples = made(generator, 2)
    inverter_of = Inverter(generator)
    found = inverter_of.invert(samples)
    with torch.no_grad():
        guess = inverter_of.encoder(samples)[1]
    assert found.distances.mean() < inverter_of.result(samples, guess, None).distances.mean()


def test_what_is_finished_after_the_network_is_refused():
    from multigan.inversion.inverter import check_invertible
    from multigan.modalities.audio import Audio, AudioConfig

    modality = Audio(AudioConfig(8000, 4096, "start", 1, architecture="specgan"))
    with pytest.raises(UserError, match="spectrograms into waves"):
        check_invertible(multigan.TrainedGenerator("audio", modality, torch.nn.Identity()))


def test_latents_are_checked(tiny):
    generator = tiny()
    for bad, problem in (
        (numpy.zeros((2, 7)), r"shape \(2, 7\): expected \(N, 6\)"),
        (numpy.zeros(6), "shape"),
        (numpy.zeros((0, 6)), "shape"),
        (numpy.full((1, 6), numpy.nan), "not finite"),
        ("zeros", "no numbers"),
    ):
        with pytest.raises(UserError, match=problem):
            generator.generate(latents=bad)
    with pytest.raises(UserError, match="truncat"):
        tiny(architecture="dcgan").generate(latents=numpy.zeros((1, 6)), truncation=0.5)


def test_text_is_refused():
    generator = multigan.load("starter/text")
    assert not Text.latent_space
    with pytest.raises(UserError, match="nearby latents of modality 'text'"):
        multigan.invert(generator, torch.zeros(1, 2))


def test_real_distances_are_kept_and_named(tiny, monkeypatch, tmp_path):
    from multigan.inversion.reference import real_distances, summary

    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path))
    generator = tiny(image_column="image")
    generator = dataclasses.replace(generator, training={"dataset": "digits"})
    inverter = Inverter(generator)
    found = real_distances(inverter, 6)
    assert len(found.training) == len(found.held_out) == 6 and found.held_out_name == "half of train"
    (file,) = tmp_path.glob("distances-*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "training": [1.0]}))
    assert real_distances(inverter, 6).training == [1.0], "what was computed before is read"
    assert found.share_below(max(found.held_out) + 1) == 1 and found.share_below(0) == 0
    assert summary([1, 2, 3]) == {"5%": pytest.approx(1.1), "median": 2, "95%": pytest.approx(2.9)}
    with pytest.raises(UserError, match="does not say what it was trained on"):
        real_distances(Inverter(tiny()), 6)
