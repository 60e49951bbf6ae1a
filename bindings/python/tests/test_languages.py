"""Rust at one end and Python at the other."""

import blockpipe
import numpy as np
import pytest
from frames import frame

COUNT, SIZE = 40, 123_457


def test_python_receives_from_rust(rust, name):
    peer = rust("send", name, COUNT, SIZE)
    with blockpipe.Consumer(name, tag=b"frames") as rx:
        assert rx.peer_hello == b"from Rust"
        assert (rx.block_size, rx.blocks) == (126_976, 4)
        for n, block in enumerate(rx):
            assert (block.number, len(block)) == (n, SIZE)
            assert int.from_bytes(block.header[:8], "little") == n
            assert np.array_equal(np.frombuffer(block, np.uint8), frame(n, SIZE))
        assert n == COUNT - 1
        assert rx.trailer == b"from Rust".ljust(64, b"\0")
    assert peer.rest() == [f"sent {n}" for n in range(COUNT)] + ["complete"]


def test_python_sends_to_rust(rust, name):
    peer = rust("receive", name)
    with blockpipe.Producer(name, block_size=SIZE, blocks=4, tag=b"frames") as tx:
        for n in range(COUNT):
            block = tx.block()
            # Some frames are shorter than the block.
            size = SIZE - n % 3
            np.frombuffer(block, np.uint8, count=size)[:] = frame(n, size)
            block.header = n.to_bytes(8, "little")
            block.send(size)
        assert tx.peer_hello == b"from Rust"
    assert peer.rest() == [f"received {n} {SIZE - n % 3}" for n in range(COUNT)] + ["complete"]


def test_a_view_is_the_memory_itself(pair):
    tx, rx = pair()
    sent = tx.block()
    np.frombuffer(sent, np.uint32)[:] = np.arange(1024)
    sent.send(400)
    received = rx.block()
    array = np.frombuffer(received, np.uint32)
    assert np.array_equal(array, np.arange(100))
    assert not array.flags.owndata and not array.flags.writeable
    # Two views have one address: nothing is copied.
    other = np.frombuffer(received, np.uint32)
    assert array.__array_interface__["data"][0] == other.__array_interface__["data"][0]


def test_python_learns_that_the_rust_end_was_dropped(rust, name):
    peer = rust("receive", name)
    tx = blockpipe.Producer(name, block_size=4096, blocks=2, tag=b"frames")
    block = tx.block()
    memoryview(block)[:3] = b"bad"
    block.send(3)
    # The Rust end reports an error and drops its end, as if it had been killed.
    with pytest.raises(blockpipe.PeerDied, match="the peer died"):
        tx.finish()
    assert peer.rest() == ["error: frame 0 is wrong at Some(0)"]


def test_rust_learns_why_python_aborted(rust, name):
    peer = rust("send", name, 10, 4096)
    with pytest.raises(ValueError):
        with blockpipe.Consumer(name, tag=b"frames") as rx:
            rx.block().release()
            raise ValueError("no more")
    assert peer.rest()[-1] == "error: ValueError: no more"
    assert peer.wait() == 1
