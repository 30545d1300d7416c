#!/usr/bin/env python3
"""Write the reference values that Regatta's oracle is tested against, computed by PyTorch in float64.

    python tests/golden/make_golden.py [--out tests/golden]

Writes optimizers.json, networks.json, trajectories.json, batch_norm.json and regularised.json; README.md beside
this script states their format.
Names of settings are Regatta's; dense kernels are written as [inputs][outputs], the transpose of
`torch.nn.Linear.weight`. The same PyTorch version gives the same numbers up to the last bits, which may
depend on the CPU's vector width.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as functional

ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda values: values,
}

# Regatta's settings of each optimizer; a case overrides some of them.
OPTIMIZER_DEFAULTS = {
    "sgd": {"learning_rate": 0.001, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.99, "momentum": 0.0, "epsilon": 1e-8},
}

OPTIMIZER_CASES = [
    ("sgd_plain", "sgd", {"learning_rate": 0.1}),
    ("sgd_momentum", "sgd", {"learning_rate": 0.05, "momentum": 0.9}),
    ("sgd_nesterov", "sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("adam_default", "adam", {}),
    ("adam_betas", "adam", {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6}),
    ("rmsprop_default", "rmsprop", {}),
    ("rmsprop_rho", "rmsprop", {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-4}),
    ("rmsprop_momentum", "rmsprop", {"learning_rate": 0.005, "momentum": 0.9}),
]

NETWORK_CASES = [  # name, widths, activation
    ("relu_5_7_3", [5, 7, 3], "relu"),
    ("tanh_5_7_3", [5, 7, 3], "tanh"),
    ("sigmoid_5_7_3", [5, 7, 3], "sigmoid"),
    ("identity_5_7_3", [5, 7, 3], "identity"),
    ("relu_4_6_5_3", [4, 6, 5, 3], "relu"),
    ("tanh_4_6_5_3", [4, 6, 5, 3], "tanh"),
    ("sigmoid_4_6_5_3", [4, 6, 5, 3], "sigmoid"),
    ("identity_4_6_5_3", [4, 6, 5, 3], "identity"),
    ("linear_4_3", [4, 3], "identity"),
    ("relu_3_1_2", [3, 1, 2], "relu"),
    ("tanh_3_1_2", [3, 1, 2], "tanh"),
    ("relu_6_8_8_8_4", [6, 8, 8, 8, 4], "relu"),
    ("tanh_6_8_8_8_4", [6, 8, 8, 8, 4], "tanh"),
    ("sigmoid_6_8_8_8_4", [6, 8, 8, 8, 4], "sigmoid"),
    ("identity_6_8_8_8_4", [6, 8, 8, 8, 4], "identity"),
]
NETWORK_ROWS = 9
LARGE_LOGIT = 100.0

TRAJECTORY_WIDTHS = [6, 8, 3]
TRAJECTORY_ROWS = 23
TRAJECTORY_BATCH = 5
TRAJECTORY_EPOCHS = 4
TRAJECTORY_CASES = [  # name, activation, optimizer, settings
    ("sgd_nesterov_tanh", "tanh", "sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("adam_tanh", "tanh", "adam", {"learning_rate": 0.01}),
    ("rmsprop_tanh", "tanh", "rmsprop", {"learning_rate": 0.005}),
    ("sgd_nesterov_relu", "relu", "sgd", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("adam_relu", "relu", "adam", {"learning_rate": 0.01}),
    ("rmsprop_relu", "relu", "rmsprop", {"learning_rate": 0.005}),
]

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1
BATCH_NORM_CASES = [  # name, widths, activation, rows
    ("relu_5_7_3", [5, 7, 3], "relu", 9),
    ("tanh_5_7_3", [5, 7, 3], "tanh", 9),
    ("sigmoid_4_6_5_3", [4, 6, 5, 3], "sigmoid", 9),
    ("identity_5_7_3", [5, 7, 3], "identity", 9),
    ("tanh_3_1_2", [3, 1, 2], "tanh", 9),
    ("relu_6_8_8_8_4", [6, 8, 8, 8, 4], "relu", 9),
    ("tanh_5_7_3_three_rows", [5, 7, 3], "tanh", 3),
    ("relu_5_7_3_one_block", [5, 7, 3], "relu", 16),
    ("tanh_4_6_5_3_three_blocks", [4, 6, 5, 3], "tanh", 37),
]

# Two hidden layers, whose masks must differ, the second of a width that is no multiple of 4.
REGULARISED_WIDTHS = [6, 8, 7, 3]
DROPOUT_RATE = 0.3
DROPOUT_KEY = [0x1234ABCD, 0xFEDC0987]
SGD_NESTEROV = {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}
REGULARISED_CASES = [  # name, batch norm, dropout, activation, optimizer, settings
    ("batch_norm_sgd_nesterov_tanh", True, 0.0, "tanh", "sgd", SGD_NESTEROV),
    ("batch_norm_adam_relu", True, 0.0, "relu", "adam", {"learning_rate": 0.01}),
    ("batch_norm_rmsprop_tanh", True, 0.0, "tanh", "rmsprop", {"learning_rate": 0.005}),
    ("dropout_adam_tanh", False, DROPOUT_RATE, "tanh", "adam", {"learning_rate": 0.01}),
    ("dropout_sgd_nesterov_relu", False, DROPOUT_RATE, "relu", "sgd", SGD_NESTEROV),
    ("both_adam_tanh", True, DROPOUT_RATE, "tanh", "adam", {"learning_rate": 0.01}),
    ("both_sgd_nesterov_relu", True, DROPOUT_RATE, "relu", "sgd", SGD_NESTEROV),
]


def complete_settings(optimizer, overrides):
    """All settings of an optimizer by Regatta's names."""
    unknown = set(overrides) - set(OPTIMIZER_DEFAULTS[optimizer])
    if unknown:
        raise ValueError(f"{optimizer} has no setting named {', '.join(sorted(unknown))}")
    return {**OPTIMIZER_DEFAULTS[optimizer], **overrides}


def torch_optimizer(optimizer, settings, parameters):
    """PyTorch's optimizer for Regatta's settings, in its single-tensor form."""
    rate = settings["learning_rate"]
    if optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=rate, momentum=settings["momentum"], nesterov=settings["nesterov"], foreach=False
        )
    if optimizer == "adam":
        betas = (settings["beta_1"], settings["beta_2"])
        return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=settings["epsilon"], foreach=False)
    if optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            lr=rate,
            alpha=settings["rho"],
            eps=settings["epsilon"],
            momentum=settings["momentum"],
            foreach=False,
        )
    raise ValueError(f"no optimizer is named {optimizer}")


def optimizer_gradients(random):
    """12 steps of 8 gradients of very different magnitudes, with exact zeros and tiny values.

    Columns: ordinary; large; small; tiny throughout; zero throughout; zero until step 4; zero from step 4;
    alternately ordinary, tiny and zero.
    """
    gradients = random.standard_normal((12, 8)) * numpy.array([1.0, 1e4, 1e-4, 1e-12, 0.0, 1.0, 1.0, 1.0])
    gradients[:4, 5] = 0.0
    gradients[4:, 6] = 0.0
    gradients[1::3, 7] *= 1e-12
    gradients[2::3, 7] = 0.0
    return gradients + 0.0  # -0.0 becomes 0.0


def optimizer_case(name, optimizer, overrides):
    """The parameters after each of 12 steps with given gradients."""
    random = numpy.random.default_rng(20)
    settings = complete_settings(optimizer, overrides)
    initial = random.standard_normal(8)
    gradients = optimizer_gradients(random)
    parameter = torch.tensor(initial, requires_grad=True)
    stepper = torch_optimizer(optimizer, settings, [parameter])
    parameters = []
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        stepper.step()
        parameters.append(parameter.tolist())
    return {
        "name": name,
        "optimizer": optimizer,
        "settings": settings,
        "initial": initial.tolist(),
        "gradients": gradients.tolist(),
        "parameters": parameters,
    }


def random_layers(random, widths):
    """Weights [inputs, outputs], Glorot uniform, and small biases, so that no gradient is trivially zero."""
    weights, biases = [], []
    for inputs, outputs in zip(widths, widths[1:]):
        limit = (6.0 / (inputs + outputs)) ** 0.5
        weights.append(torch.tensor(random.uniform(-limit, limit, (inputs, outputs)), requires_grad=True))
        biases.append(torch.tensor(random.uniform(-0.3, 0.3, outputs), requires_grad=True))
    return weights, biases


def forward(weights, biases, activation, inputs):
    """Logits of a dense network; the activation stands behind every layer but the last."""
    values = inputs
    last = len(weights) - 1
    for layer, (weight, bias) in enumerate(zip(weights, biases)):
        values = functional.linear(values, weight.T, bias)
        if layer < last:
            values = ACTIVATIONS[activation](values)
    return values


def scale_to_logit(weights, biases, activation, inputs, target):
    """Scale the last layer so that the largest absolute logit is `target`."""
    with torch.no_grad():
        largest = forward(weights, biases, activation, inputs).abs().max()
        weights[-1] *= target / largest
        biases[-1] *= target / largest


def as_lists(tensors):
    """Nested lists of a list of tensors."""
    return [tensor.tolist() for tensor in tensors]


def network_case(seed, name, widths, activation, largest_logit=None):
    """Loss, logits and gradients of one network on one batch."""
    random = numpy.random.default_rng(seed)
    weights, biases = random_layers(random, widths)
    inputs = torch.tensor(random.standard_normal((NETWORK_ROWS, widths[0])))
    targets = torch.tensor(random.integers(0, widths[-1], NETWORK_ROWS))
    if largest_logit is not None:
        scale_to_logit(weights, biases, activation, inputs, largest_logit)
    logits = forward(weights, biases, activation, inputs)
    loss = functional.cross_entropy(logits, targets)
    loss.backward()
    return {
        "name": name,
        "widths": widths,
        "activation": activation,
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "weights": as_lists(weights),
        "biases": as_lists(biases),
        "loss": loss.item(),
        "logits": logits.tolist(),
        "gradients": {
            "weights": as_lists(weight.grad for weight in weights),
            "biases": as_lists(bias.grad for bias in biases),
        },
    }


def train_epoch(weights, biases, activation, stepper, inputs, targets, order):
    """One pass in the given row order; returns the mean loss over rows, each batch's before its update."""
    total = 0.0
    for start in range(0, len(order), TRAJECTORY_BATCH):
        rows = order[start : start + TRAJECTORY_BATCH]
        stepper.zero_grad()
        loss = functional.cross_entropy(forward(weights, biases, activation, inputs[rows]), targets[rows])
        loss.backward()
        stepper.step()
        total += loss.item() * len(rows)
    return total / len(order)


def trajectory_case(name, activation, optimizer, overrides):
    """Weights after every epoch of a training run whose row orders are given."""
    random = numpy.random.default_rng(60)
    settings = complete_settings(optimizer, overrides)
    weights, biases = random_layers(random, TRAJECTORY_WIDTHS)
    inputs = torch.tensor(random.standard_normal((TRAJECTORY_ROWS, TRAJECTORY_WIDTHS[0])))
    targets = torch.tensor(random.integers(0, TRAJECTORY_WIDTHS[-1], TRAJECTORY_ROWS))
    orders = [random.permutation(TRAJECTORY_ROWS).tolist() for _ in range(TRAJECTORY_EPOCHS)]
    initial = {"weights": as_lists(weights), "biases": as_lists(biases)}
    stepper = torch_optimizer(optimizer, settings, weights + biases)
    epochs = []
    for order in orders:
        loss = train_epoch(weights, biases, activation, stepper, inputs, targets, order)
        epochs.append(
            {"order": order, "train_loss": loss, "weights": as_lists(weights), "biases": as_lists(biases)}
        )
    with torch.no_grad():
        logits = forward(weights, biases, activation, inputs)
        final_loss = functional.cross_entropy(logits, targets).item()
        correct = int((logits.argmax(dim=1) == targets).sum())
    return {
        "name": name,
        "widths": TRAJECTORY_WIDTHS,
        "activation": activation,
        "optimizer": optimizer,
        "settings": settings,
        "batch_size": TRAJECTORY_BATCH,
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "initial": initial,
        "epochs": epochs,
        "final": {"loss": final_loss, "correct": correct, "accuracy": correct / TRAJECTORY_ROWS},
    }


def network_cases():
    """All cases of networks.json, the large logits last."""
    cases = [
        network_case(100 + number, name, widths, activation)
        for number, (name, widths, activation) in enumerate(NETWORK_CASES)
    ]
    cases.append(network_case(200, "relu_5_7_3_large_logits", [5, 7, 3], "relu", LARGE_LOGIT))
    cases.append(network_case(201, "linear_4_3_large_logits", [4, 3], "identity", LARGE_LOGIT))
    return cases


def philox4x32(counter, key):
    """Four random words of Philox4x32-10 (Salmon and others 2011)."""
    c, k, mask = list(counter), list(key), 0xFFFFFFFF
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [second >> 32 ^ c[1] ^ k[0], second & mask, first >> 32 ^ c[3] ^ k[1], first & mask]
        k = [k[0] + 0x9E3779B9 & mask, k[1] + 0xBB67AE85 & mask]
    return c


def dropout_mask(rate, rows, units, layer, step):
    """1 where Regatta keeps a unit and 0 where it drops it, [rows, units]."""
    threshold = min(round(rate * 2**32), 2**32 - 1)
    word = lambda row, unit: philox4x32([unit // 4, row, layer, step], DROPOUT_KEY)[unit % 4]
    kept = [[float(word(row, unit) >= threshold) for unit in range(units)] for row in range(rows)]
    return torch.tensor(kept)


class Regularised:
    """A dense network with batch norm, dropout, or both, behind each hidden layer.

    Tensors are lists over layers; a layer that batch norm follows has an empty bias, another an empty gamma and
    beta and no running statistics.
    """

    def __init__(self, random, widths, activation, batch_norm, dropout):
        """Random parameters; running statistics as PyTorch begins with them."""
        self.weights, biases = random_layers(random, widths)
        self.activation, self.dropout, self.steps = activation, dropout, 0
        hidden = widths[1:-1] if batch_norm else []
        uniform = lambda low, high, size: torch.tensor(random.uniform(low, high, size), requires_grad=True)
        nothing = [torch.tensor([])] * (len(widths) - 1 - len(hidden))
        self.biases = [torch.tensor([])] * len(hidden) + biases[len(hidden) :]
        self.gammas = [uniform(0.5, 1.5, size) for size in hidden] + nothing
        self.betas = [uniform(-0.3, 0.3, size) for size in hidden] + nothing
        self.means = [torch.zeros(size) for size in hidden]
        self.variances = [torch.ones(size) for size in hidden]

    def trained(self):
        """The tensors that are trained."""
        tensors = self.weights + self.biases + self.gammas + self.betas
        return [tensor for tensor in tensors if tensor.requires_grad]

    def forward(self, values, training):
        """Logits; in training with the batch's statistics, which go into the running ones, and with dropout."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            values = values @ weight
            if layer < len(self.means):
                values = functional.batch_norm(
                    values,
                    self.means[layer],
                    self.variances[layer],
                    self.gammas[layer],
                    self.betas[layer],
                    training,
                    BATCH_NORM_MOMENTUM,
                    BATCH_NORM_EPSILON,
                )
            else:
                values = values + bias
            if layer < len(self.weights) - 1:
                values = ACTIVATIONS[self.activation](values)
                if training and self.dropout > 0.0:
                    mask = dropout_mask(self.dropout, *values.shape, layer, self.steps)
                    values = values * mask / (1.0 - self.dropout)
        return values

    def layers(self, of=lambda tensor: tensor):
        """Parameters, or what `of` makes of them, as lists."""
        lists = lambda tensors: [of(t).tolist() if t.requires_grad else [] for t in tensors]
        return {
            "weights": lists(self.weights),
            "biases": lists(self.biases),
            "gammas": lists(self.gammas),
            "betas": lists(self.betas),
        }

    def running(self):
        """The running statistics as lists."""
        return {"means": as_lists(self.means), "variances": as_lists(self.variances)}


def batch_norm_case(seed, name, widths, activation, rows):
    """Loss and gradients of one batch, the running statistics after it, and logits of evaluation with these."""
    random = numpy.random.default_rng(seed)
    network = Regularised(random, widths, activation, batch_norm=True, dropout=0.0)
    inputs = torch.tensor(random.standard_normal((rows, widths[0])))
    targets = torch.tensor(random.integers(0, widths[-1], rows))
    loss = functional.cross_entropy(network.forward(inputs, training=True), targets)
    loss.backward()
    with torch.no_grad():
        logits = network.forward(inputs, training=False)
    return {
        "name": name,
        "widths": widths,
        "activation": activation,
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        **network.layers(),
        "loss": loss.item(),
        "gradients": network.layers(lambda tensor: tensor.grad),
        "running": network.running(),
        "evaluation_logits": logits.tolist(),
    }


def train_regularised_epoch(network, stepper, inputs, targets, order):
    """As `train_epoch`."""
    total = 0.0
    for start in range(0, len(order), TRAJECTORY_BATCH):
        rows = order[start : start + TRAJECTORY_BATCH]
        stepper.zero_grad()
        loss = functional.cross_entropy(network.forward(inputs[rows], training=True), targets[rows])
        loss.backward()
        stepper.step()
        network.steps += 1
        total += loss.item() * len(rows)
    return total / len(order)


def regularised_case(name, batch_norm, dropout, activation, optimizer, overrides):
    """As `trajectory_case`, with batch norm, dropout, or both."""
    random = numpy.random.default_rng(70)
    settings = complete_settings(optimizer, overrides)
    network = Regularised(random, REGULARISED_WIDTHS, activation, batch_norm, dropout)
    inputs = torch.tensor(random.standard_normal((TRAJECTORY_ROWS, REGULARISED_WIDTHS[0])))
    targets = torch.tensor(random.integers(0, REGULARISED_WIDTHS[-1], TRAJECTORY_ROWS))
    orders = [random.permutation(TRAJECTORY_ROWS).tolist() for _ in range(TRAJECTORY_EPOCHS)]
    initial = network.layers()
    stepper = torch_optimizer(optimizer, settings, network.trained())
    epochs = []
    for order in orders:
        loss = train_regularised_epoch(network, stepper, inputs, targets, order)
        epochs.append({"order": order, "train_loss": loss, **network.layers(), "running": network.running()})
    with torch.no_grad():
        logits = network.forward(inputs, training=False)
        final_loss = functional.cross_entropy(logits, targets).item()
        correct = int((logits.argmax(dim=1) == targets).sum())
    return {
        "name": name,
        "widths": REGULARISED_WIDTHS,
        "batch_norm": batch_norm,
        "dropout": dropout,
        "dropout_key": DROPOUT_KEY,
        "activation": activation,
        "optimizer": optimizer,
        "settings": settings,
        "batch_size": TRAJECTORY_BATCH,
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "initial": initial,
        "epochs": epochs,
        "final": {"loss": final_loss, "correct": correct, "accuracy": correct / TRAJECTORY_ROWS},
    }


def write_json(path, cases):
    """Write the cases with PyTorch's version; floats as Python's repr, which reads back to the same bits."""
    text = json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}, allow_nan=False)
    path.write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def main():
    """Parse the arguments and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    out = parser.parse_args().out
    if not out.is_dir():
        sys.exit(f"{out} is not a folder (--out DIR)")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    write_json(out / "optimizers.json", [optimizer_case(*case) for case in OPTIMIZER_CASES])
    write_json(out / "networks.json", network_cases())
    write_json(out / "trajectories.json", [trajectory_case(*case) for case in TRAJECTORY_CASES])
    batch_norm = [batch_norm_case(300 + number, *case) for number, case in enumerate(BATCH_NORM_CASES)]
    write_json(out / "batch_norm.json", batch_norm)
    write_json(out / "regularised.json", [regularised_case(*case) for case in REGULARISED_CASES])


if __name__ == "__main__":
    main()
