"""The fused scan gives what plain torch gives, and gradients that finite differences give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn.snn.kernels import cpu
from neurokit_snn.snn.kernels.cell import Cell, Scan
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.stateful import State
from neurokit_snn.snn.surrogate import NAMED, FastSigmoid, surrogate

T, C = 6, 6
PARAMETERS = Cell._fields
KINDS = {  # current, adapts, levels
    "plain": (False, False, 1),
    "adaptive": (False, True, 1),
    "current": (True, False, 1),
    "both": (True, True, 1),
    "integer": (False, False, 3),
}
CASES = [
    (kind, reset, shape, detach)
    for kind, reset, shape, detach in itertools.product(KINDS, ("hard", "soft", "none"), NAMED, (True, False))
    # An integer neuron has no hard reset, a slope of its own, and nothing to detach without a reset.
    if not (kind == "integer" and (reset == "hard" or shape != "atan")) and not (reset == "none" and detach)
]


def how_of(kind, reset="hard", shape="atan", detach=False):
    current, adapts, levels = KINDS[kind]
    # Wide enough that a difference of neighbours sees the slope.
    made = FastSigmoid(2.0) if shape == "fast_sigmoid" else surrogate(shape)
    return Scan(reset, detach, made, levels, current, adapts)


class Case:
    """Random inputs, state, parameters ``(period,)``, upstream gradients and, where asked for, a mask."""

    def __init__(self, how, *, seed=0, steps=T, cells=C, period=3, masked=False, scale=0.6):
        g = torch.Generator().manual_seed(seed)
        rand = lambda *shape: torch.rand(*shape, generator=g, dtype=torch.float64)  # noqa: E731
        randn = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
        self.how = how
        self.x = 0.5 + scale * randn(steps, cells)
        self.state = [scale * randn(cells), scale * randn(cells), rand(cells)]
        ranges = dict(beta=(0.3, 0.9), gain=(0.5, 1.2), theta=(0.5, 1.0), alpha=(0.2, 0.8), rho=(0.3, 0.9), jump=(0.1, 0.4),
                      rest=(-0.2, 0.2))  # fmt: skip
        self.cell = [low + (high - low) * rand(period) for low, high in ranges.values()]
        self.mask = rand(steps, cells) < 0.7 if masked else None
        self.up = [randn(steps, cells), randn(steps, cells), randn(cells), randn(cells), randn(cells)]

    def inputs(self, *, learned=True):
        """Leaves for autograd: inputs, states, parameters."""
        leaves = [self.x, *self.state, *self.cell]
        wanted = [True] * 4 + [learned] * len(self.cell)
        return [part.clone().requires_grad_(w) for part, w in zip(leaves, wanted, strict=True)]

    def run(self, leaves, *, fused):
        x, v, i, a, *cell = leaves
        return scan(x, State(v, i, a), Cell(*cell), self.how, mask=self.mask, fused=fused)

    def loss(self, outputs):
        s, h, after = outputs
        parts = [s, h, *after]
        return sum((part * up).sum() for part, up in zip(parts, self.up, strict=True) if part is not None)

    def gradients(self, *, fused, learned=True):
        leaves = self.inputs(learned=learned)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        return torch.autograd.grad(self.loss(self.run(leaves, fused=fused)), wanted, allow_unused=True)


def assert_same(left, right, rtol=1e-9):
    for name, one, two in zip(("x", "v", "i", "a", *PARAMETERS), left, right, strict=False):
        # A gradient that is not there is 0.
        one, two = (torch.zeros(1, dtype=torch.float64) if part is None else part for part in (one, two))
        np.testing.assert_allclose(
            *np.broadcast_arrays(one.detach(), two.detach()), rtol=rtol, atol=1e-9, err_msg=name
        )


# ---- fused = reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "reset", "shape", "detach"), CASES)
def test_fused_is_the_reference(kind, reset, shape, detach):
    case = Case(how_of(kind, reset, shape, detach), seed=1)
    for ours, theirs in zip(
        case.run(case.inputs(), fused=True)[:2], case.run(case.inputs(), fused=False)[:2], strict=True
    ):
        np.testing.assert_array_equal(ours.detach(), theirs.detach())
    assert case.run(case.inputs(), fused=True)[0].sum() > 0
    assert_same(case.gradients(fused=True), case.gradients(fused=False))


@given(
    case=st.sampled_from(CASES),
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 9),
    period=st.sampled_from([1, 2, 3]),
    rows=st.integers(1, 4),
    masked=st.booleans(),
    learned=st.booleans(),
)
def test_fused_is_the_reference_for_any_sizes_with_masks_and_without_learned_parameters(
    case, seed, steps, period, rows, masked, learned
):
    made = Case(how_of(*case), seed=seed, steps=steps, cells=rows * period, period=period, masked=masked)
    ours, theirs = (made.run(made.inputs(), fused=fused) for fused in (True, False))
    for one, two in zip((*ours[:2], *ours[2]), (*theirs[:2], *theirs[2]), strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            np.testing.assert_allclose(one.detach(), two.detach(), rtol=1e-12, atol=1e-12)
    assert_same(made.gradients(fused=True, learned=learned), made.gradients(fused=False, learned=learned))


# ---- fused = finite differences ------------------------------------------------------------------------------------


def smooth_run(case, x, state, cell, frozen=None):
    """An independent account of the layer in numpy, with the primitive in place of the step.

    ``frozen``, of an earlier run, is put in place of what the reset takes from the membrane: a function whose derivative is
    the gradient with a detached reset.
    """
    how = case.how
    beta, gain, theta, alpha, rho, jump, rest = (np.resize(part, x.shape[1]) for part in cell)
    v, i, a = state
    hs, ss, taken = [], [], []
    for t in range(len(x)):
        i1 = alpha * i + x[t] if how.current else i
        h = beta * v + gain * (i1 if how.current else x[t])
        limit = theta + jump * a if how.adapts else theta
        if how.levels == 1:
            s = how.surrogate.primitive(torch.as_tensor(h - limit)).numpy()
        else:
            s = np.clip(h / limit, 0, how.levels)
        took = {"hard": s, "soft": limit * s, "none": 0 * s}[how.reset] if frozen is None else frozen[t]
        v1 = h * (1 - took) + rest * took if how.reset == "hard" else h - took
        a1 = rho * a + s if how.adapts else a
        if case.mask is not None:
            on = case.mask[t].numpy()
            h, s = np.where(on, h, v), np.where(on, s, 0)
            v1, i1, a1 = np.where(on, v1, v), np.where(on, i1, i), np.where(on, a1, a)
        v, i, a = v1, i1, a1
        hs.append(h)
        ss.append(s)
        taken.append(took)
    return np.array(ss), np.array(hs), (v, i, a), np.array(taken)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "reset", "shape", "detach"), CASES)
def test_the_reverse_scan_is_what_finite_differences_say(kind, reset, shape, detach, masked):
    """On a smooth trajectory: each cell's own loss by each of its inputs, states and parameters."""
    case = Case(how_of(kind, reset, shape, detach), seed=2, period=C, masked=masked)
    leaves = [part.numpy() for part in (case.x, *case.state, *case.cell)]
    used = [True, True, case.how.current, case.how.adapts]

    def run(values, frozen=None):
        return smooth_run(case, values[0], values[1:4], values[4:], frozen)

    s, h, _, frozen = run(leaves)

    def losses(values):
        s, h, after, _ = run(values, frozen if detach else None)
        parts = [s, h, *after]
        return sum(
            (part * up.numpy()).reshape(-1, C).sum(0)
            for part, up, there in zip(parts, case.up, [True, *used], strict=True)
            if there
        )

    step, expected = 1e-6, []
    for which, leaf in enumerate(leaves):
        rows = []
        for row in range(len(leaf)) if leaf.ndim == 2 else [...]:
            high, low = ([part.copy() for part in leaves] for _ in range(2))
            high[which][row] += step
            low[which][row] -= step
            rows.append((losses(high) - losses(low)) / (2 * step))
        expected.append(np.array(rows) if leaf.ndim == 2 else rows[0])

    table = torch.stack(case.cell)
    state = [part if there else None for part, there in zip(case.state, used[1:], strict=True)]
    grads = [up if there else None for up, there in zip(case.up, [True, *used], strict=True)]
    gx, first, of_table = cpu.backward(
        grads, torch.as_tensor(h), torch.as_tensor(s), case.x, state, table, case.mask, case.how
    )
    np.testing.assert_allclose(gx, expected[0], rtol=1e-5, atol=1e-5, err_msg="x")
    for name, found, wanted in zip("via", first, expected[1:4], strict=True):
        if found is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=name)
    for name, found, wanted in zip(PARAMETERS, of_table, expected[4:], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=name)
