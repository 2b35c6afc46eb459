"""A WHERE clause built from the filters that were asked for, so that only those reach the planner."""

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.fields import lies_in
from contracts.reading import Scope

_FEW = 8
"""As many areas of a token are looked for apart."""


class Conditions:
    """Terms joined by AND, with their arguments. A filter of None adds nothing.

    Areas and dotted codes are paths. A path's descendants are the range of texts that begin with it and the separator,
    which a plain index finds if the column has the collation "C".
    """

    def __init__(self, *arguments: Any) -> None:
        """`arguments` are those that the rest of the statement uses as $1, $2 ..."""
        self.arguments: list[Any] = list(arguments)
        self._terms: list[str] = []
        self._in_area: Sequence[str] = ()
        self._visible: Sequence[str] = ()

    def place(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, term: str, *values: Any) -> None:
        """Adds a term whose `{0}`, `{1}` ... stand for the values; nothing where the first value is None."""
        if values and values[0] is None:
            return
        self._terms.append(term.format(*(self.place(value) for value in values)))

    def equals(self, column: str, value: Any) -> None:
        """The column has this value."""
        self.add(f"{column} = {{0}}", value)

    def in_area(self, column: str, area: str | None) -> None:
        """The area in the column is this one or lies in it. To be asked once."""
        if area is not None:
            self._in_area = self._ways(column, area, "/")

    def first(self, rows: str, order: str, limit: str = "$1") -> str:
        """A statement for the first `limit` of these rows in that order, each once; `rows` is one up to its `{where}`.
        What the order names must tell all rows apart.

        The alternatives are looked for apart: an index that begins with the area has the cases of one area in order,
        and gives the first of them however many there are.
        """
        by = f"ORDER BY {order} LIMIT {limit}"
        parts = [f"{rows.format(where=where)} {by}" for where in self.alternatives]
        return parts[0] if len(parts) == 1 else f"{once(parts, order)} {by}"

    @property
    def alternatives(self) -> list[str]:
        """`where` as conditions of which at least one is true: the area that is asked for, and those below it; or each
        way in which the caller may see a case. A row may fit several of them.
        """
        apart = self._in_area or self._visible
        rest = [*self._terms, *([_any(self._visible)] if self._in_area and self._visible else [])]
        return [" AND ".join([*rest, f"({way})"]) for way in apart] or [self.where]

    def visible(
        self,
        scope: Scope,
        own: str | None = None,
        *,
        area: str = "area",
        category: str = "category",
    ) -> None:
        """The caller may see the case, whose area and category are in these columns. `own` is a term that is true of
        what the caller sees wherever it lies. To be asked once.
        """
        ways = self._placed(scope, area)
        if ways and not scope.confidential:
            public = self.not_sensitive(scope, category)
            ways = [f"{way} AND {public}" for way in ways]
        self._visible = [*ways, *([] if own is None else [own])] or ["false"]

    def _placed(self, scope: Scope, column: str) -> Sequence[str]:
        """It lies where the caller sees cases: of a few areas, each and what is below it."""
        if scope.everywhere:
            return ["true"]
        if scope.district:
            return [f"({self.any_area(column, scope.areas)} OR {column} IS NULL)"]
        widest = [one for one in scope.areas if not any(one != other and lies_in(one, other) for other in scope.areas)]
        if len(widest) > _FEW:
            return [self.any_area(column, widest)]
        return [way for one in widest for way in self._ways(column, one, "/")]

    def not_sensitive(self, scope: Scope, category: str = "category") -> str:
        """The case is not sensitive, as a term. For where units see only the sensitive cases that they work on."""
        is_one = f"({category} = ANY({self.place(sorted(scope.knows.sensitive))}::text[]))"
        return f"{is_one} IS {'NOT TRUE' if scope.knows.categories else 'FALSE'}"

    def any_area(self, column: str, areas: Sequence[str]) -> str:
        """The area in the column lies in one of these, as a term to be joined with others by OR."""
        return f"({' OR '.join(self._path(column, area, '/') for area in areas)})"

    def below(self, column: str, path: str | None, separator: str = ".") -> None:
        """The path in the column is this one or lies below it."""
        if path is not None:
            self._terms.append(f"({self._path(column, path, separator)})")

    def _path(self, column: str, path: str, separator: str) -> str:
        return " OR ".join(self._ways(column, path, separator))

    def _ways(self, column: str, path: str, separator: str) -> tuple[str, str]:
        """It is the path; it lies below the path."""
        own, first, end = (self.place(text) for text in (path, path + separator, path + chr(ord(separator) + 1)))
        return f"{column} = {own}", f"({column} >= {first} AND {column} < {end})"

    @property
    def where(self) -> str:
        """The terms; `true` where there are none."""
        return " AND ".join([*self._terms, *(_any(ways) for ways in (self._visible, self._in_area) if ways)]) or "true"


def once(parts: Iterable[str], order: str) -> str:
    """The rows of all these statements, each once. What the order names must tell them apart; it has to follow."""
    by = ", ".join(name.split()[0] for name in order.split(","))
    return f"SELECT DISTINCT ON ({by}) * FROM ({' UNION ALL '.join(f'({part})' for part in parts)}) found"


def _any(ways: Iterable[str]) -> str:
    return f"({' OR '.join(ways)})"
