"""Writing files: folders and files atomically, weights as safetensors needs them, samples one by one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from multigan.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

ASIDE = ".writing-"
BEFORE = ".before-"


@contextmanager
def written_whole(folder: Path, what: str) -> Iterator[Path]:
    """A new folder to write into, which then replaces ``folder`` atomically: synced to the disk and renamed.

    Args:
        folder: Where it will be; an existing folder is replaced.
        what: What it holds, for the error: "the model", say.

    Raises:
        UserError: The disk is full or cannot be written; ``folder`` is as it was.
    """
    aside, before = folder.with_name(ASIDE + folder.name), folder.with_name(BEFORE + folder.name)
    try:
        if folder.parent.is_dir():
            clean(folder.parent, folder.name)
        aside.mkdir(parents=True)
        yield aside
        for path in (*aside.iterdir(), aside):
            sync(path)
        if folder.exists():
            folder.rename(before)
        aside.rename(folder)
        sync(folder.parent)
        shutil.rmtree(before, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write {what} into {folder}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            clean(folder.parent, folder.name)


def lock(folder: Path) -> int:
    """Lock a folder for this process, until the returned descriptor is closed or the process ends.

    Raises:
        UserError: Another process has locked it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise UserError(f"{folder} is in use: another process trains in it") from error
        raise
    return descriptor


def write_text(file: Path, text: str) -> None:
    """Replace a small file atomically."""
    aside = file.with_name(ASIDE + file.name)
    try:
        aside.write_text(text)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)


def clean(folder: Path, name: str = "*") -> None:
    """Remove what an interrupted write of a folder of that name left behind, or put back what it had moved away."""
    for litter in folder.glob(ASIDE + name):
        shutil.rmtree(litter) if litter.is_dir() else litter.unlink()
    for before in folder.glob(BEFORE + name):
        target = folder / before.name.removeprefix(BEFORE)
        if target.exists():
            shutil.rmtree(before)
        else:
            before.rename(target)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the weights and buffers; tied weights share memory, which a file cannot."""
    return {name: cpu_copy(value) for name, value in network.state_dict().items()}


def cpu_copy(value: Tensor) -> Tensor:
    """A copy on the CPU, in the plain layout of a file."""
    import torch  # here, because settings are read without it

    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def write_numbered(
    batches: Iterable[Tensor], folder: Path, ending: str, write: Callable[[Tensor, list[Path]], None]
) -> list[Path]:
    """One file a sample, numbered from 000000; a batch is written while the next one is made, where cores are free.

    Args:
        batches: Samples ``(B, *S)``.
        folder: Where to.
        ending: Of the files, with the dot.
        write: ``(samples, files)``, as many of one as of the other: called in threads, for a few at a time, or here.
    """
    files: list[Path] = []
    writing: list[Future[None]] = []
    # The processes of this host share its cores, and each leaves one to the network: more writers would only take turns
    # with it.
    writers = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1
    with ThreadPoolExecutor(writers) if writers > 0 else contextlib.nullcontext() as pool:
        for batch in batches:
            for future in writing:
                future.result()
            names = [folder / f"{number:06d}{ending}" for number in range(len(files), len(files) + len(batch))]
            files += names
            if pool is None:
                write(batch, names)
            else:
                writing = [pool.submit(write, batch[i : i + 8], names[i : i + 8]) for i in range(0, len(batch), 8)]
        for future in writing:
            future.result()
    return files
