"""The scan of neurons that have a membrane and nothing else, all alike: what the scan of every neuron gives, in one pass."""

from __future__ import annotations

import pytest
import torch
from scan_cases import CASES, Case, how_of

from neurokit_snn.snn.kernels import cpu, plain
from neurokit_snn.snn.kernels.cell import Cell, NotFinite
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.stateful import State

PLAIN = [case[1:] for case in CASES if case[0] == "plain"]


def outputs_and_gradients(case, *, fused, started=True):
    """Spikes, membranes, the last state, and gradients of inputs and the first state through spikes and the last state."""
    x, v = case.x.clone().requires_grad_(), case.state[0].clone().requires_grad_()
    state = State(v, None, None) if started else None
    s, h, after = scan(x, state, Cell(*case.cell), case.how, fused=fused)
    loss = (s * case.up[0]).sum() + (after[0] * case.up[2]).sum()
    gx, *gv = torch.autograd.grad(loss, [x, v] if started else [x])
    return s.detach(), h.detach(), after[0].detach(), gx, *gv


@pytest.fixture
def used(monkeypatch):
    """How often each way was taken."""
    count = {"forward": 0, "backward": 0}

    def counting(name, kernel):
        def counted(*given):
            count[name] += 1
            return kernel(*given)

        return counted

    for name in count:
        monkeypatch.setattr(plain, name, counting(name, getattr(plain, name)))
    return count


@pytest.mark.parametrize(("reset", "shape", "detach"), PLAIN)
def test_it_is_the_reference(reset, shape, detach, used):
    for seed, started in ((0, True), (1, False)):
        case = Case(how_of("plain", reset, shape, detach), seed=seed, steps=12, cells=20, period=1, scale=1.0)
        ours = outputs_and_gradients(case, fused=True, started=started)
        assert 0.05 < float(ours[0].mean()) < 0.95
        for one, two in zip(ours, outputs_and_gradients(case, fused=False, started=started), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)
    assert used == {"forward": 2, "backward": 2}


@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
def test_it_is_the_scan_of_every_neuron(reset, monkeypatch):
    """In float32, over several stretches and on two threads: the same spikes, and the same numbers up to rounding."""
    case = Case(how_of("plain", reset, detach=True), seed=2, steps=9, cells=5000, period=1)
    case.x, case.state[0] = case.x.float(), case.state[0].float()
    case.up = [part.float() for part in case.up]
    monkeypatch.setattr(cpu, "LEAST", 0)
    ours = outputs_and_gradients(case, fused=True)
    monkeypatch.setattr(cpu, "_is_plain", lambda *given: False)
    every = outputs_and_gradients(case, fused=True)
    assert torch.equal(ours[0], every[0])
    for one, two in zip(ours, every, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_what_the_single_pass_does_not_know_goes_the_other_way(used):
    how = how_of("plain")
    for case in (
        Case(how, period=1, masked=True),
        Case(how, period=3),
        Case(how_of("integer", "soft"), period=1),
    ):
        case.gradients(fused=True, learned=False)
    assert used == {"forward": 0, "backward": 0}
    Case(how, period=1).gradients(fused=True, learned=False)  # its loss has membranes in it
    assert used == {"forward": 1, "backward": 0}
    Case(how, period=1).gradients(fused=True, learned=True)
    assert used == {"forward": 2, "backward": 0}


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
def test_what_is_not_finite_is_refused(reset, value, used):
    x = torch.zeros(5, 3000)
    x[1, 2900] = value
    with pytest.raises(NotFinite, match="not finite"):
        scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain", reset))
    assert used["forward"] == 1
