"""The built-in drum kit: eight drums, each a simple physical model played with random parameters.

Membranes ring at the modes of a circular drumhead, metal at partials that are no multiples of one another, and what
rattles or scrapes is filtered noise; all die away exponentially, each in a time of its own.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy
import soundfile
from numpy.typing import NDArray

Wave: TypeAlias = NDArray[numpy.float64]

RATE = 16_000  # Hz
LENGTH = 8_192  # samples of each sound, about half a second
EACH = 250  # sounds per drum

# Frequencies of a circular membrane's modes over its lowest, from the zeros of the Bessel functions.
MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653)
# Frequencies of the six oscillators of a drum machine's metal sounds, over the lowest.
METAL = (1.0, 1.342, 1.481, 1.8, 2.546, 2.706)

time = numpy.arange(LENGTH) / RATE


def decay(seconds: float) -> Wave:
    """An amplitude that decays to 1/e in the given seconds."""
    return numpy.asarray(numpy.exp(-time / seconds))


def tone(frequency: Wave | float, phase: float = 0.0) -> Wave:
    """A sine with a frequency in Hz that may change with time."""
    cycles = numpy.cumsum(numpy.broadcast_to(frequency, LENGTH)) / RATE
    return numpy.asarray(numpy.sin(2 * numpy.pi * (cycles + phase)))


def filtered(sound: Wave, order: int, kind: str, frequencies: float | list[float]) -> Wave:
    """A sound through a Butterworth filter with these frequencies in Hz."""
    from scipy.signal import butter, sosfilt  # here, because it is slow to import, and the kit is played only once

    return numpy.asarray(sosfilt(butter(order, frequencies, kind, fs=RATE, output="sos"), sound))


def noise(random: numpy.random.Generator, low: float, high: float) -> Wave:
    """White noise between two frequencies in Hz."""
    return filtered(random.standard_normal(LENGTH), 2, "bandpass", [low, min(high, 0.49 * RATE)])


def membrane(random: numpy.random.Generator, pitch: Wave | float, seconds: float) -> Wave:
    """A membrane struck off its center: higher modes are weaker and shorter."""
    modes = [
        random.uniform(0.3, 1) / ratio**1.5 * tone(ratio * pitch, random.uniform()) * decay(seconds / ratio)
        for ratio in MEMBRANE[1:]
    ]
    return numpy.asarray(tone(pitch) * decay(seconds) + numpy.sum(modes, 0))


def metal(random: numpy.random.Generator, pitch: float) -> Wave:
    """Six square waves without a common fundamental."""
    ratios = METAL * random.uniform(0.97, 1.03, len(METAL))
    return numpy.asarray(numpy.sum([numpy.sign(tone(pitch * ratio, random.uniform())) for ratio in ratios], 0))


def kick(random: numpy.random.Generator) -> Wave:
    end, start, fall = random.uniform(42, 65), random.uniform(150, 350), random.uniform(0.015, 0.04)
    click = noise(random, 800, 4000) * decay(0.003) * random.uniform(0.1, 0.5)
    return tone(end + (start - end) * decay(fall)) * decay(random.uniform(0.08, 0.2)) + click


def snare(random: numpy.random.Generator) -> Wave:
    head = membrane(random, random.uniform(160, 240), random.uniform(0.04, 0.08))
    wires = noise(random, random.uniform(800, 1500), 7000) * decay(random.uniform(0.06, 0.14))
    return head + random.uniform(0.6, 1.4) * wires


def hat(random: numpy.random.Generator, seconds: float) -> Wave:
    shell = metal(random, random.uniform(280, 420)) * 0.3 + random.standard_normal(LENGTH) * random.uniform(0.2, 0.6)
    return filtered(shell, 3, "highpass", random.uniform(2000, 3000)) * decay(seconds)


def closed_hat(random: numpy.random.Generator) -> Wave:
    return hat(random, random.uniform(0.012, 0.03))


def open_hat(random: numpy.random.Generator) -> Wave:
    return hat(random, random.uniform(0.15, 0.35))


def clap(random: numpy.random.Generator) -> Wave:
    gap, hands = random.uniform(0.009, 0.014), int(random.integers(3, 5))
    bursts = sum(numpy.exp(-(time - i * gap) / 0.004) * (time >= i * gap) for i in range(hands))
    room = 0.6 * numpy.exp(-(time - hands * gap) / random.uniform(0.04, 0.1)) * (time >= hands * gap)
    return noise(random, random.uniform(700, 1000), random.uniform(1800, 3000)) * (bursts + room)


def tom(random: numpy.random.Generator) -> Wave:
    pitch = random.uniform(85, 200)
    return membrane(random, pitch * (1 + 0.3 * decay(random.uniform(0.03, 0.08))), random.uniform(0.1, 0.2))


def cowbell(random: numpy.random.Generator) -> Wave:
    low = random.uniform(480, 620)
    pair = numpy.sign(tone(low, random.uniform())) + numpy.sign(tone(low * random.uniform(1.44, 1.52)))
    body = filtered(pair, 2, "bandpass", [0.8 * low, 5 * low])
    return body * (0.6 * decay(0.015) + 0.4 * decay(random.uniform(0.06, 0.15)))


def rim(random: numpy.random.Generator) -> Wave:
    wood = [tone(random.uniform(*band), random.uniform()) for band in ((380, 520), (1500, 1900), (2200, 2700))]
    return (wood[0] + wood[1] + 0.5 * wood[2]) * decay(random.uniform(0.008, 0.016))


DRUMS: dict[str, Callable[[numpy.random.Generator], Wave]] = {
    "kick": kick,
    "snare": snare,
    "closed hat": closed_hat,
    "open hat": open_hat,
    "clap": clap,
    "tom": tom,
    "cowbell": cowbell,
    "rim": rim,
}


def strike(name: str, number: int, seed: int) -> Wave:
    """Sound ``number`` of a drum, float64 ``(LENGTH,)``, its peak from 0.5 to 0.95, silent at the end."""
    random = numpy.random.Generator(numpy.random.Philox(key=[seed, number * len(DRUMS) + list(DRUMS).index(name)]))
    sound = DRUMS[name](random)
    sound *= numpy.minimum(1, time / 0.0005)  # an attack of half a millisecond
    sound *= numpy.minimum(1, (LENGTH - 1 - numpy.arange(LENGTH)) / (0.01 * RATE))
    sound *= random.uniform(0.5, 0.95) / numpy.abs(sound).max()
    return sound


def drums(each: int = EACH, seed: int = 0) -> datasets.Dataset:
    """The kit as a dataset: ``audio``, WAV files of 16 bits at 16 kHz, and ``label``; the same for the same seed.

    Args:
        each: Sounds of each drum. The first ones of a larger kit are those of a smaller one.
        seed: Another seed is another drummer on the same kit.
    """
    # The layout of datasets.Audio, whose type itself needs a system library.
    audio = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features(audio=audio, label=datasets.ClassLabel(names=list(DRUMS)))
    # Cached on disk by `datasets` until this file changes.
    model = hashlib.sha256(Path(__file__).read_bytes() + f"{each} {seed}".encode()).hexdigest()[:16]
    made: datasets.Dataset = datasets.Dataset.from_generator(
        play, features=features, gen_kwargs={"each": each, "seed": seed}, split="train", fingerprint=model
    )
    return made


def play(each: int, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of the dataset."""
    for number in range(each):
        for label, name in enumerate(DRUMS):
            file = io.BytesIO()
            soundfile.write(file, strike(name, number, seed), RATE, "PCM_16", format="WAV")
            yield {"audio": {"bytes": file.getvalue(), "path": None}, "label": label}
