"""Holds what is written of sentences: a line each, their classes, and a preview of the first."""

import json

import datasets
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multigan.modalities.text import output

BREAKS = ["two\nlines", "\n", "end\n", "end\n\n", "a\r\nb", "\rstart", "a\x0bb", "a\x0c", "a\x85", "a\u2028b", ""]


def numbered(texts):
    """Batches of a few samples that are the numbers of texts, and how they are presented."""
    batches = torch.arange(len(texts)).split(3)
    return iter(batches), lambda batch: [texts[number] for number in batch.tolist()]


def save(texts, folder, labels=()):
    batches, to_outputs = numbered(texts)
    (file,) = output.save(batches, folder, to_outputs, labels)
    return file


def test_samples_are_a_sentence_a_line(tmp_path):
    texts = [f"sentence {number}, été 犬" for number in range(8)]
    file = save(texts, tmp_path)
    assert file.name == "samples.txt"
    assert file.read_bytes().decode() == "".join(text + "\n" for text in texts)


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.text(max_size=8) | st.sampled_from(BREAKS), min_size=1, max_size=7))
@example(texts=BREAKS)
def test_sentence_is_one_line_whatever_is_in_it(tmp_path_factory, texts):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    file = save(texts, tmp_path_factory.mktemp("lines"))
    content = file.read_bytes().decode()
    assert content.endswith("\n")
    # However a reader tells lines apart.
    assert len(content.splitlines()) == len(content[:-1].split("\n")) == len(texts)


def test_sentence_without_line_breaks_is_written_as_it_is(tmp_path):
    texts = ["  two  spaces ", "back\\slash", '"quoted"', "tab\there"]
    assert save(texts, tmp_path).read_text().split("\n")[:-1] == texts


def test_samples_with_classes_load_as_a_dataset(tmp_path):
    texts, labels = [*BREAKS, 'a "quote"', "{}", "été"], ["good", "bad"] * 7
    file = save(texts, tmp_path, labels)
    assert file.name == "samples.jsonl"
    rows = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["text"][:] == texts and rows["label"][:] == labels
    assert [json.loads(line)["label"] for line in file.read_bytes().decode().split("\n")[:-1]] == labels


@pytest.mark.parametrize("count", [1, 19, 20, 21, 50])
def test_preview_has_the_first_twenty_sentences(tmp_path, count):
    texts = [f"sentence {number}" for number in range(count)]
    (file,) = output.preview(texts, tmp_path / "preview", ())
    assert file == tmp_path / "preview.txt"
    assert file.read_text().splitlines() == texts[:20]


def test_preview_says_the_classes_in_a_column(tmp_path):
    (file,) = output.preview(["a\nb", "c", "d"] * 10, tmp_path / "step.000005", ["good", "bad", "so so"] * 10)
    assert file.name == "step.000005.txt"
    lines = file.read_text().splitlines()
    assert len(lines) == 20
    assert lines[:3] == ["good   a\\nb", "bad    c", "so so  d"]


def test_options_of_one_call_do_not_reach_another():
    from multigan import load

    generator = load("starter/text")
    first, second = generator.batches(3, prefix="the old"), generator.batches(3)
    kept = [generator.modality.to_outputs(next(batches)) for batches in (first, second)]
    assert all(text.startswith("the old ") for text in kept[0])
    assert not all(text.startswith("the old ") for text in kept[1])
