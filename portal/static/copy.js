// Copies the text of a field, where the browser can: a button names the field in
// data-copy, and says data-done once it is copied.
"use strict";
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const field = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = button.dataset.done;
    } catch {
      field.select(); // the reader's own keys copy it
    }
  });
}
