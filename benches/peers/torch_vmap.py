#!/usr/bin/env python3
"""Train many small dense networks at once with PyTorch: torch.func.vmap over members, a functional optimizer.

    all          every member in one vmap over the shared batch, eager
    compiled     the same step through torch.compile (on a GPU with CUDA graphs), where that works

The members are those of jax_vmap.py: the same weights, rows, row orders and learning rates. Rows are gathered once an
epoch. Each form is warmed up, which compiles it, then measured; the best measurement counts.
"""

import argparse
import os
import time

import workload
from torch_loop import choose_device
from workload import ADAM, UsageError

FORMS = ["all", "compiled"]


def import_torch(precision):
    """The module, with products of this precision and all cores."""
    try:
        import torch
    except ImportError as error:
        raise UsageError("torch is not installed (see requirements.txt)") from error
    # `high` lets float32 products use TF32, which is JAX's default on recent NVIDIA GPUs.
    torch.set_float32_matmul_precision("high" if precision == "default" else "highest")
    return torch


def member_loss(layers, inputs, targets):
    """The loss of one member on one batch."""
    import torch

    values = inputs
    for weight, bias in layers[:-1]:
        values = torch.relu(values @ weight + bias)
    weight, bias = layers[-1]
    return torch.nn.functional.cross_entropy(values @ weight + bias, targets)


def per_member(rates, parameter):
    """Rates [members] in the shape that multiplies a parameter [members, ...]."""
    return rates.reshape(-1, *[1] * (parameter.ndim - 1))


def sgd(parameters, _moments, gradients, rates, _step):
    """Plain stochastic gradient descent, in place."""
    for parameter, gradient in zip(parameters, gradients):
        parameter.sub_(per_member(rates, parameter) * gradient)


def adam(parameters, moments, gradients, rates, step):
    """Adam by PyTorch's formula, in place; `step` is a tensor, so that no step is compiled anew."""
    beta_1, beta_2, epsilon = ADAM["beta_1"], ADAM["beta_2"], ADAM["epsilon"]
    step.add_(1)
    rates = rates / (1 - beta_1**step)
    correction = (1 - beta_2**step).sqrt()
    for parameter, gradient, (m, v) in zip(parameters, gradients, moments):
        m.mul_(beta_1).add_(gradient, alpha=1 - beta_1)
        v.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
        parameter.sub_(per_member(rates, parameter) * m / (v.sqrt() / correction + epsilon))


class Training:
    """All members of the workload on one device, stepped by one form."""

    def __init__(self, torch, work, form, device):
        self.torch, self.work, self.device = torch, work, device
        inputs, targets = work.training_rows()
        self.inputs = torch.tensor(inputs, device=device)
        self.targets = torch.tensor(targets, dtype=torch.int64, device=device)
        self.orders = torch.tensor(work.row_orders(), dtype=torch.int64, device=device)
        self.rates = torch.tensor(work.learning_rates(), device=device)
        self.update = {"adam": adam, "sgd": sgd}[work.optimizer]
        self.gradients = torch.func.vmap(torch.func.grad_and_value(member_loss), in_dims=(0, None, None))
        self.reset()
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        self.step = torch.compile(self.plain_step, mode=mode) if form == "compiled" else self.plain_step

    def reset(self):
        """The initial weights again; the same tensors each time, which CUDA graphs need."""
        torch = self.torch
        fresh = [
            torch.tensor(values, device=self.device).expand(self.work.members, *values.shape).clone()
            for layer in self.work.initial_layers()
            for values in layer
        ]
        if not hasattr(self, "parameters"):
            self.parameters = fresh
            self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in fresh]
            self.steps = torch.zeros((), device=self.device)
        for parameter, values in zip(self.parameters, fresh):
            parameter.copy_(values)
        for moment in [m for pair in self.moments for m in pair] + [self.steps]:
            moment.zero_()

    def plain_step(self, batch, classes):
        """One step of all members; the summed loss of each over the rows."""
        layers = list(zip(self.parameters[::2], self.parameters[1::2]))
        gradients, losses = self.gradients(layers, batch, classes)
        flat = [gradient for layer in gradients for gradient in layer]
        self.update(self.parameters, self.moments, flat, self.rates, self.steps)
        return losses * len(classes)

    def run(self, epochs):
        """Train so many epochs and wait for the end; the mean loss of the last one of each member."""
        size = self.work.batch_size
        for order in self.orders[:epochs]:
            inputs, targets = self.inputs[order], self.targets[order]
            total = self.torch.zeros(self.work.members, device=self.device)
            for batch, classes in zip(inputs.split(size), targets.split(size)):
                total += self.step(batch, classes)
        return (total / self.work.rows).cpu().numpy()


def measure(torch, work, form, device, repeats):
    """Seconds of each measurement, and the last losses."""
    training = Training(torch, work, form, device)
    training.run(1)
    seconds = []
    for _ in range(repeats):
        training.reset()
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        losses = training.run(work.epochs)
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def measure_form(torch, work, form, args, device):
    """The figures of one form, or the error that it ended with."""
    try:
        with torch.no_grad():
            seconds, losses = measure(torch, work, form, device, args.repeats)
    # torch.compile fails in many ways: no C++ compiler, no Triton, operations it does not know.
    except Exception as error:  # noqa: BLE001
        return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
    result = workload.form_result(work.trial_samples, seconds)
    return result | {"final_train_loss": workload.example_losses(losses)}


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    workload.add_arguments(parser)
    workload.add_device(parser)
    parser.add_argument("--precision", choices=["default", "highest"], default="default",
                        help="of products on a GPU: default is TF32, as in JAX (default)")
    parser.add_argument("--forms", help=f"comma-separated ({','.join(FORMS)})")
    return parser.parse_args()


def main():
    """Measure the forms and print one JSON line."""
    args = parse_arguments()
    work = workload.from_arguments(args)
    torch = import_torch(args.precision)
    device = choose_device(torch, args.device)
    names = args.forms.split(",") if args.forms else FORMS
    if unknown := [name for name in names if name not in FORMS]:
        raise UsageError(f"--forms {unknown[0]} is none of {', '.join(FORMS)}")
    figures = {name: measure_form(torch, work, name, args, device) for name in names}
    return workload.print_report(
        "torch_vmap",
        torch.__version__,
        work,
        figures,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        precision=args.precision,
        threads=torch.get_num_threads(),
        cores=os.cpu_count(),
    )


if __name__ == "__main__":
    workload.exit_with(main)
