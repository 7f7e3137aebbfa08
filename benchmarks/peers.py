"""A peer's own training step beside ours: its networks and its step, from a checkout of its public repository.

    OMP_NUM_THREADS=1 uv run benchmarks/peers.py --checkout FOLDER [--rounds 8]

FOLDER is a checkout of one of these, which is told by its files:

- github.com/huggingface/community-events: DCGAN at 64 x 64, in huggan/pytorch/dcgan. Its networks are imported; the
  base class that uploads them to the Hub is replaced, as it needs an older huggingface_hub. Its step stands within a
  function that trains to the end, so `huggan` below goes through the same operations in the same order.
- github.com/mostafaelaraby/wavegan-pytorch: WaveGAN-GP on 16,384 samples. Its networks, losses and optimizers are
  imported; what it reads and plots sounds with is replaced by empty modules, and its loop by the same calls.
- github.com/junyanz/pytorch-CycleGAN-and-pix2pix, of August 2025 or later: pix2pix and CycleGAN at 64 x 64, with its
  own models, pools and steps. Its smallest U-Net is for 128 x 128, so one with a level less is built of its blocks. Our
  engine trains its networks as well, with the same losses, so that the arithmetic is the same.

Ours has the same sizes and batch, and all that a run does in a step. The peer's batches are in memory, so neither its
data loader nor its logging counts. Unless the table says so, the networks are not the same: each is the peer's, or
ours. So the operations of a step are counted as well, and the last column is the ratio of the times that both would
take for as many. A round is four steps.
"""

import argparse
import contextlib
import importlib
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import datasets
import numpy
import torch
from interleaved import Times, flops, ratio, timed
from torch import Tensor, nn

from multigan import configure
from multigan.interface import DiscriminatorOutput
from multigan.modalities.audio import Audio
from multigan.modalities.image_to_image import ImageToImage
from multigan.networks.resnet import TwoWayGenerator
from multigan.training.run import Run

STEPS, LENGTH = 4, 16384
PENALTY = {"r1": 1.0, "r2": 0.0, "penalty_every": STEPS}
Ways = dict[str, Callable[[], object]]


def ours(modality: str, folder: str, **settings: Any) -> Callable[[], object]:
    """Steps of a run."""
    run = Run(configure(modality, output=folder, tracker="none", **settings))
    count = iter(range(10**9))
    return lambda: [run.state.meter.add(run.play(next(count))) for _ in range(STEPS)]


def stand_in(name: str, **contents: Any) -> None:
    """Put an empty module where the peer imports one that a step does not need."""
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


# --- DCGAN ---


def huggan(checkout: Path, batch: int, width: int) -> Callable[[], None]:
    sys.path.insert(0, str(checkout))
    stand_in("huggan.pytorch.huggan_mixin", HugGANModelHubMixin=type("HugGANModelHubMixin", (), {}))
    networks = importlib.import_module("huggan.pytorch.dcgan.modeling_dcgan")
    generator = networks.Generator(num_channels=3, latent_dim=100, hidden_size=width)
    discriminator = networks.Discriminator(num_channels=3, hidden_size=width)
    for layer in [*generator.modules(), *discriminator.modules()]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    loss_of = nn.BCELoss()
    to_train = discriminator, generator
    optimizers = [torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in to_train]
    pictures = torch.rand(256, 3, 64, 64) * 2 - 1

    def judge(samples: Tensor, target: Tensor) -> None:
        """Loss, backward, and the mean read, as it does three times in a step."""
        output = discriminator(samples).view(-1)
        loss_of(output, target).backward()
        output.mean().item()

    def step() -> None:
        discriminator.zero_grad()
        real = pictures[torch.randint(len(pictures), (batch,))]
        target = torch.full((batch,), 1.0)
        judge(real, target)
        fake = generator(torch.randn(batch, 100, 1, 1))
        judge(fake.detach(), target.fill_(0.0))
        optimizers[0].step()
        generator.zero_grad()
        judge(fake, target.fill_(1.0))
        optimizers[1].step()

    return lambda: [step() for _ in range(STEPS)]


def dcgan(checkout: Path, folder: str, batch: int, width: int) -> Ways:
    model = {"architecture": "dcgan", "resolution": 64, "channels": 3, "latent_dim": 100}
    model |= {"generator_width": width, "discriminator_width": width}
    settings = {"objective": "non_saturating", "batch_size": batch, "model": model}
    return {
        "huggan": huggan(checkout, batch, width),
        "ours": ours("image", f"{folder}/plain", **settings, r1=0.0, r2=0.0),
        "ours, R1 in every fourth step": ours("image", f"{folder}/r1", **settings, **PENALTY),
    }


# --- WaveGAN ---


class Batches:
    """What the peer takes for its data loader: noise, from memory."""

    def __init__(self, batch: int) -> None:
        self.sounds, self.batch = torch.rand(256, 1, LENGTH) * 2 - 1, batch

    def __len__(self) -> int:
        return len(self.sounds)

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        return self.sounds[torch.randint(len(self.sounds), (self.batch,))]


def wavegan_pytorch(checkout: Path, batch: int, width: int) -> Callable[[], None]:
    for name in ("librosa", "librosa.display", "pescador"):
        stand_in(name)
    sys.path.insert(0, str(checkout))
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it creates an output folder when imported
        settings = importlib.import_module("params")
        os.chdir(before)
    settings.window_length, settings.batch_size, settings.model_capacity_size = LENGTH, batch, width
    script = importlib.import_module("train")
    batches = Batches(batch)
    peer = script.WaveGan_GP(batches, batches)

    def step() -> None:
        peer.enable_disc_disable_gen()
        for _ in range(settings.n_critic):
            real = next(batches)
            fake = peer.generator(script.sample_noise(batch * settings.generator_batch_size_factor))
            peer.apply_zero_grad()
            cost, _ = peer.calculate_discriminator_loss(real.data, fake.data)
            assert not torch.isnan(cost)
            cost.backward()
            peer.optimizer_d.step()
        peer.apply_zero_grad()
        peer.enable_gen_disable_disc()
        fake = peer.generator(script.sample_noise(batch * settings.generator_batch_size_factor))
        (-peer.discriminator(fake).mean()).backward()
        peer.optimizer_g.step()
        peer.disable_all()

    return lambda: [step() for _ in range(STEPS)]


def noise() -> datasets.Dataset:
    """256 sounds of noise: what is learned does not matter here."""
    values = numpy.random.default_rng(0).uniform(-1, 1, (256, LENGTH)).astype("float32")
    return datasets.Dataset.from_dict({"audio": [{"array": one, "sampling_rate": 16000} for one in values]})


def wavegan(checkout: Path, folder: str, batch: int, width: int) -> Ways:
    Audio.builtin_datasets = {"noise": noise}
    model = {"architecture": "wavegan", "length": LENGTH, "sampling_rate": 16000, "latent_dim": 100}
    model |= {"generator_width": width, "discriminator_width": width}
    rules = {"objective": "wasserstein", "wgan_gp": 10.0, "r1": 0.0, "r2": 0.0, "betas": (0.5, 0.9)}
    return {
        "wavegan-pytorch": wavegan_pytorch(checkout, batch, width),
        "ours": ours("audio", f"{folder}/run", dataset="noise", batch_size=batch, model=model, **rules),
    }


# --- pictures from pictures ---

SIDE, POOL = 64, 50
L1, CYCLE, IDENTITY = 100.0, 10.0, 0.5  # the peer's defaults; the last is a share of the one before


class Translator(nn.Module):
    """One of the peer's generators, as the engine calls it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        return self.network(condition)


class Judge(Translator):
    """Its discriminator of pix2pix, which is told the input."""

    def forward(self, samples: Tensor, condition: Tensor) -> Tensor:
        return self.network(torch.cat((condition, samples), 1))


class Judges(nn.Module):
    """Its two discriminators of CycleGAN."""

    unconditional = True

    def __init__(self, of_a: nn.Module, of_b: nn.Module) -> None:
        super().__init__()
        self.of_a, self.of_b = of_a, of_b

    def forward(self, samples: Tensor, condition: Tensor) -> DiscriminatorOutput:
        a, b = samples.chunk(2, 1)
        return DiscriminatorOutput((self.of_a(a), self.of_b(b)))


def junyanz(checkout: Path, model: str, width: int, **settings: Any) -> Any:
    """A model of the peer, with its default settings."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    models, networks = importlib.import_module("models"), importlib.import_module("models.networks")

    def unet(inputs: int, outputs: int, width: int, _: str, norm: str, dropout: bool, *start: Any) -> nn.Module:
        levels = SIDE.bit_length() - 1
        return networks.init_net(
            networks.UnetGenerator(inputs, outputs, levels, width, networks.get_norm_layer(norm), dropout), *start
        )

    common = {
        "isTrain": True,
        "netG": "",
        "device": torch.device("cpu"),
        "checkpoints_dir": "",
        "name": "",
        "preprocess": "none",
    }
    common |= {"model": model, "input_nc": 3, "output_nc": 3, "ngf": width, "ndf": width, "netD": "basic"}
    common |= {"n_layers_D": 3, "init_type": "normal", "init_gain": 0.02, "lr": 2e-4, "beta1": 0.5}
    options = types.SimpleNamespace(**{**common, "direction": "AtoB", **settings})
    with mock.patch.object(networks, "define_G", unet) if model == "pix2pix" else contextlib.nullcontext():
        return models.create_model(options)


def its_steps(peer: Any, batch: int) -> Callable[[], object]:
    """Steps of a model of the peer, on pictures in memory."""
    pictures = torch.rand(2, 256, 3, SIDE, SIDE) * 2 - 1

    def step() -> None:
        a, b = (side[torch.randint(len(side), (batch,))] for side in pictures)
        peer.set_input({"A": a, "B": b, "A_paths": [], "B_paths": []})
        peer.optimize_parameters()

    return lambda: [step() for _ in range(STEPS)]


def with_its_networks(
    generator: nn.Module, discriminator: nn.Module, folder: str, **settings: Any
) -> Callable[[], object]:
    """Steps of a run that trains networks of the peer."""
    players = {"generator": lambda self: generator, "discriminator": lambda self: discriminator}
    with mock.patch.multiple(ImageToImage, **players):
        return ours("image-to-image", folder, **settings)


def pix2pix(checkout: Path, folder: str, batch: int, width: int) -> Ways:
    peers = [
        junyanz(checkout, "pix2pix", width, norm="batch", no_dropout=False, gan_mode="vanilla", lambda_L1=L1)
        for _ in range(2)
    ]
    model = {"task": "paired", "resolution": SIDE, "channels": 3, "input_channels": 3, "l1": L1}
    model |= {"depth": SIDE.bit_length() - 1, "generator_width": width, "discriminator_width": width}
    settings = {"objective": "non_saturating", "batch_size": batch, "r1": 0.0, "r2": 0.0, "model": model}
    return {
        "junyanz": its_steps(peers[0], batch),
        "ours, with its networks": with_its_networks(
            Translator(peers[1].netG), Judge(peers[1].netD), f"{folder}/pix2pix-its", **settings
        ),
        "ours": ours("image-to-image", f"{folder}/pix2pix", **settings),
    }


def cyclegan(checkout: Path, folder: str, batch: int, width: int) -> Ways:
    rules = {"norm": "instance", "no_dropout": True, "netG": "resnet_6blocks", "gan_mode": "lsgan", "pool_size": POOL}
    weights = {"lambda_A": CYCLE, "lambda_B": CYCLE, "lambda_identity": IDENTITY}
    peers = [junyanz(checkout, "cycle_gan", width, **rules, **weights) for _ in range(2)]
    model = {"task": "unpaired", "resolution": SIDE, "channels": 3, "cycle": CYCLE, "identity": CYCLE * IDENTITY}
    model |= {"blocks": 6, "generator_width": width, "discriminator_width": width}
    settings = {"objective": "least_squares", "batch_size": batch, "r1": 0.0, "r2": 0.0, "replay": POOL, "model": model}
    generator = TwoWayGenerator(Translator(peers[1].netG_B), Translator(peers[1].netG_A), 3)
    discriminator = Judges(peers[1].netD_B, peers[1].netD_A)
    return {
        "junyanz": its_steps(peers[0], batch),
        "ours, with its networks": with_its_networks(generator, discriminator, f"{folder}/cyclegan-its", **settings),
        "ours": ours("image-to-image", f"{folder}/cyclegan", **settings),
    }


# File by which a peer is told -> of each thing that is timed the name, what makes it, batch and width.
PEERS: dict[str, list[tuple[str, Callable[[Path, str, int, int], Ways], int, int]]] = {
    "huggan/pytorch/dcgan/modeling_dcgan.py": [("DCGAN at 64 x 64", dcgan, 32, 64)],
    "models.py": [("WaveGAN-GP, 16,384 samples", wavegan, 16, 32)],
    "models/cycle_gan_model.py": [
        ("pix2pix at 64 x 64", pix2pix, 8, 32),
        ("CycleGAN at 64 x 64, 6 blocks", cyclegan, 1, 16),
    ],
}
NEEDED = {
    "models.py": ("train.py", "params.py", "utils.py"),
    "models/cycle_gan_model.py": ("models/pix2pix_model.py", "models/networks.py", "util/image_pool.py"),
}


def report(title: str, times: Times, operations: dict[str, int]) -> None:
    """Print the ratios of the peer, the first, to each of ours."""
    peer = next(iter(times))
    print(f"\n{title}\n\n| | GFLOP in a step | {peer} over it, time (quartiles) | the same for as many FLOP |")
    print("|---|---|---|---|")
    for name in times:
        same = {one: [time / operations[one] for time in times[one]] for one in (peer, name)}
        ratios = ratio(times, peer, name), ratio(same, peer, name)
        print(f"| {name} | {operations[name] / STEPS / 1e9:.1f} | {' | '.join(ratios)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    checkout = options.checkout.resolve()
    found = [file for file in PEERS if all((checkout / name).is_file() for name in (file, *NEEDED.get(file, ())))]
    if not found:
        expected = " or ".join(", ".join((file, *NEEDED.get(file, ()))) for file in PEERS)
        print(f"{parser.prog}: error: {checkout} is no checkout of a known peer: expected {expected}", file=sys.stderr)
        sys.exit(2)
    for title, make, batch, width in PEERS[found[0]]:
        batch, width = options.batch or batch, options.width or width
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            ways = make(checkout, folder, batch, width)
            operations = {name: flops(way) for name, way in ways.items()}
            times = timed(ways, options.rounds, clock=time.process_time)
        report(f"{title}, width {width}, batch {batch}", times, operations)


if __name__ == "__main__":
    main()
