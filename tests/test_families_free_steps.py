"""Step functions with free breakpoints against dynamic programming on fine grids."""

import math

import numpy as np
import pytest

from qrelu import families, norms, targets

STAIR = [k / 1.5 for k in range(-4, 8)]
TARGETS = {
    "stair": (lambda x: np.floor(1.5 * x) / 1.5 + 0.01 * np.sin(9 * x), (-3.0, 5.0), STAIR),
    "pulse": (lambda x: ((x >= 0.3) & (x < 0.31)) + 0.3 * np.sin(7 * x), (0.0, 1.0), [0.3, 0.31]),
    "undeclared": (lambda x: np.sign(np.sin(40 * x)) * (1 + x), (0.0, 1.0), []),
    "sine": (lambda x: np.sin(12 * x), (0.0, 1.0), []),
    "chirp": (lambda x: x * np.sin(40 * x), (0.0, 1.0), []),
}


def _error(name, pieces, norm, knots="free"):
    f, domain, breakpoints = TARGETS[name]
    target = targets.Function(f, domain, breakpoints=breakpoints, name=name)
    size = 2 * pieces - 1 if knots == "free" else pieces
    fitted = families.PiecewiseConstant(knots).fit(target, size, norm=norm)
    assert fitted.connectivity <= size
    return float(norm.distance(fitted.function, target))


def _least(name, pieces, p, cells=900):
    """The least error of `pieces` constants whose ends are those of many even cells, or jumps."""
    f, domain, breakpoints = TARGETS[name]
    jumps = np.pi / 40 * np.arange(1, 13) if name == "undeclared" else breakpoints
    x = np.union1d(np.linspace(*domain, cells + 1), jumps)
    x = x[np.append(True, np.diff(x) > 1e-9)]
    v, w = f((x[1:] + x[:-1]) / 2), np.diff(x)
    if p == 2:
        length, mean, square = (np.append(0, np.cumsum(w * v**k)) for k in range(3))
        length, mean, square = (s - s[:, None] for s in (length, mean, square))
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = square - mean**2 / length
    else:
        cost = np.full((x.size, x.size), np.inf)
        for level in np.unique(np.quantile(v, np.linspace(0, 1, 300))):
            sums = np.append(0, np.cumsum(w * np.abs(v - level)))
            np.minimum(cost, sums - sums[:, None], out=cost)
    cost = np.where(np.tri(x.size, dtype=bool), np.inf, np.maximum(cost, 0))
    reach = cost[0]
    for _ in range(pieces - 1):
        reach = np.min(reach[:, None] + cost, axis=0)
    return reach[-1] ** (1 / p)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("norm", [norms.L1(), norms.L2()], ids=lambda norm: norm.name)
def test_few_steps_are_as_good_as_dynamic_programming(name, norm):
    for pieces in (2, 5, 13, 20):
        assert _error(name, pieces, norm) <= 1.003 * _least(name, pieces, norm.p)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("norm", [norms.L1(), norms.L2()], ids=lambda norm: norm.name)
def test_fewer_steps_than_jumps_are_never_worse_than_as_many_uniform_ones(name, norm):
    for pieces in (1, 3, 8, 11, 40):
        even = _error(name, pieces, norm, "uniform")
        assert _error(name, pieces, norm) <= even * (1 + 1e-9)


def _fewest(v, error):
    """The pieces of samples on which the range is at most twice the error."""
    count, i = 0, 0
    while i < v.size:
        spread = np.maximum.accumulate(v[i:]) - np.minimum.accumulate(v[i:])
        i, count = i + np.searchsorted(spread, 2 * error, side="right"), count + 1
    return count


@pytest.mark.parametrize("name", ["sine", "chirp"])
@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 8, 13, 40, 100])
def test_steps_in_the_sup_norm_are_the_best(name, pieces):
    """With a thousandth less error more pieces are needed."""
    f, domain, _ = TARGETS[name]
    v = f(np.linspace(*domain, 2**17 + 1))
    error = _error(name, pieces, norms.Sup())
    assert _fewest(v, 0.998 * error) > pieces
    assert _fewest(v, 1.002 * error) <= pieces


def test_steps_of_functions_that_are_steps():
    """Nothing is left when there are as many pieces as steps, and constants need one."""
    stair = targets.Function(np.floor, (0.0, 5.0), breakpoints=[1, 2, 3, 4], name="floor")
    flat = targets.Function(lambda x: 0 * x + 2, (0.0, 5.0), name="two")
    for norm in (norms.L1(), norms.L2()):
        for pieces in (5, 6, 9):
            fitted = families.PiecewiseConstant("free").fit(stair, 2 * pieces - 1, norm=norm)
            assert norm.distance(fitted.function, stair) < 1e-7
    for norm in (norms.L1(), norms.L2(), norms.Sup()):
        fitted = families.PiecewiseConstant("free").fit(flat, 9, norm=norm)
        assert norm.distance(fitted.function, flat) < 1e-12
        assert math.isclose(float(fitted.function(np.array([3.0]))[0]), 2.0)
