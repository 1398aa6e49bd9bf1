"""One part of a study over a class: a fit for every draw, and the worst error among them."""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..bounds import class_error, encoding_rate
from ..families import Quantized
from ..targets import AbstractFunctionClass
from ._case import Part, base_of, compute
from ._identity import describe, digest

# What a row says of all draws: a network or a code for the class has to serve the largest.
_LARGEST = (
    "connectivity",
    "connectivity_before_rounding",
    "neurons",
    "pieces",
    "bits_per_weight",
    "total_bits",
)


def draws_of(function_class: AbstractFunctionClass, size: int, count: int, seed: int):
    """The functions of one size and seed: the same for every family, others for every size."""
    name = f"{function_class.name}/{size}"
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()) >> 1)
    return function_class.draws(size, count, key=key)


def compute_class(
    part: Part,
    function_class: AbstractFunctionClass,
    members: Sequence[Any],
    norm,
    count: int,
) -> list[dict[str, Any]]:
    """The rows of a part: the worst draw, beside the proven bound of the error of the class."""
    functions = draws_of(function_class, part.size, count, part.seed)
    found = [
        compute(part._replace(target=f"{part.target}/draw {i}"), function, members, norm)
        for i, function in enumerate(functions)
    ]
    rows = []
    for k, member in enumerate(members):
        rounded = isinstance(member, Quantized)
        bound = class_error(function_class, base_of(member), part.size, norm, rounded=rounded)
        label = "exact" if bound.exact else "lower bound" if bound.lower > 0 else "none"
        here = [draw[k] for draw in found]
        row = _worst(here, [f.name for f in functions]) | {
            "target": part.target,
            "draws": count,
            "limit": bound.lower if bound.lower > 0 else None,
            "limit_label": label,
            "limit_source": bound.source,
            "counts": "pieces",
            "proven_gamma": None,
            "proven_log_power": None,
            "proven_source": None,
            "seconds": sum(draw.get("seconds") or 0.0 for draw in here),
        }
        error = row.get("error")
        row["error_over_limit"] = error / bound.lower if error and bound.lower > 0 else None
        rows.append(row)
    return rows


def _worst(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """The row of the largest error; where a draw has none, that of the first such draw."""
    missing = [i for i, row in enumerate(rows) if row.get("error") is None]
    if missing:
        i = missing[0]
        without = f"draw {i} ({names[i]}) has no error: {rows[i].get('notes', '')}"
        return {**rows[i], "notes": without, "worst_draw": names[i]}
    i = max(range(len(rows)), key=lambda j: rows[j]["error"])
    largest = {name: max(row[name] for row in rows) for name in _LARGEST}
    return {**rows[i], **largest, "worst_draw": names[i]}


def describe_class(function_class: AbstractFunctionClass, count: int) -> dict[str, Any]:
    """The record of a class in a study: its fields, its draws, the rate of its encoding."""
    a, b = map(float, function_class.domain)
    x = a + (b - a) * np.mod(np.arange(1, 65) * 0.6180339887498949, 1.0)  # no grid points
    drawn = function_class.draws(32, 4, key=jax.random.key(0))
    codes = np.round(np.stack([f(x) for f in drawn]) / function_class.radius * 1e9)
    known = encoding_rate(function_class)
    return {
        "name": function_class.name,
        "domain": [a, b],
        "what": describe(function_class),
        "definition": function_class.definition,
        "values": digest(codes.astype(np.int64).tobytes()),
        "magnitude": float(function_class.radius),
        "draws": count,
        "encoding": {"gamma": known.gamma, "norm": known.norm, "source": known.source},
    }
