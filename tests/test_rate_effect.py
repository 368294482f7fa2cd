"""Spending that depends on the purchase rate: the test, the effect, the expectations."""

from __future__ import annotations

import math
import random
import unittest
from collections.abc import Sequence
from functools import cache, partial
from statistics import fmean, linear_regression
from typing import Any
from unittest import mock

from queries.forecast import forecast, rate_effect
from queries.forecast.fitting import ModelFit, PurchaseFit
from queries.forecast.forecast_sums import SimilarCustomers, sum_forecasts
from queries.forecast.gamma_gamma import SpendingModel, fit_spending
from queries.forecast.rate_effect import (
    RatedValue,
    RateSpendingModel,
    RateTest,
    fit_rate_effect,
)
from queries.forecast.seasonality import NO_SEASONS, build_clock
from tests.customer_samples import (
    PUBLISHED_PURCHASES,
    make_purchase_model,
    read_cdnow_sample,
)
from tests.derivatives import check_derivatives
from tests.forecast_shop import known_forecast, known_sources

PURCHASES = make_purchase_model(0.8, 9.0, 0.7, 2.5)


@cache
def simulate_values(effect: float) -> tuple[RatedValue, ...]:
    """Return repeat customers whose scale is 15 * e**(*effect* * z)."""
    rng = random.Random(8)  # noqa: S311
    values = []
    for _ in range(3000):
        z = rng.gauss(0.0, 0.8)
        x = 1 + int(rng.expovariate(0.5))
        nu = rng.gammavariate(4.0, 1 / (15 * math.exp(effect * z)))
        values.append((x, fmean(rng.gammavariate(6.0, 1 / nu) for _ in range(x)), z - 2))
    return tuple(values)


def fit(
    values: Sequence[RatedValue],
) -> tuple[SpendingModel, RateSpendingModel | None, RateTest]:
    """Return the model without the effect, that with it, and the test."""
    plain = fit_spending(((x, mean) for x, mean, _ in values), money_unit="dollar")
    rated, test = fit_rate_effect(values, plain)
    assert test is not None
    return plain, rated, test


def make_fit(
    plain: SpendingModel, rated: RateSpendingModel | None, test: RateTest | None
) -> ModelFit:
    """Return a fit with these spending models; its purchase model is any."""
    clock = build_clock(NO_SEASONS, 1, 2)
    return ModelFit(PurchaseFit(PURCHASES, clock, None), plain, rated, test)


class RateEffect(unittest.TestCase):
    """The effect is found where there is one, and only there."""

    def test_strong_effect_is_recovered(self) -> None:
        for effect in (0.4, -0.3):
            _, model, test = fit(simulate_values(effect))
            with self.subTest(effect=effect):
                assert model is not None
                self.assertEqual(model.name, "Gamma-Gamma with a rate effect")
                self.assertLess(test.p_value, 1e-6)
                for found, true, error in zip(
                    model.parameters,
                    (6.0, 4.0, 15.0, math.exp(effect)),
                    model.standard_errors,
                    strict=True,
                ):
                    self.assertAlmostEqual(found, true, delta=3 * error)

    def test_independent_spending_has_no_significant_effect(self) -> None:
        plain, model, test = fit(simulate_values(0.0))
        self.assertGreater(test.p_value, 0.05)
        self.assertIs(test.is_significant, False)
        assert model is not None
        self.assertAlmostEqual(model.parameters[3], 1, delta=0.05)
        fitted = make_fit(plain, model, test)
        self.assertIs(fitted.use_rate_effect(), fitted)

    def test_significant_effect_is_used(self) -> None:
        plain, model, test = fit(simulate_values(0.4))
        self.assertIs(test.is_significant, True)
        fitted = make_fit(plain, model, test)
        self.assertIs(fitted.use_rate_effect().spending, model)

    def test_effect_is_a_choice_of_the_holdout_before_it_is_significant(self) -> None:
        # The first part has half of the customers, who do not show the effect alone.
        values = simulate_values(0.1)[:200]
        self.assertIs(fit(values)[-1].is_significant, True)
        plain, model, test = fit(values[:100])
        self.assertIs(test.is_significant, False)
        choices = make_fit(plain, model, test).list_choices()
        self.assertEqual([choice.spending for choice in choices], [plain, model])
        self.assertEqual(make_fit(plain, None, None).list_choices()[1:], [])

    def test_likelihood_is_that_of_gamma_gamma_without_an_effect(self) -> None:
        values = simulate_values(0.4)
        plain, *_ = fit(values)
        flat = [(x, mean, 0.0) for x, mean, _ in values]
        rows: dict[int, list[rate_effect._Row]] = {}
        for x, mean, z in flat:
            rows.setdefault(x, []).append((x * mean, z, 1))
        tally = rate_effect._tally_rows(rows)
        found = rate_effect._evaluate(tally, (*plain.parameters, 1.0)).value
        found -= sum(math.log(mean) for _, mean, _ in values)
        self.assertAlmostEqual(found, plain.log_likelihood, delta=1e-6)

    def test_derivatives_of_the_likelihood_equal_its_differences(self) -> None:
        rows: dict[int, list[rate_effect._Row]] = {}
        for x, mean, z in simulate_values(0.4)[:200]:
            rows.setdefault(x, []).append((x * mean / 15, z + 2, 1))
        evaluate = partial(rate_effect._evaluate, rate_effect._tally_rows(rows))
        check_derivatives(self, evaluate, (5.0, 3.5, 1.1, 1.3))

    def test_expected_value_of_new_customers_follows_their_rate(self) -> None:
        _, model, _ = fit(simulate_values(0.4))
        assert model is not None
        rates = [at / 4 - 3 for at in range(8)]
        values = [math.log(model.expected_value(0, 0.0, rate)) for rate in rates]
        slope, _ = linear_regression(rates, values)
        self.assertAlmostEqual(slope, 0.4, delta=0.06)

    def test_spending_of_published_customers_depends_on_their_rate(self) -> None:
        customers, _ = read_cdnow_sample()
        rated = [
            (
                each.frequency,
                each.mean_value,
                PUBLISHED_PURCHASES.log_rate(each.frequency, each.age_days),
            )
            for each in customers
            if each.frequency and each.mean_value > 0
        ]
        _, model, test = fit(rated)
        assert model is not None
        self.assertLess(test.p_value, 0.001)
        # Frequency and value are correlated with .11 (Fader, Hardie, Lee 2005).
        self.assertGreater(model.parameters[3], 1)


class EffectInForecast(unittest.TestCase):
    """The forecast has the effect where both the holdout and the test support it."""

    def name_model(self, *, is_supported: bool, significance: float) -> Any:
        """Return the name of the spending model in the forecast of the known shop."""
        holdout = known_forecast().document["holdout"] | {"has_rate_effect": is_supported}
        with (
            mock.patch.object(forecast, "build_holdout", return_value=holdout),
            mock.patch.object(rate_effect, "SIGNIFICANCE", significance),
        ):
            return known_sources().forecast().document["spending_model"]["name"]

    def test_effect_needs_the_holdout_and_the_test(self) -> None:
        for is_supported, significance, name in (
            (True, 1.0, RateSpendingModel.name),
            (True, 0.0, SpendingModel.name),
            (False, 1.0, SpendingModel.name),
        ):
            with self.subTest(is_supported=is_supported, significance=significance):
                found = self.name_model(
                    is_supported=is_supported, significance=significance
                )
                self.assertEqual(found, name)


class RatedSums(unittest.TestCase):
    """Sums over customers use the scale of each, and its derivatives."""

    CUSTOMERS = (
        SimilarCustomers(0, 300, [0], [50], [0.0], [0.0]),
        SimilarCustomers(3, 200, [100, 150], [2, 1], [190.0, 70.0], [18050.0, 4900.0]),
    )

    def make_model(self, *parameters: float) -> RateSpendingModel:
        """Return a model with these parameters, without their covariance."""
        return RateSpendingModel(
            parameters,
            log_likelihood=0.0,
            customer_count=100,
            covariance=((0.0,) * 4,) * 4,
            money_unit="dollar",
            frequency_correlation=0.1,
            square_ratio=math.inf,
            mean_log_rate=-2.0,
        )

    def test_value_is_that_of_each_customer(self) -> None:
        model = self.make_model(6.0, 4.0, 15.0, 1.5)
        (sums,) = sum_forecasts(PURCHASES, model, self.CUSTOMERS, [180])
        (new,) = sum_forecasts(PURCHASES, model, self.CUSTOMERS[:1], [180])
        rate = PURCHASES.log_rate(0, 300)
        self.assertAlmostEqual(
            new.value, new.purchases * model.expected_value(0, 0.0, rate), places=9
        )
        self.assertGreater(sums.value, new.value)

    def test_slopes_by_the_parameters_equal_differences(self) -> None:
        point = (6.0, 4.0, 15.0, 1.5)
        (sums,) = sum_forecasts(PURCHASES, self.make_model(*point), self.CUSTOMERS, [180])
        self.assertEqual(len(sums.spending_slopes), 4)
        for at, slope in enumerate(sums.spending_slopes):
            above, below = (
                sum_forecasts(
                    PURCHASES,
                    self.make_model(
                        *point[:at], point[at] * math.exp(step), *point[at + 1 :]
                    ),
                    self.CUSTOMERS,
                    [180],
                )[0].value
                for step in (1e-4, -1e-4)
            )
            with self.subTest(parameter=at):
                self.assertAlmostEqual((above - below) / 2e-4, slope, delta=1e-3)
