"""`distill label` with a real teacher, ended in the middle in three ways: the rows must be those of an unbroken run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill.collections.beir import read_beir
from distill.collections.trec import write_run
from distill.first_stage import BM25Settings, bm25_run
from distill.recipe.settings import TeacherSection
from distill.stages.candidates import top
from distill.stages.teacher import fit_teacher
from tests.labeling.whole_folder import read_labels

# all but the times
COLUMNS = [
    "query_id", "doc_id", "score", "rank", "group", "missing", "truncated", "tokens", "list_key", "status", "teacher",
]  # fmt: skip


@pytest.fixture(scope="module")
def label_command(beir_folder, causal_folder, small_routehead, tmp_path_factory):
    """The command without its --out: 36 lists, each written as a part of its own."""
    folder = tmp_path_factory.mktemp("label")
    collection = read_beir(beir_folder)
    run = bm25_run(collection, collection.queries, 12, BM25Settings(stemmer="none", stop_words="none"))
    write_run(run, folder / "bm25.run")
    section = TeacherSection(model=str(causal_folder), routehead=small_routehead)
    fitting = top(run, list(collection.qrels["train"])[:12], 12)
    fit_teacher(collection, fitting, collection.qrels["train"], section, folder / "teacher", lambda done, total: None)
    (folder / "ids.txt").write_text("".join(f"{query_id}\n" for query_id in collection.queries))
    return [
        sys.executable, "-m", "distill", "label", "--collection", beir_folder, "--run", folder / "bm25.run",
        "--queries", folder / "ids.txt",
        "--teacher", folder / "teacher", "--candidates", "12", "--part-lists", "1",
    ]  # fmt: skip


def rows(folder):
    """Every row but for times."""
    return read_labels(folder, COLUMNS).to_pylist()


def parts(folder: Path) -> int:
    return len(list(folder.glob("part-*.parquet")))


def end_after(command, folder, count, how):
    """Starts the job and sends it the signal ``how`` once ``count`` parts are written; the parts it left."""
    job = subprocess.Popen([*command, "--out", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while parts(folder) < count and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    job.send_signal(how)
    job.wait(60)
    return parts(folder)


def test_an_interrupted_job_ends_with_the_rows_of_an_unbroken_one(label_command, tmp_path):
    subprocess.run([*label_command, "--out", tmp_path / "unbroken"], check=True, capture_output=True)
    broken = tmp_path / "broken"
    left = [
        end_after(label_command, broken, 2, signal.SIGKILL),
        end_after(label_command, broken, 12, signal.SIGINT),
        end_after(label_command, broken, 22, signal.SIGTERM),
    ]
    assert 2 <= left[0] < left[1] < left[2] < 36, left
    judged = {path: path.stat().st_mtime_ns for path in broken.glob("part-*.parquet")}
    subprocess.run([*label_command, "--out", broken], check=True, capture_output=True)
    expected = rows(tmp_path / "unbroken")
    assert len(expected) == len({(row["query_id"], row["doc_id"]) for row in expected}) > 36 * 8
    assert rows(broken) == expected
    # no list that stood on disk was judged or written again
    assert judged == {path: path.stat().st_mtime_ns for path in judged}
    assert parts(broken) == 36
