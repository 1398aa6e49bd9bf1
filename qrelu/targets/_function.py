"""A user's own function as a target, checked before anything is computed with it."""

import importlib
import importlib.util
import math
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._misc import plain
from ._abstract import AbstractTarget
from ._domain import interior_points, interval
from ._duck import exponent_of, kind_of, pieces_of
from ._limits import Limit, no_limit, spline_limit
from ._multivariate import Multivariate
from ._rates import KnownRate
from ._smoothness import Estimates, largest_curvature

# What code that is not ours may raise when it is given an array that it cannot take.
_FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
    Warning,
)
_PROBES = 33  # points of the check of a function


class Function(AbstractTarget):
    r"""A function of your own on an interval.

    `fn` takes an array of points and returns an array of values of the same shape; it may be
    written with NumPy or with `jax.numpy`. It is checked at construction. What is known about it is
    what you declare; the rest (rate and limit) is estimated from a numerical second derivative
    where that is resolved, and left out where it is not.
    """

    fn: Callable = eqx.field(static=True)
    name: str = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    breakpoints: tuple[float, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)
    _curvature: float | int | Callable | None = eqx.field(converter=plain, static=True)
    _derivative: Callable | None = eqx.field(static=True)
    _gives_jax: bool = eqx.field(static=True)
    _takes_jax: bool = eqx.field(static=True)
    _estimates: Estimates = eqx.field(static=True)

    def __init__(
        self,
        fn: Callable,
        domain: Sequence[float | int],
        *,
        name: str | None = None,
        curvature: float | int | np.number | Callable | None = None,
        breakpoints: Sequence[float | int] = (),
        derivative: Callable | None = None,
    ):
        r"""**Arguments:**

        - `fn`: array of points -> array of values, the same shape.
        - `domain`: (lower, upper).
        - `name`: how tables and figures call it; the function's own name by default.
        - `curvature`: a bound on $|f''|$ between breakpoints: a number, or a function of arrays
          `(lower, upper)` that bounds it on each interval. With it a sup norm is certain.
        - `breakpoints`: the interior points where $f$ is not twice continuously differentiable.
        - `derivative`: array of points -> array of first derivatives.

        **Raises:**

        - `ValueError`, `TypeError`: if a check fails; the message says what to change.
        """
        if not callable(fn):
            raise TypeError(
                f"`Function(fn=...)` must be a function of an array; got {fn!r}. "
                "For samples use `Data(x, y)`."
            )
        self.fn = fn
        self.name = _name_of(fn) if name is None else name
        self.domain = interval(domain, "Function(domain=...)")
        self.breakpoints = interior_points(breakpoints, self.domain, "Function(breakpoints=...)")
        self.singular_ends = (False, False)
        self._derivative = derivative
        self._curvature = plain(curvature)
        x = self._probes()
        values, self._gives_jax = _checked(fn, x, "fn", self.name)
        self._takes_jax = self._gives_jax or _traceable(fn)
        if derivative is not None:
            _checked(derivative, x[1:-1], "derivative", self.name)
        if curvature is not None:
            self._check_curvature(x, values)
        cuts = (self.domain[0], *self.breakpoints, self.domain[1])
        in_jax = self._gives_jax
        self._estimates = Estimates(
            lambda x: _evaluate(fn, x.flatten(), in_jax).reshape(x.shape), cuts
        )

    def __repr__(self) -> str:
        lower, upper = self.domain
        return f"Function({self.name!r}, ({lower:g}, {upper:g}))"

    def _probes(self) -> np.ndarray:
        """The ends and points between, none of them special for a function written by a person."""
        lower, upper = self.domain
        inside = (np.arange(1, _PROBES - 1) + 0.1 * math.sqrt(2)) / _PROBES
        return np.concatenate([[lower], lower + (upper - lower) * inside, [upper]])

    def _check_curvature(self, x: np.ndarray, values: np.ndarray) -> None:
        r"""Second differences are at most $\max |f''|$; one that is not refutes the bound."""
        if not callable(self._curvature):
            bound = self._curvature
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not bound >= 0:
                raise ValueError(
                    f"`Function(curvature=...)` must be a number >= 0 or a function of "
                    f"(lower, upper); got {bound!r}."
                )
        left, right = np.diff(x)[:-1], np.diff(x)[1:]
        slopes = np.diff(values) / np.diff(x)
        second = np.abs(np.diff(slopes)) * 2 / (left + right)
        rounding = 8 * np.finfo(float).eps * np.abs(values).max() / np.minimum(left, right) ** 2
        bound = self.curvature(x[:-2], x[2:])
        if bound is None or np.isnan(bound).any() or (bound < 0).any():
            raise ValueError(
                "`Function(curvature=...)` must return numbers >= 0, one per interval; use "
                "`numpy.inf` where the second derivative is unbounded."
            )
        wrong = np.flatnonzero(second > bound * (1 + 1e-9) + rounding)
        if wrong.size:
            i = wrong[0]
            raise ValueError(
                f"`Function(curvature=...)` is no bound: near x = {x[i + 1]:.6g} |f''| reaches at "
                f"least {second[i]:.6g}, and {bound[i]:.6g} was declared. Raise it, or declare the "
                "kinks in `breakpoints`."
            )

    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The values at `x`, of the same shape; NumPy gives NumPy float64, JAX gives JAX.

        A function written for NumPy is called back from compiled JAX code, without a gradient.
        """
        if not isinstance(x, jax.Array):
            x = np.asarray(x, np.float64)
            # A copy, since the function may write into its argument or return it.
            return _evaluate(self.fn, x.flatten(), self._gives_jax).reshape(x.shape)
        x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0
        if self._takes_jax:
            return jnp.asarray(self.fn(x.ravel()), x.dtype).reshape(x.shape)
        result = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(
            lambda points: np.asarray(self(np.asarray(points)), x.dtype),
            result,
            x,
            vmap_method="expand_dims",
        )

    def derivative(self, x: ArrayLike) -> np.ndarray | None:
        """The declared first derivative at `x`, or None."""
        if self._derivative is None:
            return None
        x = np.asarray(x, np.float64)
        return _evaluate(self._derivative, x.ravel(), False).reshape(x.shape)

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray | None:
        r"""The declared bound on $|f''|$, infinite across a breakpoint, or None."""
        if self._curvature is None:
            return None
        lower, upper = np.broadcast_arrays(
            np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        )
        declared = self._curvature(lower, upper) if callable(self._curvature) else self._curvature
        bound = np.broadcast_to(np.asarray(declared, np.float64), lower.shape)
        for point in self.breakpoints:
            bound = np.where((lower < point) & (point < upper), math.inf, bound)
        return np.array(bound)

    def rate(self, family, norm) -> KnownRate | None:
        """2 where the second derivative is bounded, as declared or as estimated; otherwise None.

        For free knots an estimate of a finite integral of a power of f'' is enough. What follows
        from an estimate is marked as `estimated`. A kink or a singular point that was not declared
        is found too: then uniform knots have no known rate.
        """
        kind = kind_of(family)
        p = exponent_of(norm)
        free = kind == "free-knot"
        if not free and (self.breakpoints or kind not in ("uniform-knot", "dyadic-tree")):
            return None
        if self._curvature is not None and not callable(self._curvature):
            if math.isfinite(self._curvature):
                return KnownRate(2.0, 0.0, "classical, from the declared bound on f''")
        shape = self._estimates.shape
        if not shape.complete or self._estimates.jumps:
            return None
        if free:
            known = math.isfinite(self._estimates.integral(1 / (2 + 1 / p)))
        else:
            known = self._estimates.bounded
        if not known:
            return None
        return KnownRate(2.0, 0.0, "classical; f'' estimated numerically, not proven", True)

    def limit(self, norm, family, size: int) -> Limit:
        """The asymptotic limit from a numerical second derivative where it is resolved, or none."""
        kind, p, count = kind_of(family), exponent_of(norm), pieces_of(family, size)
        shape = self._estimates.shape
        if not shape.complete:
            return no_limit("the second derivative is not resolved; the function looks rough")

        lower, upper = self.domain
        limit = spline_limit(
            kind,
            p,
            count,
            integral=self._estimates.integral,
            largest=largest_curvature(shape),
            width=upper - lower,
            kinked=bool(self.breakpoints or shape.rough),
        )
        if limit.value == 0:
            return no_limit("the function is piecewise linear as far as its values show")
        if limit.label == "none":
            return limit
        return limit._replace(source=f"{limit.source}; f'' estimated numerically")


def _name_of(fn: Callable) -> str:
    name = getattr(fn, "__name__", type(fn).__name__)
    return "function" if name == "<lambda>" else name


def _evaluate(fn: Callable, x: np.ndarray, in_jax: bool) -> np.ndarray:
    """fn(x) as float64; a function of `jax.numpy` runs in double precision.

    Its arrays are padded to powers of two, since JAX compiles anew for every shape.
    """
    if not in_jax:
        return np.array(fn(x), np.float64)
    if not x.size:
        return x
    padded = np.pad(x, (0, (1 << (x.size - 1).bit_length()) - x.size), mode="edge")
    with jax.enable_x64(True):
        return np.array(fn(jnp.asarray(padded)), np.float64)[: x.size]


def _traceable(fn: Callable) -> bool:
    """Whether JAX can trace the function, so that it can be compiled and differentiated.

    Wrapped, since JAX keeps weak references to what it traces and `numpy.sin` cannot have any.
    """
    try:
        jax.eval_shape(lambda x: fn(x), jax.ShapeDtypeStruct((7,), jnp.result_type(float)))
    except _FOREIGN:
        return False
    return True


def _checked(fn: Callable, x: np.ndarray, which: str, name: str) -> tuple[np.ndarray, bool]:
    """The values at the probes and whether they are JAX's; every error names a cure."""
    call = f"`Function({which}=...)`"
    try:
        with np.errstate(all="ignore"):
            raw = fn(x.copy())
    except _FOREIGN as error:
        if isinstance(error, TypeError | ValueError) and _works_on_numbers(fn, float(x[1])):
            raise ValueError(
                f"{call} must take an array of points; {name} takes one number at a time "
                f"({_first_line(error)}). Write it with `numpy` instead of `math`, `if` as "
                "`numpy.where`, or wrap it in `numpy.vectorize`."
            ) from None
        _refuse_several(fn, call, x, name)
        raise ValueError(
            f"{call} must take an array of points; {name} raised {type(error).__name__}: "
            f"{_first_line(error)}. Call it with `numpy.linspace({x[0]:g}, {x[-1]:g}, 5)` to see "
            "where."
        ) from error
    in_jax = isinstance(raw, jax.Array)
    try:
        values = np.asarray(raw)
    except ValueError:
        values = np.asarray(None)
    if values.dtype.kind not in "iuf":
        kind = "complex numbers" if values.dtype.kind == "c" else f"{type(raw).__name__}"
        raise TypeError(
            f"{call} must return real numbers; {name} returned {kind} "
            f"(dtype {values.dtype}). Return a float array."
        )
    if values.shape != x.shape:
        _refuse_several(fn, call, x, name)
        raise ValueError(
            f"{call} must return an array of the shape it was given; {name} returned shape "
            f"{values.shape} for {x.shape}. Return one value per point, for a constant "
            "`numpy.full_like(x, c)`."
        )
    if in_jax:
        values = _evaluate(fn, x, True)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"{call} must be finite on its domain; {name}({x[i]:.6g}) is {values[i]}. "
            "Shrink the domain, or define the value there with `numpy.where`."
        )
    with np.errstate(all="ignore"):
        backwards = np.asarray(fn(x[::-1].copy()), np.float64)[::-1]
    scale = np.abs(values).max()
    if np.abs(backwards - values).max() > (1e-3 if in_jax else 1e-9) * scale:
        raise ValueError(
            f"{call} must map every point on its own; {name} gives other values when the points "
            "come in another order. Remove randomness, sorting and sums over the array."
        )
    return values.astype(np.float64), in_jax


def _refuse_several(fn: Callable, call: str, x: np.ndarray, name: str) -> None:
    """An error for a function of several variables."""
    if any(_takes_points(fn, x, d) for d in (2, 3, 16)):
        raise ValueError(
            f"{call} must take an array of points of one variable; {name} takes points of several, "
            "of shape (n, d). Use `targets.Multivariate(fn, (0, 1), dimension=2)`."
        )


def _takes_points(fn: Callable, x: np.ndarray, d: int) -> bool:
    try:
        with np.errstate(all="ignore"):
            return np.shape(fn(np.repeat(x[:, None], d, axis=1))) == x.shape
    except _FOREIGN:
        return False


def _works_on_numbers(fn: Callable, x: float) -> bool:
    try:
        return isinstance(fn(x), int | float | np.number)
    except _FOREIGN:
        return False


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else "no message"


def load(where: str, domain: Sequence[Any]) -> AbstractTarget:
    """The function that "module:function" names, imported from the working directory.

    **Arguments:**

    - `where`: "module:function" or "folder/file.py:function"; a target object may stand in place of
      a function and is returned as it is.
    - `domain`: (lower, upper), two numbers; for a function of several variables two arrays of shape
      (d,), the ends of its box.

    **Returns:**

    The function as `Function` or `Multivariate`, named after `where`.

    **Raises:**

    - `ValueError`, `TypeError`: if the module or the name in it is not found, or if `Function` or
      `Multivariate` refuses what is found.
    """
    call = f"`load({where!r})`"
    module_name, colon, attribute = where.rpartition(":")
    if not (colon and module_name and attribute.isidentifier()):
        raise ValueError(
            f'{call} must look like "module:function". Write it like "profile:height".'
        )
    module = _import(module_name, call)
    if not hasattr(module, attribute):
        offered = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        listed = f" It has {', '.join(offered[:8])}." if offered else ""
        raise ValueError(f"{call}: the module has no {attribute!r}.{listed} Check the name.")
    found = getattr(module, attribute)
    if isinstance(found, AbstractTarget):
        return found
    if not callable(found):
        raise TypeError(
            f"{call} must name a function; {attribute!r} is {type(found).__name__}. "
            "Name a function of one array."
        )
    if np.ndim(domain[0]) == 1:
        return Multivariate(found, domain, name=attribute)
    return Function(found, domain, name=attribute)


def _import(name: str, call: str):
    """The module by name from the working directory, or from a file."""
    try:
        if name.endswith(".py"):
            path = pathlib.Path(name)
            if not path.is_file():
                raise ValueError(f"{call}: there is no file {name!r} in {os.getcwd()}.")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        sys.path.insert(0, os.getcwd())
        try:
            importlib.invalidate_caches()
            return importlib.import_module(name)
        finally:
            sys.path.remove(os.getcwd())
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(
                f"{call}: there is no module {name!r} in {os.getcwd()} or among the installed "
                "packages. Run from the folder that holds it."
            ) from None
        raise ValueError(
            f"{call}: the module imports {error.name!r}, which is not installed. Install it."
        ) from None
    except (ImportError, SyntaxError, OSError, *_FOREIGN) as error:
        if str(error).startswith(call):
            raise
        raise ValueError(
            f"{call}: importing the module raised {type(error).__name__}: {_first_line(error)}. "
            "Run the module with Python to see where."
        ) from error
