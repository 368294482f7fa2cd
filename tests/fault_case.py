"""The five files of the small shop, and edits that break them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from db.loading.diagnosis import find_faults
from db.loading.faults import MOST_FAULTS, Faults
from tests import shop
from tests.support import ShopCase
from utils.contract import Contract, read_contract

ROWS: dict[str, list[shop.Row]] = {
    "users": shop.USERS,
    "products": shop.PRODUCTS,
    "orders": shop.ORDERS,
    "order_items": shop.ORDER_ITEMS,
    "payments": shop.PAYMENTS,
}

Edit = Callable[[bytes], bytes]


def diagnose(contract: Contract, folder: Path) -> Faults:
    """Return the faults of the files of *contract* in *folder*, without a currency."""
    return find_faults(
        contract,
        folder,
        currency=None,
        max_errors=MOST_FAULTS,
        write_fault=lambda _fault: None,
    )


def set_cell(line: int, field: int, value: str) -> Edit:
    """Return the edit that puts *value* into a cell; line and field count from 1."""

    def edit(data: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
        rows[line - 1][field - 1] = value
        return b"".join(",".join(row).encode("utf-8") + b"\n" for row in rows)

    return edit


def set_line(number: int, text: bytes) -> Edit:
    """Return the edit that replaces the line *number*, counted from 1."""

    def edit(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[number - 1] = text
        return b"\n".join(lines)

    return edit


def put(text: bytes, *, at: int) -> Edit:
    """Return the edit that puts *text* before the byte *at*."""
    return lambda data: data[:at] + text + data[at:]


def swap_bytes(old: bytes, new: bytes) -> Edit:
    """Return the edit that replaces every *old* with *new*."""
    return lambda data: data.replace(old, new)


def zip_up(*names: str) -> bytes:
    """Return a ZIP archive with empty files of these *names*."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return data.getvalue()


class FaultCase(ShopCase):
    """A test with the five files of the small shop in its folder."""

    def setUp(self) -> None:
        """Write the files."""
        super().setUp()
        self.write_all()

    def write_all(self) -> None:
        """Write the five sound files."""
        for table in read_contract().tables:
            rows = [table.column_names, *ROWS[table.name]]
            text = "".join(",".join(map(str, row)) + "\n" for row in rows)
            (self.folder / f"{table.name}.csv").write_bytes(text.encode("utf-8"))

    def edit(self, name: str, edit: Edit) -> None:
        """Change the file of the table *name*."""
        path = self.folder / f"{name}.csv"
        path.write_bytes(edit(path.read_bytes()))

    def find(self) -> Faults:
        """Return the faults of the folder's files."""
        return diagnose(read_contract(), self.folder)

    def list_faults(self) -> list[str]:
        """Return the faults of the folder's files, a line each."""
        return [str(fault) for fault in self.find().first]
