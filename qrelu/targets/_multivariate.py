"""Functions of several variables on a box, built in or a user's own."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._misc import as_domain, plain
from ._abstract import AbstractTarget
from ._duck import exponent_of, kind_of
from ._limits import Limit, no_limit
from ._rates import KnownRate

# What code that is not ours may raise when it is given an array that it cannot take.
_FOREIGN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_PROBES = 64  # points of the check of a function


class Multivariate(AbstractTarget):
    r"""A function of d >= 2 variables on a box.

    ```python
    target = targets.Multivariate(lambda x: np.exp(-x[:, 0] * x[:, 1]), (0, 1), dimension=2)
    target = targets.get("sines2d")
    ```

    Points are arrays of shape (..., d) and values have the shape (...). What works in several
    variables (`norms.L1`, `L2` and `Sup`, `training.Trained`, `training.fit`,
    `training.orthogonal_greedy`) reads the `dimension`, the box `domain` and the values; what is
    made for one variable refuses. No rate is known but what is declared, and no limit.

    - `domain`: the ends (lower, upper) of the box, two arrays of shape (d,).
    - `dimension`: d.
    - `l2`: the norm in L^2 of the box where a closed form is known, else None.
    - `description`, `difficulty`: one line and one word for tables.
    - `known`: the rates that are proven, a function of a family's `kind` and a norm's `p`, or None.
    """

    fn: Callable = eqx.field(static=True)
    name: str = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    l2: float | None = eqx.field(converter=plain, static=True)
    description: str = eqx.field(static=True)
    difficulty: str = eqx.field(static=True)
    known: Callable | None = eqx.field(static=True)
    breakpoints: tuple[float, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)
    _takes_jax: bool = eqx.field(static=True)

    def __init__(
        self,
        fn: Callable,
        domain: Any,
        *,
        dimension: int | np.integer = 1,
        name: str | None = None,
        l2: float | int | np.number | None = None,
        description: str = "",
        difficulty: str = "",
        known: Callable[[str, float], KnownRate | None] | None = None,
    ):
        r"""**Arguments:**

        - `fn`: array of points of shape (n, d) -> array of n values, written with NumPy or
            `jax.numpy`. It is checked at construction.
        - `domain`: the box: its ends (lower, upper) as two arrays of shape (d,), one interval for
            each axis, or one interval for all of them beside `dimension`.
        - `dimension`: d, if `domain` is one interval.
        - `name`: how tables and figures call it; the function's own name by default.
        - `l2`: its norm in L^2, if it is known.
        - `description`, `difficulty`: for tables.
        - `known`: the proven rates, `(kind, p) -> KnownRate`, None for families and norms in which
            none is known.

        **Raises:**

        - `ValueError`, `TypeError`: if a check fails; the message says what to change.
        """
        if not callable(fn):
            raise TypeError(f"`Multivariate(fn, ...)` must be a function of an array; got {fn!r}.")
        lower, upper = as_domain("Multivariate", domain, dimension)
        if len(lower) < 2:
            raise ValueError(
                "`Multivariate(fn, domain)` must have a box of at least two dimensions; got "
                f"{domain!r}. Pass `dimension=2`, or use `Function` for one variable."
            )
        self.fn = fn
        own = getattr(fn, "__name__", "function")
        self.name = ("function" if own == "<lambda>" else own) if name is None else name
        self.lower, self.upper = tuple(map(float, lower)), tuple(map(float, upper))
        self.l2 = plain(l2)
        self.description, self.difficulty, self.known = description, difficulty, known
        self.breakpoints, self.singular_ends = (), (False, False)
        self._takes_jax = self._checked()

    def __repr__(self) -> str:
        box = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.lower, self.upper, strict=True))
        return f"Multivariate({self.name!r}, {box})"

    @property
    def domain(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends (lower, upper) of the box, arrays of shape (d,)."""
        return np.array(self.lower), np.array(self.upper)

    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The values at points (..., d), of shape (...); NumPy gives NumPy float64, JAX gives JAX.

        A function written for NumPy is called back from compiled JAX code, without a gradient.
        """
        shape = np.shape(x)
        d = len(self.lower)
        if not shape or shape[-1] != d:
            raise ValueError(
                f"`{self.name}(x)` must get points of shape (..., {d}); got the shape {shape}."
            )
        if not isinstance(x, jax.Array):
            points = np.array(x, np.float64).reshape(-1, d)
            with jax.enable_x64(True):
                return np.array(self.fn(points), np.float64).reshape(shape[:-1])
        x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0
        if self._takes_jax:
            return jnp.asarray(self.fn(x.reshape(-1, d)), x.dtype).reshape(shape[:-1])
        return jax.pure_callback(
            lambda points: np.asarray(self(np.asarray(points)), x.dtype),
            jax.ShapeDtypeStruct(shape[:-1], x.dtype),
            x,
            vmap_method="expand_dims",
        )

    def derivative(self, x: ArrayLike) -> np.ndarray | None:
        """None: derivatives are declared in one variable only."""
        return None

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray | None:
        """None: bounds of the curvature are declared in one variable only."""
        return None

    def rate(self, family, norm) -> KnownRate | None:
        """The declared rate; see `AbstractTarget.rate`."""
        return None if self.known is None else self.known(kind_of(family), exponent_of(norm))

    def limit(self, norm, family, size: int) -> Limit:
        """None is known."""
        return no_limit("no limit is known for functions of several variables")

    def _checked(self) -> bool:
        """Whether JAX can trace the function; errors for values that are no function's."""
        call = "`Multivariate(fn, ...)`"
        d = len(self.lower)
        # Points that are special for no function written by a person, the same in every process.
        unit = np.mod(np.outer(np.arange(1, _PROBES + 1), np.sqrt(np.arange(2, d + 2))), 1.0)
        unit[0], unit[1] = 0.0, 1.0
        lower, upper = self.domain
        points = lower + (upper - lower) * unit
        try:
            with jax.enable_x64(True):
                values = np.asarray(self.fn(points.copy()))
        except _FOREIGN as error:
            first = str(error).splitlines()[0] if str(error) else "no message"
            raise ValueError(
                f"{call} must take an array of points of shape (n, {d}); {self.name} raised "
                f"{type(error).__name__}: {first}. Write it for columns, `x[:, 0]`."
            ) from error
        if values.dtype.kind not in "iuf":
            raise TypeError(
                f"{call} must return real numbers; {self.name} returned {values.dtype}."
            )
        if values.shape != (_PROBES,):
            raise ValueError(
                f"{call} must return one value per point; {self.name} returned the shape "
                f"{values.shape} for points of shape {points.shape}. Sum over `axis=-1`."
            )
        if not np.isfinite(values).all():
            i = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"{call} must be finite on its domain; {self.name}({points[i].tolist()}) is "
                f"{values[i]}. Shrink the box, or define the value there with `numpy.where`."
            )
        if self.l2 is not None and not 0 <= self.l2 < math.inf:
            raise ValueError(
                f"`Multivariate(l2=...)` must be a norm, finite and not negative; got {self.l2!r}."
            )
        try:
            jax.eval_shape(lambda x: self.fn(x), jax.ShapeDtypeStruct((7, d), jnp.float32))
        except _FOREIGN:
            return False
        return True
