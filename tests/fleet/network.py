"""Network namespaces with an address each, on one bridge; all of it within a network of
the process's own, so that nothing is left and nothing of the machine is touched."""

import os
import subprocess
import sys

BRIDGE = "10.77.0.1/24"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


FLAGS = ["--net", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
TRY = "mount -t tmpfs tmpfs /run && ip link add x type bridge"


def possible():
    """Whether the machine lets us make networks."""
    if os.environ.get("ACTORS_FLEET_INSIDE"):
        return True
    return subprocess.run(["unshare", *FLAGS, "sh", "-c", TRY], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def enter():
    """Starts this program again in a network and mount namespace of its own."""
    if os.environ.get("ACTORS_FLEET_INSIDE"):
        prepare()
        return
    if not possible():
        sys.exit("fleet: no network namespaces can be made here: be root, or allow user namespaces")
    os.environ["ACTORS_FLEET_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", *FLAGS, sys.executable, "-B", *sys.argv])


def prepare():
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "fleet0", "type", "bridge")
    run("ip", "addr", "add", BRIDGE, "dev", "fleet0")
    run("ip", "link", "set", "fleet0", "up")


PLACES = []


def remove_places():
    for x in PLACES:
        run("ip", "netns", "del", x.name)
        # It goes with the last process in there.
        subprocess.run(["ip", "link", "del", x.link], stderr=subprocess.DEVNULL, check=False)
    PLACES.clear()


class Place:
    """A network namespace with an address."""

    def __init__(self, name, number):
        self.name = name
        self.address = f"10.77.0.{number}"
        self.link = f"veth{number}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", self.link, "master", "fleet0", "up")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "link", "set", "lo", "up")
        PLACES.append(self)

    def command(self, *command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def inside(self, *command):
        run(*self.command(*command))

    def cut(self):
        run("ip", "link", "set", self.link, "down")

    def mend(self):
        run("ip", "link", "set", self.link, "up")
