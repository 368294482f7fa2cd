"""Faults of files: their bytes, lines and fields."""

from __future__ import annotations

from data_generation.faults.fault_kinds import LANES, Edit, PlantedKind, Row, Site

# The last rows of order_items.csv are kept free of other faults, for a truncated file.
TAIL_ROWS = 8

# How many of them a truncated file lacks, the first in part.
CUT_ROWS = 6


def join_row(row: Row) -> str:
    """Return the line of *row*, without its end; no clean cell needs quotes."""
    return ",".join(row.values())


def has_accent(row: Row, _site: Site) -> bool:
    """Return whether the name has a letter that a wrong encoding spoils."""
    name = row["full_name"]
    return not name.isascii() and spoil_text(name) != name


def has_bad_bytes(row: Row, _site: Site) -> bool:
    """Return whether the name has a letter of Windows-1252 that is not ASCII."""
    return not row["full_name"].encode("cp1252", "ignore").isascii()


def spoil_text(text: str) -> str:
    """Return *text* as a program shows it that takes UTF-8 for Windows-1252.

    >>> spoil_text("Zoë")
    'ZoÃ«'
    """
    try:
        return text.encode("utf-8").decode("cp1252")
    except UnicodeDecodeError:
        return text


def _plant_mojibake(row: Row, _site: Site) -> Edit:
    return Edit({"full_name": spoil_text(row["full_name"])})


def _plant_bad_bytes(row: Row, _site: Site) -> Edit:
    data = row["full_name"].encode("cp1252", "ignore")
    return Edit({"full_name": data.decode("utf-8", "surrogateescape")})


def _plant_open_quote(row: Row, _site: Site) -> Edit:
    return Edit(text=join_row({**row, "product_name": '"' + row["product_name"]}))


def _plant_ragged_row(row: Row, _site: Site) -> Edit:
    amount = row["amount_cents"]
    return Edit(text=join_row({**row, "amount_cents": f"{amount[:-2]},{amount[-2:]}"}))


def _plant_header(row: Row, _site: Site) -> Edit:
    return Edit(before=(",".join(row),))


def _plant_blank_line(_row: Row, _site: Site) -> Edit:
    return Edit(before=("",))


def _plant_comma_line(row: Row, _site: Site) -> Edit:
    return Edit(before=("," * (len(row) - 1),))


def _has_two_words(row: Row, _site: Site) -> bool:
    return "_" in row["method"]


def _plant_lone_return(row: Row, _site: Site) -> Edit:
    return Edit(text=join_row({**row, "method": row["method"].replace("_", "\r")}))


FILE_KINDS = (
    PlantedKind(
        1,
        "mojibake",
        "file",
        "UTF-8 was read as Windows-1252 and written again",
        "users",
        {"users": _plant_mojibake},
        lanes=(0, 1, 2, 6),
        at_risk=has_accent,
        rate=10_000,
        source="own; DataSynth's default is 0.1 %",
        expected="text_invisible_characters",
        mechanism="depends on the value itself",
        condition="full_name has a letter that is not ASCII",
    ),
    PlantedKind(
        2,
        "bad_bytes",
        "file",
        "a name was written in Windows-1252 into a file of UTF-8",
        "users",
        {"users": _plant_bad_bytes},
        lanes=(3, 4, 5, 53),
        at_risk=has_bad_bytes,
        expected="E_ENCODING",
        tier=1,
        mechanism="depends on the value itself",
        condition="full_name has a letter that is not ASCII",
    ),
    PlantedKind(
        3,
        "truncated_file",
        "file",
        "the transfer of order_items.csv ended early, in the middle of a row",
        "order_items",
        {},
        fault_class="missing",
        level="file",
        expected="E_FIELDS",
        tier=1,
        mechanism="depends on another column",
        condition="the last rows of the file",
    ),
    PlantedKind(
        4,
        "unclosed_quote",
        "file",
        "a quote was opened and never closed",
        # No other kind of tier 1 is in this table: rows after an open quote are skipped.
        "products",
        {"products": _plant_open_quote},
        lanes=tuple(range(48, LANES)),
        rate=1_000,
        level="row",
        expected="E_QUOTES",
        tier=1,
    ),
    PlantedKind(
        5,
        "ragged_row",
        "file",
        "an amount was written with a comma, so that its row has a field too many",
        "payments",
        {"payments": _plant_ragged_row},
        lanes=(7,),
        at_risk=lambda row, _site: len(row["amount_cents"]) > 3,
        rate=1_000,
        level="row",
        expected="E_FIELDS",
        tier=1,
    ),
    PlantedKind(
        6,
        "repeated_header",
        "file",
        "files were joined with their headers",
        "orders",
        {"orders": _plant_header},
        lanes=(8,),
        rate=500,
        fault_class="redundant",
        level="row",
        expected="E_HEADER",
        tier=1,
    ),
    PlantedKind(
        7,
        "blank_line",
        "file",
        "a blank line was left between rows",
        "payments",
        {"payments": _plant_blank_line},
        lanes=(9,),
        rate=500,
        fault_class="redundant",
        level="row",
        expected="E_BLANK_LINE",
        tier=1,
    ),
    PlantedKind(
        8,
        "comma_line",
        "file",
        "a spreadsheet saved a row without values",
        "users",
        {"users": _plant_comma_line},
        lanes=(10,),
        rate=500,
        fault_class="redundant",
        level="row",
        expected="E_BLANK_LINE",
        tier=1,
    ),
    PlantedKind(
        9,
        "lone_return",
        "file",
        "a line break of an old system, a lone CR, is within a row",
        "payments",
        {"payments": _plant_lone_return},
        lanes=(11,),
        at_risk=_has_two_words,
        rate=1_000,
        level="row",
        expected="E_LINE_END",
        tier=1,
        mechanism="depends on the value itself",
        condition="method has two words",
    ),
)
