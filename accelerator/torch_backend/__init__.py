"""PyTorch's collectives computed in the switches: `torch.distributed.init_process_group(backend="incc")`.

Importing this module registers the backend. Where the project is installed with its extra `torch`, PyTorch imports it
by itself (entry point `torch.backends`), so that a training script needs only the backend's name. docs/pytorch.md
tells how a rank finds its accelerator and what is supported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerator.torch_backend.process_group import InccProcessGroup

NAME = "incc"


def register() -> None:
    """Makes the backend known to torch.distributed; may be called again. Raises ImportError without PyTorch."""
    # PyTorch calls this while it is being imported, maybe by this very function: nothing above may need PyTorch.
    import torch.distributed as dist

    if dist.is_available() and NAME not in dist.Backend.backend_list:
        dist.Backend.register_backend(NAME, _create, extended_api=True, devices=["cpu"])


def _create(options: object, backend_options: object) -> InccProcessGroup:
    from accelerator.torch_backend.process_group import InccProcessGroup
    from accelerator.torch_backend.sharing import connect

    return InccProcessGroup.from_options(options, connect)


register()
