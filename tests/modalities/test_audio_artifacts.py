"""Holds the artifacts of sounds: each is found where it was made, and none in drums, tones and noise."""

import math
import re

import pytest
import torch

from multigan.modalities.audio import Audio, AudioConfig
from multigan.sounds import artifacts
from multigan.sounds.drums import DRUMS, strike

LENGTH = 4096
ALL = {"silent", "clipped", "shifted", "clicking", "checkerboard"}


def noise(count=4, level=0.1):
    return level * torch.randn(count, 1, LENGTH, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)


def sine(cycles=220.3, level=0.5):
    """A tone with so many cycles over all of it, and no multiple of a sixteenth of the rate."""
    return level * torch.sin(2 * math.pi * cycles * torch.arange(LENGTH) / LENGTH).expand(4, 1, LENGTH)


def clicking():
    sounds = sine(20.3, 0.1).clone()
    for number, place in enumerate((100, 1000, 2000, 4000)):
        sounds[number, 0, place] += 0.5
    return sounds


def ringing(multiple):
    """Noise, and the tone of a generator whose steps repeat."""
    tone = torch.cos(2 * math.pi * multiple / 16 * torch.arange(LENGTH) + 0.5)
    return noise(level=0.05) + 0.2 * tone


MADE = {
    "silence": (torch.zeros(4, 1, LENGTH), {"silent"}),
    "next to silence": (noise(level=0.003), {"silent"}),  # the peak is 0.009
    "too loud": ((noise() * 10).clamp(-1, 1), {"clipped"}),  # a third of the samples are beyond one deviation
    "off zero": (0.3 + sine(level=0.1), {"shifted"}),
    "below zero": (-0.3 + sine(level=0.1), {"shifted"}),
    "clicks": (clicking(), {"clicking"}),
    **{f"tone at {multiple}/16": (ringing(multiple), {"checkerboard"}) for multiple in (1, 2, 4, 7, 8)},
    "tone": (sine(), set()),
    "low tone": (sine(20.3), set()),
    "quiet tone": (sine(level=0.02), set()),
    "noise": (noise(), set()),
    "noise that begins all at once": (noise() * (torch.arange(LENGTH) > 3000), set()),
    "a tone that begins at zero": (torch.cat([torch.zeros(4, 1, 1000), sine()[..., :-1000]], 2), set()),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_was_made_is_found_and_nothing_else(name, channels):
    sounds, expected = MADE[name]
    found = artifacts.measure(sounds.expand(-1, channels, -1))
    assert found == {fault: float(fault in expected) for fault in ALL}


@pytest.mark.parametrize("drum", DRUMS)
def test_drums_are_clean(drum):
    sounds = torch.stack([torch.from_numpy(strike(drum, number, 0)).float() for number in range(40)])[:, None]
    for fault, share in artifacts.measure(sounds).items():
        assert share <= 0.1, fault
    assert artifacts.warnings(sounds) == []


def test_kit_as_a_whole_is_clean():
    sounds = [torch.from_numpy(strike(drum, number, 1)).float() for drum in DRUMS for number in range(5)]
    assert artifacts.warnings(torch.stack(sounds)[:, None]) == []


@pytest.mark.parametrize("name", [name for name in MADE if MADE[name][1]])
def test_each_fault_is_warned_of_with_its_figure(name):
    wrong, (fault,) = MADE[name]
    assert artifacts.warnings(wrong)[0].startswith("100% of the sounds are ")
    sounds = torch.cat([wrong, sine(), sine(), sine()])  # 4 of 16
    (line,) = artifacts.warnings(sounds)
    assert line.startswith("25% of the sounds are ") and line.endswith(artifacts.ADVICE[fault])
    assert len(line.splitlines()) == 1


def test_warning_is_of_more_than_a_tenth():
    silent, heard = torch.zeros(2, 1, LENGTH), sine().repeat(5, 1, 1)
    assert artifacts.warnings(torch.cat([silent, heard[:18]])) == []  # 2 of 20
    (line,) = artifacts.warnings(torch.cat([silent, heard[:17]]))  # 2 of 19 are 10.5 %
    assert re.match(r"1[01]% of the sounds are silent", line)


def test_several_artifacts_have_a_line_each():
    found = artifacts.warnings(torch.cat([MADE["silence"][0], MADE["too loud"][0], MADE["clicks"][0]]))
    assert [re.search("silent|clipped|clicking", line)[0] for line in found] == ["silent", "clipped", "clicking"]
    assert all(line.startswith("33% ") for line in found)


def test_every_artifact_has_advice():
    assert set(artifacts.ADVICE) == ALL == set(artifacts.measure(noise()))


def test_modality_listens_to_the_sound_of_a_picture(tmp_path):
    modality = Audio(AudioConfig(sampling_rate=8000, length=4096, channels=1, architecture="specgan"))
    (line,) = modality.preview(modality.finish(torch.full((2, 1, 128, 64), -1.0)), tmp_path / "preview").artifacts
    assert "silent" in line
