"""Real recorded market data through a real broker, each event accounted for."""

import json
import os
import unittest
from collections import Counter
from pathlib import Path

from binance import events_of
from fleet import FleetTest, Strategy, declare_exchanges, publish
from wire import name_and_data

SYMBOLS = {"btcusdt": "BTC/USDT", "ethusdt": "ETH/USDT"}


class Test(FleetTest):
    def setUp(self):
        folder = os.environ.get("ACTORS_RECORDINGS")
        if not folder:
            raise unittest.SkipTest("SKIPPED: no recordings, set ACTORS_RECORDINGS")
        self.recordings = Path(folder)
        super().setUp()

    def recording(self, symbol):
        """The path of a recording, and the events that Python finds in it."""
        path = self.recordings / f"binance_spot_{symbol}_20240808.aioquant-mix.txt.gz"
        if not path.exists():
            raise unittest.SkipTest(f"SKIPPED: {path} is not there")
        events = list(events_of(path, "binance", SYMBOLS[symbol]))
        self.assertEqual({"Orderbook", "Trade", "Kline"}, {x.exchange for x in events})
        return str(path), events

    async def test_market_to_python(self):
        path, events = self.recording("btcusdt")
        strategy = Strategy()
        async with self.broker.channel() as channel:
            await declare_exchanges(channel)
            await strategy.subscribe(channel, prefetch_count=100)
            async with self.market(path, "--platform", "binance", "--symbol",
                                   "BTC/USDT") as market:
                received = await strategy.take(len(events))
                totals = json.loads((await market.output())[-1])
        self.assertTrue(strategy.received.empty())
        self.assert_totals(events, totals)
        self.assert_same(events, ((exchange, key, *name_and_data(body))
                                  for exchange, key, body in received))

    async def test_python_to_ticker(self):
        _, events = self.recording("btcusdt")
        async with self.broker.channel() as channel:
            await declare_exchanges(channel)
            async with self.ticker(len(events)) as ticker:
                await ticker.log_line("subscribed to")
                await publish(channel, events)
                self.assert_printed(events, await ticker.output())

    async def test_market_to_ticker(self):
        # Two symbols at once; each is named after what stands in its recording.
        recordings = [self.recording(x) for x in SYMBOLS]
        events = [x for _, found in recordings for x in found]
        totals = Counter()
        async with self.ticker(len(events)) as ticker:
            await ticker.log_line("subscribed to")
            async with self.market(recordings[0][0]) as first, \
                    self.market(recordings[1][0]) as second:
                printed = await ticker.output()
                for (_, found), market in zip(recordings, (first, second)):
                    one = json.loads((await market.output())[-1])
                    self.assert_totals(found, one)
                    totals.update(one["by_key"])
        lines = [json.loads(x) for x in printed]
        self.assertEqual(totals, Counter(f"{x['exchange']}:{x['routing_key']}" for x in lines))
        self.assert_printed(events, printed)


if __name__ == "__main__":
    unittest.main()
