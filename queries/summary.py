"""The result as text for a terminal: CLV, segments, retention, forecast and score."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from queries.cohort_cells import Cell
from queries.customer_values import CLV_MONTHS
from utils.formats import (
    align_columns,
    count_noun,
    format_amount,
    format_money,
    format_percent,
    format_whole_percent,
)
from utils.helpers import escape_controls, escape_line

_MIN_WIDTH = 40
_CELL_WIDTH = 5

# Backgrounds of a terminal with 256 colours, from few to many, each with a text colour that
# is readable on it; a step is 5 % of the cohort.
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

# Whether an interval contains a figure.
_PLACES = {True: "inside", False: "outside"}

_COLOUR = re.compile(f"({'|'.join(map(re.escape, [*_SHADES, _PLAIN]))})")


class Limits(NamedTuple):
    """How many cohorts and segments a table has at most; None: all of them."""

    cohorts: int | None = 12
    segments: int | None = 10


def render_result(
    document: Mapping[str, Any],
    *,
    width: int,
    has_colour: bool = False,
    has_all_rows: bool = False,
) -> str:
    """Return the result as plain text, with tables of at most *width* columns.

    With *has_colour* the cells of the retention table are shaded by escape sequences.  With
    *has_all_rows* the tables have all cohorts and segments, else the first ones.
    """
    summary = document["summary"]
    most = Limits(None, None) if has_all_rows else Limits()
    width = max(width, _MIN_WIDTH)
    if not summary["cohort_count"]:
        parts = [_explain_absence(document), *_render_forecast(document, width, most)]
        return "\n".join(parts)
    customers = count_noun(summary["customer_count"], "customer")
    cohorts = count_noun(summary["cohort_count"], "cohort")
    grain = document["options"]["cohort"]
    head = f"As of {document['as_of']}: {customers} in {cohorts} by {grain} of first order."
    sections = [
        textwrap.wrap(head, width),
        [
            *_render_clv(summary, document["currency"], width),
            *_render_first_cohort(document, width),
        ],
        _render_segments(document, width, most),
        _render_retention(document, width, most, has_colour=has_colour),
        _render_exclusions(document["reconciliation"], width),
        _render_forecast(document, width, most),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _explain_absence(document: Mapping[str, Any]) -> str:
    """Return why the result has no cohort: no valid order, or a query without rows."""
    until = f" until {document['as_of']}" if document["as_of"] else ""
    sums = {
        record["figure"]: record["of_tables"]
        for record in document["reconciliation"]["sums"]
    }
    if not sums["order_count"]:
        return f"No cohorts: no valid order{until}, and both files have no cell."
    file = escape_line(document["query"]["file"])
    orders = count_noun(sums["order_count"], "valid order")
    return (
        f"No cohorts: {file} returns no row for {orders}{until}, and both files have no"
        " cell. Correct the query."
    )


def escape_between_colours(text: str) -> str:
    """Return *text* with all control characters escaped, except those of our own shades."""
    return "".join(
        part if _COLOUR.fullmatch(part) else escape_controls(part)
        for part in _COLOUR.split(text)
    )


def _render_clv(summary: Mapping[str, Any], currency: str | None, width: int) -> list[str]:
    lines = ["CLV: net per customer so far, of the cohorts old enough"]
    amounts = [format_amount(clv["cents"], currency) for clv in summary["clv"]]
    amount_width = max(14, *map(len, amounts))
    for clv, amount in zip(summary["clv"], amounts, strict=True):
        head = f"  {clv['months']:>2} months   "
        if clv["cents"] is None:
            lines.append(f"{head}no cohort is old enough")
            continue
        count = count_noun(clv["cohort_count"], "cohort")
        line = f"{head}{amount:>{amount_width}}   {count}"
        lines += _add_or_wrap(line, ", ", _describe_spread(clv, currency), width)
    return lines


def _render_first_cohort(document: Mapping[str, Any], width: int) -> list[str]:
    """Return a note if the first cohort is not one of new customers, or is omitted."""
    first = document["summary"]["large_first_cohort"]
    is_omitted = document["options"]["omit_first_cohort"]
    if first:
        text = (
            f"Note: the first cohort, {first['cohort']}, has"
            f" {count_noun(first['cohort_size'], 'customer')}, the median of the later ones"
            f" is {first['median_of_later']:,}. It seems to include customers who bought"
            " before the data begin, and "
        )
        text += (
            "the averages omit it."
            if is_omitted
            else "it counts in the averages (--omit-first-cohort omits it)."
        )
    elif is_omitted:
        text = f"The averages omit the first cohort, {document['cohorts'][0]['cohort']}."
    else:
        return []
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")


def _describe_spread(clv: Mapping[str, Any], currency: str | None) -> str:
    """Return interval and median of *clv* in words, as far as they are known."""
    interval = _format_interval(clv, "_cents", currency)
    parts = [f"95% {interval}"] if interval else []
    if clv["median_cents"] is not None:
        parts.append(f"median {format_money(clv['median_cents'], currency)}")
    return ", ".join(parts)


def _add_or_wrap(line: str, separator: str, text: str, width: int) -> list[str]:
    """Return *line* with *text* after it, or on lines of its own if that is too wide."""
    if not text:
        return [line]
    if len(line + separator + text) <= width:
        return [line + separator + text]
    indent = " " * 6
    wrapped = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
    return [line, *wrapped]


def _render_segments(document: Mapping[str, Any], width: int, most: Limits) -> list[str]:
    """Return a line for each segment, by its CLV at the age of the oldest cohorts."""
    segments = document.get("segments")
    if not segments:
        return []
    by, currency = document["options"]["by"], document["currency"]
    known = {
        clv["months"]
        for record in segments
        for clv in record["summary"]["clv"]
        if clv["cents"] is not None
    }
    at = CLV_MONTHS.index(max(known, default=CLV_MONTHS[0]))

    def rank(record: Mapping[str, Any]) -> float:
        cents = record["summary"]["clv"][at]["cents"]
        return math.inf if cents is None else -cents

    ages = [f"{months} months" for months in CLV_MONTHS]
    rows = [[by, "customers", *ages, f"95% at {ages[at]}"]]
    ranked = sorted(segments, key=rank)
    for record in ranked[: most.segments]:
        summary = record["summary"]
        clvs = summary["clv"]
        rows.append(
            [
                _cut_name(record["segment"], width),
                f"{summary['customer_count']:,}",
                *(_format_clv(clv, currency) for clv in clvs),
                _format_interval(clvs[at], "_cents", currency) or "-",
            ]
        )
    # Those without any figure are the first to omit, then the younger ages.
    ranking = sorted(range(len(ages)), key=lambda age: (CLV_MONTHS[age] in known, age))
    omissible = [2 + age for age in ranking if age != at]
    title = f"CLV by {by}, net per customer (number of cohorts old enough)"
    return [
        *textwrap.wrap(title, width),
        *_fit_columns(rows, width, omissible=[*omissible, 1]),
        *_count_more(len(ranked), most.segments),
    ]


def _cut_name(name: str, width: int) -> str:
    """Return the *name* of a segment in at most half of *width*; figures need the rest."""
    text = escape_line(name)
    most = width // 2
    return text if len(text) <= most else text[: most - 1] + "…"


def _count_more(count: int, most: int | None) -> list[str]:
    """Return a line on the segments that a table of at most *most* does not have."""
    more = 0 if most is None else count - most
    return [f"  … and {more:,} more (--all prints them)"] if more > 0 else []


# ---- Retention ---------------------------------------------------------------------------


def _render_retention(
    document: Mapping[str, Any], width: int, most: Limits, *, has_colour: bool
) -> list[str]:
    """Return the retention of the latest cohorts as a table of at most *width* columns."""
    cohorts = _take_latest(document["cohorts"], most)
    sizes = [f"{cohort['cohort_size']:,}" for cohort in cohorts]
    name_width = max(len("average"), *(len(cohort["cohort"]) for cohort in cohorts))
    size_width = max(len("size"), *map(len, sizes)) + 2
    all_ages = sorted({cell["months_since"] for cell in document["cells"]})
    ages = all_ages[: max(1, (width - name_width - size_width) // _CELL_WIDTH)]

    def render_row(
        name: str, size: str, texts: Sequence[str], shades: Sequence[str] = ()
    ) -> str:
        cells = [
            f"{shade}{text:>{_CELL_WIDTH}}{_PLAIN}" if shade else f"{text:>{_CELL_WIDTH}}"
            for text, shade in zip_longest(texts, shades, fillvalue="")
        ]
        return f"{name:<{name_width}}{size:>{size_width}}{''.join(cells)}".rstrip()

    by_age = {(cell["cohort"], cell["months_since"]): cell for cell in document["cells"]}
    lines = [render_row("cohort", "size", [f"{age} " for age in ages])]
    for cohort, size in zip(cohorts, sizes, strict=True):
        cells = [by_age.get((cohort["cohort"], age)) for age in ages]
        shades = [_choose_shade(cell) for cell in cells] if has_colour else []
        lines.append(
            render_row(cohort["cohort"], size, [*map(_format_cell, cells)], shades)
        )
    means = {record["months_since"]: record["retention"] for record in document["average"]}
    texts = [f"{format_whole_percent(means[age])} " if age in means else "" for age in ages]
    lines.append(render_row("average", "", texts))
    hidden = _list_hidden(
        len(document["cohorts"]) - len(cohorts), len(all_ages) - len(ages)
    )
    legend = " (* incomplete month)" if "*" in "".join(lines) else ""
    title = f"Retention by months since, in % of the cohort{legend}"
    return [*textwrap.wrap(title, width), *lines, *textwrap.wrap(hidden, width)]


def _take_latest(records: Sequence[Any], most: Limits) -> Sequence[Any]:
    """Return the last of *records*, one for each cohort, as many as *most* allows."""
    return records if most.cohorts is None else records[-most.cohorts :]


def _list_hidden(
    cohort_count: int, month_count: int = 0, columns: Sequence[str] = ()
) -> str:
    """Return what a table does not show, and how to see it; "" if it shows all."""
    counts = ((cohort_count, "older cohort"), (month_count, "later month"))
    hidden = [count_noun(count, noun) for count, noun in counts if count]
    if columns:
        noun = "column" if len(columns) == 1 else "columns"
        hidden.append(f"the {noun} {', '.join(columns)}")
    advice = [
        *(["--all prints all cohorts."] if cohort_count else []),
        *(["Widen the terminal."] if columns else []),
    ]
    return " ".join([f"Not shown: {', '.join(hidden)}.", *advice]) if hidden else ""


def _choose_shade(cell: Cell | None) -> str:
    """Return the escape sequence of a cell's shade; month 0, always 100 %, has none."""
    if cell is None or cell["retention"] is None or cell["months_since"] == 0:
        return ""
    return _SHADES[min(int(cell["retention"] * 20), len(_SHADES) - 1)]


def _format_cell(cell: Cell | None) -> str:
    if cell is None or cell["retention"] is None:
        return ""
    mark = " " if cell["is_complete"] else "*"
    return format_whole_percent(cell["retention"]) + mark


# ---- What does not count -----------------------------------------------------------------


def _render_exclusions(reconciliation: Mapping[str, Any], width: int) -> list[str]:
    """Return the excluded orders with their reasons, and the users without an order."""
    excluded = [
        f"{count_noun(record['order_count'], 'order')} ({record['reason']})"
        for record in reconciliation["excluded_orders"]
    ]
    user_count = reconciliation["users_without_valid_order"]
    if user_count:
        excluded.append(f"{count_noun(user_count, 'user')} without a valid order")
    if not excluded:
        return []
    text = escape_line(f"Excluded: {', '.join(excluded)}.")
    return textwrap.wrap(text, width, subsequent_indent="  ")


# ---- Forecast and score ------------------------------------------------------------------


def _render_forecast(document: Mapping[str, Any], width: int, most: Limits) -> list[str]:
    """Return the forecast net of the customers, and the accuracy of the holdout."""
    forecast = document.get("forecast")
    if forecast is None:
        return []
    if "refused" in forecast:
        return textwrap.wrap(f"No forecast: {forecast['refused']}", width)
    total = forecast["total"]
    lines = textwrap.wrap(
        "FORECAST, not fact: net of the customers so far, with 95% intervals", width
    )
    currency = document["currency"]
    amounts = [format_amount(one["net_cents"]["forecast"], currency) for one in total]
    amount_width = max(18, *map(len, amounts))
    for horizon, amount in zip(total, amounts, strict=True):
        interval = _format_interval(horizon["net_cents"], "", currency)
        line = f"  next {horizon['months']:>2} months {amount:>{amount_width}}"
        lines += _add_or_wrap(line, "   ", interval, width)
    models = (
        f"{forecast['purchase_model']['name']} and {forecast['spending_model']['name']}"
    )
    lines += textwrap.wrap(f"Models: {models}, in {forecast['clock']}.", width)
    lines += textwrap.wrap(_explain_variance(forecast["spending_model"]), width)
    lines += ["", *_render_forecast_table(forecast, currency, width, most)]
    lines += _render_forecast_segments(document, width, most)
    lines += ["", *_render_holdout(forecast["holdout"], currency, width)]
    return [*lines, *textwrap.wrap(forecast["verdict"]["text"], width)]


def _explain_variance(spending_model: Mapping[str, Any]) -> str:
    """Return which variance the intervals use, if it is not that of *spending_model*."""
    if spending_model["has_finite_variance"]:
        return ""
    q = spending_model["parameters"]["q"]
    return (
        f"The spending model has no finite variance (q is {q:.2f}, not above 2): the"
        " intervals use that of the customers so far."
    )


def _render_forecast_table(
    forecast: Mapping[str, Any], currency: str | None, width: int, most: Limits
) -> list[str]:
    """Return the forecast per customer of the latest cohorts, one line each."""
    headings = [f"{horizon['months']} months" for horizon in forecast["total"]]
    rows = [["cohort", "size", *headings]]
    cohorts = _take_latest(forecast["cohorts"], most)
    for cohort in cohorts:
        values = [
            format_money(horizon["net_per_customer_cents"], currency)
            for horizon in cohort["horizons"]
        ]
        rows.append([cohort["cohort"], f"{cohort['cohort_size']:,}", *values])
    table = _fit_columns(
        rows,
        width,
        least=(8, 9, *(13 for _ in headings)),
        omissible=range(2, len(headings) + 1),
        hidden_cohorts=len(forecast["cohorts"]) - len(cohorts),
    )
    return ["FORECAST net per customer", *table]


def _render_forecast_segments(
    document: Mapping[str, Any], width: int, most: Limits
) -> list[str]:
    """Return the forecast of the longest horizon for the largest segments, by net."""
    segments, currency = document["forecast"].get("segments"), document["currency"]
    if not segments:
        return []
    by = document["options"]["by"]
    months = segments[0]["horizons"][-1]["months"]
    rows = [[by, "customers", f"{months} months", "per customer", "95% interval"]]
    ranked = sorted(segments, key=lambda one: -one["horizons"][-1]["net_cents"]["forecast"])
    for record in ranked[: most.segments]:
        horizon = record["horizons"][-1]
        net = horizon["net_cents"]
        rows.append(
            [
                _cut_name(record["segment"], width),
                f"{record['customer_count']:,}",
                format_money(net["forecast"], currency),
                format_money(horizon["net_per_customer_cents"], currency),
                _format_interval(net, "", currency),
            ]
        )
    table = _fit_columns(rows, width, least=(0, 11, 13, 14, 0), omissible=(3, 1, 4))
    more = _count_more(len(ranked), most.segments)
    return ["", f"FORECAST net by {by}", *table, *more]


def _render_holdout(
    holdout: Mapping[str, Any], currency: str | None, width: int
) -> list[str]:
    """Return the accuracy of a forecast of the last part of the data, as a sentence."""
    if "refused" in holdout:
        text = f"No holdout: {holdout['refused']}"
    else:
        purchases, value = holdout["purchases"], holdout["value_cents"]
        text = (
            f"Holdout: fitted until {holdout['fitted_until']}, the model forecast"
            f" {count_noun(purchases['forecast'], 'purchase')} in the"
            f" {count_noun(holdout['days'], 'day')} after;"
            f" there were {purchases['actual']:,}{_append_error(purchases['error'])}."
            f" It forecast a value of {format_money(value['forecast'], currency)}; it was"
            f" {format_money(value['actual'], currency)}{_append_error(value['error'])}."
            f" Per customer it was off by {holdout['mean_absolute_error']:.2f} purchases on"
            " average; if each customer went on as before,"
            f" {holdout['naive']['mean_absolute_error']:.2f}."
        )
    return textwrap.wrap(text, width, subsequent_indent="  ")


def _append_error(share: float | None) -> str:
    """Return a relative error in parentheses, or nothing if there is none."""
    return "" if share is None else f" ({_format_error(share)})"


def render_score(score: Mapping[str, Any], currency: str | None) -> str:
    """Return the forecast beside the ground truth: in total, by cohort and by decile."""
    unit = f", {currency}" if currency else ""
    cohorts = [(record["cohort"], record) for record in score["cohorts"]]
    deciles = [(f"{record['decile']}", record) for record in score["deciles"]]
    error = _format_error(score["cohort_error"]).lstrip("+")
    return "\n".join(
        [
            f"SCORE: net of the next {score['days']} days{unit}, forecast and ground truth",
            "Expected follows from the hidden rates; realised is one random outcome. The",
            f"error is relative to expected; summed over the cohorts it is {error}.",
            "Each figure is inside or outside the 95% interval of its forecast.",
            *_render_score_rows([("all", score["total"]), *cohorts], currency),
            "",
            "By tenths of the customers, those with the highest forecast first",
            *_render_score_rows(deciles, currency),
            "",
            "Inside the 95% intervals",
            f"  cohorts  {_count_inside(score['cohorts'])}",
            f"  tenths   {_count_inside(score['deciles'])}",
        ]
    )


def _render_score_rows(
    records: Sequence[tuple[str, Mapping[str, Any]]], currency: str | None
) -> list[str]:
    rows = [["", "customers", "forecast", "expected", "", "realised", "", "error"]]
    for name, record in records:
        cells = [name, f"{record['customer_count']:,}"]
        cells.append(format_money(record["forecast_net_cents"], currency))
        for kind in ("expected", "realised"):
            cells.append(format_money(record[f"{kind}_net_cents"], currency))
            cells.append(_PLACES[record[f"contains_{kind}"]])
        rows.append([*cells, _format_error(record["error_to_expected"])])
    return align_columns(rows, (7, 11, 12, 12, 9, 12, 9, 8))


def _count_inside(records: Sequence[Mapping[str, Any]]) -> str:
    """Return how many intervals contain the expected, and how many the realised net.

    >>> _count_inside([{"contains_expected": True, "contains_realised": False}])
    'expected 1 of 1, realised 0 of 1'
    """
    parts = []
    for kind in ("expected", "realised"):
        inside = sum(record[f"contains_{kind}"] for record in records)
        parts.append(f"{kind} {inside} of {len(records)}")
    return ", ".join(parts)


# ---- Texts -------------------------------------------------------------------------------


def _fit_columns(
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    omissible: Sequence[int],
    least: Sequence[int] = (),
    hidden_cohorts: int = 0,
) -> list[str]:
    """Return `align_columns` in at most *width* columns, and a line on what is omitted.

    The columns at *omissible* are omitted in this order until the others fit.
    """
    places = range(len(rows[0]))
    least = least or [0 for _ in places]
    omitted: list[int] = []
    for at in (None, *omissible):
        if at is not None:
            omitted.append(at)
        shown = [place for place in places if place not in omitted]
        cells = [[row[place] for place in shown] for row in rows]
        lines = align_columns(cells, [least[place] for place in shown])
        if max(map(len, lines)) <= width:
            break
    headings = [rows[0][place] for place in sorted(omitted)]
    hidden = _list_hidden(hidden_cohorts, columns=headings)
    return [*lines, *textwrap.wrap(hidden, width)]


def _format_clv(clv: Mapping[str, Any], currency: str | None) -> str:
    if clv["cents"] is None:
        return "-"
    return f"{format_money(clv['cents'], currency)} ({clv['cohort_count']})"


def _format_interval(record: Mapping[str, Any], ending: str, currency: str | None) -> str:
    """Return the interval in *record*, whose names have *ending*; "" if it has none."""
    low, high = record[f"low{ending}"], record[f"high{ending}"]
    if low is None:
        return ""
    return f"{format_money(low, currency)} to {format_money(high, currency)}"


def _format_error(share: float | None) -> str:
    """Return a relative error with its sign.

    >>> _format_error(0.0898), _format_error(None)
    ('+9.0%', '-')
    """
    return "-" if share is None else format_percent(share, sign="+")
