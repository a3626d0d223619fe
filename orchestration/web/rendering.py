"""Pages from templates: everything escaped, texts and numbers in the reader's own."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from orchestration.web.translation import LANGUAGES, in_its_own_words

if TYPE_CHECKING:
    from orchestration.web.request_context import Visit

STATIC = Path(__file__).parent / "static"
#: The rooms of the desk, by the role that may enter.
PLACES = (
    ("/", "Today", "viewer"),
    ("/exceptions", "Exceptions", "viewer"),
    ("/orders", "Orders", "viewer"),
    ("/items", "Items", "viewer"),
    ("/overrides", "Overrides", "viewer"),
    ("/scenarios", "What if", "viewer"),
    ("/limits", "Limits", "viewer"),
    ("/suppliers", "Suppliers", "viewer"),
    ("/results", "Results", "viewer"),
    ("/audit", "Audit", "viewer"),
    ("/people", "People", "admin"),
)
#: What is said once something is done, by the word in the address.
DONE = {
    "approve": "Approved; it goes out with the next sending.",
    "reject": "Rejected; the plan does not propose it again in this review.",
    "firm": "Kept as it is: later plans leave it alone.",
    "change": "Recorded: the next plan orders what you said.",
    "defer": "Deferred; it is among the exceptions again on the day you named.",
    "alter": "Changed; the supplier hears of it with the next sending.",
    "cancel": "Cancelled; the money it held is free again.",
    "sent": "What was approved is sent, as far as suppliers' doors are open.",
    "case": "Recorded.",
    "cases": "Recorded for every ticked case.",
    "override": "Recorded: the next plan follows it.",
    "ended": "Ended: the next plan is the system's own again.",
    "proposed": "Proposed: it counts once another person confirms it.",
    "confirmed": "Confirmed: these limits are in force.",
    "stopped": "Stopped: nothing is sent until somebody lets orders go again.",
    "resumed": "Orders may go again.",
    "job": "Started in the background.",
    "scenario": "It is on the shelf.",
    "person": "Changed.",
    "dropped": "The view is gone; the list is as it was.",
    "answered": "Thank you: your answer was received and is being acted on.",
}


@cache
def environment() -> Environment:
    """The templates; an unknown name in one is a defect, not an empty place."""
    made = Environment(
        loader=PackageLoader("orchestration.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["path"] = lambda value: quote(str(value), safe="")
    return made


def render(visit: Visit, template: str, content: Mapping[str, Any]) -> str:
    """A page for one visit: `_` says a text, `w` writes numbers and days."""
    path = visit.request.url.path

    def link(**changes: Any) -> str:
        query = dict(visit.request.query_params) | changes
        kept = {name: value for name, value in query.items() if value not in (None, "", 0)}
        return path + ("?" + urlencode(kept) if kept else "")

    usual = {
        "_": visit.words,
        "w": visit.words,
        "visit": visit,
        "person": visit.person,
        "token": visit.session.token,
        "intent": secrets.token_urlsafe(12),
        "typed": visit.form,
        "ticked": visit.several,
        "problem": None,
        "places": [place for place in PLACES if visit.may(place[2])],
        "path": path,
        "my_views": visit.room.views.of(visit.person.name, path) if visit.person else {},
        "here": "/" + path.split("/")[1],
        "link": link,
        "languages": {name: in_its_own_words(name) for name in LANGUAGES},
        "asset": asset,
        "plain": plain,
        "done": visit.asked("done") if visit.asked("done") in DONE else "",
        "done_text": lambda name: visit.words(DONE[name]),
    }
    return environment().get_template(template).render(usual | dict(content))


def plain(value: Any) -> Any:
    """A number as an input holds it: whole ones without a decimal point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def asset(name: str) -> str:
    """The address of a file of ours, which changes when the file does."""
    stamp = int((STATIC / name).stat().st_mtime)
    return f"/static/{name}?v={stamp:x}"
