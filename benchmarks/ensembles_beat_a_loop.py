"""64 networks of width 16 in one vmapped call against a Python loop of compiled calls.

Three hidden layers, float32, at 1, 1,024 and 65,536 points; medians of interleaved rounds. At least
15 times as fast at one point, twice as fast at 1,024, and not slower at 65,536, where both do the
same work (within 10 percent, the noise of a shared machine).

Run it: `python benchmarks/ensembles_beat_a_loop.py [--rounds 40]`.
"""

import argparse
import importlib.metadata
import platform
import statistics
import time

import jax

import qrelu as qr
from qrelu import networks

WANTED = {1: 15.0, 1024: 2.0, 65_536: 0.9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    print(platform.platform(), platform.python_version(), jax.devices()[0].device_kind, end=" ")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "qrelu")))
    keys = jax.random.split(jax.random.key(0), 64)
    nets = [networks.he_normal((1, 16, 16, 16, 1), key=key) for key in keys]
    stacked = networks.stack(nets)
    together = jax.jit(jax.vmap(qr.realize, in_axes=(0, None)))
    print(f"{'points':>8}{'vmapped ms':>12}{'loop ms':>10}{'ratio':>8}")
    missed = []
    for points, wanted in WANTED.items():
        xs = jax.random.normal(jax.random.key(1), (points, 1))
        calls = {
            "vmapped": lambda xs=xs: together(stacked, xs),
            "loop": lambda xs=xs: [qr.realize(net, xs) for net in nets],
        }
        seconds: dict = {name: [] for name in calls}
        for turn in range((arguments.rounds if points < 10_000 else 8) + 1):
            for name, call in calls.items():
                begin = time.perf_counter()
                jax.block_until_ready(call())
                if turn > 0:
                    seconds[name].append(time.perf_counter() - begin)
        vmapped, loop = (1e3 * statistics.median(seconds[name]) for name in calls)
        print(f"{points:8d}{vmapped:12.3f}{loop:10.3f}{loop / vmapped:8.2f}", flush=True)
        missed += [points] if loop < wanted * vmapped else []
    assert not missed, missed


if __name__ == "__main__":
    main()
