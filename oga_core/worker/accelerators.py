"""What the drivers of accelerators open: NVIDIA's, AMD's (ROCm), and the host's as Windows lends it to Linux (WSL)."""

from __future__ import annotations

import glob

_DEVICES = ("/dev/nvidia*", "/dev/dxg", "/dev/kfd", "/dev/dri")
READABLE = (
    *("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/devices", "/sys/module"),
    *("/usr/local/nvidia", "/usr/local/cuda"),
    *("/sys/class/kfd", "/sys/class/drm", "/opt/rocm", "/opt/amdgpu"),  # WSL's libraries are in /usr/lib
)
THREADS = "/proc/self/task"  # CUDA names its threads by writing to task/*/comm and fails where it may not


def devices() -> list[str]:
    """Return the device files of accelerators on this machine."""
    return [device for pattern in _DEVICES for device in glob.glob(pattern)]
