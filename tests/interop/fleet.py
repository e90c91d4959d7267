"""A Python fleet in small: a market server and a strategy on aioamqp."""

import asyncio
import os
import subprocess
import tempfile
import unittest
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aioamqp

from wire import body_of, values

EXCHANGES = ("Orderbook", "Trade", "Kline")


class Broker:
    """A virtual host of its own on the test's broker."""

    def __init__(self):
        self.base = os.environ["ACTORS_TEST_BROKER"]
        self.vhost = f"interop-{uuid.uuid4().hex[:12]}"
        self.url = f"{self.base}/{self.vhost}"

    @classmethod
    def create(cls):
        for key in ("ACTORS_TEST_BROKER", "ACTORS_TEST_BROKER_CTL", "ACTORS_TEST_BROKER_DIR"):
            if not os.environ.get(key):
                raise unittest.SkipTest(f"SKIPPED: no broker, set {key}")
        broker = cls()
        broker.ctl("add_vhost", broker.vhost)
        broker.ctl("set_permissions", "-p", broker.vhost, "guest", ".*", ".*", ".*")
        return broker

    def ctl(self, *arguments):
        command = [os.environ["ACTORS_TEST_BROKER_CTL"], "ctl",
                   os.environ["ACTORS_TEST_BROKER_DIR"], "-q", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True,
                              timeout=60).stdout

    async def rows(self, what, *columns):
        """The broker's own list of queues, exchanges, ... as tuples."""
        text = await asyncio.to_thread(
            self.ctl, f"list_{what}", "-p", self.vhost, "--no-table-headers", *columns)
        return [tuple(line.split("\t")) for line in text.splitlines()]

    def remove(self):
        self.ctl("delete_vhost", self.vhost)

    @asynccontextmanager
    async def channel(self):
        address = self.base.rpartition("@")[2]
        host, port = address.split(":")
        transport, protocol = await aioamqp.connect(
            host, int(port), login="guest", password="guest", virtualhost=self.vhost)
        try:
            yield await protocol.channel()
        finally:
            await protocol.close(timeout=5)
            transport.close()


async def declare_exchanges(channel, exchange_type="topic"):
    for exchange in EXCHANGES:
        await channel.exchange_declare(exchange_name=exchange, type_name=exchange_type)


async def publish(channel, events):
    """As a market server does: each event to its exchange, nothing else said."""
    for event in events:
        await channel.basic_publish(
            payload=body_of(event), exchange_name=event.exchange, routing_key=event.routing_key)


class Strategy:
    """Takes everything from the three exchanges: (exchange, routing key, body)."""

    def __init__(self):
        self.received = asyncio.Queue()

    async def subscribe(self, channel, server_id="python", prefetch_count=1):
        await channel.basic_qos(prefetch_count=prefetch_count, prefetch_size=0,
                                connection_global=False)
        for exchange in EXCHANGES:
            queue = f"{server_id}.{exchange}.#"
            await channel.queue_declare(queue_name=queue, auto_delete=True)
            await channel.queue_bind(queue_name=queue, exchange_name=exchange, routing_key="#")
            await channel.basic_consume(self.on_message, queue_name=queue)

    async def on_message(self, channel, body, envelope, properties):
        self.received.put_nowait((envelope.exchange_name, envelope.routing_key, body))
        await channel.basic_client_ack(delivery_tag=envelope.delivery_tag)

    async def take(self, count, seconds=60):
        return [await asyncio.wait_for(self.received.get(), seconds) for _ in range(count)]


class Program:
    """One of the programs, from start to end."""

    def __init__(self, process):
        self.process = process
        self.printed = []
        self.log = []

    @classmethod
    @asynccontextmanager
    async def run(cls, name, *arguments):
        path = os.path.join(os.environ["ACTORS_TEST_PROGRAMS"], name)
        process = await asyncio.create_subprocess_exec(
            path, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, limit=1 << 22)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def log_line(self, text, seconds=30):
        """Waits until the program has logged a line with this text."""
        what = f"a log line '{text}'"

        async def search():
            while line := await self.process.stderr.readline():
                self.log.append(line.decode("utf-8"))
                if text in self.log[-1]:
                    return
            raise AssertionError(f"the program ended without {what}:\n{''.join(self.log)}")
        await self.within(seconds, what, search())

    async def output(self, seconds=60):
        """All lines that it prints until it ends by itself, with 0."""
        async def collect(stream, lines):
            while line := await stream.readline():
                lines.append(line.decode("utf-8"))
        await self.within(seconds, "its end", asyncio.gather(
            collect(self.process.stdout, self.printed),
            collect(self.process.stderr, self.log),
            self.process.wait()))
        if self.process.returncode != 0:
            raise AssertionError(f"exit code {self.process.returncode}\n{''.join(self.log)}")
        return self.printed

    async def within(self, seconds, what, work):
        try:
            await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError:
            raise AssertionError(
                f"waited {seconds} s for {what}; the program printed {len(self.printed)} lines, "
                f"and its log is\n{''.join(self.log)}") from None


class FleetTest(unittest.IsolatedAsyncioTestCase):
    """A broker and a folder of its own for each test, and our programs on that broker."""

    def setUp(self):
        self.broker = Broker.create()
        self.addCleanup(self.broker.remove)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def ticker(self, count, *more):
        return Program.run("ticker", "--broker", self.broker.url, "--json",
                           "--count", str(count), *more)

    def market(self, path, *more):
        return Program.run("market", "--broker", self.broker.url, "--file", path,
                           "--speed", "max", "--json", *more)

    def assert_same(self, events, rows):
        """The rows (exchange, routing key, name, values of the data) are these events, each
        once, with its numbers' digits, and those of a key in their order."""
        sent = by_key((x.exchange, x.routing_key, x.name, values(x.data)) for x in events)
        received = by_key(rows)
        self.assertEqual({key: len(x) for key, x in sent.items()},
                         {key: len(x) for key, x in received.items()})
        for key, expected in sent.items():
            for i, (x, y) in enumerate(zip(expected, received[key])):
                self.assertEqual(x, y, f"event {i} of {key}")

    def assert_printed(self, events, lines):
        """The ticker printed these events."""
        self.assert_same(events, ((x["exchange"], x["routing_key"], x["name"], x["data"])
                                  for x in map(values, lines)))

    def assert_totals(self, events, totals):
        """The market says that it has published these events and nothing else."""
        self.assertEqual((len(events), len(events), 0, 0), tuple(
            totals[x] for x in ("published", "confirmed", "failed", "skipped")))
        self.assertEqual(Counter(x.key for x in events), totals["by_key"])


def by_key(rows):
    table = {}
    for exchange, routing_key, name, data in rows:
        table.setdefault(f"{exchange}:{routing_key}", []).append((name, data))
    return table
