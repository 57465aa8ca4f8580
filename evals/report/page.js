"use strict";
// One run, drawn from the JSON beside this script. Untrusted text only ever becomes text nodes.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.map(String).map((text) => document.createTextNode(text)));
  return node;
}
function svg(tag, attributes = {}, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
const percent = (x) => (100 * x).toFixed(1) + " %";
const number = (x) => Number(x).toLocaleString("en-US");
// Control and direction-changing characters would make code read differently from what runs.
const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

const { config, summary } = data;
$("title").textContent = `${config.title}: ${config.settings.model}`;
const decode = [config.settings.decode, config.settings.block && `block ${config.settings.block}`,
  config.settings.threshold && `threshold ${config.settings.threshold}`,
  config.settings.temperature ? `temperature ${config.settings.temperature}, n ${config.settings.n}` : "greedy",
  `seed ${config.settings.seed}`].filter(Boolean).join(", ");
$("subtitle").textContent = `${decode} · data ${config.version} · ${config.created}`;

function figures() {
  const add = (value, label, more) => {
    const box = el("div", { class: "figure" });
    box.append(el("b", {}, value), el("span", {}, label));
    if (more) box.append(el("span", {}, more));
    $("figures").append(box);
  };
  for (const [group, scores] of Object.entries(summary.pass_at_k))
    for (const [k, score] of Object.entries(scores)) {
      const name = Object.keys(summary.pass_at_k).length > 1 ? (group === "plus" ? " base + plus" : " base") : "";
      add(percent(score.value), k + name, `${(100 * score.ci95[0]).toFixed(1)} to ${(100 * score.ci95[1]).toFixed(1)} (95 %)`);
    }
  add(number(summary.n_samples), "samples judged", `${number(summary.n_tasks)} tasks`);
  if (summary.tokens) {
    add(summary.tpf.toFixed(2), "tokens per forward", `${number(summary.tokens)} / ${number(summary.forwards)}`);
  }
  if (summary.speed.generate_s) {
    add(summary.tok_s.toFixed(1), "tokens/s", `median ${summary.speed.tok_s_median.toFixed(1)}`);
    add(summary.speed.ttft_s_median.toFixed(2) + " s", "first token, median");
  }
  add(summary.infra.length, "infrastructure failures", "not counted as wrong");
  add(summary.flaky.length, "flaky verdicts");
}

function chart(title, label) {
  const box = el("div", { class: "plot" });
  box.append(el("h2", {}, title));
  const picture = svg("svg", { viewBox: "0 0 380 190", role: "img", "aria-label": label || title });
  box.append(picture);
  $("plots").append(box);
  return picture;
}

function bars(title, rows, format) {
  if (!rows.length) return;
  const picture = chart(title);
  const top = Math.max(...rows.map((r) => r.value), 1e-9);
  const height = Math.min(30, 170 / rows.length);
  picture.setAttribute("viewBox", `0 0 380 ${Math.max(110, 20 + rows.length * height)}`);
  rows.forEach((row, i) => {
    const y = 10 + i * height;
    picture.append(svg("text", { x: 112, y: y + height * 0.62, "text-anchor": "end" }, row.name));
    const bar = svg("rect", { x: 118, y: y + 3, width: Math.max(1, (150 * row.value) / top), height: height - 7, rx: 2 });
    bar.style.fill = row.color || "var(--accent)";
    picture.append(bar, svg("text", { x: 124 + (150 * row.value) / top, y: y + height * 0.62 }, format(row)));
  });
}

function columns(title, values, xlabel) {
  if (!values.length) return;
  const picture = chart(title);
  const top = Math.max(...values.map((v) => v.value), 1e-9);
  const width = 330 / values.length;
  picture.append(svg("line", { x1: 36, x2: 370, y1: 150, y2: 150 }));
  for (const share of [0, 0.5, 1]) picture.append(svg("text", { x: 31, y: 154 - 135 * share, "text-anchor": "end" }, +(top * share).toPrecision(2)));
  values.forEach((v, i) => {
    const height = (135 * v.value) / top;
    const bar = svg("rect", { x: 38 + i * width, y: 150 - height, width: Math.max(1, width - 2), height, rx: 1 });
    bar.style.fill = "var(--accent)";
    bar.append(svg("title", {}, `${v.name}: ${v.value}`));
    picture.append(bar);
    if (i % Math.ceil(values.length / 8) === 0) picture.append(svg("text", { x: 38 + (i + 0.5) * width, y: 165, "text-anchor": "middle" }, v.name));
  });
  picture.append(svg("text", { x: 203, y: 183, "text-anchor": "middle" }, xlabel));
}

function histogram(title, values, xlabel, digits) {
  if (!values.length) return;
  const low = Math.min(...values), high = Math.max(...values);
  const count = high > low ? Math.min(20, Math.max(5, Math.ceil(Math.sqrt(values.length)))) : 1;
  const size = (high - low) / count || 1;
  const bins = Array(count).fill(0);
  for (const v of values) bins[Math.min(count - 1, Math.floor((v - low) / size))]++;
  columns(title, bins.map((value, i) => ({ value, name: (low + i * size).toFixed(digits) })), xlabel);
}

const COLORS = ["--accent", "--pass", "--other", "--fail"];

function curvePlot(curves) {
  const points = curves.flatMap((curve) => curve.points);
  if (!points.length) return;
  const picture = chart("Accuracy against parallelism");
  const xs = points.map((p) => p.rho), ys = points.map((p) => p.accuracy);
  const x0 = Math.min(1, ...xs), x1 = Math.max(...xs) + 0.2, y0 = Math.max(0, Math.min(...ys) - 5), y1 = Math.min(100, Math.max(...ys) + 5);
  const X = (x) => 40 + (320 * (x - x0)) / (x1 - x0), Y = (y) => 150 - (135 * (y - y0)) / (y1 - y0 || 1);
  picture.append(svg("line", { x1: 40, x2: 365, y1: 150, y2: 150 }), svg("line", { x1: 40, x2: 40, y1: 15, y2: 150 }));
  for (const y of [y0, (y0 + y1) / 2, y1]) picture.append(svg("text", { x: 35, y: Y(y) + 4, "text-anchor": "end" }, y.toFixed(0) + "%"));
  for (const x of [x0, (x0 + x1) / 2, x1]) picture.append(svg("text", { x: X(x), y: 165, "text-anchor": "middle" }, x.toFixed(1)));
  picture.append(svg("text", { x: 203, y: 183, "text-anchor": "middle" }, "tokens per forward"));
  curves.forEach((curve, i) => {
    const color = `var(${COLORS[i % COLORS.length]})`, name = curve.series || curve.benchmark;
    const line = svg("polyline", { points: curve.points.map((p) => `${X(p.rho)},${Y(p.accuracy)}`).join(" ") });
    line.style.stroke = color; line.style.strokeWidth = 2;
    picture.append(line);
    for (const p of curve.points) {
      const dot = svg("circle", { cx: X(p.rho), cy: Y(p.accuracy), r: 4 });
      dot.style.fill = color;
      const which = p.threshold == null ? name : `${name}, threshold ${p.threshold}`;
      dot.append(svg("title", {}, `${which}: ${p.rho.toFixed(2)} tokens/forward, ${p.accuracy.toFixed(1)} %`));
      picture.append(dot);
    }
    const told = el("p", { class: "series" }, curve.aup == null ? name : `${name}: AUP ${curve.aup.toFixed(1)}`);
    told.style.color = color;
    picture.parentNode.append(told);
  });
}

function plots() {
  for (const name of new Set(data.curve.map((c) => c.benchmark))) curvePlot(data.curve.filter((c) => c.benchmark === name));
  const color = (s) => (s === "passed" ? "var(--pass)" : "var(--fail)");
  bars("Verdicts", Object.entries(summary.statuses).sort((a, b) => b[1] - a[1]).map(([name, value]) => ({ name, value, color: color(name) })), (r) => number(r.value));
  bars("Pass rate by category", Object.entries(summary.categories).map(([name, c]) => ({ name, value: c.passed / c.samples, of: `${c.passed}/${c.samples}` })), (r) => `${percent(r.value)} (${r.of})`);
  const made = data.samples.filter((s) => s.tok);
  histogram("Tokens a sample", made.map((s) => s.tok), "tokens", 0);
  if (made.some((s) => s.tok !== s.fwd)) histogram("Tokens per forward, by sample", made.filter((s) => s.fwd).map((s) => s.tok / s.fwd), "tokens per forward", 1);
  if (summary.steps.acceptance.length > 1) columns("Acceptance by position in a step", summary.steps.acceptance.map((value, i) => ({ value, name: String(i) })), "position");
}

const verdictOf = (s) => (s.ok === null ? "none" : s.ok ? "passed" : "failed");
function reasonOf(s) {
  if (!s.base) return "not judged yet";
  const bad = s.base.status !== "passed" || !s.plus ? s.base : s.plus;
  return bad.status === "passed" ? "" : `${bad === s.plus ? "plus: " : ""}${bad.status}${bad.detail ? ": " + bad.detail : ""}`;
}

const ROW = 32;
let shown = data.samples, selected = null;
function filterRows() {
  const words = $("search").value.toLowerCase(), status = $("status").value, category = $("category").value;
  shown = data.samples.filter((s) =>
    (!status || verdictOf(s) === status || (status === "flaky" && s.flaky) || (status === "length" && s.fin === "length")) &&
    (!category || config.tasks[s.t] === category) &&
    (!words || s.t.toLowerCase().includes(words) || s.code.toLowerCase().includes(words) || reasonOf(s).toLowerCase().includes(words)));
  const order = {
    fail: (s) => (s.ok === false ? 0 : s.ok === null ? 1 : 2), tokens: (s) => -s.tok,
    tpf: (s) => (s.fwd ? -s.tok / s.fwd : 0), slow: (s) => -(s.s || 0),
  }[$("sort").value];
  if (order) shown = shown.slice().sort((a, b) => order(a) - order(b));
  $("count").textContent = `${number(shown.length)} of ${number(data.samples.length)}`;
  $("spacer").style.height = shown.length * ROW + "px";
  $("list").scrollTop = 0;
  drawRows();
}
function drawRows() {
  const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(shown.length, first + Math.ceil((list.clientHeight || 600) / ROW) + 10);
  for (const old of list.querySelectorAll(".row")) old.remove();
  for (let i = first; i < last; i++) {
    const s = shown[i], verdict = verdictOf(s);
    const row = el("div", { class: "row", role: "option", "aria-selected": s === selected, id: "row" + i });
    row.style.top = i * ROW + "px";
    row.append(
      el("span", { class: "mark " + { passed: "pass", failed: "fail", none: "other" }[verdict] }, { passed: "✓ passed", failed: "✗ failed", none: "? none" }[verdict]),
      el("span", { class: "name" }, s.t + (config.settings.n > 1 || s.i ? " #" + s.i : "")),
      el("span", { class: "num" }, s.tok ? `${s.tok} tok` + (s.fwd && s.fwd !== s.tok ? ` · ${(s.tok / s.fwd).toFixed(1)}/fwd` : "") : ""));
    row.addEventListener("click", () => select(s));
    list.append(row);
  }
}

function select(s) {
  selected = s;
  const detail = $("detail");
  detail.replaceChildren();
  const back = el("button", { id: "back", type: "button" }, "‹ all samples");
  back.addEventListener("click", () => $("samples").classList.remove("open"));
  detail.append(back, el("h2", {}, `${s.t} #${s.i}`));
  const facts = el("dl");
  const fact = (name, value) => value !== "" && value !== null && value !== undefined && facts.append(el("dt", {}, name), el("dd", {}, value));
  for (const group of ["base", "plus"])
    if (s[group]) fact(group, `${s[group].status}, ${number(s[group].passed)} of ${number(s[group].total)} tests`);
  fact("why", visible(reasonOf(s)));
  fact("cost", s.tok ? `${s.tok} tokens in ${s.fwd} forwards` + (s.s ? `, ${s.s.toFixed(2)} s` : "") : "");
  fact("ended by", s.fin);
  fact("flaky", s.flaky ? "the second check disagreed with the first" : "");
  fact("category", config.tasks[s.t]);
  detail.append(facts);
  const block = (title, text) => text && detail.append(el("h2", {}, title), el("pre", {}, visible(text)));
  block("Prompt", data.prompts[s.t]);
  block("Program", s.code || "(no program in the answer)");
  if (s.steps.length) timeline(detail, s);
  block("Answer as given", s.raw);
  $("samples").classList.add("open");
  detail.scrollTop = 0;
  drawRows();
}

// Which step committed each token: one cell a token, in the order of the text.
function timeline(detail, s) {
  const last = Math.max(...s.steps);
  detail.append(el("h2", {}, `Decoding: ${s.steps.length} tokens in ${last + 1} steps`));
  const control = el("div", { id: "tl" }), slider = el("input", { type: "range", min: 0, max: last, value: last, "aria-label": "Step" });
  const label = el("span", {}, "");
  control.append(slider, label);
  const canvas = el("div", { id: "canvas" });
  const cells = s.steps.map((step, i) => {
    const cell = el("i", { title: `token ${i}, step ${step}` });
    canvas.append(cell);
    return cell;
  });
  const draw = () => {
    const now = Number(slider.value);
    label.textContent = `step ${now}: ${s.steps.filter((x) => x <= now).length}/${s.steps.length}`;
    cells.forEach((cell, i) => {
      const step = s.steps[i];
      cell.style.background = step > now ? "" : step === now ? "var(--other)" : `color-mix(in srgb, var(--accent) ${35 + (65 * step) / (last || 1)}%, var(--soft))`;
    });
  };
  slider.addEventListener("input", draw);
  draw();
  detail.append(control, canvas);
}

function options(id, entries) {
  for (const [value, name] of entries) $(id).append(el("option", { value }, name));
}
const failedCount = data.samples.filter((s) => s.ok === false).length;
options("status", [["", "all verdicts"], ["failed", `failed (${failedCount})`], ["passed", "passed"], ["none", "no verdict"], ["flaky", "flaky"], ["length", "cut by the token limit"]]);
options("category", [["", "all categories"], ...Object.keys(summary.categories).map((c) => [c, c])]);
for (const id of ["search", "status", "category", "sort"]) $(id).addEventListener("input", filterRows);
$("list").addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
$("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const i = Math.min(shown.length - 1, Math.max(0, shown.indexOf(selected) + step));
  if (!shown[i]) return;
  const list = $("list"), top = i * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  select(shown[i]);
});
window.addEventListener("resize", drawRows);
figures();
plots();
filterRows();
if (shown.length && window.innerWidth > 800) select(shown.find((s) => s.ok === false) || shown[0]);
document.documentElement.dataset.ready = "true";
