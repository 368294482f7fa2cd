"""Choose the rows that get a fault, and copy the tables of a shop with these faults.

Each table is read and written once, line by line; rows that nobody owns pass as bytes.
Per order one byte is kept in memory: the kind that may change its lines and payments.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import islice

from data_generation.faults.fault_catalogue import KINDS
from data_generation.faults.fault_kinds import (
    LANES,
    Edit,
    PlantedKind,
    Row,
    ShopFacts,
    Site,
)
from data_generation.faults.fault_profiles import Profile
from data_generation.faults.faulty_files import FaultyFile, KeyWriter, TablePlanter
from data_generation.faults.file_faults import CUT_ROWS, TAIL_ROWS
from data_generation.faults.ownership import (
    Ownership,
    Week,
    share_out_days,
    share_out_ids,
)
from data_generation.model.streams import WORD_BITS
from utils.contract import Table

_MILLION = 1_000_000

# How many of the shop's own largest orders are decoys.
_OWN_DECOYS = 3

# The kinds whose customers no week and no end of a file takes from them.
_CUSTOMER_NUMBERS = frozenset(kind.number for kind in KINDS if kind.owns_customer)


class Planting:
    """One run over the tables of *shop* with the kinds of *profile*.

    *forced* are rows by kind that get a fault whatever their random word is.  `least` has,
    for each kind without a fault so far, the row at risk that came nearest to one.
    """

    def __init__(
        self,
        shop: ShopFacts,
        profile: Profile,
        forced: Mapping[str, str],
        key: KeyWriter,
    ) -> None:
        self._shop = shop
        self._profile = profile
        self._forced = forced
        self._key = key
        # By the numbers of the kinds; None for those that are not chosen.
        self._sites: list[Site | None] = [None] * LANES
        for kind in KINDS:
            if kind.name in profile.choices:
                self._sites[kind.number] = Site(kind, shop)
        self._ownership = self._share_out()
        self._products = self._share_out_table("products")
        # By order: the number of the kind, and the incident where it is not the first.
        self._owners = bytearray(shop.row_counts["orders"] + 1)
        self._incidents: dict[int, int] = {}
        # The largest orders that nobody owns: (total, line, text).
        self._largest: list[tuple[int, int, bytes]] = []
        self.least: dict[str, tuple[int, str]] = {}

    def _share_out_table(self, table: str) -> bytearray:
        is_product = table == "products"
        kinds = [kind for kind in KINDS if (kind.table == "products") == is_product]
        count = self._shop.row_counts[table]
        return share_out_ids(self._shop.streams, table, kinds, count)

    def _share_out(self) -> Ownership:
        batch_kinds = [kind for kind in KINDS if kind.is_batch]
        days = share_out_days(
            self._shop.streams, batch_kinds, self._shop.first_day, self._shop.last_day
        )
        self._profile.replace_days(days)
        tail = self._shop.row_counts["orders"] - TAIL_ROWS
        return Ownership(self._share_out_table("users"), days, _CUSTOMER_NUMBERS, tail)

    def copy_table(self, table: Table, lines: Iterable[bytes], output: FaultyFile) -> None:
        """Write the clean *lines* of *table*, header first, to *output* with the faults."""
        planter = TablePlanter(table, output, self._key)
        rows = iter(lines)
        planter.pass_line(next(rows))
        if table.name == "users":
            self._plant_by_id(planter, rows, self._ownership.users)
        elif table.name == "products":
            self._plant_by_id(planter, rows, self._products)
        elif table.name == "orders":
            self._plant_orders(planter, rows)
        elif table.name == "order_items":
            count = max(self._shop.row_counts[table.name] - TAIL_ROWS, 0)
            self._plant_children(planter, islice(rows, count))
        else:
            self._plant_children(planter, rows)
        planter.flush_later()
        # Of order_items.csv the end is left.
        self._write_tail(planter, list(rows))

    def _write_tail(self, planter: TablePlanter, tail: list[bytes]) -> None:
        """Write the last rows of order_items.csv, cut off if the profile has that kind."""
        sites = [site for site in self._sites if site and site.kind.level == "file"]
        kept = len(tail) - CUT_ROWS if sites else len(tail)
        for line in tail[:kept]:
            planter.pass_line(line)
        if tail[kept:]:
            planter.cut(tail[kept:], sites[0])

    def _plant_by_id(
        self, planter: TablePlanter, rows: Iterable[bytes], owners: bytearray
    ) -> None:
        """Write *rows*, whose ids are 1, 2, 3 and so on; *owners* are kinds by id."""
        sites = self._list_sites(planter.name)
        for owner, line in zip(islice(owners, 1, None), rows, strict=True):
            site = sites[owner]
            if site is None:
                planter.pass_line(line)
            else:
                self._plant_own(planter, line, site)

    def _list_sites(self, table: str) -> list[Site | None]:
        """Return the sites by number, without those that change no row of *table*."""
        return [
            site if site and table in (site.kind.table, *site.kind.planters) else None
            for site in self._sites
        ]

    def _plant_own(self, planter: TablePlanter, line: bytes, site: Site) -> bool:
        """Write *line*, a row at risk of the kind at *site*; return whether it has it."""
        row = planter.read_row(line)
        edit = None
        if self._is_chosen(site, row):
            edit = site.kind.planters.get(planter.name, _leave)(row, site) or Edit()
        if edit is None:
            planter.pass_line(line)
            return False
        planter.plant(line, row, site, edit)
        return True

    def _plant_orders(self, planter: TablePlanter, rows: Iterable[bytes]) -> None:
        for order_id, line in enumerate(rows, start=1):
            _, user_id, ordered_at, _ = line.split(b",", 3)
            owner = self._ownership.find_owner(order_id, int(user_id), ordered_at[:10])
            site = self._sites[owner.number]
            if site is None:
                self._rank(line, planter.pass_line(line))
                continue
            site.incident = owner.incident
            if site.kind.table == "orders":
                is_owned = self._plant_own(planter, line, site)
            else:
                is_changed = self._plant_following(planter, line, site)
                is_owned = is_changed or self._may_follow(site.kind, ordered_at[:10])
            if is_owned:
                self._own(order_id, owner)

    def _may_follow(self, kind: PlantedKind, day: bytes) -> bool:
        """Return whether *kind* may change the lines and payments of an order of *day*."""
        if kind.table == "order_items":  # which have no time of their own
            return self._profile.choices[kind.name].allows_day(day.decode("ascii"))
        return kind.table != "users"

    def _rank(self, line: bytes, number: int) -> None:
        """Keep the clean order *line* if it is one of the largest."""
        total = int(line.rsplit(b",", 1)[1])
        if len(self._largest) < _OWN_DECOYS:
            heapq.heappush(self._largest, (total, -number, line))
        elif total > self._largest[0][0]:
            heapq.heapreplace(self._largest, (total, -number, line))

    def add_own_decoys(self) -> None:
        """List the largest clean orders among the decoys."""
        for at, (_, number, line) in enumerate(sorted(self._largest, reverse=True), 1):
            self._key.add_own_decoy(at, -number, line.decode("utf-8").rstrip("\n"))

    def _own(self, order_id: int, owner: Week) -> None:
        self._owners[order_id] = owner.number
        if owner.incident > 1:
            self._incidents[order_id] = owner.incident

    def _plant_children(self, planter: TablePlanter, rows: Iterable[bytes]) -> None:
        """Write *rows*, the lines or payments of orders."""
        sites, owners = self._list_sites(planter.name), self._owners
        pass_line = planter.pass_line
        for line in rows:
            order_id = int(line.split(b",", 2)[1])
            site = sites[owners[order_id]]
            if site is None:
                pass_line(line)
                continue
            site.incident = self._incidents.get(order_id, 1)
            if site.kind.table == planter.name:
                self._plant_own(planter, line, site)
            else:
                self._plant_following(planter, line, site)

    def _plant_following(self, planter: TablePlanter, line: bytes, site: Site) -> bool:
        """Write *line*, which follows the row of another table; return whether changed."""
        plant = site.kind.planters.get(planter.name)
        if plant is not None:
            row = planter.read_row(line)
            edit = plant(row, site)
            if edit is not None:
                planter.plant(line, row, site, edit)
                return True
        planter.pass_line(line)
        return False

    def _is_chosen(self, site: Site, row: Row) -> bool:
        kind = site.kind
        choice = self._profile.choices[kind.name]
        if not choice.allows(row) or not kind.at_risk(row, site):
            return False
        key = row[kind.drawn_by or next(iter(row))]
        word = site.draw_word("chosen", key)
        rate = choice.find_lane_rate(kind)
        if word * _MILLION < rate << WORD_BITS or self._forced.get(kind.name) == key:
            return True
        if not self._key.counts[kind.name]:
            nearest = (word, key)
            self.least[kind.name] = min(nearest, self.least.get(kind.name, nearest))
        return False


def _leave(_row: Row, _site: Site) -> None:
    """Change nothing: only the tables that follow are changed."""
