"""The programs on a real broker, which others may use too: each test has a platform of
its own."""

import json
import os
import pty
import signal
import subprocess
import unittest
import uuid
from collections import Counter

from programs import PROGRAMS, ProgramsTest


class Test(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.url = os.environ.get("ACTORS_TEST_BROKER")
        if not self.url:
            raise unittest.SkipTest("SKIPPED: no broker, set ACTORS_TEST_BROKER")
        self.platform = f"apps-{uuid.uuid4().hex[:12]}"
        self.keys = [f"{x}:{self.platform}.#" for x in ("Orderbook", "Trade", "Kline")]

    def ticker(self, *arguments, stdout=subprocess.PIPE):
        return self.running("ticker", "--broker", self.url, *arguments, *self.keys, stdout=stdout)

    def publish(self, *arguments):
        """Runs market to its end. Gives back its totals."""
        result = self.run_program("market", "--broker", self.url, "--platform", self.platform,
                                  "--json", *arguments)
        self.assert_ended(result, 0)
        return json.loads(result.stdout)

    def test_every_event_published_is_printed(self):
        for more in ([], ["--no-ack"]):
            with self.subTest(options=more), self.ticker("--json", "--count", "5000",
                                                         *more) as ticker:
                ticker.await_log("subscribed to")
                totals = self.publish("--speed", "max", "--count", "5000")
                lines = ticker.process.stdout.read().splitlines()
                self.assertEqual(0, ticker.process.wait(30))
            events = [json.loads(x) for x in lines]
            self.assertEqual({"exchange", "routing_key", "name", "data"}, set().union(*events))
            self.assertEqual(totals["by_key"],
                             Counter(f"{x['exchange']}:{x['routing_key']}" for x in events))

    def test_what_was_printed_can_be_published_again(self):
        with self.ticker("--json", "--count", "100") as first:
            first.await_log("subscribed to")
            self.publish("--speed", "max", "--count", "100")
            printed = first.process.stdout.read()
        file = self.file("events.jsonl", printed)
        with self.ticker("--json", "--count", "100") as second:
            second.await_log("subscribed to")
            self.publish("--speed", "max", "--file", file)
            again = second.process.stdout.read()
        self.assertEqual(sorted(printed.splitlines()), sorted(again.splitlines()))

    def test_events_that_cannot_be_written_are_told(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            with self.ticker("--json", stdout=full) as ticker:
                ticker.await_log("subscribed to")
                self.publish("--speed", "max", "--count", "10")
                self.assertEqual(1, ticker.process.wait(30))
                ticker.await_log("ticker: standard output: No space left on device")

    def test_a_reader_that_leaves_ends_the_ticker(self):
        with self.ticker("--json") as ticker:
            ticker.await_log("subscribed to")
            ticker.process.stdout.close()
            self.publish("--speed", "max", "--count", "10")
            self.assertEqual(0, ticker.process.wait(30), "".join(ticker.log))

    def test_a_slow_reader_does_not_hold_up_the_end(self):
        # The pipe is full and nobody reads it.
        with self.ticker("--json") as ticker:
            ticker.await_log("subscribed to")
            self.publish("--speed", "max", "--count", "2000")
            code, seconds = ticker.stop(signal.SIGTERM)
        self.assertEqual(0, code)
        self.assertLess(seconds, 1)

    def test_a_stopped_market_tells_its_totals(self):
        with self.ticker("--json") as ticker:
            ticker.await_log("subscribed to")
            with self.running("market", "--broker", self.url, "--platform", self.platform,
                              "--json", stdout=subprocess.PIPE) as market:
                ticker.process.stdout.readline()
                code, seconds = market.stop(signal.SIGTERM)
                totals = json.loads(market.process.stdout.read())
        self.assertEqual(0, code)
        self.assertLess(seconds, 1)
        self.assertGreater(totals["published"], 0)
        self.assertEqual((totals["published"], 0), (totals["confirmed"], totals["failed"]))

    def test_lines_are_printed_where_there_is_no_terminal(self):
        with self.ticker() as ticker:
            ticker.await_log("subscribed to")
            self.publish("--speed", "max", "--count", "500", "--symbols", "BTC/USDT")
            line = ticker.process.stdout.readline()
            ticker.process.terminate()
        self.assertRegex(line, rf"^{self.platform} BTC/USDT  bid [\d.]+  ask [\d.]+  "
                               r"spread [\d.]+  last .* (BUY|SELL) .*  [\d.]+ events/s$")

    def test_a_terminal_shows_a_table(self):
        try:
            terminal, inside = pty.openpty()
        except OSError as reason:
            self.skipTest(f"SKIPPED: no terminal: {reason}")
        self.addCleanup(os.close, terminal)
        try:
            with self.ticker(stdout=inside) as ticker:
                ticker.await_log("subscribed to")
                self.publish("--speed", "max", "--count", "500", "--symbols", "BTC/USDT")
                text = b""
                while b"BTC/USDT" not in text:
                    text += os.read(terminal, 4096)
                ticker.process.terminate()
        finally:
            os.close(inside)
        self.assertRegex(text.decode(), r"platform +symbol +bid +ask +last +events/s")

    def test_demo_runs_on_a_broker(self):
        result = self.run_program("demo", "--broker", self.url, "--seconds", "2")
        self.assert_ended(result, 0, "handed to strategies")
        self.assertNotRegex(result.stdout, r"(?m)(spread_watcher|kline_builder|market_maker) +0$")
        self.assertNotIn("guest:guest", result.stdout + result.stderr)

    def test_a_wrong_password_is_final(self):
        wrong = self.url.replace("guest:guest", "guest:hunter2")
        for name in PROGRAMS:
            with self.subTest(program=name):
                result = self.run_program(name, "--broker", wrong, "--wait", "60", seconds=20)
                self.assert_ended(result, 1, f"{name}: ", "refuses", "guest")
                self.assertNotIn("hunter2", result.stderr)

    def test_stop_signals_end_each_within_a_second(self):
        for name in PROGRAMS:
            self.assert_stops_within_a_second(name, "--broker", self.url)


if __name__ == "__main__":
    unittest.main()
