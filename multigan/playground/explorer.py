"""A trained model to explore: samples by seed and number, and what lies around them."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
import tempfile
import typing
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import ismethod
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from multigan.errors import UserError
from multigan.generation import provenance
from multigan.generation.generator import BATCH, TrainedGenerator, load
from multigan.generation.latents import Directions, latent, principal_directions, slerp
from multigan.modality import InputTools
from multigan.networks.embedding import class_weights
from multigan.playground.forms import form
from multigan.playground.outputs import to_browser
from multigan.validation import typed_values

DIRECTIONS = 8  # of the latent space that get a slider
PROBED, FEWER, LARGE = 256, 64, 2**14  # samples that directions are found from; of so many numbers, fewer
PART = 16  # of them at a time
MOST = 64  # samples in an answer
SAME = 1e-4  # difference up to which two outputs are equal


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a page asks for. Without the fields after ``options``, samples are those of `multigan generate`.

    Attributes:
        seed: As in `TrainedGenerator.generate`.
        index: The number of the first sample.
        count: How many from there on.
        label: A class, or null for all in turn.
        truncation: As in `TrainedGenerator.generate`.
        options: Of the modality.
        blend: A second class.
        blend_share: Its weight.
        sliders: How far to go along each direction, in standard deviations of the latent.
        other_seed: With ``other_index`` the second sample of an interpolation, or of style mixing.
        other_index: See ``other_seed``.
        share: How far to go to the other sample.
        mix: The first layer that takes the styles of the other sample; null for none.
    """

    seed: int = 0
    index: int = 0
    count: int = 1
    label: str | None = None
    truncation: float | None = None
    options: Any = dataclasses.field(default_factory=dict)
    blend: str | None = None
    blend_share: float = 0.0
    sliders: tuple[float, ...] = ()
    other_seed: int = 0
    other_index: int = 0
    share: float = 0.0
    mix: int | None = None

    @property
    def plain(self) -> bool:
        """Whether the samples are those of `multigan generate`."""
        blended = self.blend is not None and self.blend_share > 0
        return not (blended or any(self.sliders) or self.share or self.mix is not None)

    def changes(self) -> dict[str, Any]:
        """What is asked for beyond a plain sample."""
        names = [] if self.plain else ["blend", "blend_share", "sliders", "other_seed", "other_index", "share", "mix"]
        return {name: value for name in names if (value := getattr(self, name)) not in (None, 0.0, ())}


def requested(values: Any) -> Request:
    """A request from a page.

    Raises:
        UserError: Something in it cannot be.
    """
    if not isinstance(values, dict) or not isinstance(values.get("options", {}), dict):
        raise UserError("a request is an object of settings")
    request = Request(**typed_values(values, typing.get_type_hints(Request)))
    if not (0 <= request.index < 2**62 and 0 <= request.other_index < 2**62 and 0 <= request.other_seed < 2**63):
        raise UserError("the number of a sample and its seed: expected 0 or more")
    if not 1 <= request.count <= MOST:
        raise UserError(f"count is {request.count}: expected 1 to {MOST}")
    numbers = [request.blend_share, request.share, *request.sliders]
    if not (all(abs(number) <= 100 for number in numbers) and len(request.sliders) <= DIRECTIONS):
        raise UserError("sliders are out of range")
    return request


class Explorer:
    """A model with what pages ask of it. Use it from one thread at a time.

    Args:
        name: What the page calls the model.
        folder: Where it is.
        modality: As in `multigan.load`.
    """

    def __init__(self, name: str, folder: Path, modality: str | None = None) -> None:
        self.generator: TrainedGenerator = load(folder, modality)
        self.modality = self.generator.modality
        self.network: Any = self.generator.network
        self.dim: int = self.modality.config.latent_dim
        self.name = name
        self.record = provenance.record_of(self.generator, str(folder))
        self.found: dict[str | None, Directions] = {}
        self.probed: dict[str | None, list[tuple[Tensor, Tensor]]] = {}

    def describe(self) -> dict[str, Any]:
        """What the page needs to know of the model."""
        modality, options = self.modality, type(self.modality).Options
        tools = modality.input_tools() if modality.takes_inputs else None
        drawn = [tools.mask] if tools is not None and tools.mask else []
        without = drawn + list(tools.without if tools else ())
        return {
            "id": self.name,
            "modality": self.generator.name,
            "classes": self.generator.combinations or self.generator.classes,
            "blends": self.blends,
            "directions": 0 if modality.takes_inputs or not modality.latent_space else self.sliders,
            "moves": modality.latent_space and self.dim > 0,
            "truncates": "style" if hasattr(self.network, "truncation") else "latent",
            "layers": self.layers,
            "options": form(options, options(), without=without),
            "takes_inputs": modality.takes_inputs,
            "several": self.dim > 0,
            "endings": modality.input_endings or modality.file_endings,
            "mask": bool(drawn),
            "palette": [list(pixel) for pixel in tools.palette] if tools else [],
            "sides": tools.sides if tools else None,
            "shape": list(self.shape) if not modality.takes_inputs else None,
            "training": self.generator.training,
        }

    @property
    def sliders(self) -> int:
        """How many directions there are: no more than a latent, or a sample, has numbers."""
        return min(DIRECTIONS, self.dim, math.prod(self.shape))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample."""
        return tuple(next(self.generator.batches(1))[0].shape)

    @cached_property
    def blends(self) -> bool:
        """Whether the network takes mixtures of classes: a mixture of one class alone is that class."""
        if self.modality.takes_inputs or len(self.generator.classes) < 2:
            return False
        pure = self._condition(self.generator.classes[0], 0, 1)
        assert pure is not None
        mixture = class_weights(pure, len(self.generator.classes))
        try:
            first, second = (self._run(self._latents(0, 0, 1, None), condition) for condition in (pure, mixture))
        except (RuntimeError, TypeError, ValueError, IndexError):  # a third party's network takes numbers alone
            return False
        return bool((first - second).abs().max() < SAME)

    @property
    def layers(self) -> int:
        """How many layers have styles of their own, to be mixed; 0 for a network without styles."""
        if not all(ismethod(getattr(self.network, name, None)) for name in ("layer_styles", "synthesize")):
            return 0
        condition = self._condition(None, 0, 1)
        with torch.no_grad():
            return int(self.network.layer_styles(torch.zeros(1, self.dim), condition).shape[1])

    # --- samples ---

    def draw(self, request: Request) -> list[dict[str, Any]]:
        """Samples as `to_browser` has them, with their numbers and labels.

        Raises:
            UserError: As `TrainedGenerator.generate`.
        """
        samples = self.samples(request)
        labels = self._labels(request)
        chosen = {"seed": request.seed, "truncation": request.truncation, **request.options}
        given = {name: value for name, value in chosen.items() if value is not None and value is not False}

        def mark(file: Path, place: int) -> None:
            label = {"label": labels[place]} if labels else {}
            record = {"sample": request.index + place, **given, **label, **request.changes()}
            provenance.mark(file, self.record | record)

        shown = to_browser(self.modality, samples, labels, mark)
        for place, one in enumerate(shown):
            one |= {"index": request.index + place, "label": labels[place] if labels else ""}
        return shown

    def samples(self, request: Request) -> Tensor:
        """Samples ``(count, *S)``: those of `multigan generate`, bit for bit, unless something is changed."""
        stop = request.index + request.count
        asked = partial(self.generator.batches, stop, request.seed, request.label, request.truncation)
        asked(**request.options)  # refuses what cannot be, and says whether the network works by the sample
        if request.plain and not getattr(self.network, "per_sample", False):
            first, last = request.index // BATCH, -(-stop // BATCH)
            batches = asked(blocks=range(first, last), **request.options)
            return torch.cat(list(batches))[request.index - first * BATCH :]
        if not self.modality.latent_space and (any(request.sliders) or request.share or request.mix is not None):
            raise UserError("nearby latents of this model do not give similar samples")
        latents = self._latents(request.seed, request.index, request.count, request.truncation)
        condition = self._condition(request.label, request.index, request.count)
        if request.blend is not None and request.blend_share and condition is not None:
            target = self._condition(request.blend, 0, 1)
            assert target is not None
            condition, target = (class_weights(one, len(self.generator.classes)) for one in (condition, target))
            condition = condition.lerp(target, request.blend_share)
        other = self._latents(request.other_seed, request.other_index, 1, request.truncation)
        if request.share:
            rows = [slerp(row, other[0].numpy(), request.share) for row in latents.numpy()]
            latents = torch.from_numpy(numpy.stack(rows))
        if any(request.sliders):
            if len(request.sliders) > self.sliders:
                raise UserError(f"{len(request.sliders)} sliders are given: this model has {self.sliders}")
            vectors = self.directions(self._labels(request)[0] if self.generator.classes else None).vectors
            latents = latents + torch.tensor(request.sliders) @ vectors[: len(request.sliders)]
        if request.mix is None:
            return self._run(latents, condition, request.truncation, request.options)
        return self._mixed(latents, other.expand_as(latents), condition, request)

    def _mixed(self, latents: Tensor, other: Tensor, condition: Tensor | None, request: Request) -> Tensor:
        """Samples whose layers from ``request.mix`` on have the styles of other latents.

        Karras et al. 2019, arXiv:1812.04948, section 3.1.
        """
        if not self.layers or request.mix is None:
            raise UserError("this model has no styles to mix")
        self.network.truncation = request.truncation
        with torch.no_grad():
            styles, others = (self.network.layer_styles(each, condition) for each in (latents, other))
            kept = torch.arange(styles.shape[1]) < request.mix
            samples: Tensor = self.network.synthesize(torch.where(kept[:, None], styles, others), latents)
        self.network.truncation = None
        return samples.float()

    def _run(
        self, latents: Tensor, condition: Tensor | None, truncation: float | None = None, options: Any = None
    ) -> Tensor:
        return self.generator.from_latents(latents, condition, truncation, **(options or {}))

    def _latents(self, seed: int, index: int, count: int, truncation: float | None) -> Tensor:
        reach = None if hasattr(self.network, "truncation") else truncation
        return torch.from_numpy(numpy.stack([latent(seed, index + i, self.dim, reach) for i in range(count)]))

    def _condition(self, label: str | None, index: int, count: int) -> Tensor | None:
        """What the network is told for samples from this number on."""
        conditions = self.generator.conditions(label)
        return None if conditions is None else conditions[[(index + i) % len(conditions) for i in range(count)]]

    def _labels(self, request: Request) -> list[str]:
        """The class of each sample; empty for an unconditional model."""
        if not self.generator.classes:
            return []
        turns = len(self.generator.combinations or self.generator.classes) if request.label is None else 1
        names = self.generator.class_names(turns, request.label)
        return [names[(request.index + place) % turns] for place in range(request.count)]

    # --- directions ---

    def directions(self, label: str | None) -> Directions:
        """The directions of the latent space along which samples of a class differ most, found once.

        The features are those of the modality's classifier before any training, whose random weights keep distances;
        where it has none, the samples themselves.
        """
        if label not in self.found:
            while not self.probe(label):
                pass
            latents, features = (torch.cat(parts) for parts in zip(*self.probed.pop(label), strict=True))
            self.found[label] = principal_directions(latents, features, self.sliders)
        return self.found[label]

    def probe(self, label: str | None) -> bool:
        """Make a few of the samples that directions are found from, as pages wait meanwhile; whether that is all.

        Args:
            label: As in `directions`.
        """
        parts = self.probed.setdefault(label, [])
        count = FEWER if math.prod(self.shape) > LARGE else PROBED
        if label in self.found or len(parts) * PART == count:
            return True
        latents = torch.from_numpy(numpy.stack([latent(0, len(parts) * PART + i, self.dim, None) for i in range(PART)]))
        samples = self._run(latents, self._condition(label, 0, PART))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)  # the weights are the same for all parts
            network = self.modality.classifier()
            features = samples.flatten(1) if network is None else network.eval()(samples).float()
        parts.append((latents, features))
        return False

    # --- inputs ---

    def translate(self, values: dict[str, Any], request: Request) -> list[dict[str, Any]]:
        """What the model makes of an input, ``request.count`` outputs of it.

        Args:
            values: ``name`` and ``file``, of an uploaded file, or ``painted``, rows of places in the palette; ``mask``,
                a picture. Files are in base64.
            request: Seed and options.

        Raises:
            UserError: It cannot be used, in the words of `multigan generate`.
        """
        tools, options = self.modality.input_tools() or InputTools(), dict(request.options)
        for name in (tools.mask, *tools.without):  # a mask is painted, and never a path of this machine
            if name in options:
                raise UserError(f"this page takes no {name}")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            if tools.mask and values.get("mask"):
                (folder / "mask").mkdir()  # whatever the input is called
                options[tools.mask] = str(written(folder / "mask" / "mask.png", values["mask"]))
            given: Any = painted(values["painted"], tools) if "painted" in values else None
            if given is None:
                name = Path(str(values.get("name") or "input").replace("\\", "/")).name or "input"
                given = written(folder / name, values.get("file"))
            try:
                made = list(
                    self.generator.from_inputs([given], request.count, request.seed, request.truncation, **options)
                )
            except UserError as error:
                raise UserError(str(error).replace(f"{folder}/", "")) from error
        shown = []
        for number, (_, output) in enumerate(made):
            record = {"sample": number, "seed": request.seed, "input": getattr(given, "name", "painted")}
            mark = partial(mark_one, self.record | record)
            shown += to_browser(self.modality, output, (), mark)
        return shown


def mark_one(record: provenance.Record, file: Path, place: int) -> None:
    """Write a record into a file."""
    provenance.mark(file, record)


def written(file: Path, content: Any) -> Path:
    """A file of the page's, written where the modality reads it.

    Raises:
        UserError: There is none.
    """
    try:
        file.write_bytes(base64.b64decode(content or "", validate=True))
    except (binascii.Error, TypeError, ValueError, OSError) as error:
        raise UserError(f"{file.name}: it cannot be read") from error
    if not file.stat().st_size:
        raise UserError("choose a file first")
    return file


def painted(rows: Any, tools: InputTools) -> numpy.ndarray:
    """Rows of places in the palette as pixels, uint8 ``(H, W)`` or ``(H, W, C)``.

    Raises:
        UserError: They are none.
    """
    try:
        places = numpy.asarray(rows, numpy.int64)
        if places.ndim != 2 or not places.size:
            raise ValueError
        pixels = numpy.asarray(tools.palette, numpy.uint8)[places]
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        raise UserError("what is painted is no label map of this model") from error
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels
