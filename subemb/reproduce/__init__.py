"""The paper's claims, checked on a model: what it says, what was measured, and whether it holds.

>>> from subemb.reproduce import reproduce, judge
>>> table = reproduce("all-MiniLM-L6-v2", only=[1, 7])  # doctest: +SKIP
>>> [(one.claim.number, one.verdict) for one in judge(table, [1, 7])]  # doctest: +SKIP
[(1, 'holds'), (7, 'holds')]
"""

from .claims import CLAIMS, judge
from .rows import ClaimsTable
from .run import reproduce

__all__ = ["CLAIMS", "ClaimsTable", "judge", "reproduce"]
