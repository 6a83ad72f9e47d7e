"""Looking P4 objects up by id, by full name, or by any unambiguous suffix of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from controller.p4rt.errors import DecodingError, P4InfoError, UnknownNameError


class Named(Protocol):
    """What an index holds: an object with a number and a name."""

    @property
    def id(self) -> int:
        """Number of the object, unique among its kind."""
        ...

    @property
    def name(self) -> str:
        """Full name of the object, unique among its kind."""
        ...


T = TypeVar("T", bound=Named)


class Index(Generic[T]):
    """The objects of one kind, in the order of their ids.

    ``index["MyIngress.routes"]`` and ``index["routes"]`` find the same table as long as no other table's
    name ends in ``.routes``. P4Info's aliases are such suffixes, unless the program overrode them.

    Args:
        kind: what the objects are, for messages.
        objects: the objects.
        place: what they belong to, such as a table's name, for messages.
        aliases: further names by object id.

    Raises:
        P4InfoError: if two objects share an id or a name.
    """

    __slots__ = ("_by_id", "_by_name", "kind", "place")

    def __init__(self, kind: str, objects: Iterable[T], place: str = "", aliases: dict[int, str] | None = None) -> None:
        self.kind, self.place = kind, place
        self._by_id: dict[int, T] = {}
        self._by_name: dict[str, T] = {}
        where = f" of {place}" if place else ""
        for item in sorted(objects, key=lambda item: item.id):
            if item.id in self._by_id:
                raise P4InfoError(f"{kind}s{where} {self._by_id[item.id].name!r} and {item.name!r}: same id {item.id}")
            if item.name in self._by_name:
                raise P4InfoError(f"two {kind}s{where} are named {item.name!r}")
            self._by_id[item.id] = item
            self._by_name[item.name] = item
        self._by_name = self._suffixes(aliases or {}) | self._by_name

    def _suffixes(self, aliases: dict[int, str]) -> dict[str, T]:
        """Every unambiguous suffix of a name; an alias settles what would be ambiguous."""
        found: dict[str, set[int]] = {}
        for item in self:
            parts = item.name.split(".")
            for start in range(1, len(parts)):
                found.setdefault(".".join(parts[start:]), set()).add(item.id)
        unambiguous = {suffix: self._by_id[min(ids)] for suffix, ids in found.items() if len(ids) == 1}
        ours = {number: alias for number, alias in aliases.items() if alias and number in self._by_id}
        return unambiguous | {alias: self._by_id[number] for number, alias in ours.items()}

    def __getitem__(self, name: str) -> T:
        """The object of this name or suffix; raises UnknownNameError, which is a KeyError."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, (item.name for item in self), self.place) from None

    def get(self, name: str) -> T | None:
        """The object of this name or suffix, or None."""
        return self._by_name.get(name)

    def by_id(self, number: int) -> T:
        """The object with this id; raises DecodingError, for ids come from the switch."""
        try:
            return self._by_id[number]
        except KeyError:
            where = f" in {self.place}" if self.place else ""
            raise DecodingError(f"no {self.kind} has id {number} ({number:#010x}){where}") from None

    def has_id(self, number: int) -> bool:
        """Whether there is an object with this id."""
        return number in self._by_id

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[T]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)
