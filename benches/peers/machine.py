"""A description of the machine and of the software that a comparison ran on."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import workers

PACKAGES = ["jax", "jaxlib", "torch", "scikit-learn", "numpy", "scipy"]


def output_of(*command, cwd=None):
    """What a command prints, or None where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def cpu_model():
    """The CPU's name as lscpu or the kernel gives it."""
    for line in (output_of("lscpu") or "").splitlines():
        if line.startswith("Model name:"):
            return line.split(":", 1)[1].strip()
    return output_of("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or None


def memory_bytes():
    """Installed memory, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def commit_of(folder):
    """The commit that is checked out, marked when tracked files differ from it."""
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", cwd=folder)
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", cwd=folder)
    return f"{commit}-modified" if commit and changed else commit


def installed_versions():
    """Versions of the peers' packages; None for one that is missing."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def describe():
    """The machine: CPU, cores, memory, GPU, system."""
    gpus = output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_available": len(workers.available_cores()),
        "memory_bytes": memory_bytes(),
        "gpus": gpus.splitlines() if gpus else [],
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def software(regatta):
    """Versions of Regatta and of the peers, and the commit of this checkout."""
    return {
        "regatta": output_of(str(regatta), "--version"),
        "commit": commit_of(Path(__file__).parent),
        **installed_versions(),
    }


def load_average():
    """Processes that wanted to run in the last minute, on average."""
    return os.getloadavg()[0]
