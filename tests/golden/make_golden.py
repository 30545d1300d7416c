#!/usr/bin/env python3
"""Write the reference values that Regatta's oracle is tested against, computed by PyTorch in float64.

    python tests/golden/make_golden.py [--out tests/golden]

Writes optimizers.json, networks.json and trajectories.json; README.md beside this script states their format.
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


def write_json(path, cases):
    """Write the cases with PyTorch's version; floats as Python's repr, which reads back to the same bits."""
    text = json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}, allow_nan=False)
    path.write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


def main():
    """Parse the arguments and write the three files."""
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


if __name__ == "__main__":
    main()
