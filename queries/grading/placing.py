"""Where the cells of a submission belong: its key columns, long tables and triangles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from queries.customer_values import ALL_COHORTS
from queries.grading.answers import FIGURE_COLUMNS, Place, RightAnswer
from queries.grading.cell_texts import is_null, read_age, read_month, read_quarter
from queries.grading.submissions import MOST_VALUES, Submission
from utils.formats import shorten_value
from utils.helpers import DataError
from utils.months import is_month, month_number

# What identifies a row; a row has the months since, or the calendar month.
KEY_COLUMNS = ("segment", "cohort", "months_since", "period_month")

# The column of the one metric of a triangle.
TRIANGLE_VALUE = "value"

# Other names of our columns, the usual meaning first where a name has several.  Units and
# words such as "total" are removed before a name is looked up.
_SYNONYMS = {
    "segment": "channel acquisition_channel country country_code category group",
    "cohort": "cohort_month cohort_quarter cohort_date cohort_period acquisition_cohort"
    " acquisition_month cohort_start first_order_month first_purchase_month first_month",
    "months_since": "month_number month_index month_offset months_after period_number"
    " period_index cohort_index cohort_age age age_months months_since_first_order"
    " months_since_first months_since_first_purchase months_since_acquisition month_since"
    " month period months",
    "period_month": "order_month activity_month calendar_month transaction_month"
    " month_date month period",
    "cohort_size": "size cohort_customers cohort_users initial_customers new_customers"
    " acquired_customers customers users",
    "active_customers": "active active_users customer buyers purchasers retained_customers"
    " retained_users customers users unique_customers",
    "order_count": "orders order transactions purchases",
    "unit_count": "units quantity items items_sold units_sold",
    "gross_cents": "gross gross_revenue gross_sales gmv revenue sales",
    "discount_cents": "discount discounts",
    "refund_cents": "refund refunds refunded refund_amount",
    "net_cents": "net net_revenue net_sales revenue sales turnover",
    "cost_cents": "cost costs cogs",
    "margin_cents": "margin gross_margin profit gross_profit contribution_margin",
    "repeat_customers": "repeat_buyers returning_customers repeaters",
    "cum_net_cents": "cum_net cumulative_net cumulative_net_revenue cumulative_revenue"
    " cum_revenue cum_net_revenue running_revenue ltv clv cltv",
    "cum_margin_cents": "cum_margin cumulative_margin cumulative_profit cum_profit",
    "is_observed": "observed",
    "is_complete": "complete is_mature",
    "retention": "retention_rate retained",
    "retention_low": "retention_lower",
    "retention_high": "retention_upper",
    "aov_cents": "aov average_order_value avg_order_value mean_order_value",
    "net_per_customer_cents": "net_per_customer revenue_per_customer arpu arpc"
    " net_revenue_per_customer revenue_per_user avg_revenue_per_customer",
    "cum_net_per_customer_cents": "cum_net_per_customer cumulative_net_per_customer"
    " cumulative_revenue_per_customer ltv clv cltv ltv_per_customer clv_per_customer"
    " cumulative_ltv cum_ltv cumulative_clv cum_clv ltv_per_user cumulative_arpu"
    " customer_lifetime_value lifetime_value avg_ltv avg_clv average_ltv average_clv",
    "cum_margin_per_customer_cents": "cum_margin_per_customer margin_ltv margin_clv",
}
_ANY_FIGURE = (TRIANGLE_VALUE, "metric", "amount", "figure", "result")
_UNITS = re.compile(
    r"(?:_(?:cents?|usd|eur|gbp|pct|percent|count))+$"
    r"|^(?:(?:total|sum|monthly|n|num|nb|number|of|count)_)+"
)


class PlacedTexts(NamedTuple):
    """The texts of each column with the places of their cells, by header.

    *keys* are the headers of the key columns; *ignored* the texts in place of a cohort of
    the rows that were not read, such as "Total".
    """

    keys: dict[str, str]
    entries: dict[str, list[tuple[Place, str]]]
    ignored: list[str]


def place_texts(
    submission: Submission, right: RightAnswer, chosen: Mapping[str, str], source: str
) -> PlacedTexts:
    """Return the texts of *submission* by place; *chosen* are headers with our columns.

    Raise `DataError` naming *source* if its cells cannot be placed.
    """
    grain = right.options.grain
    keys = _find_keys(submission, right, chosen)
    if right.is_average:
        keys.pop("cohort", None)
    elif "cohort" not in keys and (transposed := _transpose(submission)):
        submission = transposed
        keys = _find_keys(submission, right, chosen)
    if not {"months_since", "period_month"} & keys.keys():
        submission = _unpivot(submission, keys, source, grain)
        keys = _find_keys(submission, right, chosen)
    needed = ("segment", "cohort") if right.options.by else ("cohort",)
    for key in () if right.is_average else needed:
        _require_key(keys, key, submission.headers, source)
    placed = _place_rows(submission, right, keys, source)
    if not any(placed.entries.values()):
        example = f", such as {shorten_value(placed.ignored[0])}" if placed.ignored else ""
        raise DataError(
            f"{source}: no row has a {grain} as its cohort and a month{example}. Expected a"
            " spelling such as 2025-03 or 2025-Q1, and months since such as 3."
        )
    return placed


def list_average_ages(
    submission: Submission, right: RightAnswer, chosen: Mapping[str, str]
) -> list[int]:
    """Return the ages in *submission*, if it has a row for each and no cohorts, else []."""
    keys = _find_keys(submission, right, chosen)
    has_cohorts = "cohort" in keys or _transpose(submission) is not None
    if right.options.by or has_cohorts or "months_since" not in keys:
        return []
    texts = [row[keys["months_since"]] for row in submission.rows]
    ages = [age for text in texts if (age := read_age(text)) is not None]
    return ages if len(ages) == len({*ages}) else []


def _place_rows(
    submission: Submission, right: RightAnswer, keys: Mapping[str, int], source: str
) -> PlacedTexts:
    others = [at for at in range(len(submission.headers)) if at not in keys.values()]
    entries: dict[str, list[tuple[Place, str]]] = {
        submission.headers[at]: [] for at in others
    }
    seen: set[Place] = set()
    ignored = []
    find_place = _place_reader(right, keys)
    for row in submission.rows:
        place = find_place(row)
        if place is None:
            ignored.append(row[keys.get("cohort", keys.get("months_since", 0))])
            continue
        if place in seen:
            raise DataError(
                f"{source}: repeats {describe_place(place)}. Expected one row for each"
                " cohort and month; a column of segments is read with --by."
            )
        seen.add(place)
        for at in others:
            entries[submission.headers[at]].append((place, row[at]))
    names = {key: submission.headers[at] for key, at in keys.items()}
    return PlacedTexts(names, entries, ignored)


def _place_reader(
    right: RightAnswer, keys: Mapping[str, int]
) -> Callable[[Sequence[str]], Place | None]:
    """Return the function that finds the place of a row, or None if it has none."""
    segments = {place.segment.casefold(): place.segment for place in right.cells}

    def find_place(row: Sequence[str]) -> Place | None:
        cohort: str | None = ALL_COHORTS
        if "cohort" in keys:
            cohort = _read_cohort(row[keys["cohort"]], right.options.grain)
        if cohort is None:
            return None
        if "months_since" in keys:
            age = read_age(row[keys["months_since"]])
        else:
            month = read_month(row[keys["period_month"]])
            is_dated = month is not None and is_month(cohort)
            age = month_number(month or "") - month_number(cohort) if is_dated else None
        if age is None:
            return None
        name = row[keys["segment"]] if "segment" in keys else ""
        return Place(segments.get(name.casefold(), name), cohort, age)

    return find_place


def describe_place(place: Place) -> str:
    """Return *place* in words.

    >>> describe_place(Place("", "2025-01", 3))
    'cohort 2025-01, months since 3'
    """
    segment = f"segment {shorten_value(place.segment)}, " if place.segment else ""
    cohort = f"cohort {place.cohort}" if place.cohort else "all cohorts"
    return f"{segment}{cohort}, months since {place.months_since}"


# ---- Keys --------------------------------------------------------------------------------


def find_meanings(header: str) -> list[str]:
    """Return the columns that *header* may mean, the usual one first.

    >>> find_meanings("Total Revenue (USD)"), find_meanings("cohortMonth")
    (['net_cents', 'gross_cents'], ['cohort'])
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    meanings = _list_meanings()
    return meanings.get(name) or meanings.get(_UNITS.sub("", name)) or []


@cache
def _list_meanings() -> dict[str, list[str]]:
    meanings: dict[str, list[tuple[int, str]]] = {}
    for column, names in _SYNONYMS.items():
        own = column.removesuffix("_cents").removesuffix("_count")
        for rank, name in enumerate(dict.fromkeys((own, *names.split()))):
            meanings.setdefault(name, []).append((rank, column))
    by_name = {
        name: [column for _, column in sorted(found)] for name, found in meanings.items()
    }
    # The exact name of a column has no other meaning.
    exact = {column: [column] for column in _SYNONYMS}
    return by_name | exact | {name: [*FIGURE_COLUMNS] for name in _ANY_FIGURE}


def _find_keys(
    submission: Submission, right: RightAnswer, chosen: Mapping[str, str]
) -> dict[str, int]:
    """Return the number of the column of each key that *submission* has."""
    grain = right.options.grain
    keys: dict[str, int] = {}
    for key in KEY_COLUMNS:
        for at, header in enumerate(submission.headers):
            meanings = [chosen[header]] if header in chosen else find_meanings(header)
            is_free = key in meanings and at not in keys.values() and key not in keys
            if is_free and (header in chosen or _fits(key, submission, at, grain)):
                keys[key] = at
    if not right.options.by:
        keys.pop("segment", None)
    if "cohort" not in keys:
        # A column with a name that nobody knows may still hold nothing but months.
        for at, header in enumerate(submission.headers):
            is_free = at not in keys.values() and header not in chosen
            if is_free and _fits("cohort", submission, at, grain):
                keys["cohort"] = at
                break
    return keys


def _fits(key: str, submission: Submission, at: int, grain: str) -> bool:
    """Return whether most texts of the column can be values of *key*."""
    if key == "segment":
        return True
    texts = [row[at] for row in submission.rows if not is_null(row[at])]
    if key == "months_since":
        fitting = sum(read_age(text) is not None for text in texts)
    else:
        grain = grain if key == "cohort" else "month"
        fitting = sum(_read_cohort(text, grain) is not None for text in texts)
    return 2 * fitting > len(texts)


def _read_cohort(text: str, grain: str) -> str | None:
    return read_quarter(text) if grain == "quarter" else read_month(text)


def _require_key(
    keys: Mapping[str, int], key: str, headers: Sequence[str], source: str
) -> None:
    if key not in keys:
        names = ", ".join(map(shorten_value, headers[:20]))
        raise DataError(
            f"{source}: has no column for {key}; its columns are {names}. Name it:"
            f" --columns THEIRS={key}"
        )


# ---- Triangles ---------------------------------------------------------------------------


def _transpose(submission: Submission) -> Submission | None:
    """Return *submission* with its columns as rows, if its columns are cohorts."""
    headers = submission.headers
    cohorts = [at for at, header in enumerate(headers) if read_month(header)]
    others = [at for at in range(len(headers)) if at not in cohorts]
    if len(cohorts) < 2 or len(others) != 1:
        return None
    labels = [row[others[0]] for row in submission.rows]
    rows = [[headers[at], *(row[at] for row in submission.rows)] for at in cohorts]
    return Submission(["cohort", *labels], rows, submission.form)


def _unpivot(
    submission: Submission, keys: Mapping[str, int], source: str, grain: str
) -> Submission:
    """Return the triangle *submission* as a long table: a row for each cell."""
    headers, used = submission.headers, {*keys.values()}
    free = [at for at in range(len(headers)) if at not in used]
    months = [at for at in free if read_month(headers[at])]
    ages = [at for at in free if read_age(headers[at]) is not None]
    labels = months if len(months) > len(ages) and grain == "month" else ages
    if len(labels) < 2:
        _require_key(keys, "cohort", headers, source)
        _require_key({}, "months_since", headers, source)
    if len(labels) * len(submission.rows) > MOST_VALUES:
        raise DataError(f"{source}: has more than {MOST_VALUES:,} cells.")
    others = [at for at in range(len(headers)) if at not in labels]
    key = "period_month" if labels is months else "months_since"
    rows = [
        [*(row[at] for at in others), headers[label], row[label]]
        for row in submission.rows
        for label in labels
        if not is_null(row[label])
    ]
    return Submission(
        [*(headers[at] for at in others), key, TRIANGLE_VALUE], rows, submission.form
    )
