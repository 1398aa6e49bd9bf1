"""Integer codes as a dense string of bits, and back."""

import operator
from typing import Any

import numpy as np
from jaxtyping import Array

CHUNK = 2**17  # codes at a time: a multiple of 8, so that chunks end on whole bytes


def _check_bits(call: str, bits: Any) -> int:
    bits = whole(f"{call}(bits=...)", bits)
    if not 1 <= bits <= 64:
        raise ValueError(f"`{call}(bits=...)` must be from 1 to 64; got {bits}.")
    return bits


def whole(call: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"`{call}` must be an integer; got {value!r}.") from None


def pack(
    codes: np.ndarray | Array | list | np.integer | int, bits: int, *, signed: bool = True
) -> bytes:
    r"""Codes in two's complement, or unsigned, `bits` bits each, without gaps.

    Code $k$ occupies the bits $k \cdot bits$ to $(k+1) \cdot bits - 1$ of the string; bit $j$ is
    bit $j \bmod 8$ of byte $\lfloor j/8 \rfloor$, the lowest first (for 8, 16, 32 and 64 bits this
    is the little-endian integer). The last byte is filled with zeros.

    **Arguments:**

    - `codes`: integers from $-2^{bits-1}$ to $2^{bits-1} - 1$, or from 0 to $2^{bits} - 1$ where
        they are unsigned; of any shape, in C order.
    - `bits`: bits for one code, 1 to 64.
    - `signed`: whether codes can be negative; what `signed` of the quantizer says.

    **Returns:**

    $\lceil n \cdot bits / 8 \rceil$ bytes for $n$ codes.

    **Raises:**

    - `ValueError`: for a code that does not fit, or for `bits` out of range.
    - `TypeError`: for codes that are not integers.
    """
    bits = _check_bits("pack", bits)
    flat = np.asarray(codes).reshape(-1)
    if flat.size == 0:
        return b""
    if not np.issubdtype(flat.dtype, np.integer):
        raise TypeError(
            f"`pack(codes, bits)` must get integers; got {flat.dtype}. Use `encode` of a quantizer."
        )
    lowest, highest = _ends(bits, signed)
    if int(flat.min()) < lowest or int(flat.max()) > highest:
        raise ValueError(
            f"`pack(codes, bits={bits})` must get codes from {lowest} to {highest}; got "
            f"{flat.min()} to {flat.max()}. Use more bits{_hint(flat, bits, signed)}."
        )
    parts = []
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK].astype("<i8" if signed else "<u8")
        octets = part.view(np.uint8).reshape(-1, 8)[:, : -(-bits // 8)]
        flags = np.unpackbits(octets, axis=1, count=bits, bitorder="little")
        parts.append(np.packbits(flags, bitorder="little").tobytes())
    return b"".join(parts)


def _ends(bits: int, signed: bool) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def _hint(codes: np.ndarray, bits: int, signed: bool) -> str:
    lowest, highest = _ends(bits, not signed)
    fits = lowest <= int(codes.min()) and int(codes.max()) <= highest
    return f", or `signed={not signed}`" if fits else ""


def unpack(
    data: bytes | bytearray | memoryview, bits: int, count: int, *, signed: bool = True
) -> np.ndarray:
    r"""The codes that `pack` wrote.

    **Arguments:**

    - `data`: the bytes, exactly $\lceil count \cdot bits / 8 \rceil$ of them.
    - `bits`: bits for one code, 1 to 64.
    - `count`: number of codes.
    - `signed`: as it was in `pack`.

    **Returns:**

    int64 codes, shape `(count,)`; uint64 for 64 unsigned bits.

    **Raises:**

    - `ValueError`: if the length is wrong or the filling bits are not zero: the data are damaged,
        or were packed with other `bits` or another `count`.
    """
    bits = _check_bits("unpack", bits)
    count = whole("unpack(count=...)", count)
    if count < 0:
        raise ValueError(f"`unpack(count=...)` must be a non-negative integer; got {count}.")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"`unpack(data, bits, count)` must get bytes; got {type(data).__name__}. Use what "
            "`pack` returned."
        )
    octets = np.frombuffer(data, dtype=np.uint8)
    length = -(-count * bits // 8)
    if octets.size != length:
        raise ValueError(
            f"`unpack(data, bits={bits}, count={count})` must get {length} bytes; got "
            f"{octets.size}. The data are truncated, or were packed with other bits or count."
        )
    filling = 8 * length - count * bits
    if filling and int(octets[-1]) >> (8 - filling):
        raise ValueError(
            f"`unpack(data, bits={bits}, count={count})` must get data whose last {filling} bits "
            "are zero. The data are damaged, or were packed with other bits or count."
        )
    codes = np.empty(count, np.int64 if signed or bits < 64 else np.uint64)
    width = -(-bits // 8)
    for start in range(0, count, CHUNK):
        stop = min(count, start + CHUNK)
        part = octets[start * bits // 8 : -(-stop * bits // 8)]
        flags = np.unpackbits(part, count=(stop - start) * bits, bitorder="little")
        wide = np.zeros((stop - start, 8), np.uint8)
        wide[:, :width] = np.packbits(flags.reshape(-1, bits), axis=1, bitorder="little")
        if not signed:
            codes[start:stop] = wide.view("<u8")[:, 0]
            continue
        # Shifting up and back down copies the sign bit into the bits above.
        shift = 64 - bits
        codes[start:stop] = (wide.view("<i8")[:, 0] << shift) >> shift
    return codes
