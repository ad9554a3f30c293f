"""Neo, pynapple and SpikeInterface objects that others made."""

from __future__ import annotations

from typing import Any

import neo
import numpy as np
import pynapple as nap
import pytest
import quantities as pq

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError, RecordingError


def block_of(*segments: neo.Segment) -> neo.Block:
    block = neo.Block(name="theirs", rec_datetime=None)
    block.segments.extend(segments)
    return block


def segment_of(start: float, times: list[float], *, name: str = "") -> neo.Segment:
    """Return a segment of ten seconds, in ms, with one train, one signal, one event and one epoch."""
    segment = neo.Segment(name=name)
    train = neo.SpikeTrain(
        np.array(times) * 1e3 * pq.ms, t_start=start * 1e3 * pq.ms, t_stop=(start + 10) * 1e3 * pq.ms
    )
    train.annotate(depth=4, region="CA1", nested={"a": 1})
    segment.spiketrains.append(train)
    signal = np.arange(6.0).reshape(3, 2) * pq.uV
    segment.analogsignals.append(
        neo.AnalogSignal(signal, sampling_rate=1 * pq.kHz, t_start=start * pq.s, name="lfp")
    )
    segment.events.append(neo.Event([start * 1e3 + 1] * pq.ms, labels=["go"], name="cue"))
    segment.epochs.append(
        neo.Epoch([start, start + 1] * pq.s, durations=[3e3, 1e3] * pq.ms, labels=["a", "b"], name="Trials")
    )
    return segment


def test_neo_in_milliseconds():
    times = [0.1, 0.3, 1 / 3]
    with pytest.warns(io.LossWarning, match="annotation nested of SpikeTrains"):
        tree = io.from_neo(block_of(segment_of(0.0, times)))
    found = tree["spikes"]["time"].values
    assert np.all(np.abs(found - times) <= np.spacing(times))
    assert tree["units"]["depth"].values.tolist() == [4]
    assert tree["units"]["region"].values.tolist() == ["CA1"]
    assert tree["observation"]["stop"].values.tolist() == [10.0]
    assert tree["signals/lfp"]["value"].attrs["units"] == "uV"
    assert tree["signals/lfp"]["time"].values.tolist() == [0.0, 0.001, 0.002]
    assert tree["events/cue"]["label"].values.tolist() == ["go"]
    assert tree["trials"]["stop"].values.tolist() == [3.0, 2.0]  # they overlap
    assert tree["trials"]["label"].values.tolist() == ["a", "b"]


@pytest.mark.filterwarnings("ignore::neurokit_snn.io.LossWarning")
def test_neo_segments_on_one_clock_are_joined():
    tree = io.from_neo(
        block_of(segment_of(0.0, [1.0], name="pre"), segment_of(20.0, [21.0, 22.0], name="post"))
    )
    assert tree["spikes"]["time"].values.tolist() == [1.0, 21.0, 22.0]
    assert tree["observation"]["start"].values.tolist() == [0.0, 20.0]
    assert tree["observation"]["stop"].values.tolist() == [10.0, 30.0]
    assert tree["epochs/segments"]["name"].values.tolist() == ["pre", "post"]
    assert tree["signals/lfp"].sizes["time"] == 6
    assert tree["trials"]["start"].values.tolist() == [0.0, 1.0, 20.0, 21.0]


@pytest.mark.filterwarnings("ignore::neurokit_snn.io.LossWarning")
def test_neo_segments_that_overlap_are_read_one_by_one():
    block = block_of(segment_of(0.0, [1.0]), segment_of(0.0, [2.0]))
    with pytest.raises(FormatError, match=r"Block 'theirs': segment 1 starts at .* segment=0 \.\.\. 1"):
        io.from_neo(block)
    assert io.from_neo(block, segment=1)["spikes"]["time"].values.tolist() == [2.0]
    with pytest.raises(FormatError, match="segment=2, but it has 2"):
        io.from_neo(block, segment=2)


def test_neo_reads_blocks_only():
    with pytest.raises(FormatError, match=r"got a Segment, expected a neo\.Block"):
        io.from_neo(neo.Segment())


def test_others_see_units_durations_and_rates(make_rich):
    segment = io.to_neo(make_rich()).segments[0]
    train = segment.spiketrains[2]
    assert (train.name, train.units, train.annotations["region"]) == ("1", 1.0 * pq.s, "x")
    assert (float(train.t_start), float(train.t_stop)) == (0.0, 6.0)
    trials = next(epoch for epoch in segment.epochs if epoch.name == "trials" and len(epoch) == 4)
    assert trials.durations.magnitude.tolist() == [5.0, 1.0, 0.0, 0.0]
    assert trials.labels.tolist() == ["l", "r", "l", ""]
    lfp = next(signal for signal in segment.analogsignals if signal.name == "lfp")
    assert (lfp.units, float(lfp.sampling_rate)) == (1.0 * pq.uV, 1000.0)
    position = next(signal for signal in segment.irregularlysampledsignals if signal.name == "position")
    assert np.array_equal(position.times.magnitude, 1.0001 * np.array([0.0, 0.1, 0.3]) - 3.7)


def test_units_of_signals_are_never_evaluated():
    tree = recording.build(behavior={"x": {"time": [0.0], "value": [1.0], "units": "9**9**9**9"}})
    signal = io.to_neo(tree).segments[0].irregularlysampledsignals[0]
    assert signal.dimensionality.string == "dimensionless"


def test_pynapple_of_others():
    support = nap.IntervalSet([0.0, 20.0], [10.0, 30.0])
    group = nap.TsGroup(
        {
            4: nap.Ts(np.array([1.0, 25.0]), time_support=support),
            2: nap.Ts(np.array([5.0]), time_support=support),
        },
        time_support=support,
        metadata={"area": ["a", "b"]},
    )
    objects = {
        "units": group,
        "trials": nap.IntervalSet([0.0, 2.0], [1.0, 3.0], metadata={"side": ["l", "r"]}),
        "sleep": nap.IntervalSet(20.0, 30.0),
        "lick": nap.Ts(np.array([0.5, 0.75])),
        "xy": nap.TsdFrame(t=np.array([0.0, 1.0]), d=np.ones((2, 2)), columns=["x", "y"]),
        "note": "text",
    }
    with pytest.warns(io.LossWarning, match="not read: note"):
        tree = io.from_pynapple(objects)
    assert tree["units"]["area"].values.tolist() == ["b", "a"]
    assert tree["units"]["unit"].values.tolist() == [2, 4]
    assert recording.spike_times(tree, 4).tolist() == [1.0, 25.0]
    assert tree["observation"]["start"].values.tolist() == [0.0, 20.0] * 2
    assert tree["trials"]["side"].values.tolist() == ["l", "r"]
    assert tree["epochs/sleep"]["stop"].values.tolist() == [30.0]
    assert tree["events/lick"]["time"].values.tolist() == [0.5, 0.75]
    assert tree["behavior/xy"]["axis"].values.tolist() == ["x", "y"]
    assert io.from_pynapple(group)["spikes"].sizes["spike"] == 3


def test_pynapple_sees_keys_intervals_and_overlaps(make_rich):
    objects = io.to_pynapple(make_rich())
    assert sorted(objects["units"].index) == [1, 3, 7, 9]
    assert objects["units"].get_info("region")[7] == ""
    assert list(objects["trials"].columns) == ["start", "stop"]
    assert objects["trials"].values[:, 1].tolist() == [5.0, 2.0, 1.0, 2.0]
    run = objects["epochs/run"]
    assert isinstance(run, nap.IntervalSet)
    # Touching rows end a microsecond early, as pynapple itself would make them, but without its warning.
    assert run.end.tolist() == [1.0 - 1e-6, 2.0]
    assert np.array_equal(objects["behavior/position"].t, 1.0001 * np.array([0.0, 0.1, 0.3]) - 3.7)


def test_pynapple_takes_mappings_only():
    with pytest.raises(FormatError, match="got a list, expected a mapping"):
        io.from_pynapple([1, 2])


class Sorting:
    """The part of SpikeInterface's BaseSorting that is used, in memory."""

    def __init__(self, frames: list[dict[Any, list[int]]], starts: list[float] | None = None):
        self.frames, self.starts = frames, starts

    def get_unit_ids(self):
        return np.array(list(self.frames[0]))

    def get_sampling_frequency(self):
        return 100.0

    def get_num_segments(self):
        return len(self.frames)

    def get_unit_spike_train(self, unit_id, segment_index=None):
        return np.array(self.frames[segment_index][unit_id], dtype=np.int64)

    def get_property_keys(self):
        return ["quality", "position"]

    def get_property(self, key):
        n = len(self.frames[0])
        return np.array(["good"] * n) if key == "quality" else np.zeros((n, 2))

    def has_recording(self):
        return self.starts is not None

    def get_num_samples(self, segment_index):
        return 200

    def sample_index_to_time(self, sample_index, segment_index):
        return self.starts[segment_index] + sample_index / 100.0

    def get_start_time(self, segment_index):
        return 0.0 if self.starts is None else self.starts[segment_index]


def test_sorting_of_one_segment():
    tree = io.from_spikeinterface(Sorting([{"b": [10, 20], "a": []}]))
    assert tree["units"]["unit"].values.tolist() == ["b", "a"]
    assert tree["units"]["quality"].values.tolist() == ["good", "good"]
    assert tree["spikes"]["time"].values.tolist() == [0.1, 0.2]
    assert "observation" not in tree.children


def test_sorting_of_several_segments_with_a_clock():
    tree = io.from_spikeinterface(Sorting([{5: [10]}, {5: [20]}], starts=[0.0, 10.0]))
    assert tree["spikes"]["time"].values.tolist() == [0.1, 10.2]
    assert tree["observation"]["start"].values.tolist() == [0.0, 10.0]
    assert tree["epochs/segments"]["stop"].values.tolist() == [2.0, 12.0]


def test_sorting_of_several_segments_without_a_clock():
    sorting = Sorting([{5: [10]}, {5: [20]}])
    with pytest.raises(FormatError, match="2 segments and no registered recording"):
        io.from_spikeinterface(sorting)
    assert io.from_spikeinterface(sorting, segment=1)["spikes"]["time"].values.tolist() == [0.2]
    with pytest.raises(FormatError, match=r"segment 1 starts at 1\.0 s, before segment 0 ends at 2\.0 s"):
        io.from_spikeinterface(Sorting([{5: [10]}, {5: [20]}], starts=[0.0, 1.0]))


def test_sorting_with_duplicates():
    sorting = Sorting([{5: [10, 10, 20]}])
    with pytest.raises(RecordingError, match=r"sorting Sorting: .*spikes\.duplicates"):
        io.from_spikeinterface(sorting)
    assert io.from_spikeinterface(sorting, duplicates="drop")["spikes"].sizes["spike"] == 2


def test_no_sorting_at_all():
    with pytest.raises(FormatError, match=r"a dict has no get_unit_ids\(\)"):
        io.from_spikeinterface({})
