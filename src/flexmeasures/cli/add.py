"""``flexmeasures add``: structure, users, assets and their types, markets, sensors, beliefs, forecasts, schedules."""

from __future__ import annotations

from flexmeasures.cli.lazy import LazyCommands, Place

__all__ = ["add"]

add = LazyCommands(
    "add",
    {
        "account": Place(
            "add_accounts:add_account",
            "Create an account: an organisation or household with users and assets.",
        ),
        "account-role": Place(
            "add_accounts:add_account_role",
            "Create a role of accounts.",
        ),
        "annotation": Place(
            "notes:add_annotation",
            "Add a remark about a period of accounts, assets or sensors: a holiday, an outage, a label.",
        ),
        "asset": Place(
            "add_assets:asset",
            "Create a new asset.",
        ),
        "asset-type": Place(
            "add_assets:asset_type",
            "Create a type of assets.",
        ),
        "beliefs": Place(
            "beliefs:add_beliefs",
            "Add beliefs from a CSV FILE or an Excel workbook (.xlsx): all of them, or none if any line is wrong.",
        ),
        "community": Place(
            "communities:add_community",
            "Make an account an energy community.",
        ),
        "distribution-table": Place(
            "communities:add_distribution_table",
            "Import coefficients from a CSV FILE: CUPS,Coefficient, or hour and a column for each CUPS.",
        ),
        "emission-factor": Place(
            "community_books:add_emission_factor",
            "Enter the emission factor of a zone and year, in place of an earlier one.",
        ),
        "external-weather-forecasts": Place(
            "weather:add_external_weather_forecasts",
            "Collect weather forecasts of the next seven days from a service with the format of Open-Meteo.",
        ),
        "flex-context": Place(
            "sites:add_flex_context",
            "Make an asset a site: set what concerns its connection, a JSON object or a file with one.",
        ),
        "flex-model": Place(
            "add_assets:set_flex_model",
            "Set how an asset, or all assets of a type, are scheduled.",
        ),
        "forecasts": Place(
            "forecasts:add_forecasts",
            "Forecast a period from what was known at each time, as if it were forecast event by event.",
        ),
        "holidays": Place(
            "notes:add_holidays_",
            "Annotate accounts, assets or sensors with public holidays, which are special days for forecasts.",
        ),
        "invoice": Place(
            "community_books:add_invoice",
            "Enter an invoice that was made elsewhere; its member sees it.",
        ),
        "market": Place(
            "add_assets:market",
            "Add a market.",
        ),
        "member": Place(
            "communities:add_member",
            "Take a member into a community.",
        ),
        "openadr-client": Place(
            "coordination_clients:add_openadr_client",
            "Add a client of coordination, for the partner API and for OpenADR 3.",
        ),
        "plant": Place(
            "communities:add_plant",
            "Add a plant to a service.",
        ),
        "schedules": Place(
            "schedules:add_schedules",
            "Schedule assets from their known states of charge on, with the prices and forecasts known now.",
        ),
        "sensor": Place(
            "add_accounts:add_sensor",
            "Create a sensor of an asset.",
        ),
        "service": Place(
            "communities:add_service",
            "Make a service of a community, as a draft.",
        ),
        "structure": Place(
            "add_assets:structure",
            "Initialize structural data like asset types, market types and weather sensor types.",
        ),
        "supply-point": Place(
            "communities:add_supply_point",
            "Let a member take part in a service with a supply point.",
        ),
        "upstream": Place(
            "upstreams:add_upstream",
            "Follow a grid operator or aggregator: its prices and limits become part of our schedules.",
        ),
        "user": Place(
            "add_assets:user",
            "Create a FlexMeasures user; asks for the password.",
        ),
        "weather-sensor": Place(
            "add_assets:weather_sensor",
            "Add a weather sensor.",
        ),
    },
    help="Add structure, accounts, users, assets, markets, sensors, beliefs, schedules.",
)
