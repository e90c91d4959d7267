"""The parts of the fleet: processes that are started, killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PORT = 5670
# Events a second of each host.
RATE = 200
RABBITMQ = Path(__file__).resolve().parent.parent / "support" / "rabbitmq"
CHAOS_PROXY = RABBITMQ.with_name("chaos_proxy.py")
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

    def await_ready(self, limit):
        pass  # `start` has waited

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

    def await_ready(self, limit):
        pass  # its events show it

    def send(self, what):
        self.process.send_signal(what)

    def resident_bytes(self):
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

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

    def await_ready(self, limit):
        end = time.time() + limit
        while True:
            try:
                socket.create_connection((self.place.address, PORT), 1).close()
                return
            except OSError:
                if time.time() > end:
                    raise
                time.sleep(0.02)


class Proxy:
    """Between a host and a relay, in the host's place; for a network that is slow."""

    def __init__(self, place, address):
        self.place = place
        self.process = subprocess.Popen(place.command(sys.executable, CHAOS_PROXY, address),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        port, self.commands = map(int, self.process.stdout.readline().split())
        self.address = f"127.0.0.1:{port}"

    def command(self, text):
        ask = f"import socket; s = socket.create_connection(('127.0.0.1', {self.commands})); " \
              f"s.sendall(b'{text}\\n'); assert s.recv(64).strip() == b'ok'"
        subprocess.run(self.place.command(sys.executable, "-c", ask), check=True)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Host(Process):
    kind = "strategy host"

    def __init__(self, place, folder, programs, relays, slow=False):
        self.journal = folder / f"{place.name}.journal"
        self.stop_file = folder / "stop"
        addresses = [f"{x.place.address}:{PORT}" for x in relays]
        self.proxies = [Proxy(place, x) for x in addresses] if slow else []
        if slow:
            addresses = [x.address for x in self.proxies]
        centers = [part for x in addresses for part in ("--center", x)]
        super().__init__(place, folder, [
            programs / "fleet_host", "--no-tls", "--log-level", "info", *centers, "--name",
            place.name, "--journal", self.journal, "--stop-file", self.stop_file, "--rate", RATE])

    def stop(self):
        super().stop()
        for x in self.proxies:
            x.stop()


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
        # What was published before all were there is nobody's loss.
        self.complete_since = 0

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
                if (lost := {x for x in self.confirmed[key[1]] - handled
                             if x > self.complete_since * 1e6})}

    def await_nothing_missing(self, limit):
        end = time.time() + limit
        while (lost := self.missing()) and time.time() < end:
            time.sleep(0.05)
        return lost
