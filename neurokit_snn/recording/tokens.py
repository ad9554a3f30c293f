"""Binned recordings as tokens, one for each spike, and back."""

from __future__ import annotations

from neurokit_snn.recording.spike_stream import SpikeStream, Vocabulary, Windows

__all__ = ["SpikeStream", "Vocabulary", "Windows"]
