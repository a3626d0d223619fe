"""Every id column, forty hostile ids, every output: nothing leaves its folder, no header or segment
is forged, others are served."""

from __future__ import annotations

import csv
import email
import io
from email.policy import default
from pathlib import Path

import pytest

from models.procurement import x12
from models.procurement.csv_format import FORMULA
from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.partners import read_partners

#: What somebody could deliver: paths, headers, markup, options, formulas, and signs that formats
#: use themselves.
HOSTILE = (
    "../../../../pwned",
    "/usr/pwned",
    "..",
    ".",
    "/../../out/000000001-850-X",
    "..\\..\\pwned",
    "C:\\pwned",
    "~/pwned",
    "A/B Ltd",
    "Store 1/2",
    "%2e%2e%2fpwned",
    "partners.yml",
    "out",
    "CON",
    "nul.txt",
    ".hidden",
    "-rf",
    "--help",
    "$(touch pwned)",
    "`id`; true",
    "ACME\nLtd of London",
    "ACME\r\nBcc: evil@example.org",
    "tab\there",
    "a" * 250,
    "ü" * 100,
    "Müller",
    "Mu\u0308ller",
    "北京",
    "an\u200bna",
    "\u202egnp.exe",
    '=HYPERLINK("http://evil")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "{{ 7*7 }}",
    "[/red]",
    "$\\frac$",
    "A*B~C>D",
    "ISA*00*",
    "' OR 1=1 --",
    "s1",
)
HEADERS = {"subject", "to", "from", "date", "message-id", "mime-version", "content-type"}
SEGMENTS = {"ISA", "GS", "ST", "BEG", "CUR", "DTM", "N1", "PO1", "CTT", "SE", "GE", "IEA"}


def files(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(("ledger.", "checkpoints."))
    ]


def sound(path: Path, partner) -> None:
    """One message is whole, says only what we say, and forges nothing."""
    body = path.read_bytes()
    if path.suffix == ".edi":
        interchange = x12.read(body)
        assert (interchange.sender, interchange.receiver) == (partner.ours, partner.their)
        (order,) = interchange.sets
        assert {segment[0] for segment in order.segments} <= SEGMENTS
        assert sum(segment[0] == "PO1" for segment in order.segments) == int(order.segments[-1][1])
        assert all(
            "\n" not in value and "\r" not in value
            for segment in order.segments
            for value in segment
        )
    elif path.suffix == ".eml":
        mail = email.message_from_bytes(body, policy=default)
        assert {name.lower() for name in mail} == HEADERS
        assert mail.defects == []
        parts = {
            part.get_content_type(): part.get_payload(decode=True)
            for part in mail.iter_attachments()
        }
        cells = [
            cell for row in csv.reader(io.StringIO(parts["text/csv"].decode())) for cell in row
        ]
        assert not [cell for cell in cells if cell.startswith(FORMULA)]
        assert parts["application/pdf"].startswith(b"%PDF-")
    else:
        assert path.name.endswith(".unwritable.txt")


@pytest.mark.parametrize("column", ["from_id", "location_id", "item_id"])
def test_a_hostile_id_stays_in_its_place_and_holds_nobody_back(column, line, now, tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    odd = [
        {column: hostile, **({"from_id": "S0"} if column != "from_id" else {})}
        for hostile in HOSTILE
    ]
    plan = [line(said.pop("item_id", f"mug {place}"), **said) for place, said in enumerate(odd)]
    plan.append(line("cup", from_id="GOOD"))
    suppliers = {said.from_id for said in plan}
    place = tmp_path / "state" / "partners"
    place.mkdir(parents=True)
    (place / "partners.yml").write_text("S0: {form: email}\n" if column == "item_id" else "")
    partners = read_partners(place, suppliers, "GBP")
    ledger.propose(plan, "run 1", now)

    shown = ledger.preview(partners, now)
    assert {path.parent.name for path in files(place) if path.parent != place} == {"dry_run"}
    assert sorted(shown) == sorted(path for path in files(place) if path.parent != place)
    report = ledger.approve_within_limits(now) and ledger.send(partners, now)
    ledger.preview(partners, now)

    assert (report.waiting, report.dead, report.unaddressed) == (0, 0, ())
    assert len(list((place / "GOOD" / "out").iterdir())) == 1
    assert {path.parent.parent.parent for path in files(tmp_path) if path.parent != place} == {
        place
    }
    assert not [
        path for path in files(place) if path.parent.name == "dry_run" and path.suffix != ".txt"
    ]
    for partner in partners.values():
        for path in [*shown, *files(Path(partner.address) / "out")]:
            if path.exists() and Path(partner.address) in path.parents:
                sound(path, partner)
    waiting = {document.from_id for document in ledger.lines() if document.stage != "sent"}
    held_back = {document.document_id for document in ledger.lines() if document.stage != "sent"}
    assert set(ledger.unsent(partners, now)) == held_back
    assert (len(waiting), report.sent) == (
        len(report.unwritable),
        len(shown) - len(report.unwritable),
    )
    assert ledger.audit() == []
    ledger.close()


@pytest.mark.parametrize(
    "hostile", [text for text in HOSTILE if {"\n", "\t"} & set(text)] + ["\u2028"]
)
def test_an_item_that_x12_cannot_say_is_named_and_the_other_supplier_is_served(
    hostile, ledger, line, now, tmp_path
):
    ledger.propose([line(hostile), line("cup", from_id="GOOD")], "run 1", now)
    ledger.approve_within_limits(now)
    report = ledger.send(read_partners(tmp_path, {"S1", "GOOD"}, "GBP"), now)
    assert (report.sent, len(report.unwritable)) == (1, 1)
    assert "control character" in report.unwritable[0]


def test_a_dry_run_is_no_order_wherever_it_ends_up(ledger, line, now, tmp_path):
    ledger.stop("cfo", now, "nothing may leave")
    ledger.propose(
        [line(from_id="S02", location_id="/../../out/000000001-850-X", quantity=5000)], "run 1", now
    )
    (path,) = ledger.preview(read_partners(tmp_path, {"S02"}, "GBP"), now)
    assert path.parent == tmp_path / "S02" / "dry_run"
    assert not (tmp_path / "S02" / "out").exists()
    assert x12.read(path.read_bytes()).is_test


@pytest.mark.parametrize("kind", ["dry_run", "out"])
def test_a_link_that_a_partner_put_in_the_place_of_our_folder_is_not_followed(
    kind, ledger, line, now, tmp_path
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "S1").mkdir()
    (tmp_path / "S1" / kind).symlink_to(elsewhere)
    ledger.propose([line("mug"), line("cup", from_id="S2")], "run 1", now)
    partners = read_partners(tmp_path, {"S1", "S2"}, "GBP")
    if kind == "dry_run":
        with pytest.raises(LedgerError, match="S1/dry_run"):
            ledger.preview(partners, now)
    else:
        ledger.approve_within_limits(now)
        assert (ledger.send(partners, now).sent, ledger.send(partners, now).sent) == (1, 0)
    assert list(elsewhere.iterdir()) == []
    assert len(list((tmp_path / "S2" / kind).iterdir())) == 1


def test_a_link_in_the_place_of_a_dry_run_is_replaced_and_what_it_points_at_is_untouched(
    ledger, line, now, tmp_path
):
    target, folder = tmp_path / "precious", tmp_path / "S1" / "dry_run"
    folder.mkdir(parents=True)
    for name in ("S1-DC.edi", "old.edi"):
        (folder / name).symlink_to(target)
    ledger.propose([line("mug")], "run 1", now)
    (path,) = ledger.preview(read_partners(tmp_path, {"S1"}, "GBP"), now)
    assert (path.is_symlink(), target.exists(), len(list(folder.iterdir()))) == (False, False, 1)


def test_a_supplier_whose_money_is_another_is_not_sent_our_figures_as_its_own(
    ledger, line, now, tmp_path
):
    (tmp_path / "partners.yml").write_text("S1: {currency: JPY}\n")
    ledger.propose([line("mug", unit_cost=100.0), line("cup", from_id="S2")], "run 1", now)
    ledger.approve_within_limits(now)
    report = ledger.send(read_partners(tmp_path, {"S1", "S2"}, "GBP"), now)
    assert (report.sent, (tmp_path / "S1").exists()) == (1, False)
    assert "costs are in GBP and S1 is paid in JPY" in report.unwritable[0]


@pytest.mark.parametrize(
    "said",
    [
        {"from_id": "S\x001"},
        {"location_id": "D\ud800C"},
        {"item": "a\x00b"},
        {"quantity": 1e300, "unit_cost": 1e300},
        {"quantity": 1e18, "unit_cost": 1},
        {"quantity": 9e15, "unit_cost": 1e4},
        {"quantity": 1e15, "unit_cost": 1e5},
        {"quantity": 1e12, "unit_cost": 2},
        {"item": "x" * 3000},
        {"from_id": "x" * 3000},
    ],
)
def test_what_no_ledger_can_keep_is_refused_in_one_message_before_anything_is_written(
    said, ledger, line, now
):
    with pytest.raises(LedgerError) as caught:
        ledger.propose([line(**said)], "run 1", now)
    assert str(caught.value).isprintable()
    assert ledger.events() == []


@pytest.mark.parametrize(
    "supplier", ["S" * 300, "Müller", "an\u200bna", "ACME\nLtd", "аcme (Cyrillic a)"]
)
def test_a_supplier_of_any_name_is_ordered_from_and_heard_in_either_database(
    supplier, ledger, line, now, tmp_path
):
    ledger.propose([line("mug", from_id=supplier)], "run 1", now)
    ledger.approve([ledger.lines()[0].document_id], "ann", now)
    partners = read_partners(tmp_path, {supplier}, "GBP")
    ledger.send(partners, now)
    assert ledger.receive(b"rubbish", partners[supplier], now).status == "rejected"
    assert [document.stage for document in ledger.lines()] == ["sent"]
    assert ledger.audit() == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush@127.0.0.1:9/nowhere?connect_timeout=2",
        "no url at all hush",
        "nosuch://me:hush@host/name",
        "sqlite:////proc/hush/no/ledger.sqlite",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_told_in_one_line_without_a_secret(url):
    with pytest.raises((LedgerError, OSError)) as caught:
        Ledger.open(url)
    assert "hush@" not in str(caught.value)
    assert "\n" not in str(caught.value)
