"use strict";
// Reads the metrics of one or several processes, and shows rates and percentiles between two readings.

const everyMilliseconds = 2000;
const pointsMax = 150;
const patienceMilliseconds = 1800;

/** Prometheus's text format: a map from name to series, each with labels and a value. */
function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || "").matchAll(/(\w+)="([^"]*)"/g)) labels[name] = value;
    if (!families.has(match[1])) families.set(match[1], []);
    families.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return families;
}

/** What all processes say together. */
class Reading {
  constructor(pages) {
    this.at = performance.now();
    this.pages = pages;
  }
  series(name, labels = {}) {
    return this.pages.flatMap((page) => (page.families.get(name) || []).filter(
      (one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value)));
  }
  has(name) { return this.series(name).length > 0; }
  sum(name, labels) { return this.series(name, labels).reduce((sum, one) => sum + one.value, 0); }
  max(name, labels) { return this.series(name, labels).reduce((max, one) => Math.max(max, one.value), 0); }
  buckets(name) {
    const counts = new Map();
    for (const one of this.series(name + "_bucket")) {
      const bound = one.labels.le === "+Inf" ? Infinity : Number(one.labels.le);
      counts.set(bound, (counts.get(bound) || 0) + one.value);
    }
    return counts;
  }
}

/** Per second between two readings; null when a process began anew or there is nothing to compare. */
function rate(now, before, name, labels) {
  if (!before || !now.has(name)) return null;
  const difference = now.sum(name, labels) - before.sum(name, labels);
  return difference < 0 ? null : difference * 1000 / (now.at - before.at);
}

/** Milliseconds below which this share of what was recorded between two readings lies. */
function percentile(now, before, name, share) {
  if (!before) return null;
  const earlier = before.buckets(name);
  const bounds = [...now.buckets(name)].sort((a, b) => a[0] - b[0]).map(([bound, count]) => [bound, count - (earlier.get(bound) || 0)]);
  const total = bounds.length ? bounds[bounds.length - 1][1] : 0;
  if (total <= 0) return null;
  let [low, below] = [0, 0];
  for (const [bound, count] of bounds) {
    if (count >= share * total) {
      if (bound === Infinity) return low * 1000;
      return (low + (bound - low) * (count > below ? (share * total - below) / (count - below) : 1)) * 1000;
    }
    [low, below] = [bound, count];
  }
  return null;
}

function show(value, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits }) + unit;
}

function element(name, attributes = {}, ...children) {
  const isDrawing = ["svg", "polyline", "line"].includes(name);
  const made = isDrawing ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function tile(id, title, value, note = "", kind = "") {
  return element("div", { class: "tile", id: "tile-" + id },
    element("span", {}, title), element("b", { class: kind }, value), element("small", {}, note));
}

function age(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

// An audit a day, and two hours for one that is late.
const auditAgeMaxSeconds = 26 * 3600;

function auditTile(now) {
  const at = now.max("sluice_audit_timestamp_seconds");
  if (!at) return tile("audit", "audit", "none", "sluice audit --audit-metrics FILE", "warn");
  const findings = now.max("sluice_audit_findings");
  const seconds = Date.now() / 1000 - at;
  const isOld = seconds > auditAgeMaxSeconds;
  return tile("audit", "audit", findings ? `${findings} findings` : "clean", age(seconds) + (isOld ? ", too long" : ""),
    findings ? "bad" : isOld ? "warn" : "good");
}

function tiles(now, before) {
  const accepted = rate(now, before, "sluice_gateway_commands_accepted_total");
  const refused = rate(now, before, "sluice_gateway_commands_refused_total");
  const near = rate(now, before, "sluice_gateway_near_hits_total") || 0;
  const hits = rate(now, before, "sluice_gateway_cache_hits_total") || 0;
  const misses = rate(now, before, "sluice_gateway_cache_misses_total") || 0;
  const looked = near + hits + misses;
  const errors = rate(now, before, "sluice_gateway_answers_total", { status: "5xx" });
  const list = [];
  if (now.has("sluice_gateway_answers_total")) {
    list.push(
      tile("requests", "answers a second", show(rate(now, before, "sluice_gateway_answers_total")), `${show(errors)} of them 5xx`, errors ? "warn" : ""),
      tile("accepted", "payments accepted a second", show(accepted), `${show(refused)} refused`, refused ? "warn" : ""),
      tile("accept", "acceptance p99", show(percentile(now, before, "sluice_gateway_accept_duration_seconds", 0.99), " ms"),
        `p50 ${show(percentile(now, before, "sluice_gateway_accept_duration_seconds", 0.5), " ms")}`),
      tile("unsettled", "oldest unsettled", show(now.max("sluice_gateway_unsettled_seconds") * 1000, " ms"), "accepted and not decided",
        now.max("sluice_gateway_unsettled_seconds") > 10 ? "bad" : ""),
      tile("cache", "reads from copies", looked ? show(100 * (near + hits) / looked, " %") : "–",
        `${show(near)} in process, ${show(hits)} Redis, ${show(misses)} database`),
      tile("redis", "Redis", now.series("sluice_gateway_redis_ready").every((one) => one.value) ? "ready" : "away", "",
        now.series("sluice_gateway_redis_ready").every((one) => one.value) ? "good" : "bad"));
  }
  if (now.has("sluice_worker_payments_total")) {
    const dead = now.sum("sluice_worker_dead_letters_total");
    list.push(
      tile("settle", "settled within, p99", show(percentile(now, before, "sluice_worker_settle_duration_seconds", 0.99), " ms"),
        `p50 ${show(percentile(now, before, "sluice_worker_settle_duration_seconds", 0.5), " ms")}`),
      tile("decided", "payments decided a second", show(rate(now, before, "sluice_worker_payments_total")),
        `${show(rate(now, before, "sluice_worker_payments_total", { outcome: "declined" }))} declined`),
      tile("lag", "not decided yet", show(now.sum("sluice_worker_lag_records")), "records of the log"),
      tile("dead", "dead letters", show(dead), "since the worker's start", dead ? "bad" : ""));
  }
  if (now.has("sluice_gateway_answers_total")) list.push(auditTile(now));
  return list;
}

const charts = [
  { title: "Requests a second", lines: ["answers", "payments accepted"], unit: "", points: [] },
  { title: "Acceptance, ms", lines: ["p50", "p99"], unit: " ms", points: [] },
  { title: "Settled within, ms", lines: ["p50", "p99"], unit: " ms", points: [] },
  { title: "Behind", lines: ["records not decided", "oldest unsettled, ms"], unit: "", points: [] },
];

function record(now, before) {
  const rows = [
    [rate(now, before, "sluice_gateway_answers_total"), rate(now, before, "sluice_gateway_commands_accepted_total")],
    [0.5, 0.99].map((share) => percentile(now, before, "sluice_gateway_accept_duration_seconds", share)),
    [0.5, 0.99].map((share) => percentile(now, before, "sluice_worker_settle_duration_seconds", share)),
    [now.has("sluice_worker_lag_records") ? now.sum("sluice_worker_lag_records") : null,
      now.has("sluice_gateway_unsettled_seconds") ? now.max("sluice_gateway_unsettled_seconds") * 1000 : null],
  ];
  charts.forEach((chart, index) => {
    chart.points.push(rows[index]);
    if (chart.points.length > pointsMax) chart.points.shift();
  });
}

function draw(chart) {
  const [width, height] = [300, 100];
  const top = Math.max(1, ...chart.points.flat().filter((value) => value !== null));
  const drawing = element("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": chart.title });
  for (const y of [1, height / 2, height - 1]) drawing.append(element("line", { class: "axis", x1: 0, x2: width, y1: y, y2: y }));
  chart.lines.forEach((_, line) => {
    // A gap where nothing was recorded.
    let run = [];
    const flush = () => {
      if (run.length === 1) run.push(run[0].replace(/^[^,]+/, (x) => Number(x) + 1));
      if (run.length) drawing.append(element("polyline", { class: `line${line + 1}`, points: run.join(" ") }));
      run = [];
    };
    chart.points.forEach((values, index) => {
      if (values[line] === null) return flush();
      const x = width - (chart.points.length - 1 - index) * width / (pointsMax - 1);
      run.push(`${x.toFixed(1)},${(height - 2 - values[line] / top * (height - 4)).toFixed(1)}`);
    });
    flush();
  });
  const last = chart.points[chart.points.length - 1] || [];
  const keys = chart.lines.map((name, line) => element("span", { class: `key${line + 1}` }, `${name} ${show(last[line], chart.unit)}`));
  return element("div", { class: "chart" }, element("h2", {}, chart.title), drawing,
    element("p", {}, `top ${show(top, chart.unit)}`, ...keys));
}

function servers(now) {
  const rows = now.pages.map((page) => {
    const ready = ["sluice_gateway_ready", "sluice_worker_ready"].flatMap((name) => page.families.get(name) || []);
    const isReady = ready.length > 0 && ready.every((one) => one.value === 1);
    return [page.name, isReady ? "ready" : "not ready", "", isReady ? "good" : "bad"];
  });
  const replicas = new Map();
  for (const one of now.series("sluice_replica_state")) {
    if (one.value === 1) replicas.set(one.labels.replica, one.labels.state);
  }
  for (const [replica, state] of [...replicas].sort()) {
    const lag = now.max("sluice_replica_lag_seconds", { replica }) * 1000;
    rows.push([`replica ${Number(replica) + 1}`, state, show(lag, " ms"), state === "serving" ? "good" : "bad"]);
  }
  return rows.map(([what, state, behind, kind]) => element("tr", {}, element("td", {}, what),
    element("td", { class: kind }, state), element("td", { class: "number" }, behind)));
}

async function fetchText(path) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patienceMilliseconds);
  try {
    const answer = await fetch(path, { cache: "no-store", signal: abort.signal });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return await answer.text();
  } finally {
    clearTimeout(timer);
  }
}

let before = null;
let sources = null;

async function turn() {
  const away = [];
  const pages = [];
  try {
    sources = sources || JSON.parse(await fetchText("sources"));
    await Promise.all(sources.map(async ({ name, path }) => {
      try { pages.push({ name, families: parse(await fetchText(path)) }); } catch { away.push(name); }
    }));
  } catch {
    away.push("this process");
  }
  pages.sort((a, b) => a.name.localeCompare(b.name));
  const now = new Reading(pages);
  // Sums over other processes than before cannot be compared.
  const same = before && before.pages.map((page) => page.name).join() === pages.map((page) => page.name).join();
  const earlier = same ? before : null;
  const state = document.getElementById("state");
  if (pages.length) {
    record(now, earlier);
    document.getElementById("tiles").replaceChildren(...tiles(now, earlier));
    document.getElementById("charts").replaceChildren(...charts.map(draw));
    document.getElementById("servers").replaceChildren(...servers(now));
    document.getElementById("sources").textContent = pages.map((page) => page.name).join(", ");
    before = now;
  }
  const unready = now.series("sluice_gateway_ready").concat(now.series("sluice_worker_ready")).filter((one) => one.value !== 1).length;
  state.textContent = away.length ? `no answer from ${away.join(", ")}` : unready ? `${unready} not ready` : "ready";
  state.className = away.length || unready ? "bad" : "good";
  document.title = `Sluice: ${state.textContent}`;
  setTimeout(turn, everyMilliseconds);
}

turn();
