"""A grid of 6 sizes x 8 seeds x 4 bit widths, trained as one ensemble and one network at a time.

MLPs 1-n-n-1, n = 4, 6, 8, 10, 12, 16, weights at 2, 3, 4 and 8 bits per channel, exp(3x) at 64
points, 2,000 steps of Adam on all points, float32: 192 networks. Compilation is included on both
sides.

- "ensemble": `fit_ensemble` on all of them, padded to n = 16, each with bits of its own.
- "loop": what one usually writes: an `equinox.filter_jit` step, called once per step, for one
  network after the other. It compiles once for each size and number of bits.

Claim: the ensemble is at least 10 times as fast. That both do the same is checked by the losses
that they end with: straight-through training is chaotic, so medians over seeds are compared.

Run it: `python benchmarks/grids_of_networks_train_together.py [--seeds-of-the-loop 8]`. With fewer
seeds (at least 2) the rest of the loop is extrapolated from those after the first, which compiles,
and the output says so.
"""

import argparse
import importlib.metadata
import platform
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from qrelu import networks, training
from qrelu.quantizers import AbsMax

SIZES, SEEDS, BITS = (4, 6, 8, 10, 12, 16), 8, (2, 3, 4, 8)
POINTS, STEPS, RATE = 64, 2000, 3e-3


def mlp(size, seed):
    return eqx.nn.MLP(1, 1, size, 2, key=jax.random.key(seed))


def ensemble(mlps, x, y):
    """The losses at the end, of shape (sizes, seeds, bits)."""
    members = [(n, seed, b) for n in SIZES for seed in range(SEEDS) for b in BITS]
    widths = (1, SIZES[-1], SIZES[-1], 1)
    # The same network for all bits.
    nets = {which: networks.from_mlp(model) for which, model in mlps.items()}
    padded = {which: networks.pad(net, widths) for which, net in nets.items()}
    masks = {which: networks.mask(net, widths) for which, net in nets.items()}
    result = training.fit_ensemble(
        networks.stack([padded[n, s] for n, s, _ in members]),
        (x, y),
        steps=STEPS,
        every=STEPS,
        optimizer=optax.adam(RATE),
        mask=networks.stack([masks[n, s] for n, s, _ in members]),
        quantizer=AbsMax(jnp.array([b for *_, b in members]), "channel"),
        where=lambda net: net.weights,
    )
    return np.reshape(result.loss, (len(SIZES), SEEDS, len(BITS)))


def loop(mlps, x, y, seeds):
    """The losses at the end, the seconds for the first seed, and those for each later one."""
    optimizer = optax.adam(RATE)

    def rounded(w, bits):
        scale = jnp.max(jnp.abs(w), axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
        return w + jax.lax.stop_gradient(jnp.round(w / scale) * scale - w)

    def loss_of(model, x, y, bits):
        layers = [rounded(layer.weight, bits) for layer in model.layers]
        model = eqx.tree_at(lambda m: [layer.weight for layer in m.layers], model, layers)
        return jnp.mean(jnp.square(jax.vmap(model)(x) - y))

    @eqx.filter_jit
    def step(model, state, x, y, bits):
        loss, gradients = eqx.filter_value_and_grad(loss_of)(model, x, y, bits)
        updates, state = optimizer.update(gradients, state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), state, loss

    losses, seconds = np.zeros((len(SIZES), seeds, len(BITS))), np.zeros(seeds)
    for j in range(seeds):
        begin = time.perf_counter()
        for i, n in enumerate(SIZES):
            for k, b in enumerate(BITS):
                model = mlps[n, j]
                state = optimizer.init(eqx.filter(model, eqx.is_array))
                for _ in range(STEPS + 1):  # the last one shows the loss after all steps
                    model, state, loss = step(model, state, x, y, b)
                losses[i, j, k] = float(loss)
        seconds[j] = time.perf_counter() - begin
        print(f"  loop, seed {j}: {seconds[j]:.1f} s", flush=True)
    return losses, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds-of-the-loop", type=int, default=SEEDS)
    seeds = min(max(2, parser.parse_args().seeds_of_the_loop), SEEDS)
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("jax", "equinox", "qrelu")]
    print(platform.platform(), platform.python_version(), jax.devices()[0].device_kind, *versions)
    x = jnp.linspace(0, 1, POINTS)[:, None]
    y = jnp.exp(3 * x)
    jax.block_until_ready(y)
    # Both begin from these. To draw them takes as long as an ensemble's training, most of it
    # compilation, which whoever comes first would pay for both.
    mlps = {(n, seed): mlp(n, seed) for n in SIZES for seed in range(SEEDS)}
    begin = time.perf_counter()
    together = ensemble(mlps, x, y)
    fast = time.perf_counter() - begin
    losses, seconds = loop(mlps, x, y, seeds)
    slow = seconds.sum()
    print(f"{together.size} networks, {STEPS} steps: ensemble {fast:.1f} s, compilation included")
    if seeds < SEEDS:
        slow += np.mean(seconds[1:]) * (SEEDS - seeds)  # the first one compiled
        measured = f"EXTRAPOLATED from {seeds} of {SEEDS} seeds ({seconds.sum():.1f} s measured)"
    else:
        measured = "all of it measured"
    print(f"loop {slow:.1f} s, {measured}; {slow / fast:.1f} times the ensemble")
    ratios = np.median(together[:, :seeds], axis=1) / np.median(losses, axis=1)
    typical = np.exp(np.median(np.log(ratios)))
    print("median loss of the ensemble over the loop's, rows sizes, columns bits:")
    print(np.array2string(ratios, precision=2))
    assert 0.8 < typical < 1.25, typical
    assert slow >= 10 * fast, slow / fast
    print("all claims hold")


if __name__ == "__main__":
    main()
