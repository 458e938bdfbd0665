"""The page Assignments: the run that its views are about, and how its tokens are drawn as blocks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from ....analysis.parts import Part, parts_of, places_of
from ....base.text import count_text
from ....models.vocabulary import Vocabulary
from ...shell.frame import Frame
from ...shell.sides import Side
from ...shell.style import BACKGROUND
from ...shell.text import counted
from ...widgets.coloured_blocks import COLORS, Row, rows_that_fit, table_html


@dataclass
class Assignment:
    """The codes of one compressed table on the page, and how they are drawn and listed."""

    frame: Frame  # of the page
    side: Side  # whose codes
    other: "Assignment | None" = None  # of the table that it is compared with; None for the original

    @cached_property
    def parts(self) -> list[Part]:
        """Tokens by whose codebooks their codes belong to: all together, or tier by tier."""
        return parts_of(self.side.compressed)

    @property
    def key(self) -> str:
        """What the codes follow from."""
        return self.side.key

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return places_of(self.parts)

    @property
    def has_tiers(self) -> bool:
        return self.parts[0].form is not None

    @property
    def is_additive(self) -> bool:
        """Whether codewords are added up instead of joined."""
        return self.side.run.settings.about.is_additive

    @property
    def unit(self) -> str:
        """What a column of blocks is called."""
        return "stage" if self.is_additive else "subspace"

    @property
    def subspaces(self) -> int:
        """The most blocks that a token has."""
        return max(part.subspaces for part in self.parts)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self.frame.vocabulary

    def __len__(self) -> int:
        """V."""
        return len(self._places[0])

    def prepared(self) -> "Assignment":
        """Itself, once the tokens and codes, which are slow to read, have been read."""
        _ = self.vocabulary, self._places
        return self

    def part_of(self, token: int) -> Part:
        """The part that a token belongs to."""
        return self.parts[self._places[0][token]]

    def row_of(self, token: int) -> int:
        """The row of a token in its part."""
        return int(self._places[1][token])

    def codes_of(self, token: int) -> np.ndarray:
        """(f,) codes of a token, as many as its tier has; none where its whole row is kept."""
        part = self.part_of(token)
        return np.empty(0, dtype=np.uint8) if part.codes is None else part.codes[self.row_of(token)]

    def shared(self, chosen: int, token: int) -> np.ndarray:
        """Which blocks of a token are those of the chosen one too: (f,) bool. Tokens of different tiers share none."""
        codes = self.codes_of(token)
        if self.part_of(chosen) is not self.part_of(token):
            return np.zeros(len(codes), dtype=bool)
        return codes == self.codes_of(chosen)

    def rows(self, ids, notes=None, chosen: int | None = None) -> list[Row]:
        """Rows to draw; with ``chosen``, blocks say whether that token has them too."""
        notes = [""] * len(ids) if notes is None else notes
        return [
            Row(
                self.vocabulary.display[i],
                self.codes_of(i),
                f"{note}{' · ' if note else ''}tier {self.part_of(i).number}" if self.has_tiers else note,
                None if chosen is None else self.shared(chosen, i),
                int(i),
                self.part_of(i).number if self.has_tiers else None,
                chosen == i,
            )
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
        """Add the codes of the column ``id``, one column a subspace; with tiers the tier, and its codes in one column."""
        ids, table = table["id"].to_numpy(), table.reset_index(drop=True)
        if not self.subspaces:
            return table
        if not self.has_tiers:
            codes = self.parts[0].codes[ids]
            return pd.concat([table, pd.DataFrame(codes, columns=code_columns(self.subspaces, self.unit))], axis=1)
        index, row = self._places
        codes = np.empty(len(ids), dtype=object)
        for place, part in enumerate(self.parts):
            here = np.flatnonzero(index[ids] == place)
            texts = [""] * len(here) if part.codes is None else _joined(part.codes[row[ids[here]]])
            codes[here] = texts
        return table.assign(tier=index[ids].astype(np.int16) + 1, codes=codes)

    def choose_part(self) -> Part | None:
        """A choice of tier where there are several; returns the part, or None with the reason shown where it has no codes."""
        if len(self.parts) == 1:
            part = self.parts[0]
        else:
            names = [str(part.number) for part in self.parts]
            with_codes = [str(part.number) for part in self.parts if part.codes is not None]
            if st.session_state.get("tier") not in names:  # of another run, or nothing yet
                st.session_state.pop("tier", None)
            chosen = st.segmented_control(
                "Tier",
                names,
                default=(with_codes or names)[0],
                required=True,
                key="tier",
                bind="query-params",
                persist_state="session",
                help="Tokens by weight, 1 has the heaviest. Every tier has codebooks of its own.",
            )
            part = self.parts[names.index(chosen) if chosen in names else 0]
        if part.form is not None:
            st.caption(f"Tier {part.number}: {counted(len(part.ids), 'token')}, {part.form.words}.")
        if part.codes is None:
            st.info("This tier keeps the row of every token, so it has no codes.", icon=":material/view_column:")
            return None
        return part


def _joined(codes: np.ndarray) -> list[str]:
    return [" ".join(map(str, row)) for row in codes.tolist()]


def code_columns(subspaces: int, unit: str) -> list[str]:
    """Names of the columns that hold codes."""
    return [f"{unit} {i}" for i in range(subspaces)]


def block_legend(assignment: Assignment, compared: bool) -> None:
    """How to read the blocks. compared: they say what is shared with a chosen token."""
    text = f"One block a {assignment.unit}; the number is the code. In one column, the same number and colour mean the same shared "
    text += "codeword" if assignment.is_additive else "sub-vector"
    if assignment.has_tiers:
        text += ", among tokens of the same tier: tokens of different tiers share nothing, and have more or fewer blocks"
    text += "."
    size = max(len(part.compressed.codebooks[0]) if part.codes is not None else 0 for part in assignment.parts)
    if size > COLORS:
        text += (
            f" There are {COLORS} colours for {count_text(size)} codes, so different codes may look alike: the number decides."
        )
    if compared:
        text += " **Filled**: shared with the chosen token. **Outlined**: not shared."
    st.caption(text)
