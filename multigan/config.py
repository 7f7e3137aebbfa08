"""The configuration of a training run: typed, frozen, and the same from a recipe, a file, flags or Python.

Each layer goes over the one before: defaults, the modality's own defaults, a recipe, a file, flags.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from multigan import registry
from multigan.errors import UserError
from multigan.modality import Modality

# Where a run is kept is not part of what it is, so these are left out of config.yaml.
PLACES = ("output", "resume")
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A training run.

    Args:
        modality: What is generated: the name of an installed modality, or package.module:Class.
        dataset: A built-in dataset, a folder, a file or a hub id; null is the modality's first built-in one.
        subset: The configuration of a hub dataset that has several.
        split: The part of the dataset to train on.
        streaming: Read the dataset as it goes instead of decoding it once. Resuming is then not exact.
        skip_corrupt: Leave out rows that cannot be used, and count them, instead of stopping.
        output: The run folder; null makes a new one under runs/.
        resume: A run folder to go on with. Its configuration is the default for every other flag.
        steps: Steps of the game, each one generator update.
        warmup_steps: Steps of the generator alone before the game, for modalities that have such a phase.
        batch_size: Samples in a batch, over all processes and micro-batches together.
        micro_batches: Parts that each process splits its share of a batch into, to fit in memory.
        seed: Decides all that is random. The same configuration and seed make the same run.
        log_every: Steps between lines of metrics.
        sample_every: Steps between previews.
        checkpoint_every: Steps between checkpoints.
        tracker: Where the metrics and previews go besides the run folder: tensorboard, or any other that accelerate
            knows and you have installed, or none.
        objective: What the players minimise.
        r1: Weight of the R1 penalty, on the discriminator's gradient at real samples.
        r2: Weight of the R2 penalty, on the discriminator's gradient at generated samples.
        wgan_gp: Weight of the WGAN-GP penalty; 10 in the paper, with the wasserstein objective.
        discriminator_steps: Discriminator updates in each step.
        generator_learning_rate: Adam's.
        discriminator_learning_rate: Adam's.
        betas: Adam's.
        max_gradient_norm: Longer gradients are scaled down to this; null leaves them as they are.
        ema_decay: How slowly the generator that is kept follows the one that is trained, from 0 to under 1.
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
    warmup_steps: int = 0
    batch_size: int = 64
    micro_batches: int = 1
    seed: int = 0
    log_every: int = 50
    sample_every: int = 250
    checkpoint_every: int = 500
    tracker: str = "tensorboard"
    objective: Literal["non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic"] = (
        "non_saturating"
    )
    r1: float = 0.0
    r2: float = 0.0
    wgan_gp: float = 0.0
    discriminator_steps: int = 1
    generator_learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)
    max_gradient_norm: float | None = None
    ema_decay: float = 0.999
    model: Any = None

    def __post_init__(self) -> None:
        at_least_1 = "steps batch_size micro_batches log_every sample_every checkpoint_every discriminator_steps"
        for name in at_least_1.split():
            check(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("seed", "warmup_steps", "r1", "r2", "wgan_gp"):
            check(self, name, getattr(self, name) >= 0, "0 or more")
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            check(self, name, getattr(self, name) > 0, "more than 0")
        check(self, "seed", self.seed < 2**63, "less than 2^63")
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
        UserError: An unknown field or modality, or a value out of range.
    """
    plugin = registry.load(modality)
    model = fields.pop("model", None) or {}
    if isinstance(model, Mapping):
        known(model, plugin.Config, "model.")
        model = plugin.Config(**model)
    if not isinstance(model, plugin.Config):
        raise UserError(f"model is a {type(model).__name__}: expected {plugin.Config.__name__} or a dictionary")
    known(fields, TrainingConfig)
    first = next(iter(plugin.builtin_datasets), None)
    return TrainingConfig(
        **{"dataset": first, **plugin.training_defaults, **fields, "modality": modality, "model": model}
    )


def known(fields: Mapping[str, Any], kind: type, prefix: str = "") -> None:
    """Raise the error for a field that the dataclass has not."""
    names = [field.name for field in dataclasses.fields(kind)]
    for name in fields:
        if name not in names:
            raise UserError(f"unknown setting {prefix}{name}{nearest(name, [prefix + known for known in names])}")


def nearest(name: str, names: list[str]) -> str:
    """``; did you mean NAME?`` where one of the names, or its part after the dot, is near."""
    by_last = {known.rpartition(".")[2]: known for known in reversed(names)}
    close = difflib.get_close_matches(name.rpartition(".")[2], by_last, 1)
    return f"; did you mean {by_last[close[0]]}?" if close else f"; known are {', '.join(names)}"


def parse(arguments: list[str], recipe: TrainingConfig, program: str, description: str) -> TrainingConfig:
    """A configuration from flags and a file over a recipe's.

    ``--resume RUN`` puts the configuration of that run in the recipe's place.

    Raises:
        UserError: Anything in the file or the flags that cannot be used, in one line.
        SystemExit: After ``--help`` or ``--print_config``.
    """
    import argparse

    from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

    plugin = registry.load(recipe.modality)

    class Help(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """A recipe's story keeps its lines."""

    parser = ArgumentParser(
        prog=program,
        usage=f"{program} [FLAGS]",
        description=description,
        formatter_class=Help,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags go over it.")
    parser.add_class_arguments(TrainingConfig, skip={"model"})
    parser.add_class_arguments(plugin.Config, "model")
    parser.set_defaults(flatten(dataclasses.asdict(recipe)))

    resume = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    resume.add_argument("--resume")
    folder = resume.parse_known_args(arguments)[0].resume
    if folder is not None:
        if not (Path(folder) / CONFIG_FILE).is_file():
            raise UserError(f"nothing to resume in {folder}: it has no {CONFIG_FILE}")
        arguments = ["--config", str(Path(folder) / CONFIG_FILE), *arguments]
    try:
        values = parser.parse_args(arguments).as_dict()
    except ArgumentError as error:
        raise UserError(explain(str(error), plugin)) from error
    del values["config"]
    if values["modality"] != recipe.modality:
        raise UserError(f"the settings are for modality {values['modality']!r}, and this trains {recipe.modality!r}")
    return configure(**values)


def explain(message: str, plugin: type[Modality]) -> str:
    """The parser's error as one line in the words of the user."""
    unknown = re.search(r"unrecognized arguments: -*([\w.]+)|[Oo]ption '([\w.]+)'", message)
    if unknown:
        group = re.search(r"Group '(\w+)'", message)
        name = f"{group[1]}." if group else ""
        name += unknown[1] or unknown[2]
        flags = [field.name for field in dataclasses.fields(TrainingConfig) if field.name != "model"]
        flags += [f"model.{field.name}" for field in dataclasses.fields(plugin.Config)]
        return f"unknown setting {name}{nearest(name, flags)}"
    wrong = re.search(r'Parser key "([^"]+)":\s+(.*)Got value: (.*)', message) or re.search(
        r'Parser key "([^"]+)":\s+(.*)Given value type: .*Given value: (.*)', " ".join(message.split())
    )
    if not wrong:
        return " ".join(message.split())
    kinds = re.findall(r"<class '(\w+)'>|(Literal\[.*?\]|[Tt]uple\[.*?\])", re.sub(r"Subtypes: \[.*?\] ", "", wrong[2]))
    expected = [(plain or other).replace("NoneType", "null") for plain, other in kinds]
    given = wrong[3].strip("'")
    return f"{wrong[1]} is {given!r}: expected {' or '.join(dict.fromkeys(expected)) or wrong[2].strip()}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"width": 1}} -> {"model.width": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain values that YAML and JSON can hold."""
    return {key: to_plain(value) for key, value in dataclasses.asdict(config).items()}


def to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: to_plain(entry) for key, entry in value.items()}
    return [to_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def write(config: TrainingConfig, folder: Path) -> None:
    """Write ``config.yaml`` into a run folder: all that was decided, but not where the run is kept."""
    import yaml

    values = {key: value for key, value in plain(config).items() if key not in PLACES}
    (folder / CONFIG_FILE).write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def read(folder: Path) -> TrainingConfig:
    """The configuration of the run in a folder.

    Raises:
        UserError: There is none, or it is not one of ours.
    """
    import yaml

    try:
        values = yaml.safe_load((folder / CONFIG_FILE).read_text())
        return configure(**values)
    except (OSError, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / CONFIG_FILE} cannot be read: {' '.join(str(error).split())}") from error
