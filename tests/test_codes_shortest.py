"""The fewest bits: what is promised is measured, and broken lines read by hand."""

import math

import numpy as np
import pytest
from numpy.polynomial import legendre

from qrelu import codes, families, norms, targets
from qrelu.codes._coder import Reader, Writer
from qrelu.codes._lifting import Lifted, code_lifted, knots_and_values
from qrelu.networks import pieces, realize


def lifted(base, residuals=(), *, order=4, step=0.25, grows=False, extra=0, splits=None):
    if splits is None:
        splits = [np.ones(2**k, bool) for k in range(len(residuals))]
    parts = tuple(np.array(r, np.int64) for r in residuals)
    return Lifted(order, step, grows, extra, np.array(base), tuple(splits), parts)


def test_a_line_through_a_polynomial_by_hand():
    """2 step (n_0 P_0 + n_1 P_1 + 2 n_2 P_2) at nine knots, against NumPy's Legendre series."""
    knots, values = knots_and_values(lifted([3, -2, 5], extra=3), (1.0, 3.0))
    assert np.array_equal(knots, np.linspace(1, 3, 9))
    wanted = legendre.legval(knots - 2, [0.5 * 3, 0.5 * -2, 0.5 * 2 * 5])
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-14)


def test_residuals_by_hand():
    """Of order 2 a middle is the mean of its neighbors plus the residual; of order 4, cubics."""
    shape = lifted([0, 0], [[4], [1, -2], [1, 0, 0, 0]], order=2)
    knots, values = knots_and_values(shape, (0.0, 1.0))
    # Middle 1; quarters (0 + 1)/2 + 1/4 and (1 + 0)/2 - 1/2; first eighth 3/8 + 1/4.
    assert np.array_equal(knots, np.arange(9) / 8)
    assert np.array_equal(values, [0, 0.625, 0.75, 0.875, 1, 0.5, 0, 0, 0])
    for order in (4, 6, 8):
        x = np.arange(2**5 + 1) / 2**5
        # All values of a cubic through four coarse residuals are predicted: none is stored.
        shape = lifted([0, 0], [[8], [3, -1], [0, 0, 0, 0]], order=order, extra=2)
        _, values = knots_and_values(shape, (0.0, 1.0))
        coarse = values[::8]
        # From nine knots on, a middle far from the ends: Lagrange's polynomial, by NumPy.
        at = x[::4][4 - order // 2 : 4 + order // 2]
        fit = np.polynomial.Polynomial.fit(
            at, values[::4][4 - order // 2 : 4 + order // 2], order - 1
        )
        assert abs(fit(x[14]) - values[14]) < 1e-12
        assert coarse.size == 5


def test_a_uneven_tree_by_hand():
    """Only the left halves are halved again, and everything once more at the end."""
    one = [np.array([True]), np.array([True, False]), np.array([True, False])]
    shape = lifted([0, 4], [[0], [0], [2]], order=2, splits=one, extra=1, grows=True)
    knots, values = knots_and_values(shape, (0.0, 16.0))
    assert np.array_equal(knots, [0, 1, 2, 3, 4, 6, 8, 12, 16])
    # The line -2 + x/4 and a hat of height 2 steps times 2 (third level) at 2.
    assert np.array_equal(values, -2 + knots / 4 + np.interp(knots, [0, 2, 4], [0, 1.0, 0]))
    writer = Writer()
    code_lifted(writer, shape)
    data, _ = writer.finished()
    found = code_lifted(Reader(data), None)
    again = knots_and_values(found, (0.0, 16.0))
    assert all(np.array_equal(a, b) for a, b in zip(again, (knots, values), strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_random_trees_come_back(seed):
    rng = np.random.default_rng(seed)
    splits, residuals, above = [], [], 1
    for _ in range(int(rng.integers(0, 6))):
        split = rng.random(above) < 0.7
        if not split.any():
            break
        splits.append(split)
        residuals.append(rng.integers(-20, 20, split.sum()))
        above = 2 * int(split.sum())
    base = rng.integers(-1000, 1000, int(rng.integers(2, 9)))
    order = int(rng.choice([2, 4, 6, 8])) if splits else 2
    given = lifted(base, residuals, order=order, step=0.0234375, splits=splits, extra=seed % 3)
    writer = Writer()
    code_lifted(writer, given)
    data, _ = writer.finished()
    found = code_lifted(Reader(data), None)
    assert (found.order, found.step, found.extra) == (given.order, given.step, given.extra)
    for name in ("splits", "residuals"):
        pairs = zip(getattr(found, name), getattr(given, name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["free-knot", "uniform-knot", "dyadic-tree"])
@pytest.mark.parametrize("target", ["exp", "kink"])
def test_networks_of_few_bits(name, target, tmp_path):
    target = targets.get(target)
    found = codes.shortest(families.get(name), target, 1e-2)
    assert found.error <= 1e-2 and found.bits <= 110
    found.code.save(tmp_path / "net.qrelu")
    network = codes.decode(codes.load(tmp_path / "net.qrelu"))
    # The distance by dense sums instead of the exact pieces, and the network by `realize`.
    x = (np.arange(200_000) + 0.5) / 200_000
    r = np.asarray(realize(network, x[:, None]))[:, 0] - np.asarray(target(x))
    assert abs(math.sqrt(np.mean(r**2)) - found.error) < 1e-6
    assert network.depth > 2 or name != "dyadic-tree"
    assert 8 * (tmp_path / "net.qrelu").stat().st_size == found.bits + found.code.header_bits


def test_free_knots_stand_where_they_are_needed():
    found = codes.shortest(families.FreeKnot(), targets.get("kink"), 1e-3)
    knots = pieces(found.function, 0, 1).breakpoints
    assert np.sum(np.abs(knots - 1 / 3) < 0.05) > np.sum(np.abs(knots - 0.8) < 0.1)
    even = codes.shortest(families.UniformKnot(), targets.get("kink"), 3e-3)
    assert codes.shortest(families.FreeKnot(), targets.get("kink"), 3e-3).bits < even.bits


@pytest.mark.parametrize(
    ("name", "accuracy", "most"),
    [
        ("piecewise-constant", 0.3, 120),
        ("linear-spline-free", 3e-2, 160),
        ("cubic-spline", 1e-2, 80),
        ("polynomial", 1e-3, 110),
        ("db3", 1e-1, 200),
        ("rational", 1e-2, 260),
    ],
)
def test_other_families(name, accuracy, most):
    target = targets.get("exp")
    found = codes.shortest(families.get(name), target, accuracy)
    error = float(norms.L2().distance(codes.decode(found.code), target))
    assert error == found.error <= accuracy
    assert found.bits <= most


@pytest.mark.parametrize("norm", [norms.L1(), norms.Sup()])
def test_other_norms(norm):
    target = targets.get("sine")
    found = codes.shortest(families.UniformKnot(), target, 0.02, norm=norm)
    assert found.error <= 0.02
    assert float(norm.distance(found.function, target)) == found.error


def test_a_curve_and_its_table():
    target = targets.get("exp")
    found = codes.curve(families.Polynomial(), target, [1e-1, 1e-2, 1e-3])
    assert np.all(found.errors <= found.accuracies) and np.all(np.diff(found.bits) > 0)
    assert found.table().columns[:2] == ["family", "target"] and found.table().height == 3
    drawn = codes.figure([found], encoding_rate=2.0).axes[0]
    assert np.array_equal(drawn.lines[0].get_xdata(), found.bits)
    guide = drawn.lines[1].get_ydata()
    assert guide[0] / guide[1] == pytest.approx((found.bits[2] / found.bits[0]) ** 2)
    # Fourier sums of a function whose ends differ: out of reach, and said so.
    missed = codes.curve(families.Fourier(), target, [1.0, 1e-6])
    with pytest.raises(ValueError, match="at least one accuracy that was reached"):
        codes.figure([missed._replace(bits=missed.bits * np.nan)])
    assert np.isfinite(missed.bits[0]) and np.isnan(missed.bits[1]) and np.isnan(missed.errors[1])


def test_a_network_keeps_its_pieces_when_it_is_rounded():
    target, norm = targets.get("exp"), norms.L2()
    fitted = families.FreeKnot().fit(target, 31, norm=norm)
    error = float(norm.distance(fitted.network, target))
    code = codes.encode(fitted, target=target, accuracy=1.5 * error)
    network = codes.decode(code)
    assert network.widths == fitted.network.widths
    assert float(norm.distance(network, target)) <= 1.5 * error
    # Knots and values of ten pieces in about 7 bits each.
    assert code.bits < 8 * 20


def test_quantized_families_are_coded_as_they_are():
    family = families.Quantized(families.Polynomial(), families.Bits(12))
    found = codes.shortest(family, targets.get("exp"), 1e-2)
    assert found.error <= 1e-2


@pytest.mark.slow
def test_the_bits_of_a_network_for_the_exponential():
    for accuracy, most in ((1e-3, 200), (1e-4, 480), (3e-5, 800)):
        found = codes.shortest(families.FreeKnot(), targets.get("exp"), accuracy)
        assert found.error <= accuracy and found.bits <= most


@pytest.mark.parametrize("spare", [1.2, 1.8])
def test_an_accuracy_near_the_error_of_the_largest_size_is_reached(monkeypatch, spare):
    """A sawtooth's Fourier sum of K frequencies misses it by sqrt(1 / (2 pi^2 K)), nearly."""
    monkeypatch.setattr("qrelu.codes._shortest._LARGEST", 64)
    sawtooth = targets.Function(lambda x: 1.0 * x, (0.0, 1.0), name="sawtooth")
    accuracy = spare / math.sqrt(2 * math.pi**2 * 31.5)
    found = codes.shortest(families.Fourier(), sawtooth, accuracy)
    assert found.error <= accuracy
    with pytest.raises(ValueError, match="an accuracy that fourier reaches"):
        codes.shortest(families.Fourier(), sawtooth, accuracy / spare / 1.2)
