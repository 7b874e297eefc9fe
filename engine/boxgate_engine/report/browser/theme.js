// Light and dark, and the start of a page.
const darkOutside = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkOutside.matches);
function themed() {
  const button = byId("theme");
  button.setAttribute("aria-pressed", String(isDark()));
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  if (window.Plotly) drawAll();
}
byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  themed();
});
darkOutside.addEventListener("change", themed);
let before;
window.addEventListener("beforeprint", () => {
  before = root.dataset.theme;
  printing = true;
  root.dataset.theme = "light";
  themed();
});
window.addEventListener("afterprint", () => {
  printing = false;
  if (before === undefined) delete root.dataset.theme;
  else root.dataset.theme = before;
  themed();
});

async function loadCharts() {
  const packed = byId("boxgate-charts");
  if (!packed) {
    if (!window.Plotly) throw new Error("the chart library beside the runs is missing; boxgate report writes it again");
    return;
  }
  if (!window.DecompressionStream) throw new Error("this browser cannot unpack the chart library; a newer one can");
  const bytes = Uint8Array.from(atob(packed.textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  packed.remove();
  if (!window.Plotly) throw new Error("the chart library did not start");
}

// begin: draws what the page has, once the chart library is there. drawAll of the page draws everything anew.
function start(begin) {
  themed();
  loadCharts().then(begin).catch((error) => {
    for (const chart of document.querySelectorAll(".chart")) {
      chart.className = "empty";
      chart.textContent = `No chart: ${error.message}. The numbers of this page are complete without it.`;
    }
  }).finally(() => {
    root.dataset.ready = "true";
  });
}
