"""The fewest bits of a family for a target and an accuracy, and curves of them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..families import (
    AbstractFamily,
    AbstractFormula,
    DyadicTree,
    Fourier,
    FreeKnot,
    Polynomial,
    TensorFourier,
    TensorPolynomial,
    TensorWavelet,
    UniformKnot,
    Wavelet,
)
from ..families._family import check_types
from ..networks import ReLUNetwork
from ..norms import L2, AbstractNorm
from ..targets import AbstractTarget
from ._code import Code
from ._codec import (
    LINE,
    TREES,
    check_accuracy,
    decode,
    encode,
    kind_of,
    line_code,
    rounded_codes,
)
from ._rounded import distance
from ._shorten import shortest_line

# Sizes are doubled up to this one until one is enough; then some around it are tried.
_LARGEST = 4096
_BETWEEN = (0.6, 0.7, 0.85, 1.2, 1.5)
# From here on the decrease of the error tells whether the accuracy is within reach.
_SETTLED = 128
# Families whose terms are chosen by rounding need one fit with more terms than will stay: one whose
# error is this share of the accuracy.
_SPARE = 0.5
# More terms to choose from must leave no more than this share of the bits.
_WORTH = 0.97


class Encoded(NamedTuple):
    r"""A code that reaches an accuracy.

    **Attributes:**

    - `code`: the `Code`, to be saved.
    - `function`: what it decodes to.
    - `error`: the measured distance of the function and the target.
    """

    code: Code
    function: ReLUNetwork | AbstractFormula
    error: float

    @property
    def bits(self) -> int:
        """Bits of the payload."""
        return self.code.bits


class Curve(NamedTuple):
    r"""Error against bits of a family on a target.

    **Attributes:**

    - `family`, `target`, `norm`: names.
    - `accuracies`: what was asked for.
    - `errors`: what was measured; NaN where the family does not get there.
    - `bits`: of the payloads; NaN likewise.
    - `header_bits`: of the files besides.
    - `connectivity`: nonzero parameters of what is decoded.
    """

    family: str
    target: str
    norm: str
    accuracies: Float[np.ndarray, " points"]
    errors: Float[np.ndarray, " points"]
    bits: Float[np.ndarray, " points"]
    header_bits: Float[np.ndarray, " points"]
    connectivity: Float[np.ndarray, " points"]

    def table(self) -> Any:
        """A Polars table with one row for each accuracy."""
        import polars as pl

        names = ("accuracies", "errors", "bits", "header_bits", "connectivity")
        columns = {name: getattr(self, name) for name in names}
        return pl.DataFrame({"family": self.family, "target": self.target, **columns})


def shortest(
    family: Any,
    target: Any,
    accuracy: Any,
    *,
    norm: Any = None,
    key: Any = None,
) -> Encoded:
    r"""The shortest code found of an approximant of a family within an accuracy of a target.

    Networks of `FreeKnot`, `UniformKnot` and `DyadicTree` are broken lines: their values at the
    knots are those of a polynomial plus residuals on a tree of halved intervals, where the value in
    the middle of an interval is predicted from 2, 4, 6 or 8 neighbors and only the difference is
    written, and knots whose values are predicted are free. `FreeKnot` halves where the target needs
    it, the others everywhere. Steps, orders and trees are searched; residuals are chosen by the
    method of the nearest plane, which takes into account that the finer ones can make up for the
    coarser ones, with a price for a bit. Such a network has more pieces than the best one of its
    error, and far fewer bits.

    Other families, and all in two variables, are fitted with growing size and rounded by `encode`
    with the accuracy.

    **Arguments:**

    - `family`: any family; for `Quantized` families fits are coded as they are.
    - `target`: the function, of as many variables as the family serves.
    - `accuracy`: the error that is allowed, positive.
    - `norm`: where it is measured, `norms.L2()` if left out; in two variables its number of points,
        `norms.L2(points=2**14)`, says how long each measurement takes.
    - `key`: for families that draw random numbers; that of seed 0 if None.

    **Returns:**

    An `Encoded`: the code, its function and the measured error, at most the accuracy.

    **Raises:**

    - `TypeError`: for what is no family, target, norm or number.
    - `ValueError`: for an accuracy that is not positive, or that the family does not reach with
      4,096 parameters (networks: with 2^12 pieces or 1,200 residuals).

    **Reference:** derived; the nearest plane is Babai's (1986), recalled.
    """
    norm = L2() if norm is None else norm
    found = _found("shortest", family, target, accuracy, norm, key)
    if found is None:
        raise ValueError(
            "`shortest(family, target, accuracy, norm=...)` must get an accuracy that "
            f"{family.name} reaches on `{target.name}` in {norm.name}; got {accuracy:g}, which it "
            "does not with the sizes that are tried. Ask for less."
        )
    return found


def _found(
    name: str, family: Any, target: Any, accuracy: Any, norm: Any, key: Any
) -> Encoded | None:
    """The shortest code, or None if no size that is tried reaches the accuracy."""
    call = f"{name}(family, target, ..., norm=...)"
    if not isinstance(family, AbstractFamily):
        raise TypeError(
            f"`{call}` must get a family, for example `families.FreeKnot()`; got {family!r}."
        )
    lines = isinstance(family, FreeKnot | UniformKnot | DyadicTree)
    check_types(call, target, norm, several=not lines)
    check_accuracy(f"{name}(family, target, accuracy)", accuracy)
    if lines:
        return _line(family, target, float(accuracy), norm)
    return _by_sizes(family, target, float(accuracy), norm, key)


def _line(
    family: AbstractFamily, target: AbstractTarget, accuracy: float, norm: AbstractNorm
) -> Encoded | None:
    tree = isinstance(family, DyadicTree)
    found = shortest_line(
        target, accuracy, norm, free=isinstance(family, FreeKnot), least=1 if tree else 0
    )
    if found is None:
        return None
    kind = TREES[family.maps_per_level] if isinstance(family, DyadicTree) else LINE
    code = line_code(found[0], kind, target.domain)
    return _checked(code, target, norm)


def _checked(code: Code, target: AbstractTarget, norm: AbstractNorm) -> Encoded:
    function = decode(code)
    return Encoded(code, function, float(norm.distance(function, target)))


def _by_sizes(
    family: AbstractFamily, target: AbstractTarget, accuracy: float, norm: AbstractNorm, key: Any
) -> Encoded | None:
    in_plane = isinstance(family, TensorPolynomial | TensorFourier | TensorWavelet)
    chooses = isinstance(family, Polynomial | Fourier | Wavelet)
    enough = (_SPARE if chooses else 1.0) * accuracy
    codes: list[Code] = []

    def tried(size: int, within: float = enough) -> float:
        fitted = family.fit(target, size, norm=norm, key=key)
        error = distance(fitted.function, target, norm)
        if error < within:
            if fitted.quantizer is not None:
                codes.append(encode(fitted))
            else:
                function = fitted.function
                codes.extend(rounded_codes(function, kind_of(function), target, accuracy, norm))
        return error

    size, last = _least_size(family, target), math.inf
    while True:
        error = tried(size)
        if error < enough:
            break
        # The error falls at least by as much as it did, to the power of a few; else never mind.
        steps = math.log2(_LARGEST / size)
        hopeless = size >= _SETTLED and error * min(error / last, 1.0) ** (2 * steps) > accuracy
        if steps <= 0 or hopeless:
            if error >= accuracy:
                return None
            tried(size, accuracy)
            break
        size, last = min(2 * size, _LARGEST), error
    if in_plane:
        _more_terms(tried, size, codes)
    elif not chooses:
        for factor in _BETWEEN:
            other = max(round(size * factor), family.minimum_size)
            if other != size:
                tried(other)
    return _checked(min(codes, key=lambda code: code.bits), target, norm) if codes else None


def _least_size(family: AbstractFamily, target: AbstractTarget) -> int:
    # A trained network has a further weight for each further variable.
    return family.minimum_size + target.dimension - 1


def _more_terms(tried: Callable[[int], float], size: int, codes: list[Code]) -> None:
    """Twice as many terms to choose from, as long as that saves three bits in a hundred."""
    tried(max(round(_BETWEEN[1] * size), 1))
    fewest = math.inf
    while codes and size < _LARGEST:
        best = min(code.bits for code in codes)
        if best > _WORTH * fewest:
            return
        fewest, size = best, min(2 * size, _LARGEST)
        tried(size)


def curve(
    family: Any,
    target: Any,
    accuracies: Any,
    *,
    norm: Any = None,
    key: Any = None,
) -> Curve:
    r"""Error against bits: `shortest` for several accuracies.

    **Arguments:**

    - `family`, `target`, `norm`, `key`: as in `shortest`.
    - `accuracies`: what is asked for, positive.

    **Returns:**

    A `Curve`. `fit_rate(curve.bits, curve.errors)` is the rate in bits, to be held against
    `encoding_rate` of a class in `bounds`.

    **Raises:**

    - `TypeError`, `ValueError`: as `shortest`, but an accuracy that is not reached gives NaN.
    """
    norm = L2() if norm is None else norm
    try:
        wanted = np.array(accuracies, np.float64).ravel()
    except (TypeError, ValueError):
        raise TypeError(
            f"`curve(family, target, accuracies)` must get positive numbers; got {accuracies!r}."
        ) from None
    for accuracy in wanted.tolist():  # all of them before the first search
        check_accuracy("curve(family, target, accuracies)", accuracy)
    rows = []
    for accuracy in wanted.tolist():
        found = _found("curve", family, target, accuracy, norm, key)
        if found is None:
            rows.append((math.nan,) * 4)
            continue
        code = found.code
        rows.append((found.error, code.bits, code.header_bits, found.function.connectivity))
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    return Curve(family.name, target.name, norm.name, wanted, *columns)
