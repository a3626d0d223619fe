"""An HTTP API as deliveries: every page a file, paged, paced, retried with back-off, and bounded in
size."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from orchestration.home import files
from orchestration.intake.answers import plain, rows_in
from orchestration.intake.deliveries import decode, json_line, stamped, write_delivery
from orchestration.intake.known_rows import DELETED_AT, KnownRows, deleted_at
from orchestration.intake.options import Rest, resolve
from orchestration.intake.questions import Question, behind, first, later, next_url
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
    in no promised order. With `gone`, rows that are not there any more come last. Raises
    ContractError.
    """
    kept = inbox / source_id / CURSOR_FILE
    mark = _read_mark(kept, options)
    written: list[str | None] = []
    last, stamp = mark, stamped(options.stamp)
    alive = stamp | ({DELETED_AT: None} if options.gone else {})

    def hand_over(rows: Iterable[dict[str, Any]], more: dict[str, Any]) -> None:
        lines = (json_line({**row, **more}) for row in rows)
        written.append(write_delivery(inbox, source_id, lines))

    with _Client(options, where) as client, KnownRows.of(kept.parent, options, where) as known:
        for rows in _pages(client, options, mark, where):
            hand_over(rows, alive)
            known.keep(rows)
            if options.since is not None:
                last = later(last, rows, options.since.field, where)
        if options.gone is not None:
            left = _left(options, where)
            gone = known.gone(row for rows in _pages(client, left, None, where) for row in rows)
            hand_over(gone, stamp | {DELETED_AT: deleted_at()})
            known.forget(gone)
    if options.since is not None and last is not None and last != mark:
        files.write(kept, json.dumps({"reads": _reads(options), "value": last}))
    return [name for name in written if name is not None]


def _left(options: Rest, where: str) -> Rest:
    """The question for what is left."""
    if options.gone is None:
        raise ContractError("nothing is said of what is gone", where=where)
    asked = {"body": options.gone.body, "params": options.gone.params}
    return options.model_copy(update={name: said for name, said in asked.items() if said})


class _Client:
    """Questions with patience: a pace, retries, Retry-After, and no more bytes than allowed."""

    def __init__(self, options: Rest, where: str) -> None:
        self.options, self.where, self._next_at = options, where, 0.0
        headers = {name: resolve(value, where) for name, value in options.headers.items()}
        login = options.login
        self._http = httpx.Client(
            headers=headers,
            auth=(resolve(login.user, where), resolve(login.password, where)) if login else None,
            timeout=options.timeout_seconds,
            follow_redirects=False,
        )

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, question: Question) -> tuple[Any, httpx.Response]:
        """The answer as JSON; ContractError when patience ends or the answer is no answer."""
        retrying = Retrying(
            stop=stop_after_attempt(self.options.attempts),
            wait=self._wait,
            retry=retry_if_exception_type((_TryAgain, httpx.TransportError)),
            reraise=True,
        )
        try:
            body, response = retrying(self._once, question)
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
                f"the answer is no JSON: {error}", where=self.where, mend="see the address"
            ) from None

    def _once(self, question: Question) -> tuple[bytes, httpx.Response]:
        self._pace()
        said = question.body
        how: dict[str, Any] = {"method": "GET"} if said is None else {"method": "POST"}
        if said is not None:
            how |= {"content": said, "headers": {"Content-Type": "application/json"}}
        with self._http.stream(url=question.url, **how) as response:
            if response.status_code in TRY_AGAIN:
                raise _TryAgain(f"HTTP {response.status_code}", _retry_after(response))
            if not response.is_success:
                raise ContractError(
                    f"HTTP {response.status_code} {response.reason_phrase}",
                    where=self.where,
                    mend="see the address, headers and login",
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
    question: Question | None = first(options, mark, where)
    home, seen, before, repeats = _server(question), set(), None, 1
    for number in range(options.most_pages):
        if question is None:
            return
        if question in seen:
            raise ContractError(
                "the API leads back to a page already read", where=where, mend="see `page`"
            )
        seen.add(question)
        answer, response = client.ask(question)
        rows = [plain(row, options.relations) for row in rows_in(answer, options.records, where)]
        repeats = repeats + 1 if rows and rows == before else 1
        if repeats >= MOST_REPEATS:
            raise ContractError(
                f"the API gives the same page {repeats} times in a row",
                where=where,
                mend="see `page`",
            )
        before = rows
        yield rows
        if options.page is not None and options.page.after is not None:
            question = behind(options, rows, mark, where)
            continue
        url = next_url(options, question.url, answer, response, len(rows), number)
        question = None if url is None else Question(url, question.body)
        if question is not None and _server(question) != home:
            raise ContractError(
                f"the next page lies on another server: {question.url.host}",
                where=where,
                mend="our headers are not for it",
            )
    if question is not None:
        raise ContractError(
            f"has more than {options.most_pages:,} pages",
            where=where,
            mend="raise most_pages, or use `since`",
        )


def _server(question: Question | None) -> tuple[Any, ...]:
    return (question.url.scheme, question.url.host, question.url.port) if question else ()


def _reads(options: Rest) -> list[str]:
    """What a mark belongs to: another question begins anew."""
    if options.since is None:
        return [options.address]
    asked = [json.dumps(options.body, sort_keys=True)] if options.body is not None else []
    return [options.address, *asked, *options.since.field]


def _read_mark(kept: Path, options: Rest) -> str | int | None:
    if options.since is None or not kept.exists():
        return None
    mark = json.loads(kept.read_text(encoding="utf-8"))
    return mark["value"] if mark["reads"] == _reads(options) else None
