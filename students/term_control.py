"""The Term Control Layer: while training, a second score is read from the document tokens that match the query."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


class TermControlLayer(nn.Module):
    """One transformer layer over the classification token and the selected tokens of each pair.

    Untrained it hands the classification token through, so that the second score begins as the first: a layer of
    random weights would pull the encoder and the head that both share away from what they know.

    Args:
        hidden_size: width of the encoder's states.
        heads: attention heads; divides `hidden_size`.
        intermediate_size: width of the feed-forward part.
        dropout: probability in [0, 1), used while training.
    """

    def __init__(self, hidden_size: int, heads: int, intermediate_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            hidden_size, heads, intermediate_size, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # both of its parts add to the token's state; with nothing to add at first, the layer is the identity
        for last in (self.layer.self_attn.out_proj, self.layer.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, states: Tensor, positions: Sequence[Sequence[int]]) -> Tensor:
        """The classification token's new state, (pairs, 1, hidden).

        Args:
            states: last hidden states, (pairs, tokens, hidden), the classification token first.
            positions: the selected token positions of each pair; where there are none, the token attends to itself.
        """
        rows = [torch.tensor([0, *selected], device=states.device) for selected in positions]
        index = pad_sequence(rows, batch_first=True, padding_value=-1)
        chosen = states.gather(1, index.clamp(min=0)[:, :, None].expand(-1, -1, states.shape[-1]))
        return self.layer(chosen, src_key_padding_mask=index < 0)[:, :1]
