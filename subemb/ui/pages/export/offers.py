"""The forms that a result can be downloaded in: what each is and holds, what it costs, how it is used. No Streamlit here."""

import importlib.util
from dataclasses import dataclass

from ....adaptation.result import Adaptation
from ....base.text import escape_markdown, size_text
from ....codec.methods import METHODS
from ....export.onnx_file import INSTALL
from ....models.model import PretrainedModel
from ....runs import Run
from ....tasks.exports import COMPACT, DENSE, ONNX, Export

#: Bytes. A download goes through the server's memory; anything larger is written with the command line.
LARGEST_DOWNLOAD = 2_000_000_000
_CARD_BYTES = 3_000  # of configuration, model card and the file's head, beside the table
_LOADING = 6.0  # seconds for a worker to start and to open the model
_BYTES_A_SECOND = 60e6  # written, roughly


@dataclass(frozen=True)
class ShownResult:
    """The result on the page, which is exported."""

    run: Run  # the finished run
    model: PretrainedModel  # that the run compressed
    adaptation: Adaptation | None  # a finished one, or None

    @property
    def name(self) -> str:
        """The model's, for markdown."""
        return escape_markdown(self.run.model["name"])

    @property
    def changed_bytes(self) -> int:
        """Bytes of trained weights besides the table."""
        return int(self.adaptation.size.get("changed_bytes", 0)) if self.adaptation is not None else 0


class Offer:
    """One form to export the result in."""

    kind: str  # as subemb.tasks.exports calls it
    title: str  # heading of its card
    language = "python"  # of the snippet that shows how to use it

    def explanation(self, shown: ShownResult) -> str:
        """What it is and what it holds, in markdown."""
        raise NotImplementedError

    def problem(self, shown: ShownResult) -> str | None:
        """Why it cannot be made here and what to do instead, in markdown; None if it can."""
        return None

    def estimated_bytes(self, shown: ShownResult) -> int | None:
        """Rough size of the file, or None if it cannot be known."""
        raise NotImplementedError

    def seconds(self, shown: ShownResult) -> float:
        """Rough seconds to make it."""
        return _LOADING + (self.estimated_bytes(shown) or 0) / _BYTES_A_SECOND

    def usage(self, shown: ShownResult, made: Export | None) -> str:
        """A snippet to copy. made: the file, once there is one."""
        raise NotImplementedError


class CompactFolder(Offer):
    kind, title = COMPACT, "Compact folder"

    def explanation(self, shown: ShownResult) -> str:
        changed = f", and the {size_text(shown.changed_bytes)} of weights that were trained" if shown.changed_bytes else ""
        return (
            "The small one, for users of subemb: the codes and codebooks as safetensors"
            f"{changed}, a configuration, and a model card with sizes and scores. The other weights are not in it: subemb reads them "
            f"from **{shown.name}**, which has to be where it is used too, under the same name."
        )

    def estimated_bytes(self, shown: ShownResult) -> int:
        return shown.run.size.total_bytes + shown.changed_bytes + _CARD_BYTES

    def usage(self, shown: ShownResult, made: Export | None) -> str:
        folder = made.folder if made is not None else "unpacked"
        lines = ["import subemb", "", f'model = subemb.load("{folder}")']
        lines.append('model.encode(["a sentence"])' if shown.model.has_tokenizer else "model.table  # as compressed")
        lines += ["", "# The table alone, in place of torch.nn.Embedding:"]
        return "\n".join([*lines, f'layer = subemb.SubspaceEmbedding.from_pretrained("{folder}")'])


class DenseCheckpoint(Offer):
    kind, title = DENSE, "Dense checkpoint"

    def explanation(self, shown: ShownResult) -> str:
        library = " and ".join(shown.model.libraries)
        return (
            f"For tools that do not know subemb: a whole model in the form of {library}, with tokenizer, and with the "
            "table written out in full. It behaves as the compressed model does, but is **as large as the original**: nothing is "
            "saved by it."
        )

    def problem(self, shown: ShownResult) -> str | None:
        size = self.estimated_bytes(shown)
        if size is not None and size > LARGEST_DOWNLOAD:
            return (
                f"It would be about {size_text(size)}; downloads of this app end at {size_text(LARGEST_DOWNLOAD)}. Take the compact "
                "folder, and make the checkpoint of it on your computer with **subemb export**, which `subemb export --help` explains."
            )
        return None

    def estimated_bytes(self, shown: ShownResult) -> int | None:
        return None if shown.run.size.model_bytes is None else shown.run.size.model_bytes + 1_000_000

    def usage(self, shown: ShownResult, made: Export | None) -> str:
        folder = made.folder if made is not None else "unpacked"
        library = shown.model.libraries[0]
        if library == "model2vec":
            return "\n".join(
                [
                    "from model2vec import StaticModel",
                    "",
                    f'model = StaticModel.from_pretrained("{folder}")',
                    'model.encode(["a sentence"])',
                ]
            )
        if library == "sentence-transformers":
            return "\n".join(
                [
                    "from sentence_transformers import SentenceTransformer",
                    "",
                    f'model = SentenceTransformer("{folder}")',
                    'model.encode(["a sentence"])',
                ]
            )
        return "\n".join(
            [
                "from transformers import AutoModel, AutoTokenizer",
                "",
                f'model = AutoModel.from_pretrained("{folder}")',
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
            ]
        )


class OnnxTable(Offer):
    kind, title = ONNX, "ONNX table"

    def explanation(self, shown: ShownResult) -> str:
        return (
            "The compact table alone, as a small ONNX network that looks tokens up: token ids in, vectors out. For runtimes without "
            "Python, such as a phone or a browser. It is checked here with onnxruntime against torch before it is offered."
        )

    def problem(self, shown: ShownResult) -> str | None:
        method = METHODS[shown.run.settings.method]
        if not (method.uses_codebooks or "tiers" in method.reads or method.keeps_rows):
            return (
                f"{method.title} stores no codes to look up, so there is no ONNX form of it. Choose a method with codebooks, such as "
                "Cluster or Product quantization, or take the dense checkpoint."
            )
        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            return (
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed on this server. Install with "
                f"`{INSTALL}`, then start the app again."
            )
        return None

    def estimated_bytes(self, shown: ShownResult) -> int:
        size, settings = shown.run.size, shown.run.settings
        if settings.tiers is not None:  # codes in whole bytes, and the tier and row of every token
            return size.float_bytes + 2 * size.code_bytes + 5 * size.vocabulary
        if settings.about.keeps_rows:
            return size.float_bytes + 4 * size.vocabulary + 1_000
        return size.float_bytes + size.vocabulary * settings.subspaces * (1 if settings.codebook_size <= 256 else 4) + 5_000

    def usage(self, shown: ShownResult, made: Export | None) -> str:
        name = made.name if made is not None else "table.onnx"
        return "\n".join(
            [
                "import numpy as np",
                "import onnxruntime",
                "",
                f'table = onnxruntime.InferenceSession("{name}")',
                "ids = np.array([[0, 1, 2]], np.int64)  # token ids of any tokenizer of the model",
                "(vectors,) = table.run(None, {table.get_inputs()[0].name: ids})",
            ]
        )


OFFERS = (CompactFolder(), DenseCheckpoint(), OnnxTable())
