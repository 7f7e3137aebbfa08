"""The burn-in of R3GAN: Huang et al. 2024, arXiv:2501.05441, and its published training code."""

import math
from typing import NamedTuple

FIRST_SECOND_BETA = 0.9
LAST_RATE = 1 / 4
LAST_PENALTY = 1 / 10


class BurnIn(NamedTuple):
    """What holds at one step.

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
    """Step ``step``, counted from 0, of a burn-in of ``steps``; from there on its last values hold.

    Along a cosine the learning rates fall to a quarter, the penalties to a tenth, the second beta goes from 0.9 to its
    value, and the half-life of the average rises from 0 to that of its decay. Without a burn-in (0 steps) all are as
    configured from the start.
    """
    if not steps:
        return BurnIn(1.0, 1.0, second_beta, ema_decay)
    share = (1 - math.cos(math.pi * min(1.0, step / steps))) / 2
    return BurnIn(
        rate=1 + share * (LAST_RATE - 1),
        penalty=1 + share * (LAST_PENALTY - 1),
        second_beta=FIRST_SECOND_BETA + share * (second_beta - FIRST_SECOND_BETA),
        # A half-life of h steps is a decay of 2 ** (-1 / h).
        ema_decay=ema_decay ** (1 / share) if share else 0.0,
    )
