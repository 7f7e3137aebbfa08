"""The burn-in of R3GAN: Huang et al. 2024, arXiv:2501.05441, and its published training code."""

import math
from typing import NamedTuple

INITIAL_BETA2 = 0.9
FINAL_RATE = 1 / 4
FINAL_PENALTY = 1 / 10


class BurnIn(NamedTuple):
    """The settings that change during the burn-in, at one step.

    Attributes:
        rate: Factor of both learning rates.
        penalty: Factor of the weights of R1, R2 and WGAN-GP.
        second_beta: Adam's decay rate of the second moments.
        ema_decay: Decay of the moving average of the generator.
    """

    rate: float
    penalty: float
    second_beta: float
    ema_decay: float


def burn_in(step: int, steps: int, second_beta: float, ema_decay: float) -> BurnIn:
    """The values at a step: along a cosine, rates fall to a quarter and penalties to a tenth.

    The second beta goes from 0.9 to its final value, the half-life of the average from 0 to that of its final decay.

    Args:
        step: Adversarial steps done so far.
        steps: Length of the burn-in, at least 1; later steps have its final values.
        second_beta: Its final value.
        ema_decay: Its final value.
    """
    share = (1 - math.cos(math.pi * min(1.0, step / steps))) / 2
    return BurnIn(
        rate=1 + share * (FINAL_RATE - 1),
        penalty=1 + share * (FINAL_PENALTY - 1),
        second_beta=INITIAL_BETA2 + share * (second_beta - INITIAL_BETA2),
        # A half-life of h steps is a decay of 2 ** (-1 / h).
        ema_decay=ema_decay ** (1 / share) if share else 0.0,
    )
