"""Linear bounds of the difference of two networks on boxes, propagated through both jointly."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._outward import gamma
from ._planes import Plane, Span, chord, lower_plane, negative, positive, upper_plane

# Arrays have the units first and the boxes last: one matrix product serves all boxes.


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


class _Form(NamedTuple):
    """An affine function per unit and box: its center, and its slopes times the radii."""

    center: Array  # (units, boxes)
    slopes: Array  # (units, inputs, boxes)


class _Strip(NamedTuple):
    """A unit lies between the forms middle - spread and middle + spread, up to the error."""

    middle: _Form
    spread: _Form | None  # None for zero, in the first layer
    error: Array  # (units, boxes)


class _Known(NamedTuple):
    """Bounds of a unit, and the sum of the sizes of all that its strip is made of."""

    span: Span
    norm: Array


class _Layer(NamedTuple):
    """Lines and planes of one hidden layer: relu(y) <= sy y + my, relu(y) >= ty y, likewise z."""

    up: Plane
    down: Plane
    sy: Array
    my: Array
    ty: Array
    sz: Array
    mz: Array
    tz: Array
    z: Span
    dz: Span


def _dot(w: Any, x: Array) -> Array:
    """A matrix times an array whose first axis is that of the units."""
    flat = x.reshape(x.shape[0], -1)
    product = jnp.matmul(w, flat, precision=jax.lax.Precision.HIGHEST)
    return product.reshape(w.shape[0], *x.shape[1:])


# XLA computes what elementwise operations need again wherever it is used: all planes once per slope
# that they multiply, and more. What comes out of a conditional is stored. The condition always
# holds, except for NaN, to which NaN is the answer.
def _stored(function: Callable, center: Array, *arguments: Any) -> Any:
    """The function of the arguments, computed once; it changes the speed only."""
    shapes = jax.eval_shape(function, *arguments)

    def otherwise(*_: Any) -> Any:
        return jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)

    return jax.lax.cond(center[0, 0] == center[0, 0], function, otherwise, *arguments)


def _known(strip: _Strip, unit: float) -> _Known:
    middle, spread, error = strip
    more = gamma(middle.slopes.shape[1] + 4, unit)
    if spread is None:
        reach = jnp.abs(middle.slopes).sum(1)
        norm = jnp.abs(middle.center) + reach
        error = 1.01 * error + more * norm
        return _Known(Span(middle.center - reach - error, middle.center + reach + error), norm)
    # |m + r| and |m - r|: the larger one is |m| + |r|.
    above = jnp.abs(middle.slopes + spread.slopes).sum(1)
    below = jnp.abs(middle.slopes - spread.slopes).sum(1)
    norm = jnp.abs(middle.center) + jnp.abs(spread.center) + above + below
    error = 1.01 * error + more * norm
    low = middle.center - spread.center - below - error
    return _Known(Span(low, middle.center + spread.center + above + error), norm)


def _relaxed(y: Span, z: Span, dz: Span, y0: Array, z0: Array, d0: Array, unit: float) -> _Layer:
    slack = 4 * unit * (y.size + z.size)
    dz = Span(
        jnp.maximum(dz.low, y.low - z.high - slack), jnp.minimum(dz.high, y.high - z.low + slack)
    )
    up, down = upper_plane(y, z, dz, y0, z0, d0), lower_plane(y, z, dz, y0, z0, d0)
    slack = 8 * unit * (y.size + z.size + dz.size)
    up, down = up._replace(m=up.m + slack), down._replace(m=down.m - slack)
    (sy, my), (sz, mz) = chord(y), chord(z)
    my, mz = my + 8 * unit * y.size, mz + 8 * unit * z.size
    # relu(z) >= z and relu(z) >= 0; the better at the center.
    ty, tz = ((value > 0).astype(value.dtype) for value in (y0, z0))
    return _Layer(up, down, sy, my, ty, sz, mz, tz, z, dz)


def _activation(s: Array, m: Array, t: Array, strip: _Strip) -> tuple[_Form, _Form]:
    """Middle and spread of what lies between t (middle - spread) and s (middle + spread) + m."""
    half, rest = (s + t) / 2, (s - t) / 2
    middle = _combined(half, strip.middle, rest, strip.spread, m / 2)
    return middle, _combined(rest, strip.middle, half, strip.spread, m / 2)


def _difference(up: Plane, down: Plane, z: _Strip, dz: _Strip) -> tuple[_Form, _Form]:
    """Middle and spread of what lies between two planes; all their slopes a are positive."""
    a, a_rest = (up.a + down.a) / 2, (up.a - down.a) / 2
    b, b_rest = (up.b + down.b) / 2, (up.b - down.b) / 2
    size, rest = (jnp.abs(up.b) + jnp.abs(down.b)) / 2, (jnp.abs(up.b) - jnp.abs(down.b)) / 2
    middle = _sum(
        _combined(a, dz.middle, a_rest, dz.spread, (up.m + down.m) / 2),
        _combined(b, z.middle, rest, z.spread, 0),
    )
    spread = _sum(
        _combined(a_rest, dz.middle, a, dz.spread, (up.m - down.m) / 2),
        _combined(b_rest, z.middle, size, z.spread, 0),
    )
    return middle, spread


def _combined(p: Array, first: _Form, q: Array, second: _Form | None, constant: Any) -> _Form:
    """p first + q second + constant."""
    center, slopes = p * first.center + constant, p[:, None] * first.slopes
    if second is None:
        return _Form(center, slopes)
    return _Form(center + q * second.center, slopes + q[:, None] * second.slopes)


def _sum(first: _Form, second: _Form) -> _Form:
    return _Form(first.center + second.center, first.slopes + second.slopes)


# Rounding. JAX knows no directed rounding, so errors run along: `error` bounds, per unit and box,
# by how much the strips of y, z, dz that are computed may be off on the box. One sum of n products
# is off by gamma_(n+1) times the sum of their sizes, and passes the errors of its terms on with the
# sizes of their factors, all of which are at most 1 in the planes. Slopes of planes are floats, and
# valid as they are; rounding of an intercept is at most 8 units of the spans that it is made of,
# and is added to it. Errors are sums of non-negative terms: rounding them costs less than the 1 per
# cent that is added where they are used. A result that underflows is off by less than `floor`.
#
# The forms above and below an activation are at most its norm and the span of its intercept, so
# middle and spread together are at most twice that, and 12 operations make them; for a difference
# it is both norms and all spans, three times with its rounding.
#
# Backwards, p and q are taken as they are computed, and what they are off is multiplied by the
# largest |d| and relu(z) on the box, which the spans know.
def joint_bounds(pair: Pair, center: Array, radius: Array) -> Outcome:
    """Linear bounds of the differences, with `center` and `radius` of shape (inputs, boxes)."""
    w, b, dw, db, v, c = pair
    depth, inputs = len(w), center.shape[0]
    info = jnp.finfo(center.dtype)
    unit, floor = float(info.eps) / 2, float(info.tiny) * 2.0**20
    size = jnp.abs(center) + radius

    # Strips of y = W h + b, z = V k + c and y - z, and their values at the centers.
    strips, values = [], []
    for m, n in ((w[0], b[0]), (v[0], c[0]), (dw[0], db[0])):
        values.append(_dot(m, center) + n[:, None])
        error = gamma(inputs + 4, unit) * (_dot(jnp.abs(m), size) + jnp.abs(n)[:, None]) + floor
        form = _Form(values[-1], m[:, :, None] * radius[None])
        strips.append(_Strip(form, None, error))

    layers: list[_Layer] = []
    e0, k0 = jnp.zeros_like(center), center

    def relax(strips: list[_Strip], values: list[Array]) -> tuple[_Layer, list[_Known]]:
        known = [_known(strip, unit) for strip in strips]
        y, z, dz = (k.span for k in known)
        y0, z0, d0 = values
        return _relaxed(y, z, dz, y0, z0, d0, unit), known

    for i in range(1, depth):
        layer, known = _stored(relax, center, strips, values)
        layers.append(layer)
        y0, z0, d0 = values
        h0, k0 = positive(y0), positive(z0)
        e0 = jnp.where((y0 > 0) & (z0 > 0), d0, h0 - k0)
        if i == depth - 1:
            break

        h = _activation(layer.sy, layer.my, layer.ty, strips[0])
        k = _activation(layer.sz, layer.mz, layer.tz, strips[1])
        e = _difference(layer.up, layer.down, strips[1], strips[2])
        more = gamma(2 * w[i].shape[1] + 32, unit)
        y, z, dz = known
        spans = y.span.size + z.span.size + layer.dz.size
        h_error = 1.01 * strips[0].error + 2 * more * (y.norm + y.span.size)
        k_error = 1.01 * strips[1].error + 2 * more * (z.norm + z.span.size)
        e_error = 1.01 * (strips[1].error + strips[2].error) + 3 * more * (z.norm + dz.norm + spans)
        change, size = jnp.abs(dw[i]), jnp.abs(w[i])
        y_error = _dot(size, h_error) + (more * jnp.abs(b[i]) + floor)[:, None]
        z_error = _dot(jnp.abs(v[i]), k_error) + (more * jnp.abs(c[i]) + floor)[:, None]
        d_error = _dot(size, e_error) + _dot(change, k_error)
        d_error = 1.01 * d_error + (more * jnp.abs(db[i]) + floor)[:, None]
        strips = [
            _Strip(_mapped(w[i], h[0], b[i]), _mapped(size, h[1]), y_error),
            _Strip(_mapped(v[i], k[0], c[i]), _mapped(jnp.abs(v[i]), k[1]), z_error),
            _Strip(
                _sum(_mapped(w[i], e[0], db[i]), _mapped(dw[i], k[0])),
                _sum(_mapped(size, e[1]), _mapped(change, k[1])),
                d_error,
            ),
        ]
        values = [
            _dot(w[i], h0) + b[i][:, None],
            _dot(v[i], k0) + c[i][:, None],
            _dot(w[i], e0) + _dot(dw[i], k0) + db[i][:, None],
        ]
    output = _dot(w[-1], e0) + _dot(dw[-1], k0) + db[-1][:, None]
    upper, slopes = _backwards(pair, center, radius, layers)
    return Outcome(upper, slopes, output)


def _mapped(w: Any, form: _Form, b: Any = None) -> _Form:
    center = _dot(w, form.center)
    return _Form(center if b is None else center + b[:, None], _dot(w, form.slopes))


# From the outputs back to the inputs: p . d + q . relu(z) + constant bounds the output, and each
# layer's planes replace d and relu(z) by dz and z, according to the signs of p and q.
def _backwards(
    pair: Pair, center: Array, radius: Array, layers: list[_Layer]
) -> tuple[Array, Array]:
    w, b, dw, db, v, c = pair
    outputs, (inputs, boxes) = len(b[-1]), center.shape
    info = jnp.finfo(center.dtype)
    unit, floor = float(info.eps) / 2, float(info.tiny) * 2.0**20
    reach = jnp.abs(center) + radius

    def both(rows: Any) -> Array:
        rows = rows.reshape(outputs, -1).T  # (units, outputs)
        rows = jnp.concatenate([rows, -rows], 1)[:, :, None]
        return jnp.broadcast_to(rows, (*rows.shape[:2], boxes))

    def replace(p: Array, q: Array, layer: _Layer, b: Array, c: Array, constant: Array):
        up, down, *_, sz, mz, tz, z, dz = layer
        pp, pn, qp, qn = positive(p), negative(p), positive(q), negative(q)
        p_size, q_size = jnp.abs(p), jnp.abs(q)
        on_d = pp * up.a[:, None] + pn * down.a[:, None]
        on_z = pp * up.b[:, None] + pn * down.b[:, None] + qp * sz[:, None] + qn * tz[:, None]
        constant = constant + (
            pp * up.m[:, None] + pn * down.m[:, None] + qp * mz[:, None] + on_d * b + on_z * c
        ).sum(0)
        terms = (
            p_size * (jnp.abs(up.m) + jnp.abs(down.m) + dz.size + z.size)[:, None]
            + q_size * (jnp.abs(mz) + z.size)[:, None]
            + jnp.abs(on_d) * jnp.abs(b)
            + jnp.abs(on_z) * jnp.abs(c)
        )
        error = gamma(len(on_d) + 16, unit) * (terms.sum(0) + jnp.abs(constant)) + floor
        return on_d, on_z, constant, error

    constant = both(db[-1])[0]
    p, q = jnp.zeros_like(both(w[-1])), both(dw[-1])
    last = reach
    if layers:
        p, last = both(w[-1]), positive(layers[-1].z.high)
    error = 2 * unit * (jnp.abs(constant) + (jnp.abs(q) * last[:, None]).sum(0))
    for i in range(len(layers) - 1, -1, -1):
        biases = (jnp.asarray(n)[:, None, None] for n in (db[i], c[i]))
        on_d, on_z, constant, more = _stored(replace, center, p, q, layers[i], *biases, constant)
        error = error + more
        p, q = _dot(w[i].T, on_d), _dot(dw[i].T, on_d) + _dot(v[i].T, on_z)
        # In the first layer x itself is the same for both networks: d is zero there.
        off_z = positive(layers[i - 1].z.high) if i > 0 else reach
        weight = _dot(jnp.abs(dw[i]), off_z)
        if i > 0:
            weight = weight + _dot(jnp.abs(w[i]), layers[i - 1].dz.size)
        other = _dot(jnp.abs(v[i]), off_z)
        off = jnp.abs(on_d) * weight[:, None] + jnp.abs(on_z) * other[:, None]
        error = error + gamma(2 * len(on_d) + 8, unit) * off.sum(0)
    slopes = q * radius[:, None]
    upper = constant + (q * center[:, None]).sum(0) + jnp.abs(slopes).sum(0)
    sizes = jnp.abs(constant) + (jnp.abs(q) * reach[:, None]).sum(0)
    return upper + 1.01 * (error + gamma(inputs + 8, unit) * sizes + floor), slopes
