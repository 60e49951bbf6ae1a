"""The errors and plain values of this package, written in Python because they contain no logic."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Aborted",
    "AwaitsReplacement",
    "Busy",
    "Canceled",
    "Corrupt",
    "DiedCommitting",
    "EndOfStream",
    "Error",
    "Foreign",
    "Forked",
    "Misuse",
    "NoPeer",
    "OtherGeometry",
    "OtherTag",
    "OtherVersion",
    "Over",
    "PeerDied",
    "Snapshot",
    "SystemFailure",
    "TimedOut",
    "TooManyInstances",
]

_Side = Literal["producer", "consumer"]


class Error(Exception):
    """The base class of all errors of this package."""


class Aborted(Error):
    """One end aborted the pipe. Both ends receive the same reason."""

    text: str
    code: int
    by: _Side

    def __init__(self, text: str, code: int, by: _Side) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.by = by

    def __str__(self) -> str:
        return f"aborted by the {self.by}: {self.text}"

    def __reduce__(self):
        return type(self), (self.text, self.code, self.by)


class PeerDied(Error):
    """The process at the other end died before anything was final."""


class DiedCommitting(Error):
    """The consumer's process died while it was making its result final. Only the result itself shows whether it is.

    This is no ``PeerDied``, after which a program may just join again.
    """


class TimedOut(Error, TimeoutError):
    """Nothing happened within the given time. The end can be used as before."""


class NoPeer(Error, TimeoutError):
    """No process came to the other end within ``connect_timeout``. The end is over.

    This is no ``TimedOut``, after which a program may just try again.
    """


class Canceled(Error):
    """Another thread called ``cancel``, or ``cancel_event`` is set. The end can be used as before."""


class Misuse(Error):
    """The call is not allowed in this state. Nothing has changed."""


class OtherGeometry(Misuse):
    """The dead producer that this one would replace used another block size or another number of blocks."""


class Forked(Error):
    """The end belongs to the parent of this forked process. Nothing has changed for the parent."""


class Over(Error):
    """The end was used again after it had ended."""


class TooManyInstances(Error):
    """Living processes hold both ends of the pipe, or the requested one."""

    snapshot: "Snapshot"


class OtherTag(Error):
    """The name is in use with a different tag."""

    snapshot: "Snapshot"


class OtherVersion(Error):
    """The process at the other end uses another version of the protocol."""

    ours: int
    theirs: int

    def __init__(self, text: str, ours: int, theirs: int) -> None:
        super().__init__(text)
        self.ours = ours
        self.theirs = theirs

    def __reduce__(self):
        return type(self), (*self.args, self.ours, self.theirs)


class Foreign(Error):
    """The name belongs to something that is not a pipe of this user. It was left alone."""


class Busy(Error):
    """Other processes have been joining or leaving under this name for more than half a second. One may be stopped."""


class AwaitsReplacement(Error):
    """The other end waits for a replacement of its dead peer, and this process does not set ``replace_within``."""

    snapshot: "Snapshot"


class Corrupt(Error):
    """The peer violated the protocol."""


class SystemFailure(Error, OSError):
    """A system call failed; ``errno`` says why."""


class EndOfStream(EOFError):
    """The stream has ended: the consumer has received every block. This is not an error of the pipe."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a pipe at one moment. Pairs of values are those of the producer, then of the consumer."""

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
    asleep: _Side | None
    waits: tuple[_Side, float] | None
    waited: tuple[float, float]
    producer_hello: bytes | None
    consumer_hello: bytes | None
    trailer: bytes | None

    @property
    def is_dead(self) -> bool:
        """True if both processes are gone: a killed pair left the pipe."""
        return not self.producer_alive and self.consumer is None
