"""What simulations of turning digits and firing units are made of: latent paths, frames, spike times."""

from __future__ import annotations

import numpy as np

__all__ = ["latent_paths", "spike_trains", "turned"]


def latent_paths(
    time: np.ndarray, rng: np.random.Generator, *, trials: int, latents: int, length_scale: float
) -> np.ndarray:
    """Draw paths of Gaussian processes with an RBF kernel of unit variance.

    Parameters
    ----------
    time
        Of the bins, ``(bin,)``.
    rng
        Where the draws come from.
    trials, latents
        How many.
    length_scale
        Of the kernel ``exp(-(t - t')^2 / (2 length_scale^2))``, in the units of ``time``.

    Returns
    -------
    ndarray, (trial, bin, latent)

    Examples
    --------
    >>> import numpy as np
    >>> latent_paths(np.arange(5.0), np.random.default_rng(0), trials=2, latents=3, length_scale=2.0).shape
    (2, 5, 3)
    """
    kernel = np.exp(-0.5 * ((time[:, None] - time) / length_scale) ** 2)
    factor = np.linalg.cholesky(kernel + 1e-9 * np.eye(time.size))
    return np.einsum("ts,rsp->rtp", factor, rng.standard_normal((trials, time.size, latents)))


def turned(image: np.ndarray, angle: np.ndarray, zoom: np.ndarray, *, pixels: int) -> np.ndarray:
    """Turn and enlarge one image, by linear interpolation, black outside of it.

    Parameters
    ----------
    image
        Square, ``(y, x)``.
    angle, zoom
        Of each frame, in rad and as a factor above 0, ``(frame,)``.
    pixels
        Frames are pixels x pixels and show as much as the image does, at zoom 1.

    Returns
    -------
    ndarray, (frame, y, x), float32

    Examples
    --------
    >>> import numpy as np
    >>> turned(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([np.pi]), np.ones(1), pixels=2).round(6).tolist()
    [[[0.0, 0.0], [1.0, 0.0]]]
    """
    from scipy.ndimage import map_coordinates

    size = image.shape[0]
    line = (np.arange(pixels) - (pixels - 1) / 2) * (size / pixels)
    y, x = np.meshgrid(line, line, indexing="ij")  # (y, x) in pixels of the image, around its centre
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    scale = zoom[:, None, None]
    source_y = (cosine * y - sine * x) / scale + (size - 1) / 2
    source_x = (sine * y + cosine * x) / scale + (size - 1) / 2
    shown = map_coordinates(image, [source_y, source_x], order=1, mode="constant", cval=0.0)
    return np.asarray(shown, dtype=np.float32)


def spike_trains(
    counts: np.ndarray, edge: np.ndarray, bin_width: float, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Spike times of each unit: each count spread evenly at random over its bin, clear of the edges.

    Parameters
    ----------
    counts
        ``(trial, bin, unit)``.
    edge
        Left edges of the bins in seconds, ``(trial, bin)``.
    bin_width
        Seconds.
    rng
        Where the times come from.

    Examples
    --------
    >>> import numpy as np
    >>> trains = spike_trains(np.array([[[2], [0]]]), np.array([[0.0, 1.0]]), 1.0, np.random.default_rng(0))
    >>> trains[0].size, bool((trains[0] < 1.0).all())
    (2, True)
    """
    trains = {}
    for unit in range(counts.shape[-1]):
        of_bin = np.repeat(edge.ravel(), counts[..., unit].ravel())
        times = np.sort(of_bin + rng.uniform(0.01, 0.99, of_bin.size) * bin_width)
        trains[unit] = times
    return trains
