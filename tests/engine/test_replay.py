"""The buffer of generated samples, alone and in a game."""

import dataclasses

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_step import BATCH, build

from multigan.engine.replay import Replay
from multigan.engine.stabilizers import StabilizerState


def samples(*values):
    return torch.tensor(values, dtype=torch.float32)[:, None]


def test_nothing_is_exchanged_until_it_is_full():
    replay = Replay.new(3, samples(0))
    always = torch.zeros(2, 2)  # exchange it, for the first
    replay.remember(samples(1, 2))
    assert replay.mixed(samples(8, 9), always).flatten().tolist() == [8, 9]
    replay.remember(samples(3))
    assert replay.mixed(samples(8, 9), always).flatten().tolist() == [1, 1]


def test_numbers_say_whether_and_which():
    replay = Replay.new(4, samples(0))
    replay.remember(samples(1, 2, 3, 4))
    numbers = torch.tensor([[0.49, 0.0], [0.5, 0.0], [0.0, 0.99], [0.2, 0.5]])
    assert replay.mixed(samples(6, 7, 8, 9), numbers).flatten().tolist() == [1, 7, 4, 3]


NAN, INF = float("nan"), float("inf")


@settings(deadline=None)
@given(
    size=st.integers(1, 9), batches=st.lists(st.lists(st.booleans(), min_size=1, max_size=12), min_size=1, max_size=6)
)
def test_it_holds_the_last_samples_that_are_finite(size, batches):
    replay, every = Replay.new(size, samples(0)), []
    for finite in batches:
        new = [float(len(every) + place + 1) for place in range(sum(finite))]
        every += new
        numbers = iter(new)
        replay.remember(samples(*(next(numbers) if good else NAN for good in finite)))
    expected = sorted(every[-size:] + [0.0] * max(0, size - len(every)))
    assert sorted(replay.samples.flatten().tolist()) == expected
    assert min(replay.count.item(), size) == min(len(every), size)


def test_a_sample_that_is_not_finite_is_never_shown_to_the_discriminator():
    """Nor is the zero of a place that nothing was put into."""
    replay = Replay.new(3, samples(0))
    replay.remember(samples(1, NAN))
    replay.remember(samples(INF, 2))
    always = torch.tensor([[0.0, 0.0], [0.0, 0.5], [0.0, 0.9]])
    assert replay.mixed(samples(7, 8, 9), always).flatten().tolist() == [7, 8, 9], "two samples do not fill it"
    replay.remember(samples(3, -INF))
    assert replay.mixed(samples(7, 8, 9), always).flatten().tolist() == [1, 2, 3]
    replay.remember(samples(NAN, 4, NAN, 5, INF))
    assert replay.samples.flatten().tolist() == [4, 5, 3], "in the place of the oldest"
    replay.remember(samples(*[NAN] * 5))
    assert replay.samples.flatten().tolist() == [4, 5, 3] and replay.count == 5


def test_a_buffer_of_another_size_starts_empty():
    """As a run may be resumed with another `--replay`."""
    large, small, again = (StabilizerState(replay=Replay.new(size, samples(0))) for size in (4, 2, 2))
    for state in (large, small):
        state.replay.remember(samples(1, 2, 3, 4))
    for kept, count in ((large, 0), (small, 2)):
        again.restore(kept.tensors())
        assert again.replay.count.item() == count
        assert again.replay.samples.flatten().tolist() == ([3, 4] if count else [0, 0])


def test_the_discriminator_sees_earlier_samples_and_the_generator_learns_from_new_ones(accelerate):
    game = build(accelerate())
    replay = Replay.new(2, game.batches(0, slice(0, 1))[0])
    replay.remember(torch.full_like(replay.samples, 0.25))
    seen = []
    game = dataclasses.replace(game, stabilizers=StabilizerState(replay=replay))
    inner = game.discriminator.forward
    game.discriminator.forward = lambda values, *args: (seen.append(values.detach().clone()), inner(values, *args))[1]
    (batch,) = game.make_micro_batches(0, graph=True)
    game.discriminator_phase([batch])
    old = game.random.uniform("replay", 0, slice(0, BATCH), 2)[:, 0] < 0.5
    assert 0 < old.sum() < BATCH, "this batch shows both"
    remembered = game.discriminator_input(torch.full_like(batch.fake, 0.25), batch)
    new = game.discriminator_input(batch.fake.detach(), batch)
    assert torch.equal(seen[1], torch.where(old.view(-1, *[1] * (new.dim() - 1)), remembered, new))
    assert torch.equal(replay.samples, batch.fake.detach()[-2:]), "and the new ones are remembered"
    seen.clear()
    game.generator_phase([batch])
    assert torch.equal(seen[0], new)
