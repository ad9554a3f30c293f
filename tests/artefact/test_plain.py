"""Strict JSON that keeps Python and NumPy types."""

from __future__ import annotations

import json

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from neurokit_snn.artefact import plain
from neurokit_snn.errors import ArtefactError

_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    hnp.arrays(
        hnp.scalar_dtypes().filter(lambda t: t.kind in "biufU"), hnp.array_shapes(min_dims=0, min_side=0)
    ),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.int16, st.integers(-5, 5)),
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.dictionaries(st.integers() | st.just("$tuple"), inner, max_size=2),
    ),
    max_leaves=6,
)


@given(_values)
def test_every_type_comes_back(assert_value, value):
    text = plain.dumps(value)
    assert text.isascii()
    json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} is no JSON"))
    assert_value(plain.loads(text), value, "value")


def test_nan_payloads_survive():
    bits = np.array([0x7FF8DEADBEEF0001, 0x8000000000000000], "u8")
    assert plain.loads(plain.dumps(bits.view("f8"))).view("u8").tolist() == bits.tolist()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {2}]}, r"config\['a'\]\[1\] is a set, which cannot be saved"),
        ((b"raw",), r"config\[0\] is a bytes"),
        (np.array([1, "a", None], dtype=object), "config has dtype object"),
        ({"f": len}, "builtin_function_or_method"),
    ],
)
def test_what_has_no_json_form_is_named(value, message):
    with pytest.raises(ArtefactError, match=message):
        plain.dumps(value, what="config")


@pytest.mark.parametrize(
    "text", ['{"$import": "os"}', '{"$array": {"dtype": "O", "shape": [1], "base64": "AAAA"}}', "{"]
)
def test_unknown_tags_and_objects_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        plain.loads(text)
