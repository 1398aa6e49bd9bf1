"""Linear bounds of the difference of two networks on boxes, propagated through both jointly."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._cells import gamma

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

    @property
    def size(self) -> Array:
        """The largest absolute value."""
        return jnp.maximum(jnp.abs(self.low), jnp.abs(self.high))


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


def _norm(form: Array) -> Array:
    return jnp.abs(form).sum(1)


def _ends(middle: Array, spread: Array, error: Array, unit: float) -> _Span:
    """Bounds of what lies between the forms middle - spread and middle + spread."""
    high, low = middle + spread, middle - spread
    error = 1.01 * error + gamma(middle.shape[1] + 4, unit) * (_norm(middle) + _norm(spread))
    return _Span(
        low[:, 0] - jnp.abs(low[:, 1:]).sum(1) - error,
        high[:, 0] + jnp.abs(high[:, 1:]).sum(1) + error,
    )


def _add(form: Array, constant: Any) -> Array:
    return form.at[:, 0].add(constant)


# Rounding. JAX knows no directed rounding, so errors run along: `errors` bound, per unit and box,
# by how much the forms y, z, dz that are computed may be off on the box. One sum of n products is
# off by gamma_(n+1) times the sum of their sizes, and passes the errors of its terms on with the
# sizes of their factors, all of which are at most 1 in the planes. Slopes of planes are floats, and
# valid as they are; rounding of an intercept is at most 8 units of the spans that it is made of,
# and is added to it. Errors are sums of non-negative terms: rounding them costs less than the 1 per
# cent that is added where they are used. A result that underflows is off by less than `floor`.
#
# Backwards, p and q are taken as they are computed, and what they are off is multiplied by the
# largest |d| and relu(z) on the box, which the spans know.
def joint_bounds(pair: Pair, center: Array, radius: Array) -> Outcome:
    """Linear bounds of the differences, with `center` and `radius` of shape (inputs, boxes)."""
    w, b, dw, db, v, c = pair
    depth, inputs = len(w), center.shape[0]
    info = jnp.finfo(center.dtype)
    unit, floor = float(info.eps) / 2, float(info.tiny) * 2.0**20
    first = jnp.eye(inputs, dtype=center.dtype)[:, :, None] * radius[:, None, :]
    x = jnp.concatenate([center[:, None, :], first], 1)
    size = jnp.abs(center) + radius

    # Forms of y = W h + b, z = V k + c and y - z.
    affine = ((w[0], b[0]), (v[0], c[0]), (dw[0], db[0]))
    forms = [_add(_dot(m, x), n[:, None]) for m, n in affine]
    spreads = [jnp.zeros_like(form) for form in forms]
    errors = [
        gamma(inputs + 4, unit) * (_dot(jnp.abs(m), size) + jnp.abs(n)[:, None]) + floor
        for m, n in affine
    ]
    values = [form[:, 0] for form in forms]
    layers = []
    for i in range(1, depth):
        y, z, dz = (_ends(f, s, e, unit) for f, s, e in zip(forms, spreads, errors, strict=True))
        slack = 4 * unit * (y.size + z.size)
        dz = _Span(
            jnp.maximum(dz.low, y.low - z.high - slack),
            jnp.minimum(dz.high, y.high - z.low + slack),
        )
        y0, z0, d0 = values
        up, down = _upper_plane(y, z, dz, y0, z0, d0), _lower_plane(y, z, dz, y0, z0, d0)
        slack = 8 * unit * (y.size + z.size + dz.size)
        up, down = up._replace(m=up.m + slack), down._replace(m=down.m - slack)
        sy, my = _chord(y)
        sz, mz = _chord(z)
        my, mz = my + 8 * unit * y.size, mz + 8 * unit * z.size
        # relu(z) >= z and relu(z) >= 0; the better at the center.
        ty, tz = ((value > 0).astype(x.dtype) for value in (y0, z0))
        h0, k0 = _positive(y0), _positive(z0)
        e0 = jnp.where((y0 > 0) & (z0 > 0), d0, h0 - k0)
        layers.append(_Layer(up, down, sz, mz, tz, z, dz, z0, d0, e0, k0, forms[1]))
        if i == depth - 1:
            break

        (y_mid, z_mid, d_mid), (y_rad, z_rad, d_rad) = forms, spreads
        h = (_add(sy[:, None] * (y_mid + y_rad), my), ty[:, None] * (y_mid - y_rad))
        k = (_add(sz[:, None] * (z_mid + z_rad), mz), tz[:, None] * (z_mid - z_rad))
        above = _above(up.a, up.b, d_mid, d_rad, z_mid, z_rad)
        below = _above(-down.a, -down.b, d_mid, d_rad, z_mid, z_rad)
        e = (_add(above, up.m), _add(-below, down.m))
        (h_mid, h_rad), (k_mid, k_rad), (e_mid, e_rad) = (
            ((high + low) / 2, (high - low) / 2) for high, low in (h, k, e)
        )
        z_norm = _norm(z_mid) + _norm(z_rad)
        d_norm = _norm(d_mid) + _norm(d_rad)
        more = gamma(w[i].shape[1] + 24, unit)
        h_error = 2 * errors[0] + more * (_norm(y_mid) + _norm(y_rad) + y.size)
        k_error = 2 * errors[1] + more * (z_norm + z.size)
        e_error = 2 * (errors[1] + errors[2])
        e_error = e_error + more * (z_norm + d_norm + y.size + z.size + dz.size)
        h_error, k_error, e_error = (
            error + more * (_norm(mid) + _norm(rad))
            for error, mid, rad in (
                (h_error, h_mid, h_rad),
                (k_error, k_mid, k_rad),
                (e_error, e_mid, e_rad),
            )
        )
        size_w, size_v, size_d = jnp.abs(w[i]), jnp.abs(v[i]), jnp.abs(dw[i])
        forms = [
            _add(_dot(w[i], h_mid), b[i][:, None]),
            _add(_dot(v[i], k_mid), c[i][:, None]),
            _add(_dot(w[i], e_mid) + _dot(dw[i], k_mid), db[i][:, None]),
        ]
        spreads = [
            _dot(size_w, h_rad),
            _dot(size_v, k_rad),
            _dot(size_w, e_rad) + _dot(size_d, k_rad),
        ]
        errors = [
            _dot(size_w, h_error) + (more * jnp.abs(b[i]) + floor)[:, None],
            _dot(size_v, k_error) + (more * jnp.abs(c[i]) + floor)[:, None],
            1.01 * (_dot(size_w, e_error) + _dot(size_d, k_error))
            + (more * jnp.abs(db[i]) + floor)[:, None],
        ]
        values = [
            _dot(w[i], h0) + b[i][:, None],
            _dot(v[i], k0) + c[i][:, None],
            _dot(w[i], e0) + _dot(dw[i], k0) + db[i][:, None],
        ]
    return _backwards(pair, x, radius, layers)


class _Layer(NamedTuple):
    """Planes of one hidden layer, its spans, and what is known at the centers."""

    up: _Plane
    down: _Plane
    sz: Array
    mz: Array
    tz: Array
    z: _Span
    dz: _Span
    z0: Array
    d0: Array
    e0: Array
    k0: Array
    form: Array


def _above(a: Array, b: Array, d_mid, d_rad, z_mid, z_rad) -> Array:
    """The form that bounds a dz + b z from above."""
    a, b = a[:, None], b[:, None]
    return a * d_mid + jnp.abs(a) * d_rad + b * z_mid + jnp.abs(b) * z_rad


# From the outputs back to the inputs: p . d + q . relu(z) + constant bounds the output, and each
# layer's planes replace d and relu(z) by dz and z, according to the signs of p and q.
def _backwards(pair: Pair, x: Array, radius: Array, layers: list[_Layer]) -> Outcome:
    w, b, dw, db, v, c = pair
    outputs, (inputs, _, boxes) = len(b[-1]), x.shape
    info = jnp.finfo(x.dtype)
    unit, floor = float(info.eps) / 2, float(info.tiny) * 2.0**20
    reach = jnp.abs(x[:, 0]) + radius

    def both(rows: Any) -> Array:
        rows = rows.reshape(outputs, -1).T  # (units, outputs)
        rows = jnp.concatenate([rows, -rows], 1)[:, :, None]
        return jnp.broadcast_to(rows, (*rows.shape[:2], boxes))

    constant = both(db[-1])[0]
    score = jnp.zeros((inputs, 2 * outputs, boxes), x.dtype)
    p, q = jnp.zeros_like(both(w[-1])), both(dw[-1])
    if layers:
        p = both(w[-1])
        center = _dot(w[-1], layers[-1].e0) + _dot(dw[-1], layers[-1].k0) + db[-1][:, None]
        last = _positive(layers[-1].z.high)
    else:
        center, last = _dot(dw[-1], x[:, 0]) + db[-1][:, None], reach
    error = 2 * unit * (jnp.abs(constant) + (jnp.abs(q) * last[:, None]).sum(0))
    for i in range(len(layers) - 1, -1, -1):
        up, down, sz, mz, tz, z, dz, z0, d0, *_, form = layers[i]
        pp, pn, qp, qn = _positive(p), _negative(p), _positive(q), _negative(q)
        p_size, q_size = jnp.abs(p), jnp.abs(q)
        wide = (up.a - down.a) * d0 + (up.b - down.b) * z0 + up.m - down.m
        slack = p_size * wide[:, None] + q_size * ((sz - tz) * z0 + mz)[:, None]
        share = jnp.abs(form[:, 1:])
        share = share / jnp.maximum(share.sum(1, keepdims=True), info.tiny)
        score = score + jnp.einsum("nib,nob->iob", share, slack)

        on_d = pp * up.a[:, None] + pn * down.a[:, None]
        on_z = pp * up.b[:, None] + pn * down.b[:, None] + qp * sz[:, None] + qn * tz[:, None]
        db_i, c_i = db[i][:, None, None], c[i][:, None, None]
        constant = constant + (
            pp * up.m[:, None] + pn * down.m[:, None] + qp * mz[:, None] + on_d * db_i + on_z * c_i
        ).sum(0)
        terms = (
            p_size * (jnp.abs(up.m) + jnp.abs(down.m) + dz.size + z.size)[:, None]
            + q_size * (jnp.abs(mz) + z.size)[:, None]
            + jnp.abs(on_d) * jnp.abs(db_i)
            + jnp.abs(on_z) * jnp.abs(c_i)
        )
        rows = len(on_d)
        error = error + gamma(rows + 16, unit) * (terms.sum(0) + jnp.abs(constant)) + floor
        p, q = _dot(w[i].T, on_d), _dot(dw[i].T, on_d) + _dot(v[i].T, on_z)
        # In the first layer x itself is the same for both networks: d is zero there.
        off_z = _positive(layers[i - 1].z.high) if i > 0 else reach
        weight = _dot(jnp.abs(dw[i]), off_z)
        if i > 0:
            weight = weight + _dot(jnp.abs(w[i]), layers[i - 1].dz.size)
        other = _dot(jnp.abs(v[i]), off_z)
        off = jnp.abs(on_d) * weight[:, None] + jnp.abs(on_z) * other[:, None]
        error = error + gamma(2 * rows + 8, unit) * off.sum(0)
    slopes = q * radius[:, None]
    upper = constant + (q * x[:, :1]).sum(0) + jnp.abs(slopes).sum(0)
    sizes = jnp.abs(constant) + (jnp.abs(q) * reach[:, None]).sum(0)
    upper = upper + 1.01 * (error + gamma(inputs + 8, unit) * sizes + floor)
    worst = upper.argmax(0)[None, None]
    score = jnp.take_along_axis(score, jnp.broadcast_to(worst, (inputs, 1, boxes)), 1)[:, 0]
    return Outcome(upper, slopes, center, score)
