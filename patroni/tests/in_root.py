"""Runs the bundle in the root of an image. Run by patroni/test, in a network of its own:

python3 in_root.py CLASS_OF_TESTS…
"""

import glob
import multiprocessing
import os
import socket
import struct
import subprocess
import threading
import time
import unittest
from typing import Any, List, Set

HOME = "/pgops/ha"
TESTS = os.path.dirname(os.path.abspath(__file__))
PATRONI = [f"{HOME}/bin/python3", f"{HOME}/pgops_patroni.py"]
POSTGRES = 999
Finished = subprocess.CompletedProcess[str]


def run(command: List[str], **options: Any) -> Finished:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def mapped_code(pid: int) -> Set[str]:
    """The files that a process executes code of."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as lines:
        mappings = [line.split(maxsplit=5) for line in lines]
    return {fields[5].strip() for fields in mappings if "x" in fields[1] and fields[-1].startswith("/")}


def answer_one_query(server: socket.socket) -> None:
    """A name server that gives 192.0.2.7 as every address."""
    query, client = server.recvfrom(512)
    question = query[12 : query.index(b"\0", 12) + 5]
    header = query[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0)
    address = struct.pack(">3HIH4B", 0xC00C, 1, 1, 60, 4, 192, 0, 2, 7)
    server.sendto(header + question + address, client)


class Interpreter(unittest.TestCase):
    def test_patroni_and_what_it_needs_come_from_the_bundle(self) -> None:
        import psycopg2
        import ssl
        import patroni.postgresql
        import patroni.dcs.kubernetes
        import patroni.ha
        import patroni.watchdog.linux
        import yaml._yaml

        self.assertEqual({path for path in mapped_code(os.getpid()) if not path.startswith(HOME)}, set())
        ssl.create_default_context()
        with self.assertRaises(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=1, user="postgres")

    def test_version_is_reported_in_every_locale(self) -> None:
        for locale in ["C", "C.UTF-8", "en_US.UTF-8", "de_DE", "absent"]:
            environment = {**os.environ, "LC_ALL": locale}
            reported = run(PATRONI + ["--version"], env=environment)
            self.assertEqual((reported.returncode, reported.stdout.split()[:1]), (0, ["patroni"]))
            # A wait that could not be replaced would be reported here.
            self.assertEqual(reported.stderr, "")

    def test_openssl_settings_of_the_image_are_not_read(self) -> None:
        with open("/tmp/openssl.cnf", "w", encoding="utf-8") as settings:
            settings.write("config_diagnostics = 1\nopenssl_conf = bad\n[bad]\nproviders = bad\n[bad.ignored]\n")
        environment = {**os.environ, "OPENSSL_CONF": "/tmp/openssl.cnf"}
        other = [PATRONI[0], "-c", "import ssl; ssl.create_default_context()"]
        self.assertNotEqual(run(other, env=environment).returncode, 0, "these settings prevent nothing")
        self.assertEqual(run(PATRONI + ["--version"], env=environment).returncode, 0)


class Names(unittest.TestCase):
    def test_name_of_the_file_hosts_is_found(self) -> None:
        self.assertEqual(socket.gethostbyname("hosts.pgops.test"), "192.0.2.6")

    def test_name_is_found_by_the_name_server(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 53))
            answers = threading.Thread(target=answer_one_query, args=(server,))
            answers.start()
            self.assertEqual(socket.gethostbyname("dns.pgops.test"), "192.0.2.7")
            answers.join()


class Configuration(unittest.TestCase):
    def setUp(self) -> None:
        os.makedirs("/tmp/data", mode=0o700, exist_ok=True)

    def validate(self, **changes: str) -> Finished:
        (directory,) = glob.glob("/usr/lib/postgresql/*/bin")
        with open(f"{TESTS}/patroni.yml", encoding="utf-8") as template:
            configuration = template.read().format(bin_dir=directory, **{"loop_wait": "3", **changes})
        with open("/tmp/patroni.yml", "w", encoding="utf-8") as output:
            output.write(configuration)
        return run(PATRONI + ["--validate-config", "/tmp/patroni.yml"])

    def test_configuration_is_valid(self) -> None:
        checked = self.validate()
        self.assertEqual((checked.returncode, checked.stdout), (0, ""), checked.stderr)

    def test_invalid_configuration_is_reported(self) -> None:
        checked = self.validate(loop_wait="none")
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("loop_wait", checked.stdout + checked.stderr)


class Server(unittest.TestCase):
    def test_server_runs_with_the_libraries_and_variables_of_the_image(self) -> None:
        # Not as root; and in a process of its own, as the user id does not change back.
        child = multiprocessing.get_context("fork").Process(target=start_server)
        child.start()
        child.join()
        self.assertEqual(child.exitcode, 0)


def start_server() -> None:
    from patroni.postgresql.postmaster import PostmasterProcess

    os.setgid(POSTGRES)
    os.setuid(POSTGRES)
    os.environ["OPENSSL_CONF"] = "/image/openssl.cnf"
    (directory,) = glob.glob("/usr/lib/postgresql/*/bin")
    initdb = [f"{directory}/initdb", "-N", "-A", "trust", "-D", "/tmp/server"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
    options = ["--unix_socket_directories=/tmp", "--listen_addresses=", "--log_min_messages=FATAL"]
    server = PostmasterProcess.start(f"{directory}/postgres", "/tmp/server", "/tmp/server/postgresql.conf", options)
    assert server
    while not os.path.exists("/tmp/.s.PGSQL.5432"):
        assert server.is_running()
        time.sleep(0.02)
    assert answer_of_server() == "1"
    of_bundle = {path for path in mapped_code(server.pid) if path.startswith("/pgops")}
    assert not of_bundle, of_bundle
    variables = server.environ()
    assert variables.pop("OPENSSL_CONF") == "/image/openssl.cnf"
    assert not [name for name in variables if name.startswith(("LD_", "PYTHON", "OPENSSL"))], variables
    server.signal_stop("fast")
    while os.path.exists("/tmp/server/postmaster.pid"):
        time.sleep(0.02)


def answer_of_server() -> str:
    import psycopg2

    while True:
        try:
            with psycopg2.connect(host="/tmp", user="postgres", dbname="postgres") as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT 1")
                return str(*cursor.fetchall()[0])
        except psycopg2.OperationalError as problem:
            # It accepts connections before it answers them.
            assert "starting up" in str(problem), problem


# Patroni starts a server from a second interpreter, which imports this file again.
if __name__ == "__main__":
    unittest.main()
