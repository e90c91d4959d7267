"""Runs market, ticker and demo as a user does."""

import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("market", "ticker", "demo")

# What each logs once it is at work.
AT_WORK = {"market": "publishing link up", "ticker": "subscribed to", "demo": "subscribed: Kline:"}


def command(name, *arguments):
    return [os.path.join(os.environ["ACTORS_TEST_PROGRAMS"], name), *arguments]


class Running:
    """A program that runs, with the lines of its log so far."""

    def __init__(self, process):
        self.process = process
        self.log = []
        self.changed = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self.read_log)
        self.reader.start()

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def await_log(self, text, seconds=30):
        """Waits until a line of the log holds this text."""
        def said():
            return any(text in line for line in self.log)
        with self.changed:
            self.changed.wait_for(lambda: said() or self.ended, seconds)
            if not said():
                raise AssertionError(f"no '{text}' in the log:\n{''.join(self.log)}")

    def stop(self, number):
        """Sends a signal. Gives back the exit code and how long the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(30)
        return code, time.monotonic() - began


class ProgramsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run_program(self, name, *arguments, seconds=60):
        return subprocess.run(command(name, *arguments), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=seconds)

    @contextmanager
    def running(self, name, *arguments, stdout=subprocess.DEVNULL):
        with subprocess.Popen(command(name, *arguments), stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, text=True) as process:
            program = Running(process)
            try:
                yield program
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
                program.reader.join()

    def assert_ended(self, result, code, *texts):
        """It ended with this exit code and wrote all these texts, good ones to standard
        output and bad ones to standard error."""
        self.assertEqual(code, result.returncode, result.stderr)
        where = result.stdout if code == 0 else result.stderr
        for text in texts:
            self.assertIn(text, where)

    def assert_tells_of_a_full_disk(self, name, *arguments):
        """It says that its output could not be written, and ends as failed."""
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run(command(name, *arguments), stdin=subprocess.DEVNULL,
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(1, result.returncode, result.stderr)
        self.assertRegex(result.stderr, rf"(?m)^{name}: standard output: (No space left|not all)")

    def assert_stops_within_a_second(self, name, *arguments, when=None):
        """It ends well within a second of Ctrl-C, and of SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(program=name, signal=number.name):
                with self.running(name, "--log-level", "info", *arguments) as program:
                    program.await_log(when or AT_WORK[name])
                    code, seconds = program.stop(number)
                self.assertEqual(0, code, "".join(program.log))
                self.assertLess(seconds, 1)
