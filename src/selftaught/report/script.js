"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  const remembered = { // A page opened from a file may be refused storage.
    get() { try { return localStorage.getItem("selftaught-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("selftaught-theme", value); } catch { /* only this visit */ } },
  };
  const plots = [];
  let printing = null;

  // Colours of figures are names of style.css, so that one palette serves both themes.
  const resolve = (value, style) => {
    if (typeof value === "string") return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map((v) => resolve(v, style)) : value;
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v, style)]));
    return value;
  };
  const layoutOf = ({ figure, box }, style) => {
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false, tickfont: { size: 12 } };
    const base = {
      autosize: true, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("--sans"), size: 12.5, color: colour("--soft") }, margin: { l: 44, r: 14, t: 10, b: 40 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--ink") },
      hovermode: "x unified", hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      // Dragging would stop a finger from scrolling the page.
      dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
    };
    // A printer waits for no resize: plots get the width and height of the paper's columns at once.
    const size = printing ? { autosize: false, width: box.clientWidth, height: box.clientHeight } : {};
    return { ...base, ...figure.layout, ...size, xaxis: { ...axis, ...figure.layout.xaxis }, yaxis: { ...axis, ...figure.layout.yaxis } };
  };
  const draw = (plot) => {
    const style = getComputedStyle(root);
    const data = resolve(plot.figure.data, style).map((trace, i) => ({ ...trace, visible: plot.hidden.has(i) ? "legendonly" : true }));
    const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage"]], showTips: false };
    return Plotly.react(plot.box, data, layoutOf(plot, style), config);
  };
  const legend = (plot) => {
    const entries = plot.figure.legend;
    if (entries.length < 2) return;
    entries.forEach((entry, i) => {
      const button = document.createElement("button");
      const sample = document.createElement("i");
      sample.style.borderTopColor = `var(${entry.colour})`;
      sample.style.borderTopStyle = { dash: "dashed", dot: "dotted" }[entry.dash] || "solid";
      button.type = "button";
      button.title = "Show or hide";
      button.setAttribute("aria-pressed", "true");
      button.append(sample, entry.name);
      button.addEventListener("click", () => {
        if (!plot.hidden.delete(i)) plot.hidden.add(i);
        button.setAttribute("aria-pressed", String(!plot.hidden.has(i)));
        draw(plot);
      });
      plot.box.previousElementSibling.append(button);
    });
  };

  const setTheme = (name) => {
    root.dataset.theme = name;
    toggle.textContent = name === "dark" ? "Light" : "Dark";
    plots.filter((plot) => plot.drawn).forEach(draw);
  };
  toggle.addEventListener("click", () => {
    const name = root.dataset.theme === "dark" ? "light" : "dark";
    remembered.set(name);
    setTheme(name);
  });
  dark.addEventListener("change", () => { if (!remembered.get()) setTheme(dark.matches ? "dark" : "light"); });
  setTheme(remembered.get() || (dark.matches ? "dark" : "light"));

  document.querySelectorAll(".plot").forEach((box) => {
    const plot = { box, figure: JSON.parse(box.nextElementSibling.textContent), hidden: new Set(), drawn: false };
    plots.push(plot);
    legend(plot);
  });
  // One plot a turn: the page answers while a comparison of many runs is being drawn.
  const drawNext = () => {
    const plot = plots.find((p) => !p.drawn);
    if (!plot) { root.dataset.drawn = "all"; return; }
    plot.drawn = true;
    draw(plot);
    setTimeout(drawNext);
  };
  drawNext();

  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, i) => {
      const cell = row.cells[i];
      if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
      const text = cell.textContent.trim();
      return text === "–" ? null : text;
    };
    heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === (head.classList.contains("num") ? "descending" : null)
        || head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const [x, y] = [key(a, i), key(b, i)];
        if (x === null || y === null) return (x === null) - (y === null); // what is not known stays last
        const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    }));
  });

  addEventListener("beforeprint", () => {
    printing = { theme: root.dataset.theme, closed: [...document.querySelectorAll("details:not([open])")] };
    printing.closed.forEach((d) => { d.open = true; });
    root.dataset.print = "";
    setTheme("light");
  });
  addEventListener("afterprint", () => {
    if (!printing) return;
    const { theme, closed } = printing;
    closed.forEach((d) => { d.open = false; });
    printing = null;
    delete root.dataset.print;
    setTheme(theme);
  });
})();
