"""The facts in `submission_meta`: what was loaded, under which rules and by what.

The loader writes them into the database; another engine, which reads the CSV files
themselves, computes what a load of them would have written.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Protocol

from utils.contract import MANIFEST_NAME, PROVENANCE_TABLE, Contract
from utils.digest import dataset_digest, facts_digest
from utils.manifest import TOOL_VERSION, Manifest, compare_with_manifest, read_generator

# (subject, property) → value.
Facts = dict[tuple[str, str], object]


class ReadFile(Protocol):
    """A CSV file, or its parts as one file, as it was read; *form* is canonical or not."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102

    @property
    def bytes(self) -> int: ...  # noqa: D102

    @property
    def rows(self) -> int: ...  # noqa: D102

    @property
    def form(self) -> str: ...  # noqa: D102


def collect_file_facts(
    contract: Contract, files: Iterable[ReadFile], manifest: Manifest
) -> Facts:
    """Return the facts that the schema, the *files* and the *manifest* state."""
    facts: Facts = {("schema.sql", "sha256"): contract.sha256}
    for file in files:
        for name in ("sha256", "bytes", "rows", "form"):
            facts[file.name, name] = getattr(file, name)
        facts[file.name, "manifest"] = compare_with_manifest(
            manifest, file.name, file.sha256
        )
    if manifest.sha256 is not None:
        facts[MANIFEST_NAME, "sha256"] = manifest.sha256
    generator = read_generator(manifest.document)
    return facts | {("generator", name): value for name, value in generator.items()}


def collect_table_facts(
    contract: Contract,
    digests: Mapping[str, str],
    row_counts: Mapping[str, int],
    as_of: str | None,
) -> Facts:
    """Return the facts of the loaded rows; *digests* and *row_counts* are by table."""
    facts: Facts = {}
    for table in contract.tables:
        facts[f"{table.name}.csv", "rows_stored"] = row_counts[table.name]
        facts[table.name, "content_sha256"] = digests[table.name]
    in_order = {table.name: digests[table.name] for table in contract.tables}
    facts["dataset", "content_sha256"] = dataset_digest(in_order)
    facts["dataset", "as_of"] = as_of or None
    return facts


def describe_loader(program: Mapping[str, str]) -> Facts:
    """Return the versions of what loaded the rows; *program* is SQLite or an engine."""
    versions = {
        "tool_version": TOOL_VERSION,
        "python_version": platform.python_version(),
        **program,
    }
    return {("loader", name): value for name, value in versions.items()}


def list_facts(facts: Facts) -> list[tuple[str, str, str]]:
    """Return *facts* as the rows of `submission_meta`, their own digest last.

    A fact without a value has no row.
    """
    rows = sorted(
        (subject, name, str(value))
        for (subject, name), value in facts.items()
        if value is not None
    )
    return [*rows, (PROVENANCE_TABLE, "content_sha256", facts_digest(rows))]
