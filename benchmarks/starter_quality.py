"""How good a class-conditional model is, beside the floor: real samples measured as if they were generated.

    OMP_NUM_THREADS=1 uv run benchmarks/starter_quality.py [--model starter/image] [--write]

With --write the figures go onto the model's card. The classifier is trained on one half of the dataset; its accuracy is
on the other half. The manifolds are those of that first half, and of as many generated samples; the floor puts the
second half in the place of the generated ones. Precision, recall and coverage are with k = 5 neighbours in the
classifier's 128 features, where the Frechet distance is measured too. Sounds are judged as sounds, whether a wave or a
spectrogram was generated.
"""

import argparse
from dataclasses import replace

import numpy
import torch
from torch import Tensor

from multigan import load, registry
from multigan.data.cache import cached
from multigan.data.load import load as load_dataset
from multigan.metrics.classifier import accuracy, features, inception_score, train_classifier
from multigan.metrics.frechet import frechet_distance
from multigan.metrics.neighbours import neighbours
from multigan.modalities.image.augmentation import affine
from multigan.model_folder import find

NAMES = ("accuracy", "precision", "recall", "coverage", "inception score", "Frechet distance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter/image", help="a run or a model that is told the class")
    parser.add_argument("--write", action="store_true", help="put the figures onto the model's card")
    options = parser.parse_args()
    model = load(options.model)
    sounds = model.name == "audio"
    config = model.modality.config
    modality = registry.load(model.name)(replace(config, architecture="wavegan") if sounds else config)
    dataset = load_dataset(modality, model.training["dataset"], None, model.training["split"], False)
    data = cached(dataset, modality, skip_corrupt=bool(model.training["rows_left_out"]))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).numpy()
    encoded = torch.from_numpy(data.read(order, numpy.zeros(len(data))))
    real = modality.to_sample(encoded)
    label = torch.from_numpy(data.label[order])
    half, classes = len(real) // 2, len(config.classes)

    def augment(samples: Tensor) -> Tensor:
        return samples if sounds else affine(samples, torch.rand(len(samples), 4), rotation=10, scaling=0.1, shift=0.1)

    judge = train_classifier(modality.classifier, real[:half], label[:half], classes, augment)
    wanted = torch.arange(half) % classes
    print(f"{half} of each, k = 5, features of a classifier\n")
    print(f"| | {' | '.join(NAMES)} |\n|---|{'---|' * len(NAMES)}")
    reference = features(judge, real[:half].split(256))
    made = model.batches(half, seed=1)
    held_out = slice(half, 2 * half)
    rows = {"real, held out": (real[held_out], label[held_out])}
    if sounds and config.architecture == "specgan":
        there_and_back = model.modality.to_sound(model.modality.to_sample(encoded[held_out]))
        rows["the same, to a spectrogram and back"] = there_and_back, label[held_out]
    rows["generated"] = torch.cat([model.modality.to_sound(batch) if sounds else batch for batch in made]), wanted
    for name, (samples, labels) in rows.items():
        model.training.pop(name.replace(" ", "_"), None)  # to stand in this order
        found = features(judge, samples.split(256))
        with torch.no_grad():
            variety = inception_score(judge.last(found))
        values = (
            accuracy(judge, samples.split(256), labels),
            *neighbours(reference, found)._asdict().values(),
            variety,
            frechet_distance(reference, found),
        )
        figures = dict(zip(NAMES, values, strict=True))
        print(f"| {name} |", " | ".join(f"{value:.3f}" for value in figures.values()), "|", flush=True)
        model.training[name.replace(" ", "_")] = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
    if options.write:
        model.save(find(options.model))


if __name__ == "__main__":
    main()
