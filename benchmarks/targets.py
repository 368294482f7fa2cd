"""Compare measured runs with targets, and project them to more cores."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from benchmarks.measuring import MIB, Usage
from utils.processes import count_processors

# A run is marked if other programs had more than this of a core that it could use.
MOST_TAKEN_CORES = 0.1

PROJECTED_CORES = (2, 4, 8, 16)


class Job(NamedTuple):
    """What is measured: *step* for a shop of *users* (0: it has none).

    *workers* is the number of processes (0: the default of the program).  *program* is the
    peer or the commit that runs the step; the project as it is has none.
    """

    step: str
    users: int
    workers: int = 0
    program: str = ""

    def __str__(self) -> str:
        """Return the job in words, for the progress."""
        by = f" by {self.program}" if self.program else ""
        return f"{self.subject}{by}, workers: {self.workers or 'default'}"

    @property
    def subject(self) -> str:
        """The step, and the size of its shop if it has one."""
        return f"{self.step}, {self.users:,} users" if self.users else self.step

    @property
    def usable_cores(self) -> int:
        """How many cores the job can use on this machine."""
        return min(self.workers or count_processors(), count_processors())

    def is_disturbed(self, usage: Usage) -> bool:
        """Whether other programs took a part of the cores that the run could use."""
        free = count_processors() - usage.others_cores
        return free < self.usable_cores - MOST_TAKEN_CORES


Usages: TypeAlias = Mapping[Job, Sequence[Usage]]
Figure: TypeAlias = Callable[[Usage], float]

WALL: Figure = attrgetter("wall_seconds")
CPU: Figure = attrgetter("cpu_seconds")


class Target(NamedTuple):
    """A value by round whose median is to be at most *bound*, or at least.

    *marks* states which rounds had too few cores.
    """

    name: str
    values: tuple[float, ...]
    marks: tuple[bool, ...]
    bound: float
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the median of all rounds, marked ones included, meets the bound.

        >>> Target("a ÷ b", (0.9, 1.0, 1.3), (False, False, True), 1.0).is_met
        True
        """
        value = statistics.median(self.values)
        return value >= self.bound if self.is_least else value <= self.bound


def compare_jobs(
    name: str,
    usages: Usages,
    job: Job,
    other: Job,
    bound: float,
    *,
    figure: Figure = WALL,
    factor: float = 1.0,
    is_least: bool = False,
) -> Target:
    """Return the target for *figure* of *job* ÷ that of *other*, times *factor*."""
    pairs = list(zip(usages[job], usages[other], strict=True))
    return Target(
        name,
        tuple(factor * figure(ours) / figure(theirs) for ours, theirs in pairs),
        tuple(
            job.is_disturbed(ours) or other.is_disturbed(theirs) for ours, theirs in pairs
        ),
        bound,
        is_least,
    )


def limit_peak(name: str, usages: Usages, job: Job, most_mib: float) -> Target:
    """Return the target for the memory of the largest process of *job*, in MiB."""
    peaks = tuple(usage.peak_bytes / MIB for usage in usages[job])
    return Target(name, peaks, (False,) * len(peaks), most_mib)


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Return what processes that ran one after the other took together.

    >>> add_usages([Usage(2.0, 3.0, 10, 0.5), Usage(1.0, 1.0, 20, 0.0)])
    Usage(wall_seconds=3.0, cpu_seconds=4.0, peak_bytes=20, others_seconds=0.5)
    """
    walls, cpus, peaks, others = zip(*usages, strict=True)
    return Usage(sum(walls), sum(cpus), max(peaks), sum(others))


def add_jobs(usages: Usages, jobs: Sequence[Job]) -> list[Usage]:
    """Return by round what *jobs* took together."""
    return [add_usages(runs) for runs in zip(*map(usages.get, jobs), strict=True)]


# Amdahl's law


def find_serial_share(one_wall: float, wall: float, workers: int) -> float:
    """Return which share of the time *one_wall* of one worker several cannot divide.

    *wall* is the time of *workers*.  Amdahl's law: wall = one_wall × (share + (1 - share) ÷
    workers).  A share outside of 0 to 1 is noise.

    >>> find_serial_share(10.0, 6.0, 2)
    0.2
    """
    share = (workers * wall / one_wall - 1) / (workers - 1)
    return round(min(1.0, max(0.0, share)), 6)


def project_wall(one_wall: float, serial_share: float, cores: int) -> float:
    """Return the time with as many workers as *cores*, by Amdahl's law.

    >>> project_wall(10.0, 0.25, 8)
    3.4375
    """
    return one_wall * (serial_share + (1 - serial_share) / cores)


# Markdown


def render_usages(usages: Usages) -> str:
    """Return a table of medians, but the highest peak; speed-ups are within a round."""
    lines = [
        (
            "| step | users | workers | wall s | CPU s | cores got | others | peak MiB"
            " | faster than 1 worker | CPU ÷ 1 worker | marked |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [_render_job(usages, job) for job in usages]
    return "\n".join(lines)


def _render_job(usages: Usages, job: Job) -> str:
    runs = usages[job]
    marked = sum(map(job.is_disturbed, runs))
    one = job._replace(workers=1)
    ratios = "| |"
    if job.workers > 1 and one in usages:
        speed_up = compare_jobs("", usages, one, job, 0)
        cpu = compare_jobs("", usages, job, one, 0, figure=CPU)
        ratios = f"| {_render_range(speed_up.values)} | {_render_range(cpu.values)}"
    return (
        f"| {' by '.join(filter(None, (job.step, job.program)))} | {job.users:,}"
        f" | {job.workers or 'default'} | {_median(runs, WALL):.2f}"
        f" | {_median(runs, CPU):.2f} | {_median(runs, attrgetter('cores')):.2f}"
        f" | {_median(runs, attrgetter('others_cores')):.2f}"
        f" | {max(run.peak_bytes for run in runs) / MIB:.0f} {ratios}"
        f" | {marked} of {len(runs)} |"
    )


def _median(runs: Sequence[Usage], figure: Figure) -> float:
    return statistics.median(map(figure, runs))


def _render_range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def render_targets(targets: Iterable[Target]) -> str:
    """Return a table of *targets*; a star marks a round with too few cores."""
    lines = [
        "| target | bound | median | by round | |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for target in targets:
        rounds = " ".join(
            render_value(value) + "*" * is_marked
            for value, is_marked in zip(target.values, target.marks, strict=True)
        )
        lines.append(
            f"| {target.name} | {'≥' if target.is_least else '≤'} {target.bound:.3g}"
            f" | {render_value(statistics.median(target.values))} | {rounds}"
            f" | {'met' if target.is_met else 'NOT MET'} |"
        )
    return "\n".join(lines)


def render_value(value: float) -> str:
    """Return *value* with the digits that matter.

    >>> render_value(0.8765), render_value(187.4)
    ('0.88', '187')
    """
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def render_projection(usages: Usages) -> str:
    """Return the seconds of each step on more cores, from one and two workers measured.

    The last column counts the rounds of these two that had too few cores.
    """
    cores = " | ".join(f"{count} cores" for count in PROJECTED_CORES)
    lines = [
        f"| step | users | serial share | 1 core | {cores} | marked |",
        "| --- | ---: | ---: | ---: |" + " ---: |" * (len(PROJECTED_CORES) + 1),
    ]
    for job in usages:
        two = job._replace(workers=2)
        if job.workers != 1 or job.program or two not in usages:
            continue
        one_wall = _median(usages[job], WALL)
        share = find_serial_share(one_wall, _median(usages[two], WALL), 2)
        marks = compare_jobs("", usages, job, two, 0).marks
        walls = " | ".join(
            f"{project_wall(one_wall, share, count):.2f}" for count in PROJECTED_CORES
        )
        lines.append(
            f"| {job.step} | {job.users:,} | {share:.0%} | {one_wall:.2f} | {walls}"
            f" | {sum(marks)} of {len(marks)} |"
        )
    return "\n".join(lines)
