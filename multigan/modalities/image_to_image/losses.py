"""What the generator is trained on beside the objective."""

from __future__ import annotations

import torch
from torch import Tensor

from multigan.interface import GeneratorOutput
from multigan.modalities.image_to_image.config import ImageToImageConfig


def paired(config: ImageToImageConfig, output: GeneratorOutput) -> dict[str, Tensor]:
    """``l1 E |real - fake|``: Isola et al. 2017 (pix2pix), arXiv:1611.07004, equation 3; and feature matching.

    ``features``, Wang et al. 2018 (pix2pixHD), arXiv:1711.11585, equation 4, is the mean over the layers and the heads
    of the mean absolute difference of what the discriminator makes of both, where there it is the sum over the layers.
    """
    losses = {}
    if config.l1:
        losses["l1"] = config.l1 * (output.fake - output.real).abs().mean()
    if config.features:
        pairs = zip(output.judged.features, output.judge_real().features, strict=True)
        losses["features"] = config.features * torch.stack([(fake - real).abs().mean() for fake, real in pairs]).mean()
    return losses


def unpaired(config: ImageToImageConfig, output: GeneratorOutput) -> dict[str, Tensor]:
    """``cycle E |T(T(x)) - x|`` and ``identity E |T(y) - y|``: Zhu et al. 2017 (CycleGAN), arXiv:1703.10593, equation 2
    and section 5.2.

    x is a picture of A and one of B, and T translates each into the place of the other. y is x the other way round, so
    each is of the right side already. Both are means over A and B, where there they are sums.
    """
    losses = {}
    if config.cycle:
        back = output.generate(output.latent, output.fake)
        losses["cycle"] = config.cycle * (back - output.real).abs().mean()
    if config.identity:
        same = output.generate(output.latent, torch.cat(output.real.chunk(2, 1)[::-1], 1))
        losses["identity"] = config.identity * (same - output.real).abs().mean()
    return losses
