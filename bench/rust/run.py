#!/usr/bin/env python3
"""Time gabor next to tract and rten, on this machine.

Builds gabor and the programs of this folder, writes the ONNX models that they
read, and then runs one process per workload and framework, in turn, for
ROUNDS rounds, so that a slow phase of the machine meets them all.  Prints the
median over the rounds and how many times longer than gabor it takes.

    python3 bench/rust/run.py
    python3 bench/rust/run.py --rounds 5 --only '^infer/' --peers rten,tract
    python3 bench/rust/run.py --json > rows.jsonl

A framework that does not build is left out with a note on stderr, and so is
a workload that a framework cannot do.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INFER = ["infer/resnet18/n1", "infer/resnet18/n16"]
PEERS = {"tract": INFER, "rten": INFER}
MODELS = ["resnet18"]


def note(text):
    print(text, file=sys.stderr, flush=True)


def cargo(folder, *arguments):
    """Runs cargo in a folder; whether it went well."""
    return subprocess.run(["cargo", *arguments], cwd=folder, stdout=sys.stderr).returncode == 0


def target(folder):
    """The folder in which cargo puts what it builds."""
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=folder,
                              stdout=subprocess.PIPE, check=True).stdout
    return json.loads(metadata)["target_directory"]


def build(peers):
    """The programs by the names of their frameworks, gabor first, and the folder of the models."""
    if not cargo(ROOT, "build", "--release", "--locked", "-p", "gabor-cli"):
        sys.exit("gabor does not build")
    programs = {"gabor": os.path.join(target(ROOT), "release", "gabor")}
    folder = target(HERE)
    models = os.path.join(folder, "models")
    os.makedirs(models, exist_ok=True)
    for model in MODELS:
        if not cargo(ROOT, "run", "--release", "--locked", "-q", "-p", "gabor", "--example", "export", "--",
                     model, os.path.join(models, model + ".onnx")):
            sys.exit(f"{model}: the export does not run")
    for peer in peers:
        if cargo(HERE, "build", "--release", "--locked", "-p", f"bench-{peer}"):
            programs[peer] = os.path.join(folder, "release", f"bench-{peer}")
        else:
            note(f"{peer}: does not build, left out")
    return programs, models


def run(peer, program, models, workload, arguments):
    """One row, or None if the framework cannot do the workload."""
    how = ["--threads", str(arguments.threads), "--repeats", str(arguments.repeats), "--seconds",
           str(arguments.seconds)]
    if peer == "gabor":
        command = [program, "bench", "--json", "--only", f"^{workload}$", *how]
    else:
        command = [program, workload, "--models", models, *how]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads), RTEN_NUM_THREADS=str(arguments.threads))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        note(f"{workload} by {peer}: status {done.returncode}: {done.stderr.strip()[-500:]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def summary(rows):
    """One row of the rounds: the median of the medians, the extremes of all."""
    return dict(rows[0], rounds=len(rows), ms_min=min(r["ms_min"] for r in rows),
                ms_median=statistics.median(r["ms_median"] for r in rows), ms_max=max(r["ms_max"] for r in rows))


def table(results, programs):
    """Milliseconds, and how many times longer than gabor."""
    head = ["workload"] + list(programs)
    lines = [head]
    for workload, by_peer in results.items():
        line = [workload]
        for peer in programs:
            if peer not in by_peer:
                line.append("-")
                continue
            ms = by_peer[peer]["ms_median"]
            ours = by_peer.get("gabor", {}).get("ms_median")
            ratio = f" ({ms / ours:.2f})" if ours and peer != "gabor" else ""
            line.append(f"{ms:.4g}{ratio}")
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
    print("median ms (times gabor's)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="samples of a process")
    parser.add_argument("--seconds", type=float, default=2.0, help="for all samples of a process")
    parser.add_argument("--only", default="", help="workloads that this regular expression finds")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--json", action="store_true", help="one JSON row per workload and framework")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: right would be: at least 1")
    peers = arguments.peers.split(",")
    for peer in peers:
        if peer not in PEERS:
            parser.error(f"--peers {peer}: right would be: some of {','.join(PEERS)}")
    programs, models = build(peers)
    results = {}
    for workload in (w for w in INFER if re.search(arguments.only, w)):
        able = [p for p in programs if p == "gabor" or workload in PEERS[p]]
        rows = {p: [] for p in able}
        for _ in range(arguments.rounds):
            for peer in list(able):
                row = run(peer, programs[peer], models, workload, arguments)
                if row is None:
                    able.remove(peer)
                else:
                    rows[peer].append(row)
        results[workload] = {p: summary(rows[p]) for p in able if rows[p]}
        if arguments.json:
            for row in results[workload].values():
                print(json.dumps(row), flush=True)
    if not arguments.json:
        table(results, programs)


if __name__ == "__main__":
    main()
