"""Covering numbers, encoding rates, their check, and what goes wrong without the conditions."""

import itertools
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from qrelu import bounds, quantizers, rates, targets

SHALLOW = bounds.ReLUSequence(bounds.Growth(2.0), bounds.Growth(1.0))
LOG_DEEP = bounds.ReLUSequence(bounds.Growth(1.0, log_power=1.0), bounds.Growth(1.0, power=2.0))
POLYNOMIAL = bounds.DictionarySequence(bounds.Growth(1.0, power=3.0), bounds.Growth(1.0))


def _exponent(sequence, gamma, sizes=(2**60, 2**70)):
    """The slope of log2 of the covering's bits between two huge sizes."""
    bits = [sequence.log2_covering(m, float(m) ** -gamma) for m in sizes]
    return (math.log2(bits[1]) - math.log2(bits[0])) / math.log2(sizes[1] / sizes[0])


@pytest.mark.parametrize(
    "sequence, exponent",
    [
        (SHALLOW, 1.0),
        (LOG_DEEP, 1.0),
        (POLYNOMIAL, 1.0),
        (bounds.deep_sequence(), 2.0),
        (bounds.deep_sequence(1.0), 1.0),
        (bounds.ReLUSequence(bounds.Growth(1.0, power=0.5), bounds.Growth(3.0)), 1.5),
        (bounds.ReLUSequence(bounds.Growth(1.0, power=0.5), bounds.Growth(0.9)), 1.0),
        (bounds.ReLUSequence(bounds.Growth(1.0, power=1.5), bounds.Growth(5.0, power=-1)), 1.5),
    ],
)
def test_the_exponent_is_that_of_the_count(sequence, exponent):
    assert sequence.exponent == exponent
    for gamma in (0.5, 3.0):
        # Logarithms of M: at 2^65 a factor log(M)^2 is worth a slope of less than .05.
        assert _exponent(sequence, gamma) == pytest.approx(exponent, abs=0.06)


def _greedy_packing(points, distance, separation):
    kept = []
    for p in points:
        if all(distance(p, q) > separation for q in kept):
            kept.append(p)
    return len(kept)


def test_no_packing_exceeds_the_covering_bound():
    """More than N points at mutual distances beyond 2 e refute a covering by N balls."""
    grid = np.linspace(-1, 1, 21)
    affine = list(itertools.product(grid, grid))  # a x + b on [-1, 1], norms up to 1
    sup = lambda p, q: abs(p[0] - q[0]) + abs(p[1] - q[1])  # noqa: E731
    sequence = bounds.ReLUSequence(bounds.Growth(1.0), bounds.Growth(1.0))
    for accuracy in (0.7, 0.35, 0.1):
        packing = _greedy_packing(affine, sup, 2 * accuracy)
        assert math.log2(packing) <= sequence.log2_covering(2, accuracy)
        box = bounds.lipschitz_covering(2, 2.0, 1.0, accuracy)
        assert math.log2(packing) <= box
        # The cells are squares and the balls diamonds: a factor of 2 per ball, and one per 2e.
        assert box <= math.log2(packing) + 2 + 1.7
    segment = np.linspace(-5, 5, 1001)[:, None]
    one = _greedy_packing(segment, lambda p, q: abs(p - q)[0], 2 * 0.1)
    assert math.log2(one) <= bounds.lipschitz_covering(1, 1.0, 5.0, 0.1)
    assert bounds.unbounded_line(5.0, 0.1) <= math.log2(one) + 0.1
    # All of the three-term dictionary {1, x, x^2} with two terms, coefficients up to 1.
    t = np.linspace(0, 1, 9)
    atoms = np.stack([t**0, t, t**2])
    coarse = np.linspace(-1, 1, 7)
    functions = [
        a * atoms[i] + b * atoms[j]
        for i, j in itertools.combinations(range(3), 2)
        for a, b in itertools.product(coarse, coarse)
    ]
    dictionary = bounds.DictionarySequence(bounds.Growth(3.0), bounds.Growth(1.0))
    packing = _greedy_packing(functions, lambda p, q: abs(p - q).max(), 0.5)
    assert math.log2(packing) <= dictionary.log2_covering(2, 0.25)


def test_counts_by_hand():
    # Depth 2, width 8, D = 1, r = 1, accuracy 1/8: 8 of 2*8*9 places, 2*2*8*4*8 = 1024 cells.
    known = 8 * (math.log2(1025) + math.log2(144)) + math.log2(8) + 1
    assert SHALLOW.log2_covering(8, 1 / 8) == pytest.approx(known, rel=1e-9)
    known = 4 * math.log2(64) + 4 * math.log2(4 / 0.01 + 1)
    assert POLYNOMIAL.log2_covering(4, 0.01) == pytest.approx(known, rel=1e-9)
    assert bounds.lipschitz_covering(3, 2.0, 4.0, 16.0) == 0.0
    assert bounds.lipschitz_covering(3, 2.0, math.inf, 1.0) == math.inf


@pytest.mark.parametrize("rounding", ["nearest", "floor", "toward_zero"])
@pytest.mark.parametrize("sequence", [SHALLOW, LOG_DEEP, bounds.deep_sequence(1.5)])
def test_the_schedule_keeps_the_rate(sequence, rounding):
    for size in (2, 5, 16, 40):
        for gamma in (0.5, 2.0):
            step = sequence.step(size, gamma, rounding=rounding)
            radius = max(1.0, sequence.norm_bound(size))
            bits = sequence.bits(size, gamma, rounding=rounding)
            assert bounds.bits_per_weight(radius, step, rounding) <= bits
            coarse = bounds.sufficient_step(
                (1, *[size] * (max(1, math.ceil(sequence.depth(size) - 1e-9)) - 1), 1),
                radius,
                1.0,
                size**-gamma,
                rounding=rounding,
                constant="coarse",
                dtype=None,
            )
            assert coarse <= step * (1 + 1e-9)
            assert bits - bounds.bits_per_weight(radius, coarse, rounding) in (0, 1, 2)


def test_a_drawn_network_of_the_sequence_keeps_its_error():
    rng = np.random.default_rng(4)
    for rounding in ("nearest", "toward_zero"):
        for size in (6, 12, 24):
            step = SHALLOW.step(size, 1.0, rounding=rounding)
            q = quantizers.Uniform(step, rounding)
            n = size // 3
            w, b, v = rng.uniform(-1, 1, (300, n)), rng.uniform(-1, 1, (300, n)), None
            v = rng.uniform(-1, 1, (300, n)) / n
            x = np.linspace(-1, 1, 33)
            run = lambda w, b, v: (  # noqa: E731
                v[:, None] @ np.maximum(w[:, :, None] * x + b[:, :, None], 0)  # noqa: B023
            )
            assert abs(run(w, b, v) - run(q(w), q(b), q(v))).max() <= 1 / size


def test_bits_of_the_schedule_grow_as_said():
    """O(log^2 M) for log-deep networks with polynomial norms, O(log M) for norms of 1."""
    log_deep = [LOG_DEEP.bits(2**k, 1.0) for k in (20, 40, 80)]
    assert 3.0 < log_deep[1] / log_deep[0] < 4.2 and 3.4 < log_deep[2] / log_deep[1] < 4.2
    unit = [bounds.deep_sequence(1.0).bits(2**k, 1.0) for k in (20, 40, 80)]
    assert unit[1] / unit[0] < 2.1 and unit[2] / unit[1] < 2.1
    assert bounds.deep_sequence(2.0).bits(2**20, 1.0) > 2**20
    with pytest.raises(ValueError, match="below the range of float64"):
        bounds.deep_sequence(2.0).step(2**20, 1.0)


@pytest.mark.parametrize(
    "function_class, rate",
    [
        (targets.Hoelder(0.5), 0.5),
        (targets.Sobolev(2, 1.0, dimension=3), 2 / 3),
        (targets.Sobolev(1), 1.0),
        (targets.Besov(1.0, 0.9, 0.5), 1.0),
        (targets.Besov(2.0, math.inf, math.inf, 4), 0.5),
        (targets.BoundedVariation(), 1.0),
        (targets.Cartoon(2.0), 1.0),
        (targets.Cartoon(2.0, 3), 0.5),
        (targets.Lipschitz(3.0), 1.0),
        (targets.PiecewiseSmooth(1.5, 2), 1.5),
    ],
)
def test_encoding_rates(function_class, rate):
    known = bounds.encoding_rate(function_class)
    assert known.gamma == pytest.approx(rate)
    assert known.source and known.norm == "L2"


def test_lipschitz_bits_are_attained():
    """The encoder of the dictionary: n - 1 bits, error 1/n, over many random functions."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 7, 20):
        assert bounds.lipschitz_bits(Fraction(1, n)) == n - 1
        worst = 0.0
        for _ in range(100):
            knots = np.sort(np.append(rng.random(30), [0, 1]))
            heights = np.append(0, np.cumsum(np.diff(knots) * rng.choice([-1, 1, 0.3], 31)))
            f = lambda x: np.interp(x, knots, heights)  # noqa: B023, E731
            atom = bounds.dense_dictionary(f, n)
            assert atom.bits == n and 2 ** (n - 1) <= atom.index < 2**n
            x = np.linspace(0, 1, 2001)
            worst = max(worst, abs(f(x) - np.interp(x, atom.knots, atom.values)).max())
            # The index alone gives the atom back.
            digits = [int(c) for c in bin(atom.index)[3:]]
            decoded = np.append([0, 0], np.cumsum([2 * d - 1 for d in digits])) / n
            np.testing.assert_allclose(decoded, atom.values, atol=1e-15)
        assert worst <= atom.accuracy + 1e-12
    assert bounds.lipschitz_bits(0.3) == 3 and bounds.lipschitz_bits(2.0) == 0
    # Functions that no fewer bits can tell apart.
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    zigzags = np.concatenate([np.zeros((64, 1)), np.cumsum(signs, 1) / 6], 1)
    gaps = abs(zigzags[:, None] - zigzags[None]).max(2)
    assert gaps[~np.eye(64, dtype=bool)].min() >= 2 / 6 - 1e-12


def test_the_constant_sequence_needs_too_many_bits():
    found = bounds.constant_sequence([64, 256, 1024, 4096], 1.5)
    assert not found.errors.any()
    slope = np.polyfit(np.log2(found.sizes), np.log2(found.log2_covering), 1)[0]
    assert slope == pytest.approx(1.5, abs=0.02)


def test_the_check():
    lipschitz = targets.Hoelder(1.0)
    good = bounds.encoding_check(0.97, lipschitz, draws_depend_on_size=True)
    assert good.holds and good.limit == 1.0 and "compatible" in good.verdict
    bad = bounds.encoding_check(1.9, lipschitz, draws_depend_on_size=True)
    assert not bad.holds and "not encodable" in bad.verdict
    deep = bounds.encoding_check(
        1.9, lipschitz, draws_depend_on_size=True, sequence=bounds.deep_sequence()
    )
    assert deep.holds and deep.limit == 2.0
    free = bounds.DictionarySequence(None, bounds.Growth(1.0))
    endless = bounds.encoding_check(50.0, lipschitz, draws_depend_on_size=True, sequence=free)
    assert endless.holds and math.isinf(endless.limit) and free.log2_covering(4, 0.1) == math.inf
    fit = SimpleNamespace(gamma=1.03, interval=(0.98, 1.08))
    assert bounds.encoding_check(fit, lipschitz, draws_depend_on_size=True).holds
    sizes = 2 ** np.arange(3, 11)
    fitted = rates.fit_rate(sizes, 3.0 * sizes**-1.5)
    assert not bounds.encoding_check(fitted, lipschitz, draws_depend_on_size=True).holds


def test_the_check_refuses_single_functions():
    with pytest.raises(ValueError, match="a single function.*has no encoding limit"):
        bounds.encoding_check(2.0, targets.Hoelder(1.0), draws_depend_on_size=False)
    with pytest.raises(TypeError, match="must be True or False; got 'no'"):
        bounds.encoding_check(2.0, targets.Hoelder(1.0), draws_depend_on_size="no")  # type: ignore


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: targets.Hoelder(0.0), "smoothness=....*positive and finite; got 0"),
        (lambda: targets.Sobolev(1.0, 0.5), "p=....*at least 1"),
        (lambda: targets.Sobolev(0.5, 1.0), "above d max.* = 0.5"),
        (lambda: targets.Sobolev(1.0, 2.0, 0), "dimension=....*at least 1"),
        (lambda: targets.Besov(1.0, 0.0), "p=....*positive"),
        (lambda: targets.Besov(1.0, 1.0, -1.0), "q=....*positive"),
        (lambda: targets.Besov(1.5, 0.5), "not compact in L2"),
        (lambda: targets.Cartoon(1.0, 1), "dimension=....*at least 2"),
        (lambda: bounds.Growth(0.0), "positive coefficient"),
        (lambda: bounds.Growth(1.0)(1), "at least 2; got 1"),
        (lambda: bounds.ReLUSequence(bounds.Growth(1.0), bounds.Growth(1.0), 0), "positive int"),
        (lambda: SHALLOW.log2_covering(4, 0.0), "accuracy=....*positive"),
        (lambda: SHALLOW.step(4, -1.0), "gamma=....*positive"),
        (lambda: bounds.lipschitz_covering(1, 1.0, -1.0, 1.0), "not be negative"),
        (lambda: bounds.lipschitz_bits(0.0), "positive and finite"),
        (lambda: bounds.dense_dictionary(lambda x: 2 * x, 4), "1-Lipschitz"),
        (lambda: bounds.dense_dictionary(lambda x: x, 0), "positive integer; got 0"),
        (lambda: bounds.constant_sequence([0], 1.0), "positive sizes"),
        (lambda: bounds.unbounded_line(-1.0, 1.0), "positive"),
        (
            lambda: bounds.encoding_check(
                math.nan, targets.BoundedVariation(), draws_depend_on_size=True
            ),
            "no rate was established",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
