"""How good a class-conditional image model is, beside the floor: real pictures measured as if they were generated.

    uv run benchmarks/starter_quality.py [MODEL]

MODEL is a run or a model folder; without it, the starter model. The classifier is trained on one half of the digits;
its accuracy is on the other half. The manifolds are those of that first half, and of as many generated pictures; the
floor puts the second half in the place of the generated ones. Precision, recall and coverage are with k = 5 neighbours
in the classifier's 128 features.
"""

import sys

import torch

from multigan import load, registry
from multigan.data.cache import cached
from multigan.metrics.classifier import accuracy, features, train_classifier
from multigan.metrics.neighbours import neighbours
from multigan.modalities.image import ImageConfig
from multigan.modalities.image.augmentation import affine
from multigan.model_folder import STARTERS


def main() -> None:
    model = load(sys.argv[1] if len(sys.argv) > 1 else STARTERS / "image")
    config = model.modality.config
    modality = registry.load("image")(ImageConfig(resolution=config.resolution))
    data = cached(modality.builtin_datasets["digits"](), modality, skip_corrupt=False)
    order = torch.randperm(len(data.real), generator=torch.Generator().manual_seed(0))
    real, label = modality.to_sample(torch.from_numpy(data.real[order])), torch.from_numpy(data.label[order])
    half = len(real) // 2

    def augment(samples: torch.Tensor) -> torch.Tensor:
        return affine(samples, torch.rand(len(samples), 4), rotation=10, scaling=0.1, shift=0.1)

    judge = train_classifier(modality.classifier, real[:half], label[:half], 10, augment)
    wanted = torch.arange(half) % 10
    print(f"{half} of each, k = 5, features of a classifier\n")
    print("| | accuracy | precision | recall | coverage |\n|---|---|---|---|---|")
    reference = features(judge, real[:half].split(256))
    rows = {
        "real held-out digits (the floor)": (real[half : 2 * half].split(256), label[half : 2 * half]),
        "generated": (list(model.batches(half, seed=1)), wanted),
    }
    for name, (batches, labels) in rows.items():
        p, r, c = neighbours(reference, features(judge, batches))
        print(f"| {name} | {accuracy(judge, batches, labels):.3f} | {p:.3f} | {r:.3f} | {c:.3f} |")


if __name__ == "__main__":
    main()
