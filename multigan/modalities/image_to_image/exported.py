"""Generators of pictures from pictures as functions of tensors, for models that are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from multigan.exportable import Exportable, TensorInfo, latent_and_label
from multigan.modalities.image_to_image.tasks import Task

if TYPE_CHECKING:
    from multigan.modalities.image_to_image import ImageToImage

# Pixels by which sizes are larger than those of training. What is traced is no multiple of what networks pad to, which
# could be taken for a rule.
TRACED, CHECKED = (13, 19), (0, 24)


def exportable(modality: ImageToImage, generator: Any) -> Exportable:
    """Latents, if there are any, and pictures or label maps -> pictures, all of any height and width.

    A label map's height and width are those of training: its layout is what the network has learned.
    """
    config, task = modality.config, modality.task
    height, width = (side // task.scale for side in config.sides)
    axes = {
        name: (side + traced, side + checked)
        for name, side, traced, checked in zip(("height", "width"), (height, width), TRACED, CHECKED, strict=True)
    }
    sides: tuple[int | str, ...] = ("height", "width")
    if config.task == "labels":
        axes, sides = {}, (height, width)
        inputs = [TensorInfo("classes", "int64", sides, "whole", 0, task.input_channels - 1, "class of each pixel")]
    else:
        channels = {"colorize": 1, "inpaint": task.channels}.get(config.task, task.input_channels)
        inputs = [TensorInfo("picture", "float32", (channels, *sides), "any", -1, 1, "-1 black, 1 white")]
    if config.task == "inpaint":
        inputs.append(TensorInfo("hole", "float32", (1, *sides), "whole", 0, 1, "1 where it is to be filled"))
    inputs = [*latent_and_label(modality), *inputs]
    made = sides if task.scale == 1 else (f"{task.scale} height", f"{task.scale} width")
    output = TensorInfo("made", "float32", (task.channels, *made), "any", -1, 1)
    about = {"task": config.task, **({"classes_of_maps": list(config.classes)} if config.classes else {})}
    module = Translator(generator, task, bool(config.latent_dim))
    return Exportable(module, tuple(inputs), output, "picture", axes=axes, about=about)


class Translator(nn.Module):
    """``generator`` with its latent, if it takes one, and what the task makes of the other inputs."""

    def __init__(self, generator: nn.Module, task: Task, latent: bool) -> None:
        super().__init__()
        self.generator, self.task, self.latent = generator, task, latent

    def forward(self, *inputs: Tensor) -> Tensor:
        picture = inputs[self.latent]
        latent = inputs[0] if self.latent else torch.zeros(picture.shape[0], 0, device=picture.device)
        condition = self.task.of_tensors(*inputs[self.latent :])
        samples: Tensor = self.generator(latent, condition)
        return samples.clamp(-1, 1)
