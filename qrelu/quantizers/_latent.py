"""Products with the value of the quantized matrix and a backward pass through the latent one."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


# y = product(q(w), x). What q does to dw is already in the tangent of q(w), so y has the tangent
# product(dq(w), x) + product(q(w), dx) in the textbook; here the second term is product(w, dx).
# For a plain x the latent is x itself. Both terms are linear in the tangents, so that one rule
# serves forward and reverse mode.
@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _latent_product(product: Callable, w: Any, w_latent: Any, x: Any, x_latent: Any) -> Array:
    return product(w, x)


@_latent_product.defjvp
def _(product, primals, tangents):
    _, w_latent, _, x_latent = primals
    w_tangent, _, x_tangent, _ = tangents
    tangent = product(w_tangent, x_latent) + product(w_latent, x_tangent)
    return _latent_product(product, *primals), tangent


class LatentBackward:
    """A quantized array that remembers the latent one for the backward pass of its products.

    It is no array to JAX on purpose: a function that knows nothing of the latent array must fail
    rather than differentiate through the quantized one unnoticed.
    """

    __array_ufunc__ = None  # NumPy arrays on the left leave the operators to this class

    def __init__(self, quantized: Array, latent: Array):
        self.quantized = quantized
        self.latent = latent

    shape = property(lambda self: self.quantized.shape)
    ndim = property(lambda self: self.quantized.ndim)
    size = property(lambda self: self.quantized.size)
    dtype = property(lambda self: self.quantized.dtype)
    T = property(lambda self: self._both(lambda a: a.T))
    mT = property(lambda self: self._both(lambda a: a.mT))

    def _both(self, change: Callable[[Array], Array]) -> "LatentBackward":
        return LatentBackward(change(self.quantized), change(self.latent))

    def reshape(self, *shape: Any) -> "LatentBackward":
        return self._both(lambda a: a.reshape(*shape))

    def astype(self, dtype: Any) -> "LatentBackward":
        return self._both(lambda a: a.astype(dtype))

    def __getitem__(self, index: Any) -> "LatentBackward":
        return self._both(lambda a: a[index])

    def __len__(self) -> int:
        return len(self.quantized)

    # Without this, JAX would take it for a sequence and go over its entries one by one. (With
    # `__jax_array__`, JAX arrays on the left would not leave the operators to this class.)
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            '`wrap(..., backward="latent")` gives matrices that can be multiplied, added, reshaped '
            "and indexed; another function would be differentiated at the quantized values. Use "
            '`backward="quantized"`.'
        )

    def _product(self, product: Callable, x: Any) -> Array:
        values = x if isinstance(x, LatentBackward) else LatentBackward(jnp.asarray(x), x)
        # Integers have no tangents; everything takes part in the type of the result.
        dtype = jnp.result_type(self.dtype, values.dtype)
        w, w_latent = self.quantized.astype(dtype), self.latent.astype(dtype)
        x, x_latent = values.quantized.astype(dtype), jnp.asarray(values.latent).astype(dtype)
        return _latent_product(product, w, w_latent, x, x_latent)

    def __matmul__(self, x: Any) -> Array:
        return self._product(_matmul(), x)

    def __rmatmul__(self, x: Any) -> Array:
        return self._product(_rmatmul(), x)

    def __mul__(self, x: Any) -> Array:
        return self._product(jnp.multiply, x)

    __rmul__ = __mul__

    def __add__(self, x: Any) -> Array:
        return self.quantized + (x.quantized if isinstance(x, LatentBackward) else x)

    __radd__ = __add__

    def __sub__(self, x: Any) -> Array:
        return self.quantized - (x.quantized if isinstance(x, LatentBackward) else x)

    def __rsub__(self, x: Any) -> Array:
        return x - self.quantized


# The derivative may be taken outside the `with jax.default_matmul_precision(...)` of the product,
# so the precision is read off where the product is written.
def _matmul() -> Callable:
    precision = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009
    return functools.partial(jnp.matmul, precision=precision)


def _rmatmul() -> Callable:
    matmul = _matmul()
    return lambda w, x: matmul(x, w)
