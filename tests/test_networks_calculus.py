"""The calculus of networks: the values of the parts, and the counts that the lemmas state.

The random parameters are small multiples of 1/2, so that float64 arithmetic is exact and values are
compared with ==.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu.networks import (
    ReLUNetwork,
    SparseMatrix,
    add,
    affine_after,
    affine_before,
    compose,
    deepen,
    densify,
    identity,
    linear_combination,
    parallel,
    pieces,
    realize,
    scale,
    stack,
)
from qrelu.networks._matrices import single


def _draw(widths, rng, form="dense", density=0.7, dtype=np.float64):
    """A random network; sparse matrices have entries that are zero, too."""

    def entries(*shape):
        there = rng.random(shape) < density
        values = np.where(there, rng.integers(-4, 5, shape) / 2, 0.0).astype(dtype)
        if len(shape) == 1 or form == "dense" or (form == "mixed" and rng.random() < 0.5):
            return values
        return SparseMatrix(values[there], *np.nonzero(there), shape)

    return ReLUNetwork(
        [entries(o, i) for i, o in zip(widths, widths[1:], strict=False)],
        [entries(o) for o in widths[1:]],
    )


def _forward(net, xs):
    """The function in plain NumPy: nothing to compile for every random architecture."""
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        xs = (np.maximum(xs, 0) if i else xs) @ np.asarray(w).T + b
    return xs


def _count(*arrays):
    return sum(int(np.count_nonzero(np.asarray(p))) for p in arrays)


def _points(rng, d):
    return rng.integers(-8, 9, (12, d)) / 2


hidden = st.lists(st.integers(1, 4), max_size=3)
size = st.integers(1, 3)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
laws = settings(deadline=None, max_examples=30)
forms = pytest.mark.parametrize("form", ["dense", "sparse", "mixed"])


@forms
@laws
@given(size, hidden, size, hidden, size, seeds)
def test_compose(form, d0, first, d1, second, d2, rng):
    inner, outer = _draw((d0, *first, d1), rng, form), _draw((d1, *second, d2), rng, form)
    net = compose(outer, inner)
    xs = _points(rng, d0)
    np.testing.assert_array_equal(_forward(net, xs), _forward(outer, _forward(inner, xs)))
    assert net.depth == outer.depth + inner.depth
    assert net.width == max(2 * d1, outer.width, inner.width)
    assert net.magnitude == max(outer.magnitude, inner.magnitude)
    twice = _count(inner.weights[-1], inner.biases[-1], outer.weights[0])
    assert net.connectivity == outer.connectivity + inner.connectivity + twice
    assert net.connectivity <= 2 * outer.connectivity + 2 * inner.connectivity


@forms
@laws
@given(size, hidden, size, hidden, size, seeds)
def test_compose_merged(form, d0, first, d1, second, d2, rng):
    inner, outer = _draw((d0, *first, d1), rng, form), _draw((d1, *second, d2), rng, form)
    net = compose(outer, inner, merge=True)
    xs = _points(rng, d0)
    np.testing.assert_array_equal(_forward(net, xs), _forward(outer, _forward(inner, xs)))
    assert net.depth == outer.depth + inner.depth - 1
    assert net.widths == (*inner.widths[:-1], *outer.widths[1:])
    a, b = inner.magnitude, outer.magnitude
    assert net.magnitude <= max(a, b, d1 * a * b + b)
    middle = (inner.weights[-1], inner.biases[-1], outer.weights[0], outer.biases[0])
    k = inner.depth - 1
    merged = _count(net.weights[k], net.biases[k])
    assert net.connectivity == outer.connectivity + inner.connectivity - _count(*middle) + merged


@forms
@laws
@given(st.lists(hidden, min_size=3, max_size=3), st.lists(size, min_size=4, max_size=4), seeds)
def test_compose_is_associative_to_the_last_parameter(form, inside, d, rng):
    f, g, h = (_draw((d[i], *inside[i], d[i + 1]), rng, form) for i in range(3))
    for merge in (False, True):
        left = compose(compose(h, g, merge=merge), f, merge=merge)
        right = compose(h, compose(g, f, merge=merge), merge=merge)
        assert jax.tree.all(jax.tree.map(np.array_equal, left, right))


@laws
@given(size, st.integers(1, 5), seeds)
def test_identity(d, depth, rng):
    net = identity(d, depth)
    xs = rng.standard_normal((9, d)) * 10.0 ** rng.integers(-300, 300, (9, d))
    np.testing.assert_array_equal(_forward(net, xs), xs)
    assert net.depth == depth and net.magnitude == 1
    assert (net.width, net.connectivity) == ((2 * d, 2 * d * depth) if depth > 1 else (d, d))


@forms
@laws
@given(size, hidden, size, st.integers(0, 4), seeds)
def test_deepen(form, d0, inside, d1, extra, rng):
    net = _draw((d0, *inside, d1), rng, form)
    deeper = deepen(net, net.depth + extra)
    xs = _points(rng, d0)
    np.testing.assert_array_equal(_forward(deeper, xs), _forward(net, xs))
    assert deeper.depth == net.depth + extra
    if extra == 0:
        assert deeper is net
        return
    last = _count(net.weights[-1], net.biases[-1])
    assert deeper.connectivity == net.connectivity + last + 2 * d1 * extra
    assert last <= d1 * net.width + d1
    assert deeper.width == max(2 * d1, net.width)
    assert deeper.magnitude == max(1, net.magnitude)


def test_the_extension_lemma_needs_its_correction():
    net = ReLUNetwork([np.ones((1, 1))], [np.ones(1)])
    stated = net.connectivity + 1 * net.width + 2 * 1 * (2 - 1)
    assert deepen(net, 2).connectivity == stated + 1


several = st.lists(st.tuples(size, hidden, size), min_size=1, max_size=3)


@forms
@laws
@given(several, st.booleans(), seeds)
def test_parallel(form, shapes, shared, rng):
    shapes = [(shapes[0][0] if shared else i, h, o) for i, h, o in shapes]
    nets = [_draw((i, *h, o), rng, form) for i, h, o in shapes]
    net = parallel(*nets, shared=shared)
    xs = [_points(rng, n.widths[0]) for n in nets]
    xs = [xs[0]] * len(nets) if shared else xs
    np.testing.assert_array_equal(
        _forward(net, xs[0] if shared else np.concatenate(xs, axis=1)),
        np.concatenate([_forward(n, x) for n, x in zip(nets, xs, strict=True)], axis=1),
    )
    depth = max(n.depth for n in nets)
    equal = [deepen(n, depth) for n in nets]
    assert net.depth == depth
    assert net.connectivity == sum(n.connectivity for n in equal)
    assert net.magnitude == max(n.magnitude for n in equal)
    assert net.widths[1:] == tuple(map(sum, zip(*(n.widths[1:] for n in equal), strict=True)))
    assert net.widths[0] == (shapes[0][0] if shared else sum(i for i, _, _ in shapes))
    assert net.width <= sum(n.width for n in equal)


@forms
@laws
@given(size, size, st.lists(hidden, min_size=1, max_size=3), seeds)
def test_linear_combination(form, d0, d1, inside, rng):
    nets = [_draw((d0, *h, d1), rng, form) for h in inside]
    a = rng.integers(-4, 5, len(nets)) / 2
    net = linear_combination(nets, a)
    xs = _points(rng, d0)
    expected = sum(c * _forward(n, xs) for c, n in zip(a, nets, strict=True))
    np.testing.assert_array_equal(_forward(net, xs), expected)
    depth = max(n.depth for n in nets)
    equal = [deepen(n, depth) for n in nets]
    assert net.depth == depth
    assert net.width <= sum(n.width for n in equal)
    assert net.connectivity <= sum(n.connectivity for n in equal)
    b = np.array([n.magnitude for n in equal])
    assert net.magnitude <= max(b.max(), np.max(abs(a) * b), np.sum(abs(a) * b))
    if depth > 1 and np.all(a != 0):
        separate = _count(*(n.biases[-1] for n in equal))
        total = sum(n.connectivity for n in equal) - separate + _count(net.biases[-1])
        assert net.connectivity == total


@forms
@laws
@given(size, size, hidden, hidden, seeds)
def test_add(form, d0, d1, first, second, rng):
    f, g = _draw((d0, *first, d1), rng, form), _draw((d0, *second, d1), rng, form)
    xs = _points(rng, d0)
    np.testing.assert_array_equal(_forward(add(f, g), xs), _forward(f, xs) + _forward(g, xs))
    other = linear_combination([f, g], [1, 1])
    assert jax.tree.all(jax.tree.map(np.array_equal, add(f, g), other))


def test_output_biases_are_added_so_connectivity_may_fall():
    f = ReLUNetwork([np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.ones(1)])
    assert add(f, f).connectivity == 2 * f.connectivity - 1
    assert add(f, scale(f, -1)).connectivity == 2 * f.connectivity - 2


@forms
@laws
@given(size, hidden, size, st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1, 5]), seeds)
def test_scale(form, d0, inside, d1, c, rng):
    net = _draw((d0, *inside, d1), rng, form)
    scaled = scale(net, c)
    xs = _points(rng, d0)
    np.testing.assert_array_equal(_forward(scaled, xs), c * _forward(net, xs))
    assert scaled.widths == net.widths
    assert scaled.magnitude <= max(1, abs(c)) * net.magnitude
    assert c == 0 or scaled.connectivity == net.connectivity


@forms
@laws
@given(size, hidden, size, size, st.booleans(), seeds)
def test_affine_maps(form, d0, inside, d1, new, number, rng):
    net = _draw((d0, *inside, d1), rng, form)
    wide = 1.5 if number else rng.integers(-3, 4, (new, d1)) / 2
    after = affine_after(net, wide, 0.5)
    xs = _points(rng, d0)
    ys = _forward(net, xs)
    np.testing.assert_array_equal(
        _forward(after, xs), (ys * 1.5 if number else ys @ np.transpose(wide)) + 0.5
    )
    assert after.widths == (*net.widths[:-1], d1 if number else new)

    narrow = -2 if number else rng.integers(-3, 4, (d0, new)) / 2
    shift = rng.integers(-3, 4, d0) / 2
    before = affine_before(net, narrow, shift)
    xs = _points(rng, d0 if number else new)
    inner = (xs * -2 if number else xs @ np.transpose(narrow)) + shift
    np.testing.assert_array_equal(_forward(before, xs), _forward(net, inner))
    assert before.widths == (d0 if number else new, *net.widths[1:])
    if number:
        assert _count(before.weights[0]) == _count(net.weights[0])


def test_iterated_sawtooth_has_its_teeth():
    tooth = ReLUNetwork(
        [np.ones((3, 1)), np.array([[2.0, -4.0, 2.0]])], [np.array([0, -0.5, -1]), np.zeros(1)]
    )
    for merge in (False, True):
        net = tooth
        for s in range(2, 6):
            net = compose(tooth, net, merge=merge)
            exact = pieces(net, 0.0, 1.0, exact=True)
            assert exact.count == 2**s
            assert exact.values[:, 0].tolist() == [k % 2 for k in range(2**s + 1)]


_leaves = jax.tree.leaves


@forms
def test_numpy_stays_numpy_and_dtypes_stay(form):
    rng = np.random.default_rng(0)
    f, g = (_draw(widths, rng, form, dtype=np.float32) for widths in ((2, 3, 2), (2, 2)))
    made = [
        compose(f, g),
        compose(f, g, merge=True),
        deepen(f, 4),
        parallel(f, g),
        parallel(f, g, shared=True),
        add(f, g),
        linear_combination((f, g), (0.1, 2)),
        scale(f, 0.1),
        scale(f, np.float64(0.1)),
        affine_after(f, [[1.0, 2.0]], 0.1),
        affine_before(f, 3, [0.1, 2.0]),
    ]
    for net in made:
        assert all(type(p) is np.ndarray and p.dtype == np.float32 for p in _leaves(net))
    jaxed = jax.tree.map(jnp.asarray, (f, g))
    for net in (compose(*jaxed), parallel(*jaxed), add(*jaxed), deepen(jaxed[0], 3)):
        assert all(isinstance(p, jax.Array) and p.dtype == jnp.float32 for p in _leaves(net))
    mixed = compose(f, jaxed[1])
    kinds = [isinstance(jax.tree.leaves(w)[0], jax.Array) for w in mixed.weights]
    assert kinds == [True, False, False]
    assert isinstance(jax.tree.leaves(scale(f, jnp.float32(2)).weights[-1])[0], jax.Array)


@pytest.mark.parametrize("density", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("merge", [False, True])
def test_dense_and_sparse_results_agree_to_the_last_parameter(merge, density):
    rng = np.random.default_rng(7)
    f, g, h = (_draw(w, rng, "sparse", density) for w in ((3, 5, 2), (2, 4, 3), (3, 3, 6, 2)))
    matrix = rng.integers(-3, 4, (2, 3)) / 2
    for build in (
        lambda f, g, h: compose(f, g, merge=merge),
        lambda f, g, h: compose(h, compose(g, f, merge=merge), merge=merge),
        lambda f, g, h: parallel(f, g, h),
        lambda f, g, h: add(f, h),
        lambda f, g, h: linear_combination([f, h], [0.5, -2.0]),
        lambda f, g, h: affine_before(affine_after(g, matrix, 1.0), matrix, 0.5),
        lambda f, g, h: deepen(scale(f, -3.0), 5),
    ):
        sparse, dense = build(f, g, h), build(*map(densify, (f, g, h)))
        assert jax.tree.all(jax.tree.map(np.array_equal, densify(sparse), dense))
        assert not any(isinstance(w, SparseMatrix) for w in dense.weights)
        assert (sparse.connectivity, sparse.widths) == (dense.connectivity, dense.widths)


def test_sparse_calculus_has_no_more_entries_than_the_lemmas_state():
    rng = np.random.default_rng(5)
    f, g = (_draw((40, 50, 40), rng, "sparse", 0.05) for _ in range(2))
    entries = lambda *nets: sum(w.values.size for net in nets for w in net.weights)  # noqa: E731
    middle = g.weights[-1].values.size + f.weights[0].values.size
    assert entries(compose(f, g)) == entries(f, g) + middle
    assert entries(parallel(f, g)) == entries(add(f, g)) == entries(f, g)
    assert entries(deepen(f, 5)) == entries(f) + f.weights[-1].values.size + 2 * 40 * 3
    a, b = (abs(w.to_scipy()) for w in (f.weights[0], g.weights[-1]))
    a.data[:], b.data[:] = 1, 1
    assert compose(f, g, merge=True).weights[1].values.size == (a @ b).nnz


def test_no_negative_zeros():
    rng = np.random.default_rng(1)
    f = _draw((2, 3, 2), rng, density=0.3)
    for net in (compose(f, f), deepen(f, 4), identity(2, 3)):
        assert not any(np.any(np.signbit(p) & (p == 0)) for p in _leaves(net))


def _close(a, b, size):
    assert np.all(np.abs(np.asarray(a) - np.asarray(b)) <= 50 * np.finfo(float).eps * size)


@pytest.mark.parametrize("numpy", [True, False])
def test_realized_values_are_those_of_the_parts(numpy):
    rng = np.random.default_rng(3)
    f, g = (
        jax.tree.map(lambda p: rng.standard_normal(p.shape), _draw(w, rng))
        for w in ((2, 7, 5, 2), (2, 6, 2))
    )
    f, g = (f, g) if numpy else jax.tree.map(jnp.asarray, (f, g))
    xs = rng.standard_normal((50, 2))
    ys, zs = np.asarray(realize(f, xs)), np.asarray(realize(g, xs))
    _close(realize(compose(f, g), xs), realize(f, zs), 100)
    _close(realize(compose(f, g, merge=True), xs), realize(f, zs), 100)
    _close(realize(parallel(f, g, shared=True), xs), np.concatenate([ys, zs], axis=1), 100)
    _close(realize(linear_combination([f, g], [0.3, -2]), xs), 0.3 * ys - 2 * zs, 100)
    _close(realize(deepen(g, 5), xs), zs, 100)


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_calculus_under_transformations(form):
    rng = np.random.default_rng(2)
    f = jax.tree.map(jnp.asarray, _draw((1, 4, 1), rng, form, 1.0))
    g = jax.tree.map(jnp.asarray, _draw((1, 4, 1), rng, form, 1.0))
    x = jnp.array([0.7])

    def combined(a):
        return realize(linear_combination([f, g], a), x)[0]

    slope = jax.jit(jax.grad(combined))(jnp.array([2.0, 3.0]))
    _close(slope, jnp.concatenate([realize(f, x), realize(g, x)]), 10)
    for merge in (False, True):
        together = functools.partial(compose, merge=merge)
        many = jax.jit(jax.vmap(together))(stack([f, g]), stack([g, f]))
        values = jax.vmap(realize, in_axes=(0, None))(many, x)[:, 0]
        _close(values, jnp.stack([f(g(x))[0], g(f(x))[0]]), 10)


one, two = identity(1, 2), identity(2, 2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: compose(one, two), "as many outputs"),
        (lambda: parallel(), "at least one network; got none"),
        (lambda: parallel(one, two, shared=True), r"same number of inputs; got \[1, 2\]"),
        (lambda: add(one, affine_after(one, [[1.0], [2.0]])), r"`add\(f, g\)`.* outputs"),
        (lambda: linear_combination([], []), "at least one network"),
        (lambda: linear_combination([one, one], [1.0]), "one number per network; got 2"),
        (lambda: scale(two, np.ones(2)), "Use `affine_after`"),
        (lambda: affine_after(two, np.ones((2, 3))), r"2 columns; got the shape \(2, 3\)"),
        (lambda: affine_before(two, np.ones((3, 2))), r"2 rows; got the shape \(3, 2\)"),
        (lambda: affine_after(two, 1, np.ones(3)), r"the shape \(2,\); got \(3,\)"),
        (lambda: affine_before(two, 1, np.ones(1)), r"the shape \(2,\); got \(1,\)"),
        (lambda: deepen(one, 1), "at least the depth 2"),
        (lambda: deepen(one, 0), "positive integer; got 0"),
        (lambda: identity(0, 1), r"`identity\(d, ...\)` must be a positive integer"),
        (lambda: compose(stack([one, one]), one), "use `jax.vmap` for a stack"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: scale(one, 1j), r"`scale\(..., factor\)` must hold real numbers; got 1j"),
        (lambda: scale(one, np.array(1j)), r"`scale\(..., factor\)` must hold real numbers"),
        (lambda: linear_combination([one], [1j]), "must hold real numbers"),
        (lambda: affine_after(one, "a"), r"`affine_after\(..., matrix\)` must hold real numbers"),
        (lambda: affine_before(one, 1, [1j]), r"offset\)` must hold real numbers"),
        (lambda: single("add(f, g)", one, [two]), r"`add\(f, g\)` must .*; got list. `from_mlp`"),
    ],
)
def test_wrong_types(call, text):
    with pytest.raises(TypeError, match=text):
        call()
