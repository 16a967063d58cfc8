// Sets the chosen theme before anything is drawn.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* no storage: as the system is set */ }
  if (theme) document.documentElement.dataset.theme = theme;
})();
