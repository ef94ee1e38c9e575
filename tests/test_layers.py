"""Imports go down only, and plugin folders never import each other."""

import ast

from pipeline.paths import PACKAGE

PLUGINS = ("agents", "trainers", "engines", "scorers", "guards", "families")
LAYERS = [
    ("cli", "commands", "mcp"),
    ("reproduce", "rerun", "asking", "arms", "comparison", "enter", "bench"),
    (
        "search",
        "lending",
        "session",
        "finish",
        "sideeffects",
        "evaluations",
        "flight",
        "admission",
        "opening",
        "models",
        "lab",
        "view",
        "appraisal",
        "owner",
    ),
    ("report", "reporting", "executors", "export", "fakes"),
    ("trial", "submission", "evaluate", "stopping", "offtarget", "anchors", "stages"),
    PLUGINS,
]  # whatever is not named here is at the bottom
LAYER = {name: len(LAYERS) - number for number, names in enumerate(LAYERS) for name in names}


def imports():
    """Pairs (file, first name below `pipeline` of what it imports), imports for type checkers left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        hidden = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"]
        skipped = {id(inner) for node in hidden for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if id(node) not in skipped:
                yield from ((path.relative_to(PACKAGE), name) for name in _targets(node))


def _name(node):
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)


def _targets(node):
    if isinstance(node, ast.ImportFrom) and node.module == "pipeline":
        return [alias.name for alias in node.names]
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return [module.split(".")[1] for module in modules if module.startswith("pipeline.")]


def room(path):
    return path.parts[0].removesuffix(".py")


def test_imports_go_down_only():
    upward = [f"{path} imports {name}" for path, name in imports() if LAYER.get(name, 0) > LAYER.get(room(path), 0)]
    assert not upward


def test_plugin_folders_never_import_each_other():
    across = [
        f"{path} imports {name}"
        for path, name in imports()
        if name in PLUGINS and room(path) in PLUGINS and name != room(path)
    ]
    assert not across
