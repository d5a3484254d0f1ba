"""The digest of Python code that changes with what runs, and not with comments, layout or docstrings."""

import ast
import hashlib


def digest(code: bytes) -> str:
    """SHA-256 of Python code without comments, layout and docstrings.

    Raises:
        SyntaxError, ValueError: it is not Python.
        MemoryError, RecursionError: it is nested too deep.
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_docstring(part)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.unparse(_FStrings().visit(tree)).encode()).hexdigest()


class _FStrings(ast.NodeTransformer):
    """Write f-strings as Python 3.11 does: later Pythons reuse the outer quotes inside the braces."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Replace an f-string by a name with the f-string's text, which `ast.unparse` copies."""
        text = self._text(node)
        return ast.Name("f" + next(quote + text + quote for quote in ("'", '"', '"""', "'''") if quote not in text))

    def _text(self, node: ast.expr) -> str:
        return "".join(map(self._part, node.values if isinstance(node, ast.JoinedStr) else [node]))

    def _part(self, part: ast.expr) -> str:
        if isinstance(part, ast.FormattedValue):
            value = ast.unparse(ast.Expr(self.visit(part.value)))
            if isinstance(part.value, ast.IfExp | ast.Lambda):
                value = f"({value})"
            conversion = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
            form = f":{self._text(part.format_spec)}" if part.format_spec else ""
            return "{" + " " * value.startswith("{") + value + conversion + form + "}"
        text = str(ast.literal_eval(part)).replace("{", "{{").replace("}", "}}")
        return "".join(
            character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
            for character in text
        )


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
