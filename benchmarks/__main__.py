"""Run the benchmarks, all or those whose name contains a given word."""

import importlib
import pkgutil
import sys

import benchmarks


def main(arguments: list[str]) -> int:
    """Import every benchmark file, so that it registers itself, and run what was asked for."""
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"benchmarks.{module.name}")
    chosen = {
        name: function
        for name, function in benchmarks.REGISTRY.items()
        if not arguments or any(word in name for word in arguments)
    }
    if not chosen:
        print("No such benchmark. There are:\n  " + "\n  ".join(benchmarks.REGISTRY))
        return 2
    print(
        f"Calibration: two million steps of a Python loop took {benchmarks.calibrate():.2f} s "
        f"(targets were set where they take {benchmarks.CALIBRATION_REFERENCE} s)"
    )
    for name, function in chosen.items():
        print(f"\n{name}")
        function(benchmarks.Report())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
