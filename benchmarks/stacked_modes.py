"""How many of the 1,000 modes of stacked digits a generator finds: Metz et al. 2016, arXiv:1611.02163, appendix D.

    uv run benchmarks/stacked_modes.py [--mnist FOLDER] [--seconds 60] [--samples 25600] [--width 64]

A picture has three random digits of MNIST in its red, green and blue channels. A classifier of digits names the mode
that a generated one belongs to, 0 to 999. Counted are the modes among the samples, and in nats the divergence of their
distribution from the uniform one, KL(generated || uniform). Real pictures are counted in the same way, for comparison.

Published, of 1,000: 99 modes for DCGAN (Lin et al. 2018, arXiv:1712.04086), and all for the relativistic loss with R1
and R2 (Huang et al. 2024, arXiv:2501.05441). Both networks, the size of the data and the length of training were other
ones there. Without MNIST, a folder of Parquet files, the 1,797 digits of scikit-learn are stacked.
"""

import argparse
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from os import getpid, kill
from pathlib import Path
from signal import SIGTERM
from typing import Any

import numpy
import torch
from accelerate.state import AcceleratorState, GradientState
from sections import Row, attempts, table

import multigan
from multigan import registry
from multigan.data.cache import cached
from multigan.data.load import load
from multigan.evaluation.classifier import Classifier, train_classifier
from multigan.networks.convolutional import ConvolutionalFeatures
from multigan.training.run import Run

SIDE, DIGITS, STACKED = 32, 10, 25_600
HELD_OUT = 0.1  # of the digits, on which the classifier is tested
PLAIN = {"objective": "non_saturating", "r1": 0.0, "r2": 0.0}
DCGAN = {"generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4, "betas": (0.5, 0.999)}
GAMES: dict[str, dict[str, Any]] = {
    "DCGAN: non-saturating, no penalty": {**PLAIN, **DCGAN},
    "relativistic, R1 and R2": {},
}


def train_for(seconds: float, config: multigan.TrainingConfig) -> tuple[Path, int]:
    """Train for some time, and as `multigan train` stops when it is told to; the folder and the steps done."""
    run = Run(config)
    timer = threading.Timer(seconds, kill, (getpid(), SIGTERM))
    timer.start()
    try:
        with suppress(SystemExit):  # how a run that is told to stop ends
            run.train()
    finally:
        timer.cancel()
        forget_launch()
    return run.folder, run.state.step


def forget_launch() -> None:
    """Let the next run of this process have another device or precision."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def digits(mnist: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits ``(N, 1, 32, 32)`` as integers, in random order, and which they are."""
    plugin = registry.load("image")
    modality = plugin(plugin.Config(resolution=SIDE, channels=1))
    data = cached(load(modality, mnist or "digits", None, "train", False), modality, False)
    assert data.label is not None
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(numpy.array(data.real))[order], torch.from_numpy(numpy.array(data.label))[order]


def modes(classifier: Classifier, pictures: torch.Tensor) -> torch.Tensor:
    """The mode, 0 to 999, of each picture ``(b, 3, 32, 32)`` in [-1, 1]."""
    with torch.no_grad():
        digit = classifier(pictures.flatten(0, 1)[:, None]).argmax(1).view(-1, 3)
    return digit @ torch.tensor([100, 10, 1], device=digit.device)


def counted(found: torch.Tensor) -> Row:
    """The modes among those of some pictures, and their divergence from the uniform distribution."""
    shares = torch.bincount(found.cpu(), minlength=1000).double() / len(found)
    return {"modes": int((shares > 0).sum()), "KL": torch.special.xlogy(shares, 1000 * shares).sum().item()}


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Real stacked digits, and those of each game."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    single, labels = digits(options.mnist)

    def sample(encoded: torch.Tensor) -> torch.Tensor:
        return encoded.float() / 127.5 - 1

    split = int(len(single) * HELD_OUT)
    classifier = train_classifier(
        lambda: ConvolutionalFeatures(1, (SIDE, SIDE), 32),
        single[split:],
        labels[split:],
        DIGITS,
        sample,
        passes=max(3, 50_000 // len(single)),
        batch_size=128,
        device=device,
    )
    with torch.no_grad():
        right = classifier(sample(single[:split].to(device))).argmax(1).cpu() == labels[:split]
    chosen = torch.randint(len(single), (STACKED, 3), generator=torch.Generator().manual_seed(1))
    stacked = single[:, 0][chosen]
    few = torch.split(stacked[: options.samples], 512)
    real = torch.cat([modes(classifier, sample(part.to(device))) for part in few])
    name = "MNIST" if options.mnist else "the built-in digits, not MNIST"
    yield {"": f"real pictures: {name}", **counted(real), "classifier's accuracy": right.double().mean().item()}
    folder = Path(tempfile.mkdtemp())
    numpy.savez(folder / "stacked.npz", images=stacked.permute(0, 2, 3, 1).numpy())

    def play(number: int, settings: dict[str, Any]) -> Row:
        model = {"architecture": "dcgan", "latent_dim": 128}
        model |= {"generator_width": options.width, "discriminator_width": options.width}
        config = multigan.configure(
            "image",
            dataset=str(folder / "stacked.npz"),
            output=str(folder / f"run-{number}"),
            tracker="none",
            steps=10**6,
            batch_size=64,
            sample_every=10**6,
            checkpoint_every=10**6,
            learning_rate_schedule="constant",
            model=model,
            **settings,
        )
        trained, steps = train_for(options.seconds, config)
        generator = multigan.load(trained)
        generator.network.to(device)
        found = [modes(classifier, batch.to(device)) for batch in generator.batches(options.samples)]
        return {**counted(torch.cat(found)), "steps of 64": steps}

    yield from attempts({name: lambda n=n, s=s: play(n, s) for n, (name, s) in enumerate(GAMES.items())})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", help="a folder of MNIST as Parquet files")
    parser.add_argument("--seconds", type=float, default=60, help="of training, for each of the two")
    parser.add_argument("--samples", type=int, default=25_600, help="generated pictures whose modes are counted")
    parser.add_argument("--width", type=int, default=64, help="of both networks")
    print(table(list(rows(parser.parse_args()))))


if __name__ == "__main__":
    main()
