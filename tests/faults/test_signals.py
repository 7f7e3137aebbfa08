"""Told to stop, a run finishes its step, saves and says so; a fresh process goes on as if nothing had been."""

import dataclasses
import os
import signal
import socket
import time

import psutil
import pytest
from outcome import last, timeless
from process import TINY, Process, resume, train

from multigan import config
from multigan.training import run

STEPS = 10_000  # not to be done before the signal comes, on the busiest machine
LONG = 10**6  # steps between checkpoints: more than there are


def stopped(process, folder, said="stopped and saved after step "):
    """The step at which a run was stopped and saved; it must be the last one that was played."""
    (line,) = [line for line in process.err if said in line]
    step = int(line.split(said)[1].split(":")[0])
    assert line == f"stopped and saved after step {step}: continue with --resume {folder}"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"step-{step}"]
    assert [line["step"] for line in timeless(folder)] == list(range(1, step + 1))
    assert step < STEPS, "too late to show anything"
    return step


def uninterrupted(folder, whole):
    """What the run in a folder comes to if nothing happens to it."""
    return last(run.train(dataclasses.replace(config.read(folder), output=str(whole))))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_stopped_run_saves_its_step_and_a_fresh_process_goes_on_to_the_same_end(tmp_path, number, code):
    folder = tmp_path / "run"
    with train("--output", folder, "--steps", STEPS, "--checkpoint_every", LONG) as process:
        process.wait_for("step 5 ")
        process.send(number)
        assert process.end() == code, process.said
        step = stopped(process, folder)
        assert step >= 5
        first, second = [line for line in process.err if line]
        hint = "; Ctrl-C once more leaves at once" if number == signal.SIGINT else ""
        assert first == f"stopping after this step, and saving{hint}" and "stopped and saved" in second
        assert "Traceback" not in process.said
    with resume(folder, "--steps", step + 20) as process:
        assert process.end() == 0, process.said
        assert f"resuming {folder} after step {step}" in process.out and not process.err
    assert last(folder) == uninterrupted(folder, tmp_path / "whole")


@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once_and_the_run_is_resumed_from_its_last_checkpoint(tmp_path):
    folder = tmp_path / "run"
    # A step of some seconds, so that the second interrupt comes before its end.
    with train("--output", folder, "--steps", 3, "--checkpoint_every", 1, "--discriminator_steps", 500) as process:
        process.wait_for("step 1 ")
        while not (folder / "checkpoints" / "step-1").exists():
            assert process.popen.poll() is None
            time.sleep(0.01)
        process.send(signal.SIGINT)
        process.wait_for("stopping after this step")
        process.send(signal.SIGINT)
        assert process.end() == 130, process.said
        assert process.err[-1] == f"multigan: interrupted; --resume {folder} continues after step 1"
        assert "stopped and saved" not in process.said and "Traceback" not in process.said
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-1"]
    run.train(dataclasses.replace(config.read(folder), resume=str(folder), discriminator_steps=1))
    assert [line["step"] for line in timeless(folder)] == [1, 2, 3]


# --- two processes ---


def launch(*flags):
    """`multigan train` on two processes, with gloo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", 2, "--master_port", port]
    return Process(*launcher, "-m", "multigan", "train", "image", *flags, ACCELERATE_USE_CPU="true")


def worker(process, rank):
    """The number of one of the processes that were launched."""
    (found,) = [
        child.pid
        for child in psutil.Process(process.popen.pid).children(recursive=True)
        if child.environ().get("LOCAL_RANK") == str(rank)
    ]
    return found


def stop_one_of_two(folder):
    """Train on two processes and tell one of them to stop: not the one that writes."""
    with launch(*TINY, "--output", folder, "--steps", STEPS, "--checkpoint_every", LONG) as process:
        process.wait_for("step 5 ")
        os.kill(worker(process, 1), signal.SIGTERM)
        assert process.end() != 0
        # The launcher tells of processes that ended with another code than 0: in many words, and a stack of its own.
        assert "exitcode" in process.said and "143" in process.said
        return stopped(process, folder)


@pytest.mark.slow
def test_one_of_two_processes_is_told_to_stop_and_both_do_after_the_same_step(tmp_path):
    folder = tmp_path / "run"
    step = stop_one_of_two(folder)
    run.train(dataclasses.replace(config.read(folder), resume=str(folder), steps=step + 2))
    assert [line["step"] for line in timeless(folder)] == list(range(1, step + 3))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_that_were_stopped_go_on_to_the_same_end(tmp_path):
    folder = tmp_path / "run"
    steps = stop_one_of_two(folder) + 20
    for flags in (["--resume", folder], [*TINY, "--output", tmp_path / "whole"]):
        with launch(*flags, "--steps", steps, "--checkpoint_every", LONG) as process:
            assert process.end() == 0, process.said
    assert last(folder) == last(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_to_the_launcher_and_all_in_its_terminal_stops_and_saves(tmp_path, number):
    folder = tmp_path / "run"
    with launch(*TINY, "--output", folder, "--steps", STEPS, "--checkpoint_every", LONG) as process:
        process.wait_for("step 5 ")
        os.killpg(process.popen.pid, number)
        assert process.end() != 0
    (line,) = [line for line in process.err if "stopped and saved after step " in line]
    (checkpoint,) = (folder / "checkpoints").iterdir()
    assert f"stopped and saved after {checkpoint.name.replace('-', ' ')}: " in line
