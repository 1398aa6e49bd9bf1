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


def test_numbers_of_every_library_are_numbers():
    assert check_number("f(x)", jnp.asarray(0.5)) == check_number("f(x)", np.float32(0.5)) == 0.5
    assert check_whole("f(n)", np.int64(3), 1) == 3
