"""A small company founded in Tryton, by Tryton's own client; run by the Python of Tryton's own
environment.

`python found_company.py CONFIG CLOCK COMPANY.json` fills the database `erp` that CONFIG names, on
the day that CLOCK says: company, accounts, a customer, suppliers with prices and lead times,
products, order points, and a user of its own for whoever connects.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path

from company_clock import follow
from proteus import Model, config
from trytond.modules.account.tests.tools import (
    create_chart,
    create_fiscalyear,
    create_tax,
    get_accounts,
)
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.modules.currency.tests.tools import get_currency

GROUPS = ("Purchase", "Stock", "Sales", "Stock Administration", "Product Administration")


def one(model, **found):
    (record,) = Model.get(model).find([(name, "=", value) for name, value in found.items()])
    return record


def accounts_of(day):
    create_chart()
    first, last = dt.date(day.year, 1, 1), dt.date(day.year, 12, 31)
    year = create_fiscalyear(today=(first, last))
    year.start_date, year.end_date = first, last
    set_fiscalyear_invoice_sequences(year).click("create_period")
    found = get_accounts()
    category = Model.get("product.category")(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = found["expense"], found["revenue"]
    category.save()
    (taxed,) = category.duplicate({"name": "Taxed goods"})
    tax = create_tax(Decimal("0.10"))
    tax.save()
    taxed.supplier_taxes.append(tax)
    taxed.save()
    return {False: category, True: taxed}


def party_of(code, name):
    party = Model.get("party.party")(name=name, code=code)
    party.addresses[0].street = "Quay 1"
    party.save()
    return party


def product_of(code, said, categories, party, lead_days):
    unit = one("product.uom", name="Unit")
    template = Model.get("product.template")(name=said["name"], code=code, default_uom=unit)
    template.type, template.list_price = "goods", Decimal(said["price"])
    template.purchasable = template.salable = True
    template.account_category = categories[said.get("is_taxed", False)]
    template.save()
    (product,) = template.products
    product.cost_price = Decimal(said["cost"])
    product.save()
    terms = Model.get("purchase.product_supplier")(template=template, party=party)
    terms.currency, terms.lead_time = get_currency("EUR"), dt.timedelta(days=lead_days)
    price = terms.prices.new()
    price.quantity, price.unit_price = 0.0, Decimal(said["cost"])
    terms.save()
    return product


def order_points(products, company):
    for code, said in company["items"].items():
        point = Model.get("stock.order_point")(type="purchase", product=products[code])
        point.location = one("stock.location", code="WH")
        point.min_quantity, point.target_quantity = (float(v) for v in said["order_point"])
        point.save()


def user_of(name, password):
    Group = Model.get("res.group")
    user = Model.get("res.user")(name=name, login=name, password=password)
    user.groups.extend(Group.find([("name", "in", GROUPS)]))
    user.companies.append(get_company())
    user.company = get_company()
    user.save()


def main():
    file, clock = sys.argv[1:3]
    company = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    follow(clock)
    day = dt.datetime.fromisoformat(Path(clock).read_text(encoding="utf-8")).date()
    config.set_trytond("sqlite:///erp", user="admin", config_file=file)
    create_company(currency=get_currency("EUR"))
    categories = accounts_of(day)
    suppliers = {code: party_of(code, said["name"]) for code, said in company["suppliers"].items()}
    products = {
        code: product_of(
            code,
            said,
            categories,
            suppliers[said["supplier"]],
            company["suppliers"][said["supplier"]]["lead_days"],
        )
        for code, said in company["items"].items()
    }
    party_of("WALK-IN", "Whoever walks in")
    order_points(products, company)
    user_of(company["user"], company["password"])


main()
