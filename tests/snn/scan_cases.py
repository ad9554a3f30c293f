"""What the tests of the scan share: every kind of cell with every reset, surrogate and way of detaching, and a smooth run."""

from __future__ import annotations

import itertools

import numpy as np
import torch

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
    # An integer neuron has no hard reset, and a slope of its own.
    if not (kind == "integer" and (reset == "hard" or shape != "atan"))
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


def smooth_run(how, x, state, cell, *, mask=None, frozen=None):
    """An independent account of a layer in numpy, ``(time, cell)``, with the primitive in place of the step.

    ``frozen``, of an earlier run, is put in place of what the reset takes from the membrane: a function whose derivative is
    the gradient with a detached reset.
    """
    beta, gain, theta, alpha, rho, jump, rest = (np.resize(part, x.shape[1]) for part in cell)
    v, i, a = state
    hs, ss, taken = [], [], []
    for t in range(len(x)):
        i1 = alpha * i + x[t] if how.current else i
        h = beta * v + gain * (i1 if how.current else x[t])
        limit = theta + jump * a if how.adapts else theta
        smooth = how.surrogate.primitive(torch.as_tensor(h - limit)).numpy()
        s = smooth if how.levels == 1 else np.clip(h / limit, 0, how.levels)
        took = {"hard": s, "soft": limit * s, "none": 0 * s}[how.reset] if frozen is None else frozen[t]
        v1 = h * (1 - took) + rest * took if how.reset == "hard" else h - took
        a1 = rho * a + s if how.adapts else a
        if mask is not None:
            h, s = np.where(mask[t], h, v), np.where(mask[t], s, 0)
            v1, i1, a1 = np.where(mask[t], v1, v), np.where(mask[t], i1, i), np.where(mask[t], a1, a)
        v, i, a = v1, i1, a1
        hs.append(h)
        ss.append(s)
        taken.append(took)
    return np.array(ss), np.array(hs), (v, i, a), np.array(taken)
