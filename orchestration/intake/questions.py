"""What an API is asked: the first page, the one behind it, and what has changed since a mark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from orchestration.intake.answers import at
from orchestration.intake.options import IN_THE_CLEAR, Rest, resolve
from orchestration.landing import ContractError


@dataclass(frozen=True)
class Question:
    """What is asked for one page: the address with its parameters, and the body of a POST."""

    url: httpx.URL
    body: str | None = None


def first(
    options: Rest, mark: str | int | None, where: str, after: str | int | None = None
) -> Question:
    """The question for the first page, or for the one behind a value of `page.after`."""
    try:
        url = httpx.URL(resolve(options.address, where))
    except httpx.InvalidURL as error:
        raise ContractError(f"is no URL: {error}", where=where) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ContractError("is no http URL", where=where, mend="https://…")
    if options.would_expose_secrets(str(url)):
        raise ContractError(IN_THE_CLEAR, where=where, mend="https://…")
    page, since = options.page, options.since
    words: dict[str, str | int] = {}
    if page is not None and page.after is not None:
        words |= {"$after": page.start if after is None else after, "$rows": page.rows or 0}
    if since is not None and since.start is not None:
        words["$since"] = since.start if mark is None else _earlier(mark, since.overlap, where)
    params = {name: _said(value, words, where) for name, value in options.params.items()}
    if page is not None and page.number is not None:
        params[page.number] = page.first
    if page is not None and page.size is not None:
        params[page.size] = page.rows
    if since is not None and since.param is not None and mark is not None:
        params[since.param] = _earlier(mark, since.overlap, where)
    body = None if options.body is None else json.dumps(_said(options.body, words, where))
    return Question(url.copy_merge_params(params), body)


def _said(part: Any, words: Mapping[str, str | int], where: str) -> Any:
    """A part of a question with its words replaced: one that stands alone keeps its kind."""
    if isinstance(part, dict):
        return {name: _said(value, words, where) for name, value in part.items()}
    if isinstance(part, list):
        return [_said(value, words, where) for value in part]
    if not isinstance(part, str):
        return part
    if part in words:
        return words[part]
    text = resolve(part, where)
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


def behind(
    options: Rest, rows: list[dict[str, Any]], mark: str | int | None, where: str
) -> Question | None:
    """The question for the rows behind the last one of a page; None where it was the last page."""
    page = options.page
    if page is None or page.after is None or len(rows) < (page.rows or 0):
        return None
    last = later(None, rows, [page.after], where)
    if last is None:
        raise ContractError(
            f"`{page.after}` stands in no row, so no page can follow", where=where, mend="see page"
        )
    return first(options, mark, where, after=last)


def _earlier(mark: str | int, overlap: float, where: str) -> str | int:
    """The mark, less the overlap: seconds of a time, units of a number."""
    if not overlap:
        return mark
    if isinstance(mark, int):
        return mark - int(overlap)
    try:
        moment = datetime.fromisoformat(mark) - timedelta(seconds=overlap)
    except ValueError:
        raise ContractError(
            f"overlap needs a time or a number, not {mark!r}", where=where, mend="see `since`"
        ) from None
    return moment.isoformat("T" if "T" in mark else " ")


def next_url(
    options: Rest, url: httpx.URL, answer: Any, response: httpx.Response, rows: int, number: int
) -> httpx.URL | None:
    """The address of the page that follows, by what an answer says; None behind the last one."""
    page = options.page
    if page is None:
        return None
    if page.number is not None:
        is_last = rows == 0 or (page.rows is not None and rows < page.rows)
        return None if is_last else url.copy_set_param(page.number, page.first + number + 1)
    if page.next == "link":
        target = response.links.get("next", {}).get("url")
        return url.join(target) if target else None
    found = at(answer, page.next or page.cursor or "")
    if found in (None, "", False):
        return None
    return (
        url.join(str(found))
        if page.next is not None
        else url.copy_set_param(page.param or "", str(found))
    )


def later(
    last: str | int | None, rows: list[dict[str, Any]], fields: Sequence[str], where: str
) -> str | int | None:
    """The largest value of these fields, or of any row before."""
    for field, value in ((field, at(row, field)) for row in rows for field in fields):
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
