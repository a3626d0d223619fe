"""The demand models of a home, kept beside each other: the newest few, and the one that a person
pinned, which lies in state/ so that no rebuild takes it away.

state/models.jsonl, one JSON object a line, says who pinned which and why: {event: pinned, model,
reason, by, recorded_at} or {event: unpinned, ...}, and who let which forecaster decide: {event:
chosen, model: its name, ...}; lines are added and never changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.forecasting.custom_forecaster import OwnModel
from models.forecasting.demand_model import DemandModel
from orchestration.facts.forecasters import OURS, forecaster_called, forecaster_of
from orchestration.home import Home, files, journal

#: As many versions stay beside the one in use.
KEPT = 5
LOG = "models.jsonl"


@dataclass(frozen=True)
class KeptModel:
    """One trained model on disk and its card: name, as_of it was trained, horizon, sha256, reason
    and what it promised."""

    path: Path
    card: dict[str, Any]

    @property
    def name(self) -> str:
        """What `decisions.models` and people call it."""
        return str(self.card["name"])

    @property
    def forecaster(self) -> str:
        """Who learned it: XGBoost, or the company's own by its name."""
        return str(self.card.get("forecaster", OURS))

    def load(self) -> DemandModel | OwnModel:
        """The model. Raises ValueError where it is not the one its card speaks of, or where nobody
        offers the forecaster that learned it."""
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.card["sha256"]:
            raise ValueError(
                f"{self.path} is not the model that its card speaks of: delete both, or pin another"
            )
        own = forecaster_called(self.forecaster)
        return DemandModel.from_bytes(data) if own is None else OwnModel.from_bytes(data, own)


@dataclass(frozen=True)
class Pin:
    """Who holds which model in use, and why."""

    model: str
    by: str
    reason: str

    def __str__(self) -> str:
        return f"pinned by {self.by}: {self.reason}"


def keep_model(home: Home, data: bytes, card: dict[str, Any]) -> KeptModel:
    """Keep a trained model beside the earlier ones; what is older than the newest KEPT goes."""
    kept = _write(_folder(home), data, card)
    for old in _in(_folder(home))[KEPT:]:
        # the card first: a model is there while its card is
        old.path.with_suffix(".json").unlink()
        old.path.unlink()
    return kept


def kept_models(home: Home) -> list[KeptModel]:
    """Every model that can be used or pinned, the newest first."""
    found = _in(_folder(home))
    names = {one.name for one in found}
    return found + [one for one in _in(_held(home)) if one.name not in names]


def pinned(home: Home) -> Pin | None:
    """The pin in force, None where the newest model is used. Raises ValueError for a spoilt log."""
    last = _last(home, "pinned", "unpinned")
    if last is None or last["event"] == "unpinned":
        return None
    return Pin(last["model"], last["by"], last["reason"])


def deciding_forecaster(home: Home) -> str:
    """Who forecasts what is decided on: whoever learned the pinned model, else whom a person chose
    last, else XGBoost."""
    pin, choice = pinned(home), _last(home, "chosen")
    return forecaster_of(pin.model) if pin else str(choice["model"]) if choice else OURS


def choose(home: Home, forecaster: str, by: str, reason: str) -> None:
    """Let this forecaster decide from the next run on. Raises ValueError where nobody offers it,
    without a reason, and while a model is pinned."""
    forecaster_called(forecaster)
    if held := pinned(home):
        raise ValueError(
            f"model {held.model}, {held}, decides whoever is chosen: `stockhouse model unpin` first"
        )
    _record(home, "chosen", forecaster, by, reason)


def _last(home: Home, *events: str) -> dict[str, Any] | None:
    """The newest line of the log that says one of these. Raises ValueError for a spoilt log."""
    found = None
    for number, line in enumerate(journal.read(home.state / LOG).splitlines(), start=1):
        try:
            said = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"{home.state / LOG}, line {number} is no pin and no choice: bring the file back "
                "from a backup"
            ) from error
        found = said if said["event"] in events else found
    return found


def model_in_use(home: Home) -> KeptModel | None:
    """The pinned model, else the newest of the forecaster that decides; None before it was trained.
    Raises ValueError where the pinned one is gone."""
    pin, decides = pinned(home), deciding_forecaster(home)
    if pin is None:
        return next((one for one in _in(_folder(home)) if one.forecaster == decides), None)
    for one in kept_models(home):
        if one.name == pin.model:
            return one
    raise ValueError(
        f"model {pin.model}, {pin}, is no longer kept: `stockhouse model unpin`, or pin another"
    )


def pin(home: Home, name: str, by: str, reason: str) -> KeptModel:
    """Use this model until it is unpinned, whatever is trained or drifts: the way back to an
    earlier one. Raises ValueError for one that is not kept, or without a reason."""
    found = next((one for one in kept_models(home) if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in kept_models(home)) or "none yet"
        raise ValueError(f"no model '{name}' is kept; there are {names}")
    found.load()
    _write(_held(home), found.path.read_bytes(), found.card)
    _record(home, "pinned", name, by, reason)
    return found


def unpin(home: Home, by: str, reason: str) -> Pin:
    """Let the newest model of who forecasts decide again. Raises ValueError where none is
    pinned."""
    held = pinned(home)
    if held is None:
        raise ValueError("no model is pinned, so there is nothing to undo")
    _record(home, "unpinned", held.model, by, reason)
    return held


def _record(home: Home, event: str, name: str, by: str, reason: str) -> None:
    if not reason.strip():
        raise ValueError("say why (--reason)")
    moment = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    said = {"event": event, "model": name, "reason": reason, "by": by, "recorded_at": moment}
    with journal.appending(home.state / LOG) as (_, append):
        append(said)


def _write(folder: Path, data: bytes, card: dict[str, Any]) -> KeptModel:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card['name']}.model"
    files.write(path, data)
    files.write(path.with_suffix(".json"), json.dumps(card, default=str, indent=1))
    return KeptModel(path, card)


def _in(folder: Path) -> list[KeptModel]:
    cards = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [
        KeptModel(card.with_suffix(".model"), json.loads(card.read_text(encoding="utf-8")))
        for card in cards
    ]


def _folder(home: Home) -> Path:
    return home.models / "demand"


def _held(home: Home) -> Path:
    return home.state / "models"
