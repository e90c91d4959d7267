"""Experiments: several variants of one work, measured in turn, and the rows that
come of them."""

import statistics
import sys
from dataclasses import dataclass, field
from typing import Callable, Optional

from harness.load import NONE, beside
from harness.programs import Failed


@dataclass
class Goal:
    """What a figure must be: a ratio to the baseline, or the figure itself."""

    least: Optional[float] = None
    most: Optional[float] = None
    stretch: Optional[float] = None
    absolute: bool = False

    def met(self, x):
        if self.most is not None:
            return x <= self.most
        return x >= self.least

    def stretch_met(self, x):
        if self.stretch is None:
            return None
        return x <= self.stretch if self.most is not None else x >= self.stretch

    def __str__(self):
        sign, limit = ("<=", self.most) if self.most is not None else (">=", self.least)
        return f"{sign} {limit:g}"


def at_most(limit, stretch=None, absolute=False):
    return Goal(most=limit, stretch=stretch, absolute=absolute)


def at_least(limit, stretch=None):
    return Goal(least=limit, stretch=stretch)


@dataclass
class Row:
    """One line of the report."""

    name: str
    unit: str
    value: float
    baseline: Optional[float] = None
    goal: Optional[Goal] = None
    spread: Optional[float] = None

    @property
    def ratio(self):
        if self.baseline is None or self.baseline <= 0:
            return None
        return self.value / self.baseline

    @property
    def judged(self):
        return self.value if self.goal.absolute else self.ratio

    @property
    def met(self):
        if self.goal is None or self.judged is None:
            return None
        return self.goal.met(self.judged)


@dataclass
class Wanted:
    """A row that an experiment gives: a figure of a variant beside a baseline's."""

    name: str
    figure: str
    unit: str
    goal: Optional[Goal] = None
    variant: str = "libactors"
    baseline: Optional[str] = "bare"


@dataclass
class Experiment:
    """A work, and who does it. Variants are measured in turn, A B A B, so that what
    disturbs the machine disturbs all."""

    name: str
    variants: dict[str, Callable[[], dict]]
    rows: list[Wanted]
    repetitions: int = 5
    # Peers: compared by these figures, whether more or less of it is better.
    peers: dict[str, Callable[[], dict]] = field(default_factory=dict)
    peer_repetitions: int = 2
    quick: bool = True
    # How busy the machine is meanwhile.
    load: str = NONE


@dataclass
class Results:
    """What the variants were measured at, run by run."""

    runs: dict[str, list[dict]]
    failures: dict[str, str]

    def figures(self, variant, figure):
        return [x[figure] for x in self.runs.get(variant, []) if figure in x]

    def median(self, variant, figure):
        xs = self.figures(variant, figure)
        return statistics.median(xs) if xs else None

    def spread(self, variant, figure):
        """Largest over smallest."""
        xs = self.figures(variant, figure)
        return max(xs) / min(xs) if len(xs) > 1 and min(xs) > 0 else None


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(experiment, repetitions=None, with_peers=True):
    with beside(experiment.load):
        return measure_now(experiment, repetitions, with_peers)


def measure_now(experiment, repetitions, with_peers):
    results = Results({}, {})
    turns = [(experiment.variants, repetitions or experiment.repetitions)]
    if with_peers and experiment.peers:
        turns.append((experiment.peers, experiment.peer_repetitions))
    for variants, times in turns:
        for turn in range(times):
            for name, run in variants.items():
                if name in results.failures:
                    continue
                try:
                    figures = run()
                except (Failed, FileNotFoundError, KeyError, ValueError) as error:
                    results.failures[name] = str(error)
                    say(f"   {name}: not measured: {error}")
                    continue
                results.runs.setdefault(name, []).append(figures)
                shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
                say(f"   {turn + 1} {name}: {shown}")
    return results


def rows_of(experiment, results):
    """The rows that are wanted, then those beside each peer."""
    for wanted in experiment.rows:
        value = results.median(wanted.variant, wanted.figure)
        if value is None:
            continue
        baseline = wanted.baseline and results.median(wanted.baseline, wanted.figure)
        yield Row(f"{experiment.name}: {wanted.name}", wanted.unit, value, baseline, wanted.goal,
                  results.spread(wanted.variant, wanted.figure))
    for peer in experiment.peers:
        yield from peer_rows(experiment, results, peer)


# Figure -> its name, its unit, what is better, and so the goal to be ahead.
COMPARED = {
    "rate": ("events/s", "1/s", at_least(1.0)),
    "cpu": ("client CPU per event", "us", at_most(1.0)),
    "p50": ("p50", "us", at_most(1.0)),
    "p99": ("p99", "us", at_most(1.0)),
}


def peer_rows(experiment, results, peer):
    for figure, (name, unit, goal) in COMPARED.items():
        value = results.median("libactors", figure)
        theirs = results.median(peer, figure)
        if value is not None and theirs is not None:
            yield Row(f"{experiment.name}: {name}, beside {peer}", unit, value, theirs, goal)
