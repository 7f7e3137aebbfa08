"""How good a class-conditional image model is, beside the floor: real pictures measured as if they were generated.

    OMP_NUM_THREADS=1 uv run benchmarks/starter_quality.py [--model starter/image] [--write]

With --write the figures go onto the model's card. The classifier is trained on one half of the digits;
its accuracy is on the other half. The manifolds are those of that first half, and of as many generated pictures; the
floor puts the second half in the place of the generated ones. Precision, recall and coverage are with k = 5 neighbours
in the classifier's 128 features.
"""

import argparse

import torch

from multigan import load, registry
from multigan.data.cache import cached
from multigan.metrics.classifier import accuracy, features, train_classifier
from multigan.metrics.neighbours import neighbours
from multigan.modalities.image import ImageConfig
from multigan.modalities.image.augmentation import affine
from multigan.model_folder import find

NAMES = ("accuracy", "precision", "recall", "coverage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter/image", help="a run or a model of digits, told the class")
    parser.add_argument("--write", action="store_true", help="put the figures onto the model's card")
    options = parser.parse_args()
    model = load(options.model)
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
    print(f"| | {' | '.join(NAMES)} |\n|---|---|---|---|---|")
    reference = features(judge, real[:half].split(256))
    rows = {
        "real, held out": (real[half : 2 * half].split(256), label[half : 2 * half]),
        "generated": (list(model.batches(half, seed=1)), wanted),
    }
    for name, (batches, labels) in rows.items():
        p, r, c = neighbours(reference, features(judge, batches))
        figures = dict(zip(NAMES, (accuracy(judge, batches, labels), p, r, c), strict=True))
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in figures.values()), "|")
        model.training[name.replace(" ", "_")] = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
    if options.write:
        model.save(find(options.model))


if __name__ == "__main__":
    main()
