"""The type stubs describe what is there."""

import ast
import inspect
from pathlib import Path

import blockpipe
import pytest

STUBS = ast.parse((Path(blockpipe.__file__).parent / "__init__.pyi").read_text())
CLASSES = {node.name: node for node in STUBS.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUBS.body if isinstance(node, ast.FunctionDef)}
# Written by PyO3 for every class, or not to be called by name.
IGNORED = {"__new__", "__init__", "__str__", "__reduce__", "__getbuffer__", "__releasebuffer__"}


def documented(node):
    return ast.get_docstring(node) is not None


def test_all_names_are_described():
    names = {*CLASSES, *FUNCTIONS}
    names |= {node.target.id for node in STUBS.body if isinstance(node, ast.AnnAssign)}
    assert names == set(blockpipe.__all__)
    assert all(documented(node) for node in [*CLASSES.values(), *FUNCTIONS.values()])
    assert (Path(blockpipe.__file__).parent / "py.typed").exists()


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
