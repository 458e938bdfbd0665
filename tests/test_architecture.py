"""The floors of the house: which room may import which, no circles, and what only one room may know.

Imports count wherever they stand: at the top, inside a function, under TYPE_CHECKING.
"""

import ast
from functools import cache
from pathlib import Path

import pytest
from shared import imports_and_texts, packages_imported, parsed

from subemb.adaptation.settings import AdaptationSettings
from subemb.base.plain import declared, url_names
from subemb.cli import parser
from subemb.codec.methods import METHODS
from subemb.codec.settings import CompressionSettings
from subemb.evaluate.entailment.head_settings import HeadSettings

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "subemb"

#: From the ground up. A room may import those of the floors below it, and those that stand before it on its own.
FLOORS = (
    ("base",),
    ("codec",),
    ("jobs", "models"),
    ("analysis", "evaluate"),
    ("runs", "presets", "adaptation"),
    ("sweep", "bench"),
    ("export", "reproduce"),
    ("tasks",),
    ("commands", "cli", "ui"),
)
ROOMS = [room for floor in FLOORS for room in floor]
#: Packages that take so long to import that a function which needs them imports them itself, and annotations name them in quotes.
SLOW = {
    "dask", "distributed", "faiss", "huggingface_hub", "jinja2", "joblib", "nanopq", "numba", "numpy", "onnx", "onnxruntime", "pandas", "PIL", "plotly",
    "pyarrow", "safetensors", "scipy", "sentence_transformers", "sklearn", "streamlit", "tokenizers", "torch", "transformers", "umap",
}  # fmt: skip
ENTRY_POINTS = ("__init__", "__main__")


def _module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> dict[str, Path]:
    return {_module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def _imports(module: str) -> list[tuple[str, int]]:
    """The modules of subemb that a module imports, anywhere in it, each with its line."""
    path, known = _modules()[module], _modules()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node in imports_and_texts(path)[0]:
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names if alias.name in known]
        else:
            base = package
            for _ in range(max(0, node.level - 1)):
                base = base.rpartition(".")[0]
            source = ".".join(filter(None, (base if node.level else "", node.module)))
            for alias in node.names:
                target = f"{source}.{alias.name}" if f"{source}.{alias.name}" in known else source
                if target in known and target != module:
                    found.append((target, node.lineno))
    return found


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_every_module_has_a_room():
    strangers = {_room(module) for module in _modules()} - set(ROOMS) - set(ENTRY_POINTS)
    assert not strangers, f"{strangers} stand in no room of FLOORS"


def test_nothing_imports_upward():
    floor_of = {room: number for number, room in enumerate(ROOMS)}
    upward = [
        f"{_modules()[module].relative_to(ROOT)}:{line} imports {target}"
        for module in _modules()
        if _room(module) in floor_of
        for target, line in _imports(module)
        if _room(target) in floor_of and floor_of[_room(target)] > floor_of[_room(module)]
    ]
    assert not upward, "\n".join(upward)


def _circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group (Tarjan's strongly connected components)."""
    number, lowest, stack, circles = {}, {}, [], []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in arrows[module]:
            if target not in number:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], number[target])
        if lowest[module] == number[module]:
            start = stack.index(module)
            group = stack[start:]
            del stack[start:]
            if len(group) > 1:
                circles.append(sorted(group))

    for module in arrows:
        if module not in number:
            visit(module)
    return circles


def test_circles_are_found():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert _circles(arrows) == [["b", "c"]]


def test_no_modules_import_each_other_in_a_circle():
    # A package's own face names its modules, and every module may ask it for the version.
    arrows = {module: {target for target, _ in _imports(module) if target != "subemb"} for module in _modules()}
    assert _circles(arrows) == []


@cache
def _loads() -> dict[str, set[str]]:
    """Module -> all packages outside of subemb that importing it imports."""
    own, others = {}, {}
    for module, path in _modules().items():
        at_top = [node.lineno for node in parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        own[module] = {target for target, line in _imports(module) if line in at_top}
        # Importing a module imports the packages that it stands in.
        own[module] |= {target.rpartition(".")[0] for target in own[module] | {module} if "." in target}
        others[module] = {name for name, line in packages_imported(path) if line in at_top}
    found = {}
    for module in own:
        reached, next_ones = set(), [module]
        while next_ones:
            one = next_ones.pop()
            if one not in reached:
                reached.add(one)
                next_ones += own[one]
        found[module] = set().union(*(others[one] for one in reached))
    return found


def _lines_not_at_the_top(path: Path) -> set[int]:
    """Lines of imports in functions and under TYPE_CHECKING, those that are tried apart: what is not there on every system."""
    tree = parsed(path)
    tried = {inner for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    places = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    inside = {node for place in places for node in ast.walk(place)} - tried
    return {node.lineno for node in inside if isinstance(node, ast.Import | ast.ImportFrom)}


@pytest.mark.parametrize("module", [module for module, path in _modules().items() if path.name != "__init__.py"])
def test_imports_that_are_not_at_the_top_are_of_something_slow(module):
    """Those in functions, and those for checkers of types.

    Faces of packages give their names when they are asked for (base/lazy.py), and what they then import counts as slow.
    """
    path, quick = _modules()[module], []
    lines = _lines_not_at_the_top(path)
    for name, line in packages_imported(path):
        if line in lines and name != "subemb" and (name not in SLOW or name in _loads()[module]):
            quick.append((line, name))
    for target, line in _imports(module):
        gives_later = _modules()[target].name == "__init__.py"
        if line in lines and not gives_later and not (_loads()[target] & SLOW) - _loads()[module]:
            quick.append((line, target))
    assert not quick, f"{quick} can be imported at the top of {module}"


def test_only_ui_knows_streamlit():
    importing = {
        path.relative_to(ROOT).as_posix() for path in _modules().values() if "streamlit" in dict(packages_imported(path))
    }
    outside = {path for path in importing if not path.startswith("subemb/ui/")}
    assert outside == {"subemb/commands/app.py"}  # it starts the server


def test_scripts_of_the_page_are_declared_where_what_they_began_is_ended():
    declaring = {name for name, path in _modules().items() if "components.v2" in path.read_text(encoding="utf-8")}
    assert declaring == {"subemb.ui.shell.components"}


def test_entry_points_call_one_function_of_the_ui():
    for path in [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]:
        _, imported, call = parsed(path).body
        assert isinstance(imported, ast.ImportFrom), path
        assert imported.module.startswith("subemb.ui.pages."), path
        assert isinstance(call, ast.Expr), path
        assert isinstance(call.value, ast.Call), path


def test_only_codec_methods_names_a_method():
    naming = {
        path.relative_to(ROOT).as_posix(): sorted(found)
        for module, path in _modules().items()
        if not module.startswith(("subemb.codec.methods", "subemb.bench", "subemb.reproduce"))  # what measures methods by name
        if (found := imports_and_texts(path)[1] & set(METHODS))
    }
    assert not naming


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_method_suggests_a_setting(method):
    suggested = method.suggested
    for name in ("subspaces", "codebook_size", "rank"):
        assert name in method.reads or getattr(suggested, name) is None, f"{method.key} suggests a {name} that it does not read"
    settings = CompressionSettings(method.key, **{name: value for name, value in suggested._asdict().items() if value})
    assert method.resolve(settings, 30_522, 384).method == method.key
    assert ("subspaces" in method.reads) == (suggested.subspaces is not None)


#: Settings that people do not meet in every way, and why.
WITHOUT_FLAG = {"text_digest": "--text gives the text itself"}
WITHOUT_WIDGET = {
    "text_digest": "comes of the text that is pasted or uploaded",
    "tolerance": "kept from links; iterations are enough to choose on a page",
    "device": "where the server computes is not for visitors to choose",
    "start": "for checking a claim of the paper; nobody who wants a good table begins at random",
}
DECLARED = [(cls, name) for cls in (CompressionSettings, AdaptationSettings, HeadSettings) for name in declared(cls)]


@cache
def _flags() -> set[str]:
    commands = next(action for action in parser()._actions if getattr(action, "choices", None))
    return {flag for command in commands.choices.values() for action in command._actions for flag in action.option_strings}


@pytest.mark.parametrize(("settings", "name"), DECLARED, ids=lambda part: getattr(part, "__name__", part))
def test_every_setting_has_a_flag_a_name_in_links_and_a_widget(settings, name):
    item = declared(settings)[name]
    assert item.url_name, "a setting that is in no link cannot be shown to others"
    assert bool(item.flags) == (name not in WITHOUT_FLAG)
    assert set(item.flags) <= _flags(), "no command takes it"
    assert item.widget == (name not in WITHOUT_WIDGET), "pages draw a widget for every setting that is declared to have one"


def test_every_setting_of_a_compression_is_in_its_link():
    assert len(set(url_names(CompressionSettings))) == len(declared(CompressionSettings))
