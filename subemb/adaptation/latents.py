"""Codes that follow the gradient: every token of the text has a latent vector, and takes the codewords nearest to it.

A latent starts as the token's original vector. The forward pass uses codewords; the gradient passes straight through to the latent
(Bengio et al. 2013; van den Oord et al. 2017 for codebooks). Every few steps tokens whose latent is now nearer to another
codeword change their code; a change that would give two tokens the same tuple is not made where tuples are unique.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from ..codec.modules import SubspaceEmbedding

RATE = 2e-3  # of Adam, for latents
EVERY = 100  # steps between two re-assignments


class Latents:
    """Latent vectors of the tokens that occur, (n, D).

    table: the original, (V, D). present: (n,) ids of tokens that may change. stretch: (D,) factors of the axes in which codewords
    are compared. keep_unique: whether no two tokens may share a tuple.
    """

    def __init__(
        self,
        layers: "list[SubspaceEmbedding]",
        table: torch.Tensor,
        present: torch.Tensor,
        stretch: torch.Tensor,
        keep_unique: bool,
    ):
        self.layer = layers[0]
        self.present, self.stretch, self.keep_unique = present, stretch, keep_unique
        self.vectors = nn.Embedding.from_pretrained(table[present].clone(), freeze=False, sparse=True)
        self.optimizer = torch.optim.SparseAdam(list(self.vectors.parameters()), lr=RATE)
        self.rate = RATE
        self._places = torch.full((len(table),), -1, dtype=torch.long)
        self._places[present] = torch.arange(len(present))
        self.reassigned = 0
        self._hooks = [layer.register_forward_hook(self._pass_through) for layer in layers]

    def remove(self) -> None:
        """Let the layers be as they were."""
        for hook in self._hooks:
            hook.remove()

    def _pass_through(self, module, arguments, output):
        if not torch.is_grad_enabled():
            return output
        ids = arguments[0].long()
        known = self._places[ids]
        latent = self.vectors(known.clamp(min=0)) * (known >= 0).unsqueeze(-1)
        return output + (latent - latent.detach())

    @torch.no_grad()
    def reassign(self) -> int:
        """Give every present token the codewords nearest to its latent; how many tokens changed."""
        start, columns = 0, []
        for book in self.layer.codebooks:
            end = start + book.shape[1]
            factor = self.stretch[start:end]
            columns.append(torch.cdist(self.vectors.weight[:, start:end] * factor, book * factor).argmin(1))
            start = end
        wanted = torch.stack(columns, 1).to(self.layer.codes.dtype)
        changed = (wanted != self.layer.codes[self.present]).any(1).nonzero().flatten()
        if not len(changed):
            return 0
        if self.keep_unique:
            changed = self._without_collisions(wanted, changed)
        self.layer.codes[self.present[changed]] = wanted[changed]
        self.reassigned += len(changed)
        return len(changed)

    def _without_collisions(self, wanted: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        """Those of the changes, in order, after which all tuples are still distinct."""
        taken = {row.tobytes() for row in self.layer.codes.numpy()}
        old, new = self.layer.codes[self.present[changed]].numpy(), wanted[changed].numpy()
        kept = []
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            tuple_after = after.tobytes()
            if tuple_after not in taken:
                taken.discard(before.tobytes())
                taken.add(tuple_after)
                kept.append(place)
        return changed[torch.tensor(kept, dtype=torch.long)]

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds."""
        state = self.optimizer.state_dict()["state"].get(0, {})
        found = {"vectors": self.vectors.weight.detach(), "reassigned": torch.tensor(self.reassigned)}
        return found | {key: torch.as_tensor(value) for key, value in state.items()}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up what :meth:`tensors` gave."""
        with torch.no_grad():
            self.vectors.weight.copy_(tensors["vectors"])
        self.reassigned = int(tensors["reassigned"])
        moments = {key: value.clone() for key, value in tensors.items() if key not in ("vectors", "reassigned")}
        if moments:
            moments["step"] = int(moments["step"])
            state = self.optimizer.state_dict()
            self.optimizer.load_state_dict({**state, "state": {0: moments}})
