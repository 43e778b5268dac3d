"""A collection made of documents and a query log: its queries are the log's tail, and nobody has judged them."""

from __future__ import annotations

from pathlib import Path

from distill.collections.beir import read_documents, read_query_rows, write_beir
from distill.collections.collection import Collection
from distill.recipe.sources import LogCollection
from labeling.tail import from_log
from labeling.tail.query_log import LogColumns, LogReport
from labeling.tail.report import TailReport
from labeling.tail.settings import TailSettings

TAIL = "tail"
WHOLE_LOG = TailSettings(head_share=0)


def make_logged(
    section: LogCollection, tail: TailSettings | None, folder: Path, beir: Path
) -> tuple[LogReport, TailReport]:
    """Write the documents and the log's tail as a BEIR folder without judgments.

    Args:
        section: where documents and log are.
        tail: which queries of the log; None for all of them.
        folder: gets ``tail/`` with the tail's queries and the report of what was left out.
        beir: the BEIR folder.

    Raises:
        DataError: the documents cannot be read.
        LabelingError: the log cannot be read, or lacks what ``tail`` needs.
    """
    # read first: a corpus that is not there is known before hours of reading a log
    documents = read_documents(section.corpus)
    columns = LogColumns(**section.columns.model_dump())
    (folder / TAIL).mkdir(exist_ok=True)
    read, report = from_log.write_tail_queries(section.log, columns, tail or WHOLE_LOG, folder / TAIL)
    queries, metadata = read_query_rows(folder / TAIL / from_log.QUERIES)
    write_beir(Collection(beir.name, documents, queries, {}, metadata), beir)
    return read, report
