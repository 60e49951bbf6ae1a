"""Named, crash-safe, zero-copy pipes of large blocks between two processes."""

import os
from threading import Event
from types import TracebackType
from typing import Self, final

from typing_extensions import Buffer

from ._types import *

_Path = str | os.PathLike[str]

protocol_version: int
"""The version of the protocol, which must be the same in both processes, in whatever language."""

@final
class Producer:
    """The end that fills blocks and sends them.

    Opening it takes the producer's seat of the pipe ``name``, reserves the memory, and lets the consumer in, but does
    not wait for one. By default there are four blocks of 512 KiB, or those of a dead producer that this one replaces.
    Sizes are rounded up to a multiple of 4 KiB.

    ``hello`` (at most 1024 bytes) tells the consumer what will be sent. ``tag`` must be the same at both ends.
    ``directory`` lets two users or containers share a pipe. ``connect_timeout`` limits how long this end waits for a
    consumer, and ``replace_within`` how long it waits for the replacement of a dead one (``math.inf``: for ever); both are
    in seconds. Once ``cancel_event`` is set, from any thread, every wait of this end and joining itself end with
    ``Canceled`` within 50 ms. A replacement's own ``hello`` is ignored.
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
        cancel_event: Event | None = None,
    ) -> Self: ...
    @property
    def block_size(self) -> int:
        """The number of bytes in a block."""
    @property
    def blocks(self) -> int:
        """The number of blocks."""
    @property
    def predecessor(self) -> bytes | None:
        """The hello of the dead producer that this one replaces.

        Abort unless you can resend the identical stream, or continue a live one.
        """
    @property
    def peer_hello(self) -> bytes | None:
        """The hello that the consumer passed to ``begin``; ``None`` before that. Kept after the end is over."""
    @property
    def peer(self) -> int | None:
        """The process id of the consumer's process, as it reported it; ``None`` while there is none.

        Another id than before means that the consumer was replaced. One system call.
        """
    @property
    def peer_user(self) -> int | None:
        """The user id of the consumer's process, as the kernel reports it; ``None`` if the container does not know the user.

        Ask once there is a consumer, and again before ``close``: if that very process is gone, raises ``PeerDied``, no
        matter who holds the seat; or, if this end allows a replacement, waits for one.
        """
    def start(self) -> bytes:
        """Waits until a consumer has begun, and returns the resume point (32 bytes) where the stream begins.

        That is zeros, or the point that the consumer passed to ``begin``, or, for a replacement, the point after the
        last block that its predecessor sent. Without this call the stream begins at zeros.
        """
    def block(self, timeout: float | None = None) -> EmptyBlock:
        """Returns the next empty block, waiting until the consumer releases one. Raises ``TimedOut``."""
    def try_block(self) -> EmptyBlock | None:
        """Returns an empty block, or ``None`` if there is none now."""
    def finish(self) -> None:
        """Ends the stream and waits for the consumer's verdict. If it returns, both sides are complete."""
    def close(self, trailer: bytes = b"") -> None:
        """Finishes with a trailer of at most 64 bytes, which the consumer gets at the end of the stream."""
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts the pipe with a reason that the consumer receives.

        Waits while the consumer is committing. Returns if this end has aborted, or if the consumer was complete already.
        """
    def detach(self) -> None:
        """Leaves the pipe without a verdict, so that another process can take this end (``replace_within``)."""
    def cancel(self) -> None:
        """Ends the wait of another thread, or the next wait if there is none now, with ``Canceled``."""
    def check(self) -> None:
        """Raises the error that ended the pipe, if there is one.

        A program that waits for something else should call this about every 50 ms.
        """
    def snapshot(self) -> Snapshot:
        """Returns the state of the pipe. Never waits, not even while another thread does."""
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

    It is an iterator over the blocks: each iteration of a ``for`` loop releases the block of the previous one.
    """

    def __new__(
        cls,
        name: str | bytes,
        *,
        tag: bytes = b"",
        directory: _Path | None = None,
        connect_timeout: float | None = None,
        replace_within: float | None = None,
        cancel_event: Event | None = None,
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
        """The hello of the producer."""
    @property
    def peer(self) -> int | None:
        """The process id of the producer's process, as it reported it; ``None`` while there is none.

        Another id than before means that the producer was replaced. One system call.
        """
    @property
    def peer_user(self) -> int | None:
        """The user id of the producer's process, as the kernel reports it; ``None`` if the container does not know the user.

        Ask once there is a producer, and again before ``commit``: if that very process is gone, raises ``PeerDied``, no
        matter who holds the seat; or, if this end allows a replacement, waits for one.
        """
    @property
    def at_end(self) -> bool:
        """Whether the last block has been handed out, and the producer has closed the stream."""
    @property
    def trailer(self) -> bytes | None:
        """The 64 bytes of the producer's ``close``, padded with zeros. ``None`` before the end of the stream."""
    def begin(self, hello: bytes = b"", at: bytes = b"") -> bytes:
        """Declares what this end works on, and at which resume point the stream should begin.

        Returns where it does begin: a replacement resumes after the last block that its predecessor released. Without
        this call the first request for a block begins with an empty hello, at zeros.
        """
    def block(self, timeout: float | None = None) -> FilledBlock:
        """Returns the next filled block, waiting for it. Raises ``TimedOut``, and ``EndOfStream`` after the last one."""
    def try_block(self) -> FilledBlock | None:
        """Returns a filled block, or ``None`` if there is none now. Raises ``EndOfStream`` after the last one."""
    def skip_to_latest(self) -> int:
        """Releases all filled blocks except for the newest one, and returns their number.

        If the producer drops blocks while all are full, the newest one may be old: see ``skip_all``.
        """
    def skip_all(self) -> int:
        """Releases all filled blocks, and returns their number. The next block is sent after this call."""
    def finish(self) -> None:
        """Waits for the end of the stream, and declares that everything has been processed: both ends are complete."""
    def commit(self) -> Committing:
        """Announces that the result is about to become final. Use it in a ``with`` statement.

        The producer can no longer abort. Leaving the ``with`` block completes the stream, or aborts after an exception.
        """
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts the pipe with a reason that the producer receives."""
    def detach(self) -> None:
        """Leaves the pipe without a verdict, so that another process can take this end (``replace_within``)."""
    def cancel(self) -> None:
        """Ends the wait of another thread, or the next wait if there is none now, with ``Canceled``."""
    def check(self) -> None:
        """Raises the error that ended the pipe, if there is one.

        A program that waits for something else should call this about every 50 ms.
        """
    def snapshot(self) -> Snapshot:
        """Returns the state of the pipe. Never waits, not even while another thread does."""
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
    """A writable buffer to be sent with ``send``. Its content is unspecified at first.

    If it is dropped, or leaves a ``with`` block without being sent, it is handed out again.
    """

    header: bytes
    """The header of the block for the consumer: at most 40 bytes, padded with zeros."""
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
    """A read-only buffer with the bytes that the producer sent, to be released with ``release``.

    Leaving its ``with`` block releases it once it has no views. If it is dropped, or an exception leaves its ``with``
    block, it counts as unprocessed and is handed out again.
    """

    @property
    def number(self) -> int:
        """The number of the block in the stream; the first one is 0."""
    @property
    def header(self) -> bytes:
        """The header that the producer gave the block: 40 bytes."""
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
    """A consumer that is making its result final. The producer can only wait for the verdict."""

    def complete(self) -> None:
        """Declares the result final: both ends are complete."""
    def abort(self, text: str, code: int = 1) -> None:
        """Aborts because the result could not be made final."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, class_: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def inspect(name: str | bytes, *, directory: _Path | None = None) -> Snapshot | None:
    """Returns the state of the pipe with this name, or ``None`` if there is none. Never waits."""

def pipes(*, directory: _Path | None = None) -> list[Snapshot | Error]:
    """Lists all pipes of this user, or those in a directory, with an error for each one that cannot be read."""

def remove_dead(*, directory: _Path | None = None) -> list[Snapshot | Error]:
    """Removes the pipes that killed pairs left, and returns them. Opening a new pipe does this, too."""
