"""Holds what comes out of data that people have, from the folder to the encoded rows."""

import csv
import json
import os
import re
import socket
import tempfile
from pathlib import Path

import datasets
import numpy
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, UnidentifiedImageError

from multigan.columns import name_of, path_of
from multigan.data.cache import cached
from multigan.data.load import load
from multigan.errors import UserError
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image import ImageConfig
from multigan.modalities.text import Text, TextConfig


def read(name, modality=None, split="train", skip_corrupt=False, **settings):
    """The modality, the encoded rows, and what was said of them."""
    modality = modality or ImageModality(ImageConfig(resolution=16, **settings))
    said = []
    rows = load(modality, str(name), None, split, False, said.append)
    return modality, cached(rows, modality, skip_corrupt, said.append), said


def counts(name, **options):
    """How many rows each class has."""
    modality, data, _ = read(name, **options)
    return {one: int((data.label == number).sum()) for number, one in enumerate(modality.config.classes)}


def write_rows(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


# --- classes ---


def test_classes_map_by_name_between_splits_in_which_they_differ(pictures):
    root = pictures("train/a/1.png", "train/b/2.png", "train/c/3.png", "test/b/4.png", "test/c/5.png", "test/c/6.png")
    modality, _, _ = read(root, conditional=True)
    _, test, _ = read(root, modality, "test")
    assert [modality.config.classes[number] for number in test.label] == ["b", "c", "c"]


def test_classes_map_by_name_where_the_declared_order_differs(tmp_path):
    cell = Image.new("L", (8, 8))
    for split, names in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=names))
        data = {"image": [cell] * 3, "label": [names.index(name) for name in ("cat", "dog", "dog")]}
        datasets.Dataset.from_dict(data, features=features).to_parquet(tmp_path / f"{split}.parquet")
    modality, train, _ = read(tmp_path, conditional=True)
    _, test, _ = read(tmp_path, modality, "test")
    assert modality.config.classes == ("cat", "dog") and train.label.tolist() == test.label.tolist() == [0, 1, 1]


@pytest.mark.parametrize("labels", [[1, 2, 3, 3], [1990, 1991, 1992, 1992], ["007", "7", "x", "x"]], ids=str)
def test_classes_are_the_values_that_occur(tmp_path, labels):
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    write_rows(tmp_path / "metadata.jsonl", [])
    for kind in ("csv", "jsonl"):
        root = tmp_path / kind
        root.mkdir()
        for number in range(4):
            Image.new("L", (8, 8)).save(root / f"{number}.png")
        rows = [{"file_name": f"{number}.png", "label": label} for number, label in enumerate(labels)]
        if kind == "csv":
            cells = "".join(f"{row['file_name']},{row['label']}\n" for row in rows)
            (root / "metadata.csv").write_text(f"file_name,label\n{cells}")
        else:
            write_rows(root / "metadata.jsonl", rows)
        assert list(counts(root).values()) == [1, 1, 2]


def test_an_empty_label_is_an_error_with_its_row_where_it_is_needed(pictures):
    root = pictures("1.png", "2.png", "3.png")
    (root / "metadata.csv").write_text("file_name,label\n1.png,a\n2.png,b\n3.png,\n")
    with pytest.raises(UserError, match=r"row 3 .*3\.png\): the cell of 'label', its class, is empty"):
        read(root, conditional=True)
    modality, data, said = read(root)
    assert modality.config.classes == ("a", "b") and len(data) == 3 and data.label is None
    assert "labels are not used: 1 of 3 rows" in said[-1]


def test_none_is_a_name(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "hello,None\nnull,happy\n" * 3)
    modality, data, _ = read(file, Text(TextConfig(conditional=True)))
    assert modality.config.classes == ("None", "happy") and data.label.tolist() == [0, 1] * 3


# --- side files ---


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.csv"])
def test_side_files_are_read(pictures, name):
    root = pictures("1.png", "2.png", "3.png")
    rows = [{"file_name": f"{number}.png", "label": label} for number, label in ((1, "a"), (2, "b"))]
    if name.endswith("csv"):
        (root / name).write_text("file_name,label\n1.png,a\n2.png,b\n")
    elif name.endswith("jsonl"):
        write_rows(root / name, rows)
    else:
        datasets.Dataset.from_list(rows).to_parquet(root / name)
    modality, data, said = read(root)
    assert modality.config.classes == ("a", "b") and data.label.tolist() == [0, 1]
    assert f"files left out of {root}: 1 not named in {name}" in said


SIDES = ("metadata.csv", "METADATA.jsonl", "metadata.parquet", "labels.csv")
FOLDERS = st.sampled_from(["", "a", "b", "a/c", "[x]", "a/A*"])


@settings(deadline=None, max_examples=50)
@given(
    files=st.dictionaries(st.tuples(FOLDERS, st.sampled_from(["1.png", "2.PNG", "3.jpg", "ü.png"])), st.booleans()),
    sides=st.dictionaries(FOLDERS, st.sampled_from(SIDES)),
)
def test_what_side_files_name_is_read_and_all_else_is_reported(files, sides):
    """The nearest side file is the one that counts; each names those files at and below it that are marked."""
    with tempfile.TemporaryDirectory() as name:
        root, labels = Path(name), {}
        for folder in (*dict(files), *((side, "") for side in sides)):
            (root / folder[0]).mkdir(parents=True, exist_ok=True)
        for file in files:
            (root / file[0] / file[1]).touch()
        for folder, side in sorted(sides.items(), key=lambda one: len(Path(one[0]).parts)):
            below = [Path(*file) for file, marked in files.items() if marked and Path(*file).is_relative_to(folder)]
            if not below:
                below = [Path(*file) for file in files if Path(*file).is_relative_to(folder)]
            if below:
                write_side(root / folder / side, {str(file.relative_to(folder)): f"of {folder}" for file in below})
                labels |= {root / file: f"of {folder}" for file in below}
        if not labels:
            return
        said = []
        dataset = load(ImageModality(), name, None, "train", False, said.append)
        assert {path_of(row["file"]): row["label"] for row in dataset} == labels
        reported = sum(int(count) for note in said for count in re.findall(r"(?:: |; )([\d,]+) not named in", note))
        assert len(dataset) + reported == len(files)


def write_side(file, labels):
    """A side file that gives each file its label."""
    rows = [{"file_name": name, "label": label} for name, label in labels.items()]
    if file.suffix == ".csv":
        with file.open("w", newline="") as opened:
            csv.writer(opened).writerows([["file_name", "label"], *labels.items()])
    elif file.suffix == ".jsonl":
        write_rows(file, rows)
    else:
        datasets.Dataset.from_list(rows).to_parquet(file)


def test_a_side_file_above_the_folders_of_splits_is_read(pictures):
    root = pictures("train/1.png", "train/2.png", "test/3.png")
    (root / "metadata.csv").write_text("file_name,label\ntrain/1.png,a\ntrain/2.png,b\ntest/3.png,a\n")
    modality, data, _ = read(root)
    assert modality.config.classes == ("a", "b") and data.label.tolist() == [0, 1]
    assert len(read(root, split="test")[1]) == 1


def test_a_side_file_above_folders_may_name_files_without_their_folder(pictures):
    root = pictures("train/1.png", "train/2.png", "test/3.png", "test/4.png")
    (root / "labels.csv").write_text("name,label\n1.png,a\n2.png,b\n3.png,a\n./4.png,b\n")
    modality, train, _ = read(root, conditional=True)
    assert modality.config.classes == ("a", "b") and train.label.tolist() == [0, 1]
    assert read(root, modality, "test")[1].label.tolist() == [0, 1]


def test_a_name_of_files_in_two_folders_is_refused(pictures):
    root = pictures("a/0.png", "b/0.png")
    (root / "labels.csv").write_text("file_name,label\n0.png,x\n")
    with pytest.raises(UserError, match=r"row 1 of .*names 0.png, which is .*a/0.png or .*b/0.png: write the folder"):
        read(root)


def test_a_dataset_by_a_roundabout_path_has_the_files_that_its_table_names(pictures):
    root = pictures("1.png", "2.png")
    (root / "metadata.csv").write_text("file_name,label\n./1.png,a\nx/../2.png,b\n")
    _, data, said = read(root / ".." / root.name)
    assert len(data) == 2 and not any("left out" in note for note in said)


def test_a_list_of_the_classes_is_no_list_of_files(pictures):
    root = pictures("0/1.png", "1/2.png")
    (root / "labels.csv").write_text("ClassId,Name\n0,Speed limit\n1,Stop\n")
    modality, data, said = read(root, conditional=True)
    assert modality.config.classes == ("0", "1") and len(data) == 2
    assert said[0] == f"files left out of {root}: 1 with other endings (.csv 1)"


def test_a_table_of_captions_over_folders_says_that_it_counts(pictures):
    root = pictures("a/1.png", "b/2.png")
    (root / "metadata.csv").write_text("file_name,text\na/1.png,one\nb/2.png,two\n")
    with pytest.raises(UserError, match=r"file, text; .*such as metadata.csv, counts instead of folders"):
        read(root, conditional=True)


def test_labels_without_a_column_of_files_are_mentioned(pictures):
    root = pictures("1.png", "2.png")
    (root / "labels.csv").write_text("a,b\n1,2\n")
    _, data, said = read(root)
    assert len(data) == 2 and said[0] == f"files left out of {root}: 1 with other endings (.csv 1)"


def test_the_file_wins_over_a_column_called_image(pictures):
    root = pictures("1.png")
    (root / "metadata.csv").write_text("file_name,image,label\n1.png,id1,a\n")
    assert read(root)[0].config.image_column == "file"


def test_a_file_named_twice_or_not_at_all_is_refused(pictures):
    root = pictures("1.png")
    for rows, said in (("1.png,a\n1.png,b\n", "names 1.png again"), (",a\n", "row 1 of .* names no file")):
        (root / "metadata.csv").write_text(f"file_name,label\n{rows}")
        with pytest.raises(UserError, match=said):
            read(root)


def test_a_named_file_that_is_missing_is_an_error_with_its_row(pictures):
    root = pictures("1.png")
    (root / "metadata.csv").write_text("file_name,label\n1.png,a\n2.png,b\n")
    with pytest.raises(UserError, match=r"row 2 \(.*2\.png\): No such file"):
        read(root)


# --- files ---


@pytest.mark.parametrize("ending", [".avif", ".jfif", ".TGA", ".Webp"])
def test_more_kinds_of_pictures_are_read(tmp_path, ending):
    Image.new("RGB", (16, 16), (0, 200, 0)).save(tmp_path / f"1{ending}", {".jfif": "JPEG", ".TGA": "TGA"}.get(ending))
    assert read(tmp_path)[1].real[0].reshape(3, -1).mean(1) == pytest.approx([0, 200, 0], abs=4)


def test_heic_is_read(tmp_path):
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.new("RGB", (64, 64), (0, 200, 0)).save(tmp_path / "1.HEIC", "HEIF")
    assert read(tmp_path)[1].real[0].reshape(3, -1).mean(1) == pytest.approx([0, 200, 0], abs=8)


def test_a_heic_without_its_plugin_says_what_to_install(tmp_path, monkeypatch):
    def unknown(file):
        raise UnidentifiedImageError

    monkeypatch.setattr(Image, "open", unknown)
    (tmp_path / "1.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    with pytest.raises(UserError, match=r"row 1 \(.*1\.heic\): HEIC pictures need pip install 'multigan\[heic\]'"):
        read(tmp_path)


def test_names_that_are_not_utf_8_are_read(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    for number in range(2):
        Image.new("L", (16, 16), number).save(os.fsdecode(folder + b"/%d.png" % number))
    assert len(read(tmp_path)[1]) == 2
    file = os.fsdecode(folder)
    assert str(path_of(name_of(file))) == file and name_of(file).encode()


def test_other_files_are_no_danger(pictures, monkeypatch):
    root = pictures("1.png")
    (root / "script.py").write_text("raise SystemExit")
    (root / "README.md").write_text("---\n: [x\n---\n")
    (root / "x.png.part").write_text("")
    with socket.socket(socket.AF_UNIX) as channel:
        monkeypatch.chdir(root)  # names of sockets are short
        channel.bind("a.png")
        _, data, said = read(root)
    assert len(data) == 1
    assert said[0] == f"files left out of {root}: 1 not regular files; 3 with other endings (.md 1, .py 1, .part 1)"


def test_a_folder_of_notes_has_its_table_read_and_its_readme_not(tmp_path):
    (tmp_path / "a.csv").write_text("text\nhello you\n")
    (tmp_path / "README.txt").write_text("what this is\n")
    (tmp_path / "s.py").write_text("raise SystemExit")
    _, data, said = read(tmp_path, Text(TextConfig()))
    assert len(data) == 1 and said[0] == f"files left out of {tmp_path}: 1 documents; 1 with other endings (.py 1)"


def test_what_datasets_saved_is_read(tmp_path):
    data = datasets.Dataset.from_dict({"text": ["hello you"] * 3})
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=data, val=data.select([0])).save_to_disk(tmp_path / "two")
    for name, split, rows in (("one", "train", 3), ("two", "train", 3), ("two", "validation", 1)):
        assert len(read(tmp_path / name, Text(TextConfig()), split)[1]) == rows
    with pytest.raises(UserError, match="no split 'test': it has train, val"):
        read(tmp_path / "two", Text(TextConfig()), "test")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_dataset(name):
    with pytest.raises(UserError, match="expected a built-in dataset, a folder, a file or a Hub id"):
        read(name)


def test_a_builtin_dataset_with_a_folder_of_its_name_says_which_it_is(pictures, monkeypatch):
    monkeypatch.chdir(pictures("digits/1.png"))
    assert "dataset 'digits' is the built-in one" in read("digits")[2][0]
    assert len(read("digits/")[1]) == 1


def test_an_output_within_the_dataset_is_no_data_and_changes_nothing(pictures, monkeypatch):
    root = pictures("1.png", "2.png")
    before = read(root)[1].digest
    (root / "runs" / "a" / "samples").mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl"):
        (root / "runs" / "a" / name).touch()
    Image.new("L", (16, 16)).save(root / "runs" / "a" / "samples" / "step-1.png")
    _, data, said = read(root)
    assert data.digest == before and said[0] == f"files left out of {root}: 3 of runs and models"


# --- what a file holds ---


def test_whole_numbers_of_32_bits_are_refused_and_of_16_are_not(tmp_path):
    Image.fromarray(numpy.full((8, 8), 257 * 9, numpy.uint16)).save(tmp_path / "1.png")
    assert set(read(tmp_path)[1].real.ravel()) == {9}
    (tmp_path / "other").mkdir()
    Image.fromarray(numpy.full((8, 8), 200, numpy.int32)).save(tmp_path / "other" / "1.tif")
    with pytest.raises(UserError, match="32-bit numbers have no defined range"):
        read(tmp_path / "other")


def sound(file, samples, **options):
    soundfile.write(file, samples, 8000, **options)


WAVE = 0.5 * numpy.sin(numpy.arange(8000) / 5)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (numpy.stack([WAVE, -WAVE], 1), "the file is silent, mixed to mono"),
        (numpy.full(8000, 0.25), "the file is silent: under -80 dB of full scale, a constant offset aside"),
        (WAVE * 1e-4, "the file is silent"),
        (numpy.zeros(8000), "the file is silent: under"),
    ],
    ids=["opposite channels", "offset", "near silence", "silence"],
)
def test_silence_is_judged_as_it_will_be_heard(tmp_path, samples, said):
    sound(tmp_path / "1.wav", samples, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"row 1 .*{said}"):
        read(tmp_path, Audio(AudioConfig(channels=1)))


def test_what_resampling_takes_away_is_silence(tmp_path):
    tone = 0.5 * numpy.sin(2 * numpy.pi * 20_000 * numpy.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "1.wav", tone, 48_000)
    assert len(read(tmp_path, Audio(AudioConfig()))[1]) == 1
    with pytest.raises(UserError, match="the file is silent, resampled to 8,000 Hz"):
        read(tmp_path, Audio(AudioConfig(sampling_rate=8000)))


def test_a_silent_start_is_refused_where_only_the_start_is_used(tmp_path):
    sound(tmp_path / "1.wav", numpy.concatenate([numpy.zeros(8000), WAVE]))
    with pytest.raises(
        UserError, match=r"row 1 .*the first 0\.51 s, the part that is used, are silent: --model\.trim 40"
    ):
        read(tmp_path, Audio(AudioConfig(length=4096, crop="start")))
    for trim, crop in ((40.0, "start"), (None, "random")):
        assert len(read(tmp_path, Audio(AudioConfig(length=4096, trim=trim, crop=crop)))[1]) == 1


def test_opposite_channels_are_no_silence_in_stereo(tmp_path):
    sound(tmp_path / "1.wav", numpy.stack([WAVE, -WAVE], 1))
    assert len(read(tmp_path, Audio(AudioConfig(channels=2)))[1]) == 1


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        (".wav", {"subtype": "GSM610"}),
        (".w64", {"format": "W64"}),
        (".oga", {"format": "OGG", "subtype": "VORBIS"}),
        (".opus", {"format": "OGG", "subtype": "OPUS"}),
        (".aifc", {"format": "AIFF"}),
        (".AU", {"format": "AU"}),
        (".caf", {"format": "CAF"}),
    ],
    ids=str,
)
def test_more_kinds_of_sounds_are_read(tmp_path, ending, options):
    sound(tmp_path / f"1{ending}", WAVE, **options)
    data = read(tmp_path, Audio(AudioConfig(length=4096, normalization="none")))[1]
    assert numpy.sqrt((data.real / 32767) ** 2).mean() == pytest.approx(
        1 / numpy.pi, rel=0.1
    )  # of a sine of half scale


def test_sounds_that_cannot_be_read_are_named_by_their_ending(tmp_path):
    (tmp_path / "1.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    with pytest.raises(UserError, match=r"nothing usable .*with other endings \(\.m4a 1\)"):
        read(tmp_path, Audio(AudioConfig()))


# --- what lies beside ---


def test_classes_within_splits_are_kept_with_files_beside_the_splits(pictures):
    root = pictures("train/a/1.png", "train/b/2.png", "test/a/3.png", "logo.png")
    modality, data, said = read(root)
    assert modality.config.classes == ("a", "b") and len(data) == 2
    assert said[0] == f"files left out of {root}: 1 beside the folders of the splits; 1 in split test"


def test_files_beside_folders_of_classes_are_said(pictures):
    root = pictures("a/1.png", "b/2.png", "3.png")
    modality, data, said = read(root)
    assert modality.config.classes == () and len(data) == 3
    assert said[0] == f"no classes: 1 files are beside the folders of {root}, and in none of them"


def test_side_files_may_name_files_by_way_of_another_folder(pictures):
    root = pictures("a/1.png", "b/2.png")
    (root / "a" / "metadata.csv").write_text("file_name,label\n1.png,x\n../b/2.png,y\n")
    modality, data, _ = read(root)
    assert modality.config.classes == ("x", "y") and len(data) == 2


def test_a_row_that_names_another_kind_of_file_is_an_error_and_not_dropped(pictures):
    root = pictures("1.png")
    (root / "notes.txt").write_text("no picture")
    (root / "metadata.csv").write_text("file_name,label\n1.png,a\nnotes.txt,b\n")
    with pytest.raises(UserError, match=r"row 2 \(.*notes\.txt\)"):
        read(root)


def test_arrays_in_a_folder_say_what_else_is_there(tmp_path):
    numpy.save(tmp_path / "a.npy", numpy.zeros((2, 16, 16), numpy.uint8))
    (tmp_path / "LICENSE.md").touch()
    _, data, said = read(tmp_path)
    assert len(data) == 2 and said[0] == f"files left out of {tmp_path}: 1 with other endings (.md 1)"


# --- what tables say, and what is not guessed ---


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_text_that_looks_like_a_date_or_a_number_stays_one(tmp_path, ending):
    rows = [{"text": "1999-12-31", "label": "2020-01-01"}, {"text": "12:30", "label": "007"}]
    (tmp_path / f"a.{ending}").write_text(
        json.dumps(rows) if ending == "json" else "".join(json.dumps(row) + "\n" for row in rows)
    )
    dataset = load(Text(TextConfig()), str(tmp_path), None, "train", False)
    assert list(dataset) == rows


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"data": [{"text": "a b"}, {"text": "c", "n": 1}]}', [("a b", None), ("c", 1)]),
        ('{"text": ["a b", "c"], "n": [1, 2]}', [("a b", 1), ("c", 2)]),
        ('[{"text": "a b", "n": 1}, {"n": "x", "text": "c"}]', [("a b", "1"), ("c", "x")]),
        ('{"text": "a b", "n": 1}\n\n{"text": "c", "n": null}', [("a b", 1), ("c", None)]),
    ],
    ids=["in one list", "columns", "numbers beside texts", "lines"],
)
def test_json_of_several_shapes(tmp_path, content, rows):
    (tmp_path / "a.json").write_text(content)
    dataset = load(Text(TextConfig()), str(tmp_path), None, "train", False)
    assert [(row["text"], row["n"]) for row in dataset] == rows


def test_one_line_of_json_lines_is_one_row(pictures):
    root = pictures("1.png")
    write_rows(root / "metadata.jsonl", [{"file_name": "1.png", "label": ["a", "b"]}])
    modality, data, _ = read(root, conditional=True)
    assert modality.config.classes == ("a", "b") and data.label.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text":\n', r"line 2 of .*a\.jsonl is not valid JSON"),
        ("a.json", '["a", "b"]', r"row 1 of .*a\.json is 'a': expected an object"),
        ("a.json", '{"text": ["a", "b"], "n": [1]}', "of different lengths"),
        ("a.jsonl", '{"text": "a"}\n{"text": ["b"]}\n', "column 'text' of .* holds values that differ in kind"),
        ("a.json", "[]", "has no rows"),
        ("a.txt", "a\0b", "line 1 of .*a.txt has zero bytes"),
    ],
)
def test_broken_tables_are_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        load(Text(TextConfig()), str(tmp_path / name), None, "train", False)


def test_lines_may_end_as_anywhere(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "a.csv").write_bytes(f"text,label{end}a b,x{end}c d,y{end}".encode())
        dataset = load(Text(TextConfig()), str(tmp_path / "a.csv"), None, "train", False)
        assert list(dataset) == [{"text": "a b", "label": "x"}, {"text": "c d", "label": "y"}]


def test_tables_of_one_kind_with_other_columns_are_refused_with_the_counts(tmp_path):
    for name, column in (("a", "text"), ("b", "text"), ("c", "sentence")):
        datasets.Dataset.from_dict({column: ["x y"]}).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UserError, match=r"differ in their columns: 2 such as .* with text; 1 such as .*c\.parquet"):
        load(Text(TextConfig()), str(tmp_path), None, "train", False)


def test_a_column_of_splits_decides(pictures):
    root = pictures(*(f"{number}.png" for number in range(5)))
    cells = ("Train", "test", "training", "val", "train")
    lines = "".join(f"{number}.png,{'ab'[number % 2]},{split}\n" for number, split in enumerate(cells))
    (root / "metadata.csv").write_text(f"file_name,label,split\n{lines}")
    (root / "t.csv").write_text(f"image,label,Split\n{lines}")
    for name, where in ((root, "files left out"), (root / "t.csv", "rows left out")):
        _, data, said = read(name, conditional=True)
        assert data.real[:, 0, 0, 0].tolist() == [0, 2, 4]
        assert said[0].startswith(where) and said[0] and "1 in split test; 1 in split validation" in said[0]
        assert len(read(name, split="test")[1]) == 1 and len(read(name, split="val")[1]) == 1
    (root / "metadata.csv").write_text(f"file_name,label, SPLIT\n{lines}".replace("val", "").replace("test", "other"))
    _, data, said = read(root)
    assert len(data) == 3 and "1 in no split; 1 in split other" in said[0]
    with pytest.raises(UserError, match="no split 'test': it has train"):
        read(root, split="test")


def test_a_streamed_column_of_splits_decides(tmp_path):
    (tmp_path / "a.csv").write_text("text,split\na b,train\nc d,test\ne f,Train\n")
    for split, texts in (("train", ["a b", "e f"]), ("test", ["c d"])):
        stream = load(Text(TextConfig()), str(tmp_path), None, split, True)
        assert [row["text"] for row in stream] == texts


def test_side_files_of_splits_may_have_other_columns(pictures):
    root = pictures("train/1.png", "train/2.png", "test/3.png")
    (root / "train" / "metadata.csv").write_text("file_name,Label\n1.png,a\n2.png,b\n")
    (root / "test" / "metadata.csv").write_text("file_name,id\n3.png,7\n")
    assert read(root, conditional=True)[1].label.tolist() == [0, 1]
    (root / "test" / "metadata.csv").write_text("file_name,label\n3.png,b\n")
    modality, _, _ = read(root, conditional=True)
    assert read(root, modality, "test")[1].label.tolist() == [1]


def test_classes_of_a_metadata_parquet_are_its_names(pictures):
    root = pictures("1.png", "2.png")
    features = datasets.Features(file_name=datasets.Value("string"), label=datasets.ClassLabel(names=["dog", "cat"]))
    rows = {"file_name": ["1.png", "2.png"], "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(root / "metadata.parquet")
    modality, data, _ = read(root, conditional=True)
    assert modality.config.classes == ("cat", "dog") and data.label.tolist() == [0, 1]


def test_classes_are_those_of_now_where_another_split_changed_them(pictures):
    root = pictures("train/x/a/1.png", "train/x/b/2.png", "test/x/a/3.png")
    assert read(root, conditional=True)[0].config.classes == ("a", "b")
    pictures("test/y/a/4.png")
    assert read(root, conditional=True)[0].config.classes == ("x/a", "x/b")


def test_a_labels_csv_of_something_else_stops_nothing(pictures):
    root = pictures("a/1.png", "b/2.png")
    (root / "labels.csv").write_text("id;name\n1;2\n")
    _, data, said = read(root, conditional=True)
    assert len(data) == 2 and "(.csv 1)" in said[0]


def test_an_empty_first_name_leaves_the_others_relative_to_the_table(pictures, tmp_path):
    root = pictures("p/1.png", "p/2.png")
    (root / "t.csv").write_text('image\n""\np/1.png\np/2.png\n')
    assert len(read(root / "t.csv", skip_corrupt=True)[1]) == 2


def test_named_files_that_only_the_current_folder_has_are_taken_and_said(pictures, tmp_path, monkeypatch):
    pictures("1.png", "2.png", folder="here")
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "t.csv").write_text("image\n1.png\n2.png\n")
    _, data, said = read(tmp_path / "t.csv")
    assert len(data) == 2
    assert any("'image' are relative to the current folder" in line for line in said)


@pytest.mark.parametrize("names", [("1.png", "2.png"), ("1.png", "3.png")], ids=["one beside", "one nowhere"])
def test_a_missing_file_is_not_taken_from_the_current_folder(pictures, tmp_path, monkeypatch, names):
    pictures("1.png", "2.png", folder="here")
    if "2.png" in names:
        (tmp_path / "1.png").write_bytes((tmp_path / "here" / "1.png").read_bytes())
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "t.csv").write_text("\n".join(["image", *names]))
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "t.csv")


def test_names_of_files_may_be_those_of_windows(pictures, tmp_path):
    root = pictures("x/1.png", "x/2.png")
    (root / "metadata.csv").write_text("file_name,label\nx\\1.png,a\nx\\2.png,b\n")
    assert read(root, conditional=True)[1].label.tolist() == [0, 1]
    (root / "t.csv").write_text("image,label\nx\\1.png,a\nx\\2.png,b\n")
    assert read(root / "t.csv", conditional=True)[1].label.tolist() == [0, 1]


def test_rows_left_out_for_a_class_are_there_again_without_it(tmp_path, pictures):
    root = pictures("a/1.png", "b/2.png", "c/3.png")
    assert len(read(root, conditional=True, classes=("a", "b"))[1]) == 2
    assert len(read(root, classes=("a", "b"))[1]) == 3
    write_rows(tmp_path / "a.jsonl", [{"text": "a b", "label": "x"}, {"text": "c d"}])
    modality = Text(TextConfig())
    assert read(tmp_path / "a.jsonl", modality)[1].label is None
    with pytest.raises(UserError, match="row 2: the cell of 'label', its class, is empty"):
        read(tmp_path / "a.jsonl", Text(TextConfig(conditional=True)))


def test_classes_that_files_declare_in_another_order_are_those_of_their_names(tmp_path):
    for name, classes in (("a", ["cat", "dog"]), ("b", ["dog", "cat"])):
        features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=classes))
        rows = {"text": ["x y"] * 3, "label": [0, 0, 1]}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / f"{name}.parquet")
    assert counts(tmp_path, modality=Text(TextConfig(conditional=True))) == {"cat": 3, "dog": 3}
    (tmp_path / "c.csv").write_text("text,label\nz,cat\n")
    assert counts(tmp_path, modality=Text(TextConfig(conditional=True))) == {"cat": 4, "dog": 3}
    with pytest.raises(UserError, match="without --streaming"):
        load(Text(TextConfig()), str(tmp_path), None, "train", True)


def test_streamed_json_guesses_no_dates(tmp_path):
    write_rows(tmp_path / "a.jsonl", [{"text": "1999-12-31"}, {"text": "b", "n": 1}])
    rows = list(load(Text(TextConfig()), str(tmp_path), None, "train", True))
    assert [row["text"] for row in rows] == ["1999-12-31", "b"]


def test_json_in_an_envelope_of_other_values(tmp_path):
    (tmp_path / "a.json").write_text('{"version": "1.0", "data": [{"text": "a b"}, {"text": "c"}]}')
    assert [row["text"] for row in load(Text(TextConfig()), str(tmp_path), None, "train", False)] == ["a b", "c"]


def test_a_damaged_header_is_a_row_that_cannot_be_used(pictures):
    root = pictures("1.png")
    entries = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\x01\x01\0\x02\0\0\0\x03me\0\0"  # turned; "me" pixels high
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + entries + b"\0\0\0\0"
    Image.new("L", (16, 16), 7).save(root / "2.jpg", exif=exif)
    with pytest.raises(UserError, match=r"row 2 \(.*2\.jpg\): the picture is broken"):
        read(root)
    assert len(read(root, skip_corrupt=True)[1]) == 1


def test_the_text_column_is_found_in_any_case(tmp_path):
    (tmp_path / "a.csv").write_text("Text,title\na b,x\n")
    modality = Text(TextConfig())
    modality.fit(load(modality, str(tmp_path), None, "train", False))
    assert modality.config.text_column == "Text"


@pytest.mark.parametrize("name", ["~nobody_at_all/x", "x" * 300])
def test_a_name_that_cannot_be_is_one_line(name):
    with pytest.raises(UserError, match="dataset '"):
        read(name)
