"""What the engine costs over a bare loop, and gains over a textbook one.

    OMP_NUM_THREADS=1 uv run benchmarks/engine_cost.py [--rounds 10] [--only istft]

Twice a DCGAN at 64 x 64: as pictures train by default (the relativistic loss, and R1 and R2 in every fourth step), and
with the non-saturating loss alone; pix2pix at 64 x 64, pictures from pictures with L1 beside the default loss; istft,
half a second of sound at 8 kHz with the default loss; and a vocoder, with its further losses. A round is four steps,
one of which has the penalties, if there are any. All three loops train the same networks with the same losses and
penalties on the same samples:

- engine: a step of a run, with its cache, random numbers, moving average and metrics;
- bare: the same step by hand with the same tricks (fakes generated once, the discriminator frozen while the generator
  learns, one forward pass for logits and penalties, fused Adam, channels last) and nothing else;
- textbook: fresh fakes in each phase, nothing frozen, penalties in a forward pass of their own, PyTorch's default
  layout and Adam.

Further losses are the modality's own in all of them.
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
from multigan.engine.shell import as_output, represented
from multigan.interface import Condition, DiscriminatorOutput, GeneratorOutput
from multigan.networks.layout import channels_last
from multigan.training.run import Run

STEPS = 4
DCGAN = {"architecture": "dcgan", "resolution": 64, "generator_width": 64, "discriminator_width": 64}
# title -> modality, dataset, settings of the model and of the training
SETTINGS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "DCGAN, the defaults: relativistic, R1 and R2 in every fourth step": (
        "image", "digits", DCGAN, {"batch_size": 32}
    ),
    "DCGAN, non-saturating, no penalties": (
        "image", "digits", DCGAN, {"batch_size": 32, "objective": "non_saturating", "r1": 0.0, "r2": 0.0}
    ),
    "pix2pix, the defaults: relativistic, L1, R1 and R2 in every fourth step": (
        "image-to-image", "edges", {"task": "paired", "resolution": 64}, {"batch_size": 8}
    ),
    "istft, the defaults: relativistic, R1 and R2 in every fourth step": (
        "audio", "drums", {"conditional": True, "sampling_rate": 8000}, {"batch_size": 32}
    ),
    "vocoder, the defaults: least squares, mel distance and features": (
        "vocoder", "drums", {}, {"batch_size": 16, "pretraining_steps": 0}
    ),
}  # fmt: skip
Batches = Callable[[], tuple[Tensor, Condition]]  # samples, and what is told of them


def batches(run: Run, device: str = "cpu") -> Batches:
    """Batches of the run's dataset, from the device's memory."""
    modality, settings = run.modality, run.training
    dataset = load_dataset(modality, settings.dataset or "", None, "train", False)
    data = cached(dataset, modality, skip_corrupt=False)
    random = numpy.random.default_rng(0)
    whole = None if data.ends is not None else torch.from_numpy(numpy.array(data.real)).to(device)
    beside = {name: torch.from_numpy(numpy.array(values)).to(device) for name, values in data.beside.items()}
    if modality.conditional and data.label is not None:
        beside["label"] = torch.from_numpy(numpy.array(data.label)).to(device)

    def batch() -> tuple[Tensor, Condition]:
        if whole is None:
            places = random.integers(0, len(data), settings.batch_size)
            rows = torch.from_numpy(places).to(device)
            real = torch.from_numpy(data.read(places, random.random(len(places)))).to(device)
        else:  # on the device, so that a CUDA graph can hold it
            rows = torch.randint(len(data), (settings.batch_size,))
            real = whole[rows]
        numbers = torch.rand(settings.batch_size, modality.pair_numbers)
        return modality.to_pair(real, {name: values[rows] for name, values in beside.items()}, numbers)

    return batch


def squared_slope(output: DiscriminatorOutput, samples: Tensor) -> Tensor:
    """R1 or R2, by hand."""
    (slope,) = torch.autograd.grad(output.logits.sum(), samples, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def mean(loss: Callable[[Tensor, Tensor], Tensor], *outputs: DiscriminatorOutput) -> Tensor:
    """The mean of an objective over the heads."""
    losses = [loss(*heads) for heads in zip(*(output.heads for output in outputs), strict=True)]
    return sum(losses[1:], losses[0]) / len(losses)


def generator_loss(
    run: Run, networks: tuple[nn.Module, nn.Module], latent: Tensor, told: Condition, real: Tensor, fake: Tensor
) -> Tensor:
    """The objective of the generator's phase, and what the modality adds."""
    generator, discriminator = networks
    objective = OBJECTIVES[run.training.objective]

    def judge(samples: Tensor) -> DiscriminatorOutput:
        return as_output(discriminator(represented(discriminator, samples), told))

    judged, judge_real = judge(fake), torch.no_grad()(lambda: judge(real))
    loss = mean(objective.generator, judge_real() if objective.generator_sees_real else judged, judged)
    output = GeneratorOutput(generator, latent, told, real, fake, judged, judge_real)
    return sum(run.modality.generator_loss(output).values(), loss)


def bare(run: Run, batch: Batches, generator: nn.Module, discriminator: nn.Module) -> Callable[[], None]:
    settings, objective = run.training, OBJECTIVES[run.training.objective]
    for network in (generator, discriminator):
        channels_last(network)
    optimizers = [
        torch.optim.Adam(network.parameters(), settings.generator_learning_rate, settings.betas, fused=True)
        for network in (generator, discriminator)
    ]
    weights = list(discriminator.parameters())

    def step(penalize: bool) -> None:
        real, told = batch()
        latent = torch.randn(settings.batch_size, run.game.latent_dim)
        fake = generator(latent, told)
        shown = [represented(discriminator, samples.detach()).requires_grad_(penalize) for samples in (real, fake)]
        outputs = [as_output(discriminator(samples, told)) for samples in shown]
        loss = mean(objective.discriminator, *outputs)
        if penalize:
            for weight, *pair in zip((settings.r1, settings.r2), outputs, shown, strict=True):
                loss = loss + STEPS * weight * squared_slope(*pair)
        loss.backward(inputs=weights)
        optimizers[1].step()
        optimizers[1].zero_grad()
        discriminator.requires_grad_(False)
        generator_loss(run, (generator, discriminator), latent, told, real, fake).backward()
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

    def penalty(samples: Tensor, told: Condition) -> Tensor:
        samples = represented(discriminator, samples.detach()).requires_grad_()
        return squared_slope(as_output(discriminator(samples, told)), samples)

    def step(penalize: bool) -> None:
        real, told = batch()
        optimizers[1].zero_grad()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), told).detach()
        shown = (represented(discriminator, samples) for samples in (real, fake))
        loss = mean(objective.discriminator, *(as_output(discriminator(samples, told)) for samples in shown))
        if penalize:
            loss = loss + STEPS * (settings.r1 * penalty(real, told) + settings.r2 * penalty(fake, told))
        loss.backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        latent = torch.randn(settings.batch_size, run.game.latent_dim)
        generator_loss(run, (generator, discriminator), latent, told, real, generator(latent, told)).backward()
        optimizers[0].step()

    return four(step, settings.r1 > 0)


def four(step: Callable[[bool], object], penalized: bool) -> Callable[[], None]:
    """Four steps; the first may have penalties."""

    def steps() -> None:
        for number in range(STEPS):
            step(penalized and number == 0)

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, help="of all networks, instead of what each has")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default="", help="only settings whose title has this")
    options = parser.parse_args()
    for title, (modality, dataset, model, settings) in SETTINGS.items():
        if options.only not in title:
            continue
        if options.width:
            model = {**model, "generator_width": options.width, "discriminator_width": options.width}
        with tempfile.TemporaryDirectory() as folder:
            settings = {**settings, "penalty_every": STEPS, "model": model}
            run = Run(configure(modality, dataset=dataset, output=f"{folder}/run", tracker="none", **settings))
            batch, count = batches(run), iter(range(10**9))
            ways = {
                "engine": four(lambda _, run=run, count=count: run.state.meter.add(run.play(next(count))), False),
                "bare": bare(run, batch, run.modality.generator(), run.modality.discriminator()),
                "textbook": textbook(run, batch, run.modality.generator(), run.modality.discriminator()),
            }
            times = timed(ways, options.rounds, clock=time.process_time)
        table(f"{STEPS} steps, batch {run.training.batch_size}: {title}", times, "bare")
        print(f"\nthe engine is {ratio(times, 'textbook', 'engine')} times as fast as the textbook loop", flush=True)


if __name__ == "__main__":
    main()
