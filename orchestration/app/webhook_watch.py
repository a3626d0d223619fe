"""Order events for whoever subscribed in a home's webhooks.yml."""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Event
from typing import Any

from orchestration.errors import StockhouseError, translate
from orchestration.home import Home
from orchestration.ledger import Ledger, webhooks
from orchestration.ledger.webhooks import Teller, Told

log = logging.getLogger(__name__)
#: Seconds between two looks at what happened, by whoever stays open.
OFTEN = 1.0


def notify(home: Home, ledger: Ledger) -> dict[str, Told]:
    """Tell every subscriber of a home what happened since it was last told."""
    return webhooks.notify(ledger.store, webhooks.read_subscribers(home.state))


def subscribers(home: Home, ledger: Ledger) -> list[dict[str, Any]]:
    """Who subscribed, and how far each was told; see webhooks.standing."""
    return webhooks.standing(ledger.store, webhooks.read_subscribers(home.state))


def begin(home: Home) -> None:
    """Let new subscribers hear all that happens from now on: called before anything can happen.
    What fails here `follow` meets again, and says."""
    with suppress(StockhouseError):
        if (teller := _teller(home)) is not None:
            webhooks.begin(teller.store, webhooks.read_subscribers(home.state))
            teller.close()


def follow(home: Home, stop: Event) -> None:
    """Tell subscribers what happens as it does, until `stop` is set; what fails is logged once and
    tried again."""
    teller: Teller | None = None
    said = ""
    while not stop.wait(OFTEN):
        try:
            teller = teller or _teller(home)
            trouble = _look(home, teller) if teller else ""
        except Exception as error:
            report = translate(error)
            trouble = report.message if report else repr(error)
        if trouble and trouble != said:
            log.warning("order events wait: %s", trouble)
            said = trouble
    if teller is not None:
        teller.close()


def _teller(home: Home) -> Teller | None:
    """What tells a home's subscribers; None where nobody subscribed, or nothing was ever
    proposed."""
    if not (home.state / webhooks.FILE).exists() or not home.has_ledger:
        return None
    return Teller(Ledger.of(home).store)


def _look(home: Home, teller: Teller) -> str:
    """Begin what is due, and say what kept others."""
    teller.start(webhooks.read_subscribers(home.state))
    return "; ".join(one.trouble for one in teller.ended().values() if one.trouble)
