"""The record of a fitted rate and its line in a paper's table."""

import dataclasses
import math
import re
from typing import Any

import numpy as np
from jaxtyping import Float

from ._models import curve


def _latex(text: str) -> str:
    """Escape what LaTeX would choke on, and leave commands such as \\cite{...} as they are."""
    return re.sub(r"(?<!\\)([%&#_])", r"\\\1", text)


def _number(value: float) -> str:
    return "--" if math.isnan(value) else f"{value:.3f}"


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class RateFit:
    r"""The rate of an error sequence, or the reason why there is none.

    - `gamma`: the exponent in error ~ M^-gamma; NaN when no rate is established.
    - `interval`: (lower, upper); both NaN when `gamma` is.
    - `interval_kind`: "t over replicates" (Student's t over independent replicates, 95 %) or
      "envelope" (what the models and tails of one sequence allow; no confidence interval).
    - `model`: "power", "power_log", "power_floor", "power_correction", "half_correction",
      "exponential", or "none".
    - `floor`: the level at which the errors stop falling: known, fitted or seen; NaN if none.
    - `orders`: the pairwise orders -log(e_{i+1}/e_i) / log(M_{i+1}/M_i), of the mean log error
      over the replicates; NaN where an error is zero.
    - `aitken`: Aitken's limit of the last three usable orders, a check that uses no model; NaN
      where they do not converge or the sizes are no geometric progression.
    - `tail`: the sizes that the fit rests on.
    - `verdict`: what was found, in a sentence.
    """

    gamma: float
    interval: tuple[float, float]
    interval_kind: str
    model: str
    floor: float
    orders: Float[np.ndarray, " orders"]
    aitken: float
    tail: Float[np.ndarray, " tail"]
    verdict: str
    coefficients: tuple[float, ...] = ()
    counts: str = "connectivity"
    norm: str = ""
    proven: Any = None
    source: str = ""

    @property
    def established(self) -> bool:
        """Whether a rate was established, that is, whether `gamma` is a number."""
        return not math.isnan(self.gamma)

    def curve(self, sizes) -> Float[np.ndarray, " sizes"]:
        """The fitted error at `sizes`, for figures; NaN where nothing was fitted."""
        return curve(self.model, self.coefficients, np.asarray(sizes, float))

    def cite(
        self,
        *,
        counts: str | None = None,
        norm: str | None = None,
        proven: Any = None,
        source: str | None = None,
    ) -> str:
        r"""One row of a LaTeX table: gamma, interval, what M counts, norm, proven rate, source.

        **Arguments:**

        - `counts`: what M counts, for example "connectivity" or "pieces".
        - `norm`: the norm of the error, for example "L2" or "$L^2$".
        - `proven`: the rate that theory gives, a number or a record with `gamma` and `source`.
        - `source`: where that is proved, for example "\cite{deboor1973}".

        What is left out is taken from `fit_rate`.

        **Returns:**

        Six cells and the end of the row; "--" stands where there is no value.
        """
        counts = self.counts if counts is None else counts
        norm = self.norm if norm is None else norm
        proven = self.proven if proven is None else proven
        source = self.source if source is None else source
        source = source or str(getattr(proven, "source", ""))
        proven = getattr(proven, "gamma", proven)
        norm = re.sub(r"^L(\d)$", r"$L^\1$", norm)
        cells = [
            f"${_number(self.gamma)}$" if self.established else "--",
            f"$[{self.interval[0]:.3f}, {self.interval[1]:.3f}]$ ({self.interval_kind})"
            if self.established
            else "--",
            _latex(counts) or "--",
            _latex(norm) or "--",
            "--" if proven is None or math.isnan(proven) else f"${proven:g}$",
            _latex(source) or "--",
        ]
        return " & ".join(cells) + r" \\"

    def __repr__(self) -> str:
        if not self.established:
            return f"RateFit(no rate: {self.verdict})"
        low, high = self.interval
        return (
            f"RateFit(gamma = {self.gamma:.4f} in [{low:.4f}, {high:.4f}], {self.interval_kind}, "
            f"{self.model}: {self.verdict})"
        )
