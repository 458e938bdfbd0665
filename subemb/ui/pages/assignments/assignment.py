"""The page Assignments: the run that its views are about, and how its tokens are drawn as blocks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from ....base.text import count_text
from ....codec.compressed import SubspaceCompressed
from ....models.vocabulary import Vocabulary
from ...shell.frame import Frame
from ...shell.style import BACKGROUND
from ...widgets.blocks import COLORS, Row, rows_that_fit, table_html


@dataclass
class Assignment:
    """The codes of the run on the page, and how they are drawn and listed."""

    frame: Frame  # of the page

    @cached_property
    def compressed(self) -> SubspaceCompressed:
        return self.frame.compressed

    @cached_property
    def codes(self) -> np.ndarray:
        """(V, f) in the type that is stored; not to be changed."""
        return self.compressed.codes.numpy()

    @property
    def unit(self) -> str:
        """What a column of blocks is called."""
        return "stage" if self.compressed.is_additive else "subspace"

    @property
    def subspaces(self) -> int:
        return self.codes.shape[1]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self.frame.vocabulary

    def prepared(self) -> "Assignment":
        """Itself, once the tokens and codes, which are slow to read, have been read."""
        _ = self.vocabulary, self.codes
        return self

    def rows(self, ids, notes=None, chosen: int | None = None) -> list[Row]:
        """Rows to draw; with ``chosen``, blocks say whether that token has them too."""
        notes = [""] * len(ids) if notes is None else notes
        mine = None if chosen is None else self.codes[chosen]
        return [
            Row(self.vocabulary.display[i], self.codes[i], note, None if mine is None else self.codes[i] == mine)
            for i, note in zip(ids, notes, strict=True)
        ]

    def draw(self, rows: list[Row], caption: str) -> None:
        """Draw rows under each other; says so if not all of them fit."""
        fit = rows_that_fit(self.subspaces)
        st.html(table_html(rows[:fit], caption, self.unit, BACKGROUND))
        if len(rows) > fit:
            st.caption(f"The first {fit} of {len(rows)} rows are drawn; the table below has all.")

    def facts(self, ids) -> pd.DataFrame:
        """Text, id and kind of tokens; :meth:`with_codes` adds their codes."""
        ids = np.asarray(ids, dtype=np.int64)
        return pd.DataFrame(
            {
                "token": [self.vocabulary.display[i] for i in ids],
                "id": ids,
                "kind": self.vocabulary.kinds[ids],
            }
        )

    def with_codes(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the codes of the column ``id``, one column a subspace."""
        codes = pd.DataFrame(self.codes[table["id"].to_numpy()], columns=code_columns(self.subspaces, self.unit))
        return pd.concat([table.reset_index(drop=True), codes], axis=1)


def code_columns(subspaces: int, unit: str) -> list[str]:
    """Names of the columns that hold codes."""
    return [f"{unit} {i}" for i in range(subspaces)]


def block_legend(assignment: Assignment, compared: bool) -> None:
    """How to read the blocks. compared: they say what is shared with a chosen token."""
    text = f"One block a {assignment.unit}; the number is the code. In one column, the same number and colour mean the same shared "
    text += "codeword." if assignment.compressed.is_additive else "sub-vector."
    size = assignment.frame.run.settings.codebook_size
    if size > COLORS:
        text += (
            f" There are {COLORS} colours for {count_text(size)} codes, so different codes may look alike: the number decides."
        )
    if compared:
        text += " **Filled**: shared with the chosen token. **Outlined**: not shared."
    st.caption(text)
