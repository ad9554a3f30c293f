"""Sessions side by side: every count and behaviour is where it was, and nothing of another session looks observed."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.binned import check_binned
from neurokit_snn.recording.tokens import Vocabulary, joined, tokenize, untokenize
from neurokit_snn.testing import binned


@st.composite
def several(draw):
    """One to three sessions of one bin width and layout; some of them without a behaviour."""
    layout = draw(st.sampled_from(["session", "windows", "trials"]))
    found = draw(st.lists(binned(layouts=(layout,), max_bins=6), min_size=1, max_size=3))
    width = found[0].attrs["bin_width"]
    sessions = {}
    for name, data in zip("abc", found, strict=False):
        bins = np.arange(data.sizes["time"]) + 0.5
        data = data.assign_coords(time=("time", bins * width, data["time"].attrs)).assign_attrs(
            bin_width=width
        )
        absent = draw(st.sampled_from(["position", "state", None]))
        sessions[name] = data.drop_vars([f"behavior_{absent}", f"mask_behavior_{absent}"], errors="ignore")
    return sessions


def own(data: xr.Dataset, name: str, like: xr.Dataset) -> xr.Dataset:
    """The part of joined data that is one session's."""
    units = [f"{name}/{label}" for label in like["unit"].values.tolist()]
    return data.isel(trial=np.flatnonzero(data["session"] == name), time=slice(like.sizes["time"])).sel(
        unit=units
    )


@given(several())
def test_every_session_is_in_it_and_nothing_else(sessions):
    data = joined(sessions)
    check_binned(data)
    for name, like in sessions.items():
        part = own(data, name, like)
        for variable in like.data_vars:
            np.testing.assert_array_equal(part[variable], like[variable])
        for column in ("trial_start", "trial_stop", "depth"):
            np.testing.assert_array_equal(part[column], like[column])
        assert part["trial"].values.tolist() == [f"{name}/{label}" for label in like["trial"].values.tolist()]
        for absent in {"behavior_position", "behavior_state"} - set(like.data_vars):
            if absent in data:
                assert not part[f"mask_{absent}"].any()
                assert part[absent].isnull().all()
    for variable in ("counts", "mask", "mask_behavior_position", "mask_behavior_state"):
        total = sum(int(one[variable].sum()) for one in sessions.values() if variable in one)
        assert total == (int(data[variable].sum()) if variable in data else 0)
    assert data["counts"].dtype == np.int32


@given(several(), st.integers(1, 8))
def test_tokens_of_several_sessions_come_back(sessions, window):
    """In the vocabulary of all of them, be the data joined or each session by itself."""
    width = next(iter(sessions.values())).attrs["bin_width"]
    vocabulary = Vocabulary.of(sessions)
    data = joined(sessions)
    assert vocabulary == Vocabulary.of(data)
    xr.testing.assert_equal(untokenize(tokenize(data, window=window * width), like=data), data["counts"])
    for name in sessions:
        one = joined({name: sessions[name]})
        tokens = tokenize(one, window=window * width, vocabulary=vocabulary)
        xr.testing.assert_equal(untokenize(tokens, like=one), one["counts"])
        of_all = tokenize(data, window=window * width, vocabulary=vocabulary)
        rows, n = np.flatnonzero(data["session"] == name), tokens.sizes["window"]
        for key in ("id", "dt"):
            np.testing.assert_array_equal(
                of_all[key].values[rows][:, :n, : tokens.sizes["token"]], tokens[key]
            )


def session(labels: list[Hashable]) -> xr.Dataset:
    time = np.arange(9) / 20
    place = {"time": time, "value": np.arange(18.0).reshape(9, 2), "units": "cm", "dims": ("time", "axis")}
    tree = recording.build(
        spikes={label: [0.05 + 0.1 * i, 0.31] for i, label in enumerate(labels)},
        units={"area": ["CA1"] * len(labels)},
        calcium={"time": time, "value": np.ones((9, len(labels))), "units": "dF/F"},
        behavior={"place": place | {"coords": {"axis": ["x", "y"]}}},
        subject="rat",
    )
    return recording.bin(tree, 0.1, start=0.0, stop=0.4)


ONE, TWO = session(["p", "q"]), session(["p"])


def test_what_is_kept_of_coordinates_and_attributes():
    two = TWO.assign_coords(held_out=("unit", [True]), only_here=("unit", [1]), cue=("trial", ["l"]))
    data = joined({"one": ONE.assign_coords(cue=("trial", ["r"])), "two": two})
    assert data["unit"].values.tolist() == ["one/p", "one/q", "two/p"]
    assert data["trial"].values.tolist() == ["one/0", "two/0"]
    assert data["session"].values.tolist() == ["one", "two"]
    assert data["area"].values.tolist() == ["CA1"] * 3
    assert data["cue"].values.tolist() == ["r", "l"]
    assert data["held_out"].values.tolist() == [False, False, True]
    assert data["axis"].values.tolist() == ["x", "y"]
    assert "only_here" not in data
    assert data["behavior_place"].attrs == ONE["behavior_place"].attrs
    assert (data.attrs["subject"], data.attrs["session_id"], data.attrs["layout"]) == (
        "rat",
        "one+two",
        "session",
    )
    other = joined({"one": ONE, "two": TWO.assign_attrs(subject="mouse")})
    assert other.attrs["subject"] == ""


def test_calcium_and_frames_of_one_session_are_masked_in_the_other():
    frames = np.arange(4, dtype=np.uint8).reshape(1, 4, 1, 1)
    one = ONE.assign(
        stimulus_movie=(("trial", "time", "y", "x"), frames),
        mask_stimulus_movie=(("trial", "time"), frames[..., 0, 0] < 9),
    )
    data = joined({"one": one, "two": TWO.drop_vars(["calcium", "mask_calcium"])})
    np.testing.assert_array_equal(data["calcium"].isel(trial=0, unit=[0, 1]), one["calcium"][0])
    assert data["calcium"].isel(trial=1).isnull().all()
    assert int(data["mask_calcium"].sum()) == int(one["mask_calcium"].sum()) > 0
    assert data["stimulus_movie"].dtype == np.uint8
    assert data["stimulus_movie"].values.ravel().tolist() == [0, 1, 2, 3, 0, 0, 0, 0]
    assert data["mask_stimulus_movie"].values.tolist() == [[True] * 4, [False] * 4]


def test_a_session_alone_is_itself_with_other_labels():
    data = joined({"one": ONE})
    for name in ONE.data_vars:
        xr.testing.assert_identical(data[name].variable, ONE[name].variable)


@given(several())
def test_the_order_of_sessions_is_the_order_of_units(sessions):
    assume(len(sessions) > 1)
    turned = dict(reversed(sessions.items()))
    data, other = joined(sessions), joined(turned)
    assert [*Vocabulary.of(data).units] != [*Vocabulary.of(other).units]
    xr.testing.assert_equal(other["counts"].sel(trial=data["trial"], unit=data["unit"]), data["counts"])


@pytest.mark.parametrize(
    ("sessions", "told"),
    [
        ({}, "no session to join"),
        ({"a": ONE, "b": xr.Dataset()}, r"sessions\['b'\] is not a binned dataset"),
        (
            {"a": ONE, "b": TWO.assign_attrs(bin_width=0.2)},
            "bin_width: '0.1 s' in session 'a', '0.2 s' in session 'b'",
        ),
        (
            {"a": ONE, "b": TWO.assign_attrs(layout="trials")},
            "layout: 'session' in session 'a', 'trials' in session 'b'",
        ),
        ({"a": ONE, "b": TWO.assign(extra=1.0)}, r"sessions\['b'\]: extra is no variable of binned data"),
        (
            {"a": ONE, "b": TWO.assign_coords(time=TWO["time"] - 0.1)},
            "bin 0 is at -0.05 s in session 'b' and at 0.05 s",
        ),
        ({"a": ONE, "b": TWO.assign_coords(axis=["x", "z"])}, r"the labels of axis: \['x', 'y'\]"),
        (
            {
                "a": ONE,
                "b": TWO.rename(
                    behavior_place="behavior_other", mask_behavior_place="mask_behavior_other"
                ).isel(axis=[1]),
            },
            "labels of axis",
        ),
        ({"a": ONE, "b": TWO.rename(axis="side")}, "dims of behavior_place"),
        ({"a": ONE, "b": TWO.isel(axis=[0])}, "the labels of axis"),
        (
            {"a": ONE, "b": TWO.assign_coords(area=("unit", [3]))},
            "the column area of units: 'text' in session 'a'",
        ),
        ({"a/p": session(["q"]), "a": session(["p/q"])}, "sessions 'a/p' and 'a' both have the unit 'a/p/q'"),
    ],
)
def test_sessions_that_cannot_be_joined_are_both_named(sessions, told):
    with pytest.raises(RecordingError, match=told):
        joined(sessions)


@pytest.mark.parametrize(
    ("name", "key"), [("behavior_place", "units"), ("behavior_place", "kind"), ("calcium", "units")]
)
def test_other_units_are_not_joined(name, key):
    other = TWO.copy()
    other[name] = other[name].assign_attrs({key: "furlong"})
    with pytest.raises(
        RecordingError, match=rf"{key} of {name}: .* in session 'a', 'furlong' in session 'b'"
    ):
        joined({"a": ONE, "b": other})
