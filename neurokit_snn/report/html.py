"""The parts of the page: everything that comes from data is escaped here and nowhere else."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from neurokit_snn.report.tables import with_interval

__all__ = ["bullets", "facts", "figure", "folded", "manifest", "paragraph", "scores_table", "section"]


def section(title: str, *parts: str) -> str:
    """Make a titled section."""
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(part for part in parts if part) + "\n</section>"
    )


def paragraph(text: str, *, kind: str = "") -> str:
    """Make a paragraph, of a CSS class where ``kind`` is given."""
    return f'<p class="{escape(kind)}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """Make a list; empty for no lines."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def facts(pairs: Mapping[str, Any]) -> str:
    """Make a list of names and values; pairs with nothing to say are left out."""
    rows = "".join(
        f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in pairs.items() if v not in ("", None)
    )
    return f"<dl>{rows}</dl>"


def folded(summary: str, content: str) -> str:
    """Make a part that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def figure(png: bytes, *, width: int, height: int, caption: str, alt: str) -> str:
    """Make a figure with the picture inside the page itself."""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def manifest(content: Mapping[str, Any]) -> str:
    """Make a folded listing of JSON."""
    text = json.dumps(content, indent=2, default=str, ensure_ascii=False)
    return folded("Manifest (JSON)", f"<pre><code>{escape(text)}</code></pre>")


def scores_table(rows: pd.DataFrame, *, higher_is_better: bool) -> str:
    """Make the table of one task and metric; its columns sort on a click."""
    reference, measured = str(rows["reference"].iloc[0]), str(rows["measured_in"].iloc[0])
    heads = ("Model", measured, f"Minus {reference}, paired")
    head = "".join(f'<th scope="col"><button type="button">{escape(word)}</button></th>' for word in heads)
    body = "".join(
        f'<tr><th scope="row" data-value="{escape(str(row["model"]))}">{escape(str(row["model"]))}</th>'
        f"{_cell(row['value'], row['low'], row['high'])}"
        f"{_cell(row['diff'], row['diff_low'], row['diff_high'])}</tr>"
        for row in rows.to_dict("records")
    )
    way = "higher" if higher_is_better else "lower"
    caption = f"Held-out score ({way} is better) and paired difference, with 95% intervals."
    return (
        f'<div class="wide"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return '<td class="number" data-value="0">reference</td>'
    number, _, span = with_interval(value, low, high).partition(" ")
    return f'<td class="number" data-value="{value!r}">{number} <span class="span">{escape(span)}</span></td>'
