"""Quality and diversity of the sentences of text models, as mean and standard deviation over several draws.

    uv run benchmarks/text_quality.py --dataset captions.txt --plot captions.png
    uv run benchmarks/text_quality.py --baseline runs/mle --model starter/text --plot grammar.png

With a dataset (one or more files, a sentence per line), the lines are split at random into halves, one to train on and
one to compare with: two files that differ in topic would measure the topics. `recipes/text_mle.py` and
`recipes/text_gumbel.py` are trained on the first half and sampled several times, and all of it is repeated with other
splits.

Without a dataset, trained models are compared on the built-in grammar, whose distribution is known: the share of
grammatical sentences, and the entropy of the choices of rules in them, an upper bound of the sentences' entropy.

The baseline, trained by maximum likelihood, is sampled at five temperatures. A model is better where it lies above that
curve: "above the curve" is its BLEU-4 minus that of the baseline at the same self-BLEU-4, interpolated, draw by draw.
"""

import argparse
import math
import random
import runpy
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import torch
from matplotlib.figure import Figure
from torch import Tensor

import multigan
from multigan.modalities.text import quality, tokenization
from multigan.modalities.text.generators import RecurrentGenerator, token_mask
from multigan.modalities.text.grammar import GRAMMAR, corpus, derivation, entropy

TEMPERATURES = (0.6, 0.8, 0.9, 1.0, 1.2)
GAIN = "BLEU-4 above the curve"
NOTHING = (math.nan, math.nan)
Metrics = dict[str, float]
Table = dict[str, list[Metrics]]  # the metrics of every draw, by model


class Reference:
    """Sentences to train on and sentences to compare with, and language models of either.

    Args:
        train: Sentences that the models were trained on.
        test: Others of the same distribution.
        config: Configuration of the text modality that the models share: vocabulary and length.
        steps: Training steps of the language models.
        grammar: Whether the sentences are of the built-in grammar.
    """

    def __init__(self, train: list[str], test: list[str], config: Any, steps: int, grammar: bool) -> None:
        self.train, self.test, self.config, self.steps, self.grammar = train, test, config, steps, grammar
        self.reader = self.language_model(train)

    def tokens(self, sentences: list[str]) -> Tensor:
        """Token numbers ``(N, T)``; sentences that are too long are truncated."""
        config = self.config
        rows = [tokenization.encode(text, config.vocabulary, config.end, config.length, False) for text in sentences]
        return torch.stack([torch.from_numpy(row).long() for row in rows if row is not None])

    def language_model(self, sentences: list[str]) -> RecurrentGenerator:
        """A small LSTM, trained on sentences by maximum likelihood."""
        config, tokens = self.config, self.tokens(sentences)
        torch.manual_seed(0)
        size = tokenization.size(config.vocabulary)
        options: Any = {"length": config.length, "begin": config.end, "end": config.end, "estimator": "soft"}
        model = RecurrentGenerator(size, 32, 0, **options)
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        for step in range(self.steps):
            rows = torch.randint(len(tokens), (64,), generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            (-model.log_likelihood(tokens[rows]).mean()).backward()
            optimizer.step()
        return model

    def nll(self, model: Any, sentences: list[str]) -> float:
        """Negative log-likelihood of sentences under a model, in nats per token."""
        tokens = self.tokens(sentences)
        with torch.no_grad():
            total = sum(float(model.log_likelihood(part).sum()) for part in tokens.split(256))
        return -total / int(token_mask(tokens == self.config.end).sum())

    def measure(self, sentences: list[str]) -> Metrics:
        """Metrics of one draw of sentences."""
        words = [text.split() for text in sentences]
        values = quality.metrics(sentences, self.train, self.test)
        values["distinct sentences"] = len(set(sentences)) / len(sentences)
        values["forward perplexity"] = math.exp(self.nll(self.reader, sentences))
        return values | (grammar_metrics(words) if self.grammar else {})


def grammar_metrics(sentences: list[list[str]]) -> Metrics:
    """The share of grammatical sentences, and the entropy of their choices of rules in nats per sentence."""
    derivations = [found for words in sentences if (found := derivation(words)) is not None]
    used = {choice for choices in derivations for choice in choices}
    return {
        "grammatical": len(derivations) / len(sentences),
        "entropy of rules": entropy(derivations) if derivations else 0.0,
        "rules used": len(used) / sum(map(len, GRAMMAR.values())),
    }


def draws(model: str, reference: Reference, temperature: float, given: argparse.Namespace) -> list[Metrics]:
    """Metrics of several draws from a model; the costly reverse perplexity and the model's own NLL only of one."""
    generator = multigan.load(model)
    rows = []
    for seed in range(1, given.draws + 1):
        sentences = generator.generate(given.count, seed=seed, temperature=temperature)
        rows.append(reference.measure(sentences))
        if seed == 1:
            nll = reference.nll(reference.language_model(sentences), reference.test)
            rows[0]["reverse perplexity"] = math.exp(nll)
            if temperature == 1:
                rows[0]["NLL per token"] = reference.nll(generator.network, reference.test)
    return rows


def compare(reference: Reference, fresh: list[str], models: dict[str, str], given: argparse.Namespace) -> Table:
    """Metrics of real sentences, of the baseline (the first model) at each temperature, and of the other models."""
    source = random.Random(given.seed)
    table: Table = {"real": [reference.measure(source.sample(fresh, given.count)) for _ in range(given.draws)]}
    (baseline, path), *others = models.items()
    for temperature in TEMPERATURES:
        table[f"{baseline} at {temperature:g}"] = draws(path, reference, temperature, given)
    curves = list(zip(*(rows for name, rows in table.items() if " at " in name), strict=True))
    for name, path in others:
        table[name] = draws(path, reference, 1.0, given)
        for row, curve in zip(table[name], curves, strict=True):
            points = sorted((point["self-BLEU-4"], point["BLEU-4"]) for point in curve)
            row[GAIN] = row["BLEU-4"] - float(numpy.interp(row["self-BLEU-4"], *zip(*points, strict=True)))
    return table


def trained(train: list[str], seed: int, room: Path, given: argparse.Namespace) -> dict[str, str]:
    """Both recipes, trained on sentences: paths of the runs."""
    dataset = room / f"train-{seed}.txt"
    dataset.write_text("\n".join(train))
    recipes, paths = Path(__file__).parents[1] / "recipes", {}
    for name, recipe in (("likelihood", "text_mle"), ("adversarial", "text_gumbel")):
        config = runpy.run_path(str(recipes / f"{recipe}.py"))["CONFIG"]
        config = replace(
            config,
            dataset=str(dataset),
            output=str(room / f"{name}-{seed}"),
            seed=seed,
            pretraining_steps=given.pretraining_steps,
            steps=given.adversarial_steps if config.steps else 0,
            generator_learning_rate=given.learning_rate,
            discriminator_learning_rate=given.learning_rate,
            tracker="none",
            model=replace(config.model, length=None, tokenizer="word", schedule="constant"),
        )
        paths[name] = str(multigan.train(config))
    return paths


def of_a_dataset(given: argparse.Namespace) -> Table:
    """The comparison on random halves of a dataset, over all splits together."""
    lines = [line for file in given.dataset for line in file.read_text().splitlines() if line.strip()]
    table: Table = {}
    for split in range(given.splits):
        random.Random(split).shuffle(lines)
        train, test = lines[: len(lines) // 2], lines[len(lines) // 2 :]
        known = {word for text in train for word in text.split()}
        unknown = sum(not known.issuperset(text.split()) for text in test) / len(test)
        print(
            f"split {split}: {len(train):,} to train on; {unknown:.1%} of the others have an unknown word", flush=True
        )
        with tempfile.TemporaryDirectory() as room:
            models = trained(train, split, Path(room), given)
            config = multigan.load(models["likelihood"]).modality.config
            reference = Reference(train, test, config, given.steps, grammar=False)
            for name, rows in compare(reference, train, models, given).items():
                table.setdefault(name, []).extend(rows)
        print_table(table)
    return table


def of_the_grammar(given: argparse.Namespace) -> Table:
    """The comparison on the built-in grammar."""
    train, test, fresh = (
        list(corpus(size, seed)["text"]) for size, seed in ((20_000, 0), (5_000, 1), (given.count * given.draws, 2))
    )
    models = {str(path): path for path in (given.baseline, *given.model)}
    config = multigan.load(given.baseline).modality.config
    table = compare(Reference(train, test, config, given.steps, grammar=True), fresh, models, given)
    print_table(table)
    return table


def summary(rows: list[Metrics], name: str) -> tuple[float, float]:
    """Mean and standard deviation of a metric over the draws that have it."""
    values = [row[name] for row in rows if name in row]
    return (statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0) if values else NOTHING


def print_table(table: Table) -> None:
    names = list(dict.fromkeys(name for rows in table.values() for row in rows for name in row))
    print("\n| |", " | ".join(names), "|\n|", " | ".join("---" for _ in range(len(names) + 1)), "|")
    for model, rows in table.items():
        cells = (summary(rows, name) for name in names)
        texts = ("" if math.isnan(mean) else f"{mean:.3g} ± {std:.2g}" if std else f"{mean:.3g}" for mean, std in cells)
        print(f"| {model} |", " | ".join(texts), "|", flush=True)


def plot(table: Table, file: Path) -> None:
    """Quality against diversity, with standard deviations; the baseline as a curve. Up and right is better."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    grammar = "grammatical" in table["real"][0]
    first = ("entropy of rules", "grammatical") if grammar else ("self-BLEU-4", "BLEU-4")
    for axes, (across, up) in zip(figure.subplots(1, 2), [first, ("distinct-2", "forward perplexity")], strict=True):
        curve = [name for name in table if " at " in name]
        points = {name: (summary(rows, across), summary(rows, up)) for name, rows in table.items()}
        axes.plot(*zip(*((points[name][0][0], points[name][1][0]) for name in curve), strict=True), color="0.7")
        for name, (x, y) in points.items():
            marker, color = ("*", "C2") if name == "real" else ("o", "0.5" if name in curve else "C1")
            label = "maximum likelihood" if name == curve[-1] else None if name in curve else name
            axes.errorbar(x[0], y[0], y[1], x[1], marker=marker, color=color, linestyle="none", label=label)
            if name in curve:
                axes.annotate(name.rpartition(" at ")[2], (x[0], y[0]), fontsize=8)
        axes.set(xlabel=across, ylabel=up)
        if "perplexity" in up:
            axes.invert_yaxis()
        if "BLEU" in across:
            axes.invert_xaxis()
        axes.legend(fontsize=8)
    figure.suptitle("quality upwards, diversity to the right; bars are standard deviations over draws", fontsize=10)
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, nargs="+", help="files of a sentence per line, to be split at random")
    parser.add_argument("--baseline", help="without a dataset: a model trained by maximum likelihood")
    parser.add_argument("--model", action="append", default=[], help="without a dataset: another model; repeatable")
    parser.add_argument(
        "--splits", type=int, default=2, help="random splits of the dataset, each with its own trainings"
    )
    parser.add_argument("--draws", type=int, default=5, help="draws of sentences from each model")
    parser.add_argument("--count", type=int, default=2000, help="sentences per draw")
    parser.add_argument("--pretraining_steps", type=int, default=700)
    parser.add_argument("--adversarial_steps", type=int, default=310)
    parser.add_argument("--learning_rate", type=float, default=2e-4, help="of both networks in adversarial training")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of the language models that measure")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws of real sentences")
    parser.add_argument("--plot", type=Path, help="where the figure of quality against diversity is written")
    given = parser.parse_args()
    if not given.dataset and not given.baseline:
        parser.error("give --dataset, or --baseline for the built-in grammar")
    table = of_a_dataset(given) if given.dataset else of_the_grammar(given)
    if given.plot:
        plot(table, given.plot)


if __name__ == "__main__":
    main()
