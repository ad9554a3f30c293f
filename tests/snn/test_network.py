"""Networks run in pieces as they run at once, keep to the valid steps, and name the layer where something is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    LIF,
    AdaptiveLIF,
    CurrentLIF,
    LeakyIntegrator,
    Network,
    ParametricLIF,
    Recurrent,
    Residual,
    Triangle,
)
from neurokit_snn.snn.stateful import detached

T, B, F = 7, 4, 6


def inputs(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return 0.5 + torch.randn(*(shape or (T, B, F)), generator=g, dtype=torch.float64)


def built(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(
            nn.Linear(F, 8),
            LIF(decay_input=False),
            Residual(Network(nn.Linear(8, 8), CurrentLIF()), Network(nn.Linear(8, 8, bias=False))),
            Recurrent(AdaptiveLIF(jump=0.3, decay_input=False), 8),
            nn.Linear(8, 3),
            LeakyIntegrator(3.0),
        ).double()


def leaves(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [] if state is None else [leaf for part in state for leaf in leaves(part)]


# ---- one after another ---------------------------------------------------------------------------------------------


def test_pieces_with_the_state_handed_on_give_the_whole_and_its_gradients():
    found = []
    for split in ([T], [3, 1, 3]):
        net, state, made = built(), None, []
        for piece in inputs().split(split):
            out, state = net(piece, state)
            made.append(out)
        (torch.cat(made) ** 2).sum().backward()
        found.append((torch.cat(made), leaves(state), [p.grad for p in net.parameters()]))
    whole, pieces = found
    torch.testing.assert_close(pieces[0], whole[0], rtol=1e-12, atol=1e-12)
    assert len(whole[1]) == 1 + 2 + 3 + 1  # LIF, current, adaptation with the spikes that come back, readout
    for one, two in zip(pieces[1] + pieces[2], whole[1] + whole[2], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


def test_a_detached_state_ends_the_gradient():
    net, x = built(), inputs().requires_grad_()
    _, state = net(x[:4])
    out, _ = net(x[4:], detached(state))
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient[4:].any()
    assert not gradient[:4].any()
    out, _ = net(x[4:], state)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient[:4].any()


def test_layers_of_torch_see_all_steps_at_once():
    calls = []

    class Seen(nn.Module):
        def forward(self, x):
            calls.append(tuple(x.shape))
            return x

    Network(Seen(), LIF(), nn.Flatten(), Seen())(torch.zeros(T, B, 2, 3, 3))
    assert calls == [(T * B, 2, 3, 3), (T * B, 18)]


def test_convolutions_and_images():
    net = Network(
        nn.Conv2d(2, 4, 3, padding=1), LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 5), LIF()
    )
    out, state = net(torch.randn(T, B, 2, 6, 6))
    assert out.shape == (T, B, 5)
    assert [None if part is None else tuple(part.membrane.shape) for part in state] == [
        None, (B, 4, 6, 6), None, None, None, (B, 5)
    ]  # fmt: skip


# ---- masks ---------------------------------------------------------------------------------------------------------


def test_a_masked_trial_runs_as_it_does_alone():
    net, x, lengths = built(), inputs(), (7, 2, 5, 1)
    mask = torch.arange(T)[:, None] < torch.tensor(lengths)
    out, state = net(x, mask=mask)
    for b, length in enumerate(lengths):
        alone, end = net(x[:length, b : b + 1])
        torch.testing.assert_close(out[:length, b], alone[:, 0])
        for one, two in zip(leaves(state), leaves(end), strict=True):
            torch.testing.assert_close(one[b], two[0])


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_norms_take_their_statistics_over_valid_steps(norm):
    layer = norm(3).double()
    x = inputs(T, B, 3, *([2, 2] if norm is nn.BatchNorm2d else []))
    mask = torch.rand(T, B, generator=torch.Generator().manual_seed(1)) < 0.6
    x[~mask] = 1e6
    out, _ = Network(layer, LeakyIntegrator(1.0))(x, mask=mask)
    valid = out[mask]
    others = [d for d in range(valid.ndim) if d != 1]
    torch.testing.assert_close(valid.mean(others), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(layer.running_mean, 0.1 * x[mask].mean(others))
    layer.eval()
    again, _ = Network(layer, LeakyIntegrator(1.0))(x, mask=mask)
    torch.testing.assert_close(again[mask], layer(x[mask]))


# ---- recurrence and shortcuts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("neuron", [LIF, ParametricLIF, AdaptiveLIF, CurrentLIF])
@pytest.mark.parametrize("masked", [False, True])
def test_recurrence_is_what_its_equation_says_and_has_the_gradients_of_plain_torch(neuron, masked):
    found = []
    mask = torch.rand(T, B, generator=torch.Generator().manual_seed(2)) < 0.7 if masked else None
    for fused in (True, False):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            layer = Recurrent(neuron(fused=fused, decay_input=False, surrogate=Triangle(2.0)), F).double()
        x = inputs().requires_grad_()
        out, _ = layer(x, mask=mask)
        wanted = [x, *layer.parameters()]
        found.append((out, *torch.autograd.grad((out * inputs(seed=4)).sum(), wanted)))
        # By hand: what a step hears is its input and the spikes of the last valid step.
        last, state = torch.zeros(B, F, dtype=torch.float64), None
        for t in range(T):
            heard = x[t : t + 1] + last @ layer.back.weight.T
            s, state = layer.neuron(heard, state, mask=None if mask is None else mask[t : t + 1])
            torch.testing.assert_close(out[t], s[0])
            last = s[0] if mask is None else torch.where(mask[t, :, None], s[0], last)
    assert found[0][0].any()
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_a_residual_adds_what_went_in():
    x = (inputs() > 0.5).double()
    body = Network(nn.Linear(F, F).double(), LIF())
    out, state = Residual(body)(x)
    assert torch.equal(out, x + body(x)[0])
    assert state[1] is None


# ---- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_named(value):
    for layer, name in ((0, r"Linear: weight\[1, 2\]"), (2, r"Residual: body.layers.0.weight\[1, 2\]"),
                        (3, r"Recurrent: back.weight\[1, 2\]"), (4, r"Linear: weight\[1, 2\]")):  # fmt: skip
        net = built()
        held = {0: lambda n: n.layers[0], 2: lambda n: n.layers[2].body.layers[0], 3: lambda n: n.layers[3].back,
                4: lambda n: n.layers[4]}[layer](net)  # fmt: skip
        with torch.no_grad():
            held.weight[1, 2] = value
        with pytest.raises(ModelError, match=rf"^layer {layer}: {name} is {value}; lower the learning rate"):
            net(inputs() + 10.0)


def test_weights_that_no_neuron_hears_are_looked_at_too():
    net = Network(LIF(), nn.Linear(F, 2).double())
    with torch.no_grad():
        net.layers[1].bias[1] = math.nan
    with pytest.raises(ModelError, match=r"^layer 1: Linear: bias\[1\] is nan"):
        net(inputs())
    norm = Network(nn.BatchNorm1d(F).double()).eval()
    norm.layers[0].running_var[2] = math.nan
    with pytest.raises(ModelError, match=r"^layer 0: BatchNorm1d: running_var\[2\] is nan"):
        norm(inputs())


def test_inputs_that_are_not_finite_are_named_with_the_layer_that_heard_them():
    x = inputs()
    x[3, 1, 0] = math.nan
    with pytest.raises(ModelError, match=r"^layer 0: LIF: the input is nan at .* = \(3, 1, 0\)"):
        Network(LIF())(x)
    with pytest.raises(ModelError, match=r"^layer 1: LIF: the input is nan at .* = \(3, 1, 0\)"):
        Network(nn.Identity(), LIF())(x)
    with pytest.raises(ModelError, match=r"^layer 0: Linear: the output is not finite"):
        Network(nn.Linear(F, 2).double())(x)
    mask = torch.ones(T, B, dtype=torch.bool)
    mask[3, 1] = False
    Network(nn.Linear(F, 2).double())(x, mask=mask)  # what stands beyond a trial's end may be anything


def test_a_layer_that_cannot_take_its_input_is_named():
    with pytest.raises(ModelError, match=r"^layer 2: Linear: .*mat1 and mat2"):
        Network(nn.Linear(F, 8), LIF(), nn.Linear(5, 2))(inputs().float())
    with pytest.raises(ModelError, match=r"^layer 1: Network: layer 0: Linear: "):
        Network(LIF(), Network(nn.Linear(5, 2)))(inputs().float())
    with pytest.raises(
        ModelError, match=r"^layer 0: Recurrent: the input has shape \(7, 4, 6\).* 5 features"
    ):
        Network(Recurrent(LIF(), 5))(inputs())
    with pytest.raises(
        ModelError, match=r"^layer 0: Residual: the body gives \(7, 4, 1\) .* has \(7, 4, 6\)"
    ):
        Network(Residual(Network(nn.Linear(F, 1))))(inputs().float())
    with pytest.raises(ModelError, match=r"^Network: the input has shape \(7, 6\)"):
        built()(inputs(T, F))
    with pytest.raises(ModelError, match=r"^Network: the state has 1 parts and there are 6 layers"):
        built()(inputs(), (None,))
    with pytest.raises(ModelError, match=r"^Network: the input is a ndarray; give a tensor"):
        built()(inputs().numpy())
    plain = Network(nn.BatchNorm1d(F).double())
    for mask in (torch.ones(B, T, dtype=torch.bool), torch.ones(T, B)):
        with pytest.raises(
            ModelError, match=r"^Network: mask is torch.* give booleans \(time, batch\) = \(7, 4\)"
        ):
            plain(inputs(), mask=mask)
    with pytest.raises(ConfigError, match=r"^Recurrent.neuron is a Linear; give a layer of neurons"):
        Recurrent(nn.Linear(2, 2), 2)
    with pytest.raises(ConfigError, match=r"^Recurrent.features is 0; give a whole number"):
        Recurrent(LIF(), 0)
    with pytest.raises(ModelError, match=r"^Network: no layers"):
        Network()


def test_a_compiled_network_takes_whole_graphs():
    net, x = built(), inputs()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    out, state = compiled(x)
    expected, end = net(x)
    torch.testing.assert_close(out, expected)
    for one, two in zip(leaves(state), leaves(end), strict=True):
        torch.testing.assert_close(one, two)
