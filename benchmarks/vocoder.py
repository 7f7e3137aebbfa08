"""How near a vocoder comes to recordings that it was not trained on, and how fast it is, beside Griffin-Lim.

    OMP_NUM_THREADS=1 uv run --with pesq --with pystoi benchmarks/vocoder.py --data RECORDINGS --room FOLDER

Every tenth recording is held out; both parts lie in the room, as links, and so does the run of recipes/audio_vocoder.py
with the others. It is trained if it is not there; another model is measured with --model. Whole recordings are made
again from their log-mel spectrograms, by the model and by 60 rounds of Griffin and Lim's algorithm in its fast form.
Mel and STFT distance are those of `multigan evaluate`; PESQ (wide band, ITU-T P.862.2, at 16 kHz only) and STOI (Taal
et al. 2011) are left out where their packages are not installed. Times are from spectrogram to wave, one recording at a
time, in turns.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from interleaved import ratio, timed
from torch import Tensor

import multigan
from multigan.modalities.vocoder import Vocoder
from multigan.modalities.vocoder.losses import mel_distance, stft_distance
from multigan.sounds import ENDINGS, to_waves

HELD_OUT = 10  # one of so many
TIMED, ROUNDS = 5, 10  # recordings
Way = Callable[[Tensor], Tensor]  # log-mel spectrograms (1, bins, frames) -> sounds (1, 1, T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of recordings")
    parser.add_argument("--room", type=Path, required=True, help="a folder for the split and the run")
    parser.add_argument("--model", type=Path, help="a run that was trained on the room's train folder")
    options = parser.parse_args()
    split(options.data, options.room / "data")
    run = options.model or options.room / "run"
    if not run.exists():
        train(options.room / "data", run)
    model = multigan.load(run)
    modality = model.modality
    assert isinstance(modality, Vocoder)
    network = model.network
    ways: dict[str, Way] = {
        "vocoder": torch.no_grad()(lambda mels: network(torch.zeros(1, 0), mels)),
        "Griffin-Lim": modality.trivial_output,
    }
    sounds = [read(modality, file) for file in sorted((options.room / "data" / "test").iterdir())]
    compare(modality, ways, sounds)
    race(modality, ways, sounds[:TIMED])


def split(data: Path, room: Path) -> None:
    """Link every tenth recording into the room's test folder, the others into train; sub-folders come before a name."""
    files = sorted(file for file in data.rglob("*") if file.suffix.lower() in ENDINGS)
    for number, file in enumerate(files):
        folder = room / ("train" if number % HELD_OUT else "test")
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "-".join(file.relative_to(data).parts)
        if not link.exists():
            os.symlink(file.resolve(), link)


def train(data: Path, run: Path) -> None:
    """Train as recipes/audio_vocoder.py does."""
    from multigan.training.run import train

    train(multigan.configure("vocoder", dataset=str(data), output=str(run), tracker="none"))


def read(modality: Vocoder, file: Path) -> Tensor:
    """A recording at its own level, ``(1, 1, T)``, without what is left over of whole frames."""
    wave = modality.read_input({"file": str(file)}, modality.Options())["wave"]
    samples = to_waves(torch.from_numpy(wave)[None])
    return samples[..., : samples.shape[2] // modality.config.hop * modality.config.hop]


def compare(modality: Vocoder, ways: dict[str, Way], sounds: list[Tensor]) -> None:
    """Print the mean of each metric over the recordings, and how many of them the vocoder does better in."""
    metrics = metrics_of(modality)
    seconds = sum(sound.shape[2] for sound in sounds) / modality.config.rate
    print(f"\n{len(sounds)} recordings, {seconds:.0f} s\n\n| | {' | '.join(metrics)} |\n|---|{'---|' * len(metrics)}")
    found = {}
    for name, way in ways.items():
        made = [(way(modality.mels(sound))[0, 0].clamp(-1, 1), sound[0, 0]) for sound in sounds]
        found[name] = [[metric(*pair) for pair in made] for metric in metrics.values()]
        print(f"| {name} | {' | '.join(f'{statistics.mean(values):.3f}' for values in found[name])} |")
    lower = [name.endswith("distance") for name in metrics]
    better = [
        sum((ours < theirs) == less for ours, theirs in zip(*pair, strict=True))
        for less, *pair in zip(lower, *found.values(), strict=True)
    ]
    print(f"| better, of {len(sounds)} | {' | '.join(map(str, better))} |")


def metrics_of(modality: Vocoder) -> dict[str, Callable[[Tensor, Tensor], float]]:
    """Metrics by name: waves ``(T,)``, made and true -> a number."""
    config = modality.config
    metrics: dict[str, Callable[[Tensor, Tensor], float]] = {
        "mel distance": lambda made, true: mel_distance(config, made[None], true[None]).item(),
        "STFT distance": lambda made, true: stft_distance(config, made[None], true[None]).item(),
    }
    if find_spec("pesq") and config.rate == 16_000:
        from pesq import pesq

        metrics["PESQ"] = lambda made, true: pesq(config.rate, true.numpy(), made.numpy(), "wb")
    if find_spec("pystoi"):
        from pystoi import stoi

        metrics["STOI"] = lambda made, true: stoi(true.numpy(), made.numpy(), config.rate)
    return metrics


def race(modality: Vocoder, ways: dict[str, Way], sounds: list[Tensor]) -> None:
    """Print real-time factors: seconds of one thread for a second of sound, and their ratio."""
    mels = [modality.mels(sound) for sound in sounds]
    seconds = sum(sound.shape[2] for sound in sounds) / modality.config.rate

    def all_of(way: Way) -> None:
        for one in mels:
            way(one)

    times = timed({name: partial(all_of, way) for name, way in ways.items()}, ROUNDS, clock=time.process_time)
    print("\n| | real-time factor | ratio to the vocoder's (quartiles) |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) / seconds:.4f} | {ratio(times, name, 'vocoder')} |")


if __name__ == "__main__":
    main()
