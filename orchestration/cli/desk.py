"""The command that opens the planner's desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.shell import HomeFolder, err
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer()


@commands.command()
def desk(
    home: HomeFolder = Path(DEFAULT_HOME),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 8321,
    host: Annotated[
        str, typer.Option(help="The address it listens on; others than loopback need TLS.")
    ] = "127.0.0.1",
    certificate: Annotated[
        Path | None, typer.Option("--tls-cert", help="PEM file of the certificate, for HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    proxied_as: Annotated[
        str,
        typer.Option(
            "--behind-proxy",
            metavar="NAME",
            help="The name under which a proxy with TLS on this machine shows it.",
        ),
    ] = "",
) -> None:
    """Open the planner's desk in the browser: exceptions, orders, limits, "what if", audit.

    Nobody has a password at first: the first start prints a link that works once.
    """
    from orchestration.web.people import People
    from orchestration.web.serve import Address, serve

    place, address = Home.open(home), Address(host, port, certificate, key, proxied_as)
    address.check()
    if secret := People(place).first_link():
        err.print(
            f"Nobody can sign in yet. Open this once, within 3 days, and choose name and password:"
            f"\n{address.url}/welcome/{secret}",
            soft_wrap=True,
            highlight=False,
        )
    err.print(f"The desk is open at {address.url} (Ctrl-C ends it)", highlight=False)
    serve(place, address)
