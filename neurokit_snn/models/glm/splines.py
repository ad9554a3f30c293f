"""B-splines of one covariate axis, open or closed on itself."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.interpolate import BSpline

__all__ = ["SplineAxis"]

DEGREE = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplineAxis:
    """Cubic B-splines with evenly spaced knots over the range of one axis (de Boor 1978; `scipy.interpolate.BSpline`).

    The splines are positive, at most four differ from zero at any point, and they sum to one.

    Parameters
    ----------
    lower, upper
        Range; values beyond it are moved to its end, or wrapped around where ``circular``.
    splines
        Number of splines, at least 4.
    circular
        Whether ``upper`` is the same point as ``lower``.
    """

    lower: float
    upper: float
    splines: int
    circular: bool = False

    def columns(self, values: np.ndarray) -> np.ndarray:
        """Each spline at each value, ``(row, spline)``.

        Examples
        --------
        >>> import numpy as np
        >>> axis = SplineAxis(lower=0.0, upper=1.0, splines=5)
        >>> axis.columns(np.array([0.0, 0.5, 1.0])).sum(1).tolist()
        [1.0, 1.0, 1.0]
        """
        span = self.upper - self.lower
        if self.circular:
            step = span / self.splines
            knots = self.lower + step * np.arange(-DEGREE, self.splines + DEGREE + 1)
            inside = self.lower + np.mod(values - self.lower, span)
            inside = np.where(inside >= self.upper, self.lower, inside)  # mod can round up to the span itself
            open_ = BSpline.design_matrix(inside, knots, DEGREE).toarray()  # (row, splines + DEGREE)
            closed = open_[:, : self.splines].copy()
            closed[:, :DEGREE] += open_[:, self.splines :]
            return closed
        inner = np.linspace(self.lower, self.upper, self.splines - DEGREE + 1)
        knots = np.r_[[self.lower] * DEGREE, inner, [self.upper] * DEGREE]
        return np.asarray(
            BSpline.design_matrix(np.clip(values, self.lower, self.upper), knots, DEGREE).toarray()
        )
