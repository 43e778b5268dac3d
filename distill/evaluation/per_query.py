"""Every query's figures as a file that a spreadsheet or a notebook reads: one row a run and query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from distill.collections.collection import DataError
from distill.collections.files import whole_file
from distill.evaluation.run_evaluation import Evaluation
from labeling.texts import well_formed

ACCEPTED = (".csv", ".parquet")


def check_ending(path: Path) -> None:
    """Refuse a file whose ending does not tell its form.

    Raises:
        DataError: the ending is none of `ACCEPTED`.
    """
    if path.suffix not in ACCEPTED:
        raise DataError(f"{path}: ending {path.suffix!r}; {' and '.join(ACCEPTED)} are accepted")


def check_texts(evaluation: Evaluation, queries: Mapping[str, str], source: Path) -> None:
    """Refuse texts that are not those of the judged queries; ``source`` is where they were read.

    Raises:
        DataError: a judged query has no text.
    """
    lacking = [query_id for query_id in evaluation.query_ids if query_id not in queries]
    if lacking:
        count = f"{len(lacking)} of {len(evaluation.query_ids)} judged queries"
        raise DataError(f"{source}: {count} have no text here, the first is {lacking[0]!r}; give the queries judged")


def write_per_query(evaluation: Evaluation, path: Path, queries: Mapping[str, str] | None = None) -> None:
    """Write CSV or Parquet, as the ending says; a file that stands there is replaced.

    Columns: ``run``, ``query_id``, ``query`` where texts are given, ``in_run`` (false where the run lacks the query and
    its figures are what that counts), and one for each measure.

    Args:
        evaluation: what is written.
        path: the file.
        queries: texts by query id; a judged one may not be missing. U+FFFD stands for half a character.

    Raises:
        DataError: the ending is neither.
    """
    check_ending(path)
    table = _table(evaluation, queries)
    with whole_file(path) as beside:
        if path.suffix == ".csv":
            # texts in quotes, whatever they hold: a carriage return alone would end a row to some readers
            pa.csv.write_csv(table, beside, pa.csv.WriteOptions(quoting_style="needed"))
        else:
            pa.parquet.write_table(table, beside, compression="zstd")


def _table(evaluation: Evaluation, queries: Mapping[str, str] | None) -> pa.Table:
    rows = [(run, query_id) for run in evaluation.runs for query_id in evaluation.query_ids]
    missing = {run.name: frozenset(run.missing) for run in evaluation.runs}
    columns: dict[str, pa.Array] = {
        "run": pa.array([well_formed(run.name) for run, _ in rows], pa.string()),
        "query_id": pa.array([query_id for _, query_id in rows], pa.string()),
    }
    if queries is not None:
        columns["query"] = pa.array([well_formed(queries[query_id]) for _, query_id in rows], pa.string())
    columns["in_run"] = pa.array([query_id not in missing[run.name] for run, query_id in rows], pa.bool_())
    for measure in evaluation.measures:
        columns[measure] = pa.array([run.per_query[query_id][measure] for run, query_id in rows], pa.float64())
    return pa.table(columns)
