// The map of the dashboard, and the one on which a place is chosen.
const element = document.getElementById("map");
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function symbol(type, icons) {
  const known = ["solar", "wind", "battery", "one-way_evse", "two-way_evse", "building"];
  const name = known.includes(type) ? type : "other";
  return L.divIcon({ className: "", iconSize: [36, 36], html: `<span class="pin type-${name}"><svg class="icon"><use href="${icons}#${name}"/></svg></span>` });
}

function escaped(text) {
  const node = document.createElement("span");
  node.textContent = text;
  return node.innerHTML;
}

async function ground(map) {
  if (element.dataset.mapbox) {
    L.tileLayer(`https://api.mapbox.com/styles/v1/mapbox/light-v11/tiles/{z}/{x}/{y}?access_token=${element.dataset.mapbox}`, { tileSize: 512, zoomOffset: -1, maxZoom: 18, attribution: "© Mapbox, © OpenStreetMap contributors" }).addTo(map);
    return;
  }
  map.attributionControl.addAttribution("Natural Earth");
  const world = await (await fetch(element.dataset.world)).json();
  const style = () => ({ color: token("line-strong"), weight: 1, fillColor: token("ground"), fillOpacity: 1 });
  const layer = L.geoJSON(topojson.feature(world, world.objects.countries), { interactive: false, style }).addTo(map);
  layer.bringToBack();
  document.addEventListener("themechange", () => layer.setStyle(style()));
}

function addMarkers(map, markers) {
  const layer = L.markerClusterGroup({
    showCoverageOnHover: false,
    maxClusterRadius: 44,
    iconCreateFunction: (cluster) => L.divIcon({ className: "", iconSize: [36, 36], html: `<span class="cluster">${cluster.getChildCount()}</span>` }),
  });
  for (const one of markers) {
    const marker = L.marker(one.at, { icon: symbol(one.type, element.dataset.icons), title: one.name, alt: one.name, keyboard: true });
    marker.bindPopup(() => popup(one), { minWidth: 230 });
    layer.addLayer(marker);
  }
  map.addLayer(layer);
  map.fitBounds(L.latLngBounds(markers.map((one) => one.at)), { maxZoom: 7, padding: [40, 40] });
}

function popup(one) {
  const box = document.createElement("div");
  box.innerHTML = `<h3>${escaped(one.name)}</h3><p class="quiet">${escaped(one.kind)}</p><div data-state>…</div>
    <p><a href="/analytics?resource=${encodeURIComponent(one.resource)}">Analyse this asset</a><br><a href="/assets/${one.id}/">Look at or edit this asset</a></p>`;
  fetch(`/state?id=${one.id}`).then(async (answer) => { box.querySelector("[data-state]").innerHTML = await answer.text(); });
  return box;
}

function choosePlace(map) {
  const [lat, lng] = ["latitude", "longitude"].map((name) => document.getElementById(name));
  const at = [parseFloat(lat.value), parseFloat(lng.value)];
  const has = at.every(Number.isFinite);
  map.setView(has ? at : [50, 8], has ? 6 : 3);
  let marker = has ? L.marker(at, { icon: symbol(element.dataset.type || "other", element.dataset.icons), keyboard: false, interactive: false }).addTo(map) : null;
  map.on("click", (event) => {
    const place = event.latlng.wrap();
    lat.value = place.lat.toFixed(4);
    lng.value = place.lng.toFixed(4);
    marker?.remove();
    marker = L.marker(place, { icon: symbol(element.dataset.type || "other", element.dataset.icons), keyboard: false, interactive: false }).addTo(map);
  });
}

if (element && window.L) {
  const map = L.map(element, { worldCopyJump: true, zoomControl: true, scrollWheelZoom: false, maxZoom: 18, minZoom: 2 });
  map.attributionControl.setPrefix('<a href="https://leafletjs.com">Leaflet</a>');
  map.setView([50, 8], 4);
  ground(map);
  const markers = JSON.parse(element.dataset.markers || "[]");
  if (markers.length) addMarkers(map, markers);
  else if (element.dataset.choose) choosePlace(map);
}
