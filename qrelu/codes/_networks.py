"""Networks of any shape to bits and back, without loss."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..families._dyadic_tree import tree_network
from ..families._spline import Spline
from ..networks import ReLUNetwork, SparseMatrix
from ._arrays import code_array, code_step, grid_of
from ._coder import Coder, cheapest, natural, whole
from ._formulas import MOST
from ._integers import Levels, positions

TYPES = ("float64", "float32", "float16", "bfloat16")
# Deeper networks, or larger matrices, are taken for damage; so are more dense entries in all.
DEEPEST, _DEEPEST_TREE = 2**16, 18
_MOST_ENTRIES = 4 * MOST
# More parameters than this gain nothing from being one array.
_FEW = 2**13
# Bits of the largest weight that are expected.
_USUAL_LENGTH = 6


def network(
    coder: Coder, given: ReLUNetwork | None, domain: Any = None, steps: Sequence[float] = ()
) -> ReLUNetwork:
    """The depth, the widths, and for each layer the matrix and the bias.

    Of more than two layers two bits tell whether the entries stand where those of a `DyadicTree` of
    this depth stand. Otherwise a bit tells whether all entries follow as one array, which a network
    of few parameters is glad of, or each array by itself: its type (2 bits), for a matrix whether
    it is sparse, which entries are not zero (`positions`, row by row), and these in their order.
    """
    depth = 1 + natural(coder, given.depth - 1 if given else 0)
    if depth > DEEPEST:
        raise ValueError(f"it has {depth} layers")
    maps = whole(coder, tree_maps(given), 2) if depth > 2 else 0
    places = tree_places(depth, maps) if maps else None
    if places is not None:
        return _on_places(coder, given, places, steps)
    widths = [1 + natural(coder, given.widths[k] - 1 if given else 0) for k in range(depth + 1)]
    if sum(widths) > MOST:
        raise ValueError(f"it has {sum(widths)} neurons")
    ways = [lambda c, w=w: w(c, given, widths, steps) for w in (_apart, _at_once)]
    total = sum((n + 1) * m for n, m in zip(widths[:-1], widths[1:], strict=True))
    few = given is not None and total <= _FEW and _dense_type(given) is not None
    return ways[coder.bit(cheapest(coder, ways) if few else 0, 0.5)](coder)


def _dense_type(net: ReLUNetwork) -> str | None:
    """The one type of all arrays, if none is sparse."""
    kinds = {
        "sparse" if isinstance(p, SparseMatrix) else np.dtype(p.dtype).name for p in _parts(net)
    }
    return kinds.pop() if len(kinds) == 1 and kinds <= set(TYPES) else None


def _at_once(
    coder: Coder, given: ReLUNetwork | None, widths: Sequence[int], steps: Sequence[float]
) -> ReLUNetwork:
    """The type of all arrays, and their entries as one."""
    name = _dense_type(given) if given else None
    kind = TYPES[whole(coder, TYPES.index(name) if name else 0, 2)]
    shapes = [s for n, m in zip(widths[1:], widths[:-1], strict=True) for s in ((n, m), (n,))]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    if ends[-1] > _FEW:
        raise ValueError(f"it has {ends[-1]} parameters as one array")
    values = np.zeros(0)
    if given:
        values = np.concatenate([np.ravel(p).astype(np.float64) for p in _parts(given)])
    flat = _as_type(_numbers(coder, values, int(ends[-1]), steps, kind), kind)
    parts = [a.reshape(s) for a, s in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
    return ReLUNetwork(parts[::2], parts[1::2])


def _as_type(values: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # in damaged files only
        return values.astype(np.dtype(name))


def _numbers(
    coder: Coder, values: np.ndarray, size: int, steps: Sequence[float], kind: str
) -> np.ndarray:
    """As `code_array`, or, for numbers without any order, `Levels` with a single level."""
    grid = grid_of(values, steps, kind) if len(values) else None

    def unordered(coder: Coder) -> np.ndarray:
        step = code_step(coder, grid[0] if grid else 1.0)
        codes = grid[1] if grid else None
        return Levels(_USUAL_LENGTH).code(coder, codes, size) * step

    ways = (lambda c: code_array(c, values, size, steps, kind), unordered)
    found = cheapest(coder, ways) if grid else 0
    return ways[coder.bit(found, 0.7)](coder)


def _apart(
    coder: Coder, given: ReLUNetwork | None, widths: Sequence[int], steps: Sequence[float]
) -> ReLUNetwork:
    """Each array by itself."""
    depth, weights, biases, entries = len(widths) - 1, [], [], 0
    for k in range(depth):
        shape = (widths[k + 1], widths[k])
        if shape[0] * shape[1] > MOST**2:
            raise ValueError(f"it has a matrix of shape {shape}")
        weights.append(_matrix(coder, given.weights[k] if given else None, shape, steps))
        entries += entries_of(weights[-1]).size
        if entries > _MOST_ENTRIES:
            raise ValueError(f"it has more than {_MOST_ENTRIES} entries")
        biases.append(_vector(coder, given.biases[k] if given else None, shape[0], steps))
    return ReLUNetwork(weights, biases)


def _template(depth: int, maps: int) -> ReLUNetwork | None:
    """A tree of that depth with maps per level; no parameter of it is zero by chance."""
    levels, rest = divmod(depth - 1, maps)
    if rest or not 1 <= levels <= _DEEPEST_TREE:
        return None
    knots = np.linspace(1.0, 2.0, 2**levels + 1)
    return tree_network(Spline(knots, knots**2), maps)


def _parts(net: ReLUNetwork) -> list[Any]:
    return [part for pair in zip(net.weights, net.biases, strict=True) for part in pair]


def entries_of(part: Any) -> np.ndarray:
    """The numbers of an array, also of a sparse one."""
    return np.asarray(part.values if isinstance(part, SparseMatrix) else part)


def tree_maps(given: ReLUNetwork | None) -> int:
    """2 or 1 for a network whose entries stand where those of a tree stand, else 0."""
    if given is None:
        return 0
    for maps in (2, 1):
        like = _template(given.depth, maps)
        if like is None or like.widths != given.widths:
            continue
        pairs = list(zip(_parts(given), _parts(like), strict=True))
        if all(_same_places(a, b) for a, b in pairs) and all(
            a.dtype == np.float64 for a, _ in pairs
        ):
            return maps
    return 0


def _same_places(given: Any, like: Any) -> bool:
    if isinstance(given, SparseMatrix) != isinstance(like, SparseMatrix):
        return False
    return not isinstance(given, SparseMatrix) or given.pattern == like.pattern


def tree_places(depth: int, maps: int) -> ReLUNetwork:
    """A tree of that depth, or an error where there is none."""
    like = _template(depth, maps)
    if like is None:
        raise ValueError(f"it has a tree of depth {depth} with {maps} maps per level")
    return like


def _on_places(
    coder: Coder, given: ReLUNetwork | None, like: ReLUNetwork, steps: Sequence[float]
) -> ReLUNetwork:
    found = []
    for number, part in enumerate(_parts(like)):
        own = None if given is None else _parts(given)[number]
        sparse = isinstance(part, SparseMatrix)
        values = part.values if sparse else part
        own = own.values if isinstance(own, SparseMatrix) else own
        flat = np.zeros(0) if own is None else np.ravel(own)
        new = code_array(coder, flat, values.size, steps).reshape(values.shape)
        found.append(SparseMatrix(new, part.rows, part.columns, part.shape) if sparse else new)
    return ReLUNetwork(found[::2], found[1::2])


def _matrix(coder: Coder, given: Any, shape: tuple[int, int], steps: Sequence[float]) -> Any:
    sparse = coder.bit(int(isinstance(given, SparseMatrix)), 0.2)
    total = shape[0] * shape[1]
    if not sparse:
        if total > MOST:
            raise ValueError(f"it has a matrix of shape {shape}")
        return _vector(coder, None if given is None else np.ravel(given), total, steps).reshape(
            shape
        )
    places = values = None
    if given is not None:
        places, values = given.rows.astype(np.int64) * shape[1] + given.columns, given.values
    places, values = _entries(coder, places, values, total, steps)
    return SparseMatrix(values, places // shape[1], places % shape[1], shape)


def _vector(coder: Coder, given: Any, size: int, steps: Sequence[float]) -> np.ndarray:
    places = values = None
    if given is not None:
        array = np.asarray(given)
        places = np.flatnonzero(array)
        values = array[places]
    places, values = _entries(coder, places, values, size, steps)
    found = np.zeros(size, values.dtype)
    found[places] = values
    return found


def _entries(
    coder: Coder, places: Any, values: Any, total: int, steps: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    name = TYPES[whole(coder, 0 if values is None else TYPES.index(values.dtype.name), 2)]
    places = positions(coder, np.zeros(0, np.int64) if places is None else places, total)
    given = np.zeros(0) if values is None else np.asarray(values, np.float64)
    found = code_array(coder, given, places.size, steps, name)
    return places, _as_type(found, name)
