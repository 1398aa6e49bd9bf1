"""Codes of different lengths in one string of bits, without gaps."""

from collections.abc import Sequence

import numpy as np

from ..quantizers import pack, unpack


def join(parts: Sequence[tuple[np.ndarray, int]]) -> bytes:
    """The codes of each part in its number of bits, one part right after the other."""
    parts = _merged(parts)
    if len(parts) == 1:
        return pack(*parts[0])
    flags = [
        np.unpackbits(
            np.frombuffer(pack(codes, bits), np.uint8), count=codes.size * bits, bitorder="little"
        )
        for codes, bits in parts
    ]
    return np.packbits(np.concatenate(flags), bitorder="little").tobytes()


def split(data: bytes, parts: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """The inverse: `parts` holds the number of codes and the bits of each part."""
    if len({bits for _, bits in parts}) == 1:
        codes = unpack(data, parts[0][1], sum(count for count, _ in parts))
        return np.split(codes, np.cumsum([count for count, _ in parts])[:-1])
    ends = np.cumsum([count * bits for count, bits in parts]).tolist()
    octets = np.frombuffer(data, np.uint8)
    if octets.size != -(-ends[-1] // 8):
        raise ValueError(f"it holds {octets.size} bytes of codes, not {-(-ends[-1] // 8)}")
    flags = np.unpackbits(octets, bitorder="little")
    if flags[ends[-1] :].any():
        raise ValueError("the bits after the last code are not zero")
    return [
        unpack(
            np.packbits(flags[end - count * bits : end], bitorder="little").tobytes(), bits, count
        )
        for end, (count, bits) in zip(ends, parts, strict=True)
    ]


def _merged(parts: Sequence[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, int]]:
    """Neighbors with the same bits as one part."""
    groups: list[tuple[list[np.ndarray], int]] = []
    for codes, bits in parts:
        if groups and groups[-1][1] == bits:
            groups[-1][0].append(codes.ravel())
        else:
            groups.append(([codes.ravel()], bits))
    return [(np.concatenate(codes), bits) for codes, bits in groups]
