"""Sparse matrices in networks: the same numbers as dense ones, in every derivative and form."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import optax
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.experimental.sparse import BCOO

from qrelu import bounds
from qrelu.networks import (
    ReLUNetwork,
    SparseMatrix,
    affine_after,
    densify,
    identity,
    mask,
    normalize,
    pad,
    pieces,
    realize,
    sparsify,
    stack,
    to_mlp,
    unstack,
)
from qrelu.networks._realize import _realize
from qrelu.quantizers import Uniform, quantize

seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
laws = settings(deadline=None, max_examples=8)


def _matrix(rng, rows, columns, density, numbers=None):
    """Some rows full, some empty, the others of the given density; values exact in float32."""
    there = rng.random((rows, columns)) < density
    there[rng.random(rows) < 0.1] = True
    there[rng.random(rows) < 0.2] = False
    values = rng.integers(-8, 9, there.sum()) / 4 if numbers is None else numbers(there.sum())
    return SparseMatrix(values, *np.nonzero(there), there.shape)


def _network(rng, widths, density=0.3, jaxed=True, dtype=np.float64):
    net = ReLUNetwork(
        [
            _matrix(rng, o, i, density, rng.standard_normal)
            for i, o in zip(widths, widths[1:], strict=False)
        ],
        [rng.standard_normal(o) for o in widths[1:]],
    )
    return jax.tree.map(lambda p: jnp.asarray(p, dtype) if jaxed else p.astype(dtype), net)


def _layer(rows):
    """One matrix as a network with a zero bias."""
    return ReLUNetwork([rows], [np.zeros(rows.shape[0])])


@laws
@given(st.integers(1, 40), st.integers(1, 60), st.sampled_from([0.0, 0.05, 0.3, 1.0]), seeds)
def test_products_are_those_of_the_dense_matrix(rows, columns, density, rng):
    a = _matrix(rng, rows, columns, density)
    h = rng.integers(-8, 9, (columns, 3)) / 2
    np.testing.assert_array_equal(a @ h, np.asarray(a) @ h)
    np.testing.assert_array_equal(a @ h[:, 0], np.asarray(a) @ h[:, 0])


def test_products_with_very_unequal_rows():
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((600, 900)) < 0.002, rng.integers(1, 9, (600, 900)), 0.0)
    for row, degree in ((3, 900), (4, 100), (77, 90), (78, 40), (599, 17), (200, 300)):
        dense[row, :degree] = 1.0
    h = rng.integers(-8, 9, (900, 5)).astype(float)
    for matrix in (dense, dense.T.copy()):
        points = h if matrix is dense else h[:600]
        sparse = SparseMatrix.from_dense(matrix)
        np.testing.assert_array_equal(sparse @ points, matrix @ points)
        other = matrix @ points

        @jax.grad
        def gradient(values, points, sparse=sparse, other=other):
            moved = eqx.tree_at(lambda m: m.values, sparse, values)
            return jnp.sum((moved @ points) * other)

        expected = (other @ points.T)[sparse.rows, sparse.columns]
        np.testing.assert_array_equal(gradient(jnp.asarray(sparse.values), points), expected)


@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 1.0])
def test_derivatives_of_products_agree_with_finite_differences(density):
    rng = np.random.default_rng(1)
    a = _matrix(rng, 9, 20, density, rng.standard_normal)
    a = jax.tree.map(jnp.asarray, a)
    h = rng.standard_normal((20, 3))
    jax.test_util.check_grads(lambda a, h: (a @ h) ** 2, (a, h), order=2, modes=("fwd", "rev"))


def test_products_under_vmap():
    rng = np.random.default_rng(2)
    a = _matrix(rng, 7, 30, 0.2)
    many = eqx.tree_at(lambda m: m.values, a, rng.integers(-8, 9, (4, a.values.size)) / 2)
    hs = rng.integers(-8, 9, (30, 4, 2)) / 2
    dense = np.asarray(many)
    assert many.shape == dense.shape == (4, 7, 30)
    each = jax.vmap(lambda m, h: m @ h, in_axes=(0, 1))(many, hs)
    np.testing.assert_array_equal(each, np.einsum("krc,ckp->krp", dense, hs))
    points = jax.vmap(lambda h: a @ h, in_axes=1, out_axes=2)(hs)
    np.testing.assert_array_equal(points, np.einsum("rc,ckp->rpk", np.asarray(a), hs))
    matrices = jax.vmap(lambda m: m @ hs[:, 0])(many)
    np.testing.assert_array_equal(matrices, dense @ hs[:, 0])

    def loss(m, h):
        return jnp.sum((m @ h) ** 2)

    slopes = jax.vmap(jax.grad(loss, argnums=(0, 1)), in_axes=(0, 1))(many, hs)
    for k in range(4):
        one = eqx.tree_at(lambda m: m.values, a, many.values[k])
        expected = jax.grad(loss, argnums=(0, 1))(one, hs[:, k])
        np.testing.assert_array_equal(slopes[0].values[k], expected[0].values)
        np.testing.assert_array_equal(slopes[1][k], expected[1])


@pytest.mark.parametrize(("dtype", "jaxed"), [(np.float32, False), (np.float64, True)])
def test_realize_and_its_derivatives_agree_with_the_dense_network(dtype, jaxed):
    rng = np.random.default_rng(3)
    net = _network(rng, (3, 20, 30, 2), 0.1, jaxed, dtype)
    dense = densify(net)
    xs = rng.standard_normal((100, 3)).astype(dtype)
    direction = rng.standard_normal(xs.shape).astype(dtype)
    size = 1000 * np.finfo(dtype).eps
    ys = realize(net, xs)
    assert ys.dtype == dtype
    np.testing.assert_allclose(ys, realize(dense, xs), rtol=size, atol=100 * size)
    np.testing.assert_allclose(net(xs[0]), ys[0], rtol=size, atol=100 * size)

    def loss(network, xs):
        return jnp.mean(realize(network, xs) ** 2)

    ours, theirs = (jax.grad(loss, argnums=(0, 1))(n, xs) for n in (net, dense))
    np.testing.assert_allclose(ours[1], theirs[1], rtol=size, atol=100 * size)
    for w, v in zip(ours[0].weights, theirs[0].weights, strict=True):
        expected = v[w.rows, w.columns]
        np.testing.assert_allclose(w.values, expected, rtol=size, atol=100 * size)
    ours, theirs = (
        jax.jvp(jax.grad(lambda xs, n=n: loss(n, xs)), (xs,), (direction,))[1] for n in (net, dense)
    )
    np.testing.assert_allclose(ours, theirs, rtol=size, atol=100 * size)


def test_one_trace_per_pattern():
    rng = np.random.default_rng(4)
    net, xs = _network(rng, (2, 13, 17, 1)), rng.standard_normal((5, 2))
    realize(net, xs)
    before = _realize._cache_size()
    for _ in range(3):
        realize(jax.tree.map(lambda p: p + 1, net), xs)
    rebuilt = [SparseMatrix(w.values, w.rows, w.columns, w.shape) for w in net.weights]
    realize(ReLUNetwork(rebuilt, net.biases), xs)
    assert _realize._cache_size() == before
    realize(_network(rng, (2, 13, 17, 1)), xs)
    assert _realize._cache_size() == before + 1


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowered_everywhere_at_the_highest_precision(platform):
    rng = np.random.default_rng(5)
    net = _network(rng, (2, 30, 30, 1), 0.06, dtype=np.float32)
    leaves, structure = jax.tree.flatten(net)

    def loss(leaves, xs):
        return jnp.sum(realize(jax.tree.unflatten(structure, leaves), xs))

    for function in (loss, jax.grad(loss, argnums=(0, 1))):
        exported = jax.export.export(jax.jit(function), platforms=[platform])
        text = exported(leaves, jnp.ones((70, 2), jnp.float32)).mlir_module()
        products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
        assert products and all("HIGHEST, HIGHEST" in line for line in products)


def test_memory_does_not_grow_with_the_number_of_entries():
    rng = np.random.default_rng(6)
    columns = np.argsort(rng.random((400, 400)), axis=1)[:, :40]
    rows = np.repeat(np.arange(400), 40)
    a = SparseMatrix(rng.standard_normal(16_000), rows, columns.ravel(), (400, 400))
    h = np.ones((400, 256))
    slopes = jax.grad(lambda a, h: jnp.sum((a @ h) ** 2), argnums=(0, 1))
    for function in (lambda a, h: a @ h, slopes):
        memory = jax.jit(function).lower(a, h).compile().memory_analysis().temp_size_in_bytes
        assert memory < 8 * h.nbytes < 16_000 * h.nbytes / 400


def test_entries_in_any_order_and_duplicates():
    rows, columns = [2, 0, 2, 0, 2], [1, 3, 0, 3, 1]
    a = SparseMatrix(np.array([1.0, 2, 4, 8, 16]), rows, columns, (3, 4))
    assert a.rows.tolist() == [0, 2, 2] and a.columns.tolist() == [3, 0, 1]
    assert type(a.values) is np.ndarray and a.values.tolist() == [10, 4, 17]
    b = SparseMatrix(jnp.array([1.0, 2, 4, 8, 16]), rows, columns, (3, 4))
    assert isinstance(b.values, jax.Array) and b.values.tolist() == [10, 4, 17]
    expected = np.zeros((3, 4))
    np.add.at(expected, (rows, columns), [1.0, 2, 4, 8, 16])
    for m in (a, b):
        np.testing.assert_array_equal(m.to_dense(), expected)
    slope = jax.grad(lambda v: SparseMatrix(v, rows, columns, (3, 4)).values @ jnp.arange(3.0))
    assert slope(jnp.ones(5)).tolist() == [2, 0, 1, 0, 2]


@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_other_libraries_agree(density):
    rng, rows = np.random.default_rng(8), 6
    dense = np.asarray(_matrix(rng, rows, 9, density))
    for form in ("coo", "csr", "csc", "dok", "lil"):
        taken = ReLUNetwork([scipy.sparse.coo_array(dense).asformat(form)], [np.zeros(rows)])
        assert type(taken.weights[0]) is SparseMatrix
        np.testing.assert_array_equal(taken.weights[0].to_dense(), dense)
    back = SparseMatrix.from_dense(dense)
    assert type(back.values) is np.ndarray
    np.testing.assert_array_equal(back.to_scipy().toarray(), dense)
    padded = BCOO.fromdense(jnp.asarray(dense), nse=dense.size + 2)
    taken = ReLUNetwork([padded], [np.zeros(rows)]).weights[0]
    assert isinstance(taken.values, jax.Array)
    np.testing.assert_array_equal(taken.to_dense(), dense)


def test_numbers_without_a_dense_matrix(monkeypatch):
    n = 40_000
    wide = scipy.sparse.random_array((n, n), density=2 / n, rng=1)
    net = ReLUNetwork(
        [np.ones((n, 1)), wide, scipy.sparse.csr_array(np.eye(1, n, 5))],
        [np.zeros(n), np.zeros(n), np.ones(1)],
    )
    assert net.widths == (1, n, n, 1)
    assert net.connectivity == n + wide.nnz + 2
    assert net.magnitude == 1.0
    assert normalize(net, powers_of_two=True).connectivity == net.connectivity
    assert np.isfinite(bounds.rate_step(net, 0.1, 1.0))
    found = pieces(net, 0.5, 1.0)
    row = wide.tocsr()[[5]].sum()
    np.testing.assert_allclose(found.values[:, 0], row * found.breakpoints + 1, atol=1e-12)
    value = realize(net, np.array([[0.5]]))[0, 0]
    np.testing.assert_allclose(value, 0.5 * row + 1, rtol=1e-12)


def test_half_precision_products_in_numpy():
    a = SparseMatrix(np.array([1.0, 2.0], np.float16), [0, 1], [0, 1], (2, 2))
    made = affine_after(_layer(a), np.array([[1.0, 1.0]], np.float16))
    assert made.weights[0].dtype == np.float16
    np.testing.assert_array_equal(made.weights[0], [[1.0, 2.0]])
    offset = affine_after(ReLUNetwork([np.eye(2, dtype=np.float16)], [np.ones(2, np.float16)]), a)
    assert offset.biases[0].tolist() == [1.0, 2.0]


def test_maps_after_a_network_may_be_sparse():
    rng = np.random.default_rng(0)
    a = _matrix(rng, 6, 5, 0.4)
    net = _layer(_matrix(rng, 5, 4, 0.4))
    for form in (a, a.to_scipy(), BCOO.fromdense(jnp.asarray(np.asarray(a)))):
        made = affine_after(net, form).weights[0]
        assert isinstance(made, SparseMatrix)
        np.testing.assert_array_equal(made, np.asarray(a) @ np.asarray(net.weights[0]))


def test_the_values_are_the_only_leaf():
    net = _network(np.random.default_rng(0), (2, 9, 1), jaxed=False)
    assert [p.shape for p in jax.tree.leaves(net.weights[0])] == [net.weights[0].values.shape]
    again = pickle.loads(pickle.dumps(net))
    assert eqx.tree_equal(net, again) and hash(net.weights[0].pattern) == hash(
        again.weights[0].pattern
    )
    moved = SparseMatrix([1.0], [0], [1], (2, 2)), SparseMatrix([1.0], [1], [0], (2, 2))
    assert not eqx.tree_equal(*moved)
    assert not eqx.tree_equal(moved[0], SparseMatrix([1.0], [0], [1], (2, 3)))
    with pytest.raises(ValueError):
        net.weights[0].rows[0] = 1


def test_quantize_rounds_the_values_and_keeps_zeros():
    net = _network(np.random.default_rng(0), (2, 30, 3), jaxed=False)
    rounded = quantize(net, Uniform(0.5))
    for w, q in zip(net.weights, rounded.weights, strict=True):
        assert q.pattern == w.pattern and type(q.values) is np.ndarray
        np.testing.assert_array_equal(q.values, np.rint(w.values * 2) / 2)
    assert rounded.connectivity < net.connectivity


def test_training_moves_the_values_only():
    rng = np.random.default_rng(1)
    net, xs = _network(rng, (2, 20, 1)), jnp.asarray(rng.standard_normal((64, 2)))
    optimizer = optax.adamw(1e-2)
    state = optimizer.init(net)

    @jax.jit
    def step(net, state):
        value, slope = jax.value_and_grad(lambda n: jnp.mean((realize(n, xs) - 1) ** 2))(net)
        updates, state = optimizer.update(slope, state, net)
        return optax.apply_updates(net, updates), state, value

    values = []
    trained = net
    for _ in range(60):
        trained, state, value = step(trained, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    assert all(v.pattern == w.pattern for v, w in zip(trained.weights, net.weights, strict=True))
    dense = [np.asarray(v) for v in densify(trained).weights]
    assert all(not v[np.asarray(densify(net).weights[i]) == 0].any() for i, v in enumerate(dense))


def test_sparsify_by_density_and_back():
    rng = np.random.default_rng(2)
    net = ReLUNetwork(
        [
            np.ones((20, 2)),
            np.asarray(_matrix(rng, 30, 20, 0.02)),
            jnp.asarray(_matrix(rng, 4, 30, 1)),
        ],
        [np.zeros(20), np.zeros(30), np.zeros(4)],
    )
    share = np.count_nonzero(net.weights[1]) / 600
    kinds = [isinstance(w, SparseMatrix) for w in sparsify(net, max_density=share).weights]
    assert kinds == [False, True, False]
    assert not any(
        isinstance(w, SparseMatrix) for w in sparsify(net, max_density=share * 0.999).weights
    )
    sparse = sparsify(net, max_density=1)
    assert all(isinstance(w, SparseMatrix) for w in sparse.weights)
    back = densify(sparse)
    for v, w in zip(back.weights, net.weights, strict=True):
        assert type(v) is type(w) and v.dtype == w.dtype
        np.testing.assert_array_equal(v, w)
    zeros = SparseMatrix(np.array([0.0, 1.0]), [0, 1], [0, 1], (2, 2))
    assert sparsify(_layer(zeros)).weights[0].values.tolist() == [1.0]


def test_stacks_with_one_pattern():
    rng = np.random.default_rng(3)
    first = _network(rng, (2, 9, 7, 1), jaxed=False)
    nets = [jax.tree.map(lambda p: rng.standard_normal(p.shape), first) for _ in range(3)]
    stacked = stack(nets)
    assert stacked.widths == first.widths
    assert stacked.weights[1].shape == (3, 7, 9)
    assert all(eqx.tree_equal(a, b) for a, b in zip(unstack(stacked), nets, strict=True))
    xs = rng.standard_normal((50, 2))
    ys = jax.vmap(realize, in_axes=(0, None))(stacked, xs)
    for y, net in zip(ys, nets, strict=True):
        np.testing.assert_allclose(y, realize(densify(net), xs), rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(
        densify(stacked).weights[0], stack([densify(n) for n in nets]).weights[0]
    )

    other = _network(rng, (2, 9, 7, 1), jaxed=False)
    with pytest.raises(ValueError, match=r"same entries; `weights\[0\]` of networks 0 and 1"):
        stack([first, other])
    with pytest.raises(ValueError, match="same entries"):
        stack([first, densify(first)])
    together = sparsify(stack([densify(first), densify(other)]), max_density=1)
    for net, one in zip((first, other), unstack(together), strict=True):
        assert one.connectivity == net.connectivity
        assert isinstance(one.weights[1], SparseMatrix)
        np.testing.assert_array_equal(one.weights[1], net.weights[1])


def test_padding_adds_no_entries():
    rng = np.random.default_rng(4)
    net, widths = _network(rng, (2, 5, 1), jaxed=False), (2, 9, 1)
    padded, kept = pad(net, widths), mask(net, widths)
    assert padded.widths == widths
    assert padded.weights[0].values.size == net.weights[0].values.size
    np.testing.assert_array_equal(densify(padded).weights[0], pad(densify(net), widths).weights[0])
    assert all(m.all() for m in jax.tree.leaves(kept.weights)) and not kept.biases[0].all()
    jax.tree.map(np.multiply, padded, kept)


@pytest.mark.parametrize("powers_of_two", [False, True])
def test_normal_forms_agree(powers_of_two):
    net = _network(np.random.default_rng(5), (2, 20, 30, 2), jaxed=False)
    ours = densify(normalize(net, powers_of_two=powers_of_two))
    theirs = normalize(densify(net), powers_of_two=powers_of_two)
    assert jax.tree.all(jax.tree.map(np.array_equal, ours, theirs))


@pytest.mark.parametrize("widths", [(1, 30, 2), (1, 90, 90, 90, 1)])
@pytest.mark.parametrize("exact", [False, True])
def test_pieces_agree(widths, exact):
    rng = np.random.default_rng(6)
    net = jax.tree.map(lambda p: np.round(p * 64) / 64, _network(rng, widths, 0.02, jaxed=False))
    ours, theirs = (pieces(n, -1, 1, exact=exact) for n in (net, densify(net)))
    assert ours.count == theirs.count
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_an_mlp_is_dense():
    net = _network(np.random.default_rng(0), (2, 6, 6, 1))
    mlp = to_mlp(net)
    np.testing.assert_array_equal(mlp.layers[1].weight, net.weights[1].to_dense())


def test_steps_of_the_theory_agree():
    net = _network(np.random.default_rng(7), (2, 15, 15, 1), jaxed=False)
    for constant in ("norms", "entries"):
        for rounding in ("nearest", "toward_zero"):
            ours, theirs = (
                bounds.rate_step(n, 0.5, 1.0, constant=constant, rounding=rounding)
                for n in (net, densify(net))
            )
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


two = SparseMatrix(np.ones(2), [0, 1], [1, 0], (2, 2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: SparseMatrix([1.0], [0, 1], [0, 1], (2, 2)), ValueError, "2 rows and 2 columns"),
        (
            lambda: SparseMatrix([1.0], [2], [0], (2, 2)),
            ValueError,
            r"`.*rows=.*from 0 to 1; got 2",
        ),
        (lambda: SparseMatrix([1.0], [0], [-1], (2, 2)), ValueError, r"columns=.*got -1 to -1"),
        (
            lambda: SparseMatrix([1.0], [0.0], [0], (2, 2)),
            TypeError,
            "integers; got the type float",
        ),
        (lambda: SparseMatrix([1.0], [[0]], [0], (2, 2)), TypeError, r"the shape \(1, 1\)"),
        (lambda: SparseMatrix([True], [0], [0], (2, 2)), TypeError, "real numbers; got .* bool"),
        (lambda: SparseMatrix([1j], [0], [0], (2, 2)), TypeError, "real numbers"),
        (lambda: SparseMatrix([], [], [], (0, 2)), ValueError, "two positive integers"),
        (lambda: SparseMatrix([], [], [], (2,)), ValueError, "two positive integers"),
        (lambda: SparseMatrix([], [], [], 2), ValueError, "two positive integers"),
        (lambda: SparseMatrix(1.0, [], [], (2, 2)), ValueError, r"values of shape \(\)"),
        (lambda: SparseMatrix.from_dense(np.ones(3)), ValueError, r"the shape \(3,\)"),
        (lambda: jax.jit(SparseMatrix.from_dense)(np.eye(2)), TypeError, "Call it outside"),
        (
            lambda: jax.jit(lambda r: SparseMatrix(jnp.ones(1), r, [0], (2, 2)))(np.array([0])),
            TypeError,
            "outside of `jit`",
        ),
        (lambda: jax.jit(sparsify)(identity(2, 2)), TypeError, "concrete weights"),
        (lambda: sparsify(identity(2, 2), max_density=5), ValueError, "from 0 to 1; got 5"),
        (lambda: two @ np.ones(3), ValueError, r"\(2,\) or \(2, points\).*\(2, 2\) and \(3,\)"),
        (lambda: two * 2, TypeError, "unsupported"),
        (lambda: np.float64(2) * two, TypeError, "unsupported|support"),
        (lambda: np.asarray(two, copy=False), ValueError, "copy"),
        (lambda: stack([_layer(two)] * 2).weights[0].to_scipy(), ValueError, "stack"),
        (lambda: ReLUNetwork([two], [np.ones(3)]), ValueError, r"biases\[0\].*\(2,\).*\(3,\)"),
        (lambda: ReLUNetwork([two, np.ones((1, 3))], [np.ones(2), np.ones(1)]), ValueError, "2 co"),
        (
            lambda: SparseMatrix.from_bcoo(BCOO.fromdense(jnp.ones((2, 2, 2)), n_batch=1)),
            ValueError,
            "two sparse axes",
        ),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
