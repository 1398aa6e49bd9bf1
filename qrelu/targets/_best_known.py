"""The smallest errors found so far, where no closed form is known."""

# (target, p, pieces) -> error of a continuous linear spline with free knots: the least that many
# starts of L-BFGS on the knots (values eliminated) and `families.FreeKnot` found, nine digits.
# Recomputed and compared by benchmarks/best_known_errors.py. 2^k - 1 are the pieces of networks of
# connectivity below 24, 48, 96, ...
BEST_KNOWN: dict[tuple[str, float, int], float] = {
    ("exp", 2.0, 4): 0.109285084,
    ("exp", 2.0, 7): 0.0356144619,
    ("exp", 2.0, 8): 0.0272611076,
    ("exp", 2.0, 15): 0.0077501177,
    ("exp", 2.0, 16): 0.00681145051,
    ("exp", 2.0, 31): 0.00181424626,
    ("exp", 2.0, 32): 0.00170262234,
    ("exp", 2.0, 63): 0.000439260353,
    ("exp", 2.0, 64): 0.000425640548,
    ("sine", 2.0, 4): 0.0572059349,
    ("sine", 2.0, 7): 0.0152615854,
    ("sine", 2.0, 8): 0.0127676929,
    ("sine", 2.0, 15): 0.00352256363,
    ("sine", 2.0, 16): 0.00316653297,
    ("sine", 2.0, 31): 0.000847476951,
    ("sine", 2.0, 32): 0.000799852891,
    ("sine", 2.0, 63): 0.000207918354,
    ("sine", 2.0, 64): 0.000201757605,
    ("runge", 2.0, 4): 0.0225513582,
    ("runge", 2.0, 7): 0.00899918265,
    ("runge", 2.0, 8): 0.00734725316,
    ("runge", 2.0, 15): 0.00211241093,
    ("runge", 2.0, 16): 0.00188257528,
    ("runge", 2.0, 31): 0.000520561049,
    ("runge", 2.0, 32): 0.00048984306,
    ("runge", 2.0, 63): 0.000129711492,
    ("runge", 2.0, 64): 0.000125731723,
    ("power1.5", 2.0, 4): 0.00294347244,
    ("power1.5", 2.0, 7): 0.000975813973,
    ("power1.5", 2.0, 8): 0.000749032335,
    ("power1.5", 2.0, 15): 0.000214876834,
    ("power1.5", 2.0, 16): 0.000188972358,
    ("power1.5", 2.0, 31): 5.05657358e-05,
    ("power1.5", 2.0, 32): 4.7461863e-05,
    ("power1.5", 2.0, 63): 1.22731982e-05,
    ("power1.5", 2.0, 64): 1.18930974e-05,
}
