"""What several rooms need and none of them is about."""

import contextlib
import decimal
import math
import os
import pathlib
import secrets
import sys
import warnings
from typing import Any

import numpy as np

UNFINISHED = (".unfinished-", ".tmp")
# Between a user's line and ours lie only frames of these.
_BETWEEN = ("qrelu", "jax", "equinox", "jaxtyping", "beartype")


def warn(message: str) -> None:
    """A `UserWarning` that points at the user's line."""
    level, frame = 1, sys._getframe()
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


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


def file_path(call: str, path: Any) -> pathlib.Path:
    """The path of a file; whatever is no path is refused by name."""
    if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
        raise TypeError(
            f"`{call}` must be the path of a file, a string or a `pathlib.Path`; got {path!r:.80}."
        )
    return pathlib.Path(path)


def as_domain(call: str, domain: Any, axes: int | np.integer = 1) -> tuple[np.ndarray, np.ndarray]:
    """The ends of a box, from an interval, two ends or one interval per axis."""
    try:
        box = np.array(domain, dtype=np.float64)
    except (TypeError, ValueError):
        box = np.zeros(0)
    if box.shape == (2,):
        box = np.repeat(box[:, None], axes, axis=1)
    elif box.ndim == 2 and 2 in box.shape:
        ends = len(box) == 2 and bool((box[0] < box[1]).all())
        intervals = box.shape[-1] == 2 and bool((box[:, 0] < box[:, 1]).all())
        arrays = any(isinstance(part, np.ndarray) for part in (domain, *domain))
        if ends and intervals and not arrays and box[0, 1] != box[1, 0]:
            raise ValueError(
                f"`{call}(domain, ...)` reads {domain} in two ways. Pass the ends (lower, upper) "
                "as two NumPy arrays."
            )
        box = box.T if intervals and not ends else box
    else:
        raise ValueError(
            f"`{call}(domain, ...)` must be an interval (a, b), the ends (lower, upper) of a box, "
            f"or one interval per axis; got {domain!r}."
        )
    if len(box) != 2 or not (np.isfinite(box).all() and (box[0] < box[1]).all()):
        raise ValueError(
            f"`{call}(domain, ...)` must have finite ends with lower < upper on every axis; got "
            f"{domain!r}."
        )
    return box[0], box[1]


def shown(value: float, digits: int, *, above: bool) -> str:
    """A bound in so many digits that is none too sharp: rounded upwards, or downwards."""
    if not math.isfinite(value):
        return f"{value:g}"
    rounding = decimal.ROUND_CEILING if above else decimal.ROUND_FLOOR
    context = decimal.Context(prec=digits, rounding=rounding)
    return f"{float(context.create_decimal(decimal.Decimal(float(value)))):.{digits}g}"


def plain(value: Any) -> Any:
    """A number, True or False of NumPy as Python's own; anything else as it is.

    JAX compares what is static in a module, and takes a number of NumPy for an array there.
    """
    return value.item() if isinstance(value, np.integer | np.floating | np.bool_) else value
