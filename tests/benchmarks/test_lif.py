"""The peers of the benchmark of LIF layers are given the same layer, and one that differs is noticed."""

from __future__ import annotations

import pytest
import torch

from benchmarks import lif


@pytest.fixture
def _peers():
    pytest.importorskip("spikingjelly", reason="a peer: make peers")
    pytest.importorskip("snntorch", reason="a peer: make peers")


@pytest.mark.usefixtures("_peers")
@pytest.mark.parametrize("linear", [True, False])
def test_all_sides_give_the_same_spikes_and_gradients(linear):
    lif.assert_equal((12, 4, 20), linear=linear)


@pytest.mark.usefixtures("_peers")
def test_a_side_that_differs_is_noticed(monkeypatch):
    from neurokit_snn.snn import LIF

    def other(**fields):
        layer = LIF(2.0, decay_input=False, **fields)
        return lambda: lambda x, before: layer(lif.flat(before, x))[0]

    monkeypatch.setattr(lif, "ours", other(reset="soft"))
    with pytest.raises(AssertionError, match="spikes differ from those of spikingjelly"):
        lif.assert_equal((12, 4, 20))
    for fields in (dict(detach_reset=False), dict(surrogate="triangle")):
        monkeypatch.setattr(lif, "ours", other(**fields))
        with pytest.raises(AssertionError, match="gradients of spikingjelly"):
            lif.assert_equal((12, 4, 20))
    monkeypatch.setattr(lif, "ours", other(threshold=100.0))
    with pytest.raises(AssertionError, match="without spikes"):
        lif.assert_equal((12, 4, 20))


def test_digests_within_rounding_agree():
    assert lif.agree([1000.0, 5.0], [1000.5, 5.001])
    assert not lif.agree([1000.0, 5.0], [1002.0, 5.0])
    assert not lif.agree([1000.0, 5.0], [1000.0, 5.1])


def test_a_step_has_gradients_of_the_weights_or_of_the_inputs():
    for linear, shapes in ((True, [(6, 6), (6,)]), (False, [(5, 2, 6)])):
        case = lif.Case(5, 2, 6, dtype=torch.float64, linear=linear)
        spikes, gradients = case.step(lif.ours())
        assert spikes.shape == (5, 2, 6)
        assert [tuple(g.shape) for g in gradients] == shapes
