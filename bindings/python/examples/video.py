"""Video frames from one process to another, which survive the death of either.

Start ``video.py camera NAME`` and ``video.py viewer NAME`` in two terminals, in any order, and kill either of them: the
other one goes on when you start it again. This is blockpipe/examples/video.rs in Python: each can be the other one's peer.
"""

import struct
import sys
import time

import blockpipe

WIDTH, HEIGHT = 1280, 720
# Four bytes for each pixel.
FRAME = WIDTH * HEIGHT * 4
INTERVAL = 0.04
# The time for which each process waits until the other one is started again.
RESTART = 30
# A frame's number, and its time in milliseconds since 1970, in the header of its block.
STAMP = struct.Struct("<QQ")


class Count:
    """The next frame of a camera, or the frames that a viewer has shown. It continues when the process joins again."""

    frames = 0


def now():
    return time.time_ns() // 1_000_000


def picture(number):
    """A grey that changes stands for what a lens would see."""
    return bytes([number % 256]) * FRAME


def point(sent, following):
    """Where a replacement of the camera continues: the bytes so far, which observers see, and the next frame."""
    return struct.pack("=Q", sent) + struct.pack("<Q", following)


def film(name, count):
    with blockpipe.Producer(name, block_size=FRAME, blocks=4, replace_within=RESTART) as camera:
        # Only a dead camera has left a number. Any other one need not wait for the viewer.
        if camera.predecessor is not None:
            (count.frames,) = struct.unpack_from("<Q", camera.start(), 8)
        dropped = 0
        while True:
            number = count.frames
            count.frames += 1
            block = camera.try_block()
            if block is None:
                dropped += 1
            else:
                with memoryview(block) as view:
                    view[:] = picture(number)
                block.header = STAMP.pack(number, now())
                block.send(FRAME, resume_point=point((block.number + 1) * FRAME, count.frames))
            if count.frames % 25 == 0:
                print(f"{count.frames} frames, {dropped} dropped", flush=True)
            time.sleep(INTERVAL)


def show(name, count):
    with blockpipe.Consumer(name, replace_within=RESTART) as viewer:
        while True:
            # Even the newest of them is old if the camera found all blocks full, and dropped what came after it.
            skipped = viewer.skip_all()
            try:
                block = viewer.block()
            except blockpipe.EndOfStream:
                return
            with block:
                number, taken = STAMP.unpack_from(block.header)
                # The camera could change the block at any time, but not this copy.
                copy = bytes(block)
            assert copy == picture(number), f"frame {number} is not whole"
            count.frames += 1
            print(f"frame {number}, {now() - taken} ms old, {skipped} skipped, {count.frames} shown", flush=True)


def main():
    match sys.argv[1:]:
        case ["camera", name]:
            work = film
        case ["viewer", name]:
            work = show
        case _:
            sys.exit("usage: video.py camera|viewer NAME")
    count = Count()
    while True:
        try:
            return work(name, count)
        except blockpipe.TooManyInstances as error:
            sys.exit(str(error))
        except blockpipe.Error as error:
            # The other one stayed away for too long, say: wait for the next.
            print(f"{error}; trying again", file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    main()
