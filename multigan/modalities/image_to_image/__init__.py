"""Pictures into pictures: colours for grey ones, larger ones, filled holes, and whatever pairs or two folders show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from multigan.errors import UserError
from multigan.modalities.defaults import RELATIVISTIC
from multigan.modalities.image_to_image.config import ImageToImageConfig
from multigan.modality import InputTools, Modality, PairMetrics, PretrainingLoss, Preview, Tiling
from multigan.pictures import ENDINGS

# torch and the rest are imported where they are used: listing the modalities must be fast.
if TYPE_CHECKING:
    import datasets
    import numpy
    from PIL.Image import Image as Picture
    from torch import Tensor, nn

    from multigan.columns import AnyDataset
    from multigan.exportable import Exportable
    from multigan.interface import Condition, GeneratorOutput
    from multigan.modalities.image_to_image.style import StyleLoss
    from multigan.modalities.image_to_image.tasks import Task

PLACES = 3  # uniform numbers for the place of a piece, down and across, and whether it is mirrored


@dataclass(frozen=True)
class ImageToImageOptions:
    """What `multigan generate` takes for pictures.

    Args:
        direction: Of unpaired: AB makes B of A, BA makes A of B.
        mask: Of inpaint: a picture of the input's size, white in the hole. What is transparent is a hole as well.
    """

    direction: Literal["AB", "BA"] = "AB"
    mask: str | None = None


def made_by(name: str) -> Callable[[], datasets.DatasetDict]:
    """The function that makes a built-in dataset, imported when it is called."""

    def make() -> datasets.DatasetDict:
        from multigan.modalities.image_to_image import builtin

        made: datasets.DatasetDict = getattr(builtin, name)()
        return made

    return make


DEFAULTS_OF_TASK: Mapping[str, Mapping[str, Any]] = {
    "enlarge": {  # which is not normalised, and diverged at 1e-3
        "pretraining_steps": 500,
        "generator_learning_rate": 3e-4,
        "discriminator_learning_rate": 3e-4,
        "pretraining_learning_rate": 3e-4,
    },
    "style": {"steps": 0, "pretraining_steps": 2000},
    "unpaired": {"replay": 50},
}
PHOTOGRAPHS = {"photographs": made_by("photographs"), "digits": made_by("digits")}
BUILTIN: dict[str, dict[str, Callable[[], datasets.DatasetDict]]] = {
    "inpaint": dict(reversed(PHOTOGRAPHS.items())),
    "paired": {"edges": made_by("edges_to_photographs"), "facades": made_by("facades")},
    "labels": {"facades": made_by("facades")},
    "unpaired": {"styled-digits": made_by("styled_digits")},
}


class ImageToImage(Modality):
    """Pictures from pictures: a sample is ``(channels, height, width)`` in [-1, 1]."""

    Config = ImageToImageConfig
    config: ImageToImageConfig
    Options = ImageToImageOptions
    takes_inputs = True
    pipeline_tag = "image-to-image"
    file_endings = ENDINGS
    size_settings = ("resolution", "generator_width", "discriminator_width")
    latent_space = False

    @property
    def training_defaults(self) -> Mapping[str, Any]:  # type: ignore[override]
        own = {"batch_size": 8, "pretraining_learning_rate": 1e-3}
        return {**RELATIVISTIC, **own, **DEFAULTS_OF_TASK.get(self.config.task, {})}

    @property
    def adversarial(self) -> bool:  # type: ignore[override]
        return self.config.task != "style"

    @property
    def builtin_datasets(self) -> Mapping[str, Callable[[], datasets.DatasetDict]]:  # type: ignore[override]
        """Those that suit the task."""
        found: Mapping[str, Callable[[], datasets.DatasetDict]] = BUILTIN.get(self.config.task, PHOTOGRAPHS)
        return found

    @property
    def unpaired(self) -> bool:  # type: ignore[override]
        return self.config.task == "unpaired"

    @property
    def pair_numbers(self) -> int:  # type: ignore[override]
        return PLACES + self.task.numbers

    @property
    def task(self) -> Task:
        """What is done, with the configuration as it is now."""
        from multigan.modalities.image_to_image.tasks import TASKS

        return TASKS[self.config.task](self.config)

    def check_given(self, names: Iterable[str]) -> None:
        self.config.check_given(names)

    # --- data ---

    @property
    def several_files(self) -> bool:
        return self.config.task in ("paired", "labels")

    def arrange(self, dataset: AnyDataset, say: Callable[[str], object]) -> AnyDataset:
        from multigan.modalities.image_to_image import pairs

        config = self.config
        if config.task in ("paired", "labels"):
            maps = config.task == "labels"
            return pairs.paired(dataset, config.input_column, config.target_column, config.direction, maps, say)
        if config.task == "unpaired":
            return pairs.unpaired(dataset, config.input_column, config.target_column, config.direction, say)
        return dataset

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan.modalities.image_to_image import data

        self.config, notes = data.fit(self.config, dataset)
        return notes

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan.modalities.image_to_image import data

        return data.encode(self.config, row)

    def encode_key(self) -> dict[str, Any]:
        names = ("task", "fit", "image_column", "channels", "input_channels", "classes")
        return {"sides": list(self.config.load_sides), **{name: getattr(self.config, name) for name in names}}

    def to_sample(self, real: Tensor) -> Tensor:
        """The middle of the pictures, where they are larger than the resolution."""
        import torch

        from multigan.modalities.image_to_image.tasks import cut, to_pictures

        middle = torch.full((len(real), 2), 0.5, device=real.device)
        pictures = to_pictures(cut(real, self.config.sides, middle))
        return pictures.flatten(1, 2) if self.unpaired else pictures

    def to_pair(self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor) -> tuple[Tensor, Condition]:
        from multigan.modalities.image_to_image.tasks import cut, flipped, to_pictures

        places, mirror, further = numbers[:, :2], numbers[:, 2] < 0.5, numbers[:, PLACES:]

        def piece(whole: Tensor) -> Tensor:
            part = cut(whole, self.config.sides, places)
            return flipped(part, mirror) if self.config.flip else part

        pictures = to_pictures(piece(encoded))
        if self.unpaired:
            pictures = pictures.flatten(1, 2)
        given = piece(beside["input"]) if "input" in beside else None
        return pictures, self.task.condition(pictures, given, further)

    def to_pretraining_pair(
        self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor
    ) -> tuple[Tensor, Condition]:
        return self.to_pair(encoded, beside, numbers)

    # --- inputs ---

    def read_input(self, row: dict[str, Any], options: Any) -> dict[str, numpy.ndarray]:
        from multigan.modalities.image_to_image import data

        return data.read_input(self.config, row.get("file", row.get("input")), options.mask)

    def to_condition(self, inputs: dict[str, Tensor]) -> Condition:
        return self.task.of_input(inputs)

    def input_tools(self) -> InputTools:
        if self.config.task == "inpaint":
            return InputTools(mask="mask", without=("direction",))
        names = self.config.classes if self.config.task == "labels" else ()
        pixels = (tuple(bytes.fromhex(name[1:])) if name.startswith("#") else (int(name),) for name in names)
        without = ("mask",) if self.unpaired else ("mask", "direction")
        return InputTools(palette=tuple(pixels), sides=self.config.sides, without=without)

    def trivial_output(self, condition: Condition) -> Tensor | None:
        return self.task.trivial(condition)  # type: ignore[arg-type]

    @property
    def tiling(self) -> Tiling | None:
        return Tiling(*self.task.tile, self.task.scale) if self.task.local else None

    def apply_options(self, generator: Any, options: ImageToImageOptions) -> None:
        if self.unpaired:
            generator.direction = options.direction
        elif options.direction != "AB":
            raise UserError(f"direction is {options.direction}: a model of task {self.config.task!r} has one alone")
        if options.mask is not None and self.config.task != "inpaint":
            raise UserError(f"a model of task {self.config.task!r} takes no mask")

    # --- networks ---

    def generator(self) -> nn.Module:
        return self.task.generator()

    def discriminator(self) -> nn.Module:
        return self.task.discriminator()

    def generator_loss(self, output: GeneratorOutput) -> dict[str, Tensor]:
        from multigan.modalities.image_to_image import losses

        return losses.unpaired(self.config, output) if self.unpaired else losses.paired(self.config, output)

    def load_pretrained(self, generator: nn.Module) -> None:
        """Read the style picture: that it cannot be read is said before the run folder is made."""
        if self.config.task == "style":
            self._style  # noqa: B018

    def pretraining_loss(self) -> PretrainingLoss | None:
        """The mean absolute difference from the truth alone; of style, its loss; of unpaired pictures, none."""
        if self.unpaired:
            return None

        def loss(generator: Any, real: Tensor, condition: Tensor) -> Tensor:
            fake = generator(real.new_zeros(len(real), self.config.latent_dim), condition).to(real.dtype)
            losses = self._style(fake, real) if self.config.task == "style" else {"l1": (fake - real).abs().mean()}
            return sum(losses.values(), real.new_zeros(()))

        return loss

    @cached_property
    def _style(self) -> StyleLoss:
        from multigan.modalities.image_to_image.style import StyleLoss

        return StyleLoss(self.config.style_picture, self.config.style_weight)

    # --- what people see ---

    def _shown(self, samples: Tensor) -> Tensor:
        """Samples as single pictures: those of both directions side by side."""
        import torch

        both = samples.shape[1] == 2 * self.task.channels
        return torch.cat(samples.chunk(2, 1), 3) if both else samples

    def to_outputs(self, samples: Tensor) -> list[Picture]:
        from multigan.pictures import output

        return output.pictures(self._shown(samples))

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.pictures import output

        return output.save(map(self._shown, batches), folder)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        from multigan.pictures import output

        return Preview(output.grid(self._shown(samples), path))

    def preview_pairs(self, condition: Condition, generated: Tensor, real: Tensor | None, path: Path) -> Preview:
        from multigan.modalities.image_to_image import preview

        truth = None if self.unpaired or self.config.task == "style" else real
        return Preview(preview.pairs(self.task, condition, generated, truth, path))  # type: ignore[arg-type]

    def exportable(self, generator: nn.Module) -> Exportable:
        from multigan.modalities.image_to_image import exported

        return exported.exportable(self, generator)

    # --- how good it is ---

    def classifier(self) -> nn.Module:
        from torch.nn import Linear, ReLU, Sequential

        from multigan.networks.convolutional import ConvolutionalFeatures

        channels = self.task.channels * (2 if self.unpaired else 1)
        body = ConvolutionalFeatures(channels, self.config.sides, width=32)
        return Sequential(body, Linear(body.features, 128), ReLU())

    def pair_metrics(self, training: Callable[[], Iterator[tuple[Tensor, Condition]]]) -> PairMetrics | None:
        from multigan.modalities.image_to_image import metrics

        near = metrics.picture_metrics(min(self.config.sides))
        if self.config.task == "style":
            return None
        if self.unpaired:
            return metrics.both_ways(near)
        if self.config.task == "labels":
            classes = self.task.input_channels
            to_classes: Callable[[Any], Tensor] = lambda maps: maps.argmax(1)  # noqa: E731
            return metrics.together(near, metrics.segmenter_metrics(training(), classes, to_classes))
        return near
