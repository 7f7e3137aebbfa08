"""How good and how various the sentences of text models are: a table, and a picture of one against the other.

    uv run benchmarks/text_quality.py --dataset ../shared/data/image_coco/train.txt \\
        --test ../shared/data/image_coco/test.txt --baseline runs/mle --model runs/gan --plot docs/captions.png
    uv run benchmarks/text_quality.py --baseline runs/mle --model starter/text

Without a dataset, on the built-in grammar, where quality and variety are known: how many sentences are grammatical, how
likely they are, and the entropy of the choices of rules in them, which bounds that of the sentences from above: see how
many are different, too. The likelihood of the test set is in nats a token. The baseline, trained by maximum likelihood,
is measured at five temperatures: another model is better where it lies above that curve.
"""

import argparse
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from multigan import load
from multigan.modalities.text import quality, tokenization
from multigan.modalities.text.generators import RecurrentGenerator, alive
from multigan.modalities.text.grammar import GRAMMAR, corpus, derivation, entropy

TEMPERATURES = (0.6, 0.8, 0.9, 1.0, 1.2)
ORDERS = (2, 3, 4, 5)
Words = list[str]


class Judge(NamedTuple):
    """What sentences are held to: the training set, the test set, and how they are numbered."""

    train: list[Words]
    test: list[Words]
    modality: Any
    steps: int
    grammar: bool

    def numbered(self, sentences: Iterable[Words]) -> Tensor:
        """Sentences as token numbers ``(N, T)``; those that are too long are cut."""
        config = self.modality.config
        rows = [
            tokenization.encode(" ".join(words), config.vocabulary, config.end, config.length, False)
            for words in sentences
        ]
        return torch.stack([torch.from_numpy(row).long() for row in rows if row is not None])

    def language_model(self, sentences: list[Words]) -> RecurrentGenerator:
        """A small LSTM trained on sentences by maximum likelihood."""
        config, tokens = self.modality.config, self.numbered(sentences)
        torch.manual_seed(0)
        model = RecurrentGenerator(
            tokenization.size(config.vocabulary),
            32,
            0,
            length=config.length,
            begin=config.end,
            end=config.end,
            estimator="soft",
        )
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        for step in range(self.steps):
            rows = torch.randint(len(tokens), (64,), generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            (-model.log_likelihood(tokens[rows]).mean()).backward()
            optimizer.step()
        return model

    def perplexity(self, model: Any, sentences: list[Words]) -> float:
        """Of a model on sentences, a token."""
        tokens = self.numbered(sentences)
        with torch.no_grad():
            total = sum(float(model.log_likelihood(part).sum()) for part in tokens.split(256))
        return math.exp(-total / int(alive(tokens == self.modality.config.end).sum()))


def measured(judge: Judge, name: str, sentences: list[Words], few: int, reader: Any) -> dict[str, Any]:
    """A row of the table: of some sentences, and of the first few where many would take long."""
    part = sentences[:few]
    row: dict[str, Any] = {"": name}
    if judge.grammar:
        found = [derivation(words) for words in sentences]
        right = [choices for choices in found if choices is not None]
        likely = [sum(math.log(GRAMMAR[symbol][rule][0]) for symbol, rule in choices) for choices in right]
        row |= {
            "grammatical": len(right) / len(found),
            "log-probability": sum(likely) / max(len(likely), 1),
            "entropy of rules": entropy(right) if right else 0.0,
            "rules used": len({choice for choices in right for choice in choices}) / sum(map(len, GRAMMAR.values())),
        }
    row |= {f"BLEU-{order}": quality.bleu(part, judge.test, order) for order in ORDERS}
    row |= {f"self-BLEU-{order}": quality.self_bleu(part, order) for order in ORDERS}
    row |= {f"distinct-{order}": quality.distinct(part, order) for order in (1, 2, 3)}
    row["different"] = len(set(map(tuple, sentences))) / len(sentences)
    row["copied"] = quality.copied(sentences, judge.train)
    row["forward perplexity"] = judge.perplexity(reader, sentences)
    row["reverse perplexity"] = judge.perplexity(judge.language_model(sentences), judge.test)
    return row


def rows(judge: Judge, baseline: str, models: list[str], count: int, few: int) -> Iterator[dict[str, Any]]:
    """The real sentences, the baseline at each temperature, and the models."""
    reader = judge.language_model(judge.train)
    fresh = judge.train if not judge.grammar else [text.split() for text in corpus(count, seed=2)["text"]]
    real = measured(judge, "real", random.Random(0).sample(fresh, min(count, len(fresh))), few, reader)
    yield real | {"NLL of the test set": math.nan}
    for path, temperatures in [(baseline, TEMPERATURES), *((model, (1.0,)) for model in models)]:
        model = load(path)
        for temperature in temperatures:
            texts = model.generate(count, seed=1, temperature=temperature)
            name = f"{Path(path).name} at {temperature:g}" if len(temperatures) > 1 else Path(path).name
            row = measured(judge, name, [text.split() for text in texts], few, reader)
            own = math.log(judge.perplexity(model.network, judge.test)) if temperature == 1 else math.nan
            yield row | {"NLL of the test set": own}


def picture(table: list[dict[str, Any]], file: Path) -> None:
    """Quality against diversity, the baseline as a curve over its temperatures. Up and left is better."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    pairs = [("self-BLEU-4", "BLEU-4"), ("reverse perplexity", "forward perplexity")]
    if "grammatical" in table[0]:
        pairs[0] = ("entropy of rules", "grammatical")
    for axes, (across, up) in zip(figure.subplots(1, 2), pairs, strict=True):
        curve = [row for row in table if " at " in row[""]]
        axes.plot(
            [row[across] for row in curve], [row[up] for row in curve], "o-", color="0.6", label="maximum likelihood"
        )
        for row in table:
            axes.annotate(row[""].rpartition(" at ")[2], (row[across], row[up]), fontsize=8)
            if row not in curve:
                axes.plot(row[across], row[up], "*" if row[""] == "real" else "o", markersize=9, label=row[""])
        axes.set(xlabel=across, ylabel=up)
        if "perplexity" in up:
            axes.invert_yaxis()
        if across != "entropy of rules":
            axes.invert_xaxis()
        axes.legend(fontsize=8)
    figure.suptitle("quality upwards, diversity to the right", fontsize=10)
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, help="the sentences trained on, a line each; none is the grammar")
    parser.add_argument("--test", type=Path, help="others of the same kind")
    parser.add_argument("--baseline", required=True, help="trained by maximum likelihood")
    parser.add_argument("--model", action="append", default=[], help="another; may be given again")
    parser.add_argument("--count", type=int, default=5000, help="sentences of each")
    parser.add_argument("--few", type=int, default=1000, help="of these, for BLEU")
    parser.add_argument("--steps", type=int, default=1000, help="of the language models")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    if given.dataset and not given.test:
        parser.error("--dataset needs a --test file beside it")
    if given.dataset:
        train, test = ([line.split() for line in file.read_text().splitlines()] for file in (given.dataset, given.test))
    else:
        train, test = ([text.split() for text in corpus(*which)["text"]] for which in ((20_000, 0), (5_000, 1)))
    judge = Judge(train, test, load(given.baseline).modality, given.steps, given.dataset is None)
    table = []
    for row in rows(judge, given.baseline, given.model, given.count, given.few):
        if not table:
            print("|", " | ".join(row), "|\n|", " | ".join("---" for _ in row), "|")
        table.append(row)
        print(
            "|",
            " | ".join(f"{value:.3g}" if isinstance(value, float) else value for value in row.values()),
            "|",
            flush=True,
        )
    if given.plot:
        picture(table, given.plot)


if __name__ == "__main__":
    main()
