"""Holds what tables hold: cells as they stand there, no guess, and errors that name the file and the row."""

import io
import os
import tarfile

import datasets
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multigan.columns import path_of
from multigan.data.load import load
from multigan.data.tables import read
from multigan.data.text_tables import read_csv, read_text
from multigan.errors import UserError


@pytest.fixture
def table(tmp_path):
    """Writes a file; returns it."""

    def write(content, name="a.csv"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def refused(file):
    with pytest.raises(UserError) as caught:
        read([file], (), False)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# --- csv ---


def test_cells_stay_as_they_stand_there(table):
    file = table('text,label\nNone,007\nNA,\n"null, ""quoted""\nand broken",1e3\nhello; you,TRUE\n')
    assert read_csv(file).to_pydict() == {
        "text": ["None", "NA", 'null, "quoted"\nand broken', "hello; you"],
        "label": ["007", "", "1e3", "TRUE"],
    }


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), st.text("ab,\"' \n")), min_size=1
    )
)
def test_what_python_writes_is_read_as_it_was(tmp_path_factory, rows):
    import csv

    file = tmp_path_factory.mktemp("csv") / "a.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        writer.writerows([("one", "two"), *rows])
    assert list(zip(*read_csv(file).to_pydict().values(), strict=True)) == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\na,b\nc,d,e\n", "row 2 of {} has 3 cells, where the first line has 2: 'c,d,e'"),
        ("text,label\na,b\nc\n", "row 2 of {} has 1 cells, where the first line has 2: 'c'"),
        ("text;label\na;b\n", "{} seems to be separated by semicolons: expected commas"),
        ("text\tlabel\na\tb\n", "{} seems to be separated by tabs: expected commas"),
        ("text\n", "{} has no rows"),
        ("text\nhi\n".encode("utf-16")[:-1], "{} begins as UTF-16 and is not, at its byte"),
        (b"text\nok\nf\xfcr\n", "line 3 of {} is not UTF-8, at its byte 1"),
        ("a,a\n1,2\n", "{} has several columns a"),
    ],
    ids=["more", "fewer", "semicolons", "tabs", "headings alone", "UTF-16 cut off", "Latin-1", "twice"],
)
def test_a_table_that_does_not_fit_is_one_line_with_its_place(table, content, said):
    file = table(content)
    assert said.format(file) in refused(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_letter(table, encoding):
    assert read_csv(table(" Text , label\nthé,x\n".encode(encoding))).to_pydict() == {"Text": ["thé"], "label": ["x"]}
    assert read_text(table("thé cat\nsat\n".encode(encoding), "a.txt")).to_pydict() == {"text": ["thé cat", "sat"]}


def test_a_long_cell_is_read(table):
    (row,) = read([table("text\n" + "x" * 200_000 + "\n")], (), False)
    assert len(row["text"]) == 200_000


def test_tabs_separate_a_tsv(table):
    assert read_csv(table("a\tb\n1,5\t2\n", "a.TSV")).to_pydict() == {"a": ["1,5"], "b": ["2"]}


# --- lines ---


def test_lines_end_where_lines_end(table):
    file = table("one\r\ntwo\u2028too\n\nfour", "a.txt")
    assert read_text(file)["text"].to_pylist() == ["one", "two\u2028too", "", "four"]
    stream = read([file], (), True)
    assert [row["text"] for row in stream] == ["one", "two\u2028too", "", "four"]


# --- several ---


def test_several_kinds_with_the_same_columns_are_one_dataset(table, tmp_path):
    table("one\n" * 3, "a.TXT")
    table("text\ntwo\ntwo\n", "sub/b.csv")
    table('{"text": "three"}\n', "c.jsonl")
    datasets.Dataset.from_dict({"text": ["four"]}).to_parquet(tmp_path / "d.parquet")
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    for streaming in (False, True):
        words = [row["text"] for row in read(files, (), streaming)]
        assert sorted(words) == ["four", "one", "one", "one", "three", "two", "two"]


def test_columns_that_differ_are_refused_with_the_counts(table):
    files = [table("text\na\n", "a.csv"), table("text\nb\n", "b.csv"), table("text,label\nc,d\n", "c.csv")]
    with pytest.raises(UserError, match=r"2 such as .*a\.csv with text; 1 such as .*c\.csv with text, label"):
        read(files, (), False)


def test_names_with_signs_of_patterns_are_names(tmp_path):
    for name, word in (("[a]*.parquet", "this"), ("a.parquet", "other")):
        datasets.Dataset.from_dict({"text": [word]}).to_parquet(tmp_path / name)
    assert [row["text"] for row in read([tmp_path / "[a]*.parquet"], (), False)] == ["this"]


# --- archives ---


@pytest.mark.parametrize("streaming", [False, True])
def test_a_webdataset_is_its_samples(image, tmp_path, streaming):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number in range(6):
            cell = io.BytesIO()
            Image.new("L", (16, 16), number).save(cell, "PNG")
            for name, content in ((f"{number}.png", cell.getvalue()), (f"{number}.cls", b"%d" % (number % 2))):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    rows = list(load(image, str(tmp_path), None, "train", streaming))
    assert [row["cls"] for row in rows] == [0, 1] * 3
    assert all(row["png"]["bytes"].startswith(b"\x89PNG") for row in rows)


# --- rows that name files ---


def picture(file, grey):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), grey).save(file)


@pytest.mark.parametrize("streaming", [False, True])
def test_files_are_found_beside_the_table_that_names_them(image, tmp_path, monkeypatch, streaming):
    picture(tmp_path / "data" / "p" / "1.png", 0)
    (tmp_path / "data" / "l.csv").write_text("image,label\np/1.png,a\n")
    monkeypatch.chdir(tmp_path)
    (row,) = load(image, "data/l.csv", None, "train", streaming)
    assert path_of(row["image"]).resolve() == tmp_path / "data" / "p" / "1.png" and row["label"] == "a"


def test_a_table_is_another_dataset_once_the_files_that_it_names_have_changed(image, tmp_path):
    picture(tmp_path / "1.png", 0)
    datasets.Dataset.from_dict({"image": ["1.png"]}).to_parquet(tmp_path / "l.parquet")
    first, again = (load(image, str(tmp_path / "l.parquet"), None, "train", False)._fingerprint for _ in range(2))
    picture(tmp_path / "1.png", 99)
    os.utime(tmp_path / "1.png", ns=(1, 1))
    assert first == again != load(image, str(tmp_path / "l.parquet"), None, "train", False)._fingerprint


def test_pictures_without_their_content_are_found_by_their_path(image, tmp_path):
    picture(tmp_path / "p" / "1.png", 7)
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    features = datasets.Features(image=datasets.Image())
    data = datasets.Dataset(
        datasets.table.InMemoryTable(
            pyarrow.table({"image": pyarrow.array([{"bytes": None, "path": "p/1.png"}], kind)})
        ),
        info=datasets.DatasetInfo(features=features),
    )
    pyarrow.parquet.write_table(
        data.data.table.replace_schema_metadata(features.arrow_schema.metadata), tmp_path / "a.parquet"
    )
    (row,) = load(image, str(tmp_path / "a.parquet"), None, "train", False)
    assert path_of(row["image"]) == tmp_path / "p" / "1.png"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_file_without_rows_is_one_line_with_its_name(tmp_path, streaming):
    empty = pyarrow.table({"text": pyarrow.array([], "string")})
    pyarrow.parquet.write_table(empty, tmp_path / "a.parquet")
    with tarfile.open(tmp_path / "b.tar", "w"):
        pass
    for name, said in (("a.parquet", "has no rows"), ("b.tar", "has no files in it")):
        with pytest.raises(UserError) as caught:
            read([tmp_path / name], (), streaming)
        assert str(caught.value) == f"{tmp_path / name} {said}"
    datasets.Dataset.from_dict({"text": ["hi"]}).to_parquet(tmp_path / "c.parquet")
    assert list(read([tmp_path / "a.parquet", tmp_path / "c.parquet"], (), streaming)) == [{"text": "hi"}]


def test_a_file_here_is_not_taken_for_that_of_an_archive(image, tmp_path, monkeypatch):
    Image.new("L", (16, 16), 7).save(tmp_path / "0.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "0.png", "0.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"the current folder has a file '0\.png', and so has .*a\.tar: start multigan in"
    ):
        load(image, "a.tar", None, "train", False)


def test_a_broken_archive_is_one_line(image, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"cannot read .*a\.tar"):
        load(image, str(tmp_path / "a.tar"), None, "train", False)
