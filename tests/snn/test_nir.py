"""Graphs of NIR: there and back with the same spikes, in equations, and run by snnTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    IF,
    LIF,
    AdaptiveLIF,
    ATan,
    CurrentLIF,
    Delays,
    IntegerLIF,
    LeakyIntegrator,
    Network,
    NIRWarning,
    ParametricLIF,
    Recurrent,
    Residual,
    SharedDropout,
    Triangle,
    fold_norms,
    from_nir,
    to_nir,
)

nir = pytest.importorskip("nir")


def _input(*shape: int, seed: int = 0) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4).float()


def _quiet(network: Network, shape: tuple[int, ...], **fields: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NIRWarning)
        return to_nir(network, shape, **fields)


def _same(network: Network, x: torch.Tensor, back: Network, *, exact: bool = True) -> None:
    ours, theirs = network.eval()(x)[0], back.eval()(x)[0]
    if exact:
        assert torch.equal(ours, theirs)
    else:
        torch.testing.assert_close(ours, theirs)
    assert ours.std() > 0, "a silent network proves nothing"


def _neurons() -> list[Any]:
    tau = torch.tensor([1.5, 2.0, 3.0, 7.0])
    return [
        IF(threshold=0.7),
        LIF(tau=3.0, threshold=0.3),
        LIF(tau=3.0, decay_input=False, reset="soft", detach_reset=False, surrogate=Triangle(0.7)),
        LIF(tau=1.0, threshold=0.6, rest=-0.25),
        LIF(tau=tau, threshold=torch.tensor([0.2, 0.3, 0.4, 0.1])),
        ParametricLIF(tau=5.0, features=4, threshold=0.2),
        AdaptiveLIF(tau=4.0, tau_adaptation=9.0, jump=0.15, threshold=0.2),
        CurrentLIF(tau=4.0, tau_current=2.5, threshold=0.4),
        CurrentLIF(tau=4.0, tau_current=2.5, decay_input=False, reset="none"),
        IntegerLIF(levels=3),
        LeakyIntegrator(tau=6.0),
        LeakyIntegrator(tau=6.0, decay_input=False),
    ]


@pytest.mark.parametrize("neuron", _neurons(), ids=lambda neuron: type(neuron).__name__)
def test_there_and_back_through_a_file(neuron, tmp_path):
    torch.manual_seed(1)
    network = Network(nn.Linear(6, 4), neuron, nn.Linear(4, 3, bias=False), LIF(tau=2.0, threshold=0.1))
    if isinstance(neuron, ParametricLIF):
        with torch.no_grad():
            neuron.leak += torch.rand(4)
    nir.write(tmp_path / "a.nir", _quiet(network, (6,), bin_width=1e-3))
    back = from_nir(nir.read(tmp_path / "a.nir"))
    _same(network, 3 * _input(60, 5, 6), back)
    found = back.layers[1]
    assert type(found) is type(neuron)
    assert (found.reset, found.detach_reset, found.surrogate) == (
        neuron.reset,
        neuron.detach_reset,
        neuron.surrogate,
    )


def test_parameters_are_those_of_eulers_method():
    """A step of NIR's own equation, in double precision, from the arrays alone."""
    for neuron in (LIF(tau=5.0), LIF(tau=5.0, decay_input=False), LeakyIntegrator(tau=5.0), IF()):
        node = to_nir(Network(neuron), (1,), bin_width=2e-3).nodes[f"{type(neuron).__name__.lower()}_0"]
        v, x, dt = 0.3, 0.2, 2e-3
        r = float(node.r[0])
        euler = v + dt * r * x if isinstance(neuron, IF) else v + dt / float(node.tau[0]) * (r * x - v)
        cells = neuron.parameters_of_cells()
        assert euler == pytest.approx(cells["beta"] * v + cells["gain"] * x, rel=1e-6)
    node = to_nir(Network(CurrentLIF(tau=5.0, tau_current=3.0)), (1,), bin_width=2e-3).nodes["currentlif_0"]
    current = 0.1 + 2e-3 / float(node.tau_syn[0]) * (float(node.w_in[0]) * 0.2 - 0.1)
    euler = 0.3 + 2e-3 / float(node.tau_mem[0]) * (float(node.r[0]) * current - 0.3)
    # The gain, 1/5, stands at the current: a current of .1 there is one of .5 of ours.
    ours = 0.8 * 0.3 + 0.2 * ((1 - 1 / 3) * 0.5 + 0.2)
    assert euler == pytest.approx(ours, rel=1e-6)


def test_metadata_carry_step_reset_and_all_fields(tmp_path):
    neuron = LIF(tau=3.0, reset="soft", detach_reset=False, surrogate=Triangle(0.7))
    nir.write(tmp_path / "a.nir", _quiet(Network(neuron), (2,), bin_width=5e-4))
    graph = nir.read(tmp_path / "a.nir")
    assert float(graph.metadata["dt"]) == 5e-4
    about = graph.nodes["lif_0"].metadata
    assert {key: about[key] for key in ("neuron", "reset", "surrogate")} == {
        "neuron": "LIF",
        "reset": "soft",
        "surrogate": "Triangle",
    }
    assert (float(about["dt"]), float(about["tau"]), float(about["surrogate_width"])) == (5e-4, 3.0, 0.7)
    assert (bool(about["detach_reset"]), bool(about["decay_input"])) == (False, True)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (LIF(reset="soft"), r"layer 0 \(LIF\): reset 'soft', where NIR has hard"),
        (LIF(reset="none"), "reset 'none'"),
        (AdaptiveLIF(), "a threshold that adapts"),
        (IntegerLIF(levels=3), "reset 'soft', where NIR has hard; .*spikes of up to 3"),
        (Delays(3, 2, window=5), r"layer 0 \(Delays\): delays between two steps, which are rounded"),
        (
            Delays(3, 2, window=5, learned=False, tail=True),
            r"layer 0 \(Delays\): a tail, 2 more steps of silence",
        ),
        (LIF(surrogate="sigmoid"), r"layer 0 \(LIF\): surrogate Sigmoid\(width=4.0\), for training$"),
        (LIF(detach_reset=False), r"layer 0 \(LIF\): a reset that gradients go through, for training$"),
    ],
    ids=["soft", "none", "adaptive", "integer", "delays", "tail", "surrogate", "detach"],
)
def test_what_nir_cannot_say_is_told(layer, told):
    with pytest.warns(NIRWarning, match=told):
        to_nir(Network(layer), (3,))


def _stripped(graph: Any) -> Any:
    """A graph as other tools write it: without the metadata of nodes."""
    for node in graph.nodes.values():
        node.metadata = {}
    return graph


def test_what_is_told_is_what_is_lost_on_the_way_through_another_tool():
    fields = (
        {},
        {"surrogate": "triangle"},
        {"surrogate": ATan(5.0)},
        {"detach_reset": False},
        {"reset": "soft"},
        {"rest": 0.25},
        {"threshold": 0.5},
        {"decay_input": False},
    )
    for given in fields:
        before = LIF(3.0, **given)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            graph = to_nir(Network(before), (2,), bin_width=1e-3)
        after = from_nir(_stripped(graph), bin_width=1e-3).layers[0]
        names = ("surrogate", "detach_reset", "reset", "rest", "threshold", "decay_input")
        lost = [name for name in names if getattr(after, name) != getattr(before, name)]
        assert bool(lost) == bool(told), (given, lost)


def test_one_warning_names_all_layers():
    network = Network(
        nn.Linear(3, 3),
        LIF(reset="soft", surrogate="triangle"),
        Residual(Network(nn.Linear(3, 3), LIF(reset="soft"))),
        Recurrent(IF(detach_reset=False), 3),
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        to_nir(network, (3,))
    assert [str(one.message) for one in told] == [
        "NIR does not say: layers 1, 2_body_1 (LIF): reset 'soft', where NIR has hard; "
        "layer 1 (LIF): surrogate Triangle(width=1.0), for training; "
        "layer 3 (IF): a reset that gradients go through, for training"
    ]


def test_an_export_leaves_the_network_as_it_was():
    network = Network(nn.Linear(3, 2), nn.Dropout(), LIF())
    network.layers[1].eval()
    to_nir(network, (3,))
    assert [module.training for module in network.modules()] == [True, True, True, False, True]


def test_what_nir_can_say_is_not_told():
    layers = (
        nn.Linear(3, 3),
        LIF(),
        CurrentLIF(),
        IF(),
        ParametricLIF(),
        nn.Dropout(),
        SharedDropout(),
        LeakyIntegrator(),
    )
    kinds = [type(node).__name__ for node in to_nir(Network(*layers), (3,)).nodes.values()]
    assert kinds == ["Input", "Affine", "LIF", "CubaLIF", "IF", "LIF", "LI", "Output"]


@pytest.mark.parametrize("synapses", [None, 2])
@pytest.mark.parametrize("kernel_count", [1, 2])
def test_delays(tmp_path, synapses, kernel_count):
    torch.manual_seed(0)
    fields = {"window": 7, "synapses": synapses, "kernel_count": kernel_count, "learned": False}
    network = Network(
        Delays(6, 5, **fields), LIF(threshold=0.3), Delays(5, 4, tail=True, **fields), LIF(threshold=0.3)
    )
    nir.write(tmp_path / "a.nir", _quiet(network, (6,), bin_width=1e-3))
    graph = nir.read(tmp_path / "a.nir")
    waits = {float(node.delay[0]) for node in graph.nodes.values() if isinstance(node, nir.Delay)}
    assert max(waits) <= 6e-3
    back = from_nir(graph)
    assert [back.layers[0].window, back.layers[2].tail, back.layers[0].learned] == [7, True, False]
    _same(network, _input(40, 3, 6), back)
    if kernel_count == 1 and synapses is None:
        assert torch.equal(back.layers[0].delays, network.layers[0].delays)


def test_delays_behind_delays_and_a_bias():
    torch.manual_seed(0)
    body = Network(Delays(4, 4, window=3, learned=False), nn.BatchNorm1d(4), LIF(threshold=0.2))
    network = Network(
        Delays(6, 4, window=5, learned=False),
        Residual(body),
        Delays(4, 3, window=3, learned=False),
        LIF(threshold=0.2),
    )
    network(_input(50, 8, 6, seed=3))
    folded = fold_norms(network)
    back = from_nir(to_nir(folded, (6,)))
    _same(folded, _input(30, 4, 6), back, exact=False)


def test_residual_blocks_and_recurrent_layers(tmp_path):
    torch.manual_seed(0)
    inner = Residual(Network(nn.Linear(5, 5), LIF(threshold=0.2)))
    outer = Residual(
        Network(inner, nn.Linear(5, 5), LIF(threshold=0.2)), Network(nn.Linear(5, 5, bias=False))
    )
    network = Network(
        nn.Linear(6, 5),
        outer,
        Residual(Network(LIF(threshold=0.1))),
        Recurrent(LIF(threshold=0.4), 5),
        nn.Linear(5, 3),
    )
    nir.write(tmp_path / "a.nir", to_nir(network, (6,)))
    back = from_nir(nir.read(tmp_path / "a.nir"))
    _same(network, _input(30, 4, 6), back)
    assert [type(layer).__name__ for layer in back.layers] == [
        "Linear",
        "Residual",
        "Residual",
        "Recurrent",
        "Linear",
    ]


def test_convolutions_and_pools(tmp_path):
    torch.manual_seed(0)
    network = Network(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
        LIF(threshold=0.2),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3, padding="same", groups=2),  # comes back with its groups
        IF(threshold=0.3),
        nn.AvgPool2d(2, divisor_override=1),
        nn.Flatten(),
        nn.Linear(16, 3),
        LIF(threshold=0.1),
    )
    nir.write(tmp_path / "a.nir", to_nir(network, (2, 16, 16)))
    _same(network, _input(10, 3, 2, 16, 16), from_nir(nir.read(tmp_path / "a.nir")))
    with pytest.raises(
        ModelError, match=r"layer 0: Conv2d: NIR reckons with outputs .*; kernels must be square"
    ):
        to_nir(Network(nn.Conv2d(2, 3, (1, 3))), (2, 16, 16))
    line = Network(nn.Conv1d(2, 3, 5, dilation=2), LIF(threshold=0.2), nn.Flatten(), nn.Linear(24, 2))
    nir.write(tmp_path / "b.nir", to_nir(line, (2, 16)))
    _same(line, _input(10, 3, 2, 16), from_nir(nir.read(tmp_path / "b.nir")))


def test_norms_are_folded_and_nothing_changes():
    torch.manual_seed(0)
    network = Network(
        nn.Conv2d(2, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        LIF(threshold=0.3),
        nn.Flatten(),
        Residual(Network(nn.Linear(64, 64), nn.BatchNorm1d(64), LIF(threshold=0.3))),
        nn.Linear(64, 3),
        nn.BatchNorm1d(3, affine=False),
    ).double()
    for seed in range(5):
        network(_input(20, 4, 2, 6, 6, seed=seed).double())
    with torch.no_grad():
        network.layers[1].weight.uniform_(0.5, 2.0)
        network.layers[1].bias.normal_()
    x = _input(20, 4, 2, 6, 6, seed=9).double()
    with pytest.raises(
        ModelError, match=r"layer 1 is a BatchNorm2d, and NIR has none; export fold_norms\(network\)"
    ):
        to_nir(network, (2, 6, 6))
    folded = fold_norms(network)
    assert network.training
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folded.modules())
    torch.testing.assert_close(folded(x)[0], network.eval()(x)[0], rtol=1e-9, atol=1e-12)
    _same(folded, x, from_nir(to_nir(folded, (2, 6, 6))), exact=False)
    with pytest.raises(
        ModelError, match=r"layer 0\.body\.0 is a BatchNorm1d that is not behind a layer with weights"
    ):
        fold_norms(Network(Residual(Network(nn.BatchNorm1d(4), LIF()))))
    with pytest.raises(ModelError, match="layer 1 is a BatchNorm1d without running statistics"):
        fold_norms(Network(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)))


# ---- graphs of others ----------------------------------------------------------------------------------------------


def _lif(n: int = 2, **fields: Any) -> Any:
    given = {"tau": 4e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | fields
    return nir.LIF(
        **{key: np.broadcast_to(np.asarray(value, float), (n,)).copy() for key, value in given.items()}
    )


def _euler(node: Any, x: np.ndarray, dt: float) -> np.ndarray:
    """Spikes (time, neuron) of NIR's equation; the membrane starts where it leaks to."""
    v, spikes = node.v_leak.copy(), []
    for xt in x:
        v = v + dt / node.tau * (node.v_leak - v + node.r * xt)
        s = v > node.v_threshold
        v = np.where(s, node.v_reset, v)
        spikes.append(s)
    return np.array(spikes, float)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"r": 4.0, "v_threshold": 0.37},
        {"r": 2.7, "v_threshold": 0.37},
        {"r": [2.7, 0.9], "tau": [3e-3, 9e-3], "v_threshold": [0.4, 0.2]},
        {"v_leak": -0.3, "v_reset": -0.45, "v_threshold": 0.21},
    ],
    ids=["plain", "undecayed", "factor", "of each neuron", "voltages"],
)
def test_neurons_of_other_tools_do_what_their_equation_says(fields):
    node = _lif(**({"v_threshold": 0.31} | fields))
    graph = nir.NIRGraph.from_list(nir.Linear(weight=np.eye(2)), node)
    network = from_nir(graph, bin_width=1e-3).double()
    x = np.random.default_rng(0).uniform(0, 2, (200, 2))
    spikes, _ = network(torch.from_numpy(x).unsqueeze(1))
    expected = _euler(node, x, 1e-3)
    np.testing.assert_array_equal(spikes[:, 0].detach().numpy(), expected)
    assert 0.02 < expected.mean() < 0.9


def test_arrays_that_were_edited_win_over_metadata():
    graph = to_nir(Network(LIF(tau=3.0)), (2,), bin_width=1e-3)
    graph.nodes["lif_0"].tau[:] = 7e-3
    graph.nodes["lif_0"].v_threshold[:] = 0.4
    back = from_nir(graph).layers[0]
    assert (back.tau, back.threshold, back.decay_input) == (pytest.approx(7.0), pytest.approx(0.4), True)


def test_a_graph_inside_a_graph_is_opened():
    inner = nir.NIRGraph(
        nodes={
            "in": nir.Input(np.array([2])),
            "lif": _lif(),
            "w": nir.Linear(weight=np.full((2, 2), 0.3)),
            "out": nir.Output(np.array([2])),
        },
        edges=[("in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "out")],
    )
    graph = nir.NIRGraph(
        nodes={"a": nir.Input(np.array([2])), "part": inner, "b": nir.Output(np.array([2]))},
        edges=[("a", "part"), ("part", "b")],
        type_check=False,
    )
    (layer,) = from_nir(graph, bin_width=1e-3).layers
    assert isinstance(layer, Recurrent)
    assert torch.equal(layer.back.weight, torch.full((2, 2), 0.3, dtype=torch.float64))


def _row(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes)


def _crossed() -> Any:
    nodes = {name: nir.Linear(weight=np.eye(2)) for name in "abcd"}
    nodes |= {"in": nir.Input(np.array([2])), "out": nir.Output(np.array([2]))}
    edges = ["in a", "in b", "a c", "b c", "a d", "b d", "c out", "d out"]
    return nir.NIRGraph(nodes=nodes, edges=[tuple(edge.split()) for edge in edges])


BAD = {
    "threshold": (
        lambda: _row(nir.Threshold(np.ones(2))),
        1e-3,
        "NIR node 'threshold' is a Threshold, which is not supported",
    ),
    "integrator": (lambda: _row(nir.I(np.ones(2))), 1e-3, "NIR node 'i' is a I, which is not supported"),
    "scale": (
        lambda: _row(nir.Scale(np.full(2, 0.5))),
        1e-3,
        "NIR node 'scale' is a Scale that is not supported",
    ),
    "no step": (lambda: _row(_lif()), None, "does not say how long a step is; give bin_width"),
    "no length": (lambda: _row(_lif()), -1.0, "a step of -1 s; give a length above 0"),
    "not a length": (lambda: _row(_lif()), float("nan"), "a step of nan s; give a length above 0"),
    "weight": (
        lambda: _row(nir.Linear(weight=np.array([[1.0, 2.0], [3.0, np.nan]]))),
        1e-3,
        r"NIR node 'linear': weight\[1, 1\] is nan; give finite numbers",
    ),
    "voltage": (
        lambda: _row(_lif(v_leak=[0.0, np.inf])),
        1e-3,
        r"NIR node 'lif': v_leak\[1\] is inf; give finite numbers",
    ),
    "no input": (lambda: _row(_lif(r=[1.0, 0.0])), 1e-3, "NIR node 'lif': neuron 1 hears its input times 0;"),
    "against": (
        lambda: _row(_lif(r=[-1.0, 1.0])),
        1e-3,
        r"NIR node 'lif': neuron 0 hears its input times -0\.25",
    ),
    "two steps": (lambda: to_nir(Network(LIF()), (2,)), 1e-3, "steps of 0.0001, 0.001 s"),
    "short": (
        lambda: _row(_lif(tau=5e-4)),
        1e-3,
        r"NIR node 'lif': tau is 0\.0005 s and a step lasts 0\.001 s",
    ),
    "resets": (
        lambda: _row(_lif(v_reset=[0.0, 0.5])),
        1e-3,
        r"NIR node 'lif': v_reset has the values \[0\.  0\.5\]",
    ),
    "threshold below": (lambda: _row(_lif(v_leak=2.0)), 1e-3, r"NIR node 'lif': LIF\.threshold is -1"),
    "readout": (
        lambda: _row(nir.LI(tau=np.full(2, 4e-3), r=np.full(2, 1.3), v_leak=np.zeros(2))),
        1e-3,
        "NIR node 'li': a readout with v_leak",
    ),
    "delay": (lambda: _row(nir.Delay(np.full(2, 2.5e-3))), 1e-3, r"NIR node 'delay': delays \[0\.0025\] s"),
    "crossed": (_crossed, 1e-3, "NIR node '[cd]' is led to by a, b, which are not two paths"),
}


@pytest.mark.parametrize("which", BAD)
def test_graphs_that_are_refused_by_name(which):
    make, dt, message = BAD[which]
    with pytest.raises(ModelError, match=message):
        from_nir(make(), bin_width=dt)


def test_layers_that_are_refused_by_name():
    with pytest.raises(
        ModelError, match=r"layer 1 is a MaxPool2d, or one in a form, that NIR has no node for"
    ):
        to_nir(Network(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)), (1, 8, 8))
    with pytest.raises(ModelError, match=r"layer 0: Linear: .*check input_shape"):
        to_nir(Network(nn.Linear(3, 2)), (4,))
    with pytest.raises(ModelError, match="layer 0: Conv2d: padding_mode is 'circular'"):
        to_nir(Network(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")), (1, 8, 8))
    broken = Network(nn.Linear(2, 2), LIF())
    with torch.no_grad():
        broken.layers[0].bias[1] = torch.nan
    with pytest.raises(ModelError, match=r"layer 0: Linear: bias\[1\] is nan"):
        to_nir(broken, (2,))
    with pytest.raises(ModelError, match=r"to_nir: a LIF; give a snn\.Network"):
        to_nir(LIF(), (2,))
    with pytest.raises(ModelError, match=r"fold_norms: a Linear; give a snn\.Network"):
        fold_norms(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="bin_width is 0"):
        to_nir(Network(LIF()), (2,), bin_width=0.0)
    with pytest.raises(ModelError, match=r"from_nir: a LIF; give a nir\.NIRGraph"):
        from_nir(_lif())


# ---- run by snnTorch -----------------------------------------------------------------------------------------------


def _run_by_snntorch(graph: Any, x: torch.Tensor) -> torch.Tensor:
    """Outputs (time, ...) of a graph, one step after another; ``x (time, ...)``."""
    pytest.importorskip("snntorch", reason="snnTorch is not installed")
    pytest.importorskip("nirtorch", reason="snnTorch reads NIR with nirtorch, which is not installed")
    from snntorch.import_nir import import_from_nir

    network, state, made = import_from_nir(graph), None, []
    with torch.no_grad():
        for xt in x:
            out, state = network(xt, state)
            made.append(out)
    return torch.stack(made)


NETWORKS = {
    "decayed": (
        lambda: (
            nn.Linear(8, 20),
            LIF(tau=4.0, threshold=0.2),
            nn.Linear(20, 5, bias=False),
            LIF(threshold=0.1),
        ),
        (8,),
    ),
    "undecayed": (
        lambda: (
            nn.Linear(8, 20),
            LIF(tau=3.0, decay_input=False),
            nn.Linear(20, 5),
            LIF(tau=5.0, threshold=0.1),
        ),
        (8,),
    ),
    "current": (lambda: (nn.Linear(8, 20), CurrentLIF(tau=4.0, tau_current=3.0, decay_input=False)), (8,)),
    "folded": (lambda: (nn.Linear(8, 20), nn.BatchNorm1d(20), LIF(tau=2.0, threshold=0.4)), (8,)),
    "images": (
        lambda: (
            nn.Conv2d(1, 3, 3, padding=1),
            LIF(threshold=0.2),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 4),
            LIF(threshold=0.1),
        ),
        (1, 4, 4),
    ),
}


@pytest.mark.parametrize("which", NETWORKS)
def test_snntorch_has_the_same_spikes(which, capsys):
    make, shape = NETWORKS[which]
    torch.manual_seed(0)
    network = Network(*make())
    trials = 1 if which == "images" else 6  # its Flatten takes the batch as well
    x = _input(50, trials, *shape)
    network(x)
    network = fold_norms(network)
    theirs = _run_by_snntorch(to_nir(network, shape), x[:, 0] if trials == 1 else x)
    ours, _ = network(x)
    assert torch.equal(theirs.to(ours).view(ours.shape), ours)
    assert 0.02 < ours.mean() < 0.9


def test_cycles_have_the_same_spikes_with_neurons_of_snntorch():
    """Run by nirtorch: snnTorch 1.0 makes a part of each cycle, in which the input goes into the weights of the way back."""
    pytest.importorskip("snntorch", reason="snnTorch is not installed")
    nirtorch = pytest.importorskip(
        "nirtorch", reason="snnTorch reads NIR with nirtorch, which is not installed"
    )
    from snntorch.import_nir import _nir_to_snntorch_module as layer_of

    torch.manual_seed(3)
    network = Network(nn.Linear(8, 6), Recurrent(LIF(tau=2.0, threshold=0.3, decay_input=False), 6))
    x = _input(50, 4, 8)
    kinds = (nir.Linear, nir.Affine, nir.LIF)
    run = nirtorch.nir_to_torch(
        to_nir(network, (8,)), dict.fromkeys(kinds, lambda node: layer_of(node, init_hidden=True))
    )
    state, theirs = None, []
    with torch.no_grad():
        for xt in x:
            out, state = run(xt, state)
            theirs.append(out)
    ours, _ = network(x)
    assert torch.equal(torch.stack(theirs), ours)
    assert 0.02 < ours.mean() < 0.9
    forgetful, _ = Network(network.layers[0], network.layers[1].neuron)(x)
    assert not torch.equal(forgetful, ours), "what comes back matters"
