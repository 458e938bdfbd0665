"""The compact folder: what :func:`subemb.load` opens, with a model card in the form of the Hugging Face hub."""

from pathlib import Path

from ..adaptation.result import TUNED, Adaptation
from ..adaptation.settings import OBJECTIVES
from ..base.arguments import checked
from ..base.errors import InputError
from ..base.text import percent_text, size_text
from ..evaluate.report import METRIC_NAMES
from ..evaluate.similarity.demonstration import TaskScore
from ..models.catalogue import BUNDLED_HUB_ID
from ..models.model import PretrainedModel

CARD_FILE = "README.md"
_USE = """```python
import subemb

model = subemb.load("this-folder")      # the other weights come from the original model
model.encode(["a sentence"])
```"""


@checked
def compact(
    model: PretrainedModel,
    folder: Path,
    adaptation: Adaptation | None = None,
    entropy: bool = False,
    task: TaskScore | None = None,
) -> Path:
    """Write codes, codebooks, changed weights, a configuration and a model card into a folder. Returns the folder.

    model: compressed or adapted. adaptation: settings and scores for the card; by default those that an adapted model carries.
    entropy: codes in as few bits as their frequencies allow, where that takes less. task: for the card, as in :func:`model_card`.
    Raises InputError if the disk is full or the folder holds something else, see :func:`check_folder`.
    """
    folder = Path(folder)
    check_folder(folder)
    model.save_pretrained(folder, entropy=entropy)
    write_file(folder / CARD_FILE, model_card(model, adaptation, entropy=entropy, task=task))
    return folder


def check_folder(folder: Path) -> None:
    """Raises InputError if writing a compact folder here would replace files that subemb did not write.

    To be called before the work as well, so that nobody waits for a result that cannot be written.
    """
    from ..codec import storage

    storage.check_may_write(folder)
    if (folder / CARD_FILE).exists() and not (folder / storage.CONFIG_FILE).exists():
        raise InputError(
            f"{folder} holds a {CARD_FILE} of something else, which the model card would replace; give an empty or a new folder"
        )


@checked
def model_card(
    model: PretrainedModel,
    adaptation: Adaptation | None = None,
    use: str = _USE,
    entropy: bool = False,
    task: TaskScore | None = None,
) -> str:
    """The card: metadata that the hub reads, sizes, settings, measured scores, and how to use the folder.

    It holds only what was measured: without a scored set there are no scores. use: the section on using it, in markdown. entropy: codes are saved in as few
    bits as their frequencies allow. task: what original and model score on the demonstration pairs; told where there is no adaptation.
    """
    from huggingface_hub import EvalResult, ModelCardData

    if adaptation is None and model.facts:
        adaptation = Adaptation.from_dict(model.facts)
    base = _base_model(model)
    results = []
    if adaptation is not None and adaptation.scored and "adapted" in adaptation.scores:
        scored = adaptation.scored
        results.append(
            EvalResult(
                task_type={"entailment": "text-classification", "masked": "fill-mask"}.get(
                    scored["task"], "sentence-similarity"
                ),
                dataset_type="labelled-pairs",
                dataset_name=scored["name"],
                metric_type=scored["metric"].lower(),
                metric_name=f"{scored['metric']} x 100, {adaptation.scored_count}",
                metric_value=round(adaptation.scores["adapted"], 2),
            )
        )
    if adaptation is not None or task is None or task.original is None or task.compressed is None:
        task = None
    else:
        results.append(
            EvalResult(
                task_type="sentence-similarity",
                dataset_type="labelled-pairs",
                dataset_name=task.name,
                metric_type=task.metric.lower(),
                metric_name=f"{METRIC_NAMES[task.metric]} x 100, {task.pairs:,} pairs",
                metric_value=round(100 * task.compressed, 2),
            )
        )
    name = f"{model.name.rstrip('/').rsplit('/', 1)[-1]}-subspace"
    data = ModelCardData(
        library_name="subemb",
        base_model=base,
        tags=["subspace-embedding", "embedding-compression"],
        **({"model_name": name, "eval_results": results} if results else {}),
    )
    return f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{_facts(model, adaptation, entropy, task)}\n\n## Use\n\n{use}\n"


def _base_model(model: PretrainedModel) -> str | None:
    """The original's hub id, where it has one."""
    original = model.original
    return {"hub": original.name, "bundled": BUNDLED_HUB_ID}.get(original.source)


def _facts(model: PretrainedModel, adaptation: Adaptation | None, entropy: bool, task: TaskScore | None) -> str:
    from ..codec.storage import entropy_coded_bytes

    size = model.compressed.size(model.original.parameters)
    changed = model.changed_parameters
    whole = []
    if size.model_bytes is not None:
        whole = [
            f"| the whole original model, float32 | {size.model_bytes:,} |",
            f"| the whole model with this table | {size.compressed_model_bytes:,} |",
        ]
    saved = size.total_bytes - entropy_coded_bytes(model.compressed) if entropy else 0
    total = size.total_bytes - saved + 4 * changed
    lines = [
        f"`{model.name}` with its token table ({size.vocabulary:,} x {size.dim}) replaced by codes and codebooks: subspace embedding "
        "(Jaiswal and Liu, CIKM 2023, doi 10.1145/3583780.3615269).",
        "",
        "## Sizes",
        "",
        "| | bytes |",
        "|---|---|",
        f"| original table, float32 | {size.original_bytes:,} |",
        f"| codebooks and codes | {size.total_bytes:,} ({percent_text(size.total_share)}) |",
        *([f"| the same, codes in as few bits as their frequencies allow | {size.total_bytes - saved:,} |"] if saved else []),
        *whole,
        f"| changed weights of the network, in place of the original's | {4 * changed:,} |",
        f"| stored in all: codebooks, codes and changed weights | {total:,} ({size_text(total)}) |",
        "",
        "Files are larger than what they store by their headers; settings and this card take some kB more.",
        "",
        "## Settings",
        "",
        f"Compressed with: {model.compressed.settings.in_words}.",
    ]
    if adaptation is not None:
        lines += _adaptation_lines(adaptation)
    if task is not None:
        lines += [
            "",
            "## Scores",
            "",
            f"{METRIC_NAMES[task.metric]} x 100 on the {task.pairs:,} pairs ({', '.join(task.languages)}) of subemb's demonstration set, which is no benchmark.",
            "",
            "| model | score |",
            "|---|---|",
            f"| original | {100 * task.original:.2f} |",
            f"| compressed | {100 * task.compressed:.2f} |",
        ]
    return "\n".join(lines)


def _adaptation_lines(adaptation: Adaptation) -> list[str]:
    settings = adaptation.settings
    lines = [
        "",
        f"Adapted ({OBJECTIVES[settings.objective].title.lower()}; trained: {settings.train}; {adaptation.steps:,} steps, {adaptation.seconds:.0f} s, seed "
        f"{settings.seed}) on {adaptation.learned_from}.",
    ]
    if adaptation.scores and adaptation.scored:
        scored = adaptation.scored
        lines += [
            "",
            "## Scores",
            "",
            f"{scored['metric']} x 100 on {scored['name'].replace('|', ' ')} ({adaptation.scored_count}). The set chose which step's "
            "weights were kept, so the last number is a little too good.",
            "",
            "| model | score |",
            "|---|---|",
            *(f"| {side} | {score:.2f} |" for side, score in adaptation.scores.items()),
        ]
        if TUNED in adaptation.scores:
            lines += [
                "",
                f"The {TUNED} was trained alike, for as many steps on the same batches: what compression costs is the distance of "
                "adapted to it, not to the original as it came.",
            ]
    return lines


def write_file(path: Path, content: str) -> None:
    """Raises InputError if it cannot be written."""
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); free some space, or give a folder that can be written"
        ) from error
