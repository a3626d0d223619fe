"""The company's trained agent, kept in state/ so that no rebuild takes it away: the one policy that
is not written down but learned."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from models.learning.company_agent import SharedAgent
from models.learning.saving import shared_from_bytes
from models.replenishment.base_policy import RegisteredPolicy
from models.replenishment.policies import configured
from orchestration.home import Home, files

#: The name it is rehearsed and decides by.
AGENT = "agent"
#: Digits of its checksum that tell it from others.
DIGITS = 12


@dataclass(frozen=True)
class KeptAgent:
    """The agent and its card."""

    policy: SharedAgent
    card: dict[str, Any]

    @property
    def knows_until(self) -> date:
        """The first day it was trained without: a replay may begin then, not earlier."""
        return date.fromisoformat(self.card["trained_until"])


def keep_agent(home: Home, data: bytes, card: dict[str, Any]) -> None:
    """Keep a trained agent in place of the one before, which stays beside it by its checksum: plans
    that it made can be made anew."""
    for folder in (home.agent / card["sha256"][:DIGITS], home.agent):
        folder.mkdir(parents=True, exist_ok=True)
        files.write(folder / "agent.safetensors", data)
        files.write(folder / "agent.json", json.dumps(card, indent=1))


def share_agent(home: Home, place: Home, checksum: str) -> None:
    """Keep in another home the agent of this one with this checksum. Raises ValueError where it is
    not there."""
    there = home.agent / checksum[:DIGITS]
    if not checksum or not (there / "agent.safetensors").exists():
        raise ValueError(f"the agent that decided ({checksum[:DIGITS]}) is not in {home.agent}")
    card = json.loads((there / "agent.json").read_text(encoding="utf-8"))
    keep_agent(place, (there / "agent.safetensors").read_bytes(), card)


def kept_agent(home: Home) -> KeptAgent | None:
    """The agent of this home, if one was trained. Raises ValueError where it is not the one its
    card speaks of."""
    kept, card = home.agent / "agent.safetensors", home.agent / "agent.json"
    if not kept.exists() or not card.exists():
        return None
    data = kept.read_bytes()
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
        date.fromisoformat(values["trained_until"])
        if hashlib.sha256(data).hexdigest() != values["sha256"]:
            raise ValueError("the checksum of its card is another")
        return KeptAgent(shared_from_bytes(data), values)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{kept} is not the agent that {card.name} speaks of ({error}): train it anew with "
            "`stockhouse learn`, or delete both"
        ) from error


def policy_of(home: Home, name: str, setting: object = None) -> RegisteredPolicy:
    """A policy by its name, with the setting a rehearsal tuned; the agent from where it is kept.

    Raises ValueError where the agent is asked for and none is kept.
    """
    if name != AGENT:
        return configured(name, setting)
    kept = kept_agent(home)
    if kept is None:
        raise ValueError(
            f"no agent is kept in {home.agent}: train one with `stockhouse learn`, or name another"
            " policy"
        )
    return kept.policy
