#!/usr/bin/env python3
"""Time scikit-learn's GridSearchCV on the sgd and adam trials of Regatta's default sweep.

Seven learning rates, four batch sizes and two optimizers make 56 trials in 3 folds of digits: hidden layer 64, 20
epochs, no penalty, no early stop. The wall time is that of `fit`, with the worker processes already started.
`--folds FILE` takes the row numbers of another tool's split:
{"test": [...], "folds": [{"train": [...], "validation": [...]}, ...]}.
"""

import os

# ruff: noqa: E402 (the environment is set before the imports that read it)
# Before NumPy is loaded: one BLAS thread a process, here and in the worker processes.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["PYTHONWARNINGS"] = "ignore"

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import workers
import workload
from workload import UsageError

try:
    import joblib
    import numpy
    import sklearn
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    sys.exit(f"error: {error} (see requirements.txt)")

QUICK = {"learning_rates": 3, "batch_sizes": [32, 128], "optimizers": ["sgd", "adam"]}
TEST_FRACTION = 0.2


def own_splits(targets, folds):
    """Stratified folds of the 80 % that are not for the test: [(train, validation)]."""
    rows = numpy.arange(len(targets))
    kept, _ = train_test_split(rows, test_size=TEST_FRACTION, stratify=targets, shuffle=True, random_state=0)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    return [(kept[train], kept[held]) for train, held in splitter.split(kept, targets[kept])]


def read_splits(path, rows):
    """Folds of another tool, checked: rows exist, and none is in two parts of a fold or in the test."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        test = set(record.get("test", []))
        splits = [(fold["train"], fold["validation"]) for fold in record["folds"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--folds {path} is not as `--help` says: {error!r}") from error
    if not splits:
        raise UsageError(f"--folds {path} has no folds")
    for number, (train, held) in enumerate(splits):
        used = [*train, *held]
        if len(set(used)) != len(used) or test & set(used):
            raise UsageError(f"--folds {path}: fold {number} has a row twice, or a row of the test")
        if not all(isinstance(row, int) and 0 <= row < rows for row in used):
            raise UsageError(f"--folds {path}: fold {number} has a row that is not in 0..{rows - 1}")
    return [(numpy.array(train), numpy.array(held)) for train, held in splits]


def estimator(hidden, epochs):
    """A scaler fitted on each fold's training rows, and a network that trains for all its epochs."""
    network = MLPClassifier(
        hidden_layer_sizes=hidden,
        activation="relu",
        alpha=0.0,
        learning_rate="constant",
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=True,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        early_stopping=False,
        random_state=0,
    )
    return make_pipeline(StandardScaler(), network)


def parameter_grid(args):
    """GridSearchCV's names for the swept hyperparameters."""
    return {
        "mlpclassifier__learning_rate_init": args.learning_rates,
        "mlpclassifier__batch_size": args.batch_sizes,
        "mlpclassifier__solver": args.optimizers,
    }


def start_processes(jobs):
    """Start joblib's worker processes and import scikit-learn in them, so that `fit` does not pay for it."""
    model = estimator((2,), 1)
    inputs, targets = numpy.eye(4, dtype=numpy.float32), numpy.array([0, 1, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joblib.Parallel(jobs)(joblib.delayed(model.fit)(inputs, targets) for _ in range(2 * jobs))


def timed_search(args, inputs, targets, splits):
    """The fitted search and the seconds that `fit` took."""
    search = GridSearchCV(
        estimator(args.hidden, args.epochs),
        parameter_grid(args),
        cv=splits,
        n_jobs=args.jobs,
        refit=False,
        return_train_score=True,
    )
    start_processes(args.jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each trial warns that it stopped at max_iter, as it should
        start = time.perf_counter()
        search.fit(inputs, targets)
        return search, time.perf_counter() - start


def best_trial(search):
    """The trial with the highest mean validation accuracy; failed trials do not count."""
    results = search.cv_results_
    scores = results["mean_test_score"]
    if numpy.isnan(scores).all():
        return None
    index = int(numpy.nanargmax(scores))
    names = {"learning_rate_init": "learning_rate", "batch_size": "batch_size", "solver": "optimizer"}
    params = {names[key.split("__")[1]]: value for key, value in results["params"][index].items()}
    return {
        "params": params,
        "mean_val_accuracy": float(scores[index]),
        "mean_train_accuracy": float(results["mean_train_score"][index]),
    }


def numbers(kind):
    """A parser of comma-separated positive numbers."""

    def parse(text):
        values = [kind(word) for word in text.split(",")]
        if min(values) <= 0:
            raise argparse.ArgumentTypeError(f"{text} has a number that is not positive")
        return values

    return parse


def optimizer_names(text):
    """Comma-separated optimizers that MLPClassifier has."""
    names = text.split(",")
    if not set(names) <= {"sgd", "adam"}:
        raise argparse.ArgumentTypeError(f"{text}: optimizers are sgd and adam")
    return names


def parse_arguments():
    """The command line, with the defaults of the chosen size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learning-rates", type=numbers(float), help="comma-separated (7 from 1e-4 to 1e-1)")
    parser.add_argument("--batch-sizes", type=numbers(int), help="comma-separated (16,32,64,128)")
    parser.add_argument("--optimizers", type=optimizer_names, help="comma-separated (sgd,adam)")
    parser.add_argument("--hidden", type=workload.hidden_widths, default=(64,), help="64 or 128x128 (64)")
    parser.add_argument("--epochs", type=workload.positive, default=20)
    parser.add_argument("--fold-count", type=int, default=3, help="folds when no file is given (3)")
    parser.add_argument("--folds", metavar="FILE", help="JSON file of row numbers of digits (see above)")
    parser.add_argument("--jobs", type=workload.positive, default=len(workers.available_cores()),
                        help="processes (one a core)")
    parser.add_argument("--quick", action="store_true", help="3 learning rates and 2 batch sizes: 12 trials")
    args = parser.parse_args()
    count = QUICK["learning_rates"] if args.quick else 7
    args.learning_rates = args.learning_rates or numpy.geomspace(*workload.LEARNING_RATES, count).tolist()
    args.batch_sizes = args.batch_sizes or (QUICK["batch_sizes"] if args.quick else [16, 32, 64, 128])
    args.optimizers = args.optimizers or QUICK["optimizers"]
    return args


def main():
    """Run the search and print one JSON line."""
    args = parse_arguments()
    if args.fold_count < 2 and not args.folds:
        raise UsageError(f"--fold-count {args.fold_count} is less than 2")
    inputs, targets = load_digits(return_X_y=True)
    inputs = inputs.astype(numpy.float32)  # MLPClassifier then trains in float32
    splits = read_splits(args.folds, len(targets)) if args.folds else own_splits(targets, args.fold_count)
    search, wall_s = timed_search(args, inputs, targets, splits)
    trials = len(search.cv_results_["params"])
    trial_samples = trials * args.epochs * sum(len(train) for train, _ in splits)
    report = {
        "tool": "sklearn_grid",
        "version": sklearn.__version__,
        "trials": trials,
        "folds": len(splits),
        "epochs": args.epochs,
        "jobs": args.jobs,
        "folds_from": args.folds,
        "wall_s": wall_s,
        "trial_samples": trial_samples,
        "trial_samples_per_s": trial_samples / wall_s,
        "failed_trials": int(numpy.isnan(search.cv_results_["mean_test_score"]).sum()),
        "best": best_trial(search),
    }
    print(json.dumps(report), flush=True)
    return 0 if report["best"] else 1


if __name__ == "__main__":
    workload.exit_with(main)
