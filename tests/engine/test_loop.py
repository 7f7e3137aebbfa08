"""Means of metrics, and what happens after which step."""

import json

import pytest
import torch

from multigan.engine.loop import Meter, Periodic, run


def metrics(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_since_the_last_read(accelerate):
    accelerator, meter = accelerate(), Meter()
    meter.add(metrics(loss=1.0, norm=4.0))
    meter.add(metrics(loss=2.0, norm=8.0))
    assert meter.read(accelerator) == {"loss": (1 + 2) / 2, "norm": (4 + 8) / 2}
    meter.add(metrics(loss=5.0, norm=0.0))
    assert meter.read(accelerator) == {"loss": 5, "norm": 0}


def test_a_metric_of_some_steps_is_the_mean_over_those(accelerate):
    # The last line of a warm-up holds steps of both kinds, unless the warm-up ends with a line.
    accelerator, meter = accelerate(), Meter()
    meter.add(metrics(pretraining_loss=3.0, norm=1.0))
    meter.add(metrics(loss=4.0, norm=2.0))
    meter.add(metrics(loss=8.0, norm=6.0))
    assert meter.read(accelerator) == {"pretraining_loss": 3, "loss": (4 + 8) / 2, "norm": (1 + 2 + 6) / 3}


def test_adding_leaves_the_metrics_themselves_alone():
    meter, first = Meter(), metrics(loss=1.0)
    meter.add(first)
    meter.add(metrics(loss=2.0))
    assert first["loss"].item() == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_no_numbers_are_left_out(accelerate, value):
    accelerator, meter = accelerate(), Meter()
    meter.add(metrics(loss=1.0, norm=value))
    meter.add(metrics(loss=3.0, norm=5.0))
    meter.add(metrics(loss=value, norm=7.0))
    assert meter.read(accelerator) == {"loss": (1 + 3) / 2, "norm": (5 + 7) / 2}
    meter.add(metrics(loss=value, norm=1.0))
    assert meter.read(accelerator) == {"loss": None, "norm": 1}


def test_a_meter_put_back_in_the_middle_goes_on_as_if_uninterrupted(accelerate):
    accelerator, whole, stopped, resumed = accelerate(), Meter(), Meter(), Meter()
    # Thirds are not exact in binary, so a sum rounded on the way through JSON would show.
    values = [1 / 3, 2 / 7, 1e-8, 5 / 11]
    for meter, part in ((whole, values), (stopped, values[:2])):
        for value in part:
            meter.add(metrics(loss=value, norm=value * 3))
    resumed.restore(json.loads(json.dumps(stopped.state())), accelerator)
    for value in values[2:]:
        resumed.add(metrics(loss=value, norm=value * 3))
    assert resumed.read(accelerator) == whole.read(accelerator)


def test_a_meter_of_several_processes_put_back_in_one_has_the_sums_of_all(accelerate):
    accelerator, meters, resumed = accelerate(), [Meter(), Meter()], Meter()
    for meter, value in zip(meters, (1.0, 5.0), strict=True):
        meter.add(metrics(loss=value))
    resumed.restore([meter.state()[0] for meter in meters], accelerator)
    assert resumed.read(accelerator) == {"loss": 3}


def test_hooks_run_each_so_many_steps_and_after_the_last_in_their_order(accelerate):
    played, done = [], []

    def play(number):
        played.append(number)
        return metrics(loss=float(number))

    hooks = [
        Periodic(3, lambda step: done.append(("three", step))),
        Periodic(2, lambda step: done.append(("two", step))),
        Periodic(100, lambda step: done.append(("early", step)), early=1),
    ]
    meter = Meter()
    assert list(run(play, 0, 7, meter, hooks)) == [1, 2, 3, 4, 5, 6, 7]
    assert played == [0, 1, 2, 3, 4, 5, 6]
    even = [("two", 2), ("three", 3), ("two", 4), ("three", 6), ("two", 6), ("three", 7), ("two", 7)]
    assert done == [("early", 1), *even, ("early", 7)]
    assert meter.read(accelerate()) == {"loss": (0 + 1 + 2 + 3 + 4 + 5 + 6) / 7}


def test_a_run_that_goes_on_keeps_to_the_same_steps():
    played, done = [], []

    def play(number):
        played.append(number)
        return metrics(loss=0.0)

    assert list(run(play, 4, 7, Meter(), [Periodic(3, done.append)])) == [5, 6, 7]
    assert played == [4, 5, 6]
    assert done == [6, 7]


def test_hooks_see_the_metrics_of_their_step(accelerate):
    accelerator, meter, read = accelerate(), Meter(), []
    hook = Periodic(2, lambda step: read.append(meter.read(accelerator)["loss"]))
    list(run(lambda number: metrics(loss=float(number)), 0, 4, meter, [hook]))
    assert read == [(0 + 1) / 2, (2 + 3) / 2]
