"""Bits with their probabilities to a string of bits and back, by constriction's range coder.

It keeps an interval of 64-bit numbers. A bit that is 1 with probability p takes the upper part of
it, above 1 + floor((1 - p) (2^24 - 2)) of 2^24 parts, or else the lower one; when the interval is
shorter than 2^32, the highest 32 bits of its lower end are written and all is shifted by them.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from constriction import stream  # type: ignore[attr-defined]

# No event is taken for less likely than this: a surprise costs 12 bits at most.
_LEAST = 2.0**-12
# The coder works on words of so many bits.
_WORD = 32


# A model is written once: it hands a value to `bit` and gets the value back. A `Writer` returns
# what it got; a `Reader` ignores what it got and returns what is in the file.
class Writer:
    """Collects bits with their probabilities.

    - `step`: the last step that was coded.
    """

    def __init__(self):
        self.step = 0.0
        self._bits: list[int] = []
        self._chances: list[float] = []

    def bit(self, value: int, chance: float) -> int:
        """Add one bit."""
        self._bits.append(int(value))
        self._chances.append(_kept(chance))
        return int(value)

    @property
    def entropy(self) -> float:
        """The sum of -log2 of the probabilities: what an ideal coder would need."""
        p, b = np.array(self._chances), np.array(self._bits)
        return float(-np.log2(np.where(b == 1, p, 1 - p)).sum())

    # The coder ends with whole words. Any number in its last interval decodes to the same bits: of
    # those that begin with the first k bits of the words, or with the next such number, followed by
    # zeros, the shortest that does is kept.
    def finished(self) -> tuple[bytes, int]:
        """The string of bits, and how many there are; the last byte is filled up with zeros."""
        if not self._bits:
            return b"", 0
        bits = np.array(self._bits, np.int32)
        chances = np.array(self._chances)
        model = stream.model.Bernoulli(perfect=False)
        encoder = stream.queue.RangeEncoder()
        encoder.encode(bits, model, chances)
        words = encoder.get_compressed()
        whole = int.from_bytes(words.astype(">u4").tobytes(), "big")
        total = _WORD * words.size
        for count in range(max(math.floor(self.entropy) - 1, 0), total):
            prefix = whole >> (total - count)
            for number in (prefix, prefix + 1):
                if number >> count == 0:
                    data = _as_bytes(number, count)
                    if _decodes(data, chances, bits):
                        return data, count
        return _as_bytes(whole, total), total


def _decodes(data: bytes, chances: np.ndarray, bits: np.ndarray) -> bool:
    try:
        found = _decoder(data).decode(stream.model.Bernoulli(perfect=False), chances)
    except AssertionError:  # the coder says so where no message begins with these words
        return False
    return np.array_equal(found, bits)


class Reader:
    """Gives back what a `Writer` collected, to the same sequence of probabilities.

    - `step`: the last step that was coded.
    """

    def __init__(self, data: bytes):
        self.step = 0.0
        self._decoder = _decoder(data)
        # What was read cannot be worth more bits than there are, up to rounding.
        self._left = 8 * len(data) * (1 + _LEAST) + _WORD

    def bit(self, value: int, chance: float) -> int:
        """The next bit; `value` is not used."""
        chance = _kept(chance)
        model = stream.model.Bernoulli(chance, perfect=False)
        try:
            found = int(self._decoder.decode(model))
        except AssertionError:
            raise ValueError("its payload is no message of this coder") from None
        self._left += math.log2(chance if found else 1 - chance)
        if self._left < 0:
            raise ValueError("its payload ends before what it begins")
        return found


Coder = Writer | Reader


def cheapest(coder: Coder, ways: Sequence[Callable[[Coder], object]]) -> int:
    """The number of the way to write that takes the fewest bits; a reader gets 0, and reads it."""
    if not isinstance(coder, Writer):
        return 0
    return int(np.argmin([cost(way) for way in ways]))


def cost(way: Callable[[Coder], object]) -> float:
    """The bits that a way to write takes."""
    trial = Writer()
    way(trial)
    return trial.entropy


def _kept(chance: float) -> float:
    return min(max(chance, _LEAST), 1 - _LEAST)


def _as_bytes(number: int, count: int) -> bytes:
    size = -(-count // 8)
    return (number << (8 * size - count)).to_bytes(size, "big")


def _decoder(data: bytes) -> stream.queue.RangeDecoder:
    # Beyond the end come zeros, two words of which the coder looks ahead.
    padded = data + bytes(-len(data) % 4 + 8)
    return stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def whole(coder: Coder, value: int, count: int) -> int:
    """A number from 0 to 2^count - 1 in so many plain bits, the highest first."""
    found = 0
    for place in range(count - 1, -1, -1):
        found = 2 * found + coder.bit(value >> place & 1, 0.5)
    return found


class Flag:
    """A bit whose probability is learnt from those before it.

    (ones + prior) / (all + both priors), with counts that are halved at 64, so that it follows.
    """

    def __init__(self, zeros: float = 0.5, ones: float = 0.5):
        self.counts = [zeros, ones]

    def code(self, coder: Coder, value: int) -> int:
        """Write or read one."""
        zeros, ones = self.counts
        found = coder.bit(value, ones / (zeros + ones))
        self.counts[found] += 1.0
        if zeros + ones > 64:
            self.counts = [count / 2 for count in self.counts]
        return found


class Count:
    """Numbers 0, 1, 2, ..., learnt in unary up to `flags`, beyond it in pairs of growing blocks."""

    def __init__(self, priors: Sequence[tuple[float, float]] = ((1.0, 0.5),), flags: int = 12):
        self.flags = [Flag(*priors[min(k, len(priors) - 1)]) for k in range(flags)]

    def code(self, coder: Coder, value: int) -> int:
        """Write or read one."""
        for number, flag in enumerate(self.flags):
            if not flag.code(coder, int(value > number)):
                return number
        return len(self.flags) + natural(coder, value - len(self.flags))


def natural(coder: Coder, value: int) -> int:
    """A number from 0 on in Elias' gamma code of value + 1: 2 floor(log2(value + 1)) + 1 bits."""
    length = (max(value, 0) + 1).bit_length() - 1
    found = 0
    while coder.bit(int(found < length), 0.5):
        found += 1
        if found > 64:
            raise ValueError("it holds a number of more than 64 bits")
    return (1 << found) + whole(coder, max(value, 0) + 1 - (1 << length), found) - 1


def sized(coder: Coder, value: int) -> int:
    """A number from 0 on that is seldom below 4: a quarter of it as `natural`, and two bits."""
    found = natural(coder, value >> 2)
    return 4 * found + whole(coder, value & 3, 2)
