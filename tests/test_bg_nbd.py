"""BG/NBD: published figures, the recovery of known parameters, expectations, refusals."""

from __future__ import annotations

import math
import random
import unittest
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean, stdev
from unittest import mock

from queries.forecast import bg_nbd, bg_nbd_expectations, newton
from queries.forecast.bg_nbd import fit_purchases
from queries.forecast.bg_nbd_expectations import (
    PurchaseSummary,
    expect_purchases,
    expect_purchases_by_age,
    list_alive,
    tabulate_pairs,
    tabulate_purchases,
)
from queries.forecast.clv import forecast_group
from queries.forecast.gamma_gamma import fit_spending
from queries.forecast.newton import Vector
from tests.customer_samples import (
    PUBLISHED_PURCHASES,
    Customer,
    SimulatedShop,
    count_summaries,
    group_customers,
    list_values,
    make_purchase_model,
    make_spending_model,
    read_cdnow_sample,
    read_cdnow_summary,
    simulate_year,
)
from tests.derivatives import check_derivatives
from utils.helpers import DataError

NEW_CUSTOMER = (0, 0, 0)
PUBLISHED = PUBLISHED_PURCHASES.parameters


def sum_2f1(a: float, b: float, c: float, z: float) -> float:
    """Return Gauss's 2F1 by its power series."""
    term = total = 1.0
    n = 0
    while abs(term) > 1e-17 * abs(total) or n < 50:
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
        n += 1
    return total


def expect_by_2f1(
    parameters: Vector, x: int, recency: float, age: float, t: float
) -> float:
    """Return the conditional expectation in the closed form of FHL 2005; times in weeks."""
    r, alpha, a, b = parameters
    series = sum_2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
    kept = math.pow((alpha + age) / (alpha + age + t), r + x)
    dropped = a / (b + x - 1) * math.pow((alpha + age) / (alpha + recency), r + x)
    fraction = (a + b + x - 1) / (a - 1) * (1 - kept * series)
    return fraction / (1 + (dropped if x else 0.0))


class PublishedFigures(unittest.TestCase):
    """The published fit and expectations of CDNOW are reproduced."""

    def test_fit_gives_the_published_parameters(self) -> None:
        model = fit_purchases(read_cdnow_summary())
        self.assertEqual(model.customer_count, 2357)
        self.assertEqual(model.time_unit, "week")
        for found, published in zip(
            model.parameters, (0.2426, 4.4136, 0.7929, 2.4259), strict=True
        ):
            self.assertAlmostEqual(found, published, delta=0.0005)
        self.assertAlmostEqual(model.log_likelihood, -9582.43, delta=0.02)

    def test_sample_file_has_the_customers_of_the_summary_file(self) -> None:
        self.assertEqual(count_summaries(read_cdnow_sample()[0]), read_cdnow_summary())

    def test_expectation_of_a_new_customer_is_the_published_one(self) -> None:
        for days, published in (
            (1, 0.0078),
            (7, 0.0532),
            (21, 0.1506),
            (223, 1.0405),
            (224, 1.0437),
        ):
            with self.subTest(days=days):
                found = expect_purchases(PUBLISHED, [NEW_CUSTOMER], days)[0]
                self.assertAlmostEqual(found, published, delta=0.0001)
        found = expect_purchases(PUBLISHED, [NEW_CUSTOMER], 78 * 7)[0]
        self.assertAlmostEqual(found, 1.858, delta=0.001)

    def test_expectation_of_a_known_customer_is_the_published_one(self) -> None:
        # Hardie's sheet rounds to weeks with two decimals; they are 213 and 272 days.
        by_sheet = expect_by_2f1(PUBLISHED, 2, 30.43, 38.86, 39.0)
        self.assertAlmostEqual(by_sheet, 1.2259, delta=0.00005)
        found = expect_purchases(PUBLISHED, [(2, 213, 272)], 273)[0]
        self.assertAlmostEqual(found, by_sheet, delta=0.0001)


class FittedModel(unittest.TestCase):
    """The fit recovers known parameters and does not depend on the form of its input."""

    def test_fit_recovers_the_parameters_of_simulated_customers(self) -> None:
        for seed, known in enumerate(
            ((0.3, 5.0, 0.8, 2.4), (1.2, 30.0, 0.4, 1.2), (0.8, 12.0, 1.5, 3.0)), 1
        ):
            with self.subTest(known):
                made = SimulatedShop(seed, 3000, age_days=546, purchases=known)
                model = fit_purchases(count_summaries(made.customers))
                errors = model.standard_errors
                for value, truth, error in zip(
                    model.parameters, known, errors, strict=True
                ):
                    self.assertLess(abs(value - truth), 3.5 * error, model)
                self.assertLess(errors[0], 0.1 * model.parameters[0])

    def test_derivatives_of_the_likelihood_equal_its_differences(self) -> None:
        customers = SimulatedShop(5, 300, age_days=364).customers
        tally = bg_nbd._tally_summaries(count_summaries(customers))
        check_derivatives(
            self, lambda at: bg_nbd._evaluate(tally, at), (0.5, 6.0, 1.3, 2.1)
        )

    def test_each_customer_twice_halves_the_variance(self) -> None:
        summaries = count_summaries(simulate_year())
        once = fit_purchases(summaries)
        twice = fit_purchases({key: 2 * count for key, count in summaries.items()})
        self.assertAlmostEqual(twice.log_likelihood, 2 * once.log_likelihood, delta=1e-6)
        for i in range(4):
            self.assertAlmostEqual(
                twice.parameters[i], once.parameters[i], delta=1e-4 * once.parameters[i]
            )
            ratio = once.covariance[i][i] / twice.covariance[i][i]
            self.assertAlmostEqual(ratio, 2, delta=0.001)

    def test_fit_does_not_depend_on_the_order_of_the_rows(self) -> None:
        summaries = list(count_summaries(simulate_year()).items())
        self.assertEqual(
            fit_purchases(dict(summaries)), fit_purchases(dict(reversed(summaries)))
        )

    def test_fit_near_another_one_is_the_fit_from_the_start(self) -> None:
        summaries = count_summaries(simulate_year())
        alone = fit_purchases(summaries)
        near = fit_purchases(summaries, make_purchase_model(0.5, 8.0, 0.9, 3.0))
        for found, expected in zip(near.parameters, alone.parameters, strict=True):
            self.assertAlmostEqual(found / expected, 1, delta=1e-7)
        # A limit of BG/NBD has other parameters.
        limit = bg_nbd.NoDropoutModel((0.5, 8.0), 0.0, 0, ())
        self.assertEqual(fit_purchases(summaries, limit), alone)

    def test_fit_of_many_purchases_does_not_overflow(self) -> None:
        summaries = count_summaries(simulate_year())
        summaries[900, 3, 1500] += 1
        summaries[1400, 1490, 1500] += 1
        model = fit_purchases(summaries)
        self.assertTrue(math.isfinite(model.log_likelihood))
        self.assertEqual(list_alive(model.parameters, [(900, 3, 1500)]), [0.0])


class Expectations(unittest.TestCase):
    """Expectations of one customer agree with the closed form and with simulation."""

    def test_expected_purchases_equal_the_published_closed_form(self) -> None:
        for parameters in (
            (0.2426, 4.4136, 0.7929, 2.4259),
            (1.0, 1.0, 0.6, 0.6),
            (2.0, 50.0, 5.0, 40.0),
            (0.9, 30.0, 1.5, 0.2),
            (5.0, 3.0, 100.0, 900.0),
        ):
            for customer in (
                (0, 0, 0),
                (0, 0, 600),
                (1, 5, 30),
                (4, 200, 272),
                (30, 9, 10),
            ):
                for days in (1, 91, 365):
                    with self.subTest(parameters, customer=customer, days=days):
                        found = expect_purchases(parameters, [customer], days)[0]
                        x, recency, age = customer
                        expected = expect_by_2f1(
                            parameters, x, recency / 7, age / 7, days / 7
                        )
                        self.assertAlmostEqual(found / expected, 1, delta=1e-7)

    def test_expected_purchases_have_no_step_where_a_is_one(self) -> None:
        # The closed form is 0 / 0 there, and finite on either side.
        sides = [
            expect_by_2f1((0.5, 6.0, a, 2.0), 3, 9.0, 13.0, 52.0) for a in (0.999, 1.001)
        ]
        found = expect_purchases((0.5, 6.0, 1.0, 2.0), [(3, 63, 91)], 364)[0]
        self.assertAlmostEqual(found, fmean(sides), delta=1e-5)

    def test_customer_without_repeat_purchase_is_alive(self) -> None:
        self.assertEqual(list_alive(PUBLISHED, [(0, 0, 272)]), [1.0])

    def test_expectations_by_age_equal_those_of_each_age_alone(self) -> None:
        found = expect_purchases_by_age(PUBLISHED, 600)
        self.assertEqual(found[0], 0.0)
        for day in range(1, 601):
            expected = expect_purchases(PUBLISHED, [NEW_CUSTOMER], day)[0]
            self.assertAlmostEqual(found[day] / expected, 1, delta=1e-11)

    def test_expectations_of_many_ages_equal_those_of_each_age_alone(self) -> None:
        for parameters in (PUBLISHED, (0.9, 0.5, 1.5, 0.2), (0.8, 25.0, 0.1), (0.8, 25.0)):
            for x, tabulate, most in (
                (0, tabulate_purchases, 1e-12),
                (20, tabulate_purchases, 1e-11),
                (0, tabulate_pairs, 1e-8),
                (20, tabulate_pairs, 1e-8),
            ):
                kinds = [(x, age) for age in range(x, 1000, 9)]
                (found,) = tabulate(parameters, kinds, [364])
                errors = []
                for kind in kinds:
                    (alone,) = tabulate(parameters, [kind], [364])
                    errors.append(abs(found[kind] / alone[kind] - 1))
                with self.subTest(parameters, x=x, tabulate=tabulate.__name__):
                    self.assertLess(max(errors), most)

    def test_probability_alive_falls_with_the_time_since_the_last_purchase(self) -> None:
        alive = list_alive(PUBLISHED, [(4, at, 272) for at in range(1, 273)])
        self.assertEqual(alive, sorted(alive))
        # A3 / (A3 + A4) by hand for x = 1, t_x = T: b / (a + b).
        (found,) = list_alive(PUBLISHED, [(1, 70, 70)])
        self.assertAlmostEqual(found, 2.4259 / (0.7929 + 2.4259), delta=1e-12)

    def test_pairs_and_value_agree_with_a_simulation_of_the_process(self) -> None:
        rng = random.Random(11)  # noqa: S311
        purchases = make_purchase_model(0.5, 6.0, 0.8, 2.4)
        spending = make_spending_model(6.0, 8.0, 200.0)
        customer = Customer(3, 150, 182, 30.0)
        x, weeks, days = 3, 26.0, 364
        (alive,) = list_alive(purchases.parameters, [(x, 150, 182)])
        counts, values = [], []
        for _ in range(20_000):
            count = 0
            if rng.random() < alive:
                rate = rng.gammavariate(0.5 + x, 1 / (6.0 + weeks))
                dropout = rng.betavariate(0.8, 2.4 + x)
                left = days / 7 - rng.expovariate(rate)
                while left > 0:
                    count += 1
                    left = -1 if rng.random() < dropout else left - rng.expovariate(rate)
            nu = rng.gammavariate(8.0 + 6.0 * x, 1 / (200.0 + x * 30.0))
            counts.append(count)
            values.append(rng.gammavariate(6.0 * count, 1 / nu) if count else 0.0)
        pairs = [n * (n - 1) for n in counts]
        (pairs_alive,) = tabulate_pairs(purchases.parameters, [(x, 182)], [days])
        expected = alive * pairs_alive[x, 182]
        error = stdev(pairs) / math.sqrt(len(pairs))
        self.assertLess(abs(fmean(pairs) - expected), 3.5 * error)
        forecast = forecast_group(
            purchases, spending, group_customers([customer]), days=days
        )
        for found, drawn in (
            (forecast.purchases, counts),
            (forecast.value, values),
        ):
            error = stdev(drawn) / math.sqrt(len(drawn))
            self.assertLess(abs(fmean(drawn) - found.total), 3.5 * error)
            self.assertAlmostEqual(stdev(drawn) / found.chance_sd, 1, delta=0.03)

    def test_series_and_formula_of_pairs_agree_where_they_meet(self) -> None:
        # The series is used where k p s is below 1e-3; there the two agree to eight digits.
        k, s = 3.0, 0.1
        p = 1e-3 / (k * s)
        below, above = (
            bg_nbd_expectations._pairs_given_alive(
                bg_nbd_expectations._Quadrature(0.0, [(at, 1.0)]), k, s
            )
            for at in (p * (1 - 1e-10), p * (1 + 1e-10))
        )
        self.assertAlmostEqual(below / above, 1, delta=1e-8)


class Limits(unittest.TestCase):
    """Where BG/NBD has no finite estimate, its limit with fewer parameters is fitted."""

    # r, alpha in weeks, dropout probability of all customers
    RATES = (1.1, 7.0)

    def simulate(self, dropout: float) -> SimulatedShop:
        """Return customers who all drop out with the probability *dropout*."""
        similar = (1e6 * dropout, 1e6 * (1 - dropout)) if dropout else (1e-9, 1.0)
        return SimulatedShop(
            3, 2000, age_days=364, purchases=(*self.RATES, *similar), later_days=180
        )

    def test_customers_who_never_drop_out_follow_the_nbd(self) -> None:
        shop = self.simulate(0)
        model = fit_purchases(count_summaries(shop.customers))
        self.assertEqual(model.name, "NBD")
        self.assertEqual(len(model.covariance), 2)
        for found, true, error in zip(
            model.parameters, self.RATES, model.standard_errors, strict=True
        ):
            self.assertAlmostEqual(found, true, delta=3 * error)

    def test_customers_with_one_dropout_probability_follow_its_model(self) -> None:
        shop = self.simulate(0.2)
        model = fit_purchases(count_summaries(shop.customers))
        self.assertEqual(model.name, "BG/NBD with a common dropout")
        truth = (*self.RATES, 0.25)
        for found, true, error in zip(
            model.parameters, truth, model.standard_errors, strict=True
        ):
            self.assertAlmostEqual(found, true, delta=3 * error)

    def simulate_one_rate(self, dropout: float) -> SimulatedShop:
        """Return customers who all buy once in 7 weeks, until they drop out."""
        similar = (1e6 * dropout, 1e6 * (1 - dropout)) if dropout else (1e-9, 1.0)
        return SimulatedShop(
            4, 600, age_days=364, purchases=(1e6, 7e6, *similar), later_days=180
        )

    def test_customers_who_buy_at_one_rate_follow_a_poisson_process(self) -> None:
        # "r has no finite estimate": the more customers, the surer was the refusal.
        for dropout, name, truth in (
            (0.0, "Poisson", (7.0,)),
            (0.2, "Poisson with a common dropout", (7.0, 0.25)),
        ):
            shop = self.simulate_one_rate(dropout)
            model = fit_purchases(count_summaries(shop.customers))
            self.assertEqual(model.name, name)
            r, alpha, *odds = model.parameters
            _, alpha_error, *odds_errors = model.standard_errors
            self.assertEqual(r, newton.COMMON_SHAPE)
            for found, true, error in zip(
                (alpha / r, *odds), truth, (alpha_error / r, *odds_errors), strict=True
            ):
                self.assertAlmostEqual(found, true, delta=3 * error)

    def test_error_of_one_rate_is_that_of_many_nearly_equal_rates(self) -> None:
        # The same likelihood with a large r, by the derivatives of another model.
        shop = self.simulate_one_rate(0.2)
        tally = bg_nbd._tally_summaries(count_summaries(shop.customers))
        model = fit_purchases(count_summaries(shop.customers))
        _, alpha, odds = model.parameters
        near = (1e4, alpha / 1e2, odds)
        hessian = bg_nbd._evaluate_common_dropout(tally, near).hessian
        steps = near[1:]
        (aa,), (ab, bb) = (
            [-second * x * y for second, y in zip(row[1:], steps, strict=False)]
            for row, x in zip(hessian[1:], steps, strict=True)
        )
        determinant = aa * bb - ab * ab
        for found, expected in (
            (model.covariance[1][1], bb / determinant),
            (model.covariance[1][2], -ab / determinant),
            (model.covariance[2][1], -ab / determinant),
            (model.covariance[2][2], aa / determinant),
        ):
            self.assertAlmostEqual(found / expected, 1, delta=0.01)

    def test_expectations_at_one_rate_are_those_of_a_poisson_process(self) -> None:
        summaries = [(0, 0, 100), (1, 30, 200), (9, 300, 350)]
        kinds = [(x, age) for x, _, age in summaries]
        rate, days = 1 / 49, 200
        found = tabulate_purchases((1e6, 7e6), kinds * 20, [91, days])[1]
        pairs = tabulate_pairs((1e6, 7e6), kinds * 20, [91, days])[1]
        for kind in kinds:
            self.assertAlmostEqual(found[kind] / (rate * days), 1, delta=1e-4)
            self.assertAlmostEqual(pairs[kind] / (rate * days) ** 2, 1, delta=2e-4)
        of_dropout = expect_purchases((1e6, 7e6, 0.25), summaries, days)
        for (x, recency, age), expected in zip(summaries, of_dropout, strict=True):
            alive = 1 / (1 + 0.25 * math.exp(rate * (age - recency))) if x else 1
            future = (1 - math.exp(-rate * days * 0.2)) / 0.2
            self.assertAlmostEqual(expected / (alive * future), 1, delta=1e-4)

    def test_identical_customers_follow_a_poisson_process(self) -> None:
        # 5 purchases in 180 days.
        model = fit_purchases({(5, 150, 180): 400})
        self.assertEqual(model.name, "Poisson")
        r, alpha = model.parameters
        self.assertAlmostEqual(r / alpha, 5 / 180 * 7)

    def test_limits_have_the_likelihood_of_bg_nbd_near_them(self) -> None:
        for dropout, parameters in (
            (0.0, (1.1, 7.0)),
            (0.2, (1.1, 7.0, 0.25)),
        ):
            customers = self.simulate(dropout).customers[:300]
            for customer in customers:
                summary = customer.summary
                with self.subTest(summary, dropout=dropout):
                    self.assertAlmostEqual(
                        self.log_likelihood(parameters, summary),
                        self.log_likelihood(self.approach(parameters), summary),
                        places=4,
                    )

    def log_likelihood(self, parameters: Vector, summary: PurchaseSummary) -> float:
        """Return what `fit_purchases` maximises, of one customer."""
        evaluate = {
            2: bg_nbd._evaluate_no_dropout,
            3: bg_nbd._evaluate_common_dropout,
            4: bg_nbd._evaluate,
        }[len(parameters)]
        return evaluate(bg_nbd._tally_summaries({summary: 1}), parameters).value

    def approach(self, parameters: Vector) -> Vector:
        """Return parameters of BG/NBD near the limit *parameters*."""
        r, alpha, *odds = parameters
        return (r, alpha, odds[0] * 1e7, 1e7) if odds else (r, alpha, 1e-8, 1.0)

    def test_expectations_are_those_of_bg_nbd_near_the_limit(self) -> None:
        for limit, near in (
            ((1.1, 7.0), (1.1, 7.0, 1e-4, 50.0)),
            ((1.1, 7.0, 0.25), (1.1, 7.0, 0.25e6, 1e6)),
        ):
            for summary in ((0, 0, 100), (1, 30, 200), (9, 300, 350)):
                with self.subTest(limit=limit, summary=summary):
                    found, expected = (
                        expect_purchases(parameters, [summary], 200)[0]
                        for parameters in (limit, near)
                    )
                    self.assertAlmostEqual(found / expected, 1, delta=1e-4)

    def test_derivatives_of_the_likelihood_equal_its_differences(self) -> None:
        tally = bg_nbd._tally_summaries(count_summaries(simulate_year()))
        check_derivatives(self, partial(bg_nbd._evaluate_no_dropout, tally), (0.7, 9.1))
        check_derivatives(
            self, partial(bg_nbd._evaluate_common_dropout, tally), (0.7, 9.1, 0.2)
        )
        check_derivatives(self, partial(bg_nbd._evaluate_common_rate, tally), (0.9, 0.2))

    def test_forecast_of_shops_at_the_edge_contains_what_follows(self) -> None:
        for shop in (
            *map(self.simulate, (0.0, 0.2)),
            *map(self.simulate_one_rate, (0.0, 0.2)),
        ):
            forecast = forecast_group(
                fit_purchases(count_summaries(shop.customers)),
                fit_spending(list_values(shop.customers), money_unit="dollars"),
                group_customers(shop.customers),
                days=180,
            )
            low, high = forecast.purchases.interval(0.95)
            self.assertTrue(low <= shop.later_count <= high, (low, high))


class Refusals(unittest.TestCase):
    """Data that do not support the model are refused, with the next step."""

    def refuse(self, summaries: Mapping[PurchaseSummary, int], *words: str) -> None:
        """Expect the fit of *summaries* to be refused in *words*."""
        with self.assertRaises(DataError) as caught:
            fit_purchases(summaries)
        for word in (*words, "Load"):
            self.assertIn(word, str(caught.exception))

    def test_no_customers_are_refused(self) -> None:
        self.refuse({}, "no customers")

    def test_no_repeat_customers_are_refused(self) -> None:
        self.refuse({(0, 0, 200): 500}, "0 repeat customers", "at least 30")

    def test_29_repeat_customers_are_refused(self) -> None:
        self.refuse({(0, 0, 200): 500, (1, 9, 200): 29}, "29 repeat customers")

    def test_three_weeks_are_refused(self) -> None:
        self.refuse({(0, 0, 21): 500, (1, 9, 21): 50}, "21 days", "12 weeks")

    def test_search_towards_no_rate_at_all_is_not_taken_for_one_rate(self) -> None:
        # A search to r = 0 ends above one rate, as here each search does.
        error = newton.NoFiniteEstimateError("r has no finite estimate. Load more.")
        unequal = {(0, 0, 200): 5000, (60, 190, 200): 40}
        with mock.patch.object(bg_nbd, "_fit_model", side_effect=error):
            self.refuse(unequal, "r has no finite estimate")

    def test_fit_without_convergence_is_refused(self) -> None:
        with mock.patch.object(newton, "MAX_STEPS", 2):
            self.refuse(count_summaries(simulate_year()), "did not converge", "r ")

    def test_impossible_summaries_raise_value_error(self) -> None:
        impossible: Sequence[tuple[PurchaseSummary, int]] = (
            ((1, 0, 90), 1),
            ((0, 5, 90), 1),
            ((1, 91, 90), 1),
            ((1, 5, 90), 0),
        )
        for summary, count in impossible:
            with (
                self.subTest(summary),
                self.assertRaisesRegex(ValueError, "impossible summary"),
            ):
                fit_purchases({(1, 8, 90): 40, summary: count})
