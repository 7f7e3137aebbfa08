"""A small classifier trained on a dataset's labels; its features are a feature space."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from tqdm import tqdm

CPU = torch.device("cpu")


class Classifier(nn.Module):
    """A modality's feature network and a linear layer over its features.

    Args:
        features: ``(B, *S) -> (B, F)``.
        classes: Number of classes.
    """

    def __init__(self, features: nn.Module, classes: int) -> None:
        super().__init__()
        self.features = features
        self.last = nn.LazyLinear(classes)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples ``(B, *S)`` -> logits ``(B, classes)``."""
        logits: Tensor = self.last(self.features(samples))
        return logits


def train_classifier(
    features: Callable[[], nn.Module],
    samples: Tensor,
    labels: Tensor,
    classes: int,
    prepare: Callable[[Tensor], Tensor] = lambda samples: samples,
    passes: int = 20,
    batch_size: int = 64,
    seed: int = 0,
    device: torch.device = CPU,
    quiet: bool | None = True,
) -> Classifier:
    """Train a classifier with Adam and a cosine schedule; on a CPU the result is deterministic.

    Args:
        features: Builds the feature network.
        samples: ``(N, ...)``, encoded.
        labels: ``(N,)``, or ``(N, classes)`` of 0 and 1 where samples can have several.
        classes: Number of classes.
        prepare: Turns a batch of them into samples ``(b, *S)``.
        passes: Epochs.
        batch_size: Samples per step.
        seed: Decides the initial weights and the order.
        device: Where it is trained.
        quiet: Whether no progress bar is shown; None shows one on a terminal.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(features(), classes).to(device)
        network(prepare(samples[:2].to(device)))  # initializes the last layer

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for _ in tqdm(range(passes), "training a classifier", unit=" passes", disable=quiet, leave=False):
                for rows in torch.split(torch.randperm(len(samples)), batch_size):
                    yield prepare(samples[rows].to(device)), labels[rows].to(device)

        return fit(network, batches(), passes * -(-len(samples) // batch_size))


def fit(network: Classifier, batches: Iterable[tuple[Tensor, Tensor]], steps: int) -> Classifier:
    """Train a classifier on ``steps`` batches: samples ``(b, *S)``, and labels as `train_classifier` takes them."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for samples, target in batches:
        logits = network(samples)
        if target.dim() == 1:
            loss = cross_entropy(logits, target)
        else:
            loss = binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of samples whose class is right or, where samples can have several, all classes are.

    Args:
        logits: ``(N, classes)``.
        labels: ``(N,)``, or ``(N, classes)`` of 0 and 1.
    """
    if labels.dim() == 1:
        return (logits.argmax(1) == labels).double().mean().item()
    return ((logits > 0) == (labels == 1)).all(1).double().mean().item()


def inception_score(logits: Tensor) -> float:
    """``exp(E KL(p(class | sample) || p(class)))``, 1 to the number of classes: Salimans et al. 2016, arXiv:1606.03498.

    High if each sample clearly belongs to a class and all classes occur; it does not see variety within a class.

    Args:
        logits: ``(N, classes)``.
    """
    logs = logits.double().log_softmax(1)
    shares = logs.exp().mean(0).clamp_min(1e-300)
    return float((logs.exp() * (logs - shares.log())).sum(1).mean().exp())
