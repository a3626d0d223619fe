"""What can go wrong, told once: the root of our own errors, and the one translation into a message
and an exit code for every face.

Exit code 2: the input has to be mended. 1: a gate or a check said no, or the machine refused.
Anything that has no translation is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

INPUT = 2
REFUSED = 1
#: The extra that brings a package which only some commands need.
EXTRAS = {
    "jax": "neural",
    "optax": "neural",
    "statsforecast": "classical",
    "psycopg": "postgres",
    "redis": "redis",
    "nats": "streams",
    "aiomqtt": "streams",
    "asyncssh": "partners",
    "aiosmtplib": "partners",
    "metricflow": "metrics",
    "authlib": "oidc",
    "joserfc": "oidc",
}


class StockhouseError(Exception):
    """What this platform raises by itself: the message says what, where and how to mend it, in
    words for the person who asked."""

    #: What the command line exits with when this error reaches it.
    exit_code: int = INPUT
    #: The word that a face prints before the message.
    label: ClassVar[str] = "error"


@dataclass(frozen=True)
class ErrorReport:
    """An error as a face shows it: one word of what kind it is, the message, and the exit code of a
    command that it ends."""

    label: str
    message: str
    exit_code: int


def translate(error: BaseException) -> ErrorReport | None:
    """An error in words a planner understands; None for a defect of ours, which no message
    explains.

    The pure models raise ValueError, as does Python's own reading of a date or a number: that is
    bad input. A broken pipe is nobody's error: who listened has gone.
    """
    if isinstance(error, StockhouseError):
        return ErrorReport(error.label, str(error), error.exit_code)
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get(error.name or "")):
        needed = f"this needs the package {error.name}: pip install 'stockhouse[{extra}]'"
        return ErrorReport("error", needed, INPUT)
    if isinstance(error, ValueError):
        return ErrorReport("error", str(error), INPUT)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return ErrorReport("the machine refused", str(error), REFUSED)
    return None
