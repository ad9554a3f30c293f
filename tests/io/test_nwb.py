"""NWB files that others wrote, and what others see in ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from pynwb.behavior import BehavioralEpochs, BehavioralEvents, Position, SpatialSeries
from pynwb.ecephys import LFP, ElectricalSeries
from pynwb.event import EventsTable, TimestampVectorData
from pynwb.image import ImageSeries
from pynwb.misc import AnnotationSeries, IntervalSeries
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError, RecordingError


@pytest.fixture
def theirs() -> pynwb.NWBFile:
    """An empty file as pynwb's tutorial makes it."""
    return pynwb.NWBFile("a foreign session", "id-1", datetime(2020, 1, 2, 3, tzinfo=UTC), session_id="ses-7")


def save(file: pynwb.NWBFile, folder: Path) -> Path:
    path = folder / "theirs.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as handle:
        handle.write(file)
    return path


def electrodes(file: pynwb.NWBFile, n: int) -> Any:
    device = file.create_device(name="probe")
    group = file.create_electrode_group(name="shank", description="d", location="CA1", device=device)
    for i in range(n):
        file.add_electrode(location=f"CA{i}", group=group, id=10 + i)
    return group


def test_units_of_others(theirs, tmp_path):
    group = electrodes(theirs, 3)
    theirs.add_unit_column("quality", "how good")
    # Each unit as add_unit has it: electrodes, a group, waveforms, intervals that touch or end on a spike.
    first = {"spike_times": [0.5, 1.5, 2.0], "obs_intervals": [[0.0, 1.0], [1.0, 2.0]], "electrodes": [2, 0]}
    silent = {"spike_times": [], "obs_intervals": [[0.0, 2.0]], "electrodes": [1]}
    for unit, (given, quality) in {11: (first, "good"), 4: (silent, "mua")}.items():
        theirs.add_unit(**given, id=unit, quality=quality, electrode_group=group, waveform_mean=[0.0, 1.0])
    with pytest.warns(io.LossWarning, match="units/waveform_mean"):
        tree = io.read_nwb(save(theirs, tmp_path))
    units = tree["units"].to_dataset()
    assert units["unit"].values.tolist() == [11, 4]
    assert units["quality"].values.tolist() == ["good", "mua"]
    assert units["electrode"].values.tolist() == [12, 11]
    assert units["location"].values.tolist() == ["CA2", "CA1"]
    assert units["electrode_group"].values.tolist() == ["shank", "shank"]
    assert recording.spike_times(tree, 11).tolist() == [0.5, 1.5, 2.0]
    assert recording.spike_times(tree, 4).tolist() == []
    assert tree["observation"]["row_size"].values.tolist() == [1, 1]
    assert tree["observation"]["stop"].values.tolist() == [np.nextafter(2.0, 3.0), 2.0]
    assert tree.attrs["session_id"] == "ses-7"
    assert tree.attrs["start"] == "2020-01-02T03:00:00+00:00"


def test_units_without_spikes(theirs, tmp_path):
    theirs.add_unit_column("depth", "um")
    theirs.add_unit(id=1, depth=5.0)
    theirs.add_unit(id=2, depth=7.5)
    tree = io.read_nwb(save(theirs, tmp_path))
    assert tree["units"]["depth"].values.tolist() == [5.0, 7.5]
    assert "spikes" not in tree.children


@pytest.mark.filterwarnings("ignore:.* is deprecated:UserWarning")
def test_tables_of_others(theirs, tmp_path):
    theirs.add_trial_column("choice", "left or right")
    theirs.add_trial(start_time=3.0, stop_time=5.0, choice="left", tags=["a", "b"])
    theirs.add_trial(start_time=0.0, stop_time=4.0, choice="right", tags=[])
    theirs.add_epoch(0.0, 9.0, ["whole"])
    theirs.add_invalid_time_interval(start_time=6.0, stop_time=7.0)
    times = TimestampVectorData(name="timestamp", description="t", data=[2.0, 1.0])
    theirs.add_events_table(EventsTable(name="ttl", description="d", columns=[times]))
    theirs.add_acquisition(AnnotationSeries(name="notes", data=["go", "stop"], timestamps=[0.5, 0.75]))
    module = theirs.create_processing_module("behavior", "d")
    marks = IntervalSeries(
        name="licking", data=np.array([1, -1, 2, -2], dtype=np.int8), timestamps=[0.0, 1.0, 2.0, 3.0]
    )
    module.add(BehavioralEpochs(interval_series=[marks]))
    module.add(
        BehavioralEvents(
            time_series=[pynwb.TimeSeries(name="sip", data=[1, 2], unit="", timestamps=[0.5, 3.0])]
        )
    )
    tree = io.read_nwb(save(theirs, tmp_path))
    assert tree["trials"]["start"].values.tolist() == [0.0, 3.0]
    assert tree["trials"]["choice"].values.tolist() == ["right", "left"]
    assert tree["trials"]["tags"].values.tolist() == ["", "a,b"]
    assert tree["trials"]["trial"].values.tolist() == [1, 0]
    assert tree["epochs/epochs"]["stop"].values.tolist() == [9.0]
    assert tree["epochs/invalid_times"]["start"].values.tolist() == [6.0]
    assert tree["events/ttl"]["time"].values.tolist() == [1.0, 2.0]
    assert tree["events/notes"]["annotation"].values.tolist() == ["go", "stop"]
    assert tree["events/sip"]["value"].values.tolist() == [1, 2]
    assert tree["epochs/licking"]["kind"].values.tolist() == [1, 2]
    assert tree["epochs/licking"]["stop"].values.tolist() == [1.0, 3.0]


def test_series_of_others(theirs, tmp_path):
    electrodes(theirs, 2)
    region = theirs.create_electrode_table_region(region=[1, 0], description="both")
    raw = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.int16)
    lfp = ElectricalSeries(
        name="lfp", data=raw, electrodes=region, starting_time=10.0, rate=4.0, conversion=0.5, offset=1.0,
        channel_conversion=[1.0, 10.0],
    )  # fmt: skip
    module = theirs.create_processing_module("ecephys", "d")
    box = LFP()
    module.add(box)
    box.add_electrical_series(lfp)
    behavior = theirs.create_processing_module("behavior", "d")
    place = SpatialSeries(name="place", data=np.ones((2, 2)), unit="cm", timestamps=[0.0, 1.0])
    behavior.add(Position(spatial_series=[place]))
    behavior.add(pynwb.TimeSeries(name="speed", data=[1.0, 2.0], unit="cm/s", rate=10.0))
    movie = ImageSeries(name="movie", data=np.arange(12).reshape(2, 3, 2), unit="lux", timestamps=[0.0, 1.0])
    theirs.add_stimulus(movie)
    theirs.add_acquisition(pynwb.TimeSeries(name="diode", data=[0.0, 5.0], unit="V", rate=1000.0))
    theirs.add_acquisition(
        ImageSeries(name="camera", external_file=["a.avi"], format="external", rate=30.0, num_samples=2)
    )
    with pytest.warns(io.LossWarning, match="acquisition/camera"):
        tree = io.read_nwb(save(theirs, tmp_path))
    signal = tree["signals/lfp"]
    assert signal["time"].values.tolist() == [10.0, 10.25, 10.5]
    assert signal["channel"].values.tolist() == [11, 10]
    assert signal["value"].values.tolist() == [[1.5, 11.0], [2.5, 21.0], [3.5, 31.0]]
    assert signal["value"].attrs["units"] == "V"
    assert tree["behavior/place"]["axis"].values.tolist() == ["x", "y"]
    assert tree["behavior/place"]["value"].attrs["units"] == "cm"
    assert tree["behavior/speed"]["time"].values.tolist() == [0.0, 0.1]
    assert tree["signals/diode"]["value"].values.tolist() == [[0.0], [5.0]]
    # (frame, x, y) there, (time, y, x) here.
    assert tree["stimulus/movie"]["frames"].values[0].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_imaging_of_others(theirs, tmp_path):
    device = theirs.create_device(name="scope")
    channel = OpticalChannel(name="green", description="d", emission_lambda=510.0)
    plane = theirs.create_imaging_plane(
        name="plane", optical_channel=channel, description="d", device=device, excitation_lambda=920.0,
        indicator="GCaMP", location="V1",
    )  # fmt: skip
    module = theirs.create_processing_module("ophys", "d")
    masks = ImageSegmentation()
    module.add(masks)
    table = masks.create_plane_segmentation(name="rois", description="d", imaging_plane=plane)
    table.add_column("red", "labelled")
    for roi in (5, 8):
        table.add_roi(image_mask=np.ones((2, 2)), id=roi, red=roi == 8)
    region = table.create_roi_table_region(region=[0, 1], description="all")
    for box, name, value in ((Fluorescence(), "raw", 100.0), (DfOverF(), "dff", 0.5)):
        module.add(box)
        box.add_roi_response_series(
            RoiResponseSeries(name=name, data=np.full((3, 2), value), rois=region, unit="n.a.", rate=30.0)
        )
    theirs.add_scratch(np.ones(2), name="masks", description="d")
    with pytest.warns(io.LossWarning, match="scratch/masks"):
        tree = io.read_nwb(save(theirs, tmp_path))
    assert tree["calcium"]["fluorescence"].values[0].tolist() == [0.5, 0.5]
    assert tree["units"]["unit"].values.tolist() == [5, 8]
    assert tree["units"]["red"].values.tolist() == [False, True]
    assert tree["signals/raw"]["value"].values[0].tolist() == [100.0, 100.0]


@pytest.mark.parametrize(
    ("times", "rule"),
    [([2.0, 1.0], "spikes.sorted"), ([1.0, np.nan], "spikes.finite"), ([1.0, 1.0], "spikes.duplicates")],
)
def test_broken_spikes_are_named(theirs, tmp_path, times, rule):
    theirs.add_unit(spike_times=times, id=3)
    path = save(theirs, tmp_path)
    with pytest.raises(RecordingError, match=rule) as caught:
        io.read_nwb(path)
    assert str(path) in str(caught.value)
    assert "unit 3" in str(caught.value)


def test_duplicates_can_be_dropped(theirs, tmp_path):
    theirs.add_unit(spike_times=[1.0, 1.0, 2.0], id=3)
    assert io.read(save(theirs, tmp_path), duplicates="drop")["spikes"]["time"].values.tolist() == [1.0, 2.0]


def test_a_broken_node_can_be_left_out(theirs, tmp_path):
    theirs.add_unit(spike_times=[1.0, 2.0], id=3)
    theirs.add_trial(start_time=1.0, stop_time=np.nan)
    path = save(theirs, tmp_path)
    with pytest.raises(
        RecordingError, match=r"/trials .*; what cannot be mended can be left out: drop=\['trials'\]"
    ):
        io.read_nwb(path)
    assert list(io.read_nwb(path, drop=["trials"]).children) == ["units", "spikes"]
    with pytest.raises(
        FormatError, match="drop names /trails, which is not there; it has /spikes, /trials, /units"
    ):
        io.read_nwb(path, drop=["trails"])


def test_others_see_session_time_volts_and_labels(make_rich, tmp_path):
    tree = make_rich(labels="str")
    with pynwb.NWBHDF5IO(str(io.write_nwb(tree, tmp_path / "a.nwb")), "r") as handle:
        file = handle.read()
        units = file.units.to_dataframe()
        assert units["unit_name"].tolist() == ["a", "b/é", "", "d"]
        assert units["spike_times"].iloc[3].tolist() == [1 / 3]
        assert [row["label"].iloc[0] for row in units["electrodes"]] == ["1", "1", "2", "3"]
        assert units["electrodes"].iloc[2]["location"].tolist() == ["x"]
        position = file.processing["behavior"]["Position"]["position"]
        on_camera = np.array([0.0, 0.1, 0.3])
        assert np.array_equal(position.timestamps[:], 1.0001 * on_camera - 3.7)
        lfp = file.processing["ecephys"]["LFP"]["lfp"]
        assert (lfp.unit, lfp.conversion) == ("volts", 1e-6)
        assert file.trials["stop_time"].data[:].tolist() == [5.0, 2.0, 1.0, 2.0]
        assert file.subject.subject_id == "m1"
        assert file.session_start_time.isoformat() == "2026-01-02T03:04:05.678901+00:00"


def test_a_recording_without_start_begins_in_1970(tmp_path):
    path = io.write_nwb(recording.build(spikes={1: [0.5]}), tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(path), "r") as handle:
        assert handle.read().session_start_time == datetime(1970, 1, 1, tzinfo=UTC)
    assert io.read_nwb(path).attrs["start"] == ""


def test_a_start_that_is_no_time_is_refused(tmp_path):
    tree = recording.build(spikes={1: [0.5]}, start="yesterday", validate=False)
    with pytest.raises((FormatError, RecordingError), match="start"):
        io.write_nwb(tree, tmp_path / "a.nwb")
    assert list(tmp_path.iterdir()) == []


def test_edits_of_others_are_kept(make_rich, tmp_path):
    path = io.write_nwb(make_rich(), tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(path), "a") as handle:
        file = handle.read()
        file.add_acquisition(pynwb.TimeSeries(name="added", data=[1.0, 2.0], unit="V", rate=1.0))
        handle.write(file)
    with h5py.File(path, "a") as file:
        file["general/subject/subject_id"][()] = "m2"
        file["units/depth"][0] = 77.0
        for name in ("start_time", "stop_time", "side", "ok", "n", "tags_", "id"):
            data = file[f"intervals/trials/{name}"]
            values, attrs = data[:3], dict(data.attrs)
            del file[f"intervals/trials/{name}"]
            file[f"intervals/trials/{name}"] = values
            file[f"intervals/trials/{name}"].attrs.update(attrs)
    with pytest.warns(io.LossWarning, match="/trials no longer fits its neurokit_snn layout"):
        tree = io.read_nwb(path)
    assert tree["signals/added"]["value"].values.tolist() == [[1.0], [2.0]]
    assert tree.attrs["subject"] == "m2"
    assert tree.attrs["licence"] == "CC0-1.0"
    assert tree["units"]["depth"].values[0] == 77.0
    assert tree["trials"]["stop"].values.tolist() == [5.0, 2.0, 1.0]


def test_a_damaged_layout_is_named(tmp_path):
    path = io.write_nwb(recording.build(spikes={1: [0.5]}), tmp_path / "a.nwb")
    with h5py.File(path, "a") as file:
        file["scratch/neurokit_snn_layout"][()] = "{"
    with pytest.raises(FormatError, match="layout is damaged"):
        io.read_nwb(path)


def test_labelled_events_of_ndx_events():
    """A stand-in for the extension's class, whose package is not installed here: what is read is its attributes."""
    from neurokit_snn.io.nwb.found import Found

    class LabeledEvents:
        name, timestamps = "cue", np.array([0.0, 0.5, 2.0])
        data, data__labels = np.array([0, 1, 0], dtype=np.uint8), np.array(["go", "stop"])

    found = Found("a.nwb", places={}, columns={}, lazy=False)
    found.take_instants("acquisition/cue", LabeledEvents())
    assert found.nodes["/events/cue"]["label"].values.tolist() == ["go", "stop", "go"]


def test_pynapple_opens_our_files(tmp_path):
    import pynapple as nap

    tree = recording.build(
        spikes={3: [0.5, 1.0], 1: [0.1, np.nextafter(0.1, 1.0), 5.0]},
        units={"unit": [3, 1], "region": ["CA1", "CA3"], "electrode": [4, 5]},
        behavior={"position": {"time": [0.0, 0.1, 0.3], "value": np.ones((3, 2)), "units": "cm"}},
        trials=[[0.0, 1.0], [2.0, 3.0]],
    )
    loaded = nap.load_file(str(io.write_nwb(tree, tmp_path / "a.nwb")))
    assert loaded["units"][1].t.tolist() == [0.1, np.nextafter(0.1, 1.0), 5.0]
    assert loaded["units"].get_info("region")[3] == "CA1"
    assert loaded["position"].t.tolist() == [0.0, 0.1, 0.3]
    assert loaded["trials"].end.tolist() == [1.0, 3.0]
    loaded.close()
