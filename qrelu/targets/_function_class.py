"""What every class of functions offers: a norm and a radius, membership, draws."""

import abc
import collections
import math
import numbers
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from ._abstract import AbstractTarget

# Norms beyond the radius by less than this, relatively, are rounding.
ROUNDING = 1e-9
# Draws are rough down to this share of the scale that M parameters resolve, within these cells:
# norms of differences at all distances take time of order cells^2.
_FINER, _FEWEST, _MOST = 8, 256, 2**13
# What is concentrated is as long as the domain's length over these multiples of M.
_FINENESS = (2, 1, 4)
# The kinds of draws in their order, and the place of each among those of its kind.
_ROUND = (
    ("spread", 0),
    ("random", 0),
    ("one", 0),
    ("simplest", 0),
    ("spread", 1),
    ("random", 1),
    ("some", 0),
    ("one", 1),
    ("spread", 2),
    ("random", 2),
    ("one", 2),
    ("random", 3),
)
_KINDS = collections.Counter(kind for kind, _ in _ROUND)


class Membership(NamedTuple):
    r"""Whether a function belongs to a class, and how that is known.

    - `answer`: True, False, or None where it cannot be told.
    - `lower`, `upper`: proven bounds of the function's norm in the sense of the class, up to the
      rounding of its values; `upper` is infinite where none is known.
    - `reason`: what decides, in a sentence.
    """

    answer: bool | None
    lower: float
    upper: float
    reason: str


class AbstractFunctionClass(eqx.Module):
    r"""The ball $\{f : \|f\| \le r\}$ of a space of functions, or another compact class.

    - `name`: how tables and figures call it.
    - `definition`: the condition in a line.
    - `radius`: $r$.
    - `dimension`: the number of variables; functions are drawn in one only.
    - `domain`: the interval, or an interval of each variable.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """How tables and figures call it."""

    @property
    @abc.abstractmethod
    def definition(self) -> str:
        """The condition in a line."""

    @property
    @abc.abstractmethod
    def radius(self) -> float | int:
        """The radius of the ball."""

    @property
    @abc.abstractmethod
    def domain(self) -> tuple[float, float]:
        """The interval, that of each variable."""

    @property
    @abc.abstractmethod
    def dimension(self) -> int:
        """The number of variables of its functions."""

    @abc.abstractmethod
    def why_not_compact(self, p: float) -> str:
        """Why the class is not compact in $L^p$, so that no rate exists; empty where it is."""

    @abc.abstractmethod
    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        """Proven bounds of a function's norm, and what they rest on."""

    @abc.abstractmethod
    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        """A function with norm `radius` and structure down to the domain's length over `cells`."""

    @abc.abstractmethod
    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        """A function that changes its sign `teeth` times, or as often as chance says."""

    @abc.abstractmethod
    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        """A function with `count` features, as long as the domain over `size` times `fineness`."""

    @abc.abstractmethod
    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        """The largest function without structure, if need be a polygon on so many cells."""

    def examine(self, function: Any) -> Membership:
        r"""What is known about a function's norm, and so about its membership.

        Values bound suprema and integrals from below, which refutes; the function's own bound on
        its second derivative bounds them from above, which proves. For draws of the class,
        and for `Data` where polygons may belong to it, both are exact up to rounding: for `Besov`
        the one from below, up to the finest wavelets that are seen; for `PiecewiseSmooth` where
        as many jumps are seen as are allowed. Without such a bound the answer is False or None.

        **Arguments:**

        - `function`: a target on the domain of the class.

        **Returns:**

        A `Membership`. Norms beyond the radius by less than one part in $10^9$ count as inside.

        **Raises:**

        - `TypeError`: for what is no target.
        - `ValueError`: for a target on another domain, or a class of several variables.

        **Reference:** derived, above the bounds of each norm.
        """
        call = f"{type(self).__name__}(...).contains(function)"
        if not isinstance(function, AbstractTarget):
            raise TypeError(
                f"`{call}` must get a target; got {function!r:.80}. Wrap a function in "
                "`targets.Function(fn, domain)`."
            )
        self._of_one_variable(call)
        a, b = self.domain
        lower, upper = (float(end) for end in function.domain)
        if max(abs(lower - a), abs(upper - b)) > ROUNDING * (b - a):
            raise ValueError(
                f"`{call}` must get a function on the domain of the class, [{a:g}, {b:g}]; "
                f"{function.name} is on [{lower:g}, {upper:g}]. Give the class that `domain`."
            )
        least, most, basis = self._norm(function)
        least, most = float(least), float(most)
        allowed = self.radius * (1 + ROUNDING)
        if least > allowed:
            reason = f"its norm is at least {least:.6g}, above {self.radius:g} ({basis})"
            return Membership(False, least, most, reason)
        if most <= allowed:
            reason = f"its norm is at most {most:.6g} ({basis})"
            return Membership(True, least, most, reason)
        above = "not bounded from above" if math.isinf(most) else f"at most {most:.6g}"
        reason = f"its norm is at least {least:.6g} and {above} ({basis})"
        return Membership(None, least, most, reason)

    def contains(self, function: Any) -> bool | None:
        """Whether a function belongs to the class: True, False, or None where it is not known.

        `examine` gives the bounds and the reason, with the same argument and the same errors.
        """
        return self.examine(function).answer

    def draw(self, *, cells: int = 1024, kind: int | None = None, key) -> AbstractTarget:
        r"""A random function on the boundary of the ball, rough at all scales.

        **Arguments:**

        - `cells`: the finest scale is the length of the domain over this number (a power of two;
          the next one is taken), at least 8.
        - `kind`: which recipe of the class, counted from 0 and taken modulo their number; drawn if
          left out.
        - `key`: a JAX key; the same key gives the same function.

        **Returns:**

        A target whose norm is the radius, up to rounding.

        **Raises:**

        - `TypeError`: for what is no key.
        - `ValueError`: for fewer than 8 cells, or a class of several variables.
        """
        call = f"{type(self).__name__}(...).draw"
        self._of_one_variable(call)
        cells = _power_of_two(_whole(f"{call}(cells=...)", cells, 8))
        rng = _generator(call, key)
        kind = int(rng.integers(0, 60)) if kind is None else _whole(f"{call}(kind=...)", kind, 0)
        return self._random(rng, cells, kind)

    def extremal(self, size: int, *, key) -> AbstractTarget:
        r"""A function of the class that M parameters cannot follow: it oscillates M + 1 times.

        **Arguments:**

        - `size`: $M$, at least 1.
        - `key`: a JAX key, for signs and places; the same key gives the same function.

        **Returns:**

        A target.

        **Raises:** as `draw`.
        """
        call = f"{type(self).__name__}(...).extremal"
        self._of_one_variable(call)
        size = _whole(f"{call}(size)", size, 1)
        return self._extremal(_generator(call, key), size + 1, True)

    def draws(self, size: int, count: int, *, key) -> tuple[AbstractTarget, ...]:
        r"""Functions that are hard for M parameters, of four kinds in turn, twelve in a round.

        - Spread (the first, fifth, ninth): extremal for M, M/2, M/3, ... parameters, since one
          parameter is a value for some families and a third of a neuron for others; every second
          one has random signs instead of alternating ones, so that about as many bits as it has
          teeth are needed to describe it. Hardest for families that adapt.
        - Concentrated (the third, seventh, eighth, eleventh): one bump or steep piece of length
          1/(2M), $\sqrt M$ of them, one of length 1/M, one of 1/(4M), at random places off the
          ends of M equal pieces. For $p < 2$ these are hardest for families that do not
          adapt, whose rate over the class is $s - 1/p + 1/2$ in $L^2$.
        - Simplest (the fourth): the largest function without structure, a polynomial that the
          seminorm does not see, a line or the coarsest wavelet, for families of a low order.
        - Random (the rest): as `draw` has them, rough down to an eighth of the scale that M
          parameters resolve.

        All are on the boundary of the ball. They depend on M, as a statement on the whole class
        needs.

        **Arguments:**

        - `size`: $M$, at least 1.
        - `count`: how many, at least 1.
        - `key`: a JAX key; the same key, size and place in the list give the same function.

        **Returns:**

        `count` targets.

        **Raises:** as `draw`.
        """
        call = f"{type(self).__name__}(...).draws"
        self._of_one_variable(call)
        size = _whole(f"{call}(size, count)", size, 1)
        count = _whole(f"{call}(size, count)", count, 1)
        cells = _power_of_two(min(max(_FINER * size, _FEWEST), _MOST))
        found = []
        for i in range(count):
            rng = _generator(call, key, size, i)
            kind, place = _ROUND[i % len(_ROUND)]
            before = i // len(_ROUND) * _KINDS[kind] + place
            if kind == "spread":
                teeth = math.ceil(size / (before + 1)) + 1
                found.append(self._extremal(rng, teeth, before % 2 == 0))
            elif kind == "one":
                found.append(self._bumps(rng, size, _FINENESS[place], 1))
            elif kind == "some":
                found.append(self._bumps(rng, size, _FINENESS[0], math.ceil(math.sqrt(size))))
            elif kind == "simplest":
                found.append(self._simplest(rng, cells))
            else:
                found.append(self._random(rng, cells, before))
        return tuple(found)

    def _of_one_variable(self, call: str) -> None:
        if self.dimension != 1:
            raise ValueError(
                f"`{call}` must be asked of a class of functions of one variable; this one has "
                f"{self.dimension}. `bounds.encoding_rate` knows it; draw in one dimension."
            )


def check_radius(call: str, radius: Any) -> None:
    """An error for a radius that is not a positive number."""
    check_positive(f"{call}(radius=...)", radius)


def check_positive(call: str, value: Any) -> None:
    """An error for what is not a positive finite number."""
    if not (is_number(value) and math.isfinite(value) and value > 0):
        raise ValueError(f"`{call}` must be positive and finite; got {value}.")


def is_number(value: Any) -> bool:
    """Whether it is a real number; True and False are none."""
    kinds = int | float | np.integer | np.floating
    return isinstance(value, kinds) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number by type; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def with_radius(name: str, radius: float | int) -> str:
    """The name of a class, with its radius unless that is 1."""
    return name if radius == 1 else f"{name}, radius {radius:g}"


def _whole(call: str, value: Any, least: int) -> int:
    if not is_whole(value) or value < least:
        raise ValueError(f"`{call}` must be whole numbers from {least} on; got {value!r}.")
    return int(value)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _generator(call: str, key: Any, *more: int) -> np.random.Generator:
    """NumPy's random numbers for a JAX key: the same numbers whatever JAX is set to."""
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and not (dtype == np.uint32 and getattr(key, "shape", ()) == (2,)):
        raise TypeError(
            f"`{call}(key=...)` must be a JAX key; got {key!r:.60}. Write `jax.random.key(0)`."
        )
    words = np.asarray(jax.random.key_data(key) if typed else key).ravel().tolist()
    return np.random.default_rng([*words, *more])
