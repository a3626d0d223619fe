"""Commands at the front door: check a world, pull what is new, listen to streams."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import render
from orchestration.cli.shell import AsJson, DataFolder, HomeFolder, WorldFolder, contract_of, emit
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer()


@commands.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="WORLD|FILE...", help="A world.yml's folder; files, folders with --suggest."
        ),
    ] = None,
    data: DataFolder = None,
    show_sql: Annotated[
        bool, typer.Option("--show-sql", help="Print the SQL the contract compiles to.")
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Draft a contract for the given files instead.")
    ] = False,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON Schema of world.yml, for editors, instead."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what would be loaded from a world, what looks wrong, and how to mend it."""
    from orchestration import intake

    if schema:
        from orchestration.landing import World

        sys.stdout.write(json.dumps(World.model_json_schema(), indent=1, ensure_ascii=False) + "\n")
        return
    if suggest:
        from orchestration.landing import suggest as draft

        contract = draft(paths or [])
        emit({"contract": contract}, contract.removesuffix("\n"), as_json=as_json)
        return
    if paths and len(paths) > 1:
        raise ValueError(
            f"one world at a time, not {len(paths)}; did you mean --suggest, which drafts a "
            "contract for files?"
        )
    folder = paths[0] if paths else Path("sample_data")
    world = contract_of(folder)
    intake.check_intake(world)
    from orchestration.landing import check as check_world

    findings = check_world(world, data or folder, show_sql=show_sql)
    emit(
        {"findings": [finding.as_dict() for finding in findings]},
        render.findings(findings),
        as_json=as_json,
    )
    if any(finding.is_error for finding in findings):
        raise typer.Exit(2)


@commands.command()
def pull(
    world: WorldFolder = Path("sample_data"),
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Fetch what databases and APIs have new, and hand on what streams received; the next run lands
    it."""
    from orchestration import intake

    contract = contract_of(world)
    intake.check_intake(contract)
    inbox = Home.found(home, contract.world).inbox
    names = intake.pull(contract, inbox) + intake.drain(contract, inbox)
    emit({"deliveries": names}, "\n".join(names) or "nothing new", as_json=as_json)


@commands.command()
def receive(
    world: WorldFolder = Path("sample_data"),
    home: HomeFolder = Path(DEFAULT_HOME),
    port: Annotated[int, typer.Option(help="Port of the webhook receiver, on loopback.")] = 8340,
    push: Annotated[
        bool,
        typer.Option(
            "--push", help="Also serve stock counts online at once, as feature view stock_now."
        ),
    ] = False,
) -> None:
    """Listen until stopped: message streams and signed webhooks go into the durable inbox before
    they are acknowledged."""
    import asyncio
    import threading

    from orchestration import intake
    from orchestration.serving import online_push

    contract = contract_of(world)
    intake.check_intake(contract)
    webhooks, brokers = intake.webhooks(contract), intake.brokers(contract)
    if not webhooks and not brokers:
        raise ValueError(f"world '{contract.world}' declares no stream to listen to")
    if push:
        online_push.check(contract)
    place = Home.found(home, contract.world)
    if push:
        threading.Thread(
            target=online_push.follow, args=(place, contract, threading.Event()), daemon=True
        ).start()
    if not brokers:
        intake.serve(contract, place.inbox, port=port)
        return
    if webhooks:
        threading.Thread(
            target=intake.serve, args=(contract, place.inbox), kwargs={"port": port}, daemon=True
        ).start()
    asyncio.run(intake.receive(contract, place.inbox))
