"""Test accuracy on scikit-learn's digits at 2, 3 and 4 bits, against Qwix, with paired seeds.

An MLP 64-64-64-10, its three matrices quantized per output channel, biases in float; Adam with a
cosine schedule, 40 epochs in batches of 32, float32. A seed decides the split (360 test digits),
the initial parameters and the order of the digits, the same for all sides; the difference to Qwix
is of pairs. Sides:

- "float": the plain model.
- "learned steps": `fit` of the model in `wrap` with `LSQ(bits, "channel")`.
- "largest weight": `fit` through `AbsMax(bits, "channel")`, whose step follows the largest weight,
  as in Qwix.
- "Qwix": the same network in Flax with `weight_qtype` int2, int3, int4.

Claims, for the learned steps: the mean accuracy is at most half a point below that of Qwix at any
bits, and at 4 bits at most one point below float.

Run it: `python benchmarks/digits_against_qwix.py [--seeds 20] [--bits 2 3 4] [--epochs 40]`
(needs scikit-learn; without Qwix its column is left out).
"""

import argparse
import importlib.metadata
import platform
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

from qrelu import training
from qrelu.quantizers import LSQ, AbsMax, wrap
from qrelu.training._order import rows_of

# Qwix takes an array of the shape of a weight, (64, 64), for one: batches have another shape.
SIZES, BATCH, RATE, TESTED = (64, 64, 64, 10), 32, 3e-3, 360


def split(seed):
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    x, y = (pixels[order] / 16).astype("f"), labels[order].astype(np.int32)
    return (x[TESTED:], y[TESTED:]), (x[:TESTED], y[:TESTED])


def mlp(seed):
    return eqx.nn.MLP(64, 10, 64, 2, key=jax.random.key(seed))


def weights_of(model):
    return [layer.weight for layer in model.layers]


@eqx.filter_jit
def right(model, x, y):
    return jnp.mean(jnp.argmax(jax.vmap(model)(x), axis=1) == y)


def by_fit(model, train, test, steps, optimizer, seed, **options):
    result = training.fit(
        model,
        train,
        loss="cross_entropy",
        batch=BATCH,
        steps=steps,
        every=steps,
        optimizer=optimizer,
        key=jax.random.key(seed),
        **options,
    )
    return 100 * float(right(result.model, *test))


def qwix_model(bits):
    import qwix
    from flax import linen as nn

    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            for i, n in enumerate(SIZES[1:]):
                x = nn.relu(x) if i else x
                x = nn.Dense(n)(x)
            return x

    rules = [qwix.QtRule(module_path=".*", weight_qtype=f"int{bits}", act_qtype=None)]
    return qwix.quantize_model(Model(), qwix.QtProvider(rules))


def qwix_side(bits, steps, optimizer):
    """A function of seed, training and test data: the accuracy with Qwix."""
    model = qwix_model(bits)
    rest = model.init(jax.random.key(0), jnp.zeros((1, 64), "f"))

    @jax.jit
    def train(weights, x, y, rows):
        def step(carry, row):
            weights, state = carry

            def loss(weights):
                logits = model.apply({**rest, "params": weights}, x[row])
                return optax.softmax_cross_entropy_with_integer_labels(logits, y[row]).mean()

            updates, state = optimizer.update(jax.grad(loss)(weights), state)
            return (optax.apply_updates(weights, updates), state), None

        return jax.lax.scan(step, (weights, optimizer.init(weights)), rows)[0][0]

    @jax.jit
    def accuracy(weights, x, y):
        logits = model.apply({**rest, "params": weights}, x)
        return jnp.mean(jnp.argmax(logits, axis=1) == y)

    def run(seed, data, test):
        start = {
            f"Dense_{i}": {"kernel": layer.weight.T, "bias": layer.bias}
            for i, layer in enumerate(mlp(seed).layers)
        }
        assert jax.tree.structure(start) == jax.tree.structure(rest["params"])
        rows = rows_of(jax.random.key(seed), len(data[1]), BATCH, 0, steps)
        weights = train(start, *map(jnp.asarray, data), jnp.asarray(rows))
        return 100 * float(accuracy(weights, *test))

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    packages = ["jax", "equinox", "qrelu", "scikit-learn"]
    peers = {d.metadata["Name"] for d in importlib.metadata.distributions()}
    packages += ["qwix"] if "qwix" in peers else []
    print(platform.platform(), *(f"{p} {importlib.metadata.version(p)}" for p in packages))
    parts = [split(seed) for seed in seeds]
    steps = arguments.epochs * (len(parts[0][0][1]) // BATCH)
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def ours(model_of, **options):
        return lambda s: by_fit(model_of(s), *parts[s], steps, optimizer, s, **options)

    missed, every = [], {"float": ours(mlp)}
    for bits in arguments.bits:
        every[f"{bits} bits, learned steps"] = ours(
            lambda s, bits=bits: wrap(mlp(s), LSQ(bits, "channel"), weights_of)
        )
        every[f"{bits} bits, largest weight"] = ours(
            mlp, quantizer=AbsMax(bits, "channel"), where=weights_of
        )
        if "qwix" in peers:
            peer = qwix_side(bits, steps, optimizer)
            every[f"{bits} bits, Qwix"] = lambda s, peer=peer: peer(s, *parts[s])
    found = {}
    for name, run in every.items():
        begin = time.perf_counter()
        found[name] = np.array([run(seed) for seed in seeds])
        mean, spread = np.mean(found[name]), np.std(found[name], ddof=1 if len(seeds) > 1 else 0)
        spent = time.perf_counter() - begin
        print(f"{name:<24}{mean:7.2f} % (seeds differ by {spread:.2f}) {spent:6.1f} s", flush=True)
    for bits in arguments.bits:
        mine = found[f"{bits} bits, learned steps"]
        for other, least in ((f"{bits} bits, Qwix", -0.5), ("float", -1.0 if bits == 4 else None)):
            if other not in found:
                continue
            gaps = mine - found[other]
            error = statistics.stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
            print(
                f"{bits} bits minus {other}: {gaps.mean():+.2f} points, standard error {error:.2f}"
            )
            if least is not None and gaps.mean() < least:
                missed.append((bits, other, gaps.mean()))
    assert not missed, missed
    print("all claims hold")


if __name__ == "__main__":
    main()
