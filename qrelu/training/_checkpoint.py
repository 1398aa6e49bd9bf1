"""The state of a training run in a file that is whole at any moment."""

import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .._misc import write_atomically

_FORMAT = "qrelu training checkpoint, version 1"


def fingerprint(*parts: Any) -> str:
    """A hash of arrays, structures, functions and plain values: what a run's numbers depend on.

    The same in every process. A function counts with its code and the values that it closes over,
    as optimizers do over their learning rates; what it takes from elsewhere is not seen.
    """
    digest = hashlib.sha256(importlib.metadata.version("qrelu").encode())
    for part in parts:
        leaves, structure = jax.tree.flatten(part)
        digest.update(_plain(structure).encode())
        for leaf in leaves:
            if isinstance(leaf, jax.Array | np.ndarray | np.generic):
                array = np.asarray(_numbers(leaf))
                digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
            else:
                digest.update(_described(leaf, {}).encode())
    return digest.hexdigest()


def save(
    path: pathlib.Path, run: str, step: int, tree: Any, log: dict[str, np.ndarray], stopped: str
) -> None:
    """Write the arrays of `tree` and of the log, in one step."""
    arrays = {f"leaf.{i}": _numbers(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
    arrays |= {f"log.{name}": np.array(array, order="C") for name, array in log.items()}
    note = {"run": run, "step": step, "stopped": stopped, "arrays": fingerprint(arrays)}
    data = safetensors.numpy.save(arrays, metadata={"format": _FORMAT, "note": json.dumps(note)})
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OSError(
            error.errno,
            f"`fit(checkpoint={path.name!r})` could not be written after step {step}: "
            f"{error.strerror}. Make room, or name a file elsewhere. A checkpoint that was there "
            "is whole: the same call goes on from it",
        ) from error


def load(path: pathlib.Path, run: str, like: Any) -> tuple[int, Any, dict[str, np.ndarray], str]:
    """Step, arrays in the structure of `like`, the log, and why the run stopped, if it did."""
    call = f"fit(checkpoint={path.name!r})"
    data = path.read_bytes()
    try:
        arrays = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = header.get("__metadata__", {})
        note = json.loads(meta["note"]) if meta.get("format") == _FORMAT else None
        if note is not None and note.get("arrays") != fingerprint(arrays):
            raise ValueError("its numbers have changed")
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(
            f"`{call}` must be a checkpoint of training; this file is damaged or of another kind "
            f"({error}). Move it away to start anew."
        ) from None
    if note is None:
        raise ValueError(f"`{call}` must be a checkpoint of training; this file is another one.")
    if note["run"] != run:
        raise ValueError(
            f"`{call}` is the checkpoint of another problem, model, setting or version. Pass "
            "another name, or move the file away to start anew."
        )
    leaves, structure = jax.tree.flatten(like)
    restored = [jnp.asarray(arrays[f"leaf.{i}"]) for i in range(len(leaves))]
    log = {name[4:]: array for name, array in arrays.items() if name.startswith("log.")}
    return int(note["step"]), jax.tree.unflatten(structure, restored), log, note["stopped"]


def as_path(path: str | os.PathLike | None) -> pathlib.Path | None:
    """The file of the checkpoint; its folder must exist."""
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"`fit(checkpoint=...)` must be the name of a file; got {path!r:.60}.")
    place = pathlib.Path(path)
    if place.is_dir():
        raise ValueError(
            f"`fit(checkpoint=...)` must be a file; {str(place)!r} is a folder. Name a file in it."
        )
    if not place.parent.is_dir():
        raise ValueError(
            f"`fit(checkpoint=...)` must lie in an existing folder; {str(place.parent)!r} is none."
        )
    return place


def _numbers(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf, order="C")  # keeps numbers without axes as they are


def _described(value: Any, seen: dict[int, str]) -> str:
    """Words for a value and, if it is a function, for all that makes it up."""

    def words(parts: Any) -> str:
        return f"({', '.join(_described(part, seen) for part in parts)})"

    value = getattr(value, "__wrapped__", value)
    if isinstance(value, types.FunctionType):
        if id(value) not in seen:
            seen[id(value)] = "itself"
            cells = [_content(cell) for cell in value.__closure__ or ()]
            text = words((value.__code__, value.__defaults__, value.__kwdefaults__, cells))
            seen[id(value)] = hashlib.sha256(text.encode()).hexdigest()
        return seen[id(value)]
    if isinstance(value, types.CodeType):
        return value.co_code.hex() + words((value.co_consts, value.co_names))
    if isinstance(value, types.MethodType):
        return words((value.__func__, value.__self__))
    if isinstance(value, functools.partial):
        return words((value.func, value.args, value.keywords))
    if isinstance(value, tuple | list):
        return words(value)
    if isinstance(value, dict):
        return words(value.items())
    if isinstance(value, set | frozenset):
        return str(sorted(_described(part, seen) for part in value))
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = _numbers(value)
        return f"{array.dtype}{array.shape}{array.tobytes().hex()}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        value = float(value)  # a schedule of optax turns its steps into floats when it is used
    return _plain(value)


def _content(cell: types.CellType) -> Any:
    """What a function closes over; a name that it never gave a value is no part of it."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _plain(value: Any) -> str:
    """Words for a value without addresses in memory."""
    text = repr(value)
    return " ".join(word for word in text.replace(">", " ").split() if not word.startswith("0x"))
