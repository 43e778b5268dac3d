import random

import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoConfig, AutoModelForSequenceClassification

from students import StudentError
from students.losses import LOSSES, mean_over_lists, ranknet
from students.objectives import ListObjective, TermControlObjective
from students.scoring import Reranker
from students.scoring_head import apply_scoring_head
from students.term_matching import EveryToken, TermMatcher
from tests.students.conftest import learned_layer

WORDS = [f"w{number}" for number in range(90)]
INPUTS = [["the w1", "w2 w3"], [["w1 w9", "w4 w1 w5"], ["w2", "w7 w8", "w3 w2"]]]
LABELS = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0, 2.0])]
WEIGHED = [*INPUTS, [None, None], [None, None], [0.5, 1.5]]


def term_control(start: str, weight: float = 1.0, loss=ranknet) -> TermControlObjective:
    torch.manual_seed(1)
    layer = learned_layer(32, 4, 64)
    model = CrossEncoder(start).eval()
    return TermControlObjective(model, loss, layer, weight, TermMatcher(model.tokenizer, "english"))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("pass_tokens", [1, 40, None])
def test_a_batch_of_several_passes_is_scored_in_order(spread_start, name, pass_tokens):
    chance = random.Random(0)
    queries = ["the w1", "w2 w3", "w4 the w5"]
    docs = [[" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(count)] for count in (9, 13, 8)]
    labels = [torch.tensor([chance.random() for _ in row]) for row in docs]
    model = CrossEncoder(spread_start).eval()
    scores = Reranker(model.transformers_model, model.tokenizer).score_many(list(zip(queries, docs, strict=True)))
    expected = mean_over_lists(LOSSES[name], torch.tensor([score for row in scores for score in row]), labels)
    assert min(torch.tensor(row).std() for row in scores) > 0.3
    loss = ListObjective(model, LOSSES[name], pass_tokens)([queries, docs], labels)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_no_pass_is_above_its_tokens(spread_start):
    model = CrossEncoder(spread_start).eval()
    sizes = []
    model.transformers_model.bert.encoder.register_forward_pre_hook(
        lambda module, args: sizes.append(args[0].shape[0] * args[0].shape[1])
    )
    ListObjective(model, ranknet, 20)(INPUTS, LABELS)
    # the pairs have 7, 8, 6, 7 and 7 tokens with [CLS] and twice [SEP]: 8 and 7, padded to 8, then 7 and 7, then 6
    assert sizes == [16, 14, 6]


@pytest.mark.parametrize("name", LOSSES)
def test_the_base_term_is_the_loss_of_the_model_s_own_scores(spread_start, name):
    objective = term_control(spread_start, loss=LOSSES[name])
    alone = ListObjective(objective.model, LOSSES[name])
    terms = objective(INPUTS, LABELS)
    torch.testing.assert_close(terms["base"], alone(INPUTS, LABELS))
    assert terms["term_control"].isfinite()


def test_the_weight_multiplies_the_second_term_alone(spread_start):
    whole, half = term_control(spread_start)(INPUTS, LABELS), term_control(spread_start, 0.5)(INPUTS, LABELS)
    torch.testing.assert_close(half["base"], whole["base"])
    torch.testing.assert_close(half["term_control"], whole["term_control"] / 2)


def test_the_weights_of_the_lists_multiply_both_terms(spread_start):
    objective = term_control(spread_start)
    singly = [objective([[query], [docs]], [row]) for query, docs, row in zip(*INPUTS, LABELS, strict=True)]
    weighed = objective(WEIGHED, LABELS)
    for name in ("base", "term_control"):
        torch.testing.assert_close(weighed[name], (0.5 * singly[0][name] + 1.5 * singly[1][name]) / 2)


def test_gradients_reach_the_encoder_through_the_term_control_layer(spread_start):
    objective = term_control(spread_start)
    objective(INPUTS, LABELS)["term_control"].backward()
    model = objective.model.transformers_model
    deep = model.bert.encoder.layer[0].output.dense.weight
    for parameter in (deep, model.classifier.weight, *objective.layer.parameters()):
        assert parameter.grad.abs().sum() > 0


def test_without_selection_the_layer_sees_the_whole_document(spread_start):
    objective = term_control(spread_start)
    objective.selection = EveryToken()
    model, tokenizer = objective.model.transformers_model, objective.model.tokenizer
    scores = []
    for query, documents in zip(*INPUTS, strict=True):
        for document in documents:
            encoded = tokenizer(query, document, return_tensors="pt")
            states = model.base_model(**encoded).last_hidden_state
            # the document's tokens stand between the two separators
            first, last = (encoded["input_ids"][0] == tokenizer.sep_token_id).nonzero().flatten().tolist()
            seen = torch.cat([states[:, :1], states[:, first + 1 : last]], dim=1)
            scores.append(apply_scoring_head(model, objective.layer.layer(seen)[:, :1]).view(()))
    expected = mean_over_lists(ranknet, torch.stack(scores), LABELS)
    torch.testing.assert_close(objective(INPUTS, LABELS)["term_control"], expected)


def test_a_prompt_is_refused(spread_start):
    with pytest.raises(ValueError, match="take no prompt"):
        ListObjective(CrossEncoder(spread_start), ranknet)(INPUTS, LABELS, prompt="find: ")


def test_term_control_refuses_an_unknown_family_before_training(tmp_path, encoder_tokenizer):
    config = AutoConfig.for_model(
        "squeezebert", vocab_size=100, embedding_size=32, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=32, num_labels=1, q_groups=1, k_groups=1, v_groups=1, post_attention_groups=1,
        intermediate_groups=1, output_groups=1, pad_token_id=0,
    )  # fmt: skip
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    encoder_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(StudentError, match="model type 'squeezebert'; known are albert, bert.*term_control_weight: 0"):
        term_control(str(tmp_path))
