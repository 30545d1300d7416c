#!/usr/bin/env python3
"""All measurements of one machine with a GPU, from a built regatta alone. scripts/gpu-report.sh is the entry point.

    adapters     what can be used here
    check        every kernel against the oracle, and bit identity of many members over many repeats
    bench        training throughput of the adapter, and of the native engine
    sweeps       the device-busy share of a long sweep; networks of several shapes together, and each shape alone
    comparison   Regatta on the adapter and on its native engine, JAX and PyTorch in turn on the same work:
                 64-64-10, Adam, batch 32, digits

A step that fails or takes too long is a row with its error, and the rest goes on. Clocks, power and temperature come
from nvidia-smi, where it answers. Exit code 1: some step of Regatta's failed, and the tables say which.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent
SCHEMA_VERSION = 1
RATE = "trial_samples_per_s"
# What is measured, beside the list of adapters.
STEPS = ["check", "bench", "sweeps", "comparison"]
# nvidia-smi's names, and what they are called in the report.
GPU_FIELDS = {
    "index": "index",
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "power.draw": "power_w",
    "temperature.gpu": "temperature_c",
    "utilization.gpu": "utilization_percent",
}
# Training rows of Regatta's holdout on digits, which the peers train on too.
ROWS = 1149
BATCH_SIZE = 32
# Hidden layers of the networks that are trained together.
SHAPES = ["[]", "8", "16", "32", "48", "64", "32x16", "64x32"]


class StepError(Exception):
    """A command that failed, took too long, or printed something else than its JSON."""


class Plan:
    """How much is measured: what a GPU does in seconds takes a software adapter minutes."""

    def __init__(self, hardware):
        self.hardware = hardware
        self.check_members, self.check_repeats = (4096, 20) if hardware else (64, 3)
        # Members of the comparison, with its rounds: the ends first, for where time is short.
        self.sizes = [(4096, 1), (64, 1), (1024, 2)] if hardware else [(64, 1)]
        self.left_out = [] if hardware else [1024, 4096]
        self.epochs = 20 if hardware else 4
        # Learning rates of the long sweep, and of each shape in the one of several shapes.
        self.busy_rates, self.shape_rates = (3334, 64) if hardware else (6, 8)
        self.device = "gpu" if hardware else "cpu"


class GpuWatch:
    """nvidia-smi's readings while something runs; none where it does not answer."""

    def __init__(self):
        self.lines = []
        query = f"--query-gpu={','.join(GPU_FIELDS)}"
        command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "--loop-ms=200"]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            self.process = None
            return
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.reader.join(timeout=5)

    def summary(self):
        """Smallest, median and largest reading of each field, GPU after GPU."""
        readings = {}
        for line in self.lines:
            words = [word.strip() for word in line.split(",")]
            if len(words) != len(GPU_FIELDS):
                continue
            for name, word in zip(list(GPU_FIELDS.values())[1:], words[1:]):
                try:
                    readings.setdefault(words[0], {}).setdefault(name, []).append(float(word))
                except ValueError:
                    pass  # "[N/A]"
        return {
            index: {
                name: {"min": min(values), "median": statistics.median(values), "max": max(values)}
                for name, values in fields.items()
            }
            for index, fields in readings.items()
        }


class Report:
    """Runs steps within the time that is left, and keeps what came of each."""

    def __init__(self, args):
        self.args, self.steps = args, []
        self.deadline = time.monotonic() + args.minutes * 60

    def step(self, name, command, limit_s, expects=dict):
        """Run a command that prints JSON; its row, with the parsed JSON under `result`."""
        left_s = self.deadline - time.monotonic()
        limit_s = min(limit_s, left_s)
        row = {"name": name, "command": [str(word) for word in command]}
        self.steps.append(row)
        print(f"{name} (at most {max(limit_s, 0):.0f} s)", file=sys.stderr, flush=True)
        start = time.monotonic()
        with GpuWatch() as watch:
            try:
                if left_s < 1:
                    raise StepError(f"left out: the {self.args.minutes} minutes were over (--minutes)")
                row["result"] = run_json(row["command"], limit_s, expects)
            except StepError as error:
                row["error"] = str(error)
                print(f"  {error}", file=sys.stderr, flush=True)
        row["wall_s"] = time.monotonic() - start
        row["gpus"] = watch.summary()
        return row

    def failed(self, name, reason):
        """A step that cannot even begin."""
        print(f"{name}: {reason}", file=sys.stderr, flush=True)
        row = {"name": name, "error": reason}
        self.steps.append(row)
        return row


def run_json(command, limit_s, expects):
    """Run a command; what its standard output holds as JSON."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise StepError(f"it took more than {limit_s:.0f} s") from error
    except OSError as error:
        raise StepError(f"it cannot be started: {error}") from error
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = None
    # A check that found something, and a bench with a failed case, end with 1 and still print their JSON.
    if done.returncode not in (0, 1) or not isinstance(result, expects):
        lines = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise StepError(f"it ended with exit code {done.returncode}: {' '.join(lines)}")
    return result


def choose_adapter(listed, wanted):
    """The adapter to measure: the one that is named, else the first hardware, else the first software one."""
    usable = [entry for entry in listed if entry["usable"] and entry["kind"] != "cpu"]
    if wanted:
        known = [entry for entry in usable if wanted in (str(entry["index"]), entry["name"])]
        # Regatta itself says what a part of a name means.
        named = [entry for entry in usable if wanted.split(":")[-1].lower() in entry["name"].lower()]
        return wanted, next(iter(known or named), None)
    entry = next((e for e in usable if not e["software"]), None) or next(iter(usable), None)
    return (str(entry["index"]), entry) if entry else (None, None)


def regatta_rate(report, adapter, name, members, epochs, limit_s):
    """Regatta's rate on the comparison's work, or its error."""
    with tempfile.TemporaryDirectory(prefix="regatta-report-") as folder:
        command = [report.args.binary, "sweep", HERE / "members.toml"]
        command += ["--set", f"learning_rate=log:1e-4..1e-1:{members}", "--epochs", epochs]
        command += ["--adapter", adapter, "--json", "--quiet", "--out", Path(folder) / "run"]
        row = report.step(name, command, limit_s)
    timing = row.get("result", {}).get("timing", {})
    label = "regatta cpu" if adapter == "cpu" else "regatta"
    return {label: timing.get(RATE) or row.get("error") or f"the summary has no {RATE}"}


def swept(report, adapter, name, settings, limit_s, trace=None):
    """The summary of a sweep of networks that differ in these settings."""
    with tempfile.TemporaryDirectory(prefix="regatta-report-") as folder:
        command = [report.args.binary, "sweep", "--adapter", adapter, "--json", "--quiet"]
        command += ["--out", Path(folder) / "run", *(["--trace", trace] if trace else [])]
        command += [word for setting in settings for word in ("--set", setting)]
        return report.step(name, command, limit_s).get("result", {})


def sweep_steps(report, adapter, plan):
    """How busy the device is in a long sweep, and what networks of several shapes take together and apart."""
    with tempfile.TemporaryDirectory(prefix="regatta-report-") as folder:
        trace = Path(folder) / "trace.json"
        rates = f"learning_rate=log:1e-4..1e-1:{plan.busy_rates}"
        summary = swept(report, adapter, "sweep, device-busy share", [rates, "hidden=64"], 90, trace)
        busy = json.loads(trace.read_text())["device_busy"] if trace.exists() else None
    timing = summary.get("timing", {})
    result = {"members": summary.get("members"), RATE: timing.get(RATE), "device_busy": busy}
    base = [f"learning_rate=log:1e-4..1e-1:{plan.shape_rates}", f"batch_size={BATCH_SIZE}", "optimizer=adam"]
    seconds = {}
    for shapes in [*SHAPES, ",".join(SHAPES)]:
        name = "sweep, all shapes" if "," in shapes else f"sweep, hidden {shapes}"
        timing = swept(report, adapter, name, [*base, f"hidden={shapes}"], 60).get("timing", {})
        seconds[shapes] = timing.get("train_s")
    together = seconds.pop(",".join(SHAPES))
    apart = None if None in seconds.values() else sum(seconds.values())
    result |= {"shapes": seconds, "together_s": together, "apart_s": apart}
    if together and apart:
        result["together_is"] = apart / together
    return result


def peer_rates(report, peer, name, members, plan, limit_s):
    """The rate of each form of a peer on the comparison's work, or its error."""
    label, script, module, options = peer
    for needed in (module, "numpy", "sklearn"):
        if importlib.util.find_spec(needed) is None:
            error = f"{needed} is not installed for {sys.executable} (see benches/peers/requirements.txt; VENV)"
            report.failed(name, error)
            return {label: error}
    command = [sys.executable, HERE / script, "--members", members, "--epochs", plan.epochs, "--rows", ROWS]
    command += ["--batch-size", BATCH_SIZE, "--device", plan.device, "--repeats", 2, *options]
    row = report.step(name, command, limit_s)
    if "error" in row:
        return {label: row["error"]}
    forms = row["result"].get("forms", {})
    return {f"{label} {form}": figures.get(RATE) or figures["error"] for form, figures in forms.items()}


def peers(hardware):
    """Label, script, module and options of each peer."""
    jax_forms = "all,copied" if hardware else "all,processes+copied+chunked-8"
    found = [
        ("jax", "jax_vmap.py", "jax", ["--forms", jax_forms]),
        ("torch vmap", "torch_vmap.py", "torch", []),
        ("torch loop", "torch_loop.py", "torch", ["--trials", "4"]),
    ]
    if hardware:
        # By default products use TF32 on recent NVIDIA GPUs.
        highest = ["--precision", "highest"]
        found[1:1] = [("jax highest", "jax_vmap.py", "jax", ["--forms", jax_forms, *highest])]
        found[3:3] = [("torch vmap highest", "torch_vmap.py", "torch", highest)]
    return found


def compare(report, adapter, plan):
    """Every size in its rounds, each round starting with another tool."""
    results = []
    for members, rounds in plan.sizes:
        measurements = []
        for tool, on in (("regatta", adapter), ("regatta cpu", "cpu")):
            run = lambda name, a=on, m=members: regatta_rate(report, a, name, m, plan.epochs, 60)  # noqa: E731
            measurements.append((tool, run))
        for peer in peers(plan.hardware):
            run = lambda name, p=peer, m=members: peer_rates(report, p, name, m, plan, 90)  # noqa: E731
            measurements.append((peer[0], run))
        figures = {}
        for number in range(rounds):
            shift = number % len(measurements)
            for tool, measure in measurements[shift:] + measurements[:shift]:
                for label, figure in measure(f"{tool}, {members} members, round {number + 1}").items():
                    figures.setdefault(label, []).append(figure)
        results.append({"members": members, "rounds": rounds, "rows": compared(figures)})
    for members in plan.left_out:
        results.append({"members": members, "rounds": 0, "rows": [], "error": "left out: the adapter is software"})
    return results


def compared(figures):
    """Rows with median and range, Regatta first, the others from the best median down, failures last."""
    rows = []
    for label, values in figures.items():
        samples = [value for value in values if not isinstance(value, str)]
        row = {"name": label, "samples": samples, "errors": [value for value in values if isinstance(value, str)]}
        if samples:
            row |= {"median": statistics.median(samples), "min": min(samples), "max": max(samples)}
        rows.append(row)
    own = next((row.get("median") for row in rows if row["name"] == "regatta"), None)
    for row in rows:
        if own and "median" in row:
            row["regatta_ratio"] = own / row["median"]
    return sorted(rows, key=lambda row: (row["name"] != "regatta", "median" not in row, -row.get("median", 0)))


def rate(value):
    """A rate with its prefix."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.2f} {prefix}"
    return f"{value:.1f}"


def comparison_text(results):
    """The comparison as Markdown."""
    lines = ["## Comparison", "", "64-64-10, Adam, batch 32, digits; trial-samples/s while training.", ""]
    for result in results:
        lines += [f"### {result['members']} members", ""]
        if "error" in result:
            lines += [result["error"], ""]
            continue
        lines += ["| tool | median | smallest | largest | Regatta is |", "|---|---:|---:|---:|---:|"]
        for row in result["rows"]:
            if "median" in row:
                shown = " | ".join(rate(row[key]) for key in ("median", "min", "max"))
                ratio = f"{row['regatta_ratio']:.2f} x" if "regatta_ratio" in row else ""
                lines.append(f"| {row['name']} | {shown} | {ratio} |")
            else:
                lines.append(f"| {row['name']} | {cell(row['errors'][0])} | | | |")
        lines.append("")
    return lines


def sweeps_text(sweeps):
    """What sweeps took as Markdown."""
    if not sweeps:
        return []
    known = lambda value, text: "unknown" if value is None else text.format(value)  # noqa: E731
    busy, members = known(sweeps["device_busy"], "{:.1%}"), known(sweeps["members"], "{:,}")
    lines = ["## Sweeps", "", f"64-64-10 with the default settings, {members} members: device busy {busy}.", ""]
    lines += ["| hidden layers, Adam, batch 32 | seconds of training |", "|---|---:|"]
    lines += [f"| {hidden} | {known(seconds, '{:.3f}')} |" for hidden, seconds in sweeps["shapes"].items()]
    lines += [f"| one after the other | {known(sweeps['apart_s'], '{:.3f}')} |"]
    lines += [f"| all together | {known(sweeps['together_s'], '{:.3f}')} |"]
    return [*lines, "", f"Together they are {known(sweeps.get('together_is'), '{:.2f} x')} as fast.", ""]


def bench_text(step):
    """The cases of a bench record as Markdown."""
    record = step["result"]
    lines = []
    for index, adapter in enumerate(record["adapters"]):
        peak = adapter.get("fma_peak_gflops")
        peak_text = f", fma peak {rate(peak * 1e9)}FLOP/s" if peak else ""
        lines += [f"### {adapter['name']} ({adapter['backend']}, {adapter['driver']}){peak_text}", ""]
        lines += ["| engine | shape | batch | members | optimizer | trial-samples/s | GFLOP/s | of fma peak | on device |"]
        lines += ["|---|---|---:|---:|---|---:|---:|---:|---:|"]
        lines += [case_text(case) for case in record["cases"] if case["adapter"] == index] + [""]
    return lines


def case_text(case):
    """A case of a bench record as a row."""
    words = [case["engine"], "-".join(map(str, case["shape"])), case["batch_size"] or "mixed", case["members"]]
    words.append(case["optimizer"] or "mixed")
    if "error" in case:
        words += [cell(case["error"]), "", "", ""]
    else:
        share = lambda value: "" if value is None else f"{100 * value:.3g} %"  # noqa: E731
        words += [rate(case[RATE]["median"]), f"{case['gflops']:.4g}"]
        words += [share(case["share_of_fma_peak"]), share(case["device_share"])]
    return f"| {' | '.join(map(str, words))} |"


def cell(text):
    """Text that does not end its cell."""
    return str(text).replace("|", "/").replace("\n", " ")


def gpu_text(readings):
    """Clock, power and temperature of every GPU that was read, in a few words."""
    words = []
    for index, fields in readings.items():
        values = {name: f"{numbers['max']:g}" for name, numbers in fields.items()}
        picked = [f"{values[name]} {unit}" for name, unit in
                  (("sm_mhz", "MHz"), ("power_w", "W"), ("temperature_c", "C")) if name in values]
        words.append(f"{index}: {', '.join(picked)}")
    return "; ".join(words)


def markdown(record):
    """The report as a person reads it."""
    lines = ["# Measurements of one machine", "", f"{record['started']}, {record['wall_s']:.0f} s.", ""]
    host, adapter = record["machine"], record["adapter"]
    lines += [f"{host['cpu']}, {host['cores']} cores, {host['system']}; {', '.join(host['gpus']) or 'no NVIDIA GPU'}."]
    if adapter:
        lines += [f"Adapter {adapter['index']}: {adapter['name']} ({adapter['backend']}, {adapter['driver']})."]
    lines += ["", "## Steps", "", "| step | seconds | outcome | GPU: clock, power, temperature at most |"]
    lines += ["|---|---:|---|---|"]
    for step in record["steps"]:
        outcome = cell(step.get("error", "done"))
        lines.append(f"| {step['name']} | {step.get('wall_s', 0):.1f} | {outcome} | {gpu_text(step.get('gpus', {}))} |")
    lines += ["", *sweeps_text(record["sweeps"]), *comparison_text(record["comparison"])]
    for step in record["steps"]:
        if step["name"].startswith("bench") and "result" in step:
            lines += [f"## {step['name']}", "", *bench_text(step)]
    return "\n".join(lines) + "\n"


def write(path, text):
    """Write beside the place and rename."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="gpu-report.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary", type=Path, help="a built regatta")
    parser.add_argument("outdir", type=Path, nargs="?", default=Path("gpu-report"), help="folder (gpu-report)")
    parser.add_argument("--adapter", help="index or part of a name (the first hardware GPU, else a software one)")
    parser.add_argument("--minutes", type=float, default=9.5, help="after which no step begins or goes on (9.5)")
    parser.add_argument(
        "--steps", default=",".join(STEPS), help=f"which of {', '.join(STEPS)}, where time is short (all)"
    )
    args = parser.parse_args()
    args.steps = args.steps.split(",")
    unknown = [step for step in args.steps if step not in STEPS]
    if unknown:
        parser.error(f"--steps: `{unknown[0]}` is no step; it must be one of {', '.join(STEPS)}")
    if not args.binary.is_file():
        parser.error(f"{args.binary} is not a program; build one with cargo build --release")
    args.binary = args.binary.resolve()
    return args


def regatta_steps(report, adapter, plan):
    """What Regatta says of itself on the adapter."""
    on = ["--adapter", adapter, "--json"]
    if "check" in report.args.steps:
        check_steps(report, plan, on)
    if "bench" in report.args.steps:
        bench_steps(report, plan, on)


def check_steps(report, plan, on):
    """Right?"""
    binary = report.args.binary
    report.step("check", [binary, "check", *on], 90, (dict, list))
    many = ["--members", plan.check_members, "--repeats", plan.check_repeats]
    name = f"check, {plan.check_members} members x {plan.check_repeats} repeats"
    report.step(name, [binary, "check", *on, *many], 90, (dict, list))


def bench_steps(report, plan, on):
    """How fast?"""
    binary = report.args.binary
    quick = [] if plan.hardware else ["--quick"]
    report.step("bench", [binary, "bench", *on, *quick], 200)
    report.step("bench, native engine", [binary, "bench", "--adapter", "cpu", "--json", "--quick"], 40)


def main():
    """Measure, write the two files, print where they are."""
    args = parse_arguments()
    args.outdir.mkdir(parents=True, exist_ok=True)
    report, started = Report(args), datetime.now(timezone.utc)
    begun = time.monotonic()
    load_before = machine.load_average()
    listed = report.step("adapters", [args.binary, "adapters", "--json"], 30, list).get("result", [])
    adapter, entry = choose_adapter(listed, args.adapter)
    comparison, sweeps = [], {}
    if adapter is None:
        report.failed("adapter", "no GPU adapter can be used here, not even a software one; install a Vulkan driver")
    else:
        plan = Plan(hardware=bool(entry) and not entry["software"])
        regatta_steps(report, adapter, plan)
        if "sweeps" in args.steps:
            sweeps = sweep_steps(report, adapter, plan)
        if "comparison" in args.steps:
            comparison = compare(report, adapter, plan)
    record = {
        "schema_version": SCHEMA_VERSION,
        "started": started.isoformat(timespec="seconds"),
        "wall_s": time.monotonic() - begun,
        "machine": machine.describe(),
        "software": machine.software(args.binary),
        "load_average_before": load_before,
        "adapter": entry,
        "steps": report.steps,
        "sweeps": sweeps,
        "comparison": comparison,
    }
    write(args.outdir / "report.json", json.dumps(record, indent=1) + "\n")
    write(args.outdir / "report.md", markdown(record))
    print(args.outdir / "report.md")
    own = [step for step in report.steps if step["name"].startswith(("adapter", "check", "bench", "sweep", "regatta"))]
    return 1 if any("error" in step for step in own) else 0


if __name__ == "__main__":
    sys.exit(main())
