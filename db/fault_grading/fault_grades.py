"""Compare findings with an answer key: found, missed, false alarms, decoys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from db.fault_grading.answer_places import AnswerKey, AnswerPlaces, Hits
from db.fault_grading.findings import Finding
from utils.answer_key import PlantedFault

GRADE_VERSION = "1.0"

# How near a finding came to a fault, the nearest first.
PLACES = ("exact", "in_row", "related", "missed")

# The most false alarms, and the most missed faults, that are listed.
MOST_LISTED = 1000

# The tier that nobody can see without the clean data.
INVISIBLE_TIER = 4

Row = dict[str, Any]


class Judgement(NamedTuple):
    """What the findings are: *places* of the faults by id, and findings by what they hit.

    *incidents* were found as a whole, by a finding about their time.
    """

    places: dict[str, str]
    incidents: set[str]
    right: list[Finding]
    uncounted: list[Finding]
    decoys: list[Finding]
    false_alarms: list[Finding]


def grade_findings(key: AnswerKey, data_dir: Path, findings: Sequence[Finding]) -> Row:
    """Return the grade of *findings* about the faulty files in *data_dir*, for JSON.

    Indicators and faults that nobody can see count for neither side.  Recall is the share
    of the other faults that were found, in their row or through their order or user;
    precision is the share of the findings that hit a fault, among those that hit one, a
    decoy, or nothing.  Either is None where there is nothing to divide by.
    """
    judgement = match_findings(key, data_dir, list(dict.fromkeys(findings)))
    counted = [fault for fault in key.faults if is_counted(fault)]
    right, wrong = (
        len(judgement.right),
        len(judgement.decoys) + len(judgement.false_alarms),
    )
    totals = _count_places(counted, judgement)
    recall, precision = totals["recall"], divide(right, right + wrong)
    missed = [f for f in counted if judgement.places.get(f.fault_id) is None]
    return {
        "schema_version": GRADE_VERSION,
        "findings": {
            "count": right + wrong + len(judgement.uncounted),
            "right": right,
            "uncounted": len(judgement.uncounted),
            "decoys": len(judgement.decoys),
            "false_alarms": len(judgement.false_alarms),
        },
        "faults": totals,
        "precision": precision,
        "f1": _combine(recall, precision),
        **group_in_all_ways(counted, lambda some: _count_places(some, judgement)),
        "incidents": list(_grade_incidents(key, judgement)),
        "uncounted_faults": _count_uncounted(key.faults),
        "false_alarms": _list_findings(judgement.false_alarms),
        "decoys_flagged": _list_findings(judgement.decoys),
        "missed": [_describe_fault(fault) for fault in missed[:MOST_LISTED]],
    }


def is_counted(fault: PlantedFault) -> bool:
    """Return whether *fault* counts: an error that somebody can see."""
    return fault.certainty == "error" and fault.tier < INVISIBLE_TIER


def match_findings(
    key: AnswerKey, data_dir: Path, findings: Sequence[Finding]
) -> Judgement:
    """Return what each of *findings* hits, and how near they came to each fault."""
    judgement = Judgement({}, set(), [], [], [], [])
    places = AnswerPlaces(key, data_dir, findings)
    for finding in findings:
        hits = places.find_hits(finding)
        _note_places(judgement.places, hits)
        judgement.incidents.update(each.incident_id for each in hits.incidents)
        _choose_list(judgement, hits).append(finding)
    return judgement


def _note_places(places: dict[str, str], hits: Hits) -> None:
    for place, faults in zip(PLACES, hits[:3], strict=False):
        for fault in faults:
            known = places.get(fault.fault_id, "missed")
            places[fault.fault_id] = min(place, known, key=PLACES.index)


def _choose_list(judgement: Judgement, hits: Hits) -> list[Finding]:
    """Return the list of *judgement* for a finding with these *hits*."""
    faults = [*hits.exact, *hits.in_row, *hits.related]
    if hits.incidents or any(map(is_counted, faults)):
        return judgement.right
    if faults:
        return judgement.uncounted
    return judgement.decoys if hits.decoys else judgement.false_alarms


# ---- Counts ------------------------------------------------------------------------------


def group_faults(
    faults: Iterable[PlantedFault],
    describe: Callable[[PlantedFault], Row],
    count: Callable[[Sequence[PlantedFault]], Row],
) -> list[Row]:
    """Return what *count* returns for *faults* in groups that *describe* names, sorted."""
    groups: dict[tuple[Any, ...], list[PlantedFault]] = defaultdict(list)
    for fault in faults:
        groups[tuple(describe(fault).values())].append(fault)
    return [{**describe(groups[name][0]), **count(groups[name])} for name in sorted(groups)]


def group_in_all_ways(
    faults: Sequence[PlantedFault], count: Callable[[Sequence[PlantedFault]], Row]
) -> Row:
    """Return the counts of *faults* by tier, by class and by kind."""
    return {
        "by_tier": group_faults(faults, lambda fault: {"tier": fault.tier}, count),
        "by_class": group_faults(faults, lambda fault: {"class": fault.fault_class}, count),
        "by_kind": group_faults(faults, describe_kind, count),
    }


def describe_kind(fault: PlantedFault) -> Row:
    """Return the kind of *fault*, with its tier and what should find it."""
    return {"tier": fault.tier, "kind": fault.kind, "expected": fault.expected}


def _count_places(faults: Sequence[PlantedFault], judgement: Judgement) -> Row:
    """Return how many of *faults* were found, by place, and their recall."""
    counts = Counter(judgement.places.get(fault.fault_id, "missed") for fault in faults)
    return {
        "planted": len(faults),
        **{place: counts[place] for place in PLACES},
        "recall": divide(len(faults) - counts["missed"], len(faults)),
    }


def _grade_incidents(key: AnswerKey, judgement: Judgement) -> Iterator[Row]:
    """Yield the incidents that count: one finding inside finds an incident."""
    faults: dict[str, list[PlantedFault]] = defaultdict(list)
    for fault in filter(is_counted, key.faults):
        faults[fault.incident_id].append(fault)
    for incident in key.incidents:
        inside = faults[incident.incident_id]
        if not inside:
            continue
        counts = _count_places(inside, judgement)
        is_found = counts["missed"] < len(inside)
        yield {
            "incident_id": incident.incident_id,
            "kind": incident.kind,
            "description": incident.description,
            "is_found": is_found or incident.incident_id in judgement.incidents,
            **counts,
        }


def _count_uncounted(faults: Iterable[PlantedFault]) -> list[Row]:
    """Return the kinds of *faults* that count for neither side, with the reason."""
    counts = Counter(
        (fault.kind, "indicator" if fault.tier < INVISIBLE_TIER else "invisible")
        for fault in faults
        if not is_counted(fault)
    )
    return [
        {"kind": kind, "reason": reason, "planted": count}
        for (kind, reason), count in sorted(counts.items())
    ]


def _list_findings(findings: Sequence[Finding]) -> list[Row]:
    return [
        {"place": finding.describe(), "label": finding.label}
        for finding in findings[:MOST_LISTED]
    ]


def _describe_fault(fault: PlantedFault) -> Row:
    place = Finding(fault.table, fault.key, fault.line, fault.column)
    return {"fault_id": fault.fault_id, "place": place.describe(), "tier": fault.tier}


def divide(part: int, total: int) -> float | None:
    """Return *part* / *total*, or None if *total* is 0."""
    return part / total if total else None


def _combine(recall: float | None, precision: float | None) -> float | None:
    """Return F1, the harmonic mean of *recall* and *precision*."""
    if not recall or not precision:
        return None if recall is None or precision is None else 0.0
    return 2 * recall * precision / (recall + precision)
