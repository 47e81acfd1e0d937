"""The replaced waits, against the Patroni of the bundle. Run by patroni/test."""

import threading
import time
import unittest
from typing import Any, Callable, ContextManager, List, Tuple
from unittest.mock import MagicMock, patch

import patroni.postgresql
import patroni.ha
import pgops_waits
from patroni.ha import Ha
from patroni.postgresql import Postgresql

CHECKPOINT = 2000
BEFORE_CHECKPOINT = 1000
# Less than any one of Patroni's own waits.
SOON = 0.9


class Restored(unittest.TestCase):
    """Patroni is as before after each test."""

    def setUp(self) -> None:
        for owner, name in [
            (patroni.postgresql, "STOP_POLLING_INTERVAL"),
            (patroni.ha, "time"),
            (Postgresql, "stop"),
            (Ha, "is_failover_possible"),
        ]:
            restore = patch.object(owner, name, getattr(owner, name))
            restore.start()
            self.addCleanup(restore.stop)


def stopping_server(looks: int) -> MagicMock:
    """A server whose control file says `shut down` at the last look, and whose connection ends at the second query."""
    server = MagicMock()
    server._do_stop = lambda *arguments: Postgresql._do_stop(server, *arguments)
    server._wait_for_connection_close = lambda postmaster: Postgresql._wait_for_connection_close(server, postmaster)
    server.stop = lambda *arguments, **options: Postgresql.stop(server, *arguments, **options)
    server._connection.query.side_effect = [None, patroni.postgresql.psycopg.Error]
    states = ["shutting down"] * (looks - 1) + ["shut down"]
    server.controldata.side_effect = [{"Database cluster state": state} for state in states]
    server.latest_checkpoint_locations.return_value = (CHECKPOINT, BEFORE_CHECKPOINT)
    server.is_running.return_value.signal_stop.return_value = None
    return server


def leader(server: MagicMock, positions: List[int]) -> MagicMock:
    """A leader whose one standby answers with each of these positions, and then always with the last."""
    member = MagicMock()
    member.failover_limitation.return_value = None
    remaining = list(positions)

    def statuses(_: Any) -> List[MagicMock]:
        member.wal_position = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        return [member]

    ha = MagicMock(state_handler=server)
    ha.fetch_nodes_statuses.side_effect = statuses
    ha.check_timeline.return_value = False
    ha.quorum_commit_mode_is_active.return_value = False
    ha.is_synchronous_mode.return_value = False
    ha.is_paused.return_value = False
    ha.primary_stop_timeout.return_value = None
    ha._join_aborted = False
    ha._rewind.get_archive_command.return_value = None
    ha.while_not_sync_standby.side_effect = lambda action: action()
    ha.is_failover_possible = lambda **options: Ha.is_failover_possible(ha, **options)
    return ha


class Made(Exception):
    """The call that a test waits for."""


def seconds_until(call: MagicMock, action: Callable[[], Any]) -> float:
    """Runs the action as far as the call, and returns how long that took."""
    call.side_effect = Made
    start = time.monotonic()
    try:
        action()
    except Made:
        return time.monotonic() - start
    raise AssertionError("the call was not made")


class Switchover(Restored):
    def test_lock_is_released_as_soon_as_the_standby_has_the_checkpoint(self) -> None:
        pgops_waits.replace()
        ha = leader(stopping_server(looks=3), [BEFORE_CHECKPOINT, BEFORE_CHECKPOINT, CHECKPOINT])
        released = seconds_until(ha.release_leader_key_voluntarily, lambda: Ha.demote(ha, "graceful"))
        self.assertLess(released, SOON)
        self.assertEqual(ha.fetch_nodes_statuses.call_count, 3)

    def test_lock_is_kept_until_the_server_has_ended_if_the_standby_lacks_the_checkpoint(self) -> None:
        pgops_waits.replace()
        server = stopping_server(looks=1)
        ha = leader(server, [BEFORE_CHECKPOINT])
        ended = server.is_running.return_value.wait
        ended.side_effect = lambda **_: ha.release_leader_key_voluntarily.assert_not_called()
        released = seconds_until(ha.release_leader_key_voluntarily, lambda: Ha.demote(ha, "graceful"))
        ended.assert_called_once()
        self.assertGreater(released, pgops_waits.PATIENCE)

    def test_end_of_patroni_releases_the_lock_as_soon(self) -> None:
        pgops_waits.replace()
        ha = leader(stopping_server(looks=3), [BEFORE_CHECKPOINT, CHECKPOINT])
        deleted = seconds_until(ha.dcs.delete_leader, lambda: Ha.shutdown(ha))
        self.assertLess(deleted, SOON)

    def test_questions_outside_of_a_switchover_are_asked_once(self) -> None:
        pgops_waits.replace()
        ha = leader(stopping_server(looks=1), [BEFORE_CHECKPOINT])
        self.assertFalse(ha.is_failover_possible(cluster_lsn=CHECKPOINT))
        self.assertEqual(ha.fetch_nodes_statuses.call_count, 1)

    def test_patroni_as_it_is_waits(self) -> None:
        """Without this, the bundle needs no replacement any more."""
        ha = leader(stopping_server(looks=1), [CHECKPOINT])
        released = seconds_until(ha.release_leader_key_voluntarily, lambda: Ha.demote(ha, "graceful"))
        self.assertGreater(released, 1.9)


class Questions(unittest.TestCase):
    def test_last_question_is_asked_after_the_patience(self) -> None:
        now = 0.0
        asked: List[float] = []

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds

        def ask() -> bool:
            asked.append(now)
            return False

        self.assertFalse(pgops_waits.ask_often(ask, lambda: now, sleep))
        self.assertGreaterEqual(asked[-1], pgops_waits.PATIENCE)
        self.assertLess(asked[-2], pgops_waits.PATIENCE)

    def test_slow_question_is_asked_again_after_the_patience(self) -> None:
        answers = iter([False, True])
        times = iter([0.0, 0.0, 2.0])
        self.assertTrue(pgops_waits.ask_often(lambda: next(answers), lambda: next(times), lambda _: None))

    def test_other_threads_sleep(self) -> None:
        real = MagicMock()
        clock = pgops_waits.Clock(real)
        other = threading.Thread(target=lambda: clock.sleep(1))

        def on_shutdown() -> None:
            clock.sleep(1)
            clock.sleep(2)
            other.start()
            other.join()

        clock.mark(on_shutdown)()
        self.assertEqual([call.args[0] for call in real.sleep.call_args_list], [2, 1])

    def test_thread_sleeps_again_after_an_error(self) -> None:
        clock = pgops_waits.Clock(MagicMock())
        with self.assertRaises(ZeroDivisionError):
            clock.mark(lambda: 1 / 0)()
        self.assertFalse(clock.asking)


class Fallback(Restored):
    def test_other_patroni_is_left_as_it_is_and_the_log_says_so(self) -> None:
        changes: List[Tuple[str, ContextManager[Any]]] = [
            ("version", patch("patroni.version.__version__", "4.2.0")),
            ("interval", patch("patroni.postgresql.STOP_POLLING_INTERVAL", 2)),
            ("clock", patch("patroni.ha.time", MagicMock())),
            ("stop", patch("patroni.postgresql.Postgresql.stop", lambda self: True)),
            ("question", patch("patroni.ha.Ha.is_failover_possible", lambda self: True)),
        ]
        for name, change in changes:
            with self.subTest(name), change, self.assertLogs("patroni.pgops", "ERROR"):
                before = self.patched()
                pgops_waits.install()
                self.assertEqual(self.patched(), before)

    def test_patroni_without_these_names_is_left_as_it_is(self) -> None:
        for owner, name in [
            (patroni.postgresql, "STOP_POLLING_INTERVAL"),
            (patroni.postgresql, "Postgresql"),
            (Ha, "is_failover_possible"),
        ]:
            with self.subTest(name), patch.object(owner, name), self.assertLogs("patroni.pgops", "ERROR"):
                delattr(owner, name)
                pgops_waits.install()
                self.assertFalse(hasattr(owner, name))

    @staticmethod
    def patched() -> List[Any]:
        return [
            patroni.postgresql.STOP_POLLING_INTERVAL,
            patroni.ha.time,
            Postgresql.stop,
            Ha.is_failover_possible,
        ]


if __name__ == "__main__":
    unittest.main()
