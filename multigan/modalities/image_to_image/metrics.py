"""Metrics that compare each generated picture with its truth: pictures ``(B, C, H, W)`` in [-1, 1], a value each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from multigan.interface import Condition
from multigan.modality import PairMetrics

MAX_PSNR = 100.0  # dB, of a picture that equals its truth
SIGMA, HALF_WINDOW = 1.5, 5  # of the Gaussian window of the structural similarity: 11 pixels
MIN_LPIPS_SIDE = 32  # pixels: AlexNet's layers need about that many
SEGMENTER_WIDTH = 32
SEGMENTER_STEPS, SEGMENTER_BATCH = 300, 8  # half a minute for pictures of 64 x 64 on one core
MAX_SEGMENTER_PIXELS = 2**24  # of training pictures that are kept in memory


def picture_metrics(side: int) -> PairMetrics:
    """How near a picture comes to its truth: L1, PSNR, SSIM, and LPIPS where there are weights.

    Args:
        side: The smaller side of the pictures.
    """
    perceptual, notes = find_lpips(side)

    def compute(generated: Tensor, real: Tensor, condition: Condition) -> dict[str, Tensor]:
        values = {"l1": l1(generated, real), "psnr": psnr(generated, real), "ssim": ssim(generated, real)}
        return values if perceptual is None else values | {"lpips": lpips(perceptual, generated, real)}

    return PairMetrics(compute, notes)


def together(*parts: PairMetrics) -> PairMetrics:
    """All metrics of several kinds."""

    def compute(generated: Tensor, real: Tensor, condition: Condition) -> dict[str, Tensor]:
        return {name: value for part in parts for name, value in part.compute(generated, real, condition).items()}

    return PairMetrics(compute, tuple(note for part in parts for note in part.notes))


def both_ways(metrics: PairMetrics) -> PairMetrics:
    """The same of two pictures that are stacked in channels: the means of both."""

    def compute(generated: Tensor, real: Tensor, condition: Condition) -> dict[str, Tensor]:
        pairs = zip(generated.chunk(2, 1), real.chunk(2, 1), strict=True)
        first, second = (metrics.compute(made, truth, condition) for made, truth in pairs)
        return {name: (value + second[name]) / 2 for name, value in first.items()}

    return PairMetrics(compute, metrics.notes)


def l1(generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of the values, 0 to 1, ``(B,)``: black against white is 1."""
    return (generated - real).abs().flatten(1).mean(1) / 2


def psnr(generated: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, ``(B,)``, at most `MAX_PSNR`; the peak is the whole range from black to white.

    It ranks grey pictures above colourful ones whose colours are good but others: a mean has the least squared error.
    """
    error = (generated - real).square().flatten(1).mean(1) / 4
    return (-10 * error.clamp_min(10 ** (-MAX_PSNR / 10)).log10()).clamp_max(MAX_PSNR)


def ssim(generated: Tensor, real: Tensor) -> Tensor:
    """Structural similarity, ``(B,)``, 1 for equal pictures: Wang et al. 2004, doi:10.1109/TIP.2003.819861.

    The window has 11 pixels, or fewer where a side is shorter.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    half = min(HALF_WINDOW, (min(real.shape[2:]) - 1) // 2)
    sigma = SIGMA if half == HALF_WINDOW else max(half, 0.1) / 3.5  # from which torchmetrics has the same half
    found = structural_similarity_index_measure(
        (generated.float() + 1) / 2, (real.float() + 1) / 2, sigma=sigma, data_range=1.0, reduction="none"
    )
    assert isinstance(found, Tensor)
    return found


# --- learned perceptual similarity ---


def find_lpips(side: int) -> tuple[nn.Module | None, tuple[str, ...]]:
    """The network of LPIPS, where torchvision's weights are on this machine, and else a note of why it is left out.

    Nothing is downloaded.

    Args:
        side: The smaller side of the pictures.
    """
    if side < MIN_LPIPS_SIDE:
        return None, (f"LPIPS is left out: pictures of {side} pixels are too small for it (at least {MIN_LPIPS_SIDE})",)
    from torchvision.models import AlexNet_Weights

    file = Path(torch.hub.get_dir()) / "checkpoints" / AlexNet_Weights.DEFAULT.url.rsplit("/", 1)[1]
    if not file.is_file():
        fetch = "python -c 'import torchvision; torchvision.models.alexnet(weights=\"DEFAULT\")'"
        return None, (f"LPIPS is left out: it needs torchvision's AlexNet (233 MB); to download it: {fetch}",)
    return lpips_network("alex"), ()


def lpips_network(backbone: str) -> nn.Module:
    """The network of LPIPS, version 0.1: alex, vgg or squeeze, with torchvision's weights."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    network: nn.Module = LearnedPerceptualImagePatchSimilarity(net_type=backbone).net  # type: ignore[arg-type]
    return network.eval().requires_grad_(False)


def lpips(network: nn.Module, generated: Tensor, real: Tensor) -> Tensor:
    """Learned perceptual distance, ``(B,)``, 0 for equal pictures: Zhang et al. 2018, arXiv:1801.03924.

    Args:
        network: See `lpips_network`.
        generated: ``(B, C, H, W)``; a single channel is taken for all three.
        real: As ``generated``.
    """
    network.to(real.device)
    pictures = (picture.float().expand(-1, 3, -1, -1) for picture in (generated, real))
    distances: Tensor = network(*pictures)
    return distances.flatten()


# --- label maps ---


class Segmenter(nn.Module):
    """A small network that names the class of each pixel.

    Args:
        channels: Of the pictures.
        classes: Number of classes.
        width: Channels inside.
    """

    def __init__(self, channels: int, classes: int, width: int = SEGMENTER_WIDTH) -> None:
        super().__init__()

        def layer(before: int, after: int, dilation: int = 1) -> nn.Sequential:
            convolution = nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation, bias=False)
            return nn.Sequential(convolution, nn.GroupNorm(4, after), nn.ReLU())

        self.fine = layer(channels, width // 2)
        # Dilated, at half the resolution: Yu and Koltun 2016, arXiv:1511.07122.
        dilations = (2, 4, 2)
        self.coarse = nn.Sequential(
            layer(width // 2, width), *(layer(width, width, dilation) for dilation in dilations)
        )
        self.last = nn.Conv2d(width + width // 2, classes, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures ``(B, C, H, W)`` -> logits ``(B, classes, H, W)``."""
        fine = self.fine(pictures)
        coarse = interpolate(self.coarse(avg_pool2d(fine, 2, ceil_mode=True)), fine.shape[2:], mode="bilinear")
        logits: Tensor = self.last(torch.cat([fine, coarse], 1))
        return logits


def segmenter_metrics(
    training: Iterable[tuple[Tensor, Condition]],
    classes: int,
    to_classes: Callable[[Condition], Tensor],
    seed: int = 0,
    steps: int = SEGMENTER_STEPS,
) -> PairMetrics:
    """How well a small segmenter finds, in a picture, the label map that it was made from.

    Pixel accuracy and mean intersection over union; those of real pictures say how good the segmenter is. Pixels whose
    class is outside of 0 to ``classes`` - 1 count for nothing.

    Args:
        training: Batches of pictures and of what the model was told of them.
        classes: Number of classes.
        to_classes: What the model was told -> the class of each pixel, int64 ``(B, H, W)``.
        seed: Decides the initial weights and the order.
        steps: Of its training.
    """
    network = train_segmenter(training, classes, to_classes, seed, steps)

    def compute(generated: Tensor, real: Tensor, condition: Condition) -> dict[str, Tensor]:
        network.to(generated.device)
        found, asked = network(generated.float()).argmax(1), to_classes(condition)
        return {
            "segmenter_accuracy": pixel_accuracy(found, asked, classes),
            "segmenter_mean_iou": mean_iou(found, asked, classes),
        }

    return PairMetrics(compute)


def train_segmenter(
    training: Iterable[tuple[Tensor, Condition]],
    classes: int,
    to_classes: Callable[[Condition], Tensor],
    seed: int = 0,
    steps: int = SEGMENTER_STEPS,
) -> Segmenter:
    """Train a segmenter with Adam and a cosine schedule; on a CPU the result is deterministic."""
    pictures, maps, pixels = [], [], 0
    for samples, condition in training:
        pictures.append(samples.float())
        maps.append(to_classes(condition).to(torch.uint8 if classes < 255 else torch.int64))
        pixels += samples[:, 0].numel()
        if pixels >= MAX_SEGMENTER_PIXELS:
            break
    real, asked = torch.cat(pictures), torch.cat(maps)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = Segmenter(real.shape[1], classes)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.randint(len(real), (SEGMENTER_BATCH,))
            target = asked[rows].long()
            ignored = target.masked_fill((target < 0) | (target >= classes), -100)
            loss = cross_entropy(network(real[rows]), ignored)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def pixel_accuracy(found: Tensor, asked: Tensor, classes: int) -> Tensor:
    """The share of pixels of the right class, ``(B,)``, of maps ``(B, H, W)``."""
    counted = (asked >= 0) & (asked < classes)
    right = ((found == asked) & counted).flatten(1).sum(1)
    return right / counted.flatten(1).sum(1).clamp_min(1)


def mean_iou(found: Tensor, asked: Tensor, classes: int) -> Tensor:
    """Intersection over union, ``(B,)``, of maps ``(B, H, W)``: the mean over the classes of either map.

    For each picture of its own, unlike the mean over a whole dataset that is usual for segmenters.
    """
    counted = (asked >= 0) & (asked < classes)
    numbers = torch.arange(classes, device=asked.device)[:, None, None]
    one, other = ((maps[:, None] == numbers) & counted[:, None] for maps in (found, asked))  # (B, classes, H, W)
    both, either = (part.flatten(2).sum(2) for part in (one & other, one | other))
    return (both / either.clamp_min(1)).sum(1) / (either > 0).sum(1).clamp_min(1)
