"""How fast text trains and is generated, beside the plain ways of doing it.

    OMP_NUM_THREADS=1 uv run benchmarks/text_speed.py [--rounds 5] [--sentences 100000]

A vocabulary of 5,000, sentences of 20 tokens, batches of 64, all in turn:

- one step of the generator (a relational memory of 512 units) and five of the discriminator: the engine, with its
  cache, noise by latent, moving average and metrics, against the way of the public RelGAN port: uniform noise and
  projection by token with autograd's own gradients, one-hot products for real words, the generator's graph kept and
  gone back through in the discriminator's phase. The port's way runs twice: with the port's discriminator (300 filters
  of one channel over each of 64 embeddings), which is much larger than ours, and with ours (256 filters of each width
  over four embeddings of 64 numbers), so that nothing but the way differs. The engine has R1 and R2 in each step, as
  text trains by default, and once none, as the port has none;
- a step of pretraining, an LSTM of 512 units, against a bare loop over nn.LSTM;
- and memory: what a step takes at most, and what generating many sentences does.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import datasets
import numpy
import torch
from interleaved import flops, ratio, table, timed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softplus

from multigan import TrainedGenerator, configure
from multigan.modalities.text import Text
from multigan.modalities.text.discriminators import ConvolutionalTextDiscriminator
from multigan.modalities.text.generators import RelationalGenerator
from multigan.training.run import Run

VOCABULARY, LENGTH, BATCH, WIDTH, FILTERS, CRITIC_STEPS = 5000, 20, 64, 128, 256, 5
COPY = BATCH * LENGTH * VOCABULARY * 4 / 1e6  # megabytes of one tensor of a batch


class PortDiscriminator(nn.Module):
    """RelGAN's: the same filters over each embedding, a logit for each of them."""

    def __init__(self, embeddings: int = 64, filters: int = 300) -> None:
        super().__init__()
        self.embed = nn.Linear(VOCABULARY, embeddings, bias=False)
        self.filters = nn.ModuleList(nn.Conv2d(1, filters, (window, 1)) for window in (2, 3, 4, 5))
        self.gate, self.mix = nn.Linear(4 * filters, 4 * filters), nn.Linear(4 * filters, 4 * filters)
        self.last = nn.Sequential(nn.Linear(4 * filters, 100), nn.Linear(100, 1))

    def forward(self, samples: Tensor) -> Tensor:
        embedded = self.embed(samples)[:, None]
        found = [filters(embedded).relu().amax(2) for filters in self.filters]
        features = torch.cat(found, 1).transpose(1, 2).flatten(0, 1)
        gate = self.gate(features).sigmoid()
        logits: Tensor = self.last(gate * self.mix(features).relu() + (1 - gate) * features)
        return logits.view(len(samples), -1).mean(1)


def port_sentences(generator: RelationalGenerator) -> Tensor:
    """A batch, token by token, with the graph of everything."""
    inputs, memory, tokens = generator.tokens.weight[0].expand(BATCH, -1), generator.begin(BATCH), []
    for _ in range(LENGTH):
        hidden, memory = generator.step(inputs, memory)
        noise = torch.rand(BATCH, VOCABULARY)
        scores = generator.last(hidden) - torch.log(-torch.log(noise + 1e-10) + 1e-10)
        token = torch.softmax(scores, 1)
        inputs = token @ generator.tokens.weight
        tokens.append(token)
    return torch.stack(tokens, 1)


def our_discriminator() -> nn.Module:
    return ConvolutionalTextDiscriminator(VOCABULARY, FILTERS, representations=4, classes=0, end=0)


def ports(tokens: Tensor, critic: nn.Module) -> Callable[[], None]:
    generator = RelationalGenerator(VOCABULARY, WIDTH, 0, length=LENGTH, begin=0, end=0, estimator="soft")
    optimizers = [torch.optim.Adam(network.parameters(), 1e-4) for network in (generator, critic)]

    def batch() -> Tensor:
        return one_hot(tokens[torch.randint(len(tokens), (BATCH,))], VOCABULARY).float()

    def step() -> None:
        for _ in range(CRITIC_STEPS):
            optimizers[1].zero_grad()
            softplus(critic(port_sentences(generator)) - critic(batch())).mean().backward()
            optimizers[1].step()
        optimizers[0].zero_grad()
        softplus(critic(batch()) - critic(port_sentences(generator))).mean().backward()
        optimizers[0].step()

    return step


def wired(folder: str, **settings: object) -> Run:
    """A run on random words."""
    model = {"length": LENGTH, "vocabulary_size": VOCABULARY, "generator_width": WIDTH, **settings.pop("model")}
    return Run(
        configure("text", dataset="noise", output=folder, tracker="none", batch_size=BATCH, model=model, **settings)
    )


def engine(folder: str, estimator: str, **penalties: float) -> Callable[[], object]:
    model = {"architecture": "relational", "estimator": estimator, "discriminator_width": FILTERS}
    run = wired(f"{folder}/{estimator}{len(penalties)}", model=model, discriminator_steps=CRITIC_STEPS, **penalties)
    count = iter(range(10**9))
    return lambda: run.state.meter.add(run.play(next(count)))


def pretraining(folder: str) -> Callable[[], object]:
    run = wired(f"{folder}/pretraining", model={}, pretraining_steps=10**6)
    count = iter(range(10**9))
    return lambda: run.state.meter.add(run.play(next(count)))


class Reader(nn.Module):
    """Embedding, LSTM, projection."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.lstm = nn.LSTM(WIDTH, 4 * WIDTH, batch_first=True)
        self.last = nn.Linear(4 * WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.last(self.lstm(self.tokens(tokens))[0])
        return logits


def bare_pretraining(tokens: Tensor) -> Callable[[], None]:
    reader = Reader()
    optimizer = torch.optim.Adam(reader.parameters(), 1e-3, fused=True)

    def step() -> None:
        batch = tokens[torch.randint(len(tokens), (BATCH,))]
        before = torch.cat([torch.zeros_like(batch[:, :1]), batch[:, :-1]], 1)
        cross_entropy(reader(before).flatten(0, 1), batch.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def noise() -> datasets.Dataset:
    """Two thousand sentences of 19 random words: what is learned does not matter here."""
    words = numpy.random.default_rng(0).integers(0, VOCABULARY - 2, (2000, LENGTH - 1))
    return datasets.Dataset.from_dict({"text": [" ".join(map(str, row)) for row in words]})


def memory(which: str = "VmHWM") -> float:
    """What this process has had at most, or has now (VmRSS), in megabytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which)]
    return int(line.split()[1]) / 1000


def most(step: Callable[[], object]) -> float:
    """What a step takes at most over what there was before it, in megabytes; Linux forgets the most so far for it."""
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    step()
    return memory() - before


def generated(count: int) -> None:
    """Print what memory generating takes, a tenth and all of it."""
    modality = Text()
    modality.fit(Text.builtin_datasets["noise"]())
    generator = TrainedGenerator("text", modality, modality.generator().eval().requires_grad_(False))
    found = []
    for part in (count // 10, count):
        with tempfile.TemporaryDirectory() as folder:
            modality.save(generator.batches(part), Path(folder))
        found.append(f"{memory():,.0f} MB after {part:,} sentences")
    print("most memory, generating:", ", ".join(found))


def sizes() -> None:
    """Print how large the two discriminators are."""
    sentences = torch.rand(BATCH, LENGTH, VOCABULARY).softmax(2)
    print("| discriminator | parameters | GFLOP for a batch, forward |\n|---|---|---|")
    for name, network in (("ports", PortDiscriminator()), ("ours", our_discriminator())):
        count = sum(weight.numel() for weight in network.parameters())
        operations = flops(lambda network=network: network(sentences))
        print(f"| {name} | {count:,} | {operations / 1e9:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=100_000, help="sentences to generate")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    Text.builtin_datasets = {"noise": noise}
    tokens = torch.from_numpy(numpy.random.default_rng(1).integers(2, VOCABULARY, (2000, LENGTH)))
    with tempfile.TemporaryDirectory() as folder:
        steps = {
            "engine, straight-through": lambda: engine(folder, "straight_through"),
            "engine, soft": lambda: engine(folder, "soft"),
            "engine, soft, no penalties": lambda: engine(folder, "soft", r1=0.0, r2=0.0),
            "ports": lambda: ports(tokens, PortDiscriminator()),
            "ports, our discriminator": lambda: ports(tokens, our_discriminator()),
        }
        if options.only:  # in a process of its own, for its memory
            step = steps[options.only]()
            step()  # the optimizers' moments are made in the first
            print(f"most memory of a step, {options.only}: {most(step) / COPY:.1f} times a batch on the simplex")
            return
        sizes()
        times = timed({name: make() for name, make in steps.items()}, options.rounds, clock=time.process_time)
        table(f"one step of the generator and {CRITIC_STEPS} of the discriminator", times, "ports")
        print()
        for name in [name for name in steps if name.startswith("engine")]:
            ratios = ratio(times, "ports, our discriminator", name), ratio(times, "ports", name)
            print(f"{name}: {ratios[0]} times as fast as the ports with our discriminator, {ratios[1]} with theirs")
        times = timed(
            {"engine": pretraining(folder), "bare nn.LSTM": bare_pretraining(tokens)},
            3 * options.rounds,
            clock=time.process_time,
        )
        table("a step of pretraining", times, "bare nn.LSTM")
        print(
            f"\n{BATCH * LENGTH / median(times['engine']):,.0f} tokens a second, "
            f"{ratio(times, 'bare nn.LSTM', 'engine')} of the bare loop's\n"
        )
    for name in steps:
        print(
            subprocess.run(
                [sys.executable, __file__, "--only", name], stdout=subprocess.PIPE, text=True, check=True
            ).stdout
        )
    generated(options.sentences)


if __name__ == "__main__":
    main()
