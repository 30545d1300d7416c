#!/usr/bin/env python3
"""Train small dense networks one after another with PyTorch in eager mode, as most tuners' trials do.

    eager        PyTorch's optimizer with its defaults, one thread
    fused        the same with the optimizer's fused kernel
    processes    fused, one single-threaded process a core, each with its share of the trials (CPU only)

The trials are the members of jax_vmap.py: the same weights, rows, row orders and learning rates. Rows are gathered
once an epoch and batches are slices of them; there is no data loader. Since trials run one after another, --trials may
train an evenly spaced part of the members: it is the rate that is compared.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy

import workers
import workload
from workload import ADAM, UsageError

CPU_FORMS = ["eager", "fused", "processes"]
GPU_FORMS = ["eager", "fused"]


def import_torch():
    """The module, with one thread for its operations."""
    try:
        import torch
    except ImportError as error:
        raise UsageError("torch is not installed (see requirements.txt)") from error
    torch.set_num_threads(1)
    return torch


def choose_device(torch, name):
    """The device that `auto`, `cpu` or `gpu` stands for."""
    if name == "gpu" and not torch.cuda.is_available():
        raise UsageError("PyTorch finds no GPU (--device gpu)")
    on_gpu = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def chosen_members(members, trials):
    """Numbers of the members that are trained, evenly spaced."""
    return numpy.linspace(0, members - 1, min(trials or members, members)).round().astype(int).tolist()


class Training:
    """Trials of the workload, trained one after another on one device."""

    def __init__(self, work, members, fused, device):
        self.torch = import_torch()
        self.work, self.fused, self.device = work, fused, device
        self.rates = [float(work.learning_rates()[member]) for member in members]
        inputs, targets = work.training_rows()
        self.inputs = self.torch.tensor(inputs, device=device)
        self.targets = self.torch.tensor(targets, dtype=self.torch.int64, device=device)
        self.orders = self.torch.tensor(work.row_orders(), dtype=self.torch.int64, device=device)

    def network(self):
        """The network with the workload's initial weights."""
        torch = self.torch
        layers = []
        for weight, bias in self.work.initial_layers():
            dense = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.tensor(weight.T))
                dense.bias.copy_(torch.tensor(bias))
            layers += [dense, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1]).to(self.device)

    def optimizer(self, network, rate):
        """PyTorch's optimizer; `fused` is left to PyTorch unless it is asked for."""
        fused = True if self.fused else None
        if self.work.optimizer == "sgd":
            return self.torch.optim.SGD(network.parameters(), lr=rate, fused=fused)
        betas = (ADAM["beta_1"], ADAM["beta_2"])
        return self.torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=ADAM["epsilon"], fused=fused)

    def train(self, rate, epochs):
        """Train one trial; the mean loss over the rows of the last epoch."""
        network = self.network()
        optimizer = self.optimizer(network, rate)
        loss_of = self.torch.nn.functional.cross_entropy
        for order in self.orders[:epochs]:
            inputs, targets = self.inputs[order], self.targets[order]
            total = self.torch.zeros((), device=self.device)
            for batch, classes in zip(inputs.split(self.work.batch_size), targets.split(self.work.batch_size)):
                optimizer.zero_grad()
                loss = loss_of(network(batch), classes)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(classes)
        return total.item() / self.work.rows

    def run(self, _prepared=None):
        """Train every trial; the last losses."""
        return [self.train(rate, self.work.epochs) for rate in self.rates]

    def warmed_up(self):
        """Train one trial for one epoch."""
        self.train(self.rates[0], 1)
        return self


def measure_here(work, members, fused, device, repeats):
    """Seconds of each measurement, and the last losses, in this process."""
    training = Training(work, members, fused, device).warmed_up()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        losses = training.run()
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def measure_in_processes(work, trials, repeats, processes):
    """Seconds of each measurement, and the last losses, with one process a core."""
    cores = workers.available_cores()
    count = min(processes or len(cores), trials)
    commands = [
        [sys.executable, str(Path(__file__).resolve()), *workload.workload_arguments(work)]
        + ["--trials", str(trials), "--device", "cpu"]
        + ["--worker", str(begin), str(end), str(cores[number % len(cores)])]
        for number, (begin, end) in enumerate(workers.shares(trials, count))
    ]
    return workers.measure(commands, {"OMP_NUM_THREADS": "1"}, repeats)


def measure_form(name, work, args, device):
    """The figures of one form, or the error that it ended with."""
    members = chosen_members(work.members, args.trials)
    trial_samples = len(members) * work.epochs * work.rows
    try:
        if name == "processes":
            seconds, losses = measure_in_processes(work, len(members), args.repeats, args.processes)
        else:
            seconds, losses = measure_here(work, members, name == "fused", device, args.repeats)
        result = workload.form_result(trial_samples, seconds)
        if members == list(range(work.members)):
            result["final_train_loss"] = workload.example_losses(losses)
        return result
    except (workers.WorkerError, RuntimeError, MemoryError) as error:
        return {"error": str(error)}


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    workload.add_arguments(parser)
    parser.add_argument("--trials", type=workload.positive, help="members that are trained (all)")
    workload.add_device(parser)
    parser.add_argument("--forms", help=f"comma-separated (CPU: {','.join(CPU_FORMS)}; GPU: {','.join(GPU_FORMS)})")
    parser.add_argument("--processes", type=workload.positive, help="of the form `processes` (one a core)")
    parser.add_argument("--worker", nargs=3, type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def serve_worker(work, args):
    """Train a share of the chosen members on one core whenever the parent says so."""
    begin, end, core = args.worker
    workers.pin(core)
    members = chosen_members(work.members, args.trials)[begin:end]
    training = Training(work, members, True, "cpu").warmed_up()
    workers.serve(lambda: None, training.run)


def main():
    """Measure the forms and print one JSON line."""
    args = parse_arguments()
    work = workload.from_arguments(args)
    if args.worker:
        serve_worker(work, args)
        return 0
    torch = import_torch()
    device = choose_device(torch, args.device)
    known = CPU_FORMS if device.type == "cpu" else GPU_FORMS
    names = args.forms.split(",") if args.forms else known
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--forms {unknown[0]} is none of {', '.join(known)} on {device.type}")
    figures = {name: measure_form(name, work, args, device) for name in names}
    return workload.print_report(
        "torch_loop",
        torch.__version__,
        work,
        figures,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        trials=len(chosen_members(work.members, args.trials)),
    )


if __name__ == "__main__":
    workload.exit_with(main)
