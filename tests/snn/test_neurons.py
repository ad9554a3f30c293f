"""Every kind of neuron does what its equations say, and refuses what has no meaning, naming it."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    IF,
    LIF,
    AdaptiveLIF,
    ATan,
    CurrentLIF,
    IntegerLIF,
    LeakyIntegrator,
    ParametricLIF,
    State,
    Triangle,
)

T, B, F = 8, 3, 5
KINDS = {
    "IF": IF,
    "LIF": LIF,
    "ParametricLIF": ParametricLIF,
    "AdaptiveLIF": AdaptiveLIF,
    "CurrentLIF": CurrentLIF,
    "IntegerLIF": IntegerLIF,
    "LeakyIntegrator": LeakyIntegrator,
}
SPIKING = [name for name in KINDS if name != "LeakyIntegrator"]


def inputs(*shape, seed=0, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return 0.4 + scale * torch.randn(*(shape or (T, B, F)), generator=g, dtype=torch.float64)


def reset_of(name):
    return ["soft", "none"] if name == "IntegerLIF" else ["hard", "soft", "none"]


# ---- equations -----------------------------------------------------------------------------------------------------


def by_hand(
    x, *, leak, gain, threshold=1.0, reset="hard", rest=0.0, current=0.0, rho=0.0, jump=0.0, levels=1
):
    """One cell, one number at a time."""
    v = i = a = 0.0
    spikes = []
    for value in x:
        i = current * i + value
        v = leak * v + gain * i
        limit = threshold + jump * a
        s = min(max(math.floor(v / limit + 0.5), 0), levels) if levels > 1 else int(v >= limit)
        a = rho * a + s
        if reset == "hard":
            v = rest if s else v
        elif reset == "soft":
            v -= limit * s
        spikes.append(s)
    return spikes


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
@pytest.mark.parametrize(
    ("neuron", "equations"),
    [
        (IF, dict(leak=1.0, gain=1.0)),
        (LIF, dict(leak=0.5, gain=0.5)),
        (lambda **f: LIF(5.0, decay_input=False, **f), dict(leak=0.8, gain=1.0)),
        (lambda **f: LIF(3.0, threshold=0.4, **f), dict(leak=2 / 3, gain=1 / 3, threshold=0.4)),
        (lambda **f: ParametricLIF(4.0, **f), dict(leak=0.75, gain=0.25)),
        (lambda **f: ParametricLIF(4.0, features=F, decay_input=False, **f), dict(leak=0.75, gain=1.0)),
        (
            lambda **f: AdaptiveLIF(4.0, tau_adaptation=10.0, jump=0.5, decay_input=False, **f),
            dict(leak=0.75, gain=1.0, rho=0.9, jump=0.5),
        ),
        (lambda **f: CurrentLIF(4.0, tau_current=2.5, **f), dict(leak=0.75, gain=0.25, current=0.6)),
        (lambda **f: IntegerLIF(levels=3, **f), dict(leak=0.25, gain=1.0, levels=3)),
    ],
)
def test_spikes_are_those_of_the_equations(neuron, equations, reset):
    if "levels" in equations and reset == "hard":
        reset = "soft"  # there is no hard one
    x = inputs(40, B, F, scale=2.5)
    rest = 0.3 if reset == "hard" else 0.0
    with torch.no_grad():
        spikes, _ = neuron(reset=reset, rest=rest)(x)
    for b, f in ((0, 0), (1, 3), (2, 4)):
        assert spikes[:, b, f].tolist() == by_hand(x[:, b, f].tolist(), reset=reset, rest=rest, **equations)
    assert 0.02 < float((spikes > 0).double().mean()) < 0.95


def test_a_leaky_integrator_gives_its_membrane():
    x = inputs()
    expected, v = [], torch.zeros(B, F, dtype=torch.float64)
    for xt in x:
        v = v + (xt - v) / 4.0
        expected.append(v)
    membrane, after = LeakyIntegrator(4.0)(x)
    torch.testing.assert_close(membrane, torch.stack(expected))
    assert torch.equal(after.membrane, membrane[-1])
    undecayed, _ = LeakyIntegrator(4.0, decay_input=False)(x)
    torch.testing.assert_close(undecayed, 4.0 * membrane)


def test_published_defaults():
    lif = LIF()
    assert (lif.tau, lif.threshold, lif.reset, lif.rest, lif.decay_input) == (2.0, 1.0, "hard", 0.0, True)
    assert lif.surrogate == ATan(2.0)
    assert lif.detach_reset
    # Integer LIF: a quarter of the membrane stays, the input comes in whole, four levels, and spikes are taken away.
    integer = IntegerLIF()
    cells = integer.parameters_of_cells()
    assert (cells["beta"], cells["gain"], integer.levels) == (0.25, 1.0, 4)
    assert (integer.reset, integer.detach_reset) == ("soft", True)
    # Parametric LIF: the leak is a logistic function of what is learned, 0 at a time constant of 2.
    assert ParametricLIF().leak.item() == 0.0
    assert ParametricLIF().parameters_of_cells()["beta"].item() == 0.5


# ---- gradients -----------------------------------------------------------------------------------------------------


def gradients(neuron, x, up, state=None, mask=None):
    x = x.clone().requires_grad_()
    out, after = neuron(x, state, mask=mask)
    loss = (out * up).sum() + sum((p * p).sum() for p in after if p is not None)
    return torch.autograd.grad(loss, [x, *neuron.parameters()])


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(("name", "reset"), [(n, r) for n in SPIKING for r in reset_of(n)])
def test_learned_fields_have_the_gradients_of_plain_torch_with_masks(name, reset, detach):
    g = torch.Generator().manual_seed(1)
    made = []
    for fused in (True, False):
        fields = {"threshold": nn.Parameter(torch.linspace(0.6, 1.2, F, dtype=torch.float64))}
        if name == "ParametricLIF":
            fields["features"] = F
        elif name != "IF":
            fields["tau"] = nn.Parameter(torch.linspace(1.5, 4.0, F, dtype=torch.float64))
        if name == "AdaptiveLIF":
            fields |= {"tau_adaptation": nn.Parameter(torch.tensor(8.0, dtype=torch.float64)), "jump": 0.3}
        if name == "CurrentLIF":
            fields["tau_current"] = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))
        made.append(
            KINDS[name](reset=reset, detach_reset=detach, surrogate=Triangle(2.0), fused=fused, **fields)
        )
    ours, theirs = made
    assert len(list(ours.parameters())) == {"IF": 1, "AdaptiveLIF": 3, "CurrentLIF": 3}.get(name, 2)
    x, up = inputs(scale=2.0), torch.randn(T, B, F, generator=g, dtype=torch.float64)
    mask = torch.rand(T, B, generator=g) < 0.7
    for one, two in zip(gradients(ours, x, up, mask=mask), gradients(theirs, x, up, mask=mask), strict=True):
        assert two.abs().max() > 0
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_a_learned_time_constant_of_a_readout_has_the_gradient_of_finite_differences():
    x = inputs()
    tau = torch.linspace(1.5, 4.0, F, dtype=torch.float64)

    def loss(tau):
        return (LeakyIntegrator(tau)(x)[0] ** 2).sum()

    parameter = nn.Parameter(tau.clone())
    (found,) = torch.autograd.grad(loss(parameter), parameter)
    for k in range(F):
        step = torch.zeros(F, dtype=torch.float64)
        step[k] = 1e-6
        assert float(found[k]) == pytest.approx(float(loss(tau + step) - loss(tau - step)) / 2e-6, rel=1e-6)


def test_time_constants_can_be_trained():
    """A readout finds the time constant that made its target."""
    x = inputs(50, 4, 1).float()
    target, _ = LeakyIntegrator(5.0)(x)
    neuron = LeakyIntegrator(nn.Parameter(torch.tensor([2.0])))
    optimiser = torch.optim.Adam(neuron.parameters(), lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        ((neuron(x)[0] - target) ** 2).mean().backward()
        optimiser.step()
    assert neuron.tau.item() == pytest.approx(5.0, abs=0.1)


def test_a_detached_reset_changes_gradients_and_nothing_else():
    x, up = inputs(scale=2.0), torch.ones(T, B, F, dtype=torch.float64)
    for reset in ("hard", "soft"):
        kept, cut = (LIF(reset=reset, detach_reset=detach) for detach in (False, True))
        assert torch.equal(kept(x)[0], cut(x)[0])
        assert not torch.allclose(gradients(kept, x, up)[0], gradients(cut, x, up)[0])


# ---- integers ------------------------------------------------------------------------------------------------------


def test_an_integer_is_the_spikes_of_a_neuron_without_leak():
    """``floor(clamp(u, 0, D) + 1/2)`` = the spikes of an IF neuron from ``u + 1/2`` on, without input, in D steps."""
    levels, n = 4, 120_000
    g = torch.Generator().manual_seed(2)
    u = torch.rand(1, 1, n, generator=g, dtype=torch.float64) * 8.0 - 2.0
    u[0, 0, :17] = torch.arange(-8, 9) / 2.0  # ties
    integer = IntegerLIF(1.0, levels=levels)
    spikes, _ = integer(u)
    assert torch.equal(spikes, torch.floor(u.clamp(0, levels) + 0.5))
    assert spikes.unique().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    binary, _ = IF(reset="soft")(torch.zeros(levels, 1, n, dtype=torch.float64), State(u[0] + 0.5))
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(binary.sum(0), spikes[0])
    assert torch.equal(integer.expanded(spikes)[0], binary)


@given(st.integers(2, 6), st.integers(0, 1000), st.floats(0.2, 3.0))
def test_expanded_integers_go_through_any_map_without_bias(levels, seed, threshold):
    neuron = IntegerLIF(levels=levels, threshold=threshold)
    spikes, _ = neuron(threshold * inputs(6, 2, 10, seed=seed, scale=2.0))
    expanded = neuron.expanded(spikes)
    assert expanded.shape == (6, levels, 2, 10)
    assert torch.equal(expanded.sum(1), spikes)
    weight = inputs(10, 4, seed=seed + 1)
    torch.testing.assert_close((expanded @ weight).sum(1), spikes @ weight, rtol=1e-12, atol=1e-12)


# ---- dimensions, state, masks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_any_dimensions_and_pieces_with_the_state_handed_on(name):
    neuron, x = KINDS[name](), inputs(T, 2, 3, 4, 5)
    whole, after = neuron(x)
    flat, _ = neuron(x.reshape(T, 2, 60))
    assert torch.equal(whole.reshape(T, 2, 60), flat)
    pieces, state = [], None
    for piece in x.split([3, 1, 4]):
        made, state = neuron(piece, state)
        pieces.append(made)
    assert torch.equal(torch.cat(pieces), whole)
    assert after.membrane.shape == (2, 3, 4, 5)
    for one, two in zip(state, after, strict=True):
        assert (one is None and two is None) or torch.equal(one, two)


@pytest.mark.parametrize("name", KINDS)
def test_a_masked_trial_is_a_shorter_one(name):
    neuron, x, lengths = KINDS[name](), inputs(T, 3, F), (8, 2, 5)
    mask = torch.arange(T)[:, None] < torch.tensor(lengths)
    x[~mask] = torch.nan
    out, after = neuron(x, mask=mask)
    for b, length in enumerate(lengths):
        alone, end = neuron(x[:length, b : b + 1])
        assert torch.equal(out[:length, b], alone[:, 0])
        if name != "LeakyIntegrator":
            assert not out[length:, b].any()
        assert torch.equal(after.membrane[b], end.membrane[0])


def test_a_field_of_any_of_the_last_dimensions():
    x = inputs(T, 2, 3, 4)
    tau, threshold = torch.tensor([[1.5], [2.0], [4.0]]), torch.tensor([0.5, 1.0, 1.5, 2.0])
    spikes, _ = LIF(tau, threshold=threshold)(x)
    for c in range(3):
        for f in range(4):
            alone, _ = LIF(float(tau[c]), threshold=float(threshold[f]))(x[:, :, c : c + 1, f : f + 1])
            assert torch.equal(spikes[:, :, c, f], alone[:, :, 0, 0])


def test_fields_that_are_tensors_are_saved_and_moved_and_a_layer_remembers_nothing_else():
    fixed, learned, plain = LIF(torch.full((F,), 3.0)), LIF(nn.Parameter(torch.full((F,), 3.0))), LIF(3.0)
    assert (list(fixed.state_dict()), len(list(fixed.parameters()))) == (["tau"], 0)
    assert [name for name, _ in learned.named_parameters()] == ["tau"]
    assert not plain.state_dict()
    x = inputs()
    before = copy.deepcopy(plain.__dict__)
    first, again = plain(x)[0], plain(x)[0]
    assert torch.equal(first, again)
    assert plain.__dict__ == before
    assert torch.equal(first, learned.double()(x)[0])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_have_the_dtype_of_inputs_and_the_state_is_float32(name, dtype):
    out, after = KINDS[name]()(inputs().to(dtype))
    assert out.dtype == dtype
    assert {part.dtype for part in after if part is not None} == {torch.float32}


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LIF(0.0), r"LIF.tau is 0; give a finite number, 1 or more"),
        (lambda: LIF(-2.0), r"LIF.tau is -2;"),
        (lambda: LIF(0.5), r"LIF.tau is 0.5;"),
        (lambda: LIF(math.nan), r"LIF.tau is nan;"),
        (lambda: LIF(math.inf), r"LIF.tau is inf;"),
        (lambda: LIF(torch.tensor([2.0, -1.0])), r"LIF.tau\[1\] is -1;"),
        (lambda: ParametricLIF(1.0), r"ParametricLIF.tau is 1; give a finite number above 1"),
        (lambda: AdaptiveLIF(tau_adaptation=0.0), r"AdaptiveLIF.tau_adaptation is 0;"),
        (lambda: AdaptiveLIF(jump=-0.1), r"AdaptiveLIF.jump is -0.1; give a finite number, 0 or more"),
        (lambda: CurrentLIF(tau_current=-3.0), r"CurrentLIF.tau_current is -3;"),
        (lambda: LeakyIntegrator(0.0), r"LeakyIntegrator.tau is 0;"),
        (lambda: IF(threshold=0.0), r"IF.threshold is 0; give a finite number above 0"),
        (lambda: IF(threshold=nn.Parameter(torch.tensor([[1.0], [-1.0]]))), r"IF.threshold\[1, 0\] is -1;"),
        (lambda: IF(rest=math.nan), r"IF.rest is nan"),
        (lambda: IF(reset="subtract"), r"IF.reset is 'subtract'; choose hard, soft or none"),
        (lambda: LIF(surrogate="relu"), r"surrogate is 'relu'; choose one of"),
        (lambda: IntegerLIF(reset="hard"), r"IntegerLIF.reset is 'hard'; choose soft or none"),
        (lambda: LIF(None), r"LIF.tau is None; give a finite number, 1 or more, or a tensor"),
        (lambda: ParametricLIF("2"), r"ParametricLIF.tau is '2'; give a finite number above 1"),
        (lambda: IF(threshold=torch.zeros(0)), r"IF.threshold is torch.float32 \(0,\);"),
        (lambda: IntegerLIF(levels=1), r"IntegerLIF.levels is 1;"),
        (lambda: IntegerLIF(levels=2.5), r"IntegerLIF.levels is 2.5;"),
    ],
)
def test_a_field_out_of_its_range(make, told):
    with pytest.raises(ConfigError, match=told):
        make()


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (torch.zeros(4, 5), r"LIF: the input has shape \(4, 5\); give \(time, batch, ..., feature\)"),
        (torch.zeros(0, 2, 5), r"LIF: the input has shape \(0, 2, 5\)"),
        (torch.zeros(4, 2, 5, dtype=torch.int64), r"LIF: the input is torch.int64; give floating-point"),
        (torch.zeros(4, 2, 5, dtype=torch.bool), r"LIF: the input is torch.bool"),
        (torch.zeros(4, 2, 5, dtype=torch.complex64), r"LIF: the input is torch.complex64"),
    ],
)
def test_inputs_of_another_rank_or_dtype(x, told):
    with pytest.raises(ModelError, match=told):
        LIF()(x)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_a_value_that_is_not_finite_is_named_with_its_place(name, fused):
    neuron, x = KINDS[name](fused=fused), inputs()
    x[5, 2, 1] = math.nan
    with pytest.raises(
        ModelError, match=rf"{name}: the input is nan at \(time, batch, ..., feature\) = \(5, 2, 1\)"
    ):
        neuron(x)
    state = State(torch.zeros(B, F, dtype=torch.float64))
    state.membrane[1, 4] = math.inf
    with pytest.raises(
        ModelError, match=rf"{name}: state.membrane is inf at \(batch, ..., feature\) = \(1, 4\)"
    ):
        neuron(inputs(), state)


@pytest.mark.parametrize("value", [0.0, -0.5, 0.9, math.nan, math.inf])
def test_a_learned_time_constant_that_has_left_its_range(value):
    neuron = LIF(nn.Parameter(torch.full((F,), 2.0)))
    with torch.no_grad():
        neuron.tau[3] = value
    with pytest.raises(ModelError, match=rf"LIF.tau\[3\] is {value:g}; .*1 or more"):
        neuron(inputs())


def test_a_learned_leak_that_is_not_finite():
    neuron = ParametricLIF(features=F)
    with torch.no_grad():
        neuron.leak[2] = math.nan
    with pytest.raises(ModelError, match=r"ParametricLIF.leak\[2\] is nan; give a finite number"):
        neuron(inputs())
    with torch.no_grad():
        neuron.leak[2] = 60.0  # as far as it goes: no memory at all
    neuron(inputs())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tau", 0.0),
        ("tau", -3.0),
        ("tau", 0.5),
        ("threshold", 0.0),
        ("threshold", math.nan),
        ("tau", math.inf),
    ],
)
def test_a_number_that_has_left_its_range(field, value):
    neuron = LIF()
    setattr(neuron, field, value)
    with pytest.raises(ModelError, match=rf"LIF.{field} is {value:g}; give a finite number"):
        neuron(inputs())


def test_states_and_masks_and_fields_that_do_not_fit():
    x, zeros = inputs(), torch.zeros(B, F, dtype=torch.float64)
    with pytest.raises(
        ModelError, match=r"LIF: state.membrane is torch.float64 \(3, 4\); the input asks for .* \(3, 5\)"
    ):
        LIF()(x, State(zeros[:, :4]))
    with pytest.raises(
        ModelError, match=r"LIF: state.membrane is torch.float32 \(3, 5\); the input asks for torch.float64"
    ):
        LIF()(x, State(zeros.float()))
    with pytest.raises(ModelError, match=r"LIF: the state is tuple of 1; give what the layer returned"):
        LIF()(x, (zeros,))
    with pytest.raises(ModelError, match=r"CurrentLIF: state.current is"):
        CurrentLIF()(x, State(zeros, zeros[0]))
    with pytest.raises(ModelError, match=r"LIF: mask is torch.float32 \(8, 3\); give booleans"):
        LIF()(x, mask=torch.ones(T, B))
    with pytest.raises(ModelError, match=r"LIF: mask is torch.bool \(3, 8\); give booleans .* \(8, 3\)"):
        LIF()(x, mask=torch.ones(B, T, dtype=torch.bool))
    with pytest.raises(
        ModelError, match=r"LIF: beta has shape \(4,\); the input's last dimensions are \(5,\)"
    ):
        LIF(torch.full((4,), 2.0))(x)


def test_errors_name_no_cause_that_they_covered():
    with pytest.raises(ModelError) as caught:
        LIF()(torch.full((1, 1, 1), math.nan))
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)


def test_numbers_of_a_layer_are_read_at_every_call():
    neuron, x = LIF(), inputs()
    before = neuron(x)[0].sum()
    neuron.threshold = 0.1
    assert neuron(x)[0].sum() > before
    np.testing.assert_array_equal(neuron(x)[0], LIF(threshold=0.1)(x)[0])


def test_a_printed_layer_tells_its_fields():
    layer = AdaptiveLIF(5.0, threshold=torch.ones(4), reset="soft")
    assert repr(layer).startswith("AdaptiveLIF(threshold=tensor of (4,), tau=5, tau_adaptation=")
    assert "reset='soft', detach_reset=True, surrogate=ATan(width=2.0)" in repr(layer)
    assert "tau" not in repr(IF())
