"""Fourier transforms as convolutions against torch's."""

import pytest
import torch

from multigan.networks import fourier, inverse_stft
from multigan.sounds import phases


@pytest.mark.parametrize(("size", "hop"), [(64, 16), (64, 32), (128, 48), (96, 40)])
def test_transforms_are_those_of_torch(size, hop):
    torch.manual_seed(0)
    waves, window = torch.randn(3, 640).double(), torch.hann_window(size).double()
    basis = fourier.basis(window)
    spectrum = torch.stft(waves, size, hop, window=window, return_complex=True)
    real, imaginary = fourier.stft(waves, hop, basis)
    torch.testing.assert_close(torch.complex(real, imaginary), spectrum, rtol=0, atol=1e-12)
    length = (spectrum.shape[2] - 1) * hop
    expected = torch.istft(spectrum, size, hop, window=window, length=length)
    torch.testing.assert_close(fourier.istft(real, imaginary, window, hop, length), expected, rtol=0, atol=1e-12)


def exported_and_not(monkeypatch, compute):
    """What is computed when a model is exported, and otherwise."""
    usual = compute()
    monkeypatch.setattr("torch.compiler.is_exporting", lambda: True)
    return compute(), usual


def test_the_end_of_a_generator_is_the_same_when_exported(monkeypatch):
    torch.manual_seed(0)
    magnitude, cosine, sine = torch.rand(2, 1, 32, 20).double(), *torch.randn(2, 2, 1, 32, 20).double()
    compute = lambda: inverse_stft.inverse_stft(magnitude, cosine, sine, 16)  # noqa: E731
    torch.testing.assert_close(*exported_and_not(monkeypatch, compute), rtol=0, atol=1e-12)


def test_phases_are_the_same_when_exported(monkeypatch):
    torch.manual_seed(0)
    levels, window = torch.randn(2, 24, 33).double(), torch.hann_window(64).double()

    def compute():
        found = phases.continued(levels)
        return phases.reconstructed(levels.exp(), found, window, 16, 24 * 16, rounds=2)

    torch.testing.assert_close(*exported_and_not(monkeypatch, compute), rtol=0, atol=1e-10)


def test_running_maximum():
    values = torch.randint(-100, 100, (3, 2, 37), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(phases.running_max(values), values.cummax(-1).values)
