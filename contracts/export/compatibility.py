"""What a changed schema would break, for those who wrote under the old one and for those who still read by it."""

import copy
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_CEILINGS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FLOORS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "not")


def breaking(old: Schema, new: Schema) -> list[str]:
    """Each breaking difference between two versions of a schema, with the field's path; empty: all is additive.

    Breaking is whatever refuses a record that `old` allowed (a field required now, another type, a narrower
    enumeration, pattern or limit, a variant gone, a rule more), and whatever takes away what a reader could count on
    (a field gone, or absent or null at times where it was always there). A new optional field, a new variant, a new
    value and a wider limit are additive. Two patterns can't be compared, so a changed pattern counts as narrower.
    """
    return _Comparison(old, new).differences(old, new, "")


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old.get("$defs", {})
        self._new = new.get("$defs", {})

    def differences(self, old: Schema, new: Schema, path: str) -> list[str]:
        old, new = _resolve(old, self._old), _resolve(new, self._new)
        if _variants(old) is not None or _variants(new) is not None:
            return self._of_variants(old, new, path)
        found = _of_types(old, new, path) + _of_values(old, new, path) + _of_limits(old, new, path)
        return found + self._of_fields(old, new, path) + self._of_items(old, new, path) + self._of_rules(old, new, path)

    def _of_fields(self, old: Schema, new: Schema, path: str) -> list[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        found = [f"{_at(path, name)}: was removed" for name in before if name not in after]
        for name in after:
            at = _at(path, name)
            if name in now - was:
                found.append(f"{at}: is required now")
            if name in before:
                if name in was - now:
                    found.append(f"{at}: was always there, may be absent now")
                elif name in was and self._null(after[name], self._new) and not self._null(before[name], self._old):
                    found.append(f"{at}: was always there, may be null now")
                found += self.differences(before[name], after[name], at)
        return found

    def _of_items(self, old: Schema, new: Schema, path: str) -> list[str]:
        if "items" not in new:
            return []
        return self.differences(old.get("items", {}), new["items"], f"{path}[]")

    def _of_variants(self, old: Schema, new: Schema, path: str) -> list[str]:
        """Each old variant must be read by some new one; the one that fits best tells what is wrong."""
        found = self._of_rules(old, new, path)
        after = [_resolve(variant, self._new) for variant in _variants(new) or (new,)]
        for variant in _variants(old) or (old,):
            before = _resolve(variant, self._old)
            same = [candidate for candidate in after if _kind(candidate) == _kind(before)]
            if not same:
                found.append(f"{path or 'record'}: {_kind(before)} is not accepted any more")
                continue
            found += min((self.differences(before, candidate, path) for candidate in same), key=len)
        return found

    def _of_rules(self, old: Schema, new: Schema, path: str) -> list[str]:
        before = [_bare(rule) for rule in old.get("allOf", ())]
        return [
            f"{_name(path)}: new rule: {rule.get('description', 'a further schema')}"
            for rule in new.get("allOf", ())
            if (bare := self._as_known(_bare(rule), old)) is not None and bare not in before
        ]

    def _as_known(self, rule: dict[str, Any], old: Schema) -> dict[str, Any] | None:
        """A rule on some variants of a field, as far as it is about those that were there; None: about none of them."""
        for field, condition in rule.get("if", {}).get("properties", {}).items():
            variants = _variants(_resolve(old.get("properties", {}).get(field, {}), self._old)) or []
            there = [_resolve(variant, self._old).get("properties", {}) for variant in variants]
            for tag, about in condition.get("properties", {}).items():
                known = [fields[tag].get("const") for fields in there if tag in fields]
                about = [value for value in about.get("enum", ()) if value in known]
                if not about:
                    return None
                rule = copy.deepcopy(rule)
                rule["if"]["properties"][field]["properties"][tag]["enum"] = about
        return rule

    def _null(self, schema: Schema, definitions: Mapping[str, Schema]) -> bool:
        resolved = _resolve(schema, definitions)
        return any("null" in _types(_resolve(each, definitions)) for each in _variants(resolved) or (resolved,))


def _resolve(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _variants(schema: Schema) -> list[Schema] | None:
    return schema.get("oneOf") or schema.get("anyOf")


def _kind(schema: Schema) -> str:
    """What tells a variant from its siblings: its constant fields, or else its types."""
    tags = {name: field["const"] for name, field in schema.get("properties", {}).items() if "const" in field}
    if tags:
        return " and ".join(f"{name} {value}" for name, value in tags.items())
    return " or ".join(sorted(_types(schema))) or "anything"


def _types(schema: Schema) -> set[str]:
    named = schema.get("type", [])
    return {named} if isinstance(named, str) else set(named)


def _of_types(old: Schema, new: Schema, path: str) -> list[str]:
    before, after = _types(old), _types(new)
    if "number" in after:
        after |= {"integer"}
    if not after or (before and before <= after):
        return []
    return [f"{_name(path)}: is of type {_list(after)} now, was {_list(before) or 'of any'}"]


def _of_values(old: Schema, new: Schema, path: str) -> list[str]:
    before, after = _values(old), _values(new)
    if after is None:
        return []
    if before is None:
        return [f"{_name(path)}: allows only {_list(after)} now"]
    gone = [value for value in before if value not in after]
    return [f"{_name(path)}: does not allow {_list(gone)} any more"] if gone else []


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _of_limits(old: Schema, new: Schema, path: str) -> list[str]:
    found = [
        f"{_name(path)}: {word} is {new[word]} now, was {old.get(word, 'not limited')}"
        for words, narrower in ((_CEILINGS, -1), (_FLOORS, 1))
        for word in words
        if word in new and (word not in old or (new[word] - old[word]) * narrower > 0)
    ]
    return found + [
        f"{_name(path)}: {word} is {new[word]} now, was {old.get(word, 'not set')}"
        for word in _EXACT
        if word in new and new[word] != old.get(word)
    ]


def _bare(rule: Schema) -> dict[str, Any]:
    return {word: value for word, value in rule.items() if word != "description"}


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name(path: str) -> str:
    return path or "record"


def _list(values: Any) -> str:
    return ", ".join(sorted(map(str, values)))
