"""A small company that lives in a real Tryton on loopback, and the people who work in it: they sell,
buy, receive and pay there as its users do, over its own interface."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
WORLD = HERE / "world.yml"
MODULES = ("ir", "res", "purchase", "purchase_request", "stock_supply", "sale")
USER, PASSWORD, OWNER = "stockhouse", "a long one for tests", "the owner, for tests"
CUSTOMER = "WALK-IN"
CONFIG = """
[database]
uri = sqlite:///
path = {folder}
[web]
listen = 127.0.0.1:{port}
[session]
authentications = password
max_age = 3000000000
timeout = 3000000000
"""


def python() -> Path:
    """The Python of Tryton's own environment: TRYTON_PYTHON, or what `make test` sets up."""
    named = os.environ.get("TRYTON_PYTHON")
    return Path(named) if named else Path(sys.prefix) / "tryton" / "bin" / "python"


def found(folder: Path, company: Mapping[str, Any], at: datetime) -> Path:
    """A new database with this company in it; half a minute of processor time, so that whoever
    needs several copies the folder."""
    folder.mkdir(parents=True)
    (folder / "clock").write_text(at.isoformat(), encoding="utf-8")
    (folder / "erp.sqlite").touch()
    (folder / "owner").write_text(OWNER, encoding="utf-8")
    (folder / "trytond.conf").write_text(CONFIG.format(folder=folder, port=0), encoding="utf-8")
    said = {**company, "user": USER, "password": PASSWORD}
    (folder / "company.json").write_text(json.dumps(said), encoding="utf-8")
    conf = str(folder / "trytond.conf")
    clock, about = str(folder / "clock"), str(folder / "company.json")
    make = [str(python()), str(HERE / "company_clock.py"), conf, clock, "trytond-admin"]
    make += ["-d", "erp", "--email", "erp@example.com", "--activate-dependencies"]
    _run(folder, *make, "-u", *MODULES)
    _run(folder, str(python()), str(HERE / "found_company.py"), conf, clock, about)
    return folder


def _run(folder: Path, *command: str) -> None:
    env = {**os.environ, "TRYTONPASSFILE": str(folder / "owner"), "TZ": "UTC"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


class Refused(AssertionError):
    """Tryton does not do what somebody asks of it."""

    def __str__(self) -> str:
        return " ".join(map(str, self.args))[:500]


class Erp:
    """The company while Tryton serves it; copied from where it was founded."""

    def __init__(self, founded: Path, folder: Path) -> None:
        shutil.copytree(founded, folder)
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        conf = folder / "trytond.conf"
        conf.write_text(CONFIG.format(folder=folder, port=self.port), encoding="utf-8")
        self.url = f"http://127.0.0.1:{self.port}/erp"
        self.address = f"tryton+http://{USER}@127.0.0.1:{self.port}/erp"
        self.company = json.loads((folder / "company.json").read_text(encoding="utf-8"))
        self.suppliers = self.company["suppliers"]
        self._ids: dict[tuple[str, str], int] = {}
        command = [str(python()), str(HERE / "company_clock.py"), str(conf), str(folder / "clock")]
        command += ["trytond", "-d", "erp"]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with (folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, env=env | {"TZ": "UTC"}, stdout=log, stderr=log
            )
        self.http = httpx.Client(timeout=60)
        self._sign_in()

    def _sign_in(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                self.user, key, *_ = self.ask("common.db.login", "admin", {"password": OWNER})
                break
            except httpx.TransportError:
                assert time.monotonic() < end and self.process.poll() is None, (
                    self.folder / "server.log"
                ).read_text(encoding="utf-8")[-3000:]
                time.sleep(0.1)
        mark = base64.b64encode(f"admin:{self.user}:{key}".encode()).decode()
        self.http.headers["Authorization"] = f"Session {mark}"

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # its threads wait for somebody who has gone
            self.process.kill()
            self.process.wait(timeout=30)

    def environment(self) -> dict[str, str]:
        """What whoever connects has in its environment."""
        return {"TRYTON_URL": self.url, "TRYTON_USER": USER, "TRYTON_PASSWORD": PASSWORD}

    def ask(self, method: str, *params: Any) -> Any:
        """What Tryton answers."""
        said = self.http.post(
            f"{self.url}/rpc/", json={"id": 0, "method": method, "params": params}
        )
        answer = said.json()
        if "error" in answer:
            raise Refused(*answer["error"])
        return answer["result"]

    def call(self, method: str, *params: Any, **context: Any) -> Any:
        """A method of a model, for the company, by somebody who takes every warning for read."""
        try:
            return self.ask(f"model.{method}", *params, {"company": 1, **context})
        except Refused as refused:
            self._take_for_read(refused)
            return self.call(method, *params, **context)

    def _take_for_read(self, refused: Refused) -> None:
        """Take a warning for read, so that the same may be asked again; raise anything else."""
        if refused.args[0] not in ("UserWarning", "SupplyWarning"):
            raise refused
        read = {"user": self.user, "name": refused.args[1][0], "always": True}
        self.ask("model.res.user.warning.create", [read], {"company": 1})

    def rows(self, model: str, domain: Sequence[Any], *fields: str) -> list[Any]:
        """The records of a domain, the oldest first."""
        return list(
            self.call(f"{model}.search_read", domain, 0, None, [["id", "ASC"]], ["id", *fields])
        )

    def id_of(self, model: str, code: str) -> int:
        """The record with a code."""
        key = (model, code)
        if key not in self._ids:
            (row,) = self.rows(model, [["code", "=", code]])
            self._ids[key] = row["id"]
        return self._ids[key]

    # time -----------------------------------------------------------------------------------

    def at(self, moment: datetime) -> None:
        """Let it be this time."""
        (self.folder / "clock").write_text(moment.isoformat(), encoding="utf-8")

    @property
    def today(self) -> date:
        clock = (self.folder / "clock").read_text(encoding="utf-8")
        return datetime.fromisoformat(clock).date()

    # people ---------------------------------------------------------------------------------

    def take_over(self, sold: Mapping[date, Mapping[str, int]]) -> None:
        """Book what another till sold before the company sold in Tryton, a shipment a day."""
        out, customers = self.id_of("stock.location", "OUT"), self.id_of("stock.location", "CUS")
        shipments = [
            self._customer("customer", "delivery_address")
            | {
                "effective_date": day_of(day),
                "warehouse_storage": self.id_of("stock.location", "STO"),
                "warehouse_output": out,
                "outgoing_moves": [
                    [
                        "create",
                        [
                            line | {"from_location": out, "to_location": customers, "currency": 1}
                            for line in self._lines(goods)
                        ],
                    ]
                ],
            }
            for day, goods in sold.items()
        ]
        self._hand_over(self.call("stock.shipment.out.create", shipments))

    def _customer(self, party: str, *addresses: str) -> dict[str, Any]:
        """Who buys, where it goes, and from where."""
        number = self.id_of("party.party", CUSTOMER)
        place = self.rows("party.address", [["party", "=", number]])[0]["id"]
        warehouse = self.id_of("stock.location", "WH")
        return {party: number, **dict.fromkeys(addresses, place), "warehouse": warehouse}

    def _lines(self, goods: Mapping[str, int]) -> list[dict[str, Any]]:
        return [
            {
                "product": self.id_of("product.product", item),
                "unit": 1,
                "quantity": float(quantity),
                "unit_price": decimal(self.company["items"][item]["price"]),
            }
            for item, quantity in goods.items()
            if quantity
        ]

    def _hand_over(self, shipments: Sequence[int]) -> None:
        for button in ("wait", "assign_force", "pick", "pack", "do"):
            self.call(f"stock.shipment.out.{button}", list(shipments))

    def count(self, found: Mapping[str, int]) -> None:
        """Count the store at the end of the day."""
        lines = [
            {"product": self.id_of("product.product", item), "quantity": float(quantity)}
            for item, quantity in found.items()
        ]
        place = self.id_of("stock.location", "STO")
        head = {"location": place, "date": day_of(self.today), "lines": [["create", lines]]}
        self.call("stock.inventory.confirm", self.call("stock.inventory.create", [head]))

    def on_hand(self) -> dict[str, int]:
        """What lies in the warehouse, as Tryton counts it."""
        place = self.id_of("stock.location", "WH")
        context = {"locations": [place], "stock_date_end": day_of(self.today)}
        fields = [["id", "ASC"]], ["code", "quantity"]
        rows = self.call("product.product.search_read", [], 0, None, *fields, **context)
        return {row["code"]: round(row["quantity"]) for row in rows}

    def awaited(self) -> list[Any]:
        """What suppliers have still to bring, a move each."""
        still = [["state", "=", "draft"], ["from_location.type", "=", "supplier"]]
        return self.rows("stock.move", still, "quantity", "planned_date", "product.code")

    def sell(self, goods: Mapping[str, int]) -> None:
        """Sell and hand over, on one sale."""
        lines = [line | {"type": "line"} for line in self._lines(goods)]
        head = self._customer("party", "invoice_address", "shipment_address")
        head |= {"currency": 1, "sale_date": day_of(self.today), "invoice_method": "manual"}
        head |= {"shipment_method": "order", "lines": [["create", lines]]}
        sale = self.call("sale.sale.create", [head])
        for button in ("quote", "confirm"):
            self.call(f"sale.sale.{button}", sale)
        (found,) = self.rows("sale.sale", [["id", "=", sale[0]]], "shipments")
        self._hand_over(found["shipments"])

    def purchases(self, *states: str) -> list[Any]:
        """The purchases in these states, the oldest first."""
        about = (
            "number",
            "reference",
            "state",
            "party.code",
            "purchase_date",
            "invoices",
            "total_amount",
        )
        lines = ("sequence", "quantity", "product.code", "unit_price", "delivery_date", "moves")
        fields = (*about, *(f"lines.{name}" for name in lines))
        return self.rows("purchase.purchase", [["state", "in", list(states)]], *fields)

    def confirm(self, purchases: Sequence[int]) -> None:
        """Order what is drafted."""
        if purchases:
            for button in ("quote", "confirm"):
                self.call(f"purchase.purchase.{button}", list(purchases))

    def receive(self, purchase: Mapping[str, Any], moves: Sequence[int]) -> None:
        """Take goods in at the door and put them away."""
        shipment = {
            "supplier": self.id_of("party.party", purchase["party."]["code"]),
            "warehouse": self.id_of("stock.location", "WH"),
            "warehouse_input": self.id_of("stock.location", "IN"),
            "warehouse_storage": self.id_of("stock.location", "STO"),
            "effective_date": day_of(self.today),
            "incoming_moves": [["add", list(moves)]],
        }
        made = self.call("stock.shipment.in.create", [shipment])
        for button in ("receive", "do"):
            self.call(f"stock.shipment.in.{button}", made)

    def book_bill(self, purchase: Mapping[str, Any], number: str) -> None:
        """Post the supplier's bill for a purchase under its number."""
        said = {"reference": number, "invoice_date": day_of(self.today)}
        self.call("account.invoice.write", purchase["invoices"], said)
        self.call("account.invoice.post", purchase["invoices"])

    def set_order_points(self, levels: Mapping[str, tuple[int, int]]) -> None:
        """Say when an item is asked for, and up to how many."""
        for point in self.rows("stock.order_point", [], "product.code"):
            least, target = (float(level) for level in levels[point["product."]["code"]])
            said = {"min_quantity": least, "target_quantity": target}
            self.call("stock.order_point.write", [point["id"]], said)

    def order_by_order_points(self) -> None:
        """Let Tryton's own order points ask, and order what they ask for. What is late is expected
        today, as Tryton warns that it does not count it otherwise."""
        days = ((move["id"], said_day(move["planned_date"])) for move in self.awaited())
        late = [number for number, day in days if day is not None and day < self.today]
        if late:
            self.call("stock.move.write", late, {"planned_date": day_of(self.today)})
        self._wizard("stock.supply", "create_")
        asked = [row["id"] for row in self.rows("purchase.request", [["state", "=", "draft"]])]
        if asked:
            self._wizard("purchase.request.create_purchase", None, "purchase.request", asked)
            self.confirm([purchase["id"] for purchase in self.purchases("draft")])

    def _wizard(
        self, name: str, state: str | None, model: str = "", ids: Sequence[int] = ()
    ) -> None:
        """Press a button of a wizard, or go on where it begins."""
        about = {"company": 1, "active_model": model, "active_ids": list(ids)}
        about |= {"active_id": ids[0]} if ids else {}
        session, start, _ = self.ask(f"wizard.{name}.create", about)
        while True:
            try:
                self.ask(f"wizard.{name}.execute", session, {}, state or start, about)
                return
            except Refused as refused:
                self._take_for_read(refused)


def day_of(day: date) -> dict[str, Any]:
    """A day as Tryton's JSON has it."""
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def said_day(said: Mapping[str, Any] | None) -> date | None:
    """A day that Tryton's JSON says."""
    return date(said["year"], said["month"], said["day"]) if said else None


def decimal(said: str) -> dict[str, str]:
    """An amount as Tryton's JSON has it."""
    return {"__class__": "Decimal", "decimal": str(said)}


def weeks_before(monday: date, weeks: int) -> list[date]:
    """Every day of so many weeks before a Monday."""
    return [monday - timedelta(days=n) for n in range(7 * weeks, 0, -1)]
