"""Grids chosen from the parameters: which share a step, zeros, bad parameters, warnings."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import quantizers

AbsMax, MinMax = quantizers.AbsMax, quantizers.MinMax


def _tree(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "weight": rng.normal(size=(4, 7)).astype(dtype),
        "bias": rng.normal(size=4).astype(dtype),
        "stack": rng.normal(size=(2, 3, 5)).astype(dtype),
        "zeros": np.zeros((2, 3), dtype),
        "empty": np.zeros((0, 3), dtype),
        "count": np.arange(3),
    }


# Granularity -> the parts of an array that share a step, written with loops.
def _parts(x, granularity, axis=0, group_size=None):
    if x.ndim < 2 or granularity == "tensor":
        return [x]
    if granularity == "group":
        rows = x.reshape(-1, x.shape[-1])
        return [row[i : i + group_size] for row in rows for i in range(0, row.size, group_size)]
    if axis < 0:
        axis %= x.ndim
        return list(x.reshape(-1, *x.shape[axis + 1 :])) if x.size else []
    if axis >= x.ndim:
        return [x]
    return list(np.moveaxis(x, axis, 0))


CASES = [
    ("tensor", {}),
    ("channel", {}),
    ("channel", {"axis": 1}),
    ("channel", {"axis": -2}),
    ("channel", {"axis": 2}),
    ("group", {"group_size": 3}),
    ("group", {"group_size": 100}),
]


@pytest.mark.parametrize("granularity, options", CASES)
@pytest.mark.parametrize("name", ["weight", "bias", "stack", "zeros", "empty"])
def test_each_part_is_rounded_by_its_own_extremes(name, granularity, options):
    x = _tree(np.float64)[name]
    for bits in (2, 5):
        together = AbsMax(bits, granularity, **options).grid(x)(x)
        affine = MinMax(bits, granularity, **options).grid(x)(x)
        for part, got, asymmetric in zip(
            _parts(x, granularity, **options),
            _parts(together, granularity, **options),
            _parts(affine, granularity, **options),
            strict=True,
        ):
            if not part.any():
                assert not got.any() and not asymmetric.any()
                continue
            symmetric = quantizers.Uniform.from_bits(bits, abs(part).max())
            assert np.array_equal(got, symmetric(part))
            assert abs(got).max() == pytest.approx(abs(part).max(), rel=1e-15)
            ranged = quantizers.Affine.from_range(bits, float(part.min()), float(part.max()))
            assert np.array_equal(asymmetric, ranged(part))


@pytest.mark.parametrize(
    "calibration, granularity, options, rounding",
    [
        (AbsMax, "channel", {"axis": -2}, "nearest"),
        (MinMax, "group", {"group_size": 3}, "nearest"),
        (AbsMax, "network", {}, "stochastic"),
        pytest.param(MinMax, "channel", {"axis": -2}, "nearest", marks=pytest.mark.slow),
        pytest.param(AbsMax, "group", {"group_size": 3}, "nearest", marks=pytest.mark.slow),
        pytest.param(MinMax, "network", {}, "stochastic", marks=pytest.mark.slow),
    ],
)
def test_the_same_bits_on_every_path(calibration, granularity, options, rounding):
    # Random bits take long to compile.
    names = ("stack",) if rounding == "stochastic" else ("weight", "stack", "zeros")
    tree = {k: v for k, v in _tree().items() if k in names}
    rule = calibration(4, granularity, rounding, **options)
    key = jax.random.key(0)
    served = quantizers.quantize(tree, rule, key)
    arrays = jax.tree.map(jnp.asarray, tree)
    eager = quantizers.quantize(arrays, rule, key)
    make = lambda b: calibration(b, granularity, rounding, **options)  # noqa: E731
    paths = lambda t, b: [quantizers.quantize(t, r, key) for r in (rule, make(b))]  # noqa: E731
    jitted, swept = jax.jit(paths)(arrays, 4)
    for name, value in served.items():
        assert type(value) is np.ndarray and value.dtype == tree[name].dtype
        assert isinstance(eager[name], jax.Array)
        for other in (eager[name], jitted[name], swept[name]):
            assert np.asarray(other).tobytes() == value.tobytes(), name


def test_one_step_for_the_whole_network():
    tree = _tree()
    largest = max(abs(v).max(initial=0) for k, v in tree.items() if k != "count")
    out = quantizers.quantize(tree, AbsMax(4, "network"))
    step = np.float32(largest) / np.float32(7)
    for name in ("weight", "bias", "stack"):
        assert np.array_equal(out[name], quantizers.Uniform(step, bits=4)(tree[name]))
    grids = MinMax(4, "network").grids([np.array([-1.0, 0.5]), np.array([2.0], np.float32)])
    assert all(g.step == 3 / 15 and g.zero_point == 5 for g in grids)
    assert quantizers.quantize({"n": 3}, AbsMax(4, "network")) == {"n": 3}


def test_a_scanned_mlp_has_steps_for_each_layer():
    plain = eqx.nn.MLP(3, 2, 8, 3, key=jax.random.key(0))
    scanned = eqx.nn.MLP(3, 2, 8, 3, scan=True, key=jax.random.key(0))
    rule = AbsMax(4, "channel", axis=-2)
    out, flat = quantizers.quantize(scanned, rule), quantizers.quantize(plain, AbsMax(4, "channel"))
    stacked = [leaf for leaf in jax.tree.leaves(eqx.filter(out, eqx.is_array)) if leaf.ndim == 3]
    assert stacked  # the hidden layers are one array
    x = jnp.array([0.3, -0.2, 0.9])
    run = jax.jit(lambda x: (out(x), flat(x)))
    assert np.allclose(*run(x), atol=1e-6)


def test_zeros_stay_zero_and_small_parameters_have_a_grid():
    tiny = np.array([[1e-37, -3e-38], [0.5, -0.2]], np.float32)
    for rule in (AbsMax(8, "channel"), MinMax(8, "channel")):
        for x in (tiny, jnp.asarray(tiny)):
            grid = rule.grid(x)
            assert np.array_equal(np.asarray(grid(x))[0], [0, 0])  # below the smallest step
            assert np.asarray(grid.step).min() >= 2.0**-103
        jitted = jax.jit(lambda x, rule=rule: rule.grid(x)(x))(tiny)
        assert np.array_equal(jitted, rule.grid(tiny)(tiny))
    one_bit = AbsMax(1).grid(np.zeros(3))(np.zeros(3))
    assert np.isfinite(one_bit).all() and abs(one_bit).max() < 1e-280
    assert np.array_equal(MinMax(1).grid(np.zeros(3))(np.zeros(3)), np.zeros(3))


def test_clipping_saturates_the_largest():
    x = np.array([0.1, -2.0, 1.0])
    grid = AbsMax(4, clip=0.5).grid(x)
    assert grid.step == 1 / 7 and np.array_equal(grid(x), quantizers.Uniform(1 / 7, bits=4)(x))
    assert abs(grid(x)).max() == 1


def test_gradient_ignores_how_the_grid_was_chosen():
    w = jnp.array([[0.3, -1.0], [0.2, 0.4]])
    loss = lambda w: jnp.sum(jnp.sin(quantizers.quantize(w, AbsMax(3, "channel"))))  # noqa: E731
    rounded = quantizers.quantize(w, AbsMax(3, "channel"))
    assert np.array_equal(jax.jit(jax.grad(loss))(w), jnp.cos(rounded))
    swept = jax.vmap(lambda b: quantizers.quantize(w, AbsMax(b, "channel")))(jnp.array([2, 3]))
    assert np.array_equal(swept[1], rounded)


def test_what_has_a_grid_already_is_left_alone_or_refused():
    relu = quantizers.QuantizedReLU(4, 1.0, learn="range")
    tree = {"w": np.array([0.3, 1.0]), "relu": relu, "q": quantizers.Uniform(np.array(0.3))}
    out = quantizers.quantize(tree, quantizers.Uniform(0.25))
    assert out["relu"] is relu and out["q"] is tree["q"] and out["w"].tolist() == [0.25, 1.0]
    with pytest.raises(ValueError, match=r"got `tree\['w'\]` from `wrap`.*`unwrap"):
        quantizers.quantize(quantizers.wrap({"w": tree["w"]}, AbsMax(4)), AbsMax(3))

    class Tensor:
        def __array__(self):
            raise AssertionError

    with pytest.raises(TypeError, match=r"Tensor in `tree\[0\]`. Convert it"):
        quantizers.quantize([Tensor()], AbsMax(4))


def test_a_step_finer_than_the_numbers_is_announced():
    x = np.array([1.0, -1e-3, np.inf], np.float32)
    with pytest.warns(UserWarning, match=r"leaves 1 of 3 entries of `tree\['w'\]` as they are"):
        quantizers.quantize({"w": x}, quantizers.Uniform(1e-8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quantizers.quantize({"w": x}, quantizers.Uniform(1e-6))
        quantizers.quantize({"w": x}, quantizers.Uniform(1e-8, bits=4))
        jax.jit(lambda w: quantizers.quantize(w, quantizers.Uniform(1e-8)))(x)


def test_leaves_that_are_not_real_floats_are_left_alone():
    tree = {"c": np.array([1j]), "i": np.arange(2), "f": jax.nn.relu, "n": None, "x": 0.5}
    for q in (AbsMax(4), quantizers.Uniform(0.1), quantizers.Codebook([0.0])):
        assert all(v is tree[k] for k, v in quantizers.quantize(tree, q).items())
    assert quantizers.quantize([], AbsMax(4)) == []


def test_parameters_without_a_grid():
    for bad in (np.nan, np.inf):
        tree = {"layer": [np.array([1.0, 2.0]), np.array([bad, 1.0])]}
        with pytest.raises(ValueError, match=r"NaN or infinity in `tree\['layer'\]\[1\]`"):
            quantizers.quantize(tree, AbsMax(4))
        with pytest.raises(ValueError, match="`MinMax` must get finite parameters"):
            MinMax(4).grid(tree["layer"][1])
        traced = jax.jit(lambda t: quantizers.quantize(t, AbsMax(4)))(tree)
        assert np.isnan(traced["layer"][1]).all() and np.isfinite(traced["layer"][0]).all()
        # A grid that is given keeps NaN where it is.
        kept = quantizers.quantize(tree, quantizers.Uniform(0.5, bits=4))["layer"][1]
        assert np.isnan(kept[0]) == np.isnan(bad) and kept[1] == 1


def test_a_layer_on_a_single_level_is_named():
    model = eqx.nn.MLP(2, 1, 8, 1, key=jax.random.key(0))
    coarse = quantizers.Uniform(100.0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        quantizers.quantize(model, coarse)
    assert len(seen) == 3  # the last bias is a single number
    assert "all 16 entries of `tree.layers[0].weight` to the single value 0.0" in str(
        seen[0].message
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.jit(lambda w: quantizers.quantize(w, coarse))(model.layers[0].weight)
        quantizers.quantize([np.ones(3), np.zeros((2, 2)), np.array([0.3])], coarse)
        quantizers.quantize(model, AbsMax(2, "channel"))


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: AbsMax(0), ValueError, r"`AbsMax\(bits=...\)` must be .* at least 1; got 0"),
        (lambda: AbsMax(54), ValueError, "at most 53"),
        (lambda: MinMax(53), ValueError, "at most 52"),
        (lambda: AbsMax(4, "row"), ValueError, "one of 'tensor', 'channel', 'group', 'network'"),
        (lambda: AbsMax(4, "group"), TypeError, 'at least 1 for "group"; got None'),
        (lambda: AbsMax(4, "group", group_size=0), ValueError, 'at least 1 for "group"; got 0'),
        (lambda: MinMax(4, group_size=3), ValueError, "must be left out unless"),
        (lambda: AbsMax(4, rounding="up"), ValueError, "one of 'nearest'"),
        (lambda: AbsMax(4, clip=0.0), ValueError, "above 0 and at most 1; got 0.0"),
        (lambda: AbsMax(4, axis=True), TypeError, "must be an integer; got True"),
        (lambda: AbsMax(4).grid(np.arange(3)), TypeError, "floating-point numbers; got int64"),
        (lambda: AbsMax(30).grid(np.ones(2, "f"))(np.ones(2, "f")), ValueError, "the 24 bits"),
        (lambda: quantizers.quantize(np.ones(2), 4), TypeError, "quantizer"),
        (
            lambda: quantizers.quantize(np.ones(2), AbsMax(4, rounding="stochastic"), key=0),
            TypeError,
            "got int",
        ),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
