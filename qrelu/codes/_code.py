"""An approximant as a string of bits, in memory and in a file."""

import hashlib
import struct
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._misc import file_path, write_atomically

MAGIC = b"qrc2"
# Files of versions before the first release, whose payloads were written in other forms.
_BEFORE = b"qrelu c1"
# The kinds of functions of two variables, and those of networks, which have no domain.
PLANE, _NONE = (11, 12), (6, 13)
# What an accuracy may be.
REAL = int | float | np.integer | np.floating | Fraction
# The kind's highest bit tells that the ends of the domain follow.
_ENDS = 0x80
# Bytes of the checksum.
_CHECK = 4
# Seven bits of a number in a byte, lowest first; the highest bit tells that more follow.
_DIGIT, _MORE = 0x7F, 0x80
# No file has more bits than two to this power.
_LONGEST = 35


def _usual(kind: int) -> tuple[float, ...]:
    """The ends of the domain that are left out."""
    if kind in PLANE:
        return (0.0, 0.0, 1.0, 1.0)
    return (0.0, 0.0) if kind in _NONE else (0.0, 1.0)


def _packed(ends: tuple[float, ...]) -> bytes:
    return struct.pack(f"<{len(ends)}d", *ends)


def _front(kind: int, ends: tuple[float, ...], bits: int) -> bytes:
    """Magic, kind, the ends of the domain if they are unusual, the number of bits."""
    packed = _packed(ends)
    other = packed != _packed(_usual(kind))
    number = []
    while bits > _DIGIT:
        number.append(bits & _DIGIT | _MORE)
        bits >>= 7
    return MAGIC + bytes([kind | _ENDS * other]) + packed * other + bytes([*number, bits])


def _digest(front: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(front + payload).digest()[:_CHECK]


class Code(NamedTuple):
    r"""A function in a string of bits.

    **Attributes:**

    - `kind`: what it is: 1 a spline, 2 a polynomial, 3 waves, 4 wavelets, 5 a quotient, 6 a network
        of any shape, 7 a network of one hidden layer through predicted values, 8 and 9 the same as
        a dyadic tree of two maps or of one per level, 10 a network of one hidden layer by its knots
        and values, 11 products of polynomials or of waves, 12 wavelets on a rectangle, 13 a network
        on a grid with balanced magnitudes, 32 a Lipschitz path.
    - `domain`: the ends (lower, upper), two floats, or two tuples of two floats for a rectangle;
        (0, 0) for networks, which have none.
    - `payload`: the string of bits, the last byte filled up with zeros.
    - `bits`: how many bits of it count.
    - `header_bits`: what a file takes besides: 10 to 13 bytes (16 more for an interval other than
        [0, 1], 32 more for a rectangle other than its square), and the bits that fill the last one.
    - `data`: the whole file.
    """

    kind: int
    domain: Any
    payload: bytes
    bits: int

    @property
    def header_bits(self) -> int:
        """Bits of a file that are not counted in `bits`."""
        return 8 * len(self.data) - self.bits

    @property
    def data(self) -> bytes:
        """The bytes of a file: the header, then the payload.

        The header has "qrc2"; the kind (1 byte), plus 128 if the domain is not the usual one
        (0, 1), the unit square, or (0, 0) for kinds 6 and 13; then its ends (float64 in
        little-endian order, both lower ones first); the number of bits (7 to a byte, the lowest
        first, plus 128 where more follow); and the first 4 bytes of the SHA-256 of all else.
        """
        front = _front(self.kind, tuple(np.ravel(self.domain).tolist()), self.bits)
        return front + _digest(front, self.payload) + self.payload

    def save(self, path: Any) -> None:
        r"""Write the code to a file, whole or not at all.

        **Arguments:**

        - `path`: the file; an existing one is replaced.
        """
        write_atomically(file_path("Code.save(path)", path), self.data)


def load(path: Any) -> Code:
    r"""Read a code that `Code.save` wrote.

    **Arguments:**

    - `path`: the file.

    **Returns:**

    The `Code`; `decode` gives its function.

    **Raises:**

    - `ValueError`: for a file that is cut off, damaged or of another kind.
    - `FileNotFoundError`: when there is no such file.
    """
    place = file_path("codes.load(path)", path)
    return from_bytes(place.name, place.read_bytes())


def from_bytes(name: str, data: bytes) -> Code:
    """The code in the bytes of a file."""

    def refuse(reason: str) -> ValueError:
        return ValueError(
            f"`codes.load({name!r})` must get a whole file that `Code.save` wrote; {reason}."
        )

    if data.startswith(_BEFORE):
        raise refuse("this one was written before the first release, in another form")
    if not data.startswith(MAGIC):
        begins = f"this one begins with {data[:8]!r}" if data else "this one is empty"
        raise refuse(f"{begins}, which is another format")
    short = refuse(f"this one is cut off in its header, after {len(data)} bytes")
    at = len(MAGIC) + 1
    if len(data) < at:
        raise short
    kind, ends = data[at - 1] & ~_ENDS, ()
    if data[at - 1] & _ENDS:
        size = len(_packed(_usual(kind)))
        if len(data) < at + size:
            raise short
        ends = struct.unpack_from(f"<{size // 8}d", data, at)
        at += size
    else:
        ends = _usual(kind)
    bits = place = 0
    while True:
        if len(data) <= at:
            raise short
        bits |= (data[at] & _DIGIT) << place
        at, place = at + 1, place + 7
        if not data[at - 1] & _MORE:
            break
        if place >= _LONGEST:
            raise refuse("this one is damaged: its header has no end")
    if len(data) < at + _CHECK:
        raise short
    front, digest, payload = data[:at], data[at : at + _CHECK], data[at + _CHECK :]
    if len(payload) < -(-bits // 8):
        found = f"{len(payload)} of {-(-bits // 8)} bytes of its payload"
        raise refuse(f"this one is damaged or cut off: {found}")
    if digest != _digest(front, payload):
        raise refuse("this one is damaged: its checksum is wrong")
    if len(payload) != -(-bits // 8) or not np.isfinite(ends).all():
        raise refuse("its payload does not have the length that its header says")
    domain = tuple(ends) if len(ends) == 2 else (tuple(ends[:2]), tuple(ends[2:]))
    return Code(kind, domain, payload, bits)
