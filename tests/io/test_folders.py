"""Small files in the published layouts of Phy, suite2p, DeepLabCut and SLEAP, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurokit_snn import io, recording
from neurokit_snn.errors import FormatError, RecordingError

PARAMS = """\
import os
dat_path = [os.path.join('a', 'recording.dat')]
n_channels_dat = 4
dtype = 'int16'
offset = 0
sample_rate = 30000.
hp_filtered = False
open('executed', 'w').write('yes')
"""


@pytest.fixture
def phy(tmp_path) -> Path:
    folder = tmp_path / "phy"
    folder.mkdir()
    (folder / "params.py").write_text(PARAMS)
    np.save(folder / "spike_times.npy", np.array([[300], [600], [900], [1200]], dtype=np.uint64))
    np.save(folder / "spike_clusters.npy", np.array([7, 2, 7, 4], dtype=np.int32))
    (folder / "cluster_info.tsv").write_text(
        "cluster_id\tAmplitude\tch\tdepth\tgroup\tn_spikes\n2\t10.5\t3\t60\tgood\t1\n4\t\t1\t20\t\t1\n7\t8\t0\t0\tmua\t2\n9\t1\t2\t40\tgood\t0\n"
    )
    return folder


def test_phy(phy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = io.read(phy)
    assert not (tmp_path / "executed").exists()
    assert tree["units"]["unit"].values.tolist() == [2, 4, 7, 9]
    assert tree["units"]["group"].values.tolist() == ["good", "", "mua", "good"]
    assert tree["units"]["depth"].values.tolist() == [60, 20, 0, 40]
    assert np.isnan(tree["units"]["Amplitude"].values[1])
    assert recording.spike_times(tree, 7).tolist() == [300 / 30000, 900 / 30000]
    assert recording.spike_times(tree, 9).tolist() == []


def test_phy_groups(phy):
    tree = io.read_phy(phy, groups=["good", "unsorted"])
    assert tree["units"]["unit"].values.tolist() == [2, 4, 9]
    assert tree["spikes"].sizes["spike"] == 2
    with pytest.raises(FormatError, match="no unit is in group 'goood'; its groups are: good, mua, unsorted"):
        io.read_phy(phy, groups=["goood"])


def test_kilosort_before_curation(phy):
    (phy / "cluster_info.tsv").unlink()
    (phy / "spike_clusters.npy").rename(phy / "spike_templates.npy")
    (phy / "cluster_KSLabel.tsv").write_text("cluster_id\tKSLabel\n2\tgood\n4\tmua\n7\tgood\n13\tmua\n")
    (phy / "cluster_Amplitude.tsv").write_text("cluster_id\tAmplitude\n2\t1.5\n7\t2.5\n")
    units = io.read_phy(phy)["units"].to_dataset()
    # A cluster that is only in the small tables was merged into another one.
    assert units["unit"].values.tolist() == [2, 4, 7]
    assert units["KSLabel"].values.tolist() == ["good", "mua", "good"]
    assert units["Amplitude"].values.tolist()[::2] == [1.5, 2.5]


def test_phy_duplicates(phy):
    np.save(phy / "spike_clusters.npy", np.array([7, 7, 7, 4]))
    np.save(phy / "spike_times.npy", np.array([300, 300, 900, 1200]))
    with pytest.raises(RecordingError, match=r"phy.*spikes\.duplicates"):
        io.read_phy(phy)
    assert io.read_phy(phy, duplicates="drop")["spikes"].sizes["spike"] == 3


def test_phy_without_a_rate(phy):
    (phy / "params.py").write_text("sample_rate = float('30000')")
    with pytest.raises(FormatError, match=r"params\.py: sample_rate is not assigned a number"):
        io.read_phy(phy)
    assert io.read_phy(phy, sampling_rate=1000.0)["spikes"]["time"].values.max() == 1.2
    (phy / "params.py").unlink()
    with pytest.raises(FormatError, match=r"no params\.py; pass sampling_rate"):
        io.read_phy(phy)
    with pytest.raises(FormatError, match="-5 is no positive number"):
        io.read_phy(phy, sampling_rate=-5)


def break_phy(phy: Path, how: str) -> str:
    """Break a folder and return what the error must say."""
    times = phy / "spike_times.npy"
    if how == "pickle":
        np.save(times, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        return "pickled"
    if how == "cut":
        times.write_bytes(times.read_bytes()[:-5])
        return "damaged"
    if how == "empty":
        times.write_bytes(b"")
        return "damaged"
    if how == "floats":
        np.save(times, np.array([0.1, 0.2]))
        return "expected integers"
    if how == "length":
        np.save(times, np.array([1, 2]))
        return "2 spikes in spike_times.npy but 4 in spike_clusters.npy"
    if how == "table":
        (phy / "cluster_info.tsv").write_text("cluster_id\tgroup\n1\tgood\n1\tmua\n")
        return "column cluster_id of different integers"
    if how == "params":
        (phy / "params.py").write_text("sample_rate = = 3")
        return "not a Python file"
    (phy / "spike_clusters.npy").unlink()
    return "spike_templates.npy does not exist"


@pytest.mark.parametrize("how", ["pickle", "cut", "empty", "floats", "length", "table", "params", "missing"])
def test_broken_phy(phy, how):
    said = break_phy(phy, how)
    with pytest.raises(FormatError, match=said):
        io.read_phy(phy)


@pytest.fixture
def suite2p(tmp_path) -> Path:
    folder = tmp_path / "suite2p" / "plane0"
    folder.mkdir(parents=True)
    traces = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(folder / "F.npy", traces)
    np.save(folder / "Fneu.npy", traces / 2)
    np.save(folder / "spks.npy", traces * 0)
    np.save(folder / "iscell.npy", np.array([[1.0, 0.9], [0.0, 0.1], [1.0, 0.8]]))
    for name in ("ops.npy", "stat.npy"):
        np.save(folder / name, np.array({"fs": 30.0}, dtype=object), allow_pickle=True)
    return folder


@pytest.mark.parametrize("up", [0, 1, 2])
def test_suite2p(suite2p, up):
    path = [suite2p, *suite2p.parents][up]
    tree = io.read(path, sampling_rate=10.0)
    assert tree["units"]["unit"].values.tolist() == [0, 2]
    assert tree["units"]["iscell_probability"].values.tolist() == [0.9, 0.8]
    assert tree["calcium"]["time"].values.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert tree["calcium"]["fluorescence"].values.tolist() == [[0, 8], [1, 9], [2, 10], [3, 11]]
    assert tree["calcium"]["fluorescence"].dtype == np.float32


def test_suite2p_choices(suite2p):
    tree = io.read_suite2p(suite2p, sampling_rate=10.0, signal="Fneu", cells_only=False)
    assert tree["calcium"]["fluorescence"].values[1].tolist() == [0.5, 2.5, 4.5]
    assert tree["units"]["iscell"].values.tolist() == [True, False, True]
    with pytest.raises(FormatError, match="choose one of F, Fneu, spks"):
        io.read_suite2p(suite2p, sampling_rate=10.0, signal="dff")


def test_suite2p_never_unpickles(suite2p):
    with pytest.raises(FormatError, match="pickled files, which are not opened; pass sampling_rate"):
        io.read_suite2p(suite2p)
    (suite2p / "ops.json").write_text(json.dumps({"fs": 20.0}))
    assert io.read_suite2p(suite2p)["calcium"]["time"].values[1] == 0.05
    np.save(suite2p / "F.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(FormatError, match=r"F\.npy: not a plain \.npy array"):
        io.read_suite2p(suite2p)


def test_suite2p_of_several_planes(suite2p):
    (suite2p.parent / "plane1").mkdir()
    with pytest.raises(FormatError, match="has plane0, plane1; give one of them"):
        io.read_suite2p(suite2p.parent, sampling_rate=10.0)
    np.save(suite2p / "iscell.npy", np.ones((2, 2)))
    with pytest.raises(FormatError, match=r"\(2, 2\) for 3 regions"):
        io.read_suite2p(suite2p, sampling_rate=10.0)


SINGLE = """\
scorer,net,net,net,net,net,net
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,1.5,2.5,0.9,3,4,0.5
1,1.75,2.25,1.0,,,0.0
3,2,2,1,5,6,1
"""
SEVERAL = """\
scorer,net,net,net,net,net
individuals,mouse1,mouse1,mouse1,mouse2,mouse2
bodyparts,nose,nose,nose,nose,nose
coords,x,y,likelihood,x,y
0,1,2,0.9,3,4
"""


@pytest.fixture
def dlc(tmp_path) -> Path:
    path = tmp_path / "videoDLC_resnet50.csv"
    path.write_text(SINGLE)
    return path


def test_deeplabcut(dlc):
    tree = io.read(dlc, sampling_rate=50.0)
    pose = tree["behavior/pose"]
    assert pose["time"].values.tolist() == [0.0, 0.02, 0.06]
    assert pose["bodypart"].values.tolist() == ["nose", "tail"]
    assert pose["value"].values[0].tolist() == [[1.5, 2.5], [3.0, 4.0]]
    assert np.isnan(pose["value"].values[1, 1]).all()
    assert pose["value"].attrs["units"] == "px"
    assert tree["behavior/pose_likelihood"]["value"].values.tolist() == [[0.9, 0.5], [1.0, 0.0], [1.0, 1.0]]


def test_deeplabcut_of_several_animals(dlc):
    dlc.write_text(SEVERAL)
    tree = io.read_deeplabcut(dlc, sampling_rate=50.0)
    assert set(tree["behavior"].children) == {"mouse1", "mouse1_likelihood", "mouse2"}
    assert tree["behavior/mouse2"]["value"].values.tolist() == [[[3.0, 4.0]]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SINGLE.replace("bodyparts", "parts", 1), "no DeepLabCut file"),
        (SINGLE[:-6], "line 6 has 5 fields, the first has 7"),
        (SINGLE.replace("1.75", "x1.75"), "line 5: could not convert string to float: 'x1.75'"),
        (SINGLE.replace("\n3,", "\nlabeled/img3.png,"), "line 6: could not convert"),
        (SINGLE.replace("\n3,", "\n2.5,"), r"line 6: frame 2\.5 is no whole number"),
        (SINGLE.replace("tail,tail,tail", "nose,nose,nose"), "columns 2 and 5 are both nose x"),
        (SINGLE.replace("x,y", "u,v"), "has no columns x and y"),
        ("", "no DeepLabCut file"),
    ],
)
def test_broken_deeplabcut(dlc, text, said):
    dlc.write_text(text)
    with pytest.raises(FormatError, match=said):
        io.read_deeplabcut(dlc, sampling_rate=50.0)


def test_deeplabcut_frames_out_of_order(dlc):
    dlc.write_text(SINGLE.replace("\n3,", "\n1,"))
    with pytest.raises(RecordingError, match=r"videoDLC_resnet50\.csv: 2 problems\n.*behavior\.sorted"):
        io.read_deeplabcut(dlc, sampling_rate=50.0)


def test_deeplabcut_pickled_columns_are_not_opened(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("df_with_missing")
    with pytest.raises(FormatError, match=r"pickled objects, which are not opened; export CSV"):
        io.read(path, sampling_rate=50.0)
    (tmp_path / "b.csv").write_text(SINGLE)
    with pytest.raises(FormatError, match=r"sampling_rate is 0\.0; give frames per second"):
        io.read(tmp_path / "b.csv", sampling_rate=0.0)


@pytest.fixture
def sleap(tmp_path) -> Path:
    """Make an analysis file in SLEAP's own order of axes: (track, xy, node, frame), names as bytes."""
    path = tmp_path / "labels.analysis.h5"
    tracks = np.arange(2 * 2 * 3 * 4, dtype=np.float64).reshape(2, 2, 3, 4)
    tracks[1, :, :, 2] = np.nan
    with h5py.File(path, "w") as file:
        file.create_dataset("tracks", data=tracks, compression="gzip")
        file["track_names"] = np.array([b"female", b"male"])
        file["node_names"] = np.array([b"head", b"thorax", b"abdomen"])
        file["track_occupancy"] = np.ones((4, 2), dtype=bool)
        file["point_scores"] = np.full((2, 3, 4), 0.5)
    return path


def test_sleap(sleap):
    tree = io.read(sleap, sampling_rate=10.0)
    male = tree["behavior/male"]
    assert male["value"].dims == ("time", "bodypart", "axis")
    assert male["bodypart"].values.tolist() == ["head", "thorax", "abdomen"]
    assert male["time"].values.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert np.isnan(male["value"].values[2]).all()
    # Frame 1, thorax: x and y stand twelve apart in (track, xy, node, frame).
    assert tree["behavior/female"]["value"].values[1, 1].tolist() == [5.0, 17.0]
    assert tree["behavior/female_score"]["value"].values[0].tolist() == [0.5, 0.5, 0.5]


def test_sleap_io_order_of_axes(sleap):
    with h5py.File(sleap, "a") as file:
        tracks = file["tracks"][:]
        del file["tracks"], file["point_scores"]
        file["tracks"] = tracks.transpose(3, 0, 2, 1)
        file["tracks"].attrs["dims"] = json.dumps(["frame", "track", "node", "xy"])
    tree = io.read_sleap(sleap, sampling_rate=10.0)
    assert tree["behavior/female"]["value"].values[1, 1].tolist() == [5.0, 17.0]
    assert set(tree["behavior"].children) == {"female", "male"}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("node_names", np.array([b"head"]), "1 of nodes"),
        ("track_names", np.array([b"a", b"b", b"c"]), "for 3 names of tracks"),
        ("tracks", np.zeros((2, 2, 3)), "tracks is float64 of shape"),
        ("point_scores", np.zeros((2, 3, 5)), "point_scores is"),
        ("track_names", None, "no dataset track_names"),
    ],
)
def test_broken_sleap(sleap, name, data, said):
    with h5py.File(sleap, "a") as file:
        del file[name]
        if data is not None:
            file[name] = data
    with pytest.raises(FormatError, match=said):
        io.read_sleap(sleap, sampling_rate=10.0)
