"""What `fit_rate` refuses and prints, and the slope that JAX transforms."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu.rates import fit_rate, slope

SIZES = 2.0 ** np.arange(4, 12)

BAD = [
    ("abc", [1, 2, 3], "must be an array of numbers"),
    ([1, 2, 3], ["a", "b", "c"], "must be an array of numbers"),
    ([[1, 2]], [1, 2], "one axis"),
    ([1], [1], "at least 2 sizes; got 1"),
    ([], [], "at least 2 sizes; got 0"),
    ([0, 1, 2], [1, 2, 3], "positive and finite; got 0"),
    ([1, np.nan, 2], [1, 2, 3], "positive and finite; got nan"),
    ([1, 2, 2], [1, 2, 3], "strictly increasing; got 2 twice. Sort"),
    ([4, 2, 1], [1, 2, 3], "strictly increasing; got 4 before 2"),
    ([1, 2, 3], [1, 2], r"shape \(3,\) or \(replicates, 3\); got \(2,\)"),
    ([1, 2, 3], np.ones((3, 2)), "Transpose"),
    ([1, 2, 3], [1, np.nan, 2], "finite; got nan"),
    ([1, 2, 3], [1, np.inf, 2], "finite; got inf"),
    ([1, 2, 3], [1, -1, 2], "not be negative; got -1"),
    ([1, 2, 3], [[1, 2, 3], [1, 2]], "must be an array of numbers"),
    ([1, 2, 3], np.ones((0, 3)), "shape"),
]


@pytest.mark.parametrize("sizes, errors, words", BAD)
def test_bad_input_gets_one_sentence_with_the_cure(sizes, errors, words):
    with pytest.raises(ValueError, match=words) as caught:
        fit_rate(sizes, errors)
    assert str(caught.value).startswith("`fit_rate(") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["floor", "uncertainties", "scatter"])
@pytest.mark.parametrize("value", [-1.0, [1.0, 2.0], "x", np.nan])
def test_bad_options(name, value):
    with pytest.raises(ValueError, match=rf"`fit_rate\({name}=...\)`"):
        fit_rate([1, 2, 4, 8], [1, 0.5, 0.25, 0.125], **{name: value})


class Known(NamedTuple):
    gamma: float
    source: str


def test_cite_is_a_row_of_a_latex_table():
    fit = fit_rate(SIZES, 3 * SIZES**-2.0, norm="L2", proven=2, source=r"\cite{boor73} & more")
    assert fit.cite() == (
        r"$2.000$ & $[1.996, 2.004]$ (envelope) & connectivity & $L^2$ & $2$ & "
        r"\cite{boor73} \& more \\"
    )
    row = fit.cite(counts="pieces", norm="sup", proven=1.5, source="x")
    assert row.endswith(r"& pieces & sup & $1.5$ & x \\")
    known = fit_rate(SIZES, SIZES**-2.0, proven=Known(2.0, "here"))
    assert known.cite().endswith(r"& $2$ & here \\")
    none = fit_rate(SIZES[:6], [1e-2, 3e-3, 1e-3, 9e-4, 3e-3, 1e-2])
    assert none.cite() == r"-- & -- & connectivity & -- & -- & -- \\"


def test_the_record_prints_on_one_line():
    fit = fit_rate(SIZES, SIZES**-2.0)
    assert "gamma = 2.0000 in [" in repr(fit) and "\n" not in str(fit)
    assert "no rate" in repr(fit_rate(SIZES, [1.0] * 8))


def test_jax_arrays_and_lists_are_taken_alike():
    expected = fit_rate(SIZES, SIZES**-1.5)
    for sizes, errors in [
        (SIZES.astype(int).tolist(), (SIZES**-1.5).tolist()),
        (jnp.asarray(SIZES), jnp.asarray(SIZES**-1.5)),
    ]:
        fit = fit_rate(sizes, errors)
        assert (fit.gamma, fit.interval) == (expected.gamma, expected.interval)


def test_slope_is_the_line_through_the_logarithms():
    errors = np.exp(np.random.default_rng(0).standard_normal(8))
    line = np.polyfit(np.log(SIZES), np.log(errors), 1)[0]
    np.testing.assert_allclose(slope(SIZES, errors), -line, rtol=1e-12)
    weights = np.arange(1.0, 9.0)
    line = np.polyfit(np.log(SIZES), np.log(errors), 1, w=np.sqrt(weights))[0]
    np.testing.assert_allclose(slope(SIZES, errors, weights), -line, rtol=1e-12)


def test_slope_of_masked_errors():
    errors = jnp.asarray(SIZES**-1.5).at[jnp.array([0, 5])].set(jnp.array([0.0, jnp.nan]))
    mask = jnp.isfinite(errors) & (errors > 0)
    np.testing.assert_allclose(slope(SIZES, errors, mask), 1.5, rtol=1e-12)
    gradient = jax.grad(lambda e: slope(SIZES, e, mask))(errors)
    assert jnp.isfinite(gradient).all() and gradient[0] == gradient[5] == 0


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_slope_follows_the_dtype_of_the_errors(dtype):
    errors = jnp.asarray(SIZES**-1.5, dtype)
    out = slope(jnp.arange(1, 9), errors)
    assert out.dtype == dtype and out.shape == ()


def test_slope_under_jit_vmap_and_grad():
    rng = np.random.default_rng(1)
    errors = jnp.asarray(np.exp(rng.standard_normal((5, 8))))
    sizes = jnp.asarray(SIZES)
    traces = []

    @jax.jit
    def batched(e):
        traces.append(1)
        return jax.vmap(lambda row: slope(sizes, row))(e)

    expected = [slope(sizes, row) for row in errors]
    np.testing.assert_allclose(batched(errors), jnp.stack(expected), rtol=1e-12)
    batched(2 * errors)
    assert len(traces) == 1
    gradient = jax.grad(lambda e: slope(sizes, e))(errors[0])
    for i in range(8):
        step = 1e-6 * errors[0, i]
        up, down = errors[0].at[i].add(step), errors[0].at[i].add(-step)
        numeric = (slope(sizes, up) - slope(sizes, down)) / (2 * step)
        np.testing.assert_allclose(gradient[i], numeric, rtol=1e-5, atol=1e-9)


def test_aitken_finds_the_limit_of_the_orders_without_a_model():
    sizes = 2.0 ** np.arange(8)
    assert abs(fit_rate(sizes, 1 / (4 * sizes * (sizes + 1))).aitken - 2) < 1e-3
    sizes = 3.0 ** np.arange(1, 8)
    assert abs(fit_rate(sizes, sizes**-1.5 * (1 + 2 * sizes**-0.7)).aitken - 1.5) < 1e-3
    assert fit_rate(sizes, sizes**-1.5).aitken == pytest.approx(1.5, abs=1e-12)
    # Neither geometric sizes nor orders that converge: no limit.
    every = np.arange(1.0, 7.0)
    assert np.isnan(fit_rate(every, every**-2.0).aitken)
    wandering = sizes**-1.5 * np.array([1, 1.1, 1, 1.2, 1, 1.3, 1])
    assert np.isnan(fit_rate(sizes, wandering).aitken)
