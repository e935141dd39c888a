// Checks a bill with all that the page has of it: with the module that data-check
// names, from the data at data-source. What was found is document.body.dataset.bill,
// "holds" or a failure class, for whoever looks.
"use strict";
(() => {
  const encoder = new TextEncoder();
  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const join = (...parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) { out.set(p, at); at += p.length; }
    return out;
  };
  const big = (n, length) => {
    const out = new Uint8Array(length);
    for (let i = length - 1; i >= 0; i--) { out[i] = n % 256; n = Math.floor(n / 256); }
    return out;
  };
  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // intervals undoes the runs.
  function intervals(runs) {
    return runs.flatMap((r) => r.import.map((wh, i) => ({ start: r.start + i * r.seconds, seconds: r.seconds, import: wh, export: r.export[i], quality: r.quality[i] })));
  }

  // readingsRoot is that of spec/bill.md section 8.
  async function readingsRoot(secret, days, list) {
    const key = await crypto.subtle.importKey("raw", toBytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const leaves = [];
    let at = 0;
    for (let i = 0; i < days.length; i++) {
      const [day] = days[i], end = i + 1 < days.length ? days[i + 1][1] : Infinity;
      const rows = [];
      for (; at < list.length && list[at].start < end; at++) {
        const x = list[at];
        rows.push(big(x.start, 5), big(x.seconds, 2), big(x.import, 5), big(x.export, 5), big(x.quality, 1));
      }
      const salt = new Uint8Array(await crypto.subtle.sign("HMAC", key, join(encoder.encode("wattveil1 bill day"), big(day, 4)))).slice(0, 16);
      leaves.push(await sha256(join(big(0, 1), salt, big(1, 1), big(day, 4), big(rows.length / 5, 4), ...rows)));
    }
    return toText(await treeRoot(leaves));
  }

  // treeRoot is RFC 6962's.
  async function treeRoot(leaves) {
    if (leaves.length === 1) return leaves[0];
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    return sha256(join(big(1, 1), await treeRoot(leaves.slice(0, split)), await treeRoot(leaves.slice(split))));
  }

  const kWh = (wh) => `${Math.floor(wh / 1000)}.${String(wh % 1000).padStart(3, "0")}`;
  const estimated = [8, 9]; // codes of quality, spec/vee.md section 5
  const sum = (list, member) => list.reduce((n, x) => n + x[member], 0);

  // check gives the rows: what and state, which is ok, failed, or why it was not checked.
  async function check(part, data) {
    const { verify } = await import(part.dataset.check);
    const found = await verify({ text: data.document, keys: data.keys, log: data.log, meter: data.meter, seen: "" });
    const rows = found.rows.filter((r) => !["readings", "consistency"].includes(r.what)).map((r) => ({ what: r.what, state: r.state }));
    const bill = found.bill;
    if (!bill) return rows;
    const add = (what, holds, reason) => rows.push({ what, state: holds === null ? reason || "skipped" : holds ? "ok" : "failed" });
    add("shown", bill.total === part.dataset.total && bill.lines.length === Number(part.dataset.lines));
    const list = intervals(data.runs);
    // What does not hold is no failure where the readings of today need not be the bill's.
    const unless = (holds, excused) => (holds === false && excused ? null : holds);
    const reason = data.change === "erased" ? "erased" : "late";
    add("root", unless((await readingsRoot(data.secret, data.days, list)) === bill.readings_root, data.change !== ""), reason);
    const told = (member, text) => (text === undefined || text === "" ? null : kWh(sum(list, member)) === text);
    const energy = [told("import", bill.import_kwh), told("export", bill.export_kwh)].filter((x) => x !== null);
    const edges = [list[0], list[list.length - 1]].some((x) => x && estimated.includes(x.quality));
    const open = data.change === "estimates" ? edges : data.change !== "";
    if (bill.carries || energy.length === 0) add("energy", null);
    else add("energy", unless(energy.every((x) => x), open), reason);
    return rows;
  }

  function show(part, rows) {
    const list = part.querySelector(".checks"), words = part.dataset;
    list.replaceChildren(...rows.map((r) => {
      const item = document.createElement("li");
      item.className = ["ok", "failed"].includes(r.state) ? r.state : "skipped";
      const template = part.querySelector(`template[data-what="${r.what}"]`);
      const name = template ? template.content.textContent : `${words.other} (${r.what})`;
      item.textContent = `${{ ok: "✓", failed: "✗" }[r.state] || "–"} ${name}: ${words[r.state]}`;
      return item;
    }));
    const failed = rows.find((r) => r.state === "failed");
    part.querySelector(".outcome").textContent = failed ? words.fails : words.holds;
    part.querySelector(".outcome").classList.toggle("good", !failed);
    document.body.dataset.bill = failed ? failed.what : "holds";
  }

  for (const part of document.querySelectorAll("[data-check]")) {
    const button = part.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        const answer = await fetch(part.dataset.source, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        show(part, await check(part, await answer.json()));
      } catch (e) {
        console.warn(e);
        part.querySelector(".outcome").textContent = part.dataset.broken;
        document.body.dataset.bill = "broken";
      }
      button.disabled = false;
    });
  }
})();
