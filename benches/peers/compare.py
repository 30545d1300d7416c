#!/usr/bin/env python3
"""Measure Regatta and its peers in turn on the same work. compare.sh is the entry point.

members   64 networks 64-64-10, Adam, batch 32, 20 epochs: trial-samples per second while training (no start-up,
          loading, compilation or evaluation), against JAX and PyTorch. Other shapes by --hidden, and by --inputs,
          which trains on random rows instead of digits.
grid      the sgd and adam trials of Regatta's default sweep: Regatta's whole command against the `fit` of
          scikit-learn's GridSearchCV, in seconds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import machine
from workload import positive

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCHEMA_VERSION = 1
PEERS = ["jax", "torch", "torch-vmap", "sklearn"]
RATE, SECONDS = "trial_samples_per_s", "wall_s"
TIMEOUT_S = 3600
DIGITS_ROWS, CLASSES = 1797, 10


class MeasurementError(Exception):
    """A tool that failed or printed something else than its JSON."""


def run_json(command, cwd=None):
    """Run a command that prints JSON; the parsed JSON and the seconds of the whole command."""
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementError(f"{command[0]}: {error}") from error
    wall_s = time.perf_counter() - start
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()[-5:]
        raise MeasurementError(f"{Path(command[0]).name} ended with exit code {done.returncode}: {' | '.join(lines)}")
    try:
        return json.loads(done.stdout), wall_s
    except ValueError as error:
        raise MeasurementError(f"{Path(command[0]).name} printed no JSON: {done.stdout[:200]!r}") from error


def run_regatta(args, sweep_file, *options, adapter=None):
    """One sweep in a folder that is thrown away; its summary and the seconds of the whole command. An adapter may
    have an engine behind a slash."""
    with tempfile.TemporaryDirectory(prefix="regatta-peers-") as folder:
        adapter, _, engine = (adapter or args.adapter).partition("/")
        command = [str(args.regatta), "sweep", str(HERE / sweep_file), *options, "--adapter", adapter]
        command += ["--engine", engine, "--no-tune"] if engine else []
        command += ["--json", "--quiet", "--out", str(Path(folder) / "run")]
        return run_json(command, cwd=folder)


def run_peer(script, *options):
    """One run of a peer's script; its JSON."""
    report, _ = run_json([sys.executable, str(HERE / script), *map(str, options)])
    return report


def field(record, *names):
    """A value inside nested records, with a clear error where it is missing."""
    value = record
    for name in names:
        if not isinstance(value, dict) or name not in value:
            raise MeasurementError(f"the JSON has no {'.'.join(names)}")
        value = value[name]
    return value


class Samples:
    """Figures of every tool and form over all rounds, with the errors and the raw reports."""

    def __init__(self):
        self.figures, self.errors, self.reports = {}, {}, []

    def measure(self, number, tool, measurement):
        """Run a measurement, which returns (raw report, {row name: figure or an error's text})."""
        print(f"  {tool}", end="", file=sys.stderr, flush=True)
        try:
            report, rows = measurement()
        except MeasurementError as error:
            report, rows = {"error": str(error)}, {tool: str(error)}
        self.reports.append({"round": number, "tool": tool, "report": report})
        for name, value in rows.items():
            (self.errors if isinstance(value, str) else self.figures).setdefault(name, []).append(value)

    def summary(self, name, reference, unit):
        """A row of the table: median, range, and how many times better Regatta's median is."""
        values = self.figures.get(name)
        if not values:
            return {"name": name, "errors": self.errors[name]}
        median = statistics.median(values)
        row = {"name": name, "median": median, "min": min(values), "max": max(values), "samples": values}
        if reference:
            row["regatta_ratio"] = reference / median if unit == RATE else median / reference
        if name in self.errors:
            row["errors"] = self.errors[name]
        return row

    def rows(self, unit):
        """All rows, Regatta first, the others from the best median down, failures last."""
        own = self.figures.get("regatta")
        reference = statistics.median(own) if own else None
        names = list(dict.fromkeys([*self.figures, *self.errors]))
        rows = [self.summary(name, reference, unit) for name in names]
        sign = -1 if unit == RATE else 1
        return sorted(rows, key=lambda r: (r["name"] != "regatta", "median" not in r, sign * r.get("median", 0)))


def in_turn(rounds, measurements, title):
    """Every round runs every tool once, and each round starts with another tool."""
    samples = Samples()
    for number in range(rounds):
        print(f"{title} round {number + 1}/{rounds}:", end="", file=sys.stderr, flush=True)
        shift = number % len(measurements)
        for tool, measurement in measurements[shift:] + measurements[:shift]:
            samples.measure(number, tool, measurement)
        print(file=sys.stderr)
    return samples


def forms_of(report, tool):
    """Each form of a peer as a row of its own."""
    return report, {
        f"{tool} {name}": form.get("error") or form[RATE] for name, form in field(report, "forms").items()
    }


def members_size(args):
    """Members and epochs of the members workload."""
    return (16, 5) if args.quick else (args.members, args.epochs)


def random_rows(folder, inputs):
    """A file of random rows for Regatta: as many as digits has, so that steps and epochs stay comparable."""
    import numpy

    random = numpy.random.default_rng(3)
    rows = random.standard_normal((DIGITS_ROWS, inputs), numpy.float32)
    path = Path(folder) / "random.npz"
    numpy.savez(path, x=rows, y=random.integers(0, CLASSES, DIGITS_ROWS))
    return path


def regatta_members(args, also=None):
    """Regatta's throughput while training, on another adapter too."""
    members, epochs = members_size(args)
    options = ["--set", f"learning_rate=log:1e-4..1e-1:{members}", "--epochs", str(epochs), "--hidden", args.hidden]
    with tempfile.TemporaryDirectory(prefix="regatta-rows-") as folder:
        if args.inputs:
            options += ["--data", str(random_rows(folder, args.inputs))]
        report, _ = run_regatta(args, "members.toml", *options, adapter=also)
    name = f"regatta {also}" if also else "regatta"
    return report, {name: field(report, "timing", RATE)}


def training_rows(report, members, epochs):
    """Training rows of one member, from Regatta's own count of trial-samples."""
    samples = field(report, "timing", "trial_samples")
    if samples % (members * epochs):
        raise MeasurementError(f"timing.trial_samples {samples} is not {members} members x {epochs} epochs x rows")
    return samples // (members * epochs)


def compare_members(args):
    """The members workload; Regatta's first run is not counted and tells how many rows it trains on."""
    members, epochs = members_size(args)
    rows = training_rows(regatta_members(args)[0], members, epochs)
    common = ["--members", members, "--epochs", epochs, "--rows", rows, "--device", args.device]
    common += ["--repeats", 1 if args.quick else args.repeats, "--hidden", args.hidden]
    if args.inputs:
        common += ["--dataset", "synthetic", "--inputs", args.inputs, "--classes", CLASSES]
    torch_options = [*common, "--trials", 4 if args.quick else args.torch_trials]
    jax_options = [*common, "--precision", args.precision]
    if args.jax_forms:
        jax_options += ["--forms", args.jax_forms]
    measurements = [("regatta", lambda: regatta_members(args))]
    for also in args.also:
        measurements.append((f"regatta {also}", lambda also=also: regatta_members(args, also)))
    if "jax" in args.peers:
        measurements.append(("jax", lambda: forms_of(run_peer("jax_vmap.py", *jax_options), "jax")))
    if "torch" in args.peers:
        measurements.append(("torch", lambda: forms_of(run_peer("torch_loop.py", *torch_options), "torch")))
    if "torch-vmap" in args.peers:
        vmap_options = [*common, "--precision", args.precision]
        run_vmap = lambda: forms_of(run_peer("torch_vmap.py", *vmap_options), "torch-vmap")  # noqa: E731
        measurements.append(("torch-vmap", run_vmap))
    samples = in_turn(args.rounds, measurements, "members")
    widths = [args.inputs or 64, *map(int, args.hidden.split("x")), CLASSES]
    work = {"dataset": "random" if args.inputs else "digits", "members": members, "widths": widths}
    work |= {"optimizer": "adam"}
    work |= {"batch_size": 32, "epochs": epochs, "rows": rows}
    return {"unit": RATE, "work": work, "rows": samples.rows(RATE), "reports": samples.reports}


def grid_trials(args):
    """Trials of the grid workload."""
    return 12 if args.quick else 56


def regatta_grid(args, accuracies):
    """Seconds of Regatta's whole command; notes its best mean validation accuracy."""
    options = ["--set", "learning_rate=log:1e-4..1e-1:3", "--set", "batch_size=32,128"] if args.quick else []
    report, wall_s = run_regatta(args, "grid.toml", *options)
    trials = grid_trials(args)
    if report.get("trials", trials) != trials:
        raise MeasurementError(f"regatta trained {report['trials']} trials; {trials} were expected")
    accuracies["regatta"] = field(report, "best", "metrics", "val_accuracy", "mean")
    return report, {"regatta": wall_s}


def sklearn_grid(args, accuracies):
    """Seconds of GridSearchCV's `fit`; notes its best mean validation accuracy."""
    options = ["--quick"] if args.quick else []
    if args.folds:
        options += ["--folds", args.folds.resolve()]
    report = run_peer("sklearn_grid.py", *options)
    accuracies["sklearn GridSearchCV"] = field(report, "best", "mean_val_accuracy")
    return report, {"sklearn GridSearchCV": field(report, SECONDS)}


def compare_grid(args):
    """The grid workload."""
    accuracies = {}
    measurements = [("regatta", lambda: regatta_grid(args, accuracies))]
    if "sklearn" in args.peers:
        measurements.append(("sklearn", lambda: sklearn_grid(args, accuracies)))
    samples = in_turn(args.rounds, measurements, "grid")
    rows = samples.rows(SECONDS)
    for row in rows:
        row["best_mean_val_accuracy"] = accuracies.get(row["name"])
    work = {"dataset": "digits", "trials": grid_trials(args), "folds": 3, "epochs": 20}
    return {"unit": SECONDS, "work": work, "rows": rows, "reports": samples.reports}


def formatted(value, unit):
    """A figure with its unit: k or M trial-samples per second, or seconds."""
    if unit == SECONDS:
        return f"{value:.3f} s"
    return f"{value / 1e6:.3f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"


def table(title, result):
    """The workload's rows as text."""
    unit = result["unit"]
    meaning = "trial-samples per second, more is better" if unit == RATE else "wall time, less is better"
    work = ", ".join(f"{name} {value}" for name, value in result["work"].items())
    lines = [f"{title}: {meaning}", f"  {work}"]
    lines.append(f"  {'':36} {'median':>12} {'min':>12} {'max':>12} {'regatta is':>12}  best val accuracy".rstrip())
    for row in result["rows"]:
        if "median" not in row:
            lines.append(f"  {row['name']:36} failed: {row['errors'][0]}")
            continue
        figures = " ".join(f"{formatted(row[key], unit):>12}" for key in ("median", "min", "max"))
        ratio = f"{row['regatta_ratio']:.2f} x" if "regatta_ratio" in row else ""
        accuracy = row.get("best_mean_val_accuracy")
        shown = f"  {accuracy:.4f}" if accuracy is not None else ""
        failures = f"  ({len(row['errors'])} failed)" if "errors" in row else ""
        lines.append(f"  {row['name']:36} {figures} {ratio:>12}{shown}{failures}")
    return "\n".join(lines)


def write_json(path, record):
    """Write beside the place and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def peer_names(text):
    """Comma-separated peers."""
    names = text.split(",")
    if not set(names) <= set(PEERS):
        raise argparse.ArgumentTypeError(f"{text}: peers are {', '.join(PEERS)}")
    return names


def parse_arguments():
    """The command line, with the defaults that follow from the device."""
    parser = argparse.ArgumentParser(
        prog="compare.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", choices=["members", "grid", "all"], default="all")
    parser.add_argument("--rounds", type=positive, default=5, help="runs of every tool (ROUNDS, else 5)")
    parser.add_argument("--quick", action="store_true", help="small workloads: to see that everything runs")
    parser.add_argument("--out", type=Path, help="JSON file (results/peers-cpu.json; quick: none)")
    parser.add_argument("--peers", type=peer_names, default=PEERS, help=f"comma-separated ({','.join(PEERS)})")
    parser.add_argument("--members", type=positive, default=64, help="of the members workload (64)")
    parser.add_argument("--epochs", type=positive, default=20, help="of the members workload (20)")
    parser.add_argument("--hidden", default="64", help="widths of the members workload's hidden layers: 64, 128x128 (64)")
    parser.add_argument("--inputs", type=positive, help="features of the members workload: random rows, not digits")
    parser.add_argument("--repeats", type=positive, default=3, help="of a peer a round; its best counts (3)")
    parser.add_argument("--torch-trials", type=positive, default=16, help="members that PyTorch trains (16)")
    parser.add_argument("--jax-forms", help="comma-separated forms of jax_vmap.py (its defaults)")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="where all tools train (cpu)")
    parser.add_argument("--adapter", help="Regatta's adapter (cpu; with --device gpu: auto)")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="ADAPTER[/ENGINE]",
        help="another row of Regatta in the members workload: vulkan:llvmpipe/layered (may be given again)",
    )
    parser.add_argument("--precision", choices=["default", "highest"], default="default", help="of JAX's products")
    parser.add_argument("--folds", type=Path, help="row numbers of the folds for scikit-learn (JSON)")
    parser.add_argument("--regatta", type=Path, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.adapter = args.adapter or ("cpu" if args.device == "cpu" else "auto")
    args.regatta = args.regatta.resolve()
    if args.out is None and not args.quick:
        args.out = ROOT / "results" / f"peers-{args.device}.json"
    return args


def measured(args):
    """Results of the chosen workloads; a workload that cannot start is an error in its place."""
    workloads = {"members": compare_members, "grid": compare_grid}
    results = {}
    for name in workloads if args.workload == "all" else [args.workload]:
        try:
            results[name] = workloads[name](args)
        except MeasurementError as error:
            results[name] = {"error": str(error)}
    return results


def complete(result):
    """Whether every row of a workload has all its samples."""
    return "error" not in result and not any("errors" in row for row in result["rows"])


def main():
    """Measure, print the tables, write the JSON; exit code 1 when a measurement failed."""
    args = parse_arguments()
    started, load_before = datetime.now(timezone.utc), machine.load_average()
    results = measured(args)
    warnings = []
    if load_before > 0.5:
        warnings.append(f"the machine was busy before the start: load average {load_before:.2f}")
    record = {
        "schema_version": SCHEMA_VERSION,
        "started": started.isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "software": machine.software(args.regatta),
        "load_average_before": load_before,
        # Where files lie is nobody's business.
        "options": {name: value.name if isinstance(value, Path) else value for name, value in vars(args).items()},
        "warnings": warnings,
        "workloads": results,
    }
    for name, result in results.items():
        print(table(name, result) if "error" not in result else f"{name}: failed: {result['error']}", end="\n\n")
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if args.out:
        write_json(args.out, record)
        print(f"written: {args.out}", file=sys.stderr)
    return 0 if all(complete(result) for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
