"""The state of a training run in a file that is whole at any moment."""

import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import pickle
import re
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from .._misc import write_atomically

_FORMAT = "qrelu training checkpoint, version 1"
# safetensors.numpy does not read the last three.
_TYPES = safetensors.numpy._TYPES | {
    "BF16": jnp.bfloat16,
    "F8_E4M3": jnp.float8_e4m3fn,
    "F8_E5M2": jnp.float8_e5m2,
}
_ATOMS = (str, bytes, bool, int, float, complex, types.EllipsisType)
# Functions that a compiler or a cache holds: what they keep besides changes with their use.
_COMPILED = type(jax.jit(abs)) | functools._lru_cache_wrapper
# Classes from here count with their names: their code changes with a version only.
_KNOWN = {"qrelu", "jax", "jaxlib", "jaxtyping", "equinox", "optax", "numpy", "ml_dtypes"}
_KNOWN |= set(sys.stdlib_module_names)
# Objects in objects, far below the 1,000 calls that Python allows.
_DEEPEST = 200


def fingerprint(*parts: Any) -> str:
    """A hash of arrays, structures, objects and functions: what a run's numbers depend on.

    The same in every process. An object counts with its class and attributes, a function with its
    code and the values that it closes over, as optimizers do over their learning rates; what it
    takes from elsewhere is not seen.
    """
    version = importlib.metadata.version("qrelu")
    return hashlib.sha256((version + _described(parts, {})).encode()).hexdigest()


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
        arrays = {
            name: np.frombuffer(view["data"], _TYPES[view["dtype"]]).reshape(view["shape"])
            for name, view in safetensors.deserialize(data)
        }
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = header.get("__metadata__", {})
        note = json.loads(meta["note"]) if meta.get("format") == _FORMAT else None
        if note is not None and note.get("arrays") != fingerprint(arrays):
            raise ValueError("its numbers have changed")
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
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


def _described(value: Any, seen: dict[int, Any], depth: int = 0) -> str:
    """Words for a value and for all that makes it up; `seen` ends cycles and saves repetitions."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        value = float(value)  # a schedule of optax turns its steps into floats when it is used
    if value is None or isinstance(value, _ATOMS):
        return repr(value)
    if depth > _DEEPEST:
        return type(value).__qualname__
    if id(value) not in seen:
        seen[id(value)] = value, "itself"  # with the value, so that its address is not used anew
        if isinstance(value, jax.Array | np.ndarray | np.generic) and not _of_objects(value):
            array = _numbers(value)
            text = f"{array.dtype}{array.shape}".encode() + array.tobytes()
        else:
            name, parts = _parts(value)
            words = [_described(part, seen, depth + 1) for part in parts]
            words = sorted(words) if isinstance(value, dict | set | frozenset) else words
            text = f"{name}({', '.join(words)})".encode()
        seen[id(value)] = value, hashlib.sha256(text).hexdigest()
    return seen[id(value)][1]


def _parts(value: Any) -> tuple[str, Any]:
    """A name for what a value is, and the values that make it up."""
    if _only_checks(value):
        return "", (value.__wrapped__,)
    if isinstance(value, types.FunctionType):
        cells = [_content(cell) for cell in value.__closure__ or ()]
        return "", (value.__code__, value.__defaults__, value.__kwdefaults__, cells)
    if isinstance(value, types.CodeType):
        return value.co_code.hex(), (value.co_consts, value.co_names)
    if isinstance(value, types.MethodType):
        return "", (value.__func__, value.__self__)
    if isinstance(value, staticmethod | classmethod | _COMPILED):
        return "", (value.__wrapped__,)
    if isinstance(value, property):
        return "", (value.fget,)
    if isinstance(value, type):
        name = f"{value.__module__}.{value.__qualname__}"
        if value.__module__.split(".")[0] in _KNOWN:
            return name, ()
        own = {k: v for k, v in vars(value).items() if not k.startswith("__") or k == "__call__"}
        return name, (own, value.__bases__)
    if isinstance(value, types.ModuleType):
        return value.__name__, ()
    if isinstance(value, dict):
        # A hash that an object keeps of itself is another one in every process.
        items = [
            (k, v) for k, v in value.items() if not (isinstance(k, str) and k.endswith("_hash"))
        ]
        return type(value).__name__, items
    if isinstance(value, set | frozenset):
        return "", value
    if isinstance(value, tuple | list):
        return "", (type(value), *value)
    try:
        made = value.__reduce_ex__(4)  # what it would be copied from: attributes and slots too
    except (TypeError, ValueError, AttributeError, RuntimeError, pickle.PicklingError):
        return re.sub("0x[0-9a-fA-F]+", "", repr(value)), ()  # without addresses in memory
    if isinstance(made, str):
        return made, ()
    return "", [*made[:3], *(list(items) for items in made[3:5] if items is not None)]


def _only_checks(value: Any) -> bool:
    """Whether this is a function of another one that beartype (no closure) or jaxtyping made."""
    if not (isinstance(value, types.FunctionType) and hasattr(value, "__wrapped__")):
        return False
    return not value.__closure__ or str(value.__globals__.get("__name__")).startswith("jaxtyping.")


def _of_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.hasobject


def _content(cell: types.CellType) -> Any:
    """What a function closes over; a name that it never gave a value is no part of it."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
