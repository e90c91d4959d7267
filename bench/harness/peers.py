"""The clients that Debian packages, each doing the same work. One that is not
installed is reported as not measured."""

import os
import shutil
from pathlib import Path

from harness.programs import BUILD, PEERS, PYTHON, Failed, figures, run

FOLDER = BUILD / "peers"
JARS = [f"/usr/share/java/{name}.jar" for name in ("amqp-client", "slf4j-api", "slf4j-nop")]
GO_SOURCES = Path("/usr/share/gocode")
GO_CLIENT = GO_SOURCES / "src/github.com/rabbitmq/amqp091-go"


def texts():
    """The events that peers publish, as a file."""
    path = FOLDER / "texts"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(run(BUILD / "bin" / "bench_bare", "texts"), encoding="utf-8")
    return path


def aioquant(command, *options):
    return figures(PYTHON, "-B", PEERS / "aioquant.py", command, "--texts", texts(), *options)


def pika(command, *options):
    return figures(PYTHON, "-B", PEERS / "pika_loop.py", command, "--texts", texts(), *options)


def go_program():
    program = FOLDER / "go_peer"
    source = PEERS / "go" / "main.go"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    if not shutil.which("go") or not GO_CLIENT.is_dir():
        raise Failed("not installed: golang-go, golang-github-rabbitmq-amqp091-go-dev")
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.update(GOPATH=str(GO_SOURCES), GO111MODULE="off", GOCACHE=str(FOLDER / "go_cache"),
                      GOFLAGS="")
    run("go", "build", "-o", program, source, limit=300)
    return program


def go(command, *options):
    return figures(go_program(), command, "--texts", texts(), *options)


def java_classes():
    source = PEERS / "java" / "Peer.java"
    compiled = FOLDER / "Peer.class"
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        if not shutil.which("javac") or not Path(JARS[0]).exists():
            raise Failed("not installed: default-jdk-headless, librabbitmq-client-java")
        run("javac", "-cp", JARS[0], "-d", FOLDER, source, limit=120)
    return ":".join([str(FOLDER), *JARS])


def java(command, *options):
    return figures("java", "-cp", java_classes(), "Peer", command, "--texts", texts(), *options)
