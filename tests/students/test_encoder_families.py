"""Every encoder family of the README trains with term control and leaves a folder of standard names."""

from collections.abc import Callable

import pytest
import torch
from safetensors import safe_open
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from students import StudentError
from students.encoder import EncoderSettings, load_encoder, train_encoder
from students.losses import ranknet
from students.objectives import TermControlObjective
from students.scoring import Reranker
from students.term_matching import TermMatcher
from students.training import as_cross_encoder
from tests.students.conftest import learned_layer

TEXTS = ["the w1", "w1 the w2 w41", "w21 w22 w40 w50", *(f"w{number} w{number + 1} the" for number in range(64))]
POSITIONS = 40


def wordpiece(names: list[str]) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.WordPiece(unk_token=names[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer, trainers.WordPieceTrainer(vocab_size=120, special_tokens=names, show_progress=False)


def byte_level(names: list[str]) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(
        vocab_size=330, special_tokens=names, initial_alphabet=alphabet, show_progress=False
    )


def unigram(names: list[str]) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer, trainers.UnigramTrainer(
        vocab_size=120, special_tokens=names, unk_token=names[3], show_progress=False
    )


BERT_NAMES = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
ROBERTA_NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_PAIR, ROBERTA_PAIR = "[CLS] $A [SEP] $B:1 [SEP]:1", "<s> $A </s> </s> $B </s>"
DEBERTA_V3 = {
    "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "max_relative_positions": -1, "type_vocab_size": 0,
}  # fmt: skip

Family = tuple[str, Callable, list[str], str, dict]
FAMILIES: dict[str, Family] = {
    "BERT": ("bert", wordpiece, BERT_NAMES, BERT_PAIR, {}),
    "RoBERTa": ("roberta", byte_level, ROBERTA_NAMES, ROBERTA_PAIR, {"type_vocab_size": 1}),
    "XLM-R": ("xlm-roberta", unigram, ROBERTA_NAMES, ROBERTA_PAIR, {"type_vocab_size": 1}),
    "DeBERTa-v2": ("deberta-v2", wordpiece, BERT_NAMES, BERT_PAIR, {"type_vocab_size": 2}),
    "DeBERTa-v3": ("deberta-v2", unigram, BERT_NAMES, BERT_PAIR, DEBERTA_V3),
    "ModernBERT": ("modernbert", byte_level, BERT_NAMES, "[CLS] $A [SEP] $B [SEP]", {"classifier_pooling": "mean"}),
}


@pytest.fixture(scope="module", params=FAMILIES)
def start(request, tmp_path_factory) -> str:
    model_type, build, names, pair, extra = FAMILIES[request.param]
    tokenizer, trainer = build(names)
    tokenizer.train_from_iterator(TEXTS, trainer)
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    single = pair.partition(" $B")[0].replace("</s> </s>", "</s>")
    tokenizer.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    first, pad, last = (names[0], names[1], names[2]) if names is ROBERTA_NAMES else (names[1], names[0], names[2])
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if ":1" in pair else ["input_ids", "attention_mask"]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=first, pad_token=pad, sep_token=last, unk_token=names[3],
        mask_token=names[4], model_input_names=inputs,
    )  # fmt: skip
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        model_type, vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=POSITIONS, num_labels=1, pad_token_id=fast.pad_token_id,
        bos_token_id=fast.cls_token_id, eos_token_id=fast.sep_token_id, cls_token_id=fast.cls_token_id,
        sep_token_id=fast.sep_token_id, initializer_range=0.3, **extra,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("families") / model_type
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return str(folder)


def test_a_trained_folder_holds_standard_names_and_scores_alike_elsewhere(start, lists, tmp_path):
    trainer = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
    settings = EncoderSettings(max_tokens=24, precision="fp32", trainer=trainer)
    out = tmp_path / "student"
    assert train_encoder(start, lists, [], settings, out).steps == 2

    with safe_open(out / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
    assert names == set(AutoModelForSequenceClassification.from_pretrained(out).state_dict())
    assert not any("layer.layer" in name or "objective" in name for name in names)

    documents = ["w1 w2 the w41", "w9", "w5 w6 w7 w8 " * 10]
    ours = Reranker.load(out).score_pairs("the w1", documents)
    theirs = CrossEncoder(str(out)).predict([("the w1", document) for document in documents])
    assert ours == pytest.approx(theirs.tolist(), abs=1e-5)
    assert len({round(score, 4) for score in ours}) > 1


def test_gradients_reach_the_encoder_through_the_layer_alone(start):
    torch.manual_seed(0)
    model = as_cross_encoder(*load_encoder(start, 24))
    selection = TermMatcher(model.tokenizer, "english")
    objective = TermControlObjective(model, ranknet, learned_layer(32, 4, 64), 1.0, selection)
    inputs, labels = [["the w1"], [["w1 the w2 w41", "w21 w22 w40 w50", "w1"]]], [torch.tensor([2.0, 0.0, 1.0])]
    objective(inputs, labels)["term_control"].backward()
    gradients = {
        name: parameter.grad.abs().sum().item()
        for name, parameter in model.transformers_model.named_parameters()
        if parameter.grad is not None
    }
    assert any(value > 0 for name, value in gradients.items() if "layers.0." in name or "layer.0." in name)
    assert any(value > 0 for name, value in gradients.items() if "classifier" in name)


def test_a_pair_longer_than_the_model_s_positions_is_refused_and_one_as_long_is_read(start):
    with pytest.raises(StudentError, match=f"max_tokens is {POSITIONS + 1}, but .* reads at most"):
        load_encoder(start, POSITIONS + 1)
    limit = POSITIONS - 2 if "roberta" in start else POSITIONS
    model, tokenizer = load_encoder(start, limit)
    assert isinstance(Reranker(model, tokenizer).score_pairs("w1", ["w1 w2 " * 100])[0], float)
    if limit < POSITIONS:
        with pytest.raises(StudentError, match=f"reads at most {limit} tokens"):
            load_encoder(start, limit + 1)
