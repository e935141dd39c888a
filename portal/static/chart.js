// Draws the charts of use with uPlot, from the data that the page names, in
// the place of the bars that are there without scripts. The chart of a figure
// is figure.chart, for whoever looks at what is drawn.
"use strict";
(() => {
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang; // as the pages write dates
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const kWh = new Intl.NumberFormat(language, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
  const short = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });

  // hatch is a pattern of lines over a colour.
  function hatch(context, line, width, gap) {
    const tile = document.createElement("canvas");
    const size = gap * devicePixelRatio;
    tile.width = tile.height = size;
    const c = tile.getContext("2d");
    c.strokeStyle = line;
    c.lineWidth = width * devicePixelRatio;
    for (const x of [-size, 0, size]) {
      c.beginPath();
      c.moveTo(x, size);
      c.lineTo(x + size, 0);
      c.stroke();
    }
    return context.createPattern(tile, "repeat");
  }

  // columns are the data of the chart: the middle of each bucket, then bands
  // stacked from the highest sum to the lowest, estimated, export, compared,
  // cost. Where nothing is known there is null, never 0.
  function columns(d) {
    const middle = d.start.map((at, i) => (at + d.end[i]) / 2);
    const sums = [];
    let below = d.start.map(() => 0);
    d.by_band.forEach((band) => {
      below = below.map((sum, i) => sum + band[i]);
      sums.push(below.map((sum, i) => (d.import[i] === null || band[i] === 0 ? null : sum / 1000)));
    });
    const estimated = d.import.map((sum, i) => (d.estimated[i] > 0 ? sum / 1000 : null));
    const exported = d.export.map((wh) => (wh ? -wh / 1000 : null));
    const out = [middle, ...sums.reverse(), estimated, exported];
    if (d.compare) out.push(d.compare.map((wh) => (wh === null ? null : wh / 1000)));
    if (d.cost) out.push(d.cost);
    return out;
  }

  function series(figure, d) {
    const bars = uPlot.paths.bars({ size: [0.84, Infinity], gap: 0 });
    const bar = (label, color) => ({ label, fill: color, stroke: color, width: 0, paths: bars, points: { show: false } });
    const names = [...d.bands, { name: figure.dataset.import, class: "band-none" }];
    const list = [{}, ...names.map((b) => bar(b.name, style("--" + b.class))).reverse()];
    const over = bar(figure.dataset.estimated, "");
    over.fill = (u) => hatch(u.ctx, style("--hatch"), 2.5, 6);
    // Only the part that is estimated is hatched: the rest is cut away.
    over.paths = uPlot.paths.bars({ size: [0.84, Infinity], gap: 0, disp: {
      y0: { unit: 1, values: (u) => u.figureData.import.map((sum, i) => (sum === null ? 0 : (sum - u.figureData.estimated[i]) / 1000)) },
      y1: { unit: 1, values: (u) => u.figureData.import.map((sum) => (sum === null ? 0 : sum / 1000)) },
    } });
    list.push(over, bar(figure.dataset.export, style("--export")));
    if (d.compare) list.push({ label: figure.dataset.compare, stroke: style("--compare"), width: 1.25, dash: [4, 3], paths: d.start.length > 40 ? uPlot.paths.linear() : uPlot.paths.bars({ size: [1, Infinity], gap: 0 }), points: { show: false } });
    if (d.cost) list.push({ label: figure.dataset.cost, scale: "cost", stroke: style("--cost"), width: 2, points: { show: false } });
    return list;
  }

  // missing marks where something is not known, behind all else.
  function missing(u) {
    const d = u.figureData, { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = hatch(ctx, style("--missing"), 1.2, 8);
    d.missing.forEach((seconds, i) => {
      if (!seconds) return;
      const left = u.valToPos(d.start[i], "x", true), right = u.valToPos(d.end[i], "x", true);
      ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height);
    });
    ctx.restore();
  }

  class Chart {
    constructor(figure, data) {
      this.figure = figure;
      this.first = { data };
      this.words = figure.querySelector(".reading");
      this.words.textContent = figure.dataset.hint;
      const plot = figure.querySelector(".plot");
      plot.classList.add("live");
      plot.replaceChildren();
      plot.setAttribute("aria-hidden", "true"); // the table says the same
      this.plot = plot;
      this.draw(data);
      figure.querySelector(".zoom").hidden = false;
      for (const button of figure.querySelectorAll("[data-do]")) button.addEventListener("click", () => this.move(button.dataset.do));
      new ResizeObserver(() => this.u.setSize(this.size())).observe(plot);
      figure.chart = this;
    }

    size() { return { width: Math.max(240, this.plot.clientWidth), height: innerWidth < 480 ? 240 : 320 }; }

    times(d) {
      const span = d.to - d.from, zone = d.zone;
      const form = span <= 3 * 86400 ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : span <= 120 * 86400 ? { day: "numeric", month: "short" } : { month: "short", year: "2-digit" };
      const axis = new Intl.DateTimeFormat(language, { ...form, timeZone: zone });
      const full = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });
      return { axis: (at) => axis.format(at * 1000), full: (at) => full.format(at * 1000) };
    }

    draw(d) {
      if (this.u) this.u.destroy();
      this.data = d;
      const times = this.times(d), grid = { stroke: style("--line"), width: 1 }, ink = style("--muted");
      const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui" };
      const room = (u, labels) => 16 + 8 * Math.max(4, ...(labels || []).map((l) => l.length));
      const axes = [
        { ...axis, values: (u, list) => list.map(times.axis).map((label, i, all) => (label === all[i - 1] ? "" : label)), space: 70 },
        { ...axis, values: (u, list) => list.map((v, i) => short.format(v) + (i === list.length - 1 ? " kWh" : "")), size: room },
      ];
      if (d.cost) axes.push({ ...axis, scale: "cost", side: 1, grid: { show: false }, values: (u, list) => list.map((v, i) => short.format(v) + (i === list.length - 1 ? " " + d.currency : "")), size: room });
      const options = {
        ...this.size(), legend: { show: false }, series: series(this.figure, d), axes, padding: [12, d.cost ? 0 : 24, 0, 0],
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), d.zone),
        scales: { x: { range: [d.from, d.to] }, y: { range: (u, low, high) => [Math.min(0, (low || 0) * 1.05), high > 0 ? high * 1.05 : 1] } },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
        hooks: { init: [(u) => { u.figureData = d; }], drawClear: [missing], setSelect: [(u) => this.select(u)], setCursor: [(u) => this.read(u, times)] },
      };
      this.u = new uPlot(options, columns(d), this.plot);
      this.u.over.addEventListener("dblclick", () => this.move("reset"));
    }

    // read says in words what is below the pointer.
    read(u, times) {
      const i = u.cursor.idx, d = this.data;
      if (i === null || i === undefined || d.start[i] === undefined) return;
      const parts = [`${times.full(d.start[i])} – ${times.full(d.end[i])}`];
      parts.push(d.import[i] === null ? this.figure.dataset.none : `${kWh.format(d.import[i] / 1000)} kWh`);
      if (d.export[i]) parts.push(`${this.figure.dataset.export} ${kWh.format(d.export[i] / 1000)} kWh`);
      if (d.estimated[i]) parts.push(this.figure.dataset.estimated);
      if (d.cost && d.cost[i] !== null) parts.push(new Intl.NumberFormat(language, { style: "currency", currency: d.currency }).format(d.cost[i]));
      this.words.textContent = parts.join(" · ");
    }

    select(u) {
      if (u.select.width < 8) return;
      this.go(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
      u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    }

    move(what) {
      const { from, to } = this.data, span = to - from;
      switch (what) {
        case "in": return this.go(from + span / 4, to - span / 4);
        case "out": return this.go(from - span / 2, to + span / 2);
        case "back": return this.go(from - span / 2, to - span / 2);
        case "forward": return this.go(from + span / 2, to + span / 2);
        default: this.draw(this.first.data);
      }
    }

    // go shows another stretch of time, as finely as the meter measures.
    async go(from, to) {
      const grid = 60;
      from = Math.floor(from / grid) * grid;
      to = Math.max(from + grid, Math.ceil(to / grid) * grid);
      const source = new URL(this.figure.dataset.source, location.href);
      const cost = source.searchParams.get("cost");
      source.search = new URLSearchParams({ from, to, ...(cost ? { cost } : {}) });
      const data = await load(source);
      if (data) this.draw(data);
    }
  }

  async function load(source) {
    const answer = await fetch(source, { headers: { Accept: "application/json" } });
    return answer.ok ? answer.json() : null;
  }

  // What a page marks as live is shown anew every minute that somebody looks.
  async function refresh() {
    if (document.hidden) return;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelectorAll("[data-live]");
    document.querySelectorAll("[data-live]").forEach((part, i) => fresh[i] && part.replaceWith(document.adoptNode(fresh[i])));
    for (const figure of document.querySelectorAll("figure.chart")) {
      const chart = figure.chart, data = chart && await load(figure.dataset.source);
      if (!data) continue;
      const whole = chart.data === chart.first.data;
      chart.first.data = data;
      if (whole) chart.draw(data);
    }
  }
  if (document.querySelector("[data-live]")) setInterval(refresh, 60000);

  for (const figure of document.querySelectorAll("figure.chart[data-source]")) {
    load(figure.dataset.source).then((data) => {
      if (!data) return;
      new Chart(figure, data);
      const again = () => figure.chart.draw(figure.chart.data); // other colours
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    });
  }
})();
