"""Judges that need no fit, on tiny saved models, against transformers called by hand."""

import json
import shutil

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForPreTraining,
    BertForTokenClassification,
)

from distill.errors import ModelError
from distill.stages.judges import generative_judge, pair_judge, with_reasons
from distill.stages.rankers import open_ranker
from labeling.judge import read_judgments
from teachers.generative import GenerativeSettings
from teachers.reasons import ReasonSettings

QUERY, DOCUMENTS = "word1 word2", ["word1 word3 word4", "word7 word8", "word2"]


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory, encoder_folder):
    folder = tmp_path_factory.mktemp("models") / "cross-encoder"
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(folder)
    return folder


@torch.inference_mode()
def logits(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = tokenizer([QUERY] * 3, DOCUMENTS, padding=True, return_tensors="pt")
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()(**pairs).logits[:, 0].tolist()


def test_a_cross_encoder_judges_by_its_raw_logits(classifier_folder):
    judge = pair_judge("cross_encoder", str(classifier_folder))
    answers = judge.judge(QUERY, DOCUMENTS)
    judgments = read_judgments(answers, ["a", "b", "c"], DOCUMENTS)
    assert [judgment.score for judgment in judgments] == pytest.approx(logits(classifier_folder), abs=1e-5)
    assert judge.describe()["model"]["reference"] == str(classifier_folder)


def test_a_classifier_of_several_classes_is_no_judge(tmp_path, encoder_folder):
    AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=3).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="gives 3 scores a pair; one is needed"):
        pair_judge("cross_encoder", str(tmp_path))


def test_a_bi_encoder_judges_by_its_cosines(encoder_folder):
    judge = pair_judge("bi_encoder", str(encoder_folder))
    judgments = read_judgments(judge.judge(QUERY, DOCUMENTS), ["a", "b", "c"], DOCUMENTS)
    vectors = SentenceTransformer(str(encoder_folder)).encode([QUERY, *DOCUMENTS])
    cosines = torch.nn.functional.cosine_similarity(torch.tensor(vectors[1:]), torch.tensor(vectors[:1]))
    assert [judgment.score for judgment in judgments] == pytest.approx(cosines.tolist(), abs=1e-5)
    assert judge.describe()["teacher"] == {"method": "bi_encoder"}


def test_a_model_of_the_other_kind_is_no_judge(classifier_folder, encoder_folder):
    # sentence-transformers would give each a part that it has not learned, and labels by chance
    with pytest.raises(ModelError, match=r"\(BertModel\) has no ranking head; .*; --bi-encoder takes bi-encoders"):
        pair_judge("cross_encoder", str(encoder_folder))
    with pytest.raises(ModelError, match="is a cross-encoder: --cross-encoder takes it"):
        pair_judge("bi_encoder", str(classifier_folder))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (BertForPreTraining, "BertForPreTraining"),
        (BertForTokenClassification, "BertForTokenClassification"),
        (None, "no architectures in its config.json"),
    ],
)
def test_only_a_head_that_ranks_makes_a_cross_encoder(tmp_path, encoder_folder, kind, said):
    folder = shutil.copytree(encoder_folder, tmp_path / "model")
    if kind is not None:
        kind.from_pretrained(encoder_folder, num_labels=1).save_pretrained(folder)
    else:
        config = json.loads((folder / "config.json").read_text())
        del config["architectures"]
        (folder / "config.json").write_text(json.dumps(config))
    accepted = "accepted are architectures that end in ForSequenceClassification or ForCausalLM"
    with pytest.raises(ModelError, match=rf"\({said}\) has no ranking head; {accepted}"):
        pair_judge("cross_encoder", str(folder))


def test_a_cross_encoder_of_the_hub_is_told_by_what_is_fetched(classifier_folder, pin_on_hub):
    judge = pair_judge("cross_encoder", pin_on_hub(classifier_folder))
    scores = [answer["score"] for answer in judge.judge(QUERY, DOCUMENTS)]
    assert scores == pytest.approx(logits(classifier_folder), abs=1e-5)


def test_a_causal_model_judges_by_its_yes_against_its_no(tmp_path, causal_folder):
    tokenizer = AutoTokenizer.from_pretrained(causal_folder)
    model = AutoModelForCausalLM.from_pretrained(causal_folder)
    with pytest.raises(ModelError, match="its tokenizer has no tokens 'yes' and 'no', which are scored"):
        pair_judge("cross_encoder", str(causal_folder))
    torch.manual_seed(0)
    tokenizer.add_tokens(["yes", "no"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    by_hand = []
    for document in DOCUMENTS:
        with torch.inference_mode():
            last = model.eval()(**tokenizer(QUERY, document, return_tensors="pt")).logits[0, -1]
        by_hand.append(float(last[yes] - last[no]))
    assert len(set(by_hand)) == 3
    scores = [answer["score"] for answer in pair_judge("cross_encoder", str(tmp_path)).judge(QUERY, DOCUMENTS)]
    assert scores == pytest.approx(by_hand, abs=1e-5)


def test_a_light_ranker_is_what_the_folder_holds(classifier_folder, encoder_folder):
    assert open_ranker(str(classifier_folder)).score_pairs(QUERY, DOCUMENTS) == pytest.approx(
        logits(classifier_folder), abs=1e-5
    )
    vectors = SentenceTransformer(str(encoder_folder)).encode([QUERY, *DOCUMENTS], normalize_embeddings=True)
    cosines = open_ranker(str(encoder_folder)).score_pairs(QUERY, DOCUMENTS)
    assert cosines == pytest.approx((vectors[1:] @ vectors[0]).tolist(), abs=1e-5)


def test_a_model_that_writes_gives_judgments_and_reasons(causal_folder):
    # a random model writes no order, so the instruction asks for nothing and any number counts
    judge = generative_judge(str(causal_folder), GenerativeSettings(introduction="document", instruction="relevant"))
    assert judge.describe()["model"]["reference"] == str(causal_folder)
    plain = cross_encoder_like(judge)
    reasoned = with_reasons(plain, str(causal_folder), ReasonSettings(documents=2, max_tokens=4))
    answers = reasoned.judge(QUERY, DOCUMENTS)
    reasons = [judgment.reason for judgment in read_judgments(answers, ["a", "b", "c"], DOCUMENTS)]
    assert sum(reason is not None for reason in reasons) == 2
    assert reasons[1] is None


def cross_encoder_like(judge):
    """Scores by position, under the description of another judge."""

    class ByPosition:
        def judge(self, query, documents):
            return [{"score": score} for score in (3.0, 1.0, 2.0)]

        def describe(self):
            return judge.describe()

    return ByPosition()
