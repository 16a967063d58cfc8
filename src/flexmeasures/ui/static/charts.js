// Draws the charts of a page: one request for all of them, one cursor, one x-axis, colours from tokens.css.
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const groups = new Map(); // name of a group → its charts and the switches of their lines

const wallClock = new Map();
function clock(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!wallClock.has(key)) wallClock.set(key, new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options }));
  return wallClock.get(key);
}
const numbers = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 5 });
const show = (value) => (value == null ? "–" : numbers.format(value));
const moment = (zone, seconds) => clock(zone, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(seconds * 1000);

function lineStyle(line) {
  const colour = token(line.colour);
  if (line.style === "forecast") return { stroke: colour, width: 2, dash: [6, 5] };
  if (line.style === "schedule") return { stroke: colour, width: 3 };
  if (line.style === "area") return { stroke: colour, width: 1.5, fill: colour + "55" };
  if (line.style === "band") return { stroke: "transparent", width: 0 };
  return { stroke: colour, width: 2 };
}

// Means of slots are steps up to the end of the slot, also where a gap or the end of the chart follows.
function stepped(line, values) {
  const out = [...values, values[values.length - 1] ?? null];
  if (!line.state) values.forEach((v, n) => { if (v != null && out[n + 1] == null) out[n + 1] = v; });
  return out;
}

function backdrop(chart) {
  return {
    hooks: {
      drawClear: [(u) => {
        const x = Math.max(u.valToPos(chart.now, "x", true), u.bbox.left);
        const right = u.bbox.left + u.bbox.width;
        if (x < right) {
          u.ctx.fillStyle = token("future");
          u.ctx.fillRect(x, u.bbox.top, right - x, u.bbox.height);
        }
      }],
      draw: [(u) => {
        if (chart.now < u.scales.x.min || chart.now > u.scales.x.max) return;
        const x = u.valToPos(chart.now, "x", true);
        u.ctx.save();
        u.ctx.strokeStyle = token("now");
        u.ctx.lineWidth = devicePixelRatio;
        u.ctx.setLineDash([]);
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.fillStyle = token("now");
        u.ctx.textAlign = "left";
        u.ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        u.ctx.fillText("now", x + 4 * devicePixelRatio, u.bbox.top + 11 * devicePixelRatio);
        u.ctx.restore();
      }],
    },
  };
}

function tip(chart, plot) {
  const box = document.createElement("div");
  box.className = "tip hidden";
  return {
    hooks: {
      init: [(u) => u.over.append(box)],
      setCursor: [(u) => {
        const n = u.cursor.idx;
        if (n == null || n >= chart.times.length) { box.classList.add("hidden"); return; }
        const until = chart.times[n + 1] ?? chart.end;
        box.replaceChildren(Object.assign(document.createElement("b"), { textContent: `${moment(chart.zone, chart.times[n])}, ${slotWords(until - chart.times[n])}` }));
        for (const line of chart.lines) {
          if (line.values[n] == null) continue;
          const row = document.createElement("span");
          const words = line.high ? `${show(line.values[n])} – ${show(line.high[n])}` : show(line.values[n]);
          row.append(Object.assign(document.createElement("i"), { textContent: line.label }), `${words} ${chart.unit}`);
          box.append(row);
        }
        box.classList.remove("hidden");
        const left = u.cursor.left > u.over.clientWidth / 2 ? u.cursor.left - box.offsetWidth - 12 : u.cursor.left + 12;
        box.style.left = `${Math.max(0, left)}px`;
      }],
    },
  };
}

function slotWords(seconds) {
  if (seconds % 86400 === 0) return `${seconds / 86400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return `${Math.round(seconds / 60)} min`;
}

function options(chart, figure, group) {
  const plot = figure.querySelector(".plot");
  const axis = { stroke: token("quiet"), font: "12px system-ui, sans-serif", grid: { stroke: token("line"), width: 1 }, ticks: { stroke: token("line"), width: 1 } };
  const series = [{}];
  const bands = [];
  for (const line of chart.lines) {
    const style = lineStyle(line);
    const paths = line.state ? undefined : uPlot.paths.stepped({ align: 1 });
    series.push({ ...style, paths, points: { show: false }, spanGaps: false });
    if (line.high) {
      bands.push({ series: [series.length, series.length - 1], fill: token("band") });
      series.push({ ...style, paths, points: { show: false } });
    }
  }
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), chart.zone),
    cursor: { sync: { key: group, setSeries: false }, drag: { x: true, y: false }, points: { size: 6 } },
    legend: { show: false },
    scales: { x: { time: true }, y: { range: (u, low, high) => rangeWithZero(low, high) } },
    axes: [
      { ...axis, space: 70, size: 34, values: (u, splits, i, space, step) => splits.map((s) => labelOf(chart.zone, s, step)) },
      { ...axis, size: 60, label: chart.unit, labelSize: 18, labelFont: "12px system-ui, sans-serif", labelGap: 0, values: (u, splits) => splits.map((v) => numbers.format(v)) },
    ],
    series,
    bands,
    plugins: [backdrop(chart), tip(chart, plot)],
  };
}

function rangeWithZero(low, high) {
  if (low == null) return [0, 1];
  const [a, b] = [Math.min(low, 0), Math.max(high, 0)];
  const room = (b - a || 1) * 0.08;
  return [a < 0 ? a - room : 0, b > 0 ? b + room : 0];
}

function labelOf(zone, seconds, step) {
  const parts = Object.fromEntries(clock(zone, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(seconds * 1000).map((p) => [p.type, p.value]));
  if (step >= 86400 || (parts.hour === "00" && parts.minute === "00")) return `${parts.day} ${parts.month}`;
  return `${parts.hour}:${parts.minute}`;
}

function draw(figure, chart, groupName) {
  const plot = figure.querySelector(".plot");
  plot.classList.remove("waiting");
  plot.replaceChildren();
  const strong = figure.querySelector("figcaption strong");
  if (chart.title) strong.textContent = chart.title;
  if (!chart.lines.length) {
    const none = document.createElement("div");
    none.className = "none";
    none.textContent = chart.empty;
    plot.append(none);
    return null;
  }
  const times = [...chart.times, chart.end];
  const columns = [times];
  for (const line of chart.lines) {
    columns.push(stepped(line, line.values));
    if (line.high) columns.push(stepped(line, line.high));
  }
  const u = new uPlot(options(chart, figure, groupName), columns, plot);
  legend(figure, chart, u);
  table(figure, chart);
  return u;
}

function legend(figure, chart, u) {
  const list = figure.querySelector(".legend");
  list.replaceChildren();
  let n = 1;
  for (const line of chart.lines) {
    const indices = line.high ? [n, n + 1] : [n];
    n += indices.length;
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const stroke = token(line.colour);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("aria-hidden", "true");
    const mark = document.createElementNS("http://www.w3.org/2000/svg", line.style === "band" ? "rect" : "line");
    if (line.style === "band") for (const [k, v] of Object.entries({ width: 24, height: 10, fill: token("band") })) mark.setAttribute(k, v);
    else for (const [k, v] of Object.entries({ x1: 0, x2: 24, y1: 5, y2: 5, stroke, "stroke-width": line.style === "schedule" ? 4 : 2.5, "stroke-dasharray": line.style === "forecast" ? "5 4" : "" })) mark.setAttribute(k, v);
    svg.append(mark);
    button.append(svg, line.label);
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      indices.forEach((i) => u.setSeries(i, { show: on }));
    });
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  }
}

// The table is built when it is opened: it is what screen readers get, and what works for copying.
function table(figure, chart) {
  const details = figure.querySelector("details");
  const fill = () => {
    const heads = chart.lines.flatMap((l) => (l.high ? [`${l.label}, low`, `${l.label}, high`] : [l.label]));
    const made = document.createElement("table");
    const head = made.createTHead().insertRow();
    for (const text of [`Start (${chart.zone})`, ...heads.map((h) => `${h} [${chart.unit}]`)]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      if (head.cells.length) cell.className = "number";
      head.append(cell);
    }
    const body = made.createTBody();
    chart.times.forEach((time, n) => {
      const values = chart.lines.flatMap((l) => (l.high ? [l.values[n], l.high[n]] : [l.values[n]]));
      if (values.every((v) => v == null)) return;
      const row = body.insertRow();
      row.insertCell().textContent = moment(chart.zone, time);
      for (const value of values) {
        const cell = row.insertCell();
        cell.className = "number";
        cell.textContent = show(value);
        if (value != null) cell.dataset.value = value;
      }
    });
    details.querySelector(".table").replaceChildren(made);
  };
  if (details.open) fill(); else details.addEventListener("toggle", fill, { once: true });
}

async function load(source) {
  const figures = [...document.querySelectorAll("[data-chart]")];
  let answer;
  try {
    answer = await fetch(source);
    if (!answer.ok) throw new Error(String(answer.status));
  } catch {
    for (const figure of figures) figure.querySelector(".plot").textContent = "The data could not be loaded. Load the page again.";
    return;
  }
  const { charts } = await answer.json();
  const drawn = [];
  const drawAll = () => {
    for (const one of drawn.splice(0)) one?.destroy();
    for (const chart of charts) {
      const figure = figures.find((f) => f.dataset.chart === chart.name);
      if (figure) drawn.push(draw(figure, chart, figure.dataset.group));
    }
  };
  drawAll();
  document.documentElement.dataset.chartsDrawn = "yes";
  document.addEventListener("themechange", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawAll(); } });
}

const source = document.querySelector("[data-charts]")?.dataset.charts;
if (source) load(source);
