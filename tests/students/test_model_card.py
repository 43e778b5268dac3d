import pytest
from huggingface_hub import ModelCard

from students.encoder import EncoderSettings, train_encoder
from students.model_card import UNTOLD, Origin, licence_of

TOLD = Origin(
    base="acme/small",
    version="7",
    data={"collection": "shop\x00\nlog", "label folder": "12 lists"},
    teacher={"hash of the teacher's description": "abc123", "model": {"reference": "acme/large"}},
)


def test_the_card_says_what_the_student_is_made_of(encoder_start, lists, dev, tmp_path):
    settings = EncoderSettings(max_tokens=24, precision="fp32", loss="listnet", trainer={"num_train_epochs": 1})
    report = train_encoder(encoder_start, lists, dev, settings, tmp_path / "student", origin=TOLD)
    card = ModelCard.load(tmp_path / "student" / "README.md")
    assert card.data.pipeline_tag == "text-ranking" and card.data.library_name == "sentence-transformers"
    assert card.data.base_model is None  # a folder of ours is no hub id
    for line in (
        "- label lists: 12 (40 pairs of query and document)",
        "- label folder: 12 lists",
        "- hash of the teacher's description: abc123",
        '- model: {"reference": "acme/large"}',
        "- start model: acme/small",
        "- version of the start model: 7",
        "- licence of the start model: unknown",
        "- loss: listnet",
        f"Dev nDCG@10 {report.dev_ndcg:.4f}, the best checkpoint's, over 2 queries",
        "cut off at 24 tokens together",
        "scores of two queries do not compare",
    ):
        assert line in card.content, line
    assert str(tmp_path) not in card.content and encoder_start not in card.content


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license: mit", "mit"),
        ("license: other\nlicense_name: acme-terms", "other: acme-terms"),
        ("language: en", "unknown"),
        ("license: [broken", "unknown"),
    ],
)
def test_the_licence_is_the_one_on_the_start_model_s_card(tmp_path, head, licence):
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n# base\n")
    assert licence_of(UNTOLD, str(tmp_path)) == licence
    assert licence_of(Origin(licence="apache-2.0"), str(tmp_path)) == "apache-2.0"


def test_a_start_model_without_a_card_has_an_unknown_licence(tmp_path):
    assert licence_of(UNTOLD, str(tmp_path)) == "unknown"


def test_the_embedded_encoder_s_licence_is_known(embedded_encoder):
    assert licence_of(UNTOLD, embedded_encoder) == "apache-2.0"
