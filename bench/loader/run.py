#!/usr/bin/env python3
"""Images a second of gabor's loader next to torchvision's with Pillow, on the same cores.

Both decode a folder per class of photographs, bring them to 224 x 224 (`train`: random resized crop and mirror; `eval`:
short side 256 and centre crop; bilinear, antialiased), and normalise to float32, channels first, in batches of 64 with
two workers and nothing kept. They run in turn for ROUNDS rounds, so that a slow phase of the machine meets both. The
table shows the medians: images a second, processor time an image (which other programs disturb less), and gabor's
times torchvision's.

    python3 bench/loader/run.py DIR
    python3 bench/loader/run.py DIR --python other/bin/python --rounds 7 --only train
    python3 bench/loader/run.py DIR --json

Needs torch and torchvision in the Python that `--python` names (default: this one).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def build():
    """The example, in release mode."""
    command = ["cargo", "build", "--release", "--locked", "-p", "gabor-data", "--no-default-features", "--example", "loader"]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode:
        sys.exit("gabor does not build")
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT,
                              stdout=subprocess.PIPE, check=True).stdout
    return os.path.join(json.loads(metadata)["target_directory"], "release", "examples", "loader")


def measure(command):
    """Images a second and milliseconds of processor time an image."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = json.loads(run.stdout)
    # The peer says its own, without the time that Python takes to start.
    cpu = row.get("cpu", after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return row["images"] / row["seconds"], 1e3 * cpu / row["images"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", help="a folder per class of photographs")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=2000, help="images a round, at least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["train", "eval"])
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    ours = build()
    # As many cores as workers, for both.
    cores = sorted(os.sched_getaffinity(0))[: a.workers]
    os.sched_setaffinity(0, cores)
    for how in [a.only] if a.only else ["train", "eval"]:
        given = [a.dir, how, str(a.workers), str(a.images)]
        programs = {"gabor": [ours, *given], "torchvision": [a.python, os.path.join(HERE, "peer.py"), *given]}
        rows = {name: [] for name in programs}
        for _ in range(a.rounds):
            for name, command in programs.items():
                rows[name].append(measure(command))
        rate = {n: statistics.median(r[0] for r in rs) for n, rs in rows.items()}
        cpu = {n: statistics.median(r[1] for r in rs) for n, rs in rows.items()}
        ratio = rate["gabor"] / rate["torchvision"], cpu["torchvision"] / cpu["gabor"]
        if a.json:
            print(json.dumps({"how": how, "images_per_second": rate, "cpu_ms_per_image": cpu,
                              "ratio": ratio[0], "cpu_ratio": ratio[1]}), flush=True)
            continue
        for name in programs:
            print(f"{how:6} {name:12} {rate[name]:8.0f} images/s {cpu[name]:7.2f} ms of processor time an image")
        print(f"{how:6} gabor is {ratio[0]:.2f} times as fast, {ratio[1]:.2f} times by processor time", flush=True)


if __name__ == "__main__":
    main()
