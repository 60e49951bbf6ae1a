"""Compares ways to stream frames of 4 MiB between two Python processes.

    pip install . numpy pyzmq iceoryx2
    python bench.py [ROUNDS [FRAMES]]

In each round every candidate sends the same number of frames, in a new random order. Times are ratios to the first
line of the table in the same round: median (quartiles), lower is better. The receiver checks the frames. Candidates
that are not installed are left out. The tables are written in Markdown.
"""

import importlib.util
import multiprocessing
import os
import random
import statistics
import sys
import time
from multiprocessing import shared_memory

import numpy as np

SIZE = 4 << 20
BLOCKS = 4
WARM_UP = 8
SPAWN = multiprocessing.get_context("spawn")

# The content of each frame, the same for all candidates; the first number is replaced by the frame's number.
SOURCE = np.arange(SIZE // 8, dtype=np.uint64)
SUM = int(SOURCE.sum())


def fill(memory, n, work):
    """Writes frame `n`: every byte, or only its number."""
    frame = np.frombuffer(memory, np.uint64)
    if "filled" in work:
        frame[:] = SOURCE
    frame[0] = n


def check(memory, n, work):
    """Reads frame `n`: every byte, or only its number."""
    frame = np.frombuffer(memory, np.uint64)
    assert frame[0] == n, (n, frame[0])
    if "read" in work:
        assert int(frame.sum()) == SUM + n


class Blockpipe:
    """`blockpipe`"""

    blocks = BLOCKS

    def sender(self, name):
        import blockpipe

        tx = blockpipe.Producer(name, block_size=SIZE, blocks=self.blocks)

        def send(n, work):
            block = tx.block()
            fill(block, n, work)
            block.send()

        return send, tx.finish

    def receiver(self, name):
        import blockpipe

        rx = blockpipe.Consumer(name)

        def receive(n, work):
            block = rx.block()
            check(block, n, work)
            block.release()

        def end():
            assert list(rx) == []
            rx.finish()

        return receive, end


class BlockpipeAgain(Blockpipe):
    """`blockpipe` (again: the noise)"""


class TwoBlocks(Blockpipe):
    """`blockpipe` with two blocks"""

    blocks = 2


class SharedMemory:
    """`multiprocessing.shared_memory`, four segments and two `Queue`s"""

    def connection(self):
        return SPAWN.Queue(), SPAWN.Queue()

    def sender(self, name, empty, full):
        segments = [shared_memory.SharedMemory(f"{name}-{i}", create=True, size=SIZE) for i in range(BLOCKS)]
        for i in range(BLOCKS):
            empty.put(i)

        def send(n, work):
            i = empty.get()
            fill(segments[i].buf, n, work)
            full.put(i)

        def end():
            for segment in segments:
                segment.close()
                segment.unlink()

        return send, end

    def receiver(self, name, empty, full):
        segments = {}

        def receive(n, work):
            i = full.get()
            if i not in segments:
                segments[i] = shared_memory.SharedMemory(f"{name}-{i}")
            check(segments[i].buf, n, work)
            empty.put(i)

        def end():
            for segment in segments.values():
                segment.close()

        return receive, end


class Pipe:
    """`multiprocessing.Pipe`, `send_bytes` and `recv_bytes_into`"""

    def connection(self):
        return SPAWN.Pipe()

    def sender(self, _name, connection, _other):
        frame = bytearray(SIZE)

        def send(n, work):
            fill(frame, n, work)
            connection.send_bytes(frame)

        return send, connection.close

    def receiver(self, _name, _other, connection):
        frame = bytearray(SIZE)

        def receive(n, work):
            connection.recv_bytes_into(frame)
            check(frame, n, work)

        return receive, connection.close


class Zmq:
    """pyzmq, `ipc://`, PUSH and PULL, `copy=False`"""

    needs = "zmq"

    def sender(self, name):
        import zmq

        socket = zmq.Context.instance().socket(zmq.PUSH)
        socket.sndhwm = BLOCKS
        socket.bind(f"ipc:///tmp/{name}")
        # A frame must not change before it has been sent.
        frames = [bytearray(SIZE) for _ in range(4 * BLOCKS)]

        def send(n, work):
            frame = frames[n % len(frames)]
            fill(frame, n, work)
            socket.send(frame, copy=False)

        return send, socket.close

    def receiver(self, name):
        import zmq

        socket = zmq.Context.instance().socket(zmq.PULL)
        socket.rcvhwm = BLOCKS
        socket.connect(f"ipc:///tmp/{name}")

        def receive(n, work):
            check(socket.recv(copy=False).buffer, n, work)

        return receive, socket.close


class Iceoryx:
    """iceoryx2, the receiver polls all the time"""

    needs = "iceoryx2"
    wakes = False

    def service(self, name):
        import ctypes

        import iceoryx2 as iox2

        iox2.set_log_level(iox2.LogLevel.Error)
        self.iox2, self.node = iox2, iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        builder = self.node.service_builder(iox2.ServiceName.new(name))
        service = builder.publish_subscribe(iox2.Slice[ctypes.c_uint8]).enable_safe_overflow(False)
        if self.wakes:
            self.events = self.node.service_builder(iox2.ServiceName.new(name)).event().open_or_create()
        return service.subscriber_max_buffer_size(BLOCKS).open_or_create()

    def sender(self, name):
        service = self.service(name)
        builder = service.publisher_builder().initial_max_slice_len(SIZE)
        publisher = builder.backpressure_strategy(self.iox2.BackpressureStrategy.RetryUntilDelivered).create()
        notifier = self.events.notifier_builder().create() if self.wakes else None

        def send(n, work):
            sample = publisher.loan_slice_uninit(SIZE)
            fill(sample.payload().as_memory_view(), n, work)
            sample.assume_init().send()
            if notifier:
                notifier.notify()

        return send, publisher.delete

    def receiver(self, name):
        service = self.service(name)
        subscriber = service.subscriber_builder().buffer_size(BLOCKS).create()
        listener = self.events.listener_builder().create() if self.wakes else None

        def receive(n, work):
            while (sample := subscriber.receive()) is None:
                if listener:
                    listener.timed_wait(self.iox2.Duration.from_millis(100))
            check(sample.payload().as_memory_view(), n, work)
            sample.delete()

        return receive, subscriber.delete


class IceoryxEvents(Iceoryx):
    """iceoryx2, with events"""

    wakes = True


CANDIDATES = [Blockpipe, BlockpipeAgain, TwoBlocks, SharedMemory, Pipe, Zmq, Iceoryx, IceoryxEvents]
WORK = {
    "Every byte is written and read": ["filled", "read"],
    "Every byte is written, none is read": ["filled"],
    "Nobody touches the bytes": [],
}


def receive_all(candidate, name, connection, control, work, frames):
    receive, end = candidate().receiver(name, *connection)
    control.send("ready")
    for n in range(WARM_UP):
        receive(n, work)
    control.send("warm")
    for n in range(WARM_UP, WARM_UP + frames):
        receive(n, work)
    control.send("received")
    end()


def measure(candidate, work, frames):
    """Returns the seconds from sending the first frame to receiving the last one, after a warm-up."""
    name = f"blockpipe-bench-{os.getpid()}-{random.getrandbits(32)}"
    this = candidate()
    connection = this.connection() if hasattr(this, "connection") else ()
    control, other = SPAWN.Pipe()
    process = SPAWN.Process(target=receive_all, args=(candidate, name, connection, other, work, frames))
    send, end = this.sender(name, *connection)
    process.start()
    assert control.recv() == "ready"
    for n in range(WARM_UP):
        send(n, work)
    assert control.recv() == "warm"
    start = time.perf_counter()
    for n in range(WARM_UP, WARM_UP + frames):
        send(n, work)
    assert control.recv() == "received"
    took = time.perf_counter() - start
    end()
    process.join()
    assert process.exitcode == 0
    return took


def main():
    rounds, frames = ([int(word) for word in sys.argv[1:]] + [11, 100][len(sys.argv) - 1 :])[:2]
    candidates = [c for c in CANDIDATES if not hasattr(c, "needs") or importlib.util.find_spec(c.needs)]
    for missing in set(CANDIDATES) - set(candidates):
        print(f"not installed: {missing.needs}", file=sys.stderr)
    times = {(title, candidate): [] for title in WORK for candidate in candidates}
    for number in range(rounds):
        order = list(times)
        random.shuffle(order)
        for title, candidate in order:
            times[title, candidate].append(measure(candidate, WORK[title], frames))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    print(f"{rounds} rounds, {frames} frames of {SIZE >> 20} MiB\n")
    for title in WORK:
        print(f"### {title}\n\n| | time | ms for a frame | GiB/s |\n|---|---|---|---|")
        first = times[title, candidates[0]]
        for candidate in candidates:
            took = times[title, candidate]
            ratios = [time / base for time, base in zip(took, first, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
            frame = statistics.median(took) / frames
            rate = f"{SIZE / frame / 2**30:.2f}" if WORK[title] else ""
            print(f"| {candidate.__doc__} | {middle:.2f} ({low:.2f} to {high:.2f}) | {frame * 1e3:.3f} | {rate} |")
        print()


if __name__ == "__main__":
    main()
