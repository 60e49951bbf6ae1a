"""The errors and plain values of this package. They contain no logic, so they are written in Python."""

from dataclasses import dataclass


class Error(Exception):
    """The base class of all errors of this package."""


class Aborted(Error):
    """One end aborted the pipe. Both ends receive the same reason."""

    def __init__(self, text, code=0, by=None):
        super().__init__(text)
        self.text = text
        self.code = code
        self.by = by

    def __str__(self):
        return f"aborted by the {self.by}: {self.text}"

    def __reduce__(self):
        return type(self), (self.text, self.code, self.by)


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

    snapshot = None


class OtherTag(Error):
    """The name is in use with a different tag."""

    snapshot = None


class OtherVersion(Error):
    """The process at the other end uses another version of the protocol."""

    def __init__(self, text, ours=None, theirs=None):
        super().__init__(text)
        self.ours = ours
        self.theirs = theirs

    def __reduce__(self):
        return type(self), (*self.args, self.ours, self.theirs)


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


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a pipe at one moment."""

    name: bytes
    tag: bytes
    generation: int
    phase: str
    producer: int
    producer_alive: bool
    consumer: int | None
    users: tuple[int | None, int | None]
    block_size: int | None
    blocks: int | None
    sent: int
    released: int
    waiting_blocks: int
    asleep: str | None
    waits: tuple[str, float] | None
    waited: tuple[float, float]
    producer_hello: bytes | None
    consumer_hello: bytes | None
    trailer: bytes | None

    @property
    def is_dead(self):
        """Whether both processes are gone: a killed pair left the pipe."""
        return not self.producer_alive and self.consumer is None
