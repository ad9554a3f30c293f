"""The scan of a neuron layer: compiled on the CPU and on a GPU, and in plain torch."""
