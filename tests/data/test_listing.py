"""Holds the one walk over folders, the splits, and that whatever is not read is counted."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multigan.data.listing import Listing, by_ending, choose_split, split_depth, split_of, split_of_file, walk
from multigan.errors import NoSplitError, UserError


def made(root, *names):
    """Empty files under a folder; returns the folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def relative(listing):
    return [str(file.relative_to(listing.root)) for file in listing.files]


def of_split(root, split, *names, by_name=False):
    """The files of a split, and what was left out."""
    listing = walk(made(root, *names))
    choose_split(listing, split, by_name)
    return relative(listing), dict(listing.left_out)


# --- the walk ---


def test_links_to_folders_and_files_are_followed(tmp_path):
    made(tmp_path / "real", "cats/1.png", "2.png")
    root = made(tmp_path / "set", "birds/3.png")
    (root / "cats").symlink_to(tmp_path / "real" / "cats")
    (root / "4.png").symlink_to(tmp_path / "real" / "2.png")
    assert relative(walk(root)) == ["4.png", "birds/3.png", "cats/1.png"]


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    root = made(tmp_path, "a/1.png")
    (root / "b").symlink_to(root / "a")
    assert relative(walk(root)) == ["a/1.png", "b/1.png"]


def test_circles_end_and_are_counted(tmp_path):
    root = made(tmp_path, "a/b/1.png")
    (root / "a" / "b" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    listing = walk(root)
    assert relative(listing) == ["a/b/1.png"]
    assert listing.left_out == {"linked to a folder that it is in": 2}


def test_a_link_to_itself_is_dangling(tmp_path):
    root = made(tmp_path, "1.png")
    (root / "x.png").symlink_to("x.png")
    listing = walk(root)
    assert relative(listing) == ["1.png"] and listing.left_out == {"dangling links": 1}


def test_what_is_no_file_is_counted_and_never_opened(tmp_path):
    root = made(tmp_path, "1.png")
    os.mkfifo(root / "pipe.png")  # opening it would wait for ever
    (root / "gone.png").symlink_to(root / "nowhere")
    made(root / "folder.png", "2.png")
    listing = walk(root)
    assert relative(listing) == ["1.png", "folder.png/2.png"]
    assert listing.left_out == {"not regular files": 1, "dangling links": 1}


def test_hidden_files_and_what_macos_adds_are_counted(tmp_path):
    root = made(tmp_path, "1.png", "._1.png", ".git/a/b", ".git/c", "__MACOSX/._1.png", ".DS_Store")
    listing = walk(root)
    assert relative(listing) == ["1.png"] and listing.left_out == {"hidden": 5}
    assert listing.notes() == [f"files left out of {root}: 5 hidden"]


def test_runs_models_and_pictures_of_evaluations_are_no_data(tmp_path):
    root = made(
        tmp_path,
        *("1.png", "runs/a/config.yaml", "runs/a/metrics.jsonl", "runs/a/samples/step-1.png"),
        *("model/config.json", "model/model.safetensors", "model/preview.png"),
        *("evaluation.json", "evaluation.png", "closest.png"),
    )
    listing = walk(root)
    assert relative(listing) == ["1.png"]
    assert listing.left_out == {"of runs and models": 6, "of an evaluation": 3}


@pytest.mark.parametrize("samples", ["samples.txt", "samples.jsonl"])
def test_the_preview_of_generated_sentences_is_not_read_again(tmp_path, samples):
    listing = walk(made(tmp_path, samples, "preview.txt"))
    assert relative(listing) == [samples] and listing.left_out == {"of a preview": 1}
    assert relative(walk(made(tmp_path / "mine", "preview.txt"))) == ["preview.txt"]


def test_a_run_itself_is_no_dataset(tmp_path):
    with pytest.raises(UserError, match="is a run or a model of multigan"):
        walk(made(tmp_path, "config.yaml", "metrics.jsonl", "samples/1.png"))


def test_other_endings_are_counted_by_ending(tmp_path):
    listing = walk(made(tmp_path, "1.PNG", "2.png", "3.heif", "4.HEIF", "notes", "x.py"))
    by_ending(listing, (".png",))
    assert relative(listing) == ["1.PNG", "2.png"]
    assert listing.left_out == {"with other endings (.heif 2, none 1, .py 1)": 4}


def test_names_are_taken_as_they_are(tmp_path):
    names = ["[a]/*.png", "a b/?.png", "ü/1.png", "{x}.png"]
    assert set(relative(walk(made(tmp_path, *names)))) == set(names)


def test_names_that_are_not_utf_8_are_taken_and_shown(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/1.png", "wb"):
        pass
    listing = walk(tmp_path)
    assert [os.fsencode(file) for file in listing.files] == [folder + b"/1.png"]


NAMES = st.sampled_from(
    ["a", "b.png", "c.PNG", ".d.png", "train", "test", "Val", "__MACOSX", "e.txt", "[f].png", "ä.png"]
)
# A file, a link to the root, to nothing, or to a file elsewhere.
LEAVES = st.sampled_from(["file", "circle", "dangling", "link"])
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)


def plant(tree, place, root, elsewhere):
    """Make the files, links and folders of a tree; returns how many files and links there are."""
    place.mkdir(exist_ok=True)
    there = 0
    for name, inner in (tree if isinstance(tree, dict) else {}).items():
        if isinstance(inner, dict):
            there += plant(inner, place / name, root, elsewhere)
            continue
        there += 1
        if inner == "file":
            (place / name).touch()
        else:
            (place / name).symlink_to({"circle": root, "dangling": root / "nowhere", "link": elsewhere}[inner])
    return there


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES, st.sampled_from(["train", "test", "validation"]), st.booleans())
def test_what_is_read_and_what_is_reported_is_all_there_is(tree, split, by_name):
    with tempfile.TemporaryDirectory() as name:
        root, elsewhere = Path(name) / "root", Path(name) / "elsewhere"
        elsewhere.touch()
        there = plant(tree, root, root, elsewhere)
        listing = walk(root)
        assert len(listing.files) + listing.left_out.total() == there
        by_ending(listing, (".png",))
        assert len(listing.files) + listing.left_out.total() == there
        try:
            choose_split(listing, split, by_name)
        except UserError:
            return
        assert len(listing.files) + listing.left_out.total() == there
        assert len(set(listing.files)) == len(listing.files)


# --- splits ---


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training", "testing"),
        ("my_data/train", "my_data/test"),
        ("a/b/train", "a/b/test"),
    ],
)
def test_splits_are_known_in_any_case_and_deeper(tmp_path, folders):
    names = [f"{folder}/{kind}/{i}.png" for folder in folders for kind in ("cats", "dogs") for i in range(2)]
    train, left = of_split(tmp_path, "train", *names)
    assert train == [name for name in names if name.startswith(folders[0])]
    assert left == {f"in split {folders[1].rpartition('/')[2].lower()}": 4}
    assert of_split(tmp_path, "test")[0] == [name for name in names if name.startswith(folders[1])]


@pytest.mark.parametrize("folder", ["val", "validation", "valid", "dev", "Val"])
def test_validation_has_several_names(tmp_path, folder):
    files, _ = of_split(tmp_path, "validation", "train/1.png", f"{folder}/2.png")
    assert files == [f"{folder}/2.png"]


def test_splits_within_classes_are_splits(tmp_path):
    names = ["cats/train/1.png", "cats/test/2.png", "dogs/train/3.png", "dogs/test/4.png"]
    assert of_split(tmp_path, "train", *names)[0] == [names[0], names[2]]


def test_other_folders_beside_a_training_and_a_test_split_are_left_out_and_counted(tmp_path):
    files, left = of_split(tmp_path, "train", "train/1.png", "test/2.png", "extra/3.png", "4.png")
    assert files == ["train/1.png"]
    assert left == {"in split test": 1, "beside the folders of the splits": 2}


@pytest.mark.parametrize(
    "names",
    [
        ("test/1.png", "blank/2.png"),
        ("test_set/1.png", "blank/2.png"),
        ("train/1.png", "bus/2.png"),
        ("cats/test/1.png", "cats/2.png"),
    ],
)
def test_what_could_be_classes_as_well_is_refused_with_what_to_do(tmp_path, names):
    with pytest.raises(UserError, match=r"could be splits or classes: .*rename them.*metadata\.csv"):
        split_depth(tmp_path, walk(made(tmp_path, *names)).files)


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(NoSplitError, match="no split 'validation': it has test, train"):
        of_split(tmp_path, "validation", "train/1.png", "test/2.png")
    with pytest.raises(NoSplitError, match="more than one split 'validation': it has dev, train, val"):
        of_split(tmp_path / "two", "validation", "train/1.png", "val/2.png", "dev/3.png")


def test_file_names_decide_only_where_every_one_names_a_split(tmp_path):
    poems = ["winter.txt", "the night train.txt", "a test of time.txt"]
    assert len(of_split(tmp_path / "poems", "train", *poems, by_name=True)[0]) == 3
    tables = ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"]
    assert of_split(tmp_path / "tables", "train", *tables, by_name=True)[0] == tables[:1]
    assert len(of_split(tmp_path / "pictures", "train", "train_1.png", "test_1.png")[0]) == 2


@pytest.mark.parametrize("train", ["train.txt", "Training_Set.txt", "train_1.txt", "train-00000-of-00001.txt"])
def test_files_of_splits_are_splits_beside_other_files_which_are_counted(tmp_path, train):
    files, left = of_split(tmp_path, "train", train, "test.txt", "notes.txt", by_name=True)
    assert files == [train] and left == {"in split test": 1, "beside the files of the splits": 1}
    assert of_split(tmp_path, "test", by_name=True)[0] == ["test.txt"]


def test_a_test_file_alone_is_not_trained_on(tmp_path):
    with pytest.raises(NoSplitError, match="no split 'train': it has test"):
        of_split(tmp_path, "train", "test.txt", "notes.txt", by_name=True)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train_images", "val_images"),
        ("Train Data", "Test Data"),
        ("train2017", "val2017"),
    ],
)
def test_folders_may_say_that_they_are_splits_in_two_words(tmp_path, train, test):
    files, left = of_split(tmp_path, "train", f"{train}/cats/1.png", f"{test}/cats/2.png", f"{test}/dogs/3.png")
    assert files == [f"{train}/cats/1.png"] and left == {f"in split {test.lower()}": 2}


@pytest.mark.parametrize(
    "name", ["steam train", "train_station", "crash test dummy", "train_test", "set", "train12345"]
)
def test_other_names_that_hold_a_split_are_none(name):
    assert split_of(name) is None


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("my_TEST_2.csv", "test"),
        ("dev-00000.parquet", "validation"),
        ("attest.csv", None),
        ("train_test.csv", None),
    ],
)
def test_a_file_names_a_split_by_one_of_its_words(name, split):
    assert split_of_file(Path(name)) == split


def test_nothing_left_out_is_nothing_to_say():
    assert Listing(Path("x")).notes() == []
