"""Checkpoints come back bit for bit, are complete or absent, and survive a full disk and a damaged one."""

import copy
import json
import resource
import threading

import pytest
import torch
from torch import nn

from multigan import files
from multigan.engine import checkpoint
from multigan.errors import UserError

STATE = {"step": 3, "seconds": 1.5, "scaler": None, "meter": {"sums": {"loss": 0.1}, "count": 2}}


def tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {"generator": {"weight": torch.randn(3, 4, generator=generator)}, "average": {"count": torch.tensor(seed)}}


def contents(folder):
    """Every file under a folder, by its path in it."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_tensors_and_state_come_back_bit_for_bit(tmp_path):
    odd = torch.tensor([0.1, -0.0, float("inf"), float("nan"), 1e-45])
    given = {
        "generator": {
            "float": odd,
            "half": odd.bfloat16(),
            "counter": torch.tensor(7),
            "channels_last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
            "transposed": torch.randn(3, 5).t(),
            "none": torch.empty(0, 3),
        },
        "empty": {},
    }
    path = checkpoint.save(tmp_path / "checkpoints", 3, given, STATE)
    assert path == tmp_path / "checkpoints" / "step-3"
    found, state = checkpoint.load(path)
    assert state == STATE
    assert found.keys() == given.keys()
    for name, values in given.items():
        assert found[name].keys() == values.keys()
        for key, value in values.items():
            assert found[name][key].dtype == value.dtype
            torch.testing.assert_close(found[name][key], value, rtol=0, atol=0, equal_nan=True)


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Unequal sides, so that one layout taken for the other cannot go unnoticed.
        layers = nn.Sequential(nn.Conv2d(3, 5, (2, 3)), nn.BatchNorm2d(5), nn.Conv2d(5, 2, 2))
    return layers.to(memory_format=torch.channels_last)


def adam(network):
    return torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.5, 0.9), fused=True)


def learn(network, optimizer, steps):
    for step in steps:
        samples = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(step))
        network(samples.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_restored_optimizer_steps_as_the_one_that_never_stopped(tmp_path):
    whole, resumed = network(), network()
    whole_optimizer, resumed_optimizer = adam(whole), adam(resumed)
    assert whole[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not whole[0].weight.is_contiguous()
    learn(whole, whole_optimizer, range(3))
    given = {
        "network": files.network_tensors(whole),
        "optimizer": checkpoint.optimizer_tensors(whole_optimizer),
    }
    found, _ = checkpoint.load(checkpoint.save(tmp_path, 3, given, {}))
    resumed.load_state_dict(found["network"])
    checkpoint.restore_optimizer(resumed_optimizer, found["optimizer"])
    for steps in (range(3, 4), range(4, 6)):
        learn(whole, whole_optimizer, steps)
        learn(resumed, resumed_optimizer, steps)
        for (name, value), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
            assert torch.equal(value, other), name
    for name, value in checkpoint.optimizer_tensors(whole_optimizer).items():
        assert torch.equal(checkpoint.optimizer_tensors(resumed_optimizer)[name], value), name


def test_an_optimizer_before_its_first_step_comes_back(tmp_path):
    fresh = network()
    found, _ = checkpoint.load(
        checkpoint.save(tmp_path, 0, {"optimizer": checkpoint.optimizer_tensors(adam(fresh))}, {})
    )
    optimizer = adam(fresh)
    checkpoint.restore_optimizer(optimizer, found["optimizer"])
    expected = copy.deepcopy(fresh)
    learn(fresh, optimizer, range(1))
    learn(expected, adam(expected), range(1))
    assert torch.equal(fresh[0].weight, expected[0].weight)


def test_restoring_keeps_the_settings_of_the_optimizer(tmp_path):
    # They come from the configuration, which may have changed since.
    trained = network()
    optimizer = adam(trained)
    learn(trained, optimizer, range(1))
    other = torch.optim.Adam(trained.parameters(), lr=0.5, betas=(0.1, 0.2), fused=True)
    checkpoint.restore_optimizer(other, checkpoint.optimizer_tensors(optimizer))
    assert [(group["lr"], group["betas"]) for group in other.param_groups] == [(0.5, (0.1, 0.2))]


# --- damage ---


@pytest.mark.parametrize("name", ["generator.safetensors", "average.safetensors", "state.json"])
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=["first", "middle", "last"])
def test_a_damaged_byte_is_found(tmp_path, name, place):
    path = checkpoint.save(tmp_path, 1, tensors(), STATE)
    assert checkpoint.damage(path) is None
    damaged = bytearray((path / name).read_bytes())
    damaged[int(len(damaged) * place) if place != -1 else -1] ^= 1
    (path / name).write_bytes(damaged)
    assert name in checkpoint.damage(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 3, "xxh3_128": {"generator.saf', '{"format": 3}'])
def test_a_damaged_manifest_is_found(tmp_path, text):
    path = checkpoint.save(tmp_path, 1, tensors(), STATE)
    (path / checkpoint.MANIFEST).write_text(text)
    assert checkpoint.MANIFEST in checkpoint.damage(path)


@pytest.mark.parametrize("name", ["generator.safetensors", "state.json"])
def test_a_missing_file_is_found(tmp_path, name):
    path = checkpoint.save(tmp_path, 1, tensors(), STATE)
    (path / name).unlink()
    assert name in checkpoint.damage(path)


@pytest.mark.parametrize(("format", "advice"), [(checkpoint.FORMAT + 1, "update multigan"), (1, "use that version")])
def test_another_version_is_no_damage_but_refused(tmp_path, format, advice):
    # Whatever else is in it: another version may write other files and other hashes.
    path = checkpoint.save(tmp_path, 1, tensors(), STATE)
    (path / checkpoint.MANIFEST).write_text(json.dumps({"format": format, "multigan": "9.8.7"}))
    with pytest.raises(UserError, match=f"multigan 9.8.7.*{advice}"):
        checkpoint.damage(path)


# --- in the background ---


def test_a_writer_writes_one_after_the_other_and_raises_what_went_wrong():
    writer, written = checkpoint.Writer(), []
    go_on = threading.Event()

    def slow():
        go_on.wait(10)
        written.append("slow")

    def fail():
        raise UserError("the disk is full")

    writer.submit(slow)
    assert written == [], "it does not wait"
    go_on.set()
    writer.submit(lambda: written.append("quick"))
    writer.submit(fail)
    with pytest.raises(UserError, match="the disk is full"):
        writer.wait()
    assert written == ["slow", "quick"]
    writer.wait()  # raised once


# --- complete or absent ---


def test_a_folder_without_a_manifest_is_not_complete(tmp_path):
    first = checkpoint.save(tmp_path, 1, tensors(), STATE)
    second = checkpoint.save(tmp_path, 2, tensors(), STATE)
    (second / checkpoint.MANIFEST).unlink()
    assert checkpoint.complete(tmp_path) == [first]


def test_what_an_interrupted_save_left_is_not_complete_and_is_cleaned(tmp_path):
    kept = checkpoint.save(tmp_path, 1, tensors(), STATE)
    litter = tmp_path / f"{files.ASIDE}step-2"
    kept_files = contents(kept)
    litter.mkdir()
    # Even the manifest is there: the process ended just before the folder took its name.
    for name, content in kept_files.items():
        (litter / name).write_bytes(content)
    assert checkpoint.complete(tmp_path) == [kept]
    files.clean(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    assert contents(kept) == kept_files


def test_nothing_is_complete_where_there_is_no_folder(tmp_path):
    assert checkpoint.complete(tmp_path / "none") == []
    files.clean(tmp_path / "none")


def test_the_last_three_are_kept_in_the_order_of_their_numbers(tmp_path):
    for step in (8, 9, 10, 11, 100):
        checkpoint.save(tmp_path, step, tensors(step), STATE)
    assert [path.name for path in checkpoint.complete(tmp_path)] == ["step-10", "step-11", "step-100"]
    assert len(list(tmp_path.iterdir())) == 3
    found, _ = checkpoint.load(tmp_path / "step-11")
    assert found["average"]["count"].item() == 11


def test_a_step_saved_again_replaces_the_first(tmp_path):
    checkpoint.save(tmp_path, 1, tensors(0) | {"extra": {"weight": torch.ones(1)}}, STATE)
    found, _ = checkpoint.load(checkpoint.save(tmp_path, 1, tensors(5), STATE))
    assert found.keys() == {"generator", "average"}
    assert found["average"]["count"].item() == 5


# --- a full disk ---


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_litter(tmp_path, monkeypatch, fails_at):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, tensors(), STATE)
    before, calls, save_file = contents(tmp_path), [], checkpoint.save_file

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        save_file(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(UserError, match="No space left on device"):
        checkpoint.save(tmp_path, 4, tensors(), STATE)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_really_cannot_be_written_is_the_same_error(tmp_path):
    """As the library reports it, not as one would think that it does."""
    checkpoint.save(tmp_path, 1, tensors(), STATE)
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # bytes in a file: what a disk with 4 KB left does
    try:
        with pytest.raises(UserError, match="cannot write a checkpoint"):
            checkpoint.save(tmp_path, 2, {"generator": {"weight": torch.zeros(10_000)}}, STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write a checkpoint"):
        checkpoint.save(tmp_path / "file" / "checkpoints", 1, tensors(), STATE)
