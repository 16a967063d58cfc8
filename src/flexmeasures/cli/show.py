"""``flexmeasures show``: what there is, schedules as they were made, what is offered and ordered of flexibility."""

from __future__ import annotations

from flexmeasures.cli.lazy import LazyCommands, Place

__all__ = ["show"]

show = LazyCommands(
    "show",
    {
        "accounts": Place(
            "show_rows:show_accounts",
            "Show accounts with their roles, and how many users and assets they have.",
        ),
        "accuracy": Place(
            "forecasts:show_accuracy",
            "Show how accurate forecasts of a sensor were, by source and horizon: our own and posted ones.",
        ),
        "annotations": Place(
            "notes:show_annotations",
            "Show annotations, with their ids.",
        ),
        "assets": Place(
            "show_rows:show_assets",
            "Show assets with their places in the tree; those without an account are public.",
        ),
        "audit-log": Place(
            "notes:show_audit_log",
            "Show who changed which account, user, asset or sensor, and which logins failed; the newest first.",
        ),
        "beliefs": Place(
            "show_rows:show_beliefs",
            "Show what is believed about a sensor: the median of the most recent belief about each event.",
        ),
        "community-metrics": Place(
            "show_communities:show_metrics",
            "Show the metrics of a service with formulas, coverage and emission factor.",
        ),
        "community-statement": Place(
            "show_communities:show_statement",
            "Show the statements of a member, one for each month and supply point.",
        ),
        "limits": Place(
            "upstreams:show_limits",
            "Print as CSV, minute by minute, the import limits of an asset beside what was measured.",
        ),
        "markets": Place(
            "show_rows:show_markets",
            "Show markets.",
        ),
        "order-book": Place(
            "order_book:show_order_book",
            "Show what assets could do otherwise in the slots of a market, the most valuable first.",
        ),
        "orders": Place(
            "order_book:show_orders",
            "Show what was ordered: placed, running, expired and revoked orders of flexibility.",
        ),
        "schedule": Place(
            "show_schedule:show_schedule",
            "Show the schedule of an asset: its slots, its cost beside simple plans, and what it misses.",
        ),
        "sensors": Place(
            "show_rows:show_sensors",
            "Show sensors with the units of their values.",
        ),
        "settlement": Place(
            "order_book:show_settlement",
            "Show what ordered activations delivered and earned, and what owner and aggregator receive.",
        ),
        "site": Place(
            "sites:show_site",
            "Show a site: what belongs to it, what concerns its connection, and what its newest plan costs.",
        ),
        "sources": Place(
            "show_rows:show_sources",
            "Show who holds beliefs: users and programs.",
        ),
        "storage": Place(
            "storage:show_storage",
            "Show what the database holds and how much room it takes, and how many jobs wait.",
        ),
        "upstreams": Place(
            "upstreams:show_upstreams",
            "Show whom we follow: when it answered last, and what went wrong.",
        ),
        "users": Place(
            "show_rows:show_users",
            "Show users with their accounts and roles.",
        ),
    },
    help="Show what there is: accounts, assets, beliefs, schedules, orders.",
)
