"""The sides of the benchmark of rounded delays do the same sums, and a delay that differs is noticed."""

from __future__ import annotations

import torch

from benchmarks import delay_inference


def test_all_sides_give_the_same():
    layer = delay_inference.layer_of(6)
    assert layer.delays.unique().numel() > 10
    for rate in (0.2, None):
        x = delay_inference.inputs(rate, units=6)
        found = delay_inference.rounded(layer, x)()
        assert found.shape == (delay_inference.STEPS, delay_inference.TRIALS, 6)
        dense, soft = delay_inference.dense(layer, x), delay_inference.soft(layer, x)
        torch.testing.assert_close(found, dense().permute(2, 0, 1), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found, soft(), rtol=1e-4, atol=1e-4)
        delays = layer.delays
        delays[0, 2, 3] = (delays[0, 2, 3] + 1) % delay_inference.WINDOW
        layer.set_delays(delays)
        assert not torch.allclose(delay_inference.rounded(layer, x)(), found)
