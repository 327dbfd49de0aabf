"""Runs the tests of the chart. A test is a function whose name is a sentence; each `check` in it is counted."""

import argparse
import os
import sys
import tempfile
import traceback

import generate
import test_check
import test_config
import test_manifests
import test_rollouts
import test_values
from fixture import Fixture

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helm", required=True)
    parser.add_argument("--bless", action="store_true", help="update the generated files: schema, README, golden files")
    parser.add_argument("--only", default="", help="run the tests with this text in their name")
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "../../target")
    parser.add_argument("binary", nargs="?", default=os.path.join(target, "debug", "daymark"))
    return parser.parse_args()


def main():
    options = arguments()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} does not exist; run `cargo build` or name another binary")
    failed = []
    with tempfile.TemporaryDirectory(prefix="daymark-chart-") as directory:
        fixture = Fixture(options.helm, os.path.abspath(options.binary), directory, options.bless)
        for module in (generate, test_values, test_manifests, test_rollouts, test_check, test_config):
            for name, test in vars(module).items():
                if not getattr(test, "is_test", False) or options.only not in name:
                    continue
                try:
                    test(fixture)
                except Exception:  # A failure must not hide the other tests.
                    traceback.print_exc()
                    failed.append(name)
        count = fixture.checks
    for name in failed:
        print(f"FAILED: {name}")
    print(f"chart: {count} checks, {len(failed)} tests failed" if failed else f"chart: {count} checks")
    sys.exit(bool(failed))


main()
