"""`ptrun doctor`: what is installed, which device trains, whether it computes correctly, and how fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptrun.cli import machine_checks as checks
from ptrun.cli.arguments import Parser
from ptrun.cli.machine_checks import Report
from ptrun.config import schema
from ptrun.errors import ConfigError
from ptrun.terminal.console import Console

HELP = """\
ptrun doctor [flags]

Checks what is installed, which devices there are, whether they compute correctly and how fast, and how much room is
left on the disk and in memory. Takes a few seconds. Exit code 0, or 1 when training can't work here.

Flags
  --device auto|cpu|cuda|mps    the device to check (auto: the best one)
  --output-dir DIR              the folder whose disk is checked (outputs)
  --json                        print JSON instead of text
  --debug                       show the traceback of an error
"""


def main(argv: Sequence[str]) -> int:
    """Run all checks and print what they find. Returns 0, or 1 when training can't work here."""
    parser = Parser("doctor")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", default="auto", choices=schema.names("device"))
    parser.add_argument("--output-dir", default="outputs", type=Path)
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    report = Report()
    report.run(checks.list_versions)
    report.run(checks.measure_room, options.output_dir)
    report.run(checks.import_torch)
    if "torch" in sys.modules:
        _run_device_checks(report, options.device)
    if options.json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        _print_report(report)
    return 1 if report.failures else 0


def _run_device_checks(report: Report, name: str) -> None:
    from ptrun.device.choose import make_runtime

    settings: dict[str, Any] = {
        "index": 0,
        "precision": "fp32",
        "compile": "none",
        "channels_last": False,
        "fused": True,
    }
    report.run(checks.list_devices)
    try:
        runtime = make_runtime(name=name, threads="auto", deterministic=False, **settings)
    except ConfigError as error:
        report.failures.append(str(error))
        return
    report.add("devices", "used here", f"{runtime.name()}, by device={name}", str(runtime.device))
    for check in (
        checks.check_tensors,
        checks.check_autograd,
        checks.measure_matmul,
        checks.measure_bfloat16,
        checks.measure_copy,
    ):
        report.run(check, runtime)


def _as_json(report: Report) -> dict[str, Any]:
    values = {title: {name: value for name, (_, value) in facts.items()} for title, facts in report.facts.items()}
    return {**values, "warnings": report.warnings, "failures": report.failures, "ok": not report.failures}


def _print_report(report: Report) -> None:
    console = Console()
    for section in ("versions", "devices", "compute", "room"):
        rows = [(name, text) for name, (text, _) in report.facts.get(section, {}).items()]
        if rows:
            console.header(rows, section.capitalize())
            console.text()
    for warning in report.warnings:
        console.warn(warning)
    if report.failures:
        console.error(report.failures)
    else:
        console.text("ok: tensors, gradients and the disk work. Next: ptrun train")
