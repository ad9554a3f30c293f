"""What a fitted network says of binned data: probabilities of windows, rates, behaviour, and spikes of its own."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from neurokit_snn.models.neuroformer.attention import KeysValues
from neurokit_snn.models.neuroformer.batch import Batch
from neurokit_snn.models.neuroformer.network import Context, Network
from neurokit_snn.models.neuroformer.objective import after_each_token, targets
from neurokit_snn.models.neuroformer.sampling import Decoding, Steps, draw_unit, intensity, sample_windows
from neurokit_snn.models.neuroformer.spec import Spec
from neurokit_snn.models.neuroformer.tokens import NextToken, next_token
from neurokit_snn.models.neuroformer.windows import Past, Places, Source, grid_of

__all__ = ["Mode", "contrasted", "decoded", "expected_counts", "free_running", "window_log_prob"]

Mode = Literal["free-running", "teacher-forced"]
ROWS = 512
"""Windows of one pass."""
BINS = 320
"""Bins of one pass for rates one bin ahead; each is a row for every continuation."""
CONTINUATIONS = 8
"""Samples of what follows a first spike in its bin, for rates one bin ahead."""


def _chunks(places: Places, size: int = ROWS) -> list[Places]:
    return [places.take(slice(i, i + size)) for i in range(0, len(places), size)]


@torch.inference_mode()
def window_log_prob(network: Network, source: Source) -> np.ndarray:
    """Log probability ``(trial, window)`` in nats of the spikes of each window given all before it; 0 where none could be."""
    spec = network.spec
    grid = grid_of(source.n_trials, source.n_bins, spec.window)
    parts = []
    for places in _chunks(grid):
        batch = source.batch(places, spec)
        unit, bins, is_end, exists = targets(spec, batch)
        log_p = after_each_token(network, batch, network(batch)).log_prob(unit, bins, is_end)
        found = (log_p * exists).double().sum(1)
        if batch.allowed is not None:
            found = torch.where(batch.allowed.flatten(1).any(1), found, 0.0)
        parts.append(found.numpy())
    return np.concatenate(parts).reshape(source.n_trials, -1)


@torch.inference_mode()
def decoded(network: Network, source: Source) -> dict[str, np.ndarray]:
    """Each predicted behaviour ``(trial, time, feature)`` from the window that ends in each bin and its past."""
    spec = network.spec
    places = grid_of(source.n_trials, source.n_bins, 1)
    parts: dict[str, list[Tensor]] = {o.name: [] for o in spec.outputs}
    for some in _chunks(Places(places.trial, places.start - spec.window + 1)):
        batch = source.batch(some, spec)
        for name, values in network.outputs(network(batch).x, batch.positions).items():
            parts[name].append(values)
    lead = (source.n_trials, source.n_bins, -1)
    return {name: torch.cat(found).double().numpy().reshape(lead) for name, found in parts.items()}


@torch.inference_mode()
def contrasted(network: Network, source: Source) -> dict[str, np.ndarray]:
    """Features ``(trial, window, feature)`` of each contrasted modality, before they are fused, of unit length."""
    parts: dict[str, list[Tensor]] = {}
    for places in _chunks(grid_of(source.n_trials, source.n_bins, network.spec.window)):
        batch = source.batch(places, network.spec)
        for name, values in network.contrasted(network(batch), batch.positions).items():
            parts.setdefault(name, []).append(values)
    return {
        name: torch.cat(found).numpy().reshape(source.n_trials, -1, found[0].shape[-1])
        for name, found in parts.items()
    }


# ---- rates one bin ahead -------------------------------------------------------------------------------------------


@torch.inference_mode()
def expected_counts(network: Network, source: Source, *, generator: torch.Generator) -> np.ndarray:
    """Expected spikes ``(trial, time, unit)`` in each bin given all spikes before it.

    The first spike of a bin has a closed form, the conditional intensity; those that follow it in the same bin are sampled, and
    what is expected of each is averaged.
    """
    spec = network.spec
    out = np.zeros((source.n_trials, -(-source.n_bins // spec.window) * spec.window, spec.n_units))
    grid = grid_of(source.n_trials, source.n_bins, spec.window)
    size = max(1, BINS // spec.window)
    for places in _chunks(grid, size):
        found = _window_rates(network, source.batch(places, spec), generator)
        bins = places.start[:, None] + np.arange(spec.window)
        out[places.trial[:, None], bins] = found.double().numpy()
    return out[:, : source.n_bins]


def _window_rates(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
    spec, rows = network.spec, len(batch)
    kept: list[KeysValues] = []
    hidden = network(batch, kept=kept)
    after = after_each_token(network, batch, hidden)
    if not spec.ordered:
        return _unordered_rates(after, batch)
    spikes = batch.positions.clone()
    spikes[:, 0] = False
    bins = torch.arange(spec.window)
    before = ((batch.dt[:, None] < bins[:, None]) & spikes[:, None]).sum(
        -1
    )  # (row, bin): spikes before each bin
    row, bin = (x.flatten() for x in torch.meshgrid(torch.arange(rows), bins, indexing="ij"))
    prefix = before[row, bin]
    first = _at(after, row, prefix)
    hazard, share = intensity(first)
    of_bin = hazard[torch.arange(row.numel()), 0, bin]
    allowed = None if batch.allowed is None else batch.allowed[row, bin]
    units = first.unit[:, 0] * share[torch.arange(row.numel()), 0, bin][:, None]
    if allowed is not None:
        units = units * allowed
    rate = of_bin[:, None] * units  # (row * bin, unit)
    more = _continued(network, batch, hidden.context, kept, row, bin, prefix, first, generator)
    return (rate + of_bin[:, None] * more).view(rows, spec.window, spec.n_units)


def _at(after: NextToken, row: Tensor, place: Tensor) -> NextToken:
    """The distribution after one token of each row, ``(row, 1)``."""

    def pick(x: Tensor) -> Tensor:
        return x[row, place][:, None]

    here = after.units_here
    return NextToken(
        pick(after.unit),
        pick(after.end),
        pick(after.bin),
        pick(after.here),
        pick(after.last_dt),
        None if here is None else pick(here),
        pick(after.total),
    )


def _continued(
    network: Network,
    batch: Batch,
    context: Context,
    kept: list[KeysValues],
    row: Tensor,
    bin: Tensor,
    prefix: Tensor,
    first: NextToken,
    generator: torch.Generator,
) -> Tensor:
    """Expected further spikes ``(row * bin, unit)`` of a bin, given that it holds a first one: the mean over continuations."""
    spec, length = network.spec, batch.id.shape[1]
    number, times = row.numel(), torch.arange(row.numel()).repeat(CONTINUATIONS)
    row, bin, prefix = row[times], bin[times], prefix[times]
    uniform = torch.rand(spec.n_units + spec.max_tokens, times.numel(), 2, generator=generator)
    allowed = None if batch.allowed is None else batch.allowed[row]
    total = torch.zeros(times.numel(), spec.n_units)
    unit, none = draw_unit(_at(first, times, torch.zeros_like(times)), bin, uniform[0, :, 1], allowed)
    going = torch.nonzero(~none & (prefix + 1 <= spec.max_tokens))[:, 0]
    steps = Steps(
        network,
        Context(
            [t[row[going]] for t in context.tokens], [t[row[going]] for t in context.known], context.bins
        ),
        own=[(k[row[going]], v[row[going]]) for k, v in kept],
        seen=torch.arange(length) <= prefix[going, None],
    )
    id, dt, place = unit[going], bin[going], prefix[going] + 1
    for some in uniform[1:]:
        if going.numel() == 0:
            break
        may = None if allowed is None else allowed[going]
        logits = steps.next(id, dt)
        found = next_token(spec, *logits, last_id=id[:, None], last_dt=dt[:, None], allowed=may)
        hazard, share = intensity(found)
        at = torch.arange(going.numel())
        here = hazard[at, 0, dt]
        assert found.units_here is not None
        total[going] += (here * share[at, 0, dt])[:, None] * found.unit[:, 0] * found.units_here[:, 0]
        next_id, none = draw_unit(found, dt, some[going, 1], may)
        rest = torch.nonzero((some[going, 0] < here) & ~none & (place + 1 <= spec.max_tokens))[:, 0]
        steps.keep(rest)
        going, id, dt, place = going[rest], next_id[rest], dt[rest], place[rest] + 1
    return total.view(CONTINUATIONS, number, -1).mean(0)


def _unordered_rates(after: NextToken, batch: Batch) -> Tensor:
    """Expected counts ``(row, bin, unit)`` where heads are independent: each token's own share, summed over the sequence."""
    share = after.bin[..., None] * after.unit[..., None, :]  # (row, position, bin, unit)
    return (share * batch.positions[..., None, None]).sum(1)


# ---- spikes of its own ---------------------------------------------------------------------------------------------


@torch.inference_mode()
def free_running(
    network: Network,
    source: Source,
    *,
    draws: int,
    generator: torch.Generator,
    decoding: Decoding | None = None,
    mode: Mode = "free-running",
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sample whole trials, window after window.

    Parameters
    ----------
    network, source
        Fitted network; modalities and masks (and, where ``mode`` is ``teacher-forced``, the past).
    draws
        Samples of each trial.
    generator
        Source of the numbers.
    decoding
        How tokens are drawn; None for the model itself.
    mode
        ``free-running``: the past state is what was sampled; ``teacher-forced``: it is the data's.
    progress
        Show a progress bar over windows.

    Returns
    -------
    counts, expected : ndarray (draw, trial, time, unit)
        Sampled counts, and their expectation along the way.
    cut : int
        Windows that filled the context and were cut short.
    """
    spec = network.spec
    decoding = Decoding() if decoding is None else decoding
    n_rows, n_windows = draws * source.n_trials, -(-source.n_bins // spec.window)
    trial = np.tile(np.arange(source.n_trials), draws)
    counts = np.zeros((n_rows, spec.past + n_windows * spec.window, spec.n_units), np.int32)
    expected = np.zeros((n_rows, n_windows * spec.window, spec.n_units), np.float32)
    cut = 0
    for k in tqdm(range(n_windows), desc="generating", unit="window", disable=not progress):
        start = k * spec.window
        for first in range(0, n_rows, 8 * ROWS):
            rows = slice(first, min(first + 8 * ROWS, n_rows))
            places = Places(trial[rows], np.full(rows.stop - rows.start, start))
            past = _past_of(counts[rows, start : start + spec.past], spec) if mode == "free-running" else None
            batch = source.batch(places, spec, past=past, spikes=False)
            found = sample_windows(network, batch, generator=generator, decoding=decoding)
            at = slice(start, start + spec.window)
            counts[rows, spec.past + start : spec.past + start + spec.window] = found.counts.numpy()
            expected[rows, at] = found.expected.numpy()
            cut += found.cut.numel()
    shape = (draws, source.n_trials, -1, spec.n_units)
    made = counts[:, spec.past : spec.past + source.n_bins].reshape(shape)
    return made, expected[:, : source.n_bins].reshape(shape), cut


def _past_of(counts: np.ndarray, spec: Spec) -> Past:
    """Tokens of counts ``(row, bin, unit)``, the latest where they are too many."""
    row, bin, unit = np.nonzero(counts)
    times = counts[row, bin, unit]
    row, bin, unit = (np.repeat(x, times) for x in (row, bin, unit))
    n_tokens = np.bincount(row, minlength=counts.shape[0])
    most = min(int(n_tokens.max(initial=0)), spec.max_past_tokens)
    place = np.arange(row.size) - np.repeat(np.cumsum(n_tokens) - n_tokens, n_tokens)
    place = place - np.repeat(np.maximum(n_tokens - spec.max_past_tokens, 0), n_tokens)
    kept = place >= 0
    id = np.full((counts.shape[0], most + 1), spec.pad, np.int64)
    dt = np.zeros_like(id)
    id[:, 0] = spec.sos
    id[row[kept], place[kept] + 1], dt[row[kept], place[kept] + 1] = unit[kept], bin[kept]
    return Past(id, dt)
