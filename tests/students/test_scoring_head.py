import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from students.scoring_head import HEADS, apply_scoring_head


@pytest.mark.parametrize("family", sorted(HEADS))
def test_the_head_of_the_backbone_s_states_is_the_model_s_score(family):
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=80, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        num_labels=1, pad_token_id=0, max_position_embeddings=40,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(config).eval()
    ids = torch.randint(5, 80, (3, 12))
    with torch.no_grad():
        states = model.base_model(input_ids=ids)[0]
        torch.testing.assert_close(apply_scoring_head(model, states), model(input_ids=ids).logits)
        # only the first token is read
        torch.testing.assert_close(apply_scoring_head(model, states[:, :1]), model(input_ids=ids).logits)


def test_an_unknown_family_is_named_with_the_known_ones():
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model("gpt2", vocab_size=10, n_embd=8, n_layer=1, n_head=1, num_labels=1)
    )
    with pytest.raises(ValueError, match="model type 'gpt2'; known are albert, bert, .*roberta"):
        apply_scoring_head(model, torch.zeros(1, 1, 8))
