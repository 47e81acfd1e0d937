"""The data directory stays, against the Patroni of the bundle. Run by patroni/test."""

import os
import tempfile
import unittest
from unittest.mock import MagicMock, patch

import patroni.postgresql
import pgops_data
from patroni.ha import Ha
from patroni.postgresql import Postgresql
from patroni.postgresql.misc import PostgresqlRole


class Data(unittest.TestCase):
    """Patroni is as before after each test."""

    def setUp(self) -> None:
        for name in pgops_data.METHODS:
            restore = patch.object(Postgresql, name, getattr(Postgresql, name))
            restore.start()
            self.addCleanup(restore.stop)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.data = os.path.join(directory.name, "data")

    def server(self) -> MagicMock:
        server = MagicMock(_data_dir=self.data)
        for name in pgops_data.METHODS:
            setattr(server, name, lambda name=name: getattr(Postgresql, name)(server))
        return server

    def test_patroni_itself_removes_data_after_a_failed_clone(self) -> None:
        os.mkdir(self.data)
        server = self.server()
        server.pg_wal_realpath.return_value = server.pg_tblspc_realpaths.return_value = {}
        self.fail_to_clone(server)
        self.assertFalse(os.path.exists(self.data))

    def test_data_stays_after_a_failed_clone(self) -> None:
        os.mkdir(self.data)
        pgops_data.install()
        with self.assertLogs("patroni.pgops", "WARNING"):
            self.fail_to_clone(self.server())
        self.assertEqual(os.listdir(os.path.dirname(self.data)), ["data"])

    def test_server_without_data_is_uninitialized(self) -> None:
        pgops_data.install()
        server = self.server()
        self.fail_to_clone(server)
        server.set_role.assert_called_once_with(PostgresqlRole.UNINITIALIZED)

    def test_patroni_without_the_methods_is_not_started(self) -> None:
        with patch.object(patroni.postgresql, "Postgresql", object):
            with self.assertRaisesRegex(SystemExit, "no method remove_data_directory"):
                pgops_data.install()

    def fail_to_clone(self, server: MagicMock) -> None:
        server.bootstrap.clone.return_value = False
        ha = MagicMock(state_handler=server)
        ha.is_standby_cluster.return_value = False
        Ha.clone(ha)


if __name__ == "__main__":
    unittest.main()
