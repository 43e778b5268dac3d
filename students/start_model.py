"""A start model as a sequence classifier with one output, its tokenizer, and how long a pair both can take."""

import logging
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from students import StudentError

logger = logging.getLogger(__name__)

# DeBERTa's own code fails in bf16 and fp16, autocast or not: it masks with fp32's lowest number (transformers 5.23)
FP32_ONLY = frozenset({"deberta"})


def read_config(start: str) -> Any:
    """The start model's configuration, with one output.

    Raises:
        StudentError: there is no such model, or it is none that transformers knows.
    """
    return _read(AutoConfig, start, num_labels=1)


def load_classifier(start: str, config: Any) -> Any:
    """The start model in fp32: its body as it was, its head new where it has another than the configuration's.

    A head of several outputs, as models that tell classes apart have it, is left behind.

    Raises:
        StudentError: the weights cannot be read, or those beside the head have other sizes than the configuration says.
    """
    model, found = _read(
        AutoModelForSequenceClassification, start, config=config, dtype="float32", ignore_mismatched_sizes=True,
        output_loading_info=True,
    )  # fmt: skip
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        if wanted[0] != 1:
            raise StudentError(f"{start}: {name} has the shape {tuple(stored)}; by its configuration {tuple(wanted)}")
        logger.warning("%s: its head %s has %d outputs; the student begins with a new one", start, name, stored[0])
    return model


def read_tokenizer(start: str) -> Any:
    """The start model's tokenizer, which pads on the right.

    Raises:
        StudentError: its files are missing or damaged, or the hub cannot be reached.
    """
    message = f"{start}: no tokenizer files that can be read; tokenizer.json or vocab.txt is needed"
    try:
        tokenizer = AutoTokenizer.from_pretrained(start)
    except OSError as error:
        raise _unreadable(start, error) from error
    except (ValueError, KeyError) as error:
        raise StudentError(message) from error
    # without files transformers makes some families' tokenizers of special tokens alone, and all texts are unknown;
    # their len() may count one of them twice
    if not tokenizer.get_vocab().keys() - {*tokenizer.all_special_tokens, "\u2581"}:
        raise StudentError(message)
    # where positions are absolute, GPT-2's and OPT's, padding on the left would move a pair by its batch
    tokenizer.padding_side = "right"
    return tokenizer


def _read(loader: Any, start: str, **settings: Any) -> Any:
    try:
        return loader.from_pretrained(start, **settings)
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(start, error) from error


def _unreadable(start: str, error: Exception) -> StudentError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return StudentError(f"model {start!r}: {first.rstrip('.')}")


def check_positions(model: Any, start: str, max_tokens: int) -> None:
    """Refuse a length that the model has no positions for.

    Raises:
        StudentError: it is longer.
    """
    limit = position_limit(model)
    if limit is not None and max_tokens > limit:
        raise StudentError(f"max_tokens is {max_tokens}, but {start} reads at most {limit} tokens")


def position_limit(model: Any) -> int | None:
    """Most tokens that the model has positions for; None where they are not numbered."""
    most: int | None = getattr(model.config, "max_position_embeddings", None)
    embeddings = getattr(model.base_model, "embeddings", None)
    # RoBERTa and its kin keep the rows up to the padding token's for padding: 514 rows are 512 positions
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return most if most is None or padding is None else most - padding - 1


def check_room(tokenizer: Any, max_tokens: int) -> None:
    """Refuse a length that leaves no token for query and document: tokenizers then do not cut pairs at all.

    Raises:
        StudentError: it leaves none for one of them.
    """
    taken = tokenizer.num_special_tokens_to_add(pair=True)
    if max_tokens < taken + 2:
        raise StudentError(
            f"max_tokens is {max_tokens}, but the template around query and document, special tokens included, takes "
            f"{taken} tokens; at least {taken + 2} is accepted"
        )
