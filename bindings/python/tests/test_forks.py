"""Forked processes, and processes started by `multiprocessing`."""

import multiprocessing
import os
import threading
import time
import warnings

import blockpipe
import pytest

# These tests fork while other threads run, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def use(results, tx, rx, filled, empty, name):
    """Tries every method of the parent's ends and blocks in a forked child."""
    calls = {
        "tx.block": tx.block,
        "tx.try_block": tx.try_block,
        "tx.start": tx.start,
        "tx.finish": tx.finish,
        "tx.abort": lambda: tx.abort("by a child"),
        "tx.detach": tx.detach,
        "tx.fileno": tx.fileno,
        "tx.snapshot": tx.snapshot,
        "rx.block": rx.block,
        "rx.try_block": rx.try_block,
        "rx.begin": rx.begin,
        "rx.finish": rx.finish,
        "rx.abort": lambda: rx.abort("by a child"),
        "rx.skip_to_latest": rx.skip_to_latest,
        "rx.skip_all": rx.skip_all,
        "rx.peer": lambda: rx.peer,
        "rx.at_end": lambda: rx.at_end,
        "next": lambda: next(rx),
        "release": filled.release,
        "send": empty.send,
        "memoryview": lambda: memoryview(filled),
        "writable memoryview": lambda: memoryview(empty),
    }
    for word, call in calls.items():
        try:
            call()
        except blockpipe.Forked:
            continue
        except BaseException as error:
            results.put(f"{word}: {error!r}")
        else:
            results.put(f"{word}: allowed")
    tx.cancel()
    rx.cancel()
    results.put("done")


def test_a_forked_child_is_refused_and_the_parent_continues(pair, thread, name):
    tx, rx = pair(blocks=3)
    tx.block().send(1)
    filled = rx.block()
    empty = tx.block()
    # A thread is waiting while the process forks: the child has its locks, but not the thread.
    waiting = thread(rx.block)
    time.sleep(0.1)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    child = fork.Process(target=use, args=(results, tx, rx, filled, empty, name))
    child.start()
    assert results.get() == "done"
    child.join()
    assert child.exitcode == 0

    # Both seats are still taken, and the stream continues.
    for end in [blockpipe.Producer, blockpipe.Consumer]:
        with pytest.raises(blockpipe.TooManyInstances):
            end(name)
    empty.send(2)
    filled.release()
    block = waiting.result()
    assert len(block) == 2
    block.release()
    finishing = thread(tx.finish)
    assert list(rx) == []
    rx.finish()
    finishing.result()


def test_a_child_that_drops_everything_harms_nobody(pair):
    tx, rx = pair()
    block = tx.block()
    view = memoryview(block)
    child = os.fork()
    if child == 0:
        # The child does not have the memory, and must not touch it when it drops these objects.
        del view, block, tx, rx
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    view[:2] = b"ok"
    view.release()
    block.send(2)
    assert bytes(rx.block()) == b"ok"


def sender(name):
    with blockpipe.Producer(name, block_size=4096, blocks=2) as tx:
        for n in range(50):
            block = tx.block()
            memoryview(block)[:1] = bytes([n])
            block.send(1)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_opens_its_own_end(name, method):
    child = multiprocessing.get_context(method).Process(target=sender, args=(name,))
    child.start()
    with blockpipe.Consumer(name) as rx:
        assert [bytes(block)[0] for block in rx] == list(range(50))
    child.join()
    assert child.exitcode == 0


def test_an_end_cannot_be_sent_to_another_process(pair):
    tx, rx = pair()
    block = tx.block()
    for thing in [tx, rx, block]:
        with pytest.raises(TypeError, match="cannot pickle"):
            multiprocessing.get_context("spawn").Process(target=print, args=(thing,)).start()
