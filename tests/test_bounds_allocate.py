"""Bits from an accuracy: the certificate holds, no fewer do, theory alone asks for more."""

import math

import jax
import numpy as np
import pytest

from qrelu import bounds, networks


def _network(seed, widths=(1, 8, 8, 1)):
    rng = np.random.default_rng(seed)
    shapes = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [rng.normal(size=(n, m)) * (2 / m) ** 0.5 for m, n in shapes],
        [rng.normal(size=n) * 0.1 for _, n in shapes],
    )


def _values(network, x):
    for layer, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        x = w @ (np.maximum(x, 0) if layer else x) + b[:, None]
    return x


def _fits(network, bits):
    """Every row takes at most 2^bits - 1 values, multiples of one step up to the largest entry."""
    for w, b in zip(network.weights, bits, strict=True):
        for row, n in zip(w, b, strict=True):
            step = abs(w).max() / (2 ** (int(n) - 1) - 1)
            own = abs(row).max() / (2 ** (int(n) - 1) - 1) if row.any() else 1.0
            fits = [abs(row / s - np.round(row / s)).max() < 1e-6 for s in (step, own)]
            assert any(fits)


@pytest.mark.parametrize("per", ["network", "layer", "channel"])
@pytest.mark.parametrize("inputs", [1, 2])
def test_the_certificate_meets_the_accuracy(per, inputs):
    for seed in range(2):
        net = _network(seed, (inputs, 6, 5, 1))
        found = bounds.allocate_bits(net, 0.05, (-1.0, 1.0), per=per, curve=False)
        assert found.certificate.upper <= 0.05 and found.curve is None
        x = np.random.default_rng(7).uniform(-1, 1, (inputs, 5000))
        distance = abs(_values(net, x) - _values(found.network, x)).max()
        assert distance <= found.certificate.upper
        counts = [w.shape[1] + 1 for w in net.weights]
        assert found.total == sum(int(b.sum()) * n for b, n in zip(found.bits, counts, strict=True))
        assert [b.shape for b in found.bits] == [(n,) for n in net.widths[1:]]
        _fits(found.network, found.bits)
        parameters = sum(w.size + c.size for w, c in zip(net.weights, net.biases, strict=True))
        everywhere = found.uniform * parameters
        if per == "network":
            assert found.total == everywhere
        elif per == "layer":
            assert found.total <= everywhere
            assert all(len(set(b.tolist())) == 1 for b in found.bits)
        else:
            assert found.total < everywhere
        again = bounds.enclose(net, found.network, (-1.0, 1.0))
        assert again.upper <= 0.05


def test_one_bit_less_fails_and_theory_asks_for_more():
    net = _network(3)
    found = bounds.allocate_bits(net, 1e-2, (0.0, 1.0))
    curve = found.curve
    assert curve is not None and found.apriori is not None
    assert curve.bits[0] == 2 and curve.bits[-1] >= found.apriori
    assert (curve.sampled <= curve.certified).all() and (curve.certified <= curve.apriori).all()
    enough = curve.bits[curve.certified <= 1e-2]
    assert enough[0] == found.uniform < found.apriori
    assert curve.bits[curve.apriori <= 1e-2][0] == found.apriori
    assert curve.knee in curve.bits[1:-1]
    # Several bits between theory and the network at hand, none between proof and samples.
    assert found.apriori - found.uniform >= 3
    assert curve.bits[curve.sampled <= 1e-2][0] == found.uniform


def test_dead_channels_cost_next_to_nothing():
    net = _network(4, (1, 6, 1))
    biases = [np.array([-9.0, -9, -9, -9, 0.1, 0.2]), net.biases[1]]
    net = networks.ReLUNetwork(net.weights, biases)
    found = bounds.allocate_bits(net, 1e-2, (0.0, 1.0), per="channel", curve=False)
    assert (found.bits[0][:4] == 2).all() and found.total < bounds.allocate_bits(
        net, 1e-2, (0.0, 1.0), curve=False
    ).total


def test_other_kinds_of_networks():
    mlp = networks.to_mlp(_network(5))
    assert bounds.allocate_bits(mlp, 0.1, (0.0, 1.0), curve=False).certificate.upper <= 0.1
    single = jax.tree.map(lambda p: p.astype(np.float32), _network(5))
    found = bounds.allocate_bits(single, 0.1, (0.0, 1.0), curve=False)
    assert all(w.dtype == np.float32 for w in found.network.weights)
    with pytest.raises(ValueError, match="out of reach: the best certified error.*24 bits"):
        bounds.allocate_bits(single, 1e-12, (0.0, 1.0))


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.allocate_bits(_network(0), 0.0, (0, 1)), "positive and finite; got 0"),
        (lambda: bounds.allocate_bits(_network(0), math.nan, (0, 1)), "positive and finite"),
        (lambda: bounds.allocate_bits(_network(0), 0.1, (1, 0)), "lower <= upper"),
        (lambda: bounds.allocate_bits(_network(0), 0.1, (0, math.inf)), "must be finite"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
