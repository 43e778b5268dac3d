from itertools import product

import pytest
import torch
from sentence_transformers import CrossEncoder
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, BertTokenizer, CanineTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

from students.dataset import list_batch
from students.long_pairs import shortened_for
from students.objectives import document_scores
from students.scoring import Reranker

CORPUS = [
    "the cat sat on the mat and ran",
    "검색 결과를 다시 정렬한다",
    "Straße café naïve",
    "中文文本没有空格",
    "aaaaaaa",
]
TEXTS = {
    "short": "the cat",
    "words": "the cat sat on a Straße and ran, naïvely; " * 9,
    "a few more words": "the cat sat on a Straße and ran, naïvely; " * 9 + "the cat",
    "korean": "검색 결과를 다시 정렬한다 " * 9,
    "no white space": "中文文本没有空格" * 18,
    "base64": "aGVsbG8gd29ybGQ+/4Bz9Qk" * 9,
    "one letter": "a" * 501,
    "white space": "cat      \n\n\t  mat\u3000" * 36,
    "marks and emoji": "e\u0301a\u0308\u0323👩\u200d👧🇩🇪 ﷺﬁ" * 9,
    "special tokens": "[SEP] mat</s>the <|endoftext|>[MASK\x00 \u200f" * 9,
}


def wordpiece():
    return BertTokenizer().train_new_from_iterator(CORPUS * 3, vocab_size=300)


def byte_level():
    return Qwen2Tokenizer().train_new_from_iterator(CORPUS * 3, vocab_size=400)


def with_specials(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """As in XLM-RoBERTa: four special tokens in a pair."""
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")


def unigram(split: bool):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    special = ["<s>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 5, trainer)
    return with_specials(tokenizer)


def whole_text_bpe(bytes_too: bool):
    """As in Llama and Gemma: no words, and bytes for unknown characters, which are dropped without them."""
    pieces = ["<s>", "</s>", *([f"<0x{byte:02X}>" for byte in range(256)] if bytes_too else [])]
    pieces += [*"▁thecasonmr", "th", "the", "▁the", "at", "aa", "aaaa"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("a", "t"), ("a", "a"), ("aa", "aa")]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=bytes_too))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return with_specials(tokenizer)


def read_by_its_end():
    """Reads a beginning otherwise where the text goes on to a certain end."""
    tokenizer = whole_text_bpe(bytes_too=True)
    turned = normalizers.Replace(Regex("cat(?=.*end$)"), "mat")
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([turned, tokenizer.backend_tokenizer.normalizer])
    return tokenizer


FAMILIES = {
    "wordpiece": wordpiece,
    "byte-level": byte_level,
    "unigram": lambda: unigram(split=True),
    "unigram without words": lambda: unigram(split=False),
    "whole text with bytes": lambda: whole_text_bpe(bytes_too=True),
}
MOST_WINDOWS = 60


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_those_of_whole_texts(family):
    tokenizer = FAMILIES[family]()
    cut = 0
    for (side, max_tokens), query, document in product((("right", 32), ("left", 33)), TEXTS.values(), TEXTS.values()):
        tokenizer.truncation_side, tokenizer.model_max_length = side, max_tokens
        kept = shortened_for(tokenizer, [query], [document])
        ours, theirs = tokenizer(*kept, truncation=True), tokenizer([query], [document], truncation=True)
        assert dict(ours) == dict(theirs)
        assert side == "left" or ours.encodings[0].offsets == theirs.encodings[0].offsets
        cut += kept != ([query], [document])
    assert cut > 100


@pytest.mark.parametrize(
    ("make", "query", "document"),
    [
        # its offsets do not count what it drops, and lie before their tokens: too little would be left, or less than of
        # the shorter text
        (lambda: whole_text_bpe(bytes_too=False), ("漢字" * 15 + " the") * 100, "the " * 90),
        (lambda: whole_text_bpe(bytes_too=False), ("漢字" * 2 + " the") * 200, "the " * 90),
        (read_by_its_end, "the cat " * 60 + "end", "the " * 90),
    ],
)
def test_a_text_whose_part_is_read_otherwise_stays_whole(make, query, document):
    tokenizer = make()
    tokenizer.model_max_length = 33
    kept, whole = shortened_for(tokenizer, [query], [document]), ([query], [document])
    assert tokenizer(*kept, truncation=True)["input_ids"] == tokenizer(*whole, truncation=True)["input_ids"]


@pytest.mark.parametrize(
    ("query_words", "document_words", "read"), [(400, 401, (30, 31)), (400, 400, (30, 31)), (401, 400, (31, 30))]
)
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_longer_text_gets_the_odd_token(encoder_start, query_words, document_words, read, side):
    tokenizer = AutoTokenizer.from_pretrained(encoder_start, truncation_side=side)
    # 64 tokens, less [CLS] and twice [SEP]
    kept = shortened_for(tokenizer, ["w1 " * query_words], ["w2 " * document_words])
    (encoding,) = tokenizer(*kept, truncation=True).encodings
    assert tuple(encoding.tokens.count(word) for word in ("w1", "w2")) == read


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("times", [2, 16])
def test_windows_do_not_grow_with_the_texts(family, times):
    tokenizer = FAMILIES[family]()
    tokenizer.model_max_length = 64
    texts = [text * times for text in TEXTS.values()]
    queries, documents = map(list, zip(*((text, texts[1]) for text in texts[1:]), strict=True))
    encoded = tokenizer(*shortened_for(tokenizer, queries, documents), truncation=True)
    assert max(len(encoding.overflowing) for encoding in encoded.encodings) < MOST_WINDOWS


def test_ordinary_pairs_are_not_looked_at():
    class Unread:
        is_fast, model_max_length, truncation_side = True, 64, "right"

    pairs = ["w1 " * 42, ""], ["w2 " * 5000, "w3"]
    assert shortened_for(Unread(), *pairs) == pairs


def test_a_tokenizer_without_windows_gets_whole_texts():
    texts = ["a" * 5000]
    tokenizer = CanineTokenizer(model_max_length=64)
    assert shortened_for(tokenizer, texts, texts) == (texts, texts)


QUERY, DOCUMENT = ("".join(f"w{number % size} " for number in range(2000)) for size in (70, 90))
# one token a word: of 64 less three special ones the first 30 of the query, and 31 of the document, which is as long
SHORT = " ".join(QUERY.split()[:30]), " ".join(DOCUMENT.split()[:31])


def test_a_long_pair_is_scored_as_its_beginnings(spread_start):
    reranker = Reranker.load(spread_start)
    theirs = CrossEncoder(spread_start, activation_fn=torch.nn.Identity()).predict([SHORT, ("w1", SHORT[1])])
    assert reranker.score_pairs(QUERY, [DOCUMENT]) == pytest.approx(theirs.tolist()[:1], abs=1e-5)
    assert abs(theirs[0] - theirs[1]) > 0.01
    assert reranker.count_tokens(QUERY, [DOCUMENT]) == 64
    (encoding,) = reranker._encode([QUERY], [DOCUMENT]).encodings
    assert len(encoding.overflowing) < MOST_WINDOWS


@pytest.mark.parametrize("side", ["right", "left"])
def test_training_reads_a_long_pair_as_its_beginnings(spread_start, side):
    model = CrossEncoder(spread_start).eval()
    model.tokenizer.truncation_side = side
    read = []

    def score(batch):
        read.extend(zip(batch.pairs, batch.encodings, strict=True))
        return torch.zeros(1, len(batch.pairs))

    document_scores(model, list_batch([[QUERY], [[DOCUMENT, "w1 w2"]]]), score)
    assert sorted(len(encoding.ids) for _, encoding in read) == [64, 64]
    for pair, encoding in read:
        assert len(encoding.overflowing) < MOST_WINDOWS
        # by which term control finds words
        placed = zip(encoding.tokens, encoding.offsets, encoding.sequence_ids, strict=True)
        assert all(pair[text][start:end] == token for token, (start, end), text in placed if text is not None)
