"""What is expected of every network that translates pictures."""

import torch


def gradients(network, loss):
    """The largest gradient of each weight, as a share of the largest of all; in double precision, so that rounding
    noise is 1e-16 and not a gradient.
    """
    network.zero_grad()
    loss.backward()
    assert all(weight.grad is not None for weight in network.parameters())
    largest = {name: weight.grad.abs().max().item() for name, weight in network.named_parameters()}
    return {name: value / max(largest.values()) for name, value in largest.items()}


def check_every_weight_learns(network, *inputs):
    """A loss that no normalisation is blind to: each number of the output by a factor of its own."""
    network, inputs = network.double(), [each.double() for each in inputs]
    output = network(*inputs)
    shares = gradients(network, (output * torch.randn_like(output)).sum())
    assert min(shares.values()) > 1e-5, min(shares, key=shares.get)


def check_each_sample_alone(network, latent, condition):
    network, latent, condition = network.double(), latent.double(), condition.double()
    with torch.no_grad():
        together = network(latent, condition)
        alone = torch.cat([network(*pair) for pair in zip(latent.split(1), condition.split(1), strict=True)])
    torch.testing.assert_close(together, alone)


def share_of_the_latent(network, latent_dim, condition):
    """How far samples of other latents lie apart, as a share of their deviation."""
    network, condition = network.double(), condition.double()
    with torch.no_grad():
        first, second = (
            network(torch.randn(len(condition), latent_dim, dtype=torch.float64), condition) for _ in range(2)
        )
    return ((first - second).square().mean().sqrt() / first.std()).item()


def saturated(network, latent, condition):
    """Share of the numbers of the output beyond 0.95."""
    with torch.no_grad():
        return (network(latent, condition).abs() > 0.95).double().mean().item()


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def pictures(number, height, width, channels=3):
    """Smooth ones, in [-1, 1]."""
    coarse = 2 * torch.rand(number, channels, 4, 4) - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def class_maps(number, classes, height, width):
    """Patches of classes, ``(number, classes, height, width)`` of 0 and 1."""
    coarse = torch.randint(0, classes, (number, 1, 4, 4)).float()
    numbers = torch.nn.functional.interpolate(coarse, (height, width), mode="nearest-exact")[:, 0].long()
    return torch.nn.functional.one_hot(numbers, classes).permute(0, 3, 1, 2).float()
