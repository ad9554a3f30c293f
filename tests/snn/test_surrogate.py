"""Every surrogate is the derivative of its primitive, and has its published width."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn.errors import ConfigError
from neurokit_snn.snn import (
    LIF,
    ATan,
    FastSigmoid,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Triangle,
)
from neurokit_snn.snn.surrogate import NAMED, surrogate

AREA = {ATan: 1.0, Sigmoid: 1.0, Triangle: 1.0, Rectangle: 1.0}


@pytest.mark.parametrize("kind", NAMED.values())
@given(width=st.floats(0.2, 30.0), u=st.floats(-3.0, 3.0))
def test_the_derivative_is_that_of_the_primitive(kind, width, u):
    made, step = kind(width), 1e-6
    kinks = {
        Triangle: (0.0, width),
        Rectangle: (0.5 * width,),
        FastSigmoid: (0.0,),
        StraightThrough: (width,),
    }
    if any(abs(abs(u) - kink) < 2 * step for kink in kinks.get(kind, ())):
        return
    high, low = (made.primitive(torch.tensor(u + move, dtype=torch.float64)) for move in (step, -step))
    found = float(made.derivative(torch.tensor(u, dtype=torch.float64)))
    assert found == pytest.approx(float(high - low) / (2 * step), rel=1e-5, abs=1e-6)
    assert found >= 0


@pytest.mark.parametrize("width", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("kind", AREA)
def test_a_primitive_goes_from_0_to_1(kind, width):
    ends = kind(width).primitive(torch.tensor([-1e5, 0.0, 1e5], dtype=torch.float64))
    np.testing.assert_allclose(ends, [0.0, 0.5, 1.0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "u", "slope"),
    [
        # Written out from the papers and programs that the classes name.
        ("atan", 0.3, (2.0 / 2) / (1 + (math.pi / 2 * 2.0 * 0.3) ** 2)),
        ("sigmoid", 0.3, 4 * (1 / (1 + math.exp(-1.2))) * (1 - 1 / (1 + math.exp(-1.2)))),
        ("triangle", 0.3, 1 - 0.3),
        ("triangle", -1.2, 0.0),
        ("rectangle", 0.49, 1.0),
        ("rectangle", 0.51, 0.0),
        ("fast_sigmoid", -0.3, 1 / (1 + 25 * 0.3) ** 2),
        ("straight_through", 12.0, 1.0),
    ],
)
def test_published_defaults(name, u, slope):
    assert float(surrogate(name).derivative(torch.tensor(u, dtype=torch.float64))) == pytest.approx(slope)


def test_other_published_widths():
    # Learned delays take an arc tangent of 5; Wu et al. write the triangle with a peak of 1/a.
    assert float(ATan(5.0).derivative(torch.tensor(0.0))) == 2.5
    assert float(Triangle(2.0).derivative(torch.tensor(0.0))) == 0.5


def test_names_and_instances():
    assert surrogate("atan") == ATan(2.0)
    assert surrogate(ATan(3.0)) == ATan(3.0)
    assert {kind.code for kind in NAMED.values()} == set(range(6))
    with pytest.raises(ConfigError, match=r"surrogate is 'tanh'; choose one of atan, sigmoid"):
        surrogate("tanh")


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("kind", NAMED.values())
def test_a_width_that_makes_no_slope(kind, width):
    with pytest.raises(ConfigError, match=rf"{kind.__name__}.width is"):
        kind(width)


@pytest.mark.parametrize("made", [kind() for kind in NAMED.values()] + [ATan(5.0), Triangle(0.3)])
def test_a_layer_takes_its_slope_from_it(made):
    x = torch.linspace(-1.0, 3.0, 41, dtype=torch.float64).reshape(1, 1, -1).requires_grad_()
    spikes, _ = LIF(tau=1.0, surrogate=made)(x)
    (slope,) = torch.autograd.grad(spikes.sum(), x)
    np.testing.assert_allclose(slope, made.derivative(x.detach() - 1.0), rtol=1e-12)
