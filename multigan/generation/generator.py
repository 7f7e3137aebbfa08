"""A trained generator as a thing of its own: save, load, generate, push.

A model is a folder of ``config.json``, ``model.safetensors`` and ``README.md``, its card. Generating needs nothing
else: neither the dataset nor the run, and no code but that of the installed modality. What a modality writes beside
them (``tokenizer.json``, for text) is for other libraries.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from multigan import registry
from multigan.config import plain, typed_fields
from multigan.errors import UserError, first_line
from multigan.files import network_tensors, write_text, written_whole
from multigan.generation.hub import push
from multigan.generation.latents import checked_latents, latent, slerp
from multigan.generation.model_folder import CARD, CONFIG, FORMAT, WEIGHTS, card, find, load_weights, read_config
from multigan.generation.tiles import tiled
from multigan.interface import Condition, each_tensor
from multigan.modality import JOINED, ClassConditionalConfig, Modality
from multigan.networks.layout import channels_last
from multigan.validation import nearest, typed_values
from multigan.version import __version__

# The network always runs on as many samples, the last ones thrown away if need be: what a convolution computes can
# differ in the last bit with the size of the batch, and sample i must not depend on how many were asked for. One whose
# attribute `per_sample` is true makes each by itself anyway, and gets one at a time.
BATCH = 32

Label: TypeAlias = int | str | Sequence[int | str] | Tensor | None


@dataclass(repr=False)
class TrainedGenerator:
    """A generator and all that is known of it.

    Attributes:
        name: What the modality is called: the name that it is installed under, or package.module:Class.
        modality: The modality, with the configuration that it was trained with.
        network: The generator, in evaluation mode.
        training: What it was trained on and how: plain values, for the card.
    """

    name: str
    modality: Modality
    network: nn.Module
    training: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        count = sum(weight.numel() for weight in self.network.parameters())
        classes = f", {len(self.classes)} classes" if self.classes else ""
        steps = f", {self.training['steps']:,} steps" if "steps" in self.training else ""
        return f"TrainedGenerator({self.name}{classes}, {count:,} weights{steps})"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; empty for an unconditional generator."""
        return self.modality.classes

    @property
    def digest(self) -> str:
        """What tells these weights from others: the first 16 digits of the SHA-256 of the file they are saved in."""
        return hashlib.sha256(save(network_tensors(self.network))).hexdigest()[:16]

    @property
    def combinations(self) -> tuple[str, ...]:
        """What is generated in turn where samples can have several classes, NAME+NAME; empty where they have one."""
        config = self.modality.config
        return config.combinations if self.classes and isinstance(config, ClassConditionalConfig) else ()

    def generate(
        self,
        n: int = 1,
        seed: int = 0,
        label: Label = None,
        truncation: float | None = None,
        inputs: Iterable[Any] | None = None,
        latents: Any = None,
        **options: Any,
    ) -> list[Any]:
        """Make samples.

        Args:
            n: How many; for a model that takes inputs, how many for each input.
            seed: Sample i depends on the seed and on i alone, whatever ``n`` is; and on its own input, if there is one.
            label: A class, by number or name, or several to take in turn; NAME+NAME for a sample with several. Default:
                all classes in turn, or the combinations that are most frequent in the data.
            truncation: Latents are drawn from within this many standard deviations: less variety, more typical
                samples (Brock et al. 2019, arXiv:1809.11096). A generator with a mean style moves towards it instead:
                0.7, say, keeps 0.7 of the distance (Karras et al. 2019, arXiv:1812.04948).
            inputs: What a model that takes inputs makes something of: files, or objects such as PIL images and arrays
                of pixels, uint8 ``(H, W)`` or ``(H, W, C)``. They are read one at a time. An array is a single input.
            latents: Instead of ``n`` and ``seed``: what the samples are made from, an array or tensor
                ``(N, latent_dim)`` of standard normal numbers, as `multigan.invert` finds them.
            options: What this modality takes besides: ``temperature`` and ``prefix`` for text, ``seconds`` and ``loop``
                for sounds.

        Returns:
            ``n`` objects as the modality presents them: PIL images for pictures. With inputs, ``n`` for the first of
            them, then ``n`` for the second, and so on.

        Raises:
            UserError: A number or a label out of range, an unknown option, or an input that cannot be used.
        """
        if inputs is None:
            batches = self.batches(n, seed, label, truncation, latents=latents, **options)
        elif label is not None or latents is not None:
            raise UserError(f"a model that takes inputs takes no {'label' if latents is None else 'latents'}")
        else:
            batches = (output for _, output in self.from_inputs(inputs, n, seed, truncation, **options))
        return [sample for batch in batches for sample in self.modality.to_outputs(batch)]

    def from_inputs(
        self,
        inputs: Iterable[Any],
        n: int = 1,
        seed: int = 0,
        truncation: float | None = None,
        interpolate: bool = False,
        **options: Any,
    ) -> Iterator[tuple[Condition, Tensor]]:
        """The outputs of `generate` for inputs as tensors, one at a time: ``n`` in a row for each input.

        An output depends on its input, the seed and its number, from 0 to n - 1, alone.

        Args:
            inputs: As in `generate`.
            n: As in `generate`.
            seed: As in `generate`.
            truncation: As in `generate`.
            interpolate: The outputs for each input go in n steps from the latent of output 0 to that of output 1.
            options: As in `generate`.

        Yields:
            What the generator was told, and the output ``(1, *S)``; both on the CPU.

        Raises:
            UserError: As `generate`.
        """
        if not self.modality.takes_inputs:
            raise UserError("this model makes samples from noise alone: leave out the inputs")
        if n > 1 and not self.modality.config.latent_dim:
            raise UserError("this model gives one output for each input: leave out -n")
        chosen = self._checked(n, seed, truncation, interpolate, options)
        if isinstance(inputs, str | Path | numpy.ndarray | Tensor | dict) or not isinstance(inputs, Iterable):
            inputs = [inputs]
        return self._from_inputs(inputs, n, seed, truncation, interpolate, chosen)

    def _from_inputs(
        self, inputs: Iterable[Any], n: int, seed: int, truncation: float | None, walk: bool, options: Any
    ) -> Iterator[tuple[Condition, Tensor]]:
        device = next(self.network.parameters()).device
        place = -1
        for place, one in enumerate(inputs):
            is_file = isinstance(one, str | Path)
            try:
                found = self.modality.read_input({"file": str(one)} if is_file else {"input": one}, options)
                arrays = {name: torch.from_numpy(numpy.array(values))[None] for name, values in found.items()}
                condition = self.modality.to_condition({name: values.to(device) for name, values in arrays.items()})
            except (ValueError, OSError) as error:
                reason = getattr(error, "strerror", None) or first_line(error)
                raise UserError(f"{one if is_file else f'input {place}'}: {reason}") from error
            told = each_tensor(condition, lambda values: values.cpu())
            for number in range(n):
                latents = self._latents(range(number, number + 1), n, seed, truncation, walk)

                def make(part: Condition, latents: Tensor = latents) -> Tensor:
                    return on_cpu(self._run(latents, truncation, options, part))

                yield told, tiled(make, condition, self.modality.tiling)
        if place < 0:
            raise UserError("there are no inputs: give at least one")

    def batches(
        self,
        n: int,
        seed: int = 0,
        label: Label = None,
        truncation: float | None = None,
        interpolate: bool = False,
        blocks: Iterable[int] | None = None,
        conditions_of: Callable[[range], Condition] | None = None,
        latents: Any = None,
        **options: Any,
    ) -> Iterator[Tensor]:
        """The samples of `generate` as tensors, ``(b, *S)`` on the CPU, never more than one batch of them at a time.

        Args:
            n: As in `generate`.
            seed: As in `generate`.
            label: As in `generate`.
            truncation: As in `generate`.
            interpolate: Interpolate in n steps from the latent of sample 0 to that of sample 1, within one class.
            blocks: Which of the batches of 32, by number; None is all of them.
            conditions_of: Instead of labels: what the generator is told for samples of these numbers, 32 of them or
                fewer, all of one shape. A model that takes inputs needs it.
            latents: As in `generate`; then ``n`` does nothing, and there is nothing to interpolate.
            options: As in `generate`.

        Raises:
            UserError: As `generate`.
        """
        if label is not None and (self.modality.takes_inputs or conditions_of is not None):
            raise UserError("a model that takes inputs takes no label")
        if self.modality.takes_inputs and conditions_of is None:
            raise UserError("this model makes something of each input: give inputs, a list of files or of objects")
        if latents is not None:
            latents = checked_latents(latents, self.modality.config.latent_dim)
            n = len(latents)
            if truncation is not None and not hasattr(self.network, "truncation"):
                raise UserError("this model truncates where latents are drawn: leave out the truncation of latents")
        chosen = self._checked(n, seed, truncation, interpolate, options)
        conditions = None if conditions_of is not None else self.conditions(label)
        if interpolate and conditions is not None:
            conditions = conditions[:1] if label is None else conditions
            if len(conditions) > 1:
                raise UserError("an interpolation stays in one class: give one label")
        if conditions is not None:
            conditions_of = partial(in_turn, conditions)
        every = range(-(-n // BATCH)) if blocks is None else blocks
        if latents is None:
            latents_of = partial(self._latents, n=n, seed=seed, truncation=truncation, walk=interpolate)
        else:
            latents_of = partial(given_rows, latents)
        made = self._batches(n, latents_of, conditions_of, truncation, chosen, every)
        finish = self.modality.finish
        return map(on_cpu, made if finish is None else finished(made, finish))

    def _batches(
        self,
        n: int,
        latents_of: Callable[[range], Tensor],
        conditions_of: Callable[[range], Condition] | None,
        truncation: float | None,
        options: Any,
        blocks: Iterable[int],
    ) -> Iterator[Tensor]:
        device = next(self.network.parameters()).device
        for start in (BATCH * block for block in blocks):
            self.modality.apply_options(self.network, options)  # which decide whether it works by the sample
            whole = range(start, start + BATCH)
            by_sample = getattr(self.network, "per_sample", False)
            for numbers in [range(i, i + 1) for i in whole if i < n] if by_sample else [whole]:
                condition = None
                if conditions_of is not None:
                    asked = conditions_of(numbers[: n - numbers.start])
                    condition = each_tensor(asked, partial(filled_up, rows=len(numbers), device=device))
                yield self._run(latents_of(numbers), truncation, options, condition)[: n - numbers.start]

    def _checked(self, n: int, seed: int, truncation: float | None, interpolate: bool, options: dict[str, Any]) -> Any:
        """The options of the modality, once all that is asked for is known to be possible."""
        if n < 1:
            raise UserError(f"n is {n}: expected at least 1")
        if not 0 <= seed < 2**63:
            raise UserError(f"seed is {seed}: expected 0 or more, and less than 2^63")
        if not self.modality.config.latent_dim and (truncation is not None or interpolate):
            raise UserError("this model takes no noise, so it has neither truncation nor interpolation")
        own = hasattr(self.network, "truncation")  # 0 is then the sample of the mean style
        if truncation is not None and not (truncation > 0 or (own and truncation == 0)):
            raise UserError(f"truncation is {truncation}: expected {'0 or more' if own else 'more than 0'}")
        if not self.modality.latent_space and (truncation is not None or interpolate):
            raise UserError(
                f"modality {self.name!r} has neither truncation nor interpolation, as nearby latents do not give "
                "similar samples"
            )
        plugin = type(self.modality)
        chosen = plugin.Options(**typed_values(options, typing.get_type_hints(plugin.Options)))
        self.modality.apply_options(self.network, chosen)  # what cannot be is refused at once
        return chosen

    def _latents(self, numbers: range, n: int, seed: int, truncation: float | None, walk: bool) -> Tensor:
        """The latents of samples of these numbers, or of steps of the way from sample 0 to sample 1."""
        dim = self.modality.config.latent_dim
        reach = None if hasattr(self.network, "truncation") else truncation  # else it truncates by itself
        if walk:
            ends = [latent(seed, i, dim, reach) for i in range(2)]
            rows = [slerp(ends[0], ends[1], min(i / max(n - 1, 1), 1)) for i in numbers]
        else:
            rows = [latent(seed, i, dim, reach) for i in numbers]
        return torch.from_numpy(numpy.stack(rows))

    def _run(self, latents: Tensor, truncation: float | None, options: Any, condition: Condition) -> Tensor:
        """What the network makes of latents and a condition on its device."""
        network: Any = self.network
        own = hasattr(network, "truncation")
        self.modality.apply_options(network, options)  # another call may have had others since
        if own:
            network.truncation = truncation
        with torch.no_grad():
            samples: Tensor = network(latents.to(next(network.parameters())), condition)
        if own:
            network.truncation = None
        return samples

    def from_latents(
        self, latents: Tensor, condition: Condition = None, truncation: float | None = None, **options: Any
    ) -> Tensor:
        """Finished samples ``(B, *F)`` on the CPU from latents ``(B, latent_dim)``, all in one batch.

        Faster for a few than `batches`, whose batches have one size, and equal up to rounding.

        Args:
            latents: On any device.
            condition: What the generator is told, as `conditions` returns it, for each latent.
            truncation: Of a generator with a mean style, as in `generate`; others truncate while latents are drawn.
            options: As in `generate`.
        """
        chosen = self._checked(1, 0, truncation, False, options)
        device = next(self.network.parameters()).device
        condition = each_tensor(condition, lambda values: values.to(device))
        at_once = 1 if getattr(self.network, "per_sample", False) else len(latents)
        parts = [slice(start, start + at_once) for start in range(0, len(latents), at_once)]
        made = torch.cat(
            [self._run(latents[part], truncation, chosen, each_tensor(condition, itemgetter(part))) for part in parts]
        )
        return on_cpu(made if self.modality.finish is None else self.modality.finish(made))

    def conditions(self, label: Label = None) -> Tensor | None:
        """Labels as the network takes them, in the order in which samples take turns.

        Args:
            label: As in `generate`; or what this returns, which is left as it is.

        Returns:
            Class numbers, int64 ``(N,)``, or int8 ``(N, classes)`` of 0 and 1 where samples can have several; None for
            an unconditional generator.

        Raises:
            UserError: There is no such class.
        """
        if isinstance(label, Tensor):
            return label
        classes, combinations = self.classes, self.combinations
        if label is None:
            label = combinations or range(len(classes))
            if not label:
                return None
        if not classes:
            raise UserError("this model has no classes, so it takes no label: train one with --model.conditional true")
        given = [label] if isinstance(label, int | str) else list(label)
        if not given:
            raise UserError("no label is given: name one, or leave it out for all classes in turn")
        if not combinations:
            return torch.tensor([class_number(one, classes) for one in given])
        rows = torch.zeros(len(given), len(classes), dtype=torch.int8)
        for row, one in zip(rows, given, strict=True):
            for part in str(one).split(JOINED) if one != "" else ():
                row[class_number(part, classes)] = 1
        return rows

    def class_names(self, n: int, label: Label = None) -> list[str]:
        """The names of the classes of the samples of `generate`, one a sample; empty for an unconditional generator.

        Of samples with several, NAME+NAME.
        """
        conditions = self.conditions(label)
        if conditions is None:
            return []
        names = label_names(conditions, self.classes)
        return [names[i % len(names)] for i in range(n)]

    def save(self, folder: str | Path) -> Path:
        """Write the model into a folder, atomically; an existing model is replaced.

        Raises:
            UserError: The folder holds something else, cannot be written, or the disk is full.
        """
        folder = Path(folder).resolve()
        if folder.exists() and not (folder / CONFIG).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} is not empty, and not a model: choose a new folder")
        with written_whole(folder, "the model") as aside:
            save_file(network_tensors(self.network), aside / WEIGHTS)
            self.write_card(aside)
            self.modality.save_extras(aside)
        return folder

    def write_card(self, folder: Path) -> None:
        """Write what is known of the model into its folder, the card and the settings, and leave its weights alone."""
        values = {
            "format": FORMAT,
            "multigan": __version__,
            "modality": self.name,
            "config": plain(self.modality.config),
            "training": self.training,
        }
        write_text(folder / CONFIG, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        modality = self.modality
        write_text(folder / CARD, card(values, self.network, modality.takes_inputs, modality.pipeline_tag))

    def push_to_hub(
        self,
        repository: str,
        private: bool = False,
        branch: str | None = None,
        create_pr: bool = False,
        message: str | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the model to the Hugging Face Hub as ``owner/name``; returns its address.

        Arguments as in `multigan.generation.hub.push`. Of a dataset that is a folder or a file only the name is told,
        and nothing of the command that trained.

        Raises:
            UserError: It cannot be pushed, and why.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = dataclasses.replace(self, training=without_paths(self.training)).save(Path(scratch) / "model")
            return push(folder, repository, private, branch, create_pr, message, token)


def without_paths(training: dict[str, Any]) -> dict[str, Any]:
    """What is known of a training, without paths of this machine."""
    known = {key: value for key, value in training.items() if key != "command"}
    dataset = str(known.get("dataset", ""))
    if Path(dataset).exists() or Path(dataset).is_absolute() or dataset.startswith((".", "~")):
        known["dataset"] = Path(dataset).name
    return known


def on_cpu(samples: Tensor) -> Tensor:
    return samples.float().cpu()


def finished(batches: Iterator[Tensor], finish: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Finish batches of samples, each in a thread while the network makes the next one.

    The network stays in the thread of its user, who may have several iterators with options of their own.
    """
    with ThreadPoolExecutor(1) as pool:
        before: Future[Tensor] | None = None
        for samples in batches:
            now = pool.submit(finish, samples)
            if before is not None:
                yield before.result()
            before = now
        if before is not None:
            yield before.result()


def given_rows(latents: Tensor, numbers: range) -> Tensor:
    """The latents of samples of these numbers; of those past the last, the last."""
    return latents[[min(number, len(latents) - 1) for number in numbers]]


def in_turn(conditions: Tensor, numbers: range) -> Tensor:
    """The conditions of samples that take turns."""
    return conditions[[i % len(conditions) for i in numbers]]


def filled_up(values: Tensor, rows: int, device: torch.device) -> Tensor:
    """So many rows on the device: the last of fewer values are there several times."""
    values = values.to(device)
    return torch.cat([values, values[-1:].expand(rows - len(values), *values.shape[1:])])


def label_names(conditions: Tensor, classes: Sequence[str]) -> list[str]:
    """Class numbers ``(N,)``, or ``(N, classes)`` of 0 and 1, as labels that `TrainedGenerator.generate` takes."""
    if conditions.dim() == 1:
        return [classes[number] for number in conditions.tolist()]
    return [JOINED.join(name for name, has in zip(classes, row, strict=True) if has) for row in conditions.tolist()]


def class_number(label: int | str, classes: tuple[str, ...]) -> int:
    """A class by name or, where not all names are numbers themselves, by number; as a number.

    Raises:
        UserError: There is no such class.
    """
    by_number = not all(name.isdecimal() for name in classes)
    if label in classes or (not by_number and str(label) in classes):
        return classes.index(str(label))
    if by_number and str(label).isdecimal() and int(label) < len(classes):
        return int(label)
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    numbers = f"; their numbers are 0 to {len(classes) - 1}" if by_number else ""
    known = f"; the {len(classes)} classes are {shown}{numbers}"
    raise UserError(f"no class {label!r}{nearest(str(label), classes, known)}")


def load(
    model: str | Path,
    modality: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> TrainedGenerator:
    """Load a trained generator.

    Args:
        model: A run folder, a model folder, a hub id (``owner/name`` or ``owner/name@revision``), or ``starter/image``.
        modality: The modality, where the model is of one that is not installed: ``package.module:Class``.
        revision: Of a model on the Hub: a branch, tag or commit; None is the main branch.
        token: Of an account that may read it; None is that of ``HF_TOKEN``, or of ``hf auth login``.
        cache_dir: Where it is kept; None is the cache of huggingface_hub.
        local_files_only: Whether nothing may be fetched.

    Raises:
        UserError: There is no model there, it cannot be fetched, or it is damaged, incomplete or of another kind.
    """
    hub = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    folder = find(model, **hub)
    values = read_config(folder)
    name = values["modality"]
    if modality is None and ":" in name:
        # A file must not choose what is imported.
        raise UserError(f"the model is of modality {name!r}, which is not installed by name: pass it as the modality")
    if modality is not None and ":" not in modality and modality != name:
        raise UserError(f"the model in {folder} is of modality {name!r}, not {modality!r}")
    plugin = registry.load(modality or name)
    try:
        config = plugin.Config(**typed_fields(values["config"], plugin, "model."))
    except (TypeError, UserError) as error:
        raise UserError(f"{folder / CONFIG} does not fit modality {name!r}: {error}") from error
    instance = plugin(config)
    network = instance.generator()
    load_weights(network, folder / WEIGHTS)
    channels_last(network)
    return TrainedGenerator(
        modality or name, instance, network.eval().requires_grad_(False), values.get("training", {})
    )
