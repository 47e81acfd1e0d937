"""Keeps Patroni from removing and renaming the data directory, which is up to PID 1 of the pod.

Patroni 4.1.5 removes it before a server is cloned again, and after a failure to clone or to rewind. It does not ask whether
another copy of the data exists.
"""

import logging
import os
import sys
from typing import Any

logger = logging.getLogger("patroni.pgops")

METHODS = ("remove_data_directory", "move_data_directory")


def keep(self: Any) -> None:
    """In place of both methods."""
    if os.path.lexists(self._data_dir):
        logger.warning("the data directory %s stays: Patroni removes none", self._data_dir)
    else:
        from patroni.postgresql.misc import PostgresqlRole

        # As Patroni does.
        self.set_role(PostgresqlRole.UNINITIALIZED)


def install() -> None:
    """Replaces the methods. Without them Patroni is not the one that this file was written for, and is not started."""
    from patroni.postgresql import Postgresql

    for name in METHODS:
        if not callable(getattr(Postgresql, name, None)):
            sys.exit(f"failed to keep Patroni from removing data: Postgresql has no method {name}")
        setattr(Postgresql, name, keep)
