"""Tokens are the counts in another form: there and back exactly, and what does not fit is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neurokit_snn import catalog, recording
from neurokit_snn.artefact import read_tree, write_tree
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.tokens import (
    SpikeStream,
    Vocabulary,
    calcium_events,
    calcium_from_tokens,
    calcium_tokens,
    tokenize,
    untokenize,
)
from neurokit_snn.testing import binned


def raster(counts: np.ndarray, *, bin_width: float = 0.1, **variables: object) -> xr.Dataset:
    """Binned data of given counts ``(trial, time, unit)``, all valid."""
    counts = np.asarray(counts, dtype=np.int32)
    n_trials, n_bins, n_units = counts.shape
    dims = ("trial", "time", "unit")
    start = np.arange(n_trials) * n_bins * bin_width
    return xr.Dataset(
        {"counts": (dims, counts), "mask": (dims, np.ones(counts.shape, bool)), **variables},
        coords={
            "trial": np.arange(n_trials),
            "time": (np.arange(n_bins) + 0.5) * bin_width,
            "unit": [f"u{i}" for i in range(n_units)],
            "trial_start": ("trial", start),
            "trial_stop": ("trial", start + n_bins * bin_width),
        },
        attrs={
            "schema": "neurokit_snn.binned",
            "schema_version": 1,
            "bin_width": bin_width,
            "layout": "windows",
        },
    )


def plain_window(counts: np.ndarray, start: int, length: int) -> list[tuple[int, int]]:
    """Tokens of one window of counts ``(time, unit)``, by the definition."""
    return [
        (unit, dt)
        for dt in range(length)
        if 0 <= start + dt < counts.shape[0]
        for unit in range(counts.shape[1])
        for _ in range(counts[start + dt, unit])
    ]


def pairs(ids: np.ndarray, dts: np.ndarray, n_tokens: int) -> list[tuple[int, int]]:
    """The tokens of a row, after a look at what is behind them."""
    assert (ids[n_tokens:] == -1).all()
    assert (dts[n_tokens:] == -1).all()
    return list(zip(ids[:n_tokens].tolist(), dts[:n_tokens].tolist(), strict=True))


DATA = raster(np.random.default_rng(0).poisson(0.7, size=(2, 7, 3)))
LAST = raster([[[0, 2], [1, 0], [0, 0], [3, 1]]])  # what the errors are asked of


# --- there and back -----------------------------------------------------------------------------------------------------------


@given(binned(max_bins=15), st.integers(1, 18), st.integers(0, 6))
def test_counts_come_back_exactly(data, window, past):
    """Masks, empty windows, bins of many spikes, unequal trials and windows that stick out, all by the strategy."""
    width = data.attrs["bin_width"]
    tokens = tokenize(data, window=window * width, past=past * width)
    assert not tokens["overflow"].any()
    assert int(tokens["n_tokens"].sum()) == int(data["counts"].sum())
    xr.testing.assert_equal(untokenize(tokens, like=data), data["counts"])
    np.testing.assert_array_equal(untokenize(tokens), data["counts"])


@given(binned(max_bins=15), st.integers(1, 18), st.integers(1, 20))
def test_tokens_are_those_of_the_definition(data, window, past):
    width = data.attrs["bin_width"]
    tokens = tokenize(data, window=window * width, past=past * width)
    counts = data["counts"].values
    assert tokens["window_start"].values.tolist() == list(range(0, counts.shape[1], window))
    for t in range(counts.shape[0]):
        for w, start in enumerate(tokens["window_start"].values.tolist()):
            one = tokens.isel(trial=t, window=w)
            found = pairs(one["id"].values, one["dt"].values, int(one["n_tokens"]))
            assert found == plain_window(counts[t], start, window)
            found = pairs(one["past_id"].values, one["past_dt"].values, int(one["past_n_tokens"]))
            assert found == plain_window(counts[t], start - past, past)


def test_masked_bins_hold_no_tokens():
    """Even where somebody left a count under the mask."""
    data = DATA.copy(deep=True)
    data["mask"][0, 2, 1] = False
    data["counts"][0, 2, 1] = 9
    tokens = tokenize(data, window=0.2)
    np.testing.assert_array_equal(untokenize(tokens), data["counts"].where(data["mask"], 0))


def test_a_recording_without_spikes_has_windows_without_tokens():
    tokens = tokenize(raster(np.zeros((2, 4, 3))), window=0.2, past=0.1)
    assert dict(tokens.sizes) == {"trial": 2, "window": 2, "token": 0, "past_token": 0, "time": 4, "unit": 3}
    assert not untokenize(tokens).any()


@pytest.mark.parametrize("shape", [(0, 4, 3), (2, 4, 0)], ids=["no trials", "no units"])
def test_nothing_is_nothing(shape):
    tokens = tokenize(raster(np.zeros(shape)), window=0.2, max_tokens=3)
    assert untokenize(tokens).shape == shape


def test_a_window_longer_than_the_trial_sticks_out():
    tokens = tokenize(DATA, window=5.0)
    assert tokens.sizes["window"] == 1
    assert tokens.attrs["window_length"] == 50
    np.testing.assert_array_equal(untokenize(tokens), DATA["counts"])


def test_a_selection_of_windows_counts_the_others_as_empty():
    tokens = tokenize(DATA, window=0.2).isel(window=[2, 0], trial=[1])
    expected = DATA["counts"].isel(trial=[1]).copy()
    expected[:, [2, 3, 6]] = 0
    np.testing.assert_array_equal(untokenize(tokens), expected)


def test_tokens_are_kept_in_a_file(tmp_path):
    tokens = tokenize(DATA, window=0.2, past=0.3)
    write_tree(xr.DataTree(tokens), tmp_path / "tokens.nc")
    kept = read_tree(tmp_path / "tokens.nc").to_dataset()
    xr.testing.assert_identical(kept, tokens)
    np.testing.assert_array_equal(untokenize(kept), DATA["counts"])


# --- overflow -----------------------------------------------------------------------------------------------------------------


@given(binned(max_bins=10), st.integers(1, 5), st.integers(0, 4), st.integers(0, 4))
def test_overflow_is_counted_and_refused(data, window, max_tokens, max_past_tokens):
    width = data.attrs["bin_width"]
    cut = tokenize(
        data, window=window * width, past=width, max_tokens=max_tokens, max_past_tokens=max_past_tokens
    )
    whole = tokenize(data, window=window * width, past=width)
    for name, most in (("", max_tokens), ("past_", max_past_tokens)):
        n_whole = whole[f"{name}n_tokens"]
        xr.testing.assert_equal(cut[f"{name}n_tokens"] + cut[f"{name}overflow"], n_whole.rename(None))
        xr.testing.assert_equal(cut[f"{name}n_tokens"], np.minimum(n_whole, most))
    for key in ("id", "dt"):  # a window keeps its first tokens, a past its last
        for t, w in np.ndindex(cut["n_tokens"].shape):
            kept, n = int(cut["n_tokens"][t, w]), int(whole["past_n_tokens"][t, w])
            np.testing.assert_array_equal(cut[key][t, w, :kept], whole[key][t, w, :kept])
            kept = int(cut["past_n_tokens"][t, w])
            np.testing.assert_array_equal(
                cut[f"past_{key}"][t, w, :kept], whole[f"past_{key}"][t, w, n - kept : n]
            )
    if cut["overflow"].any():
        trial, at = (int(i) for i in np.argwhere(cut["overflow"].values)[0])
        n = int(cut["overflow"][trial, at])
        with pytest.raises(RecordingError, match=rf"trial {trial}, window {at}: {n} spikes did not fit"):
            untokenize(cut)
    else:
        np.testing.assert_array_equal(untokenize(cut), data["counts"])


# --- windows at any bin -------------------------------------------------------------------------------------------------------


@given(
    binned(max_bins=10),
    st.lists(st.tuples(st.integers(0, 3), st.integers(-15, 15)), max_size=6),
    st.integers(0, 20),
    st.integers(0, 12),
    st.sampled_from(["first", "last"]),
)
def test_windows_are_those_of_a_plain_loop(data, asked, length, max_tokens, keep):
    counts = data["counts"].values
    trial = np.array([t % counts.shape[0] for t, _ in asked], dtype=int)
    start = np.array([s for _, s in asked], dtype=int)
    found = SpikeStream.of(data).windows(trial, start, length=length, max_tokens=max_tokens, keep=keep)
    assert found.id.shape == found.dt.shape == (len(asked), max_tokens)
    for i, (t, s) in enumerate(zip(trial.tolist(), start.tolist(), strict=True)):
        expected = plain_window(counts[t], s, length)
        kept = (
            expected[:max_tokens]
            if keep == "first"
            else expected[len(expected) - min(len(expected), max_tokens) :]
        )
        assert pairs(found.id[i], found.dt[i], int(found.n_tokens[i])) == kept
        assert int(found.overflow[i]) == len(expected) - len(kept)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"trial": [0, 2]}, r"trial\[1\] is 2; there are 2 trials"),
        ({"trial": [-1, 0]}, r"trial\[0\] is -1"),
        ({"length": -1}, "length is -1 bins"),
        ({"max_tokens": -2}, "max_tokens -2"),
        ({"keep": "middle"}, "keep is 'middle'"),
        ({"start": [1]}, r"trial has shape \(2,\), start \(1,\)"),
    ],
)
def test_windows_that_cannot_be(asked, told):
    asked = {"trial": [0, 1], "start": [0, 0], "length": 2, "max_tokens": 3, "keep": "last"} | asked
    with pytest.raises(RecordingError, match=told):
        SpikeStream.of(DATA).windows(asked.pop("trial"), asked.pop("start"), **asked)


# --- vocabularies -------------------------------------------------------------------------------------------------------------


def test_ids_after_the_units_are_no_units():
    vocabulary = Vocabulary.of(DATA)
    assert vocabulary.units == ("u0", "u1", "u2")
    assert (vocabulary.n_units, vocabulary.sos, vocabulary.eos, vocabulary.pad, vocabulary.size) == (
        3,
        3,
        4,
        5,
        6,
    )
    assert vocabulary.labels(vocabulary.ids(["u2", "u0"])) == ("u2", "u0")
    for value, told in ((3, "SOS"), (4, "EOS"), (5, "PAD"), (6, "outside"), (-1, "outside")):
        with pytest.raises(RecordingError, match=rf"ids\[1\]: {value} is {told}"):
            vocabulary.labels([0, value])


def test_labels_outside_the_vocabulary_are_named():
    with pytest.raises(RecordingError, match=r"labels\[1\]: unit 'u9' is outside the vocabulary of 3 units"):
        Vocabulary.of(DATA).ids(["u0", "u9", "u8"])
    with pytest.raises(RecordingError, match="unit 'u2' is outside the vocabulary of 2 units"):
        tokenize(DATA, window=0.1, vocabulary=Vocabulary(units=("u0", "u1")))
    with pytest.raises(RecordingError, match="unit 'a' is in the vocabulary twice"):
        Vocabulary(units=("a", "b", "a"))
    with pytest.raises(RecordingError, match="unit 3 of the vocabulary is int"):
        Vocabulary(units=("a", 3))


@given(binned(max_bins=8), st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_vocabulary_that_holds_the_units_gives_the_counts_back(data, window, random):
    own = data["unit"].values.tolist()
    units = [*own, *((100, -1) if isinstance(own[0], int) else ("another", "one more"))]
    random.shuffle(units)
    vocabulary = Vocabulary(units=tuple(units))
    tokens = tokenize(data, window=window * data.attrs["bin_width"], vocabulary=vocabulary)
    xr.testing.assert_equal(untokenize(tokens, like=data), data["counts"])
    everything = untokenize(tokens)
    assert everything["unit"].values.tolist() == units
    order = [units.index(u) for u in own]
    np.testing.assert_array_equal(everything.isel(unit=order), data["counts"])
    assert int(everything.sum()) == int(data["counts"].sum())


def test_like_that_does_not_fit_is_refused():
    tokens = tokenize(DATA, window=0.2)
    for like, told in (
        (DATA.isel(time=slice(3)), "like has 3 bins, the tokens are of 7"),
        (DATA.isel(trial=[1]), r"like has trials \[1\].*, the tokens \[0, 1\]"),
        (DATA.isel(unit=[0, 2]), "unit 'u1' has tokens and is not in like"),
        (DATA.assign_coords(unit=["u0", "u1", "v"]), "unit 'v' is outside the vocabulary"),
    ):
        with pytest.raises(RecordingError, match=told):
            untokenize(tokens, like=like)


# --- tokens that cannot be ----------------------------------------------------------------------------------------------------


def changed(**values: tuple[tuple[int, ...], int]) -> xr.Dataset:
    """Tokens of `LAST`, windows of 3 bins, with some numbers changed: the second window sticks out of 4 bins."""
    tokens = tokenize(LAST, window=0.3, max_tokens=5)
    for name, (at, value) in values.items():
        tokens[name][at] = value
    return tokens


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"id": ((0, 0, 1), 2)},
            r"window 0, token 1: id 2 is outside the vocabulary; ids of its 2 units are 0\.\.1",
        ),
        ({"id": ((0, 1, 3), -1)}, r"window 1, token 3: id -1 is outside the vocabulary"),
        ({"dt": ((0, 0, 2), 3)}, r"window 0, token 2: dt 3 is outside the window of 3 bins"),
        ({"dt": ((0, 0, 0), -1)}, r"window 0, token 0: dt -1 is outside the window"),
        ({"dt": ((0, 1, 3), 2)}, r"window 1, token 3: dt 2 is bin 5 of a trial that has bins 0\.\.3"),
        ({"dt": ((0, 0, 0), 2)}, r"window 0, token 1: id 1, dt 0 is out of order"),
        ({"id": ((0, 1, 1), 1)}, r"window 1, token 2: id 0, dt 0 is out of order"),
        ({"id": ((0, 0, 4), 0)}, r"window 0, token 4: id 0, dt -1 come after the last token"),
        ({"n_tokens": ((0, 0), 6)}, r"window 0: n_tokens is 6; give 0\.\.5"),
        ({"n_tokens": ((0, 1), -1)}, r"window 1: n_tokens is -1"),
        ({"overflow": ((0, 1), 2)}, r"tokens of trial 0, window 1: 2 spikes did not fit"),
    ],
)
def test_tokens_that_cannot_be_are_named(values, told):
    np.testing.assert_array_equal(untokenize(changed()), LAST["counts"])
    with pytest.raises(RecordingError, match=told):
        untokenize(changed(**values))


def test_trials_are_named_by_their_label():
    tokens = changed(overflow=((0, 1), 2)).assign_coords(trial=["left"])
    with pytest.raises(RecordingError, match=r"tokens of trial 0 \('left'\), window 1: 2 spikes"):
        untokenize(tokens)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop_vars("n_tokens"), "n_tokens is missing"),
        (lambda t: t.drop_vars("unit"), "unit is missing"),
        (lambda t: t.assign(id=t["id"].astype(float)), "id has type float64, expected integers"),
        (lambda t: t.assign(dt=t["dt"].isel(window=0)), "dt has dims"),
        (lambda t: t.assign_attrs(schema="x"), "attribute schema is 'x'"),
        (lambda t: t.assign_attrs(window_length=0), "attribute window_length is 0"),
        (
            lambda t: t.assign_coords(window_start=("window", [0, 2])),
            "windows 0 and 1 begin at bins 0 and 2 and last 3",
        ),
        (lambda t: t.isel(window=[1, 1]), "windows 0 and 1 begin at bins 3 and 3"),
    ],
)
def test_what_is_no_tokens_is_told(change, told):
    with pytest.raises(RecordingError, match=told):
        untokenize(change(changed()))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"window": 0.25}, r"window is 0\.25 s, which is no whole number of bins of 0\.1 s"),
        ({"window": 0.0}, r"window is 0\.0 s"),
        ({"window": -0.1}, r"window is -0\.1 s"),
        ({"window": np.inf}, "window is inf s"),
        ({"window": np.nan}, "window is nan s"),
        ({"window": 0.2, "past": 0.05}, r"past is 0\.05 s, which is no whole number"),
        ({"window": 0.2, "past": -0.1}, r"past is -0\.1 s"),
        ({"window": 0.2, "max_past_tokens": 3}, "max_past_tokens is 3, and past is 0 s"),
        ({"window": 0.2, "max_tokens": -1}, "max_tokens -1"),
    ],
)
def test_lengths_that_cannot_be(asked, told):
    with pytest.raises(RecordingError, match=told):
        tokenize(DATA, **asked)


def test_data_that_cannot_be():
    below = DATA.copy(deep=True)
    below["counts"][1, 2, 0] = -3
    twice = DATA.assign_coords(unit=["a", "b", "a"])
    for data, told in (
        (below, r"counts\[1, 2, 0\] \(trial, time, unit\) is -3"),
        (twice, "unit 'a' is in the vocabulary twice"),
        (DATA.drop_vars(["counts", "mask"]), "data has no counts"),
        (DATA.drop_vars("unit"), "no coordinate unit"),
        (xr.Dataset(), "not a binned dataset"),
    ):
        with pytest.raises(RecordingError, match=told):
            tokenize(data, window=0.1)


# --- calcium ------------------------------------------------------------------------------------------------------------------


@st.composite
def with_calcium(draw):
    """Binned data with traces that are often 0, sometimes missing and sometimes masked."""
    data = draw(binned(max_bins=10))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(["f8", "f4"]))
    values = (rng.normal(size=data["counts"].shape) * (rng.random(data["counts"].shape) < 0.6)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    dims = ("trial", "time", "unit")
    mask = rng.random(values.shape) < 0.8
    return data.assign(calcium=(dims, values, {"units": "dF/F"}), mask_calcium=(dims, mask))


THRESHOLDS = st.sampled_from([0.0, 0.5, -0.5, 100.0])


@given(with_calcium(), THRESHOLDS)
def test_events_are_the_frames_above_the_threshold(data, threshold):
    events = calcium_events(data, threshold=threshold)
    valid = data["mask_calcium"] & data["calcium"].notnull()
    np.testing.assert_array_equal(events["mask"], valid)
    np.testing.assert_array_equal(events["counts"], (data["calcium"] > threshold) & valid)
    assert events["counts"].dtype == np.int32
    assert set(data.data_vars) - set(events.data_vars) == {"calcium", "mask_calcium"}
    xr.testing.assert_identical(events["behavior_state"], data["behavior_state"])
    tokens = tokenize(events, window=2 * data.attrs["bin_width"])
    xr.testing.assert_equal(untokenize(tokens, like=events), events["counts"])


@given(with_calcium(), THRESHOLDS, st.integers(1, 12), st.integers(0, 4))
def test_calcium_comes_back_exactly_above_the_threshold(data, threshold, window, past):
    width = data.attrs["bin_width"]
    tokens = calcium_tokens(data, window=window * width, past=past * width, threshold=threshold)
    back = calcium_from_tokens(tokens)
    above = (data["calcium"] > threshold) & data["mask_calcium"]
    np.testing.assert_array_equal(back, data["calcium"].where(above, 0))
    assert back.dtype == data["calcium"].dtype
    assert back.attrs["units"] == "dF/F"
    for name in ("", "past_") if past else ("",):
        np.testing.assert_array_equal(tokens[f"{name}value"].notnull(), tokens[f"{name}id"] != -1)


@given(with_calcium(), st.integers(1, 5), st.integers(1, 6))
def test_past_values_are_the_trace_before_the_window(data, window, past):
    width = data.attrs["bin_width"]
    tokens = calcium_tokens(data, window=window * width, past=past * width)
    ids, dts, values = (tokens[f"past_{name}"].values for name in ("id", "dt", "value"))
    for t, w, k in np.argwhere(ids != -1):
        bin_ = w * window - past + dts[t, w, k]
        assert values[t, w, k] == data["calcium"].values[t, bin_, ids[t, w, k]]


def test_a_mask_of_whole_frames_will_do():
    data = DATA.assign(
        calcium=(("trial", "time", "unit"), np.ones((2, 7, 3))),
        mask_calcium=(("trial", "time"), np.arange(14).reshape(2, 7) % 2 == 0),
    )
    events = calcium_events(data)
    assert events["mask"].dims == ("trial", "time", "unit")
    assert int(events["counts"].sum()) == 21


def test_calcium_that_cannot_be():
    data = DATA.assign(calcium=DATA["counts"].astype(float), mask_calcium=DATA["mask"])
    with pytest.raises(RecordingError, match="data has no calcium"):
        calcium_events(DATA)
    with pytest.raises(RecordingError, match="threshold is nan"):
        calcium_events(data, threshold=np.nan)
    with pytest.raises(RecordingError, match="the tokens have no value"):
        calcium_from_tokens(tokenize(data, window=0.2))
    tokens = calcium_tokens(data, window=0.2)
    for value in (0.0, np.nan, np.inf):
        wrong = tokens.copy(deep=True)
        wrong["value"][1, 2, 0] = value
        with pytest.raises(
            RecordingError, match=r"trial 1, window 2, token 0: value .* is no finite number above"
        ):
            calcium_from_tokens(wrong)
    at = tuple(int(i) for i in np.argwhere(tokens["n_tokens"].values > 1)[0])
    for name in ("id", "dt"):
        tokens[name][(*at, 1)] = tokens[name][(*at, 0)]
    with pytest.raises(RecordingError, match=f"trial {at[0]}, window {at[1]}, token 1: .* second of its bin"):
        calcium_from_tokens(tokens)
    short = calcium_tokens(data, window=0.2, max_tokens=1)
    with pytest.raises(RecordingError, match="did not fit"):
        calcium_from_tokens(short)


def test_songbird_comes_back_from_events_and_from_values():
    """Deconvolved calcium of 75 units: the events of the same session are its frames above 0."""
    if not (Path(os.environ.get("NEUROKIT_DATA", "")) / "songbird_hvc").is_dir():
        pytest.skip("NEUROKIT_DATA holds no folder songbird_hvc")
    tree = catalog.open("songbird-hvc")
    data = recording.bin(tree, 1 / 30, start=0.5 / 30, stop=666.5 / 30, behavior=False)
    events = calcium_events(data)
    np.testing.assert_array_equal(events["counts"], data["counts"] > 0)
    tokens = calcium_tokens(data, window=10 / 30, past=30 / 30)
    assert int(tokens["n_tokens"].sum()) == int((data["calcium"] > 0).sum()) > 3000
    np.testing.assert_array_equal(
        calcium_from_tokens(tokens), data["calcium"]
    )  # never below 0, nowhere missing
    xr.testing.assert_identical(
        untokenize(tokenize(events, window=10 / 30), like=data), data["counts"].clip(max=1, keep_attrs=True)
    )
