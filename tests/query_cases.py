"""What the tests of the cohort query share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def find_clv(record: Mapping[str, Any], months: int) -> dict[str, Any]:
    """Return the CLV at *months* of a cohort, or of a summary, of the JSON."""
    (clv,) = (clv for clv in record["clv"] if clv["months"] == months)
    return dict(clv)
