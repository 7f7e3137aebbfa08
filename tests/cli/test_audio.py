"""Holds the commands on sounds: a folder of mixed WAVs in, sounds of a chosen class out, errors of one line."""

import csv

import numpy
import pytest
import soundfile

TINY = [
    *("--model.generator_width", "2", "--model.discriminator_width", "2", "--model.latent_dim", "4"),
    *("--steps", "2", "--batch_size", "16", "--tracker", "none"),
]
CLASSES = ["kick", "snare"]
RATES = [8000, 8000, 8000, 11_025] * 3


def write(folder, rates=RATES, frames=3000):
    """Noise as WAVs, mono and stereo, a sub-folder a class; most of them at 8000 Hz."""
    random = numpy.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for place, rate in enumerate(rates):
            samples = random.uniform(-0.5, 0.5, (frames, 1 + place % 2)) * (number + 1)
            soundfile.write(folder / name / f"{place}.wav", samples, rate)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sounds") / "drums")


@pytest.fixture
def train(command, tmp_path):
    """Runs `multigan train audio` with tiny networks into the folder run."""
    return lambda *flags: command("train", "audio", *TINY, "--output", tmp_path / "run", *flags)


@pytest.fixture(scope="module", params=["istft", "wavegan", "specgan"])
def trained(request, sounds, tmp_path_factory):
    """A run folder of a tiny class-conditional model."""
    from multigan import configure
    from multigan.training import run

    folder = tmp_path_factory.mktemp("trained") / "run"
    model = {"architecture": request.param, "generator_width": 2, "discriminator_width": 2, "latent_dim": 4}
    return run.train(
        configure(
            "audio",
            dataset=str(sounds),
            model={**model, "conditional": True},
            steps=2,
            batch_size=16,
            log_every=1,
            tracker="none",
            output=str(folder),
        )
    )


def test_folder_of_mixed_sounds_trains(train, sounds, tmp_path):
    found = train("--dataset", sounds, "--model.conditional", "true")
    assert found.code == 0, found.err
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert "24 sounds" in found.out and "4,096 samples" in found.out and "6 at 11,025 Hz" in found.out
    previews = {file.suffix for file in (tmp_path / "run" / "samples").iterdir()}
    assert previews == {".png", ".wav"}


def test_chosen_class_is_generated_as_sounds(command, trained, tmp_path):
    found = command("generate", "--model", trained, "-n", 5, "--label", "snare", "--out", tmp_path / "out")
    assert found.code == 0, found.err
    names = [f"{number:06d}.wav" for number in range(5)]
    expected = {*names, "preview.png", "preview.wav", "metadata.csv"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == expected
    for name in names:
        info = soundfile.info(tmp_path / "out" / name)
        assert (info.samplerate, info.frames, info.channels, info.subtype) == (8000, 4096, 1, "PCM_16")
    with (tmp_path / "out" / "metadata.csv").open() as opened:
        assert [(row["file_name"], row["label"]) for row in csv.DictReader(opened)] == [
            (name, "snare") for name in names
        ]


@pytest.mark.parametrize("trained", ["istft"], indirect=True)
@pytest.mark.parametrize(("flags", "frames"), [(["--seconds", "1.5"], 12_000), (["--seconds=1", "--loop=true"], 8192)])
def test_longer_sounds_and_loops(command, trained, tmp_path, flags, frames):
    found = command("generate", "--model", trained, "-n", 2, *flags, "--out", tmp_path / "out")
    assert found.code == 0, found.err
    assert {soundfile.info(file).frames for file in (tmp_path / "out").glob("0*.wav")} == {frames}


@pytest.mark.parametrize("trained", ["istft"], indirect=True)
@pytest.mark.parametrize(
    ("flags", "word"), [(["--seconds", "61"], "to 60"), (["--seconds", "two"], "seconds"), (["--loop", "3"], "loop")]
)
def test_length_that_cannot_be_is_one_line(command, trained, tmp_path, flags, word):
    assert word in command("generate", "--model", trained, *flags, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("trained", ["specgan"], indirect=True)
def test_what_was_generated_can_be_trained_on(command, train, trained, tmp_path):
    assert command("generate", "--model", trained, "-n", 16, "--out", tmp_path / "out").code == 0
    found = train("--dataset", tmp_path / "out", "--model.conditional", "true")
    assert found.code == 0, found.err
    assert "16 sounds" in found.out


def test_unknown_class_is_one_line_that_names_those_there_are(command, trained, tmp_path):
    message = command("generate", "--model", trained, "--label", "triangle", "--out", tmp_path / "out").error
    assert "triangle" in message and all(name in message for name in CLASSES)
    assert not (tmp_path / "out").exists()


def test_from_python_sounds_are_arrays_with_their_rate(trained):
    from multigan import load

    generator = load(trained)
    found = generator.generate(4, label="snare")
    assert len(found) == 4
    for one in found:
        assert one["sampling_rate"] == 8000
        assert one["array"].dtype == numpy.float32 and one["array"].shape == (4096,)
        assert numpy.isfinite(one["array"]).all() and numpy.abs(one["array"]).max() <= 1
    kicks = generator.generate(4, label="kick")
    assert any((kick["array"] != snare["array"]).any() for kick, snare in zip(kicks, found, strict=True))


def test_folder_without_sounds_is_one_line(train, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.md").write_text("no sound")
    message = train("--dataset", tmp_path / "empty").error
    assert str(tmp_path / "empty") in message and ".wav" in message
    assert not (tmp_path / "run").exists()


def test_folder_of_broken_sounds_is_one_line(train, tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.wav").write_text("no sound")
    assert "none of the 4 sounds" in train("--dataset", tmp_path, "--skip_corrupt", "true").error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["text", "half", "nothing"])
def test_corrupt_file_is_named_and_can_be_left_out(train, tmp_path, kind):
    folder = write(tmp_path / "drums")
    broken = folder / "kick" / "2.wav"
    content = broken.read_bytes()
    broken.write_bytes({"text": b"no sound", "half": content[: len(content) // 2], "nothing": b""}[kind])
    message = train("--dataset", folder).error
    assert str(broken) in message and "--skip_corrupt" in message
    assert not (tmp_path / "run").exists()
    if kind == "half":
        found = train("--dataset", folder, "--skip_corrupt", "true")
        assert found.code == 0, found.err
        assert "left out 1 of 24 rows" in found.out + found.err and str(broken) in found.out + found.err
        assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        # 5000 is between 19 and 20 times 4 to the power of 4.
        (["--model.architecture", "wavegan", "--model.length", 5000], ["4864", "5120"]),
        # With 78 columns of 64 samples, halved four times to 4: 4 and 5 times 16 columns.
        (["--model.architecture", "specgan", "--model.length", 5000], ["4096", "5120"]),
        (["--model.length", 2000], ["length is 2000", "4096"]),
        (["--model.sampling_rate", 96_000], ["sampling_rate is 96000", "48000"]),
        (["--model.channels", 3], ["channels is 3"]),
        (["--model.crop", "end"], ["crop"]),
        (["--model.normalization", "rms"], ["normalization"]),
        (["--model.trim", 0], ["trim is 0"]),
        (["--model.phase_shuffle", -1], ["phase_shuffle is -1"]),
        (["--model.spectrogram_bins", 100], ["spectrogram_bins is 100", "power of two"]),
        (["--model.length", 4096, "--model.spectrogram_bins", 4096], ["spectrogram_bins is 4096", "16 to 1024 bins"]),
        (["--model.audio_column", "sound"], ["sound", "file"]),
        (["--model.label_column", "kind"], ["kind", "label"]),
        (["--model.resolution", 32], ["resolution"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_settings_that_cannot_be_used_are_one_line(train, sounds, tmp_path, flags, words):
    message = train("--dataset", sounds, *flags).error
    assert all(word in message.replace(",", "") for word in words), message
    assert not (tmp_path / "run").exists()


def test_conditional_without_classes_is_one_line(train, tmp_path):
    folder = write(tmp_path / "drums")
    message = train("--dataset", folder / "kick", "--model.conditional", "true").error
    assert "classes" in message and "file" in message


def test_one_long_recording_trains_and_its_evaluation_says_how_to_have_more(command, train, tmp_path):
    random = numpy.random.default_rng(0)
    (tmp_path / "long").mkdir()
    soundfile.write(tmp_path / "long" / "one.wav", random.uniform(-0.5, 0.5, 40_000), 8000)
    made = train("--dataset", tmp_path / "long", "--model.length", "4096")
    assert made.code == 0, made.err
    found = command("evaluate", tmp_path / "run")
    assert found.code == 2 and "a long recording counts as one: cut it into files" in found.error
