"""One step of the game. One phase is one scalar, one backward, one optimizer step.

The discriminator phase may run several times per step. The generator phase reuses the last fakes, with their graph, so
that the generator runs once. With several micro-batches they are generated again from the same latents, because that
many graphs would not fit in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from multigan.engine import penalties
from multigan.engine.objectives import Objective
from multigan.engine.rng import BatchRandom
from multigan.engine.shell import as_output, frozen, represented
from multigan.engine.stabilizers import StabilizerState, power_iteration_step
from multigan.interface import Condition, DiscriminatorOutput, GeneratorOutput, full_precision

Metrics = dict[str, Tensor]
Part = TypeVar("Part")
Loss = Callable[[Tensor, Tensor], Tensor]  # of real and fake logits


@dataclass(frozen=True)
class StepConfig:
    """How a step is taken.

    Attributes:
        objective: The pair of losses.
        r1, r2, wgan_gp: Weights of the penalties; 0 is off.
        penalty_every: Penalties are applied in every n-th discriminator phase, with n times the weight (lazy
            regularisation): Karras et al. 2020 (StyleGAN2), arXiv:1912.04958, section 3.1.
        discriminator_steps: Discriminator phases in each step.
        micro_batches: Parts that a process's share of the batch is split into, to save memory.
        max_gradient_norm: The norm that gradients of each network are clipped to; None is off.
    """

    objective: Objective
    r1: float = 0.0
    r2: float = 0.0
    wgan_gp: float = 0.0
    penalty_every: int = 1
    discriminator_steps: int = 1
    micro_batches: int = 1
    max_gradient_norm: float | None = None


@dataclass
class MicroBatch:
    """One micro-batch of a phase: b samples ``(b, *S)``, real and fake, and the numbers that made the fake ones.

    ``number`` counts the phases of the run. ``discriminator_args`` is what the discriminator takes besides samples: the
    condition, and its random numbers if it has any. ``augment_mask`` tells which samples are augmented, all of them if
    None; ``noise`` is added to the samples, none if None. ``graph`` tells whether ``fake`` still has its graph, back to
    the generator.
    """

    number: int
    real: Tensor
    condition: Condition
    discriminator_args: tuple[Any, ...]
    latent: Tensor
    augmentation: Tensor
    augment_mask: Tensor | None
    noise: Tensor | None
    mix: Tensor
    fake: Tensor
    graph: bool


@dataclass(frozen=True)
class Game:
    """A generator and a discriminator that train against each other, and how.

    Attributes:
        accelerator: Devices, precision and processes.
        generator, discriminator: The networks as they were built, on the device.
        generator_optimizer, discriminator_optimizer: Fused ones, as prepared by the accelerator.
        wrapped_generator, wrapped_discriminator: Each network's `NetworkShell`, as prepared by the accelerator.
        config: Objective, penalties and phases.
        random: Random numbers by seed, step and position in the batch.
        latent_dim: Numbers in one latent.
        batches: ``(batch number, rows)`` -> real samples ``(b, *S)`` of these rows of the batch, and their condition.
        augment: ``(samples, numbers)`` -> samples as the discriminator sees them.
        augment_numbers: Uniform numbers a sample that `augment` takes.
        batch_slice: This process's rows of the global batch.
        pretraining_batches: The same as the pretraining loss takes them; None if they do not differ.
        generator_loss: The generator's further losses by name, weighted.
        stabilizers: What the stabilizers have seen so far.
    """

    accelerator: Accelerator
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    wrapped_generator: nn.Module
    wrapped_discriminator: nn.Module
    config: StepConfig
    random: BatchRandom
    latent_dim: int
    batches: Callable[[int, slice], tuple[Tensor, Condition]]
    augment: Callable[[Tensor, Tensor], Tensor]
    augment_numbers: int
    batch_slice: slice
    pretraining_batches: Callable[[int, slice], tuple[Tensor, Condition]] | None = None
    generator_loss: Callable[[GeneratorOutput], dict[str, Tensor]] = lambda output: {}
    stabilizers: StabilizerState = field(default_factory=StabilizerState)

    def networks(self) -> dict[str, nn.Module]:
        """Both networks, by name, without any wrapper."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def step(self, number: int) -> Metrics:
        """Take step ``number``, counted from 0.

        The metrics are tensors on the device, means over this process, of the last discriminator phase (the penalty: of
        all) and the generator phase; not finite where a loss was not. ``*_dropped`` counts dropped updates.
        """
        phases = self.config.discriminator_steps
        dropped: Any = 0
        penalty: Any = 0
        for phase in range(phases):
            reuse = phase == phases - 1 and self.config.micro_batches == 1
            micro_batches = self.make_micro_batches(number * phases + phase, graph=reuse)
            metrics = self.discriminator_phase(micro_batches)
            dropped = dropped + metrics["discriminator_dropped"]
            penalty = penalty + metrics.get("penalty", 0) / phases
        metrics |= self.generator_phase(micro_batches)
        return metrics | {"discriminator_dropped": dropped, "penalty": penalty}

    def discriminator_phase(self, micro_batches: list[MicroBatch]) -> Metrics:
        """Train the discriminator to tell real from fake."""
        metrics: Metrics = {}
        power_iteration_step(self.discriminator)
        parts = self.parts()
        for rows, batch in zip(parts, self.no_sync_until_last(micro_batches, self.wrapped_discriminator), strict=True):
            real = self.discriminator_input(batch.real.detach(), batch)
            fake = self.discriminator_input(self.replayed(batch.fake.detach(), batch.number, rows), batch)
            # In full precision one forward serves the logits, R1 and R2.
            shared = self.is_penalized(batch) and self.accelerator.mixed_precision == "no"
            real.requires_grad_(shared and self.config.r1 > 0)
            fake.requires_grad_(shared and self.config.r2 > 0)
            real_output = as_output(self.wrapped_discriminator(real, *batch.discriminator_args))
            fake_output = as_output(self.wrapped_discriminator(fake, *batch.discriminator_args))
            real_logits, fake_logits = real_output.logits, fake_output.logits
            loss = mean_over_heads(self.config.objective.discriminator, real_output, fake_output)
            penalty = self.penalty(real, fake, batch, *((real_logits, fake_logits) if shared else ()))
            if self.stabilizers.lecam is not None:
                penalty = penalty + self.stabilizers.lecam.loss(real_logits, fake_logits)
            # By the weights alone: samples that require a gradient for R1 and R2 would get one that nobody needs.
            weights = [weight for weight in self.discriminator.parameters() if weight.requires_grad]
            self.backward(loss + penalty, len(micro_batches), inputs=weights)
            add(
                metrics,
                len(micro_batches),
                discriminator_loss=loss,
                d_real=real_logits.mean(),
                d_fake=fake_logits.mean(),
                d_sign=real_logits.sign().mean(),
            )
            add(metrics, len(micro_batches), penalty=penalty)
        metrics |= self.stabilizers.after_phase(metrics, micro_batches[0].number, self.random.batch_size, self.mean)
        if self.stabilizers.replay is not None:
            made = torch.cat([batch.fake.detach() for batch in micro_batches])
            self.stabilizers.replay.remember(self.accelerator.gather(made))
        return metrics | self.update("discriminator", self.discriminator, self.discriminator_optimizer)

    def generator_phase(self, micro_batches: list[MicroBatch]) -> Metrics:
        """Train the generator to pass for real, against the updated discriminator."""
        metrics: Metrics = {}
        with frozen(self.discriminator):
            batches = self.no_sync_until_last(micro_batches, self.wrapped_generator)
            for rows, batch in zip(self.parts(), batches, strict=True):
                fake = batch.fake if batch.graph else self.wrapped_generator(batch.latent, batch.condition)
                judged = self.discriminate(fake, batch)
                judge_real = cache(torch.no_grad()(partial(self.discriminate, batch.real, batch)))
                real_output = judge_real() if self.config.objective.generator_sees_real else judged
                loss = mean_over_heads(self.config.objective.generator, real_output, judged)
                output = GeneratorOutput(
                    self.generate, batch.latent, batch.condition, batch.real, fake, judged, judge_real
                )
                further = self.generator_loss(output)
                lengths = self.path_length(batch, rows)
                total = sum(further.values(), loss + lengths.pop("path_length_penalty", 0))
                self.backward(total, len(micro_batches))
                add(metrics, len(micro_batches), generator_loss=loss, **further, **lengths)
        if self.stabilizers.path_length is not None and "path_length" in metrics:
            self.stabilizers.path_length.remember(self.mean(metrics["path_length"]))
        return metrics | self.update("generator", self.generator, self.generator_optimizer)

    def pretrain(self, number: int, loss: Callable[[nn.Module, Tensor, Any], Tensor]) -> Metrics:
        """One step of the generator alone, with ``loss(generator, real, condition)``."""
        metrics: Metrics = {}
        batches, parts = self.pretraining_batches or self.batches, self.parts()
        for rows in self.no_sync_until_last(parts, self.wrapped_generator):
            value = self.wrapped_generator(*batches(number, rows), through=loss)
            self.backward(value, len(parts))
            add(metrics, len(parts), pretraining_loss=value)
        return metrics | self.update("generator", self.generator, self.generator_optimizer, damped=False)

    def make_micro_batches(self, number: int, graph: bool) -> list[MicroBatch]:
        """Batch ``number`` of this process, with as many fakes; ``graph`` keeps their graph, back to the generator."""
        made = []
        for rows in self.parts():
            real, condition = self.batches(number, rows)
            latent = self.random.normal("latent", number, rows, self.latent_dim)
            augmentation = self.random.uniform("augment", number, rows, self.augment_numbers)
            augment_mask = None
            if self.stabilizers.adaptive is not None:
                augment_mask = (
                    self.random.uniform("gate", number, rows, 1).squeeze(1) < self.stabilizers.adaptive.probability
                )
            mix = self.random.uniform("mix", number, rows, 1).squeeze(1)
            discriminator_args = self.discriminator_args(number, rows, condition)
            with nullcontext() if graph else torch.no_grad():
                fake = (self.wrapped_generator if graph else self.generate)(latent, condition)
            noise = self.noise(number, rows, real)
            made.append(
                MicroBatch(
                    number,
                    real,
                    condition,
                    discriminator_args,
                    latent,
                    augmentation,
                    augment_mask,
                    noise,
                    mix,
                    fake,
                    graph,
                )
            )
        return made

    def discriminator_args(self, number: int, rows: slice, condition: Condition) -> tuple[Any, ...]:
        """What the discriminator takes besides samples: the condition, and the random numbers that it asks for."""
        count = getattr(self.discriminator, "random_numbers", 0)
        return (condition, self.random.uniform("discriminator", number, rows, count)) if count else (condition,)

    def replayed(self, fake: Tensor, number: int, rows: slice) -> Tensor:
        """Fakes ``(b, *S)`` of batch ``number``, some exchanged for earlier ones."""
        replay = self.stabilizers.replay
        return fake if replay is None else replay.mixed(fake, self.random.uniform("replay", number, rows, 2))

    def noise(self, number: int, rows: slice, like: Tensor) -> Tensor | None:
        """Instance noise for samples ``(b, *S)`` of batch ``number``."""
        if not self.stabilizers.noise:
            return None
        numbers = self.random.normal("noise", number, rows, like[0].numel())
        return self.stabilizers.noise * numbers.view_as(like)

    def discriminator_input(self, samples: Tensor, batch: MicroBatch) -> Tensor:
        """Samples ``(b, *S)`` as the discriminator takes them: augmented, with instance noise, and then represented.

        Penalties are on the gradient with respect to this.
        """
        augmented = self.augment(samples, batch.augmentation)
        if batch.augment_mask is not None:
            augmented = torch.where(batch.augment_mask.view(-1, *[1] * (samples.dim() - 1)), augmented, samples)
        return represented(self.discriminator, augmented if batch.noise is None else augmented + batch.noise)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        return self.accelerator.reduce(values, "mean")  # type: ignore[no-any-return]

    def parts(self) -> list[slice]:
        """The rows of the global batch of each micro-batch of this process."""
        size = (self.batch_slice.stop - self.batch_slice.start) // self.config.micro_batches
        return [slice(start, start + size) for start in range(self.batch_slice.start, self.batch_slice.stop, size)]

    def generate(self, latent: Tensor, condition: Condition) -> Tensor:
        """Fakes ``(b, *S)`` from the unwrapped generator."""
        with self.accelerator.autocast():
            return full_precision(self.generator(latent, condition))

    def discriminate(self, samples: Tensor, batch: MicroBatch) -> DiscriminatorOutput:
        """What the unwrapped discriminator says of samples, augmented as in its own phase."""
        samples = self.discriminator_input(samples, batch)  # in full precision, as for the discriminator's own phase
        with self.accelerator.autocast():
            heads, features = as_output(self.discriminator(samples, *batch.discriminator_args))
        return DiscriminatorOutput(tuple(map(full_precision, heads)), tuple(map(full_precision, features)))

    def is_penalized(self, batch: MicroBatch) -> bool:
        """Whether the penalties are applied in the phase of this batch."""
        return batch.number % self.config.penalty_every == 0

    def penalty(
        self,
        real: Tensor,
        fake: Tensor,
        batch: MicroBatch,
        real_logits: Tensor | None = None,
        fake_logits: Tensor | None = None,
    ) -> Tensor:
        """The weighted sum of the penalties, a scalar, in full precision.

        Logits that are given have a graph back to the samples. Others are made by the unwrapped discriminator, as they
        are for the samples that WGAN-GP mixes.
        """
        config, total = self.config, real.new_zeros(())
        if not self.is_penalized(batch):
            return total
        with torch.autocast(real.device.type, enabled=False):

            def discriminate(samples: Tensor) -> Tensor:
                return as_output(self.discriminator(samples, *batch.discriminator_args)).logits

            for weight, penalty, samples, logits in (
                (config.r1, penalties.r1, real, real_logits),
                (config.r2, penalties.r2, fake, fake_logits),
            ):
                if weight:
                    if logits is None:
                        samples = samples.detach().requires_grad_()
                        logits = discriminate(samples)
                    total = total + weight * penalty(logits, samples)
            if config.wgan_gp:
                total = total + config.wgan_gp * penalties.wgan_gp(discriminate, real, fake, batch.mix)
        return config.penalty_every * self.stabilizers.penalty_scale * total

    def path_length(self, batch: MicroBatch, rows: slice) -> Metrics:
        """The path length penalty of a micro-batch and the mean length, or nothing where it is not applied."""
        regulariser, number = self.stabilizers.path_length, batch.number // self.config.discriminator_steps
        if regulariser is None or number % regulariser.every:
            return {}
        directions = self.random.normal("path_length", number, rows, batch.real[0].numel()).view_as(batch.real)
        penalty, length = regulariser.penalty(self.generator, batch.latent, batch.condition, directions)
        return {"path_length_penalty": penalty, "path_length": length}

    def no_sync_until_last(self, micro_batches: list[Part], wrapped: nn.Module) -> Iterator[Part]:
        """Micro-batches, or their rows, in turn; gradients of ``wrapped`` are exchanged in the last one only."""
        for batch in micro_batches[:-1]:
            with self.accelerator.no_sync(wrapped):
                yield batch
        yield micro_batches[-1]

    def backward(self, loss: Tensor, parts: int, inputs: Sequence[Tensor] | None = None) -> None:
        """Gradients of one micro-batch's loss, by all weights that it depends on or by ``inputs``.

        A loss that is not finite makes all gradients NaN, and once they are exchanged so they are on every process, so
        that all drop the step. Without that, an infinite loss may have a finite gradient, and one process alone would
        drop the step.
        """
        self.accelerator.backward(loss * (1 + 0 * loss.detach()) / parts, inputs=inputs)

    def update(self, player: str, network: nn.Module, optimizer: Any, damped: bool = True) -> Metrics:
        """Step one optimizer with the accumulated gradients; returns their norm before clipping.

        If a gradient is not finite, this network's update is dropped and counted. Under fp16 that also lowers the loss
        scale, and is expected now and then.
        """
        # Not accelerator.clip_grad_norm_, which would also unscale the other network's gradients.
        self.accelerator.unscale_gradients(optimizer)
        history = self.stabilizers.histories.get(player) if damped else None
        if history is not None:
            history.pull(network)
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.config.max_gradient_norm is not None:
            nn.utils.clip_grads_with_norm_(network.parameters(), self.config.max_gradient_norm, norm)
        dropped = 1 - norm.isfinite().float()
        # A fused optimizer skips its step where this is 1, without the host waiting for the device. Loss scalers use
        # the same flag, and set it themselves. On MPS it is ignored.
        optimizer.optimizer.found_inf = dropped
        if self.accelerator.device.type != "mps" or not dropped:
            optimizer.step()
        optimizer.zero_grad()
        if history is not None:
            history.remember(network)
        return {f"{player}_gradient_norm": norm, f"{player}_dropped": dropped}


def mean_over_heads(loss: Loss, real: DiscriminatorOutput, fake: DiscriminatorOutput) -> Tensor:
    """A loss of real and fake logits, a scalar: the mean over the heads."""
    losses = [loss(*heads) for heads in zip(real.heads, fake.heads, strict=True)]
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean()


def add(metrics: Metrics, parts: int, **values: Tensor) -> None:
    """Add this part's share of a mean over ``parts``."""
    for name, value in values.items():
        metrics[name] = metrics.get(name, 0) + value.detach() / parts
