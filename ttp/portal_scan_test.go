package ttp

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// allowed lets the page use the camera.
var allowed = chromedp.Flag("use-fake-ui-for-media-stream", true)

// seeing stands in for the part of the browser that finds codes in pictures,
// and keeps the tracks of the camera that the page was given. It finds a text in
// the fifth picture that has any content, after a failure at the first.
const seeing = `
	window.cameras = [];
	const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = async (wanted) => {
		const stream = await open(wanted);
		cameras.push(...stream.getTracks());
		return stream;
	};
	window.BarcodeDetector = class {
		static pictures = 0;
		static async getSupportedFormats() { return ["aztec", "qr_code"]; }
		async detect(video) {
			if (!video.videoWidth || video.paused) return [];
			if (++BarcodeDetector.pictures == 1) throw new DOMException("busy", "InvalidStateError");
			return BarcodeDetector.pictures == 5 ? [{ rawValue: %q }] : [];
		}
	};`

// before has a script run in each page that is opened from now on, before those
// of the page.
func (b *browser) before(script string) {
	b.run(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}))
}

// scanner is what is seen of scanning.
type scanner struct {
	Area, Start, Stop, Video bool   // are shown
	Words                    string // that are shown
	Live, Tracks             int    // of the camera
	Focus                    string // the button that has it
}

func (b *browser) scanner() scanner {
	b.t.Helper()
	return eval[scanner](b, `(() => {
		const shown = (name) => document.querySelector(name).checkVisibility();
		return { Area: shown(".scan"), Start: shown(".scan [data-do=scan]"), Stop: shown(".scan [data-do=stop]"), Video: shown(".scan video"),
			Words: shown(".scan p") ? document.querySelector(".scan p").textContent : "",
			Live: (window.cameras ?? []).filter((t) => t.readyState == "live").length, Tracks: (window.cameras ?? []).length,
			Focus: document.activeElement.dataset.do ?? "" };
	})()`)
}

// scans starts a browser whose camera shows a picture of its own making. Nobody
// is asked whether the page may use it: that is the answer's flag.
func scans(t *testing.T, answer chromedp.ExecAllocatorOption) (*portalRig, *browser) {
	t.Helper()
	process := chromium(t, chromedp.Flag("use-fake-device-for-media-stream", true), answer)
	p := newPortalRig(t)
	p.clock.add(presently.Sub(start))
	return p, browse(t, process, p.serve())
}

// TestScan: a consumer who is signed in scans the code of another meter.
func TestScan(t *testing.T) {
	p, b := scans(t, allowed)
	b.claim(p.company.keyed(7).code(1))
	code := p.company.keyed(8).code(1)
	b.before(fmt.Sprintf(seeing, code))
	b.open("/claim")
	b.until(`document.querySelector(".scan").checkVisibility()`)
	if got := b.scanner(); got != (scanner{Area: true, Start: true}) {
		t.Errorf("before scanning: %+v", got)
	}

	// It can be stopped before anything is found.
	b.run(chromedp.Evaluate[chromedp.Void](`BarcodeDetector.pictures = 100`))
	b.run(chromedp.Evaluate[chromedp.Void](`for (const _ of "12") document.querySelector(".scan [data-do=scan]").click()`)) // in a hurry
	b.until(`BarcodeDetector.pictures > 102`)
	if got := b.scanner(); got.Start || !got.Stop || !got.Video || got.Words == "" || got.Live != 1 || got.Tracks != 1 || got.Focus != "stop" {
		t.Errorf("while scanning: %+v", got)
	}
	b.click(".scan [data-do=stop]")
	b.until(`document.querySelector(".scan [data-do=scan]").checkVisibility()`)
	if got := b.scanner(); got != (scanner{Area: true, Start: true, Tracks: 1, Focus: "scan"}) || eval[string](b, `document.querySelector("#code").value`) != "" {
		t.Errorf("after stopping: %+v", got)
	}

	b.run(chromedp.Evaluate[chromedp.Void](`BarcodeDetector.pictures = 0`))
	b.click(".scan [data-do=scan]")
	b.until(`document.querySelector("#code").value`)
	if got := eval[string](b, `document.querySelector("#code").value`); got != code {
		t.Errorf("in the field is %q, want %q", got, code)
	}
	if got := b.scanner(); got != (scanner{Area: true, Start: true, Tracks: 2}) {
		t.Errorf("after scanning: %+v", got)
	}
	if got := eval[string](b, `document.activeElement.form?.getAttribute("action")`); got != "/claim" {
		t.Errorf("what has the focus sends a form to %q", got)
	}
	_, err := chromedp.RunResponse(b.ctx, chromedp.Evaluate[chromedp.Void](`document.activeElement.click()`))
	must(t, err)
	if got := b.path(); got != "/claim/passkey" {
		t.Errorf("the scanned code leads to %s, %s", got, b.refused())
	}
	b.noStrangers()
}

// TestScanWithoutDetector: what would not work is not offered.
func TestScanWithoutDetector(t *testing.T) {
	_, b := scans(t, allowed)
	for name, script := range map[string]string{
		"no detector":              `delete window.BarcodeDetector;`,
		"one for other codes":      `window.BarcodeDetector = class { static async getSupportedFormats() { return ["ean_13"]; } };`,
		"one that does not answer": `window.BarcodeDetector = class { static async getSupportedFormats() { throw new DOMException("none", "NotSupportedError"); } };`,
	} {
		b.before(script)
		b.open("/claim")
		b.run(chromedp.Evaluate[chromedp.Void](`new Promise((done) => setTimeout(done))`, chromedp.EvalAwaitPromise)) // deferred scripts have run
		if got := b.scanner(); got != (scanner{}) {
			t.Errorf("%s: %+v", name, got)
		}
		if b.typeCode("0123"); b.refused() != "malformed" {
			t.Errorf("%s: a typed code is answered %q", name, b.refused())
		}
	}
	b.noStrangers()
}

// TestScanWithoutCamera: a camera that is refused is told of, and may be
// allowed later.
func TestScanWithoutCamera(t *testing.T) {
	_, b := scans(t, chromedp.Flag("use-fake-ui-for-media-stream", "deny"))
	b.before(fmt.Sprintf(seeing, "0123"))
	b.open("/claim")
	b.until(`document.querySelector(".scan").checkVisibility()`)
	b.click(".scan [data-do=scan]")
	b.until(`document.querySelector(".scan p").checkVisibility() && document.querySelector(".scan [data-do=scan]").checkVisibility()`)
	if got := b.scanner(); got != (scanner{Area: true, Start: true, Words: "The camera cannot be used. Type the code.", Focus: "scan"}) {
		t.Errorf("refused: %+v", got)
	}
	b.run(chromedp.Evaluate[chromedp.Void](`navigator.mediaDevices.getUserMedia = async () => {
		const canvas = document.createElement("canvas");
		canvas.getContext("2d").fillRect(0, 0, 9, 9);
		return canvas.captureStream();
	}`))
	b.click(".scan [data-do=scan]")
	b.until(`document.querySelector(".scan video").checkVisibility()`)
	if got := b.scanner(); got.Start || !got.Stop || got.Words != "Hold the meter's display before the camera. The picture stays on this device." {
		t.Errorf("allowed later: %+v", got)
	}
	b.noStrangers()
}
