"""What the process group makes of tensors, seen through groups of one process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="NOT RUN: PyTorch is not installed (pip install '.[torch]')")
dist = pytest.importorskip("torch.distributed")

from accelerator.torch_backend.process_group import InccProcessGroup  # noqa: E402
from tests.accelerator.torch_backend.loopback import Hub, Loopback  # noqa: E402

SIZE = 4
WHOLE = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture
def groups() -> Iterator[list[Any]]:
    hub = Hub(SIZE)
    found = [InccProcessGroup(Loopback(hub, rank), "test", timedelta(seconds=10)) for rank in range(SIZE)]
    yield found
    for group in found:
        group.shutdown()
    del found
    gc.collect()


def everybody(groups: list[Any], call: Callable[[Any, int], Any]) -> None:
    for work in [call(group, rank) for rank, group in enumerate(groups)]:
        assert work.wait() is True
        assert work.is_completed()
        assert work.is_success()
        assert work.exception() is None


def options(kind: str, op: Any = None, root: int | None = None) -> Any:
    made = getattr(dist, kind)()
    if op is not None:
        made.reduceOp = op
    if root is not None:
        made.rootRank = root
    return made


@pytest.mark.parametrize("dtype", WHOLE + FLOATS)
@pytest.mark.parametrize("op", ["SUM", "MIN", "MAX"])
def test_all_reduce_of_every_type(groups: list[Any], dtype: Any, op: str) -> None:
    tensors = [torch.arange(15).reshape(3, 5).to(dtype) % (rank + 2) for rank in range(SIZE)]
    stacked = torch.stack([tensor.to(torch.float64) for tensor in tensors])
    expected = {"SUM": stacked.sum(0), "MIN": stacked.amin(0), "MAX": stacked.amax(0)}[op].to(dtype)
    everybody(
        groups,
        lambda group, rank: group.allreduce([tensors[rank]], options("AllreduceOptions", getattr(dist.ReduceOp, op))),
    )
    assert all(torch.equal(tensor, expected) for tensor in tensors)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("op", ["BAND", "BOR", "BXOR"])
def test_all_reduce_of_bits(groups: list[Any], dtype: Any, op: str) -> None:
    tensors = [torch.arange(7).to(dtype) * (rank + 1) for rank in range(SIZE)]
    function = {"BAND": torch.bitwise_and, "BOR": torch.bitwise_or, "BXOR": torch.bitwise_xor}[op]
    expected = tensors[0]
    for tensor in tensors[1:]:
        expected = function(expected, tensor)
    how = options("AllreduceOptions", getattr(dist.ReduceOp, op))
    everybody(groups, lambda group, rank: group.allreduce([tensors[rank]], how))
    assert all(torch.equal(tensor, expected) for tensor in tensors)


def test_an_average_and_several_tensors_of_two_types(groups: list[Any]) -> None:
    floats = [torch.full((5,), float(rank)) for rank in range(SIZE)]
    everybody(
        groups, lambda group, rank: group.allreduce([floats[rank]], options("AllreduceOptions", dist.ReduceOp.AVG))
    )
    assert all(torch.equal(one, torch.full((5,), 1.5)) for one in floats)
    sets = [
        [torch.full((2, 2), float(rank)), torch.tensor([rank, 1]), torch.ones(3), torch.tensor(rank)]
        for rank in range(SIZE)
    ]
    everybody(groups, lambda group, rank: group.allreduce_coalesced(sets[rank]))
    for one in sets:
        assert torch.equal(one[0], torch.full((2, 2), 6.0))
        assert one[1].tolist() == [6, 4]
        assert torch.equal(one[2], torch.full((3,), 4.0))
        assert one[3].item() == 6


def test_reduce_gives_the_root_the_result_and_leaves_the_others_alone(groups: list[Any]) -> None:
    tensors = [torch.tensor([rank, 10]) for rank in range(SIZE)]
    everybody(groups, lambda group, rank: group.reduce([tensors[rank]], options("ReduceOptions", root=2)))
    assert [tensor.tolist() for tensor in tensors] == [[0, 10], [1, 10], [6, 40], [3, 10]]


@pytest.mark.parametrize("name", ["reduce_scatter_single", "_reduce_scatter_base"])
def test_reduce_scatter(groups: list[Any], name: str) -> None:
    outputs = [torch.zeros(2) for _ in range(SIZE)]
    inputs = [torch.arange(2.0 * SIZE) + rank for rank in range(SIZE)]
    everybody(groups, lambda group, rank: getattr(group, name)(outputs[rank], inputs[rank]))
    for rank, output in enumerate(outputs):
        assert output.tolist() == [8 * rank + 6, 8 * rank + 4 + 6]
    lists = [list(one.clone().split(2)) for one in inputs]
    again = [torch.zeros(2) for _ in range(SIZE)]
    everybody(groups, lambda group, rank: group.reduce_scatter([again[rank]], [lists[rank]]))
    assert all(torch.equal(one, two) for one, two in zip(again, outputs, strict=True))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool, torch.bfloat16, torch.int64])
def test_broadcast_of_any_type_to_a_tensor_that_is_not_contiguous(groups: list[Any], dtype: Any) -> None:
    source = torch.tensor([[1, 0, 1], [0, 1, 1]]).to(dtype)
    tensors = [source.clone() if rank == 1 else torch.zeros(3, 2, dtype=dtype).t() for rank in range(SIZE)]
    origin = options("BroadcastOptions", root=1)
    everybody(groups, lambda group, rank: group.broadcast([tensors[rank]], origin))
    assert all(torch.equal(tensor, source) for tensor in tensors)


def test_gathers_and_scatter(groups: list[Any]) -> None:
    inputs = [torch.full((2, 3), rank, dtype=torch.bfloat16) for rank in range(SIZE)]
    lists = [[torch.zeros_like(inputs[0]) for _ in range(SIZE)] for _ in range(SIZE)]
    everybody(groups, lambda group, rank: group.allgather([lists[rank]], [inputs[rank]]))
    assert all(torch.equal(part, inputs[i]) for parts in lists for i, part in enumerate(parts))
    wholes = [torch.zeros(2 * SIZE, 3, dtype=torch.bfloat16) for _ in range(SIZE)]
    everybody(groups, lambda group, rank: group._allgather_base(wholes[rank], inputs[rank]))
    assert all(torch.equal(whole, torch.cat(inputs)) for whole in wholes)
    parts = [torch.zeros_like(inputs[0]) for _ in range(SIZE)]
    everybody(
        groups,
        lambda group, rank: group.gather(
            [parts] if rank == 3 else [], [inputs[rank]], options("GatherOptions", root=3)
        ),
    )
    assert all(torch.equal(part, one) for part, one in zip(parts, inputs, strict=True))
    outputs = [torch.zeros_like(inputs[0]) for _ in range(SIZE)]
    everybody(
        groups,
        lambda group, rank: group.scatter(
            [outputs[rank]], [inputs] if rank == 1 else [], options("ScatterOptions", root=1)
        ),
    )
    assert all(torch.equal(output, one) for output, one in zip(outputs, inputs, strict=True))


def test_all_to_all_with_parts_of_different_sizes(groups: list[Any]) -> None:
    # Rank i sends i + j numbers to rank j.
    inputs = [torch.cat([torch.full((i + j,), 10 * i + j) for j in range(SIZE)]) for i in range(SIZE)]
    outputs = [torch.zeros(sum(i + j for i in range(SIZE)), dtype=torch.int64) for j in range(SIZE)]
    sizes = [[rank + other for other in range(SIZE)] for rank in range(SIZE)]
    everybody(groups, lambda g, rank: g.alltoall_base(outputs[rank], inputs[rank], sizes[rank], sizes[rank]))
    for j, output in enumerate(outputs):
        assert torch.equal(output, torch.cat([torch.full((i + j,), 10 * i + j) for i in range(SIZE)]))
    rows = [torch.arange(SIZE) + 10 * rank for rank in range(SIZE)]
    found = [torch.zeros(SIZE, dtype=torch.int64) for _ in range(SIZE)]
    everybody(groups, lambda group, rank: group.all_to_all_single(found[rank], rows[rank], [], []))
    assert [one.tolist() for one in found] == [[j, 10 + j, 20 + j, 30 + j] for j in range(SIZE)]


def test_a_barrier_waits_for_the_last(groups: list[Any]) -> None:
    works = [group.barrier() for group in groups[1:]]
    assert not any(work.is_completed() for work in works)
    everybody(groups[:1], lambda group, rank: group.barrier())
    assert all(work.wait() for work in works)


def test_a_future_has_the_outputs_and_its_callback_may_wait_for_another_collective(groups: list[Any]) -> None:
    tensors = [torch.ones(3) for _ in range(SIZE)]

    def again(group: Any, future: Any) -> Any:
        tensor = future.value()[0]
        group.allreduce([tensor]).wait()
        return tensor

    futures = [
        group.allreduce([tensor]).get_future().then(lambda future, group=group: again(group, future))
        for group, tensor in zip(groups, tensors, strict=True)
    ]
    assert all(torch.equal(future.wait(), torch.full((3,), 16.0)) for future in futures)


@pytest.mark.parametrize(
    ("op", "dtype", "text"),
    [
        ("PRODUCT", torch.float32, "ReduceOp.PRODUCT on torch.float32"),
        ("SUM", torch.complex64, "ReduceOp.SUM on torch.complex64"),
        ("BAND", torch.float32, "ReduceOp.BAND on torch.float32"),
        ("AVG", torch.int32, "ReduceOp.AVG on torch.int32"),
    ],
)
def test_what_switches_cannot_combine_is_refused_by_name(groups: list[Any], op: str, dtype: Any, text: str) -> None:
    with pytest.raises(NotImplementedError, match=text):
        groups[0].allreduce([torch.ones(2, dtype=dtype)], options("AllreduceOptions", getattr(dist.ReduceOp, op)))
    # Nothing of it was sent: the group still works.
    everybody(groups, lambda group, rank: group.barrier())


def test_tensors_of_the_wrong_size_number_or_kind_are_refused(groups: list[Any]) -> None:
    group, one = groups[0], torch.ones(2)
    with pytest.raises(ValueError, match=r"outputs has 1 tensors, must have one for each of 4 ranks"):
        group.allgather([[one]], [one])
    with pytest.raises(ValueError, match=r"outputs\[2\] has 3 elements of torch.float32, must have 2"):
        group.allgather([[one, one, torch.ones(3), one]], [one])
    with pytest.raises(ValueError, match=r"input has 6 elements of torch.float32, must have 4 times 2"):
        group.reduce_scatter_single(one, torch.ones(6))
    with pytest.raises(NotImplementedError, match="sparse"):
        group.allreduce([one.to_sparse()])
    with pytest.raises(NotImplementedError, match="send to rank 1 is not supported"):
        group.send([one], 1, 0)


def test_a_failed_collective_fails_its_work_and_all_after_it(groups: list[Any]) -> None:
    wrong = [group.barrier() if rank else group.allreduce([torch.ones(1)]) for rank, group in enumerate(groups)]
    with pytest.raises(dist.DistBackendError, match=r"incc barrier: rank 1 called barrier, another one"):
        wrong[1].wait()
    assert not wrong[1].is_success()
    assert "rank 1 called" in str(wrong[1].exception())
    with pytest.raises(RuntimeError, match="rank 1 called"):
        wrong[1].get_future().wait()
    with pytest.raises(dist.DistBackendError, match="the group has failed before: rank 1 called"):
        groups[1].barrier().wait()


def test_waiting_ends_in_time_and_so_does_a_group(groups: list[Any]) -> None:
    work = groups[0].barrier()
    with pytest.raises(dist.DistBackendError, match=r"incc barrier: not done after 0.01 s"):
        work.wait(timedelta(seconds=0.01))
    groups[0].shutdown()
    with pytest.raises(dist.DistBackendError, match="the group was closed"):
        work.wait()
    with pytest.raises(RuntimeError, match="was destroyed"):
        groups[0].barrier()
