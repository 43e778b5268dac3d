"""How `distill labels` shows a list and the numbers of a folder; texts are data, and cannot act on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.commands.terminal import visible

if TYPE_CHECKING:
    from distill.collections.collection import Collection
    from labeling.summary import LabelSummary, Spread

LIST_COLUMNS = (
    "query_id", "query_hash", "doc_id", "doc_hash", "score", "rank", "group", "evidence_start", "evidence_end",
    "reason", "truncated", "tokens", "confidence", "note", "status", "error", "seconds", "created", "teacher",
    "list_key",
)  # fmt: skip

# Characters of a text and of an entry of the teacher's description that are shown.
_SNIPPET, _LONGEST = 80, 300


def show_list(console: Console, rows: Sequence[Mapping[str, Any]], collection: Collection | None) -> None:
    """One list as a table, best document first; a failed one with its error."""
    first = rows[0]
    _print_query(console, first, collection)
    if first["status"] == "failed":
        console.print(visible(f"failed: {first['error']}"), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(title_justify="left")
    for column in ("rank", "score"):
        table.add_column(column, justify="right")
    table.add_column("group")
    table.add_column("document", overflow="fold")
    table.add_column("cut off", justify="right")
    reasons = any(row["reason"] for row in rows)
    if reasons:
        table.add_column("reason", overflow="fold")
    if collection is not None:
        table.add_column("evidence, else the beginning", overflow="fold")
    for row in sorted(rows, key=lambda row: row["rank"]):
        cells = [str(row["rank"]), f"{row['score']:.4f}", row["group"], visible(row["doc_id"])]
        cells.append(str(row["truncated"]) if row["truncated"] else "")
        cells += [visible(row["reason"] or "")] if reasons else []
        cells += [_snippet(row, collection)] if collection is not None else []
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _print_query(console: Console, first: Mapping[str, Any], collection: Collection | None) -> None:
    text = "" if collection is None else collection.queries.get(first["query_id"], "not in this collection")
    lines = [f"query {first['query_id']}" + (f": {text}" if text else "")]
    confidence = "not known" if first["confidence"] is None else f"{first['confidence']:.2f}"
    tokens = "not known" if first["tokens"] is None else str(first["tokens"])
    seconds = "time not known" if first["seconds"] is None else f"{first['seconds']:.3f} s"
    written = "at an unknown time" if first["created"] is None else f"{first['created']:%F %T}"
    lines.append(f"confidence {confidence}; {seconds}; tokens {tokens}; written {written}")
    lines.append(f"teacher {first['teacher']}")
    if first["note"]:
        lines.append(f"note: {first['note']}")
    for line in lines:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def _snippet(row: Mapping[str, Any], collection: Collection | None) -> str:
    from labeling.keys import text_hash

    if collection is None or row["doc_id"] not in collection.documents:
        return "(not in this collection)"
    text = collection.text(row["doc_id"])
    if text_hash(text) != row["doc_hash"]:
        return "(another text than when it was judged)"
    start, end = row["evidence_start"] or 0, row["evidence_end"] or len(text)
    cut = text[start : min(end, start + _SNIPPET)]
    return visible(cut) + (" ..." if start + _SNIPPET < end else "")


def summary_table(title: str, summary: LabelSummary) -> Table:
    """The numbers of a label folder, a line each, and the teacher's description."""
    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column("what")
    table.add_column("number", overflow="fold")
    state = "" if summary.finished else ", the job has not finished"
    table.add_row("lists", f"{summary.lists:,}, of them failed {summary.failed:,}{state}")
    if summary.absent:
        table.add_row("in no part", f"{summary.absent:,} more lists of the job; `distill labels verify` says which")
    for kind, count in summary.errors.items():
        table.add_row("  failed by", Text(f"{visible(kind)}: {count:,}"))
    groups = ", ".join(f"{name} {count:,}" for name, count in summary.groups.items())
    table.add_row("documents", f"{summary.documents:,} ({groups})" if groups else "0")
    table.add_row("share missing", _known(summary.missing_share, ".1%"))
    table.add_row("with evidence, reason", f"{summary.with_evidence:,}, {summary.with_reason:,}")
    table.add_row("lists with a note", f"{summary.notes:,}")
    table.add_row(
        "truncated documents", f"{summary.truncated:,}, by {summary.truncated_units:,} tokens or words in all"
    )
    table.add_row("tokens read", _known(summary.tokens, ","))
    table.add_row("documents a list", _spread(summary.documents_per_list, ".0f"))
    table.add_row("confidence", _spread(summary.confidence, ".2f", summary.lists - summary.failed))
    table.add_row("seconds a list", _spread(summary.seconds_per_list, ".3f"))
    table.add_row("documents judged a second", _known(summary.documents_per_second, ",.1f"))
    table.add_row("written", f"{summary.first} to {summary.last}" if summary.first else "nothing yet")
    table.add_row("folder", f"{summary.folder_bytes:,} bytes; {_known(summary.bytes_per_row, '.0f')} bytes a row")
    table.add_row("versions", ", ".join(f"{name} {number}" for name, number in summary.versions.items()))
    table.add_row("teacher", summary.teacher)
    for name, value in summary.description.items():
        shown = value if isinstance(value, str) else json.dumps(value)
        table.add_row(Text(f"  {visible(name)}"), Text(visible(shown[:_LONGEST]) + " ..." * (len(shown) > _LONGEST)))
    if summary.earlier_teachers:
        table.add_row("earlier teachers", f"{summary.earlier_teachers}; their rows are not read")
    return table


def _known(value: float | None, form: str) -> str:
    return "not known" if value is None else f"{value:{form}}"


def _spread(spread: Spread | None, form: str, lists: int | None = None) -> str:
    if spread is None:
        return "not known"
    known = "" if lists is None else f"; known of {spread.known:,} of {lists:,} lists"
    middle = f"median {spread.median:{form}}, mean {spread.mean:{form}}"
    return f"{middle}; 5 % below {spread.low:{form}}, 5 % above {spread.high:{form}}{known}"
