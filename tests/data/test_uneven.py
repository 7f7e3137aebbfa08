"""Holds examples of different lengths: what is kept of them, and which piece of each is in a batch."""

import dataclasses
from typing import ClassVar

import datasets
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multigan.data import batches
from multigan.data.cache import Cached, cached, piece
from multigan.errors import UserError
from multigan.modality import Crop, Modality

CPU = torch.device("cpu")
ROW = 1000  # sample p of example n is 1000 n + p + 1: it says where it is from, and none is the 0 of silence


@dataclasses.dataclass(frozen=True)
class LinesConfig:
    """Lines of numbers: how many are seen of each, and whether from anywhere."""

    latent_dim: int = 2
    piece: int = 4
    anywhere: bool = True


class Lines(Modality):
    """Rows ``{"numbers": [...]}``, two columns ``(length, 2)`` each: the numbers, and the same below zero."""

    Config: ClassVar[type] = LinesConfig

    def encode(self, row):
        numbers = numpy.array(row["numbers"], numpy.int16)
        if not len(numbers):
            raise ValueError("no numbers")
        return {"real": numpy.stack([numbers, -numbers], 1)}

    @property
    def crop(self):
        return Crop(self.config.piece, self.config.anywhere)

    def generator(self):
        raise NotImplementedError

    discriminator = save = preview = generator


def lines(*lengths):
    """A dataset of examples of these lengths."""
    rows = [[ROW * row + place + 1 for place in range(length)] for row, length in enumerate(lengths)]
    features = datasets.Features(numbers=datasets.List(datasets.Value("int64")))
    return datasets.Dataset.from_dict({"numbers": rows}, features=features)


def kept(*lengths, length, anywhere):
    """The same examples as a cache, made by hand."""
    numbers = [ROW * row + place + 1 for row, count in enumerate(lengths) for place in range(count)]
    real = numpy.array(numbers, numpy.int32)[:, None] * [1, -1]
    return Cached(real, ends=numpy.cumsum(lengths), crop=Crop(length, anywhere))


def read(data, *rows_and_shares):
    """The first column of pieces; the second is its negative."""
    rows, shares = zip(*rows_and_shares, strict=True)
    found = data.read(numpy.array(rows), numpy.array(shares))
    assert found.shape == (len(rows), data.crop.length, 2) and (found[..., 0] == -found[..., 1]).all()
    return found[..., 0].tolist()


def start_of(found, row, lengths, length):
    """Where in its example a piece begins, having checked that it is one piece of that example and then zeros."""
    count = min(lengths[row], length)
    start = found[0] - ROW * row - 1
    assert 0 <= start <= lengths[row] - count, "outside of its example"
    assert found == [ROW * row + start + place + 1 for place in range(count)] + [0] * (length - count)
    return start


# --- the cache ---


def test_short_ones_end_in_zeros_and_long_ones_are_cut():
    found = cached(lines(6, 2, 4), Lines(LinesConfig(anywhere=False)), False)
    assert len(found) == 3 and found.real.shape == (12, 2) and found.real.dtype == numpy.int16
    expected = [[1, 2, 3, 4], [1001, 1002, 0, 0], [2001, 2002, 2003, 2004]]
    assert read(found, (0, 0.0), (1, 0.0), (2, 0.0)) == expected
    assert read(found, (2, 0.99), (0, 0.99), (1, 0.99)) == [expected[2], expected[0], expected[1]]  # from the start


def test_pieces_from_anywhere_begin_at_their_share_of_the_way():
    found = cached(lines(6, 2, 7), Lines(), False)
    # A piece of 4 of 6 samples can begin at 0, 1 or 2: a third of the shares each.
    for share, start in ((0.0, 0), (0.33, 0), (0.34, 1), (0.66, 1), (0.67, 2), (0.999, 2)):
        assert read(found, (0, share)) == [[start + place for place in (1, 2, 3, 4)]]
    assert read(found, (2, 0.999), (1, 0.999)) == [[2004, 2005, 2006, 2007], [1001, 1002, 0, 0]]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    length=st.integers(1, 40),
    share=st.floats(0, 1, exclude_max=True),
)
def test_pieces_stay_inside_their_example_and_reach_both_ends(lengths, length, share):
    data = kept(*lengths, length=length, anywhere=True)
    for row, count in enumerate(lengths):
        pieces = read(data, (row, share), (row, 0.0), (row, 1 - 2**-53))
        starts = [start_of(found, row, lengths, length) for found in pieces]
        assert starts[1] == 0 and starts[2] == max(count - length, 0)
        assert starts[1] <= starts[0] <= starts[2]


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, 40), length=st.integers(1, 40), share=st.floats(0, 1, exclude_max=True))
def test_piece_of_a_stream_is_the_piece_of_the_cache(count, length, share):
    data = kept(3, count, 5, length=length, anywhere=True)
    example = data.real[3 : 3 + count]
    assert piece(example, length, share)[:, 0].tolist() == read(data, (1, share))[0]


def test_second_time_is_the_same():
    first, second = (cached(lines(6, 2, 4), Lines(), False) for _ in range(2))
    assert first.ends.tolist() == second.ends.tolist() == [6, 8, 12]
    assert numpy.array_equal(first.real, second.real) and first.digest == second.digest


def test_rows_left_out_leave_the_others_whole():
    found = cached(lines(6, 0, 4), Lines(LinesConfig(anywhere=False)), True)
    assert found.skipped == 1
    assert read(found, (0, 0.0), (1, 0.0)) == [[1, 2, 3, 4], [2001, 2002, 2003, 2004]]


def test_digest_depends_on_where_one_example_ends():
    features = datasets.Features(numbers=datasets.List(datasets.Value("int64")))
    digests = [
        cached(datasets.Dataset.from_dict({"numbers": rows}, features=features), Lines(), False).digest
        for rows in ([[1, 2, 3], [4]], [[1, 2], [3, 4]], [[1, 2, 3, 4]], [[1, 2, 3], [4]])
    ]
    assert len(set(digests)) == 3 and digests[0] == digests[3]


class Ragged(Lines):
    """Examples that differ in more than their length, which is against the contract."""

    def encode(self, row):
        return {"real": numpy.zeros((4, len(row["numbers"])), numpy.int16)}


def test_examples_that_differ_in_more_than_their_length_are_refused():
    with pytest.raises(UserError, match="all rows must agree"):
        cached(lines(6, 2), Ragged(), False)


@pytest.mark.parametrize("file", ["real.bin", "length.bin", "cache.json"])
@pytest.mark.parametrize("left", [0.0, 0.7])
def test_file_that_is_too_short_is_a_damaged_cache(caches, file, left):
    cached(lines(6, 2, 4), Lines(), False)
    (damaged,) = caches.glob(f"*/{file}")
    damaged.write_bytes(damaged.read_bytes()[: int(damaged.stat().st_size * left)])
    with pytest.raises(UserError, match="damaged"):
        cached(lines(6, 2, 4), Lines(), False)


@pytest.mark.parametrize("file", ["real.bin", "length.bin"])
def test_file_that_is_missing_is_a_damaged_cache(caches, file):
    cached(lines(6, 2, 4), Lines(), False)
    (lost,) = caches.glob(f"*/{file}")
    lost.unlink()
    with pytest.raises(UserError, match="damaged"):
        cached(lines(6, 2, 4), Lines(), False)


def test_lengths_that_need_more_than_there_is_are_a_damaged_cache(caches):
    cached(lines(6, 2, 4), Lines(), False)
    (lengths,) = caches.glob("*/length.bin")
    lengths.write_bytes(numpy.array([6, 2, 5], numpy.int64).tobytes())
    with pytest.raises(UserError, match="damaged"):
        cached(lines(6, 2, 4), Lines(), False)


# --- batches from the cache ---

LENGTHS = [30, 50, 3, 40, 60, 70]


def batch_of(number, seed=1, anywhere=True, rows=slice(0, 6)):
    """A whole pass over the examples, as ``{example: where its piece begins}``."""
    batch = batches.from_cache(kept(*LENGTHS, length=4, anywhere=anywhere), 6, seed, False, CPU)
    samples, beside = batch(number, rows)
    assert beside == {}
    return starts(samples)


def starts(samples, lengths=LENGTHS):
    """``{example: where its piece begins}``, in the order of the batch."""
    found = samples[..., 0].int().tolist()
    rows = [(line[0] - 1) // ROW for line in found]
    return {row: start_of(line, row, lengths, 4) for row, line in zip(rows, found, strict=True)}


def test_piece_is_the_same_at_the_same_position_whoever_asks():
    whole = batch_of(3)
    assert sorted(whole) == list(range(6)) and batch_of(3) == whole
    assert batch_of(3, rows=slice(0, 2)) | batch_of(3, rows=slice(2, 6)) == whole


def test_piece_is_another_on_the_next_pass_and_with_another_seed():
    # One of the long examples might begin at the same place by chance; not all five.
    assert batch_of(0) != batch_of(1) and batch_of(0) != batch_of(0, seed=2)


def test_passes_together_reach_all_of_an_example():
    found = [batch_of(number)[0] for number in range(200)]
    assert set(found) == set(range(27))  # 30 samples: the chance that one of 27 places is left out is under 2 %


def test_pieces_from_the_start_begin_there():
    assert set(batch_of(0, anywhere=False).values()) == {0}


# --- batches of a stream ---


def stream(seed=1, anywhere=True, skip_corrupt=False, lengths=LENGTHS):
    modality = Lines(LinesConfig(anywhere=anywhere))
    return batches.from_stream(
        lines(*lengths).to_iterable_dataset(), modality, 6, seed, False, CPU, skip_corrupt=skip_corrupt
    )


def test_stream_takes_pieces_that_are_another_on_the_next_pass():
    first, second = (stream() for _ in range(2))
    passes = [starts(first(number, slice(0, 6))[0]) for number in range(3)]
    assert [starts(second(number, slice(0, 6))[0]) for number in range(3)] == passes
    assert all(sorted(found) == list(range(6)) for found in passes)
    assert passes[0] != passes[1] != passes[2]
    assert starts(stream(seed=2)(0, slice(0, 6))[0]) != passes[0]


def test_same_place_in_another_batch_of_a_stream_has_another_piece():
    even = [60] * 6
    batch = stream(lengths=even)
    first, second = (list(starts(batch(number, slice(0, 6))[0], even).values()) for number in range(2))
    assert sum(one == other for one, other in zip(first, second, strict=True)) < 3  # of 57 places, by chance


def test_parts_of_a_batch_of_a_stream_make_the_whole():
    whole = stream()(0, slice(0, 6))[0]
    parts = [stream()(0, rows)[0] for rows in (slice(0, 2), slice(2, 6))]
    assert torch.equal(torch.cat(parts), whole)


def test_stream_from_the_start_begins_there():
    assert set(starts(stream(anywhere=False)(0, slice(0, 6))[0]).values()) == {0}


def test_row_of_a_stream_that_cannot_be_used_is_stood_in_for():
    samples, _ = stream(skip_corrupt=True, lengths=[30, 0, 3, 40, 60, 70])(0, slice(0, 6))
    assert set(starts(samples)) == {0, 2, 3, 4, 5} and len(samples) == 6
