"""The tasks: what the generator is told of a picture, what it makes of that, and what one would do without it.

Pictures are ``(B, C, H, W)`` in [-1, 1]. A task is told pictures to train on, and inputs to translate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from multigan.modalities.image_to_image import holes
from multigan.networks.patch import MultiScaleDiscriminator, TwoWayDiscriminator
from multigan.networks.resnet import ResNetGenerator, TwoWayGenerator
from multigan.networks.spade import SPADEGenerator
from multigan.networks.superresolution import SuperResolutionGenerator, reach
from multigan.networks.unet import UNetGenerator

if TYPE_CHECKING:
    from multigan.modalities.image_to_image.config import ImageToImageConfig

LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601, as Pillow converts to grey
TILE_STEP = 224  # pixels from one tile to the next where a large input is enlarged


def luma(pictures: Tensor) -> Tensor:
    """Colour ``(B, 3, H, W)`` -> grey ``(B, 1, H, W)``."""
    weights = pictures.new_tensor(LUMA).view(1, 3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True)


class Task:
    """Translating pictures, ``input``, into pictures of the same size.

    Attributes:
        numbers: Uniform random numbers an example that `condition` takes.
        scale: Side of the output over that of the input.
        local: Whether an output depends on its surroundings alone, so that large inputs can be cut into tiles.
        tile: Sides of a tile of an input, and how much neighbours share, in pixels. Networks that normalise over a
            picture depend on the whole of it in this one way: the fewer the tiles, the less they differ in colour.
    """

    numbers: ClassVar[int] = 0
    local: ClassVar[bool] = True
    tile: tuple[int, int] = 2048, 256

    def __init__(self, config: ImageToImageConfig) -> None:
        self.config = config
        self.channels = config.channels or 3
        self.scale = 1

    @property
    def input_channels(self) -> int:
        """Channels of what the generator is told."""
        return self.config.input_channels or self.channels

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        """What the networks are told of examples.

        Args:
            pictures: What is to be made, ``(B, C, H, W)``.
            given: What it is to be made of, encoded and cut as the pictures are, where the data has it.
            numbers: Uniform in [0, 1), ``(B, numbers)``.
        """
        assert given is not None
        return to_pictures(given)

    def of_input(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the generator is told of an input as a user gives it, ``picture`` and what else the task reads."""
        return to_pictures(inputs["picture"])

    def of_tensors(self, picture: Tensor) -> Tensor:
        """What the generator is told of what an exported model takes: as `of_input`, of pictures in [-1, 1]."""
        return picture

    def trivial(self, condition: Tensor) -> Tensor | None:
        """What one would show without a network: the input as it is, in as many channels as the output has."""
        return luma(condition) if self.channels < condition.shape[1] else condition.expand(-1, self.channels, -1, -1)

    def shown(self, condition: Tensor) -> Tensor:
        """The input as a picture of the size of the output, for people to look at."""
        return condition

    def generator(self) -> nn.Module:
        config = self.config
        return UNetGenerator(
            config.latent_dim, self.input_channels, self.channels, config.generator_width, config.depth
        )

    def discriminator(self) -> nn.Module:
        config = self.config
        return MultiScaleDiscriminator(
            self.channels, self.input_channels, config.discriminator_width, config.patch_layers, config.scales
        )


class Colorize(Task):
    """Grey pictures in colour. The generator decides on the colours, and leaves how light they are as it is."""

    @property
    def input_channels(self) -> int:
        return 1

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        return luma(pictures)

    def of_input(self, inputs: dict[str, Tensor]) -> Tensor:
        picture = to_pictures(inputs["picture"])
        return luma(picture) if picture.shape[1] == 3 else picture

    def trivial(self, condition: Tensor) -> Tensor:
        return condition.expand(-1, 3, -1, -1)

    def generator(self) -> nn.Module:
        return Colors(super().generator())


class Colors(nn.Module):
    """``network`` of grey pictures ``(B, 1, H, W)``, with the greys of its colours replaced by those given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        colors: Tensor = self.network(latent, condition)
        return colors - luma(colors) + condition


class Enlarge(Task):
    """Pictures of ``factor`` times the side, of pictures scaled down by averaging."""

    def __init__(self, config: ImageToImageConfig) -> None:
        super().__init__(config)
        self.scale = config.factor
        # Nothing is normalised, so tiles are as the whole but where a border is in reach. There the neighbour, whose
        # border is out of reach, has the larger weight.
        overlap = 2 * reach(config.blocks)
        self.tile = TILE_STEP + overlap, overlap

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        return avg_pool2d(pictures, self.scale)

    def trivial(self, condition: Tensor) -> Tensor:
        return interpolate(condition, scale_factor=self.scale, mode="bicubic")

    def shown(self, condition: Tensor) -> Tensor:
        return interpolate(condition, scale_factor=self.scale)

    def generator(self) -> nn.Module:
        config = self.config
        return SuperResolutionGenerator(
            config.latent_dim, self.channels, config.generator_width, config.blocks, self.scale
        )


class Inpaint(Task):
    """Pictures with a hole, filled. The generator is told the picture, 0 in the hole, and where the hole is."""

    numbers = holes.NUMBERS

    @property
    def input_channels(self) -> int:
        return self.channels + 1

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        make = holes.squares if self.config.holes == "squares" else holes.strokes
        return with_hole(pictures, make(numbers, pictures.shape[2:], self.config.hole).to(pictures))

    def of_input(self, inputs: dict[str, Tensor]) -> Tensor:
        picture = to_pictures(inputs["picture"])
        return with_hole(picture, (inputs["hole"] > 0).to(picture))

    def of_tensors(self, picture: Tensor, hole: Tensor) -> Tensor:  # type: ignore[override]
        return with_hole(picture, hole)

    def trivial(self, condition: Tensor) -> Tensor:
        """The hole in the mean colour of what is around it."""
        pictures, hole = condition[:, :-1], condition[:, -1:]
        known = (1 - hole).sum((2, 3), keepdim=True).clamp(min=1)
        return pictures + hole * pictures.sum((2, 3), keepdim=True) / known

    def shown(self, condition: Tensor) -> Tensor:
        return condition[:, :-1]

    def generator(self) -> nn.Module:
        return Filled(super().generator())


class Filled(nn.Module):
    """``network``, used in the hole alone: ``(B, C + 1, H, W)``, pictures and holes, -> ``(B, C, H, W)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        pictures, hole = condition[:, :-1], condition[:, -1:]
        filling: Tensor = self.network(latent, condition)
        return torch.lerp(pictures, filling.to(pictures.dtype), hole)  # autocast makes the filling less precise


class Paired(Task):
    """Pictures of A into pictures of B, learned from pairs."""


class Labels(Task):
    """Label maps into pictures: the map is one channel a class, each 0 or 1."""

    local = False  # the layout of the whole decides

    @property
    def input_channels(self) -> int:
        return len(self.config.classes) + (self.config.fit == "pad")  # the padding is a class

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        assert given is not None
        return self.one_hot(given)

    def of_input(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.one_hot(inputs["classes"])

    def of_tensors(self, picture: Tensor) -> Tensor:
        return self.one_hot(picture)

    def one_hot(self, classes: Tensor) -> Tensor:
        """Class numbers ``(B, H, W)`` -> ``(B, classes, H, W)``."""
        known = torch.arange(self.input_channels, device=classes.device).view(1, -1, 1, 1)
        return (classes[:, None] == known).to(torch.get_default_dtype())

    def trivial(self, condition: Tensor) -> None:
        return None

    def shown(self, condition: Tensor) -> Tensor:
        """The map in the colours of its classes, or in greys."""
        names = self.config.classes
        if names[0].startswith("#"):
            colors = [[int(name[at : at + 2], 16) for at in (1, 3, 5)] for name in names]
        else:
            colors = [[round(255 * place / max(len(names) - 1, 1))] * 3 for place in range(len(names))]
        colors += [[255, 255, 255]] * (self.input_channels - len(names))
        palette = condition.new_tensor(colors) / 127.5 - 1
        return torch.einsum("bkhw,kc->bchw", condition, palette)

    def generator(self) -> nn.Module:
        config = self.config
        return SPADEGenerator(
            config.latent_dim, self.input_channels, self.channels, config.sides, config.generator_width
        )


class Unpaired(Task):
    """Pictures of A into B and of B into A, learned without pairs: Zhu et al. 2017 (CycleGAN), arXiv:1703.10593.

    A sample is a picture of A and one of B, stacked in channels. The generator is told the same, and makes an A of that
    B and a B of that A.
    """

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        return pictures

    def trivial(self, condition: Tensor) -> Tensor:
        """Each as it is, in the place of the other; a single picture of either side as it is."""
        if condition.shape[1] == self.channels:
            return condition
        return torch.cat(condition.chunk(2, 1)[::-1], 1)

    def shown(self, condition: Tensor) -> Tensor:
        return self.trivial(condition)

    def generator(self) -> nn.Module:
        config = self.config
        to_a, to_b = (
            ResNetGenerator(config.latent_dim, self.channels, self.channels, config.generator_width, config.blocks)
            for _ in range(2)
        )
        return TwoWayGenerator(to_a, to_b, self.channels)

    def discriminator(self) -> nn.Module:
        config = self.config
        return TwoWayDiscriminator(self.channels, config.discriminator_width, config.patch_layers)


class Style(Task):
    """Any picture in the style of one: Johnson et al. 2016, arXiv:1603.08155."""

    def condition(self, pictures: Tensor, given: Tensor | None, numbers: Tensor) -> Tensor:
        return pictures

    def trivial(self, condition: Tensor) -> None:
        """Nothing: the picture as it is would be as near to photographs as can be, and without any style."""

    def generator(self) -> nn.Module:
        config = self.config
        return ResNetGenerator(config.latent_dim, self.channels, self.channels, config.generator_width, config.blocks)


TASKS: dict[str, type[Task]] = {
    "colorize": Colorize,
    "enlarge": Enlarge,
    "inpaint": Inpaint,
    "paired": Paired,
    "labels": Labels,
    "unpaired": Unpaired,
    "style": Style,
}


def to_pictures(encoded: Tensor) -> Tensor:
    """Pixels from 0 to 255 -> [-1, 1], of PyTorch's default type."""
    return encoded.to(torch.get_default_dtype()) / 127.5 - 1


def with_hole(pictures: Tensor, hole: Tensor) -> Tensor:
    """Pictures, 0 where the hole ``(B, 1, H, W)`` is 1, and the hole as a further channel."""
    return torch.cat([pictures * (1 - hole), hole], 1)


def cut(encoded: Tensor, sides: tuple[int, int], numbers: Tensor) -> Tensor:
    """A piece of these sides of each ``(B, ..., H, W)``, at a place that ``numbers`` ``(B, 2)`` decide."""
    spare = [have - want for have, want in zip(encoded.shape[-2:], sides, strict=True)]
    if not any(spare):
        return encoded
    starts = [(numbers[:, axis] * (room + 1)).long() for axis, room in enumerate(spare)]
    pieces = [
        encoded[row, ..., top : top + sides[0], left : left + sides[1]]
        for row, (top, left) in enumerate(zip(*(start.tolist() for start in starts), strict=True))
    ]
    return torch.stack(pieces)


def flipped(encoded: Tensor, mirror: Tensor) -> Tensor:
    """``(B, ..., W)``, mirrored where ``mirror`` ``(B,)`` is true."""
    return torch.where(mirror.view(-1, *[1] * (encoded.dim() - 1)), encoded.flip(-1), encoded)
