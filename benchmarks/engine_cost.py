"""What the engine costs over a bare loop, and gains over a textbook one, at 64 x 64.

    OMP_NUM_THREADS=1 uv run benchmarks/engine_cost.py [--batch 32] [--rounds 10]

Twice: as pictures train by default (the relativistic loss, and R1 and R2 in every fourth step), and with the
non-saturating loss alone. A round is four steps, one of which has the penalties. All three loops train the same DCGAN
networks with the same losses and penalties on the same pictures:

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

import numpy
import torch
from interleaved import ratio, table, timed
from torch import Tensor, nn

from multigan import configure
from multigan.data.cache import cached
from multigan.engine.objectives import OBJECTIVES
from multigan.training.run import Run

STEPS = 4
SETTINGS = {
    "the defaults: relativistic, R1 and R2 in every fourth step": {"penalty_every": STEPS},
    "non-saturating, no penalties": {"objective": "non_saturating", "r1": 0.0, "r2": 0.0},
}


def squared_slope(logits: Tensor, samples: Tensor) -> Tensor:
    """R1 or R2, by hand."""
    (slope,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def bare(run: Run, pictures: Tensor, generator: nn.Module, discriminator: nn.Module) -> Callable[[], None]:
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
    weights = list(discriminator.parameters())

    def step(penalize: bool) -> None:
        real = pictures[torch.randint(len(pictures), (settings.batch_size,))].float() / 127.5 - 1
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), None)
        shown = [real.requires_grad_(penalize), fake.detach().requires_grad_(penalize)]
        logits = [discriminator(samples, None) for samples in shown]
        loss = objective.discriminator(*logits)
        if penalize:
            for weight, *pair in zip((settings.r1, settings.r2), logits, shown, strict=True):
                loss = loss + STEPS * weight * squared_slope(*pair)
        loss.backward(inputs=weights)
        optimizers[1].step()
        optimizers[1].zero_grad()
        discriminator.requires_grad_(False)
        with torch.no_grad():
            real_logits = discriminator(real, None) if objective.generator_sees_real else None
        objective.generator(real_logits, discriminator(fake, None)).backward()
        discriminator.requires_grad_(True)
        optimizers[0].step()
        optimizers[0].zero_grad()

    return four(step, settings.r1 > 0)


def textbook(run: Run, pictures: Tensor, generator: nn.Module, discriminator: nn.Module) -> Callable[[], None]:
    settings, objective = run.training, OBJECTIVES[run.training.objective]
    optimizers = [
        torch.optim.Adam(network.parameters(), settings.generator_learning_rate, settings.betas)
        for network in (generator, discriminator)
    ]

    def penalty(discriminator: nn.Module, samples: Tensor) -> Tensor:
        samples = samples.detach().requires_grad_()
        return squared_slope(discriminator(samples, None), samples)

    def step(penalize: bool) -> None:
        real = pictures[torch.randint(len(pictures), (settings.batch_size,))].float() / 127.5 - 1
        optimizers[1].zero_grad()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), None).detach()
        loss = objective.discriminator(discriminator(real, None), discriminator(fake, None))
        if penalize:
            penalties = settings.r1 * penalty(discriminator, real) + settings.r2 * penalty(discriminator, fake)
            loss = loss + STEPS * penalties
        loss.backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        fake = generator(torch.randn(settings.batch_size, run.game.latent_dim), None)
        with torch.no_grad():  # a loop without it would be slower still
            real_logits = discriminator(real, None) if objective.generator_sees_real else None
        objective.generator(real_logits, discriminator(fake, None)).backward()
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
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    model = {"architecture": "dcgan", "resolution": 64}
    model |= {"generator_width": options.width, "discriminator_width": options.width}
    for title, settings in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            output = f"{folder}/run"
            run = Run(
                configure("image", output=output, tracker="none", model=model, batch_size=options.batch, **settings)
            )
            data = cached(run.modality.builtin_datasets["digits"](), run.modality, skip_corrupt=False)
            pictures = torch.from_numpy(numpy.array(data.real))
            count = iter(range(10**9))
            ways = {
                "engine": four(lambda _, run=run, count=count: run.state.meter.add(run.play(next(count))), False),
                "bare": bare(run, pictures, run.modality.generator(), run.modality.discriminator()),
                "textbook": textbook(run, pictures, run.modality.generator(), run.modality.discriminator()),
            }
            times = timed(ways, options.rounds, clock=time.process_time)
        table(f"{STEPS} steps, DCGAN at 64 x 64, batch {options.batch}: {title}", times, "bare")
        print(f"\nthe engine is {ratio(times, 'textbook', 'engine')} times as fast as the textbook loop", flush=True)


if __name__ == "__main__":
    main()
