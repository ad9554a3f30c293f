"""Python values to strict JSON and back, without losing a type: for manifests, configurations and attributes.

JSON knows no tuple, no NaN, no NumPy scalar and no array. Each of these becomes a one-key object whose key
starts with ``$``. Nothing is ever executed or imported on the way back: the tags below are all there is.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurokit_snn.errors import ArtefactError

__all__ = ["dumps", "loads"]

_ARRAY_KINDS = "biufcU"


def dumps(value: Any, *, what: str = "value", indent: int | None = None) -> str:
    """JSON text (ASCII, strict: no ``NaN`` token) from which `loads` gives the same value back.

    Parameters
    ----------
    value
        None, bool, int, float, str, NumPy scalar or array of bool, numbers or str, and any nesting of list,
        tuple and dict of these.
    what
        Name used in the error message.
    indent
        Passed to `json.dumps`.

    Raises
    ------
    ArtefactError
        Naming the first entry that is none of the above.

    Examples
    --------
    >>> loads(dumps({"alphas": (1, 2.5), "limit": float("inf")}))
    {'alphas': (1, 2.5), 'limit': inf}
    """
    return json.dumps(_encode(value, what), indent=indent, allow_nan=False)


def loads(text: str) -> Any:
    """Inverse of `dumps`.

    Raises
    ------
    ValueError
        When the text is no JSON or holds an unknown tag.

    Examples
    --------
    >>> loads('{"$tuple": [1, {"$float": "nan"}]}')
    (1, nan)
    """
    return _decode(json.loads(text))


def _encode(value: Any, where: str) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, np.generic):
        return {"$scalar": _encode_array(np.asarray(value), where)}
    if isinstance(value, np.ndarray):
        return {"$array": _encode_array(value, where)}
    if isinstance(value, tuple):
        return {"$tuple": [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _encode(item, f"{where}[{key!r}]") for key, item in value.items()}
        pairs = [[_encode(k, f"a key of {where}"), _encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
        return {"$dict": pairs}
    raise ArtefactError(
        f"{where} is a {type(value).__name__}, which cannot be saved; "
        "use numbers, strings, arrays, lists, tuples or dicts of these"
    )


def _encode_array(array: np.ndarray, where: str) -> dict[str, Any]:
    if array.dtype == object and all(isinstance(item, str) for item in array.ravel()):
        return {"dtype": "object", "shape": list(array.shape), "strings": list(array.ravel())}
    if array.dtype.kind not in _ARRAY_KINDS:
        raise ArtefactError(
            f"{where} has dtype {array.dtype}, which cannot be saved; use numbers, bool or str"
        )
    head = {"dtype": array.dtype.str, "shape": list(array.shape)}
    if array.dtype.kind == "U":
        return head | {"strings": array.ravel().tolist()}
    # Base64 of the bytes rather than decimal numbers: NaN payloads, signed zeros and float32 survive.
    return head | {"base64": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)).startswith("$"):
        return _decode_tag(*next(iter(value.items())))
    return {key: _decode(item) for key, item in value.items()}


def _decode_tag(tag: str, body: Any) -> Any:
    if tag == "$float":
        return float(body)
    if tag == "$tuple":
        return tuple(_decode(item) for item in body)
    if tag == "$dict":
        return {_decode(key): _decode(item) for key, item in body}
    if tag == "$scalar":
        return _decode_array(body)[()]
    if tag == "$array":
        return _decode_array(body)
    raise ValueError(f"unknown tag {tag!r}")


def _decode_array(body: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(body["dtype"])
    shape = tuple(body["shape"])
    if "strings" in body:
        array = np.empty(len(body["strings"]), dtype)
        array[:] = body["strings"]
        return array.reshape(shape)
    if dtype.kind not in _ARRAY_KINDS:
        raise ValueError(f"dtype {dtype} is not allowed here")
    return np.frombuffer(base64.b64decode(body["base64"], validate=True), dtype).reshape(shape).copy()
