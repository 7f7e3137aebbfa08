"""Where the processes of one attempt meet, when a launcher restarts them."""

import time
import uuid
from datetime import timedelta
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from multigan.errors import UserError

PAUSE = 0.05  # seconds between two looks


def rendezvous_arguments(timeout: int) -> dict[str, Any]:
    """Where the processes of this attempt meet, as arguments for `init_process_group`.

    A launcher that restarts the processes gives them the store of the attempt before, where they would read the
    addresses of processes that have ended. So they meet in a part of it that is theirs alone.
    """
    store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
    store = PrefixStore("multigan", store)
    attempt = PrefixStore(agree_on_attempt(store, rank, size, timeout), store)
    return {"store": attempt, "rank": rank, "world_size": size}


def agree_on_attempt(store: Store, rank: int, size: int, timeout: int) -> str:
    """A word that the processes of this attempt have in common, and those of no other.

    The number of restarts would not do: each host counts its own. So each process makes up a word, and the first
    writes them all down, again and again, until every process has found its own among those written down.

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
