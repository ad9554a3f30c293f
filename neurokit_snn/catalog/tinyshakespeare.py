"""Tiny Shakespeare: one text, split at nine tenths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from neurokit_snn.catalog.entries import ENTRIES

__all__ = ["read_origin"]


def read_origin(files: dict[str, Path]) -> xr.Dataset:
    """The text as code points ``character (position)``, the first 90% marked ``train``, the rest ``validation``.

    This is the split of nanoGPT, so that bits per character compare.
    """
    text = files["input.txt"].read_text(encoding="utf-8")
    code = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int32)
    n_train = int(0.9 * code.size)
    entry = ENTRIES["tinyshakespeare"]
    return xr.Dataset(
        {"character": ("position", code, {"long_name": "Unicode code point"})},
        coords={"split": ("position", np.where(np.arange(code.size) < n_train, "train", "validation"))},
        attrs={
            "licence": entry.licence,
            "citation": entry.citation,
            "source": "https://github.com/karpathy/char-rnn",
        },
    )
