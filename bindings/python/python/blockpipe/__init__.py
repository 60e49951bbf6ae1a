"""Named, crash-safe, zero-copy pipes of large blocks between two processes."""

from ._native import (
    Committing,
    Consumer,
    EmptyBlock,
    FilledBlock,
    Producer,
    inspect,
    pipes,
    protocol_version,
    remove_dead,
)
from ._types import (
    Aborted,
    Busy,
    Canceled,
    Corrupt,
    DiedCommitting,
    EndOfStream,
    Error,
    Foreign,
    Forked,
    Misuse,
    NoPeer,
    OtherGeometry,
    OtherTag,
    OtherVersion,
    Over,
    PeerDied,
    Snapshot,
    SystemFailure,
    TimedOut,
    TooManyInstances,
)

__all__ = [
    "Aborted",
    "Busy",
    "Canceled",
    "Committing",
    "Consumer",
    "Corrupt",
    "DiedCommitting",
    "EmptyBlock",
    "EndOfStream",
    "Error",
    "FilledBlock",
    "Foreign",
    "Forked",
    "Misuse",
    "NoPeer",
    "OtherGeometry",
    "OtherTag",
    "OtherVersion",
    "Over",
    "PeerDied",
    "Producer",
    "Snapshot",
    "SystemFailure",
    "TimedOut",
    "TooManyInstances",
    "inspect",
    "pipes",
    "protocol_version",
    "remove_dead",
]

# Messages and documentation name the classes as programs import them.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "blockpipe"
del _name
