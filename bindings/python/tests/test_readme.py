"""The examples of README.md are run as they are."""

import re
import subprocess
import sys
from pathlib import Path

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
