"""Strategies behind a relay, beside those that have the broker to themselves."""

import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from harness.measuring import Experiment, Wanted
from harness.programs import ACTORS, BARE, BUILD, Failed, figures, finish, run, start

RELAY = str(BUILD / "bin" / "relay")


class Relay:
    """A relay in front of a broker, for hosts on this machine."""

    def __init__(self, broker):
        self.process = subprocess.Popen(
            [RELAY, "--no-tls", "--broker", broker.url, "--listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        said = self.await_lines("relay: listening on 127.0.0.1:", 1)
        self.url = "relay://127.0.0.1:" + said[0].rsplit(":", 1)[1].strip()

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()

    def await_lines(self, text, count):
        def said():
            return [x for x in self.lines if text in x]
        with self.changed:
            if not self.changed.wait_for(lambda: len(said()) >= count, 30):
                raise Failed(f"the relay does not say '{text}'")
        return said()

    def cpu_seconds(self):
        """By the scheduler's own count: that of /proc/PID/stat is too coarse here."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(x.read_text(encoding="ascii").split()[0]) for x in threads) / 1e9


@contextmanager
def relay(broker):
    result = Relay(broker)
    try:
        yield result
    finally:
        result.process.terminate()
        result.process.wait()


def receive(broker, scale):
    """The same queue, by a relay and without. The relay's CPU stands where the broker's
    would."""
    count = scale(60_000, 30_000)

    def options():
        return ["--count", count, "--warm-up", count // 10, "--queue", broker.fill(count)]

    def remote():
        with relay(broker) as by:
            return figures(ACTORS, "receive", "--url", by.url, "--broker-process",
                           by.process.pid, *options())

    def local():
        return figures(ACTORS, "receive", "--url", broker.url, *options())

    return Experiment(
        "by a relay: receive, prefetch 500", {"local": local, "libactors": remote},
        [Wanted("events/s, beside a host of its own link", "rate", "1/s", baseline="local"),
         Wanted("client CPU per event, beside a host of its own link", "cpu", "us",
                baseline="local"),
         Wanted("relay CPU per event", "broker", "us", baseline=None)],
        repetitions=3, quick=False)


def latency(broker, scale):
    count = scale(5_000, 3_000)

    def options():
        return ["--count", count, "--warm-up", 500, "--queue", broker.new_queue(),
                "--without-confirms"]

    def remote():
        with relay(broker) as by:
            return figures(ACTORS, "latency", "--url", by.url, *options())

    def local():
        return figures(ACTORS, "latency", "--url", broker.url, *options())

    return Experiment(
        "by a relay: latency at 1,000/s, both ways", {"local": local, "libactors": remote},
        [Wanted("p50, beside a host of its own link", "p50", "us", baseline="local"),
         Wanted("p99, beside a host of its own link", "p99", "us", baseline="local")],
        repetitions=3, quick=False)


def feed_to(broker, hosts, count):
    """What a feed to so many hosts costs the relay for each event."""
    with relay(broker) as by:
        running = [start(ACTORS, "receive", "--url", by.url, "--feed", "--count", count,
                         "--warm-up", count // 10) for _ in range(hosts)]
        by.await_lines("subscribed: ", hosts)
        before = by.cpu_seconds()
        # Confirmed, so that the last one has arrived.
        run(BARE, "confirms", "--url", broker.url, "--count", count, "--warm-up", 1, "--window",
            1_000)
        for x in running:
            finish(x)
        return (by.cpu_seconds() - before) / count * 1e6


def feeds(broker, _):
    """Fewer events than may wait for a slow host, so that none is dropped."""
    count, many = 9_000, 5

    def further():
        one = feed_to(broker, 1, count)
        return {"one": one, "further": (feed_to(broker, many, count) - one) / (many - 1)}

    return Experiment(
        f"by a relay: a feed to 1 and to {many} hosts", {"libactors": further},
        [Wanted("relay CPU per event, first host", "one", "us", baseline=None),
         Wanted("relay CPU per event, each further host", "further", "us", baseline=None)],
        repetitions=7, quick=False)


def all_experiments(broker, scale):
    return [receive(broker, scale), latency(broker, scale), feeds(broker, scale)]
