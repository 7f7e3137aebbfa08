"""The plugin contract: everything the rest of multigan asks of a modality.

A modality defines what a sample is: how a row of a dataset becomes numbers, which two networks play the game, and what
a person gets to see. It never deals with processes, precision, optimizers, checkpoints or the files of a run.

Shapes: ``B`` is the number of samples in a batch, ``S`` the shape of one sample (``(C, H, W)`` for a picture),
``latent_dim`` the size of a latent, and ``condition`` the class numbers, int64 ``(B,)``, of a class-conditional model,
or None. Where samples can have several classes, it is int8 ``(B, classes)`` of 0 and 1, and
`multigan.networks.embedding.ClassEmbedding` takes both. A modality that translates, pictures into pictures say, tells
its networks something else instead: see `Modality.to_pair`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from multigan.errors import UserError

if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn

    from multigan.exportable import Exportable
    from multigan.interface import Condition, GeneratorOutput

PretrainingLoss: TypeAlias = "Callable[[nn.Module, Tensor, Any], Tensor]"
ExtraMetrics: TypeAlias = "Callable[[list[Any], list[Any], list[Any]], dict[str, float]]"

JOINED = "+"  # between the names of classes that a sample has together


@dataclass(frozen=True)
class ClassConditionalConfig:
    """Base of the configurations of modalities that can be class-conditional.

    Args:
        conditional: Whether both networks are given the class, so that samples of a chosen class can be generated.
        label_column: The dataset's column of classes, or COLUMN,COLUMN for several; null finds it.
        classes: The names of the classes; empty takes them from the dataset.
        combinations: Where samples can have several classes, what is generated when no label is asked for, as
            NAME+NAME; empty takes the most frequent combinations of the dataset.
    """

    conditional: bool = False
    label_column: str | None = None
    classes: tuple[str, ...] = ()
    combinations: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoOptions:
    """The options of a modality whose generators take none."""


class Crop(NamedTuple):
    """How much of each example the networks see, where examples differ in length.

    Attributes:
        length: Entries along the first axis of what `Modality.encode` returns; shorter examples are padded with zeros.
        random: Whether each read takes a random piece, or the start of the example.
    """

    length: int
    random: bool = True


class Augmentation(NamedTuple):
    """Differentiable augmentation of what the discriminator sees, real and generated samples alike.

    Attributes:
        numbers: How many uniform random numbers each sample takes.
        apply: ``(samples (B, *S), uniform numbers in [0, 1) (B, numbers)) -> (B, *S)``; row i of the numbers decides
            what happens to sample i.
    """

    numbers: int
    apply: Callable[[Tensor, Tensor], Tensor]


class Preview(NamedTuple):
    """What `Modality.preview` wrote, and what it noticed.

    Attributes:
        files: The files written.
        artifacts: Plain defects of the samples, such as silence or clipping: one line each, with its figure.
    """

    files: list[Path]
    artifacts: Sequence[str] = ()


class Tiling(NamedTuple):
    """How an input that is laid out in rows and columns is cut into overlapping tiles, to save memory.

    Attributes:
        side: Height and width of a tile, in the input; no input of at most that is cut.
        overlap: Rows and columns that neighbouring tiles share, over which one fades into the other.
        scale: Side of the output over that of the input.
    """

    side: int
    overlap: int
    scale: int = 1


class InputTools(NamedTuple):
    """How an input can be made by hand on an interactive page, beside choosing a file.

    Attributes:
        mask: The name of the option that takes a mask, which a brush can paint; None where there is none.
        palette: Of label maps: the pixel of each class, 1 number or 3 from 0 to 255. Empty where none can be painted.
        sides: Height and width in pixels of a label map to paint.
        without: Names of options that this model does not take, though others of the modality do.
    """

    mask: str | None = None
    palette: tuple[tuple[int, ...], ...] = ()
    sides: tuple[int, int] = (64, 64)
    without: tuple[str, ...] = ()


class PairMetrics(NamedTuple):
    """Metrics that compare each output with its truth.

    Attributes:
        compute: ``(generated (B, *S), real (B, *S), condition) -> {name: (B,)}``, on the device of the samples.
            Real samples are measured in the place of generated ones too: not every metric is perfect then.
        notes: What limits them, or why one is left out: lines for the report.
    """

    compute: Callable[[Tensor, Tensor, Condition], dict[str, Tensor]]
    notes: Sequence[str] = ()


class Modality(ABC):
    """What multigan needs to know about one kind of data. Subclass it and declare the subclass as an entry point.

    Required: `Config`, `encode`, `generator`, `discriminator`, `save` and `preview`. Everything else has a default.

    ``Config`` is a frozen dataclass of plain values (numbers, strings, booleans, tuples of them) with defaults and a
    docstring that describes each field; its fields become the flags ``--model.FIELD``. It must have
    ``latent_dim: int``. A modality with classes derives it from `ClassConditionalConfig`. It is saved beside the
    weights and is all that generating needs.
    """

    Config: ClassVar[type]
    """The configuration: see above."""

    builtin_datasets: ClassVar[Mapping[str, Callable[[], datasets.Dataset | datasets.DatasetDict]]] = {}
    """Built-in datasets by name, each made by a call; the first is the default. With several splits, a DatasetDict."""

    file_endings: ClassVar[tuple[str, ...]] = ()
    """Endings of files that hold one example each, in lower case with the dot. A folder of such files is then a dataset
    with the columns ``file`` (a path) and, from sub-folders or a metadata.csv, ``label``."""

    input_endings: ClassVar[tuple[str, ...]] = ()
    """Endings of files that a model can be given as inputs, where these are others than `file_endings`."""

    training_defaults: ClassVar[Mapping[str, Any]] = {}
    """Fields of the training configuration that should start from other values than the general defaults."""

    Options: ClassVar[type] = NoOptions
    """Options of generating, a frozen dataclass with defaults, for `apply_options`. Its fields become flags of
    `multigan generate`."""

    pipeline_tag: ClassVar[str | None] = None
    """What the Hub calls the task of its models, such as ``unconditional-image-generation``: for their cards."""

    latent_space: ClassVar[bool] = True
    """Whether nearby latents give similar samples. If not, interpolation and truncation are refused."""

    adversarial: bool = True
    """Whether there is adversarial training at all, and not only what `pretraining_loss` asks for."""

    takes_inputs: ClassVar[bool] = False
    """Whether generating needs inputs: see `read_input`."""

    unpaired: bool = False
    """Whether an example is one row of each of two domains, drawn apart.

    `encode` then has two integers beside ``real``: ``domain``, 0 or 1, and ``key``, the same for the two rows of a true
    pair, if there are any, which evaluation compares with. `to_pair` and `to_sample` get rows of both domains,
    ``(B, 2, ...)``."""

    pair_numbers: int = 0
    """How many uniform random numbers `to_pair` takes for each sample: the place of a crop, the size of a hole."""

    size_settings: ClassVar[tuple[str, ...]] = ()
    """Fields of ``Config`` that make a step cheaper when they are smaller, for the advice on runs that take hours."""

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @property
    def conditional(self) -> bool:
        """Whether the networks are given the class."""
        return isinstance(self.config, ClassConditionalConfig) and self.config.conditional

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that the networks are given; empty for an unconditional model."""
        return self.config.classes if self.conditional else ()

    def check_given(self, names: Iterable[str]) -> None:
        """Refuse settings, fields of ``Config`` by name, that a user gave and that do nothing beside the others.

        Not called for what runs and models were saved with, which is all settings.

        Raises:
            UserError: Which, and what it needs.
        """

    # --- data ---

    @property
    def several_files(self) -> bool:
        """Whether an example is made of several files: those of one name in different folders.

        A row of a metadata.csv that leaves the folder out then describes all of them. Otherwise that is an error.
        """
        return False

    def arrange(
        self, dataset: datasets.Dataset | datasets.IterableDataset, say: Callable[[str], object]
    ) -> datasets.Dataset | datasets.IterableDataset:
        """Put rows together where an example is made of several, such as pairs of files. Default: as they are.

        Called whenever a dataset was read, before `fit`, with pictures and sounds left encoded. The cache is keyed by
        the fingerprint of what is returned, so the same data and settings must give the same one: methods of `datasets`
        with plain arguments do; a new dataset is given one that is derived from ``dataset._fingerprint``. `fit` must
        not set what this depends on, or the data of a saved model would be arranged differently from that of its
        training.

        Args:
            dataset: As it was read: a folder of files has the columns ``file`` and, from sub-folders, ``label``.
            say: Called with a line for the user.

        Raises:
            UserError: The dataset cannot be arranged.
        """
        return dataset

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        """Learn from the dataset what the networks must know (columns, class names) and put it into ``self.config``.

        Called once, before `encode`. With the same `fit_key`, what was learned before comes from the cache. Settings
        that the user made must stay as they are.

        Returns:
            What was decided about the data, as lines that are printed at the start of each run.

        Raises:
            UserError: The dataset lacks what this modality needs.
        """
        return ()

    def fit_key(self) -> dict[str, Any]:
        """What `fit` depends on besides the dataset, as plain values. Default: all settings."""
        return asdict(self.config)

    @abstractmethod
    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        """Turn one row of the dataset into ``real``, an array, and ``label``, where there is one; None skips the row.

        Further arrays, each of one type and shape in all rows, reach `to_pair` by their names.

        A column of classes has their names, also where `datasets` keeps numbers; `multigan.classes.labelled` turns
        the name into the number. The arrays of all rows have one type and one shape, except along the first axis where
        there is a `crop`. Called once a row and kept on disk, so small integers are better than floats (`to_sample`
        converts them).

        Raises:
            ValueError: This row is unusable, and why.
        """

    def encode_key(self) -> dict[str, Any]:
        """What `encode` depends on after `fit`, as plain values: the cache is keyed by it. Default: all settings."""
        return asdict(self.config)

    @property
    def crop(self) -> Crop | None:
        """How much of each example the networks see, where examples differ in length. Default: all of it."""
        return None

    def to_sample(self, real: Tensor) -> Tensor:
        """Encoded ``(B, ...)``, on the device -> samples ``(B, *S)`` of PyTorch's default type, as the networks are."""
        import torch

        return real.to(torch.get_default_dtype())

    def to_pair(self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor) -> tuple[Tensor, Condition]:
        """Encoded rows, on the device -> samples, and what both networks are told of them.

        Default: `to_sample`, and the classes of a class-conditional model.

        Args:
            encoded: What `encode` made as ``real``, ``(B, ...)``.
            beside: What it made beside that, by name, ``(B, ...)`` each; ``label`` for a class-conditional model alone.
            numbers: Uniform in [0, 1), ``(B, pair_numbers)``. Nothing else may be random.
        """
        return self.to_sample(encoded), beside.get("label")

    def to_pretraining_pair(
        self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor
    ) -> tuple[Tensor, Condition]:
        """As `to_pair`, for the pretraining loss. Default: what `encode` made as it is, and the classes."""
        return encoded, beside.get("label")

    # --- inputs, where takes_inputs is true ---

    def read_input(self, row: dict[str, Any], options: Any) -> dict[str, numpy.ndarray]:
        """One input, as a user gives it, as arrays; inputs may differ in size.

        Args:
            row: ``{"file": path}``, or ``{"input": object}`` as Python users pass it.
            options: An instance of `Options`.

        Raises:
            ValueError: It cannot be used, and why.
            OSError: It cannot be read.
        """
        raise NotImplementedError

    def to_condition(self, inputs: dict[str, Tensor]) -> Condition:
        """Arrays of `read_input`, with an axis for the batch in front, on the device -> what the generator is told."""
        raise NotImplementedError

    def trivial_output(self, condition: Condition) -> Tensor | None:
        """What one could show without a network, ``(B, *S)``: the enlarged input, a grey picture. Default: nothing."""
        return None

    def preview_pairs(self, condition: Condition, generated: Tensor, real: Tensor | None, path: Path) -> Preview:
        """Show a few inputs, what was made of them, and the truth where it is known, side by side; as `preview`.

        Args:
            condition: What the generator was told, on the CPU.
            generated: ``(N, *S)``.
            real: ``(N, *S)``, or None.
            path: Without an ending.
        """
        return self.preview(generated, path)

    def input_tools(self) -> InputTools | None:
        """How an input can be made by hand on an interactive page. Default: a file is chosen."""
        return None

    @property
    def tiling(self) -> Tiling | None:
        """How large inputs are cut into tiles. Default: they are not."""
        return None

    # --- networks ---

    @abstractmethod
    def generator(self) -> nn.Module:
        """A module: standard normal latents ``(B, latent_dim)``, condition -> samples ``(B, *S)``.

        ``latent_dim`` may be 0 where `takes_inputs` is true: each input then has one output.

        In evaluation mode each sample depends on its own latent and condition alone. Neither network draws random
        numbers of its own (no dropout), or a run could not be repeated or resumed exactly. For batch normalisation use
        `multigan.networks.normalization`, which gives the same result on any number of processes, and for noise
        `multigan.networks.keyed_noise`.

        A generator that truncates in its own way, towards a mean style, has an attribute ``truncation: float | None``,
        which is set before it is called to generate. One whose attribute ``per_sample`` is true gets one latent at a
        time then; others get batches of one size. One with methods ``layer_styles`` and ``synthesize``,
        as `multigan.networks.stylegan2.StyleGAN2Generator` has them, can be trained with ``path_length``, and its
        styles can be mixed.
        """

    @abstractmethod
    def discriminator(self) -> nn.Module:
        """A module: samples ``(B, *S)``, condition -> raw logits, high for real, no sigmoid.

        ``(B,)``, or ``(B, ...)`` with a logit for each place of a sample; or a
        `multigan.interface.DiscriminatorOutput`, for several heads, or with features.

        A discriminator with something random inside declares how many numbers it needs in an attribute
        ``random_numbers: int``; it is then called with uniform numbers in [0, 1), ``(B, random_numbers)``, as a third
        argument.

        One that looks at another form of the samples, such as the spectrogram of a wave, has a method ``represent``:
        samples ``(B, *S)`` -> ``(B, *R)``, differentiable, without weights, in full precision. It is then called with
        what that returns, and R1, R2 and WGAN-GP penalise its gradient there instead of at the samples.
        """

    def augmentation(self) -> Augmentation | None:
        """The differentiable augmentation of what the discriminator sees. Default: none."""
        return None

    def generator_loss(self, output: GeneratorOutput) -> dict[str, Tensor]:
        """Further losses of the generator beside the objective: by name, scalars, weighted. Default: none.

        They are logged under their names. Means over samples, so that micro-batches and processes add up, in full
        precision.
        """
        return {}

    def load_pretrained(self, generator: nn.Module) -> None:
        """Load the weights that the training of a new generator starts from, if any.

        Raises:
            UserError: They cannot be loaded.
        """

    def pretraining_loss(self) -> PretrainingLoss | None:
        """The loss of the phase before adversarial training: maximum likelihood, for text. Default: no such phase.

        Returns:
            ``(generator, real, condition) -> scalar``, with ``real`` ``(B, ...)`` as `encode` made it, on the device,
            and the classes, unless `to_pretraining_pair` makes something else of them. A mean over samples, so that
            micro-batches and processes add up.
        """
        return None

    def on_step(self, generator: nn.Module, step: int) -> None:
        """Called before each adversarial step, counted from 0, for schedules that are functions of the step.

        Called with the unwrapped generator that is trained, and with its moving average. During pretraining ``step``
        is 0. The total is not passed: a run can be extended, and must not depend on how long it was meant to be.
        """

    # --- what people see ---

    @property
    def finish(self) -> Callable[[Tensor], Tensor] | None:
        """Turns samples of the generator into those that people get: spectrograms into waves. Default: none.

        ``(B, *S)`` -> ``(B, *F)``, each sample by itself, on the device of the generator, in a thread beside it. What
        was generated is finished before anything else gets it: `save`, `preview`, `to_outputs`, `classifier` and all
        metrics have finished samples; only the two networks and the augmentation know the others. Not for a modality
        that takes inputs.
        """
        return None

    def to_finished(self, real: Tensor) -> Tensor:
        """Encoded ``(B, ...)``, on the device -> real samples ``(B, *F)``, to compare finished ones with.

        Default: `to_sample`, finished. The wave that a spectrogram was made of is better than one made from it.
        """
        samples = self.to_sample(real)
        return samples if self.finish is None else self.finish(samples)

    def apply_options(self, generator: nn.Module, options: Any) -> None:
        """Set a trained generator up for ``options``, an instance of `Options`, until the next call.

        Raises:
            UserError: The options cannot be met.
        """

    def save_extras(self, folder: Path) -> None:
        """Write what other libraries read (a tokenizer, say) into the folder of a saved model. Default: nothing."""

    @abstractmethod
    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        """Write samples into a folder in the form users want, and return the files.

        Args:
            batches: Finished samples ``(B, *F)`` on the CPU, one batch at a time; all together may exceed the memory,
                so keep no more than one or two.
            folder: Exists and is empty.
            labels: The class name of each sample, or empty. Where each sample has a file of its own, with an ending of
                `file_endings`, metadata.csv holds the labels already.
        """

    @abstractmethod
    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        """Show a few samples to a person, in files named ``path`` plus an ending.

        Args:
            samples: Finished, ``(N, *F)``, on the CPU.
            path: Without an ending.
            labels: The class name of each sample, or empty.
        """

    def to_outputs(self, samples: Tensor) -> list[Any]:
        """Finished samples ``(N, *F)`` on the CPU -> N objects as a Python user wants them. Default: arrays."""
        return list(samples.numpy())

    def exportable(self, generator: nn.Module) -> Exportable:
        """The generator as a function of tensors, for `multigan export`. Default: of latents and classes.

        Args:
            generator: In evaluation mode, after `apply_options`.

        Raises:
            UserError: It cannot be exported, and why.
        """
        from multigan.exportable import latent_exportable

        if self.takes_inputs:
            raise UserError("its modality does not say what inputs an exported model would take")
        return latent_exportable(self, generator, self.finish)

    # --- how good it is ---

    def classifier(self) -> nn.Module | None:
        """A small network for the metrics: finished samples ``(B, *F)`` -> features ``(B, N)``. Default: none.

        For datasets with labels, a linear layer on top is trained with it; see `multigan.evaluation.classifier`.
        Without one, samples are compared as they are.
        """
        return None

    def pair_metrics(self, training: Callable[[], Iterator[tuple[Tensor, Condition]]]) -> PairMetrics | None:
        """Metrics that compare each output with its truth, where `takes_inputs` is true. Default: none.

        Args:
            training: Batches of samples and conditions that the model was trained on, on the CPU, for metrics that need
                a network of their own; from the start with each call.
        """
        return None

    def extra_metrics(self) -> ExtraMetrics | None:
        """Metrics of this modality's own. Default: none.

        Returns:
            ``(generated, train, held_out) -> {name: value}``, of lists as `to_outputs` makes them: a thousand generated
            samples or fewer, real ones that the generator was trained on, and as many real ones that it was not.
        """
        return None
