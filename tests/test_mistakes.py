"""The mistakes that explain a wrong answer are named; nothing else is."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

from queries.grading.averages import AVERAGE_MISTAKES
from queries.grading.explanation import Explanation
from queries.grading.grade_output import render_grade, render_grade_markdown
from queries.grading.grading import (
    Grade,
    Reference,
    Rules,
    grade_file,
    prepare_reference,
)
from queries.grading.mistakes import has_variants, read_mistakes
from queries.options import Options
from tests.shop import create_shop, create_tangled_shop
from tests.support import IN_CI, ShopCase
from tests.test_grading import write_csv
from tests.wrong_answers import (
    Record,
    SmallShop,
    build_shop,
    compute_table,
    list_averages,
    write_shop,
)

# In the shops of these seeds each mistake changes enough cells.
SEEDS = (7, 5, 8) if IN_CI else (7,)

COMMON = (
    "joined_before_aggregating",
    "cancelled_orders_counted",
    "cohorts_by_sign_up",
    "refunds_ignored",
    "discounts_ignored",
    "thirty_day_months",
)


@cache
def make_reference(seed: int) -> tuple[SmallShop, Reference]:
    """Return a small shop and its right answer, computed once."""
    shop = build_shop(seed)
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_shop(shop, folder / "shop.db")
    return shop, prepare_reference(folder / "shop.db", Options(), 1)


class MistakeCase(ShopCase):
    """A test that grades tables of small shops."""

    def compute(self, seed: int, *mistakes: str) -> list[Record]:
        """Return the table of the shop with *seed*, with *mistakes*."""
        return compute_table(make_reference(seed)[0], mistakes)

    def grade(self, records: Sequence[Record], seed: int) -> Grade:
        """Return the grade of the table *records* of the shop with *seed*."""
        path = self.folder / "theirs.csv"
        path.write_text(write_csv(records), encoding="utf-8")
        return grade_file(path, make_reference(seed)[1], Rules())

    def explain(self, records: Sequence[Record], seed: int) -> list[Explanation]:
        """Return what explains the table *records* of the shop with *seed*."""
        return self.grade(records, seed).explanations

    def name_first(self, records: Sequence[Record], seed: int) -> list[set[str]]:
        """Return the names in each choice of the first explanation."""
        found = self.explain(records, seed)
        return [{one.name for one in made} for made in found[0].choices] if found else []


class Mistakes(MistakeCase):
    """Mistakes, computed independently, are named: alone, in pairs, and no others."""

    def test_the_independent_computation_is_right_without_a_mistake(self) -> None:
        for seed in SEEDS:
            grade = self.grade(self.compute(seed), seed)
            self.assertTrue(grade.marks.is_full, grade.marks.reached_points)

    def test_each_mistake_is_named_and_explains_every_wrong_cell(self) -> None:
        for seed in SEEDS:
            for mistake in read_mistakes():
                is_rare = has_variants(mistake) and mistake.name[-2:] != "+9"
                if (is_rare and not IN_CI) or mistake.average is not None:
                    continue
                records = self.compute(seed, mistake.name)
                with self.subTest(seed=seed, mistake=mistake.name):
                    (found,) = self.explain(records, seed)
                    self.assertIn((mistake,), found.choices)
                    self.assertEqual(found.explained, found.wrong)
                    self.assertEqual(found.contradicted, 0)

    def test_only_equal_explanations_are_named_beside_it(self) -> None:
        (found,) = self.explain(self.compute(7, "refunds_ignored"), 7)
        self.assertEqual([one.name for (one,) in found.choices], ["refunds_ignored"])

    def test_pairs_of_the_most_common_mistakes(self) -> None:
        for seed in SEEDS:
            pairs = list(combinations(COMMON, 2))
            for pair in pairs if IN_CI else pairs[1::6]:
                with self.subTest(seed=seed, pair=pair):
                    found = self.name_first(self.compute(seed, *pair), seed)
                    self.assertIn({*pair}, found)

    def test_answer_is_graded_where_a_mistake_makes_an_empty_cohort(self) -> None:
        pair = "discounts_ignored", "thirty_day_months"
        self.assertIn({*pair}, self.name_first(self.compute(5, *pair), 5))

    def test_mistakes_of_different_columns_are_named_for_their_columns(self) -> None:
        right = self.compute(7)
        wrong = self.compute(7, "refunds_ignored")
        records = [
            one | {"net_cents": other["net_cents"]}
            for one, other in zip(right, wrong, strict=True)
        ]
        (found,) = self.explain(records, 7)
        self.assertEqual(found.columns, ["net_cents"])
        self.assertEqual([one.name for (one,) in found.choices], ["refunds_ignored"])

    def test_random_noise_is_not_explained(self) -> None:
        for seed in SEEDS:
            chance = random.Random(seed)  # noqa: S311
            records = self.compute(seed)
            for record in records:
                for name in record:
                    is_figure = name not in ("cohort", "months_since")
                    if is_figure and chance.random() < 0.05:
                        record[name] += chance.choice((1, 7, -3, 1000))
            self.assertEqual(self.explain(records, seed), [])

    def test_noise_beside_a_mistake_lowers_the_share(self) -> None:
        records = self.compute(7, "discounts_ignored")
        for record in records[::20]:
            record["net_cents"] += 1
        (found,) = self.explain(records, 7)
        self.assertEqual([one.name for (one,) in found.choices], ["discounts_ignored"])
        self.assertLess(0.9 * found.wrong, found.explained)
        self.assertLess(found.explained, found.wrong)

    def test_one_wrong_cell_is_too_few(self) -> None:
        records = self.compute(7)
        records[3]["net_cents"] += 100
        self.assertEqual(self.explain(records, 7), [])

    def test_the_mistake_is_printed_with_its_reason_and_remedy(self) -> None:
        grade = self.grade(self.compute(7, "refunds_in_order_month"), 7)
        for text in (render_grade(grade, width=2000), render_grade_markdown(grade)):
            self.assertIn("100.0% of the wrong cells in refund", text)
            self.assertIn("when refunds are booked in the month of their order.", text)
            self.assertIn("Instead: book a refund in the month in which it was paid.", text)

    def test_explanations_that_fit_equally_are_both_printed(self) -> None:
        net = [
            {name: record[name] for name in ("cohort", "months_since", "net_cents")}
            for record in self.compute(7, "cohorts_by_sign_up")
        ]
        text = render_grade(self.grade(net, 7), width=2000)
        self.assertIn("2 explanations fit equally", text)
        self.assertIn("or when cohorts are those of the sign-up month, of the", text)

    def test_table_of_averages_is_graded_and_its_mistake_named(self) -> None:
        for seed in SEEDS:
            records = self.compute(seed)
            right = self.grade(list_averages(records), seed)
            self.assertTrue(right.marks.is_full)
            for name, *_ in AVERAGE_MISTAKES:
                with self.subTest(name, seed=seed):
                    averages = list_averages(records, name)
                    self.assertIn({name}, self.name_first(averages, seed))

    def test_mistake_of_the_query_is_named_in_a_table_of_averages(self) -> None:
        averages = list_averages(self.compute(7, "refunds_ignored"))
        self.assertIn({"refunds_ignored"}, self.name_first(averages, 7))

    def test_value_at_the_usual_ages_alone_is_complete(self) -> None:
        averages = list_averages(self.compute(7))
        usual = [one for one in averages if one["months_since"] in (3, 6, 12, 24)]
        grade = self.grade(usual, 7)
        self.assertTrue(grade.marks.is_full)
        self.assertIn("averages of cohorts by month", render_grade(grade, width=2000))
        # Other ages are missed in a table of all.
        marks = self.grade(averages[:-1], 7).marks
        self.assertEqual([mark.verdict for mark in marks.marks].count("missing"), 1)

    def test_what_nothing_explains_is_stated(self) -> None:
        records = self.compute(7)
        for record in records:
            record["net_cents"] += record["months_since"] + 1
        text = render_grade(self.grade(records, 7), width=2000)
        self.assertIn("No well-known mistake explains net_cents.", text)

    def test_all_options_and_unusual_orders_can_be_graded(self) -> None:
        # Seed 0 has a refund of an order whose goods cost nothing.
        create_tangled_shop(self.folder / "shop.db", seed=0)
        early = ("paid", "cancelled")
        for options in (
            Options("quarter", by="category"),
            Options(by="country", as_of="2024-02-10", valid_statuses=early),
        ):
            reference = prepare_reference(self.folder / "shop.db", options, 1)
            singles = [(one,) for one in read_mistakes() if not has_variants(one)]
            with self.subTest(options):
                self.assertEqual(len(reference.compute(singles)), len(singles))

    def test_sums_beyond_64_bits_explain_nothing(self) -> None:
        price, count = 10**12, 10**6
        total = price * count
        order = (1, 1, "2024-01-10T09:00:00Z", "paid", total, 0, 0, 0, total)
        charge = ("charge", "card", "failed", total, "2024-01-10T09:00:00Z")
        create_shop(
            self.folder / "shop.db",
            orders=[order],
            order_items=[(1, 1, 1, count, price, 0, total)],
            payments=[(key, 1, *charge) for key in range(1, 21)],
        )
        reference = prepare_reference(self.folder / "shop.db", Options(), 1)
        by_name = {one.name: one for one in read_mistakes()}
        names = ("joined_before_aggregating", "failed_charges_counted", "refunds_ignored")
        for answer in reference.compute([(by_name[name],) for name in names]):
            self.assertEqual(answer, reference.right.cells)

    def test_every_mistake_has_its_own_texts(self) -> None:
        mistakes = read_mistakes()
        self.assertGreater(len(mistakes), 30)
        self.assertEqual(len({one.title for one in mistakes}), len(mistakes))
        for one in mistakes:
            with self.subTest(one.name):
                self.assertTrue(one.why.endswith(".") and one.instead.endswith("."))
                self.assertFalse(one.title.endswith("."))
                self.assertTrue(one.bodies or one.reshape or one.average)
