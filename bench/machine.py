"""What a measurement ran on, and what else ran there."""

import os
import platform
from pathlib import Path

__all__ = ["describe", "line"]


def describe() -> dict[str, object]:
    """Processor, cores, memory, Python, and the load when the measurement starts."""
    return {
        "processor": _named("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int((_named("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def line(machine: dict[str, object]) -> str:
    """The same in one line."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"Python {machine['python']}, load at start {machine['load_at_start']}"
    )


def _named(file: str, name: str) -> str:
    """The value of the first ``name : value`` line of a file."""
    for text in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = text.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
