"""The state of a training run in a file that is whole at any moment."""

import hashlib
import importlib.metadata
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .._misc import write_atomically

_FORMAT = "qrelu training checkpoint, version 1"


def fingerprint(*parts: Any) -> str:
    """A hash of arrays, structures and plain values: what a run's numbers depend on."""
    digest = hashlib.sha256(importlib.metadata.version("qrelu").encode())
    for part in parts:
        leaves, structure = jax.tree.flatten(part)
        digest.update(_plain(structure).encode())
        for leaf in leaves:
            if isinstance(leaf, jax.Array | np.ndarray | np.generic):
                array = np.asarray(_numbers(leaf))
                digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
            else:
                digest.update(_plain(leaf).encode())
    return digest.hexdigest()


def save(
    path: pathlib.Path, run: str, step: int, tree: Any, log: dict[str, np.ndarray], stopped: str
) -> None:
    """Write the arrays of `tree` and of the log, in one step."""
    arrays = {f"leaf.{i}": _numbers(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
    arrays |= {f"log.{name}": np.array(array, order="C") for name, array in log.items()}
    note = json.dumps({"run": run, "step": step, "stopped": stopped})
    data = safetensors.numpy.save(arrays, metadata={"format": _FORMAT, "note": note})
    write_atomically(path, data)


def load(path: pathlib.Path, run: str, like: Any) -> tuple[int, Any, dict[str, np.ndarray], str]:
    """Step, arrays in the structure of `like`, the log, and why the run stopped, if it did."""
    call = f"fit(checkpoint={path.name!r})"
    data = path.read_bytes()
    try:
        arrays = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = header.get("__metadata__", {})
        note = json.loads(meta["note"]) if meta.get("format") == _FORMAT else None
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
    place = pathlib.Path(path)
    if not place.parent.is_dir():
        raise ValueError(
            f"`fit(checkpoint=...)` must lie in an existing folder; {str(place.parent)!r} is none."
        )
    return place


def _numbers(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf, order="C")  # keeps numbers without axes as they are


def _plain(value: Any) -> str:
    """Words for a value without addresses in memory."""
    text = repr(value)
    return " ".join(word for word in text.replace(">", " ").split() if not word.startswith("0x"))
