"""What a label folder holds, in numbers: what a team looks at before it trains on labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from labeling.parts import part_paths
from labeling.reading import LabelReader

_COLUMNS = (
    "list_key", "position", "group", "missing", "truncated", "tokens", "confidence", "note", "reason", "evidence_start",
    "status", "error", "seconds", "created",
)  # fmt: skip


class Spread(BaseModel):
    """How a number is spread over the lists that have it."""

    known: int = Field(description="lists that have it")
    mean: float
    low: float = Field(description="5th percentile")
    median: float
    high: float = Field(description="95th percentile")


class LabelSummary(BaseModel):
    """The numbers of a label folder; shares are in [0, 1], sizes in bytes, times in seconds."""

    finished: bool
    lists: int
    absent: int = Field(description="lists of the finished job that stand in no part any more")
    failed: int
    errors: dict[str, int] = Field(description="failed lists by the kind of their error")
    documents: int
    groups: dict[str, int]
    missing_share: float | None = Field(description="of the documents of which it is known; None: of none")
    notes: int = Field(description="lists whose answer was odd and used nevertheless")
    with_evidence: int
    with_reason: int
    truncated: int = Field(description="documents that were cut")
    truncated_units: int = Field(description="tokens or words cut off in all")
    tokens: int | None = Field(description="tokens read over all lists; None: not known")
    documents_per_list: Spread | None
    confidence: Spread | None
    seconds_per_list: Spread | None
    documents_per_second: float | None = Field(description="documents over seconds inside the judge")
    first: str | None = Field(description="when the first and the last list were written")
    last: str | None
    folder_bytes: int
    bytes_per_row: float | None = Field(description="size of all parts over all their rows")
    teacher: str
    description: dict[str, Any] = Field(description="the teacher's")
    earlier_teachers: int = Field(description="of which rows may stand in the parts; they are not read")
    versions: dict[str, str]


def summarize_labels(folder: Path) -> LabelSummary:
    """The numbers of a label folder, read part by part; of an unfinished one those of the lists so far.

    Raises:
        LabelingError: the folder holds no labels, or a file of it cannot be read.
    """
    reader = LabelReader(folder, unfinished=True)
    heads, groups, totals = _scan(reader)
    labelled = heads.filter(pc.equal(heads["status"], "ok"))
    failed = heads.filter(pc.equal(heads["status"], "failed"))
    judge_seconds = pc.sum(labelled["seconds"], min_count=0).as_py()
    known_missing = totals["missing_known"]
    manifest, sizes = reader.manifest, [path.stat().st_size for path in folder.iterdir() if path.is_file()]
    times = pc.min_max(heads["created"]).as_py()
    return LabelSummary(
        finished=reader.finished,
        lists=heads.num_rows,
        absent=len(reader.keys) - heads.num_rows,
        failed=failed.num_rows,
        errors=dict(Counter((error or "").partition(":")[0] for error in failed["error"].to_pylist()).most_common()),
        documents=totals["documents"],
        groups=dict(groups.most_common()),
        missing_share=groups["missing"] / known_missing if known_missing else None,
        notes=labelled.num_rows - labelled["note"].null_count,
        with_evidence=totals["evidence"],
        with_reason=totals["reason"],
        truncated=totals["truncated"],
        truncated_units=totals["truncated_units"],
        tokens=pc.sum(labelled["tokens"]).as_py(),
        documents_per_list=_spread(labelled["rows"]),
        confidence=_spread(labelled["confidence"]),
        seconds_per_list=_spread(labelled["seconds"]),
        documents_per_second=totals["documents"] / judge_seconds if judge_seconds else None,
        first=times["min"] and times["min"].isoformat(timespec="seconds"),
        last=times["max"] and times["max"].isoformat(timespec="seconds"),
        folder_bytes=sum(sizes),
        bytes_per_row=_bytes_per_row(folder),
        teacher=manifest["teacher"],
        description=manifest["teachers"].get(manifest["teacher"], {}),
        earlier_teachers=len(manifest["teachers"].keys() - {manifest["teacher"]}),
        versions=manifest.get("versions", {}),
    )


def _scan(reader: LabelReader) -> tuple[pa.Table, Counter[str], Counter[str]]:
    """The first row of each list with the number of its ``rows``, documents by group, and sums over documents."""
    groups: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    heads = [_heads(table) for table in _tables(reader, groups, totals)]
    return pa.concat_tables(heads), groups, totals


def _tables(reader: LabelReader, groups: Counter[str], totals: Counter[str]) -> Iterator[pa.Table]:
    """Each part's rows, counted on the way; an empty table first, so that there is one."""
    yield _EMPTY
    for table in reader.tables(_COLUMNS):
        documents = table.filter(pc.equal(table["status"], "ok"))
        for entry in pc.value_counts(documents["group"]).to_pylist():
            groups[entry["values"]] += entry["counts"]
        totals["documents"] += documents.num_rows
        totals["missing_known"] += documents.num_rows - documents["missing"].null_count
        totals["evidence"] += documents.num_rows - documents["evidence_start"].null_count
        totals["reason"] += documents.num_rows - documents["reason"].null_count
        totals["truncated"] += pc.sum(pc.greater(documents["truncated"], 0), min_count=0).as_py()
        totals["truncated_units"] += pc.sum(documents["truncated"], min_count=0).as_py()
        yield table


_EMPTY = pa.schema(
    [
        ("list_key", pa.string()), ("status", pa.string()), ("error", pa.string()), ("seconds", pa.float64()),
        ("created", pa.timestamp("us", tz="UTC")), ("tokens", pa.int32()), ("confidence", pa.float64()),
        ("note", pa.string()),
    ]
).empty_table()  # fmt: skip


def _heads(table: pa.Table) -> pa.Table:
    names = ["status", "error", "seconds", "created", "tokens", "confidence", "note"]
    of_list = table.group_by("list_key", use_threads=False).aggregate(
        [*((name, "first") for name in names), ([], "count_all")]
    )
    return of_list.rename_columns({f"{name}_first": name for name in names} | {"count_all": "rows"}).drop("list_key")


def _spread(column: pa.ChunkedArray) -> Spread | None:
    values = column.drop_null().to_numpy()
    if not len(values):
        return None
    low, median, high = np.percentile(values, [5, 50, 95])
    return Spread(known=len(values), mean=float(values.mean()), low=float(low), median=float(median), high=float(high))


def _bytes_per_row(folder: Path) -> float | None:
    paths = part_paths(folder)
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    return sum(path.stat().st_size for path in paths) / rows if rows else None
