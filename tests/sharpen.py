"""A toy modality with inputs: coarse digits to sharp ones, by a network that is as good as it is told to be."""

from dataclasses import dataclass

import datasets
import numpy
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from multigan.modality import Modality, PairMetrics, Preview
from multigan.pictures import output
from multigan.pictures.digits import digits


@dataclass(frozen=True)
class SharpenConfig:
    """How coarse inputs are.

    Args:
        latent_dim: Of noise that is not used.
        factor: Pixels of a side that become one.
        inverted: Whether digits are black on white.
    """

    latent_dim: int = 2
    factor: int = 2
    inverted: bool = False


class Gain(nn.Module):
    """What could be shown without a network, and a part of the way from there to the truth, which it is told."""

    def __init__(self, gain=0.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(float(gain)))

    def forward(self, latent, condition):
        start = coarse(condition)
        return start + self.gain * (condition["truth"] - start)


def coarse(condition):
    return interpolate(condition["small"], condition["truth"].shape[2:])


class Sharpen(Modality):
    """A sample is ``(1, 8, 8)``, of a brightness that is drawn with the pair."""

    Config = SharpenConfig
    builtin_datasets = {"digits": digits}
    takes_inputs = True
    pair_numbers = 1
    seen = ()  # the samples that the metrics were trained on

    def encode(self, row):
        picture = numpy.array(row["image"], numpy.uint8)
        return {"real": 255 - picture if self.config.inverted else picture}

    def encode_key(self):
        return {"inverted": self.config.inverted}

    def to_sample(self, real):
        return super().to_sample(real).reshape(len(real), -1, 8, 8) / 127.5 - 1

    def to_pair(self, encoded, beside, numbers):
        samples = self.to_sample(encoded) * (0.5 + numbers[:, :1, None, None] / 2)
        return samples, {"small": avg_pool2d(samples, self.config.factor), "truth": samples}

    def trivial_output(self, condition):
        return coarse(condition)

    def generator(self):
        return Gain()

    def discriminator(self):
        raise NotImplementedError

    def save(self, batches, folder, labels=()):
        return output.save(batches, folder, 8)

    def preview(self, samples, path, labels=()):
        return Preview(output.grid(samples, path, None))

    def pair_metrics(self, training):
        self.seen = torch.cat([samples for samples, _ in training()])

        def compute(generated, real, condition):
            difference = (generated - real).abs().flatten(1)
            return {"l1": difference.mean(1) / 2, "most": difference.amax(1)}

        return PairMetrics(compute, ("measured by hand",))

    def extra_metrics(self):
        def metrics(generated, train, held_out):
            pairs = zip(generated, held_out, strict=True)
            return {"truths": sum(numpy.array_equal(one, other) for one, other in pairs)}

        return metrics


class Untrivial(Sharpen):
    """As `Sharpen`, with nothing to show without a network, and a sample that is compared with nothing."""

    def trivial_output(self, condition):
        return None

    def pair_metrics(self, training):
        return None


def two_domains(paired):
    """Digits twice: the same ones in both domains, or each digit in one alone."""
    images = digits()["image"]
    rows = [
        {"image": image, "domain": domain, "key": number if paired else 2 * number + domain}
        for domain in (0, 1)
        for number, image in enumerate(images[:200])
        if paired or number % 2 == domain
    ]
    return datasets.Dataset.from_list(rows)


class Both(Sharpen):
    """Samples of two channels, one of each domain."""

    builtin_datasets = {"paired": lambda: two_domains(True), "apart": lambda: two_domains(False)}
    unpaired = True

    def encode(self, row):
        return super().encode(row) | {"domain": row["domain"], "key": row["key"]}
