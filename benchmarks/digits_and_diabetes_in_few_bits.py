"""scikit-learn's digits and diabetes with 1 to 8 bits for every parameter, biases included.

digits: a network 64-64-64-10, test accuracy. diabetes: a network 10-16-1, root mean square error of
the predicted progression on test patients. 60 % of the rows train, 20 % choose the best model seen,
20 % test; means over seeds, each with a split and a start of its own.

- "nearest": the float network, each parameter rounded for itself, a step per channel (`AbsMax`).
- "trained": from the float network on through a grid with learned steps per channel (`LSQ`).

Beside them what is proven, on the test rows of the first seed and against its float network: for
digits the share of decisions that no input in a ball of radius 0.01 (pixels in [0, 1]) changes; for
diabetes the median over patients of a proven bound on the change of the prediction in a ball of
0.02 standard deviations (the float predictions differ by 45 from patient to patient). A network
that is trained again is another function: it is the accuracy that it keeps, not the decisions.

"bits" are all bits of all parameters and 32 for every step.

Claims: "trained" is never worse than "nearest" by more than 0.5 points or 2 %, and from 3 bits on
within 1 point and 5 % of float.

Run it: `python benchmarks/digits_and_diabetes_in_few_bits.py [--seeds 5] [--bits 1 2 3 4 5 6 7 8]`
(needs scikit-learn).
"""

import argparse
import importlib.metadata
import platform

import jax
import numpy as np
import optax
from sklearn.datasets import load_diabetes, load_digits

from qrelu import bounds, networks, quantizers, realize, training
from qrelu.quantizers import LSQ, AbsMax

STEPS, EVERY, BATCH = 1500, 50, 64
# One object for all fits of a rate: what is compiled for it is found again.
ADAM = {rate: optax.adam(optax.cosine_decay_schedule(rate, STEPS)) for rate in (3e-3, 1e-3)}


class Task:
    """Rows of one data set in three parts, and what is measured on the last one."""

    def __init__(self, name, seed):
        digits = name == "digits"
        x, y = (load_digits if digits else load_diabetes)(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(y))
        x, y = x[order], y[order]
        cuts = [int(0.6 * len(y)), int(0.8 * len(y))]
        if digits:
            x, y, self.center, self.unit = x / 16, y.astype(np.int32), 0.0, 1.0
            self.widths, self.loss, self.radius = (64, 64, 64, 10), "cross_entropy", 0.01
        else:
            x = x / np.std(x[: cuts[0]], axis=0)
            self.center, self.unit = np.mean(y[: cuts[0]]), np.std(y[: cuts[0]])
            y = ((y - self.center) / self.unit).astype("f")
            self.widths, self.loss, self.radius = (10, 16, 1), "l2", 0.02
        x = x.astype("f")
        (self.train, self.chosen, self.test) = zip(
            np.split(x, cuts), np.split(y, cuts), strict=True
        )

    def fit(self, model, rate, seed):
        return training.fit(
            model,
            self.train,
            loss=self.loss,
            steps=STEPS,
            every=EVERY,
            batch=BATCH,
            optimizer=ADAM[rate],
            validation=self.chosen,
            key=jax.random.key(seed),
        ).model

    def score(self, net):
        """Percent of the test rows that are right, or the root mean square error."""
        x, y = self.test
        values = np.asarray(realize(net, x))
        if self.loss == "l2":
            return self.unit * np.sqrt(np.mean((values[:, 0] - y) ** 2))
        return 100 * np.mean(values.argmax(1) == y)

    def proven(self, net, other):
        """Percent of decisions proven unchanged, or the median bound of the change."""
        x = self.test[0].astype(np.float64)
        if self.loss == "l2":
            upper = bounds.enclose_points(net, other, x, self.radius).upper
            return self.unit * float(np.median(upper))
        return 100 * bounds.unchanged_decisions(net, other, x, self.radius).certified / len(x)


def size_of(net, bits):
    """Bits of all parameters, and of a step for each row of a matrix and for each bias."""
    leaves = jax.tree.leaves(net)
    steps = sum(leaf.shape[0] if leaf.ndim == 2 else 1 for leaf in leaves)
    return bits * sum(leaf.size for leaf in leaves) + 32 * steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", type=int, nargs="+", default=list(range(1, 9)))
    arguments = parser.parse_args()
    packages = ("jax", "equinox", "qrelu", "scikit-learn")
    print(platform.platform(), *(f"{p} {importlib.metadata.version(p)}" for p in packages))
    missed = []
    for name in ("digits", "diabetes"):
        tasks = [Task(name, seed) for seed in range(arguments.seeds)]
        nets = []
        for seed, task in enumerate(tasks):
            start = networks.he_normal(task.widths, key=jax.random.key(seed))
            nets.append(task.fit(start, 3e-3, seed))
        plain = np.mean([task.score(net) for task, net in zip(tasks, nets, strict=True)])
        what = "test accuracy, %" if name == "digits" else "root mean square error"
        proof = "proven unchanged, %" if name == "digits" else "proven change"
        count = sum(leaf.size for leaf in jax.tree.leaves(nets[0]))
        print(f"{name}: {count} parameters, float {what} {plain:.2f} ({32 * count} bits)")
        print(f"  bits  all bits |  {what}: nearest  trained | {proof}: nearest  trained")
        for bits in arguments.bits:
            scores, proofs = [], []
            for seed, (task, net) in enumerate(zip(tasks, nets, strict=True)):
                nearest = quantizers.quantize(net, AbsMax(bits, "channel"))
                trained = task.fit(quantizers.wrap(net, LSQ(bits, "channel")), 1e-3, seed)
                scores.append([task.score(nearest), task.score(trained)])
                if seed == 0:
                    proofs = [task.proven(net, nearest), task.proven(net, trained)]
            one, two = np.mean(scores, axis=0)
            total = size_of(nets[0], bits)
            print(
                f"  {bits:4d}  {total:8d} |  {one:28.2f} {two:8.2f} | "
                f"{proofs[0]:27.1f} {proofs[1]:8.1f}",
                flush=True,
            )
            if name == "digits":
                far = two < one - 0.5 or (bits >= 3 and two < plain - 1)
            else:
                far = two > 1.02 * one or (bits >= 3 and two > 1.05 * plain)
            missed += [(name, bits, one, two, plain)] if far else []
    assert not missed, missed
    print("all claims hold")


if __name__ == "__main__":
    main()
