"""Dates what Patroni writes to the watchdog.

PID 1 must end the server before another member may take the lock, which counts from when a request for the lock was
applied. Patroni writes a keepalive when it has read the response, however late that is: a Patroni that was stopped in
between would feed the watchdog with the past. So each keepalive begins with the time at which the request was sent that
has confirmed the lock last. PID 1 ignores those without one.
"""

import os
import threading
import time
from typing import Any, Callable

from pgops_expect import expect, expect_parameter

Confirm = Callable[..., Any]


class Confirmation:
    """When the request was sent that has confirmed the lock last, in nanoseconds since the boot of the machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = 0

    def dated(self, confirm: Confirm) -> Confirm:
        """`confirm`, which says whether this server has the lock."""

        def replacement(*arguments: Any, **options: Any) -> Any:
            sent = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            confirmed = confirm(*arguments, **options)
            if confirmed:
                with self._lock:
                    self._sent = max(self._sent, sent)
            return confirmed

        return replacement

    def line(self) -> bytes:
        with self._lock:
            return b"T%d\n" % self._sent


def install() -> None:
    """Fails where Patroni is not the one that this file was written for: PID 1 would end its server again and again."""
    # In this order: `patroni.ha` first is a circular import.
    import patroni.postgresql  # noqa: F401
    from patroni.dcs.kubernetes import Kubernetes
    from patroni.ha import Ha
    from patroni.watchdog.linux import LinuxWatchdogDevice, TestingWatchdogDevice

    expect_parameter(Kubernetes, "update_leader", "cluster")
    expect_parameter(Kubernetes, "attempt_to_acquire_leader", "self")
    expect_parameter(Ha, "check_failsafe_topology", "self")
    expect_parameter(TestingWatchdogDevice, "set_timeout", "timeout")
    expect_parameter(TestingWatchdogDevice, "keepalive", "self")
    expect("keepalive" not in vars(TestingWatchdogDevice), "TestingWatchdogDevice has a keepalive of its own")

    confirmation = Confirmation()
    Kubernetes.update_leader = confirmation.dated(Kubernetes.update_leader)
    Kubernetes.attempt_to_acquire_leader = confirmation.dated(Kubernetes.attempt_to_acquire_leader)
    Ha.check_failsafe_topology = confirmation.dated(Ha.check_failsafe_topology)
    device = TestingWatchdogDevice
    device.keepalive = after_date(LinuxWatchdogDevice.keepalive, confirmation)
    device.set_timeout = after_date(device.set_timeout, confirmation)


def after_date(write: Callable[..., None], confirmation: Confirmation) -> Callable[..., None]:
    def replacement(self: Any, *arguments: Any) -> None:
        if self._fd is not None:
            os.write(self._fd, confirmation.line())
        write(self, *arguments)

    return replacement
