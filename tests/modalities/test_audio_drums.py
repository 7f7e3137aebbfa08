"""Holds the built-in drum kit: the same for the same seed, in order, within its levels, and drums to the ear."""

import datasets
import numpy
import pytest

from multigan.modalities.audio import Audio, AudioConfig
from multigan.sounds import data
from multigan.sounds.drums import DRUMS, LENGTH, RATE, drums, play, strike

EACH = 40


@pytest.fixture(autouse=True)
def own_datasets(tmp_path, monkeypatch):
    """The kit is played anew, and not left behind."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.fixture(scope="module")
def struck():
    """Sounds of each drum, ``{name: (EACH, LENGTH)}``."""
    return {name: numpy.stack([strike(name, number, 0) for number in range(EACH)]) for name in DRUMS}


def test_same_seed_plays_the_same_bytes():
    assert list(play(3, 7)) == list(play(3, 7))


def test_another_seed_plays_other_sounds():
    for one, other in zip(play(2, 0), play(2, 1), strict=True):
        assert one["label"] == other["label"] and one["audio"] != other["audio"]


def test_no_two_sounds_are_alike():
    assert len({row["audio"]["bytes"] for row in play(10, 0)}) == 80


def test_first_ones_of_a_larger_kit_are_the_smaller_kit():
    small, large = list(play(2, 0)), list(play(4, 0))
    assert large[: len(small)] == small and len(large) == 2 * len(small)


def test_kit_is_a_dataset_with_the_drums_in_turn():
    kit = drums(each=3, seed=0)
    assert kit.features["label"].names == list(DRUMS) and len(DRUMS) == 8
    assert kit["label"] == [0, 1, 2, 3, 4, 5, 6, 7] * 3
    assert kit[:]["audio"] == [row["audio"] for row in play(3, 0)]
    assert drums(each=3, seed=1)[0]["audio"] != kit[0]["audio"]


def test_kit_is_decoded_as_it_was_played():
    row = drums(each=1)[1]
    found = data.decode(row["audio"], RATE, 1)
    assert found.shape == (LENGTH, 1)
    assert numpy.abs(found[:, 0] / 32768 - strike("snare", 0, 0)).max() <= 1 / 32768


def test_modality_fits_the_kit():
    modality = Audio(AudioConfig(conditional=True))
    modality.fit(drums(each=2))
    found = modality.config
    assert (found.sampling_rate, found.length, found.crop, found.channels) == (16_000, 8192, "start", 1)
    assert found.classes == tuple(DRUMS)


@pytest.mark.parametrize("name", DRUMS)
def test_levels(struck, name):
    sounds = struck[name]
    assert sounds.shape == (EACH, 8192) and numpy.isfinite(sounds).all()
    peaks = numpy.abs(sounds).max(1)
    assert (peaks >= 0.5).all() and (peaks <= 0.95).all() and peaks.std() > 0.05
    assert (sounds[:, 0] == 0).all() and (sounds[:, -1] == 0).all()  # no click at either end
    assert (numpy.abs(sounds[:, -1000:]).max(1) < peaks / 2).all()  # dying away


def centroids(sounds):
    """The middle of the power over frequency, in Hz, of each sound."""
    power = numpy.abs(numpy.fft.rfft(sounds, axis=1)) ** 2
    return (power * numpy.fft.rfftfreq(LENGTH, 1 / RATE)).sum(1) / power.sum(1)


def seconds(sounds):
    """When nine tenths of the energy have been heard."""
    energy = (sounds**2).cumsum(1)
    return (energy < 0.9 * energy[:, -1:]).sum(1) / RATE


def test_kick_is_low_and_hats_are_high(struck):
    middles = {name: centroids(sounds) for name, sounds in struck.items()}
    assert (middles["kick"] < 300).all()
    assert (middles["closed hat"] > 2000).all() and (middles["open hat"] > 2000).all()
    assert middles["kick"].mean() < middles["tom"].mean() < middles["snare"].mean() < middles["closed hat"].mean()


def test_open_hat_rings_longer_than_the_closed_one(struck):
    # From its times of decay: at least 0.15 s against at most 0.03, and the energy dies away twice as fast as the wave.
    lasting = {name: seconds(sounds) for name, sounds in struck.items()}
    assert lasting["open hat"].min() > 2 * lasting["closed hat"].max()
    # Nine tenths of exp(-2 t / d) are over at t = d ln(10) / 2: 0.035 s for the longest, and some for the noise in it.
    assert lasting["closed hat"].max() < 0.05
    assert lasting["rim"].max() < 0.05 < lasting["kick"].min()


def test_each_drum_has_random_numbers_of_its_own(struck):
    # Both hats draw the same numbers in the same order: with one source for both, their levels would be the same.
    peaks = [numpy.abs(struck[name]).max(1) for name in ("closed hat", "open hat")]
    assert (peaks[0] != peaks[1]).all()


def test_tom_falls_to_its_pitch(struck):
    # The strongest frequency of a membrane is its lowest mode, 85 to 200 Hz here, up to a third higher at the start.
    power = numpy.abs(numpy.fft.rfft(struck["tom"], axis=1)) ** 2
    strongest = power.argmax(1) * RATE / LENGTH
    assert (strongest > 80).all() and (strongest < 265).all()
