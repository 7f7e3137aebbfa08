"""Stabilisers of adversarial training, each off by default. Penalties on gradients are in `penalties`.

State is kept in tensors, which checkpoints include, and is computed from the whole batch, so that it is the same on any
number of processes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from multigan.engine.path_length import PathLength
from multigan.engine.replay import Replay
from multigan.errors import UserError

Mean = Callable[[Tensor], Tensor]  # of a tensor over the processes
Schedule: TypeAlias = Literal["constant", "linear", "cosine", "late_linear"]
LAST_RATE = 0.02  # of the rate at first, at the end of late_linear

ADAPT_EVERY = 4  # discriminator phases between two moves of the probability, as in Karras et al. 2020
LECAM_DECAY = 0.99


@dataclass
class HistoricalAverage:
    """``w || theta - mean of all theta so far ||^2`` added to a network's loss: Salimans et al. 2016, section 3.3.

    It damps oscillations around an equilibrium that gradients alone would sustain. arXiv:1606.03498.

    Attributes:
        weight: w.
        means: Mean of each weight so far, in the order of ``parameters()``.
        count: How many were averaged, a scalar.
    """

    weight: float
    means: list[Tensor]
    count: Tensor

    @classmethod
    def of(cls, network: nn.Module, weight: float) -> "HistoricalAverage":
        """Start from the current weights."""
        means = [value.detach().clone() for value in network.parameters()]
        return cls(weight, means, torch.ones((), device=means[0].device))

    @torch.no_grad()
    def begin(self, network: nn.Module) -> None:
        """Start over from the current weights."""
        for mean, value in zip(self.means, network.parameters(), strict=True):
            mean.copy_(value)
        self.count.fill_(1)

    @torch.no_grad()
    def pull(self, network: nn.Module) -> None:
        """Add the gradient, ``2 w (theta - mean)``."""
        for value, mean in zip(network.parameters(), self.means, strict=True):
            if value.grad is not None:
                value.grad.add_(value - mean, alpha=2 * self.weight)

    @torch.no_grad()
    def remember(self, network: nn.Module) -> None:
        """Add the current weights to the means."""
        self.count += 1
        for mean, value in zip(self.means, network.parameters(), strict=True):
            mean.lerp_(value, (1 / self.count).to(mean.dtype))


@dataclass
class LeCam:
    """``w (E (D(real) - a_fake)^2 + E (D(fake) - a_real)^2)``, with moving averages a of the logits.

    Tseng et al. 2021, arXiv:2104.03310, equation 4: it keeps logits close together where data is scarce.

    Attributes:
        weight: w, lambda there.
        averages: a_real and a_fake, ``(2,)``.
        count: Phases so far, a scalar.
    """

    weight: float
    averages: Tensor
    count: Tensor

    @classmethod
    def new(cls, weight: float, device: torch.device) -> "LeCam":
        return cls(weight, torch.zeros(2, device=device), torch.zeros((), device=device))

    def loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty, a scalar, for logits ``(B,)``."""
        a_real, a_fake = self.averages.unbind()
        return self.weight * ((real - a_fake).square().mean() + (fake - a_real).square().mean())

    def remember(self, real: Tensor, fake: Tensor, mean: Mean) -> None:
        """Update the averages with the means of a phase; the first ones replace them."""
        logits = mean(torch.stack([real, fake]))
        good = logits.isfinite().all()
        self.count += good
        share = torch.clamp(1 / self.count, min=1 - LECAM_DECAY)
        self.averages.copy_(torch.where(good, self.averages.lerp(logits, share), self.averages))


@dataclass
class AdaptiveAugmentation:
    """The probability of augmenting a sample, adapted to how much the discriminator overfits.

    Karras et al. 2020, arXiv:2006.06676, section 3: ``r = E sign D(real)``, and p rises while r is above the target
    and falls while it is below, from 0 to 1 in so many samples at most.

    Attributes:
        target: The r to aim for.
        samples: Real samples over which p goes from 0 to 1 at most.
        probability: p, a scalar.
        signs: Since p last moved, the sum of the signs and how many samples they are of, ``(2,)``.
    """

    target: float
    samples: int
    probability: Tensor
    signs: Tensor

    @classmethod
    def new(cls, target: float, samples: int, device: torch.device) -> "AdaptiveAugmentation":
        return cls(target, samples, torch.zeros((), device=device), torch.zeros(2, device=device))

    def remember(self, sign: Tensor, phase: int, batch_size: int, mean: Mean) -> None:
        """Add the mean sign of a phase's real logits; every fourth phase, update p."""
        self.signs += (mean(torch.stack([sign, torch.ones_like(sign)])) * batch_size).round()
        if (phase + 1) % ADAPT_EVERY == 0:
            total, count = self.signs.unbind()
            step = ADAPT_EVERY * batch_size / self.samples
            self.probability.add_((total / count - self.target).sign() * step).clamp_(0, 1)
            self.signs.zero_()


@dataclass
class StabilizerState:
    """The state of the stabilisers that are on.

    Attributes:
        histories: Historical averages by network name.
        lecam: Moving averages of the logits.
        adaptive: The augmentation probability.
        path_length: The mean path length.
        replay: Generated samples of earlier steps.
        noise: Standard deviation of the instance noise at this step; set before each step, not saved.
        penalty_scale: Factor of the weights of R1, R2 and WGAN-GP at this step; set before each step, not saved.
    """

    histories: dict[str, HistoricalAverage] = field(default_factory=dict)
    lecam: LeCam | None = None
    adaptive: AdaptiveAugmentation | None = None
    path_length: PathLength | None = None
    replay: Replay | None = None
    noise: float = 0.0
    penalty_scale: float = 1.0

    def begin(self, players: dict[str, nn.Module]) -> None:
        """Start the averages of the weights from the current weights."""
        for player, history in self.histories.items():
            history.begin(players[player])

    def after_phase(self, metrics: dict[str, Tensor], phase: int, batch_size: int, mean: Mean) -> dict[str, Tensor]:
        """Update the state after a discriminator phase; returns metrics of it."""
        sign = metrics.pop("d_sign")
        if self.lecam is not None:
            self.lecam.remember(metrics["d_real"], metrics["d_fake"], mean)
        if self.adaptive is None:
            return {}
        self.adaptive.remember(sign, phase, batch_size, mean)
        return {"augmentation_probability": self.adaptive.probability.clone()}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, not copied."""
        named: dict[str, Tensor] = {}
        for player, history in self.histories.items():
            named |= {f"{player}.{place}": mean for place, mean in enumerate(history.means)}
            named[f"{player}.count"] = history.count
        if self.lecam is not None:
            named |= {"lecam.averages": self.lecam.averages, "lecam.count": self.lecam.count}
        if self.adaptive is not None:
            named |= {"adaptive.probability": self.adaptive.probability, "adaptive.signs": self.adaptive.signs}
        if self.path_length is not None:
            named["path_length.mean"] = self.path_length.mean
        if self.replay is not None:
            named |= {"replay.samples": self.replay.samples, "replay.count": self.replay.count}
        return named

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` returned; what is missing, because it was off, starts from zero.

        So does a replay buffer of another size.
        """
        if self.replay is not None and len(tensors.get("replay.samples", ())) != len(self.replay.samples):
            tensors = {name: value for name, value in tensors.items() if not name.startswith("replay.")}
        for name, value in self.tensors().items():
            if name in tensors:
                value.copy_(tensors[name])
            else:
                value.zero_()


def noise_at(step: int, first: float, steps: int) -> float:
    """The standard deviation of instance noise, falling linearly from the first to 0.

    Noise on what the discriminator sees, real and generated, gives the two distributions a common support: Arjovsky
    and Bottou 2017, arXiv:1701.04862; Sonderby et al. 2017, arXiv:1610.04490.
    """
    return first * max(0.0, 1 - step / steps)


def rate_at(step: int, schedule: Schedule, steps: int, warmup: int) -> float:
    """The factor of a learning rate: linear to 1 during the warm-up, falling until ``steps`` by the schedule."""
    rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
    share = min(1.0, step / steps)
    falling = {
        "constant": 1.0,
        "linear": 1 - share,
        "cosine": (1 + math.cos(math.pi * share)) / 2,
        "late_linear": 1 - (1 - LAST_RATE) * max(0.0, 2 * share - 1),
    }
    return rising * falling[schedule]


# --- spectral normalisation ---


def apply_spectral_norm(network: nn.Module) -> None:
    """Divide the weights of linear and convolutional layers by their largest singular values.

    Miyato et al. 2018, arXiv:1802.05957. Embeddings and attention stay as they are. Raises UserError where there are no
    such layers.

    The estimate of the singular value is refined by `power_iteration_step` alone, once a phase and not in each forward
    pass, so that it is the same for any number of micro-batches and processes.
    """
    layers = [
        module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    if not layers:
        raise UserError("spectral_norm is true: expected false, as this discriminator has none of PyTorch's layers")
    for module in layers:
        parametrizations.spectral_norm(module)
        chain: Any = module.parametrizations["weight"]  # type: ignore[index]
        chain[0] = WithoutAutocast(chain[0])
    for spectrum, _ in spectral_norms(network):
        spectrum.eval()


class WithoutAutocast(nn.Module):
    """What a weight is made by, in the weight's own precision: on CUDA, autocast would round the singular value."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, weight: Tensor) -> Tensor:
        """A weight -> one of the same shape."""
        with torch.autocast(weight.device.type, enabled=False):
            return self.inner(weight)  # type: ignore[no-any-return]


def power_iteration_step(network: nn.Module) -> None:
    """One step of the power iteration for each weight."""
    for spectrum, module in spectral_norms(network):
        spectrum.train()
        with torch.no_grad():
            module.weight  # noqa: B018 # reading it is what does it
        spectrum.eval()


def spectral_norms(network: nn.Module) -> list[tuple[Any, nn.Module]]:
    """The estimates of a network, each with the module whose weight it is of."""
    modules: list[Any] = [module for module in network.modules() if parametrize.is_parametrized(module, "weight")]
    return [(module.parametrizations.weight[0], module) for module in modules]
