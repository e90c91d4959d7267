"""What the Python peers share: the options of the other clients, and figures."""

import argparse
import json
import os
import resource
import time
from urllib.parse import urlsplit


def options(commands):
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=commands)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--warm-up", type=int, default=5_000)
    parser.add_argument("--queue", default="bench")
    parser.add_argument("--prefetch", type=int, default=500)
    parser.add_argument("--no-ack", action="store_true")
    parser.add_argument("--window", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=1_000)
    parser.add_argument("--broker-process", type=int, default=0)
    parser.add_argument("--texts", help="A file with the JSON of an event in each line")
    return parser.parse_args()


def address(url):
    parts = urlsplit(url)
    return parts.hostname, parts.port


def events(x):
    """What is to be published, as the dictionaries that an app would have."""
    with open(x.texts, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def broker_cpu(process):
    if not process:
        return 0.0
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6


class Measurement:
    """The same as bench::measurement."""

    def __init__(self, x):
        self.x = x
        self.number = 0
        self.begin = self.end = None

    def now(self):
        return time.monotonic(), own_cpu(), broker_cpu(self.x.broker_process)

    def event(self):
        """Counts one more; true at the end."""
        self.number += 1
        if self.number == self.x.warm_up:
            self.begin = self.now()
        elif self.number == self.x.count:
            self.end = self.now()
            return True
        return False

    def print(self):
        events = self.x.count - self.x.warm_up
        seconds, cpu, broker = (y - x for x, y in zip(self.begin, self.end))
        print(json.dumps({"events": events, "rate": events / seconds, "cpu": cpu / events,
                          "broker": broker / events}), flush=True)


def print_latencies(late, cpu):
    late = sorted(late)

    def percentile(p):
        return late[min(len(late) - 1, int(p * len(late)))]

    print(json.dumps({"events": len(late), "p50": percentile(0.5), "p90": percentile(0.9),
                      "p99": percentile(0.99), "p99.9": percentile(0.999), "max": late[-1],
                      "cpu": cpu}), flush=True)
