"""The start model's vocabulary head, for objectives of a sequence classifier, which has none."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import BaseModelOutputWithPast

from students import StudentError


class _GivenStates(nn.Module):
    """Stands in a causal model's backbone's place and hands on what it is given."""

    def forward(self, inputs_embeds: Tensor, **kwargs: Any) -> BaseModelOutputWithPast:
        return BaseModelOutputWithPast(last_hidden_state=inputs_embeds)


class VocabularyHead(nn.Module):
    """States (tokens, hidden) in, logits (tokens, vocab) out: a causal model's own forward pass without its layers.

    So each family's scaling and capping of logits is transformers' own. Its weights are frozen.

    Args:
        start: folder or hub id of a causal model.
        config: its configuration, cut to one layer.
        embeddings: those of the classifier that is trained; shared where the start model ties the head to its own.

    Raises:
        StudentError: the start model has no vocabulary head.
    """

    def __init__(self, start: str, config: Any, embeddings: Any) -> None:
        super().__init__()
        with torch.device("meta"):
            causal = AutoModelForCausalLM.from_config(config)
        head = causal.get_output_embeddings()
        if head.weight is causal.get_input_embeddings().weight and getattr(head, "bias", None) is None:
            # the same memory, but a parameter of its own: a setting may have the embeddings trained
            head.weight = nn.Parameter(embeddings.weight.data, requires_grad=False)
        else:
            causal = _loaded(start, config)
        setattr(causal, causal.base_model_prefix, _GivenStates())
        self.causal = causal.requires_grad_(False)

    def forward(self, states: Tensor) -> Tensor:
        """Logits (tokens, vocab) of states (tokens, hidden) that the backbone's last norm has left."""
        logits: Tensor = self.causal(inputs_embeds=states[None], use_cache=False).logits[0]
        return logits


def _loaded(start: str, config: Any) -> Any:
    loaded: Any = AutoModelForCausalLM.from_pretrained(start, config=config, dtype="float32", output_loading_info=True)
    causal, loading = loaded
    head = causal.get_output_embeddings()
    name = next(name for name, module in causal.named_modules() if module is head)
    if f"{name}.weight" in loading["missing_keys"]:
        raise StudentError(
            f"{start} has no vocabulary head, which label_weight and reason_weight need; "
            "start from the causal model, or set both to 0"
        )
    return causal


@torch.no_grad()
def reads_ahead(backbone: Any) -> bool:
    """Whether a token's state depends on the tokens behind it, as in models that attend in both directions."""
    ids = torch.arange(8, device=backbone.device)[None] % backbone.config.get_text_config().vocab_size
    training = backbone.training
    backbone.eval()
    part, whole = (backbone(input_ids=some).last_hidden_state for some in (ids[:, :4], ids))
    backbone.train(training)
    return not torch.allclose(part, whole[:, :4], rtol=1e-3, atol=1e-3)
