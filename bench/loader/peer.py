"""torchvision's loader with Pillow, as its training recipes have it. Run by `run.py`: DIR train|eval WORKERS IMAGES."""

import json
import resource
import sys
import time

import torch
from torchvision import datasets, transforms

folder, how, workers, images = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
finish = [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
if how == "train":
    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
else:
    steps = [transforms.Resize(256), transforms.CenterCrop(224)]
data = datasets.ImageFolder(folder, transforms.Compose(steps + finish))
# One long epoch, so that starting workers weighs nothing.
data = torch.utils.data.ConcatDataset([data] * -(-images // len(data)))
loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=how == "train", num_workers=workers)


def cpu():
    """Seconds of processor time of this process and of workers that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


before, seen, started = cpu(), 0, time.perf_counter()
for batch, _ in loader:
    seen += len(batch)
seconds = time.perf_counter() - started
print(json.dumps({"images": seen, "seconds": seconds, "cpu": cpu() - before}))
