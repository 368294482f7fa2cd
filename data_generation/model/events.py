"""What happens in a shop besides its seasons: noise from day to day.

Everything is drawn from streams that are named by calendar year, so a day has the same
shocks in every window that contains it.
"""

from __future__ import annotations

import operator
from datetime import date
from itertools import islice

from data_generation.model.seasons import PER_MILLE, find_peak
from data_generation.model.streams import Streams, scale_word

# The demand of a day changes by the weighted sum of the draws of this day and the days
# before, each at most NOISE_PER_MILLE.  Their standard deviation is 20 % and neighbours
# correlate by .73; UCI Online Retail and CDNOW have 20 and 26 % beside chance.
NOISE_WEIGHTS = (5, 4, 3, 2, 1)
NOISE_PER_MILLE = 47


class Shocks:
    """What changes the demand of single days; nothing does if *is_calm*."""

    def __init__(self, streams: Streams, *, is_calm: bool = False) -> None:
        self.streams = streams
        self.is_calm = is_calm
        self._noise_by_year: dict[int, list[int]] = {}

    def find_factor(self, day: date) -> int:
        """Return the demand of *day*, per mille of what the season leads to expect."""
        return self.find_noise(day)

    def find_noise(self, day: date) -> int:
        """Return the demand of *day*, per mille of what season and events give it.

        Black Friday and Cyber Monday have none: their demand is a published multiple.
        """
        if self.is_calm or find_peak(day) != 100:
            return PER_MILLE
        if day.year not in self._noise_by_year:
            self._noise_by_year[day.year] = self._list_noise(day.year)
        return self._noise_by_year[day.year][day.timetuple().tm_yday - 1]

    def _list_noise(self, year: int) -> list[int]:
        """Return the noise of each day of *year*, per mille; its mean is PER_MILLE."""
        lags = len(NOISE_WEIGHTS) - 1
        draws = [*self._draw_changes(year - 1)[-lags:], *self._draw_changes(year)]
        lagged = (islice(draws, lags - lag, None) for lag in range(lags + 1))
        changes = [
            sum(map(operator.mul, NOISE_WEIGHTS, drawn))
            for drawn in zip(*lagged, strict=False)
        ]
        middle = PER_MILLE - sum(changes) // len(changes)
        return [middle + change for change in changes]

    def _draw_changes(self, year: int) -> list[int]:
        """Return the draws of the days of *year*, each at most NOISE_PER_MILLE from 0."""
        days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
        return [
            scale_word(word, -NOISE_PER_MILLE, NOISE_PER_MILLE + 1)
            for word in self.streams.draw("orders", "demand_noise", year, days)
        ]
