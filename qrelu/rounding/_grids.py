"""The grids of a network's parameter arrays, and rounding to them column by column."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ..quantizers import (
    AbstractCalibration,
    AbstractQuantizer,
    AbstractUniformGrid,
    Clipped,
    LearnedStep,
)
from ._like import type_of

Snap = Callable[[np.ndarray], np.ndarray]


def is_table(quantizer: AbstractQuantizer) -> bool:
    """Whether the arrays of a grid are its values, the same for every entry that is rounded."""
    while isinstance(quantizer, Clipped):
        quantizer = quantizer.q
    return not isinstance(quantizer, AbstractUniformGrid | LearnedStep)


class Grid(NamedTuple):
    """The grid of a matrix (rows, columns) or a vector (rows,), in the type of its numbers."""

    quantizer: AbstractQuantizer
    dtype: np.dtype
    shape: tuple[int, ...]

    def whole(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers in the shape of the array, rounded in its type; float64."""
        return np.asarray(self.quantizer(numbers.astype(self.dtype))).astype(np.float64)

    def columns(self) -> list[Snap]:
        """For every column, the rounding of a vector with an entry per row."""
        count = self.shape[1] if len(self.shape) > 1 else 1
        return [self._snap(q) for q in _split(self.quantizer, self.shape, count)]

    def _snap(self, quantizer: AbstractQuantizer) -> Snap:
        vector = len(self.shape) == 1
        return lambda row: (
            np.asarray(
                quantizer(row.astype(self.dtype) if vector else row.astype(self.dtype)[:, None])
            )
            .astype(np.float64)
            .reshape(-1)
        )


def _split(quantizer: AbstractQuantizer, shape: tuple[int, ...], count: int):
    """The grids of the single columns: parameters of the grid that vary along a row are cut."""
    if is_table(quantizer):
        return [quantizer] * count

    def varies(leaf: Any) -> bool:
        return np.ndim(leaf) > 0 and len(shape) > 1 and np.shape(leaf)[-1] == count > 1

    leaves, structure = jax.tree.flatten(quantizer)
    if not any(map(varies, leaves)):
        return [quantizer] * count
    return [
        jax.tree.unflatten(structure, [p[..., j : j + 1] if varies(p) else p for p in leaves])
        for j in range(count)
    ]


def grids(q: Any, arrays: Sequence[Any]) -> list[Grid]:
    """One grid per array of a network, matrices first; a calibration looks at the numbers."""
    numbers = [np.asarray(a) for a in arrays]
    if isinstance(q, AbstractCalibration):
        chosen = q.grids(numbers)
    elif isinstance(q, AbstractQuantizer):
        chosen = [q] * len(numbers)
    else:
        chosen = [pair[i] for i in (0, 1) for pair in q]
    return [Grid(g, type_of(a), a.shape) for g, a in zip(chosen, numbers, strict=True)]


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(q, AbstractQuantizer) for q in pair)
    )


def check_rule(call: str, q: Any) -> None:
    """A deterministic quantizer or calibration, or pairs of quantizers, one per layer."""
    if isinstance(q, list | tuple) and q and all(_is_pair(pair) for pair in q):
        for pair in q:
            for grid in pair:
                check_rule(call, grid)
        return
    if not isinstance(q, AbstractQuantizer | AbstractCalibration):
        raise TypeError(
            f"`{call}` must get a quantizer or a calibration; got {type(q).__name__}. Use, for "
            "example, `quantizers.Uniform(step)` or `quantizers.AbsMax(bits)`."
        )
    if getattr(q, "rounding", None) == "stochastic":
        raise ValueError(
            f"`{call}` must get a deterministic quantizer; got stochastic rounding. The other "
            "parameters absorb the error here, chance would add to it: use nearest rounding."
        )
