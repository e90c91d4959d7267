"""The parts of the fleet: processes that are started, killed and started again."""

import os
import signal
import subprocess
import time
from pathlib import Path

PORT = 5670
RABBITMQ = Path(__file__).resolve().parent.parent / "support" / "rabbitmq"
EXCHANGE = ("eval", "rabbit_exchange:declare(rabbit_misc:r(<<\"/\">>, exchange, <<\"Numbered\">>),"
            " topic, true, false, false, [], <<\"fleet\">>).")


class Broker:
    """RabbitMQ, with an exchange that survives."""

    kind = "broker"

    def __init__(self, place, folder):
        self.name = place.name
        self.place = place
        self.folder = folder
        self.url = self.control("start").splitlines()[0].replace("127.0.0.1", place.address)
        self.control("ctl", *EXCHANGE)

    def control(self, command, *more):
        environment = dict(os.environ, ACTORS_TEST_BROKER_ADDRESS="0.0.0.0")
        return subprocess.run(
            self.place.command(RABBITMQ, command, self.folder, *more), check=True, text=True,
            stdout=subprocess.PIPE, env=environment).stdout

    def kill(self):
        self.control("kill")

    def start(self):
        self.control("restart")

    def stop(self):
        self.control("stop")


class Process:
    """A program in a place, with a log."""

    def __init__(self, place, folder, command):
        self.name = place.name
        self.place = place
        self.log = folder / f"{place.name}.log"
        self.command = command
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.place.command(*self.command), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)

    def send(self, what):
        self.process.send_signal(what)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if not self.process:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Relay(Process):
    kind = "relay"

    def __init__(self, place, folder, programs, broker_url):
        super().__init__(place, folder, [programs / "relay", "--no-tls", "--broker", broker_url,
                                         "--listen", f"{place.address}:{PORT}"])


class Host(Process):
    kind = "strategy host"

    def __init__(self, place, folder, programs, relays):
        self.journal = folder / f"{place.name}.journal"
        self.stop_file = folder / "stop"
        centers = [part for x in relays for part in ("--center", f"{x.place.address}:{PORT}")]
        super().__init__(place, folder, [
            programs / "fleet_host", "--no-tls", *centers, "--name", place.name, "--journal",
            self.journal, "--stop-file", self.stop_file])


class Journals:
    """What all hosts have written, as far as it was read."""

    def __init__(self, hosts):
        self.files = {x.name: x.journal for x in hosts}
        self.offsets = {x: 0 for x in self.files}
        self.confirmed = {x: set() for x in self.files}
        # By host and publisher.
        self.handled = {(x, y): set() for x in self.files for y in self.files}
        self.latest = {x: 0 for x in self.handled}
        self.twice = 0

    def read(self):
        for host, path in self.files.items():
            if not path.exists():
                continue
            with open(path, encoding="ascii") as file:
                file.seek(self.offsets[host])
                text = file.read()
            whole = text[:text.rfind("\n") + 1]
            self.offsets[host] += len(whole)
            for line in whole.splitlines():
                self.note(host, *line.split())

    def note(self, host, what, publisher, number):
        number = int(number)
        if what == "confirmed":
            self.confirmed[publisher].add(number)
            return
        key = host, publisher
        self.twice += number in self.handled[key]
        self.handled[key].add(number)
        self.latest[key] = max(self.latest[key], number)

    def all_fresh(self, since, but=()):
        """Whether every host has handled what every host published after a moment."""
        self.read()
        return all(x > since * 1e6 for (host, publisher), x in self.latest.items()
                   if host not in but and publisher not in but)

    def await_fresh(self, since, limit, but=()):
        """How long that took; None if it did not happen."""
        while not self.all_fresh(since, but):
            if time.time() - since > limit:
                return None
            time.sleep(0.01)
        return time.time() - since

    def missing(self):
        """What was confirmed and is not handled, by host and publisher."""
        self.read()
        return {key: lost for key, handled in self.handled.items()
                if (lost := self.confirmed[key[1]] - handled)}

    def await_nothing_missing(self, limit):
        end = time.time() + limit
        while (lost := self.missing()) and time.time() < end:
            time.sleep(0.05)
        return lost
