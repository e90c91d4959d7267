"""Through how many hands an event goes: context switches, migrations from core to core, and futex
calls per event. Of two runs that differ in their number of events only, as a start has its own."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from harness.brokers import client
from harness.measuring import Row, say
from harness.programs import Failed, run

TITLE = "hands"
BOTH = ("bare", "libactors")


@dataclass
class Work:
    name: str
    command: str
    few: int
    many: int
    options: Callable[[int], list]
    # What libactors alone is told.
    ours: tuple = ()


def works(broker):
    def filled(*more):
        return lambda count: ["--queue", broker.fill(count), *more]

    def new(*more):
        return lambda count: ["--queue", broker.new_queue(), *more]

    plain = ("--without-confirms",)
    return [
        Work("latency at 1,000/s", "latency", 1_000, 4_000, new("--rate", 1_000), plain),
        Work("latency at 20/s", "latency", 20, 100, new("--rate", 20), plain),
        Work("receive, prefetch 500", "receive", 10_000, 40_000, filled()),
        Work("receive, prefetch 1", "receive", 4_000, 16_000, filled("--prefetch", 1)),
        Work("publish", "publish", 10_000, 40_000, new(), plain),
        Work("confirms, window 100", "confirms", 10_000, 40_000, new("--window", 100)),
        Work("confirms, window 1", "confirms", 1_000, 4_000, new("--window", 1)),
    ]


def command_of(work, name, broker, count):
    return [str(x) for x in
            (client(name), work.command, "--url", broker.url, "--count", count, "--warm-up",
             count // 10, *work.options(count), *(work.ours if name == "libactors" else ()))]


def by_perf(command):
    """Context switches and migrations."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as out:
        run("perf", "stat", "-x,", "-o", out.name, "-e", "context-switches,cpu-migrations",
            *command)
        text = Path(out.name).read_text(encoding="utf-8")
    found = {name: int(value) for value, name in
             re.findall(r"^(\d+),[^,]*,(context-switches|cpu-migrations)", text, re.MULTILINE)}
    if len(found) != 2:
        raise Failed("perf counts neither context switches nor migrations")
    return found


def by_strace(command):
    """Futex calls; the other calls of the program are not held up."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as out:
        run("strace", "-f", "--seccomp-bpf", "-c", "-e", "trace=futex", "-o", out.name, *command,
            limit=120)
        text = Path(out.name).read_text(encoding="utf-8")
    found = re.search(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*futex$", text, re.MULTILINE)
    return {"futex": int(found.group(1)) if found else 0}


def counted(work, name, broker, count):
    return {**by_perf(command_of(work, name, broker, count)),
            **by_strace(command_of(work, name, broker, count))}


def per_event(work, name, broker):
    few, many = counted(work, name, broker, work.few), counted(work, name, broker, work.many)
    return {x: max(0, many[x] - few[x]) / (work.many - work.few) for x in many}


SHOWN = {"context-switches": "context switches", "cpu-migrations": "CPU migrations",
         "futex": "futex calls"}


def rows(broker, failures):
    for work in works(broker):
        say(f"-- {TITLE}: {work.name}")
        try:
            bare, ours = (per_event(work, name, broker) for name in BOTH)
        except (Failed, FileNotFoundError, subprocess.SubprocessError) as error:
            failures.append((f"{TITLE}: {work.name}", str(error)))
            continue
        for figure, name in SHOWN.items():
            say(f"   {name}: bare {bare[figure]:.3g}, libactors {ours[figure]:.3g}")
            yield Row(f"{work.name}: {name} per event", "", ours[figure], bare[figure])
