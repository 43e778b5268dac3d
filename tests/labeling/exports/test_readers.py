"""Files read by the trainers' own code, taken as bare wheels whose versions and hashes stand in `readers.txt`.

Without an index they are skipped; the tests of the documented schemas in `test_schemas.py` need no index.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from labeling.exports.export import export_labels
from labeling.exports.selection import ExportSettings

READERS = Path(__file__).with_name("readers.txt")


@pytest.fixture
def wheels(request, monkeypatch, tmp_path_factory):
    """The readers on the path of this test; pure Python is imported out of a wheel as it is."""
    cache = getattr(request.config, "cache", None)  # pytest may run without one
    place = Path(cache.mkdir("label-readers") if cache else tmp_path_factory.mktemp("label-readers"))
    if len(list(place.glob("*.whl"))) < 4:
        _download(place)
    for wheel in place.glob("*.whl"):
        monkeypatch.syspath_prepend(str(wheel))


def _download(place):
    options = ["--quiet", "--no-deps", "--require-hashes", "--retries", "0", "--timeout", "15"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", place, "-r", READERS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("no index to take the readers from: it did not answer in 90 s")
    if done.returncode:
        pytest.skip(f"no index to take the readers from: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


@pytest.fixture(scope="module")
def tokenizer():
    """One token a word, so that a test can read the words back."""
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[SEP]", *(f"w{i}" for i in range(30))])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", sep_token="[SEP]")


def test_flagembedding_reads_texts_with_their_scores(wheels, folder, texts, tokenizer, tmp_path):
    from FlagEmbedding.abc.finetune.reranker.AbsArguments import AbsRerankerDataArguments
    from FlagEmbedding.abc.finetune.reranker.AbsDataset import AbsRerankerTrainDataset

    export_labels(folder, "flagembedding", tmp_path / "out.jsonl", texts, ExportSettings(positives=2))
    arguments = AbsRerankerDataArguments(
        train_data=[str(tmp_path / "out.jsonl")], cache_path=str(tmp_path), train_group_size=4,
        knowledge_distillation=True,
    )  # fmt: skip
    dataset = AbsRerankerTrainDataset(arguments, tokenizer)
    # q2 and q3 have no negative below two positives; of q1 the positives are .9 and .5, all negatives have -.2
    assert len(dataset) == 1
    score = {"w3 w4 w5": 0.9, "w1 w2": 0.5, "w10 w11": -0.2, "w7 w8": -0.2, "w9": -0.2}
    for _ in range(5):
        pairs, scores = dataset[0]
        documents = [tokenizer.decode(pair["input_ids"]).removeprefix("w20 w21 ") for pair in pairs]
        assert scores == [score[document] for document in documents]
        assert scores[0] > max(scores[1:])


def test_tevatron_reads_title_and_text(wheels, folder, texts, tokenizer, tmp_path):
    from tevatron.arguments import DataArguments
    from tevatron.datasets import HFTrainDataset, TrainPreProcessor

    export_labels(folder, "tevatron", tmp_path / "out.jsonl", texts)
    arguments = DataArguments(
        dataset_name="json", train_dir=str(tmp_path), dataset_proc_num=1, passage_field_separator=" "
    )
    dataset = HFTrainDataset(tokenizer, arguments, cache_dir=str(tmp_path / "cache"))
    dataset.preprocessor = TrainPreProcessor
    first, second = dataset.process()
    assert tokenizer.decode(first["query"]) == "w20 w21"
    assert [tokenizer.decode(ids) for ids in first["positives"]] == ["w3 w4 w5"]
    assert [tokenizer.decode(ids) for ids in first["negatives"]] == ["w1 w2", "w6", "w10 w11", "w7 w8", "w9"]
    assert [tokenizer.decode(ids) for ids in second["negatives"]] == ["w13"]


def test_rank_llm_reads_its_requests(wheels, folder, texts, tmp_path):
    from rank_llm.data import read_requests_from_file

    export_labels(folder, "rank_llm", tmp_path / "out.jsonl", texts)
    first, *others = read_requests_from_file(str(tmp_path / "out.jsonl"))
    assert (first.query.qid, first.query.text) == ("q1", "w20 w21")
    assert [(entry.docid, entry.score) for entry in first.candidates] == [
        ("d2", 0.9), ("d1", 0.5), ("d3", 0.5), ("d6", -0.2), ("d4", -0.2), ("d5", -0.2),
    ]  # fmt: skip
    assert [request.query.qid for request in others] == ["q2", "q3"]
