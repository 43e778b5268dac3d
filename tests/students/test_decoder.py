import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from students import StudentError
from students.decoder import adapted, load_first_layers, load_tokenizer
from students.scoring import Reranker

TEMPLATE = "query : {query} document : {document} relevant :"


def test_the_first_layers_are_the_start_model_s(decoder_start):
    whole = AutoModelForCausalLM.from_pretrained(decoder_start).model
    cut = load_first_layers(decoder_start, 2)
    assert cut.config.num_hidden_layers == len(cut.model.layers) == 2
    ids = torch.randint(5, 90, (2, 7))
    with torch.no_grad():
        states = whole(ids, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(cut.model(ids).last_hidden_state, whole.norm(states))


def test_more_layers_than_there_are_is_refused(decoder_start):
    with pytest.raises(ValueError, match="layers is 4, but .* has 3"):
        load_first_layers(decoder_start, 4)


@pytest.mark.parametrize(
    ("targets", "layers"),
    [(["q_proj", "down_proj"], {"q_proj", "down_proj"}), (["mlp.up_proj"], {"up_proj"}), (".*k_proj", {"k_proj"})],
)
def test_adapters_are_where_the_settings_say(decoder_start, targets, layers):
    adapters = adapted(load_first_layers(decoder_start, 1), {"target_modules": targets})
    trained = {name for name, parameter in adapters.named_parameters() if parameter.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained if "lora_" in name} == layers
    assert any("score" in name for name in trained)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            ["q_proj", "nope"],
            r"^lora\.target_modules names 'nope'; the model has down_proj, gate_proj, k_proj, o_proj, ",
        ),
        (["proj"], r"^lora\.target_modules names 'proj'; the model has "),
        ("nope", "^lora: No modules were targeted for adaptation; the model has down_proj, "),
    ],
)
def test_modules_that_the_model_does_not_have_are_named(decoder_start, targets, said):
    with pytest.raises(StudentError, match=said):
        adapted(load_first_layers(decoder_start, 1), {"target_modules": targets})


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_template_token_is_scored_with_padding_on_either_side(decoder_start, side):
    """The padding token is the end token here; a document may hold it too."""
    model, tokenizer = load_first_layers(decoder_start, 2), load_tokenizer(decoder_start, 40, TEMPLATE)
    model.config.pad_token_id = tokenizer.pad_token_id
    tokenizer.padding_side = side
    documents = ["w1 [SEP] w2", "w3", "w4 w5 w6 w7 [SEP]"]
    scores = Reranker(model.eval(), tokenizer).score_pairs("w1", documents)
    for document, score in zip(documents, scores, strict=True):
        ids = torch.tensor([tokenizer("w1", document)["input_ids"]])
        with torch.no_grad():
            last = model.score(model.model(ids).last_hidden_state[0, -1])
        assert score == pytest.approx(last.item(), abs=1e-6)


def test_with_absolute_positions_a_score_does_not_hang_on_the_pair_beside_it(decoder_start, tmp_path):
    """GPT-2 counts positions from the first column, and its tokenizer here pads on the left."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(decoder_start, padding_side="left")
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes, initializer_range=0.5))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    student, its_tokenizer = load_first_layers(str(tmp_path), 2).eval(), load_tokenizer(str(tmp_path), 40, TEMPLATE)
    student.config.pad_token_id = its_tokenizer.pad_token_id
    reranker = Reranker(student, its_tokenizer)
    beside = reranker.score_pairs("w1", ["w2", "w3 w4 w5 w6 w7 w8 w9"])
    assert beside[0] == pytest.approx(reranker.score_pairs("w1", ["w2"])[0], abs=1e-5)
