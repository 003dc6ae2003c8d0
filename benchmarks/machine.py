"""Which machine measured."""

import platform
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")


def machine(cpuinfo: Path = CPUINFO) -> str:
    """The processor by name, threads, and torch: part of a sentence."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    capability = torch.backends.cpu.get_cpu_capability()
    name = (names or [platform.machine()])[0]
    return f"{name} ({capability}), {torch.get_num_threads()} threads, torch {torch.__version__}"
