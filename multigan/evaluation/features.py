"""Finds the feature space that the user names, and trains its classifier."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from multigan.data.cache import cache_home, hashed
from multigan.errors import UserError
from multigan.evaluation import spaces
from multigan.evaluation.classifier import Classifier, accuracy, train_classifier
from multigan.evaluation.extraction import finite_ones
from multigan.evaluation.held_out import Rows
from multigan.files import network_tensors
from multigan.generation.generator import TrainedGenerator
from multigan.modality import ClassConditionalConfig, Modality
from multigan.validation import nearest
from multigan.version import __version__

NAMES = ("auto", "classifier", "random", "pca", "samples", "inception")
PCA_SAMPLES, BATCH = 10_000, 256  # real samples that components are fitted on, and samples per batch
VERSION = 2  # of the cached classifiers
CLASSIFIER_SAMPLES = 40_000  # that a classifier sees in training, the same ones repeatedly
MAX_PASSES = 100
MAX_KEPT_BYTES = 2**31  # of generated samples kept to train a classifier on


def find(
    name: str, modality: Modality, known: Rows, seed: int, device: torch.device, quiet: bool | None
) -> spaces.Space:
    """The feature space of a name.

    Args:
        name: auto, classifier, random, pca, samples, inception, or an encoder of transformers by name or folder.
        modality: Of the samples.
        known: Real samples that a classifier may be trained on.
        seed: Seed of the classifier.
        device: Where features are extracted.
        quiet: Whether no progress bar is shown; None shows one on a terminal.

    Raises:
        UserError: It is not available, or the modality or the data does not support it.
    """
    with torch.random.fork_rng(devices=[]):
        has_network = modality.classifier() is not None
    if name == "auto":
        classified = known.labels is not None and len(class_names(modality)) >= 2
        name = "samples" if not has_network else "classifier" if classified else "random"
    if name == "samples":
        return spaces.plain()
    if name == "pca":
        count = min(len(known), PCA_SAMPLES)
        starts = range(0, count, BATCH)
        return spaces.pca(known.samples(modality, at, min(at + BATCH, count), torch.device("cpu")) for at in starts)
    if name in ("classifier", "random") and not has_network:
        raise UserError(f"modality {type(modality).__name__} has no feature network: use --features samples")
    if name == "random":
        return spaces.untrained(network_of(modality), device)
    if name == "classifier":
        return classifier(modality, known, seed, device, quiet)
    misspelt = nearest(name, NAMES, "")
    if misspelt and name not in NAMES and not Path(name).exists():
        raise UserError(f"no features {name!r}{misspelt}")
    example = modality.to_outputs(known.samples(modality, 0, 1, torch.device("cpu")))[0]
    if name == "inception":
        if not hasattr(example, "convert"):
            raise UserError(f"inception is for pictures, not for modality {type(modality).__name__}")
        return spaces.inception(modality.to_outputs, device)
    return spaces.encoder(name, example, modality.to_outputs, device)


def class_names(modality: Modality) -> tuple[str, ...]:
    """The classes that a modality has found in its data."""
    return modality.config.classes if isinstance(modality.config, ClassConditionalConfig) else ()


def network_of(modality: Modality) -> Callable[[], nn.Module]:
    """A function that builds the modality's feature network, which it must have."""

    def build() -> nn.Module:
        network = modality.classifier()
        assert network is not None
        return network

    return build


def classifier(modality: Modality, known: Rows, seed: int, device: torch.device, quiet: bool | None) -> spaces.Space:
    """The features of a classifier of real samples, read from the cache if it has been trained before.

    Raises:
        UserError: The samples have no labels.
    """
    labels, classes = known.labels, class_names(modality)
    if labels is None or len(classes) < 2:
        problem = "no labels" if labels is None else f"only {len(classes)} of the classes that the model knows"
        raise UserError(f"the dataset has {problem}, so no classifier can be trained on it: use --features random")
    kind = f"{type(modality).__module__}:{type(modality).__qualname__}"
    parts = [VERSION, kind, modality.encode_key(), known.data.digest, len(labels), seed, __version__]
    file = cache_home() / f"classifier-{hashed(parts)}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        trained = read_cached(file, modality, known)
        if trained is None:
            samples = known.encoded(0, len(known))
            trained = train(modality, samples, labels, modality.to_finished, seed, device, quiet)
            with contextlib.suppress(OSError, SafetensorError):  # the disk is full: it is trained again the next time
                aside = file.with_suffix(".writing")
                save_file(network_tensors(trained), aside)
                aside.replace(file)
    trained.eval().requires_grad_(False).to(device)
    stamp = {"features": "classifier", "weights": spaces.weights_hash(trained)}
    return spaces.Space("classifier", trained.features, stamp, last=trained.last, own_classes=True)


def read_cached(file: Path, modality: Modality, known: Rows) -> Classifier | None:
    """The trained classifier in a file; None if there is none or it is damaged."""
    with torch.random.fork_rng(devices=[]), contextlib.suppress(OSError, SafetensorError, RuntimeError):
        weights = load_file(file)
        trained = Classifier(network_of(modality)(), len(class_names(modality)))
        with torch.no_grad():
            trained(modality.to_finished(known.encoded(0, 2)))  # initializes the last layer
        trained.load_state_dict(weights)
        return trained
    return None


def train(
    modality: Modality,
    samples: Tensor,
    labels: Tensor,
    prepare: Callable[[Tensor], Tensor],
    seed: int,
    device: torch.device,
    quiet: bool | None,
) -> Classifier:
    """Train a classifier on encoded samples, which ``prepare`` turns into ``(B, *S)``, and their labels ``(N,)``."""
    passes = min(MAX_PASSES, max(1, CLASSIFIER_SAMPLES // len(samples)))
    return train_classifier(
        network_of(modality),
        samples,
        labels,
        len(class_names(modality)),
        prepare,
        passes,
        seed=seed,
        device=device,
        quiet=quiet,
    )


def labelled(model: TrainedGenerator, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Generated samples of these classes ``(N,)``, ``(M, *F)``, and the classes of each.

    Those that are not finite are left out, and the last ones where all take more than ``MAX_KEPT_BYTES``.
    """
    first = next(model.batches(1, seed))
    count = min(len(labels), max(2, MAX_KEPT_BYTES // (first.numel() * first.element_size())))
    samples, finite = zip(*map(finite_ones, model.batches(count, seed, labels[:count])), strict=True)
    return torch.cat(samples), labels[:count][torch.cat(finite)]


def held_out_accuracy(classifier: Classifier, modality: Modality, rows: Rows, device: torch.device) -> float:
    """The accuracy of a classifier on real samples, which must have labels."""
    assert rows.labels is not None
    with torch.no_grad():
        logits = [
            classifier(rows.samples(modality, start, start + BATCH, device)).cpu()
            for start in range(0, len(rows), BATCH)
        ]
    return accuracy(torch.cat(logits), rows.labels)
