"""Writes a label folder in another tool's format, list by list, and counts what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from labeling import LabelingError
from labeling.exports import judgment_files, trainer_files
from labeling.exports.selection import ExportList, ExportSettings, Texts, Values, export_list
from labeling.exports.writers import write_csv, write_jsonl, write_lines, write_parquet
from labeling.formats import LabelList, check_texts, label_lists
from labeling.parts import write_beside


@dataclass(frozen=True)
class Format:
    """How one format is made of lists.

    Attributes:
        rows: a list's rows: mappings for JSON lines and Parquet, texts for lines, sequences for CSV.
        suffixes: endings of the file that are accepted.
        texts: "all", "query" or "none": what the format holds of the collection.
        values: what values are where the settings do not say.
        schema: of the Parquet file, where there can be one.
        uses: the settings that not every format has a use for, those of them that this one has.
    """

    rows: Callable[[ExportList, ExportSettings], Iterator[Any]]
    suffixes: tuple[str, ...]
    texts: str = "all"
    values: Values = "grades"
    schema: Callable[[ExportSettings], pa.Schema] | None = None
    uses: tuple[str, ...] = ()


_TABLES = (".parquet", ".jsonl")
_TREC = (".txt", ".trec", ".qrels", ".run", ".tsv")

FORMATS: dict[str, Format] = {
    "st-list": Format(trainer_files.st_list, _TABLES, schema=lambda _: trainer_files.ST_LIST, uses=("values",)),
    "st-pair": Format(
        trainer_files.st_pair, _TABLES, schema=lambda _: trainer_files.ST_PAIR, uses=("values", "max_rows")
    ),
    "st-triple": Format(
        trainer_files.st_triple,
        _TABLES,
        schema=lambda settings: trainer_files.ST_TRIPLE_MARGIN if settings.margin else trainer_files.ST_TRIPLE,
        uses=("values", "positives", "max_rows", "margin"),
    ),
    "flagembedding": Format(
        trainer_files.flagembedding, (".jsonl",), values="scores", uses=("values", "positives", "prompt")
    ),
    "tevatron": Format(trainer_files.tevatron, (".jsonl",), uses=("values", "positives")),
    "rank_llm": Format(trainer_files.rank_llm, (".jsonl",), values="scores", uses=("values",)),
    "qrels": Format(judgment_files.qrels, _TREC, texts="none", uses=("max_grade",)),
    "run": Format(judgment_files.run, _TREC, texts="none", uses=("values",)),
    "judgments": Format(judgment_files.judgments, (".csv",), texts="query", uses=("max_grade", "details")),
}


@dataclass
class ExportReport:
    """What an export did.

    Attributes:
        lists: lists that stand in the file, with ``rows`` rows in all.
        low_confidence: lists left out because their confidence is below the least that was asked for.
        unknown_confidence: lists left out because their confidence is not known.
        without_rows: lists left out because they give no row: all values equal, or no positive or no negative.
    """

    lists: int = 0
    rows: int = 0
    low_confidence: int = 0
    unknown_confidence: int = 0
    without_rows: int = 0


def export_labels(
    folder: Path, form: str, out: Path, texts: Texts | None = None, settings: ExportSettings | None = None
) -> ExportReport:
    """Write the lists of a finished label folder to ``out``, whole or not at all; failed lists are left out.

    Args:
        folder: a label folder.
        form: a name in :data:`FORMATS`.
        out: the file; its ending tells JSON lines from Parquet where both can be. What stands there is replaced.
        texts: the collection that was labelled; may be absent where the format holds no texts.
        settings: which documents, values and rows.

    Raises:
        LabelingError: an unknown format or ending, a text that is missing or has changed since it was judged, an id
            that the format cannot carry; no list gives a row; or the folder or the file cannot be read or written.
    """
    settings = settings or ExportSettings()
    format_ = find_format(form, out, texts is not None)
    report = ExportReport()
    rows = _rows(folder, format_, texts, settings, report)

    def write(path: Path) -> None:
        if out.suffix == ".csv":
            extra = judgment_files.DETAIL_COLUMNS if settings.details else ()
            write_csv(path, rows, [*judgment_files.JUDGMENT_COLUMNS, *extra])
        elif out.suffix == ".jsonl":
            write_jsonl(path, rows)
        elif format_.schema is not None:
            write_parquet(path, rows, format_.schema(settings))
        else:
            write_lines(path, rows)
        if not report.rows:
            raise LabelingError(
                f"{folder}: no list gives a row, so {out} is not written; left out are {report.low_confidence} of low "
                f"confidence, {report.unknown_confidence} of unknown, and {report.without_rows} whose values are all "
                "equal or that have no positive or no negative"
            )

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabelingError(f"{out}: no file can be made there ({error.strerror})") from error
    write_beside(out, write)
    return report


def find_format(form: str, out: Path, with_texts: bool) -> Format:
    """The format of that name, if a file of this ending can hold it.

    Raises:
        LabelingError: an unknown name, an ending that does not go with it, or texts that it needs and are not there.
    """
    if form not in FORMATS:
        raise LabelingError(f"format {form!r}; accepted are {', '.join(FORMATS)}")
    found = FORMATS[form]
    if out.suffix not in found.suffixes:
        raise LabelingError(f"{out}: format {form} goes into a file that ends in {' or '.join(found.suffixes)}")
    if found.texts != "none" and not with_texts:
        raise LabelingError(f"format {form} holds texts, which a label folder does not; give the collection")
    return found


def refuse_useless(form: str, settings: ExportSettings) -> None:
    """Stops somebody who asks a format for what it does not hold.

    Raises:
        LabelingError: a setting is not the default, and the format has no use for it; both are named.
    """
    somewhere = {name for format_ in FORMATS.values() for name in format_.uses}
    default = ExportSettings()
    for name in sorted(somewhere.difference(FORMATS[form].uses)):
        if getattr(settings, name) != getattr(default, name):
            others = ", ".join(other for other, format_ in FORMATS.items() if name in format_.uses)
            raise LabelingError(f"format {form} has no use for {name}; it is for {others}")


def _rows(
    folder: Path, format_: Format, texts: Texts | None, settings: ExportSettings, report: ExportReport
) -> Iterator[Any]:
    for labels in label_lists(folder, settings.random, settings.seed):
        if labels.confidence is None:
            if settings.known_confidence:
                report.unknown_confidence += 1
                continue
        elif settings.min_confidence is not None and labels.confidence < settings.min_confidence:
            report.low_confidence += 1
            continue
        before = report.rows
        for row in format_.rows(_with_texts(folder, labels, format_, texts, settings), settings):
            report.rows += 1
            yield row
        report.lists += report.rows > before
        report.without_rows += report.rows == before


def _with_texts(
    folder: Path, labels: LabelList, format_: Format, texts: Texts | None, settings: ExportSettings
) -> ExportList:
    values = settings.values or format_.values
    passages = [("", "", "")] * len(labels.doc_ids)
    if texts is None or format_.texts == "none":
        return export_list(labels, "", passages, settings, values)
    query = texts.query(labels.query_id)
    if format_.texts == "all":
        passages = [texts.passage(doc_id) for doc_id in labels.doc_ids]
    check_texts(folder, labels, query, [text for text, _, _ in passages] if format_.texts == "all" else None)
    return export_list(labels, query, passages, settings, values)
