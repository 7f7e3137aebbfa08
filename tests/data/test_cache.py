"""Holds the cache: encoded once, shared, whole or absent, and what becomes of rows that cannot be used."""

import dataclasses
import json
import math
import os
import subprocess
import sys

import datasets
import numpy
import pytest

from multigan.data import cache, decoding
from multigan.data.cache import cached
from multigan.data.load import load
from multigan.errors import UserError
from multigan.files import ASIDE
from multigan.modalities.image import Image, ImageConfig

encodes = []


class Counting(Image):
    """Pictures, each encoding of which is noted. A class of the module, for the cache knows it by its name."""

    def encode(self, row):
        encodes.append(row)
        return super().encode(row)


@pytest.fixture(autouse=True)
def no_encodes(monkeypatch):
    monkeypatch.setattr(
        decoding, "PATIENCE", math.inf
    )  # what other processes encode, on a slow machine, is not counted
    encodes.clear()


def build(name, skip_corrupt=False, **settings):
    """A counting modality and the cache of a dataset."""
    modality = Counting(ImageConfig(**{"resolution": 16, **settings}))
    return modality, cached(load(modality, str(name), None, "train", False), modality, skip_corrupt, print)


def folders(caches):
    """The caches of rows that there are, and what belongs to none."""
    return sorted(path.name for path in caches.iterdir() if not path.match("[0-9a-f]*.json") and path.suffix != ".lock")


def break_picture(file):
    file.write_bytes(file.read_bytes()[:40])


# --- what is in it ---


def test_rows_are_the_pictures_in_order_with_their_labels(pictures):
    root = pictures("bee/1.png", "ant/2.png", "bee/3.png")  # greys 0, 1, 2
    modality, found = build(root)
    assert found.real.shape == (3, 1, 16, 16) and found.real.dtype == numpy.uint8
    assert found.real[:, 0, 0, 0].tolist() == [1, 0, 2]  # ant first
    assert found.label.tolist() == [0, 1, 1] and found.label.dtype == numpy.int64
    assert modality.config.classes == ("ant", "bee") and found.skipped == 0


def test_more_rows_than_are_read_at_a_time_stay_in_order(pictures):
    root = pictures(*(f"{number:04d}.png" for number in range(decoding.ROWS)))
    (root / "1000.png").write_bytes((root / "0007.png").read_bytes())
    (root / "1001.png").write_bytes((root / "0003.png").read_bytes())
    _, found = build(root)
    assert found.real[:, 0, 0, 0].tolist() == [*range(decoding.ROWS), 7, 3]


def test_dataset_without_labels_has_none(pictures):
    assert build(pictures("1.png"))[1].label is None


# --- encoded once ---


@pytest.mark.parametrize("kind", ["folder", "parquet", "digits"])
def test_second_time_encodes_nothing_and_is_the_same(pictures, parquet, kind):
    name = {"folder": lambda: pictures("a/1.png", "b/2.png"), "parquet": lambda: parquet(3), "digits": lambda: "digits"}
    name = name[kind]()
    fitted, first = build(name)
    assert len(encodes) == len(first.real)
    restored, second = build(name)
    assert len(encodes) == len(first.real), "encoded again"
    assert numpy.array_equal(first.real, second.real) and numpy.array_equal(first.label, second.label)
    assert restored.config == fitted.config and fitted.config.image_column is not None


def test_settings_that_encoding_does_not_depend_on_find_it_and_are_kept(pictures):
    root = pictures("a/1.png", "b/2.png")
    build(root, conditional=True)
    modality, _ = build(root, generator_width=5, latent_dim=7, conditional=True, rotation=3.0)
    assert len(encodes) == 2
    assert (modality.config.generator_width, modality.config.latent_dim, modality.config.rotation) == (5, 7, 3.0)
    assert modality.config.conditional and modality.config.classes == ("a", "b")


@pytest.mark.parametrize(
    "settings", [{"resolution": 32}, {"channels": 3}, {"classes": ("b", "a")}, {"conditional": True}]
)
def test_settings_that_encoding_depends_on_do_not(pictures, settings):
    root = pictures("a/1.png", "b/2.png")
    build(root)
    modality, found = build(root, **settings)
    assert len(encodes) == 4
    assert found.real.shape[1:] == (modality.config.channels, modality.config.resolution, modality.config.resolution)


def test_changed_file_makes_a_new_cache(pictures):
    root = pictures("1.png", "2.png")
    _, before = build(root)
    kept = before.real[:, 0, 0, 0].tolist()
    later = os.stat(root / "1.png").st_mtime_ns + 10**9
    (root / "1.png").write_bytes((root / "2.png").read_bytes())
    os.utime(root / "1.png", ns=(later, later))
    _, after = build(root)
    assert kept == [0, 1] and after.real[:, 0, 0, 0].tolist() == [1, 1]


def test_added_file_makes_a_new_cache(pictures):
    root = pictures("1.png", "2.png")
    build(root)
    (root / "3.png").write_bytes((root / "1.png").read_bytes())
    assert len(build(root)[1].real) == 3


def test_the_digest_is_of_the_data_and_not_of_its_place(pictures):
    moved = build(pictures("a/1.png", "b/2.png", folder="moved"))[1].digest
    root = pictures("a/1.png", "b/2.png")
    assert build(root)[1].digest == moved
    (root / "a" / "1.png").rename(root / "b" / "1.png")
    (root / "a" / "3.png").write_bytes((root / "b" / "2.png").read_bytes())
    assert build(root)[1].digest != moved


def test_skipping_and_not_skipping_do_not_share_a_cache(pictures):
    # A cache that lacks rows must not serve who did not allow that.
    root = pictures("1.png", "2.png")
    break_picture(root / "1.png")
    assert build(root, skip_corrupt=True)[1].skipped == 1
    with pytest.raises(UserError):
        build(root)


# --- rows that cannot be used ---


@pytest.mark.parametrize("bad", [0, 1, 257])
def test_corrupt_row_is_named_with_its_file_and_number(pictures, bad):
    root = pictures(*(f"{number:04d}.png" for number in range(256)))
    for number in range(256, 259):
        (root / f"{number:04d}.png").write_bytes((root / "0000.png").read_bytes())
    break_picture(root / f"{bad:04d}.png")
    with pytest.raises(UserError) as caught:
        build(root)
    message = str(caught.value)
    assert f"row {bad + 1} ({root / f'{bad:04d}.png'})" in message and "skip_corrupt" in message
    assert len(message.splitlines()) == 1


def test_skipped_rows_are_counted_and_the_labels_stay_with_their_pictures(pictures, capsys):
    root = pictures("a/0.png", "b/1.png", "a/2.png", "b/3.png", "a/4.png")  # greys 0 to 4, and classes a b a b a
    break_picture(root / "a/2.png")
    break_picture(root / "b/1.png")
    for _ in range(2):  # built, then found
        _, found = build(root, skip_corrupt=True)
        rows = sorted(zip(found.real[:, 0, 0, 0].tolist(), found.label.tolist(), strict=True))
        assert rows == [(0, 0), (3, 1), (4, 0)] and found.skipped == 2
        said = capsys.readouterr().out
        assert "left out 2 of 5 rows" in said and str(root / "a/2.png") in said and str(root / "b/1.png") in said


def test_file_that_metadata_names_and_that_is_not_there_can_be_left_out(pictures):
    root = pictures("0.png", "1.png")
    (root / "metadata.csv").write_text("file_name,label\n1.png,bee\nmissing.png,ant\n")
    with pytest.raises(UserError, match=r"row 2 .*missing.png\): No such file or directory"):
        build(root)
    assert build(root, skip_corrupt=True)[1].real[:, 0, 0, 0].tolist() == [1]


def test_rows_after_many_skipped_ones_are_named_rightly(pictures):
    # The number must be that of the dataset, not of the good rows so far.
    root = pictures(*(f"{number:04d}.png" for number in range(6)))
    for number in (1, 2, 4):
        break_picture(root / f"{number:04d}.png")
    dataset = load(Counting(), str(root), None, "train", False)
    modality = Counting(ImageConfig(resolution=16))
    assert cached(dataset, modality, skip_corrupt=True).real[:, 0, 0, 0].tolist() == [0, 3, 5]


def test_no_row_that_can_be_used_is_an_error_even_where_they_may_be_skipped(pictures, caches):
    root = pictures("1.png", "2.png")
    for file in root.iterdir():
        break_picture(file)
    with pytest.raises(UserError, match="none of the 2 rows"):
        build(root, skip_corrupt=True)
    assert folders(caches) == []


@pytest.mark.parametrize("label", [[], None], ids=["with numbers for labels", "without labels"])
def test_dataset_without_rows_is_refused(tmp_path, label):
    columns = {"image": datasets.Image()} | ({} if label is None else {"label": datasets.Value("int64")})
    dataset = datasets.Dataset.from_dict({name: [] for name in columns}, features=datasets.Features(columns))
    with pytest.raises(UserError):
        cached(dataset.cast_column("image", datasets.Image(decode=False)), Counting(), False)


def test_rows_of_classes_that_were_not_chosen_are_left_out_and_counted(pictures):
    root = pictures("a/1.png", "b/2.png", "c/3.png")
    _, data = build(root, classes=("c", "a"), conditional=True)
    assert data.label.tolist() == [1, 0]
    assert any("left out 1 rows: of other classes" in note for note in data.notes)


def test_labels_that_nobody_asked_for_refuse_no_row(pictures):
    _, data = build(pictures("a/1.png", "b/2.png"), classes=("a",))
    assert len(data) == 2 and data.label is None
    assert any("labels are not used: 1 of 2 rows have none" in note for note in data.notes)


class Uneven(Image):
    """Encodes rows to shapes of their own, which is against the contract."""

    def encode(self, row):
        encoded = super().encode(row)
        side = 1 + int(encoded["real"].max())
        return {"real": encoded["real"][:, :side]}


def test_rows_of_several_shapes_are_refused(pictures):
    dataset = load(Uneven(), str(pictures("1.png", "2.png")), None, "train", False)
    with pytest.raises(UserError, match="all rows must agree"):
        cached(dataset, Uneven(ImageConfig(resolution=16)), False)


# --- whole or absent ---


@pytest.mark.parametrize("where", ["append", "columns", "learned"])
def test_full_disk_is_one_line_and_leaves_nothing(pictures, caches, monkeypatch, where):
    root = pictures("1.png", "2.png")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if where == "append":
            patch.setattr(cache, "append", full)
        else:
            patch.setattr(
                cache.json,
                "dumps",
                lambda values, **_: full() if where in values else json.JSONEncoder().encode(values),
            )
        with pytest.raises(UserError, match=r"MULTIGAN_CACHE.*No space left on device") as caught:
            build(root)
    assert len(str(caught.value).splitlines()) == 1
    assert folders(caches) == []
    assert build(root)[1].real[:, 0, 0, 0].tolist() == [0, 1]


def test_what_a_killed_process_left_does_not_count(pictures, caches):
    root = pictures("1.png", "2.png")
    build(root)
    (name,) = folders(caches)
    # Killed while it wrote: the folder aside is half full, and the cache is not there.
    aside = caches / f"{ASIDE}{name}"
    (caches / name).rename(aside)
    (aside / "cache.json").unlink()
    (aside / "real.bin").write_bytes(b"half")
    assert build(root)[1].real[:, 0, 0, 0].tolist() == [0, 1]
    assert folders(caches) == [name]


def test_cache_folder_that_cannot_be_made_is_one_line(pictures, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MULTIGAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="MULTIGAN_CACHE"):
        build(pictures("1.png"))


BUILDER = """
import sys
from multigan.data.cache import cached
from multigan.data.load import load
from multigan.modalities.image import Image, ImageConfig

class Noting(Image):
    def encode(self, row):
        print("encoded")
        return super().encode(row)

modality = Noting(ImageConfig(resolution=16))
dataset = load(modality, sys.argv[1], None, "train", False)
print("ready", flush=True)
sys.stdin.readline()
data = cached(dataset, modality, False)
print("sum", int(data.real.sum()), data.label.tolist(), modality.config.classes)
"""


@pytest.mark.slow
def test_two_processes_at_once_make_one_cache_between_them(pictures, caches):
    root = pictures(*(f"{'ab'[number % 2]}/{number:03d}.png" for number in range(100)))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:  # both now start at once
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=100)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = {output.splitlines()[-1] for output in outputs}
    assert len(said) == 1 and said.pop().startswith(f"sum {256 * sum(range(100))} ")
    assert sum(output.count("encoded") for output in outputs) == 100, "each row is encoded by one of them"
    assert len(folders(caches)) == 1


def test_a_setting_that_changes_no_row_has_the_same_cache(pictures, caches):
    root = pictures("1.png", "2.png")
    build(root, generator_width=8)
    modality, found = build(root, generator_width=16)
    assert len(folders(caches)) == 1 and found.real[:, 0, 0, 0].tolist() == [0, 1]
    assert modality.config.generator_width == 16


def test_two_datasets_have_two_caches(pictures, caches):
    build(pictures("1.png", folder="x"))
    build(pictures("1.png", "2.png", folder="y"))
    assert len(folders(caches)) == 2


def test_what_is_found_is_not_written_to(pictures):
    _, found = build(pictures("1.png"))
    with pytest.raises(ValueError, match="read-only"):
        found.real[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.skipped = 1


class Forgetful(Image):
    """Says nothing of its classes among what the encoding depends on."""

    def encode_key(self):
        return {"resolution": self.config.resolution}


def test_what_was_learned_comes_back_whatever_the_encoding_depends_on():
    learned = []
    for _ in range(2):
        plugin = Forgetful(ImageConfig(resolution=16, latent_dim=77))
        cache.cached(plugin.builtin_datasets["digits"](), plugin, skip_corrupt=False)
        learned.append(plugin.config)
    assert learned[0] == learned[1]
    assert learned[1].classes == tuple(str(digit) for digit in range(10))
    assert learned[1].latent_dim == 77


class Talking(Image):
    """Says something of its data, and tells in which order it is used."""

    def fit(self, dataset):
        super().fit(dataset)
        return ["nine pictures", "all grey"]

    def encode(self, row):
        self.order.append("decoded")
        return super().encode(row)


def test_notes_are_said_before_decoding_and_again_from_the_cache(pictures):
    dataset = load(Image(), str(pictures("1.png")), None, "train", False)
    for expected in (["nine pictures", "all grey", "decoded"], ["nine pictures", "all grey"]):
        modality = Talking(ImageConfig(resolution=16))
        modality.order = []
        assert cached(dataset, modality, False, modality.order.append).notes == ("nine pictures", "all grey")
        assert modality.order == expected
