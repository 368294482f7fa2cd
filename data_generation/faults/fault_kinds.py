"""What a kind of planted fault is: where it falls, what it changes, what should find it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property
from itertools import accumulate
from typing import IO, Any, NamedTuple

from data_generation.model.streams import WORD_BITS, Streams

# The cells of a row by column.
Row = dict[str, str]

# Each customer has one of these lanes, and each kind has lanes of its own.
LANES = 64


class Edit(NamedTuple):
    """What a fault does to one row of a table.

    *cells* are changed; *text* replaces the complete line; *before* and *after* are lines
    around it; *appended* are rows that arrive later, as a moved row does; *broken* are
    columns whose reference is now broken, although their cell is as it was.  *expected* and
    *tier* replace those of the kind.
    """

    cells: Mapping[str, str] = {}
    text: str | None = None
    is_dropped: bool = False
    is_moved: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    appended: tuple[Row, ...] = ()
    broken: tuple[str, ...] = ()
    expected: str | None = None
    tier: int | None = None


DROPPED = Edit(is_dropped=True)
MOVED = Edit(is_moved=True)


def split_row(line: bytes, names: Sequence[str]) -> Row:
    """Return the cells of the clean *line* by the *names* of its columns."""
    return dict(zip(names, line.decode("utf-8").rstrip("\n").split(","), strict=True))


class UserRows:
    """The rows of the clean *file* of users, read by id when a kind needs them."""

    def __init__(self, file: IO[bytes], names: Sequence[str]) -> None:
        self._file = file
        self._names = names

    @cached_property
    def _starts(self) -> array[int]:
        """Where each row begins; the ids are 1, 2, 3 and so on."""
        self._file.seek(0)
        return array("q", accumulate(map(len, self._file)))

    def read(self, user_id: str) -> Row:
        """Return the row of the user with this id."""
        self._file.seek(self._starts[int(user_id) - 1])
        return split_row(self._file.readline(), self._names)


class ShopFacts(NamedTuple):
    """What planting knows of the clean shop: its rows by table, its days, its products.

    *buyers* has a 1 at the id of each user with an order, if a chosen kind needs it.
    """

    streams: Streams
    row_counts: Mapping[str, int]
    first_day: date
    last_day: date
    products: list[Row]
    users: UserRows
    buyers: bytearray


class Site:
    """Where one kind plants: its random numbers, its new ids, what it remembers."""

    def __init__(self, kind: PlantedKind, shop: ShopFacts) -> None:
        self.kind = kind
        self.shop = shop
        # What planting in one table leaves for the next ones.
        self.memory: dict[Any, Any] = {}
        # The number of the incident: one for each week that a batch kind owns.
        self.incident = 1
        self._new_ids: dict[str, int] = {}

    def name_incident(self) -> str:
        """Return the id of the incident."""
        return f"{self.kind.name}-{self.incident}"

    def draw_word(self, purpose: str, key: object) -> int:
        """Return the random word of this kind for a *purpose* and the row *key*."""
        stream = f"faults.{self.kind.name}"
        return self.shop.streams.draw(stream, purpose, key, 1)[0]

    def draw(self, purpose: str, key: object, count: int) -> int:
        """Return a random number from 0 to *count* - 1."""
        return self.draw_word(purpose, key) * count >> WORD_BITS

    def take_id(self, table: str) -> str:
        """Return an id that no row of *table* has, and no other kind takes."""
        taken = self._new_ids.get(table, 0)
        self._new_ids[table] = taken + 1
        return str(self.shop.row_counts[table] + LANES * taken + self.kind.number)


# Changes a row at a site; None leaves it as it is.
Planter = Callable[[Row, Site], Edit | None]
# Whether a row may have the fault.
Condition = Callable[[Row, Site], bool]


def is_any(_row: Row, _site: Site) -> bool:
    """Return True: every row is at risk."""
    return True


class PlantedKind(NamedTuple):
    """A kind of fault.

    *number*, from 1 to 63, is its own forever.  *table* has the rows at risk, those for
    which *at_risk* is true; *rate* of a million of them get the fault.  *planters* change a
    row by table: for the tables after *table*, those of a chosen order.  *lanes* are those
    of customers or products; a batch kind has none but owns a week in each 48.  *expected*
    is the code or check that finds it, *source* where the rate is from.
    """

    number: int
    name: str
    family: str
    description: str
    table: str
    planters: Mapping[str, Planter]
    lanes: tuple[int, ...] = ()
    at_risk: Condition = is_any
    rate: int = 5_000
    source: str = "own"
    fault_class: str = "incorrect"
    level: str = "cell"
    expected: str = ""
    tier: int = 3
    certainty: str = "error"
    mechanism: str = "at random"
    condition: str = ""
    drawn_by: str = ""
    owns_customer: bool = False
    is_decoy: bool = False

    @property
    def is_batch(self) -> bool:
        """Return whether the kind owns complete weeks."""
        return not self.lanes and self.level != "file"
