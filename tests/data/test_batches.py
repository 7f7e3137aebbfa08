"""Holds the batches: which rows are in them, that parts make the whole, and that a stream gives every row."""

from itertools import chain, pairwise

import datasets
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.data import batches
from multigan.data.cache import Cached
from multigan.data.load import load
from multigan.data.sampler import Sampler
from multigan.errors import UserError
from multigan.modalities.image import Image, ImageConfig
from multigan.modalities.text import Text, TextConfig

CPU = torch.device("cpu")


def modality(**settings):
    return Image(
        ImageConfig(
            resolution=16,
            image_column="image",
            label_column="label",
            channels=1,
            classes=tuple(str(number) for number in range(10)),
            **settings,
        )
    )


def cached(rows):
    """Row n is all of grey n, and of class n % 10."""
    real = numpy.arange(rows, dtype=numpy.uint8)[:, None, None, None].repeat(16, 2).repeat(16, 3)
    return Cached(real, numpy.arange(rows) % 10, 0, "")


def greys(encoded):
    """The greys of encoded pictures, which are each of one."""
    assert encoded.shape[1:] == (1, 16, 16) and encoded.dtype == torch.uint8
    assert (encoded == encoded[:, :, :1, :1]).all()
    return encoded[:, 0, 0, 0].tolist()


# --- from the cache ---


def test_batch_is_the_rows_the_sampler_says_with_their_labels():
    batch = batches.from_cache(cached(50), 8, 3, True, CPU)
    order = Sampler(50, 3)
    for number in (0, 1, 5, 6, 7, 100):
        samples, beside = batch(number, slice(0, 8))
        condition = beside["label"]
        expected = order.rows(8 * number, 8 * number + 8)[0].tolist()
        assert greys(samples) == expected
        assert condition.tolist() == [row % 10 for row in expected] and condition.dtype == torch.int64


def test_without_classes_there_is_no_condition():
    encoded, beside = batches.from_cache(cached(256), 256, 0, False, CPU)(0, slice(0, 256))
    assert (encoded.min(), encoded.max()) == (0, 255) and beside == {}


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 40),
    batch_size=st.integers(1, 40),
    number=st.integers(0, 20),
    cuts=st.sets(st.integers(1, 39)),
    seed=st.integers(0, 2**63 - 1),
)
def test_parts_of_a_batch_make_the_whole(rows, batch_size, number, cuts, seed):
    batch = batches.from_cache(cached(rows), batch_size, seed, True, CPU)
    samples, beside = batch(number, slice(0, batch_size))
    edges = [0, *sorted(cut for cut in cuts if cut < batch_size), batch_size]
    parts = [batch(number, slice(start, stop)) for start, stop in pairwise(edges)]
    assert torch.equal(torch.cat([part[0] for part in parts]), samples)
    assert torch.equal(torch.cat([part[1]["label"] for part in parts]), beside["label"])


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(1, 30), batch_size=st.integers(1, 12), seed=st.integers(0, 1000))
def test_every_row_comes_once_in_a_pass(rows, batch_size, seed):
    batch = batches.from_cache(cached(rows), batch_size, seed, False, CPU)
    seen = [grey for number in range(rows) for grey in greys(batch(number, slice(0, batch_size))[0])]
    for number in range(batch_size):  # rows batches are batch_size passes
        assert sorted(seen[number * rows : (number + 1) * rows]) == list(range(rows))


# --- from a stream ---


def stream(rows, broken=()):
    """Row n is all of grey n, and of class n % 10; cells of broken rows are empty."""
    features = datasets.Features(
        image=datasets.Array2D((16, 16), "uint8"),
        label=datasets.ClassLabel(names=[str(number) for number in range(10)]),
    )
    images = [None if row in broken else numpy.full((16, 16), row, numpy.uint8) for row in range(rows)]
    labels = [row % 10 for row in range(rows)]
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features).to_iterable_dataset()


def from_stream(dataset, batch_size=8, seed=0, conditional=True, skip_corrupt=False):
    return batches.from_stream(dataset, modality(), batch_size, seed, conditional, CPU, skip_corrupt)


def test_stream_gives_every_row_once_in_a_pass_and_each_pass_in_another_order():
    batch = from_stream(stream(32))
    passes = []
    for start in (0, 4):
        found = [batch(number, slice(0, 8)) for number in range(start, start + 4)]
        passes.append([grey for samples, _ in found for grey in greys(samples)])
        assert [label for _, beside in found for label in beside["label"].tolist()] == [
            grey % 10 for grey in passes[-1]
        ]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(32))
    assert passes[0] != passes[1] and passes[0] != list(range(32))


def test_rows_left_over_at_the_end_of_a_pass_are_not_lost():
    batch = from_stream(stream(20), batch_size=8)
    seen = [grey for number in range(5) for grey in greys(batch(number, slice(0, 8))[0])]
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))


@pytest.mark.parametrize("broken", [(), (1, 6, 9)], ids=["good rows", "with broken rows"])
def test_two_processes_see_the_global_batch_of_one(broken):
    one, first, second = (from_stream(stream(24, broken), skip_corrupt=True) for _ in range(3))
    for number in range(6):
        samples, beside = one(number, slice(0, 8))
        halves = [first(number, slice(0, 4)), second(number, slice(4, 8))]
        assert greys(samples) == [grey for half in halves for grey in greys(half[0])]
        assert beside["label"].tolist() == [label for half in halves for label in half[1]["label"].tolist()]


def test_micro_batches_are_parts_of_one_batch():
    whole, parted = from_stream(stream(24)), from_stream(stream(24))
    for number in range(3):
        parts = [greys(parted(number, slice(start, start + 2))[0]) for start in range(0, 8, 2)]
        assert list(chain(*parts)) == greys(whole(number, slice(0, 8))[0])


def test_order_of_a_stream_is_decided_by_the_seed():
    orders = [greys(from_stream(stream(24), seed=seed)(0, slice(0, 8))[0]) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_unconditional_stream_has_no_condition():
    assert from_stream(stream(8), conditional=False)(0, slice(0, 8))[1] == {}


def test_broken_row_of_a_stream_stops_it_unless_it_may_be_skipped():
    batch = from_stream(stream(8, broken=[2]))
    with pytest.raises(UserError, match="skip_corrupt") as caught:
        batch(0, slice(0, 8))
    assert len(str(caught.value).splitlines()) == 1


def test_good_rows_of_the_batch_stand_in_for_broken_ones():
    samples, beside = from_stream(stream(8, broken=[2, 5]), skip_corrupt=True)(0, slice(0, 8))
    found = greys(samples)
    assert len(found) == 8 and set(found) == {0, 1, 3, 4, 6, 7}
    assert beside["label"].tolist() == [grey % 10 for grey in found], "a label stays with its picture"


def test_stream_of_broken_rows_only_is_refused_although_they_may_be_skipped():
    with pytest.raises(UserError):
        from_stream(stream(8, broken=range(8)), skip_corrupt=True)(0, slice(0, 8))


def test_stream_without_rows_is_refused_and_not_waited_for():
    with pytest.raises(UserError, match="no rows"):
        from_stream(stream(8).filter(lambda row: False))(0, slice(0, 8))


def test_a_stream_that_breaks_off_is_one_line(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a"}\n{"text"\n')
    stream = batches.endless(load(Text(TextConfig()), str(file), None, "train", True))
    with pytest.raises(UserError, match=r"line 2 of .*a\.jsonl is not valid JSON"):
        list(stream)
