"""The start script. Run by patroni/test."""

import os
import sys
import unittest
from unittest.mock import patch

import pgops_patroni


class OpenSsl(unittest.TestCase):
    def test_settings_of_the_image_are_for_its_programs(self) -> None:
        with patch.dict(os.environ, {"OPENSSL_CONF": "/image/openssl.cnf"}):
            pgops_patroni.load_openssl()
            self.assertEqual(os.environ["OPENSSL_CONF"], "/image/openssl.cnf")

    def test_started_programs_get_no_settings_of_the_bundle(self) -> None:
        with patch.dict(os.environ):
            os.environ.pop("OPENSSL_CONF", None)
            pgops_patroni.load_openssl()
            self.assertNotIn("OPENSSL_CONF", os.environ)


class Isolation(unittest.TestCase):
    def test_interpreter_has_the_paths_of_the_bundle_only(self) -> None:
        for path in sys.path:
            self.assertTrue(path.startswith((pgops_patroni.HOME, os.path.dirname(__file__))), path)

    def test_interpreter_ignores_variables_of_the_image(self) -> None:
        self.assertTrue(sys.flags.isolated and sys.flags.no_site and sys.flags.ignore_environment)


if __name__ == "__main__":
    unittest.main()
