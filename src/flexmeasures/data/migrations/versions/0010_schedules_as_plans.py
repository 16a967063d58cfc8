"""schedules become plans

Revision: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

JSONB = postgresql.JSONB(astext_type=sa.Text())

# What plans and schedules have in common, by the same names.
SHARED = """asset_id, source_id, recorded_at, start, resolution, outcome, gap, currency, cost, baseline, baseline_cost,
    co2_kg, baseline_co2_kg, shifted_mwh, shifted_mwh_h, curtailed_mwh, added_mwh, notes, explanation"""

# A schedule of an asset is a plan with one device; it keeps its number.
TO_PLANS = f"""
insert into plan (number, "end", {SHARED})
    select id, start + cardinality(power_mw) * resolution, {SHARED} from schedule;
insert into plan_device (plan_id, sensor_id, udi_event_id, power_mw, soc_mwh, targets, missed)
    select plan.id, asset.power_sensor_id, schedule.udi_event_id, power_mw, soc_mwh, targets, schedule.missed
    from schedule join plan on plan.number = schedule.id join asset on asset.id = schedule.asset_id
    where asset.power_sensor_id is not null;
delete from plan where not exists (select from plan_device where plan_id = plan.id);
select setval(pg_get_serial_sequence('plan', 'number'), (select max(id) from schedule));
"""  # noqa: S608 - the constant above

# The older version knows no sites: each device of a plan gets a schedule of its own, with the costs of its site. The
# first one keeps the number of the plan.
TO_SCHEDULES = f"""
insert into schedule (id, asset_id, udi_event_id, power_mw, soc_mwh, targets, missed, {SHARED.partition(", ")[2]})
    select case when place = 1 then number else nextval(pg_get_serial_sequence('schedule', 'id')) end,
        device_asset_id, udi_event_id, power_mw, soc_mwh, targets, device_missed, {SHARED.partition(", ")[2]}
    from (
        select plan.*, asset.id as device_asset_id, udi_event_id, power_mw, soc_mwh, targets,
            plan_device.missed as device_missed,
            row_number() over (partition by plan.id order by asset.id <> plan.asset_id, asset.id) as place
        from plan join plan_device on plan_id = plan.id join asset on asset.power_sensor_id = sensor_id
    ) planned order by number, place;
"""  # noqa: S608 - the constant above


def upgrade() -> None:
    op.add_column("plan", sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False))
    op.add_column("plan", sa.Column("net_mw", postgresql.ARRAY(sa.Double()), nullable=True))
    op.add_column("plan", sa.Column("missed", JSONB, server_default=sa.text("'[]'::jsonb"), nullable=False))
    op.drop_index("plan_asset_id_idx", table_name="plan")
    op.create_index("plan_asset_id_idx", "plan", ["asset_id", "recorded_at", "number"])
    op.add_column("plan_device", sa.Column("udi_event_id", sa.BigInteger(), nullable=True))
    op.drop_index("plan_udi_event_id_idx", table_name="plan")
    op.drop_column("plan", "udi_event_id")
    op.create_index(
        "plan_device_udi_event_id_idx",
        "plan_device",
        ["sensor_id", "udi_event_id"],
        postgresql_where=sa.text("udi_event_id is not null"),
    )
    op.execute(TO_PLANS)
    op.drop_table("schedule")


def downgrade() -> None:
    _make_schedule()
    op.execute("select setval(pg_get_serial_sequence('schedule', 'id'), (select max(number) from plan))")
    op.execute(TO_SCHEDULES)
    op.execute("delete from plan")
    op.drop_index("plan_device_udi_event_id_idx", table_name="plan_device")
    op.drop_column("plan_device", "udi_event_id")
    op.add_column("plan", sa.Column("udi_event_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "plan_udi_event_id_idx",
        "plan",
        ["asset_id", "udi_event_id"],
        postgresql_where=sa.text("udi_event_id is not null"),
    )
    op.drop_index("plan_asset_id_idx", table_name="plan")
    op.create_index("plan_asset_id_idx", "plan", ["asset_id", "recorded_at"])
    for column in ("number", "net_mw", "missed"):
        op.drop_column("plan", column)


def _make_schedule() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("udi_event_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolution", sa.Interval(), nullable=False),
        sa.Column("power_mw", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("soc_mwh", postgresql.ARRAY(sa.Double()), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("gap", sa.Double(), nullable=False),
        sa.Column("currency", sa.String(length=80), nullable=False),
        sa.Column("cost", sa.Double(), nullable=False),
        sa.Column("baseline", sa.String(length=40), nullable=False),
        sa.Column("baseline_cost", sa.Double(), nullable=False),
        sa.Column("co2_kg", sa.Double(), nullable=True),
        sa.Column("baseline_co2_kg", sa.Double(), nullable=True),
        sa.Column("shifted_mwh", sa.Double(), nullable=False),
        sa.Column("shifted_mwh_h", sa.Double(), nullable=False),
        sa.Column("curtailed_mwh", sa.Double(), nullable=False),
        sa.Column("added_mwh", sa.Double(), nullable=False),
        sa.Column("missed", JSONB, nullable=False),
        sa.Column("notes", JSONB, nullable=False),
        sa.Column("explanation", JSONB, nullable=False),
        sa.Column("targets", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("schedule_asset_id_asset_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["data_source.id"], name=op.f("schedule_source_id_data_source_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_pkey")),
    )
    op.create_index(op.f("schedule_asset_id_idx"), "schedule", ["asset_id", "recorded_at", "id"])
