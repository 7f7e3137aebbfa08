"""The report of an evaluation: metrics, how they were measured, and a verdict in words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multigan import legacy
from multigan.errors import UserError
from multigan.files import write_text

EVALUATION = "evaluation.json"
ALARM_RATIO = 0.5  # of the baseline: a metric below that share of it raises a warning
MEMORIZATION_QUANTILE = 0.01  # share of held-out samples that count as close to a training sample
REQUIRED_METRICS = ("precision", "recall", "frechet_distance")  # of every evaluation
# For all other metrics, higher is better, up to the baseline.
LOWER_IS_BETTER = (
    *("frechet_distance", "kernel_distance", "memorization", "non_finite_samples", "copied", "l1", "lpips"),
    *("mel_distance", "stft_distance"),
)
PERCEPTUAL = ("lpips", "mel_distance", "stft_distance")  # distances from the truth that say what people see or hear
TRIVIAL, REFERENCE_MODEL = "trivial", "reference model"  # names of references
# Of metrics whose names are not words.
TITLES = {"l1": "L1", "psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS", "stft_distance": "STFT distance"}
COLUMN = 10  # characters of a column of figures, at least


@dataclass
class Evaluation:
    """Metrics of a generator, and how they were measured.

    Attributes:
        protocol: Everything needed to repeat the measurement, as plain values.
        generated: Metrics of generated samples, by name.
        baseline: The same metrics of held-out real samples.
        classes: Some of the metrics, by class.
        warnings: What limits how far the metrics can be trusted.
        verdict: What is clearly wrong, in words.
        steps: Training steps of the generator, where known.
        baseline_of_classes: The same of held-out real samples.
        second: ``protocol``, ``generated`` and ``baseline`` in a feature space that was not trained on labels.
        limits: What this feature space cannot judge.
        references: The same metrics, or some of them, of what generated samples stand beside, by its name: ``trivial``,
            what one could show without a network, and ``reference model``.
        reference_model: Where the reference model is, as it was named; None without one.
        augmentation: What `multigan.evaluation.augmentation.measure` returned; empty where it was not asked for.
    """

    protocol: dict[str, Any]
    generated: dict[str, float]
    baseline: dict[str, float]
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    verdict: list[str] = field(default_factory=list)
    steps: int | None = None
    baseline_of_classes: dict[str, dict[str, float]] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)
    second: dict[str, dict[str, Any]] = field(default_factory=dict)
    references: dict[str, dict[str, float]] = field(default_factory=dict)
    reference_model: str | None = None
    augmentation: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, dict[str, float]]:
        """All metrics by what they are of: generated samples, the references, real samples."""
        return {"generated": self.generated, **self.references, "real": self.baseline}

    def write(self, folder: Path) -> Path:
        """Write ``evaluation.json``."""
        file = folder / EVALUATION
        write_text(file, json.dumps(asdict(self), indent=2) + "\n")
        return file

    def table(self) -> str:
        """The metrics beside the references and the baseline, as lines of a table."""
        names = list(self.generated)
        width = max(len(words(name)) for name in names)
        rows = [("", list(self.columns))]
        for name in names:
            cells = [number(values[name]) if name in values else "" for values in self.columns.values()]
            rows.append((words(name), cells))
        widths = [max(COLUMN, len(title)) for title in self.columns]
        return "\n".join(
            "  ".join([f"{head:{width}}", *(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))])
            for head, cells in rows
        )

    def second_table(self) -> str:
        """The metrics in the second space, as lines of a table."""
        return Evaluation(self.second["protocol"], self.second["generated"], self.second["baseline"]).table()

    def class_table(self) -> str:
        """The metrics of each class beside its baseline, as lines of a table."""
        if not self.classes:
            return ""
        names = list(next(iter(self.classes.values())))
        width = max(map(len, self.classes))
        lines = [f"{'':{width}}  " + "  ".join(f"{words(name):>14}" for name in names)]
        for label, values in self.classes.items():
            baseline = self.baseline_of_classes.get(label, {})
            cells = [
                " / ".join(number(figures[name]) for figures in (values, baseline) if name in figures) for name in names
            ]
            lines.append(f"{label:{width}}  " + "  ".join(f"{cell:>14}" for cell in cells))
        return "\n".join(lines)


def read(folder: Path) -> Evaluation:
    """Read the evaluation in a folder.

    Raises:
        UserError: There is none, or it is damaged.
    """
    try:
        found = Evaluation(**legacy.evaluation(json.loads((folder / EVALUATION).read_text())))
        for figures in (found.generated, found.baseline):
            if not isinstance(found.protocol, dict) or not all(
                isinstance(figures[name], int | float) for name in REQUIRED_METRICS
            ):
                raise ValueError
        for figures in found.references.values():
            if not all(isinstance(value, int | float) for value in figures.values()):
                raise ValueError
        return found
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {EVALUATION}: multigan evaluate {folder} makes one") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{folder / EVALUATION} is damaged: multigan evaluate {folder} makes another") from error


def words(name: str) -> str:
    """A metric's name for people."""
    return TITLES.get(name, name.replace("_", " "))


def number(value: float) -> str:
    """Format a metric: three decimals, one from 10 on, two significant digits of small values; zero has no sign."""
    if 1e-4 <= abs(value) < 1e-2:
        return f"{value:.2g}"
    return f"{value:z.3f}" if abs(value) < 10 else f"{value:,.1f}"


def limits(features: str, own_classes: bool, pretrained: bool, inputs: bool = False) -> list[str]:
    """What a feature space cannot judge, and what would.

    Args:
        features: The name of the space.
        own_classes: Whether it was trained on the labels of the dataset.
        pretrained: Whether it was trained on other data.
        inputs: Whether the generator takes inputs: then labels are of no use.
    """
    if own_classes or (pretrained and inputs):
        return []
    if inputs:
        return [
            f"the features {features} were not trained to recognise anything, so they cannot tell whether samples are "
            "recognisable: look at them, or use --features with a pretrained encoder"
        ]
    if pretrained:
        return [
            f"the features {features} know no labels of this dataset, so they cannot tell whether classes are right"
        ]
    return [
        f"the features {features} know no labels, so they cannot tell whether samples are recognisable: shapeless ones "
        "can score above real data; use a dataset with labels, or --features with a pretrained encoder"
    ]


def verdict(
    generated: dict[str, float], baseline: dict[str, float], variance: float, trivial: dict[str, float] | None = None
) -> list[str]:
    """What is clearly wrong, a line each.

    Args:
        generated: Metrics of generated samples.
        baseline: The same metrics of held-out real samples.
        variance: Total variance of the real features.
        trivial: The same metrics of what one could show without a network, where there is such a thing.
    """
    lines = []
    if broken := generated.get("non_finite_samples"):
        lines.append(f"broken: {int(broken)} samples are not finite numbers and are left out of the other metrics")
    for name, meaning in (
        ("precision", "most samples are unlike real ones"),
        ("recall", "much of the real variety is missing"),
        ("coverage", "most real samples have nothing generated near them"),
        ("class_accuracy", "the classes are not those asked for"),
    ):
        if name in generated and generated[name] < ALARM_RATIO * baseline[name]:
            values = f"{words(name)} {generated[name]:.3f}, where real samples have {baseline[name]:.3f}"
            lines.append(f"{meaning}: {values}")
    # The distance of a generator that repeats one sample, whose features are the mean of the real ones.
    if generated["frechet_distance"] > variance > baseline["frechet_distance"]:
        lines.append(
            f"far from real samples as a whole: Frechet distance {number(generated['frechet_distance'])}, where "
            f"repeating a single average sample would have {number(variance)}"
        )
    trivial = trivial or {}
    for name, title in ("frechet_distance", "Frechet distance"), *((name, words(name)) for name in PERCEPTUAL):
        if name in trivial and generated[name] > trivial[name]:
            values = f"{title} {number(generated[name])}, where the trivial output has {number(trivial[name])}"
            lines.append(f"worse than no network at all: {values}")
    share, usual = generated["memorization"], baseline["memorization"]
    if share > usual + max(0.1, (1 - usual) / 5):
        lines.append(
            f"probably copied: {share:.0%} are as close to a training sample as {usual:.1%} of held-out samples are"
        )
    return lines
