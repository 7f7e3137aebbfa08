"""Health checks of a run: dropped steps, mode collapse, a discriminator that has won, divergence."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from multigan.engine.step import Metrics

STREAK = 20  # steps in a row with a dropped update, after which the run goes back to a checkpoint
COLLAPSED = 0.1  # diversity, as a share of that of the data
WON = 0.01  # the discriminator's loss, as a share of what it is where every logit is 0
GROWN = 1000.0  # a gradient's norm, as a multiple of what it was when the run was young
STEEP = 10.0  # the difference of real and fake logits, as a multiple of the distance between two real samples
YOUNG = 5  # lines of metrics
# Lines of metrics in a row in which something is wrong, before a word is said.
PATIENCE = {"dropped steps": 1, "collapse": 5, "discriminator has won": 3, "divergence": 3}


class DivergedError(Exception):
    """Too many steps in a row were dropped, or a weight is no longer finite."""


@dataclass
class Health:
    """Counters and reference values of a run.

    Attributes:
        pairwise_distances: Mean and least distance between a few real samples, the standard for diversity.
        chance: The discriminator's loss where every logit is 0.
        least: The least that it can be, where targets are smoothed.
        drops_expected: Whether steps are dropped now and then to find the loss scale.
        dropped: Dropped updates of each player so far, on the device.
        streak: Steps in a row, up to the last one, with a dropped update, on the device.
        norms: Of each player, the gradient norms of the run's first lines of metrics.
        suspected: Of each alarm, in how many lines in a row it has had a reason.
        reported: Dropped updates in the lines of metrics so far.
    """

    pairwise_distances: tuple[float, float]
    chance: float
    least: float = 0.0
    drops_expected: bool = False
    dropped: dict[str, Tensor | float] = field(default_factory=dict)
    streak: Tensor | float = 0.0
    norms: dict[str, list[float]] = field(default_factory=dict)
    suspected: dict[str, int] = field(default_factory=dict)
    reported: int = 0

    def count(self, metrics: Metrics) -> Metrics:
        """Move the numbers of dropped updates from the metrics of a step into the counters."""
        total: Tensor | float = 0.0
        for name in [name for name in metrics if name.endswith("_dropped")]:
            player, value = name.removesuffix("_dropped"), metrics.pop(name)
            self.dropped[player] = self.dropped.get(player, 0.0) + value
            total = total + value
        self.streak = (self.streak + 1) * (total > 0)
        return metrics

    def check(self) -> None:
        """Raise DivergedError if the last steps were all dropped."""
        if self.streak >= STREAK:
            raise DivergedError(f"the last {int(self.streak)} steps were dropped: a loss or a gradient was not finite")

    def check_metrics(self, line: dict[str, Any], fake: Tensor) -> tuple[dict[str, Any], list[str]]:
        """Check a line of metrics for signs of trouble.

        Args:
            line: The means of the metrics.
            fake: ``(N, *S)``, generated from the same latents each time, of the classes of the real ones.

        Returns:
            What to add to the line, and a warning for each alarm that goes off with it.
        """
        share = diversity(pairwise_distances(fake), self.pairwise_distances)
        counts = {f"{player}_steps_dropped": int(count) for player, count in self.dropped.items()}
        before, self.reported = self.reported, sum(counts.values())
        loss = line.get("discriminator_loss")
        found = {
            "dropped steps": self.reported > before and not self.drops_expected,
            "collapse": share < COLLAPSED,
            "discriminator has won": loss is not None and 0 <= loss - self.least < WON * (self.chance - self.least),
            "divergence": self.has_grown(line) or self.is_steep(line),
        }
        self.suspected = {name: self.suspected.get(name, 0) + 1 for name, wrong in found.items() if wrong}
        alarms = [name for name, times in self.suspected.items() if times >= PATIENCE[name]]
        values: dict[str, Any] = {**counts, "diversity": round(share, 4) if math.isfinite(share) else None}
        if alarms:
            values["health"] = alarms
        return values, [ADVICE[name] for name in alarms if self.suspected[name] == PATIENCE[name]]

    def has_grown(self, line: dict[str, Any]) -> bool:
        """Whether a gradient norm is far above its early values."""
        grown = False
        for player in self.dropped:
            norm, young = line.get(f"{player}_gradient_norm"), self.norms.setdefault(player, [])
            if norm is not None and len(young) < YOUNG and "pretraining_loss" not in line:  # another loss, another norm
                young.append(norm)
            elif norm is not None and len(young) == YOUNG:
                grown = grown or norm > GROWN * statistics.median(young)
        return grown

    def is_steep(self, line: dict[str, Any]) -> bool:
        """Whether the discriminator is so steep that its logits are unbounded."""
        d_real, d_fake = line.get("d_real"), line.get("d_fake")
        return d_real is not None and d_fake is not None and d_real - d_fake > STEEP * self.pairwise_distances[0]

    def state(self) -> dict[str, Any]:
        """The state for `restore`, as plain numbers."""
        dropped = {player: int(count) for player, count in self.dropped.items()}
        return {
            "dropped": dropped,
            "streak": int(self.streak),
            # Copies: the file is written while these go on growing.
            "norms": {player: list(norms) for player, norms in self.norms.items()},
            "suspected": dict(self.suspected),
            "reported": self.reported,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.dropped, self.streak = dict(state["dropped"]), state["streak"]
        self.norms, self.suspected = state["norms"], state["suspected"]
        self.reported = state["reported"]


ADVICE = {
    "dropped steps": "steps were dropped, because a loss or a gradient was not finite; more of it means lower learning "
    "rates",
    "collapse": "collapse: generated samples hardly differ from one another; try more r1, the relativistic objective, "
    "or a lower generator learning rate",
    "discriminator has won": "the discriminator has won: it tells all samples apart, and the generator learns little; "
    "try more r1, augmentation, or a lower discriminator learning rate",
    "divergence": "divergence: gradients or logits are growing without bounds; try lower learning rates, a "
    "penalty (r1, or wgan_gp with the wasserstein objective), or max_gradient_norm",
}


def pairwise_distances(samples: Tensor) -> tuple[float, float]:
    """Distances between samples ``(N, *S)``: the mean over all pairs, and the mean to the nearest neighbour.

    By matrix products in float32: identical samples come out a few thousandths of their length apart, at most.
    """
    flat = samples.detach().flatten(1).float()
    flat = flat - flat.mean(0)
    distances = torch.cdist(flat, flat).fill_diagonal_(0)
    mean = distances.sum() / (len(flat) * (len(flat) - 1))
    distances.fill_diagonal_(torch.inf)
    return float(mean), float(distances.min(1).values.mean())


def diversity(fake: tuple[float, float], real: tuple[float, float]) -> float:
    """How much generated samples differ from each other, relative to real ones of the same classes.

    The lesser of two shares: over all pairs, which is small where all samples are of one kind, and between nearest
    neighbours, which is small where there are a few kinds and no difference within one. 1 is as in the data.

    Args:
        fake: The `pairwise_distances` of generated samples.
        real: The `pairwise_distances` of as many real ones.
    """
    shares = [made / found for made, found in zip(fake, real, strict=True) if found]
    return min(shares, default=1.0)
