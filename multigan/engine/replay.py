"""A buffer of generated samples, so that the discriminator does not forget what the generator made some steps ago."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Replay:
    """The last generated samples, which stand in for half of the new ones in the discriminator's phase.

    Shrivastava et al. 2017, arXiv:1612.07828, section 2.3, as in Zhu et al. 2017 (CycleGAN), arXiv:1703.10593. It holds
    samples of the whole batch, so it is the same in every process.

    Attributes:
        samples: The last ``P``, ``(P, *S)``.
        count: How many were remembered so far, a scalar: those that were not finite are not among them.
    """

    samples: Tensor
    count: Tensor

    @classmethod
    def new(cls, size: int, like: Tensor) -> "Replay":
        """An empty one for so many samples, of the shape of one of ``like`` ``(B, *S)``."""
        return cls(like.new_zeros(size, *like.shape[1:]), torch.zeros((), dtype=torch.int64, device=like.device))

    def mixed(self, fake: Tensor, numbers: Tensor) -> Tensor:
        """Samples ``(b, *S)``, of which about half are remembered ones, once the buffer is full.

        Args:
            fake: New samples, ``(b, *S)``.
            numbers: Uniform in [0, 1), ``(b, 2)``: whether, and which.
        """
        old = (numbers[:, 0] < 0.5) & (self.count >= len(self.samples))
        places = (numbers[:, 1] * len(self.samples)).long()
        return torch.where(old.view(-1, *[1] * (fake.dim() - 1)), self.samples[places], fake)

    def remember(self, fake: Tensor) -> None:
        """Put the whole batch ``(B, *S)`` in the place of the oldest; a sample that is not finite is left out."""
        finite = fake.flatten(1).isfinite().all(1)
        last = finite.int().argsort(stable=True)[-len(self.samples) :]  # the finite ones come last
        fake, good = fake.detach()[last], finite[last]
        places = (self.count + torch.arange(len(fake), device=fake.device) - (~good).sum()) % len(self.samples)
        good = good.view(-1, *[1] * (fake.dim() - 1))
        self.samples[places] = torch.where(good, fake, self.samples[places])
        self.count += good.sum()
