"""A Python fleet and our programs on one broker, both ways."""

import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import wire
from fleet import EXCHANGES, Broker, Program, Strategy, declare_exchanges, publish


class Interop(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.broker = Broker.create()
        self.addCleanup(self.broker.remove)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def ticker(self, count, *more):
        return Program.run("ticker", "--broker", self.broker.url, "--json",
                           "--count", str(count), *more)

    def recording(self, events):
        path = self.folder / "recorded.jsonl"
        lines = ['{"exchange": %s, "routing_key": %s, "name": "%s", "data": %s}\n' % (
            json.dumps(x.exchange), json.dumps(x.routing_key), x.name, x.data) for x in events]
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    def market(self, events):
        return Program.run("market", "--broker", self.broker.url, "--file",
                           self.recording(events), "--speed", "max", "--json")

    def assert_received(self, events, lines):
        """The ticker printed these events, each once and with its numbers' digits, and
        those of a key in their order."""
        def by_key(rows):
            table = {}
            for key, name, data in rows:
                table.setdefault(key, []).append((name, data))
            return table
        sent = by_key((x.key, x.name, wire.values(x.data)) for x in events)
        received = by_key((f"{x['exchange']}:{x['routing_key']}", x["name"], x["data"])
                          for x in map(wire.values, lines))
        self.assertEqual(sent, received)

    # -- Python publishes, our ticker prints ---------------------------------------------

    async def python_to_ticker(self, events, exchange_type):
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, exchange_type)
            async with self.ticker(len(events)) as ticker:
                await ticker.log_line("subscribed to")
                await publish(channel, events)
                self.assert_received(events, await ticker.output())

    async def test_python_to_ticker_on_topic_exchanges(self):
        await self.python_to_ticker(wire.samples(), "topic")

    async def test_python_to_ticker_on_fanout_exchanges(self):
        await self.python_to_ticker(wire.samples(), "fanout")

    async def test_thousand_events_from_python(self):
        await self.python_to_ticker(wire.stream(1000), "topic")

    async def test_keys_are_told_apart_on_fanout_exchanges(self):
        # A fanout exchange sends everything to every queue.
        events = wire.stream(120)
        wanted = [x for x in events if x.key == "Trade:binance.ETH/USDT"]
        self.assertTrue(wanted)
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, "fanout")
            async with self.ticker(len(wanted), "Trade:binance.ETH/USDT") as ticker:
                await ticker.log_line("subscribed to")
                await publish(channel, events)
                self.assert_received(wanted, await ticker.output())

    async def test_queues_are_named_and_typed_as_in_the_fleet(self):
        config = self.folder / "config.json"
        config.write_text(json.dumps({"SERVER_ID": "server-1", "INSTANCE": ""}))
        async with self.ticker(1, "--config", str(config)) as ticker:
            await ticker.log_line("subscribed to")
            queues = await self.broker.rows("queues", "name", "auto_delete", "durable", "exclusive")
            exchanges = await self.broker.rows("exchanges", "name", "type", "durable")
        self.assertEqual({(f"server-1.{x}.#", "true", "false", "false") for x in EXCHANGES},
                         set(queues))
        self.assertLessEqual({(x, "topic", "false") for x in EXCHANGES}, set(exchanges))

    # -- our market publishes, Python consumes ---------------------------------------------

    async def market_to_python(self, events, exchange_type):
        strategy = Strategy()
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, exchange_type)
            await strategy.subscribe(channel)
            async with self.market(events) as market:
                received = await strategy.take(len(events))
                totals = json.loads((await market.output())[-1])
        self.assertTrue(strategy.received.empty())
        self.assertEqual({b"\x78\x9c"}, {body[:2] for _, _, body in received})
        self.assertEqual(
            sorted((x.key, x.name, str(wire.values(x.data))) for x in events),
            sorted((f"{exchange}:{key}", text["n"], str(text["d"]))
                   for exchange, key, text in ((e, k, wire.opened(b)) for e, k, b in received)))
        self.assertEqual({"n", "d"}, set().union(*(wire.opened(b) for _, _, b in received)))
        self.assertEqual((len(events), len(events), 0),
                         (totals["published"], totals["confirmed"], totals["failed"]))
        self.assertEqual(Counter(x.key for x in events), totals["by_key"])

    async def test_market_to_python_on_topic_exchanges(self):
        await self.market_to_python(wire.samples(), "topic")

    async def test_market_to_python_on_fanout_exchanges(self):
        await self.market_to_python(wire.samples(), "fanout")

    async def test_thousand_events_to_python(self):
        await self.market_to_python(wire.stream(1000), "topic")

    async def test_market_declares_what_the_fleet_declares(self):
        # The fleet comes second: its declarations must be equivalent to ours.
        async with self.market(wire.samples()) as market:
            await market.output()
        exchanges = await self.broker.rows("exchanges", "name", "type", "durable")
        self.assertLessEqual({(x, "topic", "false") for x in EXCHANGES}, set(exchanges))
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, "topic")


if __name__ == "__main__":
    unittest.main()
