"""Files that are either whole or not there, and one process at a time in a directory."""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no advisory locks on this system (Windows): parts are still whole or absent
    fcntl = None

_PREFIX, _SUFFIX = ".unfinished-", ".tmp"


def write_atomically(path: pathlib.Path, data: bytes) -> None:
    """Write `data` so that a crash at any moment leaves the old file, the new file or no file.

    The bytes reach the disk under a temporary name in the same directory (fsync), take their name
    in one step (rename), and the directory's own entry reaches the disk last.
    """
    temporary = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: pathlib.Path) -> None:
    """Ask for the directory's entries to reach the disk, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(directory: pathlib.Path) -> int:
    """Remove what a killed process left half-written; call it only while holding the lock."""
    leftovers = list(directory.glob(f"{_PREFIX}*{_SUFFIX}"))
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
