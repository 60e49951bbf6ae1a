"""The ways in which a pipe ends."""

import blockpipe
import pytest


def test_a_with_block_without_an_exception_finishes(pair, thread):
    tx, rx = pair()

    def produce():
        with tx:
            tx.block().send(1)

    sending = thread(produce)
    with rx:
        assert [len(block) for block in rx] == [1]
    sending.result()
    for end in [tx, rx]:
        with pytest.raises(blockpipe.Over):
            end.block()


def test_an_exception_aborts_with_its_text(pair):
    for first in [0, 1]:
        ends = pair()
        with pytest.raises(ZeroDivisionError):
            with ends[first]:
                1 / 0
        with pytest.raises(blockpipe.Aborted) as caught:
            ends[1 - first].block() if first == 0 else ends[0].finish()
        by = ["producer", "consumer"][first]
        assert (caught.value.text, caught.value.code, caught.value.by) == ("ZeroDivisionError: division by zero", 1, by)


def test_a_consumer_that_leaves_early_aborts(pair):
    tx, rx = pair()
    tx.block().send(1)
    with rx:
        for _block in rx:
            break
    with pytest.raises(blockpipe.Aborted, match="aborted by the consumer: the consumer left before the end of the stream"):
        tx.finish()


def test_a_block_that_was_forgotten_is_an_error(pair):
    tx, rx = pair()
    with pytest.raises(blockpipe.Misuse, match="a block is held that was not sent"):
        with tx:
            forgotten = tx.block()
    with pytest.raises(blockpipe.Aborted, match="a block is held that was not sent"):
        rx.block()
    del forgotten


def test_explicit_ends(pair, thread):
    tx, rx = pair()
    tx.abort("no disk", code=28)
    with pytest.raises(blockpipe.Aborted) as caught:
        rx.block()
    assert (caught.value.text, caught.value.code, caught.value.by) == ("no disk", 28, "producer")

    tx, rx = pair()
    with pytest.raises(blockpipe.Misuse, match="blocks left to drain"):
        rx.commit()
    closing = thread(tx.close, b"a trailer")
    with pytest.raises(blockpipe.EndOfStream):
        rx.block()
    with pytest.raises(EOFError):
        rx.try_block()
    assert rx.at_end and rx.trailer == b"a trailer".ljust(64, b"\0")
    rx.finish()
    closing.result()


def test_a_result_becomes_final_while_the_producer_cannot_abort(pair, thread):
    tx, rx = pair()
    closing = thread(tx.finish)
    assert list(rx) == []
    with rx.commit():
        tx.cancel()
        with pytest.raises(blockpipe.Canceled):
            closing.result()
        aborting = thread(tx.abort, "too late")
        aborting.join(0.2)
        assert aborting.is_alive() and rx.snapshot().phase == "committing"
    # The verdict is that everything is complete.
    aborting.result()

    tx, rx = pair()
    closing = thread(tx.finish)
    assert list(rx) == []
    with pytest.raises(OSError):
        with rx.commit():
            raise OSError("cannot rename")
    with pytest.raises(blockpipe.Aborted, match="OSError: cannot rename"):
        closing.result()


def test_a_dropped_end_is_dead(pair):
    tx, rx = pair()
    rx.begin()
    del rx
    with pytest.raises(blockpipe.PeerDied, match="the peer died"):
        tx.finish()
    tx, rx = pair()
    rx.begin()
    del tx
    with pytest.raises(blockpipe.PeerDied):
        rx.block()
