"""What every method says about itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One method as people see it: its key, title, one plain sentence, and which settings it reads."""

    key: str
    title: str
    summary: str
    uses_codebooks: bool = True
    is_iterative: bool = True
    can_be_unique: bool = False
    is_unique: bool = False  # distinct tuples by default
    is_baseline: bool = False
