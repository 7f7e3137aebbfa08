"""Launchers and their configuration files: what is trained with, and what is refused in one line, with the reason."""

import re

import numpy
import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from launching import (
    CPU_CONFIG,
    ROOT,
    TRAIN,
    accelerate,
    accelerate_on_cpu,
    ended,
    free_port,
    torchrun,
)
from outcome import last
from PIL import Image

RECIPE = ROOT / "recipes" / "image_dcgan.py"
FLAGS = [*TRAIN[4:], "--steps", "2"]
TWO = {"compute_environment": "LOCAL_MACHINE", "num_machines": 1, "num_processes": 2, "mixed_precision": "no"}


def refusal(command, folder, **options):
    """The one line of the error."""
    code, errors, said = ended([*command, "--output", folder / "run"], folder, **options)
    assert code != 0 and len(errors) == 1, said
    assert not (folder / "run").exists()
    return errors[0].partition("multigan: error: ")[2]


def trained(command, folder, **options):
    code, errors, said = ended([*command, "--output", folder / "run"], folder, **options)
    assert code == 0 and not errors, said
    assert "step-2" in last(folder / "run")
    return said


def written(folder, **settings):
    """A configuration file as `accelerate config` writes it."""
    file = folder / "accelerate.yaml"
    file.write_text(yaml.safe_dump({**TWO, **settings}))
    return file


# --- how many processes ---


@pytest.mark.slow
def test_two_processes_of_which_accelerate_starts_one_are_refused(tmp_path):
    command = accelerate("--cpu", "--num_processes", 2, *TRAIN)
    assert "several processes were asked for, and accelerate started one" in refusal(command, tmp_path, on_cpu=False)


@pytest.mark.slow
def test_torchrun_without_the_word_cpu_on_a_host_without_gpus_is_refused(tmp_path):
    found = refusal(torchrun(*TRAIN), tmp_path, on_cpu=False, CUDA_VISIBLE_DEVICES="")
    assert "2 processes were launched for GPUs, and this host has none" in found and "cpu.yaml" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        accelerate(RECIPE, *FLAGS),
        accelerate("--cpu", RECIPE, *FLAGS),
        accelerate("--num_processes", 1, RECIPE, *FLAGS),
        [accelerate()[0], RECIPE, *FLAGS],
    ],
    ids=["accelerate", "accelerate --cpu", "accelerate --num_processes 1", "python"],
)
def test_one_process_is_not_refused(tmp_path, command):
    trained(command, tmp_path, on_cpu=False)


@pytest.mark.slow
def test_torchrun_on_the_cpu_trains_as_accelerate_does(tmp_path):
    folders = [tmp_path / name for name in ("torchrun", "accelerate")]
    for folder, launcher in zip(folders, (torchrun, accelerate_on_cpu), strict=True):
        folder.mkdir()
        trained(launcher(*TRAIN, "--steps", 2), folder)
    one, other = (last(folder / "run") for folder in folders)
    assert one == other


# --- ways of training that are refused ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 1}}, "FSDP is asked for"),
        (
            {"distributed_type": "MULTI_GPU", "dynamo_config": {"dynamo_backend": "INDUCTOR"}},
            "torch.compile is asked for (dynamo_backend)",
        ),
        (
            {"distributed_type": "MEGATRON_LM", "megatron_lm_config": {"megatron_lm_tp_degree": 1}},
            "Megatron-LM is asked for",
        ),
        (
            {
                "distributed_type": "FSDP",
                "fsdp_config": {"fsdp_version": 2},
                "parallelism_config": {"parallelism_config_tp_size": 2},
            },
            "is asked for, and it does not support two networks with second derivatives",
        ),
    ],
    ids=["FSDP", "torch.compile", "Megatron-LM", "tensor parallelism"],
)
def test_what_two_networks_cannot_be_trained_with_is_refused(tmp_path, settings, reason):
    command = accelerate("--config_file", written(tmp_path, **settings), "--main_process_port", free_port(), *TRAIN)
    assert reason in refusal(command, tmp_path)


@pytest.mark.slow
def test_deepspeed_is_refused(tmp_path):
    settings = {"distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 2}}
    file = written(tmp_path, **settings)
    # Where it is not installed, accelerate's launcher says so and starts nothing.
    code, errors, said = ended(accelerate("--config_file", file, *TRAIN), tmp_path)
    assert code != 0 and (errors or "DeepSpeed is not installed" in said), said
    # Where it is, this is what the launcher tells the processes.
    assert "DeepSpeed is asked for" in refusal(torchrun(*TRAIN), tmp_path, ACCELERATE_USE_DEEPSPEED="true")


@pytest.mark.slow
def test_fp8_is_refused(tmp_path):
    file = written(tmp_path, distributed_type="MULTI_GPU", mixed_precision="fp8")
    command = accelerate("--config_file", file, "--main_process_port", free_port(), *TRAIN)
    code, errors, said = ended(command, tmp_path)
    assert code != 0 and (errors or "FP8 is not available on this machine" in said), said
    assert "fp8 is not supported" in refusal(torchrun(*TRAIN), tmp_path, ACCELERATE_MIXED_PRECISION="fp8")


@pytest.mark.slow
def test_a_tpu_is_refused(tmp_path):
    code, errors, said = ended(accelerate("--tpu", "--main_training_function", "main", RECIPE, *FLAGS), tmp_path)
    assert code != 0 and (errors or "torch_xla" in said), said


@pytest.mark.slow
def test_accumulation_by_accelerate_is_refused(tmp_path):
    command = accelerate_on_cpu("--gradient_accumulation_steps", 4, *TRAIN)
    found = refusal(command, tmp_path, ACCELERATE_GRADIENT_ACCUMULATION_STEPS="4")
    assert "gradient accumulation is set by --micro_batches" in found


# --- precision ---


@pytest.mark.slow
def test_half_precision_on_a_processor_is_refused(tmp_path):
    assert "fp16" in refusal(accelerate("--cpu", "--mixed_precision", "fp16", *TRAIN, "--steps", 2), tmp_path)


@pytest.mark.slow
def test_the_configuration_for_processors_trains_and_takes_bfloat16(tmp_path):
    said = trained(accelerate_on_cpu("--mixed_precision", "bf16", *TRAIN, "--steps", 2), tmp_path)
    assert re.search(r"training in \S+ on cpu", said)


# --- the configuration files that come with multigan ---


@pytest.mark.parametrize("file", [ROOT / "accelerate_config.yaml", *sorted(CPU_CONFIG.parent.iterdir())], ids=str)
def test_configuration_files_load_as_their_comments_say(file):
    loaded = load_config_from_file(str(file))
    given = yaml.safe_load(file.read_text())
    assert given["distributed_type"] == "MULTI_GPU" and loaded.mixed_precision == "no"
    assert {name: getattr(loaded, name) for name in given} == given  # its enumerations are words too
    several_hosts = file.name == "multi_host.yaml"
    assert loaded.num_machines == (2 if several_hosts else 1)
    assert loaded.num_processes == (16 if several_hosts else 2)
    if several_hosts:
        assert (loaded.machine_rank, loaded.main_process_ip, loaded.main_process_port) == (0, "10.0.0.1", 29500)
        assert loaded.rdzv_backend == "static" and loaded.same_network


@pytest.mark.parametrize("file", [ROOT / "accelerate_config.yaml", *sorted(CPU_CONFIG.parent.iterdir())], ids=str)
def test_the_commands_in_configuration_files_name_them(file):
    commands = [line for line in file.read_text().splitlines() if "accelerate launch" in line]
    assert len(commands) == 1 and f"--config_file {file.relative_to(ROOT)}" in commands[0]


# --- processes that do not agree ---

DIFFERENT = """
import os, sys
from multigan.cli import main
rank = int(os.environ["RANK"])
os.chdir(f"host-{rank}")
sys.argv = [sys.argv[0], *sys.argv[1:], *os.environ["DIFFERENT"].split("|")[rank].split()]
main()
"""


def differing(folder, *flags, first="", second=""):
    """The errors of two processes that each have a working folder, and flags, of their own."""
    for rank in (0, 1):
        (folder / f"host-{rank}").mkdir(exist_ok=True)
    (folder / "different.py").write_text(DIFFERENT)
    command = torchrun(folder / "different.py", *TRAIN[2:], "--timeout", 15, "--output", folder / "run", *flags)
    code, errors, said = ended(command, folder, DIFFERENT=f"{first}|{second}")
    assert code != 0, said
    assert not (folder / "run").exists()
    return errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("--seed 0", "--seed 1", "disagree on seed: it is 0 in the first and 1 in number 1"),
        ("--r1 0", "--r1 1", "disagree on r1: it is 0.0 in the first and 1.0"),
        ("--log_every 2", "--log_every 3", "disagree on log_every: it is 2 in the first"),
        ("--model.latent_dim 4", "--model.latent_dim 5", "disagree on model.latent_dim: it is 4"),
    ],
    ids=["seed", "r1", "log_every", "networks"],
)
def test_processes_that_are_configured_differently_are_refused(tmp_path, first, second, reason):
    (error,) = differing(tmp_path, "--steps", 12, first=first, second=second)
    assert reason in error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "plain"])
def test_hosts_whose_folders_of_the_same_name_differ_are_refused(tmp_path, kind):
    for rank in (0, 1):
        pictures = tmp_path / f"host-{rank}" / "pictures"
        pictures.mkdir(parents=True)
        generator = numpy.random.default_rng(rank)
        for number in range(32):
            noise = generator.integers(0, 256, (16, 16)).astype(numpy.uint8)
            plain = numpy.full((16, 16), 100 * rank + number, numpy.uint8)
            Image.fromarray({"noise": noise, "plain": plain}[kind]).save(pictures / f"{number:02d}.png")
    (error,) = differing(tmp_path, "--dataset", "pictures", "--steps", 2)
    assert "disagree on the hash of the first batch: it is" in error
