"""Network namespaces with an address each, on one bridge; all of it within a network of
the process's own, so that nothing is left and nothing of the machine is touched."""

import os
import subprocess
import sys

BRIDGE = "10.77.0.1/24"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def enter():
    """Starts this program again in a network and mount namespace of its own."""
    if os.environ.get("ACTORS_FLEET_INSIDE"):
        prepare()
        return
    flags = ["--net", "--mount"]
    if os.geteuid() != 0:
        flags += ["--user", "--map-root-user"]
    os.environ["ACTORS_FLEET_INSIDE"] = "1"
    if subprocess.run(["unshare", *flags, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        sys.exit("fleet: no network namespaces can be made here: be root, or allow user namespaces")
    os.execvp("unshare", ["unshare", *flags, sys.executable, "-B", *sys.argv])


def prepare():
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "fleet0", "type", "bridge")
    run("ip", "addr", "add", BRIDGE, "dev", "fleet0")
    run("ip", "link", "set", "fleet0", "up")


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

    def command(self, *command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def inside(self, *command):
        run(*self.command(*command))

    def cut(self):
        run("ip", "link", "set", self.link, "down")

    def mend(self):
        run("ip", "link", "set", self.link, "up")

    def delay(self, milliseconds):
        run("tc", "qdisc", "replace", "dev", self.link, "root", "netem", "delay",
            f"{milliseconds}ms")

    def undelay(self):
        run("tc", "qdisc", "del", "dev", self.link, "root")
