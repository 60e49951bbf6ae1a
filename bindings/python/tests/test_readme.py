"""The examples of README.md are run as they are."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import blockpipe
import pytest

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", README.read_text(), re.M | re.S))
PAIRS = [
    ("producer", "consumer", "hello, world"),
    ("camera", "viewer", "the last one was frame 99 at 3.30 s\n"),
    ("producer", "asynchronous", "hello, world"),
    ("producer", "receive_file", ""),
]


def test_each_example_is_run():
    assert set(EXAMPLES) == {name for pair in PAIRS for name in pair[:2]}


@pytest.mark.parametrize(("producer", "consumer", "output"), PAIRS)
def test_an_example(name, tmp_path, producer, consumer, output):
    def start(example):
        # Several tests may run at once, so each example gets its own pipe name.
        text = re.sub(r'"(greetings|camera0)"', repr(name), EXAMPLES[example])
        return subprocess.Popen([sys.executable, "-c", text], cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    processes = [start(consumer), start(producer)]
    outputs = [process.communicate(timeout=40)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs == [output, ""]
    if consumer == "receive_file":
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"hello, world"]


@pytest.mark.parametrize("joined", [False, True])
def test_ctrl_c_ends_the_asynchronous_example(name, joined, start):
    text = EXAMPLES["asynchronous"].replace('"greetings"', repr(name))
    process = start([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
    if joined:
        tx = blockpipe.Producer(name, block_size=4096, blocks=1, connect_timeout=20)
        tx.start()
    else:
        while blockpipe.inspect(name) is None:
            time.sleep(0.01)
    # Until it waits.
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    # Python ends itself with the signal after a `KeyboardInterrupt`.
    assert process.wait(timeout=20) == -signal.SIGINT
    if joined:
        with pytest.raises(blockpipe.Aborted) as caught:
            tx.finish()
        assert (caught.value.text, caught.value.code, caught.value.by) == ("CancelledError", 1, "consumer")
    assert blockpipe.inspect(name) is None
