"""Replaces fixed waits of Patroni in a switchover by frequent questions.

While a primary stops, Patroni 4.1.5 waits for one second between two looks at the server, and for another one before it
asks, once, whether a standby has everything. Clients wait for as long. Here both are asked every 20 ms; the conditions
for giving up the leader's lock are Patroni's own.
"""

import logging
import threading
import time
from types import ModuleType
from typing import Any, Callable, Optional

from pgops_expect import Unexpected, expect, expect_parameter

logger = logging.getLogger("patroni.pgops")

VERSION = "4.1.5"
INTERVAL = 0.02
# Patroni's own wait, after which its question is asked for the last time.
PATIENCE = 1

Action = Callable[..., Any]
Ask = Callable[..., bool]


class Clock:
    """The module `time` as `patroni.ha` sees it: `sleep(1)` returns at once in a thread that asks standbys."""

    def __init__(self, real: ModuleType) -> None:
        self._real = real
        self._thread = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def asking(self) -> bool:
        return getattr(self._thread, "asking", False)

    def sleep(self, seconds: float) -> None:
        if not (self.asking and seconds == PATIENCE):
            self._real.sleep(seconds)

    def mark(self, on_shutdown: Action) -> Action:
        """`on_shutdown`, whose thread asks standbys while it runs."""

        def marked(*arguments: Any) -> Any:
            self._thread.asking = True
            try:
                return on_shutdown(*arguments)
            finally:
                self._thread.asking = False

        return marked


def ask_often(ask: Callable[[], bool], now: Callable[[], float], sleep: Callable[[float], None]) -> bool:
    """Whether `ask` agrees within the patience. The last question is asked after that, as Patroni's only one is."""
    end = now() + PATIENCE
    while now() < end:
        if ask():
            return True
        sleep(INTERVAL)
    return ask()


def install() -> None:
    """Replaces the waits, or leaves Patroni as it is and logs why."""
    try:
        replace()
    except (AttributeError, ImportError, Unexpected) as problem:
        logger.error("Patroni's waits were not replaced, so a switchover takes two seconds longer: %s", problem)


def replace() -> None:
    # In this order: `patroni.ha` first is a circular import.
    import patroni.postgresql
    import patroni.ha
    from patroni.version import __version__

    server, ha = patroni.postgresql.Postgresql, patroni.ha.Ha
    expect(__version__ == VERSION, f"its version is {__version__}, and not {VERSION}")
    expect(getattr(patroni.postgresql, "STOP_POLLING_INTERVAL", None) == 1, "STOP_POLLING_INTERVAL is not 1")
    expect(getattr(patroni.ha, "time", None) is time, "patroni.ha has no module time")
    expect_parameter(server, "stop", "on_shutdown")
    expect_parameter(ha, "is_failover_possible", "cluster_lsn")

    clock = Clock(time)
    patroni.postgresql.STOP_POLLING_INTERVAL = INTERVAL
    patroni.ha.time = clock
    server.stop = with_marked_shutdown(server.stop, clock)
    ha.is_failover_possible = with_frequent_questions(ha.is_failover_possible, clock)


def with_marked_shutdown(stop: Callable[..., bool], clock: Clock) -> Callable[..., bool]:
    def replacement(self: Any, *arguments: Any, on_shutdown: Optional[Action] = None, **options: Any) -> bool:
        marked = clock.mark(on_shutdown) if on_shutdown else None
        return stop(self, *arguments, on_shutdown=marked, **options)

    return replacement


def with_frequent_questions(ask: Ask, clock: Clock) -> Ask:
    def replacement(self: Any, **options: Any) -> bool:
        if not clock.asking:
            return ask(self, **options)
        return ask_often(lambda: ask(self, **options), clock.monotonic, clock.sleep)

    return replacement
