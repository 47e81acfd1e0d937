"""Runs the unit tests with the bundle's interpreter, which looks for modules in the bundle only."""

import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
home = sys.argv[1]
sys.path[:0] = [here, home]
sys.dont_write_bytecode = True
suite = unittest.defaultTestLoader.discover(here)
result = unittest.TextTestRunner().run(suite)
sys.exit(not result.wasSuccessful())
