"""What a study is, written down so that two studies are the same exactly if their records are."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib
import platform
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np


def digest(data: bytes) -> str:
    """Sixteen hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def describe(value) -> object:
    """A value as plain JSON: modules by class and fields, arrays by content, functions by name."""
    if isinstance(value, eqx.Module):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, np.ndarray | jax.Array):
        array = np.asarray(value)
        return {
            "array": digest(array.tobytes()),
            "shape": list(array.shape),
            "dtype": str(array.dtype),
        }
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    name = getattr(value, "__qualname__", type(value).__qualname__)
    module = getattr(value, "__module__", type(value).__module__)
    return {"object": f"{module}.{name}"}


def describe_target(target) -> dict[str, object]:
    """A target by its fields and by its values, so that an edited function is another target.

    The values are taken at 257 points of the domain that are no grid points (multiples of the
    golden ratio; of other irrational numbers in several variables) and kept to nine digits of their
    largest one: the last bits of an exponential differ between machines, and that is not another
    study.
    """
    a, b = (np.asarray(end, np.float64) for end in target.domain)
    steps = 0.6180339887498949 if a.ndim == 0 else np.sqrt(np.arange(2, a.size + 2) + 0.1)
    x = a + (b - a) * np.mod(np.multiply.outer(np.arange(1, 258), steps), 1.0)
    values = np.nan_to_num(np.asarray(target(x), dtype=np.float64))
    scale = max(float(np.max(np.abs(values))), 1e-300)
    codes = np.round(values / scale * 1e9).astype(np.int64)
    return {
        "name": target.name,
        "domain": [a.tolist(), b.tolist()],
        "what": describe(target),
        "values": digest(codes.tobytes()),
        "magnitude": float(f"{scale:.6g}"),
    }


def describe_study(
    targets: Sequence[dict], families, sizes: Sequence[int], norm, seeds: Sequence[int]
) -> dict:
    """The record of a study: what its numbers depend on, the version of qrelu included.

    `targets` are records of targets and classes; `families` are triples: the family, the name of
    its unrounded family, its rounding rule.
    """
    return {
        "targets": list(targets),
        "families": [
            {"name": family.name, "base": base, "rule": rule, "what": describe(family)}
            for family, base, rule in families
        ],
        "sizes": list(sizes),
        "norm": {"name": norm.name, "what": describe(norm)},
        "seeds": list(seeds),
        "qrelu": importlib.metadata.version("qrelu"),
        "code": _code(),
    }


@functools.lru_cache(maxsize=1)
def _code() -> str:
    """A digest of the code that the numbers come from: an edited algorithm is another study.

    `rates` is not part of it: rates are fitted anew each time and not stored.
    """
    root = pathlib.Path(__file__).parent.parent
    rooms = ("networks", "quantizers", "targets", "bounds", "norms", "families", "training")
    files = sorted(path for room in rooms for path in (root / room).glob("*.py"))
    return digest(b"".join(path.read_bytes() for path in files))


def fingerprint(description: dict) -> str:
    """Sixteen hexadecimal digits that name the study."""
    return digest(json.dumps(description, sort_keys=True).encode())


def differences(old: dict, new: dict) -> str:
    """In words, what two records differ in."""
    parts = []
    for word, key in [("targets", "targets"), ("families", "families")]:
        before, after = ([item["name"] for item in d.get(key, [])] for d in (old, new))
        if before != after:
            parts.append(f"{word}: {', '.join(before)} there, {', '.join(after)} here")
        elif old.get(key) != new.get(key):
            changed = [
                b["name"] for a, b in zip(old[key], new[key], strict=True) if a != b
            ]  # the same names, another definition behind them
            parts.append(f"{word}: the definition of {', '.join(changed)} has changed")
    for key in ("sizes", "seeds", "qrelu"):
        if old.get(key) != new.get(key):
            parts.append(f"{key}: {_brief(old.get(key))} there, {_brief(new.get(key))} here")
    before, after = old.get("norm", {}), new["norm"]
    if before.get("name") != after["name"]:
        parts.append(f"norm: {before.get('name')} there, {after['name']} here")
    elif before != after:
        parts.append("norm: its definition has changed")
    if not parts and old.get("code") != new.get("code"):
        parts.append("the code of qrelu has changed since")
    return "; ".join(parts) or "its record is of another kind"


def _brief(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def environment() -> dict[str, str]:
    """What computed a part: versions and device."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in ("qrelu", "jax", "numpy")}
    return {
        **versions,
        "python": platform.python_version(),
        "device": f"{device.platform} ({device.device_kind})",
    }
