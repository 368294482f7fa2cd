"""The report as text: Markdown for GitHub, and a summary for the terminal.

Both are rendered from `report.json` alone.  This module formats figures and computes none.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db.reporting.plots import draw_bar, render_heat_map, render_plot
from utils.formats import (
    NO_FIGURE,
    count_noun,
    format_amount,
    format_count,
    format_money,
    format_percent,
)
from utils.markdown_tables import (
    NO_BREAK,
    WIDE_CHARACTERS,
    TableColumn,
    escape,
    render_table,
)
from utils.months import is_month

Row = Mapping[str, Any]

# A longer table is cut.
TABLE_ROWS = 60

# From this number of orders on, all customers are counted together.
MOST_ORDERS = 10

# Failed checks listed on the terminal; the report lists all.
SUMMARY_FINDINGS = 6

# The width of the narrowest common terminal.
SUMMARY_COLUMNS = 80

# The check of what happened after the last day that the manifest or the user states.
LATE_CHECK = "causality_nothing_after_as_of"

MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


MARKS = {"pass": "✅", "info": "ℹ️", "warn": "⚠️", "fail": "❌"}

# A problem by its status, as the verdict counts it: the thresholds in the header of a check
# can make it fail although its severity is warning.
PROBLEM_NOUNS = {"fail": "error", "warn": "warning"}

# Headings that cannot be derived from the column's name.
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
    "aov_cents": "Average order value (AOV)",
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

# Columns that only the JSON contains, because the table would be too wide to read.
HIDDEN = {
    "revenue_by_month": {"returning_share"},
    "top_products": {"product_id"},
    "countries": {"gross_cents", "discount_cents", "refund_cents"},
    "channels": {"gross_cents", "discount_cents", "refund_cents"},
}

# The order of the trends; trends that are not listed here follow.
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


def render_markdown(report: Row) -> str:
    """Return `report.md`: the verdict, then figures, trends, checks and provenance."""
    found = [
        render_findings(report["checks"]),
        render_kpis(report),
        *render_trends(report),
        render_checks(report["checks"]),
        render_provenance(report),
    ]
    sections = [section for section in found if section]
    parts = [render_opening(report), render_contents(sections), *sections]
    return "\n\n".join(parts) + "\n"


def render_summary(report: Row) -> str:
    """Return the report in a few lines for a terminal, the verdict first."""
    lines = [
        wrap_line(report["verdict"]["text"]),
        # A command is never wrapped: it is there to be copied.
        *summarize_problems(list_problems(report["checks"])),
        *map(wrap_line, summarize_kpis(report)),
    ]
    return "\n".join(lines).replace(NO_BREAK, " ")


def summarize_problems(problems: Sequence[Row]) -> list[str]:
    """Return a line for each of the first *problems*, and the command for its rows."""
    lines = []
    for check in problems[:SUMMARY_FINDINGS]:
        noun = PROBLEM_NOUNS[check["status"]]
        lines.append(wrap_line(f"  {noun}: {describe_problem(check)}"))
        if check["all_rows"]:
            lines.append(f"    {check['all_rows']}")
    if len(problems) > SUMMARY_FINDINGS:
        lines.append(f"  and {len(problems) - SUMMARY_FINDINGS} more, see report.md")
    return lines


def summarize_kpis(report: Row) -> list[str]:
    """Return the key figures, and those of the last complete month."""
    kpis, currency = report["kpis"], report["currency"]
    as_of = f"As of {describe_last_day(report)}:" if report["as_of"] else "No data:"
    revenue = (
        f"Net revenue {format_amount(kpis['net_cents'], currency, space=NO_BREAK)},"
        f" AOV {format_amount(kpis['aov_cents'], currency, space=NO_BREAK)}"
    )
    if note := report["trends"]["revenue_by_month"]["note"]:
        revenue += f": {note}"
    customers = (
        f"{as_of} {count_noun(kpis['order_count'], 'valid order')} of"
        f" {count_noun(kpis['customer_count'], 'customer')},"
        f" repeat rate {format_percent(kpis['repeat_rate'])}"
    )
    rates = (
        f"Refund rate {format_percent(kpis['refund_rate'])},"
        f" cancellation rate {format_percent(kpis['cancellation_rate'])},"
        f" failed payments {format_percent(kpis['failed_payment_rate'])}"
    )
    lines = [customers, revenue, rates]
    if last := kpis["last_complete_month"]:
        lines.append(describe_month(last, currency))
    return lines


def describe_last_day(report: Row) -> str:
    """Return the last day of the data; events after a stated one are in all figures."""
    counts = {check["check"]: check["count"] for check in report["checks"]}
    late = counts.get(LATE_CHECK)
    more = f" and {count_noun(late, 'later event')}" if late else ""
    return f"{report['as_of']}{more}"


def wrap_line(line: str) -> str:
    """Return *line* wrapped for a terminal; the lines after the first are indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, SUMMARY_COLUMNS, subsequent_indent=indent, break_on_hyphens=False
    )


# ---- Sections ----------------------------------------------------------------------------


def render_opening(report: Row) -> str:
    """Return the title, the verdict and the facts that identify the data."""
    word, counts = describe_verdict(report["verdict"])
    mark = MARKS[report["verdict"]["status"]]
    last_day = describe_last_day(report)
    facts = [f"Data as of {last_day}" if report["as_of"] else "No data yet"]
    if seed := report["provenance"].get("generator", {}).get("seed"):
        facts.append(f"seed {escape(seed)}")
    facts.append(f"content `{report['dataset']['content_sha256'][:12]}`")
    if report["currency"]:
        facts.append(f"amounts in {escape(report['currency'])}")
    return f"# Integrity and trends\n\n{mark} **{word}.** {counts}.\n\n{' · '.join(facts)}"


def render_contents(sections: Iterable[str]) -> str:
    """Return a list of links to *sections*, each of which begins with its heading."""
    titles = [section.partition("\n")[0].removeprefix("## ") for section in sections]
    return "\n".join(f"- [{title}](#{make_anchor(title)})" for title in titles)


def make_anchor(title: str) -> str:
    """Return the name that GitHub gives to the heading *title*.

    >>> make_anchor("Payments, refunds & returns")
    'payments-refunds--returns'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def describe_verdict(verdict: Row) -> tuple[str, str]:
    """Return the *verdict* in words, and its counts.

    >>> describe_verdict({"status": "warn", "checks": 45, "errors": 0, "warnings": 1})
    ('Sound', '45 checks, 0 errors, 1 warning')
    """
    word = "Not sound" if verdict["status"] == "fail" else "Sound"
    nouns = ("check", "error", "warning")
    return word, ", ".join(count_noun(verdict[f"{noun}s"], noun) for noun in nouns)


def render_findings(checks: Sequence[Row]) -> str:
    """Return the checks that failed or warn, with their first rows; "" if there is none."""
    parts = []
    problems = list_problems(checks)
    if any(check["all_rows"] for check in problems):
        parts.append(
            "A command below reads `db/ecommerce.db`; for another database add"
            " `--database FILE`."
        )
    for check in problems:
        heading = f"**{escape(describe_problem(check))}**"
        parts.append(f"{MARKS[check['status']]} {heading} (`{escape(check['check'])}`)")
        columns = [
            TableColumn(name, is_figure=name.endswith("_cents"))
            for name in check["columns"]
        ]
        if check["sample"]:
            parts.append(render_table(columns, check["sample"]))
        if check["all_rows"]:
            parts.append(f"All rows: `{check['all_rows']}`")
    return "\n\n".join(["## Findings", *parts]) if parts else ""


def render_kpis(report: Row) -> str:
    """Return the key figures with their definitions."""
    kpis, currency = report["kpis"], report["currency"]
    rows = [
        [name, format_figure(key, kpis[key], currency), report["definitions"].get(key, "")]
        for key, name in KPI_NAMES.items()
    ]
    columns = [
        TableColumn("Figure"),
        TableColumn("Value", is_figure=True),
        TableColumn("Definition", width=WIDE_CHARACTERS),
    ]
    parts = ["## Key figures", render_table(columns, rows)]
    if last := kpis["last_complete_month"]:
        parts.append(f"{describe_month(last, currency)}.")
    return "\n\n".join(parts)


def describe_month(last: Row, currency: str | None) -> str:
    """Return the figures of the *last* complete month as a sentence without a full stop."""
    change = last["change_on_year"]["net_cents"]
    on_year = "" if change is None else f" ({format_percent(change, sign='+')} on the year)"
    return (
        f"Last complete month, {format_month(last['month'])}:"
        f" {format_amount(last['net_cents'], currency, space=NO_BREAK)} net{on_year} from"
        f" {count_noun(last['order_count'], 'order', space=NO_BREAK)} of"
        f" {format_count(last['new_customers'])}{NO_BREAK}new and"
        f" {count_noun(last['returning_customers'], 'returning customer', space=NO_BREAK)}"
    )


def render_trends(report: Row) -> list[str]:
    """Return the section of each trend."""
    trends = report["trends"]
    names = [name for name in TREND_ORDER if name in trends]
    names += [name for name in trends if name not in TREND_ORDER]
    return [render_trend(name, trends[name], report["currency"]) for name in names]


def render_trend(name: str, trend: Row, currency: str | None) -> str:
    """Return the section of the trend *name*: its table, with a plot or a heat map."""
    parts = [f"## {escape(trend['title'])}"]
    rows = trend["rows"]
    if trend["note"]:
        parts.append(f"Not available: {escape(trend['note'])}.")
    elif not rows:
        parts.append("No rows.")
    elif name == "weekday_by_hour":
        parts.append(render_heat_map(rows))
    else:
        if name == "revenue_by_month":
            parts.append(render_plot(rows, currency))
        parts += render_rows(name, rows, currency)
    return "\n\n".join(part for part in parts if part)


def render_rows(name: str, rows: Sequence[Row], currency: str | None) -> list[str]:
    """Return the table of a trend's *rows*, then the notes on it."""
    hidden = {"is_complete"} | HIDDEN.get(name, set())
    keys = [key for key in rows[0] if key not in hidden]
    columns = [
        TableColumn(format_heading(key), is_figure=is_figure(key, rows)) for key in keys
    ]
    shown = rows[-TABLE_ROWS:] if keys[0] == "month" else rows[:TABLE_ROWS]
    cells = [[format_cell(key, row, currency) for key in keys] for row in shown]
    share = next((key for key in keys if key.endswith("_share")), None)
    if share:
        columns.append(TableColumn(""))
        top = max(row[share] or 0 for row in rows)
        for row, line in zip(shown, cells, strict=True):
            line.append(draw_bar(row[share] or 0, top))
    return [render_table(columns, cells), " ".join(list_notes(name, rows, shown))]


def list_notes(name: str, rows: Sequence[Row], shown: Sequence[Row]) -> list[str]:
    """Return the notes on the trend *name*, of whose *rows* the table has those *shown*."""
    notes = []
    if len(shown) < len(rows):
        more = count_noun(len(rows) - len(shown), "more row")
        notes.append(f"`report.json` contains {more}.")
    if any(row.get("is_complete") == 0 for row in shown):
        notes.append("\\* incomplete month.")
    if name == "refunds_and_cancellations":
        notes.append("Orders of recent weeks can still be returned.")
    return notes


def render_checks(checks: Sequence[Row]) -> str:
    """Return a table with one row for each check."""
    rows = [
        [
            f"{MARKS[check['status']]} {check['status']}",
            check["title"],
            check["severity"],
            format_count(check["count"]),
            format_sample_keys(check),
            check["check"],
        ]
        for check in checks
    ]
    columns = [
        TableColumn("Status"),
        TableColumn("Rule", width=WIDE_CHARACTERS),
        TableColumn("Severity"),
        TableColumn("Rows", is_figure=True),
        TableColumn("First rows"),
        TableColumn("Check"),
    ]
    return (
        "## Checks\n\n"
        "A check lists the rows that break a rule. Its SQL is `db/checks/<check>.sql`;"
        " checks without a file are built in. An *error* must never occur, a *warning* is"
        " possible but suspicious, an *info* is not a fault.\n\n"
        + render_table(columns, rows)
    )


def format_sample_keys(check: Row) -> str:
    """Return the keys of the first breaking rows: `order_id: 7, 9, …`, or the note."""
    if not check["sample"]:
        return check["note"] or ""
    width = len(check["key"])
    names = [" ".join(str(cell) for cell in row[:width]) for row in check["sample"][:3]]
    more = ["…"] if check["count"] > len(names) else []
    return f"{' '.join(check['key'])}: {', '.join([*names, *more])}"


def render_provenance(report: Row) -> str:
    """Return where the data came from: files, digests, generator and loader."""
    provenance = report["provenance"]
    facts = [
        [f"{subject} {name}", value]
        for subject in ("datapackage.json", "generator", "loader", "schema.sql")
        for name, value in provenance.get(subject, {}).items()
    ]
    facts.append(["dataset content_sha256", report["dataset"]["content_sha256"]])
    facts += [
        [f"database {name}", format_count(value) if isinstance(value, int) else value]
        for name, value in report["database"].items()
    ]
    columns = [TableColumn("Fact"), TableColumn("Value", width=WIDE_CHARACTERS)]
    return "\n\n".join(
        [
            "## Provenance",
            render_sources(report["tables"], provenance),
            render_table(columns, facts),
        ]
    )


def render_sources(tables: Sequence[Row], provenance: Row) -> str:
    """Return a table of the loaded tables, with their files and digests."""
    rows = []
    for table in tables:
        file = provenance.get(f"{table['table']}.csv", {})
        digest = provenance.get(table["table"], {}).get("content_sha256", NO_FIGURE)
        rows.append(
            [
                table["table"],
                format_count(table["rows"]),
                file.get("manifest", NO_FIGURE),
                file.get("sha256", NO_FIGURE)[:12],
                digest[:12],
            ]
        )
    columns = [
        TableColumn("Table"),
        TableColumn("Rows", is_figure=True),
        TableColumn("Manifest"),
        TableColumn("SHA-256 of the file"),
        TableColumn("SHA-256 of the content"),
    ]
    return render_table(columns, rows)


# ---- Figures and cells -------------------------------------------------------------------


def list_problems(checks: Sequence[Row]) -> list[Row]:
    """Return the checks that failed, then those that warn."""
    failed = [check for check in checks if check["status"] == "fail"]
    return failed + [check for check in checks if check["status"] == "warn"]


def describe_problem(check: Row) -> str:
    """Return how many rows break the rule of *check*, or why that is unknown."""
    if check["count"] is None:
        return f"Not known whether this is true: {check['title']} ({check['note']})"
    verb = "breaks" if check["count"] == 1 else "break"
    rows = count_noun(check["count"], "row", space=NO_BREAK)
    return f"{rows} {verb}: {check['title']}"


def is_figure(key: str, rows: Sequence[Row]) -> bool:
    """Return whether the column *key* contains numbers."""
    return all(row[key] is None or isinstance(row[key], (int, float)) for row in rows)


def format_heading(key: str) -> str:
    """Return the heading of the column *key*.

    >>> format_heading("new_customers"), format_heading("line_discount_cents")
    ('New', 'Line discount')
    """
    words = re.sub(r"_cents$", "", key).replace("_", " ")
    return HEADINGS.get(key, words[:1].upper() + words[1:])


def format_cell(key: str, row: Row, currency: str | None) -> str:
    """Return a trend's cell as text; an incomplete month ends with a star."""
    if key == "month":
        return format_month(row[key]) + ("" if row.get("is_complete", 1) else " *")
    if key.endswith("_cents"):
        return format_money(row[key], currency)
    if key == "orders_per_customer" and row[key] == MOST_ORDERS:
        return f"{MOST_ORDERS}+"
    return format_figure(key, row[key], currency)


def format_month(month: str) -> str:
    """Return the month YYYY-MM as `Jan 2024`; a text that is not a month, unchanged."""
    if not is_month(month):
        return month
    return f"{MONTHS[int(month[5:]) - 1]}{NO_BREAK}{month[:4]}"


def format_figure(key: str, value: Any, currency: str | None) -> str:
    """Return *value* in the format that the ending of its name, *key*, requires.

    >>> [format_figure("city", value, None) for value in ("Lund", None, 1234)]
    ['Lund', '–', '1,234']
    """
    if key.endswith("_cents"):
        return format_amount(value, currency, space=NO_BREAK)
    if key.endswith(("_rate", "_share")):
        return format_percent(value)
    if isinstance(value, int) and not key.endswith("_id"):
        return format_count(value)
    return NO_FIGURE if value is None else str(value)
