#!/usr/bin/env python3
"""Train many small dense networks at once with JAX: vmap over members, scan over steps, one compiled call.

A form says how the members are arranged; its parts are joined by `+`:

    all          every member in one vmap over the shared batch, one process
    copied       the batch is copied for each member, so that every product is one batched product
    chunked-N    members in groups of N, one compiled call a group
    unrolled-N   N steps of the scan in one iteration of the loop
    processes    one single-threaded process a core, each with its share of the members

Every form does the same training. Each is compiled and warmed up, then measured; the best measurement counts.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import workers
import workload
from workload import ADAM, UsageError

CPU_FORMS = [
    "all",
    "copied",
    *(f"chunked-{size}" for size in (4, 8, 16, 32)),
    "copied+chunked-8",
    "processes",
    "processes+copied",
    "processes+chunked-8",
    "processes+copied+chunked-8",
    "processes+copied+chunked-16",
]
GPU_FORMS = ["all", "copied", "all+unrolled-4"]
SINGLE_THREAD_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Form:
    """How members are arranged; `chunk` is None for all of them together."""

    name: str
    copied: bool = False
    processes: bool = False
    chunk: int | None = None
    unroll: int = 1


def parse_form(name):
    """The form that a name such as `processes+copied+chunked-8` stands for."""
    settings = {}
    for part in name.split("+"):
        word, _, number = part.partition("-")
        if part in ("copied", "processes"):
            settings[part] = True
        elif word in ("chunked", "unrolled") and number.isdigit() and int(number) > 0:
            settings["chunk" if word == "chunked" else "unroll"] = int(number)
        elif part != "all":
            raise UsageError(f"`{part}` in --forms {name} is none of all, copied, chunked-N, unrolled-N, processes")
    return Form(name, **settings)


def cross_entropy(logits, one_hot):
    """Mean over the rows of softmax cross-entropy; logits and one_hot are [rows, classes]."""
    import jax

    return (jax.nn.logsumexp(logits, axis=-1) - (logits * one_hot).sum(axis=-1)).mean()


def member_loss(layers, inputs, one_hot):
    """The loss of one member on one batch."""
    import jax

    values = inputs
    for weight, bias in layers[:-1]:
        values = jax.nn.relu(values @ weight + bias)
    weight, bias = layers[-1]
    return cross_entropy(values @ weight + bias, one_hot)


def losses_and_gradients(layers, inputs, one_hot, copied):
    """Loss [members] and gradients of all members on one batch that they share."""
    import jax
    import jax.numpy as jnp

    if copied:
        inputs = jnp.broadcast_to(inputs, (layers[0][0].shape[0], *inputs.shape))
    axes = (0, 0 if copied else None, None)
    return jax.vmap(jax.value_and_grad(member_loss), axes)(layers, inputs, one_hot)


def per_member(rates, parameter):
    """Rates [members] in the shape that multiplies a parameter [members, ...]."""
    return rates.reshape(-1, *[1] * (parameter.ndim - 1))


def sgd(state, gradients, rates):
    """Plain stochastic gradient descent."""
    import jax

    layers = jax.tree.map(lambda p, g: p - per_member(rates, p) * g, state["layers"], gradients)
    return {"layers": layers}


def adam(state, gradients, rates):
    """Adam by PyTorch's formula; the corrections are computed once a step, since members share the step."""
    import jax
    import jax.numpy as jnp

    beta_1, beta_2, epsilon = ADAM["beta_1"], ADAM["beta_2"], ADAM["epsilon"]
    step = state["step"] + 1
    rates = rates / (1 - beta_1**step)
    correction = jnp.sqrt(1 - beta_2**step)
    moment_1 = jax.tree.map(lambda m, g: beta_1 * m + (1 - beta_1) * g, state["moment_1"], gradients)
    moment_2 = jax.tree.map(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, state["moment_2"], gradients)

    def updated(parameter, m, v):
        return parameter - per_member(rates, parameter) * m / (jnp.sqrt(v) / correction + epsilon)

    layers = jax.tree.map(updated, state["layers"], moment_1, moment_2)
    return {"layers": layers, "moment_1": moment_1, "moment_2": moment_2, "step": step}


def compiled_training(work, form):
    """`train(state, rates, inputs, targets, orders) -> (state, mean loss [epochs, members])`, jitted.

    The state is donated. An epoch gathers its rows once; the last, smaller batch is a step of its own shape.
    """
    import jax

    size, whole = work.batch_size, work.rows // work.batch_size * work.batch_size
    update = {"adam": adam, "sgd": sgd}[work.optimizer]

    def step(state, rates, inputs, targets):
        one_hot = jax.nn.one_hot(targets, work.classes, dtype=inputs.dtype)
        losses, gradients = losses_and_gradients(state["layers"], inputs, one_hot, form.copied)
        return update(state, gradients, rates), losses * len(targets)

    def epoch(state, rates, inputs, targets):
        batches = (inputs[:whole].reshape(-1, size, work.inputs), targets[:whole].reshape(-1, size))
        total = 0.0
        if whole:
            state, losses = jax.lax.scan(lambda s, batch: step(s, rates, *batch), state, batches, unroll=form.unroll)
            total = losses.sum(axis=0)
        if whole < work.rows:
            state, losses = step(state, rates, inputs[whole:], targets[whole:])
            total = total + losses
        return state, total / work.rows

    def train(state, rates, inputs, targets, orders):
        return jax.lax.scan(lambda s, order: epoch(s, rates, inputs[order], targets[order]), state, orders)

    return jax.jit(train, donate_argnums=0)


def initial_state(work, members):
    """Weights of `members` equal members and their optimizer's state."""
    import jax
    import jax.numpy as jnp

    layers = jax.tree.map(lambda p: jnp.tile(p, (members, *[1] * p.ndim)), work.initial_layers())
    if work.optimizer == "sgd":
        return {"layers": layers}
    zeros = lambda: jax.tree.map(jnp.zeros_like, layers)  # noqa: E731 (each moment needs a buffer of its own)
    return {"layers": layers, "moment_1": zeros(), "moment_2": zeros(), "step": jnp.zeros(())}


class Training:
    """Members begin..end of the workload, arranged by a form, on this process's device."""

    def __init__(self, work, form, begin, end):
        import jax.numpy as jnp

        self.work = work
        self.train = compiled_training(work, form)
        rates = work.learning_rates()
        size = min(form.chunk or end - begin, end - begin)
        self.rates = [jnp.asarray(rates[at : min(at + size, end)]) for at in range(begin, end, size)]
        inputs, targets = work.training_rows()
        self.rows = (jnp.asarray(inputs), jnp.asarray(targets), jnp.asarray(work.row_orders()))

    def prepare(self):
        """States of all chunks, on the device."""
        import jax

        return jax.block_until_ready([initial_state(self.work, len(rates)) for rates in self.rates])

    def run(self, states):
        """Train all epochs and wait for the end; the mean loss of the last epoch of each member."""
        import jax
        import numpy

        ended = [self.train(state, rates, *self.rows) for state, rates in zip(states, self.rates)]
        jax.block_until_ready(ended)
        return numpy.concatenate([numpy.asarray(losses[-1]) for _, losses in ended])

    def warmed_up(self):
        """Compile and run once."""
        self.run(self.prepare())
        return self


def measure_here(work, form, repeats):
    """Seconds of each measurement, and the last epoch's losses, in this process."""
    training = Training(work, form, 0, work.members).warmed_up()
    seconds = []
    for _ in range(repeats):
        states = training.prepare()
        start = time.perf_counter()
        losses = training.run(states)
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def measure_in_processes(work, form, repeats, args):
    """Seconds of each measurement, and the last epoch's losses, with one process a core."""
    cores = workers.available_cores()
    count = min(args.processes or len(cores), work.members)
    commands = [
        [sys.executable, str(Path(__file__).resolve()), *workload.workload_arguments(work), "--forms", form.name]
        + ["--precision", args.precision, "--device", "cpu"]
        + ["--worker", str(begin), str(end), str(cores[number % len(cores)])]
        for number, (begin, end) in enumerate(workers.shares(work.members, count))
    ]
    flags = f"{os.environ.get('XLA_FLAGS', '')} {SINGLE_THREAD_FLAGS}".strip()
    return workers.measure(commands, {"XLA_FLAGS": flags, "OMP_NUM_THREADS": "1"}, repeats)


def measure_form(work, form, args):
    """The figures of one form, or the error that it ended with."""
    try:
        if form.processes:
            seconds, losses = measure_in_processes(work, form, args.repeats, args)
        else:
            seconds, losses = measure_here(work, form, args.repeats)
        result = workload.form_result(work.trial_samples, seconds)
        return result | {"final_train_loss": workload.example_losses(losses)}
    except (workers.WorkerError, RuntimeError, MemoryError) as error:
        return {"error": str(error)}


def configure_jax(device, precision):
    """Choose JAX's platform and the precision of its products; returns the module."""
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        import jax
    except ImportError as error:
        raise UsageError("jax is not installed (see requirements.txt)") from error
    jax.config.update("jax_default_matmul_precision", None if precision == "default" else precision)
    found = jax.devices()[0].platform
    if device == "gpu" and found == "cpu":
        raise UsageError("JAX finds no GPU (--device gpu); a GPU needs jax[cuda13] or its like")
    return jax


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    workload.add_arguments(parser)
    parser.add_argument("--precision", choices=["default", "highest"], default="default",
                        help="of products: on recent NVIDIA GPUs the default is TF32 (default)")
    workload.add_device(parser)
    parser.add_argument("--forms", help="comma-separated (CPU: all of them; GPU: those of one process, not chunked)")
    parser.add_argument("--processes", type=workload.positive, help="of the form `processes` (one a core)")
    parser.add_argument("--worker", nargs=3, type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def serve_worker(work, form, begin, end, core, args):
    """Train members begin..end on one core whenever the parent says so."""
    workers.pin(core)
    configure_jax("cpu", args.precision)
    training = Training(work, form, begin, end).warmed_up()
    workers.serve(training.prepare, training.run)


def main():
    """Measure the forms and print one JSON line."""
    args = parse_arguments()
    work = workload.from_arguments(args)
    if args.worker:
        serve_worker(work, parse_form(args.forms), *args.worker, args)
        return 0
    jax = configure_jax(args.device, args.precision)
    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    names = args.forms.split(",") if args.forms else CPU_FORMS if on_cpu else GPU_FORMS
    forms = [parse_form(name) for name in names]
    if not on_cpu and any(form.processes for form in forms):
        raise UsageError("the form `processes` is for the CPU (--device cpu)")
    figures = {form.name: measure_form(work, form, args) for form in forms}
    return workload.print_report(
        "jax_vmap",
        jax.__version__,
        work,
        figures,
        device=device.device_kind,
        precision=args.precision,
        cores=len(workers.available_cores()),
        xla_flags=os.environ.get("XLA_FLAGS", ""),
    )


if __name__ == "__main__":
    workload.exit_with(main)
