"""A WHERE clause built from the filters that were asked for, so that only those reach the planner."""

from collections.abc import Sequence
from typing import Any

from contracts.reading import Scope


class Conditions:
    """Terms joined by AND, with their arguments. A filter of None adds nothing.

    Areas and dotted codes are paths. A path's descendants are the range of texts that begin with it and the separator,
    which a plain index finds if the column has the collation "C".
    """

    def __init__(self, *arguments: Any) -> None:
        """`arguments` are those that the rest of the statement uses as $1, $2 ..."""
        self.arguments: list[Any] = list(arguments)
        self._terms: list[str] = []
        self._in_area: tuple[str, ...] = ()

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
        """A statement for the first `limit` of these rows in that order; `rows` is one up to its `{where}`.

        The area that is asked for and those below it are looked for apart: an index that begins with the area has the
        cases of one area in order, and gives the first of them however many there are.
        """
        order = f"ORDER BY {order} LIMIT {limit}"
        parts = [f"{rows.format(where=where)} {order}" for where in self.alternatives]
        if len(parts) == 1:
            return parts[0]
        return f"SELECT * FROM ({' UNION ALL '.join(f'({part})' for part in parts)}) found {order}"

    @property
    def alternatives(self) -> list[str]:
        """`where` as conditions that exclude each other: the area that is asked for, and those below it."""
        return [" AND ".join([*self._terms, way]) for way in self._in_area] or [self.where]

    def visible(
        self,
        scope: Scope,
        own: str | None = None,
        *,
        area: str = "area",
        category: str = "category",
    ) -> None:
        """The caller may see the case, whose area and category are in these columns. `own` is a term that is true of
        what the caller sees wherever it lies.
        """
        terms = [] if own is None else [own]
        if scope.everywhere or scope.areas:
            placed = ["true"] if scope.everywhere else [self.any_area(area, scope.areas)]
            if scope.district and not scope.everywhere:
                placed = [f"({placed[0]} OR {area} IS NULL)"]
            if not scope.confidential:
                placed.append(self.not_sensitive(scope, category))
            terms.append(" AND ".join(placed))
        self._terms.append(f"({' OR '.join(terms) or 'false'})")

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
        return " AND ".join([*self._terms, *([f"({' OR '.join(self._in_area)})"] if self._in_area else [])]) or "true"
