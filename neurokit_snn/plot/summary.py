"""What a fitted latent-variable model found: length scales, loading norms, variance shared and private."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neurokit_snn.errors import NeurokitError
from neurokit_snn.plot._style import GREY, axes_array, label, legend, styled
from neurokit_snn.plot.latents import block_color, latent_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["length_scales", "loading_norms", "shared_variance"]

PRUNED = 0.1
"""A latent whose effect is under this share of the largest one on a modality is drawn as pruned."""

NEURAL = ("counts", "calcium")


@styled
def length_scales(
    summary: xr.Dataset, *, truth: xr.DataArray | float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the length scale that was learnt for each latent.

    Parameters
    ----------
    summary
        A model's summary: ``length_scale (latent)`` with attribute ``units``, and ``block (latent)``.
    truth
        True length scales in the same units, (latent,) with the same labels, or one number for all.
    ax
        Axes to draw in, or None for a new figure.

    Returns
    -------
    ax : Axes

    Raises
    ------
    NeurokitError
        When the variable is missing or the truth has other latents.

    Examples
    --------
    >>> import xarray as xr
    >>> scale = xr.DataArray([0.8, 0.4], dims="latent", coords={"latent": ["neural 0", "shared 0"]}, attrs={"units": "s"})
    >>> length_scales(xr.Dataset({"length_scale": scale}), truth=0.5).get_xlabel()
    'length scale (s)'
    """
    scale = _variable(summary, "length_scale", ("latent",))
    if isinstance(truth, xr.DataArray) and truth["latent"].values.tolist() != scale["latent"].values.tolist():
        raise NeurokitError(
            f"truth has the latents {truth['latent'].values.tolist()}, the summary "
            f"{scale['latent'].values.tolist()}; rename those of the truth"
        )
    count = scale.sizes["latent"]
    own = ax is None
    if ax is None:
        ax = axes_array(None, 1, what="length scales", size=(4.6, 0.9 + 0.32 * count))[0]
    if truth is not None:
        values = np.broadcast_to(np.asarray(truth, dtype=float), (count,))
        ax.plot(
            values, np.arange(count), "|", color="black", markersize=13, markeredgewidth=1.4, label="true"
        )
    ax.scatter(scale.values, np.arange(count), s=28, c=_colors(scale), zorder=3, label="learnt")
    ax.set_yticks(np.arange(count), labels=latent_words(scale))
    ax.set_ylim(count - 0.5, -0.5)
    ax.set_xlim(left=0.0)
    ax.set_xlabel(label("length_scale", scale.attrs))
    if truth is not None:
        legend(np.array([ax]), own_figure=own)
    return ax


@styled
def loading_norms(summary: xr.Dataset, *, ax: Axes | Sequence[Axes] | None = None) -> np.ndarray:
    """Draw how much each latent moves each modality, so that the latents that were pruned stand out.

    Parameters
    ----------
    summary
        A model's summary: ``loading_norm (modality, latent)``, root mean square effect of one sd of the latent, in log rate
        for ``counts`` and in sd of the data for other modalities; ``block (latent)``. A latent that does not reach a
        modality (its block is private to the other kind, or its norm is NaN) is left out there.
    ax
        One Axes for each modality, or None for a new figure.

    Returns
    -------
    axes : ndarray of Axes, (modality,)
        Bars under 10% of the longest one (the dashed line) are open.

    Raises
    ------
    NeurokitError
        When the variable is missing, or ``ax`` holds another number of Axes.

    Examples
    --------
    >>> import xarray as xr
    >>> names = {"modality": ["counts"], "latent": ["neural 0", "neural 1"], "block": ("latent", ["neural"] * 2)}
    >>> norm = xr.DataArray([[0.8, 0.01]], dims=("modality", "latent"), coords=names)
    >>> loading_norms(xr.Dataset({"loading_norm": norm}))[0].get_xlabel()
    'effect of one sd of the latent (log rate)'
    """
    norm = _variable(summary, "loading_norm", ("modality", "latent"))
    modalities = [str(name) for name in norm["modality"].values.tolist()]
    across = min(len(modalities), 3)
    down = -(-len(modalities) // across)
    size = (max(4.2, 3.0 * across), (0.9 + 0.26 * norm.sizes["latent"]) * down)
    axes = axes_array(ax, len(modalities), what="loading norms", size=size, nrows=down, ncols=across)
    for one, modality in zip(axes, modalities, strict=True):
        part = norm.isel(modality=modalities.index(modality))
        part = part.isel(latent=[k for k in range(part.sizes["latent"]) if _reaches(part, k, modality)])
        place, values = np.arange(part.sizes["latent"]), part.values
        least = PRUNED * float(values.max(initial=0.0))
        colors = _colors(part)
        faces = ["white" if value < least else color for value, color in zip(values, colors, strict=True)]
        one.barh(place, values, color=faces, edgecolor=colors, height=0.6, linewidth=1.2)
        one.axvline(
            least,
            color=GREY,
            linewidth=0.9,
            linestyle="--",
            label=f"{PRUNED:.0%} of the largest; under it open",
        )
        one.set_yticks(place, labels=latent_words(part))
        one.set_ylim(max(part.sizes["latent"], 1) - 0.5, -0.5)
        one.set_xlim(left=0.0)
        unit = "log rate" if modality == "counts" else "sd"
        one.set(title=modality.replace("_", " "), xlabel=f"effect of one sd of the latent ({unit})")
    legend(axes, own_figure=ax is None)
    return axes


@styled
def shared_variance(summary: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw which share of what a model predicts of each modality comes from each block of latents.

    Parameters
    ----------
    summary
        A model's summary: ``variance (modality, part)``, shares between 0 and 1, with the blocks of latents (``"neural"``,
        ``"shared"``, ``"behavior"``) as labels of the second dim, whatever its name: beside ``block (latent)`` a Dataset
        has no place for labels of a dim ``block``.
    ax
        Axes to draw in, or None for a new figure.

    Returns
    -------
    ax : Axes
        One bar a modality, cut into shared and private parts; parts of 8% or more carry their number.

    Raises
    ------
    NeurokitError
        When the variable or its labels are missing, or a share is negative.

    Examples
    --------
    >>> import xarray as xr
    >>> names = {"modality": ["counts"], "part": ["neural", "shared"]}
    >>> share = xr.DataArray([[0.7, 0.3]], dims=("modality", "part"), coords=names)
    >>> [text.get_text() for text in shared_variance(xr.Dataset({"variance": share})).texts]
    ['70%', '30%']
    """
    share, blocks = _shares(summary)
    modalities = [str(name).replace("_", " ") for name in share["modality"].values.tolist()]
    own = ax is None
    if ax is None:
        ax = axes_array(None, 1, what="shared variance", size=(5.6, 1.1 + 0.42 * len(modalities)))[0]
    place, left = np.arange(len(modalities)), np.zeros(len(modalities))
    for part, block in zip(share.values.T, blocks, strict=True):
        words = block if block == "shared" else f"{block} only"
        ax.barh(place, part, left=left, color=block_color(block), height=0.6, label=words)
        for row in np.flatnonzero(part >= 0.08):
            middle = left[row] + part[row] / 2
            ax.text(middle, row, f"{part[row]:.0%}", color="white", ha="center", va="center", fontsize=8)
        left = left + part
    ax.set_yticks(place, labels=modalities)
    ax.set_ylim(len(modalities) - 0.5, -0.5)
    ax.set_xlim(0.0, max(1.0, float(left.max())))
    ax.set_xlabel("share of the predicted variance")
    legend(np.array([ax]), own_figure=own)
    return ax


def _variable(summary: xr.Dataset, name: str, dims: tuple[str, ...]) -> xr.DataArray:
    if name not in summary:
        raise NeurokitError(f"the summary has no {name!r}; it has {', '.join(map(str, summary.data_vars))}")
    if set(summary[name].dims) != set(dims):
        raise NeurokitError(f"{name} has dims {summary[name].dims}, not {dims}")
    return summary[name].transpose(*dims)


def _shares(summary: xr.Dataset) -> tuple[xr.DataArray, list[str]]:
    """Shares (modality, part), 0 where there are none, and the block that each part stands for."""
    if (
        "variance" not in summary
        or "modality" not in summary["variance"].dims
        or summary["variance"].ndim != 2
    ):
        raise NeurokitError("the summary needs variance (modality, part), with the blocks as labels of part")
    share = summary["variance"].transpose("modality", ...).fillna(0.0)
    part = share.dims[1]
    if part not in share.indexes:
        raise NeurokitError(f"variance has no labels along {part!r}; label it with the blocks of latents")
    if bool((share < 0).any()):
        raise NeurokitError(f"variance holds the negative share {float(share.min()):.3g}; shares are 0 to 1")
    return share, [str(block) for block in share[part].values.tolist()]


def _colors(values: xr.DataArray) -> list[str]:
    if "block" not in values.coords:
        return [GREY] * values.sizes["latent"]
    return [block_color(str(block)) for block in values["block"].values.tolist()]


def _reaches(norm: xr.DataArray, index: int, modality: str) -> bool:
    """Whether a latent (by index) can move a modality at all."""
    block = str(norm["block"].values[index]) if "block" in norm.coords else ""
    private = {"neural": modality not in NEURAL, "behavior": modality in NEURAL}
    return not private.get(block, False) and bool(np.isfinite(norm.values[index]))
