"""Layers with delays: the published kernels, gradients, what rounding makes of them, state, masks, and what is refused."""

from __future__ import annotations

from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import LIF, Delays, Network, freeze_delays, soft_and_rounded, soft_delays
from neurokit_snn.snn.delays import gather as gather_module
from neurokit_snn.snn.delays.gather import gather, gather_reference
from neurokit_snn.snn.delays.kernel import delay_kernel
from neurokit_snn.snn.delays.spectral import convolve

GOLDEN = Path(__file__).parents[1] / "golden" / "dcls_gauss.npz"
SIGMAS = ("12.5", "3.0", "0.5", "0.23")


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def direct(x, kernel):
    """Convolution of ``(lag - 1 + time, trial, source)`` by torch."""
    flipped = kernel.flip(0).permute(1, 2, 0)
    return torch.nn.functional.conv1d(x.permute(1, 2, 0), flipped).permute(2, 0, 1)


def layer_of(*sizes, dtype=torch.float64, **fields):
    return Delays(*sizes, **fields).to(dtype)


# ---- published values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_outputs_are_those_of_the_published_package(sigma, dtype):
    golden = np.load(GOLDEN)
    layer = layer_of(6, 5, window=25, sigma=float(sigma), final_sigma=float(sigma), dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(golden["weight"]).permute(2, 0, 1))
        layer.position.copy_(torch.from_numpy(golden["P"])[0].permute(2, 0, 1))
    x = torch.from_numpy(golden["x"]).to(dtype).permute(2, 0, 1)
    y, _ = layer(x)
    np.testing.assert_allclose(y.detach().permute(1, 2, 0), golden[f"output_sigma_{sigma}"], atol=1e-6)


@pytest.mark.parametrize(("shape", "width"), [("gauss", 0.27), ("triangle", 1.0)])
def test_a_kernel_is_the_bump_of_the_paper_and_sums_to_one(shape, width):
    delay, sigma, lags = 5.3, 0.4, np.arange(25)
    away = np.abs(lags - delay)
    bump = (
        np.exp(-((away / (sigma + width)) ** 2) / 2)
        if shape == "gauss"
        else np.maximum(0, sigma + width - away)
    )
    kernel = delay_kernel(torch.tensor([delay], dtype=torch.float64), sigma=sigma, window=25, shape=shape)[
        :, 0
    ]
    np.testing.assert_allclose(kernel, bump / (bump.sum() + 1e-7), atol=1e-12)
    assert float(kernel.sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("shape", ["gauss", "triangle"])
@pytest.mark.parametrize("sigma", [6.0, 0.5, 0.23])
@pytest.mark.parametrize("fields", [{}, {"kernel_count": 2}, {"synapses": 2}])
def test_gradients_of_the_training_are_those_of_finite_differences(shape, sigma, fields):
    layer = layer_of(3, 2, window=9, sigma=sigma, final_sigma=sigma, shape=shape, **fields)
    x = torch.rand(5, 1, 3, dtype=torch.float64, requires_grad=True)
    # Away from the corners of a triangle, and from the ends of the window.
    position = (torch.randint(-3, 3, layer.position.shape) + 0.31).double().requires_grad_()

    def run(x, weight, position):
        return torch.func.functional_call(layer, {"weight": weight, "position": position}, (x,))[0]

    assert torch.autograd.gradcheck(run, (x, layer.weight, position), eps=1e-6, atol=1e-7, rtol=1e-5)


def test_gradients_of_gradients_of_the_training():
    layer = layer_of(2, 2, window=5, sigma=0.5, final_sigma=0.5)
    x = torch.rand(4, 1, 2, dtype=torch.float64, requires_grad=True)

    def run(x, weight, position):
        return torch.func.functional_call(layer, {"weight": weight, "position": position}, (x,))[0]

    assert torch.autograd.gradgradcheck(run, (x, layer.weight, layer.position))


def test_the_width_falls_to_its_end_in_a_quarter_of_the_training():
    layer = Delays(2, 2, window=25)
    found = []
    for epoch in range(150):
        layer.at(epoch / 150)
        found.append(float(layer.sigma))
    epochs = np.arange(150)
    # The published rule multiplies once an epoch, `150 // 4` times; here the quarter is exact.
    expected = np.maximum(12 * (0.23 / 12) ** (epochs / 37.5), 0.23)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[0] == 12.0


@pytest.mark.parametrize(
    ("fields", "halfway"), [({"final_sigma": 0.0}, 3.0), ({"sigma": 0.5, "final_sigma": 0.5}, 0.5)]
)
def test_widths_that_cannot_fall_exponentially(fields, halfway):
    layer = Delays(2, 2, window=13, annealed=1.0, **fields)
    layer.at(0.5)
    assert float(layer.sigma) == halfway


# ---- sums over time ------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    steps=st.integers(1, 60),
    trials=st.integers(1, 4),
    sources=st.integers(1, 5),
    targets=st.integers(1, 5),
    lags=st.sampled_from([1, 3, 25]),
)
def test_products_in_the_frequency_domain_are_the_convolution(steps, trials, sources, targets, lags):
    generator = torch.Generator().manual_seed(steps)
    x = torch.randn(steps + lags - 1, trials, sources, dtype=torch.float64, generator=generator)
    kernel = torch.randn(lags, targets, sources, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(convolve(x, kernel), direct(x, kernel))


def test_long_trials_are_convolved_in_blocks():
    x, kernel = torch.randn(1024, 2, 3, dtype=torch.float64), torch.randn(25, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(convolve(x, kernel), direct(x, kernel))


@given(
    steps=st.sampled_from([1, 5, 40, 700]),
    trials=st.integers(1, 7),
    targets=st.integers(1, 4),
    synapses=st.integers(1, 9),
    window=st.sampled_from([1, 5, 25]),
)
def test_gathering_is_the_same_compiled_and_in_plain_torch(steps, trials, targets, synapses, window):
    generator = torch.Generator().manual_seed(steps + synapses)
    x = torch.randn(
        steps + window - 1, trials, 3, dtype=torch.float64, generator=generator, requires_grad=True
    )
    weight = torch.randn(targets, synapses, dtype=torch.float64, generator=generator, requires_grad=True)
    lag = torch.randint(0, window, (targets, synapses), generator=generator)
    source = torch.randint(0, 3, (targets, synapses), generator=generator)
    found = gather(x, weight, lag, source, window=window)
    expected = gather_reference(x, weight, lag, source, window=window)
    torch.testing.assert_close(found, expected)
    given_back = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    for a, b in zip(
        torch.autograd.grad(found, (x, weight), given_back),
        torch.autograd.grad(expected, (x, weight), given_back),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_gathering_on_two_threads_is_the_same():
    x, weight = torch.randn(124, 8, 60), torch.randn(40, 60)
    lag, source = torch.randint(0, 25, (40, 60)), torch.arange(60).expand(40, 60).contiguous()
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            w = weight.clone().requires_grad_()
            xs = x.clone().requires_grad_()
            y = gather(xs, w, lag, source, window=25)
            y.square().sum().backward()
            found.append((y, w.grad, xs.grad))
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("which", ["lag", "source"])
def test_gathering_refuses_to_read_outside(which):
    index = {"lag": torch.zeros(2, 3, dtype=torch.long), "source": torch.zeros(2, 3, dtype=torch.long)}
    index[which][1, 2] = 99
    with pytest.raises(ModelError, match=f"{which} lies outside"):
        gather(torch.zeros(9, 1, 3), torch.zeros(2, 3), **index, window=5)


@pytest.mark.filterwarnings("ignore:os.fork")  # JAX says so, where another test has loaded it
def test_the_child_of_a_fork_gathers_on_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(gather_module, "LEAST", 0)
    threads = torch.get_num_threads()
    layer, x = Delays(2, 4, window=3, learned=False), torch.zeros(5, 1, 2)
    try:
        torch.set_num_threads(2)
        layer(x)
        status = forked.status_of(lambda: layer(x))
    finally:
        torch.set_num_threads(threads)
    assert status == forked.DONE


def test_what_was_convolved_in_inference_mode_is_trained_afterwards():
    """Transforms that are kept were once made inside of it, and no graph takes such tensors."""
    layer, x = Delays(3, 2, window=5), torch.ones(23, 1, 3)
    with torch.inference_mode():
        layer(x)
    layer(x)[0].sum().backward()
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_compiles(training):
    layer, x = Delays(3, 2, window=5).train(training), torch.rand(9, 1, 3)
    torch._dynamo.reset()
    y, _ = torch.compile(layer, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(y, layer(x)[0])


# ---- rounding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("synapses", [None, 2])
def test_every_delay_of_the_window_shifts_by_itself(synapses):
    x = torch.randn(40, 2, 3)
    layer = Delays(3, 2, window=9, synapses=synapses).eval()
    connected = ~torch.isnan(layer.delays[0])
    weight = torch.zeros(2, 3).masked_scatter_(connected, layer.weight.detach())
    for delay in range(9):
        layer.set_delays(torch.full((1, 2, 3), float(delay)))
        y, _ = layer(x)
        shifted = torch.cat([torch.zeros(delay, 2, 3), x[: 40 - delay]])
        torch.testing.assert_close(y, shifted @ weight.T)


def test_a_triangle_without_width_is_the_rounded_layer():
    layer = layer_of(4, 3, window=9, shape="triangle", sigma=0.0, final_sigma=0.0, kernel_count=2).eval()
    layer.set_delays(torch.randint(0, 9, (2, 3, 4)).double())
    x = torch.randn(20, 2, 4, dtype=torch.float64)
    with soft_delays(layer):
        soft, _ = layer(x)
    torch.testing.assert_close(soft, layer(x)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("synapses", [None, 2])
def test_nothing_comes_before_its_cause(synapses):
    layer = layer_of(3, 4, window=9, synapses=synapses)
    x = torch.randn(30, 2, 3, dtype=torch.float64)
    other = x.clone()
    other[17:] += 1.0
    for training in (True, False):
        layer.train(training)
        torch.testing.assert_close(layer(x)[0][:17], layer(other)[0][:17])
    assert torch.equal(layer(x)[0][:17], layer(other)[0][:17])


def test_freezing_rounds_for_good():
    layer = Delays(4, 3, window=9)
    before = layer.delays
    freeze_delays(Network(layer))
    assert torch.equal(layer.delays, before.round())
    assert not layer.learned
    x = torch.randn(20, 2, 4)
    layer.train()
    trained = layer(x)[0]
    trained.square().sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    assert layer.position.grad is None
    assert torch.equal(trained, layer.eval()(x)[0])


def test_weights_learn_the_same_under_frozen_delays_as_under_a_dense_kernel():
    layer = layer_of(3, 2, window=5, learned=False, kernel_count=2)
    x = torch.randn(12, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, w: torch.func.functional_call(layer, {"weight": w}, (x,))[0], (x, layer.weight)
    )
    kernel = torch.zeros(5, 2, 3, dtype=torch.float64)
    for m in range(2):
        kernel.scatter_add_(0, layer.delays[m][None].long(), layer.weight.detach()[m][None])
    torch.testing.assert_close(layer(x)[0], direct(torch.cat([torch.zeros(4, 2, 3), x]), kernel))


def test_soft_and_rounded_scores_come_together_and_modes_come_back():
    network = Network(Delays(4, 3, window=9), torch.nn.Dropout(0.5), Delays(3, 2, window=9))
    network.layers[2].eval()
    x = torch.randn(20, 2, 4)

    def score():
        return float(network(x)[0].detach().square().mean())

    found = soft_and_rounded(network, score)
    assert [m.training for m in (network, *network.layers)] == [True, True, True, False]
    network.eval()
    assert found.rounded == score()
    with soft_delays(network):
        assert found.soft == score()
    assert found.gap == found.soft - found.rounded != 0.0
    assert not network.layers[0].soft_in_evaluation


def test_networks_without_delays_are_refused():
    for call in (freeze_delays, lambda net: soft_and_rounded(net, lambda: 0.0)):
        with pytest.raises(ModelError, match="Network: there is no layer with delays"):
            call(Network(LIF()))


# ---- state, mask, tail ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("synapses", [None, 2])
@pytest.mark.parametrize("cuts", [(7,), (1, 2, 3, 20), (25,)])
def test_pieces_are_the_whole(cuts, synapses, training):
    layer = layer_of(3, 4, window=9, synapses=synapses).train(training)
    x = torch.randn(30, 2, 5, 3, dtype=torch.float64)
    whole, last = layer(x)
    pieces, state = [], None
    for piece in torch.tensor_split(x, cuts):
        y, state = layer(piece, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces), whole)
    assert torch.equal(state, last)
    assert torch.equal(last, x[-8:])


@pytest.mark.parametrize("training", [True, False])
def test_steps_beyond_the_end_are_no_part_of_the_trial(training):
    layer = layer_of(3, 4, window=9).train(training)
    x = torch.randn(12, 3, 3, dtype=torch.float64)
    lengths = torch.tensor([12, 5, 0])
    mask = torch.arange(12)[:, None] < lengths
    hidden = torch.where(mask[..., None], x, torch.nan)
    state = torch.randn(8, 3, 3, dtype=torch.float64)
    y, after = layer(hidden, state, mask=mask)
    assert (y[~mask] == 0).all()
    for trial, length in enumerate(lengths.tolist()):
        one = slice(trial, trial + 1)
        if length:
            alone, last = layer(x[:length, one], state[:, one])
            torch.testing.assert_close(y[:length, one], alone)
            assert torch.equal(after[:, one], last)
        else:
            assert torch.equal(after[:, one], state[:, one])


def test_a_tail_lets_late_spikes_arrive():
    layer = layer_of(1, 1, window=9, tail=True).eval()
    layer.set_delays(torch.tensor([[[4.0]]]))
    x = torch.zeros(6, 1, 1, dtype=torch.float64)
    x[5] = 1.0
    y, _ = layer(x)
    assert y.shape[0] == 10
    torch.testing.assert_close(y[9, 0, 0], layer.weight[0, 0, 0])


def test_half_precision_is_computed_in_float32():
    layer = Delays(3, 4, window=9)
    x = (torch.rand(12, 2, 3) < 0.3).float()
    y, state = layer(x.bfloat16())
    assert y.dtype == state.dtype == torch.bfloat16
    assert torch.equal(y, layer(x)[0].bfloat16())


# ---- delays and connections ----------------------------------------------------------------------------------------


def test_fresh_delays_fill_the_window():
    delays = Delays(40, 50, window=25).delays
    assert delays.shape == (1, 50, 40)
    assert 0.0 <= float(delays.min()) < 0.5
    assert 23.5 < float(delays.max()) <= 24.0
    assert float(delays.mean()) == pytest.approx(12.0, abs=0.5)


def test_fixed_delays_are_whole_from_the_beginning():
    layer = Delays(4, 3, window=9, learned=False)
    assert torch.equal(layer.delays, layer.delays.round())
    layer.set_delays(torch.full((1, 3, 4), 2.4))
    assert (layer.delays == 2.0).all()


def test_delays_that_left_the_window_are_brought_back():
    layer = Delays(1, 2, window=9)
    with torch.no_grad():
        layer.position.copy_(torch.tensor([[[-7.0], [5.0]]]))
    assert layer.delays.flatten().tolist() == [8.0, 0.0]
    layer.at(0.3)
    assert layer.position.flatten().tolist() == [-4.0, 4.0]


@pytest.mark.parametrize("kernel_count", [1, 3])
def test_sparse_layers_have_the_synapses_they_were_given(kernel_count):
    layer = Delays(50, 30, window=9, synapses=10, kernel_count=kernel_count)
    assert sum(p.numel() for p in layer.parameters()) == 2 * kernel_count * 30 * 10
    connected = ~torch.isnan(layer.delays)
    assert connected.shape == (kernel_count, 30, 50)
    assert (connected.sum(2) == 10).all()
    assert (connected == connected[0]).all()
    assert len({tuple(row) for row in layer.source.tolist()}) == 30


@pytest.mark.parametrize("kernel_count", [1, 2])
def test_a_sparse_layer_is_a_dense_one_with_weights_of_zero(kernel_count):
    sparse = layer_of(5, 4, window=9, synapses=2, kernel_count=kernel_count)
    dense = layer_of(5, 4, window=9, kernel_count=kernel_count)
    weight = torch.zeros_like(dense.weight)
    for m in range(kernel_count):
        for target, sources in enumerate(sparse.source.tolist()):
            for synapse, source in enumerate(sources):
                weight[m, target, source] = sparse.weight[m, target, synapse]
    with torch.no_grad():
        dense.weight.copy_(weight)
    dense.set_delays(sparse.delays.nan_to_num(0.0))
    x = torch.randn(20, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(sparse(x)[0], dense(x)[0])
    torch.testing.assert_close(sparse.eval()(x)[0], dense.eval()(x)[0])


def test_a_state_dict_brings_the_layer_back():
    layer, other = (Delays(5, 4, window=9, synapses=2) for _ in range(2))
    layer.at(0.1)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(20, 2, 5)
    assert torch.equal(layer(x)[0], other(x)[0])
    assert torch.equal(layer.delays.nan_to_num(-1), other.delays.nan_to_num(-1))


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"window": 24}, "Delays.window is 24; give an odd number"),
        ({"window": 0}, "Delays.window is 0"),
        ({"window": 2.5}, "Delays.window is 2.5"),
        ({"kernel_count": 0}, "Delays.kernel_count is 0"),
        ({"shape": "square"}, "Delays.shape is 'square'; choose gauss or triangle"),
        ({"sigma": -1.0}, "Delays.sigma is -1.0"),
        ({"final_sigma": float("nan")}, "Delays.final_sigma is nan"),
        ({"annealed": 1.5}, "Delays.annealed is 1.5"),
        ({"synapses": 4}, "Delays.synapses is 4 and there are 3 sources"),
        ({"in_features": 0}, "Delays.in_features is 0"),
    ],
)
def test_fields_out_of_range_are_named(fields, told):
    with pytest.raises(ConfigError, match=told):
        Delays(**({"in_features": 3, "out_features": 2, "window": 25} | fields))


@pytest.mark.parametrize("value", [25.0, -1.0, float("nan")])
def test_a_delay_beyond_the_window_is_named(value):
    delays = torch.zeros(1, 2, 3)
    delays[0, 1, 2] = value
    with pytest.raises(ModelError, match=r"\(0, 1, 2\) is .* steps and the window of 25 holds 0 to 24"):
        Delays(3, 2, window=25).set_delays(delays)
    with pytest.raises(ModelError, match=r"give .* = \(1, 2, 3\)"):
        Delays(3, 2, window=25).set_delays(delays[0])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: {"x": torch.zeros(5, 3)}, r"shape \(5, 3\)"),
        (lambda: {"x": torch.zeros(5, 1, 4)}, r"shape \(5, 1, 4\); give \(time, batch, ..., 3\)"),
        (lambda: {"x": torch.zeros(5, 1, 3, dtype=torch.long)}, "torch.int64"),
        (lambda: {"state": torch.zeros(7, 1, 3)}, r"state is torch.float32 \(7, 1, 3\)"),
        (
            lambda: {"state": torch.zeros(8, 1, 3).double()},
            r"state is torch.float64 .*asks for torch.float32",
        ),
        (lambda: {"mask": torch.ones(5, 2, dtype=torch.bool)}, "mask is torch.bool"),
        (lambda: {"mask": torch.tensor([1, 0, 0, 1, 0]).bool()[:, None]}, r"True again at .* \(3, 0\)"),
    ],
)
def test_bad_calls_are_named(call, told):
    given = {"x": torch.zeros(5, 1, 3)} | call()
    with pytest.raises(ModelError, match=f"Delays: .*{told}"):
        Delays(3, 2, window=9)(given.pop("x"), given.pop("state", None), **given)


def test_a_mask_and_a_tail_exclude_each_other():
    with pytest.raises(ModelError, match="a mask ends trials and a tail makes them longer"):
        Delays(3, 2, window=9, tail=True)(torch.zeros(5, 1, 3), mask=torch.ones(5, 1, dtype=torch.bool))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("which", ["input", "weight", "position"])
def test_what_is_not_finite_is_named_with_the_layer(which, training):
    network = Network(torch.nn.Linear(3, 3), Delays(3, 2, window=9)).train(training)
    x, layer = torch.ones(5, 1, 3), network.layers[1]
    with torch.no_grad():
        (layer.weight if which != "position" else layer.position)[0, 1, 2] = torch.nan
    if which == "input":
        with pytest.raises(ModelError, match=r"Delays: input\[2, 0, 1\] is nan"):
            Delays(3, 2, window=9).train(training)(
                x.index_put((torch.tensor(2), torch.tensor(0), torch.tensor(1)), torch.tensor(torch.nan))
            )
        return
    with pytest.raises(ModelError, match=rf"layer 1: Delays: {which}\[0, 1, 2\] is nan"):
        network(x)
