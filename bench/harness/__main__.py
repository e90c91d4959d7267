"""Measures libactors beside a bare loop and its peers; see scripts/bench."""

import argparse
import datetime
import os
import platform
import shutil
import sys
import time
from pathlib import Path

from harness import hands, instructions, micro
from harness.brokers import rabbitmq
from harness.experiments import Scale, all_experiments
from harness.measuring import Row, at_most, measure, rows_of, say
from harness.profiling import profile
from harness.programs import PROJECT, Failed, run
from harness.report import as_json, markdown


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the main rows, in two minutes")
    parser.add_argument("--json", metavar="FILE", help="write every row as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there too")
    parser.add_argument("--only", metavar="TEXT", help="only rows whose name contains it")
    parser.add_argument("--repetitions", type=int, help="instead of each row's own")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--profile", metavar="ROW",
                        help="write a profile instead: receive, publish, ...")
    return parser.parse_args()


def recordings():
    """Recorded market data, where there is any."""
    folder = Path(os.environ.get("ACTORS_RECORDINGS", PROJECT / ".." / "shared" / "data"))
    if not folder.is_dir():
        return False
    os.environ["ACTORS_RECORDINGS"] = str(folder.resolve())
    return True


def processor():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version_of(package):
    try:
        return run("dpkg-query", "-W", "-f", "${Version}", package).strip()
    except (Failed, FileNotFoundError):
        return "unknown"


def about(broker):
    versions = ", ".join([f"RabbitMQ {broker.version}"] + [
        f"{name} {version_of(package)}" for name, package in
        (("CAF", "libcaf-dev"), ("rabbitmq-c", "librabbitmq-dev"), ("zlib", "zlib1g"),
         ("Boost.JSON", "libboost-json1.81-dev"))])
    return {"date": datetime.date.today().isoformat(), "processor": processor(),
            "cores": os.cpu_count(), "system": f"Linux {platform.release()}",
            "versions": versions}


def measure_all(options, broker, failures):
    scale = Scale(options.quick)
    for x in all_experiments(broker, scale, recordings()):
        if options.only and options.only not in x.name:
            continue
        say(f"-- {x.name}")
        times = options.repetitions or (min(2, x.repetitions) if options.quick else None)
        results = measure(x, times, not options.quick and not options.without_peers)
        failures += [(f"{x.name}: {name}", why) for name, why in results.failures.items()]
        yield from rows_of(x, results)


def instruction_rows(options, failures):
    name = "receive, client alone: user instructions per event"
    if options.only and options.only not in name:
        return
    say(f"-- {name}")
    few, many = (500, 2_500) if options.quick else (1_000, 6_000)
    try:
        bare = instructions.per_event("bare", few, many)
        ours = instructions.per_event("libactors", few, many)
        say(f"   bare {bare:.0f}, libactors {ours:.0f}")
        yield Row(name, "", ours, bare, at_most(1.25, 0.9))
    except (Failed, FileNotFoundError) as error:
        failures.append((name, str(error)))


def hand_rows(options, broker, failures):
    if options.quick or (options.only and options.only not in hands.TITLE):
        return
    yield from hands.rows(broker, failures)


def micro_rows(options):
    if options.only and options.only not in micro.TITLE:
        return
    say(f"-- {micro.TITLE}")
    yield from micro.rows(options.quick)


def main():
    options = arguments()
    if options.profile:
        profile(options.profile)
        return 0
    began = time.monotonic()
    failures = []
    with rabbitmq() as broker:
        context = about(broker)
        rows = list(measure_all(options, broker, failures))
        rows += hand_rows(options, broker, failures)
    rows += instruction_rows(options, failures)
    rows += micro_rows(options)
    text = markdown(rows, context, failures)
    say(f"measured in {time.monotonic() - began:.0f} s\n")
    print(text)
    if options.markdown:
        Path(options.markdown).write_text(text, encoding="utf-8")
    if options.json:
        Path(options.json).write_text(as_json(rows, context, failures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    if not shutil.which("rabbitmq-server") and not Path("/usr/lib/rabbitmq/bin").is_dir():
        sys.exit("bench: rabbitmq-server is not installed: scripts/install-dependencies --bench")
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"bench: {error}")
