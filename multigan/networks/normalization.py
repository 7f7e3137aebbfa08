"""Normalisation and running means whose result does not depend on the number of processes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, group_norm

GROUP = 16
TINY = 1e-8  # added to a mean square


def divided_by_rms(values: Tensor) -> Tensor:
    """Each sample divided by its root mean square: ``(B, *S) -> (B, *S)``."""
    # A square of half precision could be infinite, or 0.
    full = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
    scale = (full.square().mean(tuple(range(1, values.dim())), keepdim=True) + TINY).rsqrt()
    return values * scale.to(values.dtype)


def instance_norm(samples: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022): each channel of each sample by itself.

    ``(B, C, H, W) -> (B, C, H, W)`` of mean 0 and variance 1 over the places, then times ``weight`` plus ``bias``,
    ``(C,)`` each. It cancels whatever is constant over a channel's places, such as a preceding bias.
    """
    # Group normalisation with one channel a group, on contiguous memory. PyTorch's instance normalisation loses the
    # channels_last layout, and its group normalisation is many times slower in that layout on a CPU.
    normal = group_norm(samples.contiguous(), samples.shape[1], weight, bias)
    if samples.is_contiguous(memory_format=torch.channels_last):
        return normal.contiguous(memory_format=torch.channels_last)
    return normal


class InstanceNorm2d(nn.Module):
    """`instance_norm` with a weight and a bias that are learned: ``(B, channels, H, W)`` -> the same.

    Args:
        channels: Channels of the samples.
        bias: False where a later normalisation would cancel it.
    """

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, samples: Tensor) -> Tensor:
        return instance_norm(samples, self.weight, self.bias)


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over groups of 16 consecutive samples: Hoffer et al. 2017, arXiv:1705.08741, algorithm 1.

    ``(B, C, H, W) -> (B, C, H, W)``. A group never spans processes or micro-batches, so nothing is communicated, and
    the same batch gives the same result however it is shared out.

    The statistics for evaluation are not gathered while training, where they would depend on how the batch is shared
    out, but afterwards, by `multigan.engine.ema.calibrate`, which sets ``momentum`` to None.

    Raises:
        ValueError: In training, B is not a multiple of the group.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        if len(input) % GROUP:
            raise ValueError(
                f"each process has {len(input)} samples in a micro-batch: expected a multiple of {GROUP}, the size of "
                f"the groups of batch normalisation; use a --batch_size that is a multiple of {GROUP} times the number "
                "of processes and micro_batches"
            )
        assert self.running_mean is not None
        means = self.running_mean.new_zeros(len(input) // GROUP, self.num_features)
        variances = torch.zeros_like(means)
        # A loop: groups side by side in the channels lose the layout, and cost four times as much on a processor.
        normal = [
            batch_norm(part, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
            for part, mean, variance in zip(torch.split(input, GROUP), means, variances, strict=True)
        ]
        if self.momentum is None:
            self.gather(means.mean(0), variances.mean(0))
        return torch.cat(normal)

    def gather(self, mean: Tensor, variance: Tensor) -> None:
        """Take one batch into the running means of the statistics."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, 1 / self.num_batches_tracked)
        self.running_var.lerp_(variance, 1 / self.num_batches_tracked)


class RunningMean(nn.Module):
    """Passes its input ``(B, features)`` on, and knows the mean that it has for the averaged generator.

    Gathered like the statistics of `GhostBatchNorm2d`: not while training, but afterwards, by
    `multigan.engine.ema.calibrate`, so that it does not depend on how batches were shared out.
    """

    running_mean: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.momentum: float | None = 0.0
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def reset_running_stats(self) -> None:
        """Forget what was gathered."""
        self.running_mean.zero_()
        self.num_batches_tracked.zero_()

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.momentum is None:
            self.num_batches_tracked += 1
            mean = input.detach().mean(0).to(self.running_mean.dtype)
            self.running_mean.lerp_(mean, 1 / self.num_batches_tracked)
        return input
