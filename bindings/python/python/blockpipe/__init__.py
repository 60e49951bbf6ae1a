"""Named, crash-safe, zero-copy pipes of large blocks between two processes."""

from . import _types
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
from ._types import *

__all__ = [
    "Committing",
    "Consumer",
    "EmptyBlock",
    "FilledBlock",
    "Producer",
    "inspect",
    "pipes",
    "protocol_version",
    "remove_dead",
    *_types.__all__,
]

# Error messages and documentation show the names under which programs import the classes.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "blockpipe"
del _name
