"""Which servers can load an exported folder, and why the others cannot: the one place that knows their limits.

Facts are those of each server's documentation and source, read in November 2026; docs/deploy.md has the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from distill.errors import ModelError
from distill.export.model_folder import ModelFolder

Target = Literal["hf", "onnx", "onnx-int8"]
TARGETS: tuple[Target, ...] = get_args(Target)

GRAPH_LIMIT = 2 * 1024**3
"""A graph is one protobuf message, which cannot be larger."""

# text-embeddings-inference has these as classifiers of its own; any other encoder runs there through its ONNX backend
_TEI_FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "modernbert", "deberta-v2"})
# tokenizers that eland turns into Elasticsearch's own, by the name in tokenizer_config.json
_ELASTICSEARCH_TOKENIZERS = frozenset({
    "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "MPNetTokenizer",
    "RobertaTokenizer", "XLMRobertaTokenizer", "BartTokenizer", "SqueezeBertTokenizer", "BertJapaneseTokenizer",
})  # fmt: skip
_VLLM_FAMILIES = frozenset({
    "bert", "roberta", "xlm-roberta", "modernbert", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2",
    "gemma3_text", "phi3",
})  # fmt: skip
_DECODER_BY_PAIR = "a decoder: its pair template is not [CLS] query [SEP] document [SEP]"

Reason = str | None
"""Why a server cannot run a folder; None where it can."""


@dataclass(frozen=True)
class Server:
    """One server.

    Args:
        name: for messages.
        targets: of the export, those that it reads.
        limit: why it cannot run a folder of one of these targets, None where it can.
    """

    name: str
    targets: frozenset[Target]
    limit: Callable[[ModelFolder, Target], Reason]

    def refusal(self, folder: ModelFolder, target: Target) -> Reason:
        """Why it cannot run the folder; None where it can."""
        if target not in self.targets:
            accepted = " or ".join(name for name in TARGETS if name in self.targets)
            return f"it reads --target {accepted}, not {target}"
        return self.limit(folder, target)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a server can run a folder; ``reason`` says why not, and is None where it can."""

    server: str
    reason: Reason


def verdicts(folder: ModelFolder, target: Target) -> list[Verdict]:
    """What each server makes of a folder of ``target``."""
    return [Verdict(server.name, server.refusal(folder, target)) for server in SERVERS.values()]


def refuse_impossible(folder: ModelFolder, target: Target, servers: list[str]) -> None:
    """Stop before the work where a server that the folder is meant for cannot run it.

    Raises:
        ModelError: no such server, or it cannot run the model in this form; the message says why.
    """
    for name in servers:
        if name not in SERVERS:
            raise ModelError(f"--for {name}: no such server; accepted are {', '.join(SERVERS)}")
        reason = SERVERS[name].refusal(folder, target)
        if reason is not None:
            raise ModelError(f"{folder.path}: {SERVERS[name].name} cannot run it: {reason}")


def _any(folder: ModelFolder, target: Target) -> Reason:
    return None


def _tei(folder: ModelFolder, target: Target) -> Reason:
    if folder.decoder:
        return f"a decoder ({folder.model_type}): it serves classifiers of encoders only"
    if target == "hf" and folder.model_type not in _TEI_FAMILIES:
        accepted = ", ".join(sorted(_TEI_FAMILIES))
        return f"the family {folder.model_type!r}; it has {accepted}, and others from --target onnx"
    return None


def _vllm(folder: ModelFolder, target: Target) -> Reason:
    if folder.model_type not in _VLLM_FAMILIES:
        return f"the family {folder.model_type!r}; as classifiers it has {', '.join(sorted(_VLLM_FAMILIES))}"
    return None


def _elasticsearch(folder: ModelFolder, target: Target) -> Reason:
    tokenizer = folder.tokenizer_config.get("tokenizer_class", "none")
    if folder.decoder:
        return _DECODER_BY_PAIR
    if str(tokenizer).removesuffix("Fast") not in _ELASTICSEARCH_TOKENIZERS:
        return f"the tokenizer {tokenizer}; it has its own form of {', '.join(sorted(_ELASTICSEARCH_TOKENIZERS))}"
    if "XLMRoberta" in str(tokenizer) and not (folder.path / "sentencepiece.bpe.model").is_file():
        return "no sentencepiece.bpe.model: eland reads XLM-R's tokenizer from it; put it into the model's folder"
    return _needs_own_types(folder)


def _opensearch(folder: ModelFolder, target: Target) -> Reason:
    if folder.decoder:
        return _DECODER_BY_PAIR
    return _needs_standard_pair(folder)


def _vespa(folder: ModelFolder, target: Target) -> Reason:
    if folder.decoder:
        return _DECODER_BY_PAIR
    if len(folder.pair) == 6:
        return f"the pair template {' '.join(folder.pair)}: its rank features put one separator between two texts"
    return _needs_own_types(folder)


def _needs_own_types(folder: ModelFolder) -> Reason:
    if folder.reads_token_types and not folder.tells_documents_by_type:
        return "query and document have the same token type, and it gives the document type 1"
    return _needs_standard_pair(folder)


def _needs_standard_pair(folder: ModelFolder) -> Reason:
    if folder.standard_pair:
        return None
    shown = " ".join({"$A": "query", "$B": "document"}.get(piece, piece) for piece in folder.pair)
    return f"the pair template {shown}; it builds [CLS] query [SEP] document [SEP]"


SERVERS: dict[str, Server] = {
    "sentence-transformers": Server("sentence-transformers", frozenset({"hf", "onnx"}), _any),
    "vllm": Server("vLLM", frozenset({"hf", "onnx"}), _vllm),
    "tei": Server("text-embeddings-inference", frozenset({"hf", "onnx", "onnx-int8"}), _tei),
    # its ONNX engine hands no token types over, so BERT graphs score wrongly there
    "infinity": Server("infinity", frozenset({"hf", "onnx"}), _any),
    "onnxruntime": Server("ONNX Runtime", frozenset({"onnx", "onnx-int8"}), _any),
    "elasticsearch": Server("Elasticsearch (eland)", frozenset({"hf", "onnx"}), _elasticsearch),
    "opensearch": Server("OpenSearch", frozenset({"onnx", "onnx-int8"}), _opensearch),
    "vespa": Server("Vespa", frozenset({"onnx", "onnx-int8"}), _vespa),
}
"""By the name that `--for` takes."""
