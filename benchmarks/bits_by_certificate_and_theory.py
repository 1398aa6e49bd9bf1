"""How many bits keep ten networks within an accuracy: by certificate, by theory, and by samples.

For every network, He-random and trained, of one to three inputs: the fewest bits per parameter
that the certificate of `bounds.allocate_bits` proves to be enough, those for which the a-priori
theorem guarantees the accuracy, and the fewest for which 4,160 random points show no larger change
(not proven, a lower bound of what rounding to nearest needs). Ends in asserts: the order of the
three, and that the certificate asks for at most one bit more than the samples.

    python benchmarks/bits_by_certificate_and_theory.py
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import qrelu as qr

ACCURACY = 0.01
BOX = (-1.0, 1.0)


def target(x):
    """Something smooth with a kink, for any number of inputs."""
    return jnp.sin(3 * x.sum(-1, keepdims=True)) + jnp.abs(x[..., :1] - 0.3)


def he_random(widths, seed):
    rng = np.random.default_rng(seed)
    net = qr.networks.he_normal(widths, key=jax.random.key(seed))
    return qr.ReLUNetwork(
        [np.asarray(w) for w in net.weights], [0.1 * rng.normal(size=b.shape) for b in net.biases]
    )


def trained(widths, seed, steps=2000):
    start = qr.networks.he_normal(widths, key=jax.random.key(seed))
    points = jax.random.uniform(jax.random.key(seed + 100), (512, widths[0]), minval=-1.0)
    values = target(points)
    optimizer = optax.adam(3e-3)

    def loss(net):
        return jnp.mean((qr.realize(net, points) - values) ** 2)

    def step(carry, _):
        net, state = carry
        updates, state = optimizer.update(jax.grad(loss)(net), state)
        return (optax.apply_updates(net, updates), state), None

    @jax.jit
    def run(net):
        return jax.lax.scan(step, (net, optimizer.init(net)), length=steps)[0][0]

    net = jax.device_get(run(start))
    return qr.ReLUNetwork([np.asarray(w) for w in net.weights], [np.asarray(b) for b in net.biases])


def networks():
    yield "random", he_random((1, 32, 1), 0)
    yield "random", he_random((1, 32, 32, 1), 1)
    yield "random", he_random((1, 12, 12, 12, 12, 12, 12, 1), 2)
    yield "trained", trained((1, 32, 1), 3)
    yield "trained", trained((1, 32, 32, 1), 4)
    yield "trained", trained((1, 12, 12, 12, 12, 12, 12, 1), 5)
    yield "random", he_random((2, 24, 24, 1), 6)
    yield "trained", trained((2, 24, 24, 1), 7)
    yield "random", he_random((3, 12, 12, 1), 8)
    yield "trained", trained((3, 12, 12, 1), 9)


def main():
    jax.config.update("jax_enable_x64", True)
    print(f"Bits per parameter for a change of at most {ACCURACY} on [-1, 1]^n, float64\n")
    print("| network | weights | sampled | certified | certified at | theory | seconds |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for kind, net in networks():
        begin = time.perf_counter()
        found = qr.bounds.allocate_bits(net, ACCURACY, BOX, seconds=20.0)
        spent = time.perf_counter() - begin
        curve = found.curve
        sampled = int(curve.bits[curve.sampled <= ACCURACY][0])
        rows.append((sampled, found.uniform, found.apriori))
        widths = "-".join(map(str, net.widths))
        theory = found.apriori or "more than 53"
        print(
            f"| {widths} | {kind} | {sampled} | {found.uniform} | {found.certificate.upper:.2e} | "
            f"{theory} | {spent:.1f} |",
            flush=True,
        )
    for sampled, certified, theory in rows:
        assert sampled <= certified <= sampled + 1, "the certificate is not sharp"
        assert theory is None or certified < theory, "theory asks for no more than the certificate"
    saved = [theory - certified for _, certified, theory in rows if theory is not None]
    print(f"\ntheory asks for {min(saved)} to {max(saved)} bits more than the certificate")


if __name__ == "__main__":
    main()
