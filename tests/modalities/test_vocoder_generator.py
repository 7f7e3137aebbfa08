"""Holds the vocoder's generator: phases that go on, sines that come back, and recordings that are made in parts."""

import math

import pytest
import torch

from multigan.modalities.vocoder import generator
from multigan.modalities.vocoder.generator import VocoderGenerator
from multigan.modalities.vocoder.mel import magnitudes, mirrored
from multigan.sounds.phases import continued, nearest_peaks, reconstructed

SIZE, HOP = 256, 64
INNER = slice(6, -6)  # frames that see nothing of the ends, where the sound is mirrored


@pytest.fixture
def network():
    """A small one in double precision, with random weights."""
    torch.manual_seed(0)
    network = VocoderGenerator(bins=16, size=SIZE, rate=16_000, width=8, blocks=2).double().eval()
    torch.nn.init.normal_(network.last.weight, std=0.3)
    return network.requires_grad_(False)


def sine(cycles, frames=40):
    """A sine with so many cycles a window, float64 ``(1, frames * HOP)``."""
    return torch.sin(2 * math.pi * cycles * torch.arange(frames * HOP, dtype=torch.float64) / SIZE)[None]


def spectrum(waves):
    """Magnitudes, ``(B, frames, bins)``."""
    return magnitudes(mirrored(waves, SIZE), SIZE)[..., :-1].transpose(1, 2)


def test_bins_belong_to_the_nearest_peak_and_the_lower_of_two():
    is_peak = torch.tensor([[0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0]]).bool()
    assert nearest_peaks(is_peak)[0].tolist() == [2, 2, 2, 2, 2, 6, 6, 6]
    assert set(nearest_peaks(is_peak)[1].tolist()) <= {0, 7}  # there is none


@pytest.mark.parametrize("cycles", [20.0, 20.3, 41.5, 60.8])
def test_phase_of_a_sine_goes_on_at_its_frequency(cycles):
    phases = continued(spectrum(sine(cycles)).log(), None)[0, INNER]
    around = phases[:, round(cycles) - 1 : round(cycles) + 2]
    turns = around.diff(dim=0) - cycles * HOP / SIZE
    assert (turns - turns.round()).abs().max() < 0.02  # of a turn
    same = around - around[:, :1]
    assert (same - same.round()).abs().max() < 1e-9, "the bins of a sine share its phase"


def test_phases_go_on_from_those_before():
    levels = spectrum(sine(20.3) + 0.3 * sine(50.7)).log()
    whole, first = continued(levels, None), continued(levels[:, :17], None)
    rest = continued(levels[:, 17:], first[:, -1] % 1)
    difference = torch.cat([first, rest], 1) - whole
    assert (difference - difference.round()).abs().max() < 1e-9


@pytest.mark.parametrize("cycles", [20.0, 20.3, 41.5])
def test_magnitudes_of_a_sine_give_a_sine(network, cycles):
    told = spectrum(sine(cycles))
    made = reconstructed(told, continued(told.log()), network.window, HOP, 40 * HOP, rounds=2)
    assert made.shape == (1, 40 * HOP)
    again = spectrum(made)[:, INNER]
    assert (again - told[:, INNER]).abs().max() < 0.05 * told.max()


def test_autocast_leaves_the_estimate_and_the_sum_in_full_precision(network):
    """What the network adds is 0.5, which half precision has exactly; the estimates need more digits."""
    network.float()
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.constant_(network.last.bias, 0.5)
    mels = torch.randn(1, 16, 20, generator=torch.Generator().manual_seed(0)) - 2
    expected = (network.inverse @ mels.exp()).clamp_min(generator.QUIETEST).log().transpose(1, 2) + 0.5
    with torch.autocast("cpu", torch.bfloat16):
        found = network.levels(mels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [3, 64, 65, 200])
def test_parts_are_the_whole(network, frames, monkeypatch):
    mels = torch.randn(2, 16, frames, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 2
    whole = network(torch.zeros(2, 0), mels)
    assert whole.shape == (2, 1, frames * HOP)
    monkeypatch.setattr(generator, "CHUNK", 32)
    torch.testing.assert_close(network(torch.zeros(2, 0), mels), whole, rtol=0, atol=1e-9)


def test_parts_need_what_is_beside_them(network, monkeypatch):
    """Without it, the test above would fail."""
    mels = torch.randn(1, 16, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 2
    whole = network(torch.zeros(1, 0), mels)
    monkeypatch.setattr(generator, "CHUNK", 32)
    monkeypatch.setattr(generator, "EDGE", 2)
    assert (network(torch.zeros(1, 0), mels) - whole).abs().max() > 1e-6


def test_one_round_more_is_made_in_generating_than_in_training(network, monkeypatch):
    counts = []

    def counted(*arguments):
        counts.append(arguments[-1])
        return reconstructed(*arguments)

    monkeypatch.setattr(generator, "reconstructed", counted)
    for training in (True, False):
        network.train(training)(torch.zeros(1, 0), torch.zeros(1, 16, 20).double())
    assert counts == [2, 3]
