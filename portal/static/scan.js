// Reads the claim code from the meter's QR code with the camera, where the
// browser can. No picture leaves the device.
"use strict";
(async () => {
  const area = document.querySelector(".scan");
  const formats = await window.BarcodeDetector?.getSupportedFormats().catch(() => []);
  if (!area || !navigator.mediaDevices || !formats?.includes("qr_code")) return;
  area.hidden = false;
  const form = area.closest("form");
  const [video, words] = [area.querySelector("video"), area.querySelector("p")];
  const [start, stop] = [area.querySelector("[data-do=scan]"), area.querySelector("[data-do=stop]")];
  const [detector, hold] = [new BarcodeDetector({ formats: ["qr_code"] }), words.textContent];
  let asking = false;
  const show = (on, text) => {
    video.hidden = stop.hidden = !on;
    start.hidden = on;
    words.hidden = !text;
    words.textContent = text;
    (on ? stop : start).focus(); // the other one is hidden
  };
  const end = (text = "") => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    show(false, text);
  };
  async function look(stream) {
    const found = await detector.detect(video).catch(() => []); // no picture yet
    if (video.srcObject !== stream) return; // it was ended meanwhile
    if (!found.length) return void requestAnimationFrame(() => look(stream));
    form.querySelector("#code").value = found[0].rawValue;
    end();
    form.querySelector("button").focus();
  }
  start.addEventListener("click", async () => {
    if (asking) return; // one camera is enough
    asking = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      show(true, hold);
      look(stream);
    } catch {
      end(area.dataset.failed);
    } finally {
      asking = false;
    }
  });
  stop.addEventListener("click", () => end());
})();
