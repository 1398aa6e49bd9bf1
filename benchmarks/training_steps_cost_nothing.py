"""The time of a training step through a quantizer, against hand-written JAX and other libraries.

Adam, 4-bit weights per channel, float32: an MLP 1-64-64-64-1 with 1,024 points and an MLP
784-512-512-10 with 256 points, all points in every step. All sides run in turn in one process,
several rounds, and the medians over rounds of the ratios of two sides are compared.

- "step": one compiled step per call, of a wrapped `eqx.nn.MLP` whose structure is taken apart once,
  `leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))`, and put together
  inside the compiled function: arrays go in, arrays come out, as in the other sides. At most 1.05
  times a step written out in JAX and optax, not slower than Qwix and AQT (5 % for the clock), and
  at least 3 times as fast as Brevitas (2.5 times on the second, where `fit` is 3 times as fast).
- "step, modules": the same with the model itself as argument and result. JAX walks through its
  modules in every call, 0.1 to 0.2 ms in Python; shown, no claim.
- "fit": `training.fit`, many steps per dispatch, measured as the difference of a run and of one
  three times as long (a run itself takes 30 to 60 ms to check, to evaluate and to make its record):
  at most 0.8 times the hand-written loop of steps on the first, and 0.5 times on 1-16-16-1 with 64
  points; at least 3 times as fast as Brevitas.
- "loop by hand": the step written by hand in a compiled loop, measured like "fit", whose floor it
  is; no claim.

Libraries that are not installed are left out. Run it:
`python benchmarks/training_steps_cost_nothing.py [--rounds 9]`.
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

from qrelu import training
from qrelu.quantizers import AbsMax, wrap

CASES = {  # sizes, points, classes, steps per round
    "1-16-16-1": ((1, 16, 16, 1), 64, False, 400),
    "1-64-64-64-1": ((1, 64, 64, 64, 1), 1024, False, 200),
    "784-512-512-10": ((784, 512, 512, 10), 256, True, 20),
}
RATE = 1e-3
# On the second the products take nearly all of a step, ours and Brevitas's; many steps in one
# program save a part of the rest.
BREVITAS = {"1-64-64-64-1": 3.0, "784-512-512-10": 2.5}


def parameters(sizes):
    rng = np.random.default_rng(0)
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    return [
        (rng.normal(size=(n, m), scale=(2 / m) ** 0.5).astype("f"), np.zeros(n, "f"))
        for m, n in pairs
    ]


def data(sizes, points, classes):
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(points, sizes[0])).astype("f")
    y = rng.integers(0, sizes[-1], points) if classes else np.exp(x)
    return x, y


def loss_of(predictions, y, classes):
    if classes:
        return optax.softmax_cross_entropy_with_integer_labels(predictions, y).mean()
    return jnp.mean(jnp.square(predictions - y))


def hand_written(sizes, x, y, classes):
    """What a user would write who knows JAX well: a step, and where it begins."""
    weights = jax.tree.map(jnp.asarray, parameters(sizes))
    optimizer = optax.adam(RATE)

    @jax.custom_jvp
    def rounded(w):
        scale = jnp.max(jnp.abs(w), axis=1, keepdims=True) / 7
        return jnp.round(w / scale) * scale

    rounded.defjvp(lambda p, t: (rounded(p[0]), t[0]))

    def loss(weights):
        h = x
        for i, (w, b) in enumerate(weights):
            h = jax.nn.relu(h) if i else h
            h = jnp.dot(h, rounded(w).T) + b
        return loss_of(h, y, classes)

    def step(weights, state):
        value, gradients = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(weights, updates), state, value

    return step, (weights, optimizer.init(weights))


def by_hand(sizes, x, y, classes):
    step, state = hand_written(sizes, x, y, classes)
    return looped(jax.jit(step), *state)


def by_hand_in_a_loop(sizes, x, y, classes):
    step, state = hand_written(sizes, x, y, classes)

    @jax.jit
    def run(state, steps):
        return jax.lax.fori_loop(0, steps, lambda _, state: step(*state)[:2], state)

    return lambda steps: jax.block_until_ready(run(state, steps))


def looped(step, *state):
    def call(steps):
        current = state
        for _ in range(steps):
            *current, value = step(*current)
        jax.block_until_ready(value)

    return call


def mlp(sizes):
    model = eqx.nn.MLP(sizes[0], sizes[-1], sizes[1], len(sizes) - 2, key=jax.random.key(0))
    leaves = [part for pair in parameters(sizes) for part in map(jnp.asarray, pair)]
    return eqx.tree_at(lambda m: [p for c in m.layers for p in (c.weight, c.bias)], model, leaves)


def weights_of(model):
    return [layer.weight for layer in model.layers]


def ours_by_steps(sizes, x, y, classes):
    model, optimizer = wrap(mlp(sizes), AbsMax(4, "channel"), weights_of), optax.adam(RATE)
    trained, rest = eqx.partition(model, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(trained)

    def loss(leaves):
        trained = jax.tree.unflatten(structure, leaves)
        return loss_of(jax.vmap(eqx.combine(trained, rest))(x), y, classes)

    @jax.jit
    def step(leaves, state):
        value, gradients = jax.value_and_grad(loss)(leaves)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(leaves, updates), state, value

    return looped(step, leaves, optimizer.init(leaves))


def ours_by_modules(sizes, x, y, classes):
    model, optimizer = wrap(mlp(sizes), AbsMax(4, "channel"), weights_of), optax.adam(RATE)
    trained, rest = eqx.partition(model, eqx.is_inexact_array)

    def loss(trained):
        return loss_of(jax.vmap(eqx.combine(trained, rest))(x), y, classes)

    @jax.jit
    def step(trained, state):
        value, gradients = jax.value_and_grad(loss)(trained)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(trained, updates), state, value

    return looped(step, trained, optimizer.init(trained))


def ours_by_fit(sizes, x, y, classes):
    model, optimizer = mlp(sizes), optax.adam(RATE)
    loss = "cross_entropy" if classes else "l2"

    def call(steps):
        training.fit(
            model,
            (x, y),
            steps=steps,
            every=steps,
            loss=loss,
            optimizer=optimizer,
            quantizer=AbsMax(4, "channel"),
            where=weights_of,
        )

    return call


def qwix_steps(sizes, x, y, classes):
    import qwix
    from flax import linen as nn

    model = _linen(nn, sizes)
    rules = [qwix.QtRule(module_path=".*", weight_qtype="int4", act_qtype=None)]
    return _linen_steps(qwix.quantize_model(model, qwix.QtProvider(rules)), x, y, classes)


def aqt_steps(sizes, x, y, classes):
    import aqt.jax.v2.config as config
    from aqt.jax.v2.flax.aqt_flax import AqtDotGeneral
    from flax import linen as nn

    cfg = config.config_v4(fwd_bits=4, dlhs_bits=None, drhs_bits=None)
    cfg.fwd.dg_quantizer.lhs.numerics = config.no_numerics.NoNumerics()  # weights only
    cfg.fwd.dg_accumulator_dtype = None
    return _linen_steps(_linen(nn, sizes, lambda: AqtDotGeneral(cfg)), x, y, classes)


def _linen(nn, sizes, dot=None):
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            for i, n in enumerate(sizes[1:]):
                x = nn.relu(x) if i else x
                x = nn.Dense(n, dot_general=dot() if dot else None)(x)
            return x

    return Model()


def _linen_steps(model, x, y, classes):
    weights, optimizer = model.init(jax.random.key(0), x), optax.adam(RATE)
    trained, rngs = weights["params"], {"params": jax.random.key(1)}

    def loss(trained):
        return loss_of(model.apply({**weights, "params": trained}, x, rngs=rngs), y, classes)

    @jax.jit
    def step(trained, state):
        value, gradients = jax.value_and_grad(loss)(trained)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(trained, updates), state, value

    return looped(step, trained, optimizer.init(trained))


def brevitas_steps(sizes, x, y, classes):
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import Int8WeightPerChannelFloat as per_channel

    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    maps = [
        qnn.QuantLinear(m, n, bias=True, weight_quant=per_channel, weight_bit_width=4)
        for m, n in pairs
    ]
    model = torch.nn.Sequential(*[p for m in maps for p in (m, torch.nn.ReLU())][:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    tx, ty = torch.from_numpy(x), torch.from_numpy(np.asarray(y))
    measure = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()

    def call(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            measure(model(tx), ty).backward()
            optimizer.step()

    return call


def timed(call, steps) -> float:
    begin = time.perf_counter()
    call(steps)
    return time.perf_counter() - begin


LOOPS = ("fit", "loop by hand")
SIDES = {
    "by hand": by_hand,
    "step": ours_by_steps,
    "step, modules": ours_by_modules,
    "fit": ours_by_fit,
    "loop by hand": by_hand_in_a_loop,
    "Qwix": qwix_steps,
    "AQT": aqt_steps,
    "Brevitas": brevitas_steps,
}


def over(times, others) -> float:
    """The median ratio of what was measured in the same round."""
    return statistics.median(t / o for t, o in zip(times, others, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("jax", "equinox", "qrelu")]
    print(platform.platform(), platform.python_version(), jax.devices()[0].device_kind, *versions)
    missed = []
    for name, (sizes, points, classes, steps) in CASES.items():
        x, y = data(sizes, points, classes)
        calls = {}
        for side, make in SIDES.items():
            try:
                calls[side] = make(sizes, x, y, classes)
                calls[side](steps)
                calls[side](3 * steps if side in LOOPS else 1)
            except ImportError as error:
                print(f"{side} is not installed: {error}")
                calls.pop(side, None)
        seconds: dict = {side: [] for side in calls}
        for _ in range(rounds):
            for side, call in calls.items():
                if side in LOOPS:
                    taken = (timed(call, 3 * steps) - timed(call, steps)) / 2
                else:
                    taken = timed(call, steps)
                seconds[side].append(taken / steps)
        hand = statistics.median(seconds["by hand"])
        print(f"{name}, {points} points: by hand {hand * 1e3:.3f} ms a step")
        shares = {side: over(seconds[side], seconds["by hand"]) for side in calls}
        print("  over it: " + ", ".join(f"{side} {r:.2f}" for side, r in shares.items()))
        to_step = {side: over(seconds[side], seconds["step"]) for side in calls}
        print("  over ours: " + ", ".join(f"{side} {r:.2f}" for side, r in to_step.items()))
        checks = {}
        if "Brevitas" in calls:
            to_fit = over(seconds["Brevitas"], seconds["fit"])
            print(f"  over fit: Brevitas {to_fit:.2f}")
            checks["Brevitas over fit"] = to_fit >= 3
        if name != "1-16-16-1":
            checks["step over by hand"] = shares["step"] <= 1.05
            peers = {"Qwix": 1 / 1.05, "AQT": 1 / 1.05, "Brevitas": BREVITAS[name]}
            checks |= {p: to_step[p] >= least for p, least in peers.items() if p in to_step}
        share = {"1-16-16-1": 0.5, "1-64-64-64-1": 0.8}.get(name)
        checks |= {"fit over by hand": shares["fit"] <= share} if share else {}
        missed += [f"{name}: {what}" for what, held in checks.items() if not held]
    assert not missed, missed


if __name__ == "__main__":
    main()
