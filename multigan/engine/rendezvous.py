"""The rendezvous of processes that a launcher has restarted."""

import time
import uuid
from datetime import timedelta
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from multigan.errors import UserError

PAUSE = 0.05  # seconds between two looks


def rendezvous_arguments(timeout: int) -> dict[str, Any]:
    """Arguments for `init_process_group` by which the processes of this attempt find each other.

    A launcher that restarts processes gives them the store of the previous attempt, with the addresses of processes
    that have ended. So each attempt uses a part of the store of its own.
    """
    store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
    store = PrefixStore("multigan", store)
    attempt = PrefixStore(agree_on_attempt(store, rank, size, timeout), store)
    return {"store": attempt, "rank": rank, "world_size": size}


def agree_on_attempt(store: Store, rank: int, size: int, timeout: int) -> str:
    """A key shared by the processes of this attempt and by no others.

    The number of restarts would not do, because each host counts its own. So each process publishes a random word, and
    the first process publishes the list of them, repeatedly, until every process has found its own in it.

    Raises:
        UserError: Some have not come in time; the first process says which.
    """

    def read(name: str) -> str:
        return store.get(name).decode() if store.check([name]) else ""

    own, end = uuid.uuid4().hex, time.monotonic() + timeout
    missing: list[str] = []
    store.set(f"word {rank}", own)
    while own not in read("agreed"):
        if rank == 0:
            words = " ".join(read(f"word {number}") for number in range(size))
            missing = [str(number) for number in range(size) if read(f"seen {number}") != words]
            store.set("words" if missing else "agreed", words)
        words = read("words")
        if own in words:
            store.set(f"seen {rank}", words)
        if time.monotonic() > end:
            who = ", ".join(number for number in missing if number != "0") or "unknown to this one"
            raise UserError(f"not all processes have come within {timeout} s; missing: {who}")
        time.sleep(PAUSE)
    return read("agreed")
