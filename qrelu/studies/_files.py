"""What a killed process leaves in a directory, and one process at a time in it."""

import contextlib
import pathlib
from collections.abc import Iterator

from .._misc import UNFINISHED

try:
    import fcntl
except ImportError:  # no advisory locks on this system (Windows): parts are still whole or absent
    fcntl = None


def remove_unfinished(directory: pathlib.Path) -> int:
    """Remove what a killed process left half-written; call it only while holding the lock."""
    leftovers = list(directory.glob("*".join(UNFINISHED)))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[bool]:
    """Hold the advisory lock `path` while the body runs; the system frees it however we end.

    Yields True where the lock is held and False where the file system offers none.
    Raises BlockingIOError if another process holds it.
    """
    with open(path, "ab") as file:
        yield _take(file.fileno())


def _take(descriptor: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a network file system without locks
        return False
    return True
