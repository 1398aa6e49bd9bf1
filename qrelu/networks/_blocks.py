"""What the propagation through the layers shares, whatever the arithmetic."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def depth_first(
    first: Any, depth: int, advance: Callable[[int, Any], Iterator[Any]]
) -> Iterator[Any]:
    """The blocks after `depth` layers, from left to right.

    A block is a stretch of the interval with the neurons that live there; `advance(layer, block)`
    yields the blocks, small enough, that it becomes after that layer. One chain of blocks is in
    memory at a time.
    """
    if depth == 0:
        yield first
        return
    stack = [advance(0, first)]
    while stack:
        block = next(stack[-1], None)
        if block is None:
            stack.pop()
        elif len(stack) == depth:
            yield block
        else:
            stack.append(advance(len(stack), block))


def spans(pieces: int, units: int, limit: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of pieces with at most about `limit` numbers each."""
    parts = -(-pieces * units // limit)
    cuts = np.linspace(0, pieces, min(max(parts, 1), pieces) + 1).astype(int).tolist()
    return zip(cuts[:-1], cuts[1:], strict=True)


def active_mask(
    sign: np.ndarray,
    parent: np.ndarray,
    start: int,
    stop: int,
    crossings: tuple[np.ndarray, np.ndarray, np.ndarray],
    first: np.ndarray,
) -> np.ndarray:
    r"""Which neurons are on, on the pieces `start` to `stop` of the refined interval.

    **Arguments:**

    - `sign`: signs of the pre-activations at the old nodes, $(n, K + 1)$.
    - `parent`: the old piece of every new piece.
    - `crossings`: neuron, old piece (ascending) and new node of every sign change inside a piece.
    - `first`: the new index of every old node.
    """
    old = parent[start:stop]
    on = (sign[:, old] > 0) | (sign[:, old + 1] > 0)
    here = slice(*np.searchsorted(crossings[1], [old[0], old[-1] + 1]))
    unit, piece, node = (part[here] for part in crossings)
    falling = sign[unit, piece] > 0
    off_from = np.where(falling, node, first[piece])
    off_to = np.where(falling, first[piece + 1], node)
    off_from, off_to = off_from.clip(start, stop), off_to.clip(start, stop)
    some = off_from < off_to
    for u, i, j in zip(unit[some].tolist(), off_from[some], off_to[some], strict=True):
        on[u, i - start : j - start] = False
    return on
