"""Holds what the vocoder reads, writes and refuses."""

import dataclasses
import math
import re

import numpy
import pytest
import soundfile
import torch

from multigan import UserError, configure, load
from multigan.modalities.vocoder import Vocoder, VocoderConfig
from multigan.modalities.vocoder.inputs import read_input
from multigan.sounds.drums import strike

CONFIG = VocoderConfig(sampling_rate=16_000, window=256, length=2048, bins=16, generator_width=8, blocks=1)
SNARE = strike("snare", 0, 0)


def written(path, samples=SNARE, rate=16_000):
    """A file of sound."""
    soundfile.write(path, samples, rate)
    return path


def refused(value, config=CONFIG):
    """Why an input is refused."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        read_input(config, value)
    return str(error.value)


def test_recording_is_read_at_its_own_level(tmp_path):
    found = read_input(CONFIG, written(tmp_path / "a.wav", SNARE / 4))
    assert found["wave"].shape == (8192, 1) and found["wave"].dtype == numpy.int16
    assert abs(found["wave"]).max() == pytest.approx(32768 * abs(SNARE).max() / 4, abs=2)


def test_other_rate_is_resampled_and_said(tmp_path, capsys):
    assert len(read_input(CONFIG, str(written(tmp_path / "a.wav", SNARE, 8000)))["wave"]) == 16384
    assert "a.wav: resampled from 8,000 to 16,000 Hz" in capsys.readouterr().out
    read_input(CONFIG, written(tmp_path / "b.wav"))
    assert not capsys.readouterr().out


def test_spectrogram_of_a_file_or_array_is_taken_as_it_is(tmp_path):
    values = numpy.random.default_rng(0).normal(-3, 1, (16, 20))
    numpy.save(tmp_path / "mel.npy", values)
    for given in (str(tmp_path / "mel.npy"), values, torch.from_numpy(values), values[None]):
        assert numpy.array_equal(read_input(CONFIG, given)["mel"], values.astype("float32"))


def test_levels_under_the_floor_are_raised_to_it():
    values = numpy.linspace(-23, 0, 320).reshape(16, 20)
    assert read_input(CONFIG, values)["mel"].min() == pytest.approx(math.log(1e-5))


def test_bad_input_is_refused_in_a_line(tmp_path):
    (tmp_path / "text.wav").write_text("none")
    assert "not a sound that can be read" in refused(tmp_path / "text.wav")
    assert "there is no file" in refused(tmp_path / "missing.wav")
    assert "the file is silent" in refused(written(tmp_path / "silent.wav", numpy.zeros(8192)))
    short = refused(written(tmp_path / "short.wav", SNARE[:300]))
    assert "300 samples" in short and "expected at least 512" in short
    frames = numpy.full((80, 20), -3.0)
    assert "80 bins and 20 frames: expected (16 bins, frames)" in refused(frames)
    assert "transpose it" in refused(numpy.full((20, 16), -3.0))
    assert "natural logarithms" in refused(numpy.full((16, 20), 100.0))
    decibels = refused(numpy.linspace(-80, 0, 320).reshape(16, 20))
    assert decibels.startswith(
        "the spectrogram goes from -80 to 0: expected natural logarithms of magnitudes, at least"
    )
    assert "goes from -1e+39" in refused(numpy.full((16, 20), -1e39))
    assert "silent" in refused(numpy.full((16, 20), numpy.log(1e-5)))
    assert "not finite" in refused(numpy.full((16, 20), numpy.nan))
    assert refused(numpy.full((16, 4), -3.0)) == "a spectrogram of 4 frames: expected 8 at least"
    assert refused(numpy.zeros((16, 0))) == "a spectrogram of 0 frames: expected 8 at least"
    array = refused(numpy.zeros(8192))
    assert "not a log-mel spectrogram: an array (8192,) of float64" in array and "or a sound with its rate" in array
    stereo = {"array": numpy.zeros((8000, 2)), "sampling_rate": 16_000}
    assert refused(stereo) == "an array (8000, 2): expected (channels, T); transpose it"
    assert "expected tensor.detach()" in refused(torch.zeros(16, 20, requires_grad=True))
    assert "expected tensor.detach().cpu().float()" in refused(torch.zeros(16, 20, dtype=torch.bfloat16))


def test_file_that_is_no_npy_is_refused_in_a_line(tmp_path):
    path = tmp_path / "mel.npy"
    values = numpy.full((16, 20), -3.0)
    numpy.save(path, values)
    whole = path.read_bytes()
    numpy.savez(tmp_path / "mel.npz", values)
    numpy.save(tmp_path / "objects.npy", numpy.array([values, None], dtype=object))
    others = [(tmp_path / name).read_bytes() for name in ("mel.npz", "objects.npy")]
    for content in (b"", b"a text file\n", whole[:100], whole[:-8], *others):
        path.write_bytes(content)
        assert refused(path) == "not an .npy file of numbers that can be read: write it with numpy.save"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"length": 1024}, "length is 1024: expected 2048 to 131072, or null"),
        ({"length": 8192, "sampling_rate": 48_000}, "expected at least 16384, 8 windows of 2048 samples at 48000 Hz"),
        ({"length": 4096}, "expected at least 8192, 8 windows of 1024 samples at 16000 Hz"),
        ({"window": 1000}, "window is 1000: expected a power of two"),
        ({"length": 8200}, "expected a multiple of 256"),
        ({"bins": 300}, "bins is 300: expected 8 to 256"),
        ({"latent_dim": 3}, "latent_dim is 3: expected 0"),
        ({"gain": -1.0}, "gain is -1.0: expected at least 0"),
        ({"gain": math.nan}, "gain is nan: expected at least 0"),
        ({"mel": math.nan}, "mel is nan: expected at least 0"),
        ({"features": math.nan}, "features is nan: expected at least 0"),
        ({"blocks": 0}, "blocks is 0: expected at least 1"),
        ({"sampling_rate": 100}, "sampling_rate is 100"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields, said):
    with pytest.raises(UserError, match=re.escape(said)):
        dataclasses.replace(VocoderConfig(sampling_rate=16_000), **fields)


@pytest.mark.parametrize(
    ("rate", "size"), [(8000, 512), (16_000, 1024), (22_050, 1024), (44_100, 2048), (48_000, 2048)]
)
def test_windows_are_of_about_50_milliseconds(rate, size):
    assert VocoderConfig(sampling_rate=rate).size == size


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model, hardly trained."""
    from multigan.training import run

    small = {"length": 2048, "window": 256, "bins": 16, "generator_width": 8, "blocks": 1, "discriminator_width": 1}
    room = tmp_path_factory.mktemp("voice")
    (room / "data").mkdir()
    for number in range(8):
        written(room / "data" / f"{number}.wav", strike("tom", number, 0))
    fields = {"steps": 1, "pretraining_steps": 1, "batch_size": 4, "log_every": 1, "tracker": "none"}
    return run.train(configure("vocoder", model=small, dataset=str(room / "data"), output=str(room / "run"), **fields))


def test_sounds_are_written_under_the_names_of_inputs(model, command, tmp_path):
    numpy.save(tmp_path / "told.npy", numpy.full((16, 40), 3.0, "float32"))
    inputs = ["--input", written(tmp_path / "one.wav", SNARE[:5000]), "--input", tmp_path / "told.npy"]
    found = command("generate", "--model", model, *inputs, "--out", tmp_path / "out")
    assert found.code == 0, found.err
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"one.wav", "told.wav", "preview.png", "preview.wav"} <= names
    info = soundfile.info(tmp_path / "out" / "one.wav")
    assert (info.frames, info.samplerate) == (5056, 16_000)  # 79 hops of 64, rounded up
    loud, _ = soundfile.read(tmp_path / "out" / "told.wav")
    assert len(loud) == 40 * 64
    preview, _ = soundfile.read(tmp_path / "out" / "preview-2.wav")  # sounds of another length have their own
    as_it_is = numpy.square(loud).sum() / len(preview)
    assert as_it_is > 0.1**2 >= numpy.square(preview).mean(), "turned down to -20 dB"


def test_folder_of_spectrograms_is_read(model, command, tmp_path):
    (tmp_path / "told").mkdir()
    for number in range(2):
        numpy.save(tmp_path / "told" / f"{number}.npy", numpy.full((16, 40), -3.0, "float32"))
    found = command("generate", "--model", model, "--input", tmp_path / "told", "--out", tmp_path / "out")
    assert found.code == 0, found.err
    assert {"0.wav", "1.wav"} <= {file.name for file in (tmp_path / "out").iterdir()}


def test_files_without_a_flag_are_one_line(model, command, tmp_path):
    files = [written(tmp_path / f"{number}.wav") for number in range(2)]
    found = command("generate", "--model", model, "--input", *files, "--out", tmp_path / "out")
    assert found.code == 2 and "give --input for each file" in found.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (numpy.full((16, 20), 0.5), "of magnitudes, take the natural logarithm"),
        (numpy.linspace(-22, 4, 320).reshape(16, 20), "goes down to -22.0, and is raised to log 1e-05 = -11.5"),
        (numpy.linspace(-11.5, 1, 320).reshape(16, 20), ""),
    ],
)
def test_other_kind_of_spectrogram_is_noted(values, said, capsys):
    read_input(CONFIG, values)
    noted = capsys.readouterr().out
    assert said in noted and bool(noted) == bool(said)


def test_bad_input_of_the_command_line_is_one_line(model, command, tmp_path):
    numpy.save(tmp_path / "told.npy", numpy.full((80, 40), -3.0, "float32"))
    found = command("generate", "--model", model, "--input", tmp_path / "told.npy", "--out", tmp_path / "out")
    assert found.code == 2 and "told.npy: a spectrogram of 80 bins" in found.error


def test_generates_from_python(model, tmp_path):
    generator = load(model)
    path = written(tmp_path / "one.wav", SNARE[:5000])
    told = Vocoder(CONFIG).mels(torch.from_numpy(soundfile.read(path)[0]).float()[None, None])
    for given in (str(path), {"array": SNARE[:5000], "sampling_rate": 16_000}, told):
        (sound,) = generator.generate(inputs=[given])
        assert sound["array"].shape == (5056,) and sound["sampling_rate"] == 16_000
    (alone,) = generator.generate(inputs={"array": SNARE[:5000], "sampling_rate": 16_000})
    assert alone["array"].shape == (5056,)
