"""configs/slurm.sh, run with stand-ins for SLURM's commands: what it launches, what it goes on with, how it stops."""

import os
import signal
import subprocess

import pytest
from accelerate.commands.launch import launch_command_parser
from launching import ROOT, TINY, free_port, seconds_until
from outcome import last

SCRIPT = ROOT / "configs" / "slurm.sh"
# A node for each number; as the real one does, it hands SIGTERM on and ends when its tasks have.
SRUN = """#!/bin/bash
trap 'kill -TERM $(jobs -p)' TERM
for node in $(seq 0 $((SLURM_NNODES - 1))); do SLURM_NODEID=$node "$@" & tasks+=($!); done
code=0
for task in "${tasks[@]}"; do
    wait "$task"; ended=$?
    while kill -0 "$task" 2> /dev/null; do wait "$task"; ended=$?; done
    [ "$ended" -eq 0 ] || code=$ended
done
exit $code
"""
SCONTROL = """#!/bin/bash
echo "$@" >> scontrol.log
if [ "$1" = show ]; then printf 'localhost\\nother\\n'; fi
"""
# Writes down what it was given, an argument a line, and ends as LAUNCHER says.
ACCELERATE = """#!/bin/bash
printf '%s\\n' "$@" > "arguments-$SLURM_NODEID"
eval "$LAUNCHER"
"""


@pytest.fixture
def cluster(tmp_path):
    """A folder like that of a job: the script's configuration files, and commands under the names of SLURM's."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "accelerate": ACCELERATE}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return tmp_path


def job(cluster, *arguments, nodes=2, launcher="true", number=7):
    environment = {
        **os.environ,
        "PATH": f"{cluster / 'commands'}:{os.environ['PATH']}",
        "LAUNCHER": launcher,
        "SLURM_JOB_ID": str(number),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NNODES": str(nodes),
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_RESTART_COUNT": "0",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        ["bash", SCRIPT, *map(str, arguments)],
        cwd=cluster,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process, seconds=120):
    """The exit code, after printing what was said."""
    try:
        print(process.communicate(timeout=seconds)[0])
        return process.returncode
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def launched(cluster, node):
    """What the launcher on a node was given, as accelerate reads it."""
    arguments = (cluster / f"arguments-{node}").read_text().splitlines()
    assert arguments[0] == "launch"
    return launch_command_parser().parse_args(arguments[1:])


def asked(cluster):
    """What scontrol was asked for."""
    return (cluster / "scontrol.log").read_text().splitlines()


def test_the_script_is_one_that_bash_takes():
    assert subprocess.run(["bash", "-n", SCRIPT], capture_output=True, text=True).stderr == ""


def test_every_line_is_explained():
    lines = SCRIPT.read_text().splitlines()
    closing, inside = ("else", "fi", "}", ")"), False
    for number, line in enumerate(lines[1:], 2):
        words = line.strip()
        if inside or not words or words in closing or (words.startswith("#") and not words.startswith("#SBATCH")):
            inside = inside and words != ")"
            continue
        before = lines[number - 2].strip()
        explained = before.startswith("#") and not before.startswith(("#SBATCH", "#!"))
        assert explained, f"line {number} has no comment before it: {line}"
        inside = words.endswith("=(")


@pytest.mark.parametrize("nodes", [1, 2])
def test_each_node_has_a_launcher_that_knows_its_place(cluster, nodes):
    process = job(cluster, "recipes/image_dcgan.py", "--steps", 3, "--dataset", "a folder", nodes=nodes)
    assert finished(process) == 0
    for node in range(nodes):
        given = launched(cluster, node)
        assert given.machine_rank == node
        assert (given.num_machines, given.num_processes) == (nodes, nodes)
        assert (given.main_process_ip, given.main_process_port) == ("localhost", 20007)
        assert given.config_file == "configs/accelerate/multi_host.yaml"
        assert given.training_script == "recipes/image_dcgan.py"
        own = ["--steps", "3", "--dataset", "a folder", "--output", "runs/slurm-7"]
        assert given.training_script_args == own
    assert not (cluster / f"arguments-{nodes}").exists()
    assert asked(cluster) == ["show hostnames node[1-2]"]


def test_a_job_that_comes_back_goes_on_with_its_run(cluster):
    checkpoint = cluster / "runs" / "slurm-7" / "checkpoints" / "step-5"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").touch()
    assert finished(job(cluster, "-m", "multigan", "train", "image")) == 0
    given = launched(cluster, 1)
    assert given.module and given.training_script_args[-2:] == ["--resume", "runs/slurm-7"]
    assert "--output" not in given.training_script_args
    # Another job has a run of its own.
    assert finished(job(cluster, "-m", "multigan", "train", "image", number=8)) == 0
    assert launched(cluster, 1).training_script_args[-2:] == ["--output", "runs/slurm-8"]


def test_a_run_without_a_checkpoint_is_moved_away(cluster):
    begun = cluster / "runs" / "slurm-7"
    (begun / "checkpoints" / ".writing-step-5").mkdir(parents=True)
    (begun / "config.yaml").write_text("kept")
    assert finished(job(cluster, "recipe.py")) == 0
    assert launched(cluster, 0).training_script_args == ["--output", "runs/slurm-7"]
    (moved,) = (cluster / "runs").iterdir()
    assert moved.name.startswith("slurm-7-begun-") and (moved / "config.yaml").read_text() == "kept"


TAKES_ITS_TIME = (
    "trap 'sleep 0.5; touch saved-$SLURM_NODEID; exit {code}' TERM; touch begun-$SLURM_NODEID; "
    "while :; do sleep 0.05; done"
)


@pytest.mark.parametrize(("code", "goes_back"), [(143, True), (0, False)], ids=["in the middle", "at its last step"])
def test_a_job_told_to_stop_waits_until_it_is_saved_and_goes_back_into_the_queue(cluster, code, goes_back):
    process = job(cluster, "recipe.py", launcher=TAKES_ITS_TIME.format(code=code))
    for node in range(2):  # each listens for the signal by then
        seconds_until((cluster / f"begun-{node}").exists, 20)
    process.send_signal(signal.SIGTERM)  # to the script alone, as --signal=B: has it
    assert finished(process, 20) == code
    assert (cluster / "saved-0").exists() and (cluster / "saved-1").exists()
    assert ("requeue 7" in asked(cluster)) == goes_back


def test_a_job_that_fails_does_not_go_back_into_the_queue(cluster):
    assert finished(job(cluster, "recipe.py", launcher="exit 2")) == 2
    assert not any(line.startswith("requeue") for line in asked(cluster))


@pytest.mark.slow
def test_two_nodes_train_stop_and_go_on(cluster):
    """With the real launcher, both nodes on this machine: as told, stopped in the middle, and gone on with."""
    (cluster / "commands" / "accelerate").unlink()
    number = free_port() % 10000  # the port that the script makes of it is free too, most likely
    flags = ("-m", "multigan", "train", "image", *TINY, "--log_every", 5, "--checkpoint_every", 1000)
    process = job(cluster, *flags, "--steps", 2000, number=number)
    folder = cluster / "runs" / f"slurm-{number}"
    seconds_until((folder / "metrics.jsonl").exists, 180)
    seconds_until(lambda: (folder / "metrics.jsonl").read_text().count("\n") >= 2, 180)
    process.send_signal(signal.SIGTERM)
    assert finished(process) != 0
    assert f"requeue {number}" in asked(cluster)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    step = int(checkpoint.name.removeprefix("step-"))
    process = job(cluster, *flags, "--steps", step + 5, number=number)
    assert finished(process) == 0
    assert f"step-{step + 5}" in last(folder)
