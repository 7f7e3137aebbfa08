"""Latents: what a generator starts from, a function of the seed and the number of the sample."""

import numpy
import torch


def latent(seed: int, number: int, dim: int, truncation: float | None) -> numpy.ndarray:
    """The latent of sample ``number``, float32 ``(dim,)``: standard normal, within ``truncation`` deviations."""
    generator = numpy.random.Generator(numpy.random.Philox(key=[seed, number]))
    # Through the distribution function, so that the same uniform number only moves inwards as truncation tightens.
    low = 0.0 if truncation is None else float(torch.special.ndtr(torch.tensor(-truncation, dtype=torch.float64)))
    uniform = low + (1 - 2 * low) * (generator.random(dim) * (1 - 2**-53) + 2**-54)
    numbers: numpy.ndarray = torch.special.ndtri(torch.from_numpy(uniform)).float().numpy()
    return numbers


def slerp(first: numpy.ndarray, second: numpy.ndarray, share: float) -> numpy.ndarray:
    """The point at ``share`` of the way along the arc: White 2016, arXiv:1609.04468. It keeps the length typical."""
    cosine = float(first @ second / (numpy.linalg.norm(first) * numpy.linalg.norm(second)))
    angle = numpy.arccos(numpy.clip(cosine, -1, 1))
    if angle < 1e-6:
        return first
    between = (numpy.sin((1 - share) * angle) * first + numpy.sin(share * angle) * second) / numpy.sin(angle)
    return numpy.asarray(between, numpy.float32)
