"""The programs that are measured, and how one of them is run."""

import json
import os
import subprocess
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BUILD = PROJECT / "build-bench"
PEERS = PROJECT / "bench" / "peers"
# Debian's own: python3-aioamqp and python3-pika belong to it.
PYTHON = "/usr/bin/python3"

BARE = str(BUILD / "bin" / "bench_bare")
ACTORS = str(BUILD / "bin" / "bench_actors")
STUB = str(BUILD / "bin" / "bench_stub")
LOAD = str(BUILD / "bin" / "bench_load")
MICRO = str(BUILD / "bin" / "bench_micro")


class Failed(Exception):
    """A program ended otherwise than with its figures."""


def environment():
    # So that a program can count from the moment it was started.
    return dict(os.environ, BENCH_STARTED_AT=str(time.monotonic_ns()))


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""


def run(*command, limit=60):
    """Runs a program to its end; gives back what it printed."""
    command = [str(x) for x in command]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True,
                              timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[0]).name} was not done in {limit} s") from None
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name}: {last_line(done.stderr)}")
    return done.stdout


def figures(*command, limit=60):
    """The figures that a program prints as its last line."""
    return figures_in(run(*command, limit=limit), command)


def figures_in(output, command):
    lines = output.strip().splitlines()
    if not lines:
        raise Failed(f"no figures from {Path(command[0]).name}")
    return json.loads(lines[-1])


def start(*command):
    """Starts a program whose figures are asked for later."""
    return subprocess.Popen([str(x) for x in command], env=environment(), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, limit=60):
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed(f"{Path(process.args[0]).name} was not done in {limit} s") from None
    if process.returncode != 0:
        raise Failed(f"{Path(process.args[0]).name}: {last_line(errors)}")
    return figures_in(output, process.args)
