"""Holds which real examples are compared: disjoint, at random, the same for the same seed, from the split asked for."""

import pytest

from multigan.data.load import load
from multigan.errors import UserError
from multigan.evaluation.held_out import open_pair


@pytest.fixture
def pair(image):
    """Opens a pair; the n-th picture of a folder is all of grey n."""

    def run(root, held_out=None, count=100, seed=0, split="train", skip_corrupt=False):
        image.fit(load(image, str(root), None, split, False))
        return open_pair(image, str(root), None, split, skip_corrupt, held_out, count, seed)

    return run


def greys(rows):
    return rows.encoded(0, len(rows))[:, 0, 0, 0].tolist()


def names(folder, count):
    return [f"{folder}{'ab'[number % 2]}/{number}.png" for number in range(count)]


@pytest.fixture
def splits(pictures):
    """Greys 0 to 19 to train on, then 12 others to test with; the class of grey n is n % 2."""
    return pictures(*names("train/", 20), *names("test/", 12))


def test_half_of_the_training_data_where_there_is_no_other_split(pair, pictures):
    found = pair(pictures(*names("", 21)))
    assert found.name == "half of train"
    assert len(found.train) == len(found.held_out) == 10
    assert len({*greys(found.train), *greys(found.held_out)}) == 20


@pytest.mark.parametrize("name", ["test", "validation"])
def test_the_other_split_where_there_is_one(pair, pictures, name):
    found = pair(pictures(*names("train/", 20), *names(f"{name}/", 12)))
    assert found.name == name
    assert len(found.train) == len(found.held_out) == 12, "as many of both"
    assert set(greys(found.train)) < set(range(20)) and set(greys(found.held_out)) == set(range(20, 32))


def test_test_comes_before_validation_and_what_is_asked_for_before_both(pair, pictures):
    root = pictures(*names("train/", 20), *names("test/", 12), *names("validation/", 12), *names("dev/", 12))
    assert pair(root).name == "test"
    assert pair(root, held_out="validation").name == "validation"
    found = pair(root, held_out="dev")
    assert found.name == "dev" and min(greys(found.held_out)) == 44


def test_model_of_the_test_split_is_held_against_another(pair, pictures):
    root = pictures(*names("test/", 12), *names("validation/", 20))
    found = pair(root, split="test")
    assert found.name == "validation" and set(greys(found.train)) == set(range(12))


def test_no_more_than_were_asked_for_and_not_the_first_ones(pair, splits):
    found = pair(splits, count=5)
    assert len(found.train) == len(found.held_out) == 5
    assert greys(found.train) != [0, 1, 2, 3, 4]


def test_seed_decides_the_rows(pair, splits):
    first, again, other = (pair(splits, seed=seed) for seed in (0, 0, 1))
    assert greys(first.train) == greys(again.train) != greys(other.train)
    assert greys(first.held_out) == greys(again.held_out) != greys(other.held_out)


def test_labels_are_those_of_the_rows(pair, splits):
    found = pair(splits)
    for rows in (found.train, found.held_out):
        assert rows.labels.tolist() == [grey % 2 for grey in greys(rows)]


def test_no_labels_where_the_dataset_has_none(pair, pictures):
    assert pair(pictures(*(f"{number}.png" for number in range(8)))).train.labels is None


def test_part_of_the_rows(pair, splits):
    rows = pair(splits).train
    assert greys(rows)[3:7] == rows.encoded(3, 7)[:, 0, 0, 0].tolist()
    assert len(rows.encoded(10, 20)) == 2


def test_unknown_split_is_one_line(pair, splits):
    with pytest.raises(UserError, match="no split 'dev': it has test, train") as caught:
        pair(splits, held_out="dev")
    assert len(str(caught.value).splitlines()) == 1


def test_split_of_a_file_is_refused(pair, parquet):
    with pytest.raises(UserError, match="no split 'test'"):
        pair(parquet(20), held_out="test")
    assert pair(parquet(20)).name == "half of train"


def test_folder_of_data_files_has_its_splits(pair, tmp_path, parquet):
    parquet(20, "data/train.parquet")
    parquet(12, "data/test.parquet")
    found = pair(tmp_path / "data")
    assert found.name == "test" and len(found.held_out) == 12


def test_unusable_rows_are_left_out_of_both_where_they_were_in_training(pair, splits):
    for split in ("train", "test"):
        (splits / split / "a" / "broken.png").write_bytes(b"no picture")
    found = pair(splits, skip_corrupt=True)
    assert found.name == "test" and len(found.train) == 12


def test_damaged_test_split_is_not_passed_over(pair, splits):
    (splits / "test" / "a" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="broken"):
        pair(splits)


def test_every_row_but_those_held_out_is_searched_for_copies(pair, splits, parquet):
    found = pair(splits, count=5)
    assert sorted(greys(found.every)) == list(range(20)) and greys(found.every)[:5] == greys(found.train)
    found = pair(splits, held_out="train", count=5)
    assert greys(found.every)[:5] == greys(found.train) and len(found.every) == 15
    assert sorted([*greys(found.every), *greys(found.held_out)]) == list(range(20))


def test_the_training_split_itself_is_not_held_out_of_training(pair, splits):
    found = pair(splits, held_out="train")
    assert found.name == "half of train" and not set(found.train.numbers) & set(found.held_out.numbers)


def test_modality_is_left_as_it_was(pair, image, splits):
    pair(splits)
    before = image.config
    pair(splits, held_out="test")
    assert image.config == before
