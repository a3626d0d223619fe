"""Commands for the tokens by which ERPs and scripts use the desk's API."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.shell import AsJson, By, HomeFolder, emit, err
from orchestration.home import DEFAULT_HOME, Home

if TYPE_CHECKING:
    from orchestration.web.tokens import Token, Tokens

commands = typer.Typer(
    no_args_is_help=True, help="Tokens by which ERPs and scripts use the desk's API."
)


def _tokens(home: Path) -> Tokens:
    from orchestration.web.people import People
    from orchestration.web.tokens import Tokens

    place = Home.open(home)
    return Tokens(place, People(place))


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="What the token is for, such as erp-bridge.")],
    person: Annotated[
        str, typer.Option("--for", help="Whom it acts for; the record keeps their name.")
    ],
    by: By,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do: read, orders:write, limits:write, …; may be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(help="How long it lasts.")] = 90,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Make a token; it is printed this once and kept as a hash only."""
    secret = _tokens(home).add(name, person, scope or ["read"], timedelta(days=days), by)
    err.print("Keep it now: it is shown once. Scripts send it as `Authorization: Bearer …`.")
    emit({"token": secret}, secret, as_json=as_json)


@commands.command("list")
def list_tokens(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """List every token, whom it acts for, what it may do and whether it still counts."""
    tokens = _tokens(home)
    found = [_shown(tokens, token) for token in tokens.all()]
    lines = [
        f"{one['token_id']}  {one['name']}  for {one['for']}: {', '.join(one['scopes'])}; until "
        f"{one['until'][:10]}{'; ' + one['trouble'] if one['trouble'] else ''}"
        for one in found
    ]
    emit({"tokens": found}, "\n".join(lines) or "there is no token", as_json=as_json)


@commands.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="As `token list` prints it.")],
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """End a token at once, also for a desk that is open."""
    found = _tokens(home).revoke(token_id, by)
    emit({"revoked": token_id}, f"{found.name} lets nobody in any more", as_json=as_json)


def _shown(tokens: Tokens, token: Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "for": token.person,
        "scopes": list(token.scopes),
        "made_at": token.at,
        "until": token.until,
        "trouble": tokens.trouble(token),
    }
