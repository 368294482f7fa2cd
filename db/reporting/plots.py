"""The plots of report.md: net revenue as a Mermaid plot, the week as blocks, bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db.reporting.figures import Period, group_by_period
from utils.formats import count_minor_digits, count_noun
from utils.months import is_month

Row = Mapping[str, Any]

# The labels of more bars would overlap.
PLOT_BARS = 24

PLOT_STYLE = (
    '%%{init: {"xyChart": {"width": 900, "height": 320, "xAxis": {"labelFontSize": 11}},'
    ' "themeVariables": {"xyChart": {"plotColorPalette": "#4c78a8"}}}}%%'
)

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# No orders, then one shade for each quarter of the busiest hour's number.
SHADES = "·░▒▓█"

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def render_plot(rows: Sequence[Row], currency: str | None) -> str:
    """Return net revenue over time as a Mermaid plot, by month, quarter or year.

    The label of an incomplete period ends with a star.
    """
    if len(rows) < 2 or not all(is_month(row["month"]) for row in rows):
        return ""
    noun, periods = group_by_period(rows, at_most=PLOT_BARS)
    bars = periods[-PLOT_BARS:]
    amounts = [bar.net_cents for bar in bars]
    unit, divisor = choose_unit(amounts, 10 ** count_minor_digits(currency))
    values = [f"{cents / divisor:.1f}" for cents in amounts]
    top, bottom = max(0, *amounts) / divisor, min(0, *amounts) / divisor
    axis = " ".join(word for word in (unit, currency) if word)
    plot = [
        "```mermaid",
        PLOT_STYLE,
        "xychart-beta",
        f'    title "Net revenue by {noun}"',
        f"    x-axis [{', '.join(label_bars(noun, bars))}]",
        f'    y-axis "{axis or "amount"}" {bottom:.1f} --> {top or 1:.1f}',
        f"    bar [{', '.join(values)}]",
        "```",
    ]
    notes = []
    if not all(bar.is_complete for bar in bars):
        notes.append(f"\\* incomplete {noun}.")
    if len(bars) < len(periods):
        hidden = count_noun(len(periods) - len(bars), f"earlier {noun}")
        notes.append(f"Not shown: {hidden}.")
    return "\n".join(plot) + ("\n\n" + " ".join(notes) if notes else "")


def label_bars(noun: str, bars: Sequence[Period]) -> list[str]:
    """Return the labels of the *bars*, without the century where they stay distinct."""
    short = {bar.label[2:] for bar in bars}
    start = 2 if noun != "year" and len(short) == len(bars) else 0
    return [f'"{bar.label[start:]}{"" if bar.is_complete else " *"}"' for bar in bars]


def choose_unit(amounts: Iterable[int], scale: int) -> tuple[str, int]:
    """Return the unit of the axis and its cents, chosen so that the figures stay short.

    *scale* is the number of cents in one unit of the currency.
    """
    largest = max(map(abs, amounts))
    for word, divisor in [("million", 10**6 * scale), ("thousand", 10**3 * scale)]:
        if largest >= 10 * divisor:
            return word, divisor
    return "", scale


def render_heat_map(rows: Sequence[Row]) -> str:
    """Return the 168 hours of the week as shaded blocks, and the busiest hour in words."""
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
        "Valid orders, hours in UTC. The busiest hour is"
        f" {WEEKDAYS[busiest['weekday']]} {busiest['hour']:02}:00 with"
        f" {count_noun(top, 'order')}. Shades: `·` no order, `░` up to 25% of the busiest"
        " hour, `▒` up to 50%, `▓` up to 75%, `█` above."
    )
    return "\n".join(lines) + "\n\n" + legend


def draw_shade(count: int, top: int) -> str:
    """Return two characters, darker for more orders."""
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
