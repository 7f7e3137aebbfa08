"""The configuration of a training run: typed, frozen, and the same from a recipe, a file, flags or Python.

Later ones override earlier ones: defaults, the modality's defaults, a recipe, a file, flags.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from multigan import legacy, registry
from multigan.errors import UserError
from multigan.files import write_text
from multigan.modality import Modality
from multigan.validation import to_plain, typed_values

# Where a run is kept is not part of what it is, so these are left out of config.yaml.
PLACES = ("output", "resume")
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A training run.

    Args:
        modality: What is generated: the name of an installed modality, or package.module:Class.
        dataset: A built-in dataset, a folder, a file or a Hub id; null is the modality's first built-in one.
        subset: The configuration of a Hub dataset that has several.
        split: The split of the dataset to train on.
        streaming: Read the dataset while training instead of decoding it once. Resuming is then not exact.
        skip_corrupt: Skip rows that cannot be used, and count them, instead of stopping.
        output: The run folder; null creates a new one under runs/.
        resume: A run folder to continue. Its configuration is the default for every other flag.
        steps: Adversarial steps, each with one update of the generator.
        pretraining_steps: Steps of the generator alone before that, for modalities that have such a phase.
        batch_size: Samples in a batch, over all processes and micro-batches together.
        micro_batches: Parts that each process splits its share of a batch into, to save memory.
        seed: Determines everything random. The same configuration and seed give the same run.
        log_every: Steps between lines of metrics.
        sample_every: Steps between previews; there is one after step 100 in any case.
        checkpoint_every: Steps between checkpoints.
        evaluate_every: Steps between evaluations as by `multigan evaluate`, which keep the best generator; 0 for none.
        evaluate_samples: Samples in an evaluation, generated and real.
        evaluate_held_out: The split to compare with; null is test or validation, else half of the training data.
        evaluate_features: auto (classifier where there are labels), classifier, random, pca, samples, inception, or an
            encoder of transformers.
        best_metric: The metric by which the best generator is chosen.
        timeout: Seconds to wait for a process that does not answer, before ending with an error.
        tracker: Where metrics and previews go besides the run folder: tensorboard, another tracker that accelerate
            knows and that is installed, or none.
        objective: The pair of losses.
        r1: Weight of the R1 penalty, on the discriminator's gradient at real samples.
        r2: Weight of the R2 penalty, on the discriminator's gradient at generated samples.
        wgan_gp: Weight of the WGAN-GP penalty; 10 in the paper, with the wasserstein objective.
        penalty_every: Apply the penalties in every n-th discriminator update, scaled accordingly (lazy regularisation).
        path_length: Weight of the path length penalty on the generator, for stylegan2 and styled; 2 in the
            published code.
        path_length_every: Apply it in every n-th step, scaled accordingly.
        label_smoothing: How far the discriminator's target for real samples is moved towards the other, for objectives
            with targets; 0.1, say.
        label_smoothing_fake: The same for generated samples.
        replay: Generated samples of earlier steps that are kept, to stand in for half of the new ones in the
            discriminator's phase; 0 is off. For discriminators that are told nothing, as in CycleGAN, which keeps 50.
        lecam: Weight of the LeCam penalty, which keeps logits close together where data is scarce; 0.1, say.
        historical_averaging: Weight of the distance of both networks from their own averages so far; 1e-4, say.
        spectral_norm: Divide the discriminator's weights by their largest singular values.
        instance_noise: Standard deviation of noise on the discriminator's inputs at the first step; 0.1, say.
        instance_noise_steps: Steps over which that noise falls to 0.
        ada_target: Adaptive augmentation: the mean sign of the discriminator at real samples to aim for, by augmenting
            more or fewer samples. 0.6 in the paper; null augments all samples.
        ada_samples: Real samples in which the augmented share goes from 0 to 1 at most.
        discriminator_steps: Discriminator updates in each step.
        generator_learning_rate: Learning rate of the generator (Adam).
        pretraining_learning_rate: Learning rate of the generator during pretraining.
        discriminator_learning_rate: Learning rate of the discriminator (Adam).
        betas: Decay rates of Adam's moment estimates.
        learning_rate_schedule: How learning rates decay: constant; linear or cosine, to 0; or late_linear, constant for
            the first half and then linear to 2 %.
        learning_rate_steps: Adversarial steps over which they decay; null is all steps of the run. An extended run
            keeps those that it began with.
        learning_rate_warmup: Adversarial steps over which they first rise from 0.
        burn_in_steps: Adversarial steps of R3GAN's burn-in: along a cosine, learning rates fall to a quarter, r1, r2
            and wgan_gp to a tenth, the second beta goes from 0.9 to its value, and the half-life of the moving average
            rises from 0 to that of ema_decay; 0 is none. Needs the constant learning_rate_schedule.
        max_gradient_norm: Clip the norm of gradients at this value; null does not clip.
        ema_decay: Decay of the moving average of the generator, which is the one that is saved; from 0 to under 1.
        model: The modality's own configuration.
    """

    modality: str = "image"
    dataset: str | None = None
    subset: str | None = None
    split: str = "train"
    streaming: bool = False
    skip_corrupt: bool = False
    output: str | None = None
    resume: str | None = None
    steps: int = 1000
    pretraining_steps: int = 0
    batch_size: int = 64
    micro_batches: int = 1
    seed: int = 0
    log_every: int = 50
    sample_every: int = 250
    checkpoint_every: int = 500
    evaluate_every: int = 0
    evaluate_samples: int = 2000
    evaluate_held_out: str | None = None
    evaluate_features: str = "auto"
    best_metric: str = "frechet_distance"
    timeout: int = 600
    tracker: str = "tensorboard"
    objective: Literal["non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic"] = (
        "relativistic"
    )
    r1: float = 0.1
    r2: float = 0.1
    wgan_gp: float = 0.0
    penalty_every: int = 1
    path_length: float = 0.0
    path_length_every: int = 4
    label_smoothing: float = 0.0
    label_smoothing_fake: float = 0.0
    replay: int = 0
    lecam: float = 0.0
    historical_averaging: float = 0.0
    spectral_norm: bool = False
    instance_noise: float = 0.0
    instance_noise_steps: int = 1000
    ada_target: float | None = None
    ada_samples: int = 100_000
    discriminator_steps: int = 1
    generator_learning_rate: float = 2e-4
    pretraining_learning_rate: float = 1e-3
    discriminator_learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)
    learning_rate_schedule: Literal["constant", "linear", "cosine", "late_linear"] = "constant"
    learning_rate_steps: int | None = None
    learning_rate_warmup: int = 0
    burn_in_steps: int = 0
    max_gradient_norm: float | None = None
    ema_decay: float = 0.999
    model: Any = None

    def __post_init__(self) -> None:
        at_least_1 = (
            "batch_size micro_batches log_every sample_every checkpoint_every timeout discriminator_steps "
            "penalty_every path_length_every instance_noise_steps ada_samples"
        )
        for name in at_least_1.split():
            check(self, name, getattr(self, name) >= 1, "at least 1")
        for name in (
            "seed",
            "steps",
            "pretraining_steps",
            "evaluate_every",
            "r1",
            "r2",
            "wgan_gp",
            "path_length",
            "lecam",
            "replay",
            "historical_averaging",
            "instance_noise",
            "learning_rate_warmup",
            "burn_in_steps",
        ):
            check(self, name, getattr(self, name) >= 0, "0 or more")
        check(self, "steps", self.steps + self.pretraining_steps >= 1, "at least 1, or some pretraining_steps")
        for name in ("generator_learning_rate", "pretraining_learning_rate", "discriminator_learning_rate"):
            check(self, name, getattr(self, name) > 0, "more than 0")
        for name, value in vars(self).items():
            check(self, name, not isinstance(value, float) or math.isfinite(value), "a finite number")
        check(self, "seed", self.seed < 2**63, "less than 2^63")
        check(self, "batch_size", self.batch_size % self.micro_batches == 0, "a multiple of micro_batches")
        for name in ("label_smoothing", "label_smoothing_fake"):
            check(self, name, 0 <= getattr(self, name) < 0.5, "from 0 to under 0.5")
        with_targets = "non_saturating", "minimax", "least_squares"
        smoothed = self.label_smoothing or self.label_smoothing_fake
        expected = f"one with targets to smooth ({', '.join(with_targets)}), or no label_smoothing"
        check(self, "objective", not smoothed or self.objective in with_targets, expected)
        check(self, "ada_target", self.ada_target is None or -1 < self.ada_target < 1, "between -1 and 1, or null")
        if self.learning_rate_steps is not None:
            falls = self.learning_rate_schedule != "constant"
            expected = "at least 1" if falls else "null, with the constant schedule"
            check(self, "learning_rate_steps", falls and self.learning_rate_steps >= 1, expected)
        twice = self.burn_in_steps and self.learning_rate_schedule != "constant"
        expected = "constant with burn_in_steps, which lowers the learning rates itself"
        check(self, "learning_rate_schedule", not twice, expected)
        check(self, "evaluate_samples", self.evaluate_samples >= 6, "at least 6, for 5 neighbours of each")
        check(self, "evaluate_every", not (self.evaluate_every and self.streaming), "0 with streaming")
        check(self, "ema_decay", 0 <= self.ema_decay < 1, "from 0 to under 1")
        check(self, "betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to under 1")
        check(
            self,
            "max_gradient_norm",
            self.max_gradient_norm is None or self.max_gradient_norm > 0,
            "more than 0, or null",
        )


def check(config: Any, name: str, good: bool, expected: str) -> None:
    """Raise the error for a value out of range."""
    if not good:
        raise UserError(f"{name} is {getattr(config, name)}: expected {expected}")


def configure(modality: str = "image", **fields: Any) -> TrainingConfig:
    """The configuration of a run: the defaults of multigan and of the modality under the fields given.

    Args:
        modality: Name of an installed modality, or package.module:Class.
        **fields: Any field of `TrainingConfig`; ``model`` as a dictionary or as the modality's own ``Config``.

    Raises:
        UserError: An unknown field or modality, a value of the wrong type or out of range, or a setting of the model
            that does nothing beside the others.
    """
    config = filled_in(modality, fields)
    if isinstance(fields.get("model"), Mapping):
        registry.load(modality)(config.model).check_given(fields["model"])
    return config


def filled_in(modality: str, fields: Mapping[str, Any]) -> TrainingConfig:
    """As `configure`; but settings that do nothing are left, as files have all of them."""
    plugin = registry.load(modality)
    model = fields.get("model")
    if not isinstance(model, plugin.Config):
        if not isinstance(model, Mapping | None):
            raise UserError(f"model is {model!r}: expected {plugin.Config.__name__} or a dictionary")
        model = plugin.Config(**typed_fields(model or {}, plugin, "model."))
    instance = plugin(model)  # its task may decide
    first = next(iter(instance.builtin_datasets), None)
    given = {name: value for name, value in fields.items() if name not in ("modality", "model")}
    chosen = typed_fields({"dataset": first, **instance.training_defaults, **given}, plugin)
    config = TrainingConfig(**{**chosen, "modality": modality, "model": model})
    check_with_modality(config, plugin)
    return config


def check_with_modality(config: TrainingConfig, plugin: type[Modality]) -> None:
    """Refuse what the modality, or this installation, cannot do: training would refuse it later.

    Raises:
        UserError: A setting that needs what is not there.
    """
    modality = plugin(config.model)
    if config.pretraining_steps and modality.pretraining_loss() is None:
        raise UserError(
            f"pretraining_steps is {config.pretraining_steps}: expected 0, as modality {config.modality!r} has no "
            "pretraining"
        )
    if config.steps and not modality.adversarial:
        raise UserError(
            f"steps is {config.steps}: expected 0, as nothing here is trained against a discriminator; "
            "--pretraining_steps says how long to train"
        )
    if config.ada_target is not None and modality.augmentation() is None:
        raise UserError(
            f"ada_target is {config.ada_target}: expected some augmentation with it, and modality {config.modality!r} "
            "has none, or none is on (--model.rotation, say)"
        )
    if config.tracker not in ("none", "tensorboard"):
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        if config.tracker not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            raise UserError(f"tracker is {config.tracker!r}: expected one of none, {known}")
        if config.tracker not in map(str, get_available_trackers()):
            raise UserError(f"tracker is {config.tracker!r}, which is not installed: install it, or use another")


def typed_fields(fields: Mapping[str, Any], plugin: type[Modality], prefix: str = "") -> dict[str, Any]:
    """Settings, each known and of its type: lists as tuples, whole numbers as floats where those go.

    Raises:
        UserError: An unknown setting, or a value of another type.
    """
    return typed_values(fields, all_hints(plugin), prefix)


def all_hints(plugin: type[Modality]) -> dict[str, Any]:
    """The type of every setting by its name on the command line."""
    hints = typing.get_type_hints(TrainingConfig)
    del hints["model"]
    return hints | {f"model.{name}": hint for name, hint in typing.get_type_hints(plugin.Config).items()}


def merge(recipe: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """A recipe with some of its settings changed.

    Raises:
        UserError: An unknown setting, a value that cannot be, or settings for another modality.
    """
    if values.get("modality", recipe.modality) != recipe.modality:
        raise UserError(f"the settings are for modality {values['modality']!r}, but this trains {recipe.modality!r}")
    model = values.get("model") or {}
    if not isinstance(model, Mapping):
        raise UserError(f"model is {model!r}: expected settings of modality {recipe.modality!r}")
    before = dataclasses.asdict(recipe)
    config = filled_in(recipe.modality, {**before, **values, "model": {**before["model"], **model}})
    if len(model) < len(before["model"]):  # a run's file has all settings, and nobody chose each of them
        registry.load(recipe.modality)(config.model).check_given(model)
    return config


def load_file(file: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    import yaml

    try:
        values = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"cannot read the settings in {file}: {reason}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} has no settings: expected lines such as steps: 1000")
    values = legacy.settings(values)
    if values.get("resume") is not None:
        raise UserError(f"{file} sets resume: use the flag --resume instead")
    return values


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"width": 1}} -> {"model.width": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain values that YAML and JSON can hold."""
    return {key: to_plain(value) for key, value in dataclasses.asdict(config).items()}


def write(config: TrainingConfig, folder: Path) -> None:
    """Write ``config.yaml`` into a run folder: all that was decided, but not where the run is kept."""
    import yaml

    values = {key: value for key, value in plain(config).items() if key not in PLACES}
    write_text(folder / CONFIG_FILE, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def read(folder: Path, modality: str | None = None) -> TrainingConfig:
    """The configuration of the run in a folder.

    Args:
        folder: The run's.
        modality: The modality, where it is one that is not installed: a file must not choose what is imported.

    Raises:
        UserError: There is none, or it is not one of ours.
    """
    values = load_file(folder / CONFIG_FILE)
    name = values.get("modality")
    if not isinstance(name, str):
        raise UserError(f"{folder / CONFIG_FILE} is not the configuration of a run: it names no modality")
    if ":" in name and name != modality:
        raise UserError(f"the run in {folder} is of modality {name!r}, which is not installed: pass it with --modality")
    return filled_in(name, values)
