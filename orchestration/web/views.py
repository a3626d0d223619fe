"""Views that people keep: a page's filters under a name of their own; state/desk/views.jsonl, lines
added and never changed.

{event: kept, person, page, name, query} · {event: dropped, person, page, name}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from orchestration.home import Home, journal

#: The pages whose filters can be kept, and what of an address is none of them.
PAGES = ("/exceptions", "/orders", "/items")
PASSING = ("page", "done")
#: So many views of a page a person keeps, under names of so many signs.
MOST, LONGEST_NAME = 20, 40

#: By person and page: the queries by name.
Kept = Mapping[tuple[str, str], dict[str, str]]


class Views:
    """The kept views of one home's people."""

    def __init__(self, home: Home) -> None:
        self.path = home.state / "desk" / "views.jsonl"
        self.folded: journal.Folded[Kept] = journal.Folded(self.path, _fold)

    def of(self, person: str, page: str) -> dict[str, str]:
        """A person's views of a page: the query of each by its name."""
        return dict(self.folded.now().get((person, page), {}))

    def keep(self, person: str, page: str, name: str, query: str) -> None:
        """Keep a page's filters under a name, in place of what had it. Raises ValueError for a
        page without filters, a name that is none, or more views than anybody looks through."""
        spelt, known = " ".join(name.split()), self.of(person, page)
        if page not in PAGES:
            raise ValueError(f"'{page}' has no filters to keep")
        if not 0 < len(spelt) <= LONGEST_NAME or not spelt.isprintable():
            raise ValueError(f"give the view a name of 1 to {LONGEST_NAME} signs")
        if spelt not in known and len(known) >= MOST:
            raise ValueError(f"you keep {MOST} views here already: drop one first")
        self._add("kept", person, page, spelt, {"query": filters(query)})

    def drop(self, person: str, page: str, name: str) -> None:
        """Keep a view no longer; one that is not there is none already."""
        if name in self.of(person, page):
            self._add("dropped", person, page, name, {})

    def _add(self, event: str, person: str, page: str, name: str, more: Mapping[str, str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with journal.appending(self.path) as (_, append):
            append({"event": event, "person": person, "page": page, "name": name, **more})


def filters(query: str) -> str:
    """What of an address narrows a list: without the page it was opened at, and what was done."""
    said = [(name, value) for name, value in parse_qsl(query[:2000]) if name not in PASSING]
    return urlencode(said)


def _fold(content: bytes) -> Kept:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in content.splitlines():
        said = json.loads(line)
        mine = found.setdefault((said["person"], said["page"]), {})
        mine.pop(said["name"], None)
        if said["event"] == "kept":
            mine[said["name"]] = said["query"]
    return found
