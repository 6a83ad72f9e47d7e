"""Sorted blocks of numbers against a sorted list."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.mapping.machine import sorted_numbers

numbers = st.integers(0, 60)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("aaar"), numbers), max_size=80), numbers, numbers)
def test_behaves_like_a_sorted_list(steps: list[tuple[str, int]], low: int, high: int) -> None:
    held: set[int] = set()
    with patch.object(sorted_numbers, "_LONGEST_BLOCK", 4):
        table = sorted_numbers.SortedNumbers()
        for step, number in steps:
            if step == "a" and number not in held:
                table.add(number)
                held.add(number)
            elif step == "r" and number in held:
                table.remove(number)
                held.remove(number)
        assert list(table.between(-1, 100)) == sorted(held)
        assert list(table.between(low, high)) == [one for one in sorted(held) if low < one <= high]
        below, above = [one for one in held if one <= low], [one for one in held if one > low]
        nearest = ([max(below)] if below else []) + ([min(above)] if above else [])
        assert table.around(low) == nearest
