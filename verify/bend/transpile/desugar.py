"""Python to a smaller Python: what the rest of the transpiler does not need to know.

Augmented assignments become assignments, generators and map/filter become list comprehensions, functions
defined inside others move to the top when they use no variable of their surroundings.
"""

from __future__ import annotations

import ast
import builtins

from verify.bend.transpile.errors import Unsupported


def functions(source: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module by name, desugared. Raises Unsupported, SyntaxError."""
    tree = ast.parse(source)
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            _add(node, found)
        elif isinstance(node, ast.ImportFrom) and node.module == "typing":
            continue
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            raise Unsupported(node, f"{_construct(node)} at the top level")
    return found


def _add(node: ast.FunctionDef, found: dict[str, ast.FunctionDef]) -> None:
    if node.name in found:
        raise Unsupported(node, f"two functions called '{node.name}'")
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        raise Unsupported(node, f"parameters of '{node.name}' other than plain ones")
    if node.decorator_list:
        raise Unsupported(node, f"decorator of '{node.name}'")
    found[node.name] = node
    node.body = _hoist(node, node.body, found)
    _Desugar().visit(node)
    ast.fix_missing_locations(node)


def _hoist(outer: ast.FunctionDef, body: list[ast.stmt], found: dict[str, ast.FunctionDef]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    inner = [node for node in body if isinstance(node, ast.FunctionDef)]
    names = {node.name for node in inner} | set(found)
    for node in body:
        if not isinstance(node, ast.FunctionDef):
            kept.append(node)
            continue
        free = _reads(node) - _writes(node) - names - set(dir(builtins))
        if free:
            raise Unsupported(node, f"'{node.name}' uses '{min(free)}' of the function around it (a closure)")
        _add(node, found)
    return kept


def _reads(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _writes(node: ast.AST) -> set[str]:
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}


def _construct(node: ast.AST) -> str:
    return {
        ast.Import: "import",
        ast.ImportFrom: "import",
        ast.ClassDef: "class",
        ast.AsyncFunctionDef: "async def",
        ast.Assign: "assignment",
    }.get(type(node), type(node).__name__)


class _Desugar(ast.NodeTransformer):
    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        target = node.target
        if isinstance(target, ast.Name):
            left: ast.expr = ast.Name(target.id, ast.Load())
        elif isinstance(target, ast.Subscript):
            left = ast.Subscript(target.value, target.slice, ast.Load())
        else:
            raise Unsupported(node, "assignment to an attribute")
        value = ast.copy_location(ast.BinOp(ast.copy_location(left, node), node.op, node.value), node)
        assign = ast.copy_location(ast.Assign([target], value), node)
        # `xs += ys` extends the list in place; as an assignment it would not be seen by other names of the
        # list.
        assign.in_place = isinstance(target, ast.Name)  # type: ignore[attr-defined]  # a mark read by `infer`
        return assign

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            raise Unsupported(node, "an annotation without a value")
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(ast.ListComp(node.elt, node.generators), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if not isinstance(function, ast.Name) or function.id not in ("map", "filter") or len(node.args) != 2:
            return node
        given, items = node.args
        if isinstance(given, ast.Lambda) and len(given.args.args) == 1:
            name, body = given.args.args[0].arg, given.body
        elif isinstance(given, ast.Name):
            name = "item"
            body = ast.Call(given, [ast.Name(name, ast.Load())], [])
        else:
            return node
        load: ast.expr = ast.Name(name, ast.Load())
        keeps = function.id == "filter"
        generator = ast.comprehension(ast.Name(name, ast.Store()), items, [body] if keeps else [], 0)
        made = ast.ListComp(load if keeps else body, [generator])
        for each in ast.walk(made):
            if "lineno" in each._attributes and not hasattr(each, "lineno"):
                ast.copy_location(each, node)
        return ast.copy_location(made, node)
