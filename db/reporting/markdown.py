"""The report in words: Markdown for GitHub, a few lines for the terminal.

Both are made from the report document alone.  Figures are only written here; those of the
plot, where months become quarters or years, are summed in `ratios.py`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from db.reporting.figures import group_by_period

Row = Mapping[str, Any]

# Stands where there is no figure.
NO_FIGURE = "–"

# A space at which a browser does not start a new line.
NO_BREAK = "\u00a0"

# Characters shown of a text in a table, and rows shown of a long one.
CELL_CHARACTERS = 60
WIDE_CHARACTERS = 160
TABLE_ROWS = 60

# Findings named on the terminal; the report has them all.
SUMMARY_FINDINGS = 6

# Columns of the narrowest terminal that people use.
SUMMARY_COLUMNS = 80

# The plot's bars: more do not find room for their labels.
PLOT_BARS = 24

PLOT_STYLE = (
    '%%{init: {"xyChart": {"width": 900, "height": 320, "xAxis": {"labelFontSize": 11}},'
    ' "themeVariables": {"xyChart": {"plotColorPalette": "#4c78a8"}}}}%%'
)

MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# From none to the most: no order, then quarters of the busiest hour.
SHADES = "·░▒▓█"

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")

MARKS = {"pass": "✅", "info": "ℹ️", "warn": "⚠️", "fail": "❌"}

# Headings that do not follow from the column's name.
HEADINGS = {
    "aov_cents": "AOV",
    "charged_cents": "Charged",
    "charge_count": "Charges",
    "conversion_rate": "Users who bought",
    "country_code": "Country",
    "acquisition_channel": "Channel",
    "customer_count": "Customers",
    "failure_rate": "Failed share",
    "failed_count": "Failed",
    "new_customers": "New",
    "order_count": "Orders",
    "partially_returned_count": "Returned in part",
    "placed_count": "Placed",
    "pending_count": "Pending",
    "product_count": "Products",
    "product_name": "Product",
    "returned_count": "Returned",
    "returning_customers": "Returning",
    "cancelled_count": "Cancelled",
    "sku": "SKU",
    "unit_count": "Units",
    "user_count": "Users",
}

KPI_NAMES = {
    "net_cents": "Net revenue",
    "gross_cents": "Gross revenue",
    "discount_cents": "Discounts",
    "refund_cents": "Refunds",
    "order_count": "Valid orders",
    "placed_count": "Orders placed",
    "aov_cents": "AOV",
    "user_count": "Users",
    "customer_count": "Customers",
    "repeat_customer_count": "Repeat customers",
    "net_per_customer_cents": "Net per customer",
    "repeat_rate": "Repeat rate",
    "refund_rate": "Refund rate",
    "cancellation_rate": "Cancellation rate",
    "return_rate": "Return rate",
    "failed_payment_rate": "Failed payments",
}

# Columns that only the JSON has, where the table would be too wide to read.
HIDDEN = {
    "revenue_by_month": {"returning_share"},
    "top_products": {"product_id"},
    "countries": {"gross_cents", "discount_cents", "refund_cents"},
    "channels": {"gross_cents", "discount_cents", "refund_cents"},
}

# The trends in the order they are read; a trend not named here follows as it is.
TREND_ORDER = (
    "revenue_by_month",
    "orders_per_customer",
    "category_mix",
    "top_products",
    "payment_methods",
    "refunds_and_cancellations",
    "countries",
    "channels",
    "weekday_by_hour",
)


class Column(NamedTuple):
    """A column of a Markdown table; texts longer than *width* characters are cut."""

    heading: str
    is_figure: bool = False
    width: int = CELL_CHARACTERS


def render_markdown(report: Row) -> str:
    """Return `report.md`: the verdict, then figures, trends, checks and provenance."""
    sections = [
        render_opening(report),
        render_findings(report["checks"]),
        render_kpis(report),
        *render_trends(report),
        render_checks(report["checks"]),
        render_provenance(report),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def render_summary(report: Row) -> str:
    """Return the report in a few lines for a terminal, the verdict first."""
    kpis, money = report["kpis"], money_writer(report["currency"])
    findings = [
        f"  {check['severity']}: {check['title']}: {words_for_count(check)}"
        for check in by_gravity(report["checks"])
    ]
    if len(findings) > SUMMARY_FINDINGS:
        more = len(findings) - SUMMARY_FINDINGS
        findings[SUMMARY_FINDINGS:] = [f"  and {more} more, in the report"]
    if findings:
        findings.append(f"  All rows: {by_gravity(report['checks'])[0]['all_rows']}")
    as_of = f"As of {report['as_of']}:" if report["as_of"] else "No day yet:"
    customers = (
        f"{as_of} {count_noun(kpis['order_count'], 'valid order')} of"
        f" {count_noun(kpis['customer_count'], 'customer')},"
        f" repeat rate {write_percent(kpis['repeat_rate'])}"
    )
    revenue = f"Net revenue {money(kpis['net_cents'])}, AOV {money(kpis['aov_cents'])}"
    if note := report["trends"]["revenue_by_month"]["note"]:
        revenue += f": {note}"
    rates = (
        f"Refund rate {write_percent(kpis['refund_rate'])},"
        f" cancellation rate {write_percent(kpis['cancellation_rate'])},"
        f" failed payments {write_percent(kpis['failed_payment_rate'])}"
    )
    lines = [report["verdict"]["text"], *findings, customers, revenue, rates]
    if last := kpis["last_complete_month"]:
        lines.append(describe_month(last, money))
    return "\n".join(map(wrap_line, lines)).replace(NO_BREAK, " ")


def wrap_line(line: str) -> str:
    """Return *line* in as many as a terminal needs for it, the further ones indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, SUMMARY_COLUMNS, subsequent_indent=indent, break_on_hyphens=False
    )


# ---- Sections ----------------------------------------------------------------------------


def render_opening(report: Row) -> str:
    """Return the title, the verdict as one line, and which data it is about."""
    word, counts = describe_verdict(report["verdict"])
    mark = MARKS[report["verdict"]["status"]]
    facts = [f"Data as of {report['as_of']}" if report["as_of"] else "No data yet"]
    if seed := report["provenance"].get("generator", {}).get("seed"):
        facts.append(f"seed {escape(seed)}")
    facts.append(f"content `{report['dataset']['content_sha256'][:12]}`")
    if report["currency"]:
        facts.append(f"amounts in {escape(report['currency'])}")
    return f"# Integrity and trends\n\n{mark} **{word}.** {counts}.\n\n{' · '.join(facts)}"


def describe_verdict(verdict: Row) -> tuple[str, str]:
    """Return the word for the *verdict*, and what it counts.

    >>> describe_verdict({"status": "warn", "checks": 45, "errors": 0, "warnings": 1})
    ('Sound', '45 checks, 0 errors, 1 warning')
    """
    word = "Not sound" if verdict["status"] == "fail" else "Sound"
    nouns = ("check", "error", "warning")
    return word, ", ".join(count_noun(verdict[f"{noun}s"], noun) for noun in nouns)


def render_findings(checks: Sequence[Row]) -> str:
    """Return what the failed checks found, worst first; nothing if there is none."""
    parts = []
    for check in by_gravity(checks):
        heading = f"**{escape(check['title'])}**: {words_for_count(check)}"
        parts.append(f"{MARKS[check['status']]} {heading} (`{escape(check['check'])}`)")
        columns = [Column(name, name.endswith("_cents")) for name in check["columns"]]
        if check["sample"]:
            parts.append(render_table(columns, check["sample"]))
        parts.append(f"All of them: `{check['all_rows']}`")
    return "\n\n".join(["## What to look at", *parts]) if parts else ""


def render_kpis(report: Row) -> str:
    """Return the headline figures with their meanings."""
    money = money_writer(report["currency"])
    rows = [
        [
            name,
            write_figure(key, report["kpis"][key], money),
            report["definitions"].get(key, ""),
        ]
        for key, name in KPI_NAMES.items()
    ]
    columns = [
        Column("Figure"),
        Column("Value", is_figure=True),
        Column("Meaning", width=WIDE_CHARACTERS),
    ]
    parts = ["## Key figures", render_table(columns, rows)]
    if last := report["kpis"]["last_complete_month"]:
        parts.append(f"{describe_month(last, money)}.")
    return "\n\n".join(parts)


def describe_month(last: Row, money: Callable[[int | None], str]) -> str:
    """Return what the last complete month brought, as half a sentence."""
    change = last["change_on_year"]["net_cents"]
    on_year = "" if change is None else f" ({change:+.1%} on a year before)"
    return (
        f"{write_month(last['month'])}, the last complete month, brought"
        f" {money(last['net_cents'])} net{on_year} from"
        f" {count_noun(last['order_count'], 'order', NO_BREAK)} of"
        f" {write_count(last['new_customers'])}{NO_BREAK}new and"
        f" {count_noun(last['returning_customers'], 'returning customer', NO_BREAK)}"
    )


def render_trends(report: Row) -> list[str]:
    """Return one section per trend."""
    trends = report["trends"]
    names = [name for name in TREND_ORDER if name in trends]
    names += [name for name in trends if name not in TREND_ORDER]
    return [render_trend(name, trends[name], report["currency"]) for name in names]


def render_trend(name: str, trend: Row, currency: str | None) -> str:
    """Return the section of the trend *name*: words or a plot, then its table."""
    parts = [f"## {escape(trend['title'])}"]
    rows = trend["rows"]
    if trend["note"]:
        parts.append(f"Not available: {escape(trend['note'])}.")
    elif not rows:
        parts.append("No rows: there is nothing to tell yet.")
    elif name == "weekday_by_hour":
        parts += [render_heat_map(rows)]
    else:
        if name == "revenue_by_month":
            parts.append(render_plot(rows, currency))
        parts += render_rows(name, rows)
    return "\n\n".join(part for part in parts if part)


def render_rows(name: str, rows: Sequence[Row]) -> list[str]:
    """Return the table of a trend's *rows*, then what must be said about it."""
    hidden = {"is_complete"} | HIDDEN.get(name, set())
    keys = [key for key in rows[0] if key not in hidden]
    share = next((key for key in keys if key.endswith("_share")), None)
    columns = [Column(write_heading(key), is_figure=is_figure(key, rows)) for key in keys]
    shown = rows[-TABLE_ROWS:] if keys[0] == "month" else rows[:TABLE_ROWS]
    cells = [[write_cell(key, row) for key in keys] for row in shown]
    if share:
        columns.append(Column(""))
        top = max(row[share] or 0 for row in rows)
        for row, line in zip(shown, cells, strict=True):
            line.append(draw_bar(row[share] or 0, top))
    notes = []
    if len(shown) < len(rows):
        notes.append(f"{len(rows) - len(shown):,} more rows are in `report.json`.")
    if any(row.get("is_complete") == 0 for row in shown):
        notes.append("\\* the data do not cover the whole month.")
    if name == "refunds_and_cancellations":
        notes.append("Orders of the last weeks may yet come back.")
    if name == "orders_per_customer" and rows[-1]["orders_per_customer"] == 10:
        notes.append("10 stands for ten or more.")
    return [render_table(columns, cells), " ".join(notes)]


def render_plot(rows: Sequence[Row], currency: str | None) -> str:
    """Return net revenue over time as a Mermaid plot, in as many bars as find room.

    A period that still runs carries a star; that and what is left out is said below.
    """
    if len(rows) < 2 or not all(is_month(row["month"]) for row in rows):
        return ""
    noun, periods = group_by_period(rows, at_most=PLOT_BARS)
    bars = periods[-PLOT_BARS:]
    amounts = [bar.net_cents for bar in bars]
    unit, divisor = choose_unit(amounts)
    values = [f"{cents / divisor:.1f}" for cents in amounts]
    top, bottom = max(0, *amounts) / divisor, min(0, *amounts) / divisor
    axis = " ".join(word for word in (unit, currency) if word)
    short = {bar.label[2:] for bar in bars}
    # Without its century, unless two bars would then have the same label.
    start = 2 if noun != "year" and len(short) == len(bars) else 0
    labels = [f'"{bar.label[start:]}{"" if bar.is_complete else " *"}"' for bar in bars]
    lines = [
        "```mermaid",
        PLOT_STYLE,
        "xychart-beta",
        f'    title "Net revenue by {noun}"',
        f"    x-axis [{', '.join(labels)}]",
        f'    y-axis "{axis or "amount"}" {bottom:.1f} --> {top or 1:.1f}',
        f"    bar [{', '.join(values)}]",
        "```",
    ]
    notes = []
    if not all(bar.is_complete for bar in bars):
        notes.append(f"\\* the data do not cover the whole {noun}.")
    if len(bars) < len(periods):
        hidden = count_noun(len(periods) - len(bars), f"earlier {noun}")
        notes.append(f"Not shown: {hidden}.")
    return "\n".join(lines) + ("\n\n" + " ".join(notes) if notes else "")


def choose_unit(amounts: Iterable[int]) -> tuple[str, int]:
    """Return the word for the axis and the cents in it, so that figures stay short."""
    largest = max(map(abs, amounts))
    for word, divisor in [("million", 10**8), ("thousand", 10**5)]:
        if largest >= 10 * divisor:
            return word, divisor
    return "", 100


def render_heat_map(rows: Sequence[Row]) -> str:
    """Return the week's 168 hours as shaded blocks, with the busiest hour in words."""
    busiest = max(rows, key=lambda row: row["order_count"])
    top = busiest["order_count"]
    hours = "".join(f"{hour:02}    " for hour in range(0, 24, 3))
    lines = ["```text", f"     {hours.rstrip()}"]
    for weekday, name in enumerate(WEEKDAYS):
        of_day = [row for row in rows if row["weekday"] == weekday]
        shades = [draw_shade(row["order_count"], top) for row in of_day]
        lines.append(f"{name}  {''.join(shades)}")
    lines.append("```")
    legend = (
        f"Valid orders, hours in UTC. Busiest is {WEEKDAYS[busiest['weekday']]}"
        f" {busiest['hour']:02}:00 with {write_count(top)};"
        " `░` is up to a quarter of that, `▒` a half, `▓` three quarters, `█` the rest,"
        " `·` no order."
    )
    return "\n".join(lines) + "\n\n" + legend


def draw_shade(count: int, top: int) -> str:
    """Return two characters, the darker the more orders."""
    step = -(-4 * count // top) if top > 0 else 0
    return SHADES[max(step, 0)] * 2


def draw_bar(value: float, top: float) -> str:
    """Return a bar of up to ten blocks, in eighths of a block.

    >>> draw_bar(1, 1), draw_bar(0.5, 8), draw_bar(0, 1)
    ('██████████', '▋', '')
    """
    if value <= 0 or top <= 0:
        return ""
    whole, eighths = divmod(max(1, int(80 * value / top + 0.5)), 8)
    return "█" * whole + EIGHTHS[eighths]


def render_checks(checks: Sequence[Row]) -> str:
    """Return every check as one row of a table."""
    rows = [
        [
            f"{MARKS[check['status']]} {check['status']}",
            check["title"],
            check["severity"],
            NO_FIGURE if check["count"] is None else write_count(check["count"]),
            name_samples(check),
            check["check"],
        ]
        for check in checks
    ]
    columns = [
        Column("Status"),
        Column("Rule", width=WIDE_CHARACTERS),
        Column("Severity"),
        Column("Rows", is_figure=True),
        Column("First of them"),
        Column("Check"),
    ]
    return (
        "## Checks\n\n"
        "A check lists the rows that break its rule; its SQL is `db/checks/<check>.sql`"
        " (three are made in `db/reporting/report.py`). An *error* must never happen, a *warning*"
        " is"
        " possible but suspicious, an *info* is no fault, only worth knowing.\n\n"
        + render_table(columns, rows)
    )


def name_samples(check: Row) -> str:
    """Return the keys of the first breaking rows: `order_id 7, 9, 12, …`."""
    if not check["sample"]:
        return ""
    width = len(check["key"])
    names = [" ".join(str(cell) for cell in row[:width]) for row in check["sample"][:3]]
    more = ["…"] if check["count"] > len(names) else []
    return f"{' '.join(check['key'])}: {', '.join([*names, *more])}"


def render_provenance(report: Row) -> str:
    """Return where the data came from: files, digests, generator and loader."""
    provenance = report["provenance"]
    rows = []
    for table in report["tables"]:
        file = provenance.get(f"{table['table']}.csv", {})
        digest = provenance.get(table["table"], {}).get("content_sha256", NO_FIGURE)
        rows.append(
            [
                table["table"],
                write_count(table["rows"]),
                file.get("manifest", NO_FIGURE),
                file.get("sha256", NO_FIGURE)[:12],
                digest[:12],
            ]
        )
    columns = [
        Column("Table"),
        Column("Rows", is_figure=True),
        Column("Manifest"),
        Column("SHA-256 of the file"),
        Column("of its content"),
    ]
    facts = [
        [f"{subject} {name}", value]
        for subject in ("datapackage.json", "generator", "loader", "schema.sql")
        for name, value in provenance.get(subject, {}).items()
    ]
    facts += [
        ["dataset content_sha256", report["dataset"]["content_sha256"]],
    ]
    facts += [
        [f"database {name}", write_count(value) if isinstance(value, int) else value]
        for name, value in report["database"].items()
    ]
    table = render_table([Column("Fact"), Column("Value", width=WIDE_CHARACTERS)], facts)
    return "\n\n".join(["## Provenance", render_table(columns, rows), table])


# ---- Figures and cells -------------------------------------------------------------------


def by_gravity(checks: Sequence[Row]) -> list[Row]:
    """Return the checks that failed, then those that warn."""
    failed = [check for check in checks if check["status"] == "fail"]
    return failed + [check for check in checks if check["status"] == "warn"]


def words_for_count(check: Row) -> str:
    """Return how many rows *check* found, or why that is not known."""
    if check["count"] is None:
        return f"not known, {escape(check['note'])}"
    return count_noun(check["count"], "row", NO_BREAK)


def count_noun(count: int, noun: str, space: str = " ") -> str:
    """Return *count* and its *noun*, with *space* between them.

    >>> count_noun(1, "row"), count_noun(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,}{space}{noun}" + ("" if count == 1 else "s")


def is_figure(key: str, rows: Sequence[Row]) -> bool:
    """Return whether the column *key* holds numbers."""
    return all(row[key] is None or isinstance(row[key], (int, float)) for row in rows)


def write_heading(key: str) -> str:
    """Return the words for the column *key*: `new_customers` is "New customers"."""
    words = re.sub(r"_cents$", "", key).replace("_", " ")
    return HEADINGS.get(key, words[:1].upper() + words[1:])


def write_cell(key: str, row: Row) -> str:
    """Return a trend's cell as text; a month still running carries a star."""
    if key == "month":
        return write_month(row[key]) + ("" if row.get("is_complete", 1) else " *")
    return write_figure(key, row[key], write_money)


def is_month(text: str) -> bool:
    """Return whether *text* is a month of the calendar, written YYYY-MM."""
    return bool(re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text))


def write_month(month: str) -> str:
    """Return the month YYYY-MM as words that do not break: `Jan 2024`."""
    if not is_month(month):
        return month
    return f"{MONTHS[int(month[5:]) - 1]}{NO_BREAK}{month[:4]}"


def write_figure(key: str, value: Any, money: Callable[[int | None], str]) -> str:
    """Return *value* in the form that the ending of its name asks for."""
    if key.endswith("_cents"):
        return money(value)
    if key.endswith(("_rate", "_share")):
        return write_percent(value)
    if isinstance(value, int) and not key.endswith("_id"):
        return write_count(value)
    return NO_FIGURE if value is None else str(value)


def write_money(cents: int | None) -> str:
    """Return *cents* as an amount.

    >>> write_money(123456), write_money(-5), write_money(None)
    ('1,234.56', '-0.05', '–')
    """
    if cents is None:
        return NO_FIGURE
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02}"


def money_writer(currency: str | None) -> Callable[[int | None], str]:
    """Return a function that writes cents with the code of *currency*, if it is known."""

    def write(cents: int | None) -> str:
        text = write_money(cents)
        return f"{text}{NO_BREAK}{currency}" if currency and cents is not None else text

    return write


def write_count(count: int | None) -> str:
    """Return *count* with thousands separators."""
    return NO_FIGURE if count is None else f"{count:,}"


def write_percent(share: float | None) -> str:
    """Return *share* of one in percent, halves rounded away from zero.

    Through the decimal that the JSON shows, as the page does.

    >>> write_percent(0.1234), write_percent(0.0625), write_percent(None)
    ('12.3%', '6.3%', '–')
    """
    if share is None:
        return NO_FIGURE
    percent = Decimal(repr(share)) * 100
    return f"{percent.quantize(Decimal('0.1'), rounding=ROUND_HALF_UP)}%"


def render_table(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table whose cells cannot break out of it; figures to the right."""
    lines = [
        [escape(column.heading) for column in columns],
        ["---:" if column.is_figure else "---" for column in columns],
    ]
    for row in rows:
        cells = zip(row, columns, strict=True)
        lines.append([escape(cell, width=column.width) for cell, column in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(value: object, *, width: int = WIDE_CHARACTERS) -> str:
    r"""Return *value* as Markdown that shows exactly it, on one line and cut to *width*.

    >>> print(escape("a|b <i>`x`\n*y*"))
    a\|b &lt;i&gt;\`x\`\\n\*y\*
    """
    text = NO_FIGURE if value is None else str(value)
    if len(text) > width:
        text = text[: width - 1] + "…"
    # A control character, also one that turns the writing round, shows as its escape.
    text = "".join(
        letter if letter.isprintable() or letter == NO_BREAK else ascii(letter)[1:-1]
        for letter in text
    )
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$#!])", r"\\\1", text)
    # GitHub makes a link of a bare address, unless it is broken by an escape.
    text = re.sub(r"(?i)(?<=www)\.|:(?=//)", r"\\\g<0>", text)
    # Inside a word '_' is no emphasis, and the names of columns stay readable without '\'.
    return re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", r"\\_", text)
