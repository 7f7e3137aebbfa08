"""How fast a step of WaveGAN is, beside the plain step of public ports, and beside a bare loop of the same networks.

    OMP_NUM_THREADS=1 uv run benchmarks/wavegan_speed.py [--rounds 5] [--critic_steps 1 5]

16,384 samples, model size 32, batch 16, WGAN-GP, all in turn:

- engine: a step of a run, with its cache, random numbers, phase shuffle, moving average and metrics;
- bare: the same step by hand with the same networks and tricks, and nothing else;
- ports: nearest upsampling by four and a convolution of 25 taps in the generator, PyTorch's leaky ReLU, phase shuffle
  by a loop over the samples, fresh fakes in each phase, nothing frozen, Adam as PyTorch has it by default.

And the critic's step alone, with phase shuffle over without.
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import pairwise

import datasets
import numpy
import torch
from interleaved import ratio, table, timed
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pad

from multigan import configure
from multigan.engine.penalties import wgan_gp
from multigan.modalities.audio import Audio
from multigan.modalities.audio.networks import WaveDiscriminator, WaveGenerator
from multigan.training.run import Run

LENGTH, WIDTH, BATCH, LATENT, LEVELS = 16384, 32, 16, 100, 5


class PortGenerator(nn.Module):
    """Upsampling by repetition, then 25 taps at the full rate."""

    def __init__(self) -> None:
        super().__init__()
        widths = [WIDTH * 2**level for level in reversed(range(LEVELS))]
        self.first = nn.Linear(LATENT, widths[0] * 16)
        self.layers = nn.ModuleList(nn.Conv1d(i, o, 25, padding=12) for i, o in pairwise([*widths, 1]))

    def forward(self, latent: Tensor) -> Tensor:
        samples = self.first(latent).view(len(latent), -1, 16)
        for layer in self.layers:
            samples = layer(interpolate(samples.relu(), scale_factor=4, mode="nearest"))
        return samples.tanh()


class PortDiscriminator(nn.Module):
    """PyTorch's leaky ReLU, and phase shuffle sample by sample."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, *(WIDTH * 2**level for level in range(LEVELS))]
        self.layers = nn.ModuleList(nn.Conv1d(i, o, 25, stride=4, padding=11) for i, o in pairwise(widths))
        self.last = nn.Linear(widths[-1] * 16, 1)

    def forward(self, samples: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            samples = leaky_relu(layer(samples), 0.2)
            if number < LEVELS - 1:
                samples = self.shuffle(samples)
        logits: Tensor = self.last(samples.flatten(1)).squeeze(1)
        return logits

    def shuffle(self, samples: Tensor) -> Tensor:
        length, moved = samples.shape[2], []
        for sample, shift in zip(samples, torch.randint(-2, 3, (len(samples),)).tolist(), strict=True):
            moved.append(pad(sample[None], (2, 2), mode="reflect")[0, :, 2 - shift : 2 - shift + length])
        return torch.stack(moved)


def ports(waves: Tensor, critic_steps: int) -> Callable[[], None]:
    generator, critic = PortGenerator(), PortDiscriminator()
    optimizers = [torch.optim.Adam(network.parameters(), 1e-4, (0.5, 0.9)) for network in (generator, critic)]

    def step() -> None:
        for _ in range(critic_steps):
            real = waves[torch.randint(len(waves), (BATCH,))].float() / 32768
            fake = generator(torch.randn(BATCH, LATENT)).detach()
            mix = torch.rand(BATCH, 1, 1)
            between = (mix * real + (1 - mix) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
            optimizers[1].zero_grad()
            (critic(fake).mean() - critic(real).mean() + 10 * penalty).backward()
            optimizers[1].step()
        optimizers[0].zero_grad()
        (-critic(generator(torch.randn(BATCH, LATENT))).mean()).backward()
        optimizers[0].step()

    return step


def bare(waves: Tensor, critic_steps: int) -> Callable[[], None]:
    generator, critic = WaveGenerator(LATENT, 1, LENGTH, WIDTH, 0, 0), WaveDiscriminator(1, LENGTH, WIDTH, 0, 2)
    optimizers = [
        torch.optim.Adam(network.parameters(), 1e-4, (0.5, 0.9), fused=True) for network in (generator, critic)
    ]

    def step() -> None:
        for phase in range(critic_steps):
            last = phase == critic_steps - 1
            numbers = torch.rand(BATCH, LEVELS - 1)
            real = waves[torch.randint(len(waves), (BATCH,))].float() / 32768
            with torch.set_grad_enabled(last):
                fake = generator(torch.randn(BATCH, LATENT), None)
            loss = critic(fake.detach(), None, numbers).mean() - critic(real, None, numbers).mean()
            discriminate = lambda samples, numbers=numbers: critic(samples, None, numbers)  # noqa: E731
            (loss + 10 * wgan_gp(discriminate, real, fake.detach(), torch.rand(BATCH))).backward()
            optimizers[1].step()
            optimizers[1].zero_grad()
        critic.requires_grad_(False)
        (-critic(fake, None, numbers).mean()).backward()
        critic.requires_grad_(True)
        optimizers[0].step()
        optimizers[0].zero_grad()

    return step


def engine(folder: str, critic_steps: int) -> Callable[[], object]:
    rules = {"objective": "wasserstein", "wgan_gp": 10.0, "r1": 0.0, "r2": 0.0, "discriminator_steps": critic_steps}
    model = {"architecture": "wavegan", "length": LENGTH, "sampling_rate": 16000, "latent_dim": 100}
    model |= {"generator_width": WIDTH, "discriminator_width": WIDTH}
    run = Run(
        configure(
            "audio",
            dataset="noise",
            output=f"{folder}/{critic_steps}",
            tracker="none",
            batch_size=BATCH,
            model=model,
            betas=(0.5, 0.9),
            **rules,
        )
    )
    count = iter(range(10**9))
    return lambda: run.state.meter.add(run.play(next(count)))


def critic_step(phase_shuffle: bool) -> Callable[[], None]:
    critic = WaveDiscriminator(1, LENGTH, WIDTH, 0, 2)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-4, (0.5, 0.9), fused=True)
    real, fake = (torch.rand(BATCH, 1, LENGTH) * 2 - 1 for _ in range(2))

    def step() -> None:
        numbers = torch.rand(BATCH, LEVELS - 1) if phase_shuffle else None

        def discriminate(samples: Tensor) -> Tensor:
            logits: Tensor = critic(samples, None, numbers)
            return logits

        loss = (
            discriminate(fake).mean()
            - discriminate(real).mean()
            + 10 * wgan_gp(discriminate, real, fake, torch.rand(BATCH))
        )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def noise() -> datasets.Dataset:
    """256 seconds of noise: what is learned does not matter here."""
    random = numpy.random.default_rng(0)
    sounds = [{"array": random.uniform(-1, 1, LENGTH).astype("float32"), "sampling_rate": 16000} for _ in range(256)]
    return datasets.Dataset.from_dict({"audio": sounds})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--critic_steps", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    Audio.builtin_datasets = {"noise": noise}
    waves = (torch.rand(256, 1, LENGTH) * 65535 - 32768).to(torch.int16)
    with tempfile.TemporaryDirectory() as folder:
        for critic_steps in options.critic_steps:
            steps = {
                "engine": engine(folder, critic_steps),
                "bare": bare(waves, critic_steps),
                "ports": ports(waves, critic_steps),
            }
            times = timed(steps, options.rounds)
            table(f"one step, {critic_steps} of the critic", times, "bare")
            print(f"\nthe engine is {ratio(times, 'ports', 'engine')} times as fast as the ports' step")
    ways = {"without phase shuffle": critic_step(False), "with it": critic_step(True)}
    table("the critic's step alone", timed(ways, 3 * options.rounds), "without phase shuffle")


if __name__ == "__main__":
    main()
