"""The work that jax_vmap.py and torch_loop.py both do: data, initial weights, row orders, learning rates.

Both tools start from the same weights and take the same rows in the same order, so their losses can be compared.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import numpy

# Training rows of digits after 20 % for the test and 20 % of the rest for validation.
DIGITS_TRAINING_ROWS = 1150
FASHION_SHAPE = {"inputs": 784, "classes": 10, "rows": 60000}
LEARNING_RATES = (1e-4, 1e-1)
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


class UsageError(Exception):
    """Arguments that ask for something that does not exist."""


@dataclass(frozen=True)
class Workload:
    """Members of one network shape that differ in their learning rate; sizes are counts."""

    dataset: str
    members: int
    inputs: int
    hidden: tuple[int, ...]
    classes: int
    rows: int
    batch_size: int
    epochs: int
    optimizer: str
    seed: int

    @property
    def widths(self):
        """Widths of all layers, the inputs first."""
        return (self.inputs, *self.hidden, self.classes)

    @property
    def trial_samples(self):
        """Training rows seen, summed over members."""
        return self.members * self.epochs * self.rows

    def learning_rates(self):
        """One learning rate a member, evenly spaced in the logarithm."""
        return numpy.geomspace(*LEARNING_RATES, self.members).astype(numpy.float32)

    def row_orders(self):
        """One permutation of the rows an epoch, shared by all members: [epochs, rows]."""
        random = numpy.random.default_rng([self.seed, 1])
        return numpy.stack([random.permutation(self.rows) for _ in range(self.epochs)]).astype(numpy.int32)

    def initial_layers(self):
        """Glorot-uniform weights [inputs, outputs] and zero biases of one member; all members start equal."""
        random = numpy.random.default_rng([self.seed, 2])
        layers = []
        for inputs, outputs in zip(self.widths, self.widths[1:]):
            limit = (6.0 / (inputs + outputs)) ** 0.5
            weight = random.uniform(-limit, limit, (inputs, outputs)).astype(numpy.float32)
            layers.append((weight, numpy.zeros(outputs, numpy.float32)))
        return layers

    def training_rows(self):
        """Standardised inputs [rows, inputs] and classes [rows]."""
        if self.dataset == "digits":
            inputs, targets = digits_rows(self.rows, self.seed)
        else:
            random = numpy.random.default_rng([self.seed, 3])
            inputs = random.standard_normal((self.rows, self.inputs), numpy.float32)
            targets = random.integers(0, self.classes, self.rows)
        return standardised(inputs), targets.astype(numpy.int32)

    def describe(self):
        """The workload as it is reported."""
        return {
            "dataset": self.dataset,
            "members": self.members,
            "widths": list(self.widths),
            "rows": self.rows,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "optimizer": self.optimizer,
        }


def digits_rows(rows, seed):
    """The first rows of a shuffled digits dataset."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UsageError("--dataset digits needs scikit-learn (see requirements.txt)") from error
    inputs, targets = load_digits(return_X_y=True)
    if rows > len(targets):
        raise UsageError(f"digits has {len(targets)} rows; {rows} were asked for (--rows)")
    chosen = numpy.random.default_rng([seed, 4]).permutation(len(targets))[:rows]
    return inputs[chosen].astype(numpy.float32), targets[chosen]


def standardised(inputs):
    """Inputs with mean 0 and deviation 1 a column; constant columns become 0."""
    deviation = inputs.std(axis=0)
    return (inputs - inputs.mean(axis=0)) / numpy.where(deviation > 0, deviation, 1).astype(numpy.float32)


def positive(text):
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def hidden_widths(text):
    """Widths of the hidden layers: `64`, `128x128`, or `none` for a linear model."""
    return () if text == "none" else tuple(positive(width) for width in text.split("x"))


def add_arguments(parser):
    """The arguments that describe a workload."""
    parser.add_argument("--members", type=positive, default=64, help="networks, each with its learning rate (64)")
    parser.add_argument("--hidden", type=hidden_widths, default=(64,), help="64, 128x128 or none (64)")
    parser.add_argument("--dataset", choices=["digits", "fashion", "synthetic"], default="digits",
                        help="digits; or random rows, of Fashion-MNIST's shape or of --inputs, --classes, --rows")
    parser.add_argument("--inputs", type=positive, help="columns of a synthetic dataset (64)")
    parser.add_argument("--classes", type=positive, help="classes of a synthetic dataset (10)")
    parser.add_argument("--rows", type=positive, help="training rows (digits 1150, fashion 60000, synthetic 4096)")
    parser.add_argument("--batch-size", type=positive, default=32, help="rows of a step (32)")
    parser.add_argument("--epochs", type=positive, default=20, help="epochs of one measurement (20)")
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--seed", type=int, default=0, help="of weights, row orders and synthetic rows (0)")
    parser.add_argument("--repeats", type=positive, default=3, help="measurements after the warm-up (3)")


def device_name(text):
    """`cuda` is another word for `gpu`."""
    return "gpu" if text == "cuda" else text


def add_device(parser):
    """The argument that says where to train."""
    parser.add_argument("--device", type=device_name, choices=["auto", "cpu", "gpu"], default="auto",
                        help="where to train; cuda is another word for gpu (auto: a GPU where there is one)")


def from_arguments(args):
    """The workload that the arguments describe."""
    shape = {
        "digits": {"inputs": 64, "classes": 10, "rows": DIGITS_TRAINING_ROWS},
        "fashion": FASHION_SHAPE,
        "synthetic": {"inputs": 64, "classes": 10, "rows": 4096},
    }[args.dataset]
    if args.dataset != "synthetic" and (args.inputs or args.classes):
        raise UsageError(f"--inputs and --classes belong to --dataset synthetic, not to {args.dataset}")
    return Workload(
        dataset=args.dataset,
        members=args.members,
        inputs=args.inputs or shape["inputs"],
        hidden=args.hidden,
        classes=args.classes or shape["classes"],
        rows=args.rows or shape["rows"],
        batch_size=args.batch_size,
        epochs=args.epochs,
        optimizer=args.optimizer,
        seed=args.seed,
    )


def workload_arguments(work):
    """The command-line arguments that describe a workload again, for a worker process."""
    arguments = {
        "--members": work.members,
        "--hidden": "x".join(map(str, work.hidden)) or "none",
        "--dataset": work.dataset,
        "--rows": work.rows,
        "--batch-size": work.batch_size,
        "--epochs": work.epochs,
        "--optimizer": work.optimizer,
        "--seed": work.seed,
    }
    if work.dataset == "synthetic":
        arguments |= {"--inputs": work.inputs, "--classes": work.classes}
    return [str(word) for pair in arguments.items() for word in pair]


def form_result(trial_samples, seconds):
    """Throughput of each measurement of a form, and the best of them."""
    samples = [trial_samples / wall_s for wall_s in seconds]
    return {"trial_samples_per_s": max(samples), "samples": samples}


def example_losses(losses):
    """Last epoch's mean training loss of two members, which every form and tool must agree on to rounding."""
    return {"lowest_rate": float(losses[0]), "middle_rate": float(losses[len(losses) // 2])}


def print_report(tool, version, work, forms, **more):
    """Print one JSON line: every form's figures and the fastest form."""
    best = max(
        (name for name in forms if "error" not in forms[name]),
        key=lambda name: forms[name]["trial_samples_per_s"],
        default=None,
    )
    report = {
        "tool": tool,
        "version": version,
        **more,
        "work": work.describe(),
        "trial_samples": work.trial_samples,
        "forms": forms,
        "best": best and {"form": best, "trial_samples_per_s": forms[best]["trial_samples_per_s"]},
    }
    print(json.dumps(report), flush=True)
    return 0 if best else 1


def exit_with(main):
    """Run main and leave with its exit code; 2 with a message for bad usage."""
    try:
        sys.exit(main())
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
