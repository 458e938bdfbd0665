"""The pages: where each lies, and what it is called. The navigation, links, and going on while presenting read them from here."""

from typing import NamedTuple


class ListedPage(NamedTuple):
    """A page of the navigation."""

    file: str  # that Streamlit runs; its name is the address
    label: str  # in the navigation; ``page(label)`` begins the page
    icon: str
    title: str = ""  # at its head, where that is not the label

    @property
    def heading(self) -> str:
        """What stands at its head."""
        return self.title or self.label


HOME = "Home"
_LISTED = (
    ListedPage("app.py", HOME, ":material/home:", "Subspace embedding"),
    ListedPage("pages/0_How_it_works.py", "How it works", ":material/school:"),
    ListedPage("pages/9_Trade-off.py", "Trade-off", ":material/show_chart:"),
    ListedPage("pages/1_Token_map.py", "Token map", ":material/scatter_plot:"),
    ListedPage("pages/2_Assignments.py", "Assignments", ":material/view_column:"),
    ListedPage("pages/3_Reconstruction_error.py", "Reconstruction error", ":material/monitoring:"),
    ListedPage("pages/4_Similarity.py", "Similarity", ":material/compare_arrows:"),
    ListedPage("pages/5_Entailment.py", "Entailment", ":material/rule:"),
    ListedPage("pages/6_Words_in_context.py", "Words in context", ":material/visibility_off:"),
    ListedPage("pages/7_Adapt.py", "Adapt", ":material/model_training:"),
    ListedPage("pages/8_Export.py", "Export", ":material/ios_share:"),
    ListedPage("pages/11_Claims.py", "Claims", ":material/fact_check:", "The paper's claims"),
    ListedPage("pages/10_Runs.py", "Runs", ":material/list:"),
)
#: By label, in the order of the navigation.
PAGES = {page.label: page for page in _LISTED}


def beside(label: str, step: int) -> ListedPage:
    """The page so many after one, round and round.

    >>> beside("Home", -1).label, beside("Runs", 1).label
    ('Runs', 'Home')
    """
    labels = list(PAGES)
    return PAGES[labels[(labels.index(label) + step) % len(labels)]]
