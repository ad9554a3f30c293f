"""Behaviours, trial columns and stimuli as columns of numbers that a network reads: splines, and standardised pixels."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from neurokit_snn.errors import ModelError
from neurokit_snn.models.covariates import covariate_names
from neurokit_snn.models.glm.terms import Term, columns_of, learn_term
from neurokit_snn.models.modalities import (
    Modality,
    features_of,
    modalities_from,
    modalities_state,
    modality_of,
)

__all__ = ["Code"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Code:
    """How covariates become columns, as the training data say.

    A behaviour or trial column is a population of cubic splines over its range (one of so many where it is categorical), as in
    the GLM; a stimulus its standardised pixels. Columns are taken relative to their mean in training, so that 0 stands for a
    covariate that is missing.

    Parameters
    ----------
    terms
        Of behaviours and trial columns.
    frames
        Stimuli.
    mean
        Of each column in training, ``(column,)``.
    """

    terms: tuple[Term, ...]
    frames: tuple[Modality, ...]
    mean: np.ndarray

    @classmethod
    def learn(
        cls,
        data: xr.Dataset,
        names: Sequence[str] | None,
        *,
        splines: int | Mapping[str, int] | None,
        who: str,
    ) -> Code:
        """Take ranges, categories and scales from training data.

        Parameters
        ----------
        data
            Binned training data.
        names
            Behaviours and trial columns, and stimuli under ``stimulus_NAME``; None for all behaviours.
        splines
            As in the GLM.
        who
            For messages.

        Raises
        ------
        ModelError
            When a covariate is unknown, never known or never varies.
        """
        if isinstance(names, str):
            raise ModelError(f"{who}: covariates is the text {names!r}; give a tuple of names")
        wanted = covariate_names(data) if names is None else tuple(names)
        terms = [n for n in wanted if not n.startswith("stimulus_")]
        frames = [n for n in wanted if n.startswith("stimulus_")]
        bare = cls(
            terms=tuple(learn_term(data, n, by=None, splines=splines, who=who) for n in terms),
            frames=tuple(modality_of(data, n, who) for n in frames),
            mean=np.zeros(0),
        )
        columns, valid = bare._raw(data, who)
        if not valid.any():
            raise ModelError(f"{who}: no bin has all covariates ({', '.join(wanted)}); look at their masks")
        return dataclasses.replace(bare, mean=columns[valid].mean(0))

    def names(self) -> list[str]:
        """Name of each column."""
        pixels = [f"{m.name}[{i}]" for m in self.frames for i in range(m.width)]
        return [n for term in self.terms for n in term.names()] + pixels

    def columns(self, data: xr.Dataset, who: str) -> tuple[np.ndarray, np.ndarray]:
        """Columns ``(trial, time, column)`` of binned data, and the bins ``(trial, time)`` in which no covariate is missing."""
        columns, valid = self._raw(data, who)
        return np.where(np.isnan(columns), 0.0, columns - self.mean), valid

    def _raw(self, data: xr.Dataset, who: str) -> tuple[np.ndarray, np.ndarray]:
        """Columns as they are, NaN where a covariate is missing."""
        columns, valid = columns_of(data, self.terms, who=who)
        parts = [columns]
        for modality in self.frames:
            features, known = features_of(data, modality, who)
            parts.append(np.where(known[..., None], features, np.nan))
            valid = valid & known
        return np.concatenate(parts, -1), valid

    def state(self) -> xr.Dataset:
        """All of it, from which `from_state` makes the code again."""
        terms = json.dumps([term.to_json() for term in self.terms])
        return modalities_state(self.frames).assign(mean=("column", self.mean)).assign_attrs(terms=terms)

    @classmethod
    def from_state(cls, stored: xr.Dataset) -> Code:
        """The inverse of `state`."""
        return cls(
            terms=tuple(Term.from_json(term) for term in json.loads(stored.attrs["terms"])),
            frames=modalities_from(stored),
            mean=stored["mean"].values,
        )
