"""Floats as integers with a common power of two."""

import numpy as np


def to_integers(array: np.ndarray) -> tuple[np.ndarray, int]:
    r"""Python integers $m$ and the least $p \ge 0$ with `array` $= 2^{-p} m$ exactly."""
    result = np.zeros(array.shape, dtype=object)
    where = np.nonzero(array)
    ratios = [value.as_integer_ratio() for value in array[where].tolist()]
    shift = max((d.bit_length() - 1 for _, d in ratios), default=0)
    for index, (n, d) in zip(zip(*where, strict=True), ratios, strict=True):
        result[index] = n << (shift - d.bit_length() + 1)
    return result, shift


def strip_zeros(*arrays: np.ndarray, limit: int) -> int:
    """How many zero bits, at most `limit`, end all of these integers."""
    union = 0
    for array in arrays:
        union |= int(np.bitwise_or.reduce(array, axis=None)) if array.size else 0
    return limit if union == 0 else min(limit, (union & -union).bit_length() - 1)
