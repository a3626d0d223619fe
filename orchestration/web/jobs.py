"""What takes longer than a page: one thing at a time in the background, and what became of it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from orchestration.errors import translate

KEPT = 50
Tell = Callable[[str], None]


@dataclass
class Job:
    """One thing that is being done: by whom, how far it is, and what went wrong."""

    job_id: str
    title: str
    by: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
    status: str = "waiting"
    message: str = ""


class Jobs:
    """A queue with one worker: a study never slows another one, nor the pages twice."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="desk-job")
        self.known: OrderedDict[str, Job] = OrderedDict()
        self.lock = Lock()

    def start(self, title: str, by: str, work: Callable[[Tell], str], job_id: str = "") -> Job:
        """Queue a piece of work; what it returns is said at its end. job_id: of a job that is known
        already, nothing is queued."""
        job = Job(job_id or secrets.token_hex(6), title, by)
        with self.lock:
            if job.job_id in self.known:
                return self.known[job.job_id]
            self.known[job.job_id] = job
            while len(self.known) > KEPT:
                self.known.popitem(last=False)
        self.pool.submit(_run, job, work)
        return job

    def all(self) -> list[Job]:
        """Every job since the desk was opened, the newest first."""
        with self.lock:
            return list(reversed(self.known.values()))

    def get(self, job_id: str) -> Job | None:
        """One job; None for one that nobody has started since the desk was opened."""
        with self.lock:
            return self.known.get(job_id)

    def wait(self) -> None:
        """Return once everything queued so far is done."""
        self.pool.submit(int).result()

    def close(self) -> None:
        """Take no more; what runs is let finish."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def _run(job: Job, work: Callable[[Tell], str]) -> None:
    def tell(message: str) -> None:
        job.message = message

    job.status = "running"
    try:
        job.message = work(tell)
        job.status = "done"
    except Exception as error:
        report = translate(error)
        job.status = "failed"
        job.message = (
            report.message if report else f"a defect of ours: {type(error).__name__}: {error}"
        )
