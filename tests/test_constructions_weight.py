"""One weight out of few values, in exact arithmetic; memory as a function of their number."""

import math
from fractions import Fraction

import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import best_values, few_value_memory, weight

WEIGHTS = [0.0, 1.0, -1.0, 1 / 3, -0.7, 2.0**-9, 0.9999]
POINTS = [[1.0], [-0.75], [3.5], [0.0]]


def _slope(network):
    """w' of x -> w' x, after the network was found to be linear at four points."""
    values = networks.realize_exact(network, POINTS)[:, 0]
    slope = values[0]
    assert values.tolist() == [Fraction(x) * slope for (x,) in POINTS]
    return slope


@pytest.mark.parametrize("values", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("form", ["trie", "branch"])
@pytest.mark.parametrize("t", [1, 4, 8, 24])
def test_nonlinear_alphabet(values, form, t):
    places = set()
    for w in WEIGHTS:
        result = weight(w, digits=t, values=values, form=form)
        slope = _slope(result.network)
        assert abs(slope - Fraction(w)) <= Fraction(1, 2**t)
        assert float(abs(slope - Fraction(w))) == result.certificate.bound
        found = constructions.alphabet(result.network)
        base = max(2, math.ceil(round(t ** (1 / (values - 1)), 9)))
        assert set(found) <= {-0.5, *(2.0 ** -(base**j) for j in range(values - 1))}
        assert constructions.count(result.network) == result.counts
        places.add(constructions.topology(result.network))
    assert len(places) == 1


@pytest.mark.parametrize("values", [2, 4, 8, 16])
@pytest.mark.parametrize("t", [1, 4, 9, 20])
def test_linear_alphabet(values, t):
    places = set()
    for w in WEIGHTS:
        result = weight(w, digits=t, values=values, linear=True)
        slope = _slope(result.network)
        assert abs(slope - Fraction(w)) <= Fraction(1, 2**t)
        assert float(abs(slope - Fraction(w))) == result.certificate.bound
        found = constructions.alphabet(result.network)
        assert set(found) <= {-1.0, *(k / values for k in range(1, values))}
        places.add(constructions.topology(result.network))
    assert len(places) == 1
    units = t + 1 if values == 2 else math.ceil(t / math.log2(values))
    assert result.counts.depth == units + 4


@pytest.mark.parametrize("values", [3, 5, 6, 7, 12])
def test_linear_alphabet_that_is_rounded(values):
    """The network of the nearest floats, read as multiples of 1/lambda."""
    for w in WEIGHTS:
        result = weight(w, digits=12, values=values, linear=True, allow_rounding=True)
        h = {0: Fraction(1)}
        for matrix, bias in zip(result.network.weights, result.network.biases, strict=True):
            dense = np.asarray(matrix)
            assert not np.any(bias)
            codes = np.rint(dense * values).astype(int)
            assert np.allclose(codes / values, dense, rtol=1e-15)
            assert set(np.unique(codes)) <= {-values, *range(values)}
            active = {i: max(v, Fraction(0)) for i, v in h.items()} if len(h) > 1 else h
            h = {
                i: sum((int(line[j]) * active[j] for j in active), Fraction()) / values
                for i, line in enumerate(codes)
            }
        error = abs(h[0] - Fraction(w))
        assert error <= Fraction(1, 2**12)
        assert float(error) == pytest.approx(result.certificate.bound, rel=1e-9, abs=0)
        assert f"multiples of 1/{values}" in result.certificate.assumptions
    with pytest.raises(ValueError, match="power of two"):
        weight(0.3, digits=12, values=values, linear=True)


def _digit_sum(e, base):
    return 0 if e == 0 else e % base + _digit_sum(e // base, base)


@pytest.mark.parametrize("values", [2, 3, 4, 6])
def test_counts_are_the_closed_forms(values):
    for t in (2, 3, 4, 5, 8, 9, 16, 17, 27):
        base = 2
        while base ** (values - 1) < t:
            base += 1
        depths = [_digit_sum(e, base) for e in range(t)]
        deepest = max(depths)
        assert deepest <= (values - 1) * (base - 1)
        trie = weight(0.3, digits=t, values=values).counts
        assert trie.connectivity == 6 * t + 12 * deepest + 38
        assert trie.depth == deepest + 5
        branch = weight(0.3, digits=t, values=values, form="branch").counts
        identities = sum(max(0, 4 * (deepest - n) - 2) for n in depths)
        assert branch.connectivity == 24 + 2 * (identities + sum(depths) + t)
        assert branch.depth == deepest + 3
        assert branch.connectivity - 24 <= 2 * (4 * t * (values - 1) * (base - 1) + t)


@pytest.mark.parametrize("accuracy", [0.9, 0.5, 0.3, 0.25, 1e-3])
def test_accuracy_takes_the_fewest_digits(accuracy):
    t = max(1, math.ceil(-math.log2(accuracy)))
    result = weight(0.3, accuracy)
    assert result.certificate.bound <= accuracy
    assert result.counts == weight(0.3, digits=t).counts


def test_float32_evaluates_exactly_within_its_digits():
    result = weight(0.3, digits=12, values=3, dtype=np.float32)
    xs = np.arange(-9, 10, dtype=np.float32)[:, None] / 8
    floats = np.asarray(networks.realize(result.network, xs), np.float64)
    assert floats.tolist() == networks.realize_exact(result.network, xs).tolist()
    with pytest.raises(ValueError, match="at most 20 digits in float32; got 21"):
        weight(0.3, digits=21, dtype=np.float32)


def test_memory_counts_the_networks_that_are_built():
    for values, t, form in [(2, 8, "trie"), (3, 10, "branch"), (5, 17, "trie"), (2, 1, "trie")]:
        built = weight(0.1, digits=t, values=values, form=form).counts.connectivity * math.log2(
            values
        )
        assert few_value_memory(2.0**-t, values=values, form=form) == pytest.approx(built * 2.0**t)
        squared = few_value_memory(2.0**-t, values=values, form=form, dimension=2, order=1)
        assert squared == pytest.approx(built * 4.0**t)


def test_bound_optimal_number_of_values():
    """The stationary points, and the table of the notes."""
    best = {4: 2, 6: 3, 20: 3, 24: 4, 64: 4, 100: 5, 256: 5, 512: 6, 1000: 6}
    for digits, values in best.items():
        found = best_values(2.0**-digits)
        assert found.values == values
        assert found.memory == min(few_value_memory(2.0**-digits, values=v) for v in range(2, 30))
        assert found.bits == math.log2(values)
    for digits in (10, 32, 128, 1000):
        low, high = best_values(2.0**-digits).values - 1, best_values(2.0**-digits).values + 1
        slope = [(v - 1) ** 2 * (1 + 1 / math.log(v)) / v - math.log(digits) for v in (low, high)]
        assert low == 1 or slope[0] < 0 < slope[1]
    relative = [
        few_value_memory(2.0**-20, values=v) / few_value_memory(2.0**-20, values=3)
        for v in (2, 3, 4, 8, 16)
    ]
    assert np.allclose(relative, [1.88, 1.00, 1.02, 1.73, 3.68], atol=0.005)


def test_count_optimal_number_of_values():
    for form in ("branch", "trie"):
        for digits in (8, 20, 48):
            found = best_values(2.0**-digits, form=form)
            assert found.memory == min(
                few_value_memory(2.0**-digits, values=v, form=form) for v in range(2, 65)
            )
    assert best_values(2.0**-24, form="trie").values == 3
    assert best_values(2.0**-24, form="branch").values == 4


def test_bad_input():
    for value in (1.0001, -2.0, float("nan")):
        with pytest.raises(ValueError, match=r"\[-1, 1\]"):
            weight(value, digits=4)
    with pytest.raises(ValueError, match="got neither"):
        weight(0.5)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        weight(0.5, 1.0)
    with pytest.raises(ValueError, match="from 2 to 64; got 1"):
        weight(0.5, digits=4, values=1)
    with pytest.raises(ValueError, match="from 1 to 60"):
        weight(0.5, digits=61, allow_rounding=True)
    with pytest.raises(ValueError, match="allow_rounding=True"):
        weight(0.5, digits=50)
    with pytest.raises(ValueError, match="for the linear alphabet"):
        weight(0.5, digits=4, form="branch", linear=True)
    with pytest.raises(ValueError, match="from 2 to 64"):
        few_value_memory(0.1, values=65)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        few_value_memory(1.0)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        best_values(0.0)
