"""Change a Python source in one place at a time: the operators of the mutation tests. Pure.

A change is one that a programmer could make by mistake: another comparison, an inverted condition, a missing statement, a
missing lock or time limit. Texts, log lines, annotations, decorators and imports stay as they are: no test should depend on
those.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

Field = tuple[ast.AST, str, int | None]
"""A node's place in the tree: its parent, the parent's field, and the index if that field is a list."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a source: its number among all changes, its line, and the class and function around it."""

    number: int
    line: int
    within: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Site:
    """A node that may be changed, where it is in the tree, and the class and function around it."""

    node: ast.AST
    field: Field
    within: str


def mutants(source: str) -> list[Mutant]:
    """Return every change that the operators know for this source, in the order of its lines."""
    return [
        Mutant(number, getattr(site.node, "lineno", 0), site.within, _shown(site.node), _shown(replacement))
        for number, (site, replacement) in enumerate(_changes(ast.parse(source)))
    ]


def planted(source: str, number: int) -> str:
    """Return the source with the change of that number made; its comments are lost, which no test can notice."""
    tree = ast.parse(source)
    site, replacement = next(islice(_changes(tree), number, None))
    _put(site.field, replacement)
    return ast.unparse(ast.fix_missing_locations(tree))


def _changes(tree: ast.Module) -> Iterator[tuple[Site, ast.AST]]:
    for site in list(_sites(tree, "")):
        for operator in OPERATORS.get(type(site.node), ()):
            for replacement in operator(site.node):
                yield site, replacement


def _put(field: Field, replacement: ast.AST) -> None:
    parent, name, index = field
    if index is None:
        setattr(parent, name, replacement)
    else:
        getattr(parent, name)[index] = replacement


def _shown(node: ast.AST) -> str:
    """Return the first line of a node as source, without what a statement contains."""
    if isinstance(node, ast.With | ast.AsyncWith | ast.If):
        node = type(node)(**{**dict(ast.iter_fields(node)), "body": [ast.Pass()], "orelse": []})
    lines = ast.unparse(ast.fix_missing_locations(node)).splitlines() or [""]
    return lines[0][:120]


# Where changes are made.

NEVER_CHANGED = {"annotation", "returns", "decorator_list", "type_params", "type_comment"}
LOGGERS = {"log", "logger", "logging"}


def _sites(parent: ast.AST, within: str) -> Iterator[Site]:
    for name, index, node in _children(parent):
        if not _is_left_alone(parent, name, node):
            yield Site(node, (parent, name, index), within)
            yield from _sites(node, _deeper(within, node))


def _children(parent: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for name, value in ast.iter_fields(parent):
        if isinstance(value, ast.AST):
            yield name, None, value
        elif isinstance(value, list):
            yield from ((name, index, item) for index, item in enumerate(value) if isinstance(item, ast.AST))


def _is_left_alone(parent: ast.AST, name: str, node: ast.AST) -> bool:
    return (
        name in NEVER_CHANGED
        or isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, ast.Expr | ast.Call) and _is_log_line(node))
        or (isinstance(parent, ast.While) and isinstance(node, ast.Constant))
        or (isinstance(parent, ast.Assign) and _is_dunder(parent.targets[0]))
    )


def _is_log_line(node: ast.Expr | ast.Call) -> bool:
    call = node.value if isinstance(node, ast.Expr) else node
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in LOGGERS
        case _:
            return False


def _is_dunder(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id.startswith("__")


def _deeper(within: str, node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return f"{within}.{node.name}".lstrip(".")
    return within


# The operators: each gives the changed copies of a node.

OTHER_COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OTHER_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
OTHER_FUNCTION = {"any": "all", "all": "any", "min": "max", "max": "min"}


def compare(node: ast.Compare) -> Iterator[ast.AST]:
    for index, operator in enumerate(node.ops):
        changed = [*node.ops[:index], OTHER_COMPARISON[type(operator)](), *node.ops[index + 1 :]]
        yield ast.Compare(node.left, changed, node.comparators)


def and_or(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def without_not(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not):
        yield node.operand


def arithmetic(node: ast.BinOp) -> Iterator[ast.AST]:
    texts = (ast.JoinedStr, ast.Constant)
    is_text = any(isinstance(side, texts) and not _is_number(side) for side in (node.left, node.right))
    if type(node.op) in OTHER_ARITHMETIC and not is_text:
        yield ast.BinOp(node.left, OTHER_ARITHMETIC[type(node.op)](), node.right)


def augmented(node: ast.AugAssign) -> Iterator[ast.AST]:
    if type(node.op) in OTHER_ARITHMETIC:
        yield ast.AugAssign(node.target, OTHER_ARITHMETIC[type(node.op)](), node.value)
    yield ast.Pass()


def constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif _is_number(node):
        yield ast.Constant(node.value + 1)


def other_function(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in OTHER_FUNCTION:
        yield ast.Call(ast.Name(OTHER_FUNCTION[node.func.id]), node.args, node.keywords)


def condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[ast.AST]:
    if _is_plain_condition(node.test):
        yield type(node)(**{**dict(ast.iter_fields(node)), "test": ast.UnaryOp(ast.Not(), node.test)})


def filtered(node: ast.comprehension) -> Iterator[ast.AST]:
    for index, test in enumerate(node.ifs):
        if _is_plain_condition(test):
            changed = [*node.ifs[:index], ast.UnaryOp(ast.Not(), test), *node.ifs[index + 1 :]]
            yield ast.comprehension(node.target, node.iter, changed, node.is_async)


def returns_nothing(node: ast.Return) -> Iterator[ast.AST]:
    is_nothing = isinstance(node.value, ast.Constant) and not node.value.value
    if node.value is not None and not is_nothing:
        yield ast.Return(ast.Constant(None))


def without_call(node: ast.Expr) -> Iterator[ast.AST]:
    called = node.value.value if isinstance(node.value, ast.Await) else node.value
    if isinstance(called, ast.Call):
        yield ast.Pass()


def without_assignment(node: ast.Assign) -> Iterator[ast.AST]:
    """Leave out what is stored in an object or a collection; without a local name, everything fails, which says nothing."""
    if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
        yield ast.Pass()


def without_statement(_node: ast.Raise | ast.Delete) -> Iterator[ast.AST]:
    yield ast.Pass()


def break_for_continue(_node: ast.Continue) -> Iterator[ast.AST]:
    yield ast.Break()


def continue_for_break(_node: ast.Break) -> Iterator[ast.AST]:
    yield ast.Continue()


def without_context(node: ast.With | ast.AsyncWith) -> Iterator[ast.AST]:
    """Leave out a lock, a time limit, a suppressed error: whatever a `with` guards without a name."""
    if all(item.optional_vars is None for item in node.items):
        yield ast.If(ast.Constant(True), node.body, [])


def fewer_errors(node: ast.ExceptHandler) -> Iterator[ast.AST]:
    if isinstance(node.type, ast.Tuple):
        for index in range(len(node.type.elts)):
            kept = [*node.type.elts[:index], *node.type.elts[index + 1 :]]
            yield ast.ExceptHandler(kept[0] if len(kept) == 1 else ast.Tuple(kept, ast.Load()), node.name, node.body)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _is_plain_condition(test: ast.expr) -> bool:
    """Return whether no other operator changes this condition, and it is none that is always true."""
    is_changed_elsewhere = isinstance(test, ast.Compare | ast.BoolOp | ast.Constant)
    return not is_changed_elsewhere and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


Operator = Callable[..., Iterator[ast.AST]]
OPERATORS: dict[type[ast.AST], tuple[Operator, ...]] = {
    ast.Compare: (compare,),
    ast.BoolOp: (and_or,),
    ast.UnaryOp: (without_not,),
    ast.BinOp: (arithmetic,),
    ast.AugAssign: (augmented,),
    ast.Constant: (constant,),
    ast.Call: (other_function,),
    ast.If: (condition,),
    ast.While: (condition,),
    ast.IfExp: (condition,),
    ast.comprehension: (filtered,),
    ast.Return: (returns_nothing,),
    ast.Expr: (without_call,),
    ast.Assign: (without_assignment,),
    ast.Raise: (without_statement,),
    ast.Delete: (without_statement,),
    ast.Continue: (break_for_continue,),
    ast.Break: (continue_for_break,),
    ast.With: (without_context,),
    ast.AsyncWith: (without_context,),
    ast.ExceptHandler: (fewer_errors,),
}
