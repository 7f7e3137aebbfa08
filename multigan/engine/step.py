"""One step of the game. One phase is one scalar, one backward, one optimizer step.

The discriminator phase may run several times a step. The last fakes it judged serve the generator phase too, graph and
all, so that the generator runs once; with several micro-batches they are made again from the same latents, because
that many graphs would not fit in memory.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from multigan.engine import penalties
from multigan.engine.objectives import Objective
from multigan.engine.rng import Draws
from multigan.engine.stabilizers import Memory, refine_spectra

Metrics = dict[str, Tensor]
Part = TypeVar("Part")


class Player(nn.Module):
    """What accelerate wraps in place of a network.

    Everything that accelerate adds (autocast, data parallelism) stays on this shell, so the network itself can be
    frozen, differentiated twice and saved without any of it. ``through`` is what to compute with the network where
    that is not its forward.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, *inputs: Any, through: Callable[..., Tensor] = lambda network, *inputs: network(*inputs)
    ) -> Tensor:
        return through(self.network, *inputs)


@dataclass(frozen=True)
class Rules:
    """What the game is played for.

    Attributes:
        objective: The pair of losses.
        r1, r2, wgan_gp: Weights of the penalties; 0 is off.
        penalty_every: Discriminator phases from one with penalties to the next, whose weights are as many times as
            large: Karras et al. 2020 (StyleGAN2), arXiv:1912.04958, section 3.1.
        discriminator_steps: Discriminator phases in each step.
        micro_batches: Parts that a process's share of the batch is split into, to fit in memory.
        max_gradient_norm: Gradients of each network longer than this are scaled down to it; None is off.
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

    ``number`` counts the phases of the run. ``beside`` is what the discriminator takes beside samples: the condition,
    and its own random numbers if it has any.
    ``gate`` says for each sample whether it is augmented, ``noise`` is added to it; None is all of them, and none.
    ``graph`` says whether gradients find their way from ``fake`` back to the generator.
    """

    number: int
    real: Tensor
    condition: Tensor | None
    beside: tuple[Tensor | None, ...]
    latent: Tensor
    augmentation: Tensor
    gate: Tensor | None
    noise: Tensor | None
    mix: Tensor
    fake: Tensor
    graph: bool


@dataclass(frozen=True)
class Game:
    """Two players, their optimizers, and the rules.

    Attributes:
        accelerator: Devices, precision and processes.
        generator, discriminator: The networks as they were built, on the device.
        generator_optimizer, discriminator_optimizer: Fused ones, as prepared by the accelerator.
        wrapped_generator, wrapped_discriminator: Each network's `Player`, as prepared by the accelerator.
        rules: What they play for.
        draws: Their random numbers.
        latent_dim: Numbers in one latent.
        batches: ``(batch number, rows)`` -> these rows of the batch, encoded, and their condition ``(b,)`` or None.
        augment: ``(samples, numbers)`` -> samples as the discriminator sees them.
        augment_numbers: Uniform numbers a sample that `augment` takes.
        rows: This process's rows of the global batch.
        discriminator_numbers: Uniform numbers a sample that the discriminator takes.
        to_sample: Encoded ``(b, ...)`` -> samples ``(b, *S)``.
        memory: What the stabilizers remember.
    """

    accelerator: Accelerator
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    wrapped_generator: nn.Module
    wrapped_discriminator: nn.Module
    rules: Rules
    draws: Draws
    latent_dim: int
    batches: Callable[[int, slice], tuple[Tensor, Tensor | None]]
    augment: Callable[[Tensor, Tensor], Tensor]
    augment_numbers: int
    rows: slice
    discriminator_numbers: int = 0
    to_sample: Callable[[Tensor], Tensor] = lambda encoded: encoded
    memory: Memory = field(default_factory=Memory)

    def step(self, number: int) -> Metrics:
        """Play step ``number``, counted from 0.

        The metrics are tensors on the device: of the last discriminator phase (the penalty: of all) and the generator
        phase, means over this process, not finite where a loss was not; and ``*_dropped``, how many updates of each
        player were dropped.
        """
        phases = self.rules.discriminator_steps
        dropped: Any = 0
        penalty: Any = 0
        for phase in range(phases):
            reuse = phase == phases - 1 and self.rules.micro_batches == 1
            micro_batches = self.make_micro_batches(number * phases + phase, graph=reuse)
            metrics = self.discriminator_phase(micro_batches)
            dropped = dropped + metrics["discriminator_dropped"]
            penalty = penalty + metrics.get("penalty", 0) / phases
        metrics |= self.generator_phase(micro_batches)
        return metrics | {"discriminator_dropped": dropped, "penalty": penalty}

    def discriminator_phase(self, micro_batches: list[MicroBatch]) -> Metrics:
        """Teach the discriminator to tell real from fake."""
        metrics: Metrics = {}
        refine_spectra(self.discriminator)
        for batch in self.each(micro_batches, self.wrapped_discriminator):
            real, fake = self.seen(batch.real, batch), self.seen(batch.fake.detach(), batch)
            real_logits = self.wrapped_discriminator(real, *batch.beside)
            fake_logits = self.wrapped_discriminator(fake, *batch.beside)
            loss = self.rules.objective.discriminator(real_logits, fake_logits)
            penalty = self.penalty(real, fake, batch)
            if self.memory.lecam is not None:
                penalty = penalty + self.memory.lecam.loss(real_logits, fake_logits)
            self.backward(loss + penalty, len(micro_batches))
            add(
                metrics,
                len(micro_batches),
                discriminator_loss=loss,
                d_real=real_logits.mean(),
                d_fake=fake_logits.mean(),
                d_sign=real_logits.sign().mean(),
            )
            add(metrics, len(micro_batches), penalty=penalty)
        metrics |= self.memory.after_phase(metrics, micro_batches[0].number, self.draws.batch_size, self.mean)
        return metrics | self.update("discriminator", self.discriminator, self.discriminator_optimizer)

    def generator_phase(self, micro_batches: list[MicroBatch]) -> Metrics:
        """Teach the generator to pass for real, before the discriminator as it now stands."""
        metrics: Metrics = {}
        with frozen(self.discriminator):
            for batch in self.each(micro_batches, self.wrapped_generator):
                fake = batch.fake if batch.graph else self.wrapped_generator(batch.latent, batch.condition)
                fake_logits = self.judge(fake, batch)
                real_logits = fake_logits
                if self.rules.objective.generator_sees_real:
                    with torch.no_grad():
                        real_logits = self.judge(batch.real, batch)
                loss = self.rules.objective.generator(real_logits, fake_logits)
                self.backward(loss, len(micro_batches))
                add(metrics, len(micro_batches), generator_loss=loss)
        return metrics | self.update("generator", self.generator, self.generator_optimizer)

    def warmup(self, number: int, loss: Callable[[nn.Module, Tensor, Tensor | None], Tensor]) -> Metrics:
        """One step of the generator alone, by ``loss(generator, encoded, condition)``."""
        metrics: Metrics = {}
        parts = self.parts()
        for rows in self.each(parts, self.wrapped_generator):
            value = self.wrapped_generator(*self.batches(number, rows), through=loss)
            self.backward(value, len(parts))
            add(metrics, len(parts), warmup_loss=value)
        return metrics | self.update("generator", self.generator, self.generator_optimizer, damped=False)

    def make_micro_batches(self, number: int, graph: bool) -> list[MicroBatch]:
        """Batch ``number`` of this process, with fakes to match; ``graph`` keeps their way back to the generator."""
        made = []
        for rows in self.parts():
            real, condition = self.real(number, rows)
            latent = self.draws.normal("latent", number, rows, self.latent_dim)
            augmentation = self.draws.uniform("augment", number, rows, self.augment_numbers)
            gate = None
            if self.memory.adaptive is not None:
                gate = self.draws.uniform("gate", number, rows, 1).squeeze(1) < self.memory.adaptive.probability
            mix = self.draws.uniform("mix", number, rows, 1).squeeze(1)
            numbers = self.draws.uniform("discriminator", number, rows, self.discriminator_numbers)
            beside = (condition, numbers) if self.discriminator_numbers else (condition,)
            with nullcontext() if graph else torch.no_grad():
                fake = (self.wrapped_generator if graph else self.generate)(latent, condition)
            noise = self.noise(number, rows, real)
            made.append(
                MicroBatch(number, real, condition, beside, latent, augmentation, gate, noise, mix, fake, graph)
            )
        return made

    def noise(self, number: int, rows: slice, like: Tensor) -> Tensor | None:
        """Instance noise for samples ``(b, *S)`` of batch ``number``."""
        if not self.memory.noise:
            return None
        numbers = self.draws.normal("noise", number, rows, like[0].numel())
        return self.memory.noise * numbers.view_as(like)

    def seen(self, samples: Tensor, batch: MicroBatch) -> Tensor:
        """Samples ``(b, *S)`` as the discriminator sees them: augmented, and with noise."""
        augmented = self.augment(samples, batch.augmentation)
        if batch.gate is not None:
            augmented = torch.where(batch.gate.view(-1, *[1] * (samples.dim() - 1)), augmented, samples)
        return augmented if batch.noise is None else augmented + batch.noise

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        return self.accelerator.reduce(values, "mean")  # type: ignore[no-any-return]

    def real(self, number: int, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Real samples of batch ``number``, ``(b, *S)``, and their condition."""
        encoded, condition = self.batches(number, rows)
        return self.to_sample(encoded), condition

    def parts(self) -> list[slice]:
        """The rows of the global batch of each micro-batch of this process."""
        size = (self.rows.stop - self.rows.start) // self.rules.micro_batches
        return [slice(start, start + size) for start in range(self.rows.start, self.rows.stop, size)]

    def generate(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        """Fakes from the unwrapped generator, for where no gradient is to reach it."""
        with self.accelerator.autocast():
            return full_precision(self.generator(latent, condition))

    def judge(self, samples: Tensor, batch: MicroBatch) -> Tensor:
        """Logits ``(b,)`` of augmented samples from the unwrapped discriminator."""
        samples = self.seen(samples, batch)  # in full precision, as for the discriminator's own phase
        with self.accelerator.autocast():
            return full_precision(self.discriminator(samples, *batch.beside))

    def penalty(self, real: Tensor, fake: Tensor, batch: MicroBatch) -> Tensor:
        """The weighted sum of the penalties, a scalar, in full precision on the unwrapped discriminator."""
        rules, total = self.rules, real.new_zeros(())
        if batch.number % rules.penalty_every:
            return total
        with torch.autocast(real.device.type, enabled=False):

            def judge(samples: Tensor) -> Tensor:
                logits: Tensor = self.discriminator(samples, *batch.beside)
                return logits

            if rules.r1:
                total = total + rules.r1 * penalties.r1(judge, real)
            if rules.r2:
                total = total + rules.r2 * penalties.r2(judge, fake)
            if rules.wgan_gp:
                total = total + rules.wgan_gp * penalties.wgan_gp(judge, real, fake, batch.mix)
        return rules.penalty_every * total

    def each(self, micro_batches: list[Part], wrapped: nn.Module) -> Iterator[Part]:
        """Micro-batches, or their rows, in turn; processes exchange gradients of ``wrapped`` in the last one only."""
        for batch in micro_batches[:-1]:
            with self.accelerator.no_sync(wrapped):
                yield batch
        yield micro_batches[-1]

    def backward(self, loss: Tensor, parts: int) -> None:
        """Gradients of one micro-batch's loss.

        A loss that is not finite makes all gradients NaN, on every process once they are exchanged, so that all of
        them drop the step; the slope of an infinite loss may well be finite, and another process's loss is not seen.
        """
        self.accelerator.backward(loss * (1 + 0 * loss.detach()) / parts)

    def update(self, player: str, network: nn.Module, optimizer: Any, damped: bool = True) -> Metrics:
        """Step one optimizer with the gradients gathered so far; returns their norm, before clipping.

        With a gradient that is not finite the step is dropped, for this player alone, and counted; under fp16 the loss
        scale is lowered then, and now and then that is to be expected.
        """
        # Not accelerator.clip_grad_norm_, which would take the loss scale off the other player's gradients as well.
        self.accelerator.unscale_gradients(optimizer)
        history = self.memory.histories.get(player) if damped else None
        if history is not None:
            history.pull(network)
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.rules.max_gradient_norm is not None:
            nn.utils.clip_grads_with_norm_(network.parameters(), self.rules.max_gradient_norm, norm)
        dropped = 1 - norm.isfinite().float()
        # Where this is 1, a fused optimizer leaves everything as it was: decided on the device, which nobody waits for.
        # It is how a loss scaler skips a step, and one that is there sets it itself. On MPS it is not looked at.
        optimizer.optimizer.found_inf = dropped
        if self.accelerator.device.type != "mps" or not dropped:
            optimizer.step()
        optimizer.zero_grad()
        if history is not None:
            history.remember(network)
        return {f"{player}_gradient_norm": norm, f"{player}_dropped": dropped}


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network and leave none in it."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)


def full_precision(values: Tensor) -> Tensor:
    """Half-precision outputs as float32; others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def add(metrics: Metrics, parts: int, **values: Tensor) -> None:
    """Add this part's share of a mean over ``parts``."""
    for name, value in values.items():
        metrics[name] = metrics.get(name, 0) + value.detach() / parts
