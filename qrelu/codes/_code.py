"""An approximant as a string of bits, in memory and in a file."""

import hashlib
import struct
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._misc import file_path, write_atomically

MAGIC = b"qrelu c1"
# The kinds of functions of two variables.
PLANE = (11, 12)
# What an accuracy may be.
REAL = int | float | np.integer | np.floating | Fraction


def _header(kind: int) -> struct.Struct:
    """Magic, kind, domain, number of bits, checksum."""
    return struct.Struct(f"<8sB{4 if kind in PLANE else 2}dI8s")


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
    - `header_bits`: what a file takes besides: 37 bytes (53 for a function of two variables), and
        the bits that fill the last byte.
    - `data`: the whole file.
    """

    kind: int
    domain: Any
    payload: bytes
    bits: int

    @property
    def header_bits(self) -> int:
        """Bits of a file that are not counted in `bits`."""
        return 8 * (_header(self.kind).size + len(self.payload)) - self.bits

    @property
    def data(self) -> bytes:
        """The bytes of a file: the header, then the payload.

        The header has 37 bytes, numbers in little-endian order: "qrelu c1", the kind (1 byte), the
        ends of the domain (two float64; for kinds 11 and 12 four, both lower ones first), the
        number of bits (4 bytes), and the first 8 bytes of the SHA-256 of all else.
        """
        header = _header(self.kind)
        front = (MAGIC, self.kind, *np.ravel(self.domain).tolist(), self.bits)
        digest = hashlib.sha256(header.pack(*front, bytes(8)) + self.payload).digest()[:8]
        return header.pack(*front, digest) + self.payload

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

    if not data.startswith(MAGIC):
        begins = f"this one begins with {data[:8]!r}" if data else "this one is empty"
        raise refuse(f"{begins}, which is another format")
    header = _header(data[len(MAGIC)] if len(data) > len(MAGIC) else 0)
    if len(data) < header.size:
        raise refuse(f"this one is cut off in its header, after {len(data)} bytes")
    _, kind, *ends, bits, _ = header.unpack_from(data)
    payload = data[header.size :]
    domain = tuple(ends) if len(ends) == 2 else (tuple(ends[:2]), tuple(ends[2:]))
    code = Code(kind, domain, payload, bits)
    if len(payload) < -(-bits // 8):
        raise refuse(f"this one is cut off: {len(payload)} of {-(-bits // 8)} bytes of its payload")
    if code.data[: header.size] != data[: header.size]:
        raise refuse("this one is damaged: its checksum is wrong")
    if len(payload) != -(-bits // 8) or not np.isfinite(ends).all():
        raise refuse("its payload does not have the length that its header says")
    return code
