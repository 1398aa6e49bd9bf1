"""What several rooms need and none of them is about."""

import contextlib
import os
import pathlib
import secrets

UNFINISHED = (".unfinished-", ".tmp")


def write_atomically(path: pathlib.Path, data: bytes) -> None:
    """Write `data` so that a crash at any moment leaves the old file, the new file or no file.

    The bytes reach the disk under a temporary name in the same directory (fsync), take their name
    in one step (rename), and the directory's own entry reaches the disk last.
    """
    temporary = path.with_name(secrets.token_hex(8).join(UNFINISHED))
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
