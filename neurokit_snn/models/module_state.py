"""Weights of a torch module as a dataset and back: nothing is pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["module_state", "weights_from"]


def module_state(module: nn.Module, **attrs: Any) -> xr.Dataset:
    """Weights as variables of the names that torch gives them.

    Parameters
    ----------
    module
        Any.
    attrs
        Attributes of the dataset, such as the sizes from which the module is built again.
    """
    arrays = {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
    return xr.Dataset(
        {n: ([f"{n}|{axis}" for axis in range(v.ndim)], v) for n, v in arrays.items()}, attrs=attrs
    )


def weights_from(stored: xr.Dataset) -> dict[str, Tensor]:
    """The inverse of `module_state`, as ``load_state_dict`` wants it."""
    import torch

    return {str(n): torch.tensor(v.values) for n, v in stored.data_vars.items()}
