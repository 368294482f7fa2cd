"""All kinds of planted faults."""

from __future__ import annotations

from data_generation.faults.decoys import DECOY_KINDS
from data_generation.faults.delivery_faults import DELIVERY_KINDS
from data_generation.faults.entry_faults import ENTRY_KINDS
from data_generation.faults.export_faults import EXPORT_KINDS
from data_generation.faults.file_faults import FILE_KINDS
from data_generation.faults.plausible_faults import PLAUSIBLE_KINDS
from data_generation.faults.relation_faults import RELATION_KINDS

KINDS = (
    *DELIVERY_KINDS,
    *EXPORT_KINDS,
    *ENTRY_KINDS,
    *FILE_KINDS,
    *RELATION_KINDS,
    *PLAUSIBLE_KINDS,
    *DECOY_KINDS,
)
