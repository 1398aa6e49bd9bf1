"""Whatever is no argument is refused by name: the call, what it must be, and what was got."""

import math
import re
from fractions import Fraction

import jaxtyping
import numpy as np
import pytest

from qrelu import bounds, networks


def _network(inputs=1, outputs=1, value=1.0):
    return networks.ReLUNetwork(
        [np.full((2, inputs), value), np.ones((outputs, 2))], [np.zeros(2), np.zeros(outputs)]
    )


NET, WIDTHS = _network(), (1, 4, 1)
CLASS = {"widths": WIDTHS, "norm_bound": 1.0, "input_radius": 1.0, "p": 2}
STEP = {**CLASS, "accuracy": 0.1, "rounding": "nearest"}
REGIME = {"width": 4, "depth": 3, "integer_bits": 1, "index": "largest power"}
TRIPLES = [(1, 1, 1), (1, 1, 1)]
SEARCH = {
    "network": NET,
    "box": (0, 1),
    "per": "network",
    "rounding": None,
    "evaluation": None,
    "budget": 100,
    "seconds": 1.0,
    "search_seconds": 1.0,
    "curve": False,
    "progress": None,
}
LAW = bounds.deep_sequence()
CALLS = {
    "parameter_lipschitz": {**CLASS, "bias_bound": 1.0, "nonzeros": TRIPLES},
    "coarse_lipschitz": CLASS,
    "box_lipschitz": {"widths": WIDTHS, "magnitude": 1.0, "input_radius": 1.0, "p": 2},
    "mean_lipschitz": {**CLASS, "exponent": 2},
    "input_radius": {"lower": 0.0, "upper": 1.0, "p": 2},
    "extremal_pair": {**CLASS, "bias_bound": 1.0},
    "chain_lipschitz": {"norm_bound": [1.0, 1.0], "input_radius": 1.0},
    "sufficient_step": {**STEP, "constant": "exact", "dtype": "float64"},
    "necessary_step": STEP,
    "sufficient_bits": {**STEP, "dtype": "float64"},
    "necessary_bits": STEP,
    "rate_step": {"network": NET, "gamma": 1.0, "input_radius": 1.0, "scale": 1.0},
    "bits_per_weight": {"magnitude": 1.0, "step": 0.1, "rounding": "nearest"},
    "bits_by_depth": {"depths": [1, 2], "norm_bound": 1.0, "accuracy": 0.1, "width": 2, "p": 2},
    "regime": {**REGIME, "fraction_bits": 3},
    "regime_switches": REGIME,
    "vc_dimension": {"width": 4, "depth": 3},
    "lipschitz_covering": {"parameters": 3, "lipschitz": 1.0, "radius": 1.0, "accuracy": 0.1},
    "lipschitz_bits": {"accuracy": 0.1},
    "constant_sequence": {"sizes": [2, 3], "gamma": 1.0},
    "dense_dictionary": {"function": lambda x: 0 * x, "pieces": 4},
    "unbounded_line": {"coefficient": 1.0, "accuracy": 0.1, "atom_norm": 1.0},
    "deep_sequence": {"norm_bound": 2.0},
    "ReLUSequence": {"depth": LAW.depth, "norm_bound": LAW.depth, "inputs": 1, "p": 2},
    "Growth": {"coefficient": 1.0, "power": 0.0, "log_power": 0.0},
    "enclose": {
        "net": NET,
        "other": NET,
        "box": (0, 1),
        "gap": 0.1,
        "budget": 10,
        "seconds": 1.0,
        "evaluation": "exact",
    },
    "enclose_points": {"net": NET, "other": NET, "points": np.zeros((1, 1)), "radius": 0.1},
    "difference_bound": {"net": NET, "other": NET, "box": (0, 1)},
    "enclose_target": {
        "network": NET,
        "target": bounds.expression("sine"),
        "box": (0, 1),
        "gap": 0.1,
        "budget": 10,
    },
    "expression": {"name": "sine"},
    "Expression": {"function": lambda x: x, "domain": (0.0, 1.0)},
    "allocate_bits": {**SEARCH, "accuracy": 0.1},
    "certify_bits": {**SEARCH, "bits": 4},
    "apriori_bound": {"network": NET, "bits": 4, "box": (0, 1)},
}
# Never an argument, of any call.
NOTHING = ["1", math.nan, -1.5, [], np.zeros((2, 2)), {}, 1j, ["a"], 2**2000]
# What may stand for something: a flag, no limit, a norm of zero.
FINE = {"curve"}
MORE = {
    "box": [(1, 0), (0, math.inf), (math.nan, 1), (0,), ([], []), "01", (0, "a"), ([0] * 3, 1)],
    "other": [_network(2), _network(1, 3), _network(value=math.nan)],
    "net": [_network(value=math.nan), networks.stack([NET, NET])],
    "network": [_network(value=math.inf), networks.stack([NET, NET])],
    "widths": [(1,), (1, 0, 1), (1.5, 2, 1), ("a", 1, 1), 5, "123", (1, True, 1), None],
    "nonzeros": [[(1, 1)], [(1, 1, 1)], [("a", 1, 1), (1, 1, 1)], [1, 2], [(-1, 1, 1)] * 2],
    "norm_bound": [[1.0, "a"], np.ones((2, 2)), None, True],
    "points": [np.zeros((1, 2)), np.full((1, 1), np.nan), np.zeros((0, 1)), None],
    "domain": [(1, 0), (0, math.nan), ("a", "b"), None],
    "accuracy": [0, math.inf, True, None],
    "bits": [True, 1, 54, None],
    "gap": [0, True, None],
    "budget": [0, True, None],
    "pieces": [0, True, 1.5],
    "depth": [0, True],
    "p": [0.5, None, True],
    "function": [None],
}


@pytest.fixture
def without_annotations():
    """What a user meets: the annotations are not executed."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("without_annotations")
@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_argument_is_refused_by_name(name):
    call, good = getattr(bounds, name), CALLS[name]
    call(**good)
    for argument in good:
        if argument in FINE:
            continue
        for value in NOTHING + MORE.get(argument, []):
            if _may_be(name, argument, value):
                continue
            with pytest.raises((ValueError, TypeError)) as caught:
                call(**{**good, argument: value})
            words = " ".join(str(caught.value).split())
            case = f"{name}({argument}={value!r}): {words[:150]}"
            assert re.match(rf"`{name}\b[^`]*`", words), case
            assert re.search(r"\bmust\b", words), case
            assert re.search(r"\bgot\b|\bholds\b|must name a built-in", words), case


def _may_be(name, argument, value):
    """What means something: infinite or negative numbers, empty lists of bounds, words."""
    negative = isinstance(value, float) and value == -1.5
    if argument in ("power", "log_power", "lower") and negative:
        return True
    if argument == "dtype":  # an array stands for its type
        return isinstance(value, np.ndarray)
    if name == "ReLUSequence":  # Equinox warns of arrays in static fields before all else
        return isinstance(value, np.ndarray)
    # Inside of `jit` numbers cannot be looked at: infinity is the bound then.
    return name == "difference_bound" and isinstance(value, networks.ReLUNetwork)


@pytest.mark.usefixtures("without_annotations")
@pytest.mark.parametrize(
    "make",
    [
        lambda: bounds.parameter_lipschitz(WIDTHS, 0, 0, p=math.inf),
        lambda: bounds.parameter_lipschitz(WIDTHS, np.float32(1), np.ones(()), p=1),
        lambda: bounds.parameter_lipschitz(np.array(WIDTHS), [1, 2], Fraction(1, 2).numerator),
        lambda: bounds.lipschitz_covering(3, math.inf, 1.0, 0.1),
        lambda: bounds.lipschitz_bits(Fraction(1, 3)),
        lambda: bounds.unbounded_line(math.inf, 0.1),
        lambda: bounds.regime(4, 3, 0, 0),
        lambda: bounds.enclose(NET, NET, (np.float32(0), [1]), gap=math.inf, evaluation=np.float32),
        lambda: bounds.enclose_target(NET, bounds.expression("sine"), ([0], np.ones(1))),
    ],
)
def test_what_means_something_is_taken(make):
    make()
