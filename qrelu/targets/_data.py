"""Samples as a target: the piecewise-linear function through them."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ._abstract import AbstractTarget
from ._duck import exponent_of, kind_of, pieces_of
from ._limits import Limit, no_limit

_WIDE_GAP = 10  # times the median spacing; from there on a gap is worth a note


class Data(AbstractTarget):
    r"""The piecewise-linear function through samples $(x_i, y_i)$.

    Samples are sorted; samples at the same x are averaged. The function says nothing beyond its
    sampling: it has no rate of its own, and as many free knots as it has samples reproduce it.

    - `knots`, `values`: the increasing abscissae and the values there, NumPy float64.
    - `notes`: what was done to the samples and what is unusual about them, as sentences.
    """

    knots: np.ndarray
    values: np.ndarray
    name: str = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)

    def __init__(
        self,
        x: ArrayLike | Sequence,
        y: ArrayLike | Sequence,
        *,
        name: str = "data",
        missing: str = "error",
    ):
        """**Arguments:**

        - `x`, `y`: two columns of numbers of one length, sorted by `x` or not.
        - `name`: how tables and figures call it.
        - `missing`: "error" refuses missing values (NaN), "drop" leaves those samples out.

        **Raises:**

        - `ValueError`, `TypeError`: for columns that are not numbers, of different lengths, with
          missing or infinite values, constant, or with fewer than three different `x`.
        """
        if missing not in ("error", "drop"):
            raise ValueError(f'`Data(missing=...)` must be "error" or "drop"; got {missing!r}.')
        x, y = _column(x, "x"), _column(y, "y")
        if x.size != y.size:
            raise ValueError(
                f"`Data(x, y)` must have two columns of one length; got {x.size} and {y.size}. "
                "Pass one y for every x."
            )
        x, y, notes = _without_missing(x, y, missing)
        x, y, more = _sorted_and_distinct(x, y)
        if y.min() == y.max():
            raise ValueError(
                f"`Data(y=...)` is constant ({y[0]:g}); there is nothing to approximate. "
                "Choose another column."
            )
        self.knots, self.values = x, y
        self.name = name
        self.domain = (float(x[0]), float(x[-1]))
        self.notes = (*notes, *more, *_gap_note(x))
        self.singular_ends = (False, False)

    def __repr__(self) -> str:
        lower, upper = self.domain
        return f"Data({self.name!r}, {self.knots.size} samples on [{lower:g}, {upper:g}])"

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The interior knots; for arithmetic take `knots`, which is an array."""
        return tuple(self.knots[1:-1].tolist())

    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The interpolated values at `x`; constant beyond the first and the last sample."""
        if isinstance(x, jax.Array):
            x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0
            knots, values = jnp.asarray(self.knots, x.dtype), jnp.asarray(self.values, x.dtype)
            return jnp.interp(x, knots, values)
        return np.asarray(np.interp(np.asarray(x, np.float64), self.knots, self.values))

    def derivative(self, x: ArrayLike) -> np.ndarray:
        """The slope at `x`; at a knot that of the piece to its right, 0 beyond the samples."""
        x = np.asarray(x, np.float64)
        piece = np.clip(np.searchsorted(self.knots, x, "right") - 1, 0, self.knots.size - 2)
        slope = (self.values[piece + 1] - self.values[piece]) / (
            self.knots[piece + 1] - self.knots[piece]
        )
        return np.where((x < self.knots[0]) | (x > self.knots[-1]), 0.0, slope)

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray:
        """0 for each interval without a knot strictly inside, infinite for the others."""
        first = np.searchsorted(self.knots, np.asarray(lower, np.float64), "right")
        last = np.searchsorted(self.knots, np.asarray(upper, np.float64), "left")
        return np.where(last > first, math.inf, 0.0)

    def rate(self, family, norm) -> None:
        """None: samples say nothing about sizes beyond their own number."""
        kind_of(family)
        exponent_of(norm)

    def limit(self, norm, family, size: int) -> Limit:
        """0 where free knots can sit on every sample, otherwise none; see `AbstractTarget`."""
        kind, count = kind_of(family), pieces_of(family, size)
        exponent_of(norm)
        if kind == "free-knot" and count >= self.knots.size - 1:
            return Limit(0.0, "exact", "a knot on every sample", "pieces")
        return no_limit("samples say nothing beyond their own number")


def _column(values, which: str) -> np.ndarray:
    try:
        raw = np.asarray(values)
    except ValueError:
        raw = np.asarray(None)
    if raw.ndim != 1:
        raise ValueError(
            f"`Data({which}=...)` must be one column of numbers; got shape {raw.shape}. "
            "Pass a one-dimensional array."
        )
    if raw.dtype.kind not in "iuf" and not _numbers(raw):
        raise TypeError(
            f"`Data({which}=...)` must be real numbers; got entries like {raw[:1].tolist()[0]!r}. "
            "Convert the column first, for example with `numpy.asarray(column, float)`."
        )
    return raw.astype(np.float64)


def _numbers(raw: np.ndarray) -> bool:
    """Whether an object array holds numbers and None only (or nothing at all)."""
    return raw.size == 0 or (
        raw.dtype.kind == "O"
        and all(
            entry is None or (isinstance(entry, int | float) and not isinstance(entry, bool))
            for entry in raw.tolist()
        )
    )


def _without_missing(x, y, missing: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    for column, which in ((x, "x"), (y, "y")):
        infinite = np.flatnonzero(np.isinf(column))
        if infinite.size:
            raise ValueError(
                f"`Data({which}=...)` must be finite; {infinite.size} of {column.size} values are "
                f"infinite, the first at index {infinite[0]}. Remove or replace them."
            )
    gone = np.isnan(x) | np.isnan(y)
    count = int(np.count_nonzero(gone))
    if not count:
        return x, y, []
    if missing == "error":
        raise ValueError(
            f"`Data` has {count} of {x.size} samples with a missing value, the first at index "
            f'{int(np.argmax(gone))}. Pass `missing="drop"` to leave them out, or fill them first.'
        )
    return x[~gone], y[~gone], [f"{count} samples with missing values left out"]


def _sorted_and_distinct(x, y) -> tuple[np.ndarray, np.ndarray, list[str]]:
    notes = []
    if np.any(x[1:] < x[:-1]):
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        notes.append("samples sorted by x")
    first = (
        np.flatnonzero(np.concatenate([[True], x[1:] > x[:-1]])) if x.size else np.array([], int)
    )
    if first.size < 3:
        cure = "The column is constant; choose another." if first.size == 1 < x.size else ""
        raise ValueError(
            f"`Data` needs at least 3 samples at different x; got {first.size}. "
            + (cure or "Add samples.")
        )
    if first.size < x.size:
        counts = np.diff(first, append=x.size)
        notes.append(f"{x.size - first.size} repeated x averaged")
        x, y = x[first], np.add.reduceat(y, first) / counts
    return np.ascontiguousarray(x), np.ascontiguousarray(y), notes


def _gap_note(x: np.ndarray) -> list[str]:
    spacing = np.diff(x)
    widest = int(np.argmax(spacing))
    typical = float(np.median(spacing))
    if spacing[widest] <= _WIDE_GAP * typical:
        return []
    return [
        f"the largest gap, {spacing[widest] / typical:.0f} times the median spacing, is between "
        f"x = {x[widest]:g} and {x[widest + 1]:g}"
    ]
