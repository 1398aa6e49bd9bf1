"""Fewer bits, more layers; smaller weights, more layers: equal outputs in exact arithmetic."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from qrelu import constructions, networks, quantizers
from qrelu.quantizers import FixedPoint


def _random(rng, before, after, layers, most=3):
    """A network with random fixed-point parameters, some of them zero, and its widths."""
    widths = [int(rng.integers(1, most + 1)) for _ in range(layers + 1)]
    codes = 2 ** (before + after)

    def draw(*shape):
        numbers = rng.integers(1 - codes, codes, shape) / 2.0**after
        return numbers * (rng.random(shape) < 0.8)

    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    return networks.ReLUNetwork([draw(n, m) for m, n in pairs], [draw(n) for _, n in pairs])


def _parameters(network):
    return [np.asarray(p) for p in (*network.weights, *network.biases)]


def _equal(one, other, points):
    a, b = (networks.realize_exact(n, points).tolist() for n in (one, other))
    return a == b


@pytest.mark.parametrize("seed", range(10))
def test_half_integers_give_identical_outputs(seed):
    """100 networks, on their grid and with as few digits as possible, inputs of either sign."""
    rng = np.random.default_rng(seed)
    for _ in range(10):
        before, after = int(rng.integers(1, 6)), int(rng.integers(0, 7))
        network = _random(rng, before, after, int(rng.integers(1, 4)))
        grid, factor = FixedPoint(before, after), max(before, after, 1)
        for signed in (False, True):
            points = rng.integers(-64 if signed else 0, 64, (3, network.widths[0])) / 16
            made = constructions.trade_depth_for_precision(network, grid, signed=signed)
            assert _equal(network, made.network, points)
            assert made.network.depth == factor * network.depth + signed
            assert made.network.width <= (8 if signed else 7) * network.width
            values = {abs(v) for p in _parameters(made.network) for v in p.ravel().tolist()}
            assert values <= {0.0, 0.5, 1.0, 1.5}
            fewest = constructions.trade_depth_for_precision(network, signed=signed)
            assert _equal(network, fewest.network, points)
            assert fewest.network.depth <= made.network.depth
            assert made.certificate.bound == 0 and made.certificate.exact
            assert made.counts.widths == made.network.widths


@pytest.mark.parametrize("seed", range(10))
def test_k_times_fewer_bits_give_identical_outputs(seed):
    """100 networks with k b bits after the point become k times as deep, with b bits."""
    rng = np.random.default_rng(100 + seed)
    for _ in range(10):
        before, b, k = (int(rng.integers(1, 5)) for _ in range(3))
        network = _random(rng, before, k * b, int(rng.integers(1, 4)))
        to = FixedPoint(before, b)
        made = constructions.trade_depth_for_precision(network, FixedPoint(before, k * b), to=to)
        assert _equal(network, made.network, rng.integers(0, 64, (3, network.widths[0])) / 16)
        assert made.network.depth == k * network.depth
        assert made.network.width <= 3 * network.width
        for p in _parameters(made.network):
            assert (np.abs(p) < 2**before).all() and (p * 2**b % 1 == 0).all()


@pytest.mark.parametrize("before, after", [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_any_grid_is_reached(before, after):
    rng = np.random.default_rng(1)
    for _ in range(5):
        network = _random(rng, 5, 6, 2)
        to = FixedPoint(before, after)
        made = constructions.trade_depth_for_precision(network, FixedPoint(5, 6), to=to)
        assert _equal(network, made.network, rng.integers(0, 9, (4, network.widths[0])) / 8)
        factor = max(math.ceil(5 / before), math.ceil(6 / after))
        assert made.network.depth == factor * network.depth
        for p in _parameters(made.network):
            assert (np.asarray(to.decode(to.encode(p))) == p).all()


def test_the_widths_are_those_of_the_formula():
    """A dense map from 3 to 2 whose entries have all digits and both signs."""
    matrix = np.array([[7.875, -7.875, 7.875], [-7.875, 7.875, 7.875]])
    network = networks.ReLUNetwork([matrix], [np.zeros(2)])
    trade = constructions.trade_depth_for_precision
    assert trade(network).network.widths == (3, 3 + 6 * 2, 3 + 6 * 2, 2)
    assert trade(network, to=FixedPoint(3, 1)).network.widths == (3, 7, 7, 2)
    assert trade(network, to=FixedPoint(1, 3)).network.widths == (3, 11, 11, 2)
    assert trade(network, signed=True).network.widths == (3, 6, 6 + 12, 6 + 12, 2)


def test_a_scalar_by_hand():
    network = networks.ReLUNetwork([np.array([[-45 / 8]])], [np.zeros(1)])
    made = constructions.trade_depth_for_precision(network)
    assert made.network.depth == 3
    value = networks.realize_exact(made.network, [[Fraction(3, 7)]])
    assert value.tolist() == [[Fraction(-45 * 3, 8 * 7)]]


def test_a_quantized_network_with_sparse_matrices():
    rng = np.random.default_rng(0)
    network = quantizers.quantize(_random(rng, 3, 9, 3, most=12), quantizers.paper_grid(2, 4))
    network = networks.sparsify(network, max_density=1)
    made = constructions.trade_depth_for_precision(network, quantizers.paper_grid(2, 4))
    assert made.network.depth == 4 * 3
    assert _equal(network, made.network, rng.integers(0, 9, (3, network.widths[0])))


def test_what_is_on_the_grid_stays():
    network = networks.ReLUNetwork(
        [np.array([[1.5], [-0.5]]), np.ones((1, 2))], [np.zeros(2), np.ones(1)]
    )
    made = constructions.trade_depth_for_precision(network).network
    assert [p.tolist() for p in _parameters(made)] == [p.tolist() for p in _parameters(network)]


@pytest.mark.parametrize("fan_out", [None, 2, 4, 8])
def test_lifting_gives_identical_outputs(fan_out):
    rng = np.random.default_rng(5)
    for _ in range(40):
        before, after = int(rng.integers(1, 6)), int(rng.integers(0, 5))
        network = _random(rng, before, after, int(rng.integers(1, 4)), most=5)
        made = constructions.lift(network, fan_out)
        outputs, width = network.widths[-1], network.width
        copies = fan_out or 2 ** max(int(math.log2(max((width + 1) / (2 * outputs), 1))), 1)
        assert _equal(network, made.network, rng.integers(-64, 64, (3, network.widths[0])) / 16)
        assert made.network.magnitude <= 1
        assert made.network.width <= max(width + 1, 2 * copies * outputs)
        needs = [
            math.ceil(math.log2(max(np.abs(w).max(), np.abs(b).max(), 1)))
            for w, b in zip(network.weights, network.biases, strict=True)
        ]
        assert made.network.depth == network.depth + math.ceil(sum(needs) / math.log2(copies))
        for p in _parameters(made.network):
            assert (p * 2 ** (after + before) % 1 == 0).all()


def test_lifting_treats_biases_rightly():
    """rho(x) + 1 scaled by s in every layer would be s^2 rho(x) + s."""
    network = networks.ReLUNetwork(
        [np.array([[4.0]]), np.array([[4.0]])], [np.array([3.0]), np.array([-2.0])]
    )
    made = constructions.lift(network)
    values = networks.realize_exact(made.network, [[-1.0], [0.0], [0.5]])
    assert values[:, 0].tolist() == [-2, 10, 18]
    # 3 + 2 doublings: 2^2 and 2^2.
    assert made.network.depth == 2 + 4


def test_lifting_leaves_small_parameters_alone():
    network = networks.ReLUNetwork([np.array([[1.0, -0.3]])], [np.array([0.2])])
    assert constructions.lift(network).network is network


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda n, t: t(n, FixedPoint(1, 3)), r"layer 1 need 2 bits before and 0 bits after"),
        (lambda n, t: t(n, FixedPoint(3, 1)), r"on the grid.*layer 0 need 1 bits before and 2"),
        (lambda n, t: t(n, to=FixedPoint(0, 3)), "at least one bit before the point; got 0"),
        (lambda n, t: t(n, to=FixedPoint(3, 0)), "at least one bit after the point"),
        (lambda n, t: constructions.lift(n, 3), "power of two.*got 3. 4 is"),
        (lambda n, t: constructions.lift(n, 1), "at least 2; got 1"),
    ],
)
def test_bad_arguments(make, text):
    network = networks.ReLUNetwork([np.array([[0.25]]), np.array([[3.0]])], [np.ones(1)] * 2)
    with pytest.raises(ValueError, match=text):
        make(network, constructions.trade_depth_for_precision)


def test_certificates_are_json_though_domains_are_infinite():
    net = networks.ReLUNetwork([np.array([[3.5]])], [np.zeros(1)])
    for make in (constructions.trade_depth_for_precision, constructions.lift):
        certificate = make(net).certificate
        record = json.loads(json.dumps(certificate.to_dict(), allow_nan=False))
        domain = tuple(tuple(float(x) for x in end) for end in record["domain"])
        assert domain == certificate.domain


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_parameters_that_are_not_finite(bad):
    network = networks.ReLUNetwork([np.array([[bad]])], [np.zeros(1)])
    for make in (constructions.trade_depth_for_precision, constructions.lift):
        with pytest.raises(ValueError, match="finite parameters"):
            make(network)


def test_a_stack_of_networks():
    network = networks.ReLUNetwork([np.ones((1, 1))], [np.zeros(1)])
    for make in (constructions.trade_depth_for_precision, constructions.lift):
        with pytest.raises(ValueError, match="for one network"):
            make(networks.stack([network, network]))
