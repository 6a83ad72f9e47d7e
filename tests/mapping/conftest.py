"""Places for the stores of a mapping system: a file, and a name in an etcd that runs for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.mapping.etcd_process import Etcd, running_etcd
from tests.mapping.stores import IN_MEMORY

_numbers = count()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mapping-system.db"


@pytest.fixture(scope="module")
def etcd() -> Iterator[Etcd]:
    with TemporaryDirectory(dir=IN_MEMORY) as folder, running_etcd(Path(folder)) as process:
        yield process


@pytest.fixture
def name() -> str:
    return f"ms-{next(_numbers)}"
