"""What the engine costs over a bare loop, and gains over a textbook one, at 64 x 64.

    OMP_NUM_THREADS=1 uv run benchmarks/engine_cost.py [--rounds 10]

Twice a DCGAN: as pictures train by default (the relativistic loss, and R1 and R2 in every fourth step), and with the
non-saturating loss alone; and once pix2pix, pictures from pictures with L1 beside the default loss. A round is four
steps, one of which has the penalties. All three loops train the same networks with the same losses and penalties on
the same pictures:

- engine: a step of a run, with its cache, random numbers, moving average and metrics;
- bare: the same step by hand with the same tricks (fakes generated once, the discriminator frozen while the generator
  learns, one forward pass for logits and penalties, fused Adam, channels last) and nothing else;
- textbook: fresh fakes in each phase, nothing frozen, penalties in a forward pass of their own, PyTorch's default
  layout and Adam.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy
import torch
from interleaved import ratio, table, timed
from torch import Tensor, nn

from multigan import configure
from multigan.data.cache import cached
from multigan.data.load import load as load_dataset
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.shell import as_output
from multigan.training.run import Run

STEPS = 4
DCGAN = {"architecture": "dcgan", "generator_width": 64, "discriminator_width": 64}
# title -> modality, dataset, settings of the model and of the training
SETTINGS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "DCGAN, the defaults: relativistic, R1 and R2 in every fourth step": (
        "image", "digits", DCGAN, {"batch_size": 32, "penalty_every": STEPS}
    ),
    "DCGAN, non-saturating, no penalties": (
        "image", "digits", DCGAN, {"batch_size": 32, "objective": "non_saturating", "r1": 0.0, "r2": 0.0}
    ),
    "pix2pix, the defaults: relativistic, L1, R1 and R2 in every fourth step": (
        "image-to-image", "edges", {"task": "paired"}, {"batch_size": 8, "penalty_every": STEPS}
    ),
}  # fmt: skip
Batches = Callable[[], tuple[Tensor, Tensor | None]]  # samples, and what is told of them


def batches(run: Run, device: str = "cpu") -> Batches:
    """Batches of the run's dataset, from the device's memory."""
    modality, settings = run.modality, run.training
    dataset = load_dataset(modality, settings.dataset or "", None, "train", False)
    data = cached(dataset, modality, skip_corrupt=False)
    real = torch.from_numpy(numpy.array(data.real)).to(device)
    beside = {name: torch.from_numpy(numpy.array(values)).to(device) for name, values in data.beside.items()}

    def batch() -> tuple[Tensor, Any]:
        rows = torch.randint(len(real), (settings.batch_size,))
        numbers = torch.rand(settings.batch_size, modality.pair_numbers)
        return modality.to_pair(real[rows], {name: values[rows] for name, values in beside.items()}, numbers)

    return batch


def squared_slope(head: Tensor, samples: Tensor) -> Tensor:
    """R1 or R2, by hand, of the mean over the places of a head."""
    (slope,) = torch.autograd.grad(head.reshape(len(head), -1).mean(1).sum(), samples, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def bare(run: Run, batch: Batches, generator: nn.Module, discriminator: nn.Module) -> Callable[[], None]:
    settings, objective = run.training, OBJECTIVES[run.training.objective]
    optimizers = [
        torch.optim.Adam(
            network.to(memory_format=torch.channels_last).parameters(),
            settings.generator_learning_rate,
            settings.betas,
            fused=True,
        )
        for network in (generator, discriminator)
    ]
    weights, l1 = list(discriminator.parameters()), getattr(run.training.model, "l1", 0.0)

    def step(penalize: bool) -> None:
        real, told = batch()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), told)
        shown = [real.requires_grad_(penalize), fake.detach().requires_grad_(penalize)]
        heads = [head_of(discriminator, samples, told) for samples in shown]
        loss = objective.discriminator(*heads)
        if penalize:
            for weight, *pair in zip((settings.r1, settings.r2), heads, shown, strict=True):
                loss = loss + STEPS * weight * squared_slope(*pair)
        loss.backward(inputs=weights)
        optimizers[1].step()
        optimizers[1].zero_grad()
        discriminator.requires_grad_(False)
        with torch.no_grad():
            of_real = head_of(discriminator, real, told) if objective.generator_sees_real else None
        loss = objective.generator(of_real, head_of(discriminator, fake, told))
        if l1:
            loss = loss + l1 * (fake - real).abs().mean()
        loss.backward()
        discriminator.requires_grad_(True)
        optimizers[0].step()
        optimizers[0].zero_grad()

    return four(step, settings.r1 > 0)


def textbook(run: Run, batch: Batches, generator: nn.Module, discriminator: nn.Module) -> Callable[[], None]:
    settings, objective = run.training, OBJECTIVES[run.training.objective]
    optimizers = [
        torch.optim.Adam(network.parameters(), settings.generator_learning_rate, settings.betas)
        for network in (generator, discriminator)
    ]
    l1 = getattr(run.training.model, "l1", 0.0)

    def penalty(samples: Tensor, told: Tensor | None) -> Tensor:
        samples = samples.detach().requires_grad_()
        return squared_slope(head_of(discriminator, samples, told), samples)

    def step(penalize: bool) -> None:
        real, told = batch()
        optimizers[1].zero_grad()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), told).detach()
        loss = objective.discriminator(*(head_of(discriminator, samples, told) for samples in (real, fake)))
        if penalize:
            loss = loss + STEPS * (settings.r1 * penalty(real, told) + settings.r2 * penalty(fake, told))
        loss.backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), told)
        with torch.no_grad():  # a loop without it would be slower still
            of_real = head_of(discriminator, real, told) if objective.generator_sees_real else None
        loss = objective.generator(of_real, head_of(discriminator, fake, told))
        if l1:
            loss = loss + l1 * (fake - real).abs().mean()
        loss.backward()
        optimizers[0].step()

    return four(step, settings.r1 > 0)


def head_of(discriminator: nn.Module, samples: Tensor, told: Tensor | None) -> Tensor:
    """The logits of a discriminator with one head, ``(B, ...)``."""
    (head,) = as_output(discriminator(samples, told)).heads
    return head


def four(step: Callable[[bool], object], penalized: bool) -> Callable[[], None]:
    """Four steps; the first may have penalties."""

    def steps() -> None:
        for number in range(STEPS):
            step(penalized and number == 0)

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, help="of all networks instead of 64 and, of pix2pix, 32")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    for title, (modality, dataset, model, settings) in SETTINGS.items():
        if options.width:
            model = {**model, "generator_width": options.width, "discriminator_width": options.width}
        with tempfile.TemporaryDirectory() as folder:
            model = {"resolution": 64, **model}
            run = Run(
                configure(modality, dataset=dataset, output=f"{folder}/run", tracker="none", model=model, **settings)
            )
            batch, count = batches(run), iter(range(10**9))
            ways = {
                "engine": four(lambda _, run=run, count=count: run.state.meter.add(run.play(next(count))), False),
                "bare": bare(run, batch, run.modality.generator(), run.modality.discriminator()),
                "textbook": textbook(run, batch, run.modality.generator(), run.modality.discriminator()),
            }
            times = timed(ways, options.rounds, clock=time.process_time)
        table(f"{STEPS} steps at 64 x 64, batch {run.training.batch_size}: {title}", times, "bare")
        print(f"\nthe engine is {ratio(times, 'textbook', 'engine')} times as fast as the textbook loop", flush=True)


if __name__ == "__main__":
    main()
