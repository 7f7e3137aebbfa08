"""StyleGAN2: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", arXiv:1912.04958.

Configuration F: a mapping network from latents z to styles w, a generator whose convolutions are modulated by styles
(section 2.2), with output skips (section 4.1), noise and style mixing; a residual discriminator with the minibatch
standard deviation; weights of equalised learning rate in both. `multigan.engine.path_length` has the regulariser of
section 3.2. Classes are as in StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676, appendix C): an embedding beside z,
and in the discriminator a projection on a mapped embedding.

What differs from the published code: the second latent of style mixing, its crossover and the noise maps are functions
of the latent (`multigan.networks.keyed_noise`), as nothing here may draw random numbers of its own; the mean style is
gathered over latents for the averaged weights, not while they train; the groups of the minibatch standard deviation are
of consecutive samples; and styles have as many numbers as latents.

The published sizes follow from one width, the channels at the picture's own side: 32 is configuration F at 1024 x 1024,
64 the one that StyleGAN2-ADA uses at 256 x 256, with 512 numbers in a latent.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

from multigan.networks import keyed_noise
from multigan.networks.activations import leaky_relu
from multigan.networks.convolutional import MOST_CHANNELS, first_sides, levels
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.normalization import RunningMean, divided_by_rms
from multigan.networks.resampling import Blur, Downsample, Upsample

GAIN = math.sqrt(2)  # after each leaky ReLU, whose output has about half of the variance
MAPPING_LAYERS = 8
MAPPING_RATE = 0.01  # learning rate of the mapping network, as a share of the others'
MIXING = 0.9  # probability that two styles are mixed, while training
GROUP = 4  # samples over which the minibatch standard deviation is taken
TINY = 1e-8

CROSSOVER, SECOND, NOISE = 0, 1, 2  # streams of the numbers keyed by a latent; each noise map has its own after NOISE


def channels_by_side(sides: tuple[int, int], width: int) -> list[int]:
    """Channels at 4 x 4, 8 x 8, ... the full side: ``width`` there, twice as many at each smaller, 512 at most."""
    return [min(width * 2**level, MOST_CHANNELS) for level in reversed(range(levels(sides) + 1))]


def activate(samples: Tensor) -> Tensor:
    """Leaky ReLU that keeps the scale."""
    return leaky_relu(samples) * GAIN


class EqualLinear(nn.Module):
    """A linear layer of equalised learning rate: Karras et al. 2018, arXiv:1710.10196, section 4.1.

    Weights start at a deviation of 1 and are scaled by ``1 / sqrt(inputs)`` when used, so that Adam's steps, which know
    no scale, are as large in each layer. ``rate`` is the learning rate as a share of the optimizer's.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, features: Tensor) -> Tensor:
        return linear(features, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution of equalised learning rate; ``padding`` is such that a stride of 1 keeps the sides."""

    def __init__(self, inputs: int, outputs: int, side: int, bias: bool = True, down: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = 1 / math.sqrt(inputs * side**2), side // 2
        self.blur = Blur(padding=self.padding + 1) if down else None

    def forward(self, samples: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if self.blur is None:
            return conv2d(samples, weight, self.bias, padding=self.padding)
        return conv2d(self.blur(samples), weight, self.bias, stride=2)


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled for each sample: equations 1 and 3.

    ``w'_ijk = s_i w_ijk`` and ``w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2 + eps)``, for inputs i, outputs j and places k.
    As convolution is linear, the samples are scaled by s before and by the root after, which is the same and needs no
    weights of each sample's own.
    """

    def __init__(self, inputs: int, outputs: int, side: int, demodulate: bool = True, up: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * side**2), side // 2, demodulate
        self.blur = Blur(padding=1, gain=4) if up else None

    def forward(self, samples: Tensor, style: Tensor) -> Tensor:
        """Samples ``(B, inputs, H, W)``, style ``(B, inputs)`` -> ``(B, outputs, H, W)``, or twice the sides."""
        weight = self.weight * self.scale
        samples = samples * style[:, :, None, None]
        if self.blur is None:
            samples = conv2d(samples, weight, padding=self.padding)
        else:
            samples = self.blur(conv_transpose2d(samples, weight.transpose(0, 1), stride=2))
        if self.demodulate:
            samples = samples * self.demodulation(weight, style)[:, :, None, None].to(samples.dtype)
        return samples

    def demodulation(self, weight: Tensor, style: Tensor) -> Tensor:
        """``1 / sqrt(sum_ik (s_i w_ijk)^2 + eps)``, ``(B, outputs)``, in the precision of the weights."""
        with torch.autocast(style.device.type, enabled=False):
            squares = style.to(weight.dtype).square() @ weight.square().sum((2, 3)).T
            return (squares + TINY).rsqrt()


class StyledLayer(nn.Module):
    """``(B, inputs, H, W)``, w ``(B, style_dim)``, noise ``(B, 1, H', W')`` -> ``(B, outputs, H', W')``: figure 2d."""

    def __init__(self, style_dim: int, inputs: int, outputs: int, up: bool = False) -> None:
        super().__init__()
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.convolution = ModulatedConv(inputs, outputs, 3, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, samples: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        samples = self.convolution(samples, self.style(style)) + noise * self.noise_strength
        return activate(samples + self.bias[:, None, None])


class ToPicture(nn.Module):
    """``(B, inputs, H, W)``, w -> ``(B, channels, H, W)``: modulated, not demodulated, linear."""

    def __init__(self, style_dim: int, inputs: int, channels: int) -> None:
        super().__init__()
        self.style = EqualLinear(style_dim, inputs, bias=1.0)
        self.convolution = ModulatedConv(inputs, channels, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, samples: Tensor, style: Tensor) -> Tensor:
        picture: Tensor = self.convolution(samples, self.style(style))
        return picture + self.bias[:, None, None]


class Mapping(nn.Module):
    """z ``(B, latent_dim)``, condition -> w ``(B, outputs)``: eight fully connected layers.

    Without a latent (``latent_dim`` 0), from the class alone.
    """

    def __init__(self, latent_dim: int, classes: int, outputs: int) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(classes, outputs) if classes else None
        widths = [latent_dim + (outputs if classes else 0), *[outputs] * MAPPING_LAYERS]
        self.layers = nn.ModuleList(EqualLinear(*pair, rate=MAPPING_RATE) for pair in pairwise(widths))

    def forward(self, latent: Tensor | None, condition: Tensor | None) -> Tensor:
        parts = [] if latent is None else [divided_by_rms(latent)]
        if self.embedding is not None:
            parts.append(divided_by_rms(self.embedding(condition)))
        hidden = torch.cat(parts, 1)
        for layer in self.layers:
            hidden = activate(layer(hidden))
        return hidden


class StyleGAN2Generator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, *sides)``, not bounded: what is written is clamped to [-1, 1].

    Args:
        latent_dim: Numbers in a latent, and in a style.
        channels: Channels of a sample.
        sides: Height and width, at least 8, that can be halved until the shorter is 4 to 7.
        width: Channels at the full side.
        classes: Number of classes; 0 for an unconditional network.

    Attributes:
        truncation: psi of the truncation trick in w (Karras et al. 2019, arXiv:1812.04948, appendix B), for generating:
            ``mean + psi (w - mean)``, with the mean style over all latents and classes; None is off.
    """

    def __init__(self, latent_dim: int, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        widths = channels_by_side(sides, width)
        first = first_sides(sides)
        self.truncation: float | None = None
        self.mapping = Mapping(latent_dim, classes, latent_dim)
        self.mean_style = RunningMean(latent_dim)
        self.first = nn.Parameter(torch.randn(1, widths[0], *first))
        # Two layers a side, but one at 4 x 4, and what makes each side's part of the picture.
        self.layers = nn.ModuleList([StyledLayer(latent_dim, widths[0], widths[0])])
        self.noise_sides = [first]
        for level, (inputs, outputs) in enumerate(pairwise(widths), 1):
            self.layers.append(StyledLayer(latent_dim, inputs, outputs, up=True))
            self.layers.append(StyledLayer(latent_dim, outputs, outputs))
            self.noise_sides += [(first[0] << level, first[1] << level)] * 2
        self.to_picture = nn.ModuleList(ToPicture(latent_dim, inputs, channels) for inputs in widths)
        self.upsample = Upsample()
        self.style_count = len(self.layers) + 1  # each part of the picture shares the style of the layer that follows

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        return self.synthesize(self.layer_styles(latent, condition), latent)

    def layer_styles(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        """The style of each layer, ``(B, layers, style_dim)``.

        While training, nine in ten samples are mixed: from a random layer on, they have the style of a second latent of
        the same class (Karras et al. 2019, section 3.1).
        """
        style: Tensor = self.mean_style(self.mapping(latent, condition))
        if self.truncation is not None:
            style = torch.lerp(self.mean_style.running_mean, style, self.truncation)
        styles = style[:, None].expand(-1, self.style_count, -1)
        if not self.training:
            return styles
        key = keyed_noise.keys(latent)
        mixes, place = keyed_noise.uniform(key, CROSSOVER, 2).unbind(1)
        crossover = torch.where(mixes < MIXING, 1 + (place * (self.style_count - 1)).long(), self.style_count)
        second = self.mapping(keyed_noise.normal(key, SECOND, latent.shape[1]).to(latent.dtype), condition)
        kept = torch.arange(self.style_count, device=latent.device) < crossover[:, None]
        return torch.where(kept[:, :, None], styles, second[:, None])

    def synthesize(self, styles: Tensor, latent: Tensor) -> Tensor:
        """Styles ``(B, layers, style_dim)`` -> samples; the latents, ``(B, latent_dim)``, decide the noise maps."""
        key = keyed_noise.keys(latent)
        hidden = self.first.expand(latent.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        for place, (layer, sides) in enumerate(zip(self.layers, self.noise_sides, strict=True)):
            noise = keyed_noise.normal(key, NOISE + place, math.prod(sides)).to(latent.dtype)
            hidden = layer(hidden, styles[:, place], noise.view(-1, 1, *sides))
            if place % 2 == 0:  # the last layer at its side
                part = self.to_picture[place // 2](hidden, styles[:, place + 1])
                picture = part if picture is None else self.upsample(picture) + part
        assert picture is not None
        return picture


class MinibatchDeviation(nn.Module):
    """``(B, C, H, W) -> (B, C + 1, H, W)``: how much samples differ, as one more channel.

    The standard deviation of each feature over a group of four samples, averaged over features and places: Karras et
    al. 2018, arXiv:1710.10196, section 3. The groups are of consecutive samples and never span processes or
    micro-batches, as in `multigan.networks.normalization.GhostBatchNorm2d`.

    Raises:
        ValueError: B is not a multiple of the group.
    """

    def forward(self, samples: Tensor) -> Tensor:
        if len(samples) % GROUP:
            raise ValueError(
                f"each process has {len(samples)} samples in a micro-batch: expected a multiple of {GROUP}, the group "
                f"of the minibatch standard deviation; use a --batch_size that is a multiple of {GROUP} times the "
                "number of processes and micro_batches"
            )
        with torch.autocast(samples.device.type, enabled=False):
            grouped = samples.to(torch.promote_types(samples.dtype, torch.float32)).view(-1, GROUP, *samples.shape[1:])
            deviation = (grouped.var(1, correction=0) + TINY).sqrt().mean((1, 2, 3))
        channel = deviation.to(samples.dtype).repeat_interleave(GROUP).view(-1, 1, 1, 1)
        return torch.cat([samples, channel.expand(-1, 1, *samples.shape[2:])], 1)


class ResidualBlock(nn.Module):
    """``(B, inputs, H, W) -> (B, outputs, H / 2, W / 2)``: two convolutions beside one of 1 x 1, figure 7c."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, down=True)
        self.downsample = Downsample()
        self.skip = EqualConv(inputs, outputs, 1, bias=False)

    def forward(self, samples: Tensor) -> Tensor:
        hidden = activate(self.second(activate(self.first(samples))))
        sum_of_both: Tensor = hidden + self.skip(self.downsample(samples))
        return sum_of_both / math.sqrt(2)  # the variance of one


class StyleGAN2Discriminator(nn.Module):
    """``(B, channels, *sides), condition -> (B,)`` logits. Arguments as in `StyleGAN2Generator`.

    Raises:
        ValueError: B is not a multiple of 4: see `MinibatchDeviation`.
    """

    def __init__(self, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        widths = channels_by_side(sides, width)[::-1]
        most = widths[-1]
        self.from_picture = EqualConv(channels, widths[0], 1)
        self.blocks = nn.Sequential(*[ResidualBlock(*pair) for pair in pairwise(widths)])
        self.deviation = MinibatchDeviation()
        self.last_convolution = EqualConv(most + 1, most, 3)
        self.hidden = EqualLinear(most * math.prod(first_sides(sides)), most)
        self.last = EqualLinear(most, most if classes else 1)
        self.mapping = Mapping(0, classes, most) if classes else None

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        hidden = self.blocks(activate(self.from_picture(samples)))
        hidden = activate(self.last_convolution(self.deviation(hidden)))
        features: Tensor = self.last(activate(self.hidden(hidden.flatten(1))))
        if self.mapping is not None:
            features = features * self.mapping(None, condition) / math.sqrt(features.shape[1])
        return features.sum(1)
