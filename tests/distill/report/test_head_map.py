"""The map's cells, read back one by one."""

from distill.report.head_map import terminal_map, write_map
from teachers.heads import Head

WEIGHTS = {Head(0, 1): 1.0, Head(2, 0): -0.5, Head(2, 3): 0.01}


def test_each_cell_stands_at_its_layer_and_head():
    lines = terminal_map(WEIGHTS, 3, 4).plain.splitlines()[1:]
    cells = [line.split()[1] for line in lines]
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    # a half is the fifth of eight steps
    assert cells == ["·█··", "····", "▅··▁"]


def test_negative_heads_are_told_apart():
    shown = terminal_map(WEIGHTS, 3, 4)
    styles = {shown.plain[span.start]: str(span.style) for span in shown.spans}
    assert (styles["█"], styles["▅"]) == ("blue", "red")


def test_a_map_without_weights_is_drawn(tmp_path):
    assert "█" not in terminal_map({}, 2, 2).plain
    write_map({}, 2, 2, "none", tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 0
