"""Layers whose synapses have delays that are learned: kernels over lags, the layer, and what it is after rounding."""
