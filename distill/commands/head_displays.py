"""How `distill teacher inspect` shows heads, their use and the words that they looked at."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.commands.terminal import visible
from distill.report.head_map import terminal_map
from distill.stages.inspection import DocumentView, Inspection

_HEADS_SHOWN = 12


def show_usage(console: Console, found: Inspection) -> None:
    """The heads that are used most, their weight by kind of query, and the layer-by-head map."""
    table = Table(
        title=f"{len(found.uses)} heads are used over {found.queries} queries; the {_HEADS_SHOWN} with the most weight",
        title_justify="left",
    )
    table.add_column("head")
    for column in ("picked", "weight", *(f"{name} ({count})" for name, count in sorted(found.slices.items()))):
        table.add_column(Text(visible(column)), justify="right")
    for use in found.uses[:_HEADS_SHOWN]:
        by_slice = (f"{use.by_slice[name]:+.3f}" for name in sorted(found.slices))
        table.add_row(str(use.head), f"{use.picked:.0%}", f"{use.weight:+.3f}", *by_slice)
    console.print(table)
    if all(use.picked == 1 and len(set(use.by_slice.values())) == 1 for use in found.uses):
        console.print("every query gets the same heads with the same weights: the teacher is static")
    console.print(terminal_map({use.head: use.weight for use in found.uses}, found.layers, found.heads_per_layer))


def show_document(console: Console, view: DocumentView) -> None:
    """One query's heads and, where a document was asked for, its text with the words looked at set off."""
    heads = list(view.heads.items())
    named = ", ".join(f"{head} {weight:+.3f}" for head, weight in heads[:_HEADS_SHOWN])
    more = f" and {len(heads) - _HEADS_SHOWN} more" if len(heads) > _HEADS_SHOWN else ""
    console.print(f"query: {visible(view.query)}", markup=False, highlight=False)
    console.print(f"heads: {named}{more}", markup=False, highlight=False)
    if view.document is None:
        return
    console.print(
        f"rank {view.rank} of {view.candidates}, score {view.score:.3f}; words by attention:", highlight=False
    )
    console.print(_coloured(view))
    top = sorted(view.tokens, key=lambda token: -token.weight)[:10]
    words = ", ".join(f"{view.document[token.start : token.end].strip()!r} {token.weight:.4f}" for token in top)
    console.print(f"most: {words}", markup=False, highlight=False)


def _coloured(view: DocumentView) -> Text:
    """The document, each token the brighter the more it was looked at; what was not read is dim."""
    # rich drops some controls and passes others on to the terminal: each is one sign here, so that places stay
    signs = (c if c.isprintable() or c in "\n\t" else " " if c.isspace() else "\ufffd" for c in view.document or "")
    shown = Text("".join(signs), style="dim")
    largest = max((token.weight for token in view.tokens), default=0.0)
    for token in view.tokens:
        share = max(0.0, token.weight) / largest if largest > 0 else 0.0
        style = "bold black on yellow" if share > 0.5 else "black on bright_white" if share > 0.15 else "not dim"
        shown.stylize(style, token.start, token.end)
    return shown
