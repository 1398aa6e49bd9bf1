"""One-bit codes, bit extraction, and Lipschitz functions from them, judged by exact fractions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from qrelu import bounds, constructions, networks
from qrelu.quantizers import paper_grid


class _Walk:
    """A piecewise linear function with dyadic knots: exact in floats and in fractions."""

    def __init__(self, rng, pieces, slopes=(-1.0, 1.0)):
        steps = rng.choice(slopes, pieces) / pieces
        self.pieces = pieces
        self.values = int(rng.integers(-8, 9)) / 16 + np.concatenate([[0.0], np.cumsum(steps)])

    def __call__(self, x):
        return np.interp(x, np.arange(self.pieces + 1) / self.pieces, self.values)

    def exact(self, x):
        place = min(max(Fraction(x), Fraction(0)), Fraction(1)) * self.pieces
        i = min(int(place), self.pieces - 1)
        a, b = (Fraction(v) for v in self.values[i : i + 2])
        return a + (b - a) * (place - i)


def _points(rng, cells, count):
    """The ends, random points, and points where one of the copies goes from cell to cell."""
    zones = [Fraction(int(i), cells) for i in rng.integers(0, cells, count)]
    zones = [
        z + Fraction(int(q), 64 * 4 * cells)
        for z, q in zip(zones, rng.integers(0, 193, count), strict=True)
    ]
    inner = [Fraction(int(i), 2**20) for i in rng.integers(0, 2**20, count)]
    return [Fraction(0), Fraction(1), *zones, *inner]


def _worst(made, f, points):
    values = networks.realize_exact(made.network, [[x] for x in points])[:, 0]
    return max(abs(v - f.exact(x)) for v, x in zip(values, points, strict=True))


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(
    "cells, steps, shift", [(1, 32, 0), (4, 8, 0), (8, 4, 1), (3, 5, 2), (2, 3, 0.75)]
)
def test_sigma_delta_is_within_its_bound(cells, steps, shift):
    rng = np.random.default_rng(0)
    for slopes in ((-1.0, 1.0), (-1.0, -0.3, 0.0, 0.5, 1.0)):
        f = _Walk(rng, 256, slopes)
        code = constructions.sigma_delta(f, cells, steps, shift=shift)
        assert code.bits.shape == (cells + (shift != 0), steps)
        x = rng.uniform(0, 1, 2000)
        error = np.abs(code.decode(x) - f(x)).max()
        assert code.bound == 1 / (cells * steps)
        assert 0.3 * code.bound < error <= code.bound * (1 + 1e-12)


def test_the_bound_of_the_code_is_attained():
    """A constant half-way between the two levels that the code goes back and forth between."""
    code = constructions.sigma_delta(lambda x: np.full(x.shape, 1e-9), 1, 64)
    x = np.arange(65) / 64
    assert np.abs(code.decode(x) - 1e-9).max() > (1 - 1e-6) * code.bound


def test_one_cell_stores_one_bit_per_step():
    """(bits + 1) error over the class with f(0) = 0, one bit per step: at most 1 + error."""
    for steps in (4, 16, 1024):
        code = constructions.sigma_delta(_Walk(np.random.default_rng(1), 4096), 1, steps)
        assert (code.bits.size + 1) * code.bound == 1 + 1 / steps
        assert code.bits.size <= bounds.lipschitz_bits(code.bound) + 1


def test_another_lipschitz_constant_scales_the_bound():
    rng = np.random.default_rng(2)
    f = _Walk(rng, 64, (-3.0, 3.0))
    code = constructions.sigma_delta(f, 4, 16, lipschitz=3)
    x = rng.uniform(0, 1, 1000)
    assert code.bound == 3 / 64
    assert np.abs(code.decode(x) - f(x)).max() <= 3 / 64 * (1 + 1e-12)


def test_gapped_codes():
    words = np.array(list(itertools.product([0, 1], repeat=7)))
    codes = constructions.gapped_code(words)
    expected = [float(sum(Fraction(int(t), 4**j) for j, t in enumerate(word))) for word in words]
    assert codes.tolist() == expected
    assert codes[64] - codes[63] > 2 / 3 and codes.max() < 4 / 3
    assert constructions.gapped_code(words.reshape(4, 32, 7)).shape == (4, 32)


# ---------------------------------------------------------------- bit extraction


@pytest.mark.parametrize("per_layer", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_all_bits_of_all_codes(bits, per_layer):
    words = np.array(list(itertools.product([0, 1], repeat=bits)))
    made = constructions.bit_extraction(bits, per_layer)
    values = networks.realize_exact(made.network, constructions.gapped_code(words)[:, None])
    assert values.tolist() == words.tolist()
    groups = math.ceil(bits / per_layer)
    sizes = [per_layer] * (groups - 1) + [bits - per_layer * (groups - 1)]
    widths = [2 * (2**k - 1) + (i + 1 < groups) + per_layer * i for i, k in enumerate(sizes)]
    assert made.network.widths == (1, *widths, bits)
    assert made.network.depth == groups + 1
    assert all(float(v).is_integer() for v in constructions.alphabet(made.network))
    assert made.counts.magnitude <= 2 * 4 ** (2 * min(per_layer, bits) - 1)


@pytest.mark.parametrize("dtype, most", [(np.float64, 26), (np.float32, 11)])
def test_floats_read_as_many_bits_as_is_said(dtype, most):
    words = np.random.default_rng(3).integers(0, 2, (500, most))
    made = constructions.bit_extraction(most, dtype=dtype)
    codes = constructions.gapped_code(words)[:, None].astype(dtype)
    values = networks.realize(made.network, codes)
    assert values.dtype == dtype
    assert np.asarray(values).tolist() == words.tolist()


# ---------------------------------------------------------------- Lipschitz functions


@pytest.mark.parametrize(
    "cells, steps", [(1, 1), (1, 4), (2, 2), (4, 8), (8, 16), (16, 4), (3, 5), (64, 16)]
)
@pytest.mark.parametrize("per_layer", [1, 2])
def test_by_bits(cells, steps, per_layer):
    rng = np.random.default_rng(cells + 100 * steps)
    f = _Walk(rng, 2**13)
    made = constructions.lipschitz_by_bits(f, cells, steps, per_layer=per_layer)
    bound, binary = 1 / (cells * steps), bin(cells * steps).count("1") == 1
    assert bound <= made.certificate.bound <= bound * (1 if binary else 1 + 1e-12)
    assert made.network.depth == math.ceil(steps / per_layer) + 6
    k = min(per_layer, steps)
    assert made.network.width <= max(4 * cells, 3 * (2 ** (k + 1) + 2 * k + 1))
    error = _worst(made, f, _points(rng, cells, 40))
    assert 0 < error <= Fraction(made.certificate.bound)


# The sizes of the notes, one that is no power of two, and many bits per layer.
SIZES = [
    (1, 1, 1, 1, 1),
    (2, 4, 4, 2, 4),
    (4, 2, 2, 2, 4),
    (2, 1, 1, 1, 2),
    (1, 4, 1, 4, 1),
    (3, 3, 2, 3, 2),
    (1, 1, 4, 2, 2),
]


@pytest.mark.parametrize("sizes", SIZES)
def test_by_lookup(sizes):
    r, p, q, k, j = sizes
    cells, steps = r * p * q, k * j
    rng = np.random.default_rng(sum(sizes))
    f = _Walk(rng, 2048)
    made = constructions.lipschitz_by_lookup(f, r, p, q, per_layer=k, layers=j)
    assert made.certificate.bound == pytest.approx(1 / (cells * steps), rel=1e-12)
    assert made.network.depth == 3 * r + j + 6 <= 4 * r + j + 5
    assert made.network.width <= max(4 * p + 11, 18 * q + 10, 3 * (2 ** (k + 1) + 2 * k + 1))
    assert 0 < _worst(made, f, _points(rng, cells, 40)) <= Fraction(made.certificate.bound)


@pytest.mark.parametrize("seed", range(4))
def test_codes_and_bases_of_neighbors_far_apart(seed):
    """Cells that go all up beside cells that go all down, and bases that are rounded."""
    rng = np.random.default_rng(seed)
    f = _Walk(rng, 16)
    f.values = f.values + rng.uniform(0, 1 / 128)
    made = constructions.lipschitz_by_lookup(f, 1, 4, 4, per_layer=2, layers=4)
    points = [*_points(rng, 16, 30), *(Fraction(2 * i + 1, 32) for i in range(16))]
    assert _worst(made, f, points) <= Fraction(1, 128)


def test_points_between_segments():
    f = _Walk(np.random.default_rng(9), 512)
    made = constructions.lipschitz_by_lookup(f, 4, 2, 2, per_layer=1, layers=4)
    near = [Fraction(i, 256) for i in range(257)]
    assert _worst(made, f, near) <= Fraction(1, 64)


def test_only_the_stated_parameters_have_fractions():
    """Codes have 2m - 2 bits after the point and the last map those of 1/(nm)."""
    f = _Walk(np.random.default_rng(4), 256)
    for made, m, nm in (
        (constructions.lipschitz_by_bits(f, 8, 8), 8, 64),
        (constructions.lipschitz_by_lookup(f, 2, 2, 2, per_layer=2, layers=4), 8, 64),
    ):
        values = constructions.alphabet(made.network)
        assert (values * 2 ** (2 * m - 2) % 1 == 0).all()
        last = [*np.asarray(made.network.weights[-1]).ravel(), *made.network.biases[-1]]
        assert all(float(v * nm).is_integer() for v in last)


@pytest.mark.parametrize("power", [0, 1, 5, 9])
def test_by_slopes(power):
    rng = np.random.default_rng(power)
    f = _Walk(rng, 2048)
    made = constructions.lipschitz_by_slopes(f, steps=2**power)
    points = [Fraction(i, 4096) for i in range(0, 4097, 5)]
    assert 0 < _worst(made, f, points) <= Fraction(1, 2**power)
    assert made.network.depth == 2 and made.network.widths[1] <= 2**power + 1
    assert set(np.abs(made.network.weights[1]).ravel()) <= {0.0, 0.5, 1.0}
    assert (made.network.biases[0] * 2 ** max(power - 1, 0) % 1 == 0).all()


@pytest.mark.parametrize("bits, depth", [(1, 2), (1, 4), (2, 3), (3, 3), (4, 2)])
def test_slopes_with_few_bits_and_more_depth(bits, depth):
    """Error 2^-((L-1)b+1) with weights in Q_1^b: the precision bound is within 2^b."""
    power = (depth - 1) * bits + 1
    f = _Walk(np.random.default_rng(bits), 4096)
    made = constructions.lipschitz_by_slopes(f, steps=2**power)
    short = constructions.trade_depth_for_precision(made.network, to=paper_grid(1, bits))
    assert short.network.depth <= depth and short.network.width <= 2**power + 1
    points = [[Fraction(i, 512)] for i in range(0, 513, 3)]
    same = [networks.realize_exact(n, points).tolist() for n in (made.network, short.network)]
    assert same[0] == same[1]
    assert bounds.regime(4, depth, bits).precision * 2**bits == made.certificate.bound


def test_shallow_and_deep_form_are_one_function():
    """12 bits after the point at depth 14, or half-integers and many layers."""
    f = _Walk(np.random.default_rng(5), 256)
    shallow = constructions.lipschitz_by_bits(f, 4, 8).network
    deep = constructions.trade_depth_for_precision(shallow).network
    assert set(np.abs(constructions.alphabet(deep))) <= {0.5, 1.0, 1.5}
    assert deep.depth > 3 * shallow.depth and deep.width <= 7 * shallow.width
    points = [[Fraction(i, 97)] for i in range(0, 98, 4)]
    same = [networks.realize_exact(n, points).tolist() for n in (shallow, deep)]
    assert same[0] == same[1]


@pytest.mark.parametrize("dtype, cells, steps", [(np.float64, 64, 20), (np.float32, 8, 7)])
def test_floats_hold_up_to_the_stated_size(dtype, cells, steps):
    rng = np.random.default_rng(6)
    f = _Walk(rng, 2**14)
    made = constructions.lipschitz_by_bits(f, cells, steps, dtype=dtype)
    x = rng.uniform(0, 1, (5000, 1)).astype(dtype)
    values = np.asarray(networks.realize(made.network, x))[:, 0]
    assert values.dtype == dtype
    assert np.abs(values - f(x[:, 0])).max() <= 1.01 * made.certificate.bound


def test_floats_fail_where_it_is_said():
    """Beyond the stated size rounding is harmful, which exact arithmetic is not."""
    rng = np.random.default_rng(7)
    f = _Walk(rng, 2**14)
    made = constructions.lipschitz_by_bits(f, 64, 12, dtype=np.float32, allow_rounding=True)
    x = rng.uniform(0, 1, (4000, 1)).astype(np.float32)
    error = np.abs(np.asarray(networks.realize(made.network, x))[:, 0] - f(x[:, 0]))
    assert error.max() > 1.5 * made.certificate.bound
    points = [Fraction(float(t)) for t in x[np.argsort(-error)[:20], 0]]
    assert _worst(made, f, points) <= Fraction(made.certificate.bound)


def test_an_offset_does_not_matter():
    f = _Walk(np.random.default_rng(8), 64)
    f.values = f.values + 1000.0
    made = constructions.lipschitz_by_bits(f, 4, 4)
    assert _worst(made, f, [Fraction(i, 100) for i in range(101)]) <= Fraction(1, 16)


def test_a_steeper_function_is_refused_and_scaled_on_request():
    def f(x):
        return np.sin(6 * x)

    for make in (
        lambda **k: constructions.lipschitz_by_bits(f, 4, 8, **k),
        lambda **k: constructions.lipschitz_by_lookup(f, 1, 2, 2, per_layer=2, layers=4, **k),
        lambda **k: constructions.lipschitz_by_slopes(f, steps=32, **k),
    ):
        with pytest.raises(ValueError, match="slopes reach 5.9.*larger `lipschitz`"):
            make()
        made = make(lipschitz=6)
        assert made.certificate.bound == pytest.approx(6 / 32)
        points = np.random.default_rng(0).uniform(0, 1, (60, 1))
        values = networks.realize_exact(made.network, points)[:, 0].astype(float)
        assert np.abs(values - f(points[:, 0])).max() <= 6 / 32


def _jump(x):
    return np.where(x < 0.5, 0.0, 0.25)


def _hole(x):
    return np.where(x < 1, x, np.nan)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda c: c.sigma_delta(_jump, 4, 8), "must not change by more"),
        (lambda c: c.sigma_delta(_hole, 4, 8), "finite numbers; got NaN or infinity at 1"),
        (lambda c: c.sigma_delta(lambda x: 0.0, 4, 8), "same shape; got"),
        (lambda c: c.sigma_delta(np.sin, 0, 8), "cells.*at least 1; got 0"),
        (lambda c: c.sigma_delta(np.sin, 4, 8, lipschitz=0), "positive and finite; got 0"),
        (lambda c: c.gapped_code(np.array([0, 2])), "zeros and ones"),
        (lambda c: c.bit_extraction(28), "at most 27 bits per code in float64.*got 28.$"),
        (lambda c: c.bit_extraction(13, dtype=np.float32), 'at most 12.*Use "float64"'),
        (lambda c: c.bit_extraction(4, 13), "from 1 to 12; got 13"),
        (lambda c: c.lipschitz_by_bits(np.sin, 4, 32), "at most 27 bits.*allow_rounding"),
        (lambda c: c.lipschitz_by_bits(np.sin, 4, 16, dtype=np.float32), "at most 12 bits"),
        (lambda c: c.lipschitz_by_bits(np.sin, 4, 4, dtype=np.int32), "float32 or float64"),
        (
            lambda c: c.lipschitz_by_bits(np.sin, 16, 7, dtype=np.float32),
            "2.19 in float32, for n = 16",
        ),
        (lambda c: c.lipschitz_by_bits(np.sin, 65, 22), "2.48 in float64.*realize_exact"),
        (
            lambda c: c.lipschitz_by_lookup(np.sin, 2, 8, 8, per_layer=4, layers=5),
            "lookup.*n = 128 cells of m = 20",
        ),
        (
            lambda c: c.lipschitz_by_bits(np.sin, 8, 7, per_layer=7, dtype=np.float32),
            "whole numbers up to",
        ),
        (lambda c: c.lipschitz_by_lookup(np.sin, 1, 0, 1, per_layer=1, layers=1), "groups"),
        (lambda c: c.lipschitz_by_lookup(np.sin, 1, 1, 1, per_layer=4, layers=9), "at most 27"),
        (lambda c: c.lipschitz_by_slopes(np.sin, steps=12), "power of two.*got 12. 16"),
        (
            lambda c: c.lipschitz_by_slopes(np.sin, steps=4, lipschitz=1.1, dtype=np.float32),
            "hold starts and slopes",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make(constructions)


def test_codes_that_are_rounded_have_no_bound():
    made = constructions.lipschitz_by_bits(np.sin, 2, 32, allow_rounding=True)
    assert made.certificate.bound == math.inf
    assert made.network.depth == 38


@pytest.mark.slow
def test_by_lookup_at_scale():
    """A hundred thousand parameters: built and checked at some points."""
    f = _Walk(np.random.default_rng(11), 2**14)
    made = constructions.lipschitz_by_lookup(f, 16, 32, 8, per_layer=2, layers=4)
    assert made.counts.connectivity > 100_000
    rng = np.random.default_rng(12)
    assert _worst(made, f, _points(rng, 16 * 32 * 8, 20)) <= Fraction(1, 2**15)
