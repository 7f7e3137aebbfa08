"""SeqGAN's oracle test (Yu et al. 2017, arXiv:1609.05473): sentences of a random LSTM, which judges what is learned.

    OMP_NUM_THREADS=1 uv run benchmarks/text_oracle.py [--pretraining_steps 2000] [--steps 500]

A vocabulary of 5,000, 20 tokens, 10,000 sentences; the oracle has 32 units and weights from a standard normal. Its mean
negative log-likelihood a token of what a model makes says how good that is; the model's of new sentences of the oracle,
how much of them it covers. A model that makes one likely sentence again and again does well by the first alone.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import datasets
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from multigan import TrainedGenerator, configure, load
from multigan.modalities.text import Text, tokenization
from multigan.training import run

VOCABULARY, LENGTH, UNITS, SENTENCES, JUDGED = 5000, 20, 32, 10_000, 2000


class Oracle(nn.Module):
    """Embedding, LSTM and projection, all of them random."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.lstm = nn.Embedding(VOCABULARY + 1, UNITS), nn.LSTM(UNITS, UNITS, batch_first=True)
        self.last = nn.Linear(UNITS, VOCABULARY)
        torch.manual_seed(88)
        for weight in self.parameters():
            nn.init.normal_(weight)
        self.requires_grad_(False)

    def sentences(self, count: int, seed: int) -> Tensor:
        """``(count, LENGTH)``."""
        torch.manual_seed(seed)
        found, memory, token = [], None, torch.full((count,), VOCABULARY)
        for _ in range(LENGTH):
            hidden, memory = self.lstm(self.tokens(token)[:, None], memory)
            token = torch.multinomial(self.last(hidden[:, 0]).softmax(1), 1)[:, 0]
            found.append(token)
        return torch.stack(found, 1)

    def loss(self, sentences: Tensor) -> float:
        """The mean negative log-likelihood of a token, in nats."""
        before = torch.cat([torch.full_like(sentences[:, :1], VOCABULARY), sentences[:, :-1]], 1)
        logits = self.last(self.lstm(self.tokens(before))[0])
        return float(cross_entropy(logits.flatten(0, 1), sentences.flatten()))


def texts(sentences: Tensor) -> list[str]:
    """Sentences as text: token 17 is the word 17."""
    return [" ".join(map(str, row)) for row in sentences.tolist()]


def row(name: str, model: TrainedGenerator, oracle: Oracle, test: list[str]) -> None:
    """Print the two likelihoods, and how various the sentences are."""
    made = model.generate(JUDGED, seed=1)
    # One that has ended early, or has an unknown word, cannot be judged.
    whole = [text.split() for text in made if len(text.split()) == LENGTH and tokenization.UNKNOWN not in text]
    config = model.modality.config
    encoded = [tokenization.encode(text, config.vocabulary, config.end, LENGTH, False) for text in test]
    tokens = torch.stack([torch.from_numpy(ids).long() for ids in encoded if ids is not None])
    own = -sum(float(model.network.log_likelihood(part).sum()) for part in tokens.split(256)) / tokens.numel()
    judged = oracle.loss(torch.tensor([[int(word) for word in words] for words in whole])) if whole else float("nan")
    different = len(set(made)) / len(made)
    print(f"| {name} | {judged:.3f} | {own:.3f} | {different:.3f} | {len(whole) / len(made):.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pretraining_steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    oracle = Oracle()
    train, test = oracle.sentences(SENTENCES, 0), oracle.sentences(JUDGED, 1)
    dataset = datasets.Dataset.from_dict({"text": texts(train)})
    Text.builtin_datasets = {"oracle": lambda: dataset}
    config = configure(
        "text",
        dataset="oracle",
        steps=0,
        pretraining_steps=options.pretraining_steps,
        tracker="none",
        log_every=100,
        objective="relativistic",
        r1=0.1,
        r2=0.1,
        model={"length": LENGTH, "vocabulary_size": VOCABULARY + 2, "generator_width": 32, "schedule": "constant"},
    )
    with tempfile.TemporaryDirectory() as room:
        folder = run.train(replace(config, output=str(Path(room) / "run")))
        print("\n| | oracle's NLL of it | its NLL of the oracle's | different | whole |\n|---|---|---|---|---|")
        print(f"| the oracle itself | {oracle.loss(test):.3f} | {oracle.loss(test):.3f} | 1.000 | 1.000 |")
        row("maximum likelihood", load(folder), oracle, texts(test))
        run.train(replace(config, steps=options.steps, resume=str(folder)))
        row(f"and {options.steps} steps of the game", load(folder), oracle, texts(test))


if __name__ == "__main__":
    main()
