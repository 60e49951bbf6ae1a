"""Named, crash-safe, zero-copy pipes of large blocks between two processes."""

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, final

from typing_extensions import Buffer

_Path = str | os.PathLike[str]

protocol_version: int
"""The version of the protocol: both processes must have the same, in whatever language."""

@final
class Producer:
    """The end that fills blocks and sends them.

    Opening it takes the producer's seat of the pipe ``name``, reserves the memory, and lets the consumer in; it does not
    wait for one. By default there are four blocks of 512 KiB, or those of a dead producer that this one replaces.
    Sizes are rounded up to a multiple of 4 KiB.

    ``hello`` (at most 1024 bytes) tells the consumer what will be sent. ``tag`` must be the same at both ends.
    ``directory`` lets two users or containers meet. ``connect_timeout`` limits how long this end waits for a consumer to
    come, and ``replace_within`` how long it waits for the replacement of one that died; both are seconds.
    """

    def __new__(
        cls,
        name: str | bytes,
        *,
        block_size: int | None = None,
        blocks: int | None = None,
        hello: bytes = b"",
        tag: bytes = b"",
        directory: _Path | None = None,
        connect_timeout: float | None = None,
        replace_within: float | None = None,
    ) -> Self: ...
    @property
    def block_size(self) -> int:
        """The number of bytes in a block."""
    @property
    def blocks(self) -> int:
        """The number of blocks."""
    @property
    def predecessor(self) -> bytes | None:
        """The hello of the dead producer that this one replaces. Abort unless you can resend the identical stream."""
    @property
    def peer_hello(self) -> bytes | None:
        """What the consumer passed to ``begin``; ``None`` before that. Also after the end is over."""
    @property
    def peer_user(self) -> int | None:
        """The user id of the consumer's process, as the kernel knows it; ``None`` if there is no consumer."""
    def start(self) -> bytes:
        """Waits until a consumer has begun, and returns the resume point (32 bytes) where the stream begins.

        That is zeros, or what the consumer asked for, or, for a replacement, the point after the last block that its
        predecessor sent. Without this call the stream begins at zeros.
        """
    def block(self, timeout: float | None = None) -> EmptyBlock:
        """Returns the next empty block; waits until the consumer releases one. Raises ``TimedOut``."""
    def try_block(self) -> EmptyBlock | None:
        """Returns an empty block, or ``None`` if there is none now."""
    def finish(self) -> None:
        """Ends the stream and waits for the consumer's verdict. If it returns, both sides are complete."""
    def close(self, trailer: bytes = b"") -> None:
        """As ``finish``, with at most 64 bytes that the consumer gets at the end of the stream."""
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts the pipe with a reason that the consumer receives.

        Waits while the consumer is committing. Returns if this end has aborted, or if the consumer was complete already.
        """
    def detach(self) -> None:
        """Leaves the pipe without a verdict, so that another process can take this end (``replace_within``)."""
    def cancel(self) -> None:
        """Ends the wait that another thread is in, or the next one, with ``Canceled``. Nothing else changes."""
    def check(self) -> None:
        """Raises the error that has ended the pipe, if one has.

        For a program that waits for something else: call it about every 50 ms.
        """
    def snapshot(self) -> Snapshot:
        """Returns the state of the pipe. Never waits, also while another thread does."""
    def fileno(self) -> int:
        """Returns a descriptor that is readable while ``try_block`` may find something."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

@final
class Consumer:
    """The end that receives filled blocks and releases them.

    Opening it takes the consumer's seat of the pipe ``name``, and waits until a producer has come and is ready. While
    there is none, it waits for up to ``connect_timeout`` seconds. For the other arguments see ``Producer``.

    It is an iterator over the blocks: each round of a ``for`` loop releases the block of the one before.
    """

    def __new__(
        cls,
        name: str | bytes,
        *,
        tag: bytes = b"",
        directory: _Path | None = None,
        connect_timeout: float | None = None,
        replace_within: float | None = None,
    ) -> Self: ...
    @property
    def block_size(self) -> int:
        """The number of bytes in a block."""
    @property
    def blocks(self) -> int:
        """The number of blocks."""
    @property
    def predecessor(self) -> bytes | None:
        """The hello of the dead consumer that this one replaces. Abort unless you can continue its work."""
    @property
    def predecessor_was_committing(self) -> bool:
        """Whether the dead predecessor was committing: its result may be final already."""
    @property
    def peer_hello(self) -> bytes:
        """What the producer has said about itself."""
    @property
    def peer_user(self) -> int | None:
        """The user id of the producer's process, as the kernel knows it; ``None`` if there is no producer."""
    @property
    def at_end(self) -> bool:
        """Whether the last block has been handed out, and the producer has closed the stream."""
    @property
    def trailer(self) -> bytes | None:
        """What the producer passed to ``close``, followed by zeros: 64 bytes. ``None`` before the end of the stream."""
    def begin(self, hello: bytes = b"", at: bytes = b"") -> bytes:
        """Tells the producer what this end works on, and at which resume point the stream should begin.

        Returns where it does begin: a replacement resumes after the last block that its predecessor released. Without
        this call the first request for a block begins with an empty hello, at zeros.
        """
    def block(self, timeout: float | None = None) -> FilledBlock:
        """Returns the next filled block; waits for it. Raises ``TimedOut``, and ``EndOfStream`` after the last one."""
    def try_block(self) -> FilledBlock | None:
        """Returns a filled block, or ``None`` if there is none now. Raises ``EndOfStream`` after the last one."""
    def skip_to_latest(self) -> int:
        """Releases all blocks that are filled now but the newest one, and returns their number."""
    def finish(self) -> None:
        """Waits for the end of the stream, and declares that everything is dealt with: both sides end complete."""
    def commit(self) -> Committing:
        """Announces that the result is about to become final; to be used with ``with``.

        The producer can no longer abort. The ``with`` block completes the stream, or aborts it after an exception.
        """
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts the pipe with a reason that the producer receives."""
    def detach(self) -> None:
        """Leaves the pipe without a verdict, so that another process can take this end (``replace_within``)."""
    def cancel(self) -> None:
        """Ends the wait that another thread is in, or the next one, with ``Canceled``. Nothing else changes."""
    def check(self) -> None:
        """Raises the error that has ended the pipe, if one has.

        For a program that waits for something else: call it about every 50 ms.
        """
    def snapshot(self) -> Snapshot:
        """Returns the state of the pipe. Never waits, also while another thread does."""
    def fileno(self) -> int:
        """Returns a descriptor that is readable while ``try_block`` may find something."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> FilledBlock: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

@final
class EmptyBlock(Buffer):
    """A writable buffer, which is sent with ``send``. Its content is unspecified at first.

    If it is dropped, or leaves a ``with`` block without being sent, it is handed out again.
    """

    header: bytes
    """What the consumer reads as the header of this block: at most 40 bytes, followed by zeros."""
    @property
    def number(self) -> int:
        """The number of the block in the stream; the first one is 0."""
    def send(self, length: int | None = None, *, resume_point: bytes | None = None) -> None:
        """Sends the first ``length`` bytes to the consumer, or the whole block. Does not wait.

        Blocks arrive in the order in which they were handed out. ``resume_point`` (at most 32 bytes) is where a
        replacement of this end would have to resume after this block. Raises ``BufferError`` while a view exists.
        """
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

@final
class FilledBlock(Buffer):
    """A read-only buffer with what the producer has sent, which is given back with ``release``.

    Leaving its ``with`` block releases it, if necessary when its last view goes. If it is dropped, or its ``with`` block
    is left with an exception, it counts as not dealt with and is handed out again.
    """

    @property
    def number(self) -> int:
        """The number of the block in the stream; the first one is 0."""
    @property
    def header(self) -> bytes:
        """What the producer has said about this block: 40 bytes."""
    def release(self, *, resume_point: bytes | None = None) -> None:
        """Releases the block to the producer. Does not wait.

        ``resume_point`` (at most 32 bytes) is where a replacement of this end would have to resume after this block.
        Raises ``BufferError`` while a view exists.
        """
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

@final
class Committing:
    """A consumer whose result is becoming final: the producer can only wait for the verdict."""

    def complete(self) -> None:
        """Declares the result final: both sides end complete."""
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts because the result could not be made final, and is not."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a pipe at one moment. Numbers of the two sides are those of the producer, then of the consumer."""

    name: bytes
    tag: bytes
    generation: int
    phase: Literal["opening", "alone", "moving", "finishing", "committing", "over"]
    producer: int
    producer_alive: bool
    consumer: int | None
    users: tuple[int | None, int | None]
    block_size: int | None
    blocks: int | None
    sent: int
    released: int
    waiting_blocks: int
    asleep: Literal["producer", "consumer"] | None
    waits: tuple[Literal["producer", "consumer"], float] | None
    waited: tuple[float, float]
    producer_hello: bytes | None
    consumer_hello: bytes | None
    trailer: bytes | None
    @property
    def is_dead(self) -> bool:
        """Whether both processes are gone: a killed pair left the pipe."""

def inspect(name: str | bytes, *, directory: _Path | None = None) -> Snapshot | None:
    """Returns the state of the pipe with this name, or ``None`` if there is none. Never waits."""

def pipes(*, directory: _Path | None = None) -> list[Snapshot | Error]:
    """Lists all pipes of this user, or those in a directory; with an error for each that cannot be read."""

def remove_dead(*, directory: _Path | None = None) -> list[Snapshot | Error]:
    """Removes what killed pairs left over, and returns it. The next process that opens a new pipe does this, too."""

class Error(Exception):
    """The base class of all errors of this package."""

class Aborted(Error):
    """One end aborted the pipe. Both ends receive the same reason."""

    text: str
    code: int
    by: Literal["producer", "consumer"]
    def __init__(self, text: str, code: int = 0, by: Literal["producer", "consumer"] | None = None) -> None: ...

class PeerDied(Error):
    """The process at the other end died before anything was final."""

class DiedCommitting(PeerDied):
    """The consumer's process died while it was making its result final. Only the result shows whether it is."""

class TimedOut(Error, TimeoutError):
    """Nothing happened within the given time. The end can be used as before."""

class NoPeer(TimedOut):
    """No process came to the other end within ``connect_timeout``. This ends the end."""

class Canceled(Error):
    """Another thread called ``cancel``. The end can be used as before."""

class Misuse(Error):
    """The call is not allowed in this state. Nothing has changed."""

class OtherGeometry(Misuse):
    """The dead producer that this one would replace used another block size or another number of blocks."""

class Forked(Error):
    """The end belongs to the process that forked this one. Nothing has changed for it."""

class Over(Error):
    """The end was used again after it had ended."""

class TooManyInstances(Error):
    """Living processes hold both ends of the pipe, or the requested one."""

    snapshot: Snapshot

class OtherTag(Error):
    """The name is in use with a different tag."""

    snapshot: Snapshot

class OtherVersion(Error):
    """The process at the other end uses another version of the protocol."""

    ours: int
    theirs: int
    def __init__(self, text: str, ours: int | None = None, theirs: int | None = None) -> None: ...

class Foreign(Error):
    """The name belongs to something that is not a pipe of this user. It was left alone."""

class Busy(Error):
    """Other processes have been joining or leaving under this name for more than half a second. One may be stopped."""

class Corrupt(Error):
    """The peer wrote what no correct peer writes."""

class SystemFailure(Error, OSError):
    """A call of the operating system failed; ``errno`` says how."""

class EndOfStream(EOFError):
    """The producer has sent everything. This is not an error of the pipe."""
