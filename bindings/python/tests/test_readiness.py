"""The descriptor for selectors and asyncio."""

import asyncio
import selectors

import blockpipe
import pytest

SENDER = """
with blockpipe.Producer(sys.argv[1], block_size=4096, blocks=2) as tx:
    for n in range(30):
        # Now the consumer has to wait, now the producer.
        time.sleep(0.02 if n % 10 == 0 else 0)
        block = tx.block()
        memoryview(block)[:1] = bytes([n])
        block.send(1)
"""


def test_a_loop_reads_blocks_as_they_come(python, name):
    sending = python(SENDER, name)
    rx = blockpipe.Consumer(name)
    seen, ticks = [], []

    async def main():
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def drain():
            try:
                while (block := rx.try_block()) is not None:
                    with block:
                        seen.append(bytes(block)[0])
            except EOFError:
                loop.remove_reader(rx.fileno())
                ended.set_result(None)

        async def tick():
            while True:
                ticks.append(await asyncio.sleep(0.005))

        loop.add_reader(rx.fileno(), drain)
        ticking = asyncio.create_task(tick())
        await asyncio.wait_for(ended, 30)
        ticking.cancel()

    asyncio.run(main())
    rx.finish()
    assert seen == list(range(30))
    assert len(ticks) > 3, "the loop did nothing else"
    assert sending.wait() == 0


def test_a_selector_waits_for_both_ends(pair):
    tx, rx = pair(blocks=1)
    with selectors.DefaultSelector() as selector:
        for end in [tx, rx]:
            selector.register(end, selectors.EVENT_READ)
        assert rx.try_block() is None

        def ready(limit):
            return [key.fileobj for key, _ in selector.select(limit)]

        assert ready(5) == [tx]
        tx.block().send(1)
        assert tx.try_block() is None
        assert ready(5) == [rx]
        block = rx.try_block()
        assert len(block) == 1
        block.release()
        # A call that finds something leaves the descriptor readable, so wait for the producer's alone.
        selector.unregister(rx)
        assert ready(5) == [tx]
        selector.register(rx, selectors.EVENT_READ)
        tx.abort("enough")
        with pytest.raises(blockpipe.Aborted):
            while True:
                rx.try_block()
                assert rx in ready(5)
