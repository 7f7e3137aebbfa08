"""Random numbers that depend on (seed, purpose, step, position in the global batch) and on nothing else.

Every process draws the numbers of the whole batch, on the CPU, and takes its own rows. So one process, several, and
many micro-batches use the same numbers, and so does a resumed run.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from values whose repr is the same everywhere."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1


@dataclass(frozen=True)
class BatchRandom:
    """The random numbers of a run."""

    seed: int
    batch_size: int
    device: torch.device

    def _generator(self, purpose: str, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self.seed, purpose, step))

    def normal(self, purpose: str, step: int, rows: slice, count: int) -> Tensor:
        """Standard normal ``(len(rows), count)``: these rows of the batch of that step."""
        numbers = torch.randn(self.batch_size, count, generator=self._generator(purpose, step))
        return numbers[rows].to(self.device, non_blocking=True)

    def uniform(self, purpose: str, step: int, rows: slice, count: int) -> Tensor:
        """Uniform in [0, 1), ``(len(rows), count)``."""
        numbers = torch.rand(self.batch_size, count, generator=self._generator(purpose, step))
        return numbers[rows].to(self.device, non_blocking=True)
