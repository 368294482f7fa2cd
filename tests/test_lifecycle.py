"""Lifecycles: how customers pay, what follows a failed attempt, how orders end."""

from __future__ import annotations

import unittest
from collections import Counter
from functools import cache
from itertools import chain, pairwise

from data_generation.model import lifecycle, seasons
from data_generation.model.habits import find_habit
from data_generation.model.markets import COUNTRIES, METHODS
from data_generation.model.streams import Streams
from tests.support import IN_CI

# The step has no factor in common with the numbers of methods, payments and endings.
SOME_CODES = range(0, lifecycle.LIFECYCLE_COUNT, 1 if IN_CI else 11)


@cache
def count_methods(table: bytes) -> Counter[int]:
    """Return how often each method occurs in *table*, whose bytes are codes."""
    counts = Counter[int]()
    for code, count in Counter(table).items():
        counts[code & lifecycle.METHOD_MASK] += count
    return counts


class PaymentMethods(unittest.TestCase):
    """A customer mostly pays by the same method; a country's shares are the stated ones."""

    def test_each_country_pays_by_its_methods(self) -> None:
        for country, tables in zip(
            COUNTRIES, lifecycle.build_lifecycle_tables(), strict=True
        ):
            counts = sum(map(count_methods, tables), Counter[int]())
            for method, weight in enumerate(country.methods):
                share = counts[method] / counts.total()
                stated = weight / sum(country.methods)
                self.assertAlmostEqual(share, stated, delta=0.003)

    def test_method_is_the_last_one_at_least_twice_as_often_as_by_chance(self) -> None:
        for tables in lifecycle.build_lifecycle_tables():
            same = 0.0
            mean_shares = Counter[int]()
            for table in tables:
                counts = count_methods(table)
                same += sum((n / len(table)) ** 2 for n in counts.values()) / len(tables)
                mean_shares.update(counts)
            total = mean_shares.total()
            chance = sum((n / total) ** 2 for n in mean_shares.values())
            self.assertGreater(same, 2 * chance)

    def test_habits_have_the_shares_of_the_country(self) -> None:
        cycle = find_habit(Streams(42), "method").list_cycle()
        (tables, *_) = lifecycle.build_lifecycle_tables()
        methods = [
            max(counts, key=counts.__getitem__) for counts in map(count_methods, tables)
        ]
        habits = Counter(methods[byte] for byte in cycle)
        for method, weight in enumerate(COUNTRIES[0].methods):
            self.assertAlmostEqual(habits[method] / len(cycle), weight / 100, delta=0.01)


class HabitCycle(unittest.TestCase):
    """A habit begins again after a number of users."""

    def test_consecutive_users_have_the_bytes_of_the_cycle(self) -> None:
        habit = find_habit(Streams(1), "returner")
        cycle = habit.list_cycle()
        for first, count in ((1, 3), (4000, 200), (4095, 9000), (8192, 0)):
            expected = [cycle[user % len(cycle)] for user in range(first, first + count)]
            self.assertEqual(list(habit.list_consecutive(first, count)), expected)

    def test_cycle_begins_with_the_high_bytes_of_the_habit(self) -> None:
        habit = find_habit(Streams(1), "method")
        halves = habit.list_halves(range(100))
        self.assertEqual(list(habit.list_cycle()[:100]), [half >> 8 for half in halves])


class FailedAttempts(unittest.TestCase):
    """A failed attempt is followed by others or by none."""

    CHANCES = (0, 2**64 - 1, 0x5555555555555555, 0x0001000000000000)

    def list_charges(self, code: int, chance: int) -> list[tuple[int, str, str]]:
        """Return second, method and status of the charges of an order of 10,000 cents."""
        return [
            (second, method, status)
            for second, text in lifecycle.list_payments(code, 0, 60, chance, 10_000, 0)
            for _, kind, method, status, *_ in [text.split(",")]
            if kind == "charge"
        ]

    def test_three_of_100_orders_fail_and_a_third_of_the_further_attempts_switch(
        self,
    ) -> None:
        codes = Counter[int]()
        for table in chain(*lifecycle.build_lifecycle_tables()):
            codes.update(table)
        ways = Counter[int]()
        for code, count in codes.items():
            ways[lifecycle.split_code(code)[1]] += count
        failed = {way: n for way, n in ways.items() if way >= lifecycle.RETRIED}
        self.assertAlmostEqual(sum(failed.values()) / ways.total(), 0.033, delta=0.003)
        further = sum(n * (lifecycle.ATTEMPTS[way] - 1) for way, n in failed.items())
        self.assertAlmostEqual(failed[lifecycle.SWITCHED] / further, 0.34, delta=0.02)
        self.assertGreater(failed[lifecycle.RETRIED_TWICE], 0)
        self.assertGreater(failed[lifecycle.UNPAID_TWICE], 0)

    def test_attempts_follow_each_other_within_half_an_hour(self) -> None:
        for code in SOME_CODES:
            method, paying, _ = lifecycle.split_code(code)
            if method == lifecycle.BANK_TRANSFER or paying == lifecycle.SPLIT:
                continue
            for chance in self.CHANCES:
                charges = self.list_charges(code, chance)
                self.assertEqual(charges[0][:2], (60, METHODS[method]))
                for (before, *_), (after, *_) in pairwise(charges):
                    self.assertTrue(60 <= after - before <= 1800)
                is_paid = paying < lifecycle.UNPAID
                self.assertEqual(charges[-1][2] == "succeeded", is_paid)
                self.assertTrue(all(status == "failed" for *_, status in charges[:-1]))

    def test_switched_payment_is_made_by_another_immediate_method(self) -> None:
        for method in range(lifecycle.BANK_TRANSFER):
            code = method | lifecycle.SWITCHED << lifecycle.METHOD_BITS
            others = {self.list_charges(code, chance)[1][1] for chance in self.CHANCES}
            self.assertEqual(
                others, {*METHODS[: lifecycle.BANK_TRANSFER]} - {METHODS[method]}
            )


class Refunds(unittest.TestCase):
    """Goods are refunded in working hours, after their delivery."""

    RETURNED = lifecycle.RETURNED << lifecycle.ENDING_SHIFT
    STARTS = range(0, 7 * 86_400, 997)
    CHANCES = (0, 2**64 - 1, 0x5555555555555555, 0x00FF00FFFFFF0000)

    def test_refunds_are_made_in_working_hours(self) -> None:
        days = Counter[int]()
        for start in self.STARTS:
            for chance in self.CHANCES:
                second = lifecycle.find_ending(self.RETURNED, start, chance)
                day, hour = second // 86_400 % 7, second // 3600 % 24
                days[day] += 1
                self.assertIn(hour, range(9, 11 if day == 5 else 17))
        self.assertEqual(sorted(days), [0, 1, 2, 3, 4, 5])
        self.assertLess(days[5], 0.06 * days.total())

    def test_refunds_follow_the_delivery_within_the_days_of_a_lifecycle(self) -> None:
        latest = (lifecycle.LIFECYCLE_DAYS - 1 - 4) * 86_400
        for start in self.STARTS:
            for chance in self.CHANCES:
                second = lifecycle.find_ending(self.RETURNED, start, chance)
                self.assertGreater(
                    second, start + lifecycle.delivery_delay(chance) + 86_400
                )
                self.assertLess(second, start + latest)

    def test_later_return_is_not_refunded_earlier(self) -> None:
        refunded = [
            lifecycle.move_to_working_hours(second) for second in range(0, 9 * 86_400, 113)
        ]
        self.assertEqual(refunded, sorted(refunded))


class OrderLifecycle(unittest.TestCase):
    """Payments and statuses are consistent for every lifecycle and all random bits."""

    EXTREMES = (0, 2**64 - 1, 0x5555555555555555, 0xFFFF0000FFFF0000)

    def all_codes(self) -> list[int]:
        """Return every lifecycle code of any country."""
        codes = set[int]().union(*chain(*lifecycle.build_lifecycle_tables()))
        return sorted(codes | {lifecycle.keep_goods()[code] for code in codes})

    def list_payments(
        self, code: int, chance: int, first_share: int
    ) -> list[tuple[int, str]]:
        """Return the payments of an order of 10,000 cents at second 0."""
        return lifecycle.list_payments(code, 0, 240, chance, 10_000, first_share)

    def test_lifecycle_has_as_many_payments_as_are_counted_before(self) -> None:
        counts = lifecycle.count_payments()
        self.assertGreater(len(self.all_codes()), 30)
        for code in self.all_codes():
            for first_share in (0, 2_000):
                for chance in self.EXTREMES:
                    payments = self.list_payments(code, chance, first_share)
                    self.assertEqual(len(payments), counts[code], code)

    def test_lifecycle_ends_within_its_number_of_days(self) -> None:
        # For an order of the last second of its day, these are the complete days after it.
        latest = (lifecycle.LIFECYCLE_DAYS - 1) * seasons.DAY_SECONDS
        for code in self.all_codes():
            for chance in self.EXTREMES:
                seconds = [second for second, _ in self.list_payments(code, chance, 2_000)]
                self.assertEqual(seconds, sorted(seconds))
                self.assertGreater(seconds[0], 0)
                self.assertLess(seconds[-1], latest)
                final = lifecycle.final_statuses()[code]
                status = lifecycle.find_status(code, 0, 240, chance, latest, final)
                self.assertEqual(status, final)

    def test_refunds_never_exceed_the_charges(self) -> None:
        for code in self.all_codes():
            for chance in self.EXTREMES:
                for first_share in (0, 2_000):
                    sums: Counter[str] = Counter()
                    for _, text in self.list_payments(code, chance, first_share):
                        _, kind, method, status, amount, _ = text.split(",")
                        self.assertGreater(int(amount), 0)
                        if status == "succeeded":
                            sums[kind] += int(amount)
                            sums[method] += int(amount) * (1 if kind == "charge" else -1)
                    final = lifecycle.final_statuses()[code]
                    paid = (
                        0 if lifecycle.split_code(code)[1] >= lifecycle.UNPAID else 10_000
                    )
                    self.assertEqual(sums["charge"], paid)
                    back = {",delivered,": 0, ",partially_returned,": first_share or paid}
                    self.assertEqual(sums["refund"], back.get(final, paid))
                    methods = sums.keys() - {"charge", "refund"}
                    self.assertTrue(all(sums[method] >= 0 for method in methods))

    def test_status_only_moves_forward(self) -> None:
        rank = {",pending,": 0, ",paid,": 1, ",shipped,": 2, ",delivered,": 3}
        for code in self.all_codes():
            for chance in self.EXTREMES:
                seen = [
                    rank.get(
                        lifecycle.find_status(
                            code,
                            0,
                            240,
                            chance,
                            hour * 3600,
                            lifecycle.final_statuses()[code],
                        ),
                        4,
                    )
                    for hour in range(0, 43 * 24, 5)
                ]
                self.assertEqual(seen, sorted(seen))
                self.assertEqual(seen[0], 0)
