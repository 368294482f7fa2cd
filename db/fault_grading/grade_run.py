"""One grade: of our own findings, of those of any tool, or of cleaned files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.fault_grading.answer_places import read_answer_key
from db.fault_grading.cleaned_files import ReadClean, grade_cleaned
from db.fault_grading.fault_grades import grade_findings
from db.fault_grading.findings import read_findings
from db.fault_grading.grade_texts import render_fault_grade
from db.fault_grading.own_findings import find_own
from utils.atomic_files import write_atomically
from utils.contract import SCHEMA_PATH, read_contract
from utils.formats import format_percent
from utils.helpers import render_json

Grade = dict[str, Any]


def grade_work(
    key_dir: Path,
    data_dir: Path,
    schema_path: Path = SCHEMA_PATH,
    *,
    findings_path: Path | None = None,
    cleaned_dir: Path | None = None,
    read_clean: ReadClean,
) -> Grade:
    """Return the grade of findings, or of cleaned files, for JSON.

    The answer key is in *key_dir*, the faulty files are in *data_dir*.  Graded are the
    files in *cleaned_dir*, or the findings in *findings_path*, or else what the loader and
    the report find.  *read_clean* returns the clean files.
    """
    key = read_answer_key(key_dir)
    contract = read_contract(schema_path)
    if cleaned_dir is not None:
        result = grade_cleaned(key, cleaned_dir, contract, read_clean)
        return {"graded": "cleaned files", **result}
    if findings_path is not None:
        findings = list(read_findings(findings_path, contract))
        return {"graded": "findings", **grade_findings(key, data_dir, findings)}
    findings, loads = find_own(data_dir, schema_path)
    result = grade_findings(key, data_dir, findings)
    return {"graded": "the loader and the report", "loads": loads, **result}


def write_fault_grade(result: Grade, out_dir: Path) -> list[Path]:
    """Write *result* as grade.json and grade.md to *out_dir*; return their paths."""
    texts = {
        out_dir / "grade.json": render_json(result),
        out_dir / "grade.md": render_fault_grade(result),
    }
    write_atomically(texts)
    return list(texts)


def find_low_share(result: Grade, least: Mapping[str, int | None]) -> str | None:
    """Return in words which share of *result* is too low, or None if none is.

    *least* has the least recall and precision in percent; None is 100.
    """
    shares = {"recall": result["faults"]["recall"], "precision": result["precision"]}
    for name, share in shares.items():
        percent = 100 if least[name] is None else least[name]
        if share is not None and share * 100 < (percent or 0):
            return f"the {name} is {format_percent(share)}, expected {percent}% or more"
    return None
