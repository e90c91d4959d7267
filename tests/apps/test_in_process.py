"""The programs on the in-process broker."""

import json
import re
import subprocess
import unittest

from programs import ProgramsTest

BROKER = ("--broker", "memory:")


class Test(ProgramsTest):
    def totals(self, *arguments):
        """Runs market to its end. Gives back its line of totals."""
        result = self.run_program("market", *BROKER, "--speed", "max", "--json", *arguments)
        self.assert_ended(result, 0)
        self.assertEqual("", result.stderr)
        self.assertEqual(1, result.stdout.count("\n"))
        return json.loads(result.stdout)

    def test_demo_ends_with_a_summary(self):
        # A candle has two seconds of the clock: one of each symbol ends in three at least.
        result = self.run_program("demo", "--seconds", "3")
        self.assert_ended(result, 0, "paper profit")
        self.assertRegex(result.stdout, r" [3-6] candles published, 0 refused")
        self.assertEqual("", result.stderr)

        def count(title):
            found = re.search(rf"^ *{title} +(\d+)( |$)", result.stdout, re.MULTILINE)
            self.assertIsNotNone(found, f"'{title}' in\n{result.stdout}")
            return int(found.group(1))
        published = count("published by the market")
        self.assertGreater(published, 500)
        self.assertEqual(published, count("confirmed by the broker"))
        books, trades = count("Orderbook"), count("Trade")
        self.assertEqual(published, books + trades + count("Kline"))
        self.assertEqual(books, count("spread_watcher"))
        self.assertEqual(trades, count("kline_builder"))
        # It follows the candles of the builder too.
        self.assertGreaterEqual(count("market_maker"), books + trades)
        self.assertEqual(count("handed to strategies"), books + trades + count("market_maker"))

    def test_totals_that_cannot_be_written_are_told(self):
        for more in ([], ["--json"]):
            with self.subTest(options=more):
                self.assert_tells_of_a_full_disk("market", *BROKER, "--speed", "max", "--count",
                                                 "10", *more)

    def test_simulated_markets_of_one_seed_are_equal(self):
        first = self.totals("--count", "1000", "--seed", "7")
        self.assertEqual((1000, 1000, 0, 0),
                         tuple(first[x] for x in ("published", "confirmed", "failed", "skipped")))
        self.assertEqual(1000, sum(first["by_key"].values()))
        self.assertEqual(first["by_key"], self.totals("--count", "1000", "--seed", "7")["by_key"])
        self.assertNotEqual(first["by_key"],
                            self.totals("--count", "1000", "--seed", "8")["by_key"])

    def test_the_rate_is_kept(self):
        totals = self.run_program("market", *BROKER, "--rate", "1000", "--count", "1001", "--json")
        self.assert_ended(totals, 0)
        self.assertGreaterEqual(json.loads(totals.stdout)["seconds"], 0.5)

    def test_symbols_and_platform_are_as_asked(self):
        totals = self.totals("--count", "100", "--platform", "paper", "--symbols", "A/B,C/D")
        self.assertEqual({"paper.A/B", "paper.C/D"},
                         {key.partition(":")[2] for key in totals["by_key"]})

    def test_tables_and_events_are_published_from_files(self):
        table = self.file("trades.csv", "time,price,quantity,action\n1,2.50,3,BUY\n2,2,1,SELL\n")
        totals = self.totals("--file", table, "--platform", "okx", "--symbol", "A/B")
        self.assertEqual({"Trade:okx.A/B": 2}, totals["by_key"])
        events = self.file("events.jsonl", "\n".join([
            '{"exchange": "Own", "routing_key": "a.b", "name": "EVENT_OWN", "data": {"t": 1}}',
            "not an event",
            '{"exchange": "Own", "routing_key": "a.c", "name": "EVENT_OWN", "data": null}', ""]))
        config = self.file("config.json", json.dumps(
            {"RABBITMQ": {"url": "memory:"}, "EXCHANGES": ["Own"]}))
        result = self.run_program("market", "--config", config, "--speed", "max", "--json",
                                  "--file", events)
        self.assert_ended(result, 0)
        totals = json.loads(result.stdout)
        self.assertEqual(({"Own:a.b": 1, "Own:a.c": 1}, 1), (totals["by_key"], totals["skipped"]))

    def test_totals_are_a_table_for_people(self):
        result = self.run_program("market", *BROKER, "--speed", "max", "--count", "100")
        self.assert_ended(result, 0, "stream", "published", "confirmed", "failed", "events/s")
        self.assertRegex(result.stdout, r"(?m)^all +100 +100 +0$")
        self.assertIn("100", result.stderr)

    def test_a_stopped_demo_sums_up(self):
        # What it prints comes at once, into a pipe too.
        with self.running("demo", "--seconds", "600", stdout=subprocess.PIPE) as demo:
            while "widest so far" not in demo.process.stdout.readline():
                self.assertIsNone(demo.process.poll(), demo.log)
            demo.process.terminate()
            summary = demo.process.stdout.read()
            self.assertEqual(0, demo.process.wait(30))
        self.assertRegex(summary, r"handed to strategies +[1-9]")

    def test_stop_signals_end_each_within_a_second(self):
        for name in ("market", "ticker", "demo"):
            self.assert_stops_within_a_second(name, *BROKER)


if __name__ == "__main__":
    unittest.main()
