"""The relay and those who use it, and those who should not."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path

from programs import ProgramsTest

CERTIFICATES = Path(__file__).resolve().parent.parent / "support" / "certificates"
LISTENING = "relay: listening on 127.0.0.1:"


class Test(ProgramsTest):
    def relay(self, *arguments):
        """A relay with a broker in its own process."""
        return self.running("relay", "--broker", "memory:", "--listen", "127.0.0.1:0", *arguments)

    @staticmethod
    def port_of(relay):
        relay.await_log(LISTENING)
        line = next(x for x in relay.log if LISTENING in x)
        return int(line.rsplit(":", 1)[1].split()[0])

    def center(self, port, *tls):
        return ("--center", f"127.0.0.1:{port}", *(tls or ["--no-tls"]))

    def certificates(self):
        folder = self.folder / "certificates"
        subprocess.run([CERTIFICATES, folder], check=True, stdout=subprocess.DEVNULL)
        return folder

    @staticmethod
    def shown(folder, name, authority="authority"):
        return ("--tls-cacertfile", str(folder / f"{authority}.pem"), "--tls-certfile",
                str(folder / f"{name}.pem"), "--tls-keyfile", str(folder / f"{name}.key"))

    def assert_events_pass(self, port, *tls):
        """A market's events reach a ticker, both on the far side of the relay."""
        with self.running("ticker", *self.center(port, *tls), "--json", "--count", "100",
                          stdout=subprocess.PIPE) as ticker:
            ticker.await_log("subscribed to")
            result = self.run_program("market", *self.center(port, *tls), "--count", "200",
                                      "--speed", "max", "--json")
            self.assert_ended(result, 0)
            self.assertEqual(200, json.loads(result.stdout)["confirmed"])
            lines = ticker.process.stdout.read().splitlines()
            self.assertEqual(0, ticker.process.wait(30))
        self.assertEqual(100, len(lines))
        self.assertEqual({"exchange", "routing_key", "name", "data"}, set(json.loads(lines[0])))

    def test_events_pass_both_ways(self):
        with self.relay("--no-tls") as relay:
            self.assert_events_pass(self.port_of(relay))
            code, seconds = relay.stop(signal.SIGTERM)
        self.assertEqual(0, code)
        self.assertLess(seconds, 1)

    def test_events_pass_over_tls(self):
        folder = self.certificates()
        with self.relay(*self.shown(folder, "server")) as relay:
            self.assert_events_pass(self.port_of(relay), *self.shown(folder, "client"))

    def test_whoever_has_no_certificate_of_ours_is_refused(self):
        folder = self.certificates()
        with self.relay(*self.shown(folder, "server")) as relay:
            port = self.port_of(relay)
            for tls, why in (
                    (("--tls-cacertfile", str(folder / "authority.pem")), "certificate required"),
                    (self.shown(folder, "client-foreign"), "unknown ca"),
                    (self.shown(folder, "client-expired"), "certificate expired"),
                    (self.shown(folder, "client", "foreign-authority"), "not trusted"),
                    (("--no-tls",), "TLS on both sides or none")):
                with self.subTest(why=why):
                    result = self.run_program("ticker", *self.center(port, *tls), "--wait", "1")
                    self.assert_ended(result, 1, why)
            # None of them has hurt those who may.
            self.assert_events_pass(port, *self.shown(folder, "client"))
            relay.await_log("peer did not return a certificate")

    def test_a_relay_asks_for_its_certificates(self):
        self.assert_ended(self.run_program("relay"), 2, "--no-tls", "certfile")
        folder = self.certificates()
        wrong = ("--tls-cacertfile", str(folder / "authority.pem"), "--tls-certfile",
                 str(folder / "server.pem"), "--tls-keyfile", str(folder / "client.key"))
        self.assert_ended(self.run_program("relay", *wrong), 2, "cannot load private key",
                          "client.key")
        self.assert_ended(self.run_program("relay", "--no-tls", "--tls-certfile", "x"), 2,
                          "excludes")

    def test_an_address_that_cannot_be_had(self):
        for where in ("192.0.2.1:5670", "127.0.0.1:1x", ""):
            result = self.run_program("relay", "--no-tls", "--broker", "memory:", "--listen", where)
            self.assertIn(result.returncode, (1, 2), result.stderr)
            self.assertIn("listen", result.stderr)

    def test_garbage_is_harmless(self):
        with self.relay("--no-tls") as relay:
            port = self.port_of(relay)
            for words in (b"GET / HTTP/1.1\r\n\r\n", b"AMQP\0\0\x09\x01", os.urandom(5_000),
                          b"\0\0\0\x05hello", b"\xff\xff\xff\xff" + bytes(1_000)):
                with socket.create_connection(("127.0.0.1", port), 10) as peer:
                    peer.settimeout(10)
                    peer.sendall(words)
                    while True:
                        try:
                            if not peer.recv(4096):
                                break
                        except ConnectionResetError:
                            break
            relay.await_log("refused: protocol_error: no hello of libactors")
            self.assert_events_pass(port)

    def test_half_a_handshake_costs_nothing(self):
        folder = self.certificates()
        for options, tls in ((("--no-tls",), ()),
                             (self.shown(folder, "server"), self.shown(folder, "client"))):
            with self.relay(*options) as relay:
                port = self.port_of(relay)
                idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
                for x in idle[:10]:
                    x.sendall(b"\x16\x03\x01" if tls else b"\0\0")
                self.assert_events_pass(port, *tls)
                for x in idle:
                    x.close()
                relay.await_log("left without a hello")

    @staticmethod
    def cpu_seconds(process):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def ended(peer, seconds=20):
        """Waits until the relay closes a connection."""
        peer.settimeout(seconds)
        try:
            while peer.recv(4096):
                pass
        except ConnectionResetError:
            pass

    def test_strangers_that_only_connect_cost_no_cpu_and_keep_nobody_out(self):
        folder = self.certificates()
        for options, tls in ((("--no-tls",), ()),
                             (self.shown(folder, "server"), self.shown(folder, "client"))):
            with self.relay(*options, "--max-strangers", "30", "--max-links", "6") as relay:
                port = self.port_of(relay)
                idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
                self.assert_events_pass(port, *tls)
                # The first went at once, the others when their time was over: nothing was
                # said to them, and nothing is tried again and again.
                for x in idle:
                    self.ended(x)
                before = self.cpu_seconds(relay.process)
                time.sleep(2)
                self.assertLess(self.cpu_seconds(relay.process) - before, 0.5)
                self.assertLess(len([x for x in relay.log if " refused: " in x]), 8)
                for x in idle:
                    x.close()

    def test_a_relay_without_file_descriptors_waits_for_one(self):
        with self.relay("--no-tls", "--max-strangers", "1000") as relay:
            port = self.port_of(relay)
            self.assert_events_pass(port)
            open_files = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
            before = resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE,
                             (open_files + 10, before[1]))
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
            relay.await_log("no connection can be accepted: Too many open files")
            cpu = self.cpu_seconds(relay.process)
            time.sleep(3)
            self.assertLess(self.cpu_seconds(relay.process) - cpu, 0.5)
            self.assertEqual(1, len([x for x in relay.log if "no connection can be" in x]))
            for x in idle:
                x.close()
            self.assert_events_pass(port)

    def test_there_are_no_more_links_than_allowed(self):
        with self.relay("--no-tls", "--max-links", "2") as relay:
            port = self.port_of(relay)
            with self.running("ticker", *self.center(port), "--json") as first:
                first.await_log("subscribed to")
                result = self.run_program("ticker", *self.center(port), "--wait", "1")
                self.assert_ended(result, 1, "the relay has 2 links")

    def test_a_message_that_is_too_large_is_refused(self):
        with self.relay("--no-tls", "--max-message", "8192") as relay:
            port = self.port_of(relay)
            result = self.run_program("market", *self.center(port), "--levels", "1000", "--count",
                                      "5", "--speed", "max", "--json")
            self.assertEqual(1, result.returncode, result.stderr)
            self.assertLess(json.loads(result.stdout)["confirmed"], 5)
            self.assertIsNone(relay.process.poll())

    def test_a_relay_that_comes_back_is_found_again(self):
        with self.relay("--no-tls") as relay:
            port = self.port_of(relay)
            with self.running("ticker", *self.center(port), "--json") as ticker:
                ticker.await_log("ticker: subscribed to")
                relay.process.kill()
                relay.process.wait()
                ticker.await_log("consuming link lost: ")
                ticker.await_log("the relay closed the TCP connection")
                with self.running("relay", "--broker", "memory:", "--listen",
                                  f"127.0.0.1:{port}", "--no-tls") as second:
                    second.await_log("actors consuming'")
                    ticker.await_log("consuming link up")

    def test_a_reader_that_stops_does_not_fill_the_memory(self):
        with self.relay("--no-tls") as relay:
            port = self.port_of(relay)
            with self.running("ticker", *self.center(port), "--json") as stuck:
                stuck.await_log("subscribed to")
                stuck.process.send_signal(signal.SIGSTOP)
                self.assert_events_pass(port)
                result = self.run_program("market", *self.center(port), "--count", "60000",
                                          "--speed", "max", "--json")
                self.assert_ended(result, 0)
                pages = int(Path(f"/proc/{relay.process.pid}/statm").read_text().split()[1])
                self.assertLess(pages * os.sysconf("SC_PAGE_SIZE"), 150 * 1024 * 1024)
                relay.await_log("lost: heartbeat_timeout")
                stuck.process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
