"""Options, files and what the programs say of bad ones."""

import gzip
import subprocess
import time
import unittest
from pathlib import Path

from programs import PROGRAMS, ProgramsTest


class Test(ProgramsTest):
    def test_help_shows_options_examples_and_exit_codes(self):
        own = {
            "market": ["--file", "--speed", "--rate", "--symbol-map", "1|N|max"],
            "ticker": ["--json", "--count", "[KEY...]", "Exchange:routing.key"],
            "demo": ["--seconds", "--rate", "--seed"],
        }
        for name in PROGRAMS:
            with self.subTest(program=name):
                result = self.run_program(name, "--help")
                self.assert_ended(result, 0, f"Usage: {name} ", "--broker", "--config",
                                  "--log-level", "--wait", "Examples:", "Exit codes:", *own[name])
                self.assertEqual("", result.stderr)

    def test_scripts_show_their_header_before_they_build(self):
        scripts = Path(__file__).resolve().parents[2] / "scripts"
        for name in ("test", "poison", "soak", "fleet", "bench", "demo", "build", "simulate"):
            for option in ("-h", "--help"):
                with self.subTest(script=name, option=option):
                    result = subprocess.run([scripts / name, "--only", "x", option], cwd="/",
                                            capture_output=True, text=True, timeout=30)
                    self.assertEqual((0, ""), (result.returncode, result.stderr))
                    self.assertIn(f"\n  scripts/{name}", result.stdout)
                    self.assertNotIn("#", result.stdout)

    def test_version_names_the_program(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                result = self.run_program(name, "--version")
                self.assert_ended(result, 0)
                self.assertRegex(result.stdout, rf"\A{name} \d+\.\d+\.\d+\n\Z")

    def test_mistakes_are_named(self):
        """Each ends with 2 before anything is connected, and says what is wrong."""
        file = self.file("trades.csv", "time,price,quantity,action\n")
        mistakes = [
            (("market", "--speed", "fast"), "--speed", "'fast'", "max"),
            (("market", "--speed", "0"), "--speed", "'0'"),
            (("market", "--rate", "-1"), "--rate", "'-1' is not a positive number"),
            (("market", "--seconds", "1e300"), "--seconds", "'1e300'"),
            (("market", "--levels", "0"), "--levels", "0"),
            (("market", "--symbol", "BTC/USDT"), "--symbol", "--file"),
            (("market", "--symbols", "A/B", "--file", file), "--symbols", "--file"),
            (("market", "--symbol-map", "BTCUSDT", "--file", file), "--symbol-map", "'BTCUSDT'"),
            (("market", "--symbols", ",,", "--seconds", "0.3"), "--symbols", "',,'"),
            (("market", "--symbols", "", "--seconds", "0.3"), "--symbols", "''"),
            (("market", "--symbols", "BTC/USDT,"), "--symbols", "'BTC/USDT,'"),
            (("market", "--symbols", "--seconds", "0.3"), "--symbols"),
            (("market", "--platform", "--seconds", "0.3"), "--platform"),
            (("ticker", "--center", "localhost:1", "--count", "5"), "--count", "--json"),
            (("ticker", "--center", "localhost:1", "--no-tls", "Trade"), "'Trade'"),
            (("ticker", "--no-tls", "--center", "localhost:1", "Trade"), "'Trade'"),
            (("ticker", "--count", "5"), "--count", "--json"),
            (("ticker", "--json", "--count", "none"), "--count", "'none'"),
            (("ticker", "Trade"), "'Trade'", "Exchange:routing.key"),
            (("ticker", "Trade:" + "x" * 256), "'Trade'", "256 bytes"),
            (("demo", "--seconds", "0"), "--seconds", "'0'"),
            (("demo", "everything"), "everything"),
        ] + [
            ((name, *arguments), *texts) for name in PROGRAMS for arguments, *texts in [
                (["--nonsense"], "--nonsense", "--help"),
                (["--log-level", "loud"], "--log-level", "loud", "warning"),
                (["--wait", "-1"], "--wait", "'-1'"),
                (["--broker", "http://localhost"], "broker URL", "amqp://"),
                (["--broker", "amqp://localhost:port"], "broker URL"),
            ]
        ]
        for arguments, *texts in mistakes:
            with self.subTest(arguments=arguments):
                result = self.run_program(*arguments)
                self.assert_ended(result, 2, f"{arguments[0]}: ", *texts)
                self.assertEqual("", result.stdout)

    def test_what_cannot_be_written_is_told(self):
        for arguments in (["--help"], ["--version"]):
            for name in PROGRAMS:
                with self.subTest(program=name, arguments=arguments):
                    self.assert_tells_of_a_full_disk(name, *arguments)

    def test_no_error_shows_a_password(self):
        for url in ("amqp://u:12345/hush@localhost", "amqp://u:12345?hush@localhost",
                    "amqp://u:12345#hush@localhost", "amqp://u:hush@localhost:hush",
                    "u:hush@localhost"):
            for name in PROGRAMS:
                with self.subTest(program=name, url=url):
                    result = self.run_program(name, "--broker", url, "--wait", "1")
                    self.assert_ended(result, 2, f"{name}: broker URL: ")
                    self.assertNotIn("hush", result.stdout + result.stderr)

    def test_bad_configs_are_named(self):
        configs = [
            (str(self.folder / "missing.json"), "No such file"),
            (str(self.folder), "folder"),
            (self.file("cut.json", '{"RABBITMQ": {'), "line 1"),
            (self.file("list.json", "[]"), "object"),
            (self.file("slip.json", '{"RABBITMQ": {"tsl": {}}}'), "RABBITMQ.tsl", '"tls"'),
            (self.file("port.json", '{"RABBITMQ": {"port": 70000}}'), "RABBITMQ.port", "70000"),
        ]
        for name in PROGRAMS:
            for path, *texts in configs:
                with self.subTest(program=name, config=path):
                    result = self.run_program(name, "--config", path)
                    self.assert_ended(result, 2, f"{name}: ", path, *texts)

    def test_bad_recordings_are_named(self):
        cut = self.folder / "cut.txt.gz"
        cut.write_bytes(gzip.compress(b"1 {}\n" * 100000)[:100])
        files = [
            (str(self.folder / "missing.txt"), "No such file"),
            (str(self.folder), "folder"),
            (str(cut), "cannot read"),
            (self.file("empty.txt", ""), "no event"),
            (self.file("hold.csv", "time,price,quantity,action\n1,2,3,HOLD\n"), "line 2", "HOLD"),
        ]
        for path, *texts in files:
            with self.subTest(file=path):
                result = self.run_program("market", "--broker", "memory:", "--speed", "max",
                                          "--symbol", "BTC/USDT", "--file", path)
                self.assert_ended(result, 1, "market: ", path, *texts)

    def test_a_broker_that_is_not_there_is_waited_for(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                began = time.monotonic()
                result = self.run_program(name, "--wait", "1", "--broker",
                                          "amqp://me:hunter2@127.0.0.1:1")
                self.assert_ended(result, 1, f"{name}: ", "127.0.0.1:1", "within 1 s", "refused")
                self.assertNotIn("hunter2", result.stderr)
                self.assertLess(time.monotonic() - began, 5)

    def test_stop_signals_end_the_wait_for_a_broker(self):
        for name in PROGRAMS:
            self.assert_stops_within_a_second(name, "--broker", "amqp://127.0.0.1:1",
                                              when="waiting for the broker")


if __name__ == "__main__":
    unittest.main()
