"""The brokers that the clients are measured on."""

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from harness.programs import ACTORS, BARE, PROJECT, STUB, run

CONTROL = PROJECT / "tests" / "support" / "rabbitmq"


class RabbitMQ:
    """A throw-away broker on free loopback ports."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.queues = 0
        self.url = self.control("start", self.folder).strip().splitlines()[0]
        self.process = int((self.folder / "broker.pid").read_text(encoding="ascii"))
        # A run may publish faster than the tests' small memory limit allows.
        self.control("ctl", self.folder, "-q", "set_vm_memory_high_watermark", "absolute", "4GB")
        self.version = self.control("ctl", self.folder, "-q", "version").strip()

    @staticmethod
    def control(*arguments):
        return run(CONTROL, *arguments, limit=180)

    def add_vhost(self, name):
        """A virtual host of its own; gives back its URL."""
        self.control("ctl", self.folder, "-q", "add_vhost", name)
        self.control("ctl", self.folder, "-q", "set_permissions", "-p", name, "guest",
                     ".*", ".*", ".*")
        return f"{self.url}/{name}"

    def options(self):
        return ["--url", self.url, "--broker-process", self.process]

    def new_queue(self):
        """A name that no former run had: its queue might still be on its way out."""
        self.queues += 1
        return f"bench-{self.queues}"

    def fill(self, count):
        """Fills a queue, and gives back its name."""
        queue = self.new_queue()
        run(BARE, "fill", "--url", self.url, "--count", count, "--queue", queue)
        return queue

    @contextmanager
    def queue(self):
        """A queue that takes what is published meanwhile, and is gone after it."""
        name = self.new_queue()
        run(BARE, "declare", "--url", self.url, "--queue", name)
        try:
            yield name
        finally:
            run(BARE, "drop", "--url", self.url, "--queue", name)


@contextmanager
def rabbitmq():
    with tempfile.TemporaryDirectory(prefix="actors-bench-") as folder:
        try:
            yield RabbitMQ(folder)
        finally:
            RabbitMQ.control("stop", folder)


@contextmanager
def stub(count, kind="book10", *options):
    """The stub broker, for the time that a client is measured on it; gives its URL."""
    process = subprocess.Popen([STUB, "--count", str(count), "--kind", kind, *options],
                               text=True, stdout=subprocess.PIPE)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def client(name):
    """The program of a variant."""
    return {"bare": BARE, "libactors": ACTORS}[name]
