"""Rules for metering. Source: UFTP specification 3.1.0, "Metering"."""

from __future__ import annotations

from shapeshifter_uftp.exceptions import ISPsOutOfBoundsException, Rejection
from shapeshifter_uftp.rules.context import RuleContext
from shapeshifter_uftp.rules.generic import isps_of_day
from shapeshifter_uftp.rules.registry import rule
from shapeshifter_uftp.uftp import Metering, MeteringProfileEnum, MeteringUnit

__all__: list[str] = []


@rule(Metering)
def metering_units_fit(message: Metering, context: RuleContext) -> None:
    """Power is in kW, the four energy profiles are in kWh."""
    for profile in message.profiles:
        power = profile.profile_type == MeteringProfileEnum.POWER
        if profile.unit != (MeteringUnit.K_W if power else MeteringUnit.K_WH):
            raise Rejection("Invalid Message", detail=f"{profile.profile_type} cannot be in {profile.unit}")


@rule(Metering)
def metering_profiles_unique(message: Metering, context: RuleContext) -> None:
    """A message has each kind of profile once."""
    kinds = [profile.profile_type for profile in message.profiles]
    if len(set(kinds)) < len(kinds):
        raise Rejection("Invalid Message", detail="two profiles are of the same type")


@rule(Metering)
def metering_has_agreed_profiles(message: Metering, context: RuleContext) -> None:
    """Every profile that the market agreed on is there."""
    missing = context.market.metering_profiles - {profile.profile_type for profile in message.profiles}
    if missing:
        raise Rejection(
            "Invalid Message", detail=f"the agreed profiles {', '.join(sorted(missing))} are missing"
        )


@rule(Metering)
def metering_covers_day(message: Metering, context: RuleContext) -> None:
    """Every profile has every ISP of its day."""
    count = isps_of_day(message)
    if count is None:
        return
    for profile in message.profiles:
        if {isp.start for isp in profile.isps} != set(range(1, count + 1)):
            raise ISPsOutOfBoundsException(f"{profile.profile_type} needs ISPs 1 to {count}")
