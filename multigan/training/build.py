"""Builds what a run needs from its configuration: batches, networks, optimizers, objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import datasets
import numpy
import torch
import xxhash
from accelerate import Accelerator
from torch import Tensor, nn

from multigan.config import TrainingConfig
from multigan.data import batches, load
from multigan.data.cache import cached
from multigan.engine import distributed
from multigan.engine.objectives import OBJECTIVES, Objective, smoothed
from multigan.engine.path_length import PathLength
from multigan.engine.replay import Replay
from multigan.engine.rng import BatchRandom, derive_seed
from multigan.engine.stabilizers import (
    AdaptiveAugmentation,
    HistoricalAverage,
    LeCam,
    StabilizerState,
    apply_spectral_norm,
)
from multigan.engine.step import Game, StepConfig
from multigan.errors import UserError
from multigan.interface import Condition
from multigan.modality import Augmentation, Modality
from multigan.networks.layout import channels_last


def open_data(
    training: TrainingConfig, modality: Modality, accelerator: Accelerator
) -> tuple[batches.Batches, dict[str, Any]]:
    """Load, encode and batch the dataset, and fit the modality to it; prints what the modality reports of it.

    Returns:
        The batches, and the facts of the dataset for the model's card.

    Raises:
        UserError: There is no such dataset, or it is not what the configuration asks for.
    """
    if training.dataset is None:
        raise UserError(f"modality {training.modality!r} has no built-in dataset: give a --dataset")
    said: list[str] = []

    def say(note: str) -> None:
        said.append(note)
        accelerator.print(note)

    dataset = load.load(modality, training.dataset, training.subset, training.split, training.streaming, say)
    device = accelerator.device
    conditional = modality.conditional
    subset = {"subset": training.subset} if training.subset else {}
    facts: dict[str, Any] = {"dataset": training.dataset, **subset, "split": training.split}
    if isinstance(dataset, datasets.IterableDataset):
        notes = tuple(modality.fit(dataset) or ())
        for note in notes:
            say(note)
        facts |= noted(said)
        seed = derive_seed(training.seed, "stream") % 2**32
        stream = batches.from_stream(
            dataset, modality, training.batch_size, seed, conditional, device, training.skip_corrupt
        )
        return stream, facts
    data = cached(dataset, modality, training.skip_corrupt, say)
    in_pieces = data.crop is not None and data.crop.random  # one long recording gives many samples
    if training.batch_size > len(data) and not in_pieces:
        say(f"warning: a batch of {training.batch_size} has some of the {len(data):,} examples several times")
    if conditional and data.label is None:
        raise UserError(f"conditional needs labels, and {training.dataset!r} has none")
    if conditional and data.label is not None:
        label = data.label
        present = set(label.tolist() if label.ndim == 1 else numpy.flatnonzero(label.any(0)).tolist())
        missing = sorted(set(range(len(modality.classes))) - present)
        if missing:
            names = ", ".join(modality.classes[number] for number in missing[:5])
            raise UserError(f"no row of {training.dataset!r} is of class {names}: leave it out of --model.classes")
    facts |= {
        "rows": len(data),
        "rows_left_out": data.skipped,
        "digest": data.digest,
        **noted(said),
    }
    source = batches.from_cache(data, training.batch_size, training.seed, conditional, device, modality.unpaired)
    return source, facts


def noted(notes: Sequence[str]) -> dict[str, str]:
    """What a modality reported of a dataset, for the card."""
    return {"notes": "; ".join(notes)} if notes else {}


def build_game(
    training: TrainingConfig, modality: Modality, accelerator: Accelerator, batch_source: batches.Batches
) -> Game:
    """Build the networks, their optimizers and the game.

    Raises:
        UserError: The batch cannot be shared out over the processes, or a penalty asks for another generator.
    """
    random = BatchRandom(training.seed, training.batch_size, accelerator.device)

    def pairs(number: int, rows: slice, to_pair: Callable[..., tuple[Tensor, Condition]]) -> tuple[Tensor, Condition]:
        return to_pair(*batch_source(number, rows), random.uniform("pair", number, rows, modality.pair_numbers))

    generator = build_network(modality.generator, training.seed, "generator", accelerator.device)
    if not training.resume:  # a checkpoint has the weights; what they were initialized from may be gone
        modality.load_pretrained(generator)

    def build_discriminator() -> nn.Module:
        network = modality.discriminator()
        if training.spectral_norm:
            apply_spectral_norm(network)
        return network

    if training.path_length and not (hasattr(generator, "layer_styles") and hasattr(generator, "synthesize")):
        raise UserError(f"path_length is {training.path_length:g}: expected 0, as this generator has no styles")
    discriminator = build_network(build_discriminator, training.seed, "discriminator", accelerator.device)
    stabilizers = build_stabilizers(training, {"generator": generator, "discriminator": discriminator}, accelerator)
    if training.replay:
        real, condition = pairs(0, slice(0, 1), modality.to_pair)
        if condition is not None and not getattr(discriminator, "unconditional", False):
            raise UserError(
                f"replay is {training.replay}: expected 0, as this discriminator is told what each sample was made of"
            )
        stabilizers.replay = Replay.new(training.replay, real)
    optimizers = [
        distributed.adam(generator, training.generator_learning_rate, training.betas),
        distributed.adam(discriminator, training.discriminator_learning_rate, training.betas),
    ]
    wrapped_generator, generator_optimizer = distributed.prepare(accelerator, generator, optimizers[0])
    wrapped_discriminator, discriminator_optimizer = distributed.prepare(accelerator, discriminator, optimizers[1])
    augmentation = modality.augmentation() or Augmentation(0, lambda samples, numbers: samples)
    return Game(
        accelerator=accelerator,
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        wrapped_generator=wrapped_generator,
        wrapped_discriminator=wrapped_discriminator,
        config=StepConfig(
            objective=build_objective(training),
            r1=training.r1,
            r2=training.r2,
            wgan_gp=training.wgan_gp,
            penalty_every=training.penalty_every,
            discriminator_steps=training.discriminator_steps,
            micro_batches=training.micro_batches,
            max_gradient_norm=training.max_gradient_norm,
        ),
        random=random,
        latent_dim=modality.config.latent_dim,
        batches=partial(pairs, to_pair=modality.to_pair),
        pretraining_batches=partial(pairs, to_pair=modality.to_pretraining_pair),
        generator_loss=modality.generator_loss,
        augment=augmentation.apply,
        augment_numbers=augmentation.numbers,
        batch_slice=distributed.share(training.batch_size, training.micro_batches, accelerator),
        stabilizers=stabilizers,
    )


def build_objective(training: TrainingConfig) -> Objective:
    """The objective, with label smoothing if configured."""
    objective = OBJECTIVES[training.objective]
    if not (training.label_smoothing or training.label_smoothing_fake):
        return objective
    return smoothed(objective, training.label_smoothing, training.label_smoothing_fake)


def build_stabilizers(
    training: TrainingConfig, players: dict[str, nn.Module], accelerator: Accelerator
) -> StabilizerState:
    """The initial state of the stabilizers that are on."""
    stabilizers, device = StabilizerState(), accelerator.device
    if training.historical_averaging:
        for name, network in players.items():
            stabilizers.histories[name] = HistoricalAverage.of(network, training.historical_averaging)
    if training.lecam:
        stabilizers.lecam = LeCam.new(training.lecam, device)
    if training.ada_target is not None:
        stabilizers.adaptive = AdaptiveAugmentation.new(training.ada_target, training.ada_samples, device)
    if training.path_length:
        stabilizers.path_length = PathLength.new(training.path_length, training.path_length_every, device)
    return stabilizers


def build_network(build: Callable[[], nn.Module], seed: int, purpose: str, device: torch.device) -> nn.Module:
    """A network on the device; its initial weights depend on the seed and the purpose only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose))
        network = build()
    channels_last(network)
    return network.to(device)


def dry_run(game: Game, batch_source: batches.Batches) -> None:
    """Pass one batch through both networks, before anything is written.

    Raises:
        UserError: A network cannot take batches of this size, or the processes read different data.
    """
    real, beside = batch_source(0, slice(0, game.random.batch_size))
    # Not torch.hash_tensor: it is an exclusive or, the same for any order, and 0 for pictures of one colour.
    digest = xxhash.xxh3_64()
    for values in (real, *beside.values()):
        digest.update(values.cpu().numpy().tobytes())
    distributed.check_same({"the hash of the first batch": digest.hexdigest()})
    try:
        batch = game.make_micro_batches(0, graph=False)[0]
        with torch.no_grad():
            game.discriminate(batch.real, batch)
    except ValueError as error:
        raise UserError(str(error)) from error
