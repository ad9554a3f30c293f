"""The fused scan gives what plain torch gives, and gradients that finite differences give; of layers see test_gradients.py."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time

import forked
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scan_cases import CASES, KINDS, PARAMETERS, C, Case, T, assert_same, how_of, smooth_run

from neurokit_snn.errors import ModelError
from neurokit_snn.snn.kernels import cpu, loops
from neurokit_snn.snn.kernels import scan as scan_module
from neurokit_snn.snn.kernels.cell import Cell, NotFinite, Scan
from neurokit_snn.snn.kernels.scan import scan
from neurokit_snn.snn.stateful import State
from neurokit_snn.snn.surrogate import NAMED, Surrogate

# ---- fused = reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reset", "shape", "detach"), [case for case in CASES if case[0] in ("both", "integer")]
)
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


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(("kind", "reset", "shape", "detach"), CASES)
def test_the_reverse_scan_is_what_finite_differences_say(kind, reset, shape, detach, masked):
    """On a smooth trajectory: each cell's own loss by each of its inputs, states and parameters."""
    case = Case(how_of(kind, reset, shape, detach), seed=2, period=C, masked=masked)
    how, mask = case.how, None if case.mask is None else case.mask.numpy()
    leaves = [np.atleast_2d(part.numpy()) for part in (case.x, *case.state, *case.cell)]
    used = [True, True, how.current, how.adapts]
    s, h, _, taken = smooth_run(
        how, leaves[0], [p[0] for p in leaves[1:4]], [p[0] for p in leaves[4:]], mask=mask
    )

    # Every row of every leaf, a little higher and a little lower: all of them next to each other, as if they were cells.
    step, rows = 1e-6, sum(len(leaf) for leaf in leaves)
    moved = np.concatenate(leaves)[:, None].repeat(2 * rows, 1)
    moved[range(rows), range(rows)] += step
    moved[range(rows), range(rows, 2 * rows)] -= step
    x, state, cell = np.split(moved.reshape(rows, -1), [T, T + 3])
    wide = {"mask": None if mask is None else np.tile(mask, 2 * rows)}
    wide["frozen"] = np.tile(taken, 2 * rows) if detach else None
    spikes, membranes, after, _ = smooth_run(how, x, state, cell, **wide)
    losses = sum(
        (part.reshape(-1, 2 * rows, C) * up.numpy().reshape(-1, 1, C)).sum(0)
        for part, up, there in zip([spikes, membranes, *after], case.up, [True, *used], strict=True)
        if there
    )
    expected = (losses[:rows] - losses[rows:]) / (2 * step)

    state = [part if there else None for part, there in zip(case.state, used[1:], strict=True)]
    grads = [up if there else None for up, there in zip(case.up, [True, *used], strict=True)]
    gx, first, of_table = cpu.backward(
        grads, torch.as_tensor(h), torch.as_tensor(s), case.x, state, torch.stack(case.cell), case.mask, how
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    close(gx, expected[:T], err_msg="x")
    for name, found, wanted in zip("via", first, expected[T : T + 3], strict=True):
        if found is not None:
            close(found, wanted, err_msg=name)
    for name, found, wanted in zip(PARAMETERS, of_table, expected[T + 3 :], strict=True):
        close(found, wanted, err_msg=name)


# ---- masks, pieces, layouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_trial_is_a_shorter_trial_whatever_stands_beyond_its_end(kind, fused):
    how = how_of(kind, "soft")
    case = Case(how, seed=3, period=C)
    lengths = torch.tensor([6, 1, 4, 3, 6, 2])
    case.mask = torch.arange(T)[:, None] < lengths
    case.x = torch.where(case.mask, case.x, torch.nan)
    leaves = case.inputs()
    s, _, after = case.run(leaves, fused=fused)
    loss = (s * case.up[0]).sum() + sum(
        (p * u).sum() for p, u in zip(after, case.up[2:], strict=True) if p is not None
    )
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    for cell, length in enumerate(lengths.tolist()):
        alone = Case(how, seed=3, period=C)
        for name in ("x", "mask"):
            setattr(alone, name, None)
        alone.x = case.x[:length, cell : cell + 1]
        alone.state = [part[cell : cell + 1] for part in case.state]
        alone.cell = [part[cell : cell + 1] for part in case.cell]
        own = alone.inputs()
        s1, _, after1 = alone.run(own, fused=False)
        assert torch.equal(s[:length, cell].detach(), s1[:, 0].detach())
        assert not s[length:, cell].any()
        parts = [(s1, case.up[0][:length, cell : cell + 1])]
        for one, two, up in zip(after, after1, case.up[2:], strict=True):
            if one is not None:
                assert torch.equal(one[cell], two[0])
                parts.append((two, up[cell : cell + 1]))
        wanted = torch.autograd.grad(sum((p * u).sum() for p, u in parts), own, allow_unused=True)
        assert not gradients[0][length:, cell].any()
        ours = [
            gradients[0][:length, cell : cell + 1],
            *(g if g is None else g[cell : cell + 1] for g in gradients[1:]),
        ]
        assert_same(ours, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_with_the_state_handed_on_give_the_whole(kind):
    case = Case(how_of(kind, "soft"), seed=4)
    whole, parts = case.inputs(), case.inputs()
    expected = case.gradients(fused=True)
    x, v, i, a, *cell = parts
    outputs, state = [], State(v, i, a)
    for piece in x.split([1, 3, 2]):
        s, h, state = scan(piece, state, Cell(*cell), case.how)
        outputs.append((s, h))
    s, h = (torch.cat(made) for made in zip(*outputs, strict=True))
    at_once = case.run(whole, fused=True)
    assert torch.equal(s, at_once[0])
    assert torch.equal(h, at_once[1])
    assert_same(torch.autograd.grad(case.loss((s, h, state)), parts, allow_unused=True), expected)


def test_any_dimensions_any_strides_and_masks_of_the_first_ones():
    how, cell = how_of("plain"), Cell(0.5, 1.0, 1.0)
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64).permute(2, 1, 0, 3)  # (time 4, 5, 3, 2), not contiguous
    flat = x.reshape(4, -1)
    mask = torch.rand(4, 5) < 0.6
    s, h, after = scan(x, None, cell, how, mask=mask)
    wide = mask[..., None, None].expand(x.shape).reshape(4, -1)
    expected = scan(flat, None, cell, how, mask=wide, fused=False)
    assert torch.equal(s.reshape(4, -1), expected[0])
    assert torch.equal(h.reshape(4, -1), expected[1])
    assert torch.equal(after.membrane.reshape(-1), expected[2].membrane)
    assert after.membrane.shape == (5, 3, 2)


def test_no_trials_are_no_trouble():
    x = torch.zeros(4, 0, 3, requires_grad=True)
    s, _, after = scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain"))
    s.sum().backward()
    assert (s.shape, after.membrane.shape, x.grad.shape) == ((4, 0, 3), (0, 3), (4, 0, 3))


def test_parts_of_the_state_that_are_not_there_come_back_as_none_and_start_at_0():
    x = torch.randn(5, 4, dtype=torch.float64)
    zeros = torch.zeros(4, dtype=torch.float64)
    for kind, there in (
        ("plain", (True, False, False)),
        ("current", (True, True, False)),
        ("both", (True,) * 3),
    ):
        for fused in (True, False):
            cell = Cell(0.5, 1.0, 1.0, 0.5, 0.9, 0.2)
            nothing = scan(x, None, cell, how_of(kind), fused=fused)
            assert tuple(part is not None for part in nothing[2]) == there
            given = scan(x, State(zeros, zeros, zeros), cell, how_of(kind), fused=fused)
            assert torch.equal(nothing[1], given[1])


# ---- number formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_comes_in_and_the_state_is_float32(dtype, fused):
    g = torch.Generator().manual_seed(5)
    x = torch.randn(40, 50, generator=g).to(dtype).requires_grad_()
    full = x.detach().float().requires_grad_()
    cell, how = Cell(0.9, 0.3, 1.0, 0.5, 0.95, 0.1), how_of("both", "soft")
    s, h, after = scan(x, None, cell, how, fused=fused)
    expected = scan(full, None, cell, how, fused=fused)
    assert (s.dtype, h.dtype, {part.dtype for part in after}) == (dtype, torch.float32, {torch.float32})
    assert torch.equal(s.float(), expected[0])
    assert torch.equal(h, expected[1])  # no half precision in between
    up = torch.randn(40, 50, generator=g).to(dtype)
    (ours,) = torch.autograd.grad(s, x, up)
    (theirs,) = torch.autograd.grad(expected[0], full, up.float())
    assert ours.dtype == dtype
    assert torch.equal(ours, theirs.to(dtype))


@pytest.mark.parametrize("shape", NAMED)
def test_float32_gradients_are_those_of_float64(shape):
    single, double = (
        Case(how_of("both", "soft", shape), seed=6, steps=30, cells=40, period=4) for _ in range(2)
    )
    for name in ("x", "state", "cell", "up"):
        part = getattr(single, name)
        part = part.float() if isinstance(part, torch.Tensor) else [p.float() for p in part]
        setattr(single, name, part)
        setattr(double, name, part.double() if isinstance(part, torch.Tensor) else [p.double() for p in part])
    ours, theirs = (case.run(case.inputs(), fused=True)[0] for case in (single, double))
    assert torch.equal(ours.double(), theirs)  # none lies on its threshold
    for ours, theirs in zip(single.gradients(fused=True), double.gradients(fused=True), strict=True):
        assert ours.dtype == torch.float32
        assert float((ours.double() - theirs).norm()) < 1e-5 * float(theirs.norm()) + 1e-6


# ---- what is not asked for, and what cannot be had -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_learned_parameters_the_inputs_are_not_kept_and_every_step_has_its_gradient(kind):
    """A backward pass that took its steps from the inputs, which were not kept, made none and left its output as it found it."""
    case = Case(how_of(kind, "soft"), seed=7)
    kept = []
    leaves = case.inputs(learned=False)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        outputs = case.run(leaves, fused=True)
    assert kept.count((T, C)) == 2  # membranes and spikes
    ours = torch.autograd.grad(case.loss(outputs), leaves[0])[0]
    np.testing.assert_allclose(ours, case.gradients(fused=False)[0], rtol=1e-9)
    assert (ours != 0).any(1).all()


def test_a_gradient_of_a_gradient_is_refused_by_the_kernel_and_given_by_plain_torch():
    case = Case(how_of("plain", "none", "sigmoid"), seed=8)
    x = case.x.clone().requires_grad_()
    up = case.up[0]

    def gradient(x, *, fused, create_graph):
        s, _, _ = scan(x, None, Cell(*case.cell), case.how, fused=fused)
        return torch.autograd.grad((s * up).sum(), x, create_graph=create_graph)[0]

    with pytest.raises(ModelError, match=r"fused=False"):
        gradient(x, fused=True, create_graph=True)
    weight = torch.randn(T, C, dtype=torch.float64)
    (second,) = torch.autograd.grad((gradient(x, fused=False, create_graph=True) * weight).sum(), x)
    # Without a reset the gradient is a smooth function of the inputs: differences of the kernel's.
    step = 1e-6
    for t, k in ((0, 0), (2, 3), (5, 1)):
        move = torch.zeros_like(x)
        move[t, k] = step
        high, low = (
            gradient((x + m).detach().requires_grad_(), fused=True, create_graph=False) for m in (move, -move)
        )
        assert float(second[t, k]) == pytest.approx(
            float(((high - low) * weight).sum() / (2 * step)), rel=1e-5
        )


class Cosine(Surrogate):
    """A surrogate of a user's own."""

    def derivative(self, u):
        return torch.cos(u).clamp_min(0.0)

    def primitive(self, u):
        return torch.sin(u.clamp(-torch.pi / 2, torch.pi / 2))


def test_a_surrogate_that_no_kernel_knows_runs_in_plain_torch():
    case = Case(Scan("hard", False, Cosine()), seed=9)
    assert_same(case.gradients(fused=True), case.gradients(fused=False), rtol=0)
    assert case.gradients(fused=True)[0].any()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("reset", ["hard", "soft", "none"])
def test_what_is_not_finite_is_refused(reset, value, fused):
    x = torch.zeros(5, 7)
    x[2, 3] = value
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2, 3] = False
    with pytest.raises(NotFinite):
        scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain", reset), fused=fused)
    scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain", reset), fused=fused, mask=mask)  # it is not looked at


# ---- compiled graphs -----------------------------------------------------------------------------------------------


def test_a_compiled_graph_takes_the_node_whole():
    case = Case(how_of("both", "soft"), seed=10, masked=True)
    torch._dynamo.reset()

    def run(x, v, i, a, *cell):
        s, h, after = scan(2.0 * x, State(v, i, a), Cell(*cell), case.how, mask=case.mask)
        return 3.0 * s, h, after

    ours, theirs = case.inputs(), case.inputs()
    made, plain = torch.compile(run, backend="aot_eager", fullgraph=True)(*ours), run(*theirs)
    assert torch.equal(made[0], plain[0])
    gradients = [
        torch.autograd.grad(case.loss(o), i, allow_unused=True) for o, i in ((made, ours), (plain, theirs))
    ]
    assert_same(*gradients, rtol=0)


def test_a_compiled_graph_still_refuses_what_is_not_finite():
    torch._dynamo.reset()
    how = how_of("plain")
    run = torch.compile(lambda x: scan(x, None, Cell(0.5, 1.0, 1.0), how)[0] + 1, backend="eager")
    assert run(torch.zeros(3, 4)).sum() == 12
    with pytest.raises(NotFinite):
        run(torch.full((3, 4), torch.nan))


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("kind", ["plain", "both"])
def test_the_operator_is_what_it_says_to_torch(kind, learned):
    case = Case(how_of(kind, "hard"), seed=11, masked=True)
    used = case.how.used
    state = [
        part.clone().requires_grad_() if there else None for part, there in zip(case.state, used, strict=True)
    ]
    table = torch.stack(case.cell).requires_grad_(learned)
    arguments = (case.x.clone().requires_grad_(), *state, table, case.mask, *case.how.flat())
    torch.library.opcheck(
        scan_module._operator,
        arguments,
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


# ---- threads -------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_any_number_of_threads_gives_the_same_bits(threads, monkeypatch):
    monkeypatch.setattr(cpu, "LEAST", 0)
    calls = []
    plain = cpu._over_cells

    def counted(call, steps, cells):
        made = plain(call, steps, cells)
        calls.append(len(made))
        return made

    monkeypatch.setattr(cpu, "_over_cells", counted)
    cells = 7 * (3 * loops.STRETCH // 7 + 5)
    case = Case(how_of("both", "soft", "sigmoid"), seed=12, steps=4, cells=cells, period=7)
    found = []
    for number in (1, 2, 3):
        threads(number)
        outputs = case.run(case.inputs(), fused=True)
        found.append([*outputs[:2], *outputs[2], *case.gradients(fused=True)])
    assert calls == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_other_python_threads_run_meanwhile():
    x = torch.randn(400, 20_000)
    scan(x[:1], None, Cell(0.5, 1.0, 1.0), how_of("plain"))  # compiled
    work = threading.Thread(
        target=lambda: [scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain")) for _ in range(3)]
    )
    work.start()
    ticks = 0
    while work.is_alive():
        time.sleep(1e-4)
        ticks += 1
    # A kernel that holds the interpreter lets others in between its calls alone.
    assert ticks > 10


@pytest.mark.filterwarnings("ignore:os.fork")  # JAX says so, where another test has loaded it
def test_the_child_of_a_fork_starts_threads_of_its_own(threads, monkeypatch):
    monkeypatch.setattr(cpu, "LEAST", 0)
    threads(2)
    x = torch.randn(3, 2 * loops.STRETCH)
    scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain"))
    status = forked.status_of(lambda: scan(x, None, Cell(0.5, 1.0, 1.0), how_of("plain")))
    assert status == forked.DONE


@pytest.mark.slow
def test_no_kernel_reaches_beyond_its_arrays(tmp_path):
    """The tests above with every index looked at; numba compiles the kernels again for that."""
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    chosen = "fused_is_the_reference or finite_differences or masked or without_learned or dimensions"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", chosen, __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
