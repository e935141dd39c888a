// Passkeys: a button with data-passkey asks for options, lets the browser
// create or use a passkey, hands the outcome back and goes on.
"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function read(options) {
    const o = options.publicKey;
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of [o.excludeCredentials, o.allowCredentials]) {
      for (const c of list || []) c.id = bytes(c.id);
    }
    return { publicKey: o };
  }

  function write(credential) {
    const r = credential.response;
    const response = { clientDataJSON: text(r.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (r[name]) response[name] = text(r[name]);
    }
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
  }

  async function ask(path, body) {
    const answer = await fetch(path, {
      method: "POST", headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: body === undefined ? "" : JSON.stringify(body),
    });
    const content = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(content.text), { refusal: content });
    return content;
  }

  for (const button of document.querySelectorAll("[data-passkey]")) {
    const outcome = button.parentElement.querySelector(".outcome");
    const say = (words, kind) => { outcome.textContent = words; outcome.dataset.class = kind || ""; };
    if (!window.PublicKeyCredential) {
      button.disabled = true;
      say(button.dataset.none, "no-passkeys");
      continue;
    }
    button.addEventListener("click", async () => {
      button.disabled = true;
      say(button.dataset.working, "working");
      try {
        const options = read(await ask(button.dataset.options));
        const made = await (button.dataset.passkey === "create" ? navigator.credentials.create(options) : navigator.credentials.get(options));
        const done = await ask(button.dataset.finish, write(made));
        location.assign(done.next);
      } catch (failure) {
        if (failure.refusal && failure.refusal.class === "confirm") {
          location.assign("/confirm?next=" + encodeURIComponent(location.pathname));
          return;
        }
        say(failure.refusal ? failure.refusal.text : button.dataset.stopped, failure.refusal ? failure.refusal.class : "stopped");
        button.disabled = false;
      }
    });
  }
})();
