"""The grid of a parameter array as plain numbers: bits and step, one for all or one per row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..quantizers import FixedPoint, Uniform

_MOST = 53


class RowGrids(NamedTuple):
    """Bits and steps, either one number or one for each row of the array."""

    bits: int | list[int]
    step: float | list[float]

    def quantizer(self, axes: int) -> Uniform:
        """The grid of an array with that many axes."""
        return Uniform(_spread(self.step, axes), bits=_spread(self.bits, axes))

    def rows(self, count: int) -> list[int]:
        """The bits of each of `count` rows."""
        return [self.bits] * count if isinstance(self.bits, int) else self.bits

    def spread(self, count: int) -> "RowGrids":
        """The same with one number for each of `count` rows."""
        steps: Any = self.step if isinstance(self.step, list) else [self.step] * count
        return RowGrids(self.rows(count), steps)

    def to_dict(self) -> dict[str, Any]:
        """The grid as JSON holds it."""
        return {"bits": self.bits, "step": self.step}


def row_grids(call: str, quantizer: Any, rows: int) -> RowGrids:
    """The numbers of a bounded uniform grid for an array with that many rows."""
    if not isinstance(quantizer, Uniform | FixedPoint):
        raise TypeError(
            f"`{call}` must get bounded `Uniform` or `FixedPoint` grids; got "
            f"{type(quantizer).__name__}."
        )
    bits, step = quantizer.bits, quantizer.step
    return RowGrids(_numbers(call, bits, rows, int), _numbers(call, step, rows, float))


def read_grids(bits: np.ndarray, steps: np.ndarray, numbers: Sequence[int]) -> list[RowGrids]:
    """Grids from all their bits and steps, so many of each for every array, checked."""
    if bits.dtype != np.uint8 or steps.dtype != np.float64:
        raise ValueError(f"its grids have the types {bits.dtype} and {steps.dtype}")
    if bits.shape != (sum(numbers),) or steps.shape != bits.shape:
        raise ValueError(f"it has {bits.shape} bits and {steps.shape} steps")
    if not (((bits >= 1) & (bits <= _MOST)).all() and ((steps > 0) & np.isfinite(steps)).all()):
        raise ValueError("a grid has bits or steps out of range")
    ends = np.cumsum(numbers)[:-1]
    several: Any = [
        (b.tolist(), s.tolist()) if len(b) > 1 else (int(b[0]), float(s[0]))
        for b, s in zip(np.split(bits, ends), np.split(steps, ends), strict=True)
    ]
    return [RowGrids(*pair) for pair in several]


def _numbers(call: str, value: Any, rows: int, kind: type) -> Any:
    array = np.asarray(value)
    if array.size == 1:
        return kind(array.reshape(()))
    if array.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"`{call}` must get one step and one number of bits per array or per row; got the "
            f"shape {array.shape} for {rows} rows."
        )
    return [kind(number) for number in array.reshape(-1)]


def _spread(value: Any, axes: int) -> Any:
    if not isinstance(value, list):
        return value
    return np.array(value).reshape((-1,) + (1,) * (axes - 1))
