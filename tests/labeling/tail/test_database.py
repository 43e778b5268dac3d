import threading

import duckdb
import pytest

from labeling.tail.database import open_database


def interrupted(texts):
    raise KeyboardInterrupt


def test_ctrl_c_stays_one_in_a_function_of_ours(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_database(tmp_path) as database:
        database.create_function("work", interrupted, ["VARCHAR"], "VARCHAR", type="arrow")
        database.execute("SELECT work('a')")


def test_ctrl_c_stays_one_while_the_database_works(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_database(tmp_path) as database:
        threading.Timer(0.3, database.interrupt).start()
        database.execute("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b").fetchall()


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(duckdb.ParserException), open_database(tmp_path) as database:
        database.execute("SELEKT")
