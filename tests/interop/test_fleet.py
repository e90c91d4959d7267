"""A Python fleet and our programs on one broker, both ways."""

import json
import unittest

import wire
from fleet import EXCHANGES, FleetTest, Strategy, declare_exchanges, publish


class Test(FleetTest):
    def recording(self, events):
        path = self.folder / "recorded.jsonl"
        lines = ['{"exchange": %s, "routing_key": %s, "name": "%s", "data": %s}\n' % (
            json.dumps(x.exchange), json.dumps(x.routing_key), x.name, x.data) for x in events]
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    # -- Python publishes, our ticker prints ---------------------------------------------

    async def python_to_ticker(self, events, exchange_type):
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, exchange_type)
            async with self.ticker(len(events)) as ticker:
                await ticker.log_line("subscribed to")
                await publish(channel, events)
                self.assert_printed(events, await ticker.output())

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
                self.assert_printed(wanted, await ticker.output())

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
            async with self.market(self.recording(events)) as market:
                received = await strategy.take(len(events))
                totals = json.loads((await market.output())[-1])
        self.assertTrue(strategy.received.empty())
        self.assertEqual({b"\x78\x9c"}, {body[:2] for _, _, body in received})
        self.assertEqual({"n", "d"}, set().union(*(wire.opened(b) for _, _, b in received)))
        self.assert_same(events, ((exchange, key, *wire.name_and_data(body))
                                  for exchange, key, body in received))
        self.assert_totals(events, totals)

    async def test_market_to_python_on_topic_exchanges(self):
        await self.market_to_python(wire.samples(), "topic")

    async def test_market_to_python_on_fanout_exchanges(self):
        await self.market_to_python(wire.samples(), "fanout")

    async def test_thousand_events_to_python(self):
        await self.market_to_python(wire.stream(1000), "topic")

    async def test_market_declares_what_the_fleet_declares(self):
        # The fleet comes second: its declarations must be equivalent to ours.
        async with self.market(self.recording(wire.samples())) as market:
            await market.output()
        exchanges = await self.broker.rows("exchanges", "name", "type", "durable")
        self.assertLessEqual({(x, "topic", "false") for x in EXCHANGES}, set(exchanges))
        async with self.broker.channel() as channel:
            await declare_exchanges(channel, "topic")


if __name__ == "__main__":
    unittest.main()
