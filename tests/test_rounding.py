"""Feedback rounding: grid values, the bound of the nearest plane, and the bits that it saves."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu import networks, norms, quantizers, rounding, targets
from qrelu.networks import ReLUNetwork
from qrelu.quantizers import (
    LSQ,
    AbsMax,
    AbstractCalibration,
    Affine,
    Clipped,
    Codebook,
    FixedPoint,
    LearnedStep,
    MinMax,
    PowersOfTwo,
    Uniform,
)
from qrelu.rounding._runs import gathered


def problem(seed, rows=2, columns=5, points=40):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(points, 3)) @ rng.normal(size=(3, columns))
    features += 0.2 * rng.normal(size=(points, columns))
    return rng.normal(size=(rows, columns)), features


def loss(rounded, matrix, features):
    return float(np.sum((features @ (np.asarray(rounded) - matrix).T) ** 2))


def hinges(pieces):
    """exp(3x) on [0, 1] by hinges at equidistributed knots, least-squares coefficients."""
    target = targets.get("exp")
    # The integral of |f''|^(2/5) is a multiple of exp(6x/5) - 1, inverted here.
    knots = np.log1p(np.arange(pieces + 1) / pieces * np.expm1(1.2)) / 1.2
    x = (np.arange(24 * pieces) + 0.5) / (24 * pieces)
    features = np.column_stack([np.maximum(x[:, None] - knots[:-1], 0.0), np.ones(x.size)])
    coefficients = np.linalg.lstsq(features, target(x), rcond=None)[0]
    net = ReLUNetwork(
        (np.ones((pieces, 1)), coefficients[None, :-1]), (-knots[:-1], coefficients[-1:])
    )
    return net, target, x[:, None]


def outputs(net, points):
    h = points
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i else h
        h = h @ np.asarray(w, np.float64).T + np.asarray(b, np.float64)
    return h


def deep(seed, widths=(2, 12, 12, 3)):
    net = networks.he_normal(widths, key=jax.random.key(seed))
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), net)


def on_grid(tree, q):
    return all(np.array_equal(np.asarray(q(leaf)), leaf) for leaf in jax.tree.leaves(tree))


# -- the claim --------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces, bits, nearest_bits", [(8, 4, 6), (16, 5, 9), (32, 5, 9)])
def test_feedback_saves_bits(pieces, bits, nearest_bits):
    net, target, points = hinges(pieces)
    allowed = 1.5 * norms.L2().distance(net, target)

    def feedback_error(bits):
        q = Uniform(2.0**-bits)
        rounded = rounding.feedback(net, q, points, values=target(points))
        assert on_grid(rounded, q)
        return norms.L2().distance(rounded, target)

    assert feedback_error(bits) <= allowed < feedback_error(bits - 1)
    for fewer in range(1, nearest_bits):
        plain = quantizers.quantize(net, Uniform(2.0**-fewer))
        assert norms.L2().distance(plain, target) > allowed


def test_a_finer_output_bias_saves_more():
    net, target, points = hinges(16)
    q, fine = Uniform(2.0**-5), Uniform(2.0**-10)
    coarse = rounding.feedback(net, q, points)
    finer = rounding.feedback(net, q, points, bias_quantizer=fine)
    assert norms.L2().distance(finer, target) < norms.L2().distance(coarse, target)
    assert on_grid(finer.biases[1], fine) and not on_grid(finer.biases[1], q)
    assert on_grid((finer.weights, finer.biases[0]), q)


def test_the_opposite_order_fails():
    net, _, points = hinges(32)
    features = np.maximum(points + net.biases[0], 0.0)
    gram, q, matrix = features.T @ features, Uniform(2.0**-8), net.weights[1]
    left = rounding.nearest_plane(matrix, q, gram, order=np.arange(32))
    right = rounding.nearest_plane(matrix, q, gram, order=np.arange(32)[::-1])
    chosen = rounding.nearest_plane(matrix, q, gram)
    assert loss(right, matrix, features) > 25 * loss(left, matrix, features)
    assert loss(chosen, matrix, features) <= loss(left, matrix, features) * (1 + 1e-6)


def test_hinges_in_any_order_and_direction_find_their_order():
    net, target, points = hinges(32)
    shuffle = np.random.default_rng(0).permutation(32)
    mixed = ReLUNetwork(
        (net.weights[0][shuffle], net.weights[1][:, shuffle]),
        (net.biases[0][shuffle], net.biases[1]),
    )
    # x -> 1 - x turns the hinges to the left; the target turns with them.
    turned = ReLUNetwork(
        (-mixed.weights[0], mixed.weights[1]), (1 + mixed.biases[0], mixed.biases[1])
    )
    q = Uniform(2.0**-7)
    straight = outputs(rounding.feedback(net, q, points), points)
    other = outputs(rounding.feedback(turned, q, 1 - points), 1 - points)
    wanted = target(points)
    assert np.linalg.norm(other - wanted) < 1.05 * np.linalg.norm(straight - wanted)


# -- one matrix -------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_the_bound_of_the_nearest_plane(seed, bits):
    matrix, features = problem(seed)
    step = 2.0**-bits
    order = np.random.default_rng(seed).permutation(matrix.shape[1])
    rounded = rounding.nearest_plane(matrix, Uniform(step), features.T @ features, order=order)
    # The independent judge: the distance of each feature from the span of those rounded later.
    bound = 0.0
    for place, i in enumerate(order):
        later = features[:, order[place + 1 :]]
        fit = later @ np.linalg.lstsq(later, features[:, i], rcond=None)[0]
        bound += np.sum((features[:, i] - fit) ** 2) * step**2 / 4
    assert loss(rounded, matrix, features) <= matrix.shape[0] * bound * (1 + 1e-9)


def test_against_all_grid_points():
    q, lost = Uniform(0.5), []
    for seed in range(20):
        matrix, features = problem(seed, rows=1, columns=4)
        rounded = rounding.nearest_plane(matrix, q, features.T @ features)
        shifts = itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=4)
        near = q(matrix)
        best = min(loss(near + np.array(s), matrix, features) for s in shifts)
        plain = loss(near, matrix, features)
        reached = loss(rounded, matrix, features)
        assert best <= reached * (1 + 1e-9)
        assert reached <= plain * (1 + 1e-9)
        lost.append((reached - best) / (plain - best) if plain > best else 0.0)
    assert np.median(lost) < 0.2


def test_independent_features_are_rounded_to_nearest():
    matrix, _ = problem(0)
    q = Uniform(0.25)
    assert np.array_equal(rounding.nearest_plane(matrix, q, np.diag(np.arange(1.0, 6))), q(matrix))


@pytest.mark.parametrize(
    "q",
    [
        Uniform(0.3),
        Uniform(0.3, "floor"),
        Uniform(0.3, "toward_zero"),
        Uniform.from_bits(3, 1.0),
        Uniform(0.4, bits=1),
        FixedPoint(0, 2),
        Uniform(np.array([[0.1], [0.7]])),
        Uniform(0.3, bits=np.array([2, 3, 4, 5, 6])),
        Affine(0.3, 5, 4),
        Affine(np.array([[0.3], [0.2]]), np.array([[3], [15]]), 4, "floor"),
        PowersOfTwo(4, 1),
        Codebook([-1.5, -0.4, -0.1, 0.0, 0.3, 0.8, 2.0]),
        Codebook([-1.5, -0.4, 0.3, 0.8, 1.1]),  # as many values as columns
        Clipped(Uniform(np.linspace(0.2, 0.6, 10).reshape(2, 5), bits=3)),
        Clipped(Codebook([-1.5, -0.4, 0.3, 0.8, 1.1])),
        LearnedStep(Uniform(np.full((1, 5), 0.3), bits=3)),
        MinMax(3),
        MinMax(3, "channel"),
        MinMax(4, "network"),
        AbsMax(3, "group", group_size=2),
        LSQ(3, "channel", axis=1),
    ],
    ids=lambda q: type(q).__name__,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_grid(q, dtype):
    for seed in range(4):
        matrix, features = problem(seed)
        matrix, gram = matrix.astype(dtype), features.T @ features
        grid = q.grid(matrix) if isinstance(q, AbstractCalibration) else q
        near = np.asarray(grid(matrix))
        bound = loss(near, matrix, features) * (1 + 1e-9)
        rounded = rounding.nearest_plane(matrix, q, gram)
        improved = rounding.descent(matrix, near, q, gram)
        for result in (rounded, improved, rounding.descent(matrix, rounded, q, gram)):
            assert result.dtype == dtype and np.array_equal(grid(result), result)
            assert loss(result, matrix, features) <= bound


# Where later layers lose what the earlier ones gain, every entry is rounded for itself.
LOSING = {
    "affine": (0, Affine(0.3, 5, 4)),
    "codebook": (4, Codebook([-1.5, -0.4, -0.1, 0.0, 0.3, 0.8, 2.0])),
    "fixed point": (4, FixedPoint(1, 2)),
    "powers of two": (2, PowersOfTwo(4, 1)),
    "range of the network": (0, MinMax(4, "network")),
    "range of a channel": (2, MinMax(3, "channel")),
    "learned": (4, LearnedStep(Uniform(0.3, bits=3))),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed, q", LOSING.values(), ids=LOSING)
def test_networks_are_no_worse_than_rounded_entry_by_entry(seed, q, weighted):
    net = deep(seed, (1, 6, 4, 1))
    points = np.random.default_rng(seed).uniform(-1, 1, (60, 1))
    mass = np.linspace(0.0, 2.0, 60) if weighted else np.ones(60)
    rounded = rounding.feedback(net, q, points, point_weights=mass)
    leaves = jax.tree.leaves(net)
    chosen = q.grids(leaves) if isinstance(q, AbstractCalibration) else [q] * len(leaves)
    for grid, leaf in zip(chosen, jax.tree.leaves(rounded), strict=True):
        assert np.array_equal(grid(leaf), leaf)
    errors = [
        np.sum(mass[:, None] * (outputs(n, points) - outputs(net, points)) ** 2)
        for n in (rounded, quantizers.quantize(net, q))
    ]
    assert errors[0] <= errors[1] * (1 + 1e-9)


def test_saturation_is_absorbed():
    features = np.column_stack([np.ones(4), np.ones(4) + [1e-3, -1e-3, 0.0, 0.0]])
    rounded = rounding.nearest_plane(
        np.array([[1.75, 0.25]]), FixedPoint(0, 2), features.T @ features
    )
    assert rounded.sum() == 1.5  # both saturate at 3/4; nearest has 3/4 + 1/4
    assert np.abs(rounded).max() == 0.75


def test_descent_ends_where_no_entry_helps():
    matrix, features = problem(5, rows=1, columns=6)
    q, gram = Uniform(0.5), features.T @ features
    ended = rounding.descent(matrix, np.asarray(q(matrix)), q, gram, sweeps=100)
    reached = loss(ended, matrix, features)
    assert reached < loss(q(matrix), matrix, features)
    for i, move in itertools.product(range(6), (-1.0, -0.5, 0.5, 1.0)):
        other = ended.copy()
        other[0, i] += move
        assert loss(other, matrix, features) >= reached * (1 - 1e-9)
    assert np.array_equal(
        rounding.descent(matrix, np.asarray(q(matrix)), q, gram, sweeps=0), q(matrix)
    )


# -- whole networks ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_deep_networks_with_vector_outputs(seed):
    net = deep(seed)
    points = np.random.default_rng(seed).normal(size=(400, 2))
    fresh = np.random.default_rng(seed + 100).normal(size=(400, 2))
    q = Uniform(2.0**-3)
    rounded = rounding.feedback(net, q, points)
    assert rounded.widths == net.widths and on_grid(rounded, q)
    for where in (points, fresh):
        wanted = outputs(net, where)
        plain = np.linalg.norm(outputs(quantizers.quantize(net, q), where) - wanted)
        assert np.linalg.norm(outputs(rounded, where) - wanted) < 0.8 * plain


def test_a_network_on_the_grid_stays():
    q = Uniform(2.0**-4)
    net = quantizers.quantize(deep(1), q)
    points = np.random.default_rng(0).normal(size=(200, 2))
    assert eqx.tree_equal(rounding.feedback(net, q, points, sweeps=3), net)


def test_sweeps_do_not_raise_the_error_of_the_last_layer():
    net, target, points = hinges(8)
    q = Uniform(2.0**-4)
    errors = [
        np.linalg.norm(
            outputs(rounding.feedback(net, q, points, sweeps=s), points) - outputs(net, points)
        )
        for s in (0, 5)
    ]
    assert errors[1] <= errors[0] * (1 + 1e-9)


def test_an_affine_map_alone():
    net = ReLUNetwork((np.array([[0.3, -0.7]]),), (np.array([0.2]),))
    points = np.random.default_rng(0).normal(size=(50, 2))
    q = Uniform(0.25)
    rounded = rounding.feedback(net, q, points)
    gap = [
        np.linalg.norm(outputs(n, points) - outputs(net, points)) for n in (rounded, q_of(net, q))
    ]
    assert on_grid(rounded, q) and gap[0] <= gap[1]


def q_of(net, q):
    return quantizers.quantize(net, q)


def test_leaf_types_are_kept():
    q = Uniform.from_bits(6, 3.0)
    points = np.random.default_rng(0).normal(size=(100, 2))
    for dtype in (np.float64, np.float32):
        numpy_net = jax.tree.map(lambda leaf, d=dtype: leaf.astype(d), deep(0))
        jax_net = jax.tree.map(jnp.asarray, numpy_net)
        results = [rounding.feedback(net, q, points) for net in (numpy_net, jax_net)]
        for net, rounded in zip((numpy_net, jax_net), results, strict=True):
            assert on_grid(rounded, q)
            for before, after in zip(jax.tree.leaves(net), jax.tree.leaves(rounded), strict=True):
                assert after.dtype == before.dtype and after.shape == before.shape
                assert isinstance(after, jax.Array) == isinstance(before, jax.Array)
        same = jax.tree.map(lambda a, b: np.array_equal(a, np.asarray(b)), *results)
        assert all(jax.tree.leaves(same))


def test_knots_are_written_as_the_best_of_many_fractions():
    net, target, points = hinges(32)
    w, b = net.weights[0], net.biases[0]
    q = Uniform(2.0**-6)
    rounded = rounding.feedback(net, q, points, values=target(points))
    kept = rounded.weights[0][:, 0]
    assert on_grid(rounded, q) and np.all(kept * w[:, 0] > 0)
    moved = np.abs(rounded.biases[0] / kept - b / w[:, 0])
    nearest = q(w[:, 0])
    moved_with_nearest = np.abs(q(nearest * b / w[:, 0]) / nearest - b / w[:, 0])
    assert np.median(moved) < 0.2 * np.median(moved_with_nearest)
    # No array's largest parameter grows, but for the rounding itself.
    assert np.max(np.abs(kept)) <= np.max(np.abs(w))
    assert np.max(np.abs(rounded.biases[0])) <= np.max(np.abs(b)) + 2.0**-7
    assert np.max(np.abs(rounded.weights[1])) <= 1.3 * np.max(np.abs(net.weights[1]))


def test_point_weights_say_where_it_matters():
    net, target, points = hinges(8)
    q = Uniform(2.0**-3)
    left = (points < 0.3).astype(float)
    gaps = [
        np.linalg.norm(left * (outputs(rounding.feedback(net, q, points, point_weights=m), points)
        - outputs(net, points)))
        for m in (left + 1e-3, None)
    ]  # fmt: skip
    assert gaps[0] < gaps[1]


def test_directions_without_information_stay():
    # A unit that is off everywhere, two equal units, and fewer points than features.
    net = ReLUNetwork(
        (np.ones((4, 1)), np.array([[0.6, 0.7, -0.4, 5.3]])),
        (np.array([0.0, 0.0, -0.5, -9.0]), np.array([0.1])),
    )
    q = Uniform(0.25)
    for points in (np.linspace(0, 1, 50)[:, None], np.array([[0.3], [0.9]])):
        rounded = rounding.feedback(net, q, points)
        assert on_grid(rounded, q)
        assert rounded.weights[1][0, 3] == 5.25
        jumps, kept = (n.weights[1][0] * n.weights[0][:, 0] for n in (net, rounded))
        assert np.max(np.abs(kept - jumps)) <= 1
        gap = np.max(np.abs(outputs(rounded, points) - outputs(net, points)))
        assert gap <= np.max(np.abs(outputs(q_of(net, q), points) - outputs(net, points))) + 0.125


# -- grids per row, other grids, sparse matrices, Equinox's MLP -----------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        AbsMax(4),
        AbsMax(4, "channel"),
        AbsMax(4, "group", group_size=5),
        MinMax(4, "channel"),
    ],
    ids=["tensor", "channel", "group", "asymmetric"],
)
def test_calibrations_look_at_the_unrounded_parameters(rule):
    net = deep(2)
    points = np.random.default_rng(2).normal(size=(400, 2))
    rounded = rounding.feedback(net, rule, points)
    plain = quantizers.quantize(net, rule)
    leaves = zip(jax.tree.leaves(net), jax.tree.leaves(rounded), strict=True)
    for before, after in leaves:
        assert np.array_equal(rule.grid(before)(after), after)
    wanted = outputs(net, points)
    gaps = [np.linalg.norm(outputs(n, points) - wanted) for n in (rounded, plain)]
    assert gaps[0] < 0.8 * gaps[1]


def test_steps_of_rows_and_of_entries():
    matrix, features = problem(7, rows=3)
    gram = features.T @ features
    rows = Uniform(np.array([[0.1], [0.4], [0.7]]))
    order = np.arange(5)
    together = rounding.nearest_plane(matrix, rows, gram, order=order)
    alone = [
        rounding.nearest_plane(matrix[i : i + 1], Uniform(step), gram, order=order)
        for i, step in enumerate((0.1, 0.4, 0.7))
    ]
    assert np.array_equal(together, np.concatenate(alone))
    entries = Uniform(np.random.default_rng(0).uniform(0.1, 0.5, (3, 5)))
    rounded = rounding.nearest_plane(matrix, entries, gram)
    assert np.array_equal(entries(rounded), rounded)
    assert loss(rounded, matrix, features) < loss(entries(matrix), matrix, features)


@pytest.mark.parametrize(
    "q", [Uniform(2.0**-3), Uniform(0.6, bits=1), Codebook([-0.7, -0.2, 0.1, 0.6])], ids=str
)
def test_a_sparse_matrix_keeps_its_pattern(q):
    net = deep(4)
    there = np.random.default_rng(4).uniform(size=(12, 12)) < 0.3
    there[5] = False
    dense = eqx.tree_at(lambda n: n.weights[1], net, net.weights[1] * there)
    sparse = eqx.tree_at(
        lambda n: n.weights[1], dense, networks.SparseMatrix.from_dense(dense.weights[1])
    )
    points = np.random.default_rng(0).normal(size=(300, 2))
    rounded = rounding.feedback(sparse, q, points)
    matrix = np.asarray(rounded.weights[1])
    assert isinstance(rounded.weights[1], networks.SparseMatrix)
    assert np.all(matrix[~there] == 0) and on_grid(rounded, q)
    plain = quantizers.quantize(sparse, q)
    gaps = [np.linalg.norm(outputs(n, points) - outputs(dense, points)) for n in (rounded, plain)]
    assert gaps[0] < 0.9 * gaps[1]
    # A pattern without gaps is the dense matrix.
    full = eqx.tree_at(
        lambda n: n.weights[1], net, networks.SparseMatrix.from_dense(net.weights[1])
    )
    same = rounding.feedback(full, q, points)
    assert np.array_equal(np.asarray(same.weights[1]), rounding.feedback(net, q, points).weights[1])


@pytest.mark.parametrize("scan, use_bias", [(False, True), (True, True), (False, False)])
def test_an_mlp_stays_an_mlp(scan, use_bias):
    mlp = eqx.nn.MLP(2, "scalar", 8, 3, use_bias=use_bias, scan=scan, key=jax.random.key(0))
    points = np.random.default_rng(0).normal(size=(400, 2))
    rounded = rounding.feedback(mlp, AbsMax(5), points)
    assert jax.tree.structure(rounded) == jax.tree.structure(mlp)
    leaves = zip(jax.tree.leaves(mlp), jax.tree.leaves(rounded), strict=True)
    assert all(a.dtype == b.dtype for a, b in leaves if eqx.is_array(a))
    x = jnp.asarray(points, jnp.float32)
    wanted = jax.vmap(mlp)(x)
    plain = networks.to_mlp(
        quantizers.quantize(networks.from_mlp(mlp), AbsMax(5)), out_size="scalar"
    )
    gaps = [jnp.linalg.norm(jax.vmap(m)(x) - wanted) for m in (rounded, plain)]
    assert gaps[0] < 0.8 * gaps[1]


def test_a_scalar_mlp_takes_points_without_axis():
    mlp = eqx.nn.MLP("scalar", "scalar", 8, 1, key=jax.random.key(1))
    points = np.linspace(-2, 2, 200)
    values = np.asarray(jax.vmap(mlp)(jnp.asarray(points, jnp.float32)))
    rounded = rounding.feedback(mlp, Uniform(2.0**-5), points, values=values)
    gap = np.abs(np.asarray(jax.vmap(rounded)(jnp.asarray(points, jnp.float32))) - values)
    assert gap.max() < 0.05


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_two_rows_stand_for_a_run(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-1, 1, 30)) + rng.choice([0.0, 100.0])
    starts = np.unique(np.concatenate([[0], rng.integers(1, 30, 4)]))
    roots = rng.uniform(0, 1, 30) * rng.choice([0, 1], 30, p=[0.2, 0.8])
    run = np.searchsorted(starts, np.arange(30), side="right") - 1
    affine = rng.normal(size=(5, 3))[run] + rng.normal(size=(5, 3))[run] * x[:, None]
    target = rng.normal(size=(30, 2))
    rows = roots[:, None] * np.concatenate([affine, target], axis=1)
    fewer = gathered(x, roots, starts, rows)
    assert len(fewer) <= 2 * len(starts)

    def square(rows, z):
        return np.sum((rows[:, :3] @ z - rows[:, 3:]) ** 2)

    one, other = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    change = square(rows, one) - square(rows, other)
    assert np.isclose(square(fewer, one) - square(fewer, other), change, rtol=1e-8, atol=1e-7)


def test_pairs_of_grids_give_every_array_its_own():
    net = networks.he_normal((1, 5, 2), key=jax.random.key(0))
    points = np.linspace(0, 1, 50)[:, None]
    grids = [(quantizers.Uniform(2.0**-k), quantizers.Uniform(3 * 2.0**-k)) for k in (3, 5)]
    result = rounding.feedback(net, grids, points)
    for w, b, (q, p) in zip(result.weights, result.biases, grids, strict=True):
        np.testing.assert_array_equal(q(np.asarray(w)), w)
        np.testing.assert_array_equal(p(np.asarray(b)), b)
    with pytest.raises(ValueError, match="for each of the 2 layers; got 1"):
        rounding.feedback(net, grids[:1], points)
    with pytest.raises(TypeError, match="must get a quantizer or a calibration; got list"):
        rounding.feedback(net, [quantizers.Uniform(0.5)] * 2, points)
