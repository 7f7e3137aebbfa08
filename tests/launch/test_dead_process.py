"""A process is killed, or answers no more: the others end and say why, or are restarted and lose nothing."""

import os
import re
import signal

import pytest
from launching import (
    TRAIN,
    Launch,
    accelerate,
    accelerate_on_cpu,
    children,
    ended,
    is_running,
    seconds_until,
    torchrun,
)
from outcome import last

from multigan import config, configure
from multigan.cli.flags import parse

AT_ONCE = 10  # seconds, for a closed connection to be noticed; half a second where the machine has nothing else to do
TIMEOUT = 15  # --timeout, for a process that keeps its connections and says nothing
TORCH_WAITS = 30  # seconds that torch's launcher gives a process to end before it kills it
BUSY = 15  # seconds more, on a busy machine
STEPS = 60
TRAINING = [*TRAIN, "--log_every", 5, "--checkpoint_every", 20, "--timeout", TIMEOUT]
LAUNCHERS = {"accelerate": accelerate_on_cpu, "torchrun": torchrun}

launchers = pytest.mark.parametrize("launcher", ["accelerate", "torchrun"], scope="module")


def running(launch):
    """The process ids by rank, once the run is under way."""
    launch.wait_for("step 5 ")
    workers = launch.workers()
    assert set(workers) == {0, 1}
    return workers


def survivor_says(launch):
    """The one line of the process that is left."""
    (error,) = launch.errors
    assert "another process has gone, or has not answered" in error and "--resume" in error
    return error


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@launchers
def test_when_a_process_is_killed_the_others_end_at_once_and_say_why(tmp_path, launcher, rank):
    with Launch([*LAUNCHERS[launcher](*TRAINING), "--steps", 10**6, "--output", tmp_path / "run"], tmp_path) as launch:
        workers = running(launch)
        os.kill(workers[rank], signal.SIGKILL)
        taken = seconds_until(lambda: not is_running(workers[1 - rank]), AT_ONCE)
        assert launch.end(AT_ONCE) != 0
        print(f"the other process ended after {taken:.2f} s")
        survivor_says(launch)
        # The launcher names the one that was killed.
        cause = launch.said.partition("Root Cause")[2]
        assert re.search(rf"rank +: {rank} .*\n.*exitcode +: -9 \(pid: {workers[rank]}\)", cause), launch.said


@pytest.mark.slow
def test_when_the_launcher_of_one_process_is_told_to_stop_the_run_is_saved(tmp_path):
    # accelerate's launcher ends at once and passes nothing on.
    with Launch([*accelerate(*TRAINING), "--steps", 10**6, "--output", tmp_path / "run"], tmp_path) as launch:
        launch.wait_for("step 5 ")
        (process,) = children(launch.process.pid)
        launch.process.terminate()
        launch.process.wait(AT_ONCE)
        seconds_until(lambda: not is_running(process), AT_ONCE)
        (said,) = [line for line in launch.said.splitlines() if "stopped and saved after step" in line]
        step = said.split("after step ")[1].split(":")[0]
        assert (tmp_path / "run" / "checkpoints" / f"step-{step}" / "manifest.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@launchers
def test_when_a_process_does_not_answer_the_others_end_after_the_timeout(tmp_path, launcher, rank):
    with Launch([*LAUNCHERS[launcher](*TRAINING), "--steps", 10**6, "--output", tmp_path / "run"], tmp_path) as launch:
        workers = running(launch)
        os.kill(workers[rank], signal.SIGSTOP)
        taken = seconds_until(lambda: not is_running(workers[1 - rank]), TIMEOUT + BUSY)
        print(f"the other process ended after {taken:.2f} s")
        assert taken > TIMEOUT - 2, "this was not the timeout"
        assert f"has not answered for {TIMEOUT} s" in survivor_says(launch)
        assert launch.end(TORCH_WAITS + BUSY) != 0
        assert not is_running(workers[rank])


# --- restarted ---


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What two processes come to that nothing happens to."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    code, _, said = ended([*torchrun(*TRAINING), "--steps", STEPS, "--output", folder / "run"], folder)
    assert code == 0, said
    return last(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    "launch",
    [accelerate_on_cpu, torchrun, lambda *a: torchrun("--standalone", *a)],
    ids=["accelerate", "torchrun", "c10d"],
)
def test_restarted_processes_go_on_and_end_as_if_nothing_had_happened(tmp_path, launch, rank, uninterrupted):
    folder = tmp_path / "run"
    command = [*launch("--max_restarts", 2, *TRAINING), "--steps", STEPS, "--output", folder]
    with Launch(command, tmp_path) as started:
        started.wait_for("step 45 ")
        os.kill(started.workers()[rank], signal.SIGKILL)
        assert started.end() == 0, started.said
        assert f"resuming {folder} after step 40" in started.said or f"resuming {folder} after step 20" in started.said
    assert last(folder) == uninterrupted


@pytest.mark.slow
def test_restarts_without_a_folder_to_find_again_are_refused(tmp_path):
    code, errors, _ = ended([*torchrun("--max_restarts", 1, *TRAINING, processes=1), "--steps", 2], tmp_path)
    assert code != 0 and set(errors) == {
        "multigan: error: --max_restarts needs --output: a restarted run has to find its folder again"
    }
    assert not (tmp_path / "runs").exists()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def as_if_run(folder, *flags):
    """What a run with these flags leaves before its first checkpoint."""
    folder.mkdir()
    arguments = [*TRAINING, *flags]
    config.write(parse([*map(str, arguments[4:])], configure("image"), "multigan", ""), folder)
    (folder / "metrics.jsonl").write_text('{"step": 5}\n')
    return folder


@pytest.mark.parametrize(
    "flags",
    [["--r1", 0.25], ["--seed", 7]],
    ids=["settings", "seed"],
)
@pytest.mark.slow
def test_a_restarted_run_does_not_take_over_the_folder_of_another(tmp_path, flags):
    folder = as_if_run(tmp_path / "run", "--steps", 4)
    before = contents(folder)
    command = torchrun("--max_restarts", 1, *TRAINING, *flags, processes=1)
    code, errors, said = ended([*command, "--steps", 4, "--output", folder], tmp_path)
    assert code != 0 and len(errors) == 2, said
    assert "is not empty" in errors[0], said
    assert "is not empty" in errors[1] or "cannot be resumed with another seed" in errors[1], said
    assert contents(folder) == before
