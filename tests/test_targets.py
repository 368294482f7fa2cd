"""The benchmarks mark runs without free cores, and state whether a target is met."""

from __future__ import annotations

import unittest
from unittest import mock

from benchmarks.measuring import Usage
from benchmarks.targets import (
    Job,
    compare_jobs,
    render_projection,
    render_targets,
    render_usages,
)

ONE, TWO = Job("report", 5_000, 1), Job("report", 5_000, 2)

# Two workers take 6 seconds of wall time in the first round, 10 in the second, in which
# other programs have one of the two cores.
USAGES = {
    ONE: [Usage(10.0, 9.0, 2**20), Usage(10.0, 9.0, 2**20, others_seconds=10.0)],
    TWO: [Usage(6.0, 10.8, 2**20), Usage(10.0, 9.9, 2**20, others_seconds=10.0)],
}


class Cores(unittest.TestCase):
    """Runs on a machine with two cores."""

    def setUp(self) -> None:
        patch = mock.patch("benchmarks.targets.count_processors", return_value=2)
        patch.start()
        self.addCleanup(patch.stop)

    def test_run_that_could_use_a_core_that_another_program_had_is_marked(self) -> None:
        self.assertEqual([TWO.is_disturbed(run) for run in USAGES[TWO]], [False, True])
        self.assertEqual([ONE.is_disturbed(run) for run in USAGES[ONE]], [False, False])
        default = TWO._replace(workers=0)
        self.assertTrue(default.is_disturbed(USAGES[TWO][1]))

    def test_target_is_judged_by_the_median_of_all_rounds(self) -> None:
        for bound, word in ((1.3, "met"), (1.4, "NOT MET")):
            target = compare_jobs("1 ÷ 2", USAGES, ONE, TWO, bound, is_least=True)
            self.assertIn(
                f"| 1 ÷ 2 | ≥ {bound} | 1.33 | 1.67 1.00* | {word} |",
                render_targets([target]),
            )

    def test_table_has_cores_memory_and_ratios_within_a_round(self) -> None:
        row = render_usages(USAGES).splitlines()[-1]
        self.assertEqual(
            row,
            "| report | 5,000 | 2 | 8.00 | 10.35 | 1.40 | 0.50 | 1"
            " | 1.33 (1.00 to 1.67) | 1.15 (1.10 to 1.20) | 1 of 2 |",
        )

    def test_projection_follows_amdahl(self) -> None:
        # 8 of 10 seconds: 60 % are serial, and 16 cores divide the other 4 seconds.
        row = render_projection(USAGES).splitlines()[-1]
        self.assertEqual(
            row,
            "| report | 5,000 | 60% | 10.00 | 8.00 | 7.00 | 6.50 | 6.25 | 1 of 2 |",
        )
