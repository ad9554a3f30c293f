"""MNIST in its original order, from the prepared arrays or from the published PNG files."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES
from neurokit_snn.catalog.npz import read_arrays
from neurokit_snn.errors import CatalogError

__all__ = ["read_origin", "read_prepared"]

N_TRAIN, N_TEST = 60_000, 10_000
PAYLOAD_MD5 = {"train": "6bbc9ace898e44ae57da46a324031adb", "test": "2646ac647ad5339dbf082846283269ea"}
"""MD5 of the original idx image files, header included."""

_PNG = re.compile(r"(train|test)/(\d)/(\d+)\.png$")


def read_prepared(files: dict[str, Path]) -> xr.Dataset:
    """The images and labels from ``mnist.npz``."""
    arrays = read_arrays(files["mnist.npz"], ("x_train", "y_train", "x_test", "y_test"))
    return _dataset(
        np.concatenate([arrays["x_train"], arrays["x_test"]]),
        np.concatenate([arrays["y_train"], arrays["y_test"]]),
        n_train=len(arrays["x_train"]),
    )


def read_origin(files: dict[str, Path]) -> xr.Dataset:
    """The images and labels from the archive of PNG files ``SPLIT/LABEL/INDEX.png``, INDEX running on from train to test.

    Raises
    ------
    CatalogError
        When an index is missing, or the images are not those of the original files.
    """
    images, labels, n_train = read_pngs(files["mnist-pngs.zip"])
    for split, part in (("train", images[:n_train]), ("test", images[n_train:])):
        header = np.array([2051, *part.shape], dtype=">u4").tobytes()
        found = hashlib.md5(header + part.tobytes(), usedforsecurity=False).hexdigest()
        if found != PAYLOAD_MD5[split]:
            raise CatalogError(
                f"{files['mnist-pngs.zip']}: the {split} images have MD5 {found}, the original ones "
                f"{PAYLOAD_MD5[split]}; fetch the archive again"
            )
    return _dataset(images, labels, n_train=n_train)


def read_pngs(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Images ``(image, y, x)``, labels and the number of training images of an archive of PNG files."""
    from PIL import Image  # comes with matplotlib

    found: dict[int, tuple[str, int, str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if match := _PNG.search(name):
                    found[int(match[3])] = (name, int(match[2]), match[1])
            gaps = sorted(set(range(len(found))) - set(found))
            if gaps or not found:
                first = gaps[0] if gaps else 0
                raise CatalogError(
                    f"{path}: image {first} is missing among {len(found)} PNG files; fetch the archive again"
                )
            images = np.stack(
                [np.asarray(Image.open(io.BytesIO(archive.read(found[i][0])))) for i in range(len(found))]
            )
    except zipfile.BadZipFile as error:
        raise CatalogError(f"{path}: cannot be read as .zip ({error}); fetch it again") from error
    labels = np.array([found[i][1] for i in range(len(found))], dtype=np.uint8)
    return images, labels, sum(split == "train" for _, _, split in found.values())


def _dataset(images: np.ndarray, labels: np.ndarray, *, n_train: int) -> xr.Dataset:
    entry = ENTRIES["mnist"]
    return xr.Dataset(
        {"image": (("sample", "y", "x"), images), "label": ("sample", labels.astype(np.int64))},
        coords={"split": ("sample", np.where(np.arange(len(images)) < n_train, "train", "test"))},
        attrs={
            "licence": entry.licence,
            "citation": entry.citation,
            "source": "https://github.com/rasbt/mnist-pngs",
        },
    )
