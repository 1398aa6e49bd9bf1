"""Splines against independent judges: SciPy's splines and optimizers, and closed forms."""

import itertools

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import families, networks, norms, targets
from qrelu.families._best_spline import best_spline
from qrelu.families._best_values import best_values
from qrelu.families._least_absolute import least_absolute
from qrelu.families._least_squares import least_squares
from qrelu.families._quadrature import quadrature
from qrelu.families._spline import Spline, network_from_spline
from qrelu.families._tube import fewest_links

SMOOTH = ["exp", "sine", "runge", "power1.5"]


@pytest.mark.parametrize("name", [*SMOOTH, "cusp", "entropy"])
def test_least_squares_agree_with_scipy(name):
    target = targets.get(name)
    rng = np.random.default_rng(3)
    knots = np.concatenate([[0.0], np.sort(rng.uniform(0, 1, 9)), [1.0]])
    ours = least_squares(quadrature(target), knots[None])
    # A discrete least-squares problem with Gauss weights on 4,000 cells is the continuous one;
    # SciPy squares its weights.
    nodes, weights = np.polynomial.legendre.leggauss(5)
    graded = 2.0 ** -np.arange(1, 50) / 3
    graded = np.concatenate([graded, 1 / 3 - graded, 1 / 3 + graded, [1 / 3]])
    cells = np.unique(np.concatenate([np.linspace(0, 1, 4001), knots, graded]))
    half = np.diff(cells)[:, None] / 2
    x = (cells[:-1, None] + half * (1 + nodes)).ravel()
    w = (half * weights).ravel()
    judge = scipy.interpolate.make_lsq_spline(
        x, target(x), np.r_[0.0, knots, 1.0], k=1, w=np.sqrt(w)
    )
    np.testing.assert_allclose(ours.values[0], judge(knots), rtol=0, atol=2e-8)
    error = np.sum(w * (target(x) - np.interp(x, knots, judge(knots))) ** 2)
    np.testing.assert_allclose(ours.error[0], error, rtol=1e-6)


def test_least_absolute_values_agree_with_a_linear_program():
    target = targets.get("sine")
    knots = np.array([0.0, 0.13, 0.3, 0.55, 0.7, 1.0])
    ours = least_absolute(quadrature(target), knots[None])
    x = (np.arange(4000) + 0.5) / 4000
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(6)], axis=1)
    eye = np.eye(x.size)
    solved = scipy.optimize.linprog(
        np.r_[np.zeros(6), np.full(x.size, 1 / x.size)],
        A_ub=np.block([[hats, -eye], [-hats, -eye]]),
        b_ub=np.r_[target(x), -target(x)],
        bounds=[(None, None)] * 6 + [(0, None)] * x.size,
        method="highs",
    )
    np.testing.assert_allclose(ours.error[0], solved.fun, rtol=1e-4)


def test_minimax_values_agree_with_the_dense_program():
    target = targets.get("runge")
    knots = np.linspace(0, 1, 12)
    spline = best_values(quadrature(target), knots, np.inf)
    x = np.linspace(0, 1, 4401)
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(12)], axis=1)
    one = np.ones((x.size, 1))
    solved = scipy.optimize.linprog(
        np.r_[np.zeros(12), 1.0],
        A_ub=np.block([[hats, -one], [-hats, -one]]),
        b_ub=np.r_[target(x), -target(x)],
        bounds=(None, None),
        method="highs",
    )
    error = norms.Sup().between(spline.knots, spline.values, target)
    assert solved.fun * (1 - 1e-6) <= float(error) <= solved.fun * 1.003


@pytest.mark.parametrize("pieces", [1, 2, 5, 16, 64, 300])
@pytest.mark.parametrize(
    "name, exact",
    [
        ("square", lambda n: 1 / (8 * n**2)),
        ("sqrt", lambda n: 1 / (4 * n * (n + 1))),
        # On [a, b]: (a^-1/2 - b^-1/2)^2 / (2 N^2).
        ("reciprocal", lambda n: (10**0.5 - 1) ** 2 / (2 * n**2)),
    ],
)
def test_sup_errors_are_the_closed_forms(name, exact, pieces):
    target = targets.get(name)
    if name == "reciprocal":
        a, b = target.domain
        value = (a**-0.5 - b**-0.5) ** 2 / (2 * pieces**2)
    else:
        value = exact(pieces)
    fitted = families.FreeKnot().fit(target, 3 * pieces + 1, norm=norms.Sup())
    error = float(norms.Sup().distance(fitted.network, target))
    assert value * (1 - 1e-9) <= error <= value * 1.01


@pytest.mark.parametrize("norm, constant", [(norms.L2(), 180**-0.5), (norms.L1(), 1 / 16)])
def test_x_squared_has_uniform_knots(norm, constant):
    # x^2: N^-2 / sqrt(180) in L^2; in L^1, |f''|/32 = 1/16 of N^-2 and exact as well.
    target = targets.get("square")
    for pieces in (1, 3, 8, 40):
        spline = best_spline(quadrature(target), pieces, norm.p)
        np.testing.assert_allclose(np.diff(spline.knots), 1 / pieces, rtol=1e-3)
        error = float(norm.between(spline.knots, spline.values, target))
        np.testing.assert_allclose(error, constant / pieces**2, rtol=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_four_and_eight_pieces_are_as_good_as_a_multistart(name):
    # Nelder-Mead and BFGS know nothing of stationarity, Newton or dynamic programs.
    target = targets.get(name)
    rng = np.random.default_rng(0)
    nodes, weights = np.polynomial.legendre.leggauss(60)

    def error(gaps):
        knots = np.r_[0.0, np.cumsum(np.exp(gaps - np.max(gaps)))]
        knots = knots / knots[-1]
        half = np.diff(knots)[:, None] / 2
        if np.min(half) < 1e-9:
            return 1.0
        x = (knots[:-1, None] + half * (1 + nodes)).ravel()
        w = np.sqrt((half * weights).ravel())
        hats = np.stack([np.interp(x, knots, row) for row in np.eye(knots.size)], axis=1)
        solved = np.linalg.lstsq(w[:, None] * hats, w * target(x), rcond=None)
        return float(np.linalg.norm(w * target(x) - w * (hats * 1.0 @ solved[0])))

    for pieces, starts in ((4, 6), (8, 12)):
        best = min(
            scipy.optimize.minimize(
                error, rng.normal(size=pieces), method="BFGS", options={"maxiter": 60}
            ).fun
            for _ in range(starts)
        )
        fitted = families.FreeKnot().fit(target, 3 * pieces + 1, norm=norms.L2())
        assert float(norms.L2().distance(fitted.network, target)) <= best * 1.001


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("norm", [norms.L1(), norms.L2(), norms.Sup()], ids=lambda n: n.name)
def test_the_error_approaches_the_asymptotic_limit(name, norm):
    # C_p (int |f''|^(1/(2+1/p)))^(2+1/p) / N^2 with C = 1/32, 1/sqrt(720), 1/16.
    target = targets.get(name)
    second = {
        "exp": lambda x: 9 * np.exp(3 * x),
        "sine": lambda x: 4 * np.pi**2 * np.sin(2 * np.pi * x),
        "runge": lambda x: (15000 * (2 * x - 1) ** 2 - 200) / (1 + 25 * (2 * x - 1) ** 2) ** 3,
        "power1.5": lambda x: 0.75 * x**-0.5,
    }[name]
    power = 2 + 1 / norm.p
    zeros = [0.5 - 1 / np.sqrt(300), 0.5, 0.5 + 1 / np.sqrt(300)]
    total = sum(
        scipy.integrate.quad(lambda x: abs(second(x)) ** (1 / power), *piece, limit=200)[0]
        for piece in itertools.pairwise([0.0, *zeros, 1.0])
    )
    constant = {1.0: 1 / 32, 2.0: 720**-0.5, np.inf: 1 / 16}[norm.p]
    pieces = 200
    limit = constant * total**power / pieces**2
    fitted = families.FreeKnot().fit(target, 3 * pieces + 1, norm=norm)
    assert 0.97 <= float(norm.distance(fitted.network, target)) / limit <= 1.02


@given(
    st.lists(st.floats(0.001, 1.0), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
    st.floats(-5.0, 5.0),
)
@settings(deadline=None, max_examples=60)
def test_the_network_realizes_the_spline(gaps, seed, lower):
    rng = np.random.default_rng(seed)
    knots = lower + np.r_[0.0, np.cumsum(gaps)]
    values = rng.normal(size=knots.size)
    network = network_from_spline(Spline(knots, values))
    assert network.connectivity <= 3 * len(gaps) + 1
    assert network.widths == (1, len(gaps), 1)
    x = np.r_[knots, rng.uniform(knots[0], knots[-1], 50)]
    hidden = np.maximum(x[:, None] * network.weights[0][:, 0] + network.biases[0], 0)
    got = hidden @ network.weights[1][0] + network.biases[1]
    scale = np.max(np.abs(hidden) @ np.abs(network.weights[1][0])) + 1
    np.testing.assert_allclose(got, np.interp(x, knots, values), rtol=0, atol=1e-14 * scale)


def test_the_pivot_has_the_least_cancellation():
    # All pivots by brute force: the largest sum of |terms| over the interval.
    rng = np.random.default_rng(5)
    for _ in range(20):
        knots = np.r_[0.0, np.sort(rng.uniform(0, 1, 6)), 1.0]
        values = rng.normal(size=8)
        network = network_from_spline(Spline(knots, values))
        hidden = np.maximum(knots[:, None] * network.weights[0][:, 0] + network.biases[0], 0)
        ours = np.max(hidden @ np.abs(network.weights[1][0]) + np.abs(network.biases[1]))
        slopes = np.diff(values) / np.diff(knots)
        jumps = np.diff(slopes)
        sums = []
        for pivot in range(8):
            at = np.abs(values[pivot]) + np.zeros(8)
            for place, jump in zip(knots[1:-1], jumps, strict=True):
                if place > knots[pivot]:
                    at += abs(jump) * np.maximum(knots - place, 0)
                if place < knots[pivot]:
                    at += abs(jump) * np.maximum(place - knots, 0)
            if pivot < 7:
                at += abs(slopes[pivot]) * np.maximum(knots - knots[pivot], 0)
            if pivot > 0:
                at += abs(slopes[pivot - 1]) * np.maximum(knots[pivot] - knots, 0)
            sums.append(np.max(at))
        np.testing.assert_allclose(ours, min(sums), rtol=1e-5)


def test_the_tree_is_the_interpolant_at_dyadic_points():
    target = targets.get("reciprocal")
    for maps in (1, 2):
        family = families.DyadicTree(values="interpolate", maps_per_level=maps)
        for levels, size in ((1, 10), (3, 52), (5, 220)):
            fitted = family.fit(target, size, norm=norms.L2())
            if maps == 2:
                assert fitted.pieces == 2**levels
                assert fitted.network.depth == 2 * levels + 1
                assert fitted.connectivity == 7 * 2**levels - 4
            else:
                assert fitted.network.depth == np.log2(fitted.pieces) + 1
                assert fitted.connectivity == 5 * fitted.pieces - 3
            lower, upper = target.domain
            knots = np.linspace(lower, upper, fitted.pieces + 1)
            found = networks.pieces(fitted.network, lower, upper)
            np.testing.assert_allclose(found(knots)[:, 0], target(knots), rtol=0, atol=1e-13)
            x = np.linspace(lower, upper, 777)
            expected = np.interp(x, knots, target(knots))
            np.testing.assert_allclose(found(x)[:, 0], expected, rtol=0, atol=1e-13)


def test_kinks_become_knots():
    target = targets.get("kink")
    for norm in (norms.L1(), norms.L2(), norms.Sup()):
        for pieces in (2, 4, 31, 100):
            fitted = families.FreeKnot().fit(target, 3 * pieces + 1, norm=norm)
            assert float(norm.distance(fitted.network, target)) < 1e-14


def test_as_many_pieces_as_samples_reproduce_data():
    rng = np.random.default_rng(2)
    data = targets.Data(np.sort(rng.uniform(0, 1, 50)), rng.normal(size=50))
    for norm in (norms.L1(), norms.L2(), norms.Sup()):
        fitted = families.FreeKnot().fit(data, 3 * 49 + 1, norm=norm)
        assert float(norm.distance(fitted.network, data)) < 1e-11


def test_large_data_are_fitted_through_a_coarse_spline():
    rng = np.random.default_rng(4)
    x = np.sort(rng.uniform(0, 10, 30_000))
    data = targets.Data(x, np.sin(x) + 2 * (x > 7) + 0.1 * rng.normal(size=x.size))
    free = families.FreeKnot().fit(data, 49, norm=norms.L2())
    even = families.UniformKnot().fit(data, 49, norm=norms.L2())
    best = [float(norms.L2().distance(f.network, data)) for f in (free, even)]
    # The noise alone has an L^2 norm of about 0.1 sqrt(10 * 2/3) = 0.26.
    assert best[0] < 0.27 < best[1]


# A line through a run of samples exists exactly if a linear program in two unknowns is feasible.
def _discontinuous_links(x, upper, lower):
    start, links = 0, 0
    while start < x.size:
        stop = start + 1
        while stop <= x.size:
            part = slice(start, stop)
            solved = scipy.optimize.linprog(
                [0.0, 0.0],
                A_ub=np.r_[
                    np.c_[x[part], np.ones(stop - start)], -np.c_[x[part], np.ones(stop - start)]
                ],
                b_ub=np.r_[upper[part], -lower[part]],
                bounds=(None, None),
                method="highs",
            )
            if solved.status != 0:
                break
            stop += 1
        links += 1
        start = stop - 1
    return links


@pytest.mark.parametrize("seed", range(6))
def test_fewest_links_stay_in_the_tube_and_cannot_be_fewer(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 1, 40))
    middle = np.cumsum(rng.normal(size=40)) * 0.2
    upper, lower = middle + 0.25, middle - 0.25
    found = fewest_links(x, upper, lower, 40)
    assert found is not None
    lines, knots = found
    values = [lines[0](knots[0])] + [
        line(knot) for line, knot in zip(lines, knots[1:], strict=True)
    ]
    assert np.all(np.diff(knots) > 0)
    inside = np.interp(x, knots, values)
    assert np.all(inside <= upper + 1e-9) and np.all(inside >= lower - 1e-9)
    # Continuous links are at least as many as lines without continuity, at most about twice.
    least = _discontinuous_links(x, upper, lower)
    assert least <= len(lines) <= 2 * least
    assert fewest_links(x, upper, lower, len(lines) - 1) is None


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("declared", [(1 / 3, 0.8), ()], ids=["declared", "found"])
def test_free_knots_that_meet_at_a_jump_let_the_spline_jump(order, declared):
    target = targets.Function(
        lambda x: np.where(x < 1 / 3, np.sin(6 * x), np.exp(-x) + 1) - 0.7 * (x > 0.8),
        (0.0, 1.0),
        breakpoints=declared,
        name="pieces",
    )
    family, errors = families.Spline(order, "free"), []
    for size in (32, 64, 128):
        fitted = family.fit(target, size, norm=norms.L2())
        assert fitted.connectivity <= size and fitted.pieces <= family.pieces(size)
        knots, count = np.unique(fitted.function.places, return_counts=True)
        assert list(count[count > 1]) == [order, order]
        np.testing.assert_allclose(knots[count > 1], [1 / 3, 0.8], rtol=0, atol=1e-12)
        errors.append(float(norms.L2().distance(fitted.function, target)))
    # The rate of the smooth parts, from above: two jumps take 4 r of the parameters.
    assert np.log2(errors[1] / errors[2]) > order - 0.2 and errors[2] < 1e-4
    rounded = families.Quantized(family, families.Bits(24)).round(fitted, target, norm=norms.L2())
    assert float(norms.L2().distance(rounded.function, target)) < 1e-3


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("places", [(0.3, 1.0), (0.0, 0.0, 1.0), (1.0, 1.0), (1e-17, 1 - 1e-17)])
def test_knots_that_were_rounded_to_an_end_leave_the_value_there(order, places):
    """On [-3, 7] places within a few units of 1 - 1e-16 are the end itself."""
    spline = families.BSplines(
        coefficients=np.arange(1.0, len(places) + order + 1),
        places=np.array(places),
        domain=(-3.0, 7.0),
        order=order,
    )
    near = spline(np.array([-3 + 1e-12, 7 - 1e-12]))
    np.testing.assert_allclose(spline(np.array([-3.0, 7.0])), near, rtol=1e-9)


def _least_by_linear_program(f, pieces, samples=2000):
    """Values on equal knots with the least mean of |f - s| at the samples, by SciPy's HiGHS."""
    x, knots = (np.arange(samples) + 0.5) / samples, np.linspace(0, 1, pieces + 1)
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(pieces + 1)], axis=1)
    each = np.eye(samples)
    found = scipy.optimize.linprog(
        np.append(np.zeros(pieces + 1), np.full(samples, 1 / samples)),
        np.block([[hats, -each], [-hats, -each]]),
        np.append(f(x), -f(x)),
        bounds=[(None, None)] * (pieces + 1) + [(0, None)] * samples,
    )
    return Spline(knots, found.x[: pieces + 1])


@pytest.mark.parametrize(
    ("f", "places"),
    [
        (lambda x: np.abs(x - 0.3), (0.3,)),
        (lambda x: np.abs(x - 0.3) + 2 * np.abs(x - 0.77), (0.3, 0.77)),
        (lambda x: np.maximum(x - 0.45, 0.0) ** 2, (0.45,)),
        (lambda x: 1.0 * (x > 0.37), (0.37,)),
        (np.sqrt, ()),
    ],
    ids=["kink", "two kinks", "flat", "jump", "root"],
)
@pytest.mark.parametrize("pieces", [2, 5, 8])
def test_least_absolute_errors_where_the_residual_vanishes_on_pieces(f, places, pieces):
    """Newton's method alone ended up to 30 percent above the least error."""
    target = targets.Function(f, (0.0, 1.0), breakpoints=places, name="f")
    ours = families.Spline(2).fit(target, pieces + 1, norm=norms.L1())
    judge = network_from_spline(_least_by_linear_program(f, pieces))
    error = norms.L1().distance
    assert float(error(ours.function, target)) <= 1.001 * float(error(judge, target))
