"""Networks as graphs of NIR, the exchange format of neuromorphic tools and chips, and back."""
