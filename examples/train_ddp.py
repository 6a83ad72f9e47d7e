"""Trains a classifier of handwritten digits with DistributedDataParallel, as one would with any backend.

    torchrun --nproc-per-node 4 examples/train_ddp.py --backend gloo
    LISPFABRIC_DOMAIN=training LISPFABRIC_ACCELERATORS=acc1,acc3,acc5,acc7 \\
        torchrun --nproc-per-node 4 examples/train_ddp.py --backend incc

Nothing in here knows of lispfabric. The data are scikit-learn's digits: 1 797 images of 8 by 8 points.
`examples/compare_losses.py` runs both and prints the two loss curves.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    """Trains, and has rank 0 print the mean loss of each epoch and the accuracy at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="gloo", help="of torch.distributed: gloo, incc, ...")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128, help="samples a step, of all ranks together")
    parser.add_argument("--losses", type=Path, help="write the loss of every epoch to this JSON file")
    options = parser.parse_args()

    dist.init_process_group(options.backend)
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)

    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    losses = []
    for epoch in range(options.epochs):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        total = torch.zeros(1)
        steps = len(order) // options.batch
        for step in range(steps):
            mine = order[step * options.batch : (step + 1) * options.batch][rank::size]
            optimizer.zero_grad()
            loss = criterion(model(images[mine]), labels[mine])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)
        losses.append(total.item() / steps / size)
        if rank == 0:
            print(f"epoch {epoch + 1}: loss {losses[-1]:.6f}", flush=True)

    if rank == 0:
        with torch.no_grad():
            right = (model.module(images).argmax(1) == labels).float().mean().item()
        print(f"{options.backend}, {size} ranks: {right:.2%} of the digits are told rightly")
        if options.losses is not None:
            options.losses.write_text(json.dumps(losses))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
