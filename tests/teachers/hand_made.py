"""A two-layer decoder whose weights are set by hand, so that the role of each of its eight heads is known in advance.

The residual stream holds five blocks: what the token is (one-hot, TOKEN), what the token before it is (one-hot,
PREVIOUS), what comes next (one-hot, NEXT, all that the vocabulary head reads), a constant 1 (CONSTANT), and SPARE
entries that nothing reads. Embeddings fill TOKEN and CONSTANT. The MLPs add nothing.

    layer 0   0 writes the previous token's TOKEN into PREVIOUS
              1 looks where its own token stands (here and earlier): matches a query's words with a document's
              2 looks at the first token
              3 looks everywhere alike
    layer 1   0 looks at the first token
              1 looks at itself alone
              2 looks where PREVIOUS is its own token, and copies the TOKEN there into NEXT: it pastes what followed.
                From the answer's header it looks at the word that needles begin with; without a match at the first
                token
              3 looks everywhere alike

Heads without a duty write 0.1 into an entry of SPARE each. So a needle is continued by 0.0 and 1.2 alone. With 1.2
masked NEXT is empty, all logits are 0, and every token has the probability 1 / VOCABULARY exactly.

The arithmetic. RMSNorm brings a stream of squared length n to entries of size s = sqrt(HIDDEN / n), with n = 2 in layer
0 (TOKEN, CONSTANT), 3 + 3 * 0.1^2 in layer 1 (and PREVIOUS). A query entry and a key entry of size r each, at one
place, give a logit of r^2 / sqrt(DIM), so projections of sqrt(logit * sqrt(DIM)) / s give the logit that is asked for.
Rotary positions turn the pair (k, k + DIM / 2) by position * f_k with f_k = THETA ** (-2 k / DIM), here
10 ** (-0.1875 k): content is compared in pairs from 60 on, which no prompt is long enough to turn. The head for the
previous token uses this turning: its query is (1, 0) in pairs 0 to 11 and its key the same turned by f_k, so that at
distance i - j the logit is the sum of cos((i - j - 1) f_k): largest at distance 1, by 0.8 at least.
"""

from __future__ import annotations

import math

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from teachers.heads import Head
from tests.teachers.conftest import TEMPLATE

WORDS = ["<unk>", "<s>", "</s>", "needle", *(f"w{number}" for number in range(44))]
VOCABULARY, HIDDEN, DIM, HEADS, THETA = len(WORDS), 160, 256, 4, 1e24
TOKEN, PREVIOUS, NEXT = (slice(at, at + VOCABULARY) for at in (0, VOCABULARY, 2 * VOCABULARY))
CONSTANT, SPARE = 3 * VOCABULARY, 3 * VOCABULARY + 1
PREVIOUS_TOKEN, QUERY_MATCHING, COPY, ITSELF = Head(0, 0), Head(0, 1), Head(1, 2), Head(1, 1)
FIRST, UNIFORM = (Head(0, 2), Head(1, 0)), (Head(0, 3), Head(1, 3))
UNINVOLVED = (QUERY_MATCHING, ITSELF, *FIRST, *UNIFORM)

_CONTENT, _START, _SINK = 64, 60, 61  # pairs: one a word, the needle's first word, the first token
_SURE, _UNLESS_MATCHED = 40.0, 20.0  # logits: exp(-20) is 2e-9


def hand_made_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; line breaks are none. The user's turn is <s> ... </s>."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )


def hand_made_model() -> LlamaForCausalLM:
    """The model described above."""
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=8, num_hidden_layers=2, head_dim=DIM,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=512, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": THETA}, rms_norm_eps=1e-12,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.model.embed_tokens.weight[:, TOKEN] = torch.eye(VOCABULARY)
        model.model.embed_tokens.weight[:, CONSTANT] = 1.0
        model.lm_head.weight[:, NEXT] = 5.0 * torch.eye(VOCABULARY)
        first, second = (_Layer(layer, length) for layer, length in zip(model.model.layers, (2, 3.03), strict=True))
        first.looks_back(PREVIOUS_TOKEN, 1)
        first.matches(QUERY_MATCHING, TOKEN)
        second.looks_back(ITSELF, 0)
        second.matches(COPY, PREVIOUS)
        second.looks_for(COPY, _one_hot("</s>"), _one_hot("needle"), _START, _SURE)
        constant = torch.zeros(HIDDEN).index_fill(0, torch.tensor(CONSTANT), 1.0)
        second.looks_for(COPY, constant, _one_hot("<s>"), _SINK, _UNLESS_MATCHED)
        first.looks_for(FIRST[0], constant, _one_hot("<s>"), _SINK, _SURE)
        second.looks_for(FIRST[1], constant, _one_hot("<s>"), _SINK, _SURE)
        first.writes_token(PREVIOUS_TOKEN, PREVIOUS)
        second.writes_token(COPY, NEXT)
        for number, head in enumerate(UNINVOLVED):
            (first, second)[head.layer].writes_spare(head, SPARE + number)
    return model


class _Layer:
    """Sets the weights of one layer's heads; ``length`` is the squared length of the stream that it reads."""

    def __init__(self, layer, length: float) -> None:
        self.attention = layer.self_attn
        self.size = math.sqrt(HIDDEN / length)

    def looks_for(self, head: Head, query: Tensor, key: Tensor, pair: int, logit: float) -> None:
        """Tokens in the direction ``query`` (hidden,) attend to those in the direction ``key``."""
        entry = math.sqrt(logit * math.sqrt(DIM)) / self.size
        self.attention.q_proj.weight[head.index * DIM + pair] += entry * query
        self.attention.k_proj.weight[head.index * DIM + pair] += entry * key

    def matches(self, head: Head, block: slice) -> None:
        """Tokens attend to those whose ``block`` holds what they are."""
        for word in range(VOCABULARY):
            query, key = torch.zeros(HIDDEN), torch.zeros(HIDDEN)
            query[TOKEN.start + word] = key[block.start + word] = 1.0
            self.looks_for(head, query, key, _CONTENT + word, _SURE)

    def looks_back(self, head: Head, distance: int) -> None:
        """Tokens attend to the one at ``distance`` before them."""
        entry = math.sqrt(2 * _SURE * math.sqrt(DIM)) / self.size
        for pair in range(12):
            angle = distance * THETA ** (-2 * pair / DIM)
            start = head.index * DIM + pair
            self.attention.q_proj.weight[start, CONSTANT] = entry
            self.attention.k_proj.weight[start, CONSTANT] = entry * math.cos(angle)
            self.attention.k_proj.weight[start + DIM // 2, CONSTANT] = entry * math.sin(angle)

    def writes_token(self, head: Head, block: slice) -> None:
        """The TOKEN that is attended to is written into ``block``."""
        rows = slice(head.index * DIM, head.index * DIM + VOCABULARY)
        self.attention.v_proj.weight[rows, TOKEN] = torch.eye(VOCABULARY) / self.size
        self.attention.o_proj.weight[block, rows] = torch.eye(VOCABULARY)

    def writes_spare(self, head: Head, entry: int) -> None:
        """0.1 is written into one entry, wherever the head looks."""
        self.attention.v_proj.weight[head.index * DIM, CONSTANT] = 1 / self.size
        self.attention.o_proj.weight[entry, head.index * DIM] = 0.1


def _one_hot(word: str) -> Tensor:
    return torch.zeros(HIDDEN).index_fill(0, torch.tensor(TOKEN.start + WORDS.index(word)), 1.0)
