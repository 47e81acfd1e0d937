"""The dated keepalives, against the Patroni of the bundle. Run by patroni/test."""

import inspect
import os
import time
import unittest
from typing import Any, List, Optional
from unittest.mock import MagicMock, patch

import patroni.postgresql  # noqa: F401
import pgops_dates
from patroni.dcs.kubernetes import Kubernetes
from patroni.ha import Ha
from patroni.watchdog.linux import TestingWatchdogDevice
from pgops_expect import Unexpected


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Dates(unittest.TestCase):
    """Patroni is as before after each test."""

    def setUp(self) -> None:
        for owner, name in [
            (Kubernetes, "update_leader"),
            (Kubernetes, "attempt_to_acquire_leader"),
            (Ha, "check_failsafe_topology"),
            (TestingWatchdogDevice, "set_timeout"),
        ]:
            restore = patch.object(owner, name, getattr(owner, name))
            restore.start()
            self.addCleanup(restore.stop)
        self.addCleanup(lambda: delattr(TestingWatchdogDevice, "keepalive"))
        self.sent: Optional[int] = None
        self.answer: Any = True
        for owner, name in [(Kubernetes, "update_leader"), (Kubernetes, "attempt_to_acquire_leader")]:
            original = getattr(owner, name)

            def asked(*_: Any, **__: Any) -> Any:
                self.sent = now()
                time.sleep(0.05)
                return self.answer

            asked.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
            setattr(owner, name, asked)
        pgops_dates.install()
        self.reader, writer = os.pipe()
        self.device = TestingWatchdogDevice("pipe")
        self.device._fd = writer
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, writer)

    def written(self) -> List[str]:
        return os.read(self.reader, 4096).decode().split("\n")

    def date(self) -> int:
        line, rest = self.written()
        self.assertEqual(rest, "1")
        self.assertEqual(line[0], "T")
        return int(line[1:])

    def test_keepalive_has_the_time_at_which_the_confirmed_request_was_sent(self) -> None:
        for confirm in (Kubernetes.update_leader, Kubernetes.attempt_to_acquire_leader):
            before = now()
            self.assertTrue(confirm(MagicMock(), MagicMock()))
            # Patroni was stopped.
            time.sleep(0.05)
            self.device.keepalive()
            date = self.date()
            self.assertLessEqual(before, date)
            self.assertIsNotNone(self.sent)
            self.assertLessEqual(date, self.sent or 0)

    def test_request_that_is_not_confirmed_changes_no_date(self) -> None:
        Kubernetes.update_leader(MagicMock(), MagicMock())
        self.device.keepalive()
        confirmed = self.date()
        self.answer = False
        self.assertFalse(Kubernetes.update_leader(MagicMock(), MagicMock()))
        self.device.keepalive()
        self.assertEqual(self.date(), confirmed)

    def test_opened_watchdog_has_a_date_too(self) -> None:
        self.device.set_timeout(14)
        line, command, rest = self.written()
        self.assertEqual((line, command, rest), ("T0", "Ctimeout=14", ""))

    def test_failsafe_counts_from_before_the_members_are_asked(self) -> None:
        ha = MagicMock()
        ha.dcs.failsafe = {"orders-0": "https://a"}
        ha.state_handler.name = "orders-0"
        before = now()
        self.assertTrue(Ha.check_failsafe_topology(ha))
        self.device.keepalive()
        self.assertLessEqual(before, self.date())


class AnotherPatroni(unittest.TestCase):
    def test_patroni_without_these_methods_is_not_started(self) -> None:
        with patch.object(Ha, "check_failsafe_topology", None):
            with self.assertRaises(Unexpected):
                pgops_dates.install()


if __name__ == "__main__":
    unittest.main()
