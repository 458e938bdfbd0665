"""A network with a head that computes V numbers for a token, run only at the tokens that are asked for.

With a vocabulary of 250,000 the head takes most of the time and memory, and words are asked for at few tokens.
"""

import threading

import torch
from torch import nn

from ..codec.modules import share_weights


class AtPlaces:
    """A network whose head gets only some of its body's outputs; others may use the network itself at the same time."""

    def __init__(self, network: nn.Module):
        self.network = share_weights(network)  # a copy, whose parameters and buffers are the network's
        self._rows = self._columns = None
        self._lock = threading.Lock()
        if is_split(self.network):
            self.network.base_model.register_forward_hook(self._cut)

    def _cut(self, _module, _inputs, output):
        picked = output[0][self._rows, self._columns]
        if isinstance(output, tuple):
            return (picked, *output[1:])
        output[next(iter(output.keys()))] = picked
        return output

    def logits(self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """(n, P, V) at n x P places of (m, longest) padded ids, with gradients where torch records them.

        mask: 1 where there is a token. rows, columns: int64 that broadcast to (n, P), the places.
        """
        with self._lock:
            self._rows, self._columns = rows, columns
            logits = self.network(input_ids=ids, attention_mask=mask).logits
        return logits if is_split(self.network) else logits[rows, columns]


def is_split(network: nn.Module) -> bool:
    """Whether a network is made of a body and a head, so that the head can be run by itself."""
    return network.base_model is not network
