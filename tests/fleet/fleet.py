"""A fleet in network namespaces: one RabbitMQ, two relays, three strategy hosts. Each part
is killed once, in one order after the other, and started again. Ends with a table of
recovery times, and with an error unless nothing was lost."""

import argparse
import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import network
from parts import Broker, Host, Journals, Relay

PATIENCE = 60
DOWN = 1


def build(folder, programs, slow=()):
    broker = Broker(network.Place("broker", 10), folder / "broker")
    try:
        relays = [Relay(network.Place(f"relay-{i}", 10 + i), folder, programs, broker.url)
                  for i in (1, 2)]
        # They begin with different relays.
        hosts = [Host(network.Place(f"host-{i}", 20 + i), folder, programs,
                      relays if i % 2 else relays[::-1], slow=f"host-{i}" in slow)
                 for i in (1, 2, 3)]
    except BaseException:
        broker.stop()
        raise
    return broker, relays, hosts


def orders(parts, how):
    """All orders; or those that differ by more than which of two relays or three hosts it is."""
    every = list(itertools.permutations(parts))
    if how.all:
        return every
    distinct = {}
    for x in every:
        distinct.setdefault(tuple(part.kind for part in x), []).append(x)
    chance = random.Random(how.seed)
    result = [chance.choice(x) for x in distinct.values()]
    chance.shuffle(result)
    return result[:how.orders] if how.orders else result


class Fleet:
    def __init__(self, broker, relays, hosts):
        self.parts = [broker, *relays, *hosts]
        self.hosts = hosts
        self.journals = Journals(hosts)
        self.times = {}

    def start(self):
        for x in self.parts[1:]:
            x.start()
        if self.journals.await_fresh(time.time(), PATIENCE) is None:
            raise RuntimeError("the fleet does not start")
        self.journals.complete_since = time.time()

    def kill(self, part):
        """Kills a part and starts it again; notes how long the fleet needs."""
        part.kill()
        since = time.time()
        took = self.journals.await_fresh(since, DOWN)
        time.sleep(max(0, since + DOWN - time.time()))
        part.start()
        if took is None:
            took = self.journals.await_fresh(since, PATIENCE)
        if took is None:
            raise RuntimeError(f"{part.name}: the fleet has not recovered within {PATIENCE} s")
        part.await_ready(PATIENCE)
        self.times.setdefault(part.kind, []).append(took)
        return took

    def finish(self):
        """Gives back what was lost."""
        self.hosts[0].stop_file.touch()
        time.sleep(1)
        return self.journals.await_nothing_missing(PATIENCE)

    def stop(self):
        for x in reversed(self.parts):
            x.stop()

    def table(self):
        rows = [f"{'killed':<16}{'times':>6}{'median':>10}{'longest':>10}"]
        for kind, xs in self.times.items():
            rows.append(f"{kind:<16}{len(xs):>6}{statistics.median(xs):>8.2f} s{max(xs):>8.2f} s")
        return "\n".join(rows)


def play(fleet, chosen):
    for i, order in enumerate(chosen, 1):
        took = [f"{x.name} {fleet.kill(x):.2f} s" for x in order]
        print(f"{i} of {len(chosen)}: {', '.join(took)}", flush=True)


def report(fleet, lost):
    journals = fleet.journals
    confirmed = sum(map(len, journals.confirmed.values()))
    handled = sum(map(len, journals.handled.values()))
    print(f"\nfrom the kill until every host handles again what every host publishes:\n"
          f"\n{fleet.table()}\n")
    for (host, publisher), numbers in lost.items():
        print(f"LOST: {host} never handled {len(numbers)} of {publisher}, the first {min(numbers)}")
    print(f"{confirmed} events confirmed, {handled} handled by {len(fleet.hosts)} hosts, "
          f"{journals.twice} of them twice, {sum(map(len, lost.values()))} lost")


def main():
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__)
    parser.add_argument("--orders", type=int, default=0, help="how many orders, of the distinct ones")
    parser.add_argument("--all", action="store_true", help="all 720 orders, by name: hours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for logs and journals")
    parser.add_argument("--programs", type=Path, required=True)
    how = parser.parse_args()
    network.enter()
    with tempfile.TemporaryDirectory(prefix="actors-fleet-") as name:
        folder = how.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        fleet = Fleet(*build(folder.resolve(), how.programs.resolve()))
        try:
            fleet.start()
            play(fleet, orders(fleet.parts, how))
            lost = fleet.finish()
        except RuntimeError as problem:
            print(f"fleet: {problem}", file=sys.stderr)
            for x in fleet.parts[1:]:
                print(f"-- {x.name}", *x.log.read_text().splitlines()[-15:], sep="\n",
                      file=sys.stderr)
            return 1
        finally:
            fleet.stop()
    report(fleet, lost)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
