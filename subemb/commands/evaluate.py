"""``subemb evaluate``: what a model can still do with its compressed table."""

from . import evaluate_context, evaluate_entailment, evaluate_similarity

TASKS = (evaluate_similarity, evaluate_entailment, evaluate_context)


def add(commands) -> None:
    command = commands.add_parser(
        "evaluate",
        help="compare original and compressed on a task",
        description="Compare a model on its original and on a compressed table: sentence similarity, textual entailment, words in context.",
    )
    tasks = command.add_subparsers(metavar="TASK", required=True)
    for module in TASKS:
        module.add(tasks)
