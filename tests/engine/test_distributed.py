"""The batch is shared out whole; a launch or a tracker that cannot be is refused in words."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from multigan.engine import distributed, launch
from multigan.errors import UserError


def process(index, count):
    return SimpleNamespace(process_index=index, num_processes=count)


@settings(deadline=None)
@given(processes=st.integers(1, 8), micro_batches=st.integers(1, 4), size=st.integers(1, 5))
def test_processes_share_the_batch_out_evenly_and_in_order(processes, micro_batches, size):
    batch_size = processes * micro_batches * size
    shares = [distributed.share(batch_size, micro_batches, process(i, processes)) for i in range(processes)]
    rows = [row for share in shares for row in range(batch_size)[share]]
    assert rows == list(range(batch_size))
    assert {share.stop - share.start for share in shares} == {micro_batches * size}


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(UserError, match="multiple of 6"):
        distributed.share(16, 3, process(0, 2))


def test_adam_is_the_textbook_one():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    optimizer = distributed.adam(network, 0.1, (0.5, 0.9))
    weight, first, second = 2.0, 0.0, 0.0
    for step, gradient in enumerate((3.0, -1.0), 1):
        network.weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        # Kingma and Ba 2014, algorithm 1.
        first, second = 0.5 * first + 0.5 * gradient, 0.9 * second + 0.1 * gradient**2
        weight -= 0.1 * (first / (1 - 0.5**step)) / ((second / (1 - 0.9**step)) ** 0.5 + 1e-8)
    assert network.weight.item() == pytest.approx(weight, rel=1e-6)


def test_processes_launched_for_gpus_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        UserError, match=r"2 processes were launched for GPUs.*ACCELERATE_USE_CPU=true accelerate launch"
    ):
        launch.check_launch(10)
