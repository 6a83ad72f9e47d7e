"""The process group of PyTorch whose collectives are computed in the switches.

A subclass of `ProcessGroup`, not of `Backend`: the latter's methods cannot be overridden in Python. Both the names of
PyTorch 2.4 and those that later releases gave to the same collectives are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist

from accelerator.torch_backend import numbers
from accelerator.torch_backend.communicator import Communicator
from accelerator.torch_backend.engine import Engine, GroupQueue, Job, engine
from accelerator.torch_backend.numbers import Array, Octets
from accelerator.torch_backend.work import InccWork

Tensors = Sequence[torch.Tensor]
# Makes a group's communicator, in the engine's thread: store, name, rank, size, ranks of the whole job.
Connect = Callable[[Engine, object, str, int, int, Sequence[int], timedelta], Communicator]


class InccProcessGroup(dist.ProcessGroup):
    """One group of ranks."""

    supports_splitting = False
    supports_coalescing = False
    supports_time_estimate = False

    def __init__(self, communicator: Communicator, name: str, timeout: timedelta) -> None:
        super().__init__(communicator.rank, communicator.size)
        self._rank, self._size = communicator.rank, communicator.size
        self._name, self._limit = name, timeout
        self._queue = GroupQueue(engine(), communicator)
        self._coalescing: list[InccWork] | None = None
        self._closed = False

    @classmethod
    def from_options(cls, options: object, connect: Connect) -> InccProcessGroup:
        """What torch.distributed calls through `accelerator.torch_backend`."""
        name, timeout = str(options.group_id), options.timeout  # type: ignore[attr-defined]
        rank, size = options.group_rank, options.group_size  # type: ignore[attr-defined]
        ranks = list(options.global_ranks_in_group) or list(range(size))  # type: ignore[attr-defined]
        communicator = connect(engine(), options.store, name, rank, size, ranks, timeout)  # type: ignore[attr-defined]
        return cls(communicator, name, timeout)

    # -- reductions -------------------------------------------------------------------------------------

    def allreduce(self, tensors: Tensors, opts: object = None) -> InccWork:
        """Combines each tensor with those of the other ranks, in place."""
        how = self._reduction(opts, tensors)
        # Tensors of one type travel together: fewer packets that are partly empty, one exponent agreed ahead.
        batches: dict[torch.dtype, list[torch.Tensor]] = {}
        for tensor in tensors:
            batches.setdefault(tensor.dtype, []).append(numbers.check(tensor))

        async def job(group: Communicator) -> None:
            for batch in batches.values():
                values, kind = _joined(batch)
                _spread(await group.all_reduce(values, how[batch[0].dtype], kind), batch)

        return self._begin("allreduce", job, tensors)

    allreduce_coalesced = allreduce

    def reduce(self, tensors: Tensors, opts: object = None) -> InccWork:
        """Combines a tensor with those of the other ranks; the root has the result in place."""
        how = self._reduction(opts, tensors)
        tensor, root = numbers.check(tensors[0]), _root(opts)

        async def job(group: Communicator) -> None:
            values, kind = numbers.to_values(tensor)
            found = await group.reduce(values, how[tensor.dtype], root, kind)
            if found is not None:
                numbers.from_values(found, tensor)

        return self._begin("reduce", job, tensors)

    def reduce_scatter(self, outputs: Tensors, inputs: Sequence[Tensors], opts: object = None) -> InccWork:
        """Combines the inputs for each rank; a rank's output is what was combined for it."""
        works = []
        for output, parts in zip(outputs, inputs, strict=True):
            self._expect("inputs", len(parts))
            numbers.same_size("inputs", parts, output)
            works.append((output, list(parts)))
        return self._reduce_scatter("reduce_scatter", works, opts)

    def reduce_scatter_single(self, output: torch.Tensor, input: torch.Tensor, opts: object = None) -> InccWork:
        """The same with the inputs for all ranks in one tensor."""
        return self.reduce_scatter_single_coalesced([output], [input], opts)

    def reduce_scatter_single_coalesced(self, outputs: Tensors, inputs: Tensors, opts: object = None) -> InccWork:
        """The same for several pairs."""
        works = []
        for output, whole in zip(outputs, inputs, strict=True):
            self._whole("input", whole, output)
            works.append((output, [whole]))
        return self._reduce_scatter("reduce_scatter_single", works, opts)

    _reduce_scatter_base = reduce_scatter_single
    reduce_scatter_tensor_coalesced = reduce_scatter_single_coalesced

    def _reduce_scatter(
        self, name: str, pairs: list[tuple[torch.Tensor, list[torch.Tensor]]], opts: object
    ) -> InccWork:
        outputs = [output for output, _ in pairs]
        how = self._reduction(opts, outputs)

        async def job(group: Communicator) -> None:
            for output, parts in pairs:
                values, kind = _joined(parts)
                numbers.from_values(await group.reduce_scatter(values, how[output.dtype], kind), output)

        return self._begin(name, job, outputs)

    # -- what only moves octets -------------------------------------------------------------------------

    def broadcast(self, tensors: Tensors, opts: object = None) -> InccWork:
        """Every rank gets the root's tensor."""
        root, size = _root(opts), self._size

        async def job(group: Communicator) -> None:
            for tensor in tensors:
                found = await group.broadcast(numbers.octets_of(tensor), root)
                if group.rank != root or size == 1:
                    numbers.write_octets(found, tensor)

        return self._begin("broadcast", job, tensors)

    def allgather(self, outputs: Sequence[Tensors], inputs: Tensors, opts: object = None) -> InccWork:
        """Every rank gets the tensors of all."""
        pairs = []
        for parts, source in zip(outputs, inputs, strict=True):
            self._expect("outputs", len(parts))
            numbers.same_size("outputs", parts, source)
            pairs.append((list(parts), source))
        return self._all_gather("allgather", pairs)

    def allgather_coalesced(self, outputs: Sequence[Tensors], inputs: Tensors, opts: object = None) -> InccWork:
        """The same for several tensors, the outputs by rank and then by tensor."""
        self._expect("outputs", len(outputs))
        return self.allgather([list(parts) for parts in zip(*outputs, strict=True)], inputs, opts)

    def all_gather_single(self, output: torch.Tensor, input: torch.Tensor, opts: object = None) -> InccWork:
        """The same into one tensor."""
        return self.all_gather_single_coalesced([output], [input], opts)

    def all_gather_single_coalesced(self, outputs: Tensors, inputs: Tensors, opts: object = None) -> InccWork:
        """The same for several pairs."""
        pairs = []
        for output, source in zip(outputs, inputs, strict=True):
            self._whole("output", output, source)
            pairs.append(([output], source))
        return self._all_gather("all_gather_single", pairs)

    _allgather_base = all_gather_single
    allgather_into_tensor_coalesced = all_gather_single_coalesced

    def _all_gather(self, name: str, pairs: list[tuple[list[torch.Tensor], torch.Tensor]]) -> InccWork:
        async def job(group: Communicator) -> None:
            for parts, source in pairs:
                _spread_octets(await group.all_gather(numbers.octets_of(source)), parts)

        return self._begin(name, job, [part for parts, _ in pairs for part in parts])

    def gather(self, outputs: Sequence[Tensors], inputs: Tensors, opts: object = None) -> InccWork:
        """The root gets the tensors of all."""
        root, source = _root(opts), inputs[0]
        parts = list(outputs[0]) if self._rank == root else []
        if self._rank == root:
            self._expect("outputs", len(parts))
            numbers.same_size("outputs", parts, source)

        async def job(group: Communicator) -> None:
            found = await group.gather(numbers.octets_of(source), root)
            if found is not None:
                _spread_octets(found, parts)

        return self._begin("gather", job, parts)

    def scatter(self, outputs: Tensors, inputs: Sequence[Tensors], opts: object = None) -> InccWork:
        """Every rank gets its own of the root's tensors."""
        root, output = _root(opts), outputs[0]
        parts = list(inputs[0]) if self._rank == root else []
        if self._rank == root:
            self._expect("inputs", len(parts))
            numbers.same_size("inputs", parts, output)

        async def job(group: Communicator) -> None:
            octets = np.concatenate([numbers.octets_of(part) for part in parts]) if parts else None
            numbers.write_octets(await group.scatter(octets, root, output.numel() * output.element_size()), output)

        return self._begin("scatter", job, outputs)

    def alltoall(self, outputs: Tensors, inputs: Tensors, opts: object = None) -> InccWork:
        """Tensor j of the inputs goes to rank j, tensor i of the outputs comes from rank i; sizes may differ."""
        self._expect("outputs", len(outputs))
        self._expect("inputs", len(inputs))

        async def job(group: Communicator) -> None:
            sent = [numbers.octets_of(tensor) for tensor in inputs]
            sizes = [tensor.numel() * tensor.element_size() for tensor in outputs]
            for octets, tensor in zip(await _exchange(group, sent, sizes), outputs, strict=True):
                numbers.write_octets(octets, tensor)

        return self._begin("alltoall", job, outputs)

    def all_to_all_single(
        self,
        output: torch.Tensor,
        input: torch.Tensor,
        output_split_sizes: Sequence[int] | None = None,
        input_split_sizes: Sequence[int] | None = None,
        opts: object = None,
    ) -> InccWork:
        """The same with all inputs in one tensor, and all outputs; split along the first dimension."""
        outputs = self._split("output", output, output_split_sizes)
        inputs = self._split("input", input, input_split_sizes)
        numbers.check(output)
        if output.is_contiguous():
            return self.alltoall(outputs, inputs)
        raise NotImplementedError("incc: all_to_all_single into a tensor that is not contiguous is not supported")

    alltoall_base = all_to_all_single

    def barrier(self, opts: object = None) -> InccWork:
        """Done when every rank has called it."""

        async def job(group: Communicator) -> None:
            await group.barrier()

        return self._begin("barrier", job, [])

    def send(self, tensors: Tensors, dst: int, tag: int = 0) -> InccWork:
        """Raises NotImplementedError."""
        raise NotImplementedError(
            f"incc: send to rank {dst} is not supported: switches compute collectives. Use broadcast in a group of two "
            "(dist.new_group), or a second backend for messages (backend='gloo')"
        )

    def recv(self, tensors: Tensors, src: int, tag: int = 0) -> InccWork:
        """Raises NotImplementedError."""
        raise NotImplementedError(f"incc: recv from rank {src} is not supported, see send")

    def recv_anysource(self, tensors: Tensors, tag: int = 0) -> InccWork:
        """Raises NotImplementedError."""
        raise NotImplementedError("incc: receiving from any rank is not supported, see send")

    # -- what PyTorch asks about the group --------------------------------------------------------------

    @property
    def group_name(self) -> str:
        """PyTorch's name of the group."""
        return self._name

    @property
    def pg_name(self) -> str:
        """The same, for PyTorch before 2.6."""
        return self._name

    def getBackendName(self) -> str:  # noqa: N802 - PyTorch's
        """The backend's name."""
        return "incc"

    def name(self) -> str:
        """The backend's name."""
        return "incc"

    def _get_backend(self, device: torch.device) -> InccProcessGroup:
        if torch.device(device).type != "cpu":
            raise RuntimeError(f"incc: no backend for device {device}, only for cpu")
        return self

    def supports_tensor_alloc(self, device: torch.device) -> bool:
        """No memory of its own."""
        return False

    def set_timeout(self, timeout: timedelta) -> None:
        """How long a collective may take from now on."""
        self._limit = timeout

    _set_default_timeout = set_timeout

    def _start_coalescing(self, device: torch.device | None = None) -> None:
        self._coalescing = []

    def _end_coalescing(self, device: torch.device | None = None) -> InccWork:
        works, self._coalescing = self._coalescing or [], None

        async def job(group: Communicator) -> None:
            """Those before it in the queue are done."""

        return self._begin("coalesced", job, [tensor for work in works for tensor in work.outputs])

    def shutdown(self) -> None:
        """Leaves the group; collectives under way fail. May be called more than once."""
        if not self._closed:
            self._closed = True
            self._queue.close(10.0)

    abort = shutdown

    def __del__(self) -> None:
        self._closed = True

    # -- helpers ----------------------------------------------------------------------------------------

    def _begin(self, name: str, job: Job, outputs: Tensors) -> InccWork:
        if self._closed:
            raise RuntimeError(f"incc {name}: the process group was destroyed")
        work = InccWork(name, outputs, self._limit)
        if self._coalescing is not None:
            self._coalescing.append(work)
        self._queue.put(work, job, self._limit.total_seconds())
        return work

    def _reduction(self, opts: object, tensors: Tensors) -> dict[torch.dtype, str]:
        op = getattr(opts, "reduceOp", dist.ReduceOp.SUM)
        return {tensor.dtype: numbers.reduction(op, tensor.dtype) for tensor in tensors}

    def _expect(self, what: str, found: int) -> None:
        if found != self._size:
            raise ValueError(f"incc: {what} has {found} tensors, must have one for each of {self._size} ranks")

    def _whole(self, what: str, whole: torch.Tensor, part: torch.Tensor) -> None:
        if whole.dtype != part.dtype or whole.numel() != self._size * part.numel():
            raise ValueError(
                f"incc: {what} has {whole.numel()} elements of {whole.dtype}, must have {self._size} times "
                f"{part.numel()} of {part.dtype}"
            )

    def _split(self, what: str, whole: torch.Tensor, sizes: Sequence[int] | None) -> list[torch.Tensor]:
        if not sizes:
            if whole.shape[0] % self._size:
                raise ValueError(f"incc: {what} has {whole.shape[0]} rows, which {self._size} ranks cannot share")
            sizes = [whole.shape[0] // self._size] * self._size
        self._expect(f"{what}_split_sizes", len(sizes))
        return list(torch.split(whole, list(sizes)))


def _root(opts: object) -> int:
    root: int = getattr(opts, "rootRank", 0)
    return root


def _joined(tensors: Tensors) -> tuple[Array, str | None]:
    """The values of tensors of one type, one after the other."""
    values = [numbers.to_values(tensor) for tensor in tensors]
    return (values[0][0] if len(values) == 1 else np.concatenate([one for one, _ in values])), values[0][1]


def _spread(values: Array, tensors: Tensors) -> None:
    """Writes combined values into one tensor after the other."""
    at = 0
    for tensor in tensors:
        numbers.from_values(values[at : at + tensor.numel()], tensor)
        at += tensor.numel()


def _spread_octets(octets: Octets, tensors: Tensors) -> None:
    at = 0
    for tensor in tensors:
        end = at + tensor.numel() * tensor.element_size()
        numbers.write_octets(octets[at:end], tensor)
        at = end


async def _exchange(group: Communicator, sent: Sequence[Octets], sizes: Sequence[int]) -> list[Octets]:
    """An AllToAll whose parts may differ: all are sent as long as the longest, on which all agree first."""
    longest = np.array([max(len(octets) for octets in sent)], np.int32)
    share = int((await group.all_reduce(longest, "max"))[0])
    padded = np.zeros((group.size, share), np.uint8)
    for row, octets in zip(padded, sent, strict=True):
        row[: len(octets)] = octets
    found = (await group.all_to_all(padded.reshape(-1))).reshape(group.size, share)
    return [row[:size] for row, size in zip(found, sizes, strict=True)]
