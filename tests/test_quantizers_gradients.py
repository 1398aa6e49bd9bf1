"""Clipped straight-through and the learned step: the same values, gradients from judges."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import ndtri

from qrelu.quantizers import LSQ, AbsMax, Affine, Clipped, FixedPoint, LearnedStep, Uniform

KEY = jax.random.key(0)
NUMBERS = np.concatenate(
    [
        np.random.default_rng(0).normal(size=500),
        [0.0, 0.75, -0.75, 0.7501, 3.0, -3.0, np.inf, -np.inf],
    ]
)


def _same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


GRIDS = [
    Uniform(0.25, bits=3),
    Uniform(0.25, "floor", bits=3),
    Uniform(0.25, bits=1),
    Affine(0.25, 2, 3),
]


@pytest.mark.parametrize(
    "grid, dtype", [*((grid, np.float32) for grid in GRIDS), (GRIDS[0], np.float64)]
)
def test_values_and_codes_are_those_of_the_grid(grid, dtype):
    x = NUMBERS.astype(dtype)
    for wrapper in (Clipped, LearnedStep):
        q = wrapper(grid)
        assert _same(q(x), grid(x))
        assert _same(q(jnp.asarray(x)), grid(x))
        assert _same(jax.jit(jax.vmap(q))(jnp.asarray(x)), grid(x))
        finite = x[np.isfinite(x)]
        assert _same(q.decode(q.encode(finite), dtype), grid(finite))
        assert q.bits == grid.bits and q.signed == grid.signed and q.rounding == grid.rounding
        np.testing.assert_allclose(q.range, grid.range, rtol=1e-7)


def test_clipped_gradient_is_one_on_the_closed_range_and_zero_beyond():
    q = Clipped(Uniform(0.25, bits=3))  # values -0.75 ... 0.75
    x = jnp.asarray([-3.0, -0.7501, -0.75, -0.1, 0.0, 0.6, 0.75, 0.7501, jnp.inf])
    expected = np.array([0, 0, 1, 1, 1, 1, 1, 0, 0])

    @jax.jit
    def slopes(x):
        forward = jax.jvp(q, (x,), (jnp.ones_like(x),))[1]
        return jax.vmap(jax.grad(q))(x), forward, jax.vmap(jax.grad(jax.grad(q)))(x)

    reverse, forward, second = slopes(x)
    assert np.array_equal(reverse, expected) and np.array_equal(forward, expected)
    assert np.array_equal(second, 0 * expected)
    assert jax.grad(Clipped(Uniform(0.25)))(1e3) == 1
    assert jax.grad(Clipped(FixedPoint(0, 2)))(1.5) == 0
    rows = Clipped(Uniform(np.array([[0.25], [1.0]]), bits=3))
    slope = jax.grad(lambda x: jnp.sum(rows(x)))(jnp.ones((2, 4)))
    assert np.array_equal(slope, [[0] * 4, [1] * 4])


def _lsq_by_hand(v, s, lowest, highest):
    """The formulas of the paper, element by element."""
    quotient = v / s
    inside = (lowest < quotient) & (quotient < highest)
    by_step = np.where(inside, np.round(quotient) - quotient, 0.0)
    by_step = np.where(quotient <= lowest, lowest, by_step)
    by_step = np.where(quotient >= highest, highest, by_step)
    return inside.astype(float), by_step, 1 / np.sqrt(v.size * max(highest, 1))


@pytest.mark.parametrize("grid, lowest, highest", [(GRIDS[0], -3, 3), (GRIDS[3], -2, 5)])
@pytest.mark.parametrize("scaled", [True, False])
def test_lsq_gradient_is_the_formula_of_the_paper(grid, lowest, highest, scaled):
    x = NUMBERS[np.isfinite(NUMBERS)]
    q = LearnedStep(grid, scaled=scaled)
    weights = np.random.default_rng(1).normal(size=x.size)

    def loss(q, x):
        return jnp.sum(weights * q(x))

    by_x, by_step, scale = _lsq_by_hand(x, 0.25, lowest, highest)
    expected = np.sum(weights * by_step) * (scale if scaled else 1)

    @jax.jit
    def derivatives(step, x):
        of_step = lambda s: loss(eqx.tree_at(lambda q: q.latent_step, q, s), x)  # noqa: E731
        reverse = jax.grad(of_step)
        forward = jax.jvp(of_step, (step,), (jnp.ones_like(step),))[1]
        second = jax.grad(reverse)(step), jax.jacfwd(reverse)(step)
        return reverse(step), forward, second, jax.grad(loss, 1)(q, x)

    reverse, forward, second, along_x = derivatives(jnp.asarray(0.25), jnp.asarray(x))
    np.testing.assert_allclose(reverse, expected, rtol=1e-10)
    np.testing.assert_allclose(forward, expected, rtol=1e-10)
    np.testing.assert_allclose(along_x, weights * by_x)
    assert second == (0, 0)


# The judge of the step's gradient. One value s n, n = round(x/s), has the derivative n in s between
# jumps; LSQ says n - x/s inside the range. The jumps make the difference, and they count as soon as
# the loss is averaged over a random shift of the input that spreads x over many cells.
#
# Let X be the shifted input, with a smooth density p of width much larger than s, a the target,
# Q(s) = E (q(X) - a)^2 / 2 and e = q(X) - X. Inside the range
#     Q = E (X - a)^2 / 2 + E (X - a) e + E e^2 / 2.
# Over a cell e is odd around its grid value, so E (X - a) e is small against the powers of s
# (Euler-Maclaurin, p smooth), and E e^2 -> s^2 / 12. Hence Q'(s) -> s/12. LSQ has
# E (q - a) e/s = E (X - a) e/s + E e^2/s -> s/12 as well, whereas n alone would give
# E (q - a) q/s, of the order of width^2/s. Beyond the range q = N s exactly, Q' = E (q - a) N as in
# LSQ. The two halves of the last cells add p(N s) (N s - a) s^2/8 to E (X - a) e: an error of order
# s against N, invisible when hardly any input or a good part of it is beyond the range.
#
# So finite differences of Q judge both terms: with spread 0.3 the range +-1.55 contains everything
# and Q' is s/12; with spread 3 most of Q' comes from beyond. The law of X is a regular sample of
# the normal law, 400,000 quantiles, so that there is no noise.
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_lsq_gradient_against_finite_differences_of_the_smoothed_loss(spread):
    step, bits, target, samples = 0.05, 6, 0.3, 400_000
    x = 0.1 + spread * ndtri((np.arange(samples) + 0.5) / samples)

    def smoothed(step):
        return np.mean((Uniform(step, bits=bits)(x) - target) ** 2) / 2

    width = 0.05 * step
    difference = (smoothed(step + width) - smoothed(step - width)) / (2 * width)
    if spread < 1:
        np.testing.assert_allclose(difference, step / 12, rtol=0.02)
    q = LearnedStep(Uniform(step, bits=bits), scaled=False)
    loss = lambda q: jnp.mean((q(jnp.asarray(x)) - target) ** 2) / 2  # noqa: E731
    gradient = eqx.filter_jit(eqx.filter_grad(loss))(q)
    np.testing.assert_allclose(gradient.latent_step, difference, rtol=0.02)


def test_channels_have_their_own_step_and_scale():
    w = np.random.default_rng(0).normal(size=(3, 40))
    q = LSQ(4, "channel").grid(w)
    assert q.step.shape == (3, 1)
    np.testing.assert_allclose(q.step[:, 0], 2 * abs(w).mean(1) / np.sqrt(7), rtol=1e-12)
    total = eqx.filter_jit(eqx.filter_grad(lambda q: jnp.sum(q(jnp.asarray(w)))))
    gradient = total(q).latent_step
    for row, s, g in zip(w, np.asarray(q.step)[:, 0], gradient[:, 0], strict=True):
        _, by_step, scale = _lsq_by_hand(row, s, -7, 7)
        np.testing.assert_allclose(g, by_step.sum() * scale, rtol=1e-9)
    assert LSQ(4).grid(np.zeros(3)).step == 1


def test_training_the_step_finds_a_better_grid_than_the_largest_weight():
    """For normal weights at 3 bits the best symmetric grid clips."""
    w = jnp.asarray(np.random.default_rng(0).normal(size=4000))
    start = LearnedStep(AbsMax(3).grid(np.asarray(w)))

    def loss(q):
        return jnp.mean((q(w) - w) ** 2)

    optimizer = optax.adam(0.01)

    def one(carry, _):
        q, state = carry
        updates, state = optimizer.update(eqx.filter_grad(loss)(q), state)
        return (eqx.apply_updates(q, updates), state), None

    (trained, _), _ = jax.lax.scan(one, (start, optimizer.init(start)), length=300)
    steps = np.linspace(0.2, 1.2, 201)
    errors = [np.mean((Uniform(s, bits=3)(np.asarray(w)) - w) ** 2) for s in steps]
    assert loss(start) > 1.5 * min(errors)
    assert loss(trained) < 1.02 * min(errors)


def test_a_step_beyond_zero_is_mirrored():
    q = LearnedStep(Uniform(0.25, bits=3))
    mirrored = eqx.tree_at(lambda q: q.latent_step, q, jnp.asarray(-0.25))
    x = jnp.asarray([0.3, 5.0])
    assert mirrored.step == 0.25 and _same(mirrored(x), q(x))
    slope_of = eqx.filter_jit(eqx.filter_grad(lambda q: jnp.sum(q(x))))
    ahead, behind = (slope_of(q).latent_step for q in (q, mirrored))
    assert ahead == -behind != 0
    for value in (0.0, -0.0, 1e-300, -1e-300):
        tiny = eqx.tree_at(lambda q: q.latent_step, q, jnp.asarray(value))
        slope = slope_of(tiny).latent_step
        assert tiny.step > 0 and np.isfinite(tiny(x)).all() and slope != 0


def test_low_precision_numbers():
    q = LearnedStep(Uniform(0.25, bits=3))
    x = jnp.asarray([0.3, 0.6, 9.0], jnp.bfloat16)
    value, slope = jax.jvp(q, (x,), (jnp.ones_like(x),))
    assert value.dtype == slope.dtype == jnp.bfloat16
    assert np.array_equal(value.astype(float), [0.25, 0.5, 0.75])
    assert np.array_equal(slope.astype(float), [1, 1, 0])


@pytest.mark.parametrize(
    "call, kind, match",
    [
        (lambda: Clipped(AbsMax(4)), TypeError, r"calibration.grid\(x\)|Type-check"),
        (lambda: LearnedStep(AbsMax(4)), TypeError, r"`LSQ\(4\)`|Type-check"),
        (lambda: LearnedStep(FixedPoint(1, 2)), TypeError, "defined by its step"),
        (lambda: LearnedStep(Uniform(0.1)), ValueError, "bounded"),
        (lambda: LSQ(0), ValueError, r"`LSQ\(bits=...\)` must be a whole number of at least 1"),
        (lambda: LSQ(60), ValueError, r"`LSQ\(bits=...\)` must be at most 53"),
        (lambda: LSQ(4, "group"), ValueError, "got 'group'"),
    ],
)
def test_bad_input_is_named_with_its_cure(call, kind, match):
    with pytest.raises(kind, match=match):
        call()
