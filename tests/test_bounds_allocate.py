"""Bits from an accuracy: the certificate holds, no fewer do, theory alone asks for more."""

import math
import re

import jax
import numpy as np
import pytest

from qrelu import bounds, networks, rounding


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


@pytest.mark.parametrize("evaluation", [None, "exact"])
def test_an_accuracy_out_of_reach_names_the_best(evaluation):
    single = jax.tree.map(lambda p: p.astype(np.float32), _network(5, (1, 6, 1)))
    with pytest.raises(ValueError, match="`allocate_bits.* is out of reach") as refused:
        bounds.allocate_bits(single, 1e-12, (0.0, 1.0), evaluation=evaluation)
    words = str(refused.value)
    said = re.search(r"with (\d+) bits of the 24 that .* holds, is (\S+)\. Ask for that", words)
    errors = {
        b: bounds.certify_bits(single, b, (0, 1), evaluation=evaluation, curve=False).certificate
        for b in range(16, 25)
    }
    best = min(errors, key=lambda b: errors[b].upper)
    assert said is not None and int(said[1]) == best
    assert 1 <= float(said[2]) / errors[best].upper <= 1 + 1e-5
    # What would not help is not recommended.
    assert ("evaluation" in words) == (evaluation is None) and "use float64" in words
    with pytest.raises(ValueError, match=r"Ask for that much\.$"):
        bounds.allocate_bits(_network(5, (1, 2, 1)), 1e-30, (0, 1), evaluation="exact")


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


def test_a_rounding_of_your_own_is_certified_and_never_worse():
    net = _network(6)
    points = np.linspace(-1, 1, 201)[:, None]
    calls = []

    def feedback(net, grids):
        calls.append(grids)
        return rounding.feedback(net, grids, points)

    nearest = bounds.allocate_bits(net, 0.02, (-1.0, 1.0), curve=False)
    found = bounds.allocate_bits(net, 0.02, (-1.0, 1.0), rounding=feedback, curve=False)
    assert calls and found.total < nearest.total
    assert bounds.enclose(net, found.network, (-1.0, 1.0)).upper <= 0.02
    for p, (w, b) in zip(_pairs(found.network), found.grids, strict=True):
        assert (w(p[0]) == p[0]).all() and (b(p[1]) == p[1]).all()
        assert w.bits == b.bits == found.uniform
    # One that spoils everything is not taken: to nearest it does better.
    zeros = jax.tree.map(np.zeros_like, net)
    spoiled = bounds.allocate_bits(net, 0.02, (-1, 1), rounding=lambda *_: zeros, curve=False)
    assert spoiled.total == nearest.total
    with pytest.raises(ValueError, match="on the grids that it gets; weights.0. has others"):
        bounds.allocate_bits(net, 0.02, (-1, 1), rounding=lambda net, _: net, curve=False)
    with pytest.raises(ValueError, match="must return a ReLUNetwork of the widths"):
        bounds.allocate_bits(net, 0.02, (-1, 1), rounding=lambda *_: None, curve=False)


def test_a_slow_rounding_soon_has_an_answer():
    """The first trial is where rounding to nearest would do; fewer bits are tried after it."""
    net, calls = _network(6), []

    def feedback(net, grids):
        calls.append(int(grids[0][0].bits))
        return rounding.feedback(net, grids, np.linspace(-1, 1, 101)[:, None])

    options = {"rounding": feedback, "curve": False}
    nearest = bounds.allocate_bits(net, 0.02, (-1, 1), curve=False).uniform
    fewest = bounds.allocate_bits(net, 0.02, (-1, 1), **options)
    assert fewest.finished and fewest.uniform < nearest
    assert all(e > 0.02 for e in _errors(net, fewest.uniform, options))
    calls.clear()
    hurried = bounds.allocate_bits(net, 0.02, (-1, 1), **options, search_seconds=1e-9)
    assert not hurried.finished and hurried.certificate.upper <= 0.02
    assert hurried.uniform == nearest and set(calls) == {nearest}


def _errors(net, below, options):
    """What fewer bits are certified for."""
    found = (bounds.certify_bits(net, b, (-1, 1), **options) for b in range(2, below))
    return [one.certificate.upper for one in found]


def test_rounding_at_random_must_have_a_seed():
    net = _network(6)
    rng = np.random.default_rng(0)

    def rounding(net, grids):
        def around(p, q):
            largest = 2 ** (int(q.bits) - 1) - 1
            codes = np.floor(p / float(q.step) + rng.random(p.shape))
            return np.clip(codes, -largest, largest) * float(q.step)

        pairs = list(zip(_pairs(net), grids, strict=True))
        return networks.ReLUNetwork(
            [around(p[0], q[0]) for p, q in pairs], [around(p[1], q[1]) for p, q in pairs]
        )

    with pytest.raises(ValueError, match="must round alike every time"):
        for _ in range(20):  # until a draw beats rounding to nearest
            bounds.allocate_bits(net, 0.02, (-1, 1), rounding=rounding, per="layer")


def _pairs(network):
    return list(zip(network.weights, network.biases, strict=True))


@pytest.mark.parametrize("per", ["network", "channel"])
def test_the_certificate_of_given_bits(per):
    net = _network(7)
    found = bounds.certify_bits(net, 6, (-1.0, 1.0), per=per)
    assert found.uniform == 6 and all((b == 6).all() for b in found.bits)
    assert found.total == 6 * sum(w.size + b.size for w, b in _pairs(net))
    assert found.certificate == bounds.enclose(net, found.network, (-1.0, 1.0), gap=0.05)
    _fits(found.network, found.bits)
    # Theory needs its bits for what was proven, not fewer.
    curve = found.curve
    assert curve.apriori[curve.bits == found.apriori][0] <= found.certificate.upper
    assert (curve.apriori[curve.bits < found.apriori] > found.certificate.upper).all()
    for bits in (1, 54, True):
        with pytest.raises((ValueError, TypeError), match="a whole number from 2 to 53"):
            bounds.certify_bits(net, bits, (-1, 1))


def test_a_search_that_runs_out_of_time_says_so_and_still_holds():
    net = _network(8, (3, 6, 6, 1))
    seen = []
    found = bounds.allocate_bits(
        net,
        0.3,
        (0.0, 1.0),
        per="layer",
        seconds=0.05,
        search_seconds=1e-6,
        progress=lambda total, enclosure: seen.append((total, enclosure)),
    )
    assert not found.finished and found.certificate.upper <= 0.3
    assert found.certificate in [enclosure for _, enclosure in seen]
    assert np.isnan(found.curve.certified).any() and found.curve.knee is None
    assert (np.isnan(found.curve.certified) == np.isnan(found.curve.sampled)).all()
    found.curve.figure(0.3)
    with pytest.raises(ValueError, match="search_seconds=...\\)` must be positive; got 0"):
        bounds.allocate_bits(net, 0.3, (0, 1), search_seconds=0)


def test_no_exact_certificate_is_begun_that_would_end_too_late():
    net = _network(8, (2, 6, 6, 1))
    seen = []
    found = bounds.allocate_bits(
        net,
        0.1,
        (0.0, 1.0),
        per="layer",
        seconds=1e-9,
        search_seconds=1e-9,
        progress=lambda total, enclosure: seen.append(enclosure),
    )
    # The first bits that are certified are waited for, whole; nothing is tried after that.
    assert found.certificate is seen[-1] and found.certificate.complete
    assert not found.finished and all(e.upper > 0.1 for e in seen[:-1])
    assert np.isfinite(found.curve.certified).sum() == len(seen)


@pytest.mark.parametrize("per", ["network", "layer", "channel"])
def test_three_inputs(per):
    """Branch and bound with a small budget: what it proves holds, and one bit less is no luck."""
    net = _network(9, (3, 4, 1))
    found = bounds.allocate_bits(net, 0.2, (0.0, 1.0), per=per, budget=3000, curve=False)
    assert found.certificate.method == "branch and bound" and found.certificate.upper <= 0.2
    x = np.random.default_rng(7).uniform(0, 1, (3, 20000))
    assert abs(_values(net, x) - _values(found.network, x)).max() <= found.certificate.upper
    _fits(found.network, found.bits)
    assert found.total <= found.uniform * sum(w.size + b.size for w, b in _pairs(net))
    fewer = bounds.certify_bits(net, found.uniform - 1, (0.0, 1.0), budget=3000, curve=False)
    assert fewer.certificate.upper > 0.2
    assert found.finished


def _curve(logs):
    errors = 2.0 ** np.array(logs)
    return bounds.BitsCurve(np.arange(2, 2 + len(errors)), errors, errors, 4 * errors)


BENDS = {
    "a floor": ([0, -1, -2, -3, -4, -5, -6, -7, -7.1, -7.2, -7.3, -7.4], 9),
    "a steep start": ([4, 1, -2, -3, -4, -5, -6, -7, -8, -9], 4),
    "a straight line": ([0, -1, -2, -3, -4, -5, -6, -7, -8], None),
    "a lucky dip": ([0, -1, -2, -3, -9, -5, -6, -7, -8, -9, -10], None),
    "a late fall": ([0, 0, 0, -0.1, -0.2, -1, -2, -3, -4, -5], None),
    "too few": ([0, -4, -5, -5, -5], None),
    "exact from some bits on": ([0, -1, -2, -3, -np.inf, -np.inf, -np.inf, -np.inf], None),
}


@pytest.mark.parametrize("case", BENDS)
def test_the_knee_is_a_bend_and_no_dip(case):
    logs, knee = BENDS[case]
    curve = _curve(logs)
    assert curve.knee == knee
    words = [text.get_text() for text in curve.figure().axes[0].texts]
    assert [w for w in words if "knee" in w] == ([] if knee is None else [f"knee: {knee} bits"])


def test_noise_moves_the_knee_little_and_makes_none():
    rng = np.random.default_rng(0)
    bits = np.arange(2, 18)
    straight = sum(_curve(2 - bits + 0.7 * rng.normal(size=16)).knee is not None for _ in range(50))
    assert straight <= 5
    bend = 2 - np.minimum(bits, 11) - 0.1 * np.maximum(bits - 11, 0)
    knees = [_curve(bend + 0.4 * rng.normal(size=16)).knee for _ in range(50)]
    assert sum(knee is not None and abs(knee - 11) <= 1 for knee in knees) >= 40


def test_the_figure_marks_the_bits():
    found = bounds.allocate_bits(_network(3), 1e-2, (0.0, 1.0))
    words = [text.get_text() for text in found.curve.figure(1e-2).axes[0].texts]
    assert "asked: 0.01" in words
    assert f"{found.uniform} bits" in words and f"{found.apriori} bits" in words
    assert not any("asked" in text.get_text() for text in found.curve.figure().axes[0].texts)
