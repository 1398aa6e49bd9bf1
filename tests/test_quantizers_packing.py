"""Codes as bytes: round trips at every width, a judge in plain integers, damaged data."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import quantizers
from qrelu.quantizers._packing import whole


def _judge(codes, bits) -> bytes:
    """One Python integer with code k at bit k * bits, written little-endian."""
    whole = sum((int(c) % 2**bits) << (k * bits) for k, c in enumerate(codes))
    return whole.to_bytes(-(-len(codes) * bits // 8), "little")


@pytest.mark.parametrize("bits", range(1, 65))
def test_round_trip(bits):
    rng = np.random.default_rng(bits)
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for count in (0, 1, 7, 8, 9, 100):
        codes = rng.integers(lowest, highest, count, endpoint=True, dtype=np.int64)
        codes[: min(2, count)] = [lowest, highest][: min(2, count)]
        data = quantizers.pack(codes, bits)
        assert data == _judge(codes, bits)
        back = quantizers.unpack(data, bits, count)
        assert back.dtype == np.int64 and np.array_equal(back, codes)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 64), st.data())
def test_any_codes(bits, data):
    code = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    codes = data.draw(st.lists(code, max_size=40))
    packed = quantizers.pack(np.array(codes, np.int64), bits)
    assert packed == _judge(codes, bits)
    assert quantizers.unpack(packed, bits, len(codes)).tolist() == codes


@pytest.mark.parametrize("bits", [1, 5, 24])
def test_more_codes_than_one_chunk(bits):
    codes = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 300_001)
    data = quantizers.pack(codes, bits)
    assert len(data) == -(-300_001 * bits // 8)
    assert np.array_equal(quantizers.unpack(data, bits, codes.size), codes)


def test_whole_bytes_are_little_endian_integers():
    codes = np.array([[1, -2], [300, -32768]])
    assert quantizers.pack(codes, 16) == codes.astype("<i2").tobytes()
    assert quantizers.pack(jnp.asarray(codes), 32) == codes.astype("<i4").tobytes()
    assert quantizers.pack([1, -1], 8) == b"\x01\xff"


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 11])
def test_values_survive_the_bytes(bits):
    """What is trained is what is served: the same bits after packing and unpacking."""
    x = np.random.default_rng(bits).normal(size=1000)
    q = quantizers.Uniform.from_bits(bits, 2.5)
    for numbers in (x, x.astype(np.float32)):
        data = quantizers.pack(q.encode(numbers), bits)
        assert len(data) == -(-1000 * bits // 8)
        codes = quantizers.unpack(data, bits, 1000)
        assert q.decode(codes, numbers.dtype).tobytes() == q(numbers).tobytes()


def test_codes_that_do_not_fit():
    for bits, code in ((1, 1), (4, 8), (4, -9), (63, 2**62)):
        with pytest.raises(ValueError, match=f"from -{2 ** (bits - 1)} to {2 ** (bits - 1) - 1}"):
            quantizers.pack(np.array([0, code]), bits)
    with pytest.raises(ValueError, match="must get codes from"):
        quantizers.pack(np.array([2**63], np.uint64), 64)
    with pytest.raises(TypeError, match="must get integers; got float64"):
        quantizers.pack(np.array([0.0]), 4)
    for bits in (0, 65, -1):
        with pytest.raises(ValueError, match="must be from 1 to 64"):
            quantizers.pack(np.array([0]), bits)
        with pytest.raises(ValueError, match="must be from 1 to 64"):
            quantizers.unpack(b"", bits, 0)


def test_damaged_data():
    data = quantizers.pack(np.arange(-3, 4), 3)  # 21 bits in 3 bytes
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(ValueError, match="must get 3 bytes; got"):
            quantizers.unpack(wrong, 3, 7)
    with pytest.raises(ValueError, match="last 3 bits are zero"):
        quantizers.unpack(data[:-1] + bytes([data[-1] | 0x80]), 3, 7)
    with pytest.raises(ValueError, match="non-negative integer; got -1"):
        quantizers.unpack(data, 3, -1)
    with pytest.raises(TypeError, match=r"`unpack\(count=...\)` must be an integer; got 7.0"):
        whole("unpack(count=...)", 7.0)


@pytest.mark.parametrize("bits", [*range(1, 25), 63, 64])
def test_unsigned_codes(bits):
    rng = np.random.default_rng(bits)
    for count in (0, 1, 7, 100, 2**17 + 3 if bits == 5 else 9):
        codes = rng.integers(0, 2**bits - 1, count, endpoint=True, dtype=np.uint64)
        codes[: min(2, count)] = [0, 2**bits - 1][: min(2, count)]
        data = quantizers.pack(codes, bits, signed=False)
        if count <= 100:
            assert data == _judge(codes, bits)
        back = quantizers.unpack(data, bits, count, signed=False)
        assert back.dtype == (np.uint64 if bits == 64 else np.int64)
        assert np.array_equal(back, codes)


def test_unsigned_codes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"from 0 to 15; got -1 to 3. Use more bits, or `signed=T"):
        quantizers.pack(np.array([3, -1]), 4, signed=False)
    with pytest.raises(ValueError, match=r"from 0 to 15; got 0 to 16. Use more bits\."):
        quantizers.pack(np.array([0, 16]), 4, signed=False)
    with pytest.raises(ValueError, match=r"from -8 to 7; got 0 to 15. Use more bits, or `signed=F"):
        quantizers.pack(np.array([0, 15]), 4)
