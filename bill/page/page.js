// The page: inputs by paste, file, drop or the part of the address after #, and
// the outcome.

import { verify } from "./verify.js";
import { say } from "./texts.js";
import { showBill, showChecks } from "./show.js";

const maxFile = 1 << 20;

const byID = (id) => document.getElementById(id);
const fields = ["bill", "keys", "log", "meter", "seen"];

let language = (navigator.language || "en").toLowerCase().startsWith("de") ? "de" : "en";
let last = null; // the outcome that is shown
let run = 0; // number of the last check, as an older one may end later

function translate() {
  document.documentElement.lang = language;
  document.title = say(language, "title");
  for (const e of document.querySelectorAll("[data-text]")) e.textContent = say(language, e.dataset.text);
  byID("language").textContent = say(language, "otherLanguage");
  byID("language").lang = language === "en" ? "de" : "en";
  for (const e of document.querySelectorAll("input[data-into]")) {
    e.setAttribute("aria-label", say(language, "chooseFile") + ": " + document.querySelector(`label[for="${e.dataset.into}"]`).textContent);
  }
  show();
}

const value = (id) => byID(id).value.trim();

// check checks what the fields hold, and shows the outcome.
async function check() {
  const mine = ++run;
  let outcome = null;
  if (value("bill") !== "") {
    if (value("keys") === "") outcome = { verdict: "verdictKeys", rows: [], bill: null };
    else outcome = await outcomeOf({ text: value("bill"), keys: value("keys"), log: value("log"), meter: value("meter"), seen: kept(byID("seen").value) });
  }
  if (mine !== run) return;
  last = outcome;
  show();
  document.body.dataset.run = String(mine);
}

// kept is a checkpoint as it was kept: its text ends in a line break, which is
// easily lost when it is pasted.
function kept(text) {
  const trimmed = text.trim();
  return trimmed === "" || trimmed.startsWith("{") ? trimmed : trimmed + "\n";
}

async function outcomeOf(input) {
  if (!globalThis.crypto?.subtle) return { verdict: "verdictUnable", rows: [], bill: null };
  try {
    const found = await verify(input);
    const verdict = found.ok ? "verdictOK" : found.class === "key-set" ? "verdictKeySet" : "verdictFailed";
    return { ...found, verdict };
  } catch (e) {
    return { verdict: e.name === "NotSupportedError" ? "verdictUnable" : "verdictBroken", values: { error: String(e) }, rows: [], bill: null };
  }
}

function show() {
  const result = byID("result");
  result.hidden = last === null;
  document.body.dataset.state = last === null ? "empty" : "shown";
  if (last === null) return;
  result.dataset.verdict = last.verdict === "verdictOK" ? "ok" : last.verdict === "verdictFailed" ? "failed" : "unknown";
  result.dataset.class = last.class ?? "";
  byID("verdict").textContent = say(language, last.verdict, last.values);
  showChecks(byID("checks"), last.rows, language);
  byID("checks").hidden = last.rows.length === 0;
  byID("paper").hidden = last.bill === null;
  if (last.bill !== null) showBill(byID("paper"), last.bill, language);
}

// fill puts text into a field and checks again.
function fill(id, text) {
  byID(id).value = text;
  return check();
}

async function fillFromFile(id, file) {
  if (file && file.size <= maxFile) await fill(id, await file.text());
}

// place tells which field a file that was dropped is for, by what is in it.
function place(text) {
  if (/"keys"\s*:/.test(text) && /"kty"\s*:/.test(text)) return "keys";
  if (/"witness"\s*:/.test(text) && /"origin"\s*:/.test(text)) return "log";
  if (/"consistency"\s*:/.test(text) || /\n\n\u2014 /.test(text)) return "seen";
  return "bill";
}

function listen() {
  for (const id of fields) byID(id).addEventListener("input", check);
  byID("inputs").addEventListener("submit", (e) => e.preventDefault());
  byID("language").addEventListener("click", () => {
    language = language === "en" ? "de" : "en";
    translate();
  });
  for (const input of document.querySelectorAll("input[data-into]")) {
    input.addEventListener("change", async () => {
      await fillFromFile(input.dataset.into, input.files[0]);
      input.value = "";
    });
  }
  window.addEventListener("hashchange", fromAddress);
  const shade = byID("drop");
  document.addEventListener("dragover", (e) => {
    e.preventDefault();
    shade.hidden = false;
  });
  document.addEventListener("dragleave", (e) => {
    if (e.relatedTarget === null) shade.hidden = true;
  });
  document.addEventListener("drop", async (e) => {
    e.preventDefault();
    shade.hidden = true;
    for (const file of e.dataTransfer.files) {
      if (file.size > maxFile) continue;
      const text = await file.text();
      await fill(place(text), text);
    }
  });
}

// fromAddress takes the bill after # in the address, where a code on paper has
// it. It is sent to nobody.
function fromAddress() {
  const text = location.hash.slice(1);
  return text === "" ? check() : fill("bill", text);
}

function givenKeys() {
  const given = JSON.parse(byID("given-keys").textContent);
  byID("keys").value = given.jwks;
  byID("log").value = given.log;
}

givenKeys();
listen();
translate();
globalThis.wattveil = { verify };
await fromAddress();
