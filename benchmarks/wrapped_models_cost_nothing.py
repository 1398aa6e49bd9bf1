"""Training through the quantizer costs next to nothing beside the products of the network.

One step of Adam on an `eqx.nn.MLP` (1 input, three hidden layers of width 64), partitioned once and
jitted, mean squared error: the plain model against `wrap(model, AbsMax(4, "channel"))`, weights and
biases, and against learned steps. Medians of interleaved runs. What the quantizer costs does not
depend on the batch, so the ratio falls as the batch grows: asserted at 8,192 points, where the
products of the network are what a step consists of; the smaller batches are shown.

Run it: `python benchmarks/wrapped_models_cost_nothing.py`.
"""

import importlib.metadata
import platform
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from qrelu import quantizers

BATCHES = (64, 1024, 8192)
ROUNDS, STEPS = 31, 20
LIMIT = 1.25  # of the plain step's time, at 8,192 points


def trainer(model, xs, ys):
    """A function that runs some steps of Adam and waits for them."""
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.adam(1e-3)

    def loss(parameters):
        return jnp.mean((jax.vmap(eqx.combine(parameters, static))(xs) - ys) ** 2)

    @jax.jit
    def step(parameters, state):
        gradient = jax.grad(loss)(parameters)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(parameters, updates), state

    carry = [parameters, optimizer.init(parameters)]

    def run() -> float:
        begin = time.perf_counter()
        for _ in range(STEPS):
            carry[:] = step(*carry)
        jax.block_until_ready(carry)
        return (time.perf_counter() - begin) / STEPS

    run()
    return run


def main() -> None:
    print(platform.platform(), platform.python_version(), jax.devices()[0].device_kind, end=" ")
    names = ("jax", "equinox", "optax", "qrelu")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in names))
    model = eqx.nn.MLP(1, 1, 64, 3, key=jax.random.key(0))
    models = {
        "plain": model,
        "AbsMax(4, channel)": quantizers.wrap(model, quantizers.AbsMax(4, "channel")),
        "LSQ(4, channel)": quantizers.wrap(model, quantizers.LSQ(4, "channel")),
    }
    print(f"{'batch':>6}  " + "  ".join(f"{name:>26}" for name in models))
    ratios = {}
    for batch in BATCHES:
        xs = jnp.linspace(-1, 1, batch)[:, None]
        runs = {name: trainer(m, xs, jnp.sin(3 * xs)) for name, m in models.items()}
        times = {name: [] for name in models}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                times[name].append(run())
        medians = {name: statistics.median(t) for name, t in times.items()}
        ratios[batch] = {name: t / medians["plain"] for name, t in medians.items()}
        cells = [f"{1e6 * t:12.0f} us ({ratios[batch][n]:.2f} x)" for n, t in medians.items()]
        print(f"{batch:>6}  " + "  ".join(f"{cell:>26}" for cell in cells), flush=True)
    worst = max(max(ratios[batch].values()) for batch in BATCHES if batch >= 8192)
    assert worst <= LIMIT, f"{worst:.2f} x the plain step; the limit is {LIMIT}"


if __name__ == "__main__":
    main()
