"""What two processes make of a game, with a protection of the engine and without it: figures, as JSON.

    ACCELERATE_USE_CPU=true python -m torch.distributed.run --nproc_per_node 2 two.py FIGURES.json

`test_traps` starts it once and reads the figures. An error is how far the way of the weights from where they start is
from the way that they go in one process; a drift is how far the weights of the two processes are apart. Both relative.
"""

import dataclasses
import json
import math
import sys
from pathlib import Path

import torch
from test_step import BATCH, CPU, LATENT, build, sgd
from torch import nn
from torch.nn.functional import softplus

from multigan.engine import distributed, launch
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.rng import BatchRandom
from multigan.engine.shell import NetworkShell
from multigan.engine.step import Game
from multigan.errors import UserError
from multigan.networks import convolutional

STEPS = 3
PICTURES = 32  # two groups of the generator's batch normalisation


# --- the engine without its protections (a game is frozen, so what these keep goes past its fields) ---


class TwoBackwards(Game):
    """Forward, forward, backward, backward: real and fake each have a scalar of their own."""

    def discriminator_phase(self, micro_batches):
        (batch,) = micro_batches
        real = self.wrapped_discriminator(self.augment(batch.real, batch.augmentation), batch.condition)
        fake = self.wrapped_discriminator(self.augment(batch.fake.detach(), batch.augmentation), batch.condition)
        self.backward(softplus(-real).mean(), 1)
        self.backward(softplus(fake).mean(), 1)
        return self.update("discriminator", self.discriminator, self.discriminator_optimizer)


class PenaltyOnItsOwn(Game):
    """The penalty is no part of the scalar that goes through the wrapper, and has a backward to itself."""

    def penalty(self, real, fake, batch, *logits):
        self.__dict__["rest"] = super().penalty(real, fake, batch)
        return real.new_zeros(())

    def backward(self, loss, parts, inputs=None):
        super().backward(loss, parts, inputs)
        if "rest" in self.__dict__:
            super().backward(self.__dict__.pop("rest"), parts, inputs)


class PenaltyOfItsOwnForward(Game):
    """The penalty does not share the forward pass of the logits, and takes the network itself."""

    def penalty(self, real, fake, batch, *logits):
        return super().penalty(real, fake, batch)


class LossAsItIs(Game):
    """A loss that is not finite is taken back like any other."""

    def backward(self, loss, parts, inputs=None):
        self.accelerator.backward(loss / parts, inputs=inputs)


class EachForItself(LossAsItIs):
    """Each process drops the updates for which its own loss is not finite."""

    def backward(self, loss, parts, inputs=None):
        super().backward(loss, parts, inputs)
        self.__dict__["lost"] = not loss.isfinite()

    def update(self, player, network, optimizer):
        if self.__dict__["lost"]:
            optimizer.zero_grad()
        return super().update(player, network, optimizer)


class DrawsOfEachProcess(BatchRandom):
    """Latents from PyTorch's own random numbers, which every process starts alike."""

    def normal(self, purpose, step, rows, count):
        return torch.randn(rows.stop - rows.start, count)


# --- figures ---


def alone(game):
    """The game in one process: unwrapped players, all rows."""
    players = {f"wrapped_{name}": NetworkShell(getattr(game, name)) for name in ("generator", "discriminator")}
    return dataclasses.replace(game, **players, batch_slice=slice(0, game.random.batch_size))


def turned(game, kind):
    """The same game with other methods."""
    return kind(**{field.name: getattr(game, field.name) for field in dataclasses.fields(game)})


def vector(game):
    networks = (game.generator, game.discriminator)
    return torch.cat([weight.detach().flatten() for network in networks for weight in network.parameters()])


def way(game, steps=STEPS):
    """From the first weights to the last, as one vector."""
    start = vector(game)
    torch.manual_seed(0)
    for number in range(steps):
        game.step(number)
    return vector(game) - start


def error(one, two):
    expected = way(alone(one))
    return ((way(two) - expected).norm() / expected.norm()).item()


def drift(game):
    first, second = game.accelerator.gather(vector(game)[None])
    return ((second - first).norm() / first.norm()).item()


def pictures(accelerator):
    """A game of small convolutional networks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = {
            "generator": convolutional.ConvolutionalGenerator(LATENT, 1, (8, 8), 2, classes=0),
            "discriminator": convolutional.ConvolutionalDiscriminator(1, (8, 8), 2, classes=0),
        }
    parts = dict(networks)
    for name, network in networks.items():
        parts[f"wrapped_{name}"], parts[f"{name}_optimizer"] = distributed.prepare(accelerator, network, sgd(network))
    return dataclasses.replace(
        build(accelerator),
        **parts,
        random=BatchRandom(7, PICTURES, CPU),
        batches=lambda number, rows: (torch.linspace(-1, 1, PICTURES * 64).view(-1, 1, 8, 8)[rows], None),
        augment=lambda samples, numbers: samples,
        batch_slice=distributed.share(PICTURES, 1, accelerator),
    )


def backwards(accelerator):
    for name, kind in (("with", Game), ("without", TwoBackwards)):
        game = turned(build(accelerator), kind)
        yield f"backwards, error {name}", error(build(accelerator), game)
        yield f"backwards, drift {name}", drift(game)
        try:
            distributed.check_weights(accelerator, {"generator": game.generator, "discriminator": game.discriminator})
            yield f"backwards, found {name}", ""
        except UserError as problem:
            yield f"backwards, found {name}", str(problem)


def with_penalty(accelerator):
    for name, kind in (("with", Game), ("on its own", PenaltyOnItsOwn), ("apart", PenaltyOfItsOwnForward)):
        game = turned(build(accelerator, r1=0.5), kind)
        yield f"penalty, error {name}", error(build(accelerator, r1=0.5), game)
        yield f"penalty, drift {name}", drift(game)
    static = launch.start("none", Path())
    static.ddp_handler = dataclasses.replace(accelerator.ddp_handler, static_graph=True)
    for name, kind in (("static", Game), ("static and apart", PenaltyOfItsOwnForward)):
        game = turned(build(static, r1=0.5), kind)
        yield f"penalty, error {name}", error(build(accelerator, r1=0.5), game)
        yield f"penalty, drift {name}", drift(game)
    yield "penalty, static graph of a run", accelerator.ddp_handler.static_graph


def normalisation(accelerator):
    yield "normalisation, error with", error(pictures(accelerator), pictures(accelerator))
    convolutional.GhostBatchNorm2d = nn.BatchNorm2d
    yield "normalisation, error without", error(pictures(accelerator), pictures(accelerator))


def latents(accelerator):
    for name, kind in (("with", BatchRandom), ("without", DrawsOfEachProcess)):
        one, two = (dataclasses.replace(build(accelerator), random=kind(7, BATCH, CPU)) for _ in range(2))
        yield f"latents, error {name}", error(one, two)


def lost_loss(accelerator):
    """The second process's loss is infinite, and its slope is not."""
    plain = OBJECTIVES["hinge"]
    lost = math.inf if accelerator.process_index == 1 else 0.0
    objective = plain._replace(discriminator=lambda real, fake: plain.discriminator(real, fake) + lost)
    for name, kind in (("with", Game), ("without", LossAsItIs), ("each for itself", EachForItself)):
        game = turned(build(accelerator, objective), kind)
        before = torch.cat([weight.detach().flatten() for weight in game.discriminator.parameters()])
        metrics = game.step(0)
        after = torch.cat([weight.detach().flatten() for weight in game.discriminator.parameters()])
        dropped = accelerator.gather(metrics["discriminator_dropped"][None])
        yield f"lost, dropped {name}", dropped.tolist()
        yield f"lost, moved {name}", accelerator.gather((after - before).norm()[None]).tolist()
        yield f"lost, drift {name}", drift(game)


def main():
    torch.set_default_dtype(torch.float64)
    accelerator = launch.start("none", Path())
    parts = (backwards, with_penalty, latents, lost_loss, normalisation)
    figures = {name: figure for part in parts for name, figure in part(accelerator)}
    if accelerator.is_main_process:
        Path(sys.argv[1]).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
