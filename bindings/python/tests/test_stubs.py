"""The type stubs match the package."""

import ast
import inspect
from pathlib import Path

import blockpipe
import pytest

PACKAGE = Path(blockpipe.__file__).parent
# The stubs describe the part in Rust. The part in Python has its types in place.
STUBS = ast.parse((PACKAGE / "__init__.pyi").read_text()).body
NODES = [*STUBS, *ast.parse((PACKAGE / "_types.py").read_text()).body]
CLASSES = {node.name: node for node in NODES if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in NODES if isinstance(node, ast.FunctionDef)}


def documented(node):
    return ast.get_docstring(node) is not None


def test_all_names_are_described():
    names = {*CLASSES, *FUNCTIONS}
    names |= {node.target.id for node in NODES if isinstance(node, ast.AnnAssign)}
    assert names == set(blockpipe.__all__)
    assert all(documented(node) for node in [*CLASSES.values(), *FUNCTIONS.values()])
    # Type checkers find the part in Python through the stubs.
    assert any(isinstance(node, ast.ImportFrom) and node.module == "_types" for node in STUBS)
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_is_described(name):
    described = {node.name: node for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    there = vars(getattr(blockpipe, name))
    public = {word for word in there if not word.startswith("_")}
    if name != "Snapshot":
        attributes = {node.target.id for node in CLASSES[name].body if isinstance(node, ast.AnnAssign)}
        assert {word for word in described if not word.startswith("_")} | attributes >= public
    for word, node in described.items():
        if word in ("__init__", "__new__", "__buffer__"):
            continue
        assert hasattr(getattr(blockpipe, name), word), word
        if not word.startswith("__") and not any(isinstance(d, ast.Attribute) for d in node.decorator_list):
            assert documented(node), word
        is_property = any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list)
        attribute = inspect.getattr_static(getattr(blockpipe, name), word)
        if callable(attribute) and not is_property and not word.startswith("__"):
            theirs = [p for p in inspect.signature(attribute).parameters if p != "self"]
            ours = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]]
            assert theirs == [argument for argument in ours if argument != "self"], word
