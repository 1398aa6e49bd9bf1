"""Joint bounds of a classifier's logits are over 20 times tighter than separate intervals.

A 64-64-64-10 network trained on scikit-learn's digits, rounded to nearest at 6 bits, sup-norm balls
of radius 0.01 (pixels in [0, 1]) around every digit. Two upper bounds of the largest change of a
logit: `enclose_points`, and the difference of the interval bounds of both networks, each by itself.
The median of their ratio is asserted; bounds that are reached by a witness stand beside them.

Run it: `python benchmarks/enclosures_of_a_classifier.py` (needs scikit-learn).
"""

import importlib.metadata
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from qrelu import bounds, networks, quantizers

RADIUS, BITS = 0.01, 6


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


def main():
    names = ("jax", "numpy", "scikit-learn")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    x, labels = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    net = train(jnp.asarray(x), jnp.asarray(labels))
    rounded = quantizers.quantize(net, quantizers.Uniform.from_bits(BITS, net.magnitude))
    for name, n in (("network", net), ("rounded", rounded)):
        hits = (np.asarray(networks.realize(n, x)).argmax(1) == labels).mean()
        print(f"accuracy of the {name}: {hits:.4f}")

    begin = time.perf_counter()
    result = bounds.enclose_points(net, rounded, x, RADIUS)
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    plain = separate(net, rounded, x)
    plain_seconds = time.perf_counter() - begin
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
    print(f"upper / lower: median {np.median(result.upper / result.lower):.3f}")

    begin = time.perf_counter()
    decisions = bounds.unchanged_decisions(net, rounded, x, RADIUS)
    seconds = time.perf_counter() - begin
    print(
        f"decisions proven unchanged: {decisions.certified} of {len(x)}; proven changed: "
        f"{decisions.violated}; {seconds:.2f} s"
    )
    assert np.median(ratios) >= 20 and (result.lower <= result.upper).all()


if __name__ == "__main__":
    main()
