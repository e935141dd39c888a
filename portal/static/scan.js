// Reads the claim code from the meter's QR code with the camera, where the
// browser can. No picture leaves the device.
"use strict";
(async () => {
  const area = document.querySelector(".scan");
  if (!area || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;
  if (!(await BarcodeDetector.getSupportedFormats()).includes("qr_code")) return;
  area.hidden = false;
  const [video, words] = [area.querySelector("video"), area.querySelector("p")];
  const [start, stop] = [area.querySelector("[data-do=scan]"), area.querySelector("[data-do=stop]")];
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const show = (on) => { video.hidden = stop.hidden = !on; start.hidden = on; words.hidden = false; };
  const end = () => {
    for (const track of video.srcObject ? video.srcObject.getTracks() : []) track.stop();
    video.srcObject = null;
    show(false);
    words.hidden = true;
  };
  async function look() {
    if (!video.srcObject) return;
    for (const found of await detector.detect(video).catch(() => [])) {
      document.querySelector("#code").value = found.rawValue;
      end();
      document.querySelector("form button").focus();
      return;
    }
    requestAnimationFrame(look);
  }
  start.addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      show(true);
      await video.play();
      look();
    } catch {
      end();
      words.hidden = false;
      words.textContent = area.dataset.failed;
    }
  });
  stop.addEventListener("click", end);
})();
