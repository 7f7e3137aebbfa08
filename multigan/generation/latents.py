"""Latents: what a generator starts from, a function of the seed and the number of the sample, or read from a file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from multigan.errors import UserError, first_line


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


class Directions(NamedTuple):
    """Directions of the latent space along which samples differ most.

    Attributes:
        vectors: Unit vectors ``(K, latent_dim)``.
        shares: Of the variance of the samples' features that each stands for, ``(K,)``.
    """

    vectors: Tensor
    shares: list[float]


def principal_directions(latents: Tensor, features: Tensor, count: int) -> Directions:
    """The latent directions that best predict the principal components of samples' features, by ridge regression.

    After GANSpace (Härkönen et al. 2020, arXiv:2004.02546), which takes least squares: these fail where there are about
    as many samples as a latent has numbers.

    Args:
        latents: Standard normal, float ``(N, latent_dim)``.
        features: Of the samples that were made of them, float ``(N, F)``, on the same device.
        count: How many at most: there are no more than N, F and a latent's numbers.
    """
    components, sizes, _ = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    dim = latents.shape[1]
    few = min(count, dim)
    squares = latents.T @ latents + dim * torch.eye(dim).to(latents)
    slopes = torch.linalg.solve(squares, latents.T @ components[:, :few])
    vectors = torch.nn.functional.normalize(slopes.T)
    shares: list[float] = (sizes.square() / sizes.square().sum().clamp_min(1e-12))[:few].tolist()
    return Directions(vectors, shares)


class LatentFile(NamedTuple):
    """Latents in a file: a NumPy ``.npz`` of these arrays, so that ``numpy.savez(file, latents=...)`` makes one.

    Attributes:
        latents: float32 ``(N, latent_dim)``.
        labels: The class of each; empty for an unconditional model, or where the file does not say.
        weights: The digest of the weights that they were found for; empty where the file does not say.
    """

    latents: Tensor
    labels: Sequence[str] = ()
    weights: str = ""

    def write(self, file: Path) -> None:
        """Write it; OSError where that cannot be done."""
        with file.open("wb") as opened:
            numpy.savez(
                opened,
                latents=self.latents.numpy(),
                labels=numpy.array([*self.labels], numpy.str_),
                weights=numpy.array(self.weights),
            )

    @classmethod
    def read(cls, file: Path, dim: int) -> LatentFile:
        """Read one, for a model with latents of ``dim`` numbers.

        Raises:
            UserError: It cannot be read, or holds something else.
        """
        try:
            with file.open("rb") as opened:
                arrays = numpy.load(opened)  # which loads no objects, and so no code
                if not isinstance(arrays, numpy.lib.npyio.NpzFile) or "latents" not in arrays:
                    raise ValueError("expected a .npz with an array named latents, as multigan invert writes it")
                found = cls(
                    checked_latents(arrays["latents"], dim),
                    [str(name) for name in numpy.atleast_1d(arrays["labels"])] if "labels" in arrays else [],
                    str(arrays["weights"]) if "weights" in arrays else "",
                )
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, UserError) as error:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise UserError(f"cannot read latents from {file}: {reason}") from error
        if found.labels and len(found.labels) != len(found.latents):
            raise UserError(f"{file} has {len(found.latents)} latents and {len(found.labels)} labels: expected as many")
        return found


def checked_latents(values: Any, dim: int) -> Tensor:
    """Latents as float32 ``(N, dim)`` on the CPU.

    Raises:
        UserError: They have another shape, or are not finite numbers.
    """
    try:
        latents = torch.as_tensor(values).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"latents are no numbers: {first_line(error)}") from error
    if latents.dim() != 2 or latents.shape[1] != dim or not len(latents):
        raise UserError(f"the latents have shape {tuple(latents.shape)}: expected (N, {dim}), as the model takes them")
    if not latents.isfinite().all():
        raise UserError("some latents are not finite numbers")
    return latents
