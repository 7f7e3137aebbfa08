"""A disk that is full, or cannot be written, stops a run with one line; what was saved before is whole and goes on."""

import contextlib
import shlex
import shutil
import subprocess
import sys

import pytest
from outcome import Result, everything, outcome
from process import TINY

from multigan import configure
from multigan.engine import checkpoint
from multigan.training import run

SIZE = 4 * 2**20
PAGE = 4096  # what the smallest file takes on a tmpfs
UNSHARE = (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"])  # as root, and as anybody


class Disk:
    """A small disk, a tmpfs in a mount namespace: only commands that are run by this shell see it.

    Attributes:
        place: Where those commands find it.
    """

    def __init__(self, room, size):
        self.place = room / "disk"
        self.place.mkdir()
        self.room = room
        for namespace in UNSHARE:
            self.shell = subprocess.Popen(
                [*namespace, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            with contextlib.suppress(BrokenPipeError):
                mounted = self.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.place)
                if mounted.code == 0:
                    return
            self.close()
        pytest.skip("no mount namespace can be had here, as root or otherwise")

    def run(self, *command):
        """Run a command to its end."""
        out, err = self.room / "out.txt", self.room / "err.txt"
        line = f"{shlex.join(map(str, command))} >{shlex.quote(str(out))} 2>{shlex.quote(str(err))}; echo $?\n"
        self.shell.stdin.write(line)
        self.shell.stdin.flush()
        code = self.shell.stdout.readline()
        if not code:
            raise BrokenPipeError
        return Result(int(code), out.read_text(), err.read_text())

    def multigan(self, *arguments):
        return self.run(sys.executable, "-m", "multigan", *arguments)

    def train(self, *flags):
        return self.multigan("train", "image", *TINY, *flags)

    def fill(self, size):
        """Take so many bytes away, by a file called filler."""
        (self.room / "filler").write_bytes(bytes(size))
        assert self.run("cp", self.room / "filler", self.place).code == 0

    def copy(self, name):
        """A copy of what is on the disk under a name, for all to see, with its times."""
        target = self.room / f"copy of {name}"
        shutil.rmtree(target, ignore_errors=True)
        assert self.run("cp", "-a", self.place / name, target).code == 0
        return target

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.shell.stdin.close()
        self.shell.stdout.close()
        self.shell.stderr.close()
        self.shell.wait()


@pytest.fixture
def disk(tmp_path):
    """``disk(size)`` -> a disk of so many bytes."""
    with contextlib.ExitStack() as stack:
        yield lambda size: stack.enter_context(contextlib.closing(Disk(tmp_path, size)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happens to: four steps, a checkpoint after each."""
    fields = {"steps": 4, "batch_size": 32, "log_every": 1, "checkpoint_every": 1, "tracker": "none"}
    fields["learning_rate_schedule"] = "constant"
    model = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "latent_dim": 4}
    return run.train(configure("image", output=str(tmp_path_factory.mktemp("whole") / "run"), model=model, **fields))


def pages(folder):
    """What a folder takes on a tmpfs."""
    return sum(-(-file.stat().st_size // PAGE) * PAGE for file in folder.rglob("*") if file.is_file())


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_full_disk_stops_the_run_with_one_line_and_with_room_it_goes_on_to_the_same_end(disk, whole, tmp_path):
    one, model = pages(whole / "checkpoints" / "step-4"), pages(whole / "model")
    # Beside config.yaml and metrics.jsonl there is room for one checkpoint, the model and half a checkpoint.
    small, folder = disk(SIZE), tmp_path / "disk" / "run"
    small.fill(SIZE - (2 * PAGE + one + model + one // 2))
    found = small.train("--output", folder, "--steps", 4, "--checkpoint_every", 1)
    message = f"cannot write a checkpoint into {folder}/checkpoints/step-2: "
    assert found.error.startswith(message) and "No space left on device" in found.error
    left = small.copy("run")
    assert names(left) == {"config.yaml", "metrics.jsonl", "samples", "checkpoints", "model"}
    assert names(left / "checkpoints") == {"step-1"}
    assert checkpoint.damage(left / "checkpoints" / "step-1") is None

    # Still full: the same again, and nothing is lost.
    assert small.multigan("train", "image", "--resume", folder).error.startswith(message)
    again = small.copy("run")
    assert everything(again / "checkpoints") == everything(left / "checkpoints")

    assert small.run("rm", small.place / "filler").code == 0
    found = small.multigan("train", "image", "--resume", folder)
    assert found.code == 0 and f"resuming {folder} after step 1" in found.out, found
    end = small.copy("run")
    assert names(end) == names(left) and names(end / "checkpoints") == {"step-2", "step-3", "step-4"}
    assert outcome(end) == outcome(whole)


@pytest.mark.slow
def test_last_save_that_does_not_fit_is_an_error_too(disk, whole):
    # It is written in the background, and nothing comes after it that could notice.
    # Beside config.yaml, metrics.jsonl, the preview and the model there is room for half of it.
    small = disk(
        2 * PAGE + sum(map(pages, (whole / "samples", whole / "model"))) + pages(whole / "checkpoints" / "step-4") // 2
    )
    found = small.train("--output", small.place / "run", "--steps", 1)
    assert "cannot write a checkpoint" in found.error and "generate:" not in found.out
    left = small.copy("run")
    assert names(left) == {"config.yaml", "metrics.jsonl", "samples", "checkpoints", "model"}
    assert not names(left / "checkpoints")


@pytest.mark.slow
def test_disk_without_any_room_is_one_line(disk):
    full = disk(PAGE)
    full.fill(PAGE)
    assert "No space left on device" in full.train("--output", full.place / "run", "--steps", 1).error


@pytest.mark.slow
def test_run_folder_that_cannot_be_written_is_refused_and_unchanged(disk, whole):
    sealed = disk(SIZE)
    sealed.run("cp", "-a", whole, sealed.place / "run")
    assert sealed.run("mount", "-o", "remount,bind,ro", sealed.place).code == 0
    before = everything(sealed.copy("run"))
    folder = sealed.place / "run"
    found = sealed.multigan("train", "image", "--resume", folder, "--steps", 6)
    assert found.error == f"cannot write the run folder {folder}: Read-only file system"
    found = sealed.train("--output", sealed.place / "new", "--steps", 1)
    assert found.error == f"cannot write the run folder {sealed.place / 'new'}: Read-only file system"
    assert everything(sealed.copy("run")) == before
    assert outcome(sealed.copy("run")) == outcome(whole)
