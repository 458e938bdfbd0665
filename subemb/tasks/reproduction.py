"""The claims of a model as a job: a page begins it, watches rows come, and reads the table."""

from typing import Any

from ..base.progress import ProgressCallback
from ..jobs.task import task
from ..models.load import load_listed
from ..reproduce.rows import ClaimsTable
from ..reproduce.run import MINUTES, reproduce


def _key_of(name: str, revision: str | None, minutes: float) -> dict[str, Any]:
    return {"identity": load_listed(name, revision).identity, "minutes": minutes}


@task(lane="sweep", key=_key_of)
def run_reproduction(
    name: str, revision: str | None, minutes: float = MINUTES, progress: ProgressCallback | None = None
) -> ClaimsTable:
    """:func:`subemb.reproduce.run.reproduce` of a listed model on the demonstration sets. Raises what that raises: what was finished is
    kept, so the same job goes on there."""
    return reproduce(load_listed(name, revision), minutes=minutes, progress=progress)
