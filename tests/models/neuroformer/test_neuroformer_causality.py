"""What a prediction may not see: later tokens, padding, later frames and later behaviour."""

from __future__ import annotations

import pytest
import torch

from neurokit_snn.models.neuroformer.batch import Series


def logits(network, batch):
    with torch.no_grad():
        return torch.cat(network.logits(network(batch).x), -1)


def some_logits(network, batch, position):
    return logits(network, batch)[:, : position + 1]


@pytest.mark.parametrize("position", [0, 2, 5])
def test_later_tokens_do_not_matter(make_network, make_batch, changed, position):
    """Changing every token after position i leaves the logits up to i as they were, and changes those after."""
    network, batch = make_network(), make_batch()
    id, dt = batch.id.clone(), batch.dt.clone()
    id[:, position + 1 :] = (id[:, position + 1 :] + 1) % 5
    dt[:, position + 1 :] = 5
    other = changed(batch, id=id, dt=dt)
    torch.testing.assert_close(
        some_logits(network, batch, position), some_logits(network, other, position), atol=1e-6, rtol=0
    )
    assert not torch.allclose(
        logits(network, batch)[0, position + 1 :], logits(network, other)[0, position + 1 :], atol=1e-3
    )


def test_padding_does_not_matter(make_network, make_batch, changed):
    """Neither what stands in padding nor how much of it there is; in the past state, in the window, in what is pooled."""
    network, batch = make_network(double=True), make_batch(double=True)
    spec = network.spec
    before, valid = logits(network, batch), batch.positions
    hidden = network(batch)
    pooled, contrasted = network.outputs(hidden.x, valid), network.contrasted(hidden, valid)
    more = torch.full((4, 3), spec.pad)
    wider = changed(
        batch,
        id=torch.cat([batch.id, more], 1),
        dt=torch.cat([batch.dt, more * 0 + 2], 1),
        past_id=torch.cat([batch.past_id, more], 1),
        past_dt=torch.cat([batch.past_dt, more * 0 + 3], 1),
    )
    dirty = changed(
        wider,
        dt=torch.where(wider.id == spec.pad, 4, wider.dt),
        past_dt=torch.where(wider.past_id == spec.pad, 1, wider.past_dt),
    )
    for other in (wider, dirty):
        after = logits(network, other)[:, : before.shape[1]]
        torch.testing.assert_close(after[valid], before[valid], atol=1e-12, rtol=0)
        hidden = network(other)
        for name, values in network.outputs(hidden.x, other.positions).items():
            torch.testing.assert_close(values, pooled[name], atol=1e-12, rtol=0)
        for name, values in network.contrasted(hidden, other.positions).items():
            torch.testing.assert_close(values, contrasted[name], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["stimulus_movie", "behavior_speed"])
def test_later_bins_of_a_modality_do_not_matter(make_network, make_batch, changed, name):
    """A token sees a modality up to its own bin; the same change in an earlier bin is seen."""
    network, batch = make_network(double=True), make_batch(double=True)
    entry = next(e for e in network.spec.inputs if e.name == name)
    series = batch.inputs[name]
    for bin in range(network.spec.window):
        values = series.values.clone()
        values[:, entry.bins + bin] += 3.0
        other = changed(batch, inputs=batch.inputs | {name: Series(values, series.valid)})
        moved = (logits(network, batch) - logits(network, other)).abs().amax(-1)  # (row, position)
        before = batch.positions & (batch.dt < bin)
        assert (moved[before] <= 1e-12).all()
        after = batch.positions & (batch.dt >= bin)
        if after.any():
            assert moved[after].max() > 1e-4


def test_missing_samples_do_not_matter(make_network, make_batch, changed):
    """What stands where a series is not known is never read, also where nothing of it is known."""
    network, batch = make_network(), make_batch()
    series = batch.inputs["behavior_speed"]
    half = torch.rand(series.valid.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    for valid in (half, half & False):
        found = [
            logits(network, changed(batch, inputs=batch.inputs | {"behavior_speed": Series(values, valid)}))
            for values in (series.values, torch.where(valid[..., None], series.values, 77.0))
        ]
        torch.testing.assert_close(*found)
        assert torch.isfinite(found[0]).all()


def test_rows_do_not_see_each_other(make_network, make_batch):
    network, batch = make_network(double=True), make_batch(double=True)
    alone = batch.take(torch.tensor([2]))
    length = int(alone.n_tokens[0]) + 1
    torch.testing.assert_close(
        logits(network, alone)[0, :length], logits(network, batch)[2, :length], atol=1e-12, rtol=0
    )
