"""The scan of a GPU gives what that of the CPU gives: on a GPU, or in Triton's interpreter where there is none."""

from __future__ import annotations

import itertools

import pytest
import torch
from scan_cases import CASES, Case, assert_same, how_of

from neurokit_snn.snn.kernels import cpu
from neurokit_snn.snn.kernels import scan as scan_module
from neurokit_snn.snn.kernels.cell import Cell, NotFinite
from neurokit_snn.snn.kernels.scan import scan

pytest.importorskip("triton", reason="Triton comes with the CUDA builds of torch")


@pytest.fixture(scope="module")
def gpu():
    """The kernels of Triton, and where they run: on a GPU, or in Triton's interpreter on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")  # read where the kernels are defined
        from neurokit_snn.snn.kernels import gpu as kernels
    return kernels, torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("kind", "reset", "shape", "detach"), CASES)
def test_the_gpu_gives_what_the_cpu_gives(gpu, kind, reset, shape, detach):
    for masked, learned in itertools.product((False, True), (True, False)):
        case = Case(how_of(kind, reset, shape, detach), seed=13, steps=4, cells=9, masked=masked)
        assert_on_gpu(*gpu, case, learned=learned)


def assert_on_gpu(kernels, device, case, *, learned):
    used, table = case.how.used, torch.stack(case.cell)
    state = [part if there else None for part, there in zip(case.state, used, strict=True)]
    ups = [case.up[0], None, *(up if there else None for up, there in zip(case.up[2:], used, strict=True))]
    if learned:
        ups[1] = case.up[1]

    def moved(parts):
        return [None if part is None else part.to(device) for part in parts]

    def same(ours, theirs, **tolerance):
        for one, two in zip(ours, theirs, strict=True):
            assert (one is None) == (two is None)
            if one is not None:
                torch.testing.assert_close(one.cpu(), two, **tolerance)

    s, h, after = cpu.forward(case.x, state, table, case.mask, case.how)
    x, mask, table_there = moved([case.x, case.mask, table])
    made = kernels.forward(x, moved(state), table_there, mask, case.how)
    same([*made[:2], *made[2]], [s, h, *after], rtol=0, atol=0)
    kept = [case.x, x] if learned else [None, None]
    gx, first, of_table = cpu.backward(ups, h, s, kept[0], state, table, case.mask, case.how)
    made = kernels.backward(moved(ups), *moved([h, s]), kept[1], moved(state), table_there, mask, case.how)
    same([made[0], *made[1], made[2]], [gx, *first, of_table], rtol=1e-12, atol=1e-12)


def test_a_layer_runs_through_the_kernels_of_the_gpu(gpu, monkeypatch):
    kernels, device = gpu
    case = Case(how_of("both", "soft"), seed=14, steps=5, cells=300, period=3, masked=True)
    expected = case.gradients(fused=True)
    monkeypatch.setattr(scan_module, "_kernels", lambda device: kernels)
    case.x, case.mask = case.x.to(device), case.mask.to(device)
    for name in ("state", "cell", "up"):
        setattr(case, name, [part.to(device) for part in getattr(case, name)])
    assert_same([g.cpu() for g in case.gradients(fused=True)], expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_half_precision_and_what_is_not_finite_on_a_gpu():
    cell, how = Cell(0.9, 0.3, 1.0), how_of("plain", "soft")
    x = torch.randn(40, 50).to(torch.bfloat16)
    s, h, _ = scan(x.cuda(), None, cell, how)
    expected = scan(x, None, cell, how)
    assert s.dtype == torch.bfloat16
    assert torch.equal(s.cpu(), expected[0])
    assert torch.equal(h.cpu(), expected[1])
    x[3, 7] = torch.nan
    with pytest.raises(NotFinite):
        scan(x.cuda(), None, cell, how)
