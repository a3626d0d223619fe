"""The desk at the size of a large company, as its users have it: `stockhouse desk` in a process of
its own, on this machine, which the clients share with it.

python tests/benchmarks/bench_api.py api [SECONDS]    reads by 8 scripts at once; 300 a second wanted
python tests/benchmarks/bench_api.py desk [SECONDS]   pages for 20 users; p95 under 300 ms wanted
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from orchestration.home import Home  # noqa: E402
from orchestration.ledger import Ledger  # noqa: E402
from orchestration.web.people import People, secret_of  # noqa: E402
from orchestration.web.sessions import COOKIE, Sessions  # noqa: E402
from orchestration.web.tokens import Tokens  # noqa: E402
from tests.web.serving import Served  # noqa: E402
from tests.web.small_home import LARGE_LINES, PLACES, make_home, make_large  # noqa: E402

Visit = Callable[[float, list[float]], Awaitable[None]]
SCRIPTS, USERS = 8, 20
#: What a bridge reads: (address, its share of the requests).
READS = {
    "orders?limit=50&cursor={cursor}": 3,
    "orders/{line}": 4,
    "exceptions": 2,
    "items?search=item7&limit=50": 1,
    "receipts": 1,
    "limits": 1,
}
PAGES = (
    "/",
    "/exceptions",
    "/orders?page={page}",
    "/items?page={page}",
    "/items?q=item7",
    "/limits",
    "/orders/{line}",
    "/items/mug?place=SHOP",
    "/suppliers",
    "/results",
    "/audit",
    "/audit/worth",
)
#: Seconds that a user looks at a page before asking for the next one.
THINKING = (1.0, 3.0)


async def script(url: str, token: str, ids: list[str], until: float, took: list[float]) -> None:
    """Read until a moment, one request after the other."""
    chance = random.Random(token)
    addresses, shares = list(READS), list(READS.values())
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1/", headers=headers, timeout=30) as client:
        cursor = ""
        while time.perf_counter() < until:
            (address,) = chance.choices(addresses, shares)
            asked = address.format(cursor=cursor, line=chance.choice(ids))
            began = time.perf_counter()
            answer = await client.get(asked)
            took.append(time.perf_counter() - began)
            if answer.status_code == 429:  # its own limit, 100 a second: it waits as it is told
                took.pop()
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
            answer.raise_for_status()
            if address.startswith("orders?"):
                cursor = answer.json()["next"]


async def user(url: str, cookie: str, ids: list[str], until: float, took: list[float]) -> None:
    """Look at pages, and think between them."""
    chance = random.Random(cookie)
    async with httpx.AsyncClient(base_url=url, cookies={COOKIE: cookie}, timeout=30) as client:
        await asyncio.sleep(chance.uniform(0, THINKING[1]))
        while time.perf_counter() < until:
            began = time.perf_counter()
            page, line = chance.randint(1, 100), chance.choice(ids)
            answer = await client.get(chance.choice(PAGES).format(page=page, line=line))
            took.append(time.perf_counter() - began)
            answer.raise_for_status()
            await asyncio.sleep(chance.uniform(*THINKING))


async def together(visits: list[Visit], seconds: float) -> list[float]:
    """Let all visits go on at once for so long; how many seconds each answer took."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(visit(until, took) for visit in visits))
    return took


def processor_seconds(process: int) -> float:
    """What a process has used of the processors so far."""
    said = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(said[11]) + int(said[12])) / os.sysconf("SC_CLK_TCK")


def visits_of(home: Home, url: str, what: str) -> list[Visit]:
    """Whoever comes: scripts with tokens of their own, or people signed in at the desk."""
    people = People(home)
    anna = people.enrol(people.invite("anna", "approver", "bench"), "", "a sentence of hers")
    ledger, tokens = Ledger.of(home), Tokens(home, people)
    ids = [line.document_id for line in ledger.lines()][:500]
    ledger.close()
    if what == "desk":
        sessions = Sessions(secret_of(home.derived))
        cookies = [sessions.sign(sessions.fresh("anna", anna.epoch)) for _ in range(USERS)]
        return [partial(user, url, cookie, ids) for cookie in cookies]
    made = [tokens.add("b", "anna", ["read"], timedelta(days=1), "b") for _ in range(SCRIPTS)]
    return [partial(script, url, token, ids) for token in made]


def main(what: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        make_large(home)
        served = Served(home.root)
        visits = visits_of(home, served.url, what)
        served.start()
        assert served.process is not None
        try:
            asyncio.run(together(visits, 3.0))  # what is kept ready is made first
            before = processor_seconds(served.process.pid)
            took = asyncio.run(together(visits, seconds))
            used = processor_seconds(served.process.pid) - before
        finally:
            served.kill()
    who = f"{SCRIPTS} scripts read" if what == "api" else f"{USERS} users look at pages"
    cut = statistics.quantiles(took, n=100)
    figures = [f"{len(took):,}", f"{len(took) / seconds:,.0f}"]
    figures += [f"{cut[place - 1] * 1e3:.0f}" for place in (50, 95, 99)]
    figures.append(f"{used / len(took) * 1e3:.1f}")
    print(f"{PLACES:,} items and places, {LARGE_LINES:,} lines in the ledger, {seconds:g} s;")
    print(f"{os.getloadavg()[0]:.1f} processes wanted the processors meanwhile.\n")
    print("| | answers | a second | p50 ms | p95 ms | p99 ms | processor ms of the desk |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    print(f"| {who} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
