"""What constructions return: certificates as records and words, counts, constructions passed on."""

import json
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import Certificate, lift, square, trade_depth_for_precision
from qrelu.constructions._arguments import (
    check_accuracy,
    check_dtype,
    check_function,
    check_number,
    check_positive,
    check_power_of_two,
    check_whole,
)


@pytest.mark.parametrize(
    "make",
    [
        lambda: square(levels=3),
        lambda: lift(networks.identity(2, 3)),
        lambda: constructions.lipschitz_by_bits(np.sin, 2, 32, allow_rounding=True),
    ],
)
def test_a_certificate_comes_back_from_json(make):
    certificate = make().certificate
    record = json.loads(json.dumps(certificate.to_dict(), allow_nan=False))
    assert Certificate.from_dict(record) == certificate


@pytest.mark.parametrize(
    "change, text",
    [
        ({"format": "another"}, "what `to_dict` returned"),
        ({"more": 1}, "got the entries format.*more"),
        ({"bound": "large"}, "numbers for `bound` and `domain`"),
        ({"domain": 3}, "numbers for `bound` and `domain`"),
    ],
)
def test_other_records_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        Certificate.from_dict({**square(levels=3).certificate.to_dict(), **change})
    with pytest.raises(ValueError, match="empty record"):
        Certificate.from_dict({})


def test_words():
    made = square(levels=3)
    assert str(made.counts) == (
        "depth 4, width 3, connectivity 23; 6 distinct values up to 1: 59 bits"
    )
    assert str(made.certificate) in str(made) and str(made.counts) in str(made)


def test_a_construction_serves_as_a_network():
    made = square(levels=3)
    for function in (constructions.count, constructions.alphabet, constructions.topology):
        assert np.all(function(made) == function(made.network))


def test_transforms_pass_the_certificate_on():
    made = constructions.sawtooth(3)
    for changed in (trade_depth_for_precision(made), lift(made, 2)):
        assert changed.certificate.target == made.certificate.target
        assert changed.certificate.domain == made.certificate.domain
        assert "ou2024" in changed.certificate.source
        points = [[Fraction(i, 48)] for i in range(49)]
        values = [networks.realize_exact(c.network, points).tolist() for c in (made, changed)]
        assert values[0] == values[1]
    alone = trade_depth_for_precision(made.network).certificate
    assert alone.bound == 0 and alone.target == "the given network"


def test_negative_inputs_need_a_sign():
    made = constructions.product(levels=2)
    with pytest.raises(ValueError, match="go down to -1. Pass `signed=True`"):
        trade_depth_for_precision(made)
    changed = trade_depth_for_precision(made, signed=True)
    points = [[Fraction(a, 3), Fraction(b, 3)] for a in range(-3, 4) for b in range(-3, 4)]
    values = [networks.realize_exact(c.network, points).tolist() for c in (made, changed)]
    assert values[0] == values[1] and changed.certificate.bound == made.certificate.bound


def test_stacks_are_refused():
    stack = networks.stack([networks.identity(2, 2)] * 2)
    for function in (
        constructions.count,
        constructions.alphabet,
        constructions.topology,
        lift,
        trade_depth_for_precision,
    ):
        with pytest.raises(ValueError, match="networks.unstack"):
            function(stack)


@pytest.mark.parametrize(
    "check, kind, text",
    [
        (lambda: check_number("f(x)", "0.5"), TypeError, r"`f\(x\)` must be a number; got '0.5'"),
        (lambda: check_number("f(x)", None), TypeError, "must be a number; got None"),
        (lambda: check_number("f(x)", True), TypeError, "must be a number; got True"),
        (lambda: check_number("f(x)", 1j), TypeError, "must be a number"),
        (lambda: check_number("f(x)", 10**400), TypeError, "must be a number"),
        (lambda: check_accuracy("f", "0.1"), TypeError, r"`f\(accuracy=...\)` must be a number"),
        (lambda: check_accuracy("f", math.nan), ValueError, "strictly between 0 and 1; got nan"),
        (lambda: check_positive("f(x)", math.inf), ValueError, "positive and finite; got inf"),
        (lambda: check_whole("f(n)", 2.0, 1), TypeError, "whole number of at least 1; got 2.0"),
        (lambda: check_whole("f(n)", True, 1), TypeError, "got True"),
        (lambda: check_whole("f(n)", "3", 1, 4), TypeError, "from 1 to 4; got '3'"),
        (lambda: check_power_of_two("f(s)", 3, "Why."), ValueError, "power of two.*got 3. Why."),
        (lambda: check_power_of_two("f(s)", "2", "Why."), TypeError, "must be a number; got '2'"),
        (lambda: check_function("f", 0.1), TypeError, "must be a function of arrays; got 0.1"),
        (lambda: check_dtype("f", None), ValueError, "float32 or float64; got None"),
        (lambda: check_dtype("f", "no type"), ValueError, "float32 or float64; got no type"),
        (lambda: check_dtype("f", np.int32), ValueError, "float32 or float64; got int32"),
    ],
)
def test_arguments_that_are_none(check, kind, text):
    with pytest.raises(kind, match=text):
        check()


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda c: c.cached_lipschitz(lambda x: 1j * x, 0.1), "return numbers; got the type compl"),
        (
            lambda c: c.smooth(lambda x: x.astype(str), 0.1),
            "smooth.*return numbers; got the type <U",
        ),
        (
            lambda c: c.polynomial(np.array([1.0, 1j]), 0.1),
            "polynomial.*be real numbers; got the type compl",
        ),
        (
            lambda c: c.spline(np.array(["a", "b"]), [0.0, 1.0]),
            r"spline\(knots\)` must be real numbers",
        ),
        (lambda c: c.two_value_sobolev(lambda x: 1j * x[:, 0], 0.3), "sobolev.*return numbers"),
    ],
)
def test_what_is_no_real_number(make, text):
    with pytest.raises(TypeError, match=text):
        make(constructions)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda c: c.sobolev_taylor(lambda x: x[:, 0], 1e-300), "at most 2.22 nodes"),
        (lambda c: c.sobolev_taylor(lambda x: x[:, 0], 0.1, scale=1e300), "at most 2.22 nodes"),
        (lambda c: c.two_value_sobolev(lambda x: x[:, 0], 1e-300), "larger accuracy"),
        (lambda c: c.smooth(np.sin, 1e-300), "must be above"),
        (lambda c: c.smooth(np.sin, 0.1, 1e9), "at most 2000; got"),
        (lambda c: c.monomial(10**5, 0.1), "from 0 to 1000; got 100000"),
        (lambda c: c.polynomial([1.0] * 2000, 0.1), "at most 1001 numbers; got 2000"),
        (lambda c: c.sigma_delta(np.sin, 10**9, 8), "at most 2.24 steps in all"),
        (lambda c: c.lipschitz_by_bits(np.sin, 10**8, 8), "at most 2.24 steps in all"),
        (lambda c: c.lipschitz_by_slopes(np.sin, 1e-7), "at least lipschitz / 2.20; got 1e-07"),
        (lambda c: c.lipschitz_by_slopes(np.sin, steps=2**21), "from 1 to 1048576; got 2097152"),
        (lambda c: c.weight(0.5, 0.1, values=10**6), "from 2 to 64; got 1000000"),
        (lambda c: c.weight(0.5, 1e-300), "at most 49 digits in float64; got 997"),
        (lambda c: c.few_value_memory(5e-324), "few_value_memory.*fewer bits than float64"),
        (lambda c: c.best_values(5e-324), "best_values.*fewer bits than float64"),
        (lambda c: c.regime_diagram(5, 2, seed=-1), "seed.*from 0|seed.*at least 0; got -1"),
    ],
)
def test_sizes_beyond_memory_are_refused_at_once(make, text):
    with pytest.raises(ValueError, match=text):
        make(constructions)


def test_an_error_is_exact_only_where_it_is_attained():
    assert constructions.product(0.1, 0.3).certificate.exact
    assert not constructions.product(0.1, 1e-3).certificate.exact


def test_points_of_one_input_may_give_a_column():
    for build in (constructions.sobolev_taylor, constructions.two_value_sobolev):
        column, row = build(lambda x: np.sin(x), 0.2), build(lambda x: np.sin(x[:, 0]), 0.2)
        assert column.counts == row.counts and column.certificate.bound == row.certificate.bound


def test_numbers_of_every_library_are_numbers():
    assert check_number("f(x)", jnp.asarray(0.5)) == check_number("f(x)", np.float32(0.5)) == 0.5
    assert check_whole("f(n)", np.int64(3), 1) == 3
