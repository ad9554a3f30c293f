"""What a model may see: nothing of what it is scored on."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.conditioning import TASKS, default_given, hide, target_of


@pytest.fixture
def data() -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (3, 4, 5)
    return xr.Dataset(
        {
            "counts": (("trial", "time", "unit"), rng.poisson(2.0, shape).astype(np.int32)),
            "mask": (("trial", "time", "unit"), np.ones(shape, bool)),
            "behavior_position": (("trial", "time", "axis"), rng.normal(size=(3, 4, 2))),
            "mask_behavior_position": (("trial", "time"), np.ones((3, 4), bool)),
            "behavior_speed": (("trial", "time"), rng.normal(size=(3, 4))),
            "mask_behavior_speed": (("trial", "time"), np.ones((3, 4), bool)),
        },
        coords={
            "unit": list("abcde"),
            "held_out": ("unit", [False, True, False, False, True]),
            "direction": ("trial", [1, -1, 1]),
            "trial": [0, 1, 2],
            "trial_start": ("trial", [0.0, 1.0, 2.0]),
            "trial_stop": ("trial", [1.0, 2.0, 3.0]),
        },
    )


def test_encode_sees_no_counts(data: xr.Dataset) -> None:
    visible = hide(data, "encode")
    assert "counts" not in visible
    assert "behavior_position" in visible
    assert "direction" in visible.coords


def test_decode_sees_no_behaviour_and_no_trial_columns(data: xr.Dataset) -> None:
    visible = hide(data, "decode")
    assert set(visible.data_vars) == {"counts", "mask"}
    assert "direction" not in visible.coords


@pytest.mark.parametrize("task", ["cosmooth", "cosmooth+behavior"])
def test_cosmooth_sees_nothing_of_the_held_out_units(data: xr.Dataset, task: str) -> None:
    visible = hide(data, task)
    assert int(visible["counts"].sel(unit=["b", "e"]).sum()) == 0
    assert not visible["mask"].sel(unit=["b", "e"]).any()
    held_in = ["a", "c", "d"]
    np.testing.assert_array_equal(visible["counts"].sel(unit=held_in), data["counts"].sel(unit=held_in))
    assert ("behavior_position" in visible) == (task == "cosmooth+behavior")
    assert ("direction" in visible.coords) == (task == "cosmooth+behavior")
    assert int(data["counts"].sel(unit="b").sum()) > 0, "the caller's data are untouched"


@pytest.mark.parametrize("task", [t for t in TASKS if t != "forecast"])
def test_visible_data_do_not_depend_on_the_target(data: xr.Dataset, task: str) -> None:
    other = data.copy(deep=True)
    changed = "behavior_position" if TASKS[task].target == "behavior" else "counts"
    if TASKS[task].counts == "held-in":
        other["counts"] = other["counts"].where(~other["held_out"], 99)
    else:
        other[changed] = other[changed] + 1
    xr.testing.assert_identical(hide(data, task), hide(other, task))


def test_target_of_cosmooth_is_the_held_out_units(data: xr.Dataset) -> None:
    found = target_of(data, "cosmooth")
    assert list(found.values["unit"].values) == ["b", "e"]
    assert found.mask.sizes == found.values.sizes


def test_target_of_decode_must_be_named_where_there_are_two(data: xr.Dataset) -> None:
    assert target_of(data, "decode", target="speed").name == "behavior_speed"
    with pytest.raises(ModelError, match="needs target=, one of behavior_position, behavior_speed"):
        target_of(data, "decode")
    with pytest.raises(ModelError, match="target is 'heading'"):
        target_of(data, "decode", target="heading")


def test_given_narrows_and_never_widens(data: xr.Dataset) -> None:
    visible = hide(data, "encode", ["behavior_speed"])
    assert "behavior_position" not in visible
    assert default_given(data, "encode") == ("behavior_position", "behavior_speed")
    with pytest.raises(ModelError, match="'counts', which task 'encode' hides"):
        hide(data, "encode", ["counts"])
    with pytest.raises(ModelError, match="'behavior_touch', which is not in the data"):
        hide(data, "encode", ["behavior_touch"])


def test_unknown_task_and_missing_held_out(data: xr.Dataset) -> None:
    with pytest.raises(ModelError, match="task is 'encod'"):
        hide(data, "encod")
    with pytest.raises(ModelError, match=r"splits\.by_unit"):
        hide(data.drop_vars("held_out"), "cosmooth")
    with pytest.raises(ModelError, match="0 of 5 units"):
        hide(data.assign_coords(held_out=("unit", np.zeros(5, bool))), "cosmooth")
