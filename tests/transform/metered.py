"""What processes spend while something lasts: processor time, memory and the clock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import psutil

#: A process that lives shorter than this may not be seen at all.
SECONDS_BETWEEN_LOOKS = 0.25


@dataclass
class Meter:
    """Looks again and again at every process that this one started, near or far, as a Java machine
    outlives or is outlived by who started it and nobody adds up its time.

    seconds: of the wall. peak_gb: the most memory that all of them held together.
    """

    seconds: float = 0.0
    peak_gb: float = 0.0
    _cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def cpu(self) -> float:
        """Processor seconds."""
        return sum(self._cpu.values())

    def __enter__(self) -> Meter:
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._started

    def _look_on(self) -> None:
        while True:
            self._look()
            if self._ended.wait(SECONDS_BETWEEN_LOOKS):
                return self._look()

    def _look(self) -> None:
        held = 0
        for process in psutil.Process().children(recursive=True):
            try:
                with process.oneshot():
                    times, name = process.cpu_times(), (process.pid, process.create_time())
                    held += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # it ended between the two looks; what it took until the last one counts
            self._cpu[name] = times.user + times.system
        self.peak_gb = max(self.peak_gb, held / 1024**3)
