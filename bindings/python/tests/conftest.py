"""Helpers: each test gets its own pipe name, starts real processes, and runs under a watchdog."""

import faulthandler
import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

# No test takes more than a few seconds, but the machine may be busy.
LIMIT = 60
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def watchdog():
    """Ends the process with a stack trace of each thread if a test hangs."""
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def name():
    return f"python tests {uuid.uuid4()}"


class Process:
    """A process whose standard output is read line by line, and which is killed at the end of its test."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        self.pid = self.process.pid
        self.kill = self.process.kill
        self.wait = self.process.wait
        self.send_signal = self.process.send_signal

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def expect(self, line):
        got = self.line()
        assert got == line, (got, self.rest())

    def rest(self):
        """The remaining lines, once the process has ended."""
        return self.process.stdout.read().splitlines()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start():
    """Starts processes that are killed at the end of the test."""
    processes = []

    def start(command, **options):
        processes.append(Process(command, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


@pytest.fixture
def python(start):
    """Starts a Python program, given as text. Its `say` writes a line for the test; `sys.argv` holds the arguments."""
    begin = f"""
import faulthandler, sys, time
import blockpipe
faulthandler.dump_traceback_later({LIMIT}, exit=True)
def say(*words):
    print(*words, flush=True)
"""
    return lambda text, *arguments: start([sys.executable, "-c", begin + text, *map(str, arguments)])


@pytest.fixture(scope="session")
def peer_program():
    if program := os.environ.get("BLOCKPIPE_PEER"):
        return program
    subprocess.run(["cargo", "build", "--quiet", "--package", "peer"], cwd=ROOT, check=True)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    found = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)
    return str(Path(found["target_directory"]) / "debug" / "peer")


@pytest.fixture
def rust(start, peer_program):
    """Starts the Rust end (peer/src/main.rs)."""
    return lambda *arguments: start([peer_program, *map(str, arguments)])


class Thread(threading.Thread):
    """A thread that has started; `result` returns its result or raises its exception."""

    def __init__(self, call, *arguments, **keywords):
        super().__init__(daemon=True)
        self.call = lambda: call(*arguments, **keywords)
        self.outcome = self.error = None
        self.start()

    def run(self):
        try:
            self.outcome = self.call()
        except BaseException as error:
            self.error = error

    def result(self, timeout=LIMIT / 2):
        self.join(timeout)
        assert not self.is_alive(), "the thread still waits"
        if self.error is not None:
            raise self.error
        return self.outcome


@pytest.fixture
def thread():
    return Thread


@pytest.fixture
def pair(name):
    """Opens both ends of a pipe in this process."""
    import blockpipe

    def pair(*, block_size=4096, blocks=2, **options):
        tx = blockpipe.Producer(name, block_size=block_size, blocks=blocks, **options)
        return tx, blockpipe.Consumer(name, **options)

    return pair
