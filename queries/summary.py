"""The cohorts as text for a terminal: the headline, and a triangle sized to the window."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import zip_longest
from typing import Any

from queries.cohorts import CLV_MONTHS, Cell
from queries.forecast.forecast import HORIZON_MONTHS
from utils.helpers import escape_controls

_MOST_ROWS = 12
_CELL_WIDTH = 5

# Backgrounds of a terminal with 256 colours, from few to many, each with a text colour that
# is read on it; a step is 5 % of the cohort.
_SHADES = [
    f"\x1b[48;5;{background};38;5;{text}m"
    for background, text in (
        (195, 16),
        (153, 16),
        (111, 16),
        (69, 16),
        (26, 231),
        (18, 231),
    )
]
_PLAIN = "\x1b[0m"


def render_summary(
    document: Mapping[str, Any], *, width: int, has_colour: bool = False
) -> str:
    """Return the result as plain text, with a table of at most *width* columns.

    With *has_colour* the cells of the table are shaded by escape sequences.
    """
    summary = document["summary"]
    if not summary["cohort_count"]:
        until = f" until {document['as_of']}" if document["as_of"] else ""
        none = f"No cohorts: no valid order{until}, and both files hold no cell."
        return "\n".join([none, *_render_forecast(document, width)])
    customers = _count(summary["customer_count"], "customer")
    cohorts = _count(summary["cohort_count"], "cohort")
    grain = document["options"]["cohort"]
    sections = [
        [f"As of {document['as_of']}: {customers} in {cohorts} by {grain} of first order."],
        _render_clv(summary, document["currency"], width),
        _render_segments(document),
        _render_triangle(document, max(width, 40), has_colour=has_colour),
        _render_reconciliation(document["reconciliation"], width),
        _render_forecast(document, width),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _render_clv(summary: Mapping[str, Any], currency: str | None, width: int) -> list[str]:
    lines = ["CLV: net per customer so far, of the cohorts old enough"]
    for clv in summary["clv"]:
        months, cents = clv["months"], clv["cents"]
        if cents is None:
            lines.append(f"  {months:>2} months   no cohort is old enough")
            continue
        money = _money(cents) + (f" {currency}" if currency else "")
        cohorts = _count(clv["cohort_count"], "cohort")
        line = f"  {months:>2} months   {money:>14}   {cohorts}"
        lines.append(line + _render_spread(clv, width - len(line)))
    return lines


def _render_spread(clv: Mapping[str, Any], width: int) -> str:
    """Return interval and median of *clv*, or nothing if they need more than *width*."""
    low, high, median = (clv[f"{name}_cents"] for name in ("low", "high", "median"))
    if median is None:
        return ""
    text = f", median {_money(median)}"
    if low is not None:
        text = f", 95% {_money(low)} to {_money(high)}{text}"
    return text if len(text) <= width else ""


def _render_segments(document: Mapping[str, Any]) -> list[str]:
    """Return a line per segment: its customers, and what they have been worth."""
    segments = document.get("segments")
    if not segments:
        return []
    by = document["options"]["by"]
    names = [_printable(record["segment"]) for record in segments]
    name_width = max(len(by), *map(len, names))
    heads = [f"{months} months" for months in CLV_MONTHS]
    lines = [
        f"CLV by {by}, net per customer",
        f"{by:<{name_width}}  customers" + "".join(f"{head:>13}" for head in heads),
    ]
    for name, record in zip(names, segments, strict=True):
        summary = record["summary"]
        values = [clv["cents"] for clv in summary["clv"]]
        texts = ["-" if cents is None else _money(cents) for cents in values]
        lines.append(
            f"{name:<{name_width}}  {summary['customer_count']:>9,}"
            + "".join(f"{text:>13}" for text in texts)
        )
    return lines


def _render_triangle(
    document: Mapping[str, Any], width: int, *, has_colour: bool
) -> list[str]:
    """Return the latest cohorts' retention as a table of at most *width* columns."""
    cohorts = document["cohorts"][-_MOST_ROWS:]
    name_width = max(len("average"), *(len(cohort["cohort"]) for cohort in cohorts))
    sizes = [f"{cohort['cohort_size']:,}" for cohort in cohorts]
    size_width = max(len("size"), *map(len, sizes)) + 2
    room = max(1, (width - name_width - size_width) // _CELL_WIDTH)
    ages = sorted({cell["months_since"] for cell in document["cells"]})
    hidden = [
        _count(number, noun)
        for number, noun in (
            (len(document["cohorts"]) - len(cohorts), "older cohort"),
            (len(ages[room:]), "later month"),
        )
        if number
    ]
    ages = ages[:room]
    by_age = {(cell["cohort"], cell["months_since"]): cell for cell in document["cells"]}
    means = {age["months_since"]: _percent(age["retention"]) for age in document["average"]}
    rows = [["cohort", "size", *(f"{age} " for age in ages)]]
    shades: list[list[str]] = [[]]
    for cohort, size in zip(cohorts, sizes, strict=True):
        found = [by_age.get((cohort["cohort"], age)) for age in ages]
        rows.append(
            [cohort["cohort"], size, *("" if c is None else _mark(c) for c in found)]
        )
        shades.append([_shade(cell) if has_colour else "" for cell in found])
    rows.append(["average", "", *(means.get(age, "") for age in ages)])
    shades.append([])
    return [
        "Retention by months since, in % of the cohort (* the month still runs)",
        *(
            (
                f"{name:<{name_width}}{size:>{size_width}}" + _render_cells(cells, tints)
            ).rstrip()
            for (name, size, *cells), tints in zip(rows, shades, strict=True)
        ),
        *(textwrap.wrap(f"Not shown: {', '.join(hidden)}.", width) if hidden else []),
    ]


def _render_reconciliation(reconciliation: Mapping[str, Any], width: int) -> list[str]:
    """Return what was left out, and why, as a sentence."""
    left_out = [
        f"{_count(record['order_count'], 'order')} ({record['reason']})"
        for record in reconciliation["excluded_orders"]
    ]
    idle = reconciliation["users_without_valid_order"]
    if idle:
        left_out.append(f"{_count(idle, 'user')} without a valid order")
    if not left_out:
        return []
    text = _printable(f"Left out: {', '.join(left_out)}.")
    return textwrap.wrap(text, max(width, 40), subsequent_indent="  ")


def _render_forecast(document: Mapping[str, Any], width: int) -> list[str]:
    """Return what the cohorts are expected to bring, and how such a forecast did before."""
    forecast = document.get("forecast")
    if forecast is None:
        return []
    if "refused" in forecast:
        return textwrap.wrap(f"No forecast: {forecast['refused']}", max(width, 40))
    currency = document["currency"]
    lines = ["FORECAST, not fact: net of the customers so far, with 95% intervals"]
    for horizon in forecast["total"]:
        low, high = (horizon["net_cents"][end] for end in ("low", "high"))
        spread = "" if low is None else f"   {_money(low)} to {_money(high)}"
        money = _money(horizon["net_cents"]["forecast"]) + (
            f" {currency}" if currency else ""
        )
        lines.append(f"  next {horizon['months']:>2} months {money:>18}{spread}")
    lines += ["", *_render_forecast_table(forecast), "", *_render_holdout(forecast, width)]
    return lines


def _render_forecast_table(forecast: Mapping[str, Any]) -> list[str]:
    """Return the latest cohorts' forecast per customer, a row each."""
    cohorts = forecast["cohorts"][-_MOST_ROWS:]
    heads = "".join(f"{f'{months} months':>13}" for months in HORIZON_MONTHS)
    lines = ["FORECAST net per customer", f"cohort       size{heads}"]
    for cohort in cohorts:
        values = "".join(
            f"{_money(horizon['net_per_customer_cents']):>13}"
            for horizon in cohort["horizons"]
        )
        lines.append(f"{cohort['cohort']:<8}{cohort['cohort_size']:>9,}{values}")
    return lines


def _render_holdout(forecast: Mapping[str, Any], width: int) -> list[str]:
    """Return how such a forecast would have done before, in a sentence."""
    holdout = forecast["holdout"]
    if "refused" in holdout:
        text = f"No holdout: {holdout['refused']}"
    else:
        purchases, value = holdout["purchases"], holdout["value_cents"]
        text = (
            f"Holdout: fitted until {holdout['fitted_until']}, the model forecast"
            f" {purchases['forecast']:,} purchases in the {holdout['days']} days after;"
            f" there were {purchases['actual']:,} ({_signed(purchases['error'])})."
            f" It forecast a value of {_money(value['forecast'])}; it was"
            f" {_money(value['actual'])} ({_signed(value['error'])})."
        )
    return textwrap.wrap(text, max(width, 40), subsequent_indent="  ")


def render_score(score: Mapping[str, Any], currency: str | None) -> str:
    """Return the forecast beside the truth as plain text: whole, by cohort, by decile."""
    unit = f", {currency}" if currency else ""
    names = ("forecast", "expected", "realised")
    heads = "".join(f"{name:>15}" for name in names)
    head = f"{'':<9}{'customers':>10}{heads}{'error':>8}"
    rows = [("all", score["total"])]
    rows += [(record["cohort"], record) for record in score["cohorts"]]
    deciles = [(f"{record['decile']}", record) for record in score["deciles"]]
    return "\n".join(
        [
            f"SCORE: net of the next {score['days']} days{unit}, forecast beside the truth",
            "Expected by the hidden rates, realised in one run of chance; the error is to",
            f"what was expected. Of all cohorts it is {_share(score['cohort_error'])}.",
            head,
            *(_render_score_row(name, record) for name, record in rows),
            "",
            "By tenths of the customers, the most promising first",
            head,
            *(_render_score_row(name, record) for name, record in deciles),
        ]
    )


def _render_score_row(name: str, record: Mapping[str, Any]) -> str:
    money = "".join(
        f"{_money(record[f'{kind}_net_cents']):>15}"
        for kind in ("forecast", "expected", "realised")
    )
    error = _signed(record["error_to_expected"])
    return f"{name:<9}{record['customer_count']:>10,}{money}{error:>8}"


def _render_cells(texts: Sequence[str], shades: Sequence[str] = ()) -> str:
    cells = [f"{text:>{_CELL_WIDTH}}" for text in texts]
    return "".join(
        f"{shade}{cell}{_PLAIN}" if shade else cell
        for cell, shade in zip_longest(cells, shades, fillvalue="")
    )


def _shade(cell: Cell | None) -> str:
    """Return the escape sequence of a cell's shade; the first month, 100 %, has none."""
    share = cell["retention"] if cell else None
    if share is None or (cell and cell["months_since"] == 0):
        return ""
    return _SHADES[min(int(share * 20), len(_SHADES) - 1)]


def _mark(cell: Cell) -> str:
    if cell["retention"] is None:
        return ""
    text = _percent(cell["retention"])
    return text if cell["is_complete"] else text.rstrip() + "*"


def _money(cents: float) -> str:
    """Return *cents* as an amount, half a cent rounded away from zero.

    Through the decimal that the JSON shows: in binary, 110.5 cents are 1.10499….

    >>> _money(110.5), _money(33333.5), _money(-0.5), _money(123456)
    ('1.11', '333.34', '-0.01', '1,234.56')
    """
    return f"{_round(Decimal(repr(cents)).scaleb(-2), '0.01'):,}"


def _percent(share: float | None) -> str:
    """Return *share* in whole percent, with room for a mark: `15 `, `<1 `, `0 `."""
    if share is None:
        return ""
    return "<1 " if 0 < share < 0.005 else f"{_round(Decimal(repr(share)) * 100, '1')} "


def _round(number: Decimal, unit: str) -> Decimal:
    return number.quantize(Decimal(unit), rounding=ROUND_HALF_UP)


def _signed(share: float | None) -> str:
    """Return an error as text.

    >>> _signed(0.0898), _signed(-0.122), _signed(None)
    ('+9.0%', '-12.2%', '-')
    """
    return "-" if share is None else f"{_round(Decimal(repr(share)) * 100, '0.1'):+}%"


def _share(share: float | None) -> str:
    return _signed(share).lstrip("+")


def _printable(text: str) -> str:
    """Return *text* on one line, with what a terminal would obey escaped."""
    return escape_controls(text).replace("\n", "\\n")


def _count(number: int, noun: str) -> str:
    """Return *number* and its *noun*.

    >>> _count(1, "cohort"), _count(1200, "cohort")
    ('1 cohort', '1,200 cohorts')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
