"""Training rules: against published gradients, loops by hand and formulas; their memory; what they refuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    BPTT,
    LIF,
    OTTT,
    SLTT,
    AdaptiveLIF,
    CurrentLIF,
    Delays,
    LeakyIntegrator,
    Network,
    Neuron,
    ParametricLIF,
    Recurrent,
    Residual,
    Rule,
    TruncatedBPTT,
)
from neurokit_snn.snn.stateful import Stateful, detached

GOLDEN = Path(__file__).parent.parent / "golden"
STEPS, BATCH, INPUTS = 6, 5, 4
RULES = (BPTT(), SLTT(), SLTT(steps=2), OTTT(), TruncatedBPTT(window=4))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> Any:
    """A module in float64 that is the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().double()


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def two_layers(make: Callable[[], Neuron] = lambda: LIF(2.0, reset="soft")) -> Network:
    return Network(nn.Linear(INPUTS, 8), make(), nn.Linear(8, 7), make(), nn.Linear(7, 3))


def squares(outputs: Tensor, start: int) -> Tensor:
    """An objective that is another one at each step."""
    step = torch.arange(start, start + len(outputs), dtype=outputs.dtype)
    one = torch.linspace(-1, 1, outputs[0].numel(), dtype=outputs.dtype).view(outputs[0].shape)
    target = torch.sin(step).view(-1, *[1] * one.ndim) * one
    return (outputs - target).square().sum()


def gradients(
    rule: Rule, network: Stateful, x: Tensor, objective: Any = squares, **options: Any
) -> list[Tensor]:
    """Of the parameters, zeros where there is none."""
    network.zero_grad()
    loss, _ = rule.loss(network, x, objective, **options)
    loss.backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def assert_equal(found: list[Tensor], expected: list[Tensor], **tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **({"rtol": 1e-9, "atol": 1e-12} | tolerance))


class TestGolden:
    """Gradients of the published implementation of SLTT, and of BPTT beside it."""

    @pytest.mark.parametrize("name", ["triangle", "rectangle"])
    @pytest.mark.parametrize(("rule", "kind"), [(SLTT(), "sltt"), (BPTT(), "bptt")], ids=["sltt", "bptt"])
    def test_published(self, name: str, rule: Rule, kind: str) -> None:
        stored = np.load(GOLDEN / f"sltt_{name}.npz")
        tau, reset = float(stored["tau"]), str(stored["reset"])

        def make() -> LIF:
            return LIF(tau, decay_input=False, reset=reset, surrogate=name)

        network = Network(nn.Linear(12, 20), make(), nn.Linear(20, 16), make(), nn.Linear(16, 5)).double()
        kept = {key[7:]: torch.tensor(stored[key]) for key in stored if key.startswith("weight:")}
        network.load_state_dict({f"layers.{key}": value for key, value in kept.items()})
        x, y = torch.tensor(stored["input"]), torch.tensor(stored["label"])

        def objective(outputs: Tensor, start: int) -> Tensor:
            return sum(cross_entropy(o, y) for o in outputs.unbind(0)) / len(x)

        loss, _ = rule.loss(network, x, objective)
        loss.backward()
        assert loss.item() == pytest.approx(float(stored["loss"]), abs=1e-12)
        for key, parameter in network.named_parameters():
            expected = stored[f"grad_{kind}:{key.removeprefix('layers.')}"]
            np.testing.assert_allclose(parameter.grad.numpy(), expected, atol=1e-12, rtol=0)
            assert np.abs(expected).max() > 1e-4

    def test_the_two_differ(self) -> None:
        stored = np.load(GOLDEN / "sltt_rectangle.npz")
        assert np.abs(stored["grad_sltt:0.weight"] - stored["grad_bptt:0.weight"]).max() > 1e-3


class TestSLTT:
    """The gradient inside each step."""

    @pytest.mark.parametrize("reset", ["hard", "soft", "none"])
    def test_one_step_is_bptt_to_the_bit(self, reset: str) -> None:
        network, x = seeded(lambda: two_layers(lambda: LIF(2.0, reset=reset))), numbers(1, BATCH, INPUTS)
        found, expected = (gradients(rule, network, x) for rule in (SLTT(), BPTT()))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))

    def test_without_memory_it_is_bptt(self) -> None:
        network, x = seeded(lambda: two_layers(lambda: LIF(1.0))), numbers(STEPS, BATCH, INPUTS)
        assert_equal(gradients(SLTT(), network, x), gradients(BPTT(), network, x))

    @pytest.mark.parametrize(
        "make",
        [
            two_layers,
            lambda: two_layers(lambda: LIF(3.0, reset="hard", detach_reset=False)),
            lambda: two_layers(lambda: AdaptiveLIF(3.0, tau_adaptation=5.0)),
            lambda: two_layers(lambda: CurrentLIF(3.0, tau_current=2.0)),
            lambda: two_layers(lambda: ParametricLIF(3.0, features=None)),
            lambda: Network(nn.Linear(INPUTS, 6), Recurrent(LIF(3.0), 6), nn.Linear(6, 3), LeakyIntegrator(4.0)),
            lambda: Network(nn.Linear(INPUTS, 6), Residual(Network(LIF(3.0), nn.Linear(6, 6))), LIF(2.0)),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("masked", [False, True])
    def test_what_is_remembered_is_constant(self, make: Callable[[], Network], masked: bool) -> None:
        """A loop by hand over single steps, in plain torch neurons, with the state cut off."""
        network, x = seeded(make), numbers(STEPS, BATCH, INPUTS)
        mask = torch.arange(STEPS)[:, None] < torch.tensor([6, 2, 5, 3, 6]) if masked else None
        for module in network.modules():
            if isinstance(module, Neuron):
                module.fused = False
        state, total = None, 0.0
        for t in range(STEPS):
            now = None if mask is None else mask[t : t + 1]
            outputs, state = network(x[t : t + 1], detached(state), mask=now)
            total = total + squares(outputs, t)
        network.zero_grad()
        total.backward()
        expected = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]
        for module in network.modules():
            if isinstance(module, Neuron):
                module.fused = True
        assert_equal(gradients(SLTT(), network, x, mask=mask), expected)
        assert max(float(g.abs().max()) for g in expected) > 0.01

    def test_outputs_are_those_of_the_whole(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        expected, whole = BPTT().loss(network, x, squares)
        for rule in RULES[1:]:
            loss, outputs = rule.loss(network, x, squares)
            torch.testing.assert_close(outputs, whole)
            torch.testing.assert_close(loss, expected)
            assert not outputs.requires_grad

    def test_state_goes_in(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        _, state = network(x[:2])
        _, whole = BPTT().loss(network, x, squares)
        for rule in RULES:
            _, outputs = rule.loss(network, x[2:], squares, state=state)
            torch.testing.assert_close(outputs, whole[2:])

    def test_what_lies_far_back_is_not_learned(self) -> None:
        """Inputs at the first step, a loss at the last: the documented failure. The readout sees the membrane alone."""

        def make() -> Network:
            return Network(nn.Linear(INPUTS, 8, bias=False), LeakyIntegrator(10.0), nn.Linear(8, 3))

        network, x = seeded(make), numbers(STEPS, BATCH, INPUTS)
        x[1:] = 0.0

        def last(outputs: Tensor, start: int) -> Tensor:
            return outputs[-1].square().sum() if start + len(outputs) == STEPS else outputs.sum() * 0.0

        assert gradients(SLTT(), network, x, last)[0].abs().max() == 0.0
        assert gradients(TruncatedBPTT(window=3), network, x, last)[0].abs().max() == 0.0
        assert gradients(BPTT(), network, x, last)[0].abs().max() > 0.01
        assert_equal(gradients(OTTT(), network, x, last), gradients(BPTT(), network, x, last))


class TestSLTTK:
    """K of T steps."""

    def test_the_steps_that_were_drawn(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        whole = torch.randperm(STEPS, generator=torch.Generator().manual_seed(3))[:2].tolist()

        def only(outputs: Tensor, start: int) -> Tensor:
            return squares(outputs, start) * float(start in whole)

        found = gradients(SLTT(steps=2), network, x, generator=torch.Generator().manual_seed(3))
        assert_equal(found, gradients(SLTT(), network, x, only))

    def test_mean_over_draws_is_a_share(self) -> None:
        """The sum over all pairs of steps holds each step T - 1 times: a mean of K / T."""
        network, x = seeded(two_layers), numbers(4, BATCH, INPUTS)
        found: dict[tuple[int, ...], list[Tensor]] = {}
        for seed in range(100):
            drawn = torch.randperm(4, generator=torch.Generator().manual_seed(seed))[:2].sort().values
            g = torch.Generator().manual_seed(seed)
            found.setdefault(tuple(drawn.tolist()), gradients(SLTT(steps=2), network, x, generator=g))
        assert len(found) == len(list(itertools.combinations(range(4), 2)))  # every pair comes up
        mean = [sum(parts) / len(found) for parts in zip(*found.values(), strict=True)]
        assert_equal(mean, [g / 2 for g in gradients(SLTT(), network, x)])

    @pytest.mark.parametrize("steps", [1, 3, None])
    def test_backward_calls(self, steps: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        network, x, calls = seeded(two_layers), numbers(STEPS, BATCH, INPUTS), []
        real = torch.autograd.grad
        monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
        SLTT(steps=steps).loss(network, x, squares)
        assert len(calls) == (STEPS if steps is None else steps)

    def test_draws_come_from_torch_without_a_generator(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        found = []
        with torch.random.fork_rng(devices=[]):
            for seed in (0, 0, 1, 2):
                torch.manual_seed(seed)
                found.append(gradients(SLTT(steps=1), network, x))
        assert_equal(found[0], found[1])
        assert not all(torch.equal(found[0][0], other[0]) for other in found[2:])

    @pytest.mark.parametrize("steps", [0, -1, 1.5, True])
    def test_refused(self, steps: Any) -> None:
        with pytest.raises(ConfigError, match=rf"SLTT\.steps is {steps}; give a whole number"):
            SLTT(steps=steps)

    def test_more_than_there_are(self) -> None:
        with pytest.raises(ConfigError, match=r"SLTT\.steps is 7 and the input has 6 steps; give at most 6"):
            SLTT(steps=7).loss(seeded(two_layers), numbers(STEPS, BATCH, INPUTS), squares)


class TestTruncated:
    """Windows of time."""

    @pytest.mark.parametrize("window", [STEPS, 100])
    def test_one_window_is_bptt(self, window: int) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        assert_equal(gradients(TruncatedBPTT(window=window), network, x), gradients(BPTT(), network, x))

    def test_windows_of_one_step_are_sltt(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        assert_equal(gradients(TruncatedBPTT(window=1), network, x), gradients(SLTT(), network, x))

    def test_two_windows_by_hand(self) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        first = gradients(BPTT(), network, x[:4])
        _, state = network(x[:4])
        second = gradients(
            BPTT(), network, x[4:], lambda out, start: squares(out, start + 4), state=detached(state)
        )
        expected = [a + b for a, b in zip(first, second, strict=True)]
        assert_equal(gradients(TruncatedBPTT(window=4), network, x), expected)

    def test_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"TruncatedBPTT\.window is 0; give a whole number, 1 or more"):
            TruncatedBPTT(window=0)


class TestOTTT:
    """Traces."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Network(nn.Linear(INPUTS, 6), LIF(3.0, reset="none")),
            lambda: Network(nn.Linear(INPUTS, 6), LIF(3.0, reset="soft", decay_input=False)),  # the reset is detached
            lambda: Network(nn.Linear(INPUTS, 6), CurrentLIF(3.0, tau_current=4.0, reset="none")),
            lambda: Network(nn.Linear(INPUTS, 6, bias=False), LeakyIntegrator(5.0)),
            lambda: Network(nn.Linear(INPUTS, 6), LIF(3.0, reset="none"), nn.Linear(6, 2)),  # no memory behind it
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("masked", [False, True])
    def test_one_layer_is_bptt(self, make: Callable[[], Network], masked: bool) -> None:
        network, x = seeded(make), numbers(STEPS, BATCH, INPUTS)
        mask = torch.arange(STEPS)[:, None] < torch.tensor([6, 2, 5, 3, 6]) if masked else None

        def valid(outputs: Tensor, start: int) -> Tensor:
            on = 1.0 if mask is None else mask[start : start + len(outputs), :, None]
            return squares(outputs * on, start)

        expected = gradients(BPTT(), network, x, valid, mask=mask)
        assert_equal(gradients(OTTT(), network, x, valid, mask=mask), expected)
        assert_different(gradients(SLTT(), network, x, valid, mask=mask), expected)

    def test_convolution(self) -> None:
        def make() -> Network:
            return Network(nn.Conv2d(2, 3, 3, stride=2, padding=1), LIF(3.0, reset="none"))

        network, x = seeded(make), numbers(STEPS, BATCH, 2, 6, 5)
        assert_equal(gradients(OTTT(), network, x), gradients(BPTT(), network, x))

    def test_formula(self) -> None:
        """Two layers, by hand: errors go through the steps, traces through the time."""
        beta, n = 0.5, STEPS

        def make() -> Network:
            return Network(
                nn.Linear(INPUTS, 8), LIF(2.0, reset="soft"), nn.Linear(8, 3), LIF(2.0, reset="soft")
            )

        network, x = seeded(make), numbers(n, BATCH, INPUTS)
        (w1, b1, w2, b2), slope = (
            [p.detach() for p in network.parameters()],
            network.layers[1].surrogate.derivative,
        )
        expected = [torch.zeros_like(p) for p in (w1, b1, w2, b2)]
        v1, v2 = torch.zeros(BATCH, 8).double(), torch.zeros(BATCH, 3).double()
        heard1, heard2, ones = torch.zeros(BATCH, INPUTS).double(), torch.zeros(BATCH, 8).double(), 0.0
        for t in range(n):
            u1 = beta * v1 + 0.5 * (x[t] @ w1.T + b1)
            s1 = (u1 >= 1).double()
            u2 = beta * v2 + 0.5 * (s1 @ w2.T + b2)
            s2 = ((u2 >= 1).double()).requires_grad_()
            (error,) = torch.autograd.grad(squares(s2[None], t), s2)
            heard1, heard2, ones = beta * heard1 + x[t], beta * heard2 + s1, beta * ones + 1.0
            e2 = error * slope(u2 - 1) * 0.5
            e1 = (e2 @ w2) * slope(u1 - 1) * 0.5
            for i, part in enumerate((e1.T @ heard1, ones * e1.sum(0), e2.T @ heard2, ones * e2.sum(0))):
                expected[i] += part
            v1, v2 = u1 - s1, u2 - s2.detach()
        assert_equal(gradients(OTTT(), network, x), expected)

    def test_recurrent_weights_follow_their_own_neuron(self) -> None:
        """What comes back is heard through the leak of the neuron before it, not of the next one."""

        def make() -> Network:
            return Network(Recurrent(LIF(4.0, reset="none"), 3), LeakyIntegrator(2.0))

        network, x = seeded(make), numbers(STEPS, BATCH, 3)
        back = network.layers[0].back.weight
        (found,) = gradients(OTTT(), network, x)
        s, v, heard = (torch.zeros(BATCH, 3).double() for _ in range(3))
        readout, expected = torch.zeros(BATCH, 3).double(), torch.zeros(3, 3).double()
        for t in range(STEPS):
            heard = 0.75 * heard + s
            v = 0.75 * v + 0.25 * (x[t] + s @ back.detach().T)
            s = (v >= 1).double()
            readout = (0.5 * readout + 0.5 * s).requires_grad_()
            (error,) = torch.autograd.grad(squares(readout[None], t), readout)
            readout = readout.detach()
            e = error * 0.5 * network.layers[0].neuron.surrogate.derivative(v - 1) * 0.25
            expected += e.T @ heard
        assert_equal([found], [expected])

    def test_shared_weights_add_up(self) -> None:
        def make() -> Network:
            first, second = nn.Linear(4, 4), nn.Linear(4, 4)
            second.weight = first.weight
            return Network(first, LIF(2.0), second, LIF(2.0))

        network, x = seeded(make), numbers(STEPS, BATCH, 4)
        apart = seeded(make)
        apart.layers[2].weight = nn.Parameter(apart.layers[2].weight.detach().clone())
        weight, bias, other = gradients(OTTT(), network, x)
        parts = gradients(OTTT(), apart, x)
        assert_equal([weight, bias, other], [parts[0] + parts[2], parts[1], parts[3]])

    def test_steps_without_a_loss_are_heard(self) -> None:
        """An objective that asks nothing of the early steps still finds them in the trace."""
        network, x = (
            seeded(lambda: Network(nn.Linear(INPUTS, 3), LIF(3.0, reset="none"))),
            numbers(STEPS, BATCH, INPUTS),
        )

        def last(outputs: Tensor, start: int) -> Tensor:
            at_end = start + len(outputs) == STEPS
            return (
                outputs[-1].square().sum() + outputs[-1].sum() if at_end else torch.zeros((), dtype=x.dtype)
            )

        assert_equal(gradients(OTTT(), network, x, last), gradients(BPTT(), network, x, last))

    def test_several_leaks(self) -> None:
        network = seeded(lambda: Network(nn.Linear(INPUTS, 6), ParametricLIF(2.0, features=6)))
        with pytest.raises(
            ModelError, match=r"OTTT: ParametricLIF behind layer layers\.0 has 6 values of beta"
        ):
            OTTT().loss(network, numbers(STEPS, BATCH, INPUTS), squares)

    def test_a_layer_in_two_places(self) -> None:
        layer = nn.Linear(4, 4)
        network = seeded(lambda: Network(layer, LIF(2.0), layer, LIF(2.0)))
        with pytest.raises(ModelError, match=r"OTTT: layer layers\.0 runs more than once a step; use SLTT"):
            OTTT().loss(network, numbers(STEPS, BATCH, 4), squares)
        assert not layer._forward_hooks  # nothing stays behind
        assert not network._forward_pre_hooks


def assert_different(found: list[Tensor], expected: list[Tensor]) -> None:
    assert max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)) > 1e-3


@pytest.mark.parametrize("rule", RULES, ids=str)
class TestAnyRule:
    """What holds of each."""

    def test_the_loss_goes_into_any_sum(self, rule: Rule) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)

        def fresh() -> torch.Generator:
            return torch.Generator().manual_seed(0)

        plain = gradients(rule, network, x, generator=fresh())
        network.zero_grad()
        first, _ = rule.loss(network, x, squares, generator=fresh())
        penalty = sum(p.square().sum() for p in network.parameters())
        (3.0 * first + 0.5 * penalty).backward()
        expected = [3.0 * g + p.detach() for g, p in zip(plain, network.parameters(), strict=True)]
        assert_equal([p.grad for p in network.parameters()], expected)

    def test_no_gradient_where_none_is_wanted(self, rule: Rule) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        with torch.no_grad():
            loss, _ = rule.loss(network, x, squares)
        assert not loss.requires_grad
        network.layers[0].requires_grad_(False)
        loss, _ = rule.loss(network, x, squares)
        loss.backward()
        assert network.layers[0].weight.grad is None
        assert network.layers[2].weight.grad is not None

    def test_inputs_that_are_learned(self, rule: Rule) -> None:
        """With one step all rules agree; with several each gives the inputs of a step its own gradient."""
        network = seeded(two_layers)
        found = []
        for one in (rule, BPTT()) if rule != SLTT(steps=2) else (SLTT(steps=1), BPTT()):
            x = numbers(1, BATCH, INPUTS).requires_grad_()
            one.loss(network, x, squares)[0].backward()
            found.append(x.grad)
        torch.testing.assert_close(*found)
        x = numbers(STEPS, BATCH, INPUTS).requires_grad_()
        rule.loss(network, x, squares)[0].backward()
        assert x.grad.shape == x.shape
        learned = (x.grad.abs().amax((1, 2)) > 0).sum()
        assert learned == (2 if rule == SLTT(steps=2) else STEPS)

    def test_not_a_number(self, rule: Rule) -> None:
        network, x = seeded(two_layers), numbers(STEPS, BATCH, INPUTS)
        x[4, 2, 1] = torch.nan
        with pytest.raises(ModelError, match=r"layer 1: LIF: the input is nan") as told:
            rule.loss(network, x, squares)
        if not isinstance(rule, BPTT):
            assert "in the piece from step 4 on" in str(told.value)


@pytest.mark.parametrize("rule", [BPTT(), SLTT(), OTTT(), TruncatedBPTT(window=4)], ids=str)
def test_an_objective_that_is_no_number(rule: Rule) -> None:
    with pytest.raises(ModelError, match=r"the objective gives torch\.float64 \(5, 3\) at step 0; give one"):
        rule.loss(seeded(two_layers), numbers(STEPS, BATCH, INPUTS), lambda outputs, start: outputs.sum(0))


@pytest.mark.parametrize("rule", [SLTT(), OTTT(), TruncatedBPTT(window=4)], ids=str)
def test_no_step(rule: Rule) -> None:
    with pytest.raises(ModelError, match=r"has shape \(0, 5, 4\), no step"):
        rule.loss(seeded(two_layers), numbers(0, BATCH, INPUTS), squares)


class TestDelays:
    """A layer that learns across steps."""

    @pytest.mark.parametrize("rule", [SLTT(), SLTT(steps=1), OTTT()], ids=str)
    def test_refused_behind_weights(self, rule: Rule) -> None:
        network = seeded(lambda: Network(nn.Linear(INPUTS, 6), LIF(), Delays(6, 3, window=3), LIF()))
        told = r"layer layers\.2 \(Delays\) sends gradients to earlier steps.*; use BPTT\(\) or TruncatedBPTT"
        with pytest.raises(ModelError, match=told):
            rule.loss(network, numbers(STEPS, BATCH, INPUTS), squares)

    def test_taken_in_front(self) -> None:
        """Its inputs are data: in each step there is all that its weights and delays learn from."""
        network = seeded(lambda: Network(Delays(INPUTS, 6, window=3), LIF(1.0), nn.Linear(6, 3)))
        x = numbers(STEPS, BATCH, INPUTS)
        assert_equal(gradients(SLTT(), network, x), gradients(BPTT(), network, x), rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("rule", [SLTT(), OTTT(), TruncatedBPTT(window=4)], ids=str)
    def test_tails_are_refused(self, rule: Rule) -> None:
        """Each piece would have a tail of its own."""
        network = seeded(lambda: Network(Delays(INPUTS, 6, window=3, tail=True), LIF(1.0), nn.Linear(6, 3)))
        with pytest.raises(
            ModelError, match=r"gives \d steps for the \d from step 0 on, as delays with a tail do"
        ):
            rule.loss(network, numbers(STEPS, BATCH, INPUTS), squares)
        assert BPTT().loss(network, numbers(STEPS, BATCH, INPUTS), squares)[1].shape[0] == STEPS + 1

    @pytest.mark.parametrize("window", [2, 6])
    def test_truncated(self, window: int) -> None:
        network = seeded(lambda: Network(nn.Linear(INPUTS, 6), LIF(), Delays(6, 3, window=3), LIF()))
        x = numbers(STEPS, BATCH, INPUTS)
        found, expected = gradients(TruncatedBPTT(window=window), network, x), gradients(BPTT(), network, x)
        if window == STEPS:
            assert_equal(found, expected)
        else:
            assert_different(found, expected)
