"""Arrays of float64 numbers on grids, bit for bit."""

import math
import struct
from collections.abc import Callable, Sequence

import numpy as np

from ..families._rules import STEP_DIGITS
from ._coder import Coder, Flag, cheapest, cost, natural, sized, whole
from ._common_step import common_steps
from ._integers import Integers, Levels

# Whole numbers of more bits have no place in float64.
_LONGEST = 53
# Periods of blocks in a matrix.
_LONGEST_PERIOD = 16
# Differences of so many orders are tried.
_ORDERS = 4
# The length of a difference that is expected at first.
_DIFFERENCE = 4.0
# Types of fewer bits that hold numbers without a grid, and how many.
_SHORT = ("float32", "float16", "bfloat16")
_BITS = {"float32": 32, "float16": 16, "bfloat16": 16}
# The sign and the exponent of a negative NaN tell that numbers are not in their 64 bits.
_OTHER = 0xFFF
# The most values in a table.
_MOST_DISTINCT = 2**12
# How probable it is that numbers have no order.
_UNORDERED = 0.3
# Short steps are 2^e and 1.5 2^e; e is coded as its distance from this one.
_USUAL = -8
# What a step of 8 binary digits, and one of 53, take more than a short one.
_MEDIUM_COST, _LONG_COST = 12, 64


def on_grid(values: np.ndarray, step: float, kind: str = "float64") -> np.ndarray | None:
    """The whole numbers n for which n * step, rounded to a type, is the value; or None."""
    if not (step > 0 and math.isfinite(step)):
        return None
    with np.errstate(over="ignore"):
        codes = np.rint(values / step)
        if np.max(np.abs(codes), initial=0.0) >= 2.0**_LONGEST:
            return None
        same = np.array_equal((codes * step).astype(np.dtype(kind)), values)
    return codes.astype(np.int64) if same else None


def grid_of(
    values: np.ndarray, steps: Sequence[float] = (), kind: str = "float64"
) -> tuple[float, np.ndarray] | None:
    """A step and whole numbers that give the values exactly: a step of `steps`, or a found one.

    Found are powers of two, and their multiples by up to 8 binary digits, and the greatest common
    step whatever its digits, where these save bits. Half of each step is tried as well: grids of
    one bit lie between the multiples.
    """
    values = np.asarray(values, np.float64).ravel()
    if not values.any():
        return 1.0, np.zeros(values.size, np.int64)
    for step in steps:
        for candidate in (step, step / 2):
            codes = on_grid(values, candidate, kind)
            if codes is not None:
                return candidate, codes
    short = _short_grid(values)
    before = short[1] if short else None
    length = 64 if before is None else _length(before)
    if values.size * length > _LONG_COST:
        for step in common_steps(values, kind):
            codes = on_grid(values, step, kind)
            if codes is not None:
                saved = values.size * (length - _length(codes))
                return (step, codes) if saved > _LONG_COST else short
    return short


def _length(codes: np.ndarray) -> int:
    return int(np.max(np.abs(codes))).bit_length()


def _short_grid(values: np.ndarray) -> tuple[float, np.ndarray] | None:
    """A power of two, or a multiple of it by up to 8 binary digits, and the whole numbers."""
    # The lowest set bit of each value: a 53-bit whole number times a power of two.
    nonzero = values[values != 0]
    fraction, exponent = np.frexp(nonzero)
    digits = np.ldexp(fraction, 53).astype(np.int64)
    lowest = exponent - 53 + np.log2((digits & -digits).astype(np.float64)).astype(np.int64)
    step = math.ldexp(1.0, int(lowest.min()))
    codes = on_grid(values, step)
    if codes is None:
        return None
    common = int(np.gcd.reduce(codes))
    worth = common == 3 or codes.size * math.log2(common) > _MEDIUM_COST
    if not (worth and common.bit_length() <= STEP_DIGITS and common * step < math.inf):
        return step, codes
    return common * step, codes // common


def code_step(coder: Coder, step: float, short: float = 0.6) -> float:
    """A step: the one before, 2^e or 1.5 2^e in few bits, 8 digits in some, others in 64.

    `short` is how probable the first sort of new ones is.
    """
    if coder.step and coder.bit(int(step == coder.step), 0.7):
        return coder.step
    coder.step = _new_step(coder, step, short)
    return coder.step


def _new_step(coder: Coder, step: float, short: float) -> float:
    fraction, exponent = math.frexp(step)
    exponent -= 1
    usual = abs(exponent - _USUAL) < 1000
    if coder.bit(int(usual and fraction in (0.5, 0.75)), short):
        found = _exponent(coder, exponent, natural)
        return math.ldexp(1.5 if coder.bit(int(fraction == 0.75), 0.5) else 1.0, found)
    digits = math.ldexp(fraction, STEP_DIGITS)
    if coder.bit(int(usual and digits.is_integer()), 0.9):
        found = _exponent(coder, exponent, sized)
        half = 1 << STEP_DIGITS - 1
        digits = half + whole(coder, int(digits) - half, STEP_DIGITS - 1)
        return math.ldexp(digits, found + 1 - STEP_DIGITS)
    number = int.from_bytes(struct.pack(">d", step), "big")
    found = struct.unpack(">d", whole(coder, number, 64).to_bytes(8, "big"))[0]
    if not (math.isfinite(found) and found > 0):
        raise ValueError(f"it has the step {found}")
    return found


def _exponent(coder: Coder, exponent: int, way: Callable[[Coder, int], int]) -> int:
    distance = exponent - _USUAL
    turned = way(coder, 2 * distance if distance >= 0 else -2 * distance - 1)
    found = _USUAL + (turned // 2 if turned % 2 == 0 else -(turned + 1) // 2)
    if abs(found) > 1000:
        raise ValueError(f"it has the step 2^{found}")
    return found


def code_array(
    coder: Coder,
    values: np.ndarray,
    size: int,
    steps: Sequence[float] = (),
    kind: str = "float64",
    table: bool = True,
) -> np.ndarray:
    """A flat float64 array of known size: codes on a grid or their differences, or other numbers.

    A bit tells whether there is a grid. With one follow the step, whether the codes repeat
    themselves and after how many, two bits for the order of the differences (the one that is
    shortest), and the codes as `Integers`. The numbers have to be rounded to the type `kind`; where
    no `table` is allowed, `plain` makes none.
    """
    if size == 0:
        return np.zeros(0)
    grid = grid_of(values, steps, kind) if len(values) else None
    if grid is not None and _maybe_shorter(values, grid[1]):
        ways = (lambda c: _on_grid(c, grid, size), lambda c: plain(c, values, size, table))
        grid = None if cheapest(coder, ways) else grid
    if not coder.bit(int(grid is not None), 0.95):
        return plain(coder, values, size, table)
    return _on_grid(coder, grid, size)


def _maybe_shorter(values: np.ndarray, codes: np.ndarray) -> bool:
    """Whether a table or a short type can take fewer bits than a grid, roughly."""
    few = 2 * np.unique(codes).size <= codes.size
    return few or any(_BITS[kind] <= _length(codes) for kind in _types_of(values))


def _on_grid(coder: Coder, grid: tuple[float, np.ndarray] | None, size: int) -> np.ndarray:
    step, codes = grid if grid is not None else (1.0, np.zeros(0, np.int64))
    step = code_step(coder, step)
    period = _period(codes)
    if size > 1 and coder.bit(int(period < size), 0.2):
        period = 1 + natural(coder, period - 1)
        if period > size:
            raise ValueError(f"it has a period of {period} in {size} numbers")
        once = code_integers(coder, codes[:period], period, step)
        return np.resize(once, size) * step
    return code_integers(coder, codes, size, step) * step


def plain(coder: Coder, values: np.ndarray, size: int, table: bool = True) -> np.ndarray:
    """Numbers in their 64 bits, or in another way where that is shorter.

    In place of the first 12 bits of the first number, which are never all ones in a finite one,
    come 12 ones, then two bits: a shorter type that holds all of them, or a table.
    """
    if size == 0:
        return np.zeros(0)
    given = np.asarray(values, np.float64).view(np.uint64).tolist() or [0] * size
    way = _other_way(np.asarray(values, np.float64), table) if len(values) else None
    first = whole(coder, _OTHER if way is not None else given[0] >> 52, 12)
    if first == _OTHER:
        way = whole(coder, way or 0, 2)
        if way == len(_SHORT):
            if not table:  # else damaged files could have tables in tables without end
                raise ValueError("it has a table of a table")
            return _table(coder, values, size)
        return _short(coder, values, size, _SHORT[way])
    numbers = [first << 52 | whole(coder, given[0], 52)]
    numbers += [whole(coder, number, 64) for number in given[1:]]
    return np.array(numbers, np.uint64).view(np.float64)


def _types_of(values: np.ndarray) -> list[str]:
    """The shorter types that hold all of some numbers."""
    with np.errstate(over="ignore"):
        return [kind for kind in _SHORT if np.array_equal(values.astype(np.dtype(kind)), values)]


def _other_way(values: np.ndarray, table: bool) -> int | None:
    """The number of the shortest way other than 64 bits, if one is shorter."""
    lengths: dict[int, float] = {
        _SHORT.index(kind): _BITS[kind] * values.size for kind in _types_of(values)
    }
    distinct = np.unique(values).size
    if table and 2 * distinct <= values.size and distinct <= _MOST_DISTINCT:
        lengths[len(_SHORT)] = cost(lambda c: _table(c, values, values.size))
    best = min(lengths, key=lambda way: lengths[way], default=None)
    return best if best is not None and lengths[best] + 2 < 64 * values.size else None


def _short(coder: Coder, values: np.ndarray, size: int, kind: str) -> np.ndarray:
    """Numbers in the bits of a shorter type."""
    bits = np.dtype(f"u{_BITS[kind] // 8}")
    given = np.asarray(values).astype(np.dtype(kind)).view(bits).tolist() or [0] * size
    found = np.array([whole(coder, number, _BITS[kind]) for number in given], bits)
    return found.view(np.dtype(kind)).astype(np.float64)


def _table(coder: Coder, values: np.ndarray, size: int) -> np.ndarray:
    """The different values in their order, then which one each number is, learnt bit for bit."""
    distinct, places = np.unique(values, return_inverse=True)
    count = 1 + sized(coder, distinct.size - 1)
    if count > min(size, _MOST_DISTINCT):
        raise ValueError(f"it has a table of {count} values for {size} numbers")
    entries = code_array(coder, distinct, count, table=False)
    digits = (count - 1).bit_length()
    # A flag for each beginning of a place.
    flags = [Flag() for _ in range(1 << digits)]
    found = np.zeros(size, np.int64)
    for k in range(size):
        place, node = int(places[k]) if len(places) else 0, 1
        for digit in range(digits - 1, -1, -1):
            node = 2 * node + flags[node].code(coder, place >> digit & 1)
        found[k] = node - (1 << digits)
    if found.max() >= count:
        raise ValueError(f"it has the place {found.max()} in a table of {count}")
    return entries[found]


def _period(codes: np.ndarray) -> int:
    """The least of some lengths after which the numbers repeat themselves; all of them if none."""
    for period in range(1, min(_LONGEST_PERIOD, codes.size - 1) + 1):
        if np.array_equal(codes[period:], codes[:-period]):
            return period
    return max(codes.size, 1)


def code_integers(coder: Coder, codes: np.ndarray, size: int, step: float) -> np.ndarray:
    """Whole numbers of steps, as differences of the order for which they are shortest, or `Levels`.

    The first one is expected to stand for a number of size 1.
    """
    length = max(1 - math.frexp(step)[1], 0)
    ways: list[Callable[[Coder], np.ndarray]] = [
        lambda c, k=k: _differences(c, codes, size, k, length) for k in range(_ORDERS)
    ]
    ways.append(lambda c: Levels(length).code(c, codes if len(codes) else None, size))
    found = cheapest(coder, ways[:size] + ways[-1:] if size < _ORDERS else ways)
    if coder.bit(int(found == min(size, _ORDERS)), _UNORDERED):
        return ways[-1](coder)
    return ways[whole(coder, found, 2)](coder)


def _differences(coder: Coder, codes: np.ndarray, size: int, order: int, length: int) -> np.ndarray:
    # First the first number, the first difference, ..., then all differences of the order.
    order = min(order, max(size - 1, 0))
    levels = [np.asarray(codes, np.int64)]
    for _ in range(order):
        levels.append(np.diff(levels[-1]))
    model = Integers(float(length), 1)
    at = (lambda level, k: int(level[k])) if len(codes) else (lambda level, k: 0)
    heads = [model.code(coder, at(levels[k], 0)) for k in range(order)]
    if order:
        model.expect(_DIFFERENCE)
    found = [model.code(coder, at(levels[order], k)) for k in range(size - order)]
    result = np.array(found, np.int64)
    for head in reversed(heads):
        result = np.concatenate([[head], head + np.cumsum(result)])
    return result
