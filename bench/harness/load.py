"""Other programs on the same cores: a trading host is busy when it matters."""

import os
import subprocess
from contextlib import contextmanager

from harness.programs import LOAD

# How busy the machine is: its name, and what keeps it so. Its programs have the priority of all.
NONE = ""
HALF = "half a core busy"
FULL = "all cores busy"

OPTIONS = {HALF: ["--threads", "1", "--share", "0.5"],
           FULL: ["--threads", str(os.cpu_count()), "--share", "1"]}


@contextmanager
def beside(load):
    """Keeps the machine busy, for the time that something is measured."""
    if load == NONE:
        yield
        return
    process = subprocess.Popen([LOAD, *OPTIONS[load]])
    try:
        yield
    finally:
        process.terminate()
        process.wait()
