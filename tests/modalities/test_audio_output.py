"""Holds what comes out as sounds: values, numbered files written as they come, previews to see and to hear."""

import numpy
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multigan.generation.generator import TrainedGenerator
from multigan.generation.latents import latent
from multigan.modalities.audio import Audio, AudioConfig
from multigan.sounds import output

RATE = 8000


def written(file):
    """The int16 samples ``(frames, channels)`` of a WAV, and its rate."""
    info = soundfile.info(file)
    assert (info.format, info.subtype) == ("WAV", "PCM_16")
    return soundfile.read(file, dtype="int16", always_2d=True)


def saved(samples, folder, rate=RATE):
    return [written(file)[0] for file in output.save([samples], folder, rate)]


# --- files ---


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_have_the_rate_the_frames_and_the_channels(rate, channels, tmp_path):
    files = output.save([torch.zeros(3, channels, 500), torch.zeros(1, channels, 500)], tmp_path, rate)
    assert files == [tmp_path / f"{number:06d}.wav" for number in range(4)]
    assert sorted(tmp_path.iterdir()) == files
    for file in files:
        samples, found = written(file)
        assert samples.shape == (500, channels) and found == rate


def test_ends_and_middle_of_the_range_are_clipped_and_do_not_wrap(tmp_path):
    levels = torch.tensor([-1.0, 0.0, 1.0, 1.5, -3.0, 0.5, 100.0, -0.25])
    (found,) = saved(levels.view(1, 1, -1), tmp_path)
    assert found[:, 0].tolist() == [-32768, 0, 32767, 32767, -32768, 16384, 32767, -8192]


def test_left_is_first(tmp_path):
    (found,) = saved(torch.tensor([[[0.5, 0.0, 0.25], [0.0, -0.5, 0.0]]]), tmp_path)
    assert found.tolist() == [[16384, 0], [0, -16384], [8192, 0]]


@settings(deadline=None, max_examples=20)
@given(
    channels=st.sampled_from([1, 2]),
    frames=st.integers(1, 40),
    count=st.integers(1, 20),
    seed=st.integers(0, 100),
)
def test_values_are_kept_to_within_a_step(tmp_path_factory, channels, frames, count, seed):
    samples = torch.rand(count, channels, frames, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    found = numpy.stack(saved(samples, tmp_path_factory.mktemp("sounds")))
    assert found.shape == (count, frames, channels)
    assert numpy.abs(found / 32768 - samples.transpose(1, 2).numpy()).max() <= 1 / 32768


def test_files_are_numbered_across_batches_and_written_as_the_batches_come(tmp_path):
    levels = (torch.arange(30) / 64).view(30, 1, 1).expand(30, 1, 16)

    def batches():
        # More batches than fit in memory may come: one may still be being written while the next is made, no more.
        for before_last, start, stop in ((0, 0, 10), (0, 10, 12), (10, 12, 29), (12, 29, 30)):
            names = {file.name for file in tmp_path.iterdir()}
            assert {f"{number:06d}.wav" for number in range(before_last)} <= names, "a batch was taken too early"
            yield levels[start:stop]

    files = output.save(batches(), tmp_path, RATE)
    assert files == [tmp_path / f"{number:06d}.wav" for number in range(30)]
    assert [written(file)[0][5, 0] for file in files] == [512 * number for number in range(30)]


def test_what_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises((OSError, RuntimeError)):
        output.save([torch.zeros(1, 1, 10)], tmp_path / "nowhere", RATE)


# --- for Python ---


@pytest.mark.parametrize("channels", [1, 2])
def test_sounds_are_arrays_with_their_rate(channels):
    samples = torch.tensor([0.0, 0.5, -0.5, 2.0, -7.0]).expand(3, channels, 5)
    found = output.to_outputs(samples, RATE)
    assert len(found) == 3
    for one in found:
        assert set(one) == {"array", "sampling_rate"} and one["sampling_rate"] == RATE
        assert one["array"].dtype == numpy.float32 and one["array"].shape == ((5,) if channels == 1 else (2, 5))
        assert (one["array"] == [0.0, 0.5, -0.5, 1.0, -1.0]).all()


def test_sounds_for_python_go_in_again():
    # datasets and decode take them as they are.
    from multigan.sounds.data import decode

    for channels in (1, 2):
        samples = (torch.arange(8.0).view(1, 1, 8).expand(1, channels, 8) - 4) / 8
        (one,) = output.to_outputs(samples, RATE)
        assert (decode(one, RATE, channels) == samples[0].T.numpy() * 32768).all()


# --- previews ---


def sounds(count, channels=1, frames=4096):
    return torch.randn(count, channels, frames, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.mark.parametrize(
    ("count", "channels", "rate", "pause"),
    [(1, 1, 8000, 800), (9, 1, 16_000, 1600), (3, 2, 44_100, 4410), (2, 1, 48_000, 4800)],
)
def test_preview_is_a_picture_and_one_sound_after_another(count, channels, rate, pause, tmp_path):
    samples = sounds(count, channels)
    files = output.preview(samples, tmp_path / "step-000001", rate, [f"class {number}" for number in range(count)])
    assert files == [tmp_path / "step-000001.png", tmp_path / "step-000001.wav"]
    with Image.open(files[0]) as picture:
        picture.load()
        assert picture.width >= 160 * min(count, 8) and picture.height >= 240 * (1 + (count > 8))
        assert picture.width < 2500 and picture.height < 1500
    heard, found = written(files[1])
    # A tenth of a second lies after each.
    assert found == rate and heard.shape == (count * (4096 + pause), channels)
    for number, sound in enumerate(samples):
        part = heard[number * (4096 + pause) :][: 4096 + pause]
        assert numpy.abs(part[:4096] / 32768 - sound.T.numpy()).max() <= 1 / 32768
        assert (part[4096:] == 0).all()


def test_preview_shows_the_first_16(tmp_path):
    files = output.preview(sounds(20), tmp_path / "many", RATE, [])
    assert len(written(files[1])[0]) == 16 * (4096 + 800)


def test_loud_preview_is_turned_down_to_minus_20_decibels_and_a_soft_one_is_not(tmp_path):
    square = torch.tensor([1.0, -1.0]).repeat(1, 1, 2048)
    output.preview(0.8 * square, tmp_path / "loud", RATE, [])
    output.preview(0.05 * square, tmp_path / "soft", RATE, [])
    loud, soft = (written(tmp_path / f"{name}.wav")[0] / 32768 for name in ("loud", "soft"))
    # The pause counts: 4,096 samples of 4,896 are not silent.
    assert numpy.abs(loud).max() == pytest.approx(0.1 * (4896 / 4096) ** 0.5, abs=1e-4)
    assert numpy.abs(soft).max() == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize("level", [0.0, 50.0])
def test_silence_and_noise_beyond_full_scale_can_be_previewed(level, tmp_path):
    files = output.preview(sounds(2) * level, tmp_path / "extreme", RATE, [])
    assert all(file.stat().st_size for file in files)
    assert (written(files[1])[0][:4096] == 0).all() == (level == 0)


@pytest.mark.parametrize("name", ["snare_2", "100 $", r"a $\x$ b"])
def test_name_of_a_class_may_be_any_text(name, tmp_path):
    assert all(file.stat().st_size for file in output.preview(sounds(1), tmp_path / "named", RATE, [name]))


def test_levels_are_decibels_below_the_loudest():
    tones = torch.sin(2 * torch.pi * 1000 / RATE * torch.arange(4096)).view(1, 1, -1)
    found = output.decibels(torch.cat([tones, tones / 10, torch.zeros_like(tones)]), RATE)
    assert found.max() == 0 and found[0].max() == 0
    assert found[1].max() == pytest.approx(-20, abs=0.01)  # a tenth of the amplitude
    assert (found[2] <= -99).all()
    # Where 1000 Hz lies on the mel scale, 1000 of 2146 mel at 4000 Hz, among 64 bands.
    bands = found[0][:, 20:-20].argmax(0)
    assert ((bands >= 28) & (bands <= 31)).all()


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_classifier_hears_every_rate(rate):
    # An empty band of the mel scale, of which torchaudio warns, is an error here.
    modality = Audio(AudioConfig(sampling_rate=rate, length=4096, channels=1, architecture="wavegan"))
    with torch.no_grad():
        features = modality.classifier()(sounds(2))
    assert len(features) == 2 and torch.isfinite(features).all()


def test_pictures_of_specgan_are_saved_and_presented_as_sounds(tmp_path):
    modality = Audio(AudioConfig(sampling_rate=RATE, length=4096, channels=2, architecture="specgan"))
    model = TrainedGenerator("audio", modality, modality.generator().eval())
    batches = list(model.batches(40))
    assert [batch.shape for batch in batches] == [(32, 2, 4096), (8, 2, 4096)]
    with torch.no_grad():
        pictures = model.network(
            torch.from_numpy(numpy.stack([latent(0, i, modality.config.latent_dim, None) for i in range(32, 64)])), None
        )
    torch.testing.assert_close(modality.finish(pictures[:8]), batches[1])
    files = modality.save([batches[1]], tmp_path)
    assert [written(file)[0].shape for file in files] == [(4096, 2)] * 8


@pytest.mark.parametrize(("loudness", "said"), [(0.5, "by 14 dB"), (0.105, None), (0.05, None)])
def test_picture_says_by_how_much_the_preview_is_turned_down(tmp_path, monkeypatch, loudness, said):
    # 20 log10(0.5 / 0.1) = 13.98; 0.42 dB is not worth a word.
    from matplotlib.figure import Figure

    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda figure, text, **style: titles.append(text))
    monkeypatch.setattr(output, "PAUSE", 0)
    output.preview(torch.full((2, 1, 4096), loudness), tmp_path / "preview", 8000, [])
    assert [said] == ([title.split("down ")[1] for title in titles] or [None])


def test_spectrograms_of_long_sounds_have_about_as_many_frames_as_pixels():
    assert output.decibels(torch.zeros(1, 2, 60 * 8000), 8000).shape == (1, 64, 1001)
