"""The picture's lines, read back from the history of a training."""

import json
import struct

from distill.report.training_curves import curves, write_curves, write_history

HISTORY = [
    {"loss": 0.7, "base": 0.5, "term_control": 0.2, "grad_norm": 1.0, "learning_rate": 0.1, "epoch": 0.5, "step": 5},
    {"eval_dev_ndcg": 0.61, "epoch": 1.0, "step": 10},
    {"loss": 0.4, "base": 0.3, "term_control": 0.1, "grad_norm": 0.5, "learning_rate": 0.1, "epoch": 1.0, "step": 10},
    {"eval_dev_ndcg": 0.58, "epoch": 2.0, "step": 20},
    {"train_runtime": 3.0, "train_loss": 0.55, "epoch": 2.0, "step": 20},
]


def test_each_logged_loss_and_the_dev_figure_is_a_curve():
    assert curves(HISTORY) == {
        "loss": [(5, 0.7), (10, 0.4)],
        "base": [(5, 0.5), (10, 0.3)],
        "term_control": [(5, 0.2), (10, 0.1)],
        "eval_dev_ndcg": [(10, 0.61), (20, 0.58)],
    }


def size(path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


def test_the_picture_has_a_panel_more_with_dev_lists(tmp_path):
    write_curves(HISTORY, "both", tmp_path / "both.png")
    write_curves([entry for entry in HISTORY if "loss" in entry], "loss", tmp_path / "loss.png")
    write_curves([], "nothing", tmp_path / "nothing.png")
    assert size(tmp_path / "both.png")[1] > size(tmp_path / "loss.png")[1] == size(tmp_path / "nothing.png")[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["both.png", "loss.png", "nothing.png"]


def test_the_averaged_weights_of_a_soup_are_a_point_of_their_own(tmp_path):
    history = [*HISTORY, {"step": 40, "soup_dev_ndcg": 0.64}]
    assert curves(history) == curves(HISTORY) | {"soup_dev_ndcg": [(40, 0.64)]}
    write_curves(HISTORY, "one", tmp_path / "one.png")
    write_curves(history, "one", tmp_path / "soup.png")
    assert size(tmp_path / "one.png") == size(tmp_path / "soup.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "soup.png").read_bytes()


def test_the_picture_bears_its_title(tmp_path):
    for title in ("one", "two"):
        write_curves(HISTORY, title, tmp_path / f"{title}.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def test_the_history_stands_beside_the_picture(tmp_path):
    write_history(HISTORY, tmp_path)
    assert json.loads((tmp_path / "history.json").read_text()) == HISTORY
    assert size(tmp_path / "curves.png")
