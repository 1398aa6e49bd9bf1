"""Enclosures of the largest difference of two networks: honest everywhere, tight where claimed.

The judges are exact rationals, dense points, and evaluation in other orders and types.
"""

import itertools
import json
import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import bounds, networks, quantizers

pytestmark = pytest.mark.filterwarnings("ignore:.*to the single value.*")

ROUNDINGS = ["nearest", "floor", "toward_zero", "stochastic", "per channel", "powers of two"]


def _network(rng, widths, dtype=np.float64, density=1.0):
    pairs = list(zip(widths, widths[1:], strict=False))
    weights = [
        (rng.normal(size=(n, m)) * (rng.random((n, m)) < density) * np.sqrt(2 / m)).astype(dtype)
        for m, n in pairs
    ]
    return networks.ReLUNetwork(weights, [rng.normal(size=n).astype(dtype) / 3 for _, n in pairs])


def _rounded(net, step, rounding="nearest"):
    bits = int(np.clip(-np.log2(step), 1, 8))
    others = {
        "per channel": quantizers.AbsMax(bits, "channel"),
        "powers of two": quantizers.PowersOfTwo(max(bits, 2), 2),
    }
    key = jax.random.key(int(1 / step)) if rounding == "stochastic" else None
    q = others[rounding] if rounding in others else quantizers.Uniform(step, rounding)
    return quantizers.quantize(net, q, key=key)


def _exact(net, x):
    """The network at one point, in rationals."""
    h = [Fraction(float(t)) for t in x]
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = [max(t, Fraction(0)) for t in h] if i else h
        h = [
            sum((Fraction(float(u)) * t for u, t in zip(row, h, strict=True)), Fraction(float(c)))
            for row, c in zip(np.asarray(w), np.asarray(b), strict=True)
        ]
    return h


def _largest(net, other, x):
    return max(abs(u - v) for u, v in zip(_exact(net, x), _exact(other, x), strict=True))


def _values(net, xs, order=None):
    """Values at points, in the network's own type, summed in the given order of units."""
    h = np.asarray(xs).T.astype(net.weights[0].dtype)
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i else h
        if order is None:
            h = np.asarray(w) @ h + np.asarray(b)[:, None]
        else:
            total = np.broadcast_to(np.asarray(b)[:, None], (len(b), h.shape[1])).copy()
            for j in order.permutation(w.shape[1]):
                total = total + np.asarray(w)[:, j, None] * h[j]
            h = total
    return h


def _points(rng, lower, upper, count):
    n = len(lower)
    corners = np.array(list(itertools.islice(itertools.product([0.0, 1.0], repeat=n), 64)))
    shares = np.concatenate([rng.random((count, n)), corners, rng.integers(0, 2, (count, n)) * 1.0])
    return np.clip(lower + shares * (upper - lower), lower, upper)


WIDTHS = [(1, 6, 1), (1, 5, 5, 2), (2, 6, 1), (2, 4, 4, 2), (3, 5, 4, 1), (4, 6, 2), (3, 4), (2, 3)]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(WIDTHS),
    st.sampled_from(ROUNDINGS),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([2.0**-2, 2.0**-5, 2.0**-12, None]),
)
def test_no_measured_difference_leaves_the_enclosure(seed, widths, rounding, dtype, step):
    rng = np.random.default_rng(seed)
    net = _network(rng, widths, dtype, rng.choice([0.5, 1.0]))
    other = _network(rng, widths, dtype) if step is None else _rounded(net, step, rounding)
    lower = rng.normal(size=widths[0])
    upper = lower + 10 ** rng.uniform(-4, 0.5, widths[0]) * (rng.random(widths[0]) < 0.9)
    result = bounds.enclose(net, other, (lower, upper), budget=3000)
    assert result.lower <= result.upper
    xs = _points(rng, lower, upper, 200)
    for order in (None, rng, rng):
        measured = abs(_values(net, xs, order) - _values(other, xs, order)).max()
        assert measured <= result.upper
        here = result.witness[None]
        assert abs(_values(net, here, order) - _values(other, here, order)).max() >= result.lower
    # The functions in real arithmetic too.
    assert _largest(net, other, result.witness) >= Fraction(result.lower)
    for x in xs[:3]:
        assert _largest(net, other, x) <= Fraction(result.upper)
    assert (lower <= result.witness).all() and (result.witness <= upper).all()


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_one_input_is_exact(depth, seed):
    rng = np.random.default_rng(seed)
    net = _network(rng, (1, *[12] * depth, 2))
    other = _rounded(net, 2.0**-5)
    result = bounds.enclose(net, other, (-1.0, 1.0))
    assert result.method == "pieces" and result.complete
    assert result.upper <= result.lower * (1 + 1e-9)
    exact = [networks.pieces(n, Fraction(-1), Fraction(1), exact=True) for n in (net, other)]
    nodes = np.unique(np.concatenate([p.breakpoints for p in exact]))
    largest = max(abs(d) for d in (exact[0](nodes) - exact[1](nodes)).ravel())
    assert Fraction(result.lower) <= largest <= Fraction(result.upper)


def test_rationals_close_the_gap():
    rng = np.random.default_rng(5)
    net = _network(rng, (3, 10, 10, 10, 1))
    other = _rounded(net, 2.0**-6)
    for box in (([-1.0, 0.3, -0.2], [1.0, 0.3, -0.2]), ([-1.0, 0, 0], [1.0, 0, 0])):
        loose = bounds.enclose(net, other, box, evaluation="exact")
        tight = bounds.enclose(net, other, box, gap=1e-15, evaluation="exact")
        assert loose.lower == tight.lower <= tight.upper <= loose.upper
        assert tight.upper <= tight.lower * (1 + 1e-15) and tight.complete


@pytest.mark.parametrize("widths", [(2, 12, 1), (2, 8, 8, 2), (2, 6, 6, 6, 1)])
def test_two_inputs_are_exact(widths):
    rng = np.random.default_rng(len(widths))
    net = _network(rng, widths)
    other = _rounded(net, 2.0**-5)
    result = bounds.enclose(net, other, (-1.0, 1.0))
    assert result.method == "cells" and result.complete
    assert result.upper <= result.lower * (1 + 1e-9)
    # A lattice of points cannot see more, and sees nearly as much.
    grid = np.linspace(-1, 1, 301)
    xs = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    measured = abs(_values(net, xs) - _values(other, xs)).max()
    assert 0.97 * result.upper <= measured <= result.upper


def test_two_inputs_agree_with_one():
    """Along the edges of a rectangle, and on a rectangle that is a segment."""
    rng = np.random.default_rng(1)
    net = _network(rng, (2, 8, 8, 1))
    other = _rounded(net, 2.0**-4)
    whole = bounds.enclose(net, other, (0.0, 1.0))
    for axis, end in itertools.product((0, 1), (0.0, 0.5, 1.0)):
        lower, upper = np.zeros(2), np.ones(2)
        lower[axis] = upper[axis] = end
        edge = bounds.enclose(net, other, (lower, upper))
        assert edge.method == "pieces" and edge.lower <= whole.upper
        thin = upper.copy()
        thin[axis] += 1e-9
        cells = bounds.enclose(net, other, (lower, thin))
        assert cells.method == "cells"
        assert cells.upper == pytest.approx(edge.upper, rel=1e-6)


def test_degenerate_arrangements_of_lines():
    """Lines through corners, coincident lines, parallel lines, neurons that are zero."""
    rows = [[1, 0], [1, 0], [0, 1], [1, 1], [1, -1], [-1, 1], [0, 0], [2, 2], [1, 1]]
    w = np.array(rows, dtype=float)
    b = np.array([0, 0, 0, -1, 0, 0, 0, -2, 0], dtype=float)
    out = np.arange(1.0, 10)[None]
    net = networks.ReLUNetwork([w, np.eye(9), out], [b, np.zeros(9), np.zeros(1)])
    other = networks.ReLUNetwork([w, np.eye(9), 0.9 * out], [b, np.zeros(9), np.zeros(1)])
    result = bounds.enclose(net, other, (-1.0, 1.0))
    xs = np.array(list(itertools.product([-1.0, 0.0, 0.5, 1.0], repeat=2)))
    measured = max(_largest(net, other, x) for x in xs)
    assert float(measured) == pytest.approx(result.upper, rel=1e-12)


@pytest.mark.parametrize("bits", [4, 8])
def test_branch_and_bound_reaches_the_gap(bits):
    net = _network(np.random.default_rng(bits), (4, 12, 12, 1))
    other = quantizers.quantize(net, quantizers.Uniform.from_bits(bits, net.magnitude))
    result = bounds.enclose(net, other, (0.0, 1.0), gap=0.02)
    assert result.method == "branch and bound" and result.complete
    assert result.lower <= result.upper <= 1.02 * result.lower


def test_branch_and_bound_agrees_with_cells():
    """A third input that changes nothing sends the same problem another way."""
    rng = np.random.default_rng(2)
    net = _network(rng, (2, 8, 8, 2))
    other = _rounded(net, 2.0**-5)
    exact = bounds.enclose(net, other, (-1.0, 1.0))
    wide = []
    for n in (net, other):
        first = np.concatenate([n.weights[0], np.zeros((8, 1))], 1)
        wide.append(networks.ReLUNetwork([first, *n.weights[1:]], n.biases))
    result = bounds.enclose(*wide, (-1.0, 1.0))
    assert result.lower <= exact.upper and exact.lower <= result.upper
    assert result.complete and result.upper <= 1.01 * exact.upper


@pytest.mark.slow
def test_networks_of_other_depths_and_widths():
    rng = np.random.default_rng(7)
    for inputs in (1, 2, 3):
        net = _network(rng, (inputs, 5, 2))
        other = networks.pad(networks.deepen(net, 4), (inputs, 9, 6, 7, 2))
        changed = eqx.tree_at(lambda n: n.biases[-1], other, other.biases[-1] + 0.125)
        result = bounds.enclose(net, changed, (-1.0, 1.0), budget=20_000)
        assert result.lower <= 0.125 <= result.upper <= 0.125 * (1.01 if inputs < 3 else 2)
        assert result.lower >= 0.125 * (1 - 1e-9)


@pytest.mark.slow
def test_a_budget_that_runs_out_is_marked():
    rng = np.random.default_rng(3)
    for inputs in (1, 2, 5):
        net = _network(rng, (inputs, 24, 24, 1))
        other = _rounded(net, 2.0**-3)
        short = bounds.enclose(net, other, (-1.0, 1.0), budget=4, gap=1e-3)
        long = bounds.enclose(net, other, (-1.0, 1.0), budget=6000, gap=1e-3)
        assert not short.complete and "is not reached" in str(short)
        assert long.lower <= short.upper and short.lower <= long.upper <= short.upper


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("limit", [{"budget": 1}, {"budget": 7}, {"budget": 60}, {"seconds": 1e-9}])
def test_a_wide_second_network_stays_within_the_budget(inputs, limit):
    rng = np.random.default_rng(inputs)
    net, other = _network(rng, (inputs, 4, 4, 1)), _network(rng, (inputs, 200, 30, 1))
    result = bounds.enclose(net, other, (-1.0, 1.0), gap=1e-13, **limit)
    assert result.boxes <= limit.get("budget", 1) and not result.complete
    xs = _points(rng, -np.ones(inputs), np.ones(inputs), 500)
    assert abs(_values(net, xs) - _values(other, xs)).max() <= result.upper < np.inf
    assert _largest(net, other, result.witness) >= Fraction(result.lower)


def test_more_budget_never_ends_farther_from_the_truth():
    rng = np.random.default_rng(12)
    for inputs in (1, 2):
        net, other = _network(rng, (inputs, 8, 8, 1)), _network(rng, (inputs, 20, 8, 1))
        uppers = [
            bounds.enclose(net, other, (-1.0, 1.0), budget=4**k, gap=1e-9).upper for k in range(8)
        ]
        assert uppers[-1] == pytest.approx(min(uppers)) and uppers[0] > 1.5 * uppers[-1]


def test_a_point_is_a_box():
    rng = np.random.default_rng(4)
    net = _network(rng, (3, 6, 2))
    other = _rounded(net, 2.0**-4)
    x = rng.normal(size=3)
    result = bounds.enclose(net, other, (x, x))
    value = float(_largest(net, other, x))
    assert result.lower <= value <= result.upper <= value * (1 + 1e-12)
    assert result.complete and (result.witness == x).all()


def test_a_network_and_itself():
    rng = np.random.default_rng(6)
    for inputs in (1, 2, 3):
        net = _network(rng, (inputs, 6, 1))
        result = bounds.enclose(net, net, (0.0, 1.0), evaluation="exact", budget=2000)
        assert result.lower == 0 and result.upper <= 1e-12


def test_rounding_of_evaluation_is_inside():
    """Two equal networks in float32 differ when their sums run in other orders."""
    rng = np.random.default_rng(8)
    net = _network(rng, (1, 64, 64, 1), np.float32)
    result = bounds.enclose(net, net, (-1.0, 1.0))
    assert result.evaluation == ("float32", "float32")
    xs = np.linspace(-1, 1, 2000)[:, None]
    measured = abs(_values(net, xs, rng) - _values(net, xs, rng)).max()
    assert 0 < measured <= result.upper < 1e-3
    assert bounds.enclose(net, net, (-1.0, 1.0), evaluation="float64").upper < 1e-11
    half = bounds.enclose(net, net, (-1.0, 1.0), evaluation="bfloat16")
    assert half.upper > result.upper


def test_overflow_gives_infinity():
    net = networks.ReLUNetwork([np.full((1, 1), 1e200)] * 3, [np.zeros(1)] * 3)
    other = networks.ReLUNetwork([np.full((1, 1), 1e190)] * 3, [np.zeros(1)] * 3)
    result = bounds.enclose(net, other, (0.0, 1.0))
    assert result.upper == np.inf and not result.complete
    small = networks.ReLUNetwork([np.full((1, 1), 1e30)] * 2, [np.zeros(1)] * 2)
    assert bounds.enclose(small, small, (0.0, 1.0), evaluation="float32").upper == np.inf
    assert np.isfinite(bounds.enclose(small, small, (0.0, 1.0)).upper)


def test_sparse_networks_and_equinox():
    rng = np.random.default_rng(9)
    net = _network(rng, (2, 8, 8, 1), density=0.4)
    other = _rounded(net, 2.0**-4)
    sparse = networks.ReLUNetwork(
        [networks.SparseMatrix.from_dense(w) for w in net.weights], net.biases
    )
    assert bounds.enclose(sparse, other, (0.0, 1.0)) == bounds.enclose(net, other, (0.0, 1.0))
    mlp = eqx.nn.MLP(2, 1, 8, 2, key=jax.random.key(0))
    result = bounds.enclose(mlp, networks.from_mlp(mlp), (0.0, 1.0), evaluation="exact")
    assert result.lower == 0 and result.upper < 1e-12


def test_the_record_survives_json():
    rng = np.random.default_rng(10)
    net = _network(rng, (2, 6, 2), np.float32)
    result = bounds.enclose(net, _rounded(net, 2.0**-4), (-1.0, [1.0, 0.5]))
    again = bounds.Enclosure.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again == result and hash(again) == hash(result)
    record = result.to_dict()
    assert bounds.Enclosure.from_dict(record | {"seconds": 7.0}) == result
    assert bounds.Enclosure.from_dict(record | {"lower": record["lower"] / 2}) != result
    assert "float32" in str(result) and "float32" in result.assumptions
    for change, text in (
        ({"format": "other"}, '"format"'),
        ({"lower": record["upper"] * 2}, "lower <= upper"),
        ({"witness": [5.0, 0.0]}, "witness in the box"),
        ({"witness": [0.0]}, "witness in the box"),
        ({"box": "wide"}, "witness in the box"),
        ({"upper": "1"}, "lower <= upper"),
        ({"upper": math.nan}, "lower <= upper"),
        ({"output": 0.5}, "whole numbers of outputs"),
        ({"evaluation": "float32"}, "two words as `evaluation`"),
    ):
        with pytest.raises(ValueError, match=text):
            bounds.Enclosure.from_dict(record | change)
    for other in (None, [record], "record"):
        with pytest.raises(ValueError, match='"format"'):
            bounds.Enclosure.from_dict(other)
    with pytest.raises(ValueError, match="misses the entries"):
        bounds.Enclosure.from_dict({k: v for k, v in record.items() if k != "witness"})


@pytest.mark.slow
def test_float64_whatever_jax_is_set_to():
    net = _network(np.random.default_rng(11), (3, 6, 6, 1))
    other = _rounded(net, 2.0**-5)
    wide = bounds.enclose(net, other, (0.0, 1.0))
    with jax.enable_x64(False):
        narrow = bounds.enclose(net, other, (0.0, 1.0))
        assert jnp.ones(()).dtype == jnp.float32
    assert wide == narrow


def _tiny(inputs=1, outputs=1, value=1.0):
    return networks.ReLUNetwork([np.full((outputs, inputs), value)], [np.ones(outputs)])


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.enclose(_tiny(1), _tiny(2), (0, 1)), "same number of inputs; got 1 and 2"),
        (lambda: bounds.enclose(_tiny(), _tiny(1, 2), (0, 1)), "number of outputs; got 1 and 2"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (1, 0)), r"lower <= upper; got 1.0 > 0.0"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, np.inf)), "must be finite"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (np.nan, 1)), "must be finite"),
        (lambda: bounds.enclose(_tiny(), _tiny(), ([0, 0], 1)), r"shape \(1,\), one entry"),
        (lambda: bounds.enclose(_tiny(), _tiny(), 3), "pair .lower, upper."),
        (lambda: bounds.enclose(_tiny(), _tiny(value=np.nan), (0, 1)), "finite parameters"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, 1), gap=0), "gap=....*positive; got 0"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, 1), budget=0), "budget=....*positive"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, 1), seconds=-1), "seconds=....*positive"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, 1), evaluation="fl"), "evaluation=....*'fl'"),
        (lambda: bounds.enclose(_tiny(), _tiny(), (0, 1), evaluation="int8"), "floating type"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_wrong_types():
    with pytest.raises(TypeError, match="box=....*a number or an array of numbers; got .a."):
        bounds.enclose(_tiny(), _tiny(), ("a", 1))
    with pytest.raises(TypeError):
        bounds.enclose({}, _tiny(), (0, 1))  # type: ignore
    with pytest.raises(TypeError, match="outside of `jit`"):
        jax.jit(lambda n: bounds.enclose(n, n, (0, 1)).upper)(jax.tree.map(jnp.asarray, _tiny()))
    with pytest.raises(ValueError, match="use `unstack`"):
        net = networks.stack([_tiny(), _tiny()])
        bounds.enclose(net, net, (0, 1))
