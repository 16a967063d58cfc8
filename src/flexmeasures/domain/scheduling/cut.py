"""A stretch of a site's planning window as a site of its own, from what happened before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from flexmeasures.domain.scheduling.devices import StorageDevice, StorageUse
from flexmeasures.domain.scheduling.linear import FloatArray
from flexmeasures.domain.scheduling.reach import exchange
from flexmeasures.domain.scheduling.site import (
    Commitment,
    Connection,
    Curtailable,
    Device,
    PeakPrice,
    Profile,
    ShiftableLoad,
    Site,
    Tariff,
)

__all__ = ["Past", "Stretch", "cut_site", "needed_band"]

_RUNNING_MW = 1e-9


@dataclass(frozen=True)
class Stretch:
    """Slots first … until − 1 of a window of n slots."""

    first: int
    until: int
    slots: int

    @property
    def is_last(self) -> bool:
        """Tell whether the window ends with it."""
        return self.until == self.slots

    def of_slots(self, value: ArrayLike) -> ArrayLike:
        """Cut a number (as it is) or one value a slot (n,)."""
        return self._cut(value, self.slots, self.until)

    def of_boundaries(self, value: ArrayLike) -> ArrayLike:
        """Cut a number (as it is) or one value a boundary (n+1,)."""
        return self._cut(value, self.slots + 1, self.until + 1)

    def _cut(self, value: ArrayLike, whole: int, until: int) -> ArrayLike:
        numbers = np.asarray(value, dtype=float)
        return numbers[self.first : until] if numbers.shape == (whole,) and whole > 1 else value


@dataclass
class Past:
    """The plan up to a stretch.

    Args:
        soc_mwh: Storage device → its state of charge at the beginning [MWh].
        power_mw: Device → its powers in all slots before [MW].
    """

    soc_mwh: dict[str, float] = field(default_factory=dict)
    power_mw: dict[str, FloatArray] = field(default_factory=dict)


Band = tuple[FloatArray, FloatArray]


def cut_site(site: Site, stretch: Stretch, past: Past, bands: dict[str, Band]) -> Site:
    """Give a stretch of a site; names of devices stay.

    Args:
        site: The site in its whole window.
        stretch: The slots.
        past: What was planned before them.
        bands: Storage device → states of charge from which what is wanted later can be reached, as `needed_band` gives
            them; they hold at the end of the stretch.
    """
    tariff = site.tariff
    devices = tuple(_cut_device(one, stretch, past, bands) for one in site.devices)
    imported = np.maximum(sum(past.power_mw.values(), np.zeros(stretch.first)), 0.0)
    peaks = tuple(_cut_peak(one, stretch, imported) for one in tariff.peaks)
    limits = site.connection
    return replace(
        site,
        devices=devices,
        tariff=Tariff(
            stretch.of_slots(tariff.import_price),
            None if tariff.export_price is None else stretch.of_slots(tariff.export_price),
            peaks,
            None if tariff.co2_kg_per_mwh is None else stretch.of_slots(tariff.co2_kg_per_mwh),
            tariff.co2_price,
            np.broadcast_to(tariff.assumed, (stretch.slots,))[stretch.first : stretch.until],
        ),
        connection=Connection(
            stretch.of_slots(limits.import_limit_mw), stretch.of_slots(limits.export_limit_mw)
        ),
        commitments=tuple(_cut_commitment(one, stretch) for one in site.commitments),
    )


def needed_band(use: StorageUse, hours: FloatArray) -> Band:
    """States of charge from which all that is wanted later can be reached at full power, one wish at a time.

    Returns:
        Lowest and highest at each boundary (n+1,) [MWh], within the limits of the device.
    """
    device, slots = use.device, hours.size
    low, high = device.per_boundary(device.soc_min_mwh, slots), device.per_boundary(device.soc_max_mwh, slots)
    lower, upper = low.copy(), high.copy()
    for wishes in (use.soc_minima, use.targets):
        for boundary, soc in wishes.items():
            lower[boundary] = max(lower[boundary], min(soc, high[boundary]))
    for wishes in (use.soc_maxima, use.targets):
        for boundary, soc in wishes.items():
            upper[boundary] = min(upper[boundary], max(soc, low[boundary]))
    stored, taken = exchange(device, slots)
    usage = device.per_slot(device.usage_mw, slots)
    kept = ((1.0 - device.loss_per_hour) ** hours).tolist()
    gained = (hours * (stored * device.per_slot(device.max_consumption_mw, slots) - usage)).tolist()
    drawn = (hours * (taken * device.per_slot(device.max_production_mw, slots) + usage)).tolist()
    for slot in range(slots - 1, -1, -1):
        least = (lower[slot + 1] - gained[slot]) / kept[slot]
        most = (upper[slot + 1] + drawn[slot]) / kept[slot]
        lower[slot] = min(max(lower[slot], least), high[slot])
        upper[slot] = max(min(upper[slot], most), low[slot])
    return lower, upper


def _cut_device(device: Device, stretch: Stretch, past: Past, bands: dict[str, Band]) -> Device:
    if isinstance(device, StorageUse):
        return _cut_storage(device, stretch, past, bands[device.name])
    if isinstance(device, Curtailable):
        return replace(
            device,
            forecast_mw=stretch.of_slots(device.forecast_mw),
            minimum_mw=stretch.of_slots(device.minimum_mw),
        )
    if isinstance(device, ShiftableLoad):
        return _cut_load(device, stretch, past)
    return Profile(
        device.name,
        stretch.of_slots(device.power_mw),
        None if device.low_mw is None else stretch.of_slots(device.low_mw),
        None if device.high_mw is None else stretch.of_slots(device.high_mw),
    )


def _cut_storage(use: StorageUse, stretch: Stretch, past: Past, band: Band) -> StorageUse:
    targets, minima, maxima = (
        {
            boundary - stretch.first: soc
            for boundary, soc in wishes.items()
            if stretch.first < boundary <= stretch.until
        }
        for wishes in (use.targets, use.soc_minima, use.soc_maxima)
    )
    length = stretch.until - stretch.first
    if not stretch.is_last and length not in targets:
        lower, upper = (edge[stretch.until] for edge in band)
        if np.isfinite(lower):
            minima[length] = max(minima.get(length, lower), float(lower))
        if np.isfinite(upper):
            maxima[length] = min(maxima.get(length, upper), float(upper))
    return replace(
        use,
        device=_cut_store(use.device, stretch),
        soc_at_start_mwh=past.soc_mwh.get(use.name, use.soc_at_start_mwh),
        targets=targets,
        soc_minima=minima,
        soc_maxima=maxima,
        preferred_final_soc_mwh=use.preferred_final_soc_mwh if stretch.is_last else None,
    )


def _cut_store(device: StorageDevice, stretch: Stretch) -> StorageDevice:
    return replace(
        device,
        max_consumption_mw=stretch.of_slots(device.max_consumption_mw),
        max_production_mw=stretch.of_slots(device.max_production_mw),
        soc_min_mwh=stretch.of_boundaries(device.soc_min_mwh),
        soc_max_mwh=stretch.of_boundaries(device.soc_max_mwh),
        charge_efficiency=stretch.of_slots(device.charge_efficiency),
        discharge_efficiency=stretch.of_slots(device.discharge_efficiency),
        gain=stretch.of_slots(device.gain),
        usage_mw=stretch.of_slots(device.usage_mw),
        min_consumption_mw=stretch.of_slots(device.min_consumption_mw),
        min_production_mw=stretch.of_slots(device.min_production_mw),
    )


def _cut_load(load: ShiftableLoad, stretch: Stretch, past: Past) -> Device:
    """A load that has begun goes on; one that cannot end within the stretch waits, unless the window ends with it."""
    before = past.power_mw.get(load.name, np.zeros(0))
    ran = np.flatnonzero(np.abs(before) > _RUNNING_MW)
    done = ran.size if load.interruptible or not ran.size else before.size - int(ran[0])
    rest = load.profile_mw[done:]
    earliest, latest = load.window(stretch.slots)
    earliest, latest = max(earliest, stretch.first), min(latest, stretch.until)
    if done and not load.interruptible:
        earliest, latest = stretch.first, stretch.first + len(rest)
    if not rest or latest - earliest < len(rest):
        return Profile(load.name, 0.0)
    return replace(load, profile_mw=rest, earliest=earliest - stretch.first, latest=latest - stretch.first)


def _cut_peak(peak: PeakPrice, stretch: Stretch, imported: FloatArray) -> PeakPrice:
    """Peaks that were planned before cost nothing more."""
    counted = np.broadcast_to(np.asarray(peak.weight, dtype=float), (stretch.slots,))[: stretch.first]
    reached = float(np.max(counted * imported)) if stretch.first else 0.0
    return replace(peak, floor_mw=max(peak.floor_mw, reached), weight=stretch.of_slots(peak.weight))


def _cut_commitment(commitment: Commitment, stretch: Stretch) -> Commitment:
    return replace(commitment, power_mw=stretch.of_slots(commitment.power_mw))
