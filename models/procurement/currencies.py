"""Currencies (ISO 4217) with their minor units, and amounts as they can be paid."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from models.procurement.messages import MessageError

#: Currencies by the digits after their point.
CURRENCIES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP
        BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP
        GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK
        LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK
        NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER
        ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
#: Holds the largest quantity at the largest price with four digits behind the point.
WIDE = Context(prec=64)
HUNDREDTH = Decimal("0.01")
DIGITS = {name: digits for digits, names in CURRENCIES.items() for name in names.split()}


def minor_unit(currency: str) -> Decimal:
    """The smallest amount a currency is billed in: 0.01 for GBP, 1 for JPY, 0.001 for KWD. Raises
    MessageError for a currency ISO 4217 does not have."""
    digits = DIGITS.get(currency)
    if digits is None:
        raise MessageError(f"'{currency[:20]}' is no currency of ISO 4217")
    return Decimal(1).scaleb(-digits)


def coin(currency: str) -> Decimal:
    """The smallest amount of a currency; a hundredth where nobody says which it is."""
    return minor_unit(currency) if currency in DIGITS else HUNDREDTH


def money(amount: Decimal, currency: str) -> Decimal:
    """An amount as the currency can be paid, rounded half up to its minor unit."""
    return rounded(amount, minor_unit(currency))


def cost(quantity: float, unit_cost: float, currency: str) -> Decimal:
    """What so many units cost, rounded half up to the currency's smallest amount."""
    return rounded(Decimal(repr(quantity)) * Decimal(repr(unit_cost)), coin(currency))


def rounded(amount: Decimal, unit: Decimal) -> Decimal:
    """An amount rounded half up to a unit, however large what a partner wrote is."""
    return amount.quantize(unit, ROUND_HALF_UP, WIDE)
