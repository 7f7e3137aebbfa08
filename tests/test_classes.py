"""Holds classes: their names, the numbers that rows get, and rows of several classes."""

import datasets
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import table

from multigan.classes import (
    UNLABELLED,
    by_number,
    class_name,
    class_names,
    class_note,
    label_note,
    labelled,
    with_class_names,
    with_classes,
)
from multigan.columns import find_label_columns
from multigan.data import tables
from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="+,\0"), min_size=1, max_size=5).filter(
    lambda name: name == class_name(name) and name.lower() not in ("0", "1", "-1", "true", "false", "yes", "no")
)


# --- one class a row ---


def test_note_says_how_many_classes_there_are_and_whether_they_are_used():
    config = ClassConditionalConfig(conditional=True, classes=("a", "b", "c"))
    assert class_note(config) == ["3 classes"]
    assert class_note(ClassConditionalConfig(conditional=True, classes=("a",))) == ["1 class"]
    (unused,) = class_note(ClassConditionalConfig(classes=("a", "b")))
    assert unused.startswith("2 classes, not used: --model.conditional true")
    assert class_note(ClassConditionalConfig()) == []


def test_column_of_classes_is_found_by_type_then_by_name_then_not_at_all():
    kinds = ([0], datasets.ClassLabel(names=["a"]))
    assert find_label_columns(table(label=[1], kind=kinds), None) == ["kind"]
    assert find_label_columns(table(size=[1], target=[1]), None) == ["target"]
    assert find_label_columns(table(size=[1]), None) == []
    assert find_label_columns(table(label=[1], size=[1]), "size") == ["size"]


def test_class_names_come_from_the_declaration_in_its_order():
    names = class_names(table(label=([0, 1], datasets.ClassLabel(names=["zebra", "ant"]))), "label")
    assert names == ("zebra", "ant")


def label(value, classes=("a", "b"), conditional=True):
    """What `labelled` makes of a cell."""
    config = ClassConditionalConfig(conditional, "label", classes)
    encoded = labelled({"real": 1}, {"label": value}, config)
    return None if encoded is None else encoded["label"]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(class_name), min_size=1, max_size=10)
)
def test_class_names_of_words_are_sorted_and_each_word_is_its_own_class(words):
    names = class_names(table(label=words), "label")
    assert set(names) == set(map(class_name, words)) and names == tuple(sorted(names, key=by_number))
    assert [names[label(word, names)] for word in words] == list(map(class_name, words))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=10))
def test_class_names_of_numbers_are_the_numbers_that_occur(numbers):
    names = class_names(table(label=numbers), "label")
    assert names == tuple(str(number) for number in sorted(set(numbers)))
    assert [names[label(number, names)] for number in numbers] == list(map(str, numbers))


def test_names_keep_their_zeros_and_numbers_are_in_order():
    assert class_names(table(label=["10", "007", "7", "2"]), "label") == ("2", "007", "7", "10")


@pytest.mark.parametrize(
    "cells",
    [
        ["cat", "cat ", "\tcat"],
        ["caf\u00e9", "cafe\u0301"],
        ["true", "True", "TRUE"],
        [1.0, 1.0],
        ([0, 1], datasets.ClassLabel(names=["cat", " cat"])),
    ],
    ids=str,
)
def test_names_that_only_look_different_are_one_class(cells):
    dataset = table(label=cells)
    (name,) = class_names(dataset, "label")
    assert [label(with_class_names(dict(row), dataset.features)["label"], (name,)) for row in dataset] == [0] * len(
        dataset
    )
    if isinstance(cells, list):
        dataset = table(label=[[cell] for cell in cells])
        config = fitted(dataset)
        assert config.classes == (name,) and encoded(dataset, config) == [[name]] * len(cells)


def test_true_is_one_class_in_every_kind_of_file(tmp_path):
    for name, content in (
        ("a.json", '[{"label": true}, {"label": false}]'),
        ("b.csv", "label\ntrue\nFALSE\n"),
        ("c.jsonl", '{"label": true}\n{"label": "false"}\n'),
    ):
        (tmp_path / name).write_text(content)
        assert class_names(tables.read([tmp_path / name], (), False), "label") == ("False", "True")


def test_nan_is_a_missing_label(tmp_path):
    (tmp_path / "a.json").write_text('[{"label": "cat"}, {"label": NaN}, {"label": "dog"}]')
    assert class_names(tables.read([tmp_path / "a.json"], (), False), "label") == ("cat", "dog")
    assert class_names(table(label=[0.0, float("nan"), 2.0]), "label") == ("0", "2")
    assert label(float("nan"), conditional=False) == UNLABELLED


def test_a_model_of_before_knows_its_names(tmp_path):
    assert label(True, ("false", "true")) == 1 and label("cat", ("cat ", "dog")) == 0


def test_a_class_named_twice_is_refused():
    with pytest.raises(UserError, match="classes names 'dog' twice"):
        fitted(table(label=["cat", "dog"]), classes=("dog", "cat", "dog "))


def test_the_column_of_classes_is_said_where_there_was_a_choice():
    def said(dataset, **settings):
        before = ClassConditionalConfig(**settings)
        return label_note(before, with_classes(before, dataset), dataset)

    assert said(table(label=["a"], size=[1])) == []
    both = table(label=["a"], Label=["b"], kind=([0], datasets.ClassLabel(names=["c"])))
    assert said(both) == ["classes are from column 'kind', not 'label', 'Label' (--model.label_column chooses another)"]
    assert said(both, label_column="label") == []


def test_a_declared_class_that_does_not_occur_is_none():
    declared = datasets.ClassLabel(names=["zebra", "ant", "bee"])
    assert class_names(table(label=([0, 2, 2], declared)), "label") == ("zebra", "bee")


@pytest.mark.parametrize("values", [[-1, 0, 1], [0.5, 1.0]], ids=["negative", "floats"])
def test_what_is_no_class_is_refused_with_the_value(values):
    with pytest.raises(UserError, match=r"column 'label' holds"):
        class_names(table(label=values), "label")


def test_stream_without_declared_classes_is_refused():
    with pytest.raises(UserError, match=r"model\.classes"):
        class_names(table(label=[1]).to_iterable_dataset(), "label")


@pytest.mark.parametrize("value", ["c", 2, 1.5])
def test_row_of_another_class_is_left_out_where_classes_are_needed(value):
    assert label(value) is None and label(value, conditional=False) == UNLABELLED


@pytest.mark.parametrize("value", [None, ""])
def test_empty_label_is_an_error_where_classes_are_needed(value):
    with pytest.raises(ValueError, match="its class, is empty"):
        label(value)
    assert label(value, conditional=False) == UNLABELLED


# --- several classes a row ---


def fitted(dataset, **settings):
    return with_classes(ClassConditionalConfig(conditional=True, **settings), dataset)


def encoded(dataset, config):
    """The labels of all rows, as lists of names; None for a row that is left out."""
    labels = []
    for row in dataset:
        found = labelled({}, with_class_names(dict(row), dataset.features), config)
        names = None
        if found is not None:
            assert found["label"].dtype == numpy.int8 and set(found["label"].tolist()) <= {0, 1}
            names = [name for name, has in zip(config.classes, found["label"], strict=True) if has]
        labels.append(names)
    return labels


def test_lists_of_names_are_several_classes_and_their_combinations():
    dataset = table(label=[["red", "round"], ["blue"], [], ["round", "red"], ["blue", "blue"], ["red"]])
    config = fitted(dataset)
    assert config.classes == ("blue", "red", "round") and config.label_column == "label"
    assert config.combinations == ("blue", "red+round", "red")  # each of the first two twice
    assert encoded(dataset, config) == [["red", "round"], ["blue"], [], ["red", "round"], ["blue"], ["red"]]


def test_lists_of_declared_classes_keep_their_order():
    kind = datasets.List(datasets.ClassLabel(names=["zebra", "ant", "bee"]))
    dataset = table(tags=([[0, 2], [2]], kind))
    config = fitted(dataset)
    assert config.label_column == "tags" and config.classes == ("zebra", "bee")
    assert encoded(dataset, config) == [["zebra", "bee"], ["bee"]]


def test_several_columns_are_classes_each():
    dataset = table(digit=[7, 0, 7], speaker=["ann", "bob", ""], other=[1, 2, 3])
    config = fitted(dataset, label_column="digit,Speaker")
    assert config.label_column == "digit,speaker" and config.classes == ("0", "7", "ann", "bob")
    assert config.combinations == ("0+bob", "7", "7+ann")
    assert encoded(dataset, config) == [["7", "ann"], ["0", "bob"], ["7"]]


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (1, -1), (True, False), ("1", "0"), ("True", "no")])
def test_of_several_columns_one_that_says_yes_or_no_is_a_class(yes, no):
    dataset = table(smiling=[yes, no, yes], young=[no, no, yes], hair=["red", "red", "grey"])
    config = fitted(dataset, label_column="smiling,young,hair")
    assert config.classes == ("smiling", "young", "grey", "red")
    assert encoded(dataset, config) == [["smiling", "red"], ["red"], ["smiling", "young", "grey"]]


def test_columns_of_the_same_names_are_refused():
    with pytest.raises(UserError, match="columns 'hat' and 'shirt' both have 'red'"):
        fitted(table(hat=["red", "no hat"], shirt=["blue", "red"]), label_column="hat,shirt")


def test_name_with_a_plus_is_refused_where_it_joins_names():
    with pytest.raises(UserError, match=r"class 'C\+\+' has a \+"):
        fitted(table(label=[["C++"], ["C", "Rust"]]))
    assert fitted(table(label=["C++", "C"])).classes == ("C", "C++")


def test_column_that_is_not_there_is_named():
    with pytest.raises(UserError, match="label_column is 'size', and the dataset has only: label, colour"):
        fitted(table(label=["a"], colour=["b"]), label_column="label,size")


def test_chosen_classes_leave_out_rows_of_others_alone():
    dataset = table(label=[["a", "b"], ["c"], ["c", "a"], []])
    config = fitted(dataset, classes=("b", "a"))
    assert encoded(dataset, config) == [["b", "a"], None, ["a"], []]
    assert config.combinations == ("b+a", "a")


def test_row_without_a_list_is_unlabelled():
    dataset = table(label=[["a"], None, ["b"]])
    config = fitted(dataset)
    with pytest.raises(ValueError, match="its class, is empty"):
        encoded(dataset, config)
    config = with_classes(ClassConditionalConfig(), dataset)
    assert labelled({}, {"label": None}, config)["label"].tolist() == [UNLABELLED, UNLABELLED]


def test_all_lists_empty_are_no_classes():
    with pytest.raises(UserError, match="all cells of column 'label' are empty"):
        fitted(table(label=([[], []], datasets.List(datasets.Value("string")))))


def test_stream_takes_the_classes_that_it_declares_or_that_are_named():
    kind = datasets.List(datasets.ClassLabel(names=["a", "b"]))
    config = fitted(table(label=([[0], [0, 1]], kind)).to_iterable_dataset())
    assert config.classes == config.combinations == ("a", "b")
    stream = table(label=[["a"], ["a", "b"]]).to_iterable_dataset()
    with pytest.raises(UserError, match=r"--model\.classes"):
        fitted(stream)
    assert fitted(stream, classes=("b", "a")).combinations == ("b", "a")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sets(NAMES, max_size=4), min_size=1, max_size=8).filter(any))
def test_every_row_has_its_own_names(rows):
    """As lists, and as one column that says yes or no for each name."""
    names = sorted(set().union(*rows))
    dataset = table(label=[sorted(row) for row in rows])
    config = fitted(dataset)
    assert set(config.classes) == set(names)
    assert [set(labels) for labels in encoded(dataset, config)] == rows
    assert {frozenset(one.split("+")) for one in config.combinations} == {frozenset(row) for row in rows if row}
    if len(names) > 1:
        dataset = table(**{name: [name in row for row in rows] for name in names})
        config = fitted(dataset, label_column=",".join(names))
        assert [set(labels) for labels in encoded(dataset, config)] == rows


def test_chosen_classes_take_nothing_from_other_columns():
    """The 1 and 0 of a column that is not chosen are no names."""
    dataset = table(digit=[0, 1, 2, 0], smiling=[1, 1, 1, 0])
    config = fitted(dataset, label_column="digit,smiling", classes=("0", "1", "2"))
    assert config.label_column == "digit" and encoded(dataset, config) == [["0"], ["1"], ["2"], ["0"]]
    dataset = table(young=[1, -1, 1], smiling=[1, 1, -1])
    config = fitted(dataset, label_column="young,smiling", classes=("smiling",))
    assert encoded(dataset, config) == [["smiling"], ["smiling"], []]
    assert encoded(dataset, with_classes(config, dataset)) == [["smiling"], ["smiling"], []]
    with pytest.raises(UserError, match="none of the classes smilling is in column young, smiling"):
        fitted(dataset, label_column="young,smiling", classes=("smilling",))


def test_held_out_rows_are_read_as_those_trained_on():
    config = fitted(table(digit=[0, 1, 2], old=[1, 0, 1]), label_column="digit,old")
    assert encoded(table(digit=[0, 1], old=[1, 0]), config) == [["0", "old"], ["1"]]
    config = with_classes(config, table(digit=[0, 1], old=[1, 0]))
    assert encoded(table(digit=[0, 1], old=[1, 0]), config) == [["0", "old"], ["1"]]


def test_streams_without_declarations_may_hold_lists():
    stream = datasets.IterableDataset.from_generator(lambda: iter([{"label": ["a", "b"]}, {"label": ["c"]}]))
    config = fitted(stream, classes=("a", "b", "c"))
    assert encoded(stream.cast(datasets.Features(label=datasets.List(datasets.Value("string")))), config) == [
        ["a", "b"],
        ["c"],
    ]


def test_streamed_columns_that_say_yes_or_no_are_classes():
    kind = datasets.ClassLabel(names=["no", "yes"])
    stream = table(smiling=([1, 0], kind), young=([1, 1], kind)).to_iterable_dataset()
    assert fitted(stream, label_column="smiling,young").classes == ("smiling", "young")


def test_several_classes_in_a_row_are_never_cut_to_the_first():
    config = ClassConditionalConfig(label_column="label", classes=("a", "b"))
    with pytest.raises(ValueError, match="has several classes"):
        labelled({}, {"label": ["a", "b"]}, config)


def test_empty_lists_alone_are_no_labels():
    dataset = table(label=([[], []], datasets.List(datasets.Value("string"))))
    config = with_classes(ClassConditionalConfig(), dataset)
    assert labelled({}, dataset[0], config)["label"] == UNLABELLED


def test_combinations_must_be_of_the_classes():
    with pytest.raises(UserError, match="combinations name no class 'c': the classes are a, b"):
        fitted(table(label=[["a"], ["b"]]), combinations=("a+c",))
