"""Holds how rows become sounds: every kind of file, what is refused and why, and what is decided from a dataset."""

import io
import struct
from pathlib import Path

import datasets
import numpy
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multigan.errors import UserError
from multigan.modalities.audio import Audio, AudioConfig
from multigan.sounds import data
from multigan.sounds.data import Info

RATE = 8000


def encoded(samples, kind="WAV", subtype="PCM_16", rate=RATE):
    """The bytes of a sound file; samples are ``(frames,)`` or ``(frames, channels)``."""
    file = io.BytesIO()
    soundfile.write(file, numpy.asarray(samples), rate, subtype, format=kind)
    return file.getvalue()


def noise(*shape):
    return numpy.random.default_rng(0).uniform(-0.99, 0.99, shape)


def sine(frequency, rate=RATE, seconds=1.0, amplitude=0.5):
    return amplitude * numpy.sin(2 * numpy.pi * frequency * numpy.arange(round(seconds * rate)) / rate)


def cell(samples, rate=RATE):
    """Decoded samples, as `datasets` has them."""
    return {"array": numpy.asarray(samples), "sampling_rate": rate}


def levels(found):
    """int16 as floats, full scale at 1."""
    assert found.dtype == numpy.int16
    return found / 32768


# --- kinds of files ---


@pytest.mark.parametrize(
    ("kind", "subtype", "step"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1 / 32768),
        ("WAV", "PCM_24", 1 / 32768),
        ("WAV", "PCM_32", 1 / 32768),
        ("WAV", "FLOAT", 1 / 32768),
        ("WAV", "DOUBLE", 1 / 32768),
        ("FLAC", "PCM_16", 1 / 32768),
        ("FLAC", "PCM_24", 1 / 32768),
        ("AIFF", "PCM_16", 1 / 32768),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_file_comes_back_to_within_a_step(kind, subtype, step, channels):
    samples = noise(500, channels)
    found = data.decode(encoded(samples, kind, subtype), RATE, channels)
    assert found.shape == (500, channels)
    assert numpy.abs(levels(found) - samples).max() <= step


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF"])
def test_sixteen_bits_come_back_bit_for_bit(kind):
    every = numpy.random.default_rng(0).permutation(numpy.arange(-32768, 32768)).astype(numpy.int16)
    assert numpy.array_equal(data.decode(encoded(every, kind), RATE, 1)[:, 0], every)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_file_comes_back_nearly(kind, subtype):
    samples = sine(440)
    found = levels(data.decode(encoded(samples, kind, subtype), RATE, 1))[:, 0]
    assert len(found) == len(samples)
    assert numpy.corrcoef(found, samples)[0, 1] > 0.99
    assert numpy.abs(found).max() == pytest.approx(0.5, abs=0.1)


def test_file_louder_than_full_scale_is_clipped_and_does_not_wrap():
    assert data.decode(encoded([1.5, -1.5, 1.0], subtype="FLOAT"), RATE, 1)[:, 0].tolist() == [32767, -32768, 32767]


# --- channels ---


def test_stereo_becomes_mono_by_the_mean():
    both = numpy.array([[100, 300], [-200, 100], [32767, 32767]], numpy.int16)
    assert data.decode(encoded(both), RATE, 1).tolist() == [[200], [-50], [32767]]


def test_mono_becomes_stereo_by_repetition():
    assert data.decode(encoded(numpy.array([7, -9], numpy.int16)), RATE, 2).tolist() == [[7, 7], [-9, -9]]


def test_stereo_keeps_left_and_right_apart():
    both = numpy.array([[100, 2000], [-300, 400]], numpy.int16)
    assert data.decode(encoded(both), RATE, 2).tolist() == both.tolist()


# --- rates ---


def test_resampled_sine_keeps_its_frequency_and_amplitude():
    found = levels(data.decode(encoded(sine(440, 44_100), rate=44_100), RATE, 1))[:, 0]
    assert len(found) == 8000  # a second
    assert numpy.abs(found - sine(440))[200:-200].max() < 1e-2


def test_tone_that_the_new_rate_cannot_hold_disappears():
    kept = 0.1 * sine(440, 44_100)
    found = levels(data.decode(encoded(0.5 * sine(6000, 44_100) + kept, rate=44_100), RATE, 1))
    alone = levels(data.decode(encoded(kept, rate=44_100), RATE, 1))
    assert numpy.abs(found - alone)[200:-200].max() < 0.5e-3  # -60 dB


def test_resampled_upwards_keeps_the_sine():
    found = levels(data.decode(encoded(sine(440)), 16_000, 1))[:, 0]
    assert len(found) == 16_000
    assert numpy.abs(found - sine(440, 16_000))[400:-400].max() < 1e-2


@pytest.mark.parametrize("rate", [11_025, 22_050, 48_000])
def test_channels_are_resampled_each_for_itself(rate):
    both = numpy.stack([sine(300, rate), sine(700, rate)], 1)
    found = levels(data.decode(encoded(both, rate=rate), RATE, 2))
    assert numpy.abs(found - numpy.stack([sine(300), sine(700)], 1))[200:-200].max() < 1e-2


# --- loudness and silence ---


def test_peak_normalization_brings_the_loudest_sample_to_full_scale():
    found = data.decode(cell([0.0, 0.1, -0.05]), RATE, 1, "peak")
    assert found[:, 0].tolist() == [0, 32767, -16384]  # 1 is one step above the largest int16
    assert data.decode(cell([0.25, -0.5]), RATE, 1, "peak")[:, 0].tolist() == [16384, -32768]


def test_peak_normalization_keeps_the_balance_of_the_channels():
    found = data.decode(cell([[0.1, 0.0], [0.0, 0.05]]), RATE, 2, "peak")
    assert found.tolist() == [[32767, 0], [0, 16384]]


def test_without_normalization_levels_stay():
    assert data.decode(cell([0.0, 0.125, -0.25]), RATE, 1)[:, 0].tolist() == [0, 4096, -8192]


def test_silence_is_refused():
    # A folder of nothing else would train without a word.
    with pytest.raises(ValueError, match="silent"):
        data.decode(cell(numpy.zeros(10)), RATE, 1)


def test_trim_cuts_what_is_quiet_at_both_ends_and_nothing_between():
    # 20 dB below a peak of 0.5 is 0.05.
    quiet_loud = [0, 0.04, 0.06, 0, 0, -0.5, 0.01, -0.06, 0.04, 0]
    found = levels(data.decode(cell(quiet_loud), RATE, 1, trim=20.0))[:, 0]
    assert found == pytest.approx([0.06, 0, 0, -0.5, 0.01, -0.06], abs=1 / 32768)


def test_trim_ignores_a_constant_offset():
    offset = numpy.array([0.0] * 5 + [0.5, -0.4] + [0.0] * 5) + 0.02
    found = levels(data.decode(cell(offset), RATE, 1, trim=40.0))[:, 0]
    assert found == pytest.approx([0.52, -0.38], abs=1 / 32768)


def test_trim_keeps_what_is_loud_in_either_channel():
    found = data.decode(cell([[0, 0, 0.5, 0, 0, 0], [0, 0, 0, 0, 0.5, 0]]), RATE, 2, trim=20.0)
    assert found.tolist() == [[16384, 0], [0, 0], [0, 16384]]


# --- what a cell may hold ---


def test_paths_bytes_and_arrays_are_the_same_sound(tmp_path):
    sound = numpy.random.default_rng(0).integers(-32768, 32768, 500).astype(numpy.int16)
    file = tmp_path / "sound.wav"
    file.write_bytes(encoded(sound))
    cells = {
        "path": file,
        "string": str(file),
        "bytes": file.read_bytes(),
        "bytes of a row": {"bytes": file.read_bytes(), "path": None},
        "path of a row": {"bytes": None, "path": str(file)},
        "array": cell(sound / 32768),
        "list": {"array": (sound / 32768).tolist(), "sampling_rate": RATE},
    }
    for kind, value in cells.items():
        assert numpy.array_equal(data.decode(value, RATE, 1)[:, 0], sound), kind
        assert data.probe(value) == Info(RATE, 500, 1), kind


def test_array_of_two_channels_has_them_first():
    found = data.decode(cell([[0.5, 0.25, 0.0], [0.0, 0.0, -0.5]]), RATE, 2)
    assert found.tolist() == [[16384, 0], [8192, 0], [0, -16384]]
    assert data.probe(cell(numpy.zeros((2, 3)))) == Info(RATE, 3, 2)


# --- what is refused ---


def cut(kind, subtype="PCM_16", share=0.5):
    whole = encoded(noise(8000), kind, subtype)
    return whole[: int(len(whole) * share)]


REFUSED = {
    "text": (b"not a sound at all", "not a sound"),
    "noise": (bytes(range(256)) * 8, "not a sound"),
    "WAV cut off": (cut("WAV"), r"cut off: 7,978 of 16,000 bytes"),  # 16,044 / 2 = 8,022, less the header of 44
    "AIFF cut off": (cut("AIFF"), "cut off"),
    "FLAC cut off": (cut("FLAC"), "not a sound"),
    "MP3 cut off": (cut("MP3", "MPEG_LAYER_III"), "cut off"),
    "no samples": (encoded([]), "no samples"),
    "array without samples": (cell([]), "no samples"),
    "not a number": (encoded([0.0, numpy.nan], subtype="FLOAT"), "not finite"),
    "infinite": (cell([0.0, -numpy.inf]), "not finite"),
    "five channels": (encoded(noise(20, 5)), "5 channels"),
    "missing file": ("nowhere/at/all.wav", "there is no file nowhere/at/all.wav"),
    "folder": ("/", "there is no file /"),
    "none": (None, "empty"),
    "empty bytes": (b"", "empty"),
    "empty name": ("", "empty"),
    "empty row": ({"bytes": None, "path": None}, "empty"),
    "number": (5, "int is no sound"),
    "list": ([0.1, 0.2], "list is no sound"),
    "array of words": (cell(["loud"]), "loud"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sound_is_refused_with_the_reason(name):
    value, words = REFUSED[name]
    with pytest.raises(ValueError, match=words) as caught:
        data.decode(value, RATE, 1)
    assert str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.wav").touch()
    with pytest.raises(ValueError, match="empty"):
        data.decode(tmp_path / "empty.wav", RATE, 1)


@pytest.mark.parametrize("value", [None, 0.5, "loud"])
@pytest.mark.parametrize("rate", [RATE, None])
def test_row_without_an_array_or_a_rate_is_refused_like_any_other(value, rate):
    broken = {"array": value, "sampling_rate": rate}
    with pytest.raises(ValueError):  # noqa: PT011
        data.decode(broken, RATE, 1)
    assert isinstance(data.probe(broken), str)


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16")])
@settings(deadline=None, max_examples=20)
@example(share=0.0)
@example(share=0.99)
@given(share=st.floats(0, 0.99))
def test_file_cut_off_anywhere_is_refused(kind, subtype, share):
    with pytest.raises(ValueError):  # noqa: PT011
        data.decode(cut(kind, subtype, share), RATE, 1)


def test_wav_that_was_written_to_a_pipe_is_whole():
    # Nothing can be filled in afterwards there, and the sizes say that they are not known.
    sound = noise(500)
    file = bytearray(encoded(sound))
    assert file[36:40] == b"data"
    file[4:8] = file[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert numpy.abs(levels(data.decode(bytes(file), RATE, 1))[:, 0] - sound).max() <= 1 / 32768
    assert data.probe(bytes(file)) == Info(RATE, 500, 1)


def test_flac_that_was_written_to_a_pipe_is_refused():
    # Its number of samples, 36 bits of the header from the middle of byte 21 on, is 0: not known.
    sound = noise(500)
    file = bytearray(encoded(sound, "FLAC"))
    assert file[:4] == b"fLaC" and struct.unpack(">I", file[22:26]) == (500,)
    file[21] &= 0xF0
    file[22:26] = bytes(4)
    with pytest.raises(ValueError, match="how long"):
        data.decode(bytes(file), RATE, 1)


def test_mp3_that_does_not_say_how_long_it_is_is_whole():
    # Without the first frame, which holds no sound, the length is only estimated from the size of the file. (Of one
    # with a changing bitrate libsndfile reads no more than its estimate; such files are rare.)
    file = io.BytesIO()
    sound = sine(440, 44_100) * numpy.linspace(0, 1, 44_100)
    soundfile.write(file, sound, 44_100, "MPEG_LAYER_III", format="MP3", bitrate_mode="CONSTANT", compression_level=0.5)
    whole = file.getvalue()
    assert whole[21:25] in (b"Info", b"Xing")  # after a header of 4 bytes and 17 of side information, for mono
    found = data.decode(whole[whole.index(whole[:2], 4) :], 44_100, 1)
    # Frames of 1152 samples, with some silence before and after what was put in.
    assert 44_100 <= len(found) <= 44_100 + 3 * 1152


# --- what is decided from a dataset ---


def decide(infos, rate=None, length=None, crop=None, channels=None, **options):
    return data.decide(infos, rate, length, crop, channels, **options)


def test_commonest_rate_is_taken():
    infos = [Info(16_000, 16_000, 1)] * 2 + [Info(8000, 8000, 1)] * 3 + [Info(44_100, 44_100, 1)] * 2
    assert decide(infos).rate == 8000


@pytest.mark.parametrize(("theirs", "taken"), [(4000, 8000), (8000, 8000), (48_000, 48_000), (96_000, 48_000)])
def test_rate_that_is_not_made_gives_way_to_the_nearest_that_is(theirs, taken):
    assert decide([Info(theirs, 4000, 1)] * 3).rate == taken == AudioConfig(sampling_rate=taken).sampling_rate


@pytest.mark.parametrize(
    ("frames", "length", "crop"),
    [
        ([100] * 10, 4096, "start"),
        ([4096] * 10, 4096, "start"),
        ([4097] * 10, 8192, "start"),
        ([20_000] * 10, 32_768, "start"),
        ([65_536] * 10, 65_536, "start"),
        ([65_537] * 10, 16_384, "random"),
        ([4000] * 97 + [60_000] * 3, 4096, "start"),  # three of a hundred are longer
        ([4000] * 93 + [60_000] * 7, 65_536, "start"),
        ([4000] * 97 + [10**7] * 3, 4096, "start"),
        ([4000] * 93 + [10**7] * 7, 16_384, "random"),
    ],
)
def test_length_is_the_power_of_two_that_holds_most(frames, length, crop):
    found = decide([Info(RATE, count, 1) for count in frames])
    assert (found.length, found.crop) == (length, crop)


def test_length_holds_19_of_20_exactly():
    assert decide([Info(RATE, 4000, 1)] * 19 + [Info(RATE, 60_000, 1)]).length == 4096
    assert decide([Info(RATE, 4000, 1)] * 18 + [Info(RATE, 60_000, 1)] * 2).length == 65_536


def test_length_is_counted_after_resampling():
    # Of 16,000 samples at 16 kHz 8,000 are left at 8 kHz; of 5,512 at 11,025 Hz, 3,999.6 and so 4,000.
    assert decide([Info(16_000, 16_000, 1)], rate=8000).length == 8192
    assert "shorter: 1, padded with silence" in decide([Info(11_025, 5512, 1)], rate=8000, length=4001).notes[0]
    assert "shorter" not in decide([Info(11_025, 5512, 1)], rate=8000, length=4000).notes[0]


def test_stereo_only_where_all_are():
    mono, stereo = Info(RATE, 4000, 1), Info(RATE, 4000, 2)
    assert decide([stereo] * 3).channels == 2
    assert decide([stereo] * 30 + [mono]).channels == 1


def test_what_was_set_is_kept():
    long = [Info(44_100, 441_000, 2)] * 3
    found = decide(long, 8000, 4096, "start", 1)
    assert (found.rate, found.length, found.crop, found.channels) == (8000, 4096, "start", 1)
    short = [Info(8000, 100, 1)] * 3
    found = decide(short, 16_000, 8192, "random", 2)
    assert (found.rate, found.length, found.crop, found.channels) == (16_000, 8192, "random", 2)


def test_pieces_are_taken_anywhere_where_most_are_longer_than_the_length_that_was_set():
    assert decide([Info(RATE, 80_000, 1)] * 3, length=4096).crop == "random"
    assert decide([Info(RATE, 4000, 1)] * 97 + [Info(RATE, 80_000, 1)] * 3, length=4096).crop == "start"


def test_notes_count_what_is_done_to_the_sounds():
    infos = [Info(8000, 4000, 1)] * 3 + [Info(16_000, 16_000, 1)] * 2  # half a second each, and a second
    (note,) = decide(infos, length=4096).notes
    assert "5 sounds of 0.50 to 1.00 s" in note and "half are under 0.50 s" in note
    assert "4,096 samples (0.51 s at 8,000 Hz, mono)" in note
    assert "longer: 2, " in note and "shorter: 3, " in note and "2 at 16,000 Hz" in note


def test_notes_say_where_longer_ones_are_cut():
    long = [Info(8000, 80_000, 2)] * 3
    (start,) = decide(long, length=4096, crop="start").notes
    (anywhere,) = decide(long, length=4096, crop="random").notes
    assert "cut off" in start and "stereo" in start and "random" not in start
    assert "random place" in anywhere and "cut off" not in anywhere


def test_notes_say_that_lengths_are_from_before_trimming():
    (note,) = decide([Info(8000, 4096, 1)], trimmed=True).notes
    assert note.startswith("1 sound of 0.51 s, before what is quiet is trimmed")


def test_notes_leave_out_what_does_not_happen():
    (note,) = decide([Info(8000, 4096, 1)] * 3).notes
    assert not any(word in note for word in ("shorter", "longer", "resampled"))


def test_rate_above_that_of_the_sounds_is_noted():
    infos = [Info(8000, 4000, 1)] * 3 + [Info(16_000, 8000, 1)] * 2
    note = decide(infos, rate=16_000).notes[1]
    assert "16,000" in note and "3 sounds" in note and note.startswith("warning:")
    assert len(decide(infos, rate=8000).notes) == 1


# --- scanning ---


def sounds(*cells):
    """A dataset of encoded sounds."""
    audio = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    rows = [{"bytes": value, "path": None} for value in cells]
    return datasets.Dataset.from_dict({"audio": rows}, features=datasets.Features(audio=audio))


GOOD = encoded(noise(300)), encoded(noise(400, 2), "FLAC", rate=16_000)
INFOS = [Info(8000, 300, 1), Info(16_000, 400, 2)]


@pytest.mark.parametrize("streaming", [False, True])
def test_scan_passes_over_what_cannot_be_read(streaming):
    dataset = sounds(b"broken", GOOD[0], None, encoded([]), GOOD[1], cut("WAV"))
    assert data.scan(dataset.to_iterable_dataset() if streaming else dataset, "audio") == INFOS


@pytest.mark.parametrize("streaming", [False, True])
def test_scan_of_nothing_that_can_be_read_is_an_error_with_the_first_reason(streaming):
    dataset = sounds(b"broken", None)
    with pytest.raises(UserError, match=r"none of the 2 sounds in column 'audio' .*not a sound"):
        data.scan(dataset.to_iterable_dataset() if streaming else dataset, "audio")


def test_scan_of_sounds_without_samples_is_an_error():
    with pytest.raises(UserError, match=r"none of the 1 sounds.*empty"):
        data.scan(sounds(encoded([])), "audio")


def test_scan_sees_every_row_and_the_first_of_a_stream():
    many = sounds(*([GOOD[0]] * data.STREAM_LOOKED_AT), GOOD[1])
    assert data.scan(many, "audio") == [INFOS[0]] * data.STREAM_LOOKED_AT + [INFOS[1]]
    assert data.scan(many.to_iterable_dataset(), "audio") == [INFOS[0]] * data.STREAM_LOOKED_AT


def test_what_was_decided_is_in_the_settings_and_what_was_set_stays():
    modality = Audio(AudioConfig(normalization="none"))
    (note,) = modality.fit(sounds(GOOD[0], GOOD[0]))
    found = modality.config
    assert (found.audio_column, found.sampling_rate, found.length, found.crop, found.channels) == (
        "audio",
        8000,
        4096,
        "start",
        1,
    )
    assert "2 sounds" in note
    assert modality.encode({"audio": {"bytes": GOOD[0], "path": None}})["real"].shape == (300, 1)
    modality = Audio(AudioConfig(sampling_rate=16_000, length=8192, crop="random", channels=2))
    before = modality.config
    modality.fit(sounds(GOOD[0]))
    assert modality.config.length == 8192 and modality.config.crop == "random" and modality.config.channels == 2
    assert modality.config.sampling_rate == before.sampling_rate


DIGITS = Path(__file__).parents[3] / "shared" / "data" / "fsdd" / "train"


@pytest.mark.skipif(not DIGITS.is_dir(), reason=f"no spoken digits at {DIGITS}")
def test_spoken_digits_are_2700_of_8000_hertz():
    from multigan.data.load import load

    dataset = load(Audio(), str(DIGITS), None, "train", False)
    infos = data.scan(dataset, data.find_audio_column(dataset, None))
    assert len(infos) == 2700 and {(info.rate, info.channels) for info in infos} == {(8000, 1)}
    found = decide(infos)
    within = sum(info.frames <= found.length for info in infos), sum(info.frames <= found.length // 2 for info in infos)
    assert found.rate == 8000 and found.crop == "start"
    assert within[0] >= 0.95 * 2700 > within[1]
