#!/usr/bin/env python3
"""Time gabor next to tract, rten, candle and burn, on this machine.

Builds gabor and the programs of this folder, and lets gabor write what each
workload begins with and answers (`gabor bench --answers`). Every program
computes the same from it and stops if its answers differ, so that each row is
proof of equal work; `difference` says how far they are apart, as a part of the
largest answer. Then one process per workload and framework runs at a time, in
turn, for ROUNDS rounds, so that a slow phase of the machine meets them all.
Printed are the median over the rounds and how many times longer than gabor it
takes; what failed has its reason below the table.

    python3 bench/rust/run.py
    python3 bench/rust/run.py --rounds 5 --only '^infer/' --peers rten,tract
    python3 bench/rust/run.py --json > rows.jsonl

A row that failed has the keys workload, peer and error.
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
WORKLOADS = ["infer/resnet18/n1", "infer/resnet18/n16", "train/lenet5/n64", "train/resnet18/n16"]
PEERS = ["tract", "rten", "candle", "burn"]
# A program's status if its framework has no such thing.
CANNOT = 3


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


def build(arguments, peers):
    """The programs by the names of their frameworks, gabor first; None for one that does not build."""
    gabor = arguments.gabor or os.path.join(target(ROOT), "release", "gabor")
    if not arguments.gabor and not cargo(ROOT, "build", "--release", "--locked", "-p", "gabor-cli"):
        sys.exit("gabor does not build")
    programs, folder = {"gabor": gabor}, os.path.join(target(HERE), "release")
    for peer in peers:
        done = arguments.built or cargo(HERE, "build", "--release", "--locked", "-p", f"bench-{peer}")
        program = os.path.join(folder, f"bench-{peer}")
        programs[peer] = program if done and os.path.exists(program) else None
    return programs


def answers(gabor, workloads, folder):
    """Writes what the workloads begin with and answer, and the networks as ONNX."""
    os.makedirs(folder, exist_ok=True)
    for workload in workloads:
        subprocess.run([gabor, "bench", "--only", f"^{workload}$", "--answers", folder], check=True)
        kind, model, _ = workload.split("/")
        onnx = os.path.join(folder, model + ".onnx")
        if kind == "infer":
            weights = os.path.join(folder, workload.replace("/", ".") + ".weights.safetensors")
            subprocess.run([gabor, "convert", weights, onnx, "--net", model], stdout=subprocess.DEVNULL, check=True)


def run(peer, program, folder, workload, arguments):
    """One row, with `error` if it failed."""
    how = ["--threads", str(arguments.threads), "--repeats", str(arguments.repeats), "--seconds",
           str(arguments.seconds)]
    if program is None:
        return {"workload": workload, "peer": peer, "error": "does not build"}
    if peer == "gabor":
        command = [program, "bench", "--json", "--only", f"^{workload}$", *how]
    else:
        command = [program, workload, "--given", folder, *how]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads), RTEN_NUM_THREADS=str(arguments.threads))
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=arguments.limit)
    except subprocess.TimeoutExpired:
        return {"workload": workload, "peer": peer, "error": f"not done after {arguments.limit:g} s"}
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1][-500:]
        reason = reason.removeprefix("Error: ").strip('"').removeprefix(workload + ": ")
        if done.returncode != CANNOT:
            reason = f"status {done.returncode}: {reason}"
        return {"workload": workload, "peer": peer, "error": reason}
    return json.loads(done.stdout.splitlines()[-1])


def summary(rows):
    """One row of the rounds: the median of the medians, the extremes of all; the error if one failed."""
    failed = [row for row in rows if "error" in row]
    if failed:
        return failed[0]
    return dict(rows[0], rounds=len(rows), ms_min=min(r["ms_min"] for r in rows),
                ms_median=statistics.median(r["ms_median"] for r in rows), ms_max=max(r["ms_max"] for r in rows))


def table(results, peers):
    """Milliseconds, and how many times longer than gabor; then versions, proofs and what failed."""
    head = ["workload"] + peers
    lines = [head]
    for workload, by_peer in results.items():
        line = [workload]
        ours = by_peer["gabor"].get("ms_median")
        for peer in peers:
            row = by_peer[peer]
            if "error" in row:
                line.append("-")
                continue
            ratio = f" ({row['ms_median'] / ours:.2f})" if ours and peer != "gabor" else ""
            line.append(f"{row['ms_median']:.4g}{ratio}")
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
    print("median ms (times gabor's)")
    for peer in peers:
        rows = [by_peer[peer] for by_peer in results.values() if "error" not in by_peer[peer]]
        if not rows:
            continue
        proofs = [row["difference"] for row in rows if "difference" in row]
        proof = f", answers within {max(proofs):.1e}" if proofs else ""
        variants = ", ".join(sorted({row["variant"] for row in rows}))
        print(f"{peer} {rows[0]['version']} ({variants}){proof}")
    for workload, by_peer in results.items():
        for peer in peers:
            if "error" in by_peer[peer]:
                print(f"{workload}, {peer}: {by_peer[peer]['error']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="samples of a process")
    parser.add_argument("--seconds", type=float, default=2.0, help="for all samples of a process")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a process is given up")
    parser.add_argument("--only", default="", help="workloads that this regular expression finds")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--gabor", help="a gabor that is built already")
    parser.add_argument("--built", action="store_true", help="the other programs are built already")
    parser.add_argument("--json", action="store_true", help="one JSON row per workload and framework")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: right would be: at least 1")
    peers = arguments.peers.split(",")
    for peer in peers:
        if peer not in PEERS:
            parser.error(f"--peers {peer}: right would be: some of {','.join(PEERS)}")
    workloads = [w for w in WORKLOADS if re.search(arguments.only, w)]
    if not workloads:
        parser.error(f"--only {arguments.only}: right would be: something in {' '.join(WORKLOADS)}")
    programs = build(arguments, peers)
    folder = os.path.join(target(HERE), "given")
    answers(programs["gabor"], workloads, folder)
    results = {}
    for workload in workloads:
        rows = {peer: [] for peer in programs}
        for _ in range(arguments.rounds):
            for peer, program in programs.items():
                # What failed once is not tried again.
                if not any("error" in row for row in rows[peer]):
                    rows[peer].append(run(peer, program, folder, workload, arguments))
        results[workload] = {peer: summary(rows[peer]) for peer in programs}
        for row in results[workload].values():
            if arguments.json:
                print(json.dumps(row), flush=True)
            elif "error" not in row:
                note(f"{workload}: {row['peer']} {row['ms_median']:.4g} ms")
    if not arguments.json:
        table(results, list(programs))


if __name__ == "__main__":
    main()
