"""Objectives: what the two networks minimise, as pairs of plain functions.

Each takes raw logits, ``real`` and ``fake`` of shape ``(B,)``, and returns a scalar tensor, the mean over the batch.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus


class Objective(NamedTuple):
    """The losses of both networks.

    Attributes:
        discriminator: ``(real, fake)`` logits -> the discriminator's loss.
        generator: ``(real, fake)`` logits -> the generator's loss.
        generator_sees_real: Whether the generator's loss depends on the real logits; if not, they are not computed, and
            the fake ones are passed instead.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    generator_sees_real: bool = False


def cross_entropy_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """``-log s(real) - log(1 - s(fake))`` with s the sigmoid. Goodfellow et al. 2014, arXiv:1406.2661, equation 1."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``-log s(fake)``. Goodfellow et al. 2014, arXiv:1406.2661, section 3."""
    return softplus(-fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``log(1 - s(fake))``. Goodfellow et al. 2014, arXiv:1406.2661, equation 1. It vanishes as D improves."""
    return logsigmoid(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """``1/2 (real - 1)^2 + 1/2 fake^2``. Mao et al. 2017, arXiv:1611.04076, equation 9 (targets 1 and 0)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``1/2 (fake - 1)^2``. Mao et al. 2017, arXiv:1611.04076, equation 9."""
    return (fake - 1).square().mean() / 2


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """``max(0, 1 - real) + max(0, 1 + fake)``. Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, equation 16."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """``fake - real``. Arjovsky et al. 2017, arXiv:1701.07875. Needs a Lipschitz constraint: the WGAN-GP penalty."""
    return fake.mean() - real.mean()


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``-fake``. Arjovsky et al. 2017, arXiv:1701.07875; also the generator's side of hinge (arXiv:1705.02894)."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """``softplus(fake - real)``, real and fake in pairs.

    Jolicoeur-Martineau 2018, arXiv:1807.00734, and Huang et al. 2024 (R3GAN), arXiv:2501.05441, equation 2.
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """``softplus(real - fake)``, real and fake in pairs. Sources as in `relativistic_discriminator`."""
    return softplus(real - fake).mean()


def smoothed(objective: Objective, real: float, fake: float) -> Objective:
    """The discriminator's targets moved inwards: ``1 - real`` for real samples, ``fake`` for generated ones.

    With cross-entropy, ``-(1 - a) log s(D) - a log(1 - s(D))`` instead of ``-log s(D)``; with least squares, the
    distance to the new targets. One-sided, with ``fake`` 0, is the one that Salimans et al. 2016 recommend, section
    3.4: where the generator makes nothing real, the other side would hold it there. arXiv:1606.03498.

    Raises:
        ValueError: The objective has no targets.
    """
    if objective.discriminator is cross_entropy_discriminator:

        def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            on_real = (1 - real) * softplus(-real_logits) + real * softplus(real_logits)
            on_fake = (1 - fake) * softplus(fake_logits) + fake * softplus(-fake_logits)
            return on_real.mean() + on_fake.mean()

    elif objective.discriminator is least_squares_discriminator:

        def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            return ((real_logits - 1 + real).square().mean() + (fake_logits - fake).square().mean()) / 2

    else:
        raise ValueError("the objective has no targets to smooth")
    return objective._replace(discriminator=discriminator)


OBJECTIVES = {
    "non_saturating": Objective(cross_entropy_discriminator, non_saturating_generator),
    "minimax": Objective(cross_entropy_discriminator, minimax_generator),
    "least_squares": Objective(least_squares_discriminator, least_squares_generator),
    "hinge": Objective(hinge_discriminator, wasserstein_generator),
    "wasserstein": Objective(wasserstein_discriminator, wasserstein_generator),
    "relativistic": Objective(relativistic_discriminator, relativistic_generator, generator_sees_real=True),
}
