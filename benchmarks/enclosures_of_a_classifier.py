"""Joint bounds of a classifier's logits are over 20 times tighter than separate intervals.

A 64-64-64-10 network trained on scikit-learn's digits, rounded to nearest at 6 bits, sup-norm balls
of radius 0.01 (pixels in [0, 1]) around every digit. Two upper bounds of the largest change of a
logit: `enclose_points`, and the difference of the interval bounds of both networks, each by itself.
The median of their ratio is asserted; bounds that are reached by a witness stand beside them.

The joint bounds are also held against what a verifier of single networks gives on the difference
network (both networks side by side, the last layer subtracts): interval bounds, CROWN [zhang2018]
and alpha-CROWN [xu2021], whose lower slopes are optimized by Adam, 10 steps. These are plain
implementations of the published methods, written here in PyTorch with float64, not the authors'
library `auto_LiRPA`; seconds are of the processor, for the same balls.

Run it: `python benchmarks/enclosures_of_a_classifier.py` (needs scikit-learn and PyTorch).
"""

import importlib.metadata
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from sklearn.datasets import load_digits

from qrelu import bounds, networks, quantizers

RADIUS, BITS = 0.01, 6
# Digits on which the slower judges are asked.
BALLS = 256


def train(x, labels, steps=2000):
    net = networks.he_normal((64, 64, 64, 10), key=jax.random.key(0))
    optimizer = optax.adam(1e-3)

    def step(carry, key):
        net, state = carry
        rows = jax.random.choice(key, len(x), (256,))

        def loss(n):
            logits = networks.realize(n, x[rows])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()

        updates, state = optimizer.update(jax.grad(loss)(net), state)
        return (optax.apply_updates(net, updates), state), None

    start = (net, optimizer.init(net))
    return jax.lax.scan(step, start, jax.random.split(jax.random.key(1), steps))[0][0]


def intervals(net, x):
    """Lower and upper ends of every output on every ball, layer by layer."""
    low, high = (x - RADIUS).T, (x + RADIUS).T
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        if i:
            low, high = np.maximum(low, 0), np.maximum(high, 0)
        plus, minus = np.maximum(w, 0), np.minimum(w, 0)
        low, high = plus @ low + minus @ high, plus @ high + minus @ low
        low, high = low + np.asarray(b)[:, None], high + np.asarray(b)[:, None]
    return low, high


def separate(net, other, x):
    (a, b), (c, d) = intervals(net, x), intervals(other, x)
    return np.maximum(b - c, d - a).max(0)


def difference_network(net, other):
    """Weights and biases of R - R' as one network."""
    pairs = list(zip(net.weights, net.biases, other.weights, other.biases, strict=True))
    pairs = [[torch.tensor(np.asarray(p, np.float64)) for p in layer] for layer in pairs]
    w, b, v, c = pairs[0]
    layers = [(torch.cat([w, v]), torch.cat([b, c]))]
    for w, b, v, c in pairs[1:-1]:
        layers.append((torch.block_diag(w, v), torch.cat([b, c])))
    w, b, v, c = pairs[-1]
    return [*layers, (torch.cat([w, -v], 1), b - c)]


def interval_ends(layers, low, high):
    """Pre-activation bounds (balls, units) of every layer, by intervals."""
    ends = []
    for i, (w, b) in enumerate(layers):
        if i:
            low, high = low.relu(), high.relu()
        plus, minus = w.clamp(min=0), w.clamp(max=0)
        low, high = low @ plus.T + high @ minus.T + b, high @ plus.T + low @ minus.T + b
        ends.append((low, high))
    return ends


def backward(layers, ends, low, high, slopes=None):
    """CROWN's upper bounds (balls, rows) of w h + b and of its negative, for the last layer given.

    `ends` bound the hidden layers before; `slopes` are those of the lower lines, by layer, of shape
    (balls, rows, units), or None for 0 or 1, whichever leaves the smaller triangle.
    """
    w, b = layers[-1]
    rows = torch.cat([w, -w]).expand(len(low), -1, -1)
    constant = torch.cat([b, -b]).expand(len(low), -1)
    for i in range(len(layers) - 2, -1, -1):
        below, above = (end[:, None] for end in ends[i])
        crosses = (below < 0) & (above > 0)
        rise = torch.where(crosses, above / (above - below).clamp(min=1e-300), (above > 0) * 1.0)
        offset = torch.where(crosses, -rise * below, 0.0)
        least = (above > -below) * 1.0 if slopes is None else slopes[i]
        least = torch.where(crosses, least, rise)
        plus, minus = rows.clamp(min=0), rows.clamp(max=0)
        constant = constant + (plus * offset).sum(2)
        rows = plus * rise + minus * least
        w, b = layers[i]
        constant = constant + rows @ b
        rows = rows @ w
    center, radius = (high + low) / 2, (high - low) / 2
    return (
        constant + (rows @ center[:, :, None])[:, :, 0] + (abs(rows) @ radius[:, :, None])[:, :, 0]
    )


def crown(layers, low, high, steps=0):
    """Upper bounds of the largest output in absolute value, after every step of Adam."""
    ends = interval_ends(layers[:1], low, high)
    for n in range(2, len(layers)):
        upper = optimized(layers[:n], ends, low, high, steps)[-1]
        units = upper.shape[1] // 2
        ends.append((-upper[:, units:], upper[:, :units]))
    return [bound.max(1).values for bound in optimized(layers, ends, low, high, steps)]


def optimized(layers, ends, low, high, steps):
    best = backward(layers, ends, low, high)
    found = [best]
    rows = 2 * len(layers[-1][1])
    starts = [((-below < above) * 1.0)[:, None].repeat(1, rows, 1) for below, above in ends]
    slopes = [start.requires_grad_() for start in starts]
    if steps:
        adam = torch.optim.Adam(slopes, lr=0.1)
    for _ in range(steps):
        upper = backward(layers, ends, low, high, slopes)
        best = torch.minimum(best, upper.detach())
        adam.zero_grad()
        upper.sum().backward()
        adam.step()
        with torch.no_grad():
            for slope in slopes:
                slope.clamp_(0, 1)
        found.append(best)
    return found


def judged(net, other, x, steps=10, balls=64):
    """Upper bounds and processor seconds of the methods on the difference network."""
    layers = difference_network(net, other)
    results = {}
    for name in ("intervals", "CROWN", "alpha-CROWN"):
        begin, parts = time.process_time(), []
        for i in range(0, len(x), balls):
            center = torch.tensor(x[i : i + balls], dtype=torch.float64)
            low, high = center - RADIUS, center + RADIUS
            if name == "intervals":
                ends = interval_ends(layers, low, high)[-1]
                parts.append(torch.maximum(-ends[0], ends[1]).max(1).values)
            else:
                parts.append(crown(layers, low, high, steps if name != "CROWN" else 0)[-1].detach())
        results[name] = torch.cat(parts).numpy(), time.process_time() - begin
    return results


def main():
    names = ("jax", "numpy", "scikit-learn", "torch")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    x, labels = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    net = train(jnp.asarray(x), jnp.asarray(labels))
    rounded = quantizers.quantize(net, quantizers.Uniform.from_bits(BITS, net.magnitude))
    for name, n in (("network", net), ("rounded", rounded)):
        hits = (np.asarray(networks.realize(n, x)).argmax(1) == labels).mean()
        print(f"accuracy of the {name}: {hits:.4f}")

    begin = time.process_time()
    result = bounds.enclose_points(net, rounded, x, RADIUS)
    seconds = time.process_time() - begin
    begin = time.process_time()
    plain = separate(net, rounded, x)
    plain_seconds = time.process_time() - begin
    ratios = plain / result.upper
    print(f"{'':26}{'median bound':>14}{'largest':>10}{'seconds':>9}")
    rows = (
        ("witnessed (lower)", result.lower, 0.0),
        ("joint (upper)", result.upper, seconds),
        ("separate intervals", plain, plain_seconds),
    )
    for name, values, took in rows:
        print(f"{name:26}{np.median(values):14.4f}{values.max():10.4f}{took:9.2f}")
    print(f"separate / joint: median {np.median(ratios):.1f}, least {ratios.min():.1f}")
    # No bound can be below a difference that occurs.
    most = plain / result.lower
    print(f"separate / witnessed, the most there is: {np.median(most):.1f}, least {most.min():.1f}")
    print(f"upper / lower: median {np.median(result.upper / result.lower):.3f}")

    some = np.linspace(0, len(x) - 1, BALLS).astype(int)
    begin = time.process_time()
    joint = bounds.enclose_points(net, rounded, x[some], RADIUS).upper
    rows = {"joint, again": (joint, time.process_time() - begin)} | judged(net, rounded, x[some])
    print(f"{len(joint)} balls:{'':16}{'median bound':>14}{'over joint':>12}{'seconds':>9}")
    for name, (values, took) in rows.items():
        over = values / joint
        print(f"{name:26}{np.median(values):14.4f}{np.median(over):12.3f}{took:9.2f}")
        # The judges leave out rounding errors, which joint bounds hold.
        assert (values >= result.lower[some] * (1 - 1e-4)).all()
        assert np.median(over) >= 1 or took > rows["joint, again"][1]
        print(
            f"{'':26}least over joint {over.min():.3f}, joint tighter in {(over >= 1).mean():.3f}"
        )

    begin = time.process_time()
    decisions = bounds.unchanged_decisions(net, rounded, x, RADIUS)
    seconds = time.process_time() - begin
    print(
        f"decisions proven unchanged: {decisions.certified} of {len(x)}; proven changed: "
        f"{decisions.violated}; {seconds:.2f} s"
    )
    assert np.median(ratios) >= 20 and (result.lower <= result.upper).all()


if __name__ == "__main__":
    main()
