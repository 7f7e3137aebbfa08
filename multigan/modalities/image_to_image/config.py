"""The configuration of the image-to-image modality."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from multigan.errors import UserError

SMALLEST, LARGEST, LARGEST_LOADED = 16, 512, 4096  # pixels of a side
MOST_CLASSES = 256  # so that a number is a byte
CLASSES = "[0-9]{1,10}", "#[0-9a-fA-F]{6}"  # ten digits are a pixel of 32 bits
Task = Literal["colorize", "enlarge", "inpaint", "paired", "labels", "unpaired", "style"]
# The tasks that a setting is for, where it is not for all.
TWO_SIDES: tuple[Task, ...] = "paired", "labels", "unpaired"
WITH_TRUTH: tuple[Task, ...] = "colorize", "enlarge", "inpaint", "paired", "labels"
TASKS_OF_SETTING: dict[str, tuple[Task, ...]] = {
    "factor": ("enlarge",),
    "holes": ("inpaint",),
    "hole": ("inpaint",),
    "style_picture": ("style",),
    "style_weight": ("style",),
    "direction": TWO_SIDES,
    "blocks": ("enlarge", "unpaired", "style"),
    "depth": ("colorize", "inpaint", "paired"),
    "scales": WITH_TRUTH,
    "l1": WITH_TRUTH,
    "features": WITH_TRUTH,
    "cycle": ("unpaired",),
    "identity": ("unpaired",),
    "image_column": ("colorize", "enlarge", "inpaint", "style"),
    "input_column": TWO_SIDES,
    "target_column": TWO_SIDES,
    "input_channels": ("paired",),
    "classes": ("labels",),
}


@dataclass(frozen=True)
class ImageToImageConfig:
    """The task, the pictures and the networks.

    Args:
        task: colorize, grey pictures; enlarge, small ones; inpaint, ones with a hole: these take any pictures to train
            on. paired, pictures of A into pictures of B, in pairs with equal names; labels, the same from label maps;
            unpaired, A into B and B into A without pairs; style, any pictures into the style of one.
        resolution: Height and width in pixels of what is trained on: 64, say, or 64x96 (height x width). What is
            generated may be larger.
        load_size: Height and width that pictures are brought to first; a random piece of the resolution is then taken
            in each reading. null is the resolution.
        fit: How pictures of another shape are brought to that: crop scales and takes the center, pad scales and adds
            white, stretch changes the proportions.
        flip: Every second example is mirrored.
        factor: Of enlarge: 2, 4 or 8.
        holes: Of inpaint: squares, or strokes, as of a brush.
        hole: Of inpaint: side of a square, or thickness of all strokes together, as a share of the side of the picture.
        style_picture: Of style: the picture whose style is learned; null is a built-in pattern.
        style_weight: Of style: weight of the style against the content.
        direction: Of paired: AB makes B of A, BA makes A of B. Of unpaired: BA exchanges A and B. Of labels: the maps
            are A with AB and B with BA, unless the names of folders or columns say otherwise.
        latent_dim: Dimensions of noise that an output depends on beside the input; 0 gives one output for each input.
        generator_width: Channels of the generator's first layer.
        discriminator_width: Channels of the discriminator's first layer.
        blocks: Residual blocks of the generator, for enlarge, unpaired and style.
        depth: How often the generator halves the sides, for colorize, inpaint and paired.
        patch_layers: How often the discriminator halves the sides: its logits are of patches.
        scales: Sizes of the picture that discriminators see, each half of the one before; one for unpaired and style.
        l1: Weight of the mean absolute difference from the truth, on the scale of -1 to 1, in the generator's loss; not
            of unpaired and style, as the two below.
        features: Weight of the mean absolute difference of the discriminator's features from those of the truth.
        cycle: Of unpaired: weight of the mean absolute difference of a picture from its translation there and back.
        identity: Of unpaired: weight of the mean absolute change of pictures that are of the right side already.
        image_column: The dataset's column of pictures, where a task takes any pictures; null finds it.
        input_column: Of paired and labels: the column of inputs, or of unpaired, A; null finds it.
        target_column: Of paired and labels: the column of what is to be made of them, or of unpaired, B; null finds it.
        channels: 1 for grey, 3 for colour; null takes what the pictures are.
        input_channels: The same for the inputs of paired; null takes what they are.
        classes: Of labels: the colours or numbers of the classes in the label maps; empty takes those that occur.
    """

    task: Task = "colorize"
    resolution: int | str = 64
    load_size: int | str | None = None
    fit: Literal["crop", "pad", "stretch"] = "crop"
    flip: bool = False
    factor: Literal[2, 4, 8] = 4
    holes: Literal["squares", "strokes"] = "squares"
    hole: float = 0.5
    style_picture: str | None = None
    style_weight: float = 5.0
    direction: Literal["AB", "BA"] = "AB"
    latent_dim: int = 0
    generator_width: int = 32
    discriminator_width: int = 32
    blocks: int = 6
    depth: int = 4
    patch_layers: int = 3
    scales: int = 1
    l1: float = 10.0
    features: float = 0.0
    cycle: float = 10.0
    identity: float = 0.0
    image_column: str | None = None
    input_column: str | None = None
    target_column: str | None = None
    channels: int | None = None
    input_channels: int | None = None
    classes: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in pixels of an example."""
        return sides_of(self.resolution)

    @property
    def load_sides(self) -> tuple[int, int]:
        """Height and width in pixels that pictures are brought to."""
        return self.sides if self.load_size is None else sides_of(self.load_size)

    def __post_init__(self) -> None:
        for name in ("resolution", "load_size"):
            value = getattr(self, name)
            try:
                height, width = self.sides if value is None else sides_of(value)
            except ValueError:
                raise UserError(f"{name} is {value}: expected pixels, such as 64, or 64x96 (height x width)") from None
            largest = LARGEST if name == "resolution" else LARGEST_LOADED
            if not (min(height, width) >= SMALLEST and max(height, width) <= largest):
                raise UserError(f"{name} is {value}: expected sides of {SMALLEST} to {largest} pixels")
        if any(load < side for load, side in zip(self.load_sides, self.sides, strict=True)):
            raise UserError(f"load_size is {self.load_size}: expected at least the resolution, {self.resolution}")
        if self.task == "enlarge" and any(side % self.factor for side in self.sides):
            raise UserError(f"resolution is {self.resolution}: expected multiples of the factor, {self.factor}")
        for name in ("generator_width", "discriminator_width", "blocks", "patch_layers", "scales"):
            check(self, name, getattr(self, name) >= 1, "at least 1")
        deepest = min(self.sides).bit_length() - 1  # where the smallest map has one pixel
        check(self, "depth", 2 <= self.depth <= deepest, f"2 to {deepest}, for a resolution of {self.resolution}")
        least = 3 << (self.patch_layers + self.scales - 1)  # as multigan.networks.patch.least_side, without torch
        fewer = f"fewer layers or scales, for a resolution of {self.resolution}: sides of {least} are the least"
        check(self, "patch_layers", min(self.sides) >= least, fewer)
        for name in ("latent_dim", "l1", "features", "cycle", "identity", "style_weight"):
            check(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("channels", "input_channels"):
            check(self, name, getattr(self, name) in (None, 1, 3), "1 (grey), 3 (colour) or null (as the pictures are)")
        check(self, "channels", not (self.task == "colorize" and self.channels == 1), "3 for colorize, or null")
        check(self, "hole", 0 < self.hole < 1, "between 0 and 1")
        check_classes(self.classes)

    def check_given(self, names: Iterable[str]) -> None:
        """Raise UserError for settings of other tasks, unless they have their defaults."""
        for field in fields(self):
            tasks, value = TASKS_OF_SETTING.get(field.name, (self.task,)), getattr(self, field.name)
            if field.name in names and self.task not in tasks and value != field.default:
                expected = f"expected with task {' or '.join(tasks)}"
                raise UserError(f"{field.name} is {value}: {expected}, and this is task {self.task}")


def check_classes(names: tuple[str, ...]) -> None:
    """Raise UserError for names that cannot be the classes of label maps."""
    wrong = [name for name in names if not re.fullmatch("|".join(CLASSES), name)]
    if wrong:
        raise UserError(f"classes is {wrong[0]}: expected numbers, such as 7, or colours, such as #ff8000")
    if len({name.startswith("#") for name in names}) > 1:
        raise UserError("classes has numbers and colours: expected one or the other")
    if len(names) > MOST_CLASSES:
        raise UserError(f"classes has {len(names)} names: expected {MOST_CLASSES} at most")
    codes = [int(name[1:], 16) if name.startswith("#") else int(name) for name in names]
    twice = [name for place, name in enumerate(names) if codes[place] in codes[:place]]
    if twice:
        raise UserError(f"classes has {twice[0]} twice: expected each class once")


def check(config: ImageToImageConfig, name: str, good: bool, expected: str) -> None:
    """Raise UserError for a value out of range."""
    if not good:
        raise UserError(f"{name} is {getattr(config, name)}: expected {expected}")


def sides_of(size: int | str) -> tuple[int, int]:
    """``64`` or ``64x96`` -> height and width.

    Raises:
        ValueError: It is neither.
    """
    height, two, width = str(size).partition("x")
    return int(height), int(width if two else height)
