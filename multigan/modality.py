"""The plugin contract: everything the rest of multigan asks of a modality.

A modality says what a sample is: how a row of a dataset becomes numbers, which two networks play, and how a person
looks at what came out. It never sees processes, precision, optimizers, checkpoints or files of a run.

Shapes: ``B`` samples in a batch, ``S`` the shape of one sample (``(C, H, W)`` for a picture), ``latent_dim`` numbers of
noise, ``condition`` the class numbers ``(B,)`` of a class-conditional model, or None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn


@dataclass(frozen=True)
class NoOptions:
    """A modality whose generators take no further options."""


class Modality(ABC):
    """What multigan must know of one kind of data. Subclass it and name the subclass as an entry point.

    ``Config`` is a frozen dataclass of plain values (numbers, strings, booleans, tuples of them) with defaults and a
    docstring that explains each field; its fields become the command line's ``--model.FIELD``. It must have
    ``latent_dim: int``, and, where class-conditional models are possible, ``conditional: bool`` and
    ``classes: tuple[str, ...]``, the names of the classes, which `fit` fills in. It is saved beside the weights and is
    all that generating needs.
    """

    Config: ClassVar[type]
    #: Built-in datasets by name, each made by a call; the first is the default.
    builtin_datasets: ClassVar[Mapping[str, Callable[[], datasets.Dataset]]] = {}
    #: Endings of files that hold one example each, lower case with the dot. A folder of such files is then a dataset
    #: with the columns ``file`` (a path) and, from sub-folders or a metadata.csv, ``label``.
    file_endings: ClassVar[tuple[str, ...]] = ()
    #: Fields of the training configuration that this modality starts from, where the general ones do not suit it.
    training_defaults: ClassVar[Mapping[str, Any]] = {}
    #: Further options of generating, a frozen dataclass with defaults, for `steer`; its fields become the flags of
    #: `multigan generate`.
    Options: ClassVar[type] = NoOptions
    #: Whether near latents make near samples: if not, there is no walking between them, and no truncation.
    latent_space: ClassVar[bool] = True

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    # --- data ---

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        """Learn from the dataset what the networks must know (columns, class names) and put it into ``self.config``.

        Called once, before `encode`; what it learned before, with the same `fitting`, comes from the cache. It must not
        change anything that the user set.

        Returns:
            What the user should know of it: lines that are said at the start of each run.

        Raises:
            UserError: The dataset lacks what this modality needs.
        """
        return ()

    def fitting(self) -> dict[str, Any]:
        """What `fit` depends on besides the dataset, as plain values. Default: all settings."""
        return asdict(self.config)

    @abstractmethod
    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        """One row of the dataset -> ``real``, an array, and ``label`` where there is one; None leaves the row out.

        The arrays of all rows are of one type and one shape, but for the first axis where there is a `piece_length`.

        Called once a row and kept on disk, so small integers are better than floats (`to_sample` turns them round).

        Raises:
            ValueError: This row is unusable, and why.
        """

    @property
    def piece_length(self) -> int | None:
        """How much of each example the networks see, where examples are of different lengths; else None.

        With it, the arrays of `encode` may be of any length along their first axis. A piece of this length is taken
        each time an example is read, and zeros follow what is shorter.
        """
        return None

    @property
    def piece_anywhere(self) -> bool:
        """Whether pieces are taken from anywhere in an example, at random, or from its start."""
        return True

    def encoding(self) -> dict[str, Any]:
        """What `encode` depends on after `fit`, as plain values: with the same, the cache is used again.

        Default: all settings.
        """
        return asdict(self.config)

    def to_sample(self, real: Tensor) -> Tensor:
        """Encoded ``(B, ...)``, on the device -> samples ``(B, *S)``, of PyTorch's default type as the networks are."""
        import torch

        return real.to(torch.get_default_dtype())

    # --- networks ---

    @abstractmethod
    def generator(self) -> nn.Module:
        """A module: standard normal ``(B, latent_dim)`` and condition, int64 ``(B,)`` or None -> samples ``(B, *S)``.

        In evaluation mode each sample depends on its own latent and condition alone. Neither network draws random
        numbers of its own (no dropout): a run could not be repeated or resumed exactly. For batch normalisation take
        `multigan.networks.normalization`, which gives the same on any number of processes.
        """

    @abstractmethod
    def discriminator(self) -> nn.Module:
        """A module: samples ``(B, *S)``, condition ``(B,)`` or None -> logits ``(B,)``, high for real, no sigmoid.

        With `discriminator_numbers`, uniform numbers in [0, 1), ``(B, discriminator_numbers)``, are a third argument.
        """

    @property
    def augment_numbers(self) -> int:
        """How many uniform numbers a sample `augment` takes."""
        return 0

    @property
    def discriminator_numbers(self) -> int:
        """How many uniform numbers a sample the discriminator takes, for what is random inside it."""
        return 0

    def start(self, generator: nn.Module) -> None:
        """Load what the training of a new generator starts from: pretrained weights, say.

        Raises:
            UserError: It cannot be had.
        """

    def augment(self, samples: Tensor, numbers: Tensor) -> Tensor:
        """Differentiable augmentation of what the discriminator sees, real and generated alike.

        Args:
            samples: ``(B, *S)``.
            numbers: ``(B, augment_numbers)``, uniform in [0, 1): row i decides what happens to sample i.

        Returns:
            ``(B, *S)``.
        """
        return samples

    def warmup_loss(self, generator: nn.Module, real: Tensor, condition: Tensor | None) -> Tensor:
        """The loss, a scalar, of one step of the phase before the game (maximum likelihood, for text).

        ``real`` is as `encode` has it, ``(B, ...)``, on the device. A mean over samples, so that micro-batches and
        processes add up.
        """
        raise TypeError(f"{type(self).__name__} has no warm-up phase: leave warmup_steps at 0")

    def on_step(self, generator: nn.Module, step: int) -> None:
        """Called before each step of the game, counted from 0, for schedules that are functions of the step.

        Once with the unwrapped generator that is trained, once with its moving average. Throughout a warm-up, it is 0.
        How many there will be is not said: a run may go on for longer, and must not have begun otherwise then.
        """

    # --- what people see ---

    def steer(self, generator: nn.Module, options: Any) -> None:
        """Have a trained generator do as ``options``, of type `Options`, say, from here on.

        Raises:
            UserError: It cannot.
        """

    def save_beside(self, folder: Path) -> None:
        """Write what other libraries read into the folder of a saved model, a tokenizer say. Default: nothing."""

    @abstractmethod
    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        """Write samples, CPU floats in batches ``(B, *S)``, into a folder as a user wants them; return the files.

        ``labels`` are the names of their classes, one a sample, where they have any. A file a sample, with an ending
        of `file_endings`, needs not say them: metadata.csv does.

        Batches come one at a time, and all of them may be more than memory holds: keep no more than one or two.
        """

    @abstractmethod
    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> list[Path]:
        """Write a few samples ``(N, *S)`` as a person looks at them, to ``path`` plus an ending; return the files.

        ``labels`` are the names of their classes, one a sample, where they have any.
        """

    def faults(self, samples: Tensor) -> list[str]:
        """What is plainly wrong with samples ``(N, *S)``: a line each, with its figure. Said at each preview."""
        return []

    def present(self, samples: Tensor) -> list[Any]:
        """Samples ``(N, *S)`` -> N objects as a Python user wants them. Default: arrays."""
        return list(samples.numpy())

    # --- how good it is ---

    def classifier(self) -> nn.Module:
        """A small network for the metrics: samples ``(B, *S)`` -> features ``(B, F)``.

        A linear layer over them is trained with it on the dataset's labels; see `multigan.evaluation.classifier`.
        """
        raise TypeError(f"{type(self).__name__} has no classifier")

    def judged_as(self) -> Modality:
        """Whose samples the metrics look at, where people meet something else than the networks: a sound, and not its
        spectrogram. It encodes as this one does.
        """
        return self

    def to_judged(self, samples: Tensor) -> Tensor:
        """Samples ``(B, *S)``, on any device, as those of `judged_as`, on the same."""
        return samples

    def figures(self, made: list[Any], train: list[Any], held_out: list[Any]) -> dict[str, float]:
        """Metrics of this modality's own, by name, of samples as `present` gives them.

        Args:
            made: Those that are judged, a thousand or fewer.
            train: Real ones that the generator has learned from.
            held_out: Real ones of the same kind, as many as are judged.
        """
        return {}
