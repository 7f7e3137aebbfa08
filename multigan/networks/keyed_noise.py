"""Random numbers inside a generator that are a function of its latent, and of nothing else.

A generator that draws noise of its own could not be repeated: not on another number of processes, not in micro-batches,
not after a resume. So the bits of each latent are hashed to a key, and numbers are hashes of the key and a counter, as
in counter-based generators (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3). Sample i gets the same
noise wherever and beside whatever it is made. Keys and uniform numbers are integer arithmetic modulo 2^32, the same on
every device; normal ones are the same up to rounding.
"""

import math

import torch
from torch import Tensor

LOW = 0xFFFFFFFF  # the lowest 32 bits
ODD = 0x9E3779B1  # 2^32 over the golden ratio: spreads consecutive counters


def mixed(bits: Tensor) -> Tensor:
    """Hash 32-bit numbers held in int64: the finalizer of MurmurHash3 (Appleby 2011), a bijection."""
    bits = bits ^ (bits >> 16)
    bits = (bits * 0x85EBCA6B) & LOW
    bits = bits ^ (bits >> 13)
    bits = (bits * 0xC2B2AE35) & LOW
    return bits ^ (bits >> 16)


def keys(latent: Tensor) -> Tensor:
    """Latents ``(B, latent_dim)`` -> a 32-bit key each, int64 ``(B,)``; no gradient."""
    bits = latent.detach().float().contiguous().view(torch.int32).long() & LOW
    places = torch.arange(1, bits.shape[1] + 1, device=bits.device) * ODD
    return mixed(mixed((bits + places) & LOW).sum(1) & LOW)


def uniform(key: Tensor, stream: int, count: int) -> Tensor:
    """Uniform in (0, 1), float32 ``(B, count)``; streams of one key are independent of each other.

    Multiples of 2^-23, plus half of that, which float32 holds exactly: so never 0 or 1.
    """
    start = mixed((key + (stream + 1) * ODD) & LOW)
    counters = mixed(torch.arange(count, device=key.device) * ODD & LOW)
    bits = mixed(start[:, None] ^ counters)
    return ((bits >> 9).float() + 0.5) * 2**-23


def normal(key: Tensor, stream: int, count: int) -> Tensor:
    """Standard normal, float32 ``(B, count)``, within 5.3 deviations."""
    return torch.erfinv(2 * uniform(key, stream, count) - 1) * math.sqrt(2)
