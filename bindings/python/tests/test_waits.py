"""Timeouts, Ctrl-C and other threads end waits, and the end can be used afterwards."""

import os
import signal
import time

import blockpipe
import pytest

# A program that waits in one of the calls, and continues after Ctrl-C.
INTERRUPTED = """
name, wait = sys.argv[1:]
def interrupted(call):
    say("waiting")
    try:
        call()
    except KeyboardInterrupt:
        say("interrupted", time.monotonic())
        return
    say("not interrupted")
def leave(end):
    with end:
        pass
def peer(end, **options):
    return end(name, **options)
ends = []
if wait == "join":
    interrupted(lambda: blockpipe.Consumer(name))
    say(blockpipe.inspect(name) is None)
tx = blockpipe.Producer(name, block_size=4096, blocks=1)
if wait == "start":
    interrupted(tx.start)
rx = blockpipe.Consumer(name)
if wait == "receive":
    interrupted(rx.block)
if wait == "receive with a timeout":
    interrupted(lambda: rx.block(timeout=60))
if wait == "loop":
    interrupted(lambda: list(rx))
tx.block().send(1)
if wait == "send":
    interrupted(tx.block)
if wait == "send with a timeout":
    interrupted(lambda: tx.block(timeout=60))
if wait == "finish":
    interrupted(tx.finish)
if wait == "close":
    interrupted(lambda: tx.close(b"a trailer"))
if wait == "leave":
    interrupted(lambda: leave(tx))
    try:
        rx.block().release()
    except blockpipe.Aborted as error:
        say(error)
    sys.exit()
with rx.block() as block:
    say(len(block))
import threading
ending = threading.Thread(target=tx.close, args=[b"a trailer" if wait == "close" else b""])
ending.start()
say(list(rx), rx.trailer.rstrip(b"\\0"))
rx.finish()
ending.join()
say("complete")
"""


@pytest.mark.parametrize(
    "wait",
    ["join", "start", "receive", "receive with a timeout", "loop", "send", "send with a timeout", "finish", "close"],
)
def test_ctrl_c_ends_a_wait_at_once_and_the_end_stays_usable(python, name, wait):
    process = python(INTERRUPTED, name, wait)
    process.expect("waiting")
    # Give the call time to sleep; a signal before that would be noticed just as soon.
    time.sleep(0.2)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    word, at = process.line().split()
    assert word == "interrupted"
    # It takes up to 50 ms; the rest allows for a busy machine.
    assert float(at) - sent < 0.4
    rest = process.rest()
    if wait == "join":
        assert rest.pop(0) == "True", "the name is left"
    assert rest == ["1", "[] b'a trailer'" if wait == "close" else "[] b''", "complete"]


def test_ctrl_c_while_leaving_a_block_aborts(python, name):
    process = python(INTERRUPTED, name, "leave")
    process.expect("waiting")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.line().startswith("interrupted")
    assert process.rest() == ["aborted by the producer: KeyboardInterrupt"]


def test_a_signal_handler_that_raises_nothing_does_not_end_a_wait(pair, thread):
    tx, rx = pair()
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    try:
        def later():
            time.sleep(0.2)
            sent = time.monotonic()
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.2)
            tx.block().send(1)
            return sent

        sending = thread(later)
        assert len(rx.block()) == 1
        assert len(seen) == 1 and seen[0] - sending.result() < 0.15
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_cannot_use_the_end_that_it_interrupted(pair, thread):
    tx, rx = pair()
    caught = []

    def handler(*_):
        for call in [rx.try_block, rx.block, lambda: rx.abort("no")]:
            try:
                call()
            except blockpipe.Misuse as error:
                caught.append(str(error))
        rx.cancel()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        thread(lambda: [time.sleep(0.2), os.kill(os.getpid(), signal.SIGUSR1)])
        with pytest.raises(blockpipe.Canceled):
            rx.block()
        assert len(caught) == 3 and "only cancel() is allowed" in caught[0]
    finally:
        signal.signal(signal.SIGUSR1, before)
    tx.block().send(1)
    assert len(rx.block()) == 1


def test_a_time_limit(pair):
    tx, rx = pair(blocks=1)
    assert rx.try_block() is None
    for call in [rx.block, tx.block]:
        for limit in [0, 0.12]:
            start = time.monotonic()
            with pytest.raises(blockpipe.TimedOut, match="timed out waiting for a"):
                call(timeout=limit)
            assert limit <= time.monotonic() - start < limit + 0.3
        # The second call needs a pipe without empty blocks.
        tx.block(timeout=1).send(1) if call == rx.block else None
    assert tx.try_block() is None
    with pytest.raises(ValueError):
        rx.block(timeout=-1)
    assert len(rx.block(timeout=5)) == 1


def test_other_threads_run_while_one_waits(pair, thread):
    _tx, rx = pair()
    longest, last = 0, time.monotonic()
    waiting = thread(rx.block, timeout=0.6)
    while waiting.is_alive():
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    # This allows for a busy machine.
    assert longest < 0.4
    with pytest.raises(blockpipe.TimedOut):
        waiting.result()


def test_cancel_ends_the_wait_of_another_thread(pair, thread):
    tx, rx = pair(blocks=1)
    tx.block().send(1)
    for end, wait in [(tx, tx.block), (tx, tx.finish), (tx, tx.start)]:
        waiting = thread(wait)
        time.sleep(0.1)
        start = time.monotonic()
        end.cancel()
        with pytest.raises((blockpipe.Canceled, blockpipe.Misuse)):
            waiting.result()
        assert time.monotonic() - start < 0.3
    rx.block().release()
    for call in [rx.block, rx.block]:
        waiting = thread(call)
        time.sleep(0.05)
        rx.cancel()
        # `finish` above has closed the stream, whose end comes before the cancellation.
        with pytest.raises((blockpipe.Canceled, blockpipe.EndOfStream)):
            waiting.result()


def test_cancel_ends_the_next_wait_if_there_is_none(pair):
    _tx, rx = pair()
    rx.cancel()
    with pytest.raises(blockpipe.Canceled, match="canceled"):
        rx.block()
    with pytest.raises(blockpipe.TimedOut):
        rx.block(timeout=0.1)


def test_blocks_are_released_and_sent_while_another_thread_waits(pair, thread):
    tx, rx = pair(blocks=2)
    for n in range(2):
        tx.block().send(n + 1)
    held = [rx.block(), rx.block()]
    # All blocks are held: both wait until another thread releases one.
    waiting = thread(tx.block)
    time.sleep(0.1)
    held.pop(0).release()
    block = waiting.result()
    receiving = thread(rx.block)
    time.sleep(0.1)
    start = time.monotonic()
    # This thread uses the end while the other one waits on it.
    held.pop().release()
    assert rx.at_end is False and rx.snapshot().waiting_blocks == 0
    assert time.monotonic() - start < 0.3
    block.send(3)
    assert len(receiving.result()) == 3


def test_dropping_the_last_view_releases_a_block_while_another_thread_waits(pair, thread):
    tx, rx = pair(blocks=3)
    tx.block().send(1)
    with rx.block() as block:
        view = memoryview(block)
    tx.block().send(2)
    rx.block().release()
    receiving = thread(rx.block)
    time.sleep(0.1)
    last = tx.block()
    # The first block is still in use, and holds up the second one.
    assert tx.snapshot().waiting_blocks == 2
    view.release()
    tx.block(timeout=5)
    last.send(3)
    assert len(receiving.result()) == 3


def test_one_thread_waits_at_a_time(pair, thread):
    tx, rx = pair()
    waiting = thread(rx.block)
    time.sleep(0.1)
    with pytest.raises(blockpipe.Misuse, match="another thread"):
        rx.block()
    tx.block().send(1)
    assert len(waiting.result()) == 1


def test_another_thread_can_abort_while_one_waits(pair, thread):
    tx, rx = pair()
    waiting = thread(rx.block)
    time.sleep(0.1)
    rx.abort("enough")
    with pytest.raises(blockpipe.Over):
        waiting.result()
    with pytest.raises(blockpipe.Aborted, match="enough"):
        tx.finish()
