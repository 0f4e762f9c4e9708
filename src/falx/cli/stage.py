"""``falx stage``: run jobs of a plan in a process of their own, as the engine does."""

from __future__ import annotations

import argparse
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.lock import holds_lease
from falx.engine.orders import Orders, run_orders, work_off


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("orders", type=Path, metavar="ORDERS", help="OUT/.falx/jobs/…/….json")
    parser.add_argument("--lease", default="", metavar="TOKEN", help="run that orders the jobs")


def run(arguments: argparse.Namespace) -> int:
    """Run what is not done yet; everything a job prints, libraries included, goes to its log."""
    path = arguments.orders.absolute()
    try:
        orders = Orders.read(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "these are not orders of a plan",
            where=path.name,
            found=error,
            do="start the run again with the command of the study",
        ) from None
    out = path.parents[3]
    if not holds_lease(out, arguments.lease):
        return 1
    if orders.parent and arguments.lease:
        return 0 if work_off(orders, out, arguments.lease) else 1
    return 0 if run_orders(orders, out, lease=arguments.lease) else 1
