"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const get = (id) => document.getElementById(id);
const map = get("map"), pen = map.getContext("2d"), total = facts.keys.length, MARGIN = 24, SCALE = 10000;
const view = { zoom: 1, x: 0, y: 0 }, selected = new Set();
const sheets = facts.sheets.map((uri) => { const image = new Image(); image.src = uri; return image; });
let mode = "lasso", drag = null, current = -1, due = false;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const groups = () => facts[get("colour").value] || null;

/** A colour for each group: those of the style, or hues far from each other where there are more groups. */
function colours() {
  const count = get("colour").value === "class" ? facts.classes.length : Math.max(...facts.cluster) + 1;
  if (count <= 8) return Array.from({ length: 8 }, (_, i) => css(`--c${i + 1}`));
  const light = document.documentElement.dataset.theme === "dark" ? 68 : 45;
  return Array.from({ length: count }, (_, i) => `hsl(${(i * 137.5) % 360} ${i % 2 ? 45 : 75}% ${light}%)`);
}
const side = () => Math.min(map.clientWidth, map.clientHeight) - 2 * MARGIN;

/** Where a sample is on the canvas, in pixels. */
function place(i) {
  const s = side() / SCALE, left = (map.clientWidth - side()) / 2, top = (map.clientHeight - side()) / 2;
  return [(left + facts.x[i] * s) * view.zoom + view.x, (top + (SCALE - facts.y[i]) * s) * view.zoom + view.y];
}

function draw() {
  due = false;
  const ratio = window.devicePixelRatio || 1, width = map.clientWidth, height = map.clientHeight;
  if (map.width !== Math.round(width * ratio) || map.height !== Math.round(height * ratio)) {
    map.width = Math.round(width * ratio);
    map.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const known = colours(), group = groups(), plain = css("--c1"), grey = css("--quiet"), ink = css("--ink");
  const asImages = get("images").checked && sheets.length > 0;
  const radius = Math.max(2, Math.min(6, 60 / Math.sqrt(total) * Math.sqrt(view.zoom) * 2));
  const tile = Math.max(10, Math.min(96, 22 * Math.sqrt(view.zoom)));
  for (let i = 0; i < total; i++) {
    const [x, y] = place(i);
    if (x < -tile || y < -tile || x > width + tile || y > height + tile) continue;
    const fill = !group ? plain : group[i] < 0 ? grey : known[group[i] % known.length];
    pen.globalAlpha = selected.size && !selected.has(i) ? 0.2 : 1;
    if (asImages) {
      const [sheet, sx, sy] = corner(i);
      pen.drawImage(sheet, sx, sy, facts.tile, facts.tile, x - tile / 2, y - tile / 2, tile, tile);
      pen.strokeStyle = fill;
      pen.lineWidth = 1.5;
      pen.strokeRect(x - tile / 2, y - tile / 2, tile, tile);
    } else {
      pen.fillStyle = fill;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  if (current >= 0) {
    const [cx, cy] = place(current);
    pen.strokeStyle = ink;
    pen.lineWidth = 1;
    for (const other of facts.neighbours[current]) {
      pen.beginPath();
      pen.moveTo(cx, cy);
      pen.lineTo(...place(other));
      pen.stroke();
    }
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(cx, cy, radius + 4, 0, 7);
    pen.stroke();
  }
  if (drag && drag.path && drag.path.length > 1) {
    pen.strokeStyle = css("--link");
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    pen.beginPath();
    outline(drag).forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }
  document.documentElement.dataset.drawn = "all";
}

function redraw() {
  if (!due) { due = true; requestAnimationFrame(draw); }
}

/** Sheet of a thumbnail, and its corner there. */
function corner(i) {
  const on = facts.columns * facts.columns, at = i % on;
  return [sheets[Math.floor(i / on)], (at % facts.columns) * facts.tile, Math.floor(at / facts.columns) * facts.tile];
}

function outline(done) {
  if (done.mode !== "box") return done.path;
  const [[a, b], [c, d]] = [done.path[0], done.path[done.path.length - 1]];
  return [[a, b], [c, b], [c, d], [a, d]];
}

/** Whether a point is inside of a polygon, by the edges that a line to the right of it crosses. */
function isInside(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i], [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

function nearest(x, y) {
  let best = -1, least = 20 * 20;
  for (let i = 0; i < total; i++) {
    const [px, py] = place(i), distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) { least = distance; best = i; }
  }
  return best;
}

function figure(i) {
  const made = document.createElement("figure"), name = document.createElement("figcaption");
  made.title = facts.keys[i];
  name.textContent = facts.keys[i].split("/").pop();
  if (sheets.length) {
    const tile = document.createElement("div"), [sheet, x, y] = corner(i), by = 66 / facts.tile;
    tile.className = "tile";
    tile.style.backgroundImage = `url(${sheet.src})`;
    tile.style.backgroundSize = `${facts.columns * 66}px auto`;
    tile.style.backgroundPosition = `${-x * by}px ${-y * by}px`;
    made.append(tile);
  }
  made.append(name);
  made.addEventListener("click", () => show(i));
  return made;
}

/** The neighbours of a sample. */
function show(i) {
  current = i;
  const told = [facts.keys[i]];
  if (facts.class[i] >= 0) told.push(facts.classes[facts.class[i]]);
  told.push(`cluster ${facts.cluster[i] + 1}`);
  get("name").textContent = told.join(" · ");
  get("neighbours").replaceChildren(figure(i), ...facts.neighbours[i].map(figure));
  redraw();
}

function listed() {
  const rows = [...selected].sort((a, b) => a - b);
  get("count").textContent = rows.length;
  get("list").value = rows.map((i) => facts.keys[i]).join("\n");
  get("selected").replaceChildren(...rows.slice(0, 120).map(figure));
  get("save").disabled = get("clear").disabled = !rows.length;
  redraw();
}

function choose(rows, add) {
  if (!add) selected.clear();
  rows.forEach((i) => selected.add(i));
  listed();
}

const spot = (event) => {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

map.addEventListener("pointerdown", (event) => {
  const at = spot(event);
  drag = { mode, start: at, path: mode === "move" ? null : [at], x: view.x, y: view.y, far: false };
  try { map.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already */ }
});
map.addEventListener("pointermove", (event) => {
  if (!drag) {
    const over = nearest(...spot(event));
    map.title = over < 0 ? "" : facts.keys[over];
    return;
  }
  const [x, y] = spot(event);
  drag.far = drag.far || Math.hypot(x - drag.start[0], y - drag.start[1]) > 4;
  if (drag.mode === "move") {
    view.x = drag.x + x - drag.start[0];
    view.y = drag.y + y - drag.start[1];
  } else drag.path.push([x, y]);
  redraw();
});
map.addEventListener("pointerup", (event) => {
  const done = drag;
  drag = null;
  if (!done) return;
  if (!done.far) {
    const found = nearest(...spot(event));
    if (found >= 0) show(found);
  } else if (done.mode !== "move") {
    const shape = outline(done), rows = [];
    for (let i = 0; i < total; i++) if (isInside(shape, ...place(i))) rows.push(i);
    choose(rows, event.shiftKey);
  }
  redraw();
});
map.addEventListener("pointercancel", () => { drag = null; redraw(); });
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  const [x, y] = spot(event), by = Math.exp(-event.deltaY * 0.0015), zoom = Math.max(0.5, Math.min(60, view.zoom * by));
  view.x = x - ((x - view.x) * zoom) / view.zoom;
  view.y = y - ((y - view.y) * zoom) / view.zoom;
  view.zoom = zoom;
  redraw();
}, { passive: false });

for (const button of document.querySelectorAll("[data-mode]")) {
  button.addEventListener("click", () => {
    mode = button.dataset.mode;
    map.style.cursor = mode === "move" ? "grab" : "crosshair";
    document.querySelectorAll("[data-mode]").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
  });
}
get("reset").addEventListener("click", () => { Object.assign(view, { zoom: 1, x: 0, y: 0 }); redraw(); });
get("images").addEventListener("change", redraw);
get("clear").addEventListener("click", () => choose([], false));
get("find").addEventListener("input", () => {
  const part = get("find").value.toLowerCase();
  choose(part ? facts.keys.flatMap((key, i) => (key.toLowerCase().includes(part) ? [i] : [])) : [], false);
});
get("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([get("list").value + "\n"], { type: "text/plain" }));
  link.download = "selection.txt";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

function legend() {
  const by = get("colour").value, known = colours(), group = groups();
  const names = by === "class" ? facts.classes : group ? [...new Set(group)].sort((a, b) => a - b).map((n) => `cluster ${n + 1}`) : [];
  get("legend").replaceChildren(...names.slice(0, 60).map((name, n) => {
    const button = document.createElement("button"), dot = document.createElement("i");
    button.type = "button";
    dot.style.background = known[n % known.length];
    button.append(dot, name);
    button.addEventListener("click", (event) => {
      choose(group.flatMap((own, i) => (own === n ? [i] : [])), event.shiftKey);
    });
    return button;
  }));
}
get("colour").addEventListener("change", () => { legend(); redraw(); });

const dark = window.matchMedia("(prefers-color-scheme: dark)");
function paint(theme) {
  document.documentElement.dataset.theme = theme;
  get("theme").textContent = theme === "dark" ? "Light" : "Dark";
  legend();
  redraw();
}
get("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
new ResizeObserver(redraw).observe(map);
Promise.all(sheets.map((sheet) => sheet.decode().catch(() => null))).then(() => paint(dark.matches ? "dark" : "light"));
window.selftaught = { place };
