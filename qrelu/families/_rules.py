"""How many bits the parameters of an approximant get."""

import abc
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .._misc import plain
from ..bounds import bits_per_weight, parameter_lipschitz, rate_step
from ..networks import ReLUNetwork, SparseMatrix
from ..norms import AbstractNorm, QuasiMonteCarlo
from ..quantizers import Uniform, quantize
from ..targets import AbstractTarget, Data
from ._family import AbstractFamily
from ._formula import AbstractFormula

# Samples that tell the scale of a target; a little less than the scale costs a fraction of a bit.
_SAMPLES = 1001
# An error below this many units in the last place of the target is that of float64 arithmetic.
_FLOOR = 16
# Binary digits of a step: a file holds it in few bits, and it is within 1/128 of what was asked.
STEP_DIGITS = 8
# Parameters so near to a grid, in shares of its step, are on it but for arithmetic: roots of
# vanishing products in the normal form are of the order of 1e-8.
_NEAR = 2.0**-20
# With a larger share of the step, arithmetic alone puts numbers on the grid.
_BY_CHANCE = 1 / 16
# Fewer parameters say nothing of a grid: in the normal form some always have the same size.
_FEWEST = 6
# Smaller steps are those of subnormal numbers, which have few digits of their own.
_LEAST_EXPONENT = sys.float_info.min_exp


class Rounded(NamedTuple):
    """A rounded function, its grid, the bits of one parameter and a note."""

    function: ReLUNetwork | AbstractFormula
    quantizer: Uniform
    bits_per_weight: float
    notes: str


class _Extent(NamedTuple):
    """How far a target is from its chord, and its largest absolute value, from samples.

    In several variables its range stands in for the distance from the chord.
    """

    scale: float
    largest: float


def _extent(target: AbstractTarget) -> _Extent:
    if target.dimension > 1:
        values = np.asarray(target(QuasiMonteCarlo(target.domain, _SAMPLES).nodes), np.float64)
        return _Extent(float(np.ptp(values)) or 1.0, float(np.max(np.abs(values))))
    x = np.linspace(*target.domain, _SAMPLES)
    if isinstance(target, Data):
        x = np.union1d(x, target.knots)
    values = np.asarray(target(x), np.float64)
    largest = float(np.max(np.abs(values)))
    place = (x - x[0]) / (x[-1] - x[0])
    bent = np.ptp(values - (values[0] + (values[-1] - values[0]) * place))
    # A straight line is bent by rounding only: its range is the unit.
    scale = bent if bent > _FLOOR * np.finfo(float).eps * largest else np.ptp(values)
    return _Extent(float(scale) if scale > 0 else 1.0, largest)


class AbstractRule(eqx.Module):
    """A rule that chooses the grid for the parameters of a function.

    Networks come in their normal form.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What tables show."""

    @abc.abstractmethod
    def round(
        self,
        function: ReLUNetwork | AbstractFormula,
        target: AbstractTarget,
        family: AbstractFamily,
        norm: AbstractNorm,
    ) -> Rounded:
        """Round the parameters of a function that approximates `target` in `norm`."""


class Bits(AbstractRule):
    """The same number of bits for every weight and bias, at every size.

    The grid is symmetric with 2^bits - 1 levels up to the function's magnitude; its step is rounded
    up to 8 binary digits, unless over two thirds of the parameters are on the grid before.
    """

    bits: int = eqx.field(converter=plain, static=True)

    def __check_init__(self):
        _check_bits("Bits(bits)", self.bits)

    @property
    def name(self) -> str:
        """What tables show."""
        return f"{self.bits} bits" if self.bits > 1 else "1 bit"

    def round(self, function, target, family, norm) -> Rounded:
        """Round to `bits` bits."""
        return _round_to_bits(function, self.bits)


class MatchedBits(AbstractRule):
    """The smallest number of bits whose error is at most `factor` times the unquantized error.

    Grids are those of `Bits`, tried upward from `least` to `most`; every trial is measured. Where
    the unquantized function reproduces the target up to float64 arithmetic, an error of 16 units in
    the last place of the target is accepted, and a note says so.
    """

    factor: float = eqx.field(converter=plain, static=True, default=1.1)
    least: int = eqx.field(converter=plain, static=True, default=2)
    most: int = eqx.field(converter=plain, static=True, default=40)

    def __check_init__(self):
        if not self.factor > 1:
            raise ValueError(
                f"`MatchedBits(factor=...)` must be above 1; got {self.factor}. It is the ratio "
                "of the rounded to the unrounded error that is still accepted."
            )
        _check_bits("MatchedBits(least=...)", self.least)
        _check_bits("MatchedBits(most=...)", self.most)

    @property
    def name(self) -> str:
        """What tables show."""
        return "matched bits"

    def round(self, function, target, family, norm) -> Rounded:
        """Round to the smallest sufficient number of bits."""
        error = _error(norm, function, target)
        lower, upper = target.domain
        floor = _FLOOR * np.finfo(float).eps * _extent(target).largest
        floor *= float(np.prod(upper - lower)) ** (1 / norm.p)
        accepted = max(self.factor * error, floor)
        exact = "the target is reproduced up to float64 arithmetic" if error <= floor else ""
        for bits in range(self.least, self.most + 1):
            rounded = _round_to_bits(function, bits, exact=bool(exact))
            if _error(norm, rounded.function, target) <= accepted:
                return rounded._replace(notes=exact)
        if exact:
            note = f"{exact}, and no number of bits up to {self.most} does"
        else:
            note = f"no number of bits up to {self.most} keeps the error within "
            note += f"{self.factor:g} times"
        return rounded._replace(notes=note)


class TheoryStep(AbstractRule):
    r"""The step that provably keeps the rate: $\eta_M = R M^{-\gamma} / K_M$, rounded toward zero.

    It is taken down to 8 binary digits, so that a file holds it in few bits.

    $R$ is the scale of the target, the range of f minus its chord (for a straight line its own
    range, for a constant 1), and $K_M$ the Lipschitz constant of the realization in the
    parameters, from the norms of the network's own layers. So rounding adds at most
    $R M^{-\gamma}$ to the error in the sup norm, and at most $R M^{-\gamma}$ times
    (length of the domain)^{1/p} in $L^p$: in proportion to the error itself, whatever the units of
    x and f. A weight takes of order log M bits in a shallow family
    and at most of order $(\log M)^2$ in a family of depth log M; since one grid serves the weights
    and the biases in the units of x and of f, extreme units cost a constant number of bits more.

    For the other families $K_M$ is a bound on $\sup_x \sum_k |\varphi_k(x)|$, the sum of the
    functions that the coefficients multiply; where a function is not linear in its parameters
    (free knots, quotients) the rule is refused.

    **Arguments:**

    - `gamma`: the exponent to keep; `None` takes the target's known rate in the family and norm.
    - `share`: the step is so much smaller, and what rounding adds: each halving costs a bit for
        each parameter, at every size.

    **Reference:** [gonon2023], the sequence of uniformly quantized networks, with the exact
    Lipschitz constant derived in `bounds`.
    """

    gamma: float | None = eqx.field(converter=plain, static=True, default=None)
    share: float = eqx.field(converter=plain, static=True, default=1.0)

    def __check_init__(self):
        if self.gamma is not None and not self.gamma > 0:
            raise ValueError(
                f"`TheoryStep(gamma=...)` must be a positive exponent or None; got {self.gamma}."
            )
        if isinstance(self.share, bool) or not 0 < self.share <= 1:
            raise ValueError(
                f"`TheoryStep(share=...)` must be a number in (0, 1]; got {self.share}. It is the "
                "share of the theorem's step."
            )

    @property
    def name(self) -> str:
        """What tables show."""
        name = "theory step" if self.gamma is None else f"theory step, gamma {self.gamma:g}"
        return name if self.share == 1 else f"{name}, share {self.share:g}"

    def round(self, function, target, family, norm) -> Rounded:
        """Round with the step of the theorem."""
        gamma = self.gamma
        if gamma is None:
            known = target.rate(family, norm)
            if known is None:
                raise ValueError(
                    f"`TheoryStep()` must know the rate to keep, and none is known for "
                    f"`{target.name}`, {family.name}, {norm.name}. Give it: `TheoryStep(gamma=2)`."
                )
            gamma = known.gamma
        if math.isinf(gamma):
            raise ValueError(
                f"`TheoryStep()` must keep a finite rate, and `{target.name}` is reproduced "
                f"exactly by {family.name}: its error falls to zero. Give a rate: "
                "`TheoryStep(gamma=2)`."
            )
        scale = _extent(target).scale
        if isinstance(function, ReLUNetwork):
            step = _step(function, gamma, float(np.max(np.abs(target.domain))), scale)
        else:
            step = _step_of_formula(function, gamma, scale, family.name)
        step = _short(self.share * step, math.floor)
        quantizer = Uniform(step, rounding="toward_zero")
        bits = float(bits_per_weight(function.magnitude or 1.0, step, "toward_zero"))
        rounded = _quantized(function, quantizer)
        return Rounded(rounded, quantizer, bits, _resolution_note(function, rounded))


def _step_of_formula(formula: AbstractFormula, gamma: float, scale: float, family: str) -> float:
    if formula.sensitivity is None:
        raise ValueError(
            f"`TheoryStep()` must know how far the function moves with its parameters, and for "
            f"{family} no bound is built in. Use `MatchedBits()` or `Bits(bits)`."
        )
    return scale * max(formula.connectivity, 1) ** -gamma / formula.sensitivity


def _error(norm: AbstractNorm, function: Any, target: AbstractTarget) -> float:
    if isinstance(function, AbstractFormula) and not function.bounded:
        return math.inf
    return float(norm.distance(function, target))


def _step(network: ReLUNetwork, gamma: float, radius: float, scale: float) -> float:
    try:
        return rate_step(network, gamma, radius, scale=scale)
    except ValueError:
        # The step with its allowance for float64 does not exist; the theory's own step says what
        # exact parameters would cost.
        pass
    weights: list[Any] = [
        w.to_scipy() if isinstance(w, SparseMatrix) else w for w in network.weights
    ]
    constant = parameter_lipschitz(
        network.widths,
        np.array([abs(w).sum(axis=1).max() for w in weights]),
        radius,
        bias_bound=np.array([np.max(np.abs(b)) for b in network.biases]),
        nonzeros=[
            (
                int((w != 0).sum(axis=1).max()),
                int((w != 0).sum(axis=0).max()),
                int(np.count_nonzero(b)),
            )
            for w, b in zip(weights, network.biases, strict=True)
        ],
    )
    return float(scale * network.connectivity**-gamma / constant)


def _resolution_note(function: Any, rounded: Any) -> str:
    pairs = zip(jax.tree.leaves(function), jax.tree.leaves(rounded), strict=True)
    # Smaller parameters have a finer resolution: what counts is the rounding of the largest.
    bound = 2 * np.finfo(np.float64).eps * function.magnitude
    if any(np.max(np.abs(before - after), initial=0.0) > bound for before, after in pairs):
        return ""
    return "the step is below the float64 resolution of the parameters: rounding changes nothing"


def _quantized(function: Any, quantizer: Uniform) -> Any:
    with warnings.catch_warnings():
        # A layer on a single level is no surprise at few bits, and its error is measured; a step
        # below the resolution of the parameters is in the notes.
        warnings.filterwarnings("ignore", ".* to the single value ", UserWarning)
        warnings.filterwarnings("ignore", ".* is hardly finer than the step ", UserWarning)
        return quantize(function, quantizer)


def _round_to_bits(function: Any, bits: int, *, exact: bool = False) -> Rounded:
    quantizer = Uniform.from_bits(bits, function.magnitude or 1.0)
    step = float(quantizer.step)
    if not (exact or _on_grid(function, step)):
        quantizer = Uniform(_short(step, math.ceil), bits=bits)
    return Rounded(_quantized(function, quantizer), quantizer, float(bits), "")


def _on_grid(function: Any, step: float) -> bool:
    """Whether over two thirds are multiples of a step, up to what float64 arithmetic leaves.

    Steps so fine that many numbers are by chance tell nothing.
    """
    leaves = [leaf for leaf in jax.tree.leaves(function) if leaf.dtype.kind == "f"]
    values = np.concatenate([np.ravel(leaf) for leaf in leaves])
    values = values[values != 0]
    bound = max(2 * np.finfo(np.float64).eps * function.magnitude, _NEAR * step)
    if bound > _BY_CHANCE * step:
        return False
    near = np.abs(values - np.rint(values / step) * step) <= bound
    return bool(3 * np.count_nonzero(near) > 2 * max(values.size, _FEWEST))


def _short(step: float, rounded: Callable[[float], int]) -> float:
    """A step of few binary digits; as it is, where float64 has no more than these."""
    fraction, exponent = math.frexp(step)
    if not _LEAST_EXPONENT <= exponent < sys.float_info.max_exp:
        return step
    return math.ldexp(rounded(math.ldexp(fraction, STEP_DIGITS)), exponent - STEP_DIGITS)


def _check_bits(call: str, bits: int) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 52:
        raise ValueError(
            f"`{call}` must be a whole number of bits from 1 to 52; got {bits!r}. "
            "float64 parameters hold no more."
        )
