"""Detects artifacts in sounds: silence, clipping, DC offset, clicks and checkerboard tones."""

import torch
from torch import Tensor
from torch.nn.functional import pad

TOLERATED = 0.1  # share of sounds with an artifact
QUIET = 0.01  # peak of a sound that counts as silent: -40 dB
CLIPPED = 0.01  # share of a sound's samples at full scale
SHIFTED = 0.3  # mean of a sound over its root mean square
CLICK = 20.0  # curvature of the waveform over the median just before and after
CLICK_LEAST = 0.1  # and at least this share of full scale
AROUND = 32  # samples before and after
BLOCK = 65536  # samples at which it is looked for at once
TONE = 100.0  # power at one frequency over the power around it: 20 dB
GRID = 16  # tones are sought at multiples of the sampling rate over this


def measure(sounds: Tensor) -> dict[str, float]:
    """The share of sounds ``(N, C, T)``, full scale 1, that have each artifact."""
    waves = sounds.flatten(0, 1)
    peak, loudness = waves.abs().amax(1), waves.square().mean(1).sqrt()
    heard = peak > QUIET
    rings = tones(waves)
    faults = {
        "silent": ~heard,
        "clipped": (waves.abs() > 0.999).float().mean(1) > CLIPPED,
        "shifted": heard & (waves.mean(1).abs() > SHIFTED * loudness),
        "clicking": clicks(waves).any(1),
        # The generator's artifact has the same frequency in all sounds.
        "checkerboard": rings[:, rings.sum(0).argmax()],
    }
    return {name: float(found.double().mean()) for name, found in faults.items()}


def clicks(waves: Tensor) -> Tensor:
    """Where waveforms ``(N, T)`` have a click, with quiet before and after: bool ``(N, T - 2)``.

    The beginning of a loud sound is none: it is not calm after that.
    """
    bend = waves.diff(n=2).abs()
    found = bend > CLICK_LEAST
    around = pad(bend, (AROUND, AROUND + 3)).unfold(1, AROUND, 1)
    for places in torch.split(found.nonzero(), BLOCK):  # medians are slow, and few samples need them
        row, place = places.unbind(1)
        before, after = (around[row, place + offset].median(1).values for offset in (0, AROUND + 3))
        found[row, place] = bend[row, place] > CLICK * torch.maximum(before, after)
    return found


def tones(waves: Tensor) -> Tensor:
    """Which multiples of a sixteenth of the rate are steady tones in waveforms ``(N, T)``: bool ``(N, 8)``.

    There layers that make a sound four times as long leave their tones: Odena et al. 2016, doi:10.23915/distill.00003.
    """
    length = waves.shape[1] // GRID * GRID
    window = torch.hann_window(length, dtype=waves.dtype, device=waves.device)
    power = torch.fft.rfft(waves[:, :length] * window).abs().square()
    power = pad(power, (0, AROUND), mode="reflect")
    places = torch.arange(1, GRID // 2 + 1, device=waves.device) * (length // GRID)
    around = torch.cat([power.unfold(1, AROUND - 4, 1)[:, places + offset] for offset in (5, -AROUND)], 2)
    # A tone that decays or lies beside the multiple is broader than the window's peak: it belongs to the sound.
    beside = torch.maximum(power[:, places - 2], power[:, places + 2])
    return (power[:, places] > TONE * beside) & (power[:, places] > TONE * around.median(2).values.clamp_min(1e-8))


ADVICE = {
    "silent": "silent (the peak is under -40 dB): train longer, or more r1",
    "clipped": "clipped (more than 1 % of the samples at full scale): train longer, or lower the generator's learning "
    "rate",
    "shifted": "off zero (a mean over 0.3 of the loudness): train longer; check the data for a DC offset",
    "clicking": "clicking (single jumps in calm surroundings): train longer, or wider networks",
    "checkerboard": "ringing at multiples of a sixteenth of the sampling rate (the steps of the generator): train "
    "longer; for wavegan, keep phase_shuffle on, or add a post_filter of 512",
}


def warnings(sounds: Tensor) -> list[str]:
    """A line for each artifact that more than a tenth of the sounds ``(N, C, T)`` have."""
    return [
        f"{share:.0%} of the sounds are {ADVICE[name]}" for name, share in measure(sounds).items() if share > TOLERATED
    ]
