"""Graceful stopping: on Ctrl-C or SIGTERM the step is finished and the run is saved before it ends."""

import os
import signal
import threading
from types import FrameType
from typing import Any, Self


class Stop:
    """Catches Ctrl-C and SIGTERM while it is entered; a second Ctrl-C leaves at once.

    A launcher that is gone counts as SIGTERM: with one process, accelerate's ends without passing the signal on.

    Attributes:
        signal: The signal that came, 0 while none has.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.launcher = os.getppid() if "ACCELERATE_MIXED_PRECISION" in os.environ else None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> int:
        """The signal that asks to stop, 0 if there is none."""
        if not self.signal and self.launcher not in (None, os.getppid()):
            self._receive(signal.SIGTERM, None)
        return self.signal

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.signal:
            raise KeyboardInterrupt
        if not self.signal:
            self.signal = number
            if os.environ.get("LOCAL_RANK", "0") == "0":
                hint = b"; Ctrl-C once more leaves at once" if number == signal.SIGINT else b""
                # Not print(), which must not be interrupted by another print().
                os.write(2, b"\nstopping after this step, and saving" + hint + b"\n")
