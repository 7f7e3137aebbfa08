"""Numbers that are a function of a latent: uniform, normal, independent, and the same wherever they are made."""

import math

import pytest
import torch

from multigan.networks.keyed_noise import keys, mixed, normal, uniform


@pytest.fixture
def latents():
    return torch.randn(64, 8, generator=torch.Generator().manual_seed(0))


def test_the_hash_of_known_numbers():
    # MurmurHash3's finalizer, by hand: 0 stays; for 1, 1 * 0x85EBCA6B = 0x85EBCA6B, then the shifts and products.
    expected = 0x85EBCA6B
    expected ^= expected >> 13
    expected = expected * 0xC2B2AE35 % 2**32
    expected ^= expected >> 16
    assert mixed(torch.tensor([0, 1])).tolist() == [0, expected]


def test_no_two_of_a_million_numbers_have_the_same_hash():
    assert len(mixed(torch.arange(10**6)).unique()) == 10**6


def test_a_sample_has_the_same_numbers_beside_any_others(latents):
    together = normal(keys(latents), 3, 50)
    assert torch.equal(together[10:20], normal(keys(latents[10:20]), 3, 50))
    assert torch.equal(together[::2], normal(keys(latents.double()[::2]), 3, 50)), "in any precision of the latents"
    assert torch.equal(together[:, :20], normal(keys(latents), 3, 20)), "number i does not depend on how many"


def test_each_latent_each_place_in_it_and_each_stream_counts(latents):
    first = normal(keys(latents), 0, 50)
    assert (first != normal(keys(latents), 1, 50)).float().mean() > 0.99
    assert (first != normal(keys(latents.flip(1)), 0, 50)).float().mean() > 0.99
    for place in range(latents.shape[1]):
        moved = latents.clone()
        moved[:, place] = torch.nextafter(moved[:, place], torch.tensor(9.0))  # by one bit
        assert (first != normal(keys(moved), 0, 50)).float().mean() > 0.99


def test_they_are_uniform_and_normal(latents):
    key = keys(latents)
    share = uniform(key, 0, 4096)
    assert share.min() > 0 and share.max() < 1
    counts = torch.histc(share, 16, 0, 1)
    # 16,384 in each bin, deviation 124.
    assert (counts - share.numel() / 16).abs().max() < 5 * math.sqrt(share.numel() * 15 / 256)
    numbers = normal(key, 0, 4096)
    assert numbers.isfinite().all() and numbers.abs().max() < 5.4
    assert abs(numbers.mean()) < 0.01 and abs(numbers.std() - 1) < 0.01
    assert abs((numbers**4).mean() - 3) < 0.1


def test_neighbours_samples_and_streams_are_uncorrelated(latents):
    key = keys(latents)
    numbers = normal(key, 0, 4096).view(64, 64, 64)
    for other in (numbers.roll(1, 0), numbers.roll(1, 1), numbers.roll(1, 2), normal(key, 1, 4096).view_as(numbers)):
        assert abs((numbers * other).mean()) < 5 / math.sqrt(numbers.numel())  # its own deviation is 1 / sqrt(N)


def test_no_gradient_goes_back_to_the_latents(latents):
    assert not normal(keys(latents.requires_grad_()), 0, 3).requires_grad
