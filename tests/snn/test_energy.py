"""Operations counted by hand, and what they cost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neurokit_snn.errors import ConfigError, ModelError
from neurokit_snn.snn import (
    IF,
    LIF,
    CurrentLIF,
    Delays,
    EnergyCosts,
    LeakyIntegrator,
    Network,
    Recurrent,
    Residual,
    count_operations,
    estimate_energy,
)
from neurokit_snn.snn.operations import fan_out
from neurokit_snn.snn.resnet import StandardConv2d


def _spikes(*shape: int, rate: float = 0.3, seed: int = 0) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def test_linear_by_hand():
    x = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).unsqueeze(1).repeat(1, 2, 1)
    x[0, 1] = 0.0  # of two trials, one has 3 spikes and the other 1
    row, neurons = count_operations(Network(nn.Linear(3, 4), IF(threshold=1e9)), x)
    assert (row.name, row.kind, row.input_kind) == ("layers.0", "Linear", "binary")
    assert (row.acs, row.macs, row.dense) == (4 * 2.0, 0.0, 3 * 3 * 4.0)
    assert row.input_rate == pytest.approx(4 / 18)
    assert (row.events, row.outputs) == (2.0, 12.0)
    assert (neurons.updates, neurons.words, neurons.rate, neurons.input_kind) == (12.0, 1, 0.0, "")


@pytest.mark.parametrize(
    ("where", "reached"),
    [((0, 0), 4), ((0, 1), 6), ((1, 1), 9), ((2, 2), 4)],
    ids=["corner", "edge", "middle", "last"],
)
def test_convolution_at_borders_by_hand(where, reached):
    x = torch.zeros(2, 1, 1, 3, 3)
    x[1, 0, 0][where] = 1.0
    row = count_operations(Network(nn.Conv2d(1, 5, 3, padding=1), IF()), x)[0]
    assert row.acs == 5 * reached
    assert row.dense == 2 * 5 * (4 * 4 + 4 * 6 + 9)


def test_fan_out_of_strides_groups_and_transposes_is_what_a_spike_changes():
    torch.manual_seed(0)
    layers = [
        (nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 7, 6)),
        (nn.Conv1d(2, 3, 3, padding=2, dilation=2), (2, 9)),
        (nn.Conv3d(1, 2, 2, stride=2), (1, 5, 4, 4)),
        (nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), (2, 4, 4)),
        (nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular"), (1, 5)),
        (StandardConv2d(2, 3, 3, stride=2), (2, 5, 5)),
    ]
    for layer, shape in layers:
        found = fan_out(layer, shape)
        for index in [(0,) * len(shape), tuple(n // 2 for n in shape), tuple(n - 1 for n in shape)]:
            x = torch.zeros(1, *shape)
            x[0][index] = 1.0
            changed = int(((layer(x) - layer(torch.zeros_like(x))).abs() > 0).sum())
            assert found[index] == changed, (layer, index)


def test_recurrent_layer_by_hand():
    layer = Recurrent(IF(), 2)
    nn.init.zeros_(layer.back.weight)
    # Each neuron fires at each of three steps; the spikes of the first two come back, each to two neurons.
    by_name = {row.name: row for row in count_operations(Network(layer), torch.ones(3, 4, 2))}
    assert by_name["layers.0.back"].acs == 2 * 2 * 2
    assert by_name["layers.0.back"].dense == 3 * 2 * 2
    assert by_name["layers.0.neuron"].rate == 1.0


def test_delays_reach_a_synapse_once_for_each_kernel():
    torch.manual_seed(0)
    x = _spikes(20, 3, 6)
    row = count_operations(Network(Delays(6, 5, window=7, kernel_count=2), IF()), x)[0]
    assert row.acs == pytest.approx(x.sum().item() / 3 * 5 * 2)
    sparse = Delays(6, 5, window=7, synapses=2)
    row = count_operations(Network(sparse, IF()), x)[0]
    by_hand = sum(float(x[..., source].sum()) for source in sparse.source.flatten().tolist())
    assert row.acs == pytest.approx(by_hand / 3)


def test_whole_numbers_count_as_many_spikes_and_real_ones_multiply():
    net = Network(nn.Linear(2, 3), IF())
    row = count_operations(net, torch.tensor([[[3.0, 0.0]], [[1.0, 2.0]]]))[0]
    assert (row.input_kind, row.acs, row.macs, row.events) == ("integer", 18.0, 0.0, 3.0)
    row = count_operations(net, torch.tensor([[[0.5, 0.0]], [[1.0, 2.0]]]))[0]
    assert (row.input_kind, row.acs, row.macs) == ("real", 0.0, 12.0)


def test_energy_of_spikes_falls_with_their_number():
    torch.manual_seed(0)
    net = Network(nn.Linear(50, 20), LIF(), nn.Linear(20, 5), LeakyIntegrator())
    x = _spikes(40, 6, 50, rate=0.5)
    half = x.clone().view(-1)
    half[half.nonzero().flatten()[::2]] = 0.0
    half = half.view(x.shape)
    assert half.sum() == x.sum() / 2 or half.sum() == (x.sum() - 1) / 2
    many, few = (estimate_energy(net, each).rows[0] for each in (x, half))
    assert few.acs / many.acs == pytest.approx(float(half.double().sum() / x.double().sum()), rel=1e-12)
    none = estimate_energy(net, torch.zeros_like(x))
    assert none.proxy == 0.0
    assert none.ann == estimate_energy(net, x).ann > 0


def test_four_estimates_by_hand():
    net = Network(nn.Linear(3, 2), CurrentLIF(threshold=1e9), nn.Linear(2, 1))
    x = torch.tensor([[[0.5, 1.0, 1.0]], [[1.0, 0.0, 0.0]]])
    costs = EnergyCosts(e_mac=4.0, e_ac=1.0, weight_access=10.0, state_access=3.0, activation_access=2.0)
    found = estimate_energy(net, x, costs=costs, ann_steps=1)
    assert found.proxy == 12 * 4.0  # real input, and nobody fires after it
    assert found.ann == (6 + 2) * 4.0  # once
    first = 12 * (4.0 + 10.0 + 2.0) + 4 * 2.0
    neurons = 4 * 2 * (4.0 + 2 * 3.0)  # membrane and current of two neurons, two steps
    assert found.memory == first + neurons
    assert found.ann_memory == (12 + 4) / 2 * 16.0 + (4 + 2) / 2 * 2.0
    spiking = estimate_energy(net, x.round(), costs=costs)
    events = x.round().sum().item()  # 0.5 rounds to 0
    assert spiking.proxy == events * 2 * 1.0
    assert spiking.memory == events * 2 * (1.0 + 10.0 + 6.0) + events * 2.0 + neurons


def test_a_norm_behind_weights_is_folded_and_another_is_not():
    body = Network(nn.BatchNorm1d(4), LIF(), nn.Linear(4, 4), nn.BatchNorm1d(4))
    net = Network(nn.Linear(3, 4), Residual(body))
    rows = {row.name: row for row in count_operations(net, _spikes(6, 2, 3))}
    assert rows["layers.1.body.layers.0"].kind == "BatchNorm1d (folded)"  # right behind the first Linear
    net = Network(nn.Linear(3, 4), LIF(), Residual(body))
    rows = {row.name: row for row in count_operations(net, _spikes(6, 2, 3))}
    assert rows["layers.2.body.layers.0"].macs == 6 * 4
    assert rows["layers.2.body.layers.3"].kind == "BatchNorm1d (folded)"
    assert rows["layers.2.body.layers.3"].macs == rows["layers.2.body.layers.3"].dense == 0


def test_a_mask_counts_what_shorter_trials_do():
    torch.manual_seed(0)
    net = Network(
        nn.Linear(5, 8),
        LIF(threshold=0.2),
        Recurrent(LIF(threshold=0.2), 8),
        nn.Linear(8, 2),
        LeakyIntegrator(),
    )
    x = _spikes(12, 3, 5, rate=0.6)
    mask = torch.arange(12)[:, None] < torch.tensor([12, 4, 7])
    found = estimate_energy(net, x, mask=mask)
    assert found.steps == pytest.approx(23 / 3)
    alone = [count_operations(net, x[:n, i : i + 1]) for i, n in enumerate((12, 4, 7))]
    for i, row in enumerate(found.rows):
        assert row.acs == pytest.approx(sum(trial[i].acs for trial in alone) / 3)
        assert row.updates == pytest.approx(sum(trial[i].updates for trial in alone) / 3)
    assert found.rows[1].rate > 0
    mask[9, 1] = True
    with pytest.raises(ModelError, match="trial 1 has no steps, or steps after its end"):
        estimate_energy(net, x, mask=mask)
    with pytest.raises(ModelError, match=r"mask is torch\.bool \(3, 12\); give booleans \(12, 3\)"):
        estimate_energy(net, x, mask=mask.T)


def test_the_network_is_left_as_it_was():
    net = Network(nn.Linear(3, 4), nn.BatchNorm1d(4), LIF())
    net.layers[2].eval()
    mean = net.layers[1].running_mean.clone()
    estimate_energy(net, _spikes(6, 2, 3))
    assert [layer.training for layer in net.layers] == [True, True, False]
    assert torch.equal(net.layers[1].running_mean, mean)
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(ModelError, match="layer 0"):
        estimate_energy(net, _spikes(6, 2, 5))
    assert not any(module._forward_hooks for module in net.modules())


def test_what_is_not_counted_is_refused_by_name():
    net = Network(nn.Linear(4, 4), nn.LayerNorm(4), IF())
    with pytest.raises(
        ModelError, match=r"layer layers\.1 is a LayerNorm with the parameter 'weight'; counted are Linear"
    ):
        count_operations(net, _spikes(3, 2, 4))
    with pytest.raises(ConfigError, match="ann_steps is 0"):
        estimate_energy(Network(IF()), _spikes(3, 2, 4), ann_steps=0)
    with pytest.raises(ConfigError, match=r"EnergyCosts\.e_mac is -1"):
        EnergyCosts(e_mac=-1.0)


def test_the_table_holds_rows_and_totals():
    net = Network(nn.Linear(3, 2), IF())
    found = estimate_energy(net, _spikes(6, 2, 3))
    table = found.to_dataset()
    assert table["layer"].values.tolist() == ["layers.0", "layers.1"]
    assert float(table["proxy"].sum()) == pytest.approx(table.attrs["proxy"]) == pytest.approx(found.proxy)
    assert float(table["memory"].sum()) == pytest.approx(found.memory)
    assert table.attrs["ann_memory"] == pytest.approx(found.ann_memory)
    assert table["memory"].attrs["units"] == "pJ"
    assert table.attrs["cost_e_mac"] == 4.6
