"""Holds pairs of pictures against the files, tables and pictures that they are made of."""

import io
import tempfile
from pathlib import Path

import datasets
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small import table

from multigan.data.load import load
from multigan.errors import UserError
from multigan.modalities.image import Image as ImageModality
from multigan.modalities.image_to_image import pairs
from multigan.pictures.decoding import open_picture

PICTURE = datasets.Image(decode=False)


class Arranged(ImageModality):
    """Reads as image-to-image does, with the plain functions."""

    several_files = True
    arranging = staticmethod(pairs.paired)

    def arrange(self, dataset, say):
        return self.arranging(dataset, say=say)


class Unpaired(Arranged):
    arranging = staticmethod(pairs.unpaired)


def picture(grey=0, width=4, height=4):
    return Image.new("L", (width, height), grey)


def png(*arguments):
    file = io.BytesIO()
    picture(*arguments).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def folder(root, *names):
    """Pictures under a folder, the n-th all of grey n; returns the folder."""
    for grey, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(grey).save(root / name)
    return root


def read(root, kind=Arranged, split="train", streaming=False, say=lambda note: None):
    return load(kind(), str(root), None, split, streaming, say)


def grey(cell):
    with open_picture(cell) as opened:
        return opened.getpixel((0, 0))


def greys(dataset):
    """The greys of input and target of each pair."""
    return [tuple(one.getpixel((0, 0)) for one in pairs.opened(row)) for row in dataset]


def refused(call, *arguments, **options):
    """The message of the error, which must be one line."""
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- folders ---


@pytest.mark.parametrize("streaming", [False, True])
def test_files_of_equal_names_are_pairs_and_the_first_folder_is_the_input(tmp_path, streaming):
    said = []
    root = folder(tmp_path, "google/b.png", "google/a.png", "twitter/a.bmp", "twitter/b.png")
    dataset = read(root, streaming=streaming, say=said.append)
    assert greys(dataset) == [(1, 2), (0, 3)] and list(next(iter(dataset))) == ["input", "target"]
    assert said == ["pairs of files of the same name: input google, target twitter"]


def test_sub_folders_are_part_of_the_name(tmp_path):
    root = folder(tmp_path, "A/x/1.png", "A/y/1.png", "B/y/1.png", "B/x/1.png")
    assert greys(read(root)) == [(0, 3), (1, 2)]


@pytest.mark.parametrize(
    "names",
    [
        ("trainA/1.png", "trainB/1.png", "testA/1.png", "testB/1.png"),
        ("train/A/1.png", "train/B/1.png", "test/A/1.png", "test/B/1.png"),
        ("A/train/1.png", "B/train/1.png", "A/test/1.png", "B/test/1.png"),
    ],
)
def test_splits_have_pairs_of_their_own(tmp_path, names):
    root = folder(tmp_path, *names)
    assert greys(read(root)) == [(0, 1)] and greys(read(root, split="test")) == [(2, 3)]


def test_the_other_direction(tmp_path):
    root = folder(tmp_path, "A/1.png", "B/1.png")
    dataset = load(ImageModality(), str(root), None, "train", False)
    assert greys(pairs.paired(dataset, direction="BA")) == [(1, 0)]


@pytest.mark.parametrize(
    ("names", "expected"), [(("A", "B"), (0, 1)), (("labels", "photos"), (0, 1)), (("images", "maps"), (1, 0))]
)
def test_label_maps_are_the_input_by_their_name_or_as_the_first(tmp_path, names, expected):
    root = folder(tmp_path, *(f"{name}/1.png" for name in names))
    dataset = load(ImageModality(), str(root), None, "train", False)
    assert greys(pairs.paired(dataset, maps=True)) == [expected]


def test_what_a_metadata_file_says_of_a_name_stays_and_folders_are_no_classes(tmp_path):
    root = folder(tmp_path, "A/1.png", "B/1.png", "A/2.png", "B/2.png")
    assert "label" not in read(root).column_names
    (root / "metadata.csv").write_text("file_name,label\n2.png,round\n1.png,square\n")
    dataset = read(root)
    assert dataset["label"][:] == ["square", "round"] and greys(dataset) == [(0, 1), (2, 3)]


def test_files_without_a_partner_are_counted_and_the_first_three_named(tmp_path):
    root = folder(tmp_path, "A/1.png", "A/2.png", "A/3.png", "B/1.png", "B/4.png", "B/5.png")
    assert refused(read, root) == (
        "4 files have no partner of the same name in the other of the folders A and B: A/2.png, A/3.png, B/4.png, ..."
    )
    (root / "A/2.png").rename(root / "A/4.png")
    (root / "A/3.png").unlink()
    assert refused(read, root).startswith("1 file has no partner") and "B/5.png" in refused(read, root)


def test_two_files_that_differ_in_their_ending_are_no_one_partner(tmp_path):
    root = folder(tmp_path, "A/1.png", "A/1.bmp", "B/1.png")
    assert "A/1.bmp and A/1.png have the same name apart from the ending" in refused(read, root)


def test_three_folders_are_no_pairs(tmp_path):
    root = folder(tmp_path, "A/1.png", "B/1.png", "C/1.png")
    assert "there are 3: A, B, C" in refused(read, root)
    assert "there are 3: A, B, C" in refused(read, root, Unpaired)


NAMES = st.lists(
    st.tuples(st.sampled_from(["", "x/", "y/", "x/z/"]), st.sampled_from(["1", "2", "a.b", "é", "A"])).map("".join),
    min_size=1,
    unique=True,
)


@settings(deadline=None, max_examples=30)
@given(st.data(), NAMES, NAMES)
def test_pairs_are_the_names_that_both_folders_have_or_there_are_none(data, first, second):
    same = data.draw(st.booleans())
    second = data.draw(st.permutations(first)) if same else second
    with tempfile.TemporaryDirectory() as place:
        endings = st.sampled_from([".png", ".PNG", ".bmp"])
        files = [
            f"{side}/{name}{data.draw(endings)}" for side, names in (("l", first), ("r", second)) for name in names
        ]
        root = Path(place)
        cells = [str(root / file) for file in data.draw(st.permutations(files))]
        dataset = table(file=cells)
        if set(first) != set(second):
            count = len(set(first) ^ set(second))
            assert refused(pairs.paired, dataset).startswith(f"{count} file")
            return
        made = pairs.paired(dataset)
        assert len(made) == len(first)
        for row in made:
            one, other = Path(row["input"]["path"]), Path(row["target"]["path"])
            assert one.relative_to(root / "l").with_suffix("") == other.relative_to(root / "r").with_suffix("")
            assert str(one) in cells and str(other) in cells


def test_the_fingerprint_depends_on_the_files_and_the_direction_alone(tmp_path):
    root = folder(tmp_path, "A/1.png", "B/1.png")
    dataset = load(ImageModality(), str(root), None, "train", False)
    first = pairs.paired(dataset)._fingerprint
    assert pairs.paired(load(ImageModality(), str(root), None, "train", False))._fingerprint == first
    others = [pairs.paired(dataset, direction="BA"), pairs.unpaired(dataset)]
    picture(9, 5, 5).save(root / "A/1.png")
    others.append(pairs.paired(load(ImageModality(), str(root), None, "train", False)))
    assert len({first, *(other._fingerprint for other in others)}) == 4


# --- tables ---


def pictures(**greys):
    """A table with a picture of that grey in each column."""
    return table(**{name: ([png(value)], PICTURE) for name, value in greys.items()})


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"target": 2, "input": 1}, (1, 2)),
        ({"B": 2, "A": 1}, (1, 2)),
        ({"edited_image": 2, "original_image": 1}, (1, 2)),
        ({"image": 2, "conditioning_image": 1}, (1, 2)),
        ({"day": 1, "night": 2}, (1, 2)),
        ({"input": 3, "day": 1, "target": 2}, (3, 2)),
    ],
)
def test_columns_of_pairs_are_found(columns, expected, streaming):
    dataset = pictures(**columns)
    dataset = dataset.to_iterable_dataset() if streaming else dataset
    assert greys(pairs.paired(dataset)) == [expected]
    assert greys(pairs.paired(dataset, direction="BA")) == [expected[::-1]]


@pytest.mark.parametrize(
    "columns", [{"image": 1, "label_map": 2}, {"annotation": 2, "scene": 1}, {"input": 2, "target": 1}]
)
def test_columns_of_label_maps_are_the_input(columns):
    assert greys(pairs.paired(pictures(**columns), maps=True)) == [(2, 1)]


def test_columns_that_are_named_are_taken():
    dataset = pictures(input=1, second=2, third=3)
    assert greys(pairs.paired(dataset, "Third", "input")) == [(3, 1)]
    assert greys(pairs.paired(dataset.select_columns(["input", "second"]), target_column="input")) == [(2, 1)]
    assert "input_column is 'other'" in refused(pairs.paired, dataset, "other")
    assert "could be input or third" in refused(pairs.paired, dataset, "second")
    assert "are both 'third'" in refused(pairs.paired, dataset, "third", "third")


def test_columns_that_cannot_be_told_are_refused():
    assert "3 columns of pictures (x, y, z)" in refused(pairs.paired, pictures(x=1, y=2, z=3))
    assert "no column of pictures among: words" in refused(pairs.paired, table(words=["a"]))


def test_names_of_files_in_a_table_are_pictures(tmp_path):
    folder(tmp_path, "0.png", "1.png")
    (tmp_path / "pairs.csv").write_text("day,night,words\n1.png,0.png,hello\n")
    assert greys(read(tmp_path / "pairs.csv")) == [(1, 0)]


@pytest.mark.parametrize("call", [pairs.paired, pairs.unpaired])
def test_a_dataset_without_rows_has_nothing_to_read(call):
    empty = pictures(a=1, b=2).select([])
    assert "nothing to read" in refused(call, empty)


# --- both in one picture ---


def side_by_side(width=8):
    values = numpy.zeros((4, width), numpy.uint8)
    values[:, : width // 2], values[:, width // 2 :] = 1, 2
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return table(image=([{"bytes": file.getvalue(), "path": None}], PICTURE))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (1, 2)),
        ({"direction": "BA"}, (2, 1)),
        ({"maps": True}, (1, 2)),
        ({"maps": True, "direction": "BA"}, (2, 1)),
    ],
)
def test_halves_of_a_picture_are_a_pair(options, expected):
    dataset = pairs.paired(side_by_side(), **options)
    assert greys(dataset) == [expected]
    assert [one.size for one in pairs.opened(dataset[0])] == [(4, 4)] * 2


def test_a_folder_of_pictures_side_by_side_has_splits(tmp_path):
    root = folder(tmp_path, "train/1.png", "train/2.png", "val/1.png")
    assert len(read(root)) == 2 and pairs.opened(read(root, split="val")[0])[0].size == (2, 4)


def test_an_odd_width_has_no_halves():
    with pytest.raises(ValueError, match="9 pixels wide: expected an even width"):
        pairs.opened(pairs.paired(side_by_side(9))[0])


# --- rows ---


def test_pictures_of_different_sizes_are_no_pair():
    dataset = pairs.paired(table(a=([png(0, 4, 6)], PICTURE), b=([png(0, 8, 6)], PICTURE)))
    with pytest.raises(ValueError, match=r"differ in size: 6 x 4 and 6 x 8 pixels \(height x width\)"):
        pairs.opened(dataset[0])


def test_sizes_are_compared_upright():
    file, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6  # turned by a quarter
    picture(0, 8, 6).save(file, "JPEG", exif=exif)
    turned = {"bytes": file.getvalue(), "path": None}
    first, second = pairs.opened({"input": turned, "target": png(0, 6, 8)})
    assert first.size == second.size == (6, 8)


def test_an_empty_cell_is_named():
    with pytest.raises(ValueError, match="target: the cell is empty"):
        pairs.opened({"input": png(), "target": None})


# --- without pairs ---


@pytest.mark.parametrize("streaming", [False, True])
def test_two_folders_are_two_domains(tmp_path, streaming):
    root = folder(tmp_path, "trainA/1.png", "trainA/x/2.png", "trainB/7.png", "testA/1.png", "testB/1.png")
    found = [(grey(row["image"]), row["domain"]) for row in read(root, Unpaired, streaming=streaming)]
    assert found == [(0, 0), (1, 0), (2, 1)]
    dataset = load(ImageModality(), str(root), None, "test", False)
    assert [(grey(row["image"]), row["domain"]) for row in pairs.unpaired(dataset, direction="BA")] == [(4, 0), (3, 1)]


@pytest.mark.parametrize("streaming", [False, True])
def test_two_columns_are_two_domains(streaming):
    dataset = pictures(imageB=2, imageA=1)
    dataset = dataset.to_iterable_dataset() if streaming else dataset
    assert [(grey(row["image"]), row["domain"]) for row in pairs.unpaired(dataset)] == [(1, 0), (2, 1)]


def test_two_classes_are_two_domains():
    label = datasets.ClassLabel(names=["horse", "zebra"])
    dataset = table(picture=([png(1), png(2), png(3)], PICTURE), label=([1, 0, 1], label))
    said = []
    found = [(grey(row["image"]), row["domain"]) for row in pairs.unpaired(dataset, say=said.append)]
    assert found == [(1, 1), (2, 0), (3, 1)] and said == ["two domains, by column 'label': A is horse, B is zebra"]
    assert pairs.unpaired(dataset)._fingerprint == pairs.unpaired(dataset)._fingerprint
    assert pairs.unpaired(dataset, direction="BA")["domain"][:] == [0, 1, 0]


def test_one_domain_is_refused(tmp_path):
    assert "all are in one" in refused(read, folder(tmp_path, "1.png", "2.png"), Unpaired)
    assert "there are 1" in refused(pairs.unpaired, table(image=([png()], PICTURE), label=["a"]))
    assert "two columns, or a column label" in refused(pairs.unpaired, pictures(image=1))


def test_real_pairs_of_emoji_are_read():
    root = Path(__file__).parents[3] / "shared" / "data" / "pairs_emoji"
    if not root.is_dir():
        pytest.skip("the shared data is not here")
    dataset = read(root)
    assert len(dataset) == 1911 and set(dataset.column_names) == {"input", "target", "label"}
    first, second = (Path(dataset[7][name]["path"]) for name in ("input", "target"))
    assert first.name == second.name and (first.parent.name, second.parent.name) == ("google", "twitter")


@pytest.mark.parametrize("cells", [[1, 2], ["x/1.png", None], ["x/1.png", "/y/2.png"]])
def test_a_table_may_have_a_column_named_file(cells):
    picture = {"bytes": b"", "path": None}
    pictures = datasets.Features(a=datasets.Image(decode=False), b=datasets.Image(decode=False))
    table = datasets.Dataset.from_dict({"a": [picture] * 2, "b": [picture] * 2}, features=pictures)
    found = pairs.paired(table.add_column("file", cells))
    assert {"input", "target"} <= {*found.column_names}
