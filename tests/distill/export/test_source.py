"""What is taken from others' cross-encoders, what is changed, and what is refused with its reason."""

from __future__ import annotations

import json

import pytest
import torch
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from distill.errors import ModelError
from distill.export.folder import ExportRequest, export_model
from distill.export.model_folder import IDENTITY, SIGMOID, read_model_folder
from distill.export.pairs import BUILT_IN
from distill.export.source import open_source
from tests.distill.export.conftest import change, save_decoder, save_encoder


def export(folder, out, **options):
    export_model(open_source(str(folder), **options), ExportRequest("hf", out, BUILT_IN))
    return json.loads((out / "config.json").read_text())


@pytest.mark.parametrize("activation", [torch.nn.Sigmoid, torch.nn.Identity])
def test_a_cross_encoder_saved_by_sentence_transformers_scores_the_same_after_export(activation, tmp_path):
    theirs = CrossEncoder(str(save_encoder(tmp_path / "start")), activation_fn=activation(), device="cpu")
    theirs.save_pretrained(str(tmp_path / "theirs"))
    config = export(tmp_path / "theirs", tmp_path / "out")
    assert config["sentence_transformers"]["activation_fn"] == (SIGMOID if activation is torch.nn.Sigmoid else IDENTITY)
    assert not (tmp_path / "out" / "modules.json").exists()
    found = CrossEncoder(str(tmp_path / "out"), device="cpu").predict(list(BUILT_IN))
    assert found.tolist() == pytest.approx(theirs.predict(list(BUILT_IN)).tolist(), abs=1e-6)


def test_older_entries_and_problem_types_are_replaced(tmp_path):
    folder = save_encoder(tmp_path / "old", problem_type="regression")
    change(folder / "config.json", sbert_ce_default_activation_function=IDENTITY)
    config = export(folder, tmp_path / "out")
    assert config["sentence_transformers"] == {"activation_fn": IDENTITY, "version": "4.1.0"}
    assert not {"sbert_ce_default_activation_function", "problem_type", "_name_or_path"} & config.keys()


def test_the_activation_can_be_chosen(tmp_path):
    folder = save_encoder(tmp_path / "start")
    assert export(folder, tmp_path / "a")["sentence_transformers"]["activation_fn"] == SIGMOID  # as of old, unsaid
    chosen = export(folder, tmp_path / "b", activation="logit")
    assert chosen["sentence_transformers"]["activation_fn"] == IDENTITY


def test_a_decoder_without_a_padding_token_can_be_batched_after_export(tmp_path):
    folder = save_decoder(tmp_path / "decoder", pad=False)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="padding"):
        CrossEncoder(str(folder), device="cpu").predict(list(BUILT_IN[:2]))
    with torch.no_grad():  # one at a time it needs none
        expected = [
            float(model(**tokenizer(*pair, truncation=True, return_tensors="pt")).logits[0, 0]) for pair in BUILT_IN
        ]
    config = export(folder, tmp_path / "out", activation="logit")
    assert isinstance(config["pad_token_id"], int)
    assert CrossEncoder(str(tmp_path / "out"), device="cpu").predict(list(BUILT_IN)).tolist() == pytest.approx(
        expected, abs=1e-5
    )


def test_what_transformers_4_reads_is_written_too(tmp_path):
    config = export(save_decoder(tmp_path / "decoder"), tmp_path / "out")
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 50000.0
    tokenizer = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] != "TokenizersBackend"
    assert "extra_special_tokens" not in tokenizer or tokenizer["extra_special_tokens"]


def test_elasticsearch_finds_the_words_of_a_wordpiece_tokenizer(tmp_path):
    export(save_encoder(tmp_path / "start"), tmp_path / "out")
    words = (tmp_path / "out" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert {word: number for number, word in enumerate(words)} == tokenizer.get_vocab()


def test_shards_become_one_file(tmp_path):
    folder = save_encoder(tmp_path / "start")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    export(folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.safetensors*")] == ["model.safetensors"]


def test_scores_that_are_not_finite_are_the_model_s_fault(tmp_path):
    folder = save_encoder(tmp_path / "diverged")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.nn.init.constant_(model.classifier.bias, torch.nan)
    model.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"/diverged: 20 of 20 pairs have a score that is not finite: nan$"):
        export(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["diverged"]


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def headless(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if "classifier" not in name}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip


def with_dense(folder):
    modules = [{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]
    (folder / "modules.json").write_text(json.dumps(modules))


def index(content):
    def replace(folder):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(content)

    return replace


REFUSED = {
    "index.json: cannot be read as JSON": index("version https://git-lfs.github.com/spec/v1\n"),
    "index.json: a JSON object is expected; got list": index("[]"),
    "index.json: weight_map is not the name of a file for each tensor": index('{"weight_map": []}'),
    "index.json: names model-1-of-2.safetensors": index('{"weight_map": {"score": "model-1-of-2.safetensors"}}'),
    "modules.json: not a list of modules": lambda folder: (folder / "modules.json").write_text("3"),
    r"scores go through \['mine.Tanh'\]": lambda folder: change(
        folder / "config.json", sentence_transformers={"activation_fn": ["mine.Tanh"]}
    ),
    "weights are pickles, which run code": pickled,
    "no weights here": lambda folder: (folder / "model.safetensors").unlink(),
    "asks for custom code": lambda folder: change(folder / "config.json", auto_map={"AutoModel": "mine.Model"}),
    "an adapter; merge it": lambda folder: (folder / "adapter_config.json").write_text("{}"),
    "it is a BertModel": lambda folder: change(folder / "config.json", architectures=["BertModel"]),
    "its classifier has 2 labels": lambda folder: change(folder / "config.json", "id2label", "label2id"),
    "lack classifier": headless,
    "models.Dense besides the transformer": with_dense,
    "scores go through mine.Tanh": lambda folder: change(
        folder / "config.json", sentence_transformers={"activation_fn": "mine.Tanh"}
    ),
    "config.json: cannot be read as JSON": lambda folder: (folder / "config.json").write_text("{"),
    "no model here": lambda folder: (folder / "config.json").unlink(),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_no_server_could_run_is_refused_with_the_reason(reason, tmp_path):
    folder = save_encoder(tmp_path / "theirs")
    REFUSED[reason](folder)
    with pytest.raises(ModelError, match=reason) as caught:
        open_source(str(folder))
    assert "\n" not in str(caught.value)


def test_a_chat_template_is_refused_unless_the_pair_template_is_told(tmp_path):
    folder = save_decoder(tmp_path / "theirs")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(ModelError, match="--pair-template"):
        open_source(str(folder))
    template = "document: {document} query: {query} relevant:"
    export(folder, tmp_path / "out", pair_template=template)
    encoded = AutoTokenizer.from_pretrained(tmp_path / "out")("a kettle", "boil water")["input_ids"]
    pieces = [AutoTokenizer.from_pretrained(folder).encode(text, add_special_tokens=False)
              for text in ("document: ", "boil water", " query: ", "a kettle", " relevant:")]  # fmt: skip
    assert encoded == sum(pieces, [])
    assert read_model_folder(tmp_path / "out").tokenizer_config.get("chat_template") is None


def test_a_tokenizer_without_a_length_gets_the_model_s(tmp_path):
    folder = save_encoder(tmp_path / "theirs")
    change(folder / "tokenizer_config.json", model_max_length=10**30)
    source = open_source(str(folder))
    assert source.tokenizer.model_max_length == 64
    assert any("model_max_length was not set" in note for note in source.notes)


def test_what_is_no_folder_is_told_in_one_line(tmp_path):
    with pytest.raises(ModelError, match="no such folder; a model is a folder, or a hub id"):
        open_source(str(tmp_path / "nothing"))


def test_token_types_that_the_model_never_saw_are_taken_from_all_servers(tmp_path):
    """A tokenizer that numbers texts by type but hands no types over, as one without a class of its own does."""
    folder = save_encoder(tmp_path / "theirs")
    change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    change(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(folder)("a kettle", "boil water")
    before = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("a kettle", "boil water")
    export(folder, tmp_path / "out")
    after = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode("a kettle", "boil water")
    assert after.ids == before.ids
    assert set(before.type_ids) == {0, 1} and set(after.type_ids) == {0}
