"""A process is killed, and another one replaces it."""

import sys

import blockpipe
import pytest
from frames import frame

COUNT, SIZE = 60, 20_000
CONSUMER = """
rx = blockpipe.Consumer(sys.argv[1], tag=b"frames", replace_within=20)
rx.begin(b"a test")
for block in rx:
    say("received", block.number)
    time.sleep(0.02)
"""
PRODUCER = """
sys.path.insert(0, sys.argv[2])
from frames import frame
import numpy as np
tx = blockpipe.Producer(sys.argv[1], tag=b"frames", block_size=20_000, blocks=4, replace_within=20, hello=b"a test")
tx.start()
while True:
    block = tx.block()
    np.frombuffer(block, np.uint8, count=20_000)[:] = frame(block.number, 20_000)
    block.header = block.number.to_bytes(8, "little")
    block.send(20_000)
    say("sent", block.number)
    time.sleep(0.02)
"""


def receive(rx, seen):
    import numpy as np

    for block in rx:
        assert np.array_equal(np.frombuffer(block, np.uint8), frame(block.number, SIZE))
        seen.append(block.number)


def produce(tx):
    import numpy as np

    start = tx.start()
    number = None
    while number != COUNT - 1:
        block = tx.block()
        number = block.number
        np.frombuffer(block, np.uint8, count=SIZE)[:] = frame(number, SIZE)
        block.header = number.to_bytes(8, "little")
        block.send(SIZE)
    tx.finish()
    return int.from_bytes(start[:8], sys.byteorder)


def killed_after(process, word, n):
    """Kills the process once it has written the line for frame `n`."""
    while process.line().split()[:2] != [word, str(n)]:
        pass
    process.kill()
    process.wait()


def test_a_python_consumer_is_killed_and_replaced(rust, python, name):
    sending = rust("send", name, COUNT, SIZE, "--replace")
    killed_after(python(CONSUMER, name), "received", 20)
    rx = blockpipe.Consumer(name, tag=b"frames", replace_within=20)
    assert rx.predecessor == b"a test" and not rx.predecessor_was_committing
    resumed = int.from_bytes(rx.begin()[:8], sys.byteorder) // SIZE
    seen = []
    with rx:
        receive(rx, seen)
    # Frame 20 was not released, and is received again.
    assert resumed == 20 and seen == list(range(20, COUNT))
    assert sending.rest()[-1] == "complete"


def test_a_rust_consumer_is_killed_and_replaced_by_python(rust, name, thread):
    tx = blockpipe.Producer(name, tag=b"frames", block_size=SIZE, blocks=4, replace_within=20)
    sending = thread(produce, tx)
    killed_after(rust("receive", name, "--replace", "--slow"), "received", 20)
    seen = []
    with blockpipe.Consumer(name, tag=b"frames", replace_within=20) as rx:
        assert rx.predecessor == b"from Rust"
        receive(rx, seen)
    assert seen[0] in (20, 21) and seen == list(range(seen[0], COUNT))
    assert sending.result() == 0


def test_a_python_producer_is_killed_and_replaced(rust, python, name):
    receiving = rust("receive", name, "--replace")
    killed_after(python(PRODUCER, name, __file__.rpartition("/")[0]), "sent", 20)
    tx = blockpipe.Producer(name, tag=b"frames", replace_within=20)
    assert tx.predecessor == b"a test" and (tx.block_size, tx.blocks) == (20_480, 4)
    assert tx.peer_hello == b"from Rust"
    assert produce(tx) // SIZE >= 21
    assert receiving.rest() == [f"received {n} {SIZE}" for n in range(COUNT)] + ["complete"]


def test_a_rust_producer_is_killed_and_replaced_by_python(rust, name, thread):
    seen = []
    sending = rust("send", name, COUNT, SIZE, "--replace", "--slow")
    rx = blockpipe.Consumer(name, tag=b"frames", replace_within=20)
    receiving = thread(receive, rx, seen)
    killed_after(sending, "sent", 20)
    with pytest.raises(blockpipe.OtherGeometry, match="the dead producer used 4 blocks of 20480 bytes"):
        blockpipe.Producer(name, tag=b"frames", blocks=8, replace_within=20)
    tx = blockpipe.Producer(name, tag=b"frames", replace_within=20)
    assert tx.predecessor == b"from Rust"
    finishing = thread(produce, tx)
    receiving.result()
    rx.finish()
    finishing.result()
    assert seen == list(range(COUNT))


def test_without_a_replacement_a_death_ends_the_pipe(python, name):
    other = python("tx = blockpipe.Producer(sys.argv[1]); tx.block().send(1); say('sent'); time.sleep(60)", name)
    other.expect("sent")
    rx = blockpipe.Consumer(name)
    rx.block().release()
    other.kill()
    with pytest.raises(blockpipe.PeerDied):
        rx.block()


def test_an_end_can_be_left_to_another_process(name, thread):
    options = {"replace_within": 20}
    tx = blockpipe.Producer(name, block_size=4096, blocks=4, **options)
    for n in range(3):
        tx.block().send(n + 1, resume_point=b"point %d" % n)
    rx = blockpipe.Consumer(name, **options)
    for block in rx:
        if block.number == 1:
            break
    held = rx.block()
    with pytest.raises(blockpipe.Misuse, match="a block is held"):
        rx.detach()
    del held
    rx.detach()
    with pytest.raises(blockpipe.Over):
        rx.block()
    rx = blockpipe.Consumer(name, **options)
    assert rx.predecessor == b"" and [rx.block().number, rx.block().number] == [1, 1]
    tx.detach()
    tx = blockpipe.Producer(name, **options)
    assert tx.start() == b"point 2".ljust(32, b"\0")
    tx.abort("seen")
