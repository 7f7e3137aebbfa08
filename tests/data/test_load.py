"""Holds what a dataset may be (built-in, folder, file), its rows and labels, and what is said where there is none."""

import datasets
import pytest
from PIL import Image

from multigan.data.load import load
from multigan.errors import NoSplitError, UserError


def loaded(modality, name, split="train", streaming=False, subset=None):
    return load(modality, str(name), subset, split, streaming)


def names_and_labels(dataset, root):
    """The files of a dataset, relative to the root, with the names of their labels."""
    feature = dataset.features.get("label")
    return {row["file"].removeprefix(f"{root}/"): feature.int2str(row["label"]) if feature else None for row in dataset}


def refused(modality, name, **options):
    """The message of the error, which must be one line."""
    with pytest.raises(UserError) as caught:
        loaded(modality, name, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- folders ---


def test_flat_folder_is_its_files_without_labels(image, pictures):
    root = pictures("b.png", "a.JPG", "c.webp")
    (root / "notes.txt").write_text("no picture")
    assert names_and_labels(loaded(image, root), root) == {"a.JPG": None, "b.png": None, "c.webp": None}


def test_sub_folders_are_classes_and_theirs_are_the_names(image, pictures):
    root = pictures("zebra/1.png", "ant/1.png", "ant/2.png")
    dataset = loaded(image, root)
    assert dataset.features["label"].names == ["ant", "zebra"]
    assert names_and_labels(dataset, root) == {"ant/1.png": "ant", "ant/2.png": "ant", "zebra/1.png": "zebra"}


def test_one_sub_folder_alone_is_no_class(image, pictures):
    root = pictures("all/1.png", "all/2.png")
    assert "label" not in loaded(image, root).features


def test_files_beside_sub_folders_make_no_classes(image, pictures):
    root = pictures("1.png", "ant/2.png", "bee/3.png")
    dataset = loaded(image, root)
    assert len(dataset) == 3 and "label" not in dataset.features


def test_train_and_test_folders_are_splits(image, pictures):
    root = pictures("train/ant/1.png", "train/bee/2.png", "test/ant/3.png", "test/bee/4.png", "test/bee/5.png")
    train, test = loaded(image, root), loaded(image, root, split="test")
    assert names_and_labels(train, root / "train") == {"ant/1.png": "ant", "bee/2.png": "bee"}
    assert names_and_labels(test, root / "test") == {"ant/3.png": "ant", "bee/4.png": "bee", "bee/5.png": "bee"}


def test_a_split_that_is_packed_twice_has_the_same_classes(image, pictures):
    root = pictures(
        *(f"{split}/{split}/{kind}/1.png" for split in ("seg_train", "seg_test") for kind in ("sea", "wood"))
    )
    for split in ("train", "test"):
        assert loaded(image, root, split=split).features["label"].names == ["sea", "wood"]


def test_classes_one_of_which_is_a_train_could_be_splits_and_are_refused(image, pictures):
    message = refused(image, pictures("train/1.png", "bus/2.png", "car/3.png"))
    assert "splits or classes: train, beside bus, car" in message and "rename" in message


def test_hidden_files_and_folders_are_ignored(image, pictures):
    root = pictures("1.png", ".2.png", ".thumbnails/3.png", "ant/.cache/4.png")
    assert list(names_and_labels(loaded(image, root), root)) == ["1.png"]


def test_folder_inside_a_hidden_one_is_read(image, pictures):
    root = pictures("1.png", folder=".hidden/pictures")
    assert len(loaded(image, root)) == 1


def test_names_that_hold_test_or_train_are_kept(image, pictures):
    # The loaders of `datasets` take such names for splits and leave the files out.
    root = pictures("test_1.png", "my-test/train.png", "x_test.png", "validation.png")
    assert len(loaded(image, root)) == 4


def test_home_folder_is_expanded(image, pictures, monkeypatch):
    monkeypatch.setenv("HOME", str(pictures("1.png").parent))
    assert len(loaded(image, "~/pictures")) == 1


def test_split_that_the_folder_has_not_is_refused(image, pictures):
    assert "validation" in refused(image, pictures("train/1.png", "test/2.png"), split="validation")
    assert "test" in refused(image, pictures("1.png", folder="flat"), split="test")


def test_folder_of_other_splits_is_not_taken_for_the_training_split(image, pictures):
    # It would train on the test set, its splits for classes, and say nothing.
    assert "train" in refused(image, pictures("validation/1.png", "test/2.png"))


def test_order_does_not_depend_on_the_order_of_writing(image, pictures):
    first, second = pictures("a.png", "b.png", "c.png", folder="x"), pictures("c.png", "b.png", "a.png", folder="y")
    files = [[row["file"].rpartition("/")[2] for row in loaded(image, root)] for root in (first, second)]
    assert files == [["a.png", "b.png", "c.png"]] * 2


# --- metadata.csv ---


def test_metadata_gives_the_columns_and_decides_which_files(image, pictures):
    root = pictures("1.png", "2.png", "3.png")
    (root / "metadata.csv").write_text('file_name,label,note\n2.png,bee,"a, b"\n1.png,ant,\n')
    assert list(loaded(image, root)) == [
        {"file": str(root / "2.png"), "label": "bee", "note": "a, b"},
        {"file": str(root / "1.png"), "label": "ant", "note": ""},
    ]


def test_metadata_in_the_folder_of_a_split_is_read(image, pictures):
    root = pictures("train/1.png", "test/2.png")
    (root / "train" / "metadata.csv").write_text("file_name,label\n1.png,bee\n")
    assert [row["label"] for row in loaded(image, root)] == ["bee"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name,label\n1.png,bee\n", "file_name"),
        ("", "is empty"),
        ("file_name,label\n1.png,bee,more\n", "metadata.csv"),
    ],
    ids=["other column", "empty", "more cells than columns"],
)
def test_metadata_that_cannot_be_used_is_refused(image, pictures, text, named):
    root = pictures("1.png")
    (root / "metadata.csv").write_text(text)
    assert named in refused(image, root)


def test_metadata_as_a_spreadsheet_writes_it_is_read(image, pictures):
    root = pictures("1.png")
    (root / "metadata.csv").write_text(
        "file_name,label\r\n1.png,bée\r\n", encoding="utf-8-sig"
    )  # with a byte order mark
    assert [row["label"] for row in loaded(image, root)] == ["bée"]


# --- files ---


def test_single_picture_is_a_dataset_of_one(image, pictures):
    root = pictures("1.png", "2.png")
    assert list(loaded(image, root / "2.png")) == [{"file": str(root / "2.png")}]


def test_single_picture_is_one_row_although_a_metadata_lies_beside_it(image, pictures):
    root = pictures("1.png", "2.png")
    (root / "metadata.csv").write_text("file_name,label\n1.png,ant\n2.png,bee\n")
    assert [row["file"] for row in loaded(image, root / "2.png")] == [str(root / "2.png")]


def test_parquet_keeps_its_features_and_its_pictures_encoded(image, parquet):
    dataset = loaded(image, parquet(4))
    assert dataset.features["kind"].names == ["even", "odd"] and dataset["kind"][:] == [0, 1, 0, 1]
    assert dataset.features["picture"] == datasets.Image(decode=False)
    assert all(row["picture"]["bytes"].startswith(b"\x89PNG") for row in dataset)


def test_folder_of_parquet_is_all_its_files(image, parquet):
    first = parquet(3, "folder/train-00000-of-00002.parquet")
    parquet(2, "folder/train-00001-of-00002.parquet")
    dataset = loaded(image, first.parent)
    assert len(dataset) == 5 and dataset.features["picture"] == datasets.Image(decode=False)


def test_folder_of_parquet_has_splits_by_name(image, parquet):
    first = parquet(3, "folder/train-00000-of-00001.parquet")
    parquet(2, "folder/test-00000-of-00001.parquet")
    assert (len(loaded(image, first.parent)), len(loaded(image, first.parent, split="test"))) == (3, 2)
    assert "validation" in refused(image, first.parent, split="validation")


@pytest.mark.parametrize(("name", "separator"), [("rows.csv", ","), ("rows.tsv", "\t"), ("ROWS.CSV", ",")])
def test_table_of_text_has_its_columns(image, tmp_path, name, separator):
    file = tmp_path / name
    file.write_text(f"file{separator}label\nx.png{separator}3\ny.png{separator}4\n")
    rows = [(row["file"], row["label"]) for row in loaded(image, file)]
    assert rows == [(str(tmp_path / "x.png"), "3"), (str(tmp_path / "y.png"), "4")]


def test_json_lines_have_their_keys(image, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    assert [row["text"] for row in loaded(image, file)] == ["a", "b"]


def test_split_of_a_file_that_has_none_is_refused(image, parquet):
    assert "test" in refused(image, parquet(2), split="test")


# --- built-in ---


def test_builtin_dataset_by_name(image):
    assert len(loaded(image, "digits")) == 1797


def test_split_that_the_builtin_dataset_has_not_is_refused(image):
    assert "validation" in refused(image, "digits", split="validation")


def test_builtin_dataset_comes_before_a_folder_of_that_name(image, pictures, monkeypatch):
    monkeypatch.chdir(pictures("1.png", folder="digits").parent)
    assert len(loaded(image, "digits")) == 1797
    assert len(loaded(image, "./digits")) == 1


# --- streams ---


def streams(image, pictures, parquet):
    return {
        "digits": ("digits", 1797),
        "folder": (pictures("ant/1.png", "bee/2.png"), 2),
        "picture": (pictures("1.png", folder="one") / "1.png", 1),
        "parquet": (parquet(3), 3),
    }


@pytest.mark.parametrize("kind", ["digits", "folder", "picture", "parquet"])
def test_stream_has_the_rows_and_features_of_the_whole(image, pictures, parquet, kind):
    name, rows = streams(image, pictures, parquet)[kind]
    stream, whole = loaded(image, name, streaming=True), loaded(image, name)
    assert isinstance(stream, datasets.IterableDataset) and isinstance(whole, datasets.Dataset)
    assert stream.features == whole.features
    assert len(list(stream)) == rows == len(whole)
    assert list(stream.take(1)) == [whole[0]]


# --- what is none ---


def test_unknown_kind_of_file_names_the_kinds(image, tmp_path):
    file = tmp_path / "pictures.xyz"
    file.write_text("?")
    message = refused(image, file)
    assert ".parquet" in message and ".png" in message and "pictures.xyz" in message


def test_empty_folder_is_refused(image, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "README").write_text("nothing")
    assert str(folder) in refused(image, folder)


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing-here", "./not/there", "a b c?", "/no/such/folder"])
def test_dataset_that_is_nowhere_is_named_with_the_built_in_ones(image, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(image, name)
    assert repr(name) in message and "digits" in message


@pytest.mark.parametrize("kind", ["parquet", "json", "arrow"])
def test_damaged_file_is_refused_with_its_name(image, tmp_path, kind):
    file = tmp_path / f"damaged.{kind}"
    file.write_bytes(b"\x00\x01 not what it says")
    assert str(file) in refused(image, file)


def test_pictures_are_not_opened_when_a_dataset_is_loaded(image, pictures):
    # Loading lists; a broken picture is the cache's to report, with its row.
    root = pictures("1.png")
    (root / "2.png").write_text("broken")
    assert len(loaded(image, root)) == 2
    with Image.open(root / "1.png") as picture:
        assert picture.size == (16, 16)


# --- text ---


@pytest.mark.parametrize("name", ["lines.txt", "rows.csv", "rows.jsonl", "folder/lines.txt"])
def test_text_that_is_not_utf_8_is_refused_by_its_line(text, tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes("text\nfür\n".encode() + b"f\xfcr\n")
    given = file if file.parent == tmp_path else file.parent
    assert f"line 3 of {file} is not UTF-8" in refused(text, given)


# --- splits with classes in their names, built-in splits, arrangement ---


def test_folders_of_cyclegan_are_splits_with_classes(image, pictures):
    root = pictures("trainA/1.png", "trainA/2.png", "trainB/1.png", "testA/3.png", "testB/4.png")
    train, test = loaded(image, root), loaded(image, root, split="test")
    assert names_and_labels(train, root) == {"trainA/1.png": "A", "trainA/2.png": "A", "trainB/1.png": "B"}
    assert names_and_labels(test, root) == {"testA/3.png": "A", "testB/4.png": "B"}
    assert "it has test, train" in refused(image, root, split="validation")


def test_split_folders_with_a_and_b_in_them_are_the_same_dataset(image, pictures):
    root = pictures("train/A/1.png", "train/B/1.png", "test/A/3.png", "test/B/4.png")
    assert names_and_labels(loaded(image, root, split="test"), root) == {"test/A/3.png": "A", "test/B/4.png": "B"}


def test_folders_that_only_end_in_a_letter_are_classes(image, pictures):
    root = pictures("groupA/1.png", "groupB/2.png", "testable/3.png")
    assert set(names_and_labels(loaded(image, root), root).values()) == {"groupA", "groupB", "testable"}


@pytest.fixture
def built_in(image, monkeypatch):
    """The modality, with a built-in dataset of two splits."""
    splits = datasets.DatasetDict(
        {split: datasets.Dataset.from_dict({"image": [[[0]]] * size}) for split, size in (("train", 3), ("test", 2))}
    )
    monkeypatch.setattr(type(image), "builtin_datasets", {"both": lambda: splits})
    return image


@pytest.mark.parametrize(("split", "rows"), [("train", 3), ("test", 2), ("Testing", 2)])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_built_in_dataset_may_have_splits(built_in, split, rows, streaming):
    assert len(list(loaded(built_in, "both", split, streaming))) == rows


def test_a_split_that_a_built_in_dataset_lacks_is_refused(built_in):
    with pytest.raises(NoSplitError, match="both has no split 'validation': it has test, train"):
        loaded(built_in, "both", "validation")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_modality_arranges_what_was_read(image, pictures, monkeypatch, streaming):
    root, said = pictures("1.png", "2.png"), []

    def arrange(self, dataset, say):
        say("arranged")
        return dataset.rename_column("file", "other")

    monkeypatch.setattr(type(image), "arrange", arrange)
    dataset = load(image, str(root), None, "train", streaming, said.append)
    assert [list(row) for row in dataset] == [["other"]] * 2 and said == ["arranged"]
    assert streaming or dataset._fingerprint == load(image, str(root), None, "train", False, said.append)._fingerprint


def test_a_row_describes_all_files_of_its_name_where_examples_are_several_files(image, pictures, monkeypatch):
    root = pictures("a/1.png", "b/1.png", "a/2.png", "b/2.png")
    (root / "metadata.csv").write_text("file_name,label\n1.png,round\n2.png,square\n")
    assert "write the folder before the name" in refused(image, root)
    monkeypatch.setattr(type(image), "several_files", True)
    rows = {row["file"].removeprefix(f"{root}/"): row["label"] for row in loaded(image, root)}
    assert rows == {"a/1.png": "round", "b/1.png": "round", "a/2.png": "square", "b/2.png": "square"}
