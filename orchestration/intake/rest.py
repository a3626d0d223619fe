"""An HTTP API as deliveries: every page a file, paged, paced, retried with back-off, and bounded in
size."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from orchestration.home import files
from orchestration.intake.deliveries import decode, json_line, stamped, write_delivery
from orchestration.intake.options import Rest, resolve
from orchestration.landing import ContractError

CURSOR_FILE = "cursor.json"
TRY_AGAIN = (429, 500, 502, 503, 504)
MOST_REPEATS = 3  # equal pages in a row: the API does not page


class _TryAgain(Exception):
    """The server asks for patience; `after` is how long, in seconds, if it says so."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


def pull_rest(source_id: str, options: Rest, inbox: Path, *, where: str = "") -> list[str]:
    """Ask for every page and write each as a delivery; the names of new ones, under the inbox.

    A page with the same rows as one pulled before is the same file and no new delivery. With
    `since`, the mark (`<inbox>/<source_id>/cursor.json`) moves after the last page only: pages come
    in no promised order. Raises ContractError.
    """
    kept = inbox / source_id / CURSOR_FILE
    mark = _read_mark(kept, options)
    written, last, stamp = [], mark, stamped(options.stamp)
    with _Client(options, where) as client:
        for rows in _pages(client, options, mark, where):
            name = write_delivery(inbox, source_id, (json_line({**row, **stamp}) for row in rows))
            if name is not None:
                written.append(name)
            if options.since is not None:
                last = _later(last, rows, options.since.field, where)
    if options.since is not None and last is not None and last != mark:
        files.write(kept, json.dumps({"reads": [options.get, options.since.field], "value": last}))
    return written


class _Client:
    """GET with patience: a pace, retries, Retry-After, and no more bytes than allowed."""

    def __init__(self, options: Rest, where: str) -> None:
        self.options, self.where, self._next_at = options, where, 0.0
        headers = {name: resolve(value, where) for name, value in options.headers.items()}
        self._http = httpx.Client(
            headers=headers, timeout=options.timeout_seconds, follow_redirects=False
        )

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, url: httpx.URL) -> tuple[Any, httpx.Response]:
        """The answer as JSON; ContractError when patience ends or the answer is no answer."""
        retrying = Retrying(
            stop=stop_after_attempt(self.options.attempts),
            wait=self._wait,
            retry=retry_if_exception_type((_TryAgain, httpx.TransportError)),
            reraise=True,
        )
        try:
            body, response = retrying(self._once, url)
        except (_TryAgain, httpx.TransportError) as error:
            why = str(error) or type(error).__name__
            raise ContractError(
                f"no answer after {self.options.attempts} attempts: {why}",
                where=self.where,
                mend="try later",
            ) from None
        try:
            return decode(body), response
        except (ValueError, RecursionError) as error:
            raise ContractError(
                f"the answer is no JSON: {error}", where=self.where, mend="see `get`"
            ) from None

    def _once(self, url: httpx.URL) -> tuple[bytes, httpx.Response]:
        self._pace()
        with self._http.stream("GET", url) as response:
            if response.status_code in TRY_AGAIN:
                raise _TryAgain(f"HTTP {response.status_code}", _retry_after(response))
            if not response.is_success:
                raise ContractError(
                    f"HTTP {response.status_code} {response.reason_phrase}",
                    where=self.where,
                    mend="see get and headers",
                )
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.options.most_bytes:
                    raise ContractError(
                        f"answers with more than {self.options.most_bytes:,} bytes",
                        where=self.where,
                        mend="smaller pages",
                    )
            return bytes(body), response

    def _pace(self) -> None:
        if self.options.per_second is not None:
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + 1 / self.options.per_second

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        doubled = self.options.wait_seconds * 2 ** (state.attempt_number - 1)
        asked = error.after if isinstance(error, _TryAgain) and error.after is not None else doubled
        return min(asked, self.options.longest_wait_seconds)


def _retry_after(response: httpx.Response) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None  # absent, or no date: the usual back-off holds
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _pages(
    client: _Client, options: Rest, mark: str | int | None, where: str
) -> Iterator[list[dict[str, Any]]]:
    """Every page's rows; ContractError where the API leads in circles or away from its own
    server."""
    url: httpx.URL | None = _first_url(options, mark, where)
    home, seen, before, repeats = httpx.URL(url or "").copy_with(query=None), set(), None, 1
    for number in range(options.most_pages):
        if url is None:
            return
        if url in seen:
            raise ContractError(
                "the API leads back to a page already read", where=where, mend="see `page`"
            )
        seen.add(url)
        answer, response = client.get(url)
        rows = _rows(answer, options.records, where)
        repeats = repeats + 1 if rows and rows == before else 1
        if repeats >= MOST_REPEATS:
            raise ContractError(
                f"the API gives the same page {repeats} times in a row",
                where=where,
                mend="see `page`",
            )
        before = rows
        yield rows
        url = _next_url(options, url, answer, response, len(rows), number)
        if url is not None and (url.scheme, url.host, url.port) != (
            home.scheme,
            home.host,
            home.port,
        ):
            raise ContractError(
                f"the next page lies on another server: {url.host}",
                where=where,
                mend="our headers are not for it",
            )
    if url is not None:
        raise ContractError(
            f"has more than {options.most_pages:,} pages",
            where=where,
            mend="raise most_pages, or use `since`",
        )


def _first_url(options: Rest, mark: str | int | None, where: str) -> httpx.URL:
    try:
        url = httpx.URL(resolve(options.get, where))
    except httpx.InvalidURL as error:
        raise ContractError(f"is no URL: {error}", where=where) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ContractError("is no http URL", where=where, mend="https://…")
    params: dict[str, Any] = {
        name: resolve(str(value), where) for name, value in options.params.items()
    }
    page = options.page
    if page is not None and page.number is not None:
        params[page.number] = page.first
    if page is not None and page.size is not None:
        params[page.size] = page.rows
    if options.since is not None and mark is not None:
        params[options.since.param] = mark
    return url.copy_merge_params(params)


def _next_url(
    options: Rest, url: httpx.URL, answer: Any, response: httpx.Response, rows: int, number: int
) -> httpx.URL | None:
    page = options.page
    if page is None:
        return None
    if page.number is not None:
        is_last = rows == 0 or (page.rows is not None and rows < page.rows)
        return None if is_last else url.copy_set_param(page.number, page.first + number + 1)
    if page.next == "link":
        target = response.links.get("next", {}).get("url")
        return url.join(target) if target else None
    found = _at(answer, page.next or page.cursor or "")
    if found in (None, "", False):
        return None
    return (
        url.join(str(found))
        if page.next is not None
        else url.copy_set_param(page.param or "", str(found))
    )


def _rows(answer: Any, records: str | None, where: str) -> list[dict[str, Any]]:
    found = _at(answer, records) if records else answer
    if isinstance(found, dict) and records is None:
        found = [found]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ContractError(
            f"the answer has no list of objects{f' at `{records}`' if records else ''}",
            where=where,
            mend="`records` is the dotted way to it",
        )
    return found


def _at(answer: Any, dotted: str) -> Any:
    for step in dotted.split("."):
        answer = answer.get(step) if isinstance(answer, dict) else None
    return answer


def _read_mark(kept: Path, options: Rest) -> str | int | None:
    if options.since is None or not kept.exists():
        return None
    mark = json.loads(kept.read_text(encoding="utf-8"))
    return mark["value"] if mark["reads"] == [options.get, options.since.field] else None


def _later(
    last: str | int | None, rows: list[dict[str, Any]], field: str, where: str
) -> str | int | None:
    for value in (_at(row, field) for row in rows):
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, (str, int))
            or (last is not None and type(value) is not type(last))
        ):
            raise ContractError(
                f"`{field}` is no ISO time and no whole number: {value!r}",
                where=where,
                mend="see `since`",
            )
        last = value if last is None or value > last else last
    return last
