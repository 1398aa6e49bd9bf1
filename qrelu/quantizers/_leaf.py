"""A parameter together with the grid that it is rounded to, standing where the array stood."""

import operator
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._misc import plain
from ._calibration import AbstractCalibration
from ._gradients import LearnedStep
from ._latent import LatentBackward
from ._product import matmul

Backward = Literal["quantized", "latent"]
BACKWARDS = ("quantized", "latent")


# A grid that is not learned must not look like parameters: optimizers decay weights even where the
# gradient is zero, `lax.scan` over layers slices every array, and `jax.grad` refuses integers. So
# concrete numbers move into the structure of the pytree, where no optimizer finds them. Traced
# numbers cannot; they become integers with the same bits, which no filter for floats selects.
@jax.tree_util.register_static
class _Fixed:
    def __init__(self, number: Any):
        self._is_array = isinstance(number, (np.ndarray, jax.Array))
        self._array = np.array(number)

    def _identity(self) -> tuple:
        array = self._array
        return self._is_array, array.dtype.str, array.shape, array.tobytes()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fixed) and self._identity() == other._identity()

    def __repr__(self) -> str:
        return repr(self.thaw()) if self._array.ndim == 0 else f"fixed{list(self._array.shape)}"

    def thaw(self) -> Any:
        return self._array if self._is_array else self._array.item()


class _FixedTraced(eqx.Module):
    integers: Array
    dtype: Any = eqx.field(static=True)

    def thaw(self) -> Array:
        return jax.lax.bitcast_convert_type(self.integers, self.dtype)


# Each node of a pytree costs every call of a compiled function microseconds in Python, which small
# models feel. A grid without leaves is therefore one node, compared by what it is made of.
@jax.tree_util.register_static
class _Constant:
    def __init__(self, rule: Any):
        self.rule = rule
        self._structure = jax.tree.structure(rule)
        self._hash = hash(self._structure)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, _Constant) and self._structure == other._structure

    def __repr__(self) -> str:
        return repr(self.rule)

    def thaw(self) -> Any:
        return thaw(self.rule)


def _is_fixed(node: Any) -> bool:
    return isinstance(node, (_Fixed, _FixedTraced, _Constant))


def freeze(rule: Any, stacked: tuple[int, ...]) -> Any:
    """The same grid with no leaf that a filter for floating-point arrays selects."""

    def fix(leaf: Any) -> Any:
        if isinstance(leaf, LearnedStep):
            return eqx.tree_at(lambda q: q.grid, leaf, jax.tree.map(fix, leaf.grid))
        if isinstance(leaf, Tracer):
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                return leaf
            integer = jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")
            return _FixedTraced(jax.lax.bitcast_convert_type(leaf, integer), leaf.dtype)
        numbers = (float, int, np.number, np.ndarray, jax.Array)
        return _Fixed(leaf) if isinstance(leaf, numbers) else leaf

    rule = jax.tree.map(fix, rule, is_leaf=lambda x: isinstance(x, LearnedStep))
    if not jax.tree.leaves(rule):
        return _Constant(rule)
    arrays, rest = eqx.partition(rule, eqx.is_array)
    arrays = jax.tree.map(lambda a: jnp.broadcast_to(a, stacked + a.shape), arrays)
    return eqx.combine(arrays, rest)


def thaw(rule: Any) -> Any:
    """The inverse of `freeze`."""
    return jax.tree.map(lambda x: x.thaw() if _is_fixed(x) else x, rule, is_leaf=_is_fixed)


def resolve(latent: Any, rule: Any, axes: int, key: Any) -> Any:
    """The grid values of a latent array, one grid for each entry of the axes in front of its own.

    `lax.scan` over layers and `jax.vmap` over networks take these axes away, and the grids must
    not depend on whether they are there.
    """
    if latent.ndim <= axes:
        if isinstance(rule, AbstractCalibration):
            if latent.ndim < axes:
                raise ValueError(
                    f"`wrap(model, {type(rule).__name__}(...))` took this parameter as an array of "
                    f"{axes} axes, and here it has {latent.ndim}, so that other grids would come "
                    "out. Where networks are stacked, wrap each: "
                    "`equinox.filter_vmap(lambda m: wrap(m, q))(models)`."
                )
            rule = rule.grid(latent)
        return rule(latent, key)
    arrays, rest = eqx.partition(rule, eqx.is_array)

    def one(latent: Any, arrays: Any, key: Any) -> Any:
        return resolve(latent, eqx.combine(arrays, rest), axes, key)

    keys = None if key is None else jax.random.split(key, latent.shape[0])
    return jax.vmap(one)(latent, arrays, keys)


def _operand(x: Any) -> Any:
    return x._resolved if isinstance(x, Wrapped) else x


def _unary(function: Callable) -> Callable:
    return lambda self: function(self._resolved)


def _binary(function: Callable) -> Callable:
    return lambda self, other: function(self._resolved, _operand(other))


def _reflected(function: Callable) -> Callable:
    return lambda self, other: function(other, self._resolved)


class Wrapped(eqx.Module):
    r"""A parameter that `wrap` replaced: the latent numbers, and how they are rounded.

    It behaves as the array of the grid values, which are computed anew from `latent` wherever they
    are used. What an optimizer sees is `latent`, and the step where it is learned.
    """

    latent: Array
    held: Any
    axes: int = eqx.field(converter=plain, static=True)
    backward: Backward = eqx.field(static=True)

    __array_ufunc__ = None  # NumPy arrays on the left leave the operators to this class

    @property
    def rule(self) -> Any:
        """The quantizer, or the calibration that chooses one."""
        return thaw(self.held)

    def quantized(self, key: Any = None) -> Array:
        """The grid values as a JAX array; `key` for stochastic rounding."""
        rule = self.rule
        if key is None and getattr(rule, "rounding", None) == "stochastic":
            raise ValueError(
                "`wrap(model, q)` with stochastic rounding must be resolved with a key; got none. "
                "Call `unwrap(model, key=key)` inside the loss, with another key for every call."
            )
        return resolve(jnp.asarray(self.latent), rule, self.axes, key)

    @property
    def _resolved(self) -> Any:
        if self.backward == "quantized":
            return self.quantized()
        return LatentBackward(self.quantized(), jnp.asarray(self.latent))

    @property
    def __jax_array__(self) -> Callable[[], Array]:
        if self.backward == "latent":
            # To JAX it is no array then: a function would differentiate through the grid values.
            raise AttributeError("__jax_array__")
        return self.quantized

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.quantized(), dtype)

    shape = property(lambda self: self.latent.shape)
    ndim = property(lambda self: self.latent.ndim)
    size = property(lambda self: self.latent.size)
    dtype = property(lambda self: self.latent.dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(jax.Array, name):
            raise AttributeError(f"`{type(self).__name__}` has no attribute {name!r}.")
        return getattr(self._resolved, name)

    def __len__(self) -> int:
        return len(self.latent)

    def __iter__(self) -> Any:
        resolved = self._resolved
        return iter([resolved[i] for i in range(len(self))])

    def __getitem__(self, index: Any) -> Any:
        return self._resolved[index]

    __add__ = _binary(operator.add)
    __radd__ = _reflected(operator.add)
    __sub__ = _binary(operator.sub)
    __rsub__ = _reflected(operator.sub)
    __mul__ = _binary(operator.mul)
    __rmul__ = _reflected(operator.mul)
    __truediv__ = _binary(operator.truediv)
    __rtruediv__ = _reflected(operator.truediv)
    __floordiv__ = _binary(operator.floordiv)
    __rfloordiv__ = _reflected(operator.floordiv)
    __mod__ = _binary(operator.mod)
    __rmod__ = _reflected(operator.mod)
    __pow__ = _binary(operator.pow)
    __rpow__ = _reflected(operator.pow)
    __matmul__ = _binary(matmul)
    __rmatmul__ = _reflected(operator.matmul)
    __lt__ = _binary(operator.lt)
    __le__ = _binary(operator.le)
    __gt__ = _binary(operator.gt)
    __ge__ = _binary(operator.ge)
    __neg__ = _unary(operator.neg)
    __pos__ = _unary(operator.pos)
    __abs__ = _unary(operator.abs)
    __float__ = _unary(float)
    __int__ = _unary(int)
    __bool__ = _unary(bool)
