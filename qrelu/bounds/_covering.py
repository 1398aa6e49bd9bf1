"""Covering numbers of families of approximants, in bits."""

import abc
import math

import equinox as eqx

from .._misc import plain
from ._checks import as_exponent, as_number, as_positive, as_whole
from ._class_steps import sufficient_step
from ._growth import Growth
from ._outward import Number
from ._steps import Rounding

# Sums of a dozen logarithms, each accurate to a few units in the last place.
_OUTWARD = 1 + 2.0**-40


# The box [-r, r]^n is cut into cells of half a side of at most accuracy/Lip, ceil(r Lip/accuracy)
# per coordinate; the image of a cell's center is within the accuracy of the images of the cell.
def lipschitz_covering(
    parameters: int, lipschitz: Number, radius: Number, accuracy: Number
) -> float:
    r"""Bits that number a covering of a family with boxes of parameters.

    For $\Sigma = \varphi([-r, r]^n)$ with $\|\varphi(u) - \varphi(v)\| \le K \|u - v\|_\infty$, the
    covering number obeys $\log_2 N(\Sigma, \varepsilon) \le n \log_2 \lceil K r / \varepsilon
    \rceil$.

    **Arguments:**

    - `parameters`: the number $n$ of parameters.
    - `lipschitz`: the constant $K$.
    - `radius`: the bound $r$ on the parameters; infinity gives infinity.
    - `accuracy`: $\varepsilon$, positive.

    **Returns:**

    The bound, rounded upwards.

    **Raises:**

    - `ValueError`: for negative numbers or an accuracy that is not positive and finite.

    **Reference:** derived, above the code.
    """
    _check_accuracy("lipschitz_covering", accuracy)
    parameters = as_whole("lipschitz_covering(parameters=...)", parameters, 0)
    for name, value in (("lipschitz", lipschitz), ("radius", radius)):
        if not as_number(f"lipschitz_covering({name}=...)", value) >= 0:
            raise ValueError(f"`lipschitz_covering({name}=...)` must not be negative; got {value}.")
    if 0 in (parameters, lipschitz, radius):
        return 0.0
    ratio = math.log2(lipschitz) + math.log2(radius) - math.log2(accuracy)
    return parameters * _log2_ceil(ratio) * _OUTWARD


class AbstractSequence(eqx.Module):
    r"""A sequence of families $\Sigma_M$ of approximants, $M = 2, 3, \ldots$"""

    @abc.abstractmethod
    def log2_covering(self, size: int, accuracy: Number) -> float:
        r"""An upper bound of $\log_2 N(\Sigma_M, \varepsilon)$, in bits."""

    @property
    @abc.abstractmethod
    def exponent(self) -> float:
        r"""A $\kappa$ with $\log_2 N(\Sigma_M, M^{-\gamma}) = O(M^{\kappa + h})$ for all
        $\gamma, h > 0$; infinite if none is known."""


# A hidden neuron without nonzero parameters into it is zero and can be left out, so no layer needs
# more than M of them. There are at most W^(L-1) lists of hidden widths for each of L depths, and
# M of at most L W (W + 1) places for the nonzero parameters. For each such choice the parameters
# lie in [-r, r]^M; one point of the family per cell of side accuracy/K that it meets, of which
# there are ceil(2 r K/accuracy)^M, is a covering by its own points (the norms restrict the cell, so
# that its center may lie outside). K <= (D + 1) W L^2 r^(L-1).
class ReLUSequence(AbstractSequence):
    r"""All ReLU networks of at most $M$ nonzero parameters, depth and norms growing with $M$.

    $\Sigma_M$: $\|\theta\|_0 \le M$, depth at most $L_M$, $\|W_l\|_p, \|b_l\|_p \le r_M$, as
    functions on $\|x\|_p \le D$ in the sup norm (hence in every $L^s$ of a probability measure).

    - `depth`: the law $L_M$, rounded up to a whole number.
    - `norm_bound`: the law $r_M$, at least 1.
    - `inputs`, `outputs`: the widths $N_0$ and $N_L$.
    - `input_radius`: the bound $D$.
    - `p`: exponent of the vector norm.
    """

    depth: Growth = eqx.field(static=True)
    norm_bound: Growth = eqx.field(static=True)
    inputs: int = eqx.field(converter=plain, static=True, default=1)
    outputs: int = eqx.field(converter=plain, static=True, default=1)
    input_radius: Number = eqx.field(converter=plain, static=True, default=1.0)
    p: Number = eqx.field(converter=plain, static=True, default=math.inf)

    def __check_init__(self):
        for name in ("depth", "norm_bound"):
            if not isinstance(getattr(self, name), Growth):
                raise TypeError(
                    f"`ReLUSequence({name}=...)` must be a `Growth`, the law along the sequence; "
                    f"got {getattr(self, name)!r}."
                )
        as_whole("ReLUSequence(inputs=...)", self.inputs, 1)
        as_whole("ReLUSequence(outputs=...)", self.outputs, 1)
        as_exponent("ReLUSequence(p=...)", self.p)
        if not 0 <= as_number("ReLUSequence(input_radius=...)", self.input_radius) < math.inf:
            raise ValueError(
                "`ReLUSequence(input_radius=...)` must be finite and not negative; got "
                f"{self.input_radius}."
            )

    def _sizes(self, size: int) -> tuple[int, int, float]:
        """Depth, width and the logarithm of the norms at a size."""
        depth = max(1, math.ceil(self.depth(size) * (1 - 2.0**-40)))
        width = max(int(size), self.inputs, self.outputs)
        return depth, width, max(0.0, self.norm_bound.log2(size))

    def _log2_coarse(self, depth: int, width: int, log_radius: float) -> float:
        """log2 of (D + 1) W L^2 r^L."""
        constant = (self.input_radius + 1) * width * depth**2
        return math.log2(constant) + depth * log_radius

    def log2_covering(self, size: int, accuracy: Number) -> float:
        r"""An upper bound of $\log_2 N(\Sigma_M, \varepsilon)$, in bits.

        $$M \log_2 \lceil 2 (D + 1) W L^2 r^L / \varepsilon \rceil + M \log_2(L W (W + 1)) +
        (L - 1) \log_2 W + \log_2 L, \qquad W = \max(M, N_0, N_L).$$

        **Arguments:**

        - `size`: $M$, at least 2.
        - `accuracy`: $\varepsilon$, positive.

        **Returns:**

        The bound, rounded upwards; it does not overflow.

        **Raises:**

        - `ValueError`: for a size below 2 or an accuracy that is not positive and finite.

        **Reference:** that such families are encodable is due to [gonon2023]; this count is
        derived, above the code.
        """
        _check_accuracy("ReLUSequence.log2_covering", accuracy)
        depth, width, log_radius = self._sizes(size)
        cells = 1 + self._log2_coarse(depth, width, log_radius) - math.log2(accuracy)
        places = math.log2(depth * width * (width + 1))
        shapes = (depth - 1) * math.log2(width) + math.log2(depth)
        return (size * (_log2_ceil(cells) + places) + shapes) * _OUTWARD

    # M L_M log2 r_M with r_M = M^a: exponent 1 + power of the depth. With r_M <= 1 the depth enters
    # by log L and by (L - 1) log W only.
    @property
    def exponent(self) -> float:
        r"""A $\kappa$ with $\log_2 N(\Sigma_M, M^{-\gamma}) = O(M^{\kappa + h})$ for all
        $\gamma, h > 0$: 1 if $L_M \log_2 \max(r_M, 2) = O(M^h)$ for all $h > 0$."""
        power = max(0.0, self.depth.power)
        return float(1 + power if self.norm_bound.beyond_one else max(1.0, power))

    def step(self, size: int, gamma: Number, *, rounding: Rounding = "toward_zero") -> float:
        r"""The step at size $M$ that keeps a rate: rounding adds at most $M^{-\gamma}$.

        Rounding every network of $\Sigma_M$ with this step gives a sequence whose approximation
        rate, for every class of functions, is at least the smaller of $\gamma$ and that of
        $\Sigma_M$.

        **Arguments:**

        - `size`: $M$, at least 2.
        - `gamma`: the rate to keep, positive.
        - `rounding`: "nearest", "floor" or "toward_zero".

        **Returns:**

        The step, `sufficient_step` of full layers of width $\max(M, N_0, N_L)$, for parameters in
        real arithmetic.

        **Raises:**

        - `ValueError`: for a size below 2, a rate that is not positive, or a step below the range
            of float64.

        **Reference:** [gonon2023], with the constant of `parameter_lipschitz` instead of the coarse
        one.
        """
        _check_gamma("ReLUSequence.step", gamma)
        depth, width, log_radius = self._sizes(size)
        accuracy = 2.0 ** (-float(gamma) * math.log2(size)) * (1 - 2.0**-40)
        if log_radius * depth > 1000 or accuracy < 2.0**-1000:
            raise ValueError(
                f"`ReLUSequence.step(size={size}, gamma={gamma})` is below the range of float64; "
                "`bits` still gives the bits."
            )
        widths = (self.inputs, *[width] * (depth - 1), self.outputs)
        radius = 2.0**log_radius * (1 + 2.0**-40)
        return float(
            sufficient_step(
                widths, radius, self.input_radius, accuracy, self.p, rounding=rounding, dtype=None
            )
        )

    # Coarse step eta = c/C with C = (D + 1) W L^2 r^(L-1)/accuracy, and c = 1 where no norm grows,
    # 1/e otherwise, 2/e for nearest; it is at most r, since the accuracy is at most 1. With
    # x = r/eta >= 1 the levels are at most 3 x (toward zero), 10/3 x (nearest), 4 x (floor).
    def bits(self, size: int, gamma: Number, *, rounding: Rounding = "toward_zero") -> int:
        r"""Bits per weight at size $M$ that keep a rate, by the closed form.

        $$\lceil L_M \log_2 r_M + \gamma \log_2 M + \log_2((D + 1) W L_M^2) + c \rceil,$$
        $c = \log_2 3$ where no norm grows (toward zero, $p = 1$ or $\infty$), $\log_2(3 e)$ for
        other toward zero, $\log_2(5 e / 3)$ for nearest, $\log_2(4 e)$ for floor. It is
        $O(\log^2 M)$ for $L_M = O(\log M)$ and $r_M$ polynomial, and $O(\log M)$ for $r_M = 1$ and
        any polynomial depth.

        **Arguments:**

        - `size`, `gamma`, `rounding`: as in `step`.

        **Returns:**

        Bits for one parameter.

        **Raises:**

        - `ValueError`: for a size below 2 or a rate that is not positive.

        **Reference:** the form is that of [gonon2023]; the constants are derived, above the code.
        """
        _check_gamma("ReLUSequence.bits", gamma)
        factors = {"toward_zero": 3 * math.e, "nearest": 5 * math.e / 3, "floor": 4 * math.e}
        if rounding not in factors:
            raise ValueError(
                f"`ReLUSequence.bits(rounding=...)` must be one of {tuple(factors)}; got "
                f"{rounding!r}."
            )
        factor = factors[rounding]
        if rounding == "toward_zero" and self.p in (1, math.inf):
            factor = 3.0
        levels = self._log2_coarse(*self._sizes(size)) + float(gamma) * math.log2(size)
        return math.ceil((levels + math.log2(factor)) * _OUTWARD)


# |I| = M after filling up with zero coefficients; at most pi(M)^M choices of I; coefficients in
# [-c, c]^M; a change of at most d in each coefficient moves the sum by at most M B d.
class DictionarySequence(AbstractSequence):
    r"""Combinations of at most $M$ terms of a dictionary, with bounded search depth and weights.

    $\Sigma_M = \{\sum_{i \in I} c_i \varphi_i : |I| \le M, I \subset \{1, \ldots, \pi(M)\},
    |c_i| \le c_M\}$ with $\|\varphi_i\| \le B$.

    - `count`: the law $\pi(M)$, or None for no limit.
    - `coefficient`: the law $c_M$, or None for no limit. For an orthonormal basis and a bounded
        class the bound costs nothing: $|c_i| \le \|f\|$.
    - `atom_norm`: $B$.
    """

    count: Growth | None = eqx.field(static=True)
    coefficient: Growth | None = eqx.field(static=True)
    atom_norm: Number = eqx.field(converter=plain, static=True, default=1.0)

    def __check_init__(self):
        as_positive("DictionarySequence(atom_norm=...)", self.atom_norm)
        for name in ("count", "coefficient"):
            law = getattr(self, name)
            if not (law is None or isinstance(law, Growth)):
                raise TypeError(
                    f"`DictionarySequence({name}=...)` must be a `Growth`, or None for no limit; "
                    f"got {law!r}."
                )

    def log2_covering(self, size: int, accuracy: Number) -> float:
        r"""An upper bound of $\log_2 N(\Sigma_M, \varepsilon)$, in bits.

        $M \log_2 \pi(M) + M \log_2 \lceil c_M B M / \varepsilon \rceil$, infinite where one of the
        two laws is missing.

        **Arguments:**

        - `size`: $M$, at least 2.
        - `accuracy`: $\varepsilon$, positive.

        **Returns:**

        The bound, rounded upwards.

        **Raises:**

        - `ValueError`: for a size below 2 or an accuracy that is not positive and finite.

        **Reference:** that such sequences are encodable is due to [gonon2023]; this count is
        derived, above the code.
        """
        _check_accuracy("DictionarySequence.log2_covering", accuracy)
        if self.count is None or self.coefficient is None:
            return math.inf
        cells = self.coefficient.log2(size) + math.log2(self.atom_norm * size / accuracy)
        choices = max(0.0, self.count.log2(size))
        return size * (choices + _log2_ceil(cells)) * _OUTWARD

    @property
    def exponent(self) -> float:
        """1 with both limits, since they grow like powers; infinite without one of them."""
        return math.inf if self.count is None or self.coefficient is None else 1.0


def _log2_ceil(value: float) -> float:
    """log2 of 2^value + 1, at least that of the integer above 2^value, and 0 up to 1."""
    if value <= -(2.0**-30):
        return 0.0  # one cell
    return value + math.log1p(2.0**-value) / math.log(2) if value < 100 else value + 2.0**-90


def _check_accuracy(call: str, accuracy: Number) -> None:
    as_positive(f"{call}(accuracy=...)", accuracy)


def _check_gamma(call: str, gamma: Number) -> None:
    as_positive(f"{call}(gamma=...)", gamma)
