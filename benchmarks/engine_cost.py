"""What the engine costs over a bare loop, and gains over the textbook one, at 64 x 64.

    OMP_NUM_THREADS=1 uv run benchmarks/engine_cost.py [--batch 32] [--rounds 40]

All three train the same DCGAN networks with the same loss on the same pictures:

- engine: a step of a run, with its cache, random numbers, moving average and metrics;
- bare: the same step by hand with the same tricks (fakes made once, the discriminator frozen while G
  learns, fused Adam, channels last) and nothing else;
- textbook: fresh fakes in each phase, nothing frozen, PyTorch's default layout and Adam.
"""

import argparse
import tempfile
from collections.abc import Callable

import torch
from interleaved import ratio, table, timed
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from multigan import configure
from multigan.data.cache import cached
from multigan.training.run import Run


def bare(generator: nn.Module, discriminator: nn.Module, pictures: torch.Tensor, batch: int) -> Callable[[], None]:
    generator.to(memory_format=torch.channels_last)
    discriminator.to(memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.99), fused=True) for net in (generator, discriminator)
    ]

    def step() -> None:
        real = pictures[torch.randint(len(pictures), (batch,))].float() / 127.5 - 1
        fake = generator(torch.randn(batch, 64), None)
        loss = softplus(-discriminator(real, None)).mean() + softplus(discriminator(fake.detach(), None)).mean()
        loss.backward()
        optimizers[1].step()
        optimizers[1].zero_grad()
        discriminator.requires_grad_(False)
        softplus(-discriminator(fake, None)).mean().backward()
        discriminator.requires_grad_(True)
        optimizers[0].step()
        optimizers[0].zero_grad()

    return step


def textbook(generator: nn.Module, discriminator: nn.Module, pictures: torch.Tensor, batch: int) -> Callable[[], None]:
    optimizers = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.99)) for net in (generator, discriminator)]
    ones, zeros = torch.ones(batch), torch.zeros(batch)

    def step() -> None:
        real = pictures[torch.randint(len(pictures), (batch,))].float() / 127.5 - 1
        optimizers[1].zero_grad()
        fake = generator(torch.randn(batch, 64), None)
        real_loss = binary_cross_entropy_with_logits(discriminator(real, None), ones)
        (real_loss + binary_cross_entropy_with_logits(discriminator(fake.detach(), None), zeros)).backward()
        optimizers[1].step()
        optimizers[0].zero_grad()
        fake = generator(torch.randn(batch, 64), None)
        binary_cross_entropy_with_logits(discriminator(fake, None), ones).backward()
        optimizers[0].step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = {"architecture": "dcgan", "resolution": 64, "generator_width": 64, "discriminator_width": 64}
        rules = {"objective": "non_saturating", "r1": 0.0, "r2": 0.0, "batch_size": options.batch}
        run = Run(configure("image", output=f"{folder}/run", tracker="none", model=model, **rules))
        pictures = torch.from_numpy(cached(run.modality.builtin_datasets["digits"](), run.modality, False).real[:])
        count = iter(range(10**9))
        by_hand = [
            make(run.modality.generator(), run.modality.discriminator(), pictures, options.batch)
            for make in (bare, textbook)
        ]
        ways = {
            "engine": lambda: run.state.meter.add(run.play(next(count))),
            "bare": by_hand[0],
            "textbook": by_hand[1],
        }
        times = timed(ways, options.rounds)
    table(f"one step, DCGAN at 64 x 64, batch {options.batch}", times, "bare")
    print(f"\nthe engine is {ratio(times, 'textbook', 'engine')} times as fast as the textbook loop")


if __name__ == "__main__":
    main()
