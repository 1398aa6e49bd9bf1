"""Whole numbers whose sizes resemble those of their neighbors."""

import math

import numpy as np

from ._coder import Coder, Count, Flag, cheapest, sized, whole

# With fewer places than one in so many they are always named by gaps.
_SPARSE = 64
# No file names more places: a damaged number would fill the memory.
_MOST = 2**24
# How fast the expected length follows what was seen.
_FOLLOW = 0.3
# After so many lengths an average is a moving one.
_LONG = 3


class Integers:
    r"""Signed whole numbers: the length in bits by how it differs from the expected one.

    A number v has the length $\lfloor \log_2 |v| \rfloor + 1$, 0 for zero. Coded are: whether the
    length is the expected one, otherwise to which side and how far (unary); the digits below the
    leading one, plainly; and whether the sign turns. All but the digits are learnt. The expected
    length is a moving average, at first that of all lengths so far, where the one that was given
    counts `trust` times; `expect` can set it.
    """

    def __init__(self, expected: float = 0.0, trust: int = _LONG):
        self.expected = expected
        self._seen = trust
        self._same = [Flag(0.5, 1.0), Flag(0.6, 0.6)]
        self._longer = Flag(0.6, 0.4)
        self._far = [Count(), Count()]
        self._turn = Flag(0.8, 0.4)
        self._negative = 0

    def expect(self, length: float) -> None:
        """Set the expected length of the next number."""
        self.expected = max(length, 0.0)

    def code(self, coder: Coder, value: int) -> int:
        """Write or read one."""
        size = abs(int(value))
        length = self._length(coder, size.bit_length())
        self._follow(length)
        if length == 0:
            return 0
        found = (1 << length - 1) + whole(coder, size, length - 1)
        negative = self._negative ^ self._turn.code(coder, self._negative ^ int(value < 0))
        self._negative = negative
        return -found if negative else found

    def positive(self, coder: Coder, value: int) -> int:
        """Write or read a number that is known to be at least 1: no sign, no zero."""
        length = max(self._length(coder, int(value).bit_length()), 1)
        self._follow(length)
        return (1 << length - 1) + whole(coder, int(value), length - 1)

    def _follow(self, length: int) -> None:
        self._seen += 1
        self.expected += max(_FOLLOW, 1 / self._seen) * (length - self.expected)

    def _length(self, coder: Coder, length: int) -> int:
        middle = int(self.expected + 0.5)
        if self._same[min(middle, 1)].code(coder, int(length == middle)):
            return middle
        longer = 1 if middle == 0 else self._longer.code(coder, int(length > middle))
        far = 1 + self._far[longer].code(coder, abs(length - middle) - 1)
        found = middle + far if longer else middle - far
        if not 0 <= found <= 64:
            raise ValueError("it holds a number of more than 64 bits")
        return found


def falling(coder: Coder, codes: np.ndarray, count: int, step: float) -> np.ndarray:
    """Whole numbers that fall like those of a smooth function: each length by the trend.

    The first is expected to stand for a number of size 1; then the expected length is the last one
    less the drop, a moving average of what lengths fell by.
    """
    length, drop, model = max(1.0 - math.frexp(step)[1], 0.0), 0.0, Integers()
    found = np.zeros(count, np.int64)
    for k in range(count):
        model.expect(length - drop)
        found[k] = model.code(coder, int(codes[k]) if len(codes) else 0)
        new = int(abs(found[k])).bit_length()
        drop += (0.4 if k else 0.0) * (length - new - drop)
        length = float(new)
    return found


class Levels:
    """Whole numbers of levels from coarse to fine: the longest of a level, then each by that.

    The greatest length of a level is coded by its difference from that of the level before. Then of
    each number how much shorter it is, in unary, where the last one has the greatest length if none
    before had; its digits below the leading one; and whether its sign is that of the one before.
    """

    def __init__(self, length: int):
        self._longest = length
        self._same, self._up = Flag(1.0, 0.7), Flag(1.0, 0.4)
        self._jump = [Count(((0.7, 0.7),)), Count(((0.7, 0.7),))]
        self._shorter = [[Flag(0.6, 0.6) for _ in range(8)] for _ in range(3)]
        self._turn, self._negative = Flag(0.6, 0.5), 0

    def code(self, coder: Coder, values: np.ndarray | None, count: int) -> np.ndarray:
        """Write or read the numbers of one level."""
        found = np.zeros(count, np.int64)
        if count == 0:
            return found
        given = found if values is None else values
        longest = self._level(coder, int(np.abs(given).max()).bit_length())
        if longest == 0:
            return found
        reached = False
        for k in range(count):
            forced = k == count - 1 and not reached
            size = abs(int(given[k]))
            length = longest if forced else self._length(coder, longest, size.bit_length())
            reached |= length == longest
            if length:
                size = (1 << length - 1) + whole(coder, size, length - 1)
                self._negative ^= self._turn.code(coder, self._negative ^ int(given[k] < 0))
                found[k] = -size if self._negative else size
        return found

    def _level(self, coder: Coder, longest: int) -> int:
        if not self._same.code(coder, int(longest == self._longest)):
            up = 1 if self._longest == 0 else self._up.code(coder, int(longest > self._longest))
            jump = 1 + self._jump[up].code(coder, abs(longest - self._longest) - 1)
            self._longest += jump if up else -jump
        if not 0 <= self._longest <= 62:
            raise ValueError("it holds a number of more than 62 bits")
        return self._longest

    def _length(self, coder: Coder, longest: int, length: int) -> int:
        flags = self._shorter[min(longest, 3) - 1]
        found = longest
        while found and flags[min(longest - found, 7)].code(coder, int(length < found)):
            found -= 1
        return found


def positions(coder: Coder, places: np.ndarray, total: int) -> np.ndarray:
    """Increasing places among 0, ..., total - 1, by gaps or one by one, whichever is shorter.

    First comes their number, then (if at least one in 64 is chosen) a bit that tells which of the
    two: the gaps are `Integers`; one by one, each place has a flag that is learnt apart for places
    after a chosen and after another one.
    """
    count = sized(coder, len(places))
    if count > min(total, _MOST):
        raise ValueError(f"it names {count} places among {total}")
    return places_of(coder, places, count, total)


def places_of(coder: Coder, places: np.ndarray, count: int, total: int) -> np.ndarray:
    """As `positions`, for a number of places that is known."""
    if count == 0:
        return np.zeros(0, np.int64)
    if total > _SPARSE * count:
        return _by_gaps(coder, places, count, total)
    ways = (_by_gaps, _one_by_one)
    found = cheapest(coder, [lambda c, w=w: w(c, places, count, total) for w in ways])
    return ways[coder.bit(found, 0.5)](coder, places, count, total)


def _by_gaps(coder: Coder, places: np.ndarray, count: int, total: int) -> np.ndarray:
    model = Integers(float((total // count).bit_length()))
    found, last = np.zeros(count, np.int64), -1
    for k in range(count):
        last += model.positive(coder, int(places[k]) - last if len(places) else 1)
        found[k] = last
    if last >= total:
        raise ValueError(f"it names the place {last} among {total}")
    return found


def _one_by_one(coder: Coder, places: np.ndarray, count: int, total: int) -> np.ndarray:
    wanted = set(np.asarray(places).tolist())
    flags = [Flag(1.0, 0.5), Flag(0.5, 1.0)]
    found, before = [], 1
    for place in range(total):
        if len(found) == count:
            break
        if total - place == count - len(found):
            found += range(place, total)
            break
        before = flags[before].code(coder, int(place in wanted))
        if before:
            found.append(place)
    return np.array(found, np.int64)
