"""Laps, linear position, speed and direction: exact on made runs, right on a real track."""

from __future__ import annotations

import numpy as np
import pytest

from neurokit_snn import recording
from neurokit_snn.errors import RecordingError
from neurokit_snn.recording.kinematics import weighted_quantile

RATE = 50.0


def shuttle(n_laps: int = 6, *, rest: float = 5.0, run: float = 4.0, length: float = 200.0):
    """Times and positions of an animal that rests at the ends of a track and runs between them."""
    corners, times = [0.0], [0.0]
    for lap in range(n_laps):
        times += [times[-1] + rest, times[-1] + rest + run]
        corners += [corners[-1], length * ((lap + 1) % 2)]
    time = np.arange(0, times[-1] + rest, 1 / RATE)
    return time, np.interp(time, times, corners)


def in_the_room(x: np.ndarray, angle: float = 0.7) -> np.ndarray:
    """A slanted track, whose ends are loops off the axis, with a little noise."""
    rng = np.random.default_rng(0)
    across = 20.0 * np.sin(np.arange(x.size) / 40) * ((x < 20) | (x > 180)) + rng.normal(0, 0.3, x.size)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.stack([x, across], axis=1) @ turn + [50.0, 80.0]


def tree_of(time, value, **more):
    node = {"time": time, "value": value, "units": "cm"}
    if np.ndim(value) > 1:
        node |= {"dims": ("time", "axis"), "coords": {"axis": ["x", "y"]}}
    return recording.build(behavior={"position": node}, **more)


@pytest.mark.parametrize("plane", [False, True])
def test_every_run_is_one_lap(plane):
    time, x = shuttle()
    tree = tree_of(time, in_the_room(x) if plane else x)
    found = recording.laps(tree)
    assert found["direction"].values.tolist() == [1, -1, 1, -1, 1, -1]
    # The end zones are 15% of the track each, so a lap is the 70% of the run between them.
    np.testing.assert_allclose(found["start"], 5.0 + 9.0 * np.arange(6) + 0.15 * 4.0, atol=0.2)
    np.testing.assert_allclose(found["stop"] - found["start"], 0.7 * 4.0, atol=0.25)
    data = recording.bin_trials(tree, 0.1, trials=found)
    assert data["direction"].dims == ("trial",)


def test_turning_back_is_no_lap():
    _, x = shuttle(2)
    x = np.concatenate([np.interp(np.arange(500), [0, 200, 400, 500], [0, 120, 5, 0]), x])
    found = recording.laps(tree_of(np.arange(x.size) / RATE, x))
    assert found["direction"].values.tolist() == [1, -1]


def test_rest_off_the_track_and_jumps_of_the_tracker_make_no_laps():
    time, x = shuttle(4)
    lost = np.full(20_000, 230.0)  # longer than the whole run, beyond the end
    jump = np.where((time > 30.0) & (time < 30.2), 195.0, x)
    value = np.concatenate([lost, jump, lost])
    found = recording.laps(tree_of(np.arange(value.size) / RATE, value))
    at = found["start"].values - lost.size / RATE
    np.testing.assert_allclose(at, [5.6, 14.6, 23.6, 32.6], atol=0.1)


def test_laps_without_jumps_count_and_with_jumps_do_not():
    time, x = shuttle(3)
    x[(time > 16.0) & (time < 16.1)] = 20.0  # on the way down, for five frames
    assert recording.laps(tree_of(time, x))["direction"].values.tolist() == [1, 1]


def test_a_way_onto_the_track_from_beyond_its_end_is_no_lap():
    _, x = shuttle(4)
    down = np.concatenate([np.full(100, 215.0), np.linspace(168.0, 0.0, 200)])
    value = np.concatenate([down, x])
    assert (
        recording.laps(tree_of(np.arange(value.size) / RATE, value))["direction"].values.tolist()
        == [1, -1] * 2
    )


def test_missing_samples_and_long_laps():
    time, x = shuttle(4)
    x[::7] = np.nan
    tree = tree_of(time, x)
    assert recording.laps(tree).sizes["interval"] == 4
    assert recording.laps(tree, max_duration=1.0).sizes["interval"] == 0
    assert recording.laps(tree_of(time, np.zeros_like(time))).sizes["interval"] == 0


def test_only_the_epoch_counts_and_clocks_are_followed():
    time, x = shuttle(4)
    node = {"time": time, "value": x, "clock": "camera"}
    tree = recording.build(
        behavior={"position": node}, clocks={"camera": (1.0, 100.0)}, epochs={"run": [[0.0, 121.0]]}
    )
    np.testing.assert_allclose(recording.laps(tree)["start"], 105.6 + 9.0 * np.arange(4), atol=0.1)
    np.testing.assert_allclose(recording.laps(tree, epoch="run")["start"], [105.6, 114.6], atol=0.1)
    assert recording.speed(tree)["behavior/speed"].attrs["clock"] == "camera"


def test_the_linear_position_is_the_way_along_the_track():
    time, x = shuttle()
    tree = recording.linearize(tree_of(time, in_the_room(x)))
    value = tree["behavior/linear_position"]["value"]
    assert value.dims == ("time",)
    assert value.attrs["units"] == "cm"
    moved = (x > 5) & (x < 195)
    np.testing.assert_allclose(
        value.values[moved] - value.values[moved].mean(), x[moved] - x[moved].mean(), atol=1.5
    )
    recording.validate(tree)
    assert "linear_position" not in tree_of(time, x)["behavior"].children


def test_a_walk_across_the_room_does_not_turn_the_axis():
    _, x = shuttle(8)
    room = np.stack([np.linspace(0, 80, 800), np.linspace(0, 300, 800)], axis=1)
    value = np.concatenate([np.stack([x, 0.05 * np.sin(x)], axis=1), room])
    tree = recording.linearize(tree_of(np.arange(len(value)) / RATE, value))
    found = tree["behavior/linear_position"]["value"].values[: x.size]
    np.testing.assert_allclose(found - found[0], x, atol=0.5)


def test_a_linear_position_stays_what_it_is():
    time, x = shuttle(2)
    np.testing.assert_array_equal(recording.linearize(tree_of(time, x))["behavior/linear_position/value"], x)


def test_the_axis_is_that_of_the_epoch():
    _, x = shuttle(2)
    away = np.stack([np.zeros(4000), np.tile(np.linspace(0, 500, 2000), 2)], axis=1)
    value = np.concatenate([np.stack([x, 0.01 * x], axis=1), away])
    clock = np.arange(len(value)) / RATE
    tree = tree_of(clock, value, epochs={"run": [[0.0, x.size / RATE]]})
    found = recording.linearize(tree, epoch="run")["behavior/linear_position"]["value"].values[: x.size]
    np.testing.assert_allclose(found - found[0], x, atol=0.1)


def test_speed_of_a_circle_and_of_gaps():
    time = np.arange(0.0, 60.0, 0.02)
    value = 30.0 * np.stack([np.cos(0.5 * time), np.sin(0.5 * time)], axis=1)
    value[1000] = np.nan
    keep = (time < 30.0) | (time > 40.0)
    tree = recording.speed(tree_of(time[keep], value[keep]))
    found = tree["behavior/speed"]["value"]
    assert found.attrs == {"units": "cm/s", "kind": "continuous"}
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [1000]
    inner = np.abs(found["time"] - 35.0) > 6.5
    np.testing.assert_allclose(
        found.values[inner & (found["time"] > 1) & (found["time"] < 59) & found.notnull()], 15.0, rtol=0.01
    )
    assert found.max() < 16.0  # no step over the gap


def test_direction_is_categorical():
    time, x = shuttle(2)
    tree = recording.running_direction(tree_of(time, x), position="position", min_speed=10.0)
    value = tree["behavior/running_direction"]["value"]
    assert value.attrs["kind"] == "categorical"
    assert value.sel(time=[2.0, 7.0, 12.0, 16.0], method="nearest").values.tolist() == [0, 1, 0, -1]
    recording.validate(tree)


def test_weighted_quantile_equals_numpy_for_equal_weights():
    values = np.random.default_rng(1).normal(size=999)
    ours = [weighted_quantile(values, np.ones(999), q) for q in (0.1, 0.5, 0.9)]
    np.testing.assert_allclose(ours, np.quantile(values, [0.1, 0.5, 0.9], method="hazen"))


TREE = tree_of(*shuttle(1))
BAD = {
    "no behaviour": (lambda: recording.laps(TREE, position="x"), "no /behavior/x; /behavior holds: position"),
    "ends": (lambda: recording.laps(TREE, ends=0.5), "ends is 0.5"),
    "duration": (lambda: recording.laps(TREE, max_duration=0.0), "max_duration is 0.0"),
    "epoch": (lambda: recording.laps(TREE, epoch="run"), "no /epochs/run"),
    "taken": (lambda: recording.speed(TREE, name="position"), "give another name"),
    "smoothing": (lambda: recording.speed(TREE, smoothing=0.0), "smoothing is 0.0"),
    "plane": (
        lambda: recording.running_direction(
            tree_of([0.0, 1.0], [[0.0, 1.0], [1.0, 1.0]]), position="position"
        ),
        "2 components; add a linear one",
    ),
    "still": (
        lambda: recording.linearize(tree_of([0.0, 1.0], [[0.0, 1.0], [0.0, 1.0]])),
        "changes less than twice",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_say_what_to_do(case):
    call, message = BAD[case]
    with pytest.raises(RecordingError, match=message):
        call()


def test_laps_of_the_real_track(linear_track_path):
    """24 runs up and 23 down, as counted by eye in a plot; the glitches before the first are no lap."""
    with np.load(linear_track_path / "linear_track.npz", allow_pickle=False) as file:
        time = file["pos_tick"] / 30_000
        value = np.stack([file["pos_x"], file["pos_y"]], axis=1).astype(float)
    first = np.append(True, np.diff(time) > 0)
    tree = tree_of(time[first], value[first])
    found = recording.laps(tree)
    assert found["direction"].values.tolist() == [1, -1] * 23 + [1]
    assert found["start"].values[0] == pytest.approx(4449.0, abs=1.0)
    assert found["stop"].values[-1] == pytest.approx(5343.0, abs=1.0)
    duration = found["stop"].values - found["start"].values
    assert np.median(duration) == pytest.approx(2.9, abs=0.3)
    assert recording.laps(tree, max_duration=10.0).sizes["interval"] == (duration <= 10.0).sum() == 39
