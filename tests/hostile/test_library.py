"""What public functions say of arguments that cannot be used: InputError with the value and what it must be, and never anything else."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import make_bert

import subemb
from subemb import adaptation, analysis, codec, evaluate, export
from subemb.base.errors import InputError

LONG, SNOWMEN, BYTE = "x" * 5000, "☃" * 70, "\udcff"
NAN, INFINITE = float("nan"), float("inf")
THREE = [1, 2, 3]


class Given:
    """What the calls below use."""

    def __init__(self, folder: Path):
        self.folder = folder
        make_bert(folder / "bert")
        self.model = subemb.load(folder / "bert")
        self.table, self.count = self.model.table, self.model.num_tokens
        self.compressed = subemb.compress(self.table, subspaces=2, codebook_size=16)
        self.pairs = evaluate.read_pairs(b"sentence1,sentence2,score\na,b,1\nc,d,2\ne,f,3\n", "x.csv")

    def weighed(self, weights):
        return subemb.compress(self.table, subspaces=2, codebook_size=16, weights=weights)

    def error_weighed(self, weights):
        return analysis.reconstruction_error(self.table, self.compressed, weights=weights)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Given:
    return Given(tmp_path_factory.mktemp("library"))


#: Words of the message, and the call.
BAD = [
    *(("begins with a user", lambda g, n=n: subemb.load(n)) for n in ("~nouser", "~nouser/x", Path("~nouser"))),
    *(("holds a zero byte", lambda g, n=n: subemb.load(n)) for n in ("a\0b", Path("a\0b"))),
    *(("too many for a path", lambda g, n=n: subemb.load(n)) for n in (LONG, Path(LONG), "a/" * 3000)),
    *(("is not a model's name", lambda g, n=n: subemb.load(n)) for n in ("", BYTE, SNOWMEN, "a b")),
    *(("name must be text or a path", lambda g, n=n: subemb.load(n)) for n in (None, 5, b"x", [])),
    *(("revision must be text or None", lambda g, r=r: subemb.load("org/name", revision=r)) for r in (5, [], b"x", True)),
    *(("is not a revision", lambda g, r=r: subemb.load("org/name", revision=r)) for r in ("a\0b", "..", BYTE, "x" * 300)),
    ("progress must be", lambda g: subemb.load("org/name", progress=5)),
    ("local_only must be True or False", lambda g: subemb.load("org/name", local_only="yes")),
    # compress
    *(("method must be text", lambda g, m=m: subemb.compress(g.table, method=m)) for m in ([], None, 5, {}, ("cluster",))),
    ("unknown method 'x'", lambda g: subemb.compress(g.table, method="x")),
    *(("subspaces", lambda g, f=f: subemb.compress(g.table, subspaces=f)) for f in (0, -1, 10**30, "3", None, 2.5, NAN, True)),
    *(("codebook", lambda g, q=q: subemb.compress(g.table, codebook_size=q)) for q in (0, 10**30, "3", 2.5, -1, True)),
    *(("seed", lambda g, s=s: subemb.compress(g.table, seed=s)) for s in (-1, 10**30, "3", None, 2.5)),
    *(
        (f"{name} is a number of about 5,000 digits", lambda g, name=name: subemb.compress(g.table, **{name: 10**5000}))
        for name in ("subspaces", "codebook_size", "iterations", "rank", "seed", "tolerance")
    ),
    *(("tolerance", lambda g, t=t: subemb.compress(g.table, tolerance=t)) for t in (-1, NAN, INFINITE, "3", 10**400)),
    *(("table", lambda g, t=t: subemb.compress(t)) for t in (None, 5, [], {}, np.zeros((0, 4)), np.zeros((4, 4), int))),
    ("nan at row 0", lambda g: subemb.compress(np.full((4, 4), NAN))),
    ("in float32", lambda g: subemb.compress(np.full((4, 4), 1e308))),
    *(("weight", lambda g, w=w: g.weighed(w)) for w in (5, "x", [], {}, [[1.0]], object(), ["a"] * 45)),
    *(("is not a number from 0 up", lambda g, w=w: g.weighed(np.full(g.count, w))) for w in (-1.0, NAN, INFINITE)),
    ("all weights are 0", lambda g: g.weighed(np.zeros(g.count))),
    ("sums of such would be infinite", lambda g: g.error_weighed(np.full(g.count, 1e308))),
    ("weights must be finite", lambda g: g.error_weighed(np.full(g.count, -1.0))),
    *(("device", lambda g, d=d: subemb.compress(g.table, device=d)) for d in ("gpu9", [], "cuda:99")),
    ("settings must be", lambda g: subemb.compress(g.table, settings={})),
    # attach, adapt
    *(("compressed must be a Compressed", lambda g, c=c: subemb.attach(g.model, c)) for c in (None, 5, torch.zeros(3, 3))),
    ("input must be True or False", lambda g: subemb.attach(g.model, g.compressed, "x")),
    *(("get_input_embeddings", lambda g, m=m: subemb.attach(m, g.compressed)) for m in (None, 5, torch.nn.Linear(2, 2))),
    ("compressed must be", lambda g: subemb.adapt(g.model, None)),
    ("model must be a PretrainedModel", lambda g: subemb.adapt(None, g.compressed)),
    *(("text must be", lambda g, t=t: subemb.adapt(g.model, g.compressed, t)) for t in (5, "text")),
    ("sentence 0 of the text is 5", lambda g: subemb.adapt(g.model, g.compressed, [5])),
    ("seconds", lambda g: subemb.adapt(g.model, g.compressed, ["a"] * 3, seconds=-1)),
    ("holds a zero byte", lambda g: subemb.adapt(g.model, g.compressed, folder="a\0b")),
    # data
    *(("source must be", lambda g, s=s: evaluate.read_pairs(s)) for s in (None, 5, [], bytearray(b"x"))),
    *(("is empty", lambda g, s=s: evaluate.read_pairs(s)) for s in (b"", b" \n ")),
    ("is not there", lambda g: evaluate.read_pairs("missing")),
    ("no ordinary file", lambda g: evaluate.read_pairs("/dev/zero")),
    ("too many for a path", lambda g: evaluate.read_pairs(LONG)),
    ("name must be text", lambda g: evaluate.read_pairs(b"a,b,1", name=5)),
    ("there is no task", lambda g: evaluate.read_pairs(b"sentence1,sentence2,score\na,b,1\nc,d,2", task="x")),
    ("source must be", lambda g: evaluate.preview(None)),
    ("source must be", lambda g: evaluate.read_words(None)),
    ("usable word pair", lambda g: evaluate.read_words(b'a,"' + b"x" * 200_000 + b",3\nb,c,1\n")),
    ("task must be text", lambda g: evaluate.demo_pairs([])),
    ("is not a data set's name", lambda g: evaluate.read_hub_pairs(None, "x")),
    ("source must be", lambda g: evaluate.read_pairs({})),
    # evaluating
    ("sides must be a dictionary", lambda g: evaluate.evaluate_pairs(None, g.pairs)),
    ("each value a PretrainedModel", lambda g: evaluate.evaluate_pairs({"a": None}, g.pairs)),
    ("pairs must be a PairSet", lambda g: evaluate.evaluate_pairs({"a": g.model}, None)),
    *(
        ("resamples", lambda g, r=r: evaluate.evaluate_pairs({"a": g.model}, g.pairs, resamples=r))
        for r in (0, -5, 10**12, "x")
    ),
    ("seed must be", lambda g: evaluate.evaluate_pairs({"a": g.model}, g.pairs, seed=-1)),
    *(
        ("one number for each pair", lambda g, s=s, v=v: getattr(evaluate, s)(v, v))
        for s in ("spearman", "pearson", "accuracy", "f1")
        for v in (["a", "b"], "ab", [[1]])
    ),
    ("NaN or infinite", lambda g: evaluate.spearman(THREE, [1, INFINITE, 3])),
    ("each pair needs one of each", lambda g: evaluate.spearman(THREE, [1, 2])),
    ("resamples", lambda g: evaluate.paired_bootstrap("spearman", THREE, THREE, THREE, resamples=2.5)),
    ("statistic", lambda g: evaluate.paired_bootstrap([], THREE, THREE, THREE)),
    ("classes must be", lambda g: evaluate.confusion([1], [1], 10**9)),
    ("a list of sentences", lambda g: g.model.encode("x")),
    *(("list of strings", lambda g, s=s: g.model.encode(s)) for s in (None, 5, {"a": 1})),
    ("instead of a string", lambda g: g.model.encode([5])),
    *(("lone surrogate", lambda g, s=s: g.model.encode([s])) for s in (BYTE, "\ud800")),
    *(("token id", lambda g, r=r: g.model.encode_ids(r)) for r in ([[10**9]], [[-1]], 5, [["a"]], ["12"], [[1.5]])),
    ("query must be text", lambda g: g.model.vocabulary.search(5)),
    ("limit must be", lambda g: g.model.vocabulary.search("a", limit="x")),
    *(("table", lambda g, t=t: subemb.PretrainedModel.from_table(t)) for t in (None, "x", [], np.zeros(3))),
    ("tokens must be texts", lambda g: subemb.PretrainedModel.from_table(g.table, tokens=[5] * g.count)),
    # looking
    ("reconstruction must be", lambda g: analysis.reconstruction_error(g.table, None)),
    ("but the table is", lambda g: analysis.reconstruction_error(g.table, g.table[:3])),
    ("is not in this table", lambda g: analysis.nearest(g.table, [10**9])),
    *(("queries", lambda g, q=q: analysis.nearest(g.table, q)) for q in ("x", None, [0.5])),
    ("at least 1", lambda g: analysis.nearest(g.table, [0], k=0)),
    ("seed must be", lambda g: analysis.neighbours_kept(g.table, g.compressed, seed=-1)),
    ("codes count from 0", lambda g: analysis.code_usage(torch.full((3, 2), -1))),
    ("limit must be", lambda g: analysis.collision_groups(g.table, g.compressed, limit=-1)),
    ("there is no subspace", lambda g: analysis.members(g.table, g.compressed, 99, 0)),
    ("give token ids", lambda g: analysis.shared_blocks(g.compressed, 0, "x")),
    ("num_tokens must be", lambda g: analysis.sample_tokens(0, 5)),
    ("ids go from 0", lambda g: evaluate.attribute(g.model, g.model, [10**9], [1])),
    # saving and reading
    *(("folder must be", lambda g, f=f: codec.load(f)) for f in (None, 5, [])),
    ("begins with a user", lambda g: codec.load("~nouser")),
    ("holds a zero byte", lambda g: g.compressed.save_pretrained("a\0b")),
    ("too many for a path", lambda g: g.compressed.save_pretrained(LONG)),
    ("could not be written", lambda g: g.compressed.save_pretrained("/proc/no/such")),
    ("compressed is a NoneType", lambda g: subemb.SubspaceEmbedding.from_compressed(None)),
    ("place must be", lambda g: evaluate.load_head(None)),
    ("head must be", lambda g: evaluate.save_head(None)),
    ("model must be a PretrainedModel", lambda g: evaluate.engine_for(None)),
    ("pair_sets must be a list, each item a PairSet", lambda g: evaluate.train_head(g.model, [5])),
    ("model must be a PretrainedModel", lambda g: export.dense(None, "x")),
    ("as its authors made it", lambda g: export.dense(g.model, g.folder / "new")),
    ("holds a zero byte", lambda g: export.onnx_table(g.compressed, "a\0b")),
    ("run must be", lambda g: export.html_report(5)),
    ("settings are", lambda g: subemb.CompressionSettings.from_dict(None)),
    ("vocabulary must be", lambda g: subemb.CompressionSettings().resolve("x", None)),
    ("vocabulary_size must be", lambda g: codec.token_weights("zipf", -5)),
    ("content must be", lambda g: adaptation.read_text(None, "x")),
    ("pairs must be a PairSet", lambda g: adaptation.text_of_pairs(None)),
]


@pytest.mark.parametrize(("words", "call"), BAD, ids=[f"{number}-{words[:30]}" for number, (words, _) in enumerate(BAD)])
def test_a_bad_argument_is_an_input_error(words, call, given):
    with pytest.raises(InputError) as caught:
        call(given)
    message = str(caught.value)
    assert words in message
    assert len(message) < 500
    assert "\n" not in message


#: Public functions whose arguments are duck-typed, or that take what only numbers and arrays can be wrong in.
UNDECLARED = {"attribute"}


def test_every_public_function_declares_its_arguments():
    missing = []
    for package in (subemb, adaptation, analysis, codec, evaluate, export):
        for name in package.__all__:
            found = getattr(package, name)
            is_function = callable(found) and not isinstance(found, type) and hasattr(found, "__code__")
            if is_function and name not in UNDECLARED and not hasattr(found, "is_checked"):
                missing.append(f"{package.__name__}.{name}")
    assert not missing, "decorate with subemb.base.arguments.checked: " + ", ".join(missing)
    assert importlib.import_module("subemb.models.load").load.is_checked
