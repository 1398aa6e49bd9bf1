"""Linear bounds of the difference of two networks on boxes, propagated through both jointly."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

# Arrays have the units first and the boxes last: one matrix product serves all boxes. A form
# (units, 1 + inputs, boxes) holds the values at the centers and the slopes times the radii, so that
# its bounds on a box are the first entry plus and minus the sum of the others' sizes.


class Pair(NamedTuple):
    """Two networks R = (W, b) and R' = (V, c) of the same widths, and W - V, b - c."""

    weights: Sequence[Any]
    biases: Sequence[Any]
    weight_changes: Sequence[Any]
    bias_changes: Sequence[Any]
    other_weights: Sequence[Any]
    other_biases: Sequence[Any]


class Outcome(NamedTuple):
    """What is known about every box."""

    upper: Array  # (2 outputs, boxes): bounds of R - R' and of R' - R
    slopes: Array  # (inputs, 2 outputs, boxes): of the linear bounds, times the radii
    center: Array  # (outputs, boxes): R - R' at the centers
    score: Array  # (inputs, boxes): the slack that depends on each input


class _Span(NamedTuple):
    low: Array
    high: Array


class _Plane(NamedTuple):
    """a dz + b z + m, with z of the second network and dz the difference."""

    a: Array
    b: Array
    m: Array


def _dot(w: Any, x: Array) -> Array:
    """A matrix times an array whose first axis is that of the units."""
    flat = x.reshape(x.shape[0], -1)
    product = jnp.matmul(w, flat, precision=jax.lax.Precision.HIGHEST)
    return product.reshape(w.shape[0], *x.shape[1:])


def _positive(x: Array) -> Array:
    return jnp.maximum(x, 0)


def _negative(x: Array) -> Array:
    return jnp.minimum(x, 0)


# A quotient where the condition holds, else 0; safe under differentiation.
def _ratio(condition: Array, a: Array, b: Array) -> Array:
    return jnp.where(condition, a / jnp.where(condition, b, 1), 0)


# Each line is computed from a slope that rounding may have moved; the intercept is then the largest
# that the ends ask for, so that the line is valid for the slope as it is.
def _chord(z: _Span) -> tuple[Array, Array]:
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
def _upper_plane(y: _Span, z: _Span, dz: _Span, y0: Array, z0: Array, dz0: Array) -> _Plane:
    a, m1 = _chord(dz)
    rise, fall = _positive(dz.high), _positive(-dz.low)
    s2 = _ratio(y.low < 0, rise, rise - y.low)
    m2 = jnp.where(y.low < 0, jnp.maximum(-s2 * y.low, rise - s2 * rise), rise)
    s3 = _ratio(y.high > 0, fall, fall + y.high)
    m3 = jnp.where(y.high > 0, jnp.maximum(s3 * y.high, fall - s3 * fall), fall)
    s4, m4 = _chord(y)
    zero = jnp.zeros_like(a)
    best = _Plane(a, zero, m1)
    value = a * dz0 + m1
    for plane in (_Plane(s2, s2, m2), _Plane(1 - s3, -s3, m3), _Plane(s4, s4, m4)):
        best, value = _better(best, value, plane, z0, dz0)
    return _better(best, value, _Plane(s4, s4 - 1, m4), z0, dz0)[0]


def _better(best: _Plane, value: Array, plane: _Plane, z0: Array, dz0: Array):
    here = plane.a * dz0 + plane.b * z0 + plane.m
    less = here < value
    chosen = (jnp.where(less, p, q) for p, q in zip(plane, best, strict=True))
    return _Plane(*chosen), jnp.where(less, here, value)


def _lower_plane(y: _Span, z: _Span, dz: _Span, y0: Array, z0: Array, dz0: Array) -> _Plane:
    # -d = relu(z) - relu(y) <= a (-dz) + b y + m with y = z + dz.
    a, b, m = _upper_plane(z, y, _Span(-dz.high, -dz.low), z0, y0, -dz0)
    return _Plane(a - b, -b, -m)


def _ends(middle: Array, spread: Array, margin: Array) -> _Span:
    """Bounds of what lies between the forms middle - spread and middle + spread."""
    high, low = middle + spread, middle - spread
    return _Span(
        low[:, 0] - jnp.abs(low[:, 1:]).sum(1) - margin[:, None],
        high[:, 0] + jnp.abs(high[:, 1:]).sum(1) + margin[:, None],
    )


def _add(form: Array, constant: Array) -> Array:
    return form.at[:, 0].add(constant)


def joint_bounds(pair: Pair, margins: Sequence[Any], center: Array, radius: Array) -> Outcome:
    """Linear bounds of the differences, with `center` and `radius` of shape (inputs, boxes).

    `margins` bound the rounding errors of what is computed for each layer, one vector per layer.
    """
    w, b, dw, db, v, c = pair
    depth, inputs = len(w), center.shape[0]
    first = jnp.eye(inputs, dtype=center.dtype)[:, :, None] * radius[:, None, :]
    x = jnp.concatenate([center[:, None, :], first], 1)

    # Forms of y = W h + b, z = V k + c and y - z; in the first layer they are exact.
    forms = [_add(_dot(m, x), n[:, None]) for m, n in ((w[0], b[0]), (v[0], c[0]), (dw[0], db[0]))]
    spreads = [jnp.zeros_like(form) for form in forms]
    values = [form[:, 0] for form in forms]
    layers = []
    for i in range(1, depth):
        y, z, dz = (_ends(f, s, margins[i - 1]) for f, s in zip(forms, spreads, strict=True))
        dz = _Span(
            jnp.maximum(dz.low, y.low - z.high - margins[i - 1][:, None]),
            jnp.minimum(dz.high, y.high - z.low + margins[i - 1][:, None]),
        )
        y0, z0, d0 = values
        up, down = _upper_plane(y, z, dz, y0, z0, d0), _lower_plane(y, z, dz, y0, z0, d0)
        sy, my = _chord(y)
        sz, mz = _chord(z)
        # relu(z) >= z and relu(z) >= 0; the better at the center.
        ty, tz = ((value > 0).astype(x.dtype) for value in (y0, z0))
        h0, k0 = _positive(y0), _positive(z0)
        e0 = jnp.where((y0 > 0) & (z0 > 0), d0, h0 - k0)
        layers.append((up, down, sz, mz, tz, z0, d0, forms[1], e0, k0))
        if i == depth - 1:
            break

        (y_mid, z_mid, d_mid), (y_rad, z_rad, d_rad) = forms, spreads
        h_high = _add(sy[:, None] * (y_mid + y_rad), my)
        h_low = ty[:, None] * (y_mid - y_rad)
        k_high = _add(sz[:, None] * (z_mid + z_rad), mz)
        k_low = tz[:, None] * (z_mid - z_rad)
        e_high = _add(_above(up, d_mid, d_rad, z_mid, z_rad), up.m)
        e_low = _add(-_above(_Plane(-down.a, -down.b, down.m), d_mid, d_rad, z_mid, z_rad), down.m)
        middles = [(high + low) / 2 for high, low in ((h_high, h_low), (k_high, k_low))]
        widths = [(high - low) / 2 for high, low in ((h_high, h_low), (k_high, k_low))]
        e_mid, e_rad = (e_high + e_low) / 2, (e_high - e_low) / 2
        forms = [
            _add(_dot(w[i], middles[0]), b[i][:, None]),
            _add(_dot(v[i], middles[1]), c[i][:, None]),
            _add(_dot(w[i], e_mid) + _dot(dw[i], middles[1]), db[i][:, None]),
        ]
        size = jnp.abs(w[i])
        spreads = [
            _dot(size, widths[0]),
            _dot(jnp.abs(v[i]), widths[1]),
            _dot(size, e_rad) + _dot(jnp.abs(dw[i]), widths[1]),
        ]
        values = [
            _dot(w[i], h0) + b[i][:, None],
            _dot(v[i], k0) + c[i][:, None],
            _dot(w[i], e0) + _dot(dw[i], k0) + db[i][:, None],
        ]
    return _backwards(pair, margins[-1], x, radius, layers)


def _above(plane: _Plane, d_mid, d_rad, z_mid, z_rad) -> Array:
    """The form that bounds a dz + b z from above."""
    a, b = plane.a[:, None], plane.b[:, None]
    return a * d_mid + jnp.abs(a) * d_rad + b * z_mid + jnp.abs(b) * z_rad


# From the outputs back to the inputs: p . d + q . relu(z) + constant bounds the output, and each
# layer's planes replace d and relu(z) by dz and z, according to the signs of p and q.
def _backwards(pair: Pair, margin: Any, x: Array, radius: Array, layers: list) -> Outcome:
    w, b, dw, db, v, c = pair
    outputs, boxes = len(b[-1]), x.shape[-1]

    def both(rows: Any) -> Array:
        rows = rows.reshape(outputs, -1).T  # (units, outputs)
        rows = jnp.concatenate([rows, -rows], 1)[:, :, None]
        return jnp.broadcast_to(rows, (*rows.shape[:2], boxes))

    constant = both(db[-1])[0]
    score = jnp.zeros((x.shape[0], 2 * outputs, boxes), x.dtype)
    if not layers:
        q = both(dw[-1])
        center = _dot(dw[-1], x[:, 0]) + db[-1][:, None]
    else:
        p, q = both(w[-1]), both(dw[-1])
        *_, e0, k0 = layers[-1]
        center = _dot(w[-1], e0) + _dot(dw[-1], k0) + db[-1][:, None]
    for i in range(len(layers) - 1, -1, -1):
        up, down, sz, mz, tz, z0, d0, form, *_ = layers[i]
        pp, pn, qp, qn = _positive(p), _negative(p), _positive(q), _negative(q)
        wide = (up.a - down.a) * d0 + (up.b - down.b) * z0 + up.m - down.m
        slack = jnp.abs(p) * wide[:, None] + jnp.abs(q) * ((sz - tz) * z0 + mz)[:, None]
        share = jnp.abs(form[:, 1:])
        share = share / jnp.maximum(share.sum(1, keepdims=True), jnp.finfo(x.dtype).tiny)
        score = score + jnp.einsum("nib,nob->iob", share, slack)
        on_d = pp * up.a[:, None] + pn * down.a[:, None]
        on_z = pp * up.b[:, None] + pn * down.b[:, None] + qp * sz[:, None] + qn * tz[:, None]
        constant = constant + (
            pp * up.m[:, None]
            + pn * down.m[:, None]
            + qp * mz[:, None]
            + on_d * db[i][:, None, None]
            + on_z * c[i][:, None, None]
        ).sum(0)
        # In the first layer x itself is the same for both networks: d is zero there.
        p, q = _dot(w[i].T, on_d), _dot(dw[i].T, on_d) + _dot(v[i].T, on_z)
    slopes = q * radius[:, None]
    upper = constant + (q * x[:, :1]).sum(0) + jnp.abs(slopes).sum(0)
    upper = upper + jnp.concatenate([margin, margin])[:, None]
    worst = upper.argmax(0)[None, None]
    score = jnp.take_along_axis(score, jnp.broadcast_to(worst, (x.shape[0], 1, boxes)), 1)[:, 0]
    return Outcome(upper, slopes, center, score)
