// What all pages do beyond showing: theme, keys, tables that sort and filter, questions before deleting.
const root = document.documentElement;

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* chosen for this page only */ }
  document.dispatchEvent(new CustomEvent("themechange"));
});

// Keys: "/" searches, "g d" opens the dashboard, "t" shows today.
let lastKey = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const typed = lastKey + event.key;
  lastKey = event.key === "g" ? "g" : "";
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  } else if (event.key === "t") {
    document.querySelector("[data-preset=today]")?.click();
  } else if (typed === "gd") location.href = "/dashboard";
  else if (typed === "ga") location.href = "/assets/";
});

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}
for (const field of document.querySelectorAll("[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// Tables: a search above them, and heads that sort; numbers by data-value.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const value = (row, n) => row.cells[n]?.dataset.value ?? row.cells[n]?.textContent.trim() ?? "";
  table.querySelectorAll("thead th").forEach((head, n) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, n), value(b, n)];
        const order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y, undefined, { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });
}
for (const search of document.querySelectorAll("input[data-filters]")) {
  const table = document.getElementById(search.dataset.filters);
  const told = document.getElementById(search.getAttribute("aria-describedby"));
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const fits = row.textContent.toLowerCase().includes(wanted);
      row.classList.toggle("hidden", !fits);
      shown += fits;
    }
    if (told) told.textContent = wanted ? `${shown} of ${table.tBodies[0].rows.length} shown` : "";
  };
  search.addEventListener("input", filter);
  if (search.value) filter();
}

// Parts of a page that take long are fetched when the rest is there.
for (const part of document.querySelectorAll("[data-load]")) {
  fetch(part.dataset.load, { headers: { "X-Requested-With": "fetch" } })
    .then(async (answer) => { part.innerHTML = await answer.text(); document.dispatchEvent(new CustomEvent("loaded", { detail: part })); })
    .catch(() => { part.textContent = "This could not be loaded. Load the page again."; });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
}

// What scrolls can be reached by keyboard.
const reach = () => {
  for (const part of document.querySelectorAll(".table:not([tabindex])")) if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
};
reach();
document.addEventListener("loaded", reach);
