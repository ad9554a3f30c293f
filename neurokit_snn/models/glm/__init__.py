"""Poisson generalised linear models of a population: tuning, history, coupling."""

from __future__ import annotations

from neurokit_snn.models.glm.model import GLM

__all__ = ["GLM"]
