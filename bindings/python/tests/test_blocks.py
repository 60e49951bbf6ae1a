"""Filling, viewing, sending and releasing blocks."""

import gc
import struct

import blockpipe
import numpy as np
import pytest


def send(tx, *words):
    for word in words:
        block = tx.block()
        memoryview(block)[: len(word)] = word
        block.send(len(word))


def test_a_block_is_a_buffer(pair):
    tx, rx = pair()
    with tx.block() as block:
        assert (len(block), block.number, block.header) == (4096, 0, bytes(40))
        block.header = struct.pack("<Q", 7)
        assert block.header == (7).to_bytes(40, "little")
        with memoryview(block) as view:
            assert (view.nbytes, view.format, view.readonly) == (4096, "B", False)
            view[:5] = b"hello"
        block.send(5)
    block = rx.block()
    with memoryview(block) as view:
        assert (view.nbytes, view.format, view.readonly) == (5, "B", True)
        with pytest.raises(TypeError):
            view[0] = 1
    assert (bytes(block), len(block), block.number) == (b"hello", 5, 0)
    assert block.header == (7).to_bytes(40, "little")
    with pytest.raises(AttributeError):
        block.header = b""
    block.release()


@pytest.mark.parametrize("view", [memoryview, lambda block: np.frombuffer(block, np.uint8)])
def test_a_viewed_block_cannot_be_sent_or_released(pair, view):
    tx, rx = pair()
    block = tx.block()
    views = [view(block), view(block)]
    for _ in range(2):
        with pytest.raises(BufferError, match="cannot send the block: views of it exist"):
            block.send(1)
        views.pop()
    block.send(1)

    block = rx.block()
    views = [view(block), view(block)]
    for _ in range(2):
        with pytest.raises(BufferError, match="cannot release the block: views of it exist"):
            block.release()
        views.pop()
    block.release()


def test_a_block_is_invalid_after_it_was_sent_or_released(pair):
    tx, rx = pair()
    block = tx.block()
    block.send(1)
    for misuse in [block.send, lambda: setattr(block, "header", b"")]:
        with pytest.raises(blockpipe.Misuse, match="has been sent"):
            misuse()
    with pytest.raises(BufferError):
        memoryview(block)
    block = rx.block()
    block.release()
    with pytest.raises(blockpipe.Misuse, match="has been released"):
        block.release()
    with pytest.raises(BufferError):
        bytes(block)


def test_wrong_lengths_change_nothing(pair):
    tx, rx = pair()
    block = tx.block()
    with pytest.raises(ValueError, match="only 4096 bytes"):
        block.send(4097)
    with pytest.raises(ValueError, match="at most 40 bytes"):
        block.header = bytes(41)
    with pytest.raises(ValueError, match="at most 32 bytes"):
        block.send(resume_point=bytes(33))
    block.send()
    assert len(rx.block()) == 4096


def test_a_filled_block_is_released_at_the_end_of_with(pair):
    tx, rx = pair(blocks=1)
    for n in range(3):
        send(tx, b"%d" % n)
        with rx.block() as block:
            assert bytes(block) == b"%d" % n
        with pytest.raises(blockpipe.Misuse, match="has been released"):
            block.release()


def test_with_and_for_wait_for_the_last_view(pair, thread):
    tx, rx = pair(blocks=1)
    send(tx, b"one")
    with rx.block() as block:
        view = memoryview(block)
    assert tx.try_block() is None and bytes(view) == b"one"
    view.release()
    send(tx, b"two")

    sending = thread(lambda: [send(tx, b"three"), tx.finish()])
    seen = []
    for block in rx:
        seen.append(np.frombuffer(block, np.uint8).tobytes())
        view = memoryview(block)
        # The producer gets the only block back once this view is gone; otherwise the loop would wait for ever.
        view.release()
    assert seen == [b"two", b"three"]
    rx.finish()
    sending.result()


def test_keeping_all_views_is_reported(pair):
    tx, rx = pair(blocks=2)
    send(tx, b"one", b"two")
    with pytest.raises(blockpipe.Misuse, match="all blocks are held"):
        views = []
        for block in rx:
            views.append(memoryview(block))
    assert [bytes(view) for view in views] == [b"one", b"two"]


def test_an_exception_puts_a_filled_block_back(pair):
    tx, rx = pair()
    send(tx, b"one", b"two")
    for keep in [False, True]:
        with pytest.raises(ValueError):
            with rx.block() as block:
                assert (block.number, bytes(block)) == (0, b"one")
                view = memoryview(block) if keep else None
                raise ValueError
    # The view still holds the first block, so the next one is handed out.
    assert rx.block().number == 1
    del view
    with pytest.raises(blockpipe.Misuse, match="dropped twice"):
        rx.block()


def test_a_block_that_is_not_sent_is_handed_out_again(pair):
    tx, _rx = pair(blocks=1)
    with tx.block() as block:
        assert block.number == 0
    with tx.block() as block:
        view = memoryview(block)
    with pytest.raises(blockpipe.Misuse, match="all blocks are held"):
        tx.try_block()
    view.release()
    assert tx.block().number == 0
    # The block of the line above was dropped at once.
    assert tx.block().number == 0


def test_views_outlive_everything(pair, thread):
    tx, rx = pair()
    written = memoryview(tx.block())
    written[:3] = b"abc"
    tx.abort("that's it")
    del tx
    gc.collect()
    written[3:6] = b"def"
    assert bytes(written[:6]) == b"abcdef"
    with pytest.raises(blockpipe.Aborted):
        rx.block()
    del rx

    tx, rx = pair(blocks=3)
    send(tx, b"one", b"two")
    sending = thread(tx.finish)
    views = []
    with rx:
        views = [np.frombuffer(block, np.uint8) for block in rx]
    sending.result()
    del tx, rx
    gc.collect()
    assert [view.tobytes() for view in views] == [b"one", b"two"]


def test_blocks_can_be_sent_and_released_in_any_order(pair, thread):
    tx, rx = pair(blocks=3)
    blocks = [tx.block() for _ in range(3)]
    for n in [2, 0, 1]:
        memoryview(blocks[n])[:1] = b"%d" % n
        blocks[n].send(1)
    received = [rx.block() for _ in range(3)]
    assert [bytes(block) for block in received] == [b"0", b"1", b"2"]
    assert tx.try_block() is None
    for n in [1, 2, 0]:
        # Other threads can release them, too.
        thread(received[n].release).result()
    assert tx.try_block() is not None


def test_a_live_stream_skips_to_the_latest_block(pair):
    tx, rx = pair(blocks=4)
    send(tx, *[b"%d" % n for n in range(4)])
    assert tx.try_block() is None
    assert rx.skip_to_latest() == 3
    assert rx.snapshot().waiting_blocks == 1
    with rx.block() as block:
        assert bytes(block) == b"3"
    send(tx, b"4", b"5")
    assert rx.skip_all() == 2
    send(tx, b"6")
    assert bytes(rx.block()) == b"6"
