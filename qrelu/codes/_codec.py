"""Any approximant to a code and back."""

import math
from typing import Any

import jax
import numpy as np

from ..families import (
    AbstractFormula,
    Approximant,
    Barycentric,
    BSplines,
    OrthogonalSeries,
    TensorSeries,
    TensorWaveletSum,
    WaveletSum,
    Waves,
)
from ..families._dyadic_tree import tree_network
from ..families._family import check_types
from ..families._spline import Spline, network_from_spline
from ..networks import ReLUNetwork, pieces
from ..norms import L2, AbstractNorm
from ..quantizers import Uniform
from ..targets import AbstractTarget
from ._balanced import balanced, fits
from ._code import PLANE, REAL, Code
from ._coder import Coder, Reader, Writer
from ._formulas import quotients, series, splines, wavelets, waves
from ._lifting import Lifted, code_lifted, knots_and_values
from ._networks import network
from ._path import PATH, path
from ._plane_series import plane_series
from ._plane_wavelets import plane_wavelets
from ._rounded import distance, rounded

_WAYS: dict[int, Any] = {1: splines, 2: series, 3: waves, 4: wavelets, 5: quotients, 6: network}
_WAYS |= {11: plane_series, 12: plane_wavelets, 13: balanced}
_KINDS = {
    BSplines: 1,
    OrthogonalSeries: 2,
    Waves: 3,
    WaveletSum: 4,
    Barycentric: 5,
    ReLUNetwork: 6,
    TensorSeries: 11,
    TensorWaveletSum: 12,
}
# Broken lines as networks of one hidden layer, and as dyadic trees of two maps or of one per level.
LINE, TREES = 7, {2: 8, 1: 9}
# A network of one hidden layer, given by its knots and values there.
HINGES = 10
# A network on a grid, each layer by the one before.
BALANCED = 13


def encode(
    function: Any,
    *,
    target: Any = None,
    accuracy: Any = None,
    norm: Any = None,
) -> Code:
    r"""The code of an approximant: its parameters, positions and shape in few bits.

    Without an accuracy nothing is lost: parameters on a grid (those of `Quantized` families, or any
    with a greatest common step) become whole numbers, coded adaptively, themselves or their
    differences, whichever is shorter; parameters of few different values, those of a `Codebook`,
    become places in a table; others are written in the bits of their type. With a target and an
    accuracy the parameters are rounded first, as coarsely as the accuracy allows (of a network with
    one input and one hidden layer the knots and the values there); `shortest` also chooses how many
    there are.

    **Arguments:**

    - `function`: an `Approximant`, a formula of a family in one or two variables, or a
        `ReLUNetwork` with any number of inputs and outputs.
    - `target`, `accuracy`: the function that is approximated and the error that is allowed; both or
        neither.
    - `norm`: where the error is measured, `norms.L2()` if left out.

    **Returns:**

    A `Code`. `decode` gives the same function, every parameter bit for bit (lost are the sign of a
    zero, and the order of the rows of a `TensorSeries` if it is that of no family).

    **Raises:**

    - `TypeError`: for something that has no code.
    - `ValueError`: for parameters that are not finite, only one of target and accuracy, a target
      of other variables, an accuracy that is not positive, or one below the error of this
      approximant; for a stack of networks, and for formulas that no family makes (terms twice or
      out of order, very many).
    """
    steps: tuple[float, ...] = ()
    if isinstance(function, Approximant):
        steps = _steps(function.quantizer)
        function = function.function
    kind = kind_of(function)
    if isinstance(function, ReLUNetwork) and function.weights[0].ndim != 2:
        raise ValueError(
            "`encode(network)` must get one network; got a stack. Use `networks.unstack`."
        )
    _check_finite(function)
    if (target is None) != (accuracy is None):
        raise ValueError(
            "`encode(function, target=..., accuracy=...)` must get both or neither; got only "
            f"{'the accuracy' if target is None else 'the target'}."
        )
    if target is not None and accuracy is not None:
        norm = L2() if norm is None else norm
        call = "encode(function, target=..., accuracy=..., norm=...)"
        check_types(call, target, norm, several=True)
        check_accuracy("encode(function, accuracy=...)", accuracy)
        _check_variables(call, function, target)
        return _rounded_code(function, kind, steps, target, float(accuracy), norm)
    return exact_code(function, kind, steps)


def kind_of(function: Any) -> int:
    """The number of a type of functions."""
    kind = _KINDS.get(type(function))
    if kind is None:
        raise TypeError(
            "`encode(function)` must get an Approximant, a formula of a family or a ReLUNetwork; "
            f"got {type(function).__name__}. Pass what `family.fit(...)` returned."
        )
    return kind


def _check_finite(function: Any) -> None:
    """An error for NaN and infinity among the parameters."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(function) if hasattr(leaf, "dtype")]
    count = sum(int((~np.isfinite(leaf.astype(np.float64))).sum()) for leaf in leaves)
    if count:
        raise ValueError(
            "`encode(function)` must get finite parameters; got "
            f"{count} that {'are' if count > 1 else 'is'} NaN or infinite. Train or fit it again, "
            "or replace them."
        )


def _check_variables(call: str, function: Any, target: AbstractTarget) -> None:
    """An error for a target of another number of variables."""
    if isinstance(function, ReLUNetwork):
        variables = function.widths[0]
    else:
        variables = np.size(function.domain) // 2
    if variables != target.dimension:
        raise ValueError(
            f"`{call}` must get a target of {variables} variable{'s'[: variables > 1]}, as the "
            f"function has; got `{target.name}` of {target.dimension}. Pass what it was fitted to."
        )


def exact_code(function: Any, kind: int, steps: tuple[float, ...] = ()) -> Code:
    """The code of a function as it is."""
    if kind == _KINDS[ReLUNetwork] and fits(function, steps):
        ways = (_as_it_is(function, way, steps) for way in (kind, BALANCED))
        return min(ways, key=lambda code: code.bits)
    return _as_it_is(function, kind, steps)


def _as_it_is(function: Any, kind: int, steps: tuple[float, ...]) -> Code:
    writer = Writer()
    lower, upper = np.asarray(getattr(function, "domain", (0.0, 0.0)), np.float64).tolist()
    domain = (tuple(lower), tuple(upper)) if kind in PLANE else (lower, upper)
    try:
        _WAYS[kind](writer, function, domain, steps)
    except ValueError as error:
        raise ValueError(
            f"`encode(function)` must get a function as the families make them; {error}. Pass what "
            "`family.fit(...)` returned."
        ) from None
    return Code(kind, domain, *writer.finished())


def _rounded_code(
    function: Any,
    kind: int,
    steps: tuple[float, ...],
    target: AbstractTarget,
    accuracy: float,
    norm: AbstractNorm,
) -> Code:
    error = distance(function, target, norm)
    found = rounded_codes(function, kind, target, accuracy, norm)
    if error <= accuracy:
        # What was rounded before may be shorter as it is.
        found.append(exact_code(function, kind, steps))
    if not found:
        raise ValueError(
            f"`encode(function, accuracy=...)` must be above the error of the function before "
            f"rounding, {error:.4g} in {norm.name}; got {accuracy:g}. Fit a larger one, or use "
            "`codes.shortest`."
        )
    return min(found, key=lambda code: code.bits)


def rounded_codes(
    function: Any, kind: int, target: AbstractTarget, accuracy: float, norm: AbstractNorm
) -> list[Code]:
    """Codes of versions of a function within the accuracy, rounded if that is possible."""
    found = [exact_code(f, kind) for f in rounded(function, target, accuracy, norm)]
    if isinstance(function, ReLUNetwork) and function.depth == 2 and function.widths[::2] == (1, 1):
        spline = _spline_of(function, target.domain)
        lines = rounded(spline, target, accuracy, norm)
        found += [exact_code(line, kind_of(line))._replace(kind=HINGES) for line in lines]
    if not found and distance(function, target, norm) <= accuracy:
        return [exact_code(function, kind)]
    return found


def _spline_of(network: ReLUNetwork, domain: tuple[float, float]) -> BSplines:
    a, b = domain
    found = pieces(network, a, b)
    knots, values = np.asarray(found.breakpoints), np.ravel(found.values)
    places = (knots[1:-1] - a) / (b - a)
    return BSplines(coefficients=np.array(values), places=places, domain=(a, b), order=2)


def _hinges(spline: BSplines) -> ReLUNetwork:
    line = spline.linear_pieces()
    if line is None:
        raise ValueError(f"it is a spline of order {spline.order}")
    ends, values = line
    return network_from_spline(Spline(ends, np.append(values[0], values[1, -1])))


def check_accuracy(call: str, accuracy: Any) -> None:
    """An error for what is no positive number."""
    if isinstance(accuracy, bool) or not isinstance(accuracy, REAL):
        raise TypeError(f"`{call}` must be a positive number; got {accuracy!r}.")
    if not (accuracy > 0 and math.isfinite(accuracy)):
        raise ValueError(f"`{call}` must be a positive number; got {accuracy}.")


def _steps(quantizer: Any) -> tuple[float, ...]:
    if not isinstance(quantizer, Uniform):
        return ()
    return tuple(sorted({float(step) for step in np.ravel(quantizer.step)}, reverse=True))


def line_code(lifted: Lifted, kind: int, domain: tuple[float, float]) -> Code:
    """The code of a broken line."""
    writer = Writer()
    code_lifted(writer, lifted)
    return Code(kind, (float(domain[0]), float(domain[1])), *writer.finished())


def decode(code: Any) -> Any:
    r"""The function of a code.

    The same bits give the same float64 parameters on every machine: what is not read is computed by
    sums and products in a fixed order.

    **Arguments:**

    - `code`: what `encode`, `shortest`, `lipschitz_path` or `load` returned.

    **Returns:**

    A `ReLUNetwork` or a formula of the family, NumPy float64 parameters (networks: their own type).

    **Raises:**

    - `TypeError`: for something else.
    - `ValueError`: for a kind that is not known, or a payload that is not one of its kind.
    """
    if not isinstance(code, Code):
        raise TypeError(
            f"`decode(code)` must get a Code; got {type(code).__name__}. Use `codes.load(path)`."
        )
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # in damaged files only
            return _decoded(code)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(
            f"`decode(code)` must get a code that this package wrote; this one is of another "
            f"version or damaged. ({error})"
        ) from None


def _decoded(code: Code) -> ReLUNetwork | AbstractFormula:
    if np.shape(code.domain) != ((2, 2) if code.kind in PLANE else (2,)):
        raise ValueError(f"its domain is {code.domain}")
    if code.kind == PATH:
        return path(code.payload, code.bits)
    reader: Coder = Reader(code.payload)
    if code.kind in _WAYS:
        return _WAYS[code.kind](reader, None, code.domain)
    if code.kind == HINGES:
        return _hinges(splines(reader, None, code.domain))
    maps = {kind: maps for maps, kind in TREES.items()}
    if code.kind != LINE and code.kind not in maps:
        raise ValueError(f"it has the kind {code.kind}")
    lifted = code_lifted(reader, None)
    if code.kind in maps and not (lifted.full and lifted.splits or lifted.extra):
        raise ValueError("it has a tree without equal pieces")
    line = Spline(*knots_and_values(lifted, code.domain))
    if not np.isfinite(line.values).all():
        raise ValueError("its values are not finite")
    return network_from_spline(line) if code.kind == LINE else tree_network(line, maps[code.kind])
