"""The pieces of an array, cut into rows that each fill a packet; the last row of a piece is padded with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Blocks:
    """Rows of `elements` from each of `pieces`, one-dimensional arrays.

    A single piece is not copied, but for its last row; several are.
    """

    def __init__(self, pieces: Sequence[NDArray[Any]], elements: int) -> None:
        self._elements = elements
        self._head = np.empty((0, elements), pieces[0].dtype if pieces else np.uint8)
        self._tail = self._head
        if len(pieces) == 1:
            (piece,) = pieces
            whole = len(piece) // elements
            self._head = piece[: whole * elements].reshape(whole, elements)
            if len(piece) > whole * elements:
                self._tail = np.zeros((1, elements), piece.dtype)
                self._tail[0, : len(piece) - whole * elements] = piece[whole * elements :]
        elif pieces:
            rows = [rows_of(len(piece), elements) for piece in pieces]
            self._head = np.zeros((sum(rows), elements), pieces[0].dtype)
            flat, at = self._head.reshape(-1), 0
            for piece, count in zip(pieces, rows, strict=True):
                flat[at : at + len(piece)] = piece
                at += count * elements

    def __len__(self) -> int:
        return len(self._head) + len(self._tail)

    def rows(self, first: int, stop: int) -> NDArray[Any]:
        """Rows `first` to `stop` - 1."""
        if stop <= len(self._head):
            return self._head[first:stop]
        return np.concatenate((self._head[first:], self._tail)) if first < len(self._head) else self._tail

    def keep(self) -> None:
        """Copies what is still the caller's, who may change it from now on."""
        self._head = self._head.copy()


def rows_of(length: int, elements: int) -> int:
    """How many rows `length` elements take."""
    return -(-length // elements)
