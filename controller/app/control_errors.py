"""What a control request is refused with, on both ends of the socket, and readers of its parameters that refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

# Codes of JSON-RPC 2.0, section 5.1.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
# Ours: the request is well formed, and the fabric says no.
REFUSED = 1


class ControlError(Exception):
    """An error of JSON-RPC: `code`, `message`, and `data` with the `field` and `value` that it is about, if any."""

    def __init__(self, message: str, *, code: int = REFUSED, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.data = dict(data or {})

    def as_json(self) -> dict[str, object]:
        """The error object of an answer."""
        found: dict[str, object] = {"code": self.code, "message": self.message}
        return found | {"data": self.data} if self.data else found


def invalid(field: str, value: object, reason: str) -> ControlError:
    """A parameter cannot be what it is: `FIELD VALUE: reason`."""
    shown = value if isinstance(value, str) else repr(value)
    text = f"{field}: {reason}" if value is None else f"{field} {shown[:100]}: {reason}"
    return ControlError(text, code=INVALID_PARAMS, data={"field": field, "value": value})


def unknown(field: str, value: str, known: Iterable[str], what: str) -> ControlError:
    """There is no `what` of that name; the text names what comes close, or what there is."""
    names = list(known)
    close = get_close_matches(value, names, n=3, cutoff=0.5)
    few = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {few}" if names else "there is none"
    return invalid(field, value, f"no such {what}; {hint}")


def only(params: Mapping[str, object], *fields: str) -> None:
    """Refuses parameters that a method does not have. Raises ControlError."""
    for field, value in params.items():
        if field not in fields:
            raise invalid(field, value, f"no such parameter; there are {', '.join(fields) or 'none'}")


def text(params: Mapping[str, object], field: str, default: str | None = None) -> str:
    """A parameter that is a text. Raises ControlError when it is none, or missing without a default."""
    value = params.get(field)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value:
        raise invalid(field, value, "a text is needed")
    return value


def optional_text(params: Mapping[str, object], field: str) -> str | None:
    """A parameter that is a text or left out. Raises ControlError for anything else."""
    return None if params.get(field) is None else text(params, field)


def texts(params: Mapping[str, object], field: str) -> list[str]:
    """A parameter that is a list of texts; empty where it is left out. Raises ControlError for anything else."""
    value = params.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(field, value, "a list of texts is needed")
    return value


def integer(params: Mapping[str, object], field: str, low: int, high: int, default: int | None = None) -> int:
    """A parameter that is an integer, `low` to `high`. Raises ControlError for anything else."""
    value = params.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(field, value, f"an integer from {low} to {high} is needed")
    return value


def optional_integer(params: Mapping[str, object], field: str, low: int, high: int) -> int | None:
    """A parameter that is an integer, `low` to `high`, or left out. Raises ControlError for anything else."""
    return None if params.get(field) is None else integer(params, field, low, high)


def number(params: Mapping[str, object], field: str, low: float, high: float, default: float) -> float:
    """A parameter that is a number, `low` to `high`. Raises ControlError for anything else."""
    value = params.get(field, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise invalid(field, value, f"a number from {low:g} to {high:g} is needed")
    return float(value)


def flag(params: Mapping[str, object], field: str) -> bool:
    """A parameter that is true or false; false where it is left out. Raises ControlError for anything else."""
    value = params.get(field, False)
    if not isinstance(value, bool):
        raise invalid(field, value, "true or false is needed")
    return value
