"""Joining a pipe, joins that are refused, and inspecting pipes."""

import os
import pickle
import threading
import time
from pathlib import Path

import blockpipe
import pytest


def test_a_third_instance_is_refused(python, pair, name):
    tx, rx = pair()
    other = python(
        """
for end in [blockpipe.Producer, blockpipe.Consumer]:
    try:
        end(sys.argv[1])
    except blockpipe.TooManyInstances as error:
        say(error, error.snapshot.producer, error.snapshot.consumer)
""",
        name,
    )
    me = os.getpid()
    line = f"too many instances: process {me} is the producer and process {me} is the consumer {me} {me}"
    assert other.rest() == [line, line]
    block = tx.block()
    block.send(1)
    assert len(rx.block()) == 1


def test_another_tag_is_refused(name):
    _tx = blockpipe.Producer(name, tag=b"one")
    with pytest.raises(blockpipe.OtherTag, match="different tag") as caught:
        blockpipe.Consumer(name, tag=b"two")
    assert caught.value.snapshot.tag == b"one"


def test_another_version_is_refused(tmp_path, name):
    assert blockpipe.protocol_version > 0
    tx = blockpipe.Producer(name, directory=tmp_path)
    (file,) = (path for path in tmp_path.iterdir() if path.stat().st_size > 4096)
    # The version is the number after the first eight bytes (docs/protocol.md).
    with open(file, "r+b") as header:
        header.seek(8)
        assert int.from_bytes(header.read(4), "little") == blockpipe.protocol_version
        header.seek(8)
        header.write((77).to_bytes(4, "little"))
    with pytest.raises(blockpipe.OtherVersion) as caught:
        blockpipe.Consumer(name, directory=tmp_path)
    assert (caught.value.ours, caught.value.theirs) == (blockpipe.protocol_version, 77)
    assert str(caught.value) == (
        f"the peer uses version 77 of the protocol, this is version {blockpipe.protocol_version}: "
        "both processes need a blockpipe with the same protocol (blockpipe.protocol_version)"
    )
    tx.abort("the test is over")


def test_the_version_is_that_of_the_rust_library():
    layout = Path(__file__).parents[3] / "blockpipe" / "src" / "layout.rs"
    assert f"pub const VERSION: u32 = {blockpipe.protocol_version};\n" in layout.read_text()


def test_waiting_for_a_peer_times_out(name):
    with pytest.raises(blockpipe.NoPeer, match="timed out waiting for a peer") as caught:
        blockpipe.Consumer(name, connect_timeout=0.1)
    assert isinstance(caught.value, TimeoutError) and isinstance(caught.value, blockpipe.Error)
    tx = blockpipe.Producer(name, connect_timeout=0.1)
    with pytest.raises(blockpipe.NoPeer):
        tx.start()
    with pytest.raises(blockpipe.Over):
        tx.block()
    assert blockpipe.inspect(name) is None


def test_a_program_may_try_again_after_some_errors_and_not_after_others():
    """`except TimedOut: continue` and `except PeerDied: join again` are safe."""
    assert not issubclass(blockpipe.NoPeer, blockpipe.TimedOut)
    assert not issubclass(blockpipe.DiedCommitting, blockpipe.PeerDied)


def test_an_event_ends_joining_and_later_waits(name, pair, thread):
    event = threading.Event()
    joining = thread(blockpipe.Consumer, name, cancel_event=event)
    time.sleep(0.2)
    assert blockpipe.inspect(name) is not None and joining.is_alive()
    event.set()
    with pytest.raises(blockpipe.Canceled, match="canceled"):
        joining.result()
    assert blockpipe.inspect(name) is None

    event.clear()
    tx, rx = pair(cancel_event=event)
    waiting = thread(rx.block)
    time.sleep(0.1)
    event.set()
    with pytest.raises(blockpipe.Canceled):
        waiting.result()
    with pytest.raises(blockpipe.Canceled):
        tx.finish()
    event.clear()
    finishing = thread(tx.finish)
    assert list(rx) == []
    rx.finish()
    finishing.result()


def test_what_is_no_event_is_an_error_of_the_wait(name):
    with pytest.raises(AttributeError, match="is_set"):
        blockpipe.Consumer(name, cancel_event=7)
    assert blockpipe.inspect(name) is None


def test_an_end_sees_that_its_peer_is_missing(python, name):
    tx = blockpipe.Producer(name, block_size=4096, blocks=2, replace_within=20)
    assert tx.peer is None
    for _ in range(2):
        program = "rx = blockpipe.Consumer(sys.argv[1], replace_within=20); rx.begin(); say(rx.peer); time.sleep(60)"
        other = python(program, name)
        other.expect(str(os.getpid()))
        assert (tx.peer, tx.snapshot().phase) == (other.pid, "moving")
        other.kill()
        other.wait()
        assert (tx.peer, tx.snapshot().phase) == (None, "alone")
    message = rf"process {os.getpid()} is the producer and waits for a replacement"
    with pytest.raises(blockpipe.AwaitsReplacement, match=message) as caught:
        blockpipe.Consumer(name)
    assert caught.value.snapshot.producer == os.getpid()
    tx.abort("seen")
    with pytest.raises(blockpipe.Over):
        tx.block()
    assert tx.peer is None


def test_a_snapshot_shows_the_state_of_a_pipe(name):
    assert blockpipe.inspect(name) is None
    tx = blockpipe.Producer(name, block_size=5000, blocks=3, tag=b"a tag", hello=b"a hello")
    seen = blockpipe.inspect(name)
    assert (seen.name, seen.tag, seen.phase) == (name.encode(), b"a tag", "alone")
    assert (seen.block_size, seen.blocks, seen.producer, seen.consumer) == (8192, 3, os.getpid(), None)
    assert (seen.producer_hello, seen.consumer_hello, seen.is_dead) == (b"a hello", None, False)
    assert any(pipe.name == name.encode() for pipe in blockpipe.pipes() if isinstance(pipe, blockpipe.Snapshot))
    rx = blockpipe.Consumer(name, tag=b"a tag")
    assert rx.peer_hello == b"a hello" and tx.peer_hello is None
    assert rx.begin(b"a consumer", at=b"from here") == b"from here".ljust(32, b"\0")
    assert tx.start() == b"from here".ljust(32, b"\0")
    assert tx.peer_hello == b"a consumer" and tx.snapshot().consumer_hello == b"a consumer"
    assert tx.peer_user == rx.peer_user == os.getuid()
    rx.abort("seen enough")


def test_a_dead_pair_is_removed(python, name):
    other = python(
        "tx = blockpipe.Producer(sys.argv[1]); rx = blockpipe.Consumer(sys.argv[1]); rx.begin(); say('ready'); time.sleep(60)",
        name,
    )
    other.expect("ready")
    other.kill()
    other.wait()
    assert blockpipe.inspect(name).is_dead
    assert name.encode() in [pipe.name for pipe in blockpipe.remove_dead() if isinstance(pipe, blockpipe.Snapshot)]
    assert blockpipe.inspect(name) is None


def test_a_system_failure_has_an_errno(name, tmp_path):
    with pytest.raises(blockpipe.SystemFailure) as caught:
        blockpipe.Consumer(name, directory=tmp_path / "missing")
    assert isinstance(caught.value, OSError) and caught.value.errno == 2
    assert "missing" in str(caught.value)


def test_the_consumer_learns_that_there_is_too_little_memory(name, thread):
    waiting = thread(blockpipe.Consumer, name)
    with pytest.raises(blockpipe.SystemFailure, match="reserving the blocks in shared memory"):
        blockpipe.Producer(name, block_size=1 << 30, blocks=1 << 16)
    with pytest.raises(blockpipe.Aborted, match="reserving the blocks in shared memory"):
        waiting.result()


def test_wrong_arguments_are_refused(name):
    for wrong in [{"connect_timeout": -1}, {"replace_within": float("nan")}]:
        with pytest.raises(ValueError, match="must not be negative"):
            blockpipe.Consumer(name, **wrong)
    with pytest.raises(TypeError):
        blockpipe.Producer(name, 4096)
    with pytest.raises(blockpipe.Misuse, match="at most 1024 bytes"):
        blockpipe.Producer(name, hello=bytes(1025))
    assert blockpipe.inspect(name) is None


def test_errors_survive_pickling():
    aborted = pickle.loads(pickle.dumps(blockpipe.Aborted("no space", 28, "consumer")))
    assert (aborted.text, aborted.code, aborted.by) == ("no space", 28, "consumer")
    assert str(aborted) == "aborted by the consumer: no space"
    other = pickle.loads(pickle.dumps(blockpipe.OtherVersion("too old", 9, 8)))
    assert (str(other), other.ours, other.theirs) == ("too old", 9, 8)
