"""Files read by sentence-transformers itself: its trainer's loss on a file is the loss that its model's scores give."""

import logging

import datasets
import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import (
    BinaryCrossEntropyLoss,
    ListNetLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from labeling.exports.export import export_labels
from labeling.exports.selection import ExportSettings

Q1, BEST, REST = "w20 w21", "w3 w4 w5", ["w1 w2", "w6", "w10 w11", "w7 w8", "w9"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random cross-encoder, one token a word, without dropout; a query is told from a document by its segment."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(30))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **special).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=1, initializer_range=0.5, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return CrossEncoder(str(folder), activation_fn=torch.nn.Identity(), device="cpu")


@pytest.fixture(params=[".parquet", ".jsonl"])
def loss_of(request, folder, texts, model, tmp_path):
    """The loss of one training step, without a change of weights, over the rows of q1 in an exported file."""

    def train(form, loss, **settings):
        out = tmp_path / f"out{request.param}"
        export_labels(folder, form, out, texts, ExportSettings(**settings))
        builder = "parquet" if request.param == ".parquet" else "json"
        loaded = datasets.load_dataset(builder, data_files=str(out), split="train", cache_dir=str(tmp_path))
        dataset = loaded.filter(lambda row: row["query"] == Q1, load_from_cache_file=False)
        arguments = CrossEncoderTrainingArguments(
            output_dir=str(tmp_path / "run"), max_steps=1, learning_rate=0.0, report_to="none", save_strategy="no",
            per_device_train_batch_size=len(dataset), use_cpu=True, disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        trainer = CrossEncoderTrainer(model, arguments, train_dataset=dataset, loss=loss(model))
        return trainer.train().training_loss

    logging.disable(logging.WARNING)
    yield train
    logging.disable(logging.NOTSET)


def scores(model, documents):
    return model.predict([(Q1, document) for document in documents], convert_to_tensor=True).cpu()


def test_a_list_trains_listwise(loss_of, model):
    labels = torch.tensor([4.0, 3.0, 3.0, 2.0, 1.0, 1.0])
    expected = functional.cross_entropy(scores(model, [BEST, *REST]), labels.softmax(-1))
    assert loss_of("st-list", ListNetLoss) == pytest.approx(expected.item(), rel=1e-4)


def test_pairs_train_pointwise(loss_of, model):
    labels = torch.tensor([1.0, 0.7 / 1.1, 0.7 / 1.1, 0.0, 0.0, 0.0])
    expected = functional.binary_cross_entropy_with_logits(scores(model, [BEST, *REST]), labels)
    assert loss_of("st-pair", BinaryCrossEntropyLoss, values="unit") == pytest.approx(expected.item(), rel=1e-4)


def test_triples_train_on_the_teachers_margin(loss_of, model):
    margins = torch.tensor([0.4, 0.4, 1.1, 1.1, 1.1])
    best, *rest = scores(model, [BEST, *REST])
    expected = functional.mse_loss(best - torch.stack(rest), margins)
    found = loss_of("st-triple", MarginMSELoss, margin=True, values="scores")
    assert found == pytest.approx(expected.item(), rel=1e-4)


def test_triples_train_on_the_order_alone(loss_of, model):
    def without_others(model):
        return MultipleNegativesRankingLoss(model, num_negatives=None, scale=1.0, activation_fn=torch.nn.Identity())

    best, worse = scores(model, [BEST, REST[0]])
    found = loss_of("st-triple", without_others, max_ranked=2, max_missing=0)
    expected = functional.cross_entropy(torch.stack([best, worse])[None], torch.tensor([0]))
    assert found == pytest.approx(expected.item(), rel=1e-4)
