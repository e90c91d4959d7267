"""User instructions per event: the figure without noise. Of two runs that differ in
their number of events only, so that the start does not count."""

import re
import subprocess
import tempfile
from pathlib import Path

from harness.brokers import client, stub
from harness.programs import Failed, run

BOTH = ("bare", "libactors")


def counter_works():
    """Whether the kernel gives us the processor's own counter."""
    try:
        done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"],
                              capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and re.match(r"\d+,", done.stderr.strip()) is not None


def counted_by_perf(command):
    done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", *command],
                          capture_output=True, text=True, check=True)
    return int(done.stderr.strip().split(",")[0])


def counted_by_callgrind(command):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command, limit=400)
        text = out.read_text(encoding="utf-8", errors="replace")
    totals = re.findall(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if not totals:
        raise Failed("callgrind gave no total")
    return int(totals[-1])


def counted(name, count, kind, *options):
    with stub(count, kind) as url:
        command = [client(name), "receive", "--url", url, "--count", str(count), "--warm-up", "1",
                   "--kind", kind, *options]
        return counted_by_perf(command) if counter_works() else counted_by_callgrind(command)


def per_event(name, few, many, kind="book10", *options):
    return (counted(name, many, kind, *options) - counted(name, few, kind, *options)) / (
        many - few)
