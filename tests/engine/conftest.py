"""Accelerators for the tests of the engine, none of which outlives its test."""

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState


def forget():
    # accelerate keeps its settings for the process: a second precision would be refused, or the first one kept.
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def accelerate():
    """``accelerate(precision)`` -> an accelerator on the CPU; the ones made before are no longer of use."""

    def make(precision="no"):
        forget()
        return Accelerator(cpu=True, mixed_precision=precision)

    yield make
    forget()
