"""The loss of style transfer, and the built-in pattern whose style is learned."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d
from tqdm import tqdm

from multigan.errors import UserError
from multigan.interface import full_precision
from multigan.modalities.image_to_image.tasks import to_pictures
from multigan.pictures.decoding import flatten, upright

LARGEST = 512  # pixels of the style picture's longer side
SMALLEST = 8  # pixels of its shorter side: the layers of VGG halve it three times
SCALES, FILTERS, SIDE = 3, 96, 9  # of the random filters: how many at each scale, and their side in pixels
CONTENT = 1  # the scale whose activations are the content
VGG_STYLE, VGG_CONTENT = (3, 8, 15, 22), 15  # relu1_2, relu2_2, relu3_3, relu4_3, as in the paper
VGG_MEAN, VGG_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEAST_SCALE = 1e-3  # mean square, of activations of about 1: a picture of one grey has next to none
STEP = 0.01  # weight of the differences between neighbouring pixels
PALETTE = (226, 84, 43), (244, 178, 62), (38, 110, 158), (24, 158, 132), (118, 54, 120), (238, 226, 196)


class StyleLoss:
    """Content, style and smoothness of pictures: Johnson et al. 2016, arXiv:1603.08155, section 3.2.

    Content is the mean square of the difference of one layer's activations from those of the original picture, style
    that of the Gram matrices of several layers from those of the style picture; both are relative to the mean square of
    what they are compared with, so that weights do not depend on the network.

    The network is VGG-16, where torchvision's weights are on this machine (nothing is downloaded), and otherwise random
    filters at several scales, which know textures, but no objects: Ustyuzhaninov et al. 2016, arXiv:1606.00021.

    Args:
        picture: A file; None is `pattern`.
        weight: Weight of the style against the content.

    Raises:
        UserError: The file cannot be read, or is too small.
    """

    def __init__(self, picture: str | None, weight: float) -> None:
        try:
            style = pattern() if picture is None else flatten(upright(picture)).convert("RGB")
        except (OSError, ValueError) as error:
            raise UserError(f"style_picture {picture}: {getattr(error, 'strerror', None) or error}") from error
        style.thumbnail((LARGEST, LARGEST))
        if min(style.size) < SMALLEST:
            sides = f"{style.height} x {style.width} pixels, once it is at most {LARGEST} a side"
            raise UserError(f"style_picture {picture}: {sides}: expected at least {SMALLEST} a side")
        self.style = to_pictures(torch.from_numpy(numpy.array(style)).permute(2, 0, 1)[None])
        self.weight = weight
        self.network: VGGFeatures | RandomFeatures | None = None
        self.grams: list[Tensor] = []

    def __call__(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The losses of what was made, ``(B, C, H, W)``, of real pictures: scalars by name."""
        if self.network is None:
            self.network = find_features().to(real.device, real.dtype)
            self.grams = [gram(layer) for layer in self.network(self.style.to(real))[0]]
        with torch.no_grad():
            _, content = self.network(colours(real))
        layers, made = self.network(colours(fake))
        style = torch.stack([relative(gram(layer), wanted) for layer, wanted in zip(layers, self.grams, strict=True)])
        steps = (fake.diff(dim=2).abs().mean() + fake.diff(dim=3).abs().mean()) * STEP
        return {"content": relative(made, content), "style": self.weight * style.mean(), "steps": steps}


def find_features() -> VGGFeatures | RandomFeatures:
    """VGG-16's features; random ones, where its weights are not on this machine, and says so. Nothing is downloaded."""
    from torchvision.models import VGG16_Weights

    file = Path(torch.hub.get_dir()) / "checkpoints" / VGG16_Weights.DEFAULT.url.rsplit("/", 1)[1]
    if file.is_file():
        return VGGFeatures()
    fetch = "python -c 'import torchvision; torchvision.models.vgg16(weights=\"DEFAULT\")'"
    tqdm.write(
        "note: the style is that of random filters, textures alone, as torchvision's VGG-16 (528 MB) is not here; to "
        f"download it: {fetch}"
    )
    return RandomFeatures()


class VGGFeatures(nn.Module):
    """VGG-16 of torchvision: colour pictures -> the layers of the style, and the layer of the content."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import VGG16_Weights, vgg16

        self.layers = vgg16(weights=VGG16_Weights.DEFAULT).features[: max(VGG_STYLE) + 1].eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        mean, deviation = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (VGG_MEAN, VGG_DEVIATION))
        hidden = ((pictures + 1) / 2 - mean) / deviation
        found = {}
        for place, layer in enumerate(self.layers):
            hidden = layer(hidden)
            found[place] = hidden
        return [found[place] for place in VGG_STYLE], found[VGG_CONTENT]


class RandomFeatures(nn.Module):
    """Random filters of 9 x 9 pixels at three scales: colour pictures -> the activations of each, and the content."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        size, deviation = (SCALES, FILTERS, 3, SIDE, SIDE), math.sqrt(2 / (3 * SIDE**2))
        self.filters = nn.Parameter(torch.randn(size, generator=generator) * deviation, requires_grad=False)

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        layers = []
        for place, filters in enumerate(self.filters.to(pictures.dtype)):
            pictures = avg_pool2d(pictures, 2) if place else pictures
            layers.append(conv2d(pictures, filters, padding=SIDE // 2).relu())
        return layers, layers[CONTENT]


def gram(activations: Tensor) -> Tensor:
    """``(B, C, H, W) -> (B, C, C)``, the mean over places of the products of channels: equation 3.

    In full precision, also under autocast: in half precision a sum over places overflows, and few of its digits stay.
    """
    flat = full_precision(activations.flatten(2))
    with torch.autocast(flat.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """The mean square of a difference over that of what was wanted, a scalar: the mean over samples.

    Each sample is divided by its own, as a mean over a batch would depend on how the batch is shared out.
    """
    found, wanted = full_precision(found), full_precision(wanted)
    difference, scale = (values.square().flatten(1).mean(1) for values in (found - wanted, wanted))
    return (difference / scale.clamp(min=LEAST_SCALE)).mean()


def colours(pictures: Tensor) -> Tensor:
    """Grey pictures in three equal channels; others as they are."""
    return pictures.expand(-1, 3, -1, -1)


def pattern(side: int = 256) -> Image.Image:
    """A built-in picture with a style: stained glass, cells of a few colours with dark leads between them."""
    random = numpy.random.Generator(numpy.random.Philox(key=5))
    count = 220
    centers = random.random((count, 2)) * side
    palette = numpy.array(PALETTE)
    colours_of_cells = palette[random.integers(len(palette), size=count)]
    rows, columns = numpy.mgrid[:side, :side] + 0.5
    distances = numpy.hypot(rows[..., None] - centers[:, 0], columns[..., None] - centers[:, 1])
    nearest = numpy.partition(distances, 1, axis=2)
    shade = 1 - 0.35 * nearest[..., 0] / nearest[..., 0].max()
    glass = colours_of_cells[distances.argmin(2)] * shade[..., None]
    lead = numpy.clip((nearest[..., 1] - nearest[..., 0]) / 3, 0, 1)[..., None]
    return Image.fromarray((glass * lead + 24 * (1 - lead)).astype(numpy.uint8))
