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
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false, tickfont: { size: 12 }, exponentformat: "power", minexponent: 5 };
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
  const start = () => { // Reading and running the library takes longer than all else on the page.
    const library = document.head.appendChild(document.createElement("script"));
    library.textContent = document.getElementById("plotly").textContent;
  };
  const draw = (plot) => {
    if (!window.Plotly) start();
    const style = getComputedStyle(root);
    plot.drawn = true;
    const data = resolve(plot.figure.data, style).map((trace, i) => ({ ...trace, visible: plot.hidden.has(i) ? "legendonly" : true }));
    const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage"]], showTips: false };
    Plotly.react(plot.box, data, layoutOf(plot, style), config);
    if (plot.figure.thumbs && !plot.listens) {
      plot.listens = true;
      plot.box.on("plotly_hover", ({ points: [point], event }) => showThumb(plot.figure.thumbs, point, event));
      plot.box.on("plotly_unhover", () => { thumb.hidden = true; });
    }
  };
  // The picture of a point of a map, cut out of one sheet, beside the pointer.
  const thumb = document.body.appendChild(document.createElement("div"));
  thumb.id = "thumb";
  thumb.hidden = true;
  const showThumb = (sheet, point, event) => {
    const scale = 96 / sheet.side, step = (sheet.side + sheet.gap) * scale;
    const [width, height] = [sheet.columns * step - sheet.gap * scale, sheet.rows * step - sheet.gap * scale];
    const tile = Number(point.customdata);
    const picture = thumb.firstChild || thumb.appendChild(document.createElement("i"));
    const words = picture.nextSibling || thumb.appendChild(document.createElement("span"));
    picture.style.backgroundImage = sheet.picture;
    picture.style.backgroundSize = `${width}px ${height}px`;
    picture.style.backgroundPosition = `${-(tile % sheet.columns) * step}px ${-Math.floor(tile / sheet.columns) * step}px`;
    words.textContent = plainText(point.text || "");
    thumb.hidden = false;
    const [x, y] = [event?.clientX ?? 0, event?.clientY ?? 0];
    thumb.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - thumb.offsetWidth - 8))}px`;
    thumb.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - thumb.offsetHeight - 8))}px`;
  };
  const plainText = (text) => text.replace(/&#40;/g, "(").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const legend = (plot) => {
    const entries = plot.figure.legend;
    if (entries.length < 2 || plot.box.closest(".small")) return;
    const more = document.createElement("button");
    const others = entries.filter((entry) => entry.hidden).length;
    entries.forEach((entry, i) => {
      const button = document.createElement("button");
      const sample = document.createElement("i");
      if (entry.symbol) {
        sample.className = entry.symbol;
        sample.style.background = `var(${entry.colour})`;
      } else {
        sample.style.borderTopColor = `var(${entry.colour})`;
        sample.style.borderTopStyle = { dash: "dashed", dot: "dotted" }[entry.dash] || "solid";
      }
      button.type = "button";
      button.title = "Show or hide";
      button.setAttribute("aria-pressed", String(!entry.hidden));
      button.hidden = Boolean(entry.hidden);
      button.append(sample, entry.name);
      button.addEventListener("click", () => {
        if (!plot.hidden.delete(i)) plot.hidden.add(i);
        button.setAttribute("aria-pressed", String(!plot.hidden.has(i)));
        draw(plot);
      });
      plot.box.previousElementSibling.append(button);
    });
    if (!others) return;
    more.type = "button";
    more.className = "more-lines";
    more.textContent = `${others} more`;
    more.addEventListener("click", () => {
      plot.box.previousElementSibling.querySelectorAll("[hidden]").forEach((button) => { button.hidden = false; });
      more.remove();
    });
    plot.box.previousElementSibling.append(more);
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
    const figure = JSON.parse(box.nextElementSibling.textContent);
    const plot = { box, figure, hidden: new Set(figure.legend.flatMap((entry, i) => (entry.hidden ? [i] : []))), drawn: false };
    plots.push(plot);
    legend(plot);
  });
  // Only what comes into view is drawn, one plot a turn, so that a page of many runs opens at once.
  const waiting = [];
  const drawNext = () => {
    const plot = waiting.shift();
    if (plot && !plot.drawn) draw(plot);
    if (waiting.length) setTimeout(drawNext);
    else root.dataset.drawn = plots.every((p) => p.drawn) ? "all" : "seen";
  };
  const seen = new IntersectionObserver((entries) => {
    const idle = !waiting.length;
    for (const entry of entries) {
      const plot = plots.find((p) => p.box === entry.target);
      if (entry.isIntersecting && !plot.drawn && !waiting.includes(plot)) {
        seen.unobserve(plot.box);
        waiting.push(plot);
        delete root.dataset.drawn;
      }
    }
    if (idle) setTimeout(drawNext);
  }, { rootMargin: "600px 0px" });
  plots.forEach((plot) => seen.observe(plot.box));
  if (!plots.length) root.dataset.drawn = "all";

  // Clips of one sample move together while they are in view; where the reader asks for less motion, while the pointer
  // is on one. A click or the enter key stops and starts one.
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const stills = new Map();
  const play = (clip, moves) => {
    if (!stills.has(clip)) stills.set(clip, clip.src);
    const wanted = moves ? clip.dataset.clip : stills.get(clip);
    if (clip.src !== wanted) clip.src = wanted;
  };
  const turn = (clip) => play(clip, clip.src !== clip.dataset.clip);
  const inView = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const clips = target.matches("img") ? [target] : target.querySelectorAll("img[data-clip]");
      clips.forEach((clip) => play(clip, isIntersecting && !calm.matches));
    }
  });
  document.querySelectorAll("img[data-clip]").forEach((clip) => {
    inView.observe(clip.closest(".sample, .row") || clip);
    clip.tabIndex = 0;
    clip.addEventListener("click", () => turn(clip));
    clip.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      turn(clip);
    });
    clip.addEventListener("pointerenter", ({ pointerType }) => { if (calm.matches && pointerType === "mouse") play(clip, true); });
    clip.addEventListener("pointerleave", ({ pointerType }) => { if (calm.matches && pointerType === "mouse") play(clip, false); });
  });
  addEventListener("beforeprint", () => stills.forEach((still, clip) => play(clip, false)));

  // A link into a folded part opens it.
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const inside = target.matches(".folded") ? target.querySelector("details") : target.closest("details");
    for (let part = inside; part; part = part.parentElement.closest("details")) part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  // What was redrawn while folded (another theme) had no size then.
  document.addEventListener("toggle", ({ target }) => {
    if (target.open && !printing) plots.filter((p) => p.drawn && target.contains(p.box)).forEach((p) => Plotly.Plots.resize(p.box));
  }, true);

  document.querySelectorAll(".copy button").forEach((button) => {
    const name = button.textContent;
    button.addEventListener("click", async () => {
      const text = button.nextElementSibling.content.textContent;
      try {
        await navigator.clipboard.writeText(text);
      } catch { // An old browser, or one that gives a file no clipboard.
        const field = document.body.appendChild(document.createElement("textarea"));
        field.value = text;
        field.select();
        document.execCommand("copy");
        field.remove();
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = name; }, 1500);
    });
  });

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

  let heard = null; // One sound at a time.
  document.querySelectorAll("[data-sound]").forEach((button) => button.addEventListener("click", () => {
    const before = heard;
    if (before) {
      before.audio.pause();
      before.button.classList.remove("playing");
      heard = null;
      if (before.button === button) return;
    }
    heard = { button, audio: new Audio(button.dataset.sound) };
    heard.audio.addEventListener("ended", () => { button.classList.remove("playing"); heard = null; });
    button.classList.add("playing");
    heard.audio.play().catch(() => button.classList.remove("playing"));
  }));

  addEventListener("beforeprint", () => {
    printing = {
      theme: root.dataset.theme, closed: [...document.querySelectorAll("details:not([open])")], unseen: plots.filter((p) => !p.drawn),
    };
    printing.closed.forEach((d) => { d.open = true; });
    root.dataset.print = "";
    plots.forEach((plot) => { plot.drawn = true; });
    setTheme("light");
    root.dataset.drawn = "all";
  });
  addEventListener("afterprint", () => {
    if (!printing) return;
    const { theme, closed, unseen } = printing;
    closed.forEach((d) => { d.open = false; });
    printing = null;
    delete root.dataset.print;
    unseen.forEach((plot) => { // Drawn for paper while folded: on the screen they get their size when they are seen.
      Plotly.purge(plot.box);
      plot.drawn = plot.listens = false;
      seen.observe(plot.box);
    });
    setTheme(theme);
  });
})();
