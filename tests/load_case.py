"""A test on the files of the sample shop."""

from __future__ import annotations

from tests.support import ShopCase


class LoadCase(ShopCase):
    """A test with the sample shop's files in its folder."""

    def setUp(self) -> None:
        """Copy the files."""
        super().setUp()
        self.copy_sample()

    def load(self, *arguments: object) -> None:
        """Ingest the folder, which must succeed."""
        result = self.ingest(*arguments)
        self.assertEqual(result.status, 0, result.stderr)

    def refuse(self, *expected: str) -> str:
        """Ingest the folder, which must fail with each of *expected* on stderr."""
        result = self.ingest()
        self.assertEqual((result.status, result.stdout), (1, ""), result)
        for line in expected:
            self.assertIn(line, result.stderr)
        return result.stderr


def set_cell_of(line: str, at: int, value: str) -> str:
    """Return *line* with *value* in the cell *at*, counted from 0."""
    cells = line.split(",")
    cells[at] = value
    return ",".join(cells)
