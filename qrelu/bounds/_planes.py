"""Linear bounds of one neuron: of its activation, and of the difference of two activations."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array


class Span(NamedTuple):
    """An interval per unit and box."""

    low: Array
    high: Array

    @property
    def size(self) -> Array:
        """The largest absolute value."""
        return jnp.maximum(jnp.abs(self.low), jnp.abs(self.high))


class Plane(NamedTuple):
    """a dz + b z + m, with z of the second network and dz the difference."""

    a: Array
    b: Array
    m: Array


def positive(x: Array) -> Array:
    """max(x, 0)."""
    return jnp.maximum(x, 0)


def negative(x: Array) -> Array:
    """min(x, 0)."""
    return jnp.minimum(x, 0)


# A quotient where the condition holds, else 0; safe under differentiation.
def _ratio(condition: Array, a: Array, b: Array) -> Array:
    return jnp.where(condition, a / jnp.where(condition, b, 1), 0)


# Each line is computed from a slope that rounding may have moved; the intercept is then the largest
# that the ends ask for, so that the line is valid for the slope as it is.
def chord(z: Span) -> tuple[Array, Array]:
    """Slope and intercept of relu(z) <= s z + m."""
    crosses = (z.low < 0) & (z.high > 0)
    s = jnp.minimum(_ratio(crosses, z.high, z.high - z.low), 1)
    m = jnp.where(crosses, jnp.maximum(-s * z.low, (1 - s) * z.high), 0)
    return jnp.where(crosses, s, jnp.where(z.high > 0, 1, 0).astype(s.dtype)), m


# Upper planes of d = relu(y) - relu(z), y = z + dz; every slope s is in [0, 1]:
#   1. d <= max(0, dz), whose chord on [low, high] of dz is above it.
#   2. d <= min(e, relu(y)) with e = max(0, high of dz), and the line through (low of y, 0) and
#      (e, e) is above both.
#   3. d - dz = relu(-y) - relu(-z): the same with -y.
#   4. d <= chord(y) - s z for s = 0 and s = 1: the two activations by themselves.
# On large boxes dz is small against y and z, and planes of dz are tight; on boxes smaller than dz
# those of the single activations are. The least at the center is taken: the mean of a plane over
# the box is its value there.
def upper_plane(y: Span, z: Span, dz: Span, y0: Array, z0: Array, dz0: Array) -> Plane:
    """A plane above relu(y) - relu(z), with y0, z0, dz0 the values at the center."""
    a, m1 = chord(dz)
    rise, fall = positive(dz.high), positive(-dz.low)
    s2 = _ratio(y.low < 0, rise, rise - y.low)
    m2 = jnp.where(y.low < 0, jnp.maximum(-s2 * y.low, rise - s2 * rise), rise)
    s3 = _ratio(y.high > 0, fall, fall + y.high)
    m3 = jnp.where(y.high > 0, jnp.maximum(s3 * y.high, fall - s3 * fall), fall)
    s4, m4 = chord(y)
    zero = jnp.zeros_like(a)
    best = Plane(a, zero, m1)
    value = a * dz0 + m1
    for plane in (Plane(s2, s2, m2), Plane(1 - s3, -s3, m3), Plane(s4, s4, m4)):
        best, value = _better(best, value, plane, z0, dz0)
    return _better(best, value, Plane(s4, s4 - 1, m4), z0, dz0)[0]


def _better(best: Plane, value: Array, plane: Plane, z0: Array, dz0: Array):
    here = plane.a * dz0 + plane.b * z0 + plane.m
    less = here < value
    chosen = (jnp.where(less, p, q) for p, q in zip(plane, best, strict=True))
    return Plane(*chosen), jnp.where(less, here, value)


def lower_plane(y: Span, z: Span, dz: Span, y0: Array, z0: Array, dz0: Array) -> Plane:
    """A plane below relu(y) - relu(z)."""
    # -d = relu(z) - relu(y) <= a (-dz) + b y + m with y = z + dz.
    a, b, m = upper_plane(z, y, Span(-dz.high, -dz.low), z0, y0, -dz0)
    return Plane(a - b, -b, -m)
