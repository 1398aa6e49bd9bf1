"""Which entries of a sparse matrix are there, as a hashable constant of compiled programs."""

import functools
import hashlib
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Some rows of a matrix with about equally many entries each, slice by slice.

    Slice k holds the entry number k of every row, counted from the part's first one; where a row
    has none, its entry is the number of all entries and its column the last one that it has.
    """

    rows: np.ndarray  # (m,)
    entries: np.ndarray  # (slices, m), numbers of entries
    columns: np.ndarray  # (slices, m)


class Layout(NamedTuple):
    """How to multiply from the left: dense rows as a dense matrix, the others in parts."""

    dense_rows: np.ndarray
    dense_entries: np.ndarray  # numbers of the entries in dense rows
    parts: tuple[Part, ...]


# A row with at least this share of its entries is multiplied as a dense row: on a processor dense
# and sparse products take the same time at densities between 1/10 and 1/7.
DENSE_SHARE = 1 / 8
# What adding a further part costs beyond its slices: this many slices, and this many rows.
_MORE_SLICES, _MORE_ROWS = 4, 512


class Pattern:
    """The places of the entries of a matrix, sorted by rows and columns, without repetition.

    Two patterns are equal when their places and shapes are. Equality and hash cost nothing, so that
    a pattern can be a static part of a pytree: the key of a compiled program, not an input.
    """

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    def __init__(self, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]):
        self.rows = np.ascontiguousarray(rows, np.int32)
        self.columns = np.ascontiguousarray(columns, np.int32)
        self.rows.flags.writeable = self.columns.flags.writeable = False
        self.shape = shape
        content = hashlib.blake2b(repr(shape).encode(), digest_size=16)
        content.update(self.rows.tobytes())
        content.update(self.columns.tobytes())
        self._digest = content.digest()
        self._hash = hash(self._digest)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Pattern) and self._digest == other._digest)

    def __repr__(self) -> str:
        return f"Pattern({self.count} of {self.shape[0]} x {self.shape[1]})"

    @property
    def count(self) -> int:
        """The number of entries."""
        return self.rows.size

    @property
    def places(self) -> np.ndarray:
        """Every entry's place in the matrix read row by row."""
        return self.rows.astype(np.int64) * self.shape[1] + self.columns

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """The first entry of every row, and the number of entries."""
        degrees = np.bincount(self.rows, minlength=self.shape[0])
        return np.concatenate([[0], np.cumsum(degrees)])

    @functools.cached_property
    def transposed(self) -> tuple["Pattern", np.ndarray]:
        """The pattern of the transpose, and the number here of every entry there."""
        order = np.argsort(self.columns, kind="stable").astype(np.int32)
        return Pattern(self.columns[order], self.rows[order], (self.shape[1], self.shape[0])), order

    @functools.lru_cache(maxsize=4)  # noqa: B019
    def repeated(self, times: int) -> "Pattern":
        """The pattern of the block-diagonal matrix with `times` blocks like this one."""
        shift = np.arange(times, dtype=np.int32)[:, None]
        rows, columns = self.shape
        return Pattern(
            (self.rows + shift * rows).ravel(),
            (self.columns + shift * columns).ravel(),
            (rows * times, columns * times),
        )

    @functools.cached_property
    def layout(self) -> Layout:
        """The parts that the product with a dense matrix is made of."""
        degrees = np.diff(self.starts)
        dense = degrees >= max(DENSE_SHARE * self.shape[1], 2)
        entries = np.flatnonzero(dense[self.rows]).astype(np.int32)
        sparse = np.where(dense, 0, degrees)
        cuts = _cuts(sparse)
        parts = [self._part(sparse, low, high) for low, high in zip(cuts, cuts[1:], strict=False)]
        return Layout(np.flatnonzero(dense).astype(np.int32), entries, tuple(parts))

    def _part(self, degrees: np.ndarray, low: int, high: int) -> Part:
        rows = np.flatnonzero(degrees > low)
        if low == 0 and 2 * rows.size > degrees.size:
            rows = np.arange(degrees.size)  # no other order of the rows, for a few empty ones
        slices = np.arange(low, high)[:, None]
        here, last = self.starts[rows], np.maximum(degrees[rows] - 1, 0)
        entries = here + np.minimum(slices, last)
        columns = self.columns[np.minimum(entries, self.count - 1)]
        entries = np.where(slices < degrees[rows], entries, self.count)
        return Part(rows.astype(np.int32), entries.astype(np.int32), columns)


def _cuts(degrees: np.ndarray) -> list[int]:
    """Numbers of entries 0 = c_0 < ... < c_s = the largest, between which to make parts."""
    # Part j has m_j slices of the m_j rows with more than c_j entries. The cheapest cuts are the
    # shortest path through the degrees that occur. Degrees within an eighth of each other count as
    # one, the larger, which keeps their number below a hundred.
    ends = np.unique(degrees[degrees > 0])
    if ends.size == 0:
        return [0]
    coarse = np.floor(8 * np.log2(ends))
    ends = np.append(ends[:-1][coarse[:-1] != coarse[1:]], ends[-1])
    nodes = np.concatenate([[0], ends])
    longer = degrees.size - np.searchsorted(np.sort(degrees), nodes, side="right")
    cost, before = np.zeros(nodes.size), np.zeros(nodes.size, int)
    for i in range(1, nodes.size):
        width = nodes[i] - nodes[:i]
        paths = cost[:i] + (longer[:i] + _MORE_ROWS) * (width + _MORE_SLICES)
        before[i] = np.argmin(paths)
        cost[i] = paths[before[i]]
    cuts = [nodes.size - 1]
    while cuts[-1] > 0:
        cuts.append(int(before[cuts[-1]]))
    return nodes[cuts[::-1]].tolist()
