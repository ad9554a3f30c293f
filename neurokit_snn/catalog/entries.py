"""The named datasets: where each comes from, what its bytes must be, and which function reads it."""

from __future__ import annotations

import dataclasses
from typing import Literal

__all__ = ["ENTRIES", "DataFile", "Entry"]

GITHUB = "https://raw.githubusercontent.com"
NELPY = f"{GITHUB}/nelpy/example-data/099548c0608ffaa92933c66346c0d96f05a18622/linear-track"
SEQNMF = f"{GITHUB}/FeeLab/seqNMF/229b9b19ac3a34b8378945ec7f9e331e004bb777"
PPSEQ = f"{GITHUB}/lindermanlab/PPSeq.jl/e89078ccd100be5ddaf7b0ece014b98926f2a40b"
CHAR_RNN = f"{GITHUB}/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare"
FSDD = "https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/zip/26eb9aaf76e81b692f806f9140c2d2777410d7a1"
NMNIST = "https://codeload.github.com/bamsumit/slayerPytorch/zip/01beeeb6a181546d6c6830382ce6086bfc587836"
MNIST_PNGS = "https://codeload.github.com/rasbt/mnist-pngs/zip/d26bd33bf1e454dd15bd4fe8b8ba64c76308f91c"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataFile:
    """One file of a dataset.

    Parameters
    ----------
    path
        Below ``NEUROKIT_DATA`` or the cache, with forward slashes.
    sha256
        Of its bytes; None where the origin makes them anew at each download (archives), whose contents the reader checks.
    url
        Where it comes from, at a commit; None for a prepared file.
    """

    path: str
    sha256: str | None
    url: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One named dataset.

    Parameters
    ----------
    name, title
        What it is called, and one line about it.
    kind
        ``recording`` (a DataTree in the schema of recordings), ``images``, ``audio`` (ragged clips in the layout of
        `neurokit_snn.io.audio_clips`) or ``text`` (a Dataset).
    licence, citation
        Of the data.
    prepared
        Files of the form this project prefers; empty where the data are made when asked for.
    read
        ``module:function`` that reads the prepared files, given ``{file name: path}``.
    origin
        Files as published; where they are the prepared ones too, only ``origin`` is given.
    read_origin
        ``module:function`` that reads the files as published, to the same result as ``read``.
    edition
        Raised whenever a reader gives another result than before, so that no older one is taken from the cache.
    """

    name: str
    title: str
    kind: Literal["recording", "images", "audio", "text"]
    licence: str
    citation: str = dataclasses.field(repr=False)
    read: str | None = dataclasses.field(default=None, repr=False)
    prepared: tuple[DataFile, ...] = dataclasses.field(default=(), repr=False)
    read_origin: str | None = dataclasses.field(default=None, repr=False)
    origin: tuple[DataFile, ...] = dataclasses.field(default=(), repr=False)
    edition: int = dataclasses.field(default=1, repr=False)


_HERE = "neurokit_snn.catalog"

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="linear-track",
            title="Place cells of an animal running on a linear track, then resting: 31 units, 33 min",
            kind="recording",
            licence="MIT (Copyright (c) 2017 nelpy)",
            citation="Ackermann, E., nelpy example data, https://github.com/nelpy/example-data",
            read=f"{_HERE}.linear_track:read_prepared",
            prepared=(
                DataFile(
                    path="hippocampus_linear_track/linear_track.npz",
                    sha256="9107f09f109208931f8b89fe31150c44fc0471bc224469afcbd42df433fea6db",
                ),
            ),
            read_origin=f"{_HERE}.linear_track:read_origin",
            origin=(
                DataFile(
                    path="hippocampus_linear_track/spikes.mat",
                    sha256="615b05a9228a5eaea7f99d5fc5b11848a4d94fc154104612410c887875b65bc7",
                    url=f"{NELPY}/spikes.mat",
                ),
                DataFile(
                    path="hippocampus_linear_track/trajectory.videoPositionTracking",
                    sha256="10a883302c50e26d5f659ac4ee08d8901f7881c71f6800cd56d999a620b31cb5",
                    url=f"{NELPY}/trajectory.videoPositionTracking",
                ),
            ),
        ),
        Entry(
            name="songbird-hvc",
            title="Calcium of 75 HVC neurons of a singing bird with the spectrogram of its song: 22 s",
            kind="recording",
            licence="MIT (Copyright (c) 2018 Fee Lab; Copyright (c) 2020 Williams, Degleris, Linderman)",
            citation=(
                "Mackevicius, Bahle et al., eLife 8:e38471 (2019); "
                "events: Williams, Degleris, Wang, Linderman, NeurIPS (2020)"
            ),
            read_origin=f"{_HERE}.songbird:read_origin",
            origin=(
                DataFile(
                    path="songbird_hvc/MackeviciusData.mat",
                    sha256="6d37559649f5ea03e23c4a8b80ce8edeb55fe8b559c586b06785bfde2a7ee112",
                    url=f"{SEQNMF}/MackeviciusData.mat",
                ),
                DataFile(
                    path="songbird_hvc/songbird_spikes.txt",
                    sha256="1c3f700bca66d540fd818c68453b2d436f7e2d9d0b842f5e8c5150c640a4edda",
                    url=f"{PPSEQ}/demo/data/songbird_spikes.txt",
                ),
            ),
        ),
        Entry(
            name="mnist",
            title="Handwritten digits: 60,000 training and 10,000 test images of 28 x 28 pixels",
            kind="images",
            licence="CC BY-SA 3.0 (data), MIT (the carrying repository, Copyright (c) 2022 Sebastian Raschka)",
            citation="LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86:2278 (1998)",
            read=f"{_HERE}.mnist:read_prepared",
            prepared=(
                DataFile(
                    path="mnist/mnist.npz",
                    sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
                ),
            ),
            read_origin=f"{_HERE}.mnist:read_origin",
            origin=(DataFile(path="mnist/mnist-pngs.zip", sha256=None, url=MNIST_PNGS),),
        ),
        Entry(
            name="fsdd",
            title="Spoken digits: 3,000 clips of six speakers, each digit said 50 times, at 8 kHz",
            kind="audio",
            licence="CC BY-SA 4.0",
            citation="Jackson, Z., et al., Free Spoken Digit Dataset, Zenodo (2018), doi:10.5281/zenodo.1342401",
            read=f"{_HERE}.fsdd:read_prepared",
            prepared=(
                DataFile(
                    path="fsdd/fsdd.npz",
                    sha256="9ebe44f71d7432b862973be3acf945684fb38ea051f34a7cba6b32be52ac4d98",
                ),
            ),
            read_origin=f"{_HERE}.fsdd:read_origin",
            origin=(DataFile(path="fsdd/free-spoken-digit-dataset.zip", sha256=None, url=FSDD),),
        ),
        Entry(
            name="nmnist",
            title="Digits before an event camera that moves: 1,000 training and 100 test recordings of 0.3 s, 34 x 34 pixels",
            kind="recording",
            licence="CC BY-SA 4.0",
            citation="Orchard, Jayawant, Cohen, Thakor, Front. Neurosci. 9:437 (2015)",
            read=f"{_HERE}.nmnist:read_prepared",
            prepared=(
                DataFile(
                    path="nmnist_small/nmnist_small.npz",
                    sha256="9e46e81cef5fd034ce6c411f002ecc9fb6ed438dad323d10d0893d9ffd2d14ba",
                ),
            ),
            read_origin=f"{_HERE}.nmnist:read_origin",
            origin=(DataFile(path="nmnist_small/slayerPytorch.zip", sha256=None, url=NMNIST),),
        ),
        Entry(
            name="tinyshakespeare",
            title="Lines of Shakespeare's plays: 1,115,394 characters, 65 distinct",
            kind="text",
            licence="public domain (text), MIT (the carrying repository)",
            citation="Karpathy, A., char-rnn, https://github.com/karpathy/char-rnn",
            read_origin=f"{_HERE}.tinyshakespeare:read_origin",
            origin=(
                DataFile(
                    path="tinyshakespeare/input.txt",
                    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    url=f"{CHAR_RNN}/input.txt",
                ),
            ),
        ),
        Entry(
            name="digits-multimodal",
            title="Simulated: a rotating, zooming digit and 40 Poisson units share latents; the truth is known",
            kind="recording",
            licence="BSD-3-Clause (made by this package from scikit-learn's digits)",
            citation="After the simulation of Gondur, Sikandar, Schaffer, Aoi, Keeley, ICLR (2024)",
            read=f"{_HERE}.digits_multimodal:read",
        ),
    )
}
