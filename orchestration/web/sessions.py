"""What keeps a visit honest: signed sessions, a token in every form, intents that happen once, and
patience with wrong passwords."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from threading import Lock
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

COOKIE = "stockhouse_desk"
#: A session ends after so many seconds, whatever happens.
LASTS = 12 * 3600
#: How many wrong passwords in how many seconds, for one name or from one address.
TRIES, WINDOW = 5, 15 * 60
MOST_KEPT = 10_000
#: Requests a second that one caller of the API may make in the long run, and how many at once.
RATE, BURST = 100.0, 200.0


@dataclass(frozen=True)
class Session:
    """Who is here (empty before signing in), as of which epoch, and the token of their forms."""

    name: str
    epoch: int
    token: str

    def has(self, token: str) -> bool:
        """Whether a form carries this session's token."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class Sessions:
    """Sessions as signed cookies; nobody can make one without the home's key."""

    def __init__(self, key: bytes) -> None:
        self.key = key.decode()
        self.signer = URLSafeTimedSerializer(self.key, salt="session")

    def fresh(self, name: str = "", epoch: int = 0) -> Session:
        """A new session with a token of its own."""
        return Session(name, epoch, secrets.token_urlsafe(18))

    def sign(self, session: Session) -> str:
        """A session as its cookie."""
        return self.signer.dumps([session.name, session.epoch, session.token])

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where it is none of ours, or too old."""
        if not cookie:
            return None
        try:
            return Session(*self.signer.loads(cookie, max_age=LASTS))
        except (BadSignature, TypeError):
            return None


class Patience:
    """Counts wrong passwords by name and address; too many and nobody is asked any more."""

    def __init__(self) -> None:
        self.wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self.lock = Lock()

    def wait(self, *keys: str) -> int:
        """Seconds until another try is allowed; 0 for now."""
        with self.lock:
            now = time.monotonic()
            waits = []
            for key in keys:
                tries = self.wrong.get(key, deque())
                while tries and tries[0] < now - WINDOW:
                    tries.popleft()
                waits.append(tries[-TRIES] + WINDOW - now if len(tries) >= TRIES else 0)
            return int(max(waits, default=0) + 0.999)

    def failed(self, *keys: str) -> None:
        """Remember a wrong password."""
        with self.lock:
            for key in keys:
                self.wrong.setdefault(key, deque()).append(time.monotonic())
                self.wrong.move_to_end(key)
            while len(self.wrong) > MOST_KEPT:
                self.wrong.popitem(last=False)

    def forget(self, *keys: str) -> None:
        """A right password clears the record."""
        with self.lock:
            for key in keys:
                self.wrong.pop(key, None)


class Once:
    """Intents: a form sent twice happens once, and its second sender sees what the first did."""

    def __init__(self) -> None:
        self.done: OrderedDict[str, Any] = OrderedDict()
        self.locks: dict[str, Lock] = {}
        self.lock = Lock()

    def __call__(self, intent: str, act: Any) -> Any:
        """The result of act, called at most once for an intent; a failed act may be tried again."""
        with self.lock:
            mine = self.locks.setdefault(intent, Lock())
        with mine:
            if intent in self.done:
                return self.done[intent]
            result = act()
            with self.lock:
                self.done[intent] = result
                self.locks.pop(intent, None)
                while len(self.done) > MOST_KEPT:
                    self.done.popitem(last=False)
            return result


class Rates:
    """How many requests each caller has left: a bucket of BURST that fills at RATE a second."""

    def __init__(self) -> None:
        self.left: dict[str, tuple[float, float]] = {}
        self.lock = Lock()

    def wait(self, who: str) -> int:
        """Seconds until this caller may ask again; 0 for now, which takes one request off."""
        with self.lock:
            now = time.monotonic()
            left, at = self.left.get(who, (BURST, now))
            left = min(left + (now - at) * RATE, BURST)
            if left < 1:
                return int((1 - left) / RATE + 0.999)
            self.left[who] = (left - 1, now)
            return 0
