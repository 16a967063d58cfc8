"""SQLAlchemy rows, one module a subject. No queries and no rules of the domain here."""

from flexmeasures.data.tables.accounts import Account, AccountRole
from flexmeasures.data.tables.alerts import Alert
from flexmeasures.data.tables.assets import Asset, AssetType, DeviceState
from flexmeasures.data.tables.audit import ACTING_USER, AuditSubject, note_change
from flexmeasures.data.tables.beliefs import belief
from flexmeasures.data.tables.communities import (
    Community,
    CommunityDay,
    CommunityInvoice,
    CommunityMember,
    CommunityService,
    DistributionTable,
    EmissionFactorRow,
    Generator,
    Inscription,
    SupplyPoint,
    community_meter,
    community_stale,
)
from flexmeasures.data.tables.coordination import (
    DrClient,
    DrDelivery,
    DrEvent,
    DrEventVersion,
    DrNotification,
    DrProgram,
    DrReport,
    DrSubscription,
    DrVen,
)
from flexmeasures.data.tables.flexibility import FlexibilityOrder
from flexmeasures.data.tables.forecasts import fitted_model, forecast_order
from flexmeasures.data.tables.grid_signals import GridSignal
from flexmeasures.data.tables.markets import Market, MarketType
from flexmeasures.data.tables.notes import Annotation, AuditLog
from flexmeasures.data.tables.operations import LatestTaskRun
from flexmeasures.data.tables.plans import PlanDevice, PlanRecord
from flexmeasures.data.tables.portfolios import (
    DrAcknowledgement,
    DrArea,
    DrEligibilityChange,
    DrEnrolment,
    DrEventTarget,
    DrLocation,
    DrResource,
    DrResourceGroup,
    DrResourceGroupMember,
    DrUsage,
    DrUser,
)
from flexmeasures.data.tables.sensors import Sensor, SensorReference
from flexmeasures.data.tables.shared_links import SharedLink
from flexmeasures.data.tables.sources import DataSource
from flexmeasures.data.tables.upstreams import Upstream, UpstreamEvent, UpstreamReport, UpstreamTarget
from flexmeasures.data.tables.users import EndedSession, Role, User
from flexmeasures.data.tables.weather import WeatherSensor, WeatherSensorType

__all__ = [
    "ACTING_USER",
    "Account",
    "AccountRole",
    "Alert",
    "Annotation",
    "Asset",
    "AssetType",
    "AuditLog",
    "AuditSubject",
    "Community",
    "CommunityDay",
    "CommunityInvoice",
    "CommunityMember",
    "CommunityService",
    "DataSource",
    "DeviceState",
    "DistributionTable",
    "DrAcknowledgement",
    "DrArea",
    "DrClient",
    "DrDelivery",
    "DrEligibilityChange",
    "DrEnrolment",
    "DrEvent",
    "DrEventTarget",
    "DrEventVersion",
    "DrLocation",
    "DrNotification",
    "DrProgram",
    "DrReport",
    "DrResource",
    "DrResourceGroup",
    "DrResourceGroupMember",
    "DrSubscription",
    "DrUsage",
    "DrUser",
    "DrVen",
    "EmissionFactorRow",
    "EndedSession",
    "FlexibilityOrder",
    "Generator",
    "GridSignal",
    "Inscription",
    "LatestTaskRun",
    "Market",
    "MarketType",
    "PlanDevice",
    "PlanRecord",
    "Role",
    "Sensor",
    "SensorReference",
    "SharedLink",
    "SupplyPoint",
    "Upstream",
    "UpstreamEvent",
    "UpstreamReport",
    "UpstreamTarget",
    "User",
    "WeatherSensor",
    "WeatherSensorType",
    "belief",
    "community_meter",
    "community_stale",
    "fitted_model",
    "forecast_order",
    "note_change",
]
