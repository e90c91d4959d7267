"""What happens to one part of the fleet does not hurt the others."""

import os
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path

import fleet
import network

# A silent peer is given up after three seconds.
NOTICED = 6
MIB = 1024 * 1024


class Test(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="actors-fleet-")
        self.addCleanup(folder.cleanup)
        self.addCleanup(network.remove_places)
        programs = Path(os.environ["ACTORS_TEST_PROGRAMS"])
        slow = ["host-2"] if "slow" in self.id() else []
        self.broker, self.relays, self.hosts = fleet.build(Path(folder.name), programs, slow)
        self.fleet = fleet.Fleet(self.broker, self.relays, self.hosts)
        self.addCleanup(self.fleet.stop)
        self.journals = self.fleet.journals
        self.fleet.start()

    def assert_all_run(self, limit, but=()):
        since = time.time()
        self.assertIsNotNone(self.journals.await_fresh(since, limit, but), f"not within {limit} s")

    def assert_nothing_lost(self):
        lost = self.fleet.finish()
        self.assertFalse(lost, {key: len(x) for key, x in lost.items()})

    def assert_others_run(self, seconds, but):
        """For so long, no pair of the others waits for longer than a moment."""
        end = time.time() + seconds
        while time.time() < end:
            self.assert_all_run(1, but)

    def assert_lost(self, host):
        """A relay has given the host up."""
        text = "".join(x.log.read_text(encoding="utf-8") for x in self.relays)
        self.assertIn(f"'{host.name} consuming' lost: heartbeat_timeout", text)

    def test_each_part_is_killed_once(self):
        fleet.play(self.fleet, [self.fleet.parts])
        self.assert_nothing_lost()

    def test_a_stopped_host_costs_the_others_nothing(self):
        host = self.hosts[0]
        host.send(signal.SIGSTOP)
        self.assert_others_run(NOTICED, but=[host.name])
        self.assert_lost(host)
        for x in self.relays:
            self.assertLess(x.resident_bytes(), 100 * MIB)
        host.send(signal.SIGCONT)
        self.assert_all_run(NOTICED)
        self.assert_nothing_lost()

    def test_a_host_that_was_cut_off_comes_back(self):
        host = self.hosts[2]
        host.place.cut()
        self.assert_others_run(NOTICED, but=[host.name])
        self.assert_lost(host)
        host.place.mend()
        self.assert_all_run(2 * NOTICED)
        self.assert_nothing_lost()

    def test_a_relay_that_was_cut_off_is_left_for_the_other(self):
        self.relays[0].place.cut()
        self.assert_all_run(2 * NOTICED)
        self.relays[0].place.mend()
        self.assert_all_run(NOTICED)
        self.assert_nothing_lost()

    def test_a_stopped_relay_is_left_for_the_other(self):
        self.relays[0].send(signal.SIGSTOP)
        self.assert_all_run(2 * NOTICED)
        self.relays[0].send(signal.SIGCONT)
        self.assert_all_run(NOTICED)
        self.assert_nothing_lost()

    def test_a_slow_link_delays_only_what_it_carries(self):
        host = self.hosts[1]
        for x in host.proxies:
            x.command("delay 30")
        self.assert_others_run(3, but=[host.name])
        self.assert_all_run(NOTICED)
        self.assert_nothing_lost()


if __name__ == "__main__":
    if not network.possible():
        print("SKIPPED: no network namespaces can be made here")
        sys.exit(0)
    network.enter()
    unittest.main()
