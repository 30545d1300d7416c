"""Worker processes that are measured together: each is pinned to a core, warms up, and waits for a common start.

A worker prints the line `ready`, then for each line `go` on its standard input works once and prints its start and
its end, in seconds of the machine's monotonic clock, which all processes share, and the last losses of its members.
"""

import json
import os
import subprocess
import sys
import time


class WorkerError(Exception):
    """A worker that ended before it had answered."""


def available_cores():
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(core):
    """Keep this process on one core, where the system can."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def shares(count, workers):
    """Split `count` things over workers as evenly as possible: (begin, end) of each that gets some."""
    bounds = [count * worker // workers for worker in range(workers + 1)]
    return [(begin, end) for begin, end in zip(bounds, bounds[1:]) if end > begin]


def measure(commands, environment, repeats):
    """Start the commands and let them work together `repeats` times.

    Returns the seconds from the first start to the last end of each repeat, and the last repeat's losses in order.
    """
    workers = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        for command in commands
    ]
    try:
        for worker in workers:
            answer(worker)
        measured = [measure_once(workers) for _ in range(repeats)]
        return [wall_s for wall_s, _ in measured], measured[-1][1]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def measure_once(workers):
    """Let all workers work once, at the same time; seconds and losses."""
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [json.loads(answer(worker)) for worker in workers]
    wall_s = max(end for _, end, _ in answers) - min(start for start, _, _ in answers)
    return wall_s, [loss for _, _, losses in answers for loss in losses]


def answer(worker):
    """The next line that a worker prints."""
    line = worker.stdout.readline()
    if not line:
        raise WorkerError(f"a worker ended with exit code {worker.wait()}: {' '.join(map(str, worker.args))}")
    return line


def serve(prepare, work):
    """The worker's side: `prepare()` makes what `work(prepared)` is timed on; that returns losses."""
    prepared = prepare()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.monotonic()
        losses = work(prepared)
        end = time.monotonic()
        print(json.dumps([start, end, [float(loss) for loss in losses]]), flush=True)
        prepared = prepare()
